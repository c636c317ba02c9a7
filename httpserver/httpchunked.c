#include "httpserver/httpchunked.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpfield.h"
#include "httpserver/httpheaders.h"

/* What comes next. All but the trailers are taken byte by byte, so a split cannot make a difference. */
enum chunk_state {
    CHUNK_SIZE,      /* digits of a chunk's first line, or what ends them */
    CHUNK_EXTENSION, /* the rest of the line */
    CHUNK_LINE_LF,   /* its last byte */
    CHUNK_DATA,
    CHUNK_DATA_CR, /* behind the data */
    CHUNK_DATA_LF,
    CHUNK_TRAILERS,
    CHUNK_DONE,
};

enum { CHUNK_MAX_DIGITS = 16 };

/* Works on a copy of the caller's state, so that a refusal leaves that as it was. */
struct chunk_reader {
    struct httpchunked chunked;
    struct httpchunked_limits limits;
    struct httpchunked_piece *piece;
    struct httpheaders *trailers;
    const char *bytes;
    size_t at, length;
};

static int refuse_chunk(struct chunk_reader *reader, int status, const char *reason)
{
    reader->piece->reason = reason;
    return -status;
}

/* The value of a HEXDIG, RFC 5234 B.1, in either case; 16 for anything else. */
static unsigned hex_digit(uint8_t byte)
{
    unsigned digit = byte - (unsigned)'0';
    unsigned letter = (byte | 0x20u) - 'a';

    if (digit < 10)
        return digit;
    return letter < 6 ? letter + 10 : 16;
}

/* A byte of the first line that is neither its CR nor its LF. */
static int count_line_byte(struct chunk_reader *reader)
{
    if (reader->chunked.line == reader->limits.line)
        return refuse_chunk(reader, 413, "chunk line too long");
    reader->chunked.line++;
    return 0;
}

/* chunk-size = 1*HEXDIG, RFC 9112 7.1, and then the line's end, or the ";" of an extension. As many digits as can be
 * shifted without losing one; leading zeros count. */
static int read_chunk_size(struct chunk_reader *reader)
{
    struct httpchunked *chunked = &reader->chunked;
    uint8_t byte = (uint8_t)reader->bytes[reader->at++];
    unsigned digit = hex_digit(byte);

    if (digit < 16 && chunked->line == CHUNK_MAX_DIGITS)
        return refuse_chunk(reader, 400, "chunk size too long");
    if (digit < 16) {
        chunked->left = chunked->left << 4 | digit;
        return count_line_byte(reader);
    }
    if (chunked->line == 0 || (byte != ';' && byte != '\r'))
        return refuse_chunk(reader, 400, "malformed chunk size");
    chunked->state = byte == ';' ? CHUNK_EXTENSION : CHUNK_LINE_LF;
    return byte == ';' ? count_line_byte(reader) : 0;
}

/* chunk-ext, RFC 9112 7.1.1: nobody here knows one, so what it says is not looked at; only that it does not end the
 * line in an unusual way. */
static int read_chunk_extension(struct chunk_reader *reader)
{
    const char *byte = &reader->bytes[reader->at++];

    if (*byte == '\r') {
        reader->chunked.state = CHUNK_LINE_LF;
        return 0;
    }
    if (!httpfield_is_value(byte, 1))
        return refuse_chunk(reader, 400, "control character in a chunk extension");
    return count_line_byte(reader);
}

/* The size is known. Framing that costs more than what it frames is an attack (a chunk of one byte has five others). */
static int begin_chunk(struct chunk_reader *reader)
{
    struct httpchunked *chunked = &reader->chunked;

    chunked->overhead += chunked->line + 2;
    if (chunked->overhead > HTTPCHUNKED_FREE_OVERHEAD + chunked->body / 4 && !reader->limits.any_framing)
        return refuse_chunk(reader, 413, "too much framing for so small a body");
    if (chunked->left > reader->limits.body || chunked->body > reader->limits.body - chunked->left)
        return refuse_chunk(reader, 413, "body too large");
    chunked->body += chunked->left;
    chunked->line = 0;
    chunked->state = chunked->left > 0 ? CHUNK_DATA : CHUNK_TRAILERS;
    return 0;
}

