/* Internal: http1connection.h, one connection of an HTTP/1.1 server: from bytes to requests, from answers to bytes.
 *
 * What a connection does is which consumer its stream has: a PROXY header is read · a head is read, and between
 * requests waited for · a body is read (http1body.c) · a body is paused (no consumer) · a request is in work, and
 * nothing is read but that the client leaves · its answer is long, and waits for the client to read it (none) · what
 * still comes is dropped, so that the last answer is not lost to a reset. In each it has a deadline, but while its own
 * program works.
 *
 * Lifetime: from the accepted stream, whose memory of iostream_user it is, to its close callback, or to detach. */
#ifndef HTTPSERVER_HTTP1CONNECTION_H
#define HTTPSERVER_HTTP1CONNECTION_H

#include <netinet/in.h>

#include "httpserver/http1parser.h"
#include "httpserver/httpchunked.h"
#include "httpserver/httpheaders.h"
#include "httpserver/httpproxy.h"
#include "httpserver/httpserver.h"
#include "ioloop/deadlines.h"
#include "ioloop/iobuffer.h"
#include "ioloop/iostreamlayer.h"

#define HTTP1CONNECTION_SHORT_HEAD 1024 /* one that needs no memory of its own */

enum http1connection_deadline {
    HTTP1CONNECTION_HEAD,
    HTTP1CONNECTION_IDLE,
    HTTP1CONNECTION_BODY,
    HTTP1CONNECTION_WRITE,
    HTTP1CONNECTION_LINGER,
};

struct httpinflate;

#define HTTP1CONNECTION_MAX_REQUESTS ((1u << 21) - 1)

/* As small as can be: of these many are idle. */
struct http1connection {
    struct http1connection *next, **link; /* of the server's connections */
    struct deadline deadline;
    union {
        struct httprequest *request;  /* whose body is read, or that is in work; NULL: none */
        struct http1parser_scan scan; /* of a head that has begun */
    };
    union {
        uint32_t since;   /* the tick of its beginning */
        uint32_t dropped; /* while it is waited for to close: bytes that came */
    };
    uint32_t requests : 21;
    uint32_t deadline_is : 3;
    uint32_t head_began : 1;
    uint32_t in_work : 1;
    uint32_t behind : 1;              /* there were bytes behind the request */
    uint32_t finishing : 1;           /* no further request is read */
    uint32_t has_proxy : 1;           /* a PROXY header has said whose connection it is */
    struct httpproxy_address proxy[]; /* what it said; no room is made for it where no such header is expected */
};

struct httprequest {
    /* Zeroed for each request. */
    struct http1connection *connection; /* NULL: the client has left */
    httprequest_close_fn *on_close;
    void *on_close_arg;
    void *arg;
    void *layer;        /* what a layer above has for it while its body comes: web's request. NULL: nothing */
    char *bytes;        /* of the head: a copy, which is in short_head if it fits */
    uint64_t body_sent; /* bytes of its body, and of those that have yet to come by its Content-Length */
    uint64_t body_left;
    uint64_t header_kinds; /* of their names, for httprequest_header; 0: not known yet */
    uint16_t status;
    bool is_known : 1; /* the program has seen it */
    bool has_body : 1;
    bool is_whole : 1; /* its body is through */
    bool is_paused : 1;
    bool left : 1;      /* the program was told so */
    bool head_sent : 1; /* of the answer */
    bool in_chunks : 1; /* the answer's body: in chunks, by its length, else until the end; or there is none */
    bool by_length : 1;
    bool without_body : 1;
    bool keep_alive : 1; /* behind the answer */
    bool has_remote_ip : 1;
    bool has_peer_ip : 1; /* in remote_ip stands whose connection it was; a proxy may say another */
    bool is_held : 1;     /* its stream is corked, by httprequest_cork */
    uint32_t corks;

    /* Set for each request. */
    struct httpserver *server;
    int64_t began; /* when its head was there, on the loop's clock; nanoseconds */
    struct http1parser_request head;

    /* Zeroed for each that has a body. */
    struct {
        httprequest_data_fn *on_data; /* NULL: it is collected */
        void *on_data_arg;
        struct iostreamlayer_place place; /* for the next bytes of a long body that is collected */
        uint64_t received;
        uint64_t most;
        struct httpinflate *inflate; /* NULL: the body is handed over as it comes */
        uint64_t inflated;           /* bytes */
        bool has_more; /* of them, perhaps, without further bytes from the client: the program has paused */
        double timeout;
        uint32_t began; /* the tick; later by as long as it was paused */
        uint32_t paused_at;
        struct httpheaders trailers;
        struct httpchunked chunked;
    } reading;

