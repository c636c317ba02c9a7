/* Internal: httpserverlayer.h, what a server has for its connections. */
#ifndef HTTPSERVER_HTTPSERVERLAYER_H
#define HTTPSERVER_HTTPSERVERLAYER_H

#include "httpserver/http1connection.h"
#include "httpserver/httpdate.h"
#include "ioloop/looptask.h"
#include "ioloop/tcpserver.h"

struct httpserver {
    struct ioloop *loop;
    struct tcpserver *tcp; /* NULL: closed */
    httpserver_request_fn *on_request;
    void *arg;
    struct httpserver_options options;
    struct http1parser_limits limits;
    struct http1connection *connections;
    size_t connection_count;
    struct httprequest *spare_requests;
    unsigned spare_count;
    uint64_t close_timeout;
    bool closing;
    uint32_t date_tick; /* in which the clock was looked at for the date */
    int64_t date_second;
    char date[HTTPDATE_LENGTH + 1];
};

/* Its connections come and go. */
void httpserverlayer_add(struct httpserver *server, struct http1connection *connection);
void httpserverlayer_remove(struct httpserver *server, struct http1connection *connection);

/* A request with nothing in it; NULL: no memory. */
struct httprequest *httpserverlayer_take_request(struct httpserver *server);
void httpserverlayer_give_request(struct httpserver *server, struct httprequest *request);

/* The Date of now, formatted once a second. */
const char *httpserverlayer_date(struct httpserver *server);

#endif
