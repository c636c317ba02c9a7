#include "httpserver/httpinflate.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpbits.h"
#include "httpserver/httpcrc32.h"
#include "httpserver/httpinflatetable.h"
#include "ioloop/ioalloc.h"

/* A decoder takes atoms: what is whole or nothing, such as a literal, a length with its distance, or a field of a head.
 * None is longer than 48 bits, and none is begun before it is there, so that a split of the input is nothing to it. */

enum {
    ROOM = 2048, /* of the ring, more than the window */
    BEYOND = 32, /* behind the ring: copies of eight bytes may go over its end */
    MARGIN = 16, /* bytes that a turn of the fast loop may take */
};

enum inflate_state {
    IN_GZIP_HEAD,
    IN_GZIP_EXTRA_LENGTH,
    IN_GZIP_EXTRA,
    IN_GZIP_NAME,
    IN_GZIP_COMMENT,
    IN_GZIP_CHECK,
    IN_BLOCK_HEAD,
    IN_STORED_LENGTH,
    IN_STORED,
    IN_COUNTS,
    IN_LENGTHS_OF_LENGTHS,
    IN_LENGTHS,
    IN_SYMBOLS,
    IN_MATCH,
    IN_CRC,
    IN_SIZE,
    IN_NOTHING, /* the end has come */
    IN_ERROR,
};

enum inflate_step { STEP_ON, STEP_WANTS_INPUT, STEP_STOPS };

struct httpinflate {
    const uint8_t *in, *end; /* of the present call */
    uint64_t bits;           /* that have been taken from there and not decoded; above count 0 */
    unsigned count;
    uint8_t format, state;
    bool is_last;       /* block */
    bool has_lapped;    /* the ring is full of output */
    bool has_fixed;     /* the tables are those of RFC 1951 3.2.6 */
    uint8_t gzip_flags; /* of fields that are still to come */
    uint16_t length;    /* bytes left of a match, a stored block or a field */
    uint16_t distance;
    uint16_t literals, distances, length_codes; /* their numbers in the head of a block */
    uint16_t read;                              /* of these lengths, or bytes of a field */
    uint32_t at;                                /* in the ring */
    uint32_t summed;                            /* where crc ends */
    uint32_t size, window;                      /* of the ring; how far back a distance may go */
    uint32_t crc, total;                        /* of the output; before that, crc of the gzip head */
    const char *problem;
    uint32_t literal_table[HTTPINFLATETABLE_LITERALS];
    uint32_t distance_table[HTTPINFLATETABLE_DISTANCES]; /* before that of the codes of lengths */
    uint8_t lengths[HTTPBITS_LITERALS + HTTPBITS_DISTANCES];
    uint8_t ring[];
};

static enum inflate_step fail(struct httpinflate *inflate, const char *problem)
{
    inflate->problem = problem;
    inflate->state = IN_ERROR;
    return STEP_STOPS;
}

/* Bits. */

static bool has_bits(struct httpinflate *inflate, unsigned count)
{
    while (inflate->count < 56 && inflate->in < inflate->end) {
        inflate->bits |= (uint64_t)*inflate->in++ << inflate->count;
        inflate->count += 8;
    }
    return inflate->count >= count;
}

static void drop_bits(struct httpinflate *inflate, unsigned count)
{
    inflate->bits >>= count;
    inflate->count -= count;
}

static uint32_t take_bits(struct httpinflate *inflate, unsigned count)
{
    uint32_t bits = httpinflatetable_low_bits(inflate->bits, count);

    drop_bits(inflate, count);
    return bits;
}

/* RFC 1951 3.2.6. */
static void use_fixed_codes(struct httpinflate *inflate)
{
    uint8_t *lengths = inflate->lengths;

    if (inflate->has_fixed)
        return;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(lengths + HTTPBITS_LITERALS, 5, HTTPBITS_DISTANCES);
    (void)httpinflatetable_make(HTTPINFLATETABLE_OF_LITERALS, inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT,
                                lengths, HTTPBITS_LITERALS);
    (void)httpinflatetable_make(HTTPINFLATETABLE_OF_DISTANCES, inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT,
                                lengths + HTTPBITS_LITERALS, HTTPBITS_DISTANCES);
    inflate->has_fixed = true;
}

/* The head of a gzip file, RFC 1952 2.3. */