static int read_chunk_line_feed(struct chunk_reader *reader)
{
    if (reader->bytes[reader->at++] != '\n')
        return refuse_chunk(reader, 400, "CR without LF in a chunk line");
    return begin_chunk(reader);
}

static int read_chunk_data(struct chunk_reader *reader)
{
    struct httpchunked *chunked = &reader->chunked;
    size_t there = reader->length - reader->at;

    reader->piece->data = reader->bytes + reader->at;
    reader->piece->length = there < chunked->left ? there : (size_t)chunked->left;
    reader->at += reader->piece->length;
    chunked->left -= reader->piece->length;
    if (chunked->left == 0)
        chunked->state = CHUNK_DATA_CR;
    return 0;
}

static int read_chunk_end(struct chunk_reader *reader, char wanted, enum chunk_state next)
{
    if (reader->bytes[reader->at++] != wanted)
        return refuse_chunk(reader, 400, "no CRLF behind a chunk");
    reader->chunked.overhead++;
    reader->chunked.state = (uint8_t)next;
    return 0;
}

/* Trailers. */

/* What an application could take for a header that somebody in between has checked, or that says how the message is
 * to be read: RFC 9110 6.5.1. A '-' at the end stands for all that begin so. */
static bool is_no_trailer(const char *name, size_t length)
{
    static const char *const names[] = {
        "Accept",
        "Accept-",
        "Age",
        "Authorization",
        "Authentication-",
        "Cache-Control",
        "Connection",
        "Content-",
        "Cookie",
        "Date",
        "Expect",
        "Expires",
        "Forwarded",
        "From",
        "Host",
        "If-",
        "Keep-Alive",
        "Location",
        "Max-Forwards",
        "Origin",
        "Pragma",
        "Proxy-",
        "Range",
        "Referer",
        "Retry-After",
        "Sec-",
        "Set-Cookie",
        "Set-Cookie2",
        "TE",
        "Trailer",
        "Transfer-",
        "Upgrade",
        "User-Agent",
        "Vary",
        "Via",
        "WWW-",
        "Warning",
        "X-Forwarded-",
        "X-Real-Ip",
        "X-Scheme",
        "X-Http-",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t there = strlen(names[i]);
        if ((length == there || (length > there && names[i][there - 1] == '-')) &&
            httpfield_is_same(name, names[i], there))
            return true;
    }
    return false;
}

/* Adds to `all` what may be a trailer. The lines have been checked. */
static int collect_trailers(const char *section, size_t size, struct httpheaders *all)
{
    struct httpfield field;
    int error = 0;

    for (size_t at = 0; at < size && error == 0;) {
        at += (size_t)httpfield_read_line(section + at, size - at, &field);
        if (!is_no_trailer(field.name, field.name_length))
            error = httpheaders_add_bytes(all, field.name, field.name_length, field.value, field.value_length);
    }
    return error;
}

/* All or none: collected beside the caller's, then put in their place. */
static int take_trailers(struct chunk_reader *reader, const char *section, size_t size)
{
    struct httpheaders all = { 0 };
    int error = httpheaders_copy(&all, reader->trailers);

    if (error == 0)
        error = collect_trailers(section, size, &all);
    if (error < 0) {
        httpheaders_free(&all);
        if (error == -ENOMEM)
            return refuse_chunk(reader, 503, "no memory for the trailers");
        return refuse_chunk(reader, 431, "too many trailers");
    }
    httpheaders_free(reader->trailers);
    *reader->trailers = all;
    return 0;
}

/* A line with its CRLF, or what was to be one. */
static int check_trailer(struct chunk_reader *reader, const char *line, size_t size)
{
    struct httpfield field;

    if (reader->chunked.lines == reader->limits.trailer_lines)
        return refuse_chunk(reader, 431, "too many trailers");
    reader->chunked.lines++;
    if (httpfield_read_line(line, size, &field) < 0 || !httpfield_is_name(field.name, field.name_length) ||
        !httpfield_is_value(field.value, field.value_length))
        return refuse_chunk(reader, 400, "malformed trailer");
    return 0;
}

/* The size of the trailer section with the empty line that ends it; 0: it is not all there. Each byte is looked at
 * once, and each line as soon as it has an end. */
