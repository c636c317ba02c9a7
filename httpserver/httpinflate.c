#include "httpserver/httpinflate.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpcrc32.h"
#include "httpserver/httpinflatelayer.h"
#include "ioloop/ioalloc.h"

enum {
    ROOM = 2048, /* of the ring, more than the window */
    BEYOND = 32, /* behind the ring: copies of eight bytes may go over its end */
};

enum httpinflatelayer_step httpinflatelayer_fail(struct httpinflate *inflate, const char *problem)
{
    inflate->problem = problem;
    inflate->state = HTTPINFLATELAYER_IN_ERROR;
    return HTTPINFLATELAYER_STOPS;
}

/* Blocks, RFC 1951 3.2.3. */

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

static enum httpinflatelayer_step read_block_head(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 3))
        return HTTPINFLATELAYER_WANTS_INPUT;
    inflate->is_last = httpinflatelayer_take_bits(inflate, 1);
    switch (httpinflatelayer_take_bits(inflate, 2)) {
    case 0:
        httpinflatelayer_drop_bits(inflate, inflate->count % 8);
        inflate->state = HTTPINFLATELAYER_IN_STORED_LENGTH;
        return HTTPINFLATELAYER_ON;
    case 1:
        use_fixed_codes(inflate);
        inflate->state = HTTPINFLATELAYER_IN_SYMBOLS;
        return HTTPINFLATELAYER_ON;
    case 2:
        inflate->state = HTTPINFLATELAYER_IN_COUNTS;
        return HTTPINFLATELAYER_ON;
    default:
        return httpinflatelayer_fail(inflate, "type of a block");
    }
}

/* Between messages the last block is none: another begins, at a whole byte (RFC 7692 7.2.3.4). */
enum httpinflatelayer_step httpinflatelayer_end_block(struct httpinflate *inflate)
{
    inflate->state = HTTPINFLATELAYER_IN_BLOCK_HEAD;
    if (!inflate->is_last)
        return HTTPINFLATELAYER_ON;
    httpinflatelayer_drop_bits(inflate, inflate->count % 8);
    if (inflate->format == HTTPINFLATE_MESSAGES)
        return HTTPINFLATELAYER_ON;
    inflate->state = inflate->format == HTTPINFLATE_GZIP ? HTTPINFLATELAYER_IN_CRC : HTTPINFLATELAYER_IN_NOTHING;
    return inflate->format == HTTPINFLATE_GZIP ? HTTPINFLATELAYER_ON : HTTPINFLATELAYER_STOPS;
}

static enum httpinflatelayer_step read_stored_length(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 32))
        return HTTPINFLATELAYER_WANTS_INPUT;
    uint32_t length = httpinflatelayer_take_bits(inflate, 16);
    if (httpinflatelayer_take_bits(inflate, 16) != (length ^ 0xffff))
        return httpinflatelayer_fail(inflate, "length of a stored block");
    inflate->length = (uint16_t)length;
    inflate->state = HTTPINFLATELAYER_IN_STORED;
    return HTTPINFLATELAYER_ON;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* What is among the bits goes first. */
