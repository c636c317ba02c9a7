/* Internal: http1connection.h, one connection of an HTTP/1.1 server: from bytes to requests, from answers to bytes.
 *
 * A connection is in one of six states, which is which consumer its stream has: a head is read (and between requests
 * waited for) · a body is read · a request is in work (no consumer: the client's next bytes wait in the kernel) · its
 * answer is long, and waits for the client to read it (none either) · what still comes is dropped, so that the last
 * answer is not lost to a reset · closed. In each it has a deadline, but while its own program works on a request.
 *
 * Lifetime: from the accepted stream to its close callback. */
#ifndef HTTPSERVER_HTTP1CONNECTION_H
#define HTTPSERVER_HTTP1CONNECTION_H

#include "httpserver/http1parser.h"
#include "httpserver/httpserver.h"
#include "ioloop/deadlines.h"
#include "ioloop/iobuffer.h"
#include "ioloop/iostream.h"

#define HTTP1CONNECTION_SHORT_HEAD   1024 /* one that needs no memory of its own */
#define HTTP1CONNECTION_LONGEST_TYPE 256  /* of a Content-Type */

enum http1connection_deadline { HTTP1CONNECTION_HEAD, HTTP1CONNECTION_IDLE, HTTP1CONNECTION_OTHER };

struct http1connection {
    struct iostream *stream;
    struct httpserver *server;
    struct http1connection *next, **link; /* of the server's connections */
    struct deadline deadline;
    struct httprequest *request; /* whose body is read, or that is in work; NULL: none */
    struct http1parser_scan scan;
    enum http1connection_deadline deadline_is;
    uint64_t unsent; /* bytes, when the client was last seen to be slow; 0: it is not */
    uint32_t dropped;
    bool head_began;
    bool in_work;
    bool finishing; /* no further request is read */
};

struct httprequest {
    struct http1connection *connection; /* NULL: the client has left */
    struct httprequest *next_spare;
    httprequest_close_fn *on_close;
    void *on_close_arg;
    char *bytes; /* of the head: a copy, which is in short_head if it fits */
    struct iobuffer *body;
    struct http1parser_request head;
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
    char short_head[HTTP1CONNECTION_SHORT_HEAD];
};

/* False: no memory, and the stream is closed. */
bool http1connection_begin(struct httpserver *server, struct iostream *stream);

/* The server closes: at once where nothing is under way, else after the answer. */
void http1connection_finish(struct http1connection *connection);

/* Sends a complete answer and ends the request. What it is given is fit to be sent. */
int http1connection_answer(struct http1connection *connection, int status, const char *content_type, const void *body,
                           size_t length);

#endif