enum { GZIP_HAS_CHECK = 2, GZIP_HAS_EXTRA = 4, GZIP_HAS_NAME = 8, GZIP_HAS_COMMENT = 16, GZIP_RESERVED = 0xe0 };

static uint8_t take_head_byte(struct httpinflate *inflate)
{
    uint8_t byte = (uint8_t)take_bits(inflate, 8);

    inflate->crc = httpcrc32(inflate->crc, &byte, 1);
    return byte;
}

/* The next field of those that there are. */
static enum inflate_step begin_gzip_field(struct httpinflate *inflate)
{
    static const struct {
        uint8_t flag, state;
    } fields[] = { { GZIP_HAS_EXTRA, IN_GZIP_EXTRA_LENGTH },
                   { GZIP_HAS_NAME, IN_GZIP_NAME },
                   { GZIP_HAS_COMMENT, IN_GZIP_COMMENT },
                   { GZIP_HAS_CHECK, IN_GZIP_CHECK } };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (inflate->gzip_flags & fields[i].flag) {
            inflate->gzip_flags &= (uint8_t)~fields[i].flag;
            inflate->state = fields[i].state;
            return STEP_ON;
        }
    inflate->crc = 0;
    inflate->state = IN_BLOCK_HEAD;
    return STEP_ON;
}

/* Ten bytes, of which time, flags of the compressor and system are passed over. */
static enum inflate_step read_gzip_head(struct httpinflate *inflate)
{
    static const uint8_t magic[] = { 0x1f, 0x8b, 8 };

    if (!has_bits(inflate, 8))
        return STEP_WANTS_INPUT;
    uint8_t byte = take_head_byte(inflate);
    if (inflate->read < sizeof magic && byte != magic[inflate->read])
        return fail(inflate, "not gzip");
    if (inflate->read == 3)
        inflate->gzip_flags = byte;
    if (inflate->read == 3 && (byte & GZIP_RESERVED))
        return fail(inflate, "reserved flags of gzip");
    return ++inflate->read == 10 ? begin_gzip_field(inflate) : STEP_ON;
}

static enum inflate_step read_gzip_extra_length(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 16))
        return STEP_WANTS_INPUT;
    inflate->length = take_head_byte(inflate);
    inflate->length |= (uint16_t)(take_head_byte(inflate) << 8);
    inflate->state = IN_GZIP_EXTRA;
    return STEP_ON;
}

static enum inflate_step read_gzip_extra(struct httpinflate *inflate)
{
    if (inflate->length == 0)
        return begin_gzip_field(inflate);
    if (!has_bits(inflate, 8))
        return STEP_WANTS_INPUT;
    (void)take_head_byte(inflate);
    inflate->length--;
    return STEP_ON;
}

/* The name of the file, or a comment, up to its NUL. */
static enum inflate_step read_gzip_text(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 8))
        return STEP_WANTS_INPUT;
    return take_head_byte(inflate) == 0 ? begin_gzip_field(inflate) : STEP_ON;
}

static enum inflate_step read_gzip_check(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 16))
        return STEP_WANTS_INPUT;
    if (take_bits(inflate, 16) != (inflate->crc & 0xffff))
        return fail(inflate, "checksum of a gzip head");
    return begin_gzip_field(inflate);
}

/* Its end, RFC 1952 2.3.1. */

static void sum_up(struct httpinflate *inflate)
{
    uint32_t length = inflate->at - inflate->summed;

    inflate->crc = httpcrc32(inflate->crc, inflate->ring + inflate->summed, length);
    inflate->total += length;
    inflate->summed = inflate->at;
}

static enum inflate_step read_crc(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 32))
        return STEP_WANTS_INPUT;
    sum_up(inflate);
    if (take_bits(inflate, 32) != inflate->crc)
        return fail(inflate, "checksum");
    inflate->state = IN_SIZE;
    return STEP_ON;
}

static enum inflate_step read_size(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 32))
        return STEP_WANTS_INPUT;
    if (take_bits(inflate, 32) != inflate->total)
        return fail(inflate, "size");
    inflate->state = IN_NOTHING;
    return STEP_STOPS;
}

/* Blocks, RFC 1951 3.2.3. */