static enum httpinflatelayer_step copy_stored(struct httpinflate *inflate)
{
    while (inflate->length > 0 && inflate->count > 0 && inflate->at < inflate->size) {
        inflate->ring[inflate->at++] = (uint8_t)httpinflatelayer_take_bits(inflate, 8);
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
        return httpinflatelayer_end_block(inflate);
    return inflate->at == inflate->size ? HTTPINFLATELAYER_STOPS : HTTPINFLATELAYER_WANTS_INPUT;
}

/* The head of a block with codes of its own, RFC 1951 3.2.7. */

static enum httpinflatelayer_step read_counts(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 14))
        return HTTPINFLATELAYER_WANTS_INPUT;
    inflate->literals = (uint16_t)(httpinflatelayer_take_bits(inflate, 5) + 257);
    inflate->distances = (uint16_t)(httpinflatelayer_take_bits(inflate, 5) + 1);
    inflate->length_codes = (uint16_t)(httpinflatelayer_take_bits(inflate, 4) + 4);
    if (inflate->literals > 286 || inflate->distances > 30)
        return httpinflatelayer_fail(inflate, "too many symbols");
    memset(inflate->lengths, 0, HTTPBITS_LENGTHS);
    inflate->has_fixed = false;
    inflate->read = 0;
    inflate->state = HTTPINFLATELAYER_IN_LENGTHS_OF_LENGTHS;
    return HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step read_length_of_length(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 3))
        return HTTPINFLATELAYER_WANTS_INPUT;
    inflate->lengths[httpbits_order[inflate->read++]] = (uint8_t)httpinflatelayer_take_bits(inflate, 3);
    if (inflate->read < inflate->length_codes)
        return HTTPINFLATELAYER_ON;
    if (!httpinflatetable_make(HTTPINFLATETABLE_OF_LENGTHS, inflate->distance_table, HTTPINFLATETABLE_LENGTHS_ROOT,
                               inflate->lengths, HTTPBITS_LENGTHS))
        return httpinflatelayer_fail(inflate, "codes of lengths");
    inflate->read = 0;
    inflate->state = HTTPINFLATELAYER_IN_LENGTHS;
    return HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step begin_symbols(struct httpinflate *inflate)
{
    if (inflate->lengths[HTTPBITS_END] == 0)
        return httpinflatelayer_fail(inflate, "a block without an end");
    if (!httpinflatetable_make(HTTPINFLATETABLE_OF_LITERALS, inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT,
                               inflate->lengths, inflate->literals))
        return httpinflatelayer_fail(inflate, "codes of literals");
    if (!httpinflatetable_make(HTTPINFLATETABLE_OF_DISTANCES, inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT,
                               inflate->lengths + inflate->literals, inflate->distances))
        return httpinflatelayer_fail(inflate, "codes of distances");
    inflate->state = HTTPINFLATELAYER_IN_SYMBOLS;
    return HTTPINFLATELAYER_ON;
}

/* Lengths, literals first; 16 repeats the one before 3 to 6 times, 17 a zero 3 to 10 times, 18 a zero 11 to 138 times.
 */
static enum httpinflatelayer_step read_code_length(struct httpinflate *inflate)
{
    static const uint8_t extra_bits[] = { 2, 3, 7 }, least[] = { 3, 3, 11 };

    if (inflate->read == inflate->literals + inflate->distances)
        return begin_symbols(inflate);
    bool is_there = httpinflatelayer_has_bits(inflate, 1);
    uint32_t entry = httpinflatetable_find(inflate->distance_table, HTTPINFLATETABLE_LENGTHS_ROOT, inflate->bits);
    unsigned symbol = entry >> 16, extra = symbol >= 16 ? extra_bits[symbol - 16] : 0;
    if (!is_there || inflate->count < httpinflatetable_bits(entry) + extra)
        return HTTPINFLATELAYER_WANTS_INPUT;
    httpinflatelayer_drop_bits(inflate, httpinflatetable_bits(entry));
    if (symbol < 16) {
        inflate->lengths[inflate->read++] = (uint8_t)symbol;
        return HTTPINFLATELAYER_ON;
    }
    unsigned count = least[symbol - 16] + httpinflatelayer_take_bits(inflate, extra);
    if (symbol == 16 && inflate->read == 0)
        return httpinflatelayer_fail(inflate, "a repeated length without one before it");
    if (count > (unsigned)(inflate->literals + inflate->distances - inflate->read))
        return httpinflatelayer_fail(inflate, "too many lengths");
    memset(inflate->lengths + inflate->read, symbol == 16 ? inflate->lengths[inflate->read - 1] : 0, count);
    inflate->read = (uint16_t)(inflate->read + count);
    return HTTPINFLATELAYER_ON;
}

/* The whole. */

