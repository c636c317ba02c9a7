/* httpclient.h: fetching over HTTP/1.1, tornado.httpclient.AsyncHTTPClient.
 *
 *     struct httpclient *client = httpclient_new(loop, NULL);
 *     httpclient_fetch(client, &(struct httpclient_request){ .url = "http://example.org/" }, on_response, NULL);
 *     // void on_response(struct httpclient_response *response, void *arg)
 *
 * Connections are kept and used again. Strict (RFC 9112): what is not clearly one response to this request is an error,
 * never a success.
 *
 * Lifetime: a client until httpclient_close, or ioloop_close; fetches that are under way end with -ECANCELED then. A
 *     response, and all in it, until its callback returns.
 * Callbacks: from the loop only, never inside httpclient_fetch. on_response comes once for each fetch, after the others
 *     of it.
 * Errors: of a fetch, in response->error, with the phase it was in: -ETIMEDOUT; -ECONNREFUSED and what else the kernel
 *     or the resolver says; -EPROTO the server's answer is not HTTP, or contradicts itself; -EMSGSIZE it is larger than
 *     a limit, or what a producer has is not as long as its Content-Length; -ENOBUFS more of it waits than may;
 *     -ESHUTDOWN the connection ended before it did; -ELOOP too many redirects; -ENOMSG its status is not 2xx, with
 *     raise_error; -ECANCELED; -EPROTONOSUPPORT a scheme that is not there: https without options.tls; -ENOTSUP a
 *     redirect wants the body again, which cannot be had; -EACCES connect_filter refuses all addresses; -ENOMEM no
 *     memory, or the body is over the budget of the process (ioalloc_set_budget).
 *     Of the call, 0 with errno: EINVAL a url, method or header that cannot be sent; EPROTONOSUPPORT; EAGAIN max_queue
 *     fetches wait; EBADF; ENOMEM.
 * Processes: a child of fork() shares no connection with its parent. When it calls ioloop_reopen its copies are closed,
 *     and the fetches that are under way, or wait, are the parent's: in the child they end with -ECANCELED. Until then
 *     it is told nothing more, not even the rest of what a callback that forks is being told.
 * Limits that are no options: 32 bytes of a method (EINVAL); of a response 10 interim ones before it (-EPROTO), a
 *     Location of 8 KiB (-EPROTO), trailers of 8 KiB in 16 lines, and framing of chunks of 16 KiB and a quarter of the
 *     body, unless it is streamed (-EMSGSIZE); a redirect's body is read up to 64 KiB, then its connection is closed.
 * Threads: the loop's. Units: seconds, bytes. Times: 0 is the default, below 0 is never. */
#ifndef HTTPCLIENT_HTTPCLIENT_H
#define HTTPCLIENT_HTTPCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "httpserver/httpheaders.h"
#include "ioloop/ioapi.h"
#include "ioloop/iofuture.h"
#include "ioloop/iostream.h"

IOAPI_BEGIN

struct httpclient;
struct httpclient_request;
struct httpclient_response;
struct resolver;

typedef void httpclient_response_fn(struct httpclient_response *response, void *arg);
typedef void httpclient_data_fn(const void *data, size_t length, void *arg);
typedef void httpclient_head_fn(const struct httpclient_response *response, void *arg);
typedef void httpclient_line_fn(const char *line, size_t length, void *arg);
typedef void httpclient_produce_fn(struct httpclient *client, uint64_t fetch, void *arg);
typedef bool httpclient_filter_fn(const struct sockaddr *address, socklen_t length, void *arg);
typedef void httpclient_close_fn(struct httpclient *client, void *arg);

/* TLS from outside: makes what iostream.h needs to speak it with this host, whose name it has to verify. 0 or an
 * error, which becomes the fetch's. The transport's close frees the context. */
struct httpclient_tls {
    int (*start)(void *arg, const char *host, const struct iostream_transport **transport, void **context);
    void *arg;
};

/* "example.org" or "example.org:80" goes to that host and port instead (port 0: as it was); Host stays. */
struct httpclient_mapping {
    const char *from; /* ended by one whose from is NULL */
    const char *host;
    int port;
};

/* 0 is the default in every field. Texts and tables are copied, unless lent is said. */
struct httpclient_options {
    const struct httpclient_request *defaults; /* for what a request leaves 0, which so cannot be turned off again;
                                                  copied. Without body and producer: EINVAL */
    size_t max_clients;    /* connections in all, those that are kept included: 64; more fetches wait, in order */
    size_t max_per_origin; /* 6; who waits longer than queue_timeout fails */
    size_t max_queue;      /* of fetches that wait: 100,000 */
    double keep_time;      /* a connection that is not used is closed then: 15 s; below 0: none is kept */
    uint64_t max_uses;     /* of one connection: no limit but the server's */
    struct resolver *resolver;
    const struct httpclient_mapping *mappings; /* SimpleAsyncHTTPClient.hostname_mapping */
    httpclient_filter_fn *connect_filter;      /* false: that address is not connected to; asked for each, each hop,
                                                  unix_path included */
    void *connect_filter_arg;
    struct httpclient_tls tls;
    httpclient_close_fn *on_close; /* all has ended, and the client is gone when this returns */
    void *on_close_arg;
};

