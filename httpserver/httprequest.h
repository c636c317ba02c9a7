/* httprequest.h: a request that a server has received, and its answer; tornado.httputil.HTTPServerRequest.
 *
 *     static void on_request(struct httprequest *request, void *arg)
 *     {
 *         httprequest_reply(request, 200, "text/plain", "Hello, world", 12);
 *     }
 *
 * Lifetime: from on_request until it is answered; also when its client has left meanwhile, and then answering it only
 *     ends it. Texts are the request's, terminated by NUL, and valid as long as it is. They hold no NUL themselves.
 * Threads: the loop's. */
#ifndef HTTPSERVER_HTTPREQUEST_H
#define HTTPSERVER_HTTPREQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

struct httprequest;

typedef void httprequest_close_fn(struct httprequest *request, void *arg);

/* As they came: nothing is decoded. path and query are parts of the target, not terminated; the query is what follows
 * the first "?", NULL without one. */
const char *httprequest_method(const struct httprequest *request);
const char *httprequest_target(const struct httprequest *request);
const char *httprequest_path(const struct httprequest *request, size_t *length);
const char *httprequest_query(const struct httprequest *request, size_t *length);
bool httprequest_path_is(const struct httprequest *request, const char *path);

/* 0 or 1: of HTTP/1. */
int httprequest_minor_version(const struct httprequest *request);

/* The value of the first header of that name, in whatever case; NULL without one. header_at goes through all, in order:
 * false behind the last. */
const char *httprequest_header(const struct httprequest *request, const char *name);
bool httprequest_header_at(const struct httprequest *request, size_t index, const char **name, const char **value);

const void *httprequest_body(const struct httprequest *request, size_t *length);

/* Where it came from; AF_UNSPEC when that is not known. */
socklen_t httprequest_remote_address(const struct httprequest *request, struct sockaddr_storage *address);

/* Told when the client leaves before the answer; the request has to be answered all the same. */
void httprequest_set_close_callback(struct httprequest *request, httprequest_close_fn *callback, void *arg);

/* Answers with a complete response, and ends the request, whatever is returned. content_type NULL: none is sent. The
 * body of an answer to HEAD, and of 204, 205 and 304, is left out. -EBADF, or what the kernel said: the client has
 * left. -EINVAL: the status is not in 200 to 999, or content_type is over 256 bytes or has some that a header cannot
 * have; the client gets a 500. */
int httprequest_reply(struct httprequest *request, int status, const char *content_type, const void *body,
                      size_t length);

IOAPI_END
#endif