static enum httpinflatelayer_step run_step(struct httpinflate *inflate)
{
    switch ((enum httpinflatelayer_state)inflate->state) {
    case HTTPINFLATELAYER_IN_GZIP_HEAD:
    case HTTPINFLATELAYER_IN_GZIP_EXTRA_LENGTH:
    case HTTPINFLATELAYER_IN_GZIP_EXTRA:
    case HTTPINFLATELAYER_IN_GZIP_NAME:
    case HTTPINFLATELAYER_IN_GZIP_COMMENT:
    case HTTPINFLATELAYER_IN_GZIP_CHECK:
    case HTTPINFLATELAYER_IN_CRC:
    case HTTPINFLATELAYER_IN_SIZE:
        return httpinflatelayer_read_gzip(inflate);
    case HTTPINFLATELAYER_IN_BLOCK_HEAD:
        return read_block_head(inflate);
    case HTTPINFLATELAYER_IN_STORED_LENGTH:
        return read_stored_length(inflate);
    case HTTPINFLATELAYER_IN_STORED:
        return copy_stored(inflate);
    case HTTPINFLATELAYER_IN_COUNTS:
        return read_counts(inflate);
    case HTTPINFLATELAYER_IN_LENGTHS_OF_LENGTHS:
        return read_length_of_length(inflate);
    case HTTPINFLATELAYER_IN_LENGTHS:
        return read_code_length(inflate);
    case HTTPINFLATELAYER_IN_SYMBOLS:
    case HTTPINFLATELAYER_IN_MATCH:
        return httpinflatelayer_read_symbols(inflate);
    case HTTPINFLATELAYER_IN_NOTHING:
    case HTTPINFLATELAYER_IN_ERROR:
        break;
    }
    return HTTPINFLATELAYER_STOPS;
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
        (void)httpinflatelayer_fail(inflate, "bytes behind the end");
}

void httpinflatelayer_sum_up(struct httpinflate *inflate)
{
    uint32_t length = inflate->at - inflate->summed;

    inflate->crc = httpcrc32(inflate->crc, inflate->ring + inflate->summed, length);
    inflate->total += length;
    inflate->summed = inflate->at;
}

ssize_t httpinflate_decode(struct httpinflate *inflate, const void *bytes, size_t length,
                           struct httpinflate_piece *piece)
{
    enum httpinflatelayer_step step = HTTPINFLATELAYER_ON;

    *piece = (struct httpinflate_piece){ 0 };
    if (inflate->state == HTTPINFLATELAYER_IN_NOTHING && length > 0)
        go_behind_end(inflate);
    if (inflate->state == HTTPINFLATELAYER_IN_ERROR)
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
    while (step == HTTPINFLATELAYER_ON)
        step = run_step(inflate);
    if (step == HTTPINFLATELAYER_STOPS)
        give_back(inflate, bytes);
    *piece = (struct httpinflate_piece){ (const char *)inflate->ring + begin, inflate->at - begin };
    if (inflate->format == HTTPINFLATE_GZIP)
        httpinflatelayer_sum_up(inflate);
    if (inflate->state == HTTPINFLATELAYER_IN_ERROR && piece->length == 0)
        return -EBADMSG;
    return inflate->in - (const uint8_t *)bytes;
}

bool httpinflate_done(const struct httpinflate *inflate)
{
    return inflate->state == HTTPINFLATELAYER_IN_NOTHING;
}

const char *httpinflate_problem(const struct httpinflate *inflate)
{
    return inflate->problem;
}

int httpinflate_end_message(struct httpinflate *inflate)
{
    if (inflate->state != HTTPINFLATELAYER_IN_STORED_LENGTH || inflate->count > 0) {
        (void)httpinflatelayer_fail(inflate, "a message that does not end with an empty block");
        return -EBADMSG;
    }
    inflate->state = HTTPINFLATELAYER_IN_BLOCK_HEAD;
    return 0;
}

void httpinflate_reset(struct httpinflate *inflate)
{
    inflate->bits = inflate->count = 0;
    inflate->at = inflate->summed = inflate->crc = inflate->total = inflate->read = 0;
    inflate->has_lapped = false;
    inflate->problem = NULL;
    inflate->state =
        inflate->format == HTTPINFLATE_GZIP ? HTTPINFLATELAYER_IN_GZIP_HEAD : HTTPINFLATELAYER_IN_BLOCK_HEAD;
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
