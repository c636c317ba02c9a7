/* Internal: httpheaderslayer.h, shorter ways to make headers, for answers that nearly all have the same few.
 *
 * The text of headers is "Name\0 value\0\n" again and again, without gaps and in order: so each name and value is a
 * string, and putting ':' and '\r' in the place of the zeros makes the whole of it a head. */
#ifndef HTTPSERVER_HTTPHEADERSLAYER_H
#define HTTPSERVER_HTTPHEADERSLAYER_H

#include <string.h>

#include "httpserver/http1parser.h"
#include "httpserver/httpheaders.h"

struct httpheaders_entry {
    uint32_t offset; /* of the name */
    uint16_t name_length, value_length;
};

/* to, which has to be empty, becomes the same as from with that header set. It stays empty on an error. */
int httpheaderslayer_copy_with(struct httpheaders *to, const struct httpheaders *from, const char *name,
                               const char *value) IOAPI_MUST_USE;

/* Adds an Etag and answers the place of its value, for a tag of HTTPETAG_SIZE bytes with its NUL, which are to be
 * written there. NULL: no memory, or over a limit. */
char *httpheaderslayer_add_etag(struct httpheaders *headers);

/* headers, which has to be empty, becomes the fields of a head that http1parser.h or http1response.h has found to be in
 * the grammar: -ENOBUFS, -ENOMEM; it is empty then. The rest of httpheaders_add_bytes's errors are bugs. */
int httpheaderslayer_take_parsed(struct httpheaders *headers, const char *head, const struct http1parser_header *fields,
                                 uint32_t count) IOAPI_MUST_USE;

/* False: there is none with a name so long that begins so, in lower case. Found without a look at the names. */
static inline bool httpheaderslayer_may_have(const struct httpheaders *headers, size_t length, char first)
{
    return (headers->kinds & HTTPHEADERS_KIND(length, first)) != 0;
}

/* As httpheaders_clear, and httpheaders_serialize. */
static inline void httpheaderslayer_clear(struct httpheaders *headers)
{
    headers->length = 0;
    headers->count = 0;
    headers->kinds = 0;
}

static inline size_t httpheaderslayer_serialize(const struct httpheaders *headers, char *place)
{
    size_t length = headers->length;

    if (headers->count == 0)
        return 0;
    memcpy(place, headers->text, length);
    for (const struct httpheaders_entry *entry = headers->entries, *end = entry + headers->count; entry < end;
         entry++) {
        char *name_end = place + entry->offset + entry->name_length;

        name_end[0] = ':';
        name_end[sizeof ": " - 1 + entry->value_length] = '\r';
    }
    return length;
}

#endif