    /* Kept from request to request. */
    struct httprequest *next_spare;
    struct iobuffer *body; /* empty between requests, and not large */
    char remote_ip[INET6_ADDRSTRLEN];
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
    char short_head[HTTP1CONNECTION_SHORT_HEAD];
};

static inline struct iostream *http1connection_stream(const struct http1connection *connection)
{
    return (struct iostream *)((char *)connection - IOSTREAMLAYER_USER);
}

/* Is there a header with a name so long that begins so, in lower case? Where there mostly is none, it takes less to
 * ask this first. */
static inline bool http1connection_may_have(const struct httprequest *request, size_t length, char first)
{
    const struct http1parser_header *header = request->headers, *end = header + request->head.header_count;

    while (header < end && (header->name.length != length || (request->bytes[header->name.offset] | 0x20) != first))
        header++;
    return header < end;
}

/* How much memory of iostream_user its stream needs. */
size_t http1connection_size(const struct httpserver *server);

void http1connection_begin(struct httpserver *server, struct iostream *stream);

/* The server closes: at once where nothing is under way, else after the answer. */
void http1connection_finish(struct http1connection *connection);

/* The server closes, and this one it has only just accepted. What it has to ask is perhaps on its way: it has a
 * second. */
void http1connection_hurry(struct http1connection *connection);

/* Could it be closed to make room, with nothing lost but a wait? Asks the kernel. */
bool http1connection_is_idle(const struct http1connection *connection);

/* Whose connection it is, by the PROXY header or as the kernel says, which is asked once, if keep is true: else what it
 * says is not kept. 0: not known. */
socklen_t http1connection_address(struct http1connection *connection, struct sockaddr_storage *address, bool keep);

/* It is closed just now: the request under way, if there is one, keeps what is known of its client, for the log. */
void http1connection_keep_peer(struct http1connection *connection);

/* For http1body.c and http1answer.c. */

void http1connection_set_deadline(struct http1connection *connection, double seconds,
                                  enum http1connection_deadline what);

/* Answers with an error and ends. what for goes to the log. */
void http1connection_refuse(struct http1connection *connection, int status, const char *why);

/* Gives the client of a request up: with that answer if none has begun. For the program it is as if the client had
 * left. */
void http1connection_give_up(struct httprequest *request, int status, const char *why);

/* No more will come from the client. */
void http1connection_input_ended(struct http1connection *connection, int error);

/* The body is through, or there is none: on_request. */
void http1connection_serve(struct http1connection *connection);

/* The answer is through: the request ends, and the next is read, or the connection ends. */
void http1connection_end_request(struct httprequest *request);

/* Begins to watch a client that has not taken all of an answer. */
void http1connection_watch_sending(struct http1connection *connection);

struct iostream *http1connection_detach(struct httprequest *request);

/* The same, but the request stays, as one whose client has left: until it is answered. */
struct iostream *http1connection_leave(struct httprequest *request);

/* http1body.c */

/* Between head and on_request, of a request that has a body. */
void http1body_begin(struct http1connection *connection);
void http1body_pause(struct httprequest *request);
void http1body_resume(struct httprequest *request);

/* http1answer.c: what httprequest.h says. */
int http1answer_whole(struct httprequest *request, int status, const char *content_type, const void *body,
                      size_t length);
int http1answer_with_headers(struct httprequest *request, int status, const char *reason,
                             const struct httpheaders *headers, const void *body, size_t length);
int http1answer_begin(struct httprequest *request, int status, const char *reason, const struct httpheaders *headers,
                      const void *body, size_t length, iostream_write_fn *callback, void *arg);
int http1answer_write(struct httprequest *request, const void *data, size_t length, iostream_write_fn *callback,
                      void *arg);
int http1answer_write_file(struct httprequest *request, int file, int64_t offset, uint64_t length,
                           iostream_write_fn *callback, void *arg);
int http1answer_finish(struct httprequest *request);
void http1answer_abort(struct httprequest *request);
void http1answer_cork(struct httprequest *request);
void http1answer_uncork(struct httprequest *request);

/* Around several writes in one call, which may end the request: they leave together, as they do in a callback of the
 * server. Cheaper than a cork. NULL, which is fine to end: there is nothing to be done. */
struct iostream *http1answer_begin_burst(struct httprequest *request);
void http1answer_end_burst(struct iostream *stream);

#endif
