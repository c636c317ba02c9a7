/* httpheaders.h: the headers of one message, tornado.httputil.HTTPHeaders.
 *
 *     struct httpheaders headers = { 0 };
 *     int error = httpheaders_set(&headers, "Content-Type", "text/plain");
 *     for (const char *v = httpheaders_get(&headers, "Via"); v != NULL; v = httpheaders_get_next(&headers, "Via", v))
 *         puts(v);
 *     httpheaders_free(&headers);
 *
 * A list in the order in which it was made. Letters of names are the same in upper and lower case, '-' and '_' are not;
 * a name is kept as it was given, never rewritten to Http-Header-Case. Names are tokens (RFC 9110 5.6.2); values are
 * any bytes but control characters, of which only HTAB is allowed (5.5), and lose the blanks around them.
 *
 * Lifetime: plain data, held by value. Zeroed it is empty and has no memory. Names and values that are got from it are
 * strings, lent until the next call that may change it, itself or its memory. They may be given back to it.
 * Errors: -EINVAL for what is no name or no value, -ENOBUFS over HTTPHEADERS_MAX_COUNT or HTTPHEADERS_MAX_SIZE,
 * -ENOMEM; nothing has changed then. */
#ifndef HTTPSERVER_HTTPHEADERS_H
#define HTTPSERVER_HTTPHEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

enum {
    HTTPHEADERS_MAX_COUNT = 100,
    HTTPHEADERS_MAX_SIZE = 65536, /* as httpheaders_size counts */
};

struct httpheaders_entry;

/* The fields are the library's. */
struct httpheaders {
    char *text;
    struct httpheaders_entry *entries;
    uint32_t length, capacity;
    uint32_t count, entry_capacity;
    uint32_t kinds; /* of the names, HTTPHEADERS_KIND of each; perhaps of some that have been removed too */
};

/* A bit of 32: names of different kinds differ. Those of the headers that a server looks at are no kinds of those that
 * most answers have. */
#define HTTPHEADERS_KIND(length, first) (UINT32_C(1) << (((unsigned char)((first) | 0x20) - (length)) & 31))

/* Gives the memory back; empties and keeps it for the next use. */
void httpheaders_free(struct httpheaders *headers);
void httpheaders_clear(struct httpheaders *headers);

/* One more at the end; at the end, instead of all of that name; at the end, if there is none of that name. */
int httpheaders_add(struct httpheaders *headers, const char *name, const char *value) IOAPI_MUST_USE;
int httpheaders_set(struct httpheaders *headers, const char *name, const char *value) IOAPI_MUST_USE;
int httpheaders_set_default(struct httpheaders *headers, const char *name, const char *value) IOAPI_MUST_USE;

/* The same with lengths instead of terminating zeros. */
int httpheaders_add_bytes(struct httpheaders *headers, const char *name, size_t name_length, const char *value,
                          size_t value_length) IOAPI_MUST_USE;
int httpheaders_set_bytes(struct httpheaders *headers, const char *name, size_t name_length, const char *value,
                          size_t value_length) IOAPI_MUST_USE;

/* All of that name. Fine if there is none. */
void httpheaders_remove(struct httpheaders *headers, const char *name);

/* The first value of that name; and the one after a value that was got. NULL: there is none. */
const char *httpheaders_get(const struct httpheaders *headers, const char *name);
const char *httpheaders_get_next(const struct httpheaders *headers, const char *name, const char *after);

/* All values of that name with commas between, which for lists means the same (RFC 9110 5.3; not for Set-Cookie). The
 * caller's, to be freed with ioalloc_free. NULL, and errno: ENOENT when there is none, or ENOMEM. */
char *httpheaders_join(const struct httpheaders *headers, const char *name) IOAPI_MUST_USE;

/* Is this token in a list, such as the values of Connection, Vary and Upgrade are (RFC 9110 5.6.1), in whatever case?
 * To be asked of each value (httpheaders_get_next, httprequest_header_at), as those of one name are one list; NULL: an
 * empty one. Not for lists with weights, parameters or quotes (Accept-Encoding, Cache-Control): "gzip;q=0" is another
 * word than "gzip". */
bool httpheaders_list_has(const char *list, const char *token);

size_t httpheaders_count(const struct httpheaders *headers);

/* The index-th, from 0; false when there are not so many. name or value may be NULL. */
bool httpheaders_at(const struct httpheaders *headers, size_t index, const char **name, const char **value);

/* to becomes the same as from; it must be zeroed or in use. */
int httpheaders_copy(struct httpheaders *to, const struct httpheaders *from) IOAPI_MUST_USE;

/* Adds "Name: value\r\n" and so on; not the empty line that ends a head. Strict: only CRLF ends a line, none is folded,
 * the colon is right behind the name. All lines or none. */
int httpheaders_parse(struct httpheaders *headers, const char *text, size_t length) IOAPI_MUST_USE;

/* Bytes of all "Name: value\r\n"; writes them to place, without a terminating zero, and answers how many. */
size_t httpheaders_size(const struct httpheaders *headers);
size_t httpheaders_serialize(const struct httpheaders *headers, char *place);

IOAPI_END
#endif
