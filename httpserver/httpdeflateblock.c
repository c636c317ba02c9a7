/* Blocks of the encoder: which kind, and their bits. RFC 1951 3.2.3 to 3.2.7. */
#include <string.h>

#include "httpserver/httpdeflatelayer.h"

enum { KIND_STORED, KIND_FIXED, KIND_DYNAMIC };

/* The codes of a block in the code for them. A run is a symbol of 16 to 18, with its extra bits above. */
struct block_head {
    struct httphuffman_code literal_codes[HTTPBITS_LITERALS], distance_codes[HTTPBITS_DISTANCES];
    unsigned literals, distances, lengths; /* that are written */
    unsigned count;
    uint16_t runs[HTTPBITS_LITERALS + HTTPBITS_DISTANCES];
    uint16_t counts[HTTPBITS_LENGTHS];
    struct httphuffman_code codes[HTTPBITS_LENGTHS];
};

static const uint8_t run_bits[HTTPBITS_LENGTHS] = { [16] = 2, [17] = 3, [18] = 7 };

static void add_run(struct block_head *head, unsigned symbol, unsigned extra)
{
    head->runs[head->count++] = (uint16_t)(symbol | extra << 8);
    head->counts[symbol]++;
}

/* So many equal lengths. */
static void add_lengths(struct block_head *head, unsigned length, unsigned count)
{
    if (length > 0) {
        add_run(head, length, 0);
        count--;
    }
    while (count >= 3) {
        unsigned most = length > 0 ? 6 : count >= 11 ? 138 : 10;
        unsigned run = count < most ? count : most;
        if (length > 0)
            add_run(head, 16, run - 3);
        else
            add_run(head, run >= 11 ? 18 : 17, run - (run >= 11 ? 11 : 3));
        count -= run;
    }
    for (; count > 0; count--)
        add_run(head, length, 0);
}

static unsigned count_used(const struct httphuffman_code *codes, unsigned count, unsigned least)
{
    while (count > least && codes[count - 1].length == 0)
        count--;
    return count;
}

/* Literals and distances are one list. */
static void make_head(const struct httpdeflate *deflate, struct block_head *head)
{
    uint8_t lengths[HTTPBITS_LITERALS + HTTPBITS_DISTANCES];
    unsigned count = 0;

    httphuffman_make(head->literal_codes, deflate->literal_counts, 286, HTTPBITS_LONGEST_CODE);
    httphuffman_make(head->distance_codes, deflate->distance_counts, 30, HTTPBITS_LONGEST_CODE);
    head->literals = count_used(head->literal_codes, 286, 257);
    head->distances = count_used(head->distance_codes, 30, 1);
    for (unsigned i = 0; i < head->literals; i++)
        lengths[count++] = head->literal_codes[i].length;
    for (unsigned i = 0; i < head->distances; i++)
        lengths[count++] = head->distance_codes[i].length;
    for (unsigned i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && lengths[i + run] == lengths[i];)
            run++;
        add_lengths(head, lengths[i], run);
    }
    httphuffman_make(head->codes, head->counts, HTTPBITS_LENGTHS, 7);
    head->lengths = HTTPBITS_LENGTHS;
    while (head->codes[httpbits_order[head->lengths - 1]].length == 0) /* that of the end's code is among the last */
        head->lengths--;
}

static uint64_t bits_of_head(const struct block_head *head)
{
    uint64_t bits = 5 + 5 + 4 + 3 * head->lengths;

    for (unsigned i = 0; i < HTTPBITS_LENGTHS; i++)
        bits += (uint64_t)head->counts[i] * (head->codes[i].length + (unsigned)run_bits[i]);
    return bits;
}

/* Without the extra bits, which are the same in any code. */
static uint64_t bits_of_symbols(const struct httpdeflate *deflate, const struct block_head *head)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 286; i++)
        bits += (uint64_t)deflate->literal_counts[i] * head->literal_codes[i].length;
    for (unsigned i = 0; i < 30; i++)
        bits += (uint64_t)deflate->distance_counts[i] * head->distance_codes[i].length;
    return bits;
}