static enum inflate_step read_block_head(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 3))
        return STEP_WANTS_INPUT;
    inflate->is_last = take_bits(inflate, 1);
    switch (take_bits(inflate, 2)) {
    case 0:
        drop_bits(inflate, inflate->count % 8);
        inflate->state = IN_STORED_LENGTH;
        return STEP_ON;
    case 1:
        use_fixed_codes(inflate);
        inflate->state = IN_SYMBOLS;
        return STEP_ON;
    case 2:
        inflate->state = IN_COUNTS;
        return STEP_ON;
    default:
        return fail(inflate, "type of a block");
    }
}

/* Between messages the last block is none: another begins, at a whole byte (RFC 7692 7.2.3.4). */
static enum inflate_step end_block(struct httpinflate *inflate)
{
    inflate->state = IN_BLOCK_HEAD;
    if (!inflate->is_last)
        return STEP_ON;
    drop_bits(inflate, inflate->count % 8);
    if (inflate->format == HTTPINFLATE_MESSAGES)
        return STEP_ON;
    inflate->state = inflate->format == HTTPINFLATE_GZIP ? IN_CRC : IN_NOTHING;
    return inflate->format == HTTPINFLATE_GZIP ? STEP_ON : STEP_STOPS;
}

static enum inflate_step read_stored_length(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 32))
        return STEP_WANTS_INPUT;
    uint32_t length = take_bits(inflate, 16);
    if (take_bits(inflate, 16) != (length ^ 0xffff))
        return fail(inflate, "length of a stored block");
    inflate->length = (uint16_t)length;
    inflate->state = IN_STORED;
    return STEP_ON;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* What is among the bits goes first. */
static enum inflate_step copy_stored(struct httpinflate *inflate)
{
    while (inflate->length > 0 && inflate->count > 0 && inflate->at < inflate->size) {
        inflate->ring[inflate->at++] = (uint8_t)take_bits(inflate, 8);
        inflate->length--;
    }
    if (inflate->count == 0) {
        size_t count = smallest(inflate->length, (size_t)(inflate->end - inflate->in), inflate->size - inflate->at);
        if (count > 0)
            memcpy(inflate->ring + inflate->at, inflate->in, count);
        inflate->at += (uint32_t)count;
        inflate->in += count;
        inflate->length = (uint16_t)(inflate->length - count);
    }
    if (inflate->length == 0)
        return end_block(inflate);
    return inflate->at == inflate->size ? STEP_STOPS : STEP_WANTS_INPUT;
}

/* The head of a block with codes of its own, RFC 1951 3.2.7. */

static enum inflate_step read_counts(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 14))
        return STEP_WANTS_INPUT;
    inflate->literals = (uint16_t)(take_bits(inflate, 5) + 257);
    inflate->distances = (uint16_t)(take_bits(inflate, 5) + 1);
    inflate->length_codes = (uint16_t)(take_bits(inflate, 4) + 4);
    if (inflate->literals > 286 || inflate->distances > 30)
        return fail(inflate, "too many symbols");
    memset(inflate->lengths, 0, HTTPBITS_LENGTHS);
    inflate->has_fixed = false;
    inflate->read = 0;
    inflate->state = IN_LENGTHS_OF_LENGTHS;
    return STEP_ON;
}

static enum inflate_step read_length_of_length(struct httpinflate *inflate)
{
    if (!has_bits(inflate, 3))
        return STEP_WANTS_INPUT;
    inflate->lengths[httpbits_order[inflate->read++]] = (uint8_t)take_bits(inflate, 3);
    if (inflate->read < inflate->length_codes)
        return STEP_ON;
    if (!httpinflatetable_make(HTTPINFLATETABLE_OF_LENGTHS, inflate->distance_table, HTTPINFLATETABLE_LENGTHS_ROOT,
                               inflate->lengths, HTTPBITS_LENGTHS))
        return fail(inflate, "codes of lengths");
    inflate->read = 0;
    inflate->state = IN_LENGTHS;
    return STEP_ON;
}

static enum inflate_step begin_symbols(struct httpinflate *inflate)
{
    if (inflate->lengths[HTTPBITS_END] == 0)
        return fail(inflate, "a block without an end");
    if (!httpinflatetable_make(HTTPINFLATETABLE_OF_LITERALS, inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT,
                               inflate->lengths, inflate->literals))
        return fail(inflate, "codes of literals");
    if (!httpinflatetable_make(HTTPINFLATETABLE_OF_DISTANCES, inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT,
                               inflate->lengths + inflate->literals, inflate->distances))
        return fail(inflate, "codes of distances");
    inflate->state = IN_SYMBOLS;
    return STEP_ON;
}

