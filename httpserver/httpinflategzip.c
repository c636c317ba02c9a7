/* What a gzip file has around its blocks. */
#include "httpserver/httpcrc32.h"
#include "httpserver/httpinflatelayer.h"

/* The head of a gzip file, RFC 1952 2.3. */

enum { GZIP_HAS_CHECK = 2, GZIP_HAS_EXTRA = 4, GZIP_HAS_NAME = 8, GZIP_HAS_COMMENT = 16, GZIP_RESERVED = 0xe0 };

static uint8_t take_head_byte(struct httpinflate *inflate)
{
    uint8_t byte = (uint8_t)httpinflatelayer_take_bits(inflate, 8);

    inflate->crc = httpcrc32(inflate->crc, &byte, 1);
    return byte;
}

/* The next field of those that there are. */
static enum httpinflatelayer_step begin_gzip_field(struct httpinflate *inflate)
{
    static const struct {
        uint8_t flag, state;
    } fields[] = { { GZIP_HAS_EXTRA, HTTPINFLATELAYER_IN_GZIP_EXTRA_LENGTH },
                   { GZIP_HAS_NAME, HTTPINFLATELAYER_IN_GZIP_NAME },
                   { GZIP_HAS_COMMENT, HTTPINFLATELAYER_IN_GZIP_COMMENT },
                   { GZIP_HAS_CHECK, HTTPINFLATELAYER_IN_GZIP_CHECK } };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (inflate->gzip_flags & fields[i].flag) {
            inflate->gzip_flags &= (uint8_t)~fields[i].flag;
            inflate->state = fields[i].state;
            return HTTPINFLATELAYER_ON;
        }
    inflate->crc = 0;
    inflate->state = HTTPINFLATELAYER_IN_BLOCK_HEAD;
    return HTTPINFLATELAYER_ON;
}

/* Ten bytes, of which time, flags of the compressor and system are passed over. */
static enum httpinflatelayer_step read_gzip_head(struct httpinflate *inflate)
{
    static const uint8_t magic[] = { 0x1f, 0x8b, 8 };

    if (!httpinflatelayer_has_bits(inflate, 8))
        return HTTPINFLATELAYER_WANTS_INPUT;
    uint8_t byte = take_head_byte(inflate);
    if (inflate->read < sizeof magic && byte != magic[inflate->read])
        return httpinflatelayer_fail(inflate, "not gzip");
    if (inflate->read == 3)
        inflate->gzip_flags = byte;
    if (inflate->read == 3 && (byte & GZIP_RESERVED))
        return httpinflatelayer_fail(inflate, "reserved flags of gzip");
    return ++inflate->read == 10 ? begin_gzip_field(inflate) : HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step read_gzip_extra_length(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 16))
        return HTTPINFLATELAYER_WANTS_INPUT;
    inflate->length = take_head_byte(inflate);
    inflate->length |= (uint16_t)(take_head_byte(inflate) << 8);
    inflate->state = HTTPINFLATELAYER_IN_GZIP_EXTRA;
    return HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step read_gzip_extra(struct httpinflate *inflate)
{
    if (inflate->length == 0)
        return begin_gzip_field(inflate);
    if (!httpinflatelayer_has_bits(inflate, 8))
        return HTTPINFLATELAYER_WANTS_INPUT;
    (void)take_head_byte(inflate);
    inflate->length--;
    return HTTPINFLATELAYER_ON;
}

/* The name of the file, or a comment, up to its NUL. */
static enum httpinflatelayer_step read_gzip_text(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 8))
        return HTTPINFLATELAYER_WANTS_INPUT;
    return take_head_byte(inflate) == 0 ? begin_gzip_field(inflate) : HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step read_gzip_check(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 16))
        return HTTPINFLATELAYER_WANTS_INPUT;
    if (httpinflatelayer_take_bits(inflate, 16) != (inflate->crc & 0xffff))
        return httpinflatelayer_fail(inflate, "checksum of a gzip head");
    return begin_gzip_field(inflate);
}

/* Its end, RFC 1952 2.3.1. */

static enum httpinflatelayer_step read_crc(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 32))
        return HTTPINFLATELAYER_WANTS_INPUT;
    httpinflatelayer_sum_up(inflate);
    if (httpinflatelayer_take_bits(inflate, 32) != inflate->crc)
        return httpinflatelayer_fail(inflate, "checksum");
    inflate->state = HTTPINFLATELAYER_IN_SIZE;
    return HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step read_size(struct httpinflate *inflate)
{
    if (!httpinflatelayer_has_bits(inflate, 32))
        return HTTPINFLATELAYER_WANTS_INPUT;
    if (httpinflatelayer_take_bits(inflate, 32) != inflate->total)
        return httpinflatelayer_fail(inflate, "size");
    inflate->state = HTTPINFLATELAYER_IN_NOTHING;
    return HTTPINFLATELAYER_STOPS;
}

enum httpinflatelayer_step httpinflatelayer_read_gzip(struct httpinflate *inflate)
{
    switch (inflate->state) {
    case HTTPINFLATELAYER_IN_GZIP_HEAD:
        return read_gzip_head(inflate);
    case HTTPINFLATELAYER_IN_GZIP_EXTRA_LENGTH:
        return read_gzip_extra_length(inflate);
    case HTTPINFLATELAYER_IN_GZIP_EXTRA:
        return read_gzip_extra(inflate);
    case HTTPINFLATELAYER_IN_GZIP_NAME:
    case HTTPINFLATELAYER_IN_GZIP_COMMENT:
        return read_gzip_text(inflate);
    case HTTPINFLATELAYER_IN_GZIP_CHECK:
        return read_gzip_check(inflate);
    case HTTPINFLATELAYER_IN_CRC:
        return read_crc(inflate);
    default: /* HTTPINFLATELAYER_IN_SIZE */
        return read_size(inflate);
    }
}