/* RFC 1951 3.2.6. */
static unsigned fixed_length(unsigned symbol)
{
    return symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
}

static uint64_t bits_of_symbols_in_fixed(const struct httpdeflate *deflate)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 286; i++)
        bits += (uint64_t)deflate->literal_counts[i] * fixed_length(i);
    for (unsigned i = 0; i < 30; i++)
        bits += (uint64_t)deflate->distance_counts[i] * 5;
    return bits;
}

static uint64_t bits_of_extras(const struct httpdeflate *deflate)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 29; i++)
        bits += (uint64_t)deflate->literal_counts[HTTPBITS_END + 1 + i] * httpbits_length_extra(i);
    for (unsigned i = 0; i < 30; i++)
        bits += (uint64_t)deflate->distance_counts[i] * httpbits_distance_extra(i);
    return bits;
}

/* Short messages have one block after the other of this kind. */
static void use_fixed_codes_again(struct httpdeflate *deflate)
{
    if (deflate->has_fixed)
        return;
    for (unsigned i = 0; i < HTTPBITS_LITERALS; i++)
        deflate->literal_codes[i].length = (uint8_t)fixed_length(i);
    for (unsigned i = 0; i < HTTPBITS_DISTANCES; i++)
        deflate->distance_codes[i].length = 5;
    httphuffman_number(deflate->literal_codes, HTTPBITS_LITERALS);
    httphuffman_number(deflate->distance_codes, HTTPBITS_DISTANCES);
    deflate->has_fixed = true;
}

static void use_own_codes(struct httpdeflate *deflate, const struct block_head *head)
{
    memcpy(deflate->literal_codes, head->literal_codes, sizeof head->literal_codes);
    memcpy(deflate->distance_codes, head->distance_codes, sizeof head->distance_codes);
    deflate->has_fixed = false;
}

static void write_head(struct httpdeflate *deflate, const struct block_head *head)
{
    httpdeflatelayer_put(deflate, head->literals - 257, 5);
    httpdeflatelayer_put(deflate, head->distances - 1, 5);
    httpdeflatelayer_put(deflate, head->lengths - 4, 4);
    for (unsigned i = 0; i < head->lengths; i++)
        httpdeflatelayer_put(deflate, head->codes[httpbits_order[i]].length, 3);
    for (unsigned i = 0; i < head->count; i++) {
        unsigned symbol = head->runs[i] & 0xff;
        struct httphuffman_code code = head->codes[symbol];
        httpdeflatelayer_put(deflate, code.bits | (uint64_t)(head->runs[i] >> 8) << code.length,
                             code.length + (unsigned)run_bits[symbol]);
    }
}

void httpdeflatelayer_align(struct httpdeflate *deflate)
{
    httpdeflatelayer_put(deflate, 0, (8 - deflate->bit_count) & 7);
}

/* Its bytes have to be there all, and be few enough for one block. */
static bool can_be_stored(const struct httpdeflate *deflate)
{
    return deflate->block >= 0 && deflate->at - (uint32_t)deflate->block <= 65535;
}

static void begin_stored(struct httpdeflate *deflate)
{
    uint32_t length = deflate->at - (uint32_t)deflate->block;

    httpdeflatelayer_align(deflate);
    httpdeflatelayer_put(deflate, length | (uint64_t)(length ^ 0xffff) << 16, 32);
    deflate->written = (uint32_t)deflate->block;
    deflate->task = HTTPDEFLATELAYER_STORED;
}

