/* Internal: httpfield.h, the grammar of one field line, in a head or a trailer section: RFC 9110 5 and RFC 9112 5.
 *
 *     struct httpfield field;
 *     ssize_t size = httpfield_read_line(text, length, &field);
 */
#ifndef HTTPSERVER_HTTPFIELD_H
#define HTTPSERVER_HTTPFIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

/* A name and a value somewhere else. */
struct httpfield {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

/* A token, RFC 9110 5.6.2; none is empty. */
bool httpfield_is_name(const char *name, size_t length);

/* HTAB, 0x20-0x7E and 0x80-0xFF, RFC 9110 5.5. Blanks at the ends are for httpfield_trim. */
bool httpfield_is_value(const char *value, size_t length);

/* The same answers, and place is a copy: one pass. Of both it becomes "name\0 value\0\n". */
bool httpfield_copy_value(char *place, const char *value, size_t length) IOAPI_MUST_USE;
bool httpfield_copy(char *place, const struct httpfield *field) IOAPI_MUST_USE;

/* Are so many bytes, 1 or more, the same but for the case of ASCII letters? */
bool httpfield_is_same(const char *a, const char *b, size_t length);

/* As is_same, where most of them are: two names of a usual length that are written alike need not be folded. */
static inline bool httpfield_is_likely_same(const char *a, const char *b, size_t length)
{
    uint64_t ours[2], theirs[2];

    if (length < sizeof ours[0] || length > sizeof ours)
        return httpfield_is_same(a, b, length);
    memcpy(&ours[0], a, sizeof ours[0]);
    memcpy(&theirs[0], b, sizeof theirs[0]);
    memcpy(&ours[1], a + length - sizeof ours[1], sizeof ours[1]);
    memcpy(&theirs[1], b + length - sizeof theirs[1], sizeof theirs[1]);
    return ((ours[0] ^ theirs[0]) | (ours[1] ^ theirs[1])) == 0 || httpfield_is_same(a, b, length);
}

static inline bool httpfield_is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Takes the blanks around its value from the field: OWS, RFC 9110 5.6.3, and no other white space. Most have none. */
static inline void httpfield_trim(struct httpfield *field)
{
    if (field->value_length > 0 && (unsigned char)field->value[0] > ' ' &&
        (unsigned char)field->value[field->value_length - 1] > ' ')
        return;
    while (field->value_length > 0 && httpfield_is_blank(field->value[field->value_length - 1]))
        field->value_length--;
    while (field->value_length > 0 && httpfield_is_blank(field->value[0])) {
        field->value++;
        field->value_length--;
    }
}

/* Takes the line "name:value\r\n" at the beginning of the text apart, and trims. Answers its size, or -EINVAL. What
 * the name and the value are made of has still to be looked at; there may be a CR in them, but no LF. */
ssize_t httpfield_read_line(const char *text, size_t length, struct httpfield *field) IOAPI_MUST_USE;

#endif