/* Lengths, literals first; 16 repeats the one before 3 to 6 times, 17 a zero 3 to 10 times, 18 a zero 11 to 138 times.
 */
static enum inflate_step read_code_length(struct httpinflate *inflate)
{
    static const uint8_t extra_bits[] = { 2, 3, 7 }, least[] = { 3, 3, 11 };

    if (inflate->read == inflate->literals + inflate->distances)
        return begin_symbols(inflate);
    bool is_there = has_bits(inflate, 1);
    uint32_t entry = httpinflatetable_find(inflate->distance_table, HTTPINFLATETABLE_LENGTHS_ROOT, inflate->bits);
    unsigned symbol = entry >> 16, extra = symbol >= 16 ? extra_bits[symbol - 16] : 0;
    if (!is_there || inflate->count < httpinflatetable_bits(entry) + extra)
        return STEP_WANTS_INPUT;
    drop_bits(inflate, httpinflatetable_bits(entry));
    if (symbol < 16) {
        inflate->lengths[inflate->read++] = (uint8_t)symbol;
        return STEP_ON;
    }
    unsigned count = least[symbol - 16] + take_bits(inflate, extra);
    if (symbol == 16 && inflate->read == 0)
        return fail(inflate, "a repeated length without one before it");
    if (count > (unsigned)(inflate->literals + inflate->distances - inflate->read))
        return fail(inflate, "too many lengths");
    memset(inflate->lengths + inflate->read, symbol == 16 ? inflate->lengths[inflate->read - 1] : 0, count);
    inflate->read = (uint16_t)(inflate->read + count);
    return STEP_ON;
}

/* Symbols. */

/* From its beginning, or from that of the output, on. */
static bool is_in_window(const struct httpinflate *inflate, unsigned distance, uint32_t at)
{
    return distance <= inflate->window && (distance <= at || inflate->has_lapped);
}

static enum inflate_step copy_match(struct httpinflate *inflate)
{
    uint32_t size = inflate->size, at = inflate->at, distance = inflate->distance;
    uint32_t from = distance <= at ? at - distance : at + size - distance;

    for (; inflate->length > 0 && at < size; inflate->length--) {
        inflate->ring[at++] = inflate->ring[from++];
        from = from == size ? 0 : from;
    }
    inflate->at = at;
    if (inflate->length > 0)
        return STEP_STOPS;
    inflate->state = IN_SYMBOLS;
    return STEP_ON;
}

/* The length is among the bits. */
static enum inflate_step read_match(struct httpinflate *inflate, uint32_t entry)
{
    uint64_t bits = inflate->bits >> httpinflatetable_bits(entry);
    uint32_t far = httpinflatetable_find(inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT, bits);

    if (inflate->count < httpinflatetable_bits(entry) + httpinflatetable_bits(far))
        return STEP_WANTS_INPUT;
    if (far & HTTPINFLATETABLE_SPECIAL)
        return fail(inflate, "code of a distance");
    unsigned distance = httpinflatetable_value(far, bits);
    if (!is_in_window(inflate, distance, inflate->at))
        return fail(inflate, "distance beyond the window");
    inflate->length = (uint16_t)httpinflatetable_value(entry, inflate->bits);
    inflate->distance = (uint16_t)distance;
    drop_bits(inflate, httpinflatetable_bits(entry) + httpinflatetable_bits(far));
    inflate->state = IN_MATCH;
    return STEP_ON;
}

static enum inflate_step read_symbol(struct httpinflate *inflate)
{
    if (inflate->at == inflate->size)
        return STEP_STOPS;
    bool is_there = has_bits(inflate, 1);
    uint32_t entry = httpinflatetable_find(inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT, inflate->bits);
    if (!is_there || inflate->count < httpinflatetable_bits(entry))
        return STEP_WANTS_INPUT;
    if ((entry & (HTTPINFLATETABLE_LITERAL | HTTPINFLATETABLE_SPECIAL)) == 0)
        return read_match(inflate, entry);
    if ((entry & HTTPINFLATETABLE_SPECIAL) && !(entry & HTTPINFLATETABLE_END))
        return fail(inflate, "code of a literal");
    drop_bits(inflate, httpinflatetable_bits(entry));
    if (entry & HTTPINFLATETABLE_END)
        return end_block(inflate);
    inflate->ring[inflate->at++] = (uint8_t)(entry >> 16);
    return STEP_ON;
}