/* What is sent again, once and over a new connection, when a kept one ends without a byte of an answer (RFC 9110
 * 9.2.2): the server may have closed it just then, but may as well have done what was asked. Nothing else is ever sent
 * again, nor what a producer has begun. Of which no byte had gone out, that may go whatever is said here. */
enum httpclient_resend {
    HTTPCLIENT_RESEND_SAFE,       /* GET, HEAD, OPTIONS and TRACE, which change nothing; others fail (-ESHUTDOWN …) */
    HTTPCLIENT_RESEND_IDEMPOTENT, /* PUT and DELETE, too */
    HTTPCLIENT_RESEND_NEVER,      /* what counts, limits or signs requests by itself */
};

/* tornado.httpclient.HTTPRequest. Everything is copied before httpclient_fetch returns, but what is lent. */
struct httpclient_request {
    const char *url;                   /* http or https; "user:password@" in it becomes Basic authentication */
    const char *method;                /* "GET" */
    const struct httpheaders *headers; /* Connection, Content-Length, and Transfer-Encoding are ours, but a
                                          Content-Length for a producer; Connection may be "close";
                                          Proxy-Authorization goes to a proxy, and no further. A Host wins over the
                                          url's ("name" or "name:port", one: EINVAL), as far as the url's origin, which
                                          is connected to; but a proxy that gets the whole URL gets its Host */
    const void *body;                  /* POST, PUT and PATCH have to have one, others must not; length 0 counts if
                                          body is not NULL. A POST whose headers have no Content-Type is said to have a
                                          form (application/x-www-form-urlencoded) */
    size_t body_length;
    iostream_release_fn *body_release; /* then the body is not copied: release(body, arg) when it is not needed */
    void *body_release_arg;
    httpclient_produce_fn *body_producer; /* sends it by and by, in chunks unless a Content-Length is given */
    void *body_producer_arg;
    bool allow_nonstandard_methods; /* any token, and a body or none with any */
    bool expect_100_continue;       /* the body waits until the server wants it, 1 s at most */
    enum httpclient_resend resend;  /* HTTPCLIENT_RESEND_SAFE */

    const char *auth_username, *auth_password; /* Basic (RFC 7617); what the url has wins */
    const char *user_agent;                    /* "ioloop"; "": none is sent */
    int64_t if_modified_since;                 /* seconds since 1970 */
    bool decompress_response;                  /* asks for gzip, and undoes it, of all its members; headers have
                                                  X-Consumed-Content-Encoding then */

    /* To another origin Authorization, Cookie, Proxy-Authorization, user and password do not go along, and what else is
     * named here neither; nor do they come back. Other headers do. */
    const char *const *private_headers; /* { "X-Api-Key", NULL } */
    bool no_follow_redirects;
    int max_redirects; /* 5; below 0: none, any redirect is an error then */
    bool raise_error;  /* a status that is not 2xx is an error, too */

    double connect_timeout; /* name, connection, TLS: 10 s */
    double idle_timeout;    /* without a byte, once connected: 20 s, or request_timeout if that is given */
    double request_timeout; /* of one hop, without its time in the queue: 60 s */
    double total_timeout;   /* of all hops, with their time in the queue: request_timeout */
    double queue_timeout;   /* the lesser of connect_timeout and request_timeout */

    /* These see the last response only: none that is interim, or redirects. */
    httpclient_line_fn *header_callback; /* status line, header lines, empty line, with their CRLF */
    httpclient_head_fn *on_head;         /* once, behind those lines and before the body, if any: the response so far,
                                            until it returns. Not for a head that is an error by itself */
    httpclient_data_fn *streaming_callback; /* gets the body, which is not collected then; what may take long wants
                                               another request_timeout, in which pauses count */
    void *callback_arg;                     /* of these three */

    uint64_t max_body;   /* of a response, as it comes and inflated: 16 MiB; when it is streamed: no limit */
    uint32_t max_header; /* of its head: 64 KiB, and 16 MiB is the most; a line of it may have 8 KiB, there may be 100,
                            and they may have HTTPHEADERS_MAX_SIZE in all, whatever this is */

    const char *network_interface; /* an address of ours to connect from */
    int family;                    /* AF_UNSPEC, AF_INET, AF_INET6 */
    const char *unix_path;         /* the socket to connect to, whatever host the url, or a redirect, names; as long as
                                      sun_path, and "@name" is Linux's abstract one */

