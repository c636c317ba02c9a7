/* httparguments.h: the name=value&name=value of a query or of an urlencoded body; parse_qs_bytes of tornado.escape,
 * with blank values kept.
 *
 *     struct httparguments arguments = { 0 };
 *     if (httparguments_parse(&arguments, query, length, 0) == 0)
 *         name = httparguments_last(&arguments, "name");
 *     httparguments_free(&arguments);
 *
 * Lifetime: a struct httpargument until the next parse, add, clear or free; its name and value until clear or free.
 * Errors: -ENOBUFS over the limit, -ENOMEM; what was there before stays as it was. */
#ifndef HTTPSERVER_HTTPARGUMENTS_H
#define HTTPSERVER_HTTPARGUMENTS_H

#include <stddef.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* Decoded: any bytes, NULs too, in no certain encoding. One more NUL follows each. */
struct httpargument {
    const char *name, *value;
    size_t name_length, value_length;
};

/* By value; zeroed is empty. To be read with the functions below. */
struct httparguments {
    struct httpargument *list;
    size_t count, capacity;
    struct httparguments_block *blocks;
};

void httparguments_free(struct httparguments *arguments);

/* As free, but keeps up to 8 KiB of memory for the next. */
void httparguments_clear(struct httparguments *arguments);

/* Adds those of the text to what is there. max_count: how many there may be in all, 0: 256; more are refused before
 * any memory is taken. "a" is a blank value, "+" a space, a malformed escape stays as it is, and the empty members of
 * "a=1&&b=2&" are skipped. The text is not kept; one or two allocations, however many there are. */
int httparguments_parse(struct httparguments *arguments, const char *text, size_t length,
                        size_t max_count) IOAPI_MUST_USE;

/* Adds one, copied as it is. Their number is the caller's to limit. */
int httparguments_add(struct httparguments *arguments, const char *name, size_t name_length, const char *value,
                      size_t value_length) IOAPI_MUST_USE;

size_t httparguments_count(const struct httparguments *arguments);

/* In the order in which they came; NULL at count. */
const struct httpargument *httparguments_at(const struct httparguments *arguments, size_t index);

/* The last one of that name, which is the one that counts where only one is wanted; NULL without any. */
const struct httpargument *httparguments_last(const struct httparguments *arguments, const char *name);

/* Those of a name in turn: the first one behind `after`, or of all when that is NULL. */
const struct httpargument *httparguments_next(const struct httparguments *arguments, const char *name,
                                              const struct httpargument *after);

IOAPI_END
#endif