/* The fast loop. It does what read_symbol and copy_match do, as long as input and ring have room for a turn, and leaves
 * to them, undone, whatever is out of the ordinary. */

struct fast_bits {
    const uint8_t *in;
    uint64_t bits; /* above count may be more, which is that of the bytes from in on */
    unsigned count;
};

/* To 56 bits or more, without asking how many there are: bits that are there already come to the same place. */
static inline void fill_fast(struct fast_bits *fast)
{
    fast->bits |= httpbits_load64(fast->in) << fast->count;
    fast->in += (63 - fast->count) >> 3;
    fast->count |= 56;
}

static inline void drop_fast(struct fast_bits *fast, unsigned count)
{
    fast->bits >>= count;
    fast->count -= count;
}

/* May write up to 15 bytes more. */
static inline void copy_fast(uint8_t *to, const uint8_t *from, unsigned length, bool overlaps)
{
    uint8_t *end = to + length;

    if (overlaps) {
        while (to < end)
            *to++ = *from++;
        return;
    }
    do {
        memcpy(to, from, 8);
        memcpy(to + 8, from + 8, 8);
        to += 16;
        from += 16;
    } while (to < end);
}

/* False: to be left to the others. */
static inline bool match_fast(struct httpinflate *inflate, struct fast_bits *fast, uint32_t *at, uint32_t entry)
{
    uint64_t bits = fast->bits >> httpinflatetable_bits(entry);
    uint32_t far = httpinflatetable_find(inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT, bits);
    unsigned length = httpinflatetable_value(entry, fast->bits), distance = httpinflatetable_value(far, bits);

    if ((far & HTTPINFLATETABLE_SPECIAL) || !is_in_window(inflate, distance, *at))
        return false;
    uint32_t from = *at - distance;
    if (distance > *at) {
        from += inflate->size;
        if (from + length > inflate->size)
            return false;
    }
    if (distance == 1)
        memset(inflate->ring + *at, inflate->ring[from], length);
    else
        copy_fast(inflate->ring + *at, inflate->ring + from, length, distance < 8);
    *at += length;
    drop_fast(fast, httpinflatetable_bits(entry) + httpinflatetable_bits(far));
    return true;
}

static void run_fast(struct httpinflate *inflate)
{
    struct fast_bits fast = { inflate->in, inflate->bits, inflate->count };
    const uint8_t *last = inflate->end - MARGIN;
    uint32_t at = inflate->at, last_at = inflate->size - HTTPBITS_LONGEST_MATCH - MARGIN;

    while (fast.in <= last && at <= last_at) {
        fill_fast(&fast);
        uint32_t entry = httpinflatetable_find(inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT, fast.bits);
        for (int literals = 0; (entry & HTTPINFLATETABLE_LITERAL) && literals < 2; literals++) {
            inflate->ring[at++] = (uint8_t)(entry >> 16);
            drop_fast(&fast, httpinflatetable_bits(entry));
            entry = httpinflatetable_find(inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT, fast.bits);
        }
        if (entry & HTTPINFLATETABLE_LITERAL) {
            inflate->ring[at++] = (uint8_t)(entry >> 16);
            drop_fast(&fast, httpinflatetable_bits(entry));
            continue;
        }
        if (entry & HTTPINFLATETABLE_SPECIAL)
            break;
        fill_fast(&fast);
        if (!match_fast(inflate, &fast, &at, entry))
            break;
    }
    inflate->in = fast.in;
    inflate->bits = fast.bits & ((UINT64_C(1) << fast.count) - 1);
    inflate->count = fast.count;
    inflate->at = at;
}

static bool has_room_for_fast(const struct httpinflate *inflate)
{
    return inflate->end - inflate->in >= MARGIN && inflate->size - inflate->at >= HTTPBITS_LONGEST_MATCH + MARGIN;
}

/* The whole. */