void httpdeflatelayer_begin_block(struct httpdeflate *deflate, bool is_last)
{
    struct block_head head = { .count = 0 };

    deflate->is_last = is_last;
    deflate->written = 0;
    deflate->literal_counts[HTTPBITS_END] = 1;
    make_head(deflate, &head);
    uint64_t dynamic = bits_of_head(&head) + bits_of_symbols(deflate, &head);
    uint64_t fixed = bits_of_symbols_in_fixed(deflate);
    uint64_t stored = 7 + 32 + 8 * (uint64_t)(deflate->at - (uint32_t)deflate->block);
    uint64_t best = (dynamic < fixed ? dynamic : fixed) + bits_of_extras(deflate);
    unsigned kind = can_be_stored(deflate) && stored < best ? KIND_STORED : dynamic < fixed ? KIND_DYNAMIC : KIND_FIXED;

    httpdeflatelayer_put(deflate, is_last | kind << 1, 3);
    deflate->task = HTTPDEFLATELAYER_SYMBOLS;
    if (kind == KIND_STORED) {
        begin_stored(deflate);
    } else if (kind == KIND_DYNAMIC) {
        use_own_codes(deflate, &head);
        write_head(deflate, &head);
    } else {
        use_fixed_codes_again(deflate);
    }
}

/* A length and its distance are 48 bits at most. */
static void write_match(struct httpdeflate *deflate, unsigned length, unsigned distance)
{
    unsigned slot = httpdeflatelayer_length_slot(length), extra = httpbits_length_extra(slot);
    struct httphuffman_code code = deflate->literal_codes[HTTPBITS_END + 1 + slot];
    uint64_t bits = code.bits | (uint64_t)((length - 3) & ((1u << extra) - 1)) << code.length;
    unsigned count = code.length + extra;

    slot = httpdeflatelayer_distance_slot(distance);
    extra = httpbits_distance_extra(slot);
    code = deflate->distance_codes[slot];
    bits |= (code.bits | (uint64_t)((distance - 1) & ((1u << extra) - 1)) << code.length) << count;
    httpdeflatelayer_put(deflate, bits, count + code.length + extra);
}

static void finish_block(struct httpdeflate *deflate)
{
    memset(deflate->literal_counts, 0, sizeof deflate->literal_counts);
    memset(deflate->distance_counts, 0, sizeof deflate->distance_counts);
    deflate->symbol_count = 0;
    deflate->block = (int32_t)deflate->at;
    deflate->task = HTTPDEFLATELAYER_COLLECT;
}

static bool write_symbols(struct httpdeflate *deflate)
{
    while (deflate->written < deflate->symbol_count) {
        uint32_t symbol = deflate->symbols[deflate->written];
        if (deflate->out_length + 8 > HTTPDEFLATELAYER_OUT)
            return false;
        if (symbol < HTTPBITS_END)
            httpdeflatelayer_put(deflate, deflate->literal_codes[symbol].bits, deflate->literal_codes[symbol].length);
        else
            write_match(deflate, symbol >> 16, symbol & 0xffff);
        deflate->written++;
    }
    if (deflate->out_length + 8 > HTTPDEFLATELAYER_OUT)
        return false;
    httpdeflatelayer_put(deflate, deflate->literal_codes[HTTPBITS_END].bits,
                         deflate->literal_codes[HTTPBITS_END].length);
    finish_block(deflate);
    return true;
}

static bool write_stored(struct httpdeflate *deflate)
{
    uint32_t left = deflate->at - deflate->written;
    size_t room = HTTPDEFLATELAYER_OUT - deflate->out_length, count = left < room ? left : room;

    memcpy(deflate->out + deflate->out_length, deflate->buffer + deflate->written, count);
    deflate->out_length += count;
    deflate->written += (uint32_t)count;
    if (deflate->written < deflate->at)
        return false;
    finish_block(deflate);
    return true;
}

bool httpdeflatelayer_write_block(struct httpdeflate *deflate)
{
    if (deflate->task == HTTPDEFLATELAYER_STORED)
        return write_stored(deflate);
    return deflate->task == HTTPDEFLATELAYER_COLLECT || write_symbols(deflate);
}
