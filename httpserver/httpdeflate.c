#include "httpserver/httpdeflate.h"

#include <string.h>

#include "httpserver/httpcrc32.h"
#include "httpserver/httpdeflatelayer.h"
#include "ioloop/ioalloc.h"

/* Bytes are collected until there is a buffer of them, or a flush. Then, place by place, matches with what came before
 * are looked for and become the symbols of a block.
 *
 * What the chains name is only a hint: the bytes there are compared. So they need not be cleared nor be exact; a place
 * has only to lie in the window, and each be before the last, for a walk to end. */

enum {
    SHORTEST_MATCH = 3,
    THREES_BITS = 12,
    THREES_FAR = 4096, /* a match of three bytes from farther away costs more than it saves */
    LOOKAHEAD = HTTPBITS_LONGEST_MATCH + 4,
    MOST_SYMBOLS = 8192,
    SPACE = 1024, /* of the buffer, more than two windows */
};

static const struct httpdeflatelayer_level levels[10] = {
    [1] = { 2, 16, 0 },    [2] = { 4, 24, 0 },      [3] = { 8, 32, 0 },
    [4] = { 16, 64, 0 },   [5] = { 16, 64, 16 },    [6] = { 32, 128, 32 },
    [7] = { 64, 128, 64 }, [8] = { 128, 258, 128 }, [9] = { 512, 258, 258 },
};

struct match {
    unsigned length, distance; /* 0: there is none */
};

/* The chains. */

static uint32_t hash_of_four(const struct httpdeflate *deflate, const uint8_t *at)
{
    return httpbits_load32(at) * UINT32_C(0x9e3779b1) >> deflate->hash_shift;
}

static uint32_t hash_of_three(const uint8_t *at)
{
    return (httpbits_load32(at) << 8) * UINT32_C(0x9e3779b1) >> (32 - THREES_BITS);
}

/* Puts the place into its chain; there are four bytes. Answers the one before it. */
static uint32_t index_place(struct httpdeflate *deflate, uint32_t at)
{
    uint32_t hash = hash_of_four(deflate, deflate->buffer + at), before = deflate->heads[hash];

    deflate->chains[at & (deflate->window - 1)] = (uint16_t)before;
    deflate->heads[hash] = (uint16_t)at;
    return before;
}

static unsigned common_length(const uint8_t *a, const uint8_t *b, unsigned most)
{
    unsigned length = 0;

    for (; length + 8 <= most; length += 8) {
        uint64_t different = httpbits_load64(a + length) ^ httpbits_load64(b + length);
        if (different != 0)
            return length + (unsigned)__builtin_ctzll(different) / 8;
    }
    while (length < most && a[length] == b[length])
        length++;
    return length;
}

static uint32_t oldest_place(const struct httpdeflate *deflate, uint32_t at)
{
    return at > deflate->window ? at - deflate->window : 0;
}

/* A match of three bytes, if it is near. */
static void try_three(struct httpdeflate *deflate, uint32_t at, struct match *best)
{
    uint16_t *place = &deflate->threes[hash_of_three(deflate->buffer + at)];
    uint32_t from = *place;

    *place = (uint16_t)at;
    if (best->length >= SHORTEST_MATCH || from >= at || at - from > THREES_FAR || from < oldest_place(deflate, at) ||
        memcmp(deflate->buffer + from, deflate->buffer + at, 3) != 0)
        return;
    *best = (struct match){ 3, at - from };
}

/* A longer one than best, if there is one among the next of the chain. A place is worth a comparison when the four
 * bytes that would make it longer are the same. */
static void try_chain(struct httpdeflate *deflate, uint32_t at, uint32_t from, unsigned chain, struct match *best)
{
    const uint8_t *buffer = deflate->buffer, *here = buffer + at;
    uint32_t oldest = oldest_place(deflate, at), left = deflate->end - at, place = at;
    unsigned most = left < HTTPBITS_LONGEST_MATCH ? left : HTTPBITS_LONGEST_MATCH;
    unsigned length = best->length > SHORTEST_MATCH ? best->length : SHORTEST_MATCH;

    if (length >= most)
        return;
    for (; chain > 0 && from < place && from >= oldest; chain--) {
        if (httpbits_load32(buffer + from + length - 3) == httpbits_load32(here + length - 3)) {
            unsigned common = common_length(buffer + from, here, most);
            if (common > length) {
                *best = (struct match){ common, at - from };
                length = common;
                if (common >= deflate->level->nice || common == most)
                    return;
            }
        }
        place = from;
        from = deflate->chains[from & (deflate->window - 1)];
    }
}

/* The best match here that is longer than best; places that were passed over go into the chains first. */
static void find_match(struct httpdeflate *deflate, uint32_t at, unsigned chain, struct match *best)
{
    if (deflate->end - at < 4)
        return;
    while (deflate->indexed < at)
        (void)index_place(deflate, deflate->indexed++);
    uint32_t from = index_place(deflate, at);
    deflate->indexed = at + 1;
    try_three(deflate, at, best);
    try_chain(deflate, at, from, chain, best);
}

