/* Internal: webcompress.h, answers of the web layer compressed by gzip: tornado.web.GZipContentEncoding.
 *
 * Compressed is what the client accepts so, is a text and long enough, and is nothing yet: no part, and in no other
 * coding. Without memory for it, or with too many under way, an answer goes out as it is. */
#ifndef HTTPSERVER_WEBCOMPRESS_H
#define HTTPSERVER_WEBCOMPRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

struct web_request;

enum { WEBCOMPRESS_LEAST = 1024 /* bytes of a whole body */ };

/* Is this the type of something that gets shorter? */
bool webcompress_is_type(const char *content_type);

/* Would a whole body of that length be? Then the answer has no parts: they would be of other bytes. */
bool webcompress_would(const struct web_request *request, uint64_t length);

/* The body and its headers, before a whole answer is sent. */
void webcompress_whole(struct web_request *request);

/* The headers, before the first part of an answer is sent; then each part. -ENOMEM. */
void webcompress_begin(struct web_request *request);
int webcompress_piece(struct web_request *request, bool is_last) IOAPI_MUST_USE;

/* The head could not be sent: headers and body are as before the first part. */
void webcompress_undo(struct web_request *request);

/* The request does without its encoder; also if it has none. */
void webcompress_end(struct web_request *request);

#endif