    /* Connects there instead of to the url's host, or port (curl's --connect-to), whatever mappings say; all that is
     * said goes on as if it were the url's: Host, what TLS verifies, redirects. For the url's origin alone: a redirect
     * elsewhere goes there, and one that returns comes back here. Through a proxy that takes a tunnel, and gets one.
     * Not with unix_path (EINVAL). */
    const char *connect_host; /* a name or an address; NULL: the url's */
    int connect_port;         /* 0: the url's */

    const char *proxy_host; /* http goes to it with the whole URL, https through a tunnel (CONNECT) */
    int proxy_port;
    const char *proxy_username, *proxy_password; /* Basic; they win over a Proxy-Authorization of headers */
    bool proxy_tunnel;                           /* http through one, too */
};

/* Where a fetch is, or failed. */
enum httpclient_phase {
    HTTPCLIENT_QUEUE, /* waits for a connection to be free */
    HTTPCLIENT_RESOLVE,
    HTTPCLIENT_CONNECT, /* TLS and a proxy's tunnel included */
    HTTPCLIENT_SEND,
    HTTPCLIENT_HEAD,
    HTTPCLIENT_BODY,
    HTTPCLIENT_DONE,
};

/* tornado.httpclient.HTTPResponse. What is not there is 0 or NULL: on an error there may be a head, or none. */
struct httpclient_response {
    int error; /* 0, or why it failed */
    enum httpclient_phase phase;
    const char *detail; /* of an error, for people; never NULL then */
    int code;
    const char *reason;
    const struct httpheaders *headers;  /* empty, not NULL, without a head */
    const struct httpheaders *trailers; /* of a body in chunks; empty */
    const char *body;                   /* with a NUL behind it; "" when it went to streaming_callback */
    size_t length;
    const char *effective_url; /* where the last redirect led; without user and password */
    int redirects;             /* that were followed */
    bool is_reused;            /* came over a connection that was there */
    double request_time;       /* all of it but the queue */
    struct {                   /* seconds of the last hop; 0 what it did not need */
        double queue, connect, send, head, body;
    } time_info;
};

/* NULL: defaults. NULL with errno on failure. */
struct httpclient *httpclient_new(struct ioloop *loop, const struct httpclient_options *options);

/* The loop's own client, made when first asked for; closed with the loop. NULL with errno. */
struct httpclient *httpclient_current(struct ioloop *loop);

/* Any number of times. */
void httpclient_close(struct httpclient *client);

/* An id, to cancel by; 0 with errno when it was not accepted. */
uint64_t httpclient_fetch(struct httpclient *client, const struct httpclient_request *request,
                          httpclient_response_fn *on_response, void *arg);

/* A future whose value is a struct httpclient_response *, the future's, not to be taken from it. Its error is the
 * response's. Cancelling it cancels the fetch. NULL with errno. */
struct iofuture *httpclient_fetch_future(struct httpclient *client, const struct httpclient_request *request);

/* on_response comes with -ECANCELED. What is done already, or 0, is fine. */
void httpclient_cancel(struct httpclient *client, uint64_t fetch);

/* From now on, and until resume, no callback comes with lines, head or data, and the server is held back. Also inside
 * these callbacks. idle_timeout does not count meanwhile. */
void httpclient_pause(struct httpclient *client, uint64_t fetch);
void httpclient_resume(struct httpclient *client, uint64_t fetch);

/* In on_response: the body is the caller's (ioalloc_free), and may be NULL with length 0. */
char *httpclient_take_body(struct httpclient_response *response, size_t *length);

/* In callbacks: the fetch's id. */
uint64_t httpclient_response_id(const struct httpclient_response *response);

/* Bodies by and by, of a fetch with a producer, which is called when the connection can take more, until it has called
 * finish or fail. One that writes nothing is not called again before resume, and idle_timeout does not count until
 * then. Data is sent or copied; write may be called at any time once the producer was called, but an error (-EBADF:
 * nothing more is wanted, or the fetch is over; -EPIPE: it is finished; -ENOBUFS: 16 MiB wait; -EMSGSIZE: that is more
 * than its Content-Length) ends the body. The others do nothing then.
 *
 * To pass on what a request of httpserver.h brings: pause it in on_head; the producer resumes it; its data callback
 * writes here, pauses it, and calls upload_resume, so that the producer comes again when there is room; on_request
 * calls upload_finish; its close callback cancels the fetch, and forgets the request if on_request has not come. */
int httpclient_upload_write(struct httpclient *client, uint64_t fetch, const void *data, size_t length);
void httpclient_upload_finish(struct httpclient *client, uint64_t fetch);
void httpclient_upload_fail(struct httpclient *client, uint64_t fetch, int error);
void httpclient_upload_resume(struct httpclient *client, uint64_t fetch);

/* What there is now. */
size_t httpclient_connections(const struct httpclient *client); /* in use and kept */
size_t httpclient_kept(const struct httpclient *client);
size_t httpclient_waiting(const struct httpclient *client); /* fetches in the queue */
struct ioloop *httpclient_loop(const struct httpclient *client);

IOAPI_END
#endif
