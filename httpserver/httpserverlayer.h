/* Internal: httpserverlayer.h, what a server has for its connections. */
#ifndef HTTPSERVER_HTTPSERVERLAYER_H
#define HTTPSERVER_HTTPSERVERLAYER_H

#include "httpserver/http1connection.h"
#include "httpserver/httpaddresses.h"
#include "httpserver/httpdate.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/looptask.h"
#include "ioloop/tcpserver.h"

/* The beginning of nearly every answer. */
#define HTTPSERVERLAYER_OK        "HTTP/1.1 200 OK\r\n"
#define HTTPSERVERLAYER_SERVER    "Server: ioloop\r\n"
#define HTTPSERVERLAYER_DATE      "Date: "
#define HTTPSERVERLAYER_DATE_AT   (sizeof HTTPSERVERLAYER_OK HTTPSERVERLAYER_SERVER HTTPSERVERLAYER_DATE - 1)
#define HTTPSERVERLAYER_OK_LENGTH (HTTPSERVERLAYER_DATE_AT + HTTPDATE_LENGTH + 2)

typedef void httpserverlayer_dismiss_fn(struct iostream *guest);

struct httpserver {
    struct looptask task;                /* tells on_close */
    struct iostreamlayer_owner owner;    /* of the streams of its connections */
    struct iostreamlayer_owner guests;   /* of those of its guests */
    struct iostreamlayer_owner *streams; /* owned them before: the tcpserver's */
    httpserverlayer_dismiss_fn *dismiss;
    size_t guest_count;
    bool guest_left; /* in this iteration, and perhaps has not heard of it */
    struct ioloop *loop;
    struct tcpserver *tcp; /* NULL: closed */
    httpserver_request_fn *on_request;
    void *arg;
    struct httpserver_options options;
    struct http1parser_limits limits;
    struct http1connection *connections, **last; /* the one that has been idle for longest first */
    size_t connection_count;
    struct httpaddresses addresses;  /* of its connections, from when somebody asks for one */
    struct http1connection *serving; /* for which on_request is on the stack; NULL: none, or it has left HTTP there */
    size_t request_count;            /* that are not released, of clients that have left too */
    struct httprequest *spare_requests;
    unsigned spare_count;
    struct httpinflate *spare_inflate; /* a decoder for the next body in gzip; NULL: none */
    size_t kept_bodies;                /* bytes that spare requests keep for large ones */
    uint32_t max_age;                  /* ticks */
    uint64_t close_timeout;
    double gave_way; /* when a connection with more requests last did, so that others have their turn */
    bool stopping;   /* each answer is the last of its connection: httpserver_stop, or closing */
    bool closing;
    bool told;          /* on_close has been called */
    uint32_t date_tick; /* in which the clock was looked at for the date */
    int64_t date_second;
    char ok[HTTPSERVERLAYER_OK_LENGTH + 1]; /* status line, Server and Date */
};

/* Whose connection it is. */
static inline struct httpserver *httpserverlayer_of(const struct http1connection *connection)
{
    return (struct httpserver *)((char *)http1connection_stream(connection)->owner -
                                 offsetof(struct httpserver, owner));
}

/* Its connections come, go, and become idle: then they are the last to be closed for room. */
void httpserverlayer_add(struct httpserver *server, struct http1connection *connection);
void httpserverlayer_remove(struct httpserver *server, struct http1connection *connection);
void httpserverlayer_move_last(struct httpserver *server, struct http1connection *connection);

/* A stream that has left HTTP stays the server's guest until it is closed: one of its connections. When the server
 * closes, dismiss is called with each, and on_close waits for them; after close_timeout they are closed. */
void httpserverlayer_add_guest(struct httpserver *server, struct iostream *stream, httpserverlayer_dismiss_fn *dismiss);

/* A request with nothing in it; NULL: no memory. */
struct httprequest *httpserverlayer_take_request(struct httpserver *server);
void httpserverlayer_give_request(struct httprequest *request);

/* A decoder of gzip; NULL: no memory. */
struct httpinflate *httpserverlayer_take_inflate(struct httpserver *server);
void httpserverlayer_give_inflate(struct httpserver *server, struct httpinflate *inflate);

/* The end of a request that the program has heard of. */
void httpserverlayer_log(struct httprequest *request);

/* httprequest_remote_ip for a line of the log: where there is one for each request the address is kept already, and
 * where there are few it is not worth the memory. */
const char *httpserverlayer_remote_ip(const struct httprequest *request);

void httpserverlayer_renew_ok(struct httpserver *server, uint32_t tick);

/* The beginning of an answer with the Date of now, formatted once a second. The tick tells cheaply whether the second
 * can have changed. */
static inline const char *httpserverlayer_ok(struct httpserver *server)
{
    uint32_t tick = deadline_now(server->loop);

    if (tick != server->date_tick || server->ok[0] == '\0')
        httpserverlayer_renew_ok(server, tick);
    return server->ok;
}

#endif