/* Symbols. */

static void add_literal_symbol(struct httpdeflate *deflate)
{
    uint8_t byte = deflate->buffer[deflate->at++];

    deflate->symbols[deflate->symbol_count++] = byte;
    deflate->literal_counts[byte]++;
}

static void add_match(struct httpdeflate *deflate, struct match match)
{
    deflate->symbols[deflate->symbol_count++] = match.length << 16 | match.distance;
    deflate->literal_counts[HTTPBITS_END + 1 + httpdeflatelayer_length_slot(match.length)]++;
    deflate->distance_counts[httpdeflatelayer_distance_slot(match.distance)]++;
    deflate->at += match.length;
}

/* Is it, a byte later, worth the literal before it? A bit of distance is a quarter of a byte of length. */
static bool is_better(struct match later, struct match match)
{
    return later.length > match.length && 4 * (later.length - match.length) + httpdeflatelayer_log2(match.distance) >
                                              httpdeflatelayer_log2(later.distance) + 2;
}

/* A match, or one after some literals that is better. */
static void add_best(struct httpdeflate *deflate, struct match match, uint32_t lookahead)
{
    const struct httpdeflatelayer_level *level = deflate->level;

    while (match.length < level->lazy && deflate->at + 1 + lookahead <= deflate->end &&
           deflate->symbol_count + 2 <= deflate->symbol_most) {
        struct match later = { match.length, match.distance };
        find_match(deflate, deflate->at + 1, level->chain / 2, &later);
        if (!is_better(later, match))
            break;
        add_literal_symbol(deflate);
        match = later;
    }
    add_match(deflate, match);
}

/* Until so few bytes are left, or there is a block of symbols. */
static void collect_symbols(struct httpdeflate *deflate, uint32_t lookahead)
{
    while (deflate->at + lookahead <= deflate->end && deflate->at < deflate->end &&
           deflate->symbol_count + 2 <= deflate->symbol_most) {
        struct match match = { 0 };
        find_match(deflate, deflate->at, deflate->level->chain, &match);
        if (match.length >= SHORTEST_MATCH)
            add_best(deflate, match, lookahead);
        else
            add_literal_symbol(deflate);
    }
}

/* The buffer. */

static size_t fill_buffer(struct httpdeflate *deflate, const uint8_t *bytes, size_t length)
{
    size_t room = deflate->size - deflate->end, count = length < room ? length : room;

    if (count == 0)
        return 0;
    memcpy(deflate->buffer + deflate->end, bytes, count);
    deflate->end += (uint32_t)count;
    deflate->is_fresh = false;
    if (deflate->format == HTTPDEFLATE_GZIP)
        deflate->crc = httpcrc32(deflate->crc, bytes, count);
    deflate->total += (uint32_t)count;
    return count;
}

static void move_places(uint16_t *places, size_t count, uint32_t by)
{
    for (size_t i = 0; i < count; i++)
        places[i] = (uint16_t)(places[i] > by ? places[i] - by : 0);
}

/* By whole windows, so that a place in the chains stays where it is. */
static void slide_buffer(struct httpdeflate *deflate)
{
    uint32_t by =
        deflate->at >= 2 * deflate->window ? (deflate->at - deflate->window) & ~(deflate->window - 1) : deflate->window;

    memmove(deflate->buffer, deflate->buffer + by, deflate->end - by);
    move_places(deflate->heads, (size_t)1 << (32 - deflate->hash_shift), by);
    move_places(deflate->chains, deflate->window, by);
    move_places(deflate->threes, (size_t)1 << THREES_BITS, by);
    deflate->at -= by;
    deflate->end -= by;
    deflate->indexed = deflate->indexed > by ? deflate->indexed - by : 0;
    deflate->block -= (int32_t)by;
}

/* The whole. */

static void write_gzip_head(struct httpdeflate *deflate)
{
    static const uint8_t head[10] = { 0x1f, 0x8b, 8, [9] = 255 }; /* no flags, no time, system not known */

    if (deflate->format == HTTPDEFLATE_GZIP) {
        memcpy(deflate->out, head, sizeof head);
        deflate->out_length = sizeof head;
    }
    deflate->has_begun = true;
}

static void write_end(struct httpdeflate *deflate, enum httpdeflate_flush flush)
{
    if (flush == HTTPDEFLATE_FINISH) {
        httpdeflatelayer_align(deflate);
        if (deflate->format == HTTPDEFLATE_GZIP) {
            httpdeflatelayer_put(deflate, deflate->crc, 32);
            httpdeflatelayer_put(deflate, deflate->total, 32);
        }
        deflate->has_finished = true;
    } else if (flush == HTTPDEFLATE_MESSAGE || !deflate->is_fresh) {
        httpdeflatelayer_put(deflate, 0, 3);
        httpdeflatelayer_align(deflate);
        if (flush == HTTPDEFLATE_SYNC)
            httpdeflatelayer_put(deflate, UINT32_C(0xffff0000), 32);
    }
    deflate->is_fresh = true;
}

