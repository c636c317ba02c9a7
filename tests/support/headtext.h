/* Internal: headtext.h, for tests of parsers of heads, of requests and of responses: texts that are made, slices of
 * them, and which bytes may stand where, by the words of the RFCs.
 *
 *     assert_string_equal(slice_text(text, request->target), "/a");
 *     text = padded("GET /", 8192, " HTTP/1.1\r\n\r\n"); */
#ifndef TESTS_SUPPORT_HEADTEXT_H
#define TESTS_SUPPORT_HEADTEXT_H

#include <string.h>

#include "httpserver/http1parser.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "tests/support/text.h"

/* A string; it is there until four others have been made. */
static inline const char *slice_text(struct text text, struct http1parser_slice slice)
{
    static char buffers[4][256];
    static unsigned next;
    char *buffer = buffers[next++ % 4];

    assert_true(slice.offset + slice.length <= text.length && slice.length < sizeof buffers[0]);
    memcpy(buffer, text.bytes + slice.offset, slice.length);
    buffer[slice.length] = '\0';
    return buffer;
}

static inline void assert_same_slice(struct http1parser_slice a, struct http1parser_slice b)
{
    assert_int_equal(a.offset, b.offset);
    assert_int_equal(a.length, b.length);
}

static inline void assert_same_headers(const struct http1parser_header *a, const struct http1parser_header *b,
                                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_same_slice(a[i].name, b[i].name);
        assert_same_slice(a[i].value, b[i].value);
    }
}

/* Of before, so many letters, after; until the next one is made. */
static inline struct text padded(const char *before, size_t count, const char *after)
{
    static char buffer[GUARDPAGE_ROOM];
    size_t length = strlen(before);

    assert_true(length + count + strlen(after) < sizeof buffer);
    memcpy(buffer, before, length);
    memset(buffer + length, 'a', count);
    memcpy(buffer + length + count, after, strlen(after));
    return (struct text){ buffer, length + count + strlen(after) };
}

/* A head of the wanted size, with this first part; its lines have at most 8,000 bytes. Until the next one is made. */
static inline struct text head_of(const char *before, size_t size)
{
    static char buffer[GUARDPAGE_ROOM];
    size_t length = strlen(before);

    memcpy(buffer, before, length);
    for (size_t line; length < size - 2; length += line) {
        line = size - 2 - length > 8000 ? 4000 : size - 2 - length;
        assert_true(line >= 5);
        memset(buffer + length, 'a', line);
        memcpy(buffer + length, "X:", 2);
        memcpy(buffer + length + line - 2, "\r\n", 2);
    }
    memcpy(buffer + length, "\r\n", 2);
    return (struct text){ buffer, size };
}

/* Puts so many of these bytes in places of the text. random: goes on with each call. */
static inline void change_bytes(char *text, size_t length, struct text bytes, int changes, uint32_t *random)
{
    for (; changes > 0; changes--) {
        *random = *random * 1664525 + 1013904223;
        text[(*random >> 8) % length] = bytes.bytes[(*random >> 24) % bytes.length];
    }
}

static inline bool is_alphanumeric(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

/* RFC 9110 5.6.2 */
static inline bool may_be_in_token(int byte)
{
    return is_alphanumeric(byte) || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

/* A colon ends it. */
static inline bool may_be_in_name(int byte)
{
    return may_be_in_token(byte) || byte == ':';
}

/* RFC 9110 5.5; that of a header, or a reason */
static inline bool may_be_in_value(int byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

#endif