static ssize_t find_trailers_end(struct chunk_reader *reader)
{
    struct httpchunked *chunked = &reader->chunked;
    const char *section = reader->bytes + reader->at;
    size_t there = reader->length - reader->at;
    size_t end = there < reader->limits.trailers ? there : reader->limits.trailers;

    if (end < chunked->scanned)
        return 0; /* what was there before is not all here: nothing new can be */
    for (const char *lf; (lf = memchr(section + chunked->scanned, '\n', end - chunked->scanned)) != NULL;) {
        const char *line = section + chunked->line;
        chunked->scanned = chunked->line = (uint32_t)(lf - section) + 1;
        if (lf - line == 1 && line[0] == '\r')
            return (ssize_t)chunked->scanned;
        int status = check_trailer(reader, line, (size_t)(lf - line) + 1);
        if (status < 0)
            return status;
    }
    chunked->scanned = (uint32_t)end;
    return end == reader->limits.trailers ? refuse_chunk(reader, 431, "trailers too long") : 0;
}

/* trailer-section CRLF, RFC 9112 7.1.2: nothing is taken until all of it is there. */
static int read_trailers(struct chunk_reader *reader)
{
    const char *section = reader->bytes + reader->at;
    ssize_t size = find_trailers_end(reader);

    if (size <= 0)
        return (int)size;
    if (reader->trailers != NULL) {
        int status = take_trailers(reader, section, (size_t)size - 2);
        if (status < 0)
            return status;
    }
    reader->at += (size_t)size;
    reader->chunked.state = CHUNK_DONE;
    return 0;
}

/* Decoding. */

static int read_chunk_part(struct chunk_reader *reader)
{
    switch ((enum chunk_state)reader->chunked.state) {
    case CHUNK_SIZE:
        return read_chunk_size(reader);
    case CHUNK_EXTENSION:
        return read_chunk_extension(reader);
    case CHUNK_LINE_LF:
        return read_chunk_line_feed(reader);
    case CHUNK_DATA:
        return read_chunk_data(reader);
    case CHUNK_DATA_CR:
        return read_chunk_end(reader, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return read_chunk_end(reader, '\n', CHUNK_SIZE);
    case CHUNK_TRAILERS:
    case CHUNK_DONE:
        break;
    }
    return 0;
}

/* Up to the end of the first piece, of the body or of the bytes. */
static int read_chunks(struct chunk_reader *reader)
{
    while (reader->at < reader->length && reader->piece->length == 0 && reader->chunked.state < CHUNK_TRAILERS) {
        int status = read_chunk_part(reader);
        if (status < 0)
            return status;
    }
    return reader->chunked.state == CHUNK_TRAILERS ? read_trailers(reader) : 0;
}

static void default_chunk_limits(struct httpchunked_limits *limits)
{
    if (limits->body == 0)
        limits->body = HTTPCHUNKED_MAX_BODY;
    if (limits->line == 0)
        limits->line = HTTPCHUNKED_MAX_LINE;
    if (limits->trailers == 0)
        limits->trailers = HTTPCHUNKED_MAX_TRAILERS;
    if (limits->trailer_lines == 0)
        limits->trailer_lines = HTTPCHUNKED_MAX_TRAILER_LINES;
}

ssize_t httpchunked_decode(struct httpchunked *chunked, const struct httpchunked_limits *limits, const char *bytes,
                           size_t length, struct httpchunked_piece *piece, struct httpheaders *trailers)
{
    struct chunk_reader reader = {
        .chunked = *chunked, .piece = piece, .trailers = trailers, .bytes = bytes, .length = length
    };

    *piece = (struct httpchunked_piece){ 0 };
    if (limits != NULL)
        reader.limits = *limits;
    default_chunk_limits(&reader.limits);
    int status = read_chunks(&reader);
    if (status < 0)
        return status;
    *chunked = reader.chunked;
    piece->done = chunked->state == CHUNK_DONE;
    return (ssize_t)reader.at;
}

/* Encoding. */

size_t httpchunked_format(char place[HTTPCHUNKED_LONGEST_LINE], uint64_t length)
{
    size_t digits = 1;

    for (uint64_t rest = length >> 4; rest > 0; rest >>= 4)
        digits++;
    for (size_t i = digits; i-- > 0; length >>= 4)
        place[i] = "0123456789abcdef"[length & 15];
    memcpy(place + digits, "\r\n", 2);
    return digits + 2;
}