/* All symbols are collected. False: there was no room. */
static bool end_flush(struct httpdeflate *deflate, enum httpdeflate_flush flush)
{
    if (deflate->symbol_count > 0 || (flush == HTTPDEFLATE_FINISH && !deflate->is_last)) {
        if (!httpdeflatelayer_has_room(deflate))
            return false;
        httpdeflatelayer_begin_block(deflate, flush == HTTPDEFLATE_FINISH);
        if (!httpdeflatelayer_write_block(deflate))
            return false;
    }
    if (!httpdeflatelayer_has_room(deflate))
        return false;
    write_end(deflate, flush);
    return true;
}

/* True: it is to be called again. */
static bool run_deflate(struct httpdeflate *deflate, const uint8_t *bytes, size_t length, enum httpdeflate_flush flush,
                        size_t *taken)
{
    for (;;) {
        if (!httpdeflatelayer_write_block(deflate))
            return true;
        *taken += fill_buffer(deflate, bytes + *taken, length - *taken);
        bool ends = flush != HTTPDEFLATE_MORE && *taken == length;
        if (!ends && deflate->end < deflate->size)
            return false;
        collect_symbols(deflate, ends ? 0 : LOOKAHEAD);
        if (deflate->symbol_count + 2 > deflate->symbol_most) {
            if (!httpdeflatelayer_has_room(deflate))
                return true;
            httpdeflatelayer_begin_block(deflate, false);
        } else if (ends) {
            return !end_flush(deflate, flush);
        } else {
            slide_buffer(deflate);
        }
    }
}

size_t httpdeflate_encode(struct httpdeflate *deflate, const void *bytes, size_t length, enum httpdeflate_flush flush,
                          struct httpdeflate_piece *piece)
{
    size_t taken = 0;
    bool more = false;

    deflate->out_length = 0;
    if (!deflate->has_begun)
        write_gzip_head(deflate);
    if (!deflate->has_finished)
        more = run_deflate(deflate, length > 0 ? bytes : "", length, flush, &taken);
    *piece = (struct httpdeflate_piece){ (const char *)deflate->out, deflate->out_length, more };
    return taken;
}

/* Of what was encoded before, places of three bytes could still be met: those are not all put anew, as the others are,
 * before they are looked for. */
void httpdeflate_reset(struct httpdeflate *deflate)
{
    memset(deflate->threes, 0, sizeof *deflate->threes << THREES_BITS);
    deflate->at = deflate->end = deflate->indexed = deflate->crc = deflate->total = 0;
    deflate->block = 0;
    deflate->symbol_count = deflate->bit_count = 0;
    deflate->bits = 0;
    memset(deflate->literal_counts, 0, sizeof deflate->literal_counts);
    memset(deflate->distance_counts, 0, sizeof deflate->distance_counts);
    deflate->task = HTTPDEFLATELAYER_COLLECT;
    deflate->has_begun = deflate->is_last = deflate->has_finished = false;
    deflate->is_fresh = true;
}

/* One piece of memory: the struct, symbols, heads, chains, buffer. */
struct httpdeflate *httpdeflate_new(enum httpdeflate_format format, int level, int window_bits)
{
    unsigned hash_bits = window_bits < 15 ? (unsigned)window_bits : 15;
    uint32_t window = UINT32_C(1) << window_bits;
    uint32_t size = 2 * window + SPACE < 65536 ? 2 * window + SPACE : 65536;
    uint32_t most = window / 2 < 1024 ? 1024 : window / 2 < MOST_SYMBOLS ? window / 2 : MOST_SYMBOLS;
    size_t heads = (size_t)1 << hash_bits, threes = (size_t)1 << THREES_BITS;
    struct httpdeflate *deflate =
        ioalloc_zeroed(sizeof *deflate + most * sizeof(uint32_t) + (heads + threes + window) * sizeof(uint16_t) + size);

    if (deflate == NULL)
        return NULL;
    deflate->symbols = (uint32_t *)(deflate + 1);
    deflate->heads = (uint16_t *)(deflate->symbols + most);
    deflate->threes = deflate->heads + heads;
    deflate->chains = deflate->threes + threes;
    deflate->buffer = (uint8_t *)(deflate->chains + window);
    deflate->symbol_most = most;
    deflate->hash_shift = 32 - hash_bits;
    deflate->window = window;
    deflate->size = size;
    deflate->format = (uint8_t)format;
    deflate->level = &levels[level > 0 && level < 10 ? level : HTTPDEFLATE_LEVEL];
    httpdeflate_reset(deflate);
    return deflate;
}

void httpdeflate_free(struct httpdeflate *deflate)
{
    ioalloc_free(deflate);
}