static enum inflate_step run_step(struct httpinflate *inflate)
{
    switch ((enum inflate_state)inflate->state) {
    case IN_GZIP_HEAD:
        return read_gzip_head(inflate);
    case IN_GZIP_EXTRA_LENGTH:
        return read_gzip_extra_length(inflate);
    case IN_GZIP_EXTRA:
        return read_gzip_extra(inflate);
    case IN_GZIP_NAME:
    case IN_GZIP_COMMENT:
        return read_gzip_text(inflate);
    case IN_GZIP_CHECK:
        return read_gzip_check(inflate);
    case IN_BLOCK_HEAD:
        return read_block_head(inflate);
    case IN_STORED_LENGTH:
        return read_stored_length(inflate);
    case IN_STORED:
        return copy_stored(inflate);
    case IN_COUNTS:
        return read_counts(inflate);
    case IN_LENGTHS_OF_LENGTHS:
        return read_length_of_length(inflate);
    case IN_LENGTHS:
        return read_code_length(inflate);
    case IN_SYMBOLS:
        if (has_room_for_fast(inflate))
            run_fast(inflate);
        return read_symbol(inflate);
    case IN_MATCH:
        return copy_match(inflate);
    case IN_CRC:
        return read_crc(inflate);
    case IN_SIZE:
        return read_size(inflate);
    case IN_NOTHING:
    case IN_ERROR:
        break;
    }
    return STEP_STOPS;
}

/* Whole bytes that were taken, this time, ahead of what is decoded. Where input is wanted there are none to give: they
 * are the beginning of something. */
static void give_back(struct httpinflate *inflate, const uint8_t *begin)
{
    while (inflate->count >= 8 && inflate->in > begin) {
        inflate->in--;
        inflate->count -= 8;
    }
    inflate->bits &= (UINT64_C(1) << inflate->count) - 1;
}

/* To the next member of a gzip file, which is as a file of its own: nothing is copied from before it. */
static void go_behind_end(struct httpinflate *inflate)
{
    if (inflate->format == HTTPINFLATE_GZIP)
        httpinflate_reset(inflate);
    else
        (void)fail(inflate, "bytes behind the end");
}

ssize_t httpinflate_decode(struct httpinflate *inflate, const void *bytes, size_t length,
                           struct httpinflate_piece *piece)
{
    enum inflate_step step = STEP_ON;

    *piece = (struct httpinflate_piece){ 0 };
    if (inflate->state == IN_NOTHING && length > 0)
        go_behind_end(inflate);
    if (inflate->state == IN_ERROR)
        return -EBADMSG;
    if (inflate->at == inflate->size) {
        inflate->at = inflate->summed = 0;
        inflate->has_lapped = true;
    }
    uint32_t begin = inflate->at;
    if (bytes == NULL)
        bytes = "";
    inflate->in = bytes;
    inflate->end = inflate->in + length;
    while (step == STEP_ON)
        step = run_step(inflate);
    if (step == STEP_STOPS)
        give_back(inflate, bytes);
    *piece = (struct httpinflate_piece){ (const char *)inflate->ring + begin, inflate->at - begin };
    if (inflate->format == HTTPINFLATE_GZIP)
        sum_up(inflate);
    if (inflate->state == IN_ERROR && piece->length == 0)
        return -EBADMSG;
    return inflate->in - (const uint8_t *)bytes;
}

bool httpinflate_done(const struct httpinflate *inflate)
{
    return inflate->state == IN_NOTHING;
}

const char *httpinflate_problem(const struct httpinflate *inflate)
{
    return inflate->problem;
}

int httpinflate_end_message(struct httpinflate *inflate)
{
    if (inflate->state != IN_STORED_LENGTH || inflate->count > 0) {
        (void)fail(inflate, "a message that does not end with an empty block");
        return -EBADMSG;
    }
    inflate->state = IN_BLOCK_HEAD;
    return 0;
}

void httpinflate_reset(struct httpinflate *inflate)
{
    inflate->bits = inflate->count = 0;
    inflate->at = inflate->summed = inflate->crc = inflate->total = inflate->read = 0;
    inflate->has_lapped = false;
    inflate->problem = NULL;
    inflate->state = inflate->format == HTTPINFLATE_GZIP ? IN_GZIP_HEAD : IN_BLOCK_HEAD;
}

struct httpinflate *httpinflate_new(enum httpinflate_format format, int window_bits)
{
    uint32_t window = 1u << window_bits, size = window + ROOM;
    struct httpinflate *inflate = ioalloc(sizeof *inflate + size + BEYOND);

    if (inflate == NULL)
        return NULL;
    memset(inflate, 0, sizeof *inflate);
    inflate->format = (uint8_t)format;
    inflate->window = window;
    inflate->size = size;
    httpinflate_reset(inflate);
    return inflate;
}

void httpinflate_free(struct httpinflate *inflate)
{
    ioalloc_free(inflate);
}
