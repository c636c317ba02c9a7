/* Internal: httpfetch.h, one fetch: what was asked for, how far it is, and what comes of it.
 *
 * A fetch goes hop by hop. Each hop asks the pool for a connection (httppool.c), which may have to be made
 * (httpconnect.c, httptunnel.c), and exchanges a request for a response (http1exchange.c, httpupload.c,
 * httpdownload.c). Whatever goes wrong comes to httpfetch_fail, whoever finds it out, and the program is told from a
 * task: so nothing that a callback does can end a fetch under somebody's feet. Only success is told at once.
 *
 * Lifetime: from httpclient_fetch to the return of on_response; then its memory is used again. */
#ifndef HTTPCLIENT_HTTPFETCH_H
#define HTTPCLIENT_HTTPFETCH_H

#include "httpclient/httpclient.h"
#include "httpclient/httpclientlayer.h"
#include "httpclient/httppool.h"
#include "httpclient/httprequesthead.h"
#include "httpserver/http1response.h"
#include "httpserver/httpchunked.h"
#include "httpserver/httpdate.h"
#include "httpserver/httpurl.h"
#include "ioloop/deadlines.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

#define HTTPFETCH_NEVER        INT64_MAX
#define HTTPFETCH_MOST_DRAINED 65536u /* bytes of a redirect's body: beyond, a new connection is cheaper */

/* A fetch's id is the generation of its slot before the slot's number: in so many bits that no id comes again within a
 * program's life, though the slot that was freed last is used first. */
#define HTTPFETCH_SLOT_BITS 24

struct httpclient_slot {
    struct httpfetch *fetch; /* NULL: free */
    uint64_t generation;
    uint32_t next_free;
};

struct httpclient {
    struct loopmember member;
    struct loopmember reopened; /* for a child of fork() */
    struct looptask task;       /* tells on_close */
    struct ioloop *loop;
    struct httpclient_options options;
    struct httpclient_request *defaults; /* NULL: none; its texts are in the same memory */
    struct httpheaders default_headers;
    struct httppool pool;
    struct httpclient_slot *slots;
    uint32_t slot_count, free_slot; /* counted from 1; 0: none */
    size_t fetch_count;
    struct httpfetch *spares;
    unsigned spare_count;
    struct httpinflate *spare_inflate; /* NULL: none */
    bool closing;
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS]; /* while a head is parsed */
};

/* Memory that is used again. */
struct httpfetch_room {
    char *bytes;
    size_t length, capacity;
    size_t counted; /* bytes of it in the budget (iobudget.h) */
};

/* A body that is there as a whole, for as long as the fetch or a stream needs it. */
struct httpfetch_body {
    unsigned holders;
    iostream_release_fn *release; /* NULL: the bytes are the following ones */
    void *release_arg;
    void *data;
    size_t length;
};

struct httpfetch_upload {
    uint64_t left;    /* of the Content-Length */
    uint64_t pending; /* bytes not sent when somebody last looked */
    bool waits_for_100;
    bool is_begun;    /* the body may go */
    bool is_called;   /* the producer has been called */
    bool is_waiting;  /* for resume */
    bool is_finished; /* all is written */
    bool wrote;       /* since the producer was called */
    bool is_draining; /* what is written has to be sent first */
};

struct httpinflate;

struct httpfetch_download {
    struct httpchunked chunked;
    struct httpinflate *inflate; /* NULL: bytes are handed over as they come */
    uint64_t received, inflated; /* bytes as they came, and handed over */
    bool has_more;               /* in the inflater: it has to be asked again */
    bool is_whole;               /* its framing has come to its end */
    bool is_enough;              /* of a redirect: the rest is not waited for */
};

/* connect_host and connect_port, and the origin that they are for. */
struct httpfetch_detour {
    const char *host; /* NULL: its own */
    int port;         /* 0: its own */
    struct httpurl_part from;
    int from_port;
    bool from_secure;
    bool is_set;
};

struct httpfetch {
    /* Zeroed for each fetch. What was asked for: */
    uint64_t id; /* 0: none */
    httpclient_response_fn *on_response;
    httpclientlayer_upgrade_fn *on_upgrade; /* instead */
    void *arg;
    const char *method;
    const char *url_text; /* without user and password */
    struct httpurl url;
    char *redirected; /* the memory of url_text, once redirected */
    const char *user_agent, *if_modified_since;
    const char *private_headers; /* names, an empty one behind the last */
    char *authorization, *proxy_authorization;
    struct httpfetch_body *body;
    httpclient_produce_fn *producer;
    void *producer_arg;
    uint64_t producer_length;
    httpclient_line_fn *on_line;
    httpclient_head_fn *on_head;
    httpclient_data_fn *on_data;
    void *callback_arg;
    struct httppool_key key;
    int64_t connect_timeout, idle_timeout, request_timeout, total_timeout, queue_timeout; /* nanoseconds */
    uint64_t max_body;
    struct http1parser_limits limits;
    int max_redirects;
    uint8_t resend;      /* enum httpclient_resend */
    bool has_length : 1; /* producer_length */
    bool follows : 1;
    bool raises : 1;
    bool expects_100 : 1;
    bool upgrades : 1;
    bool wants_tunnel : 1;
    bool decompresses : 1;
    bool closes : 1; /* the request says Connection: close */

    /* Where it is. */
    bool is_over : 1; /* all that is left is to tell */
    bool is_paused : 1;
    bool is_queued : 1;
    bool is_taken : 1;     /* by a future: the memory is not the client's any more */
    bool is_fresh : 1;     /* it may not go over a connection that was kept */
    bool is_redirect : 1;  /* the body is dropped, and the next hop follows */
    bool has_received : 1; /* a byte of the response */
    bool is_unsent : 1;    /* the kernel has taken no byte of the request */
    bool has_head : 1;     /* of the last response */
    bool owes_head : 1;    /* on_head has not been called yet */
    bool is_lost : 1;      /* the connection went while lines, or a part of the body, had to wait */
    enum httpclient_phase phase;
    struct httppool_origin *origin;
    struct httppool_connection *connection;
    struct iostream *upgraded;
    struct httpfetch_upload upload;
    uint64_t expect_timer;
    int redirects;
    int lost_error;

    /* Nanoseconds on the loop's clock. */
    uint64_t timer; /* exact, for what is near */
    int64_t timer_at;
    int64_t began, queued, in_queues;           /* the fetch, the hop, and time of all hops in queues */
    int64_t started, connected, sent, answered; /* of the hop; 0: not yet */
    int64_t progress;

    /* The response. */
    struct http1parser_scan scan;
    struct http1response parsed;
    struct httpfetch_download download;
    unsigned interims;
    size_t lines_told; /* bytes of lines */
    char detail[64];   /* of an error, when it is not a static text */
    struct httpclient_response response;

    /* Kept from fetch to fetch. */
    struct httpclient *client;
    struct httpfetch_detour detour; /* set anew by each */
    struct httppool_ring place;     /* in a queue */
    struct looptask task;           /* tells the end */
    struct looptask resume_task, upload_task;
    struct httpfetch *next_spare;
    struct deadline deadline; /* stays set when the fetch is over: the next one may do with it */
    int64_t watched;          /* when that comes up; NEVER: not */
    struct httpheaders headers, response_headers, trailers;
    struct httpfetch_room texts, head, body_in, reason, lines;
};

static inline int64_t httpfetch_now(const struct httpfetch *fetch)
{
    return loopfront_now(fetch->client->loop);
}

/* Room for so many bytes; those that were there stay. */
bool httpfetch_make_room(struct httpfetch_room *room, size_t size);

/* May it go twice, its method being what it is? Most are GET. */
static inline bool httpfetch_may_resend(const struct httpfetch *fetch)
{
    const char *method = fetch->method;

    if (fetch->resend == HTTPCLIENT_RESEND_NEVER)
        return false;
    if (method[0] == 'G' && method[1] == 'E' && method[2] == 'T' && method[3] == '\0')
        return true;
    return fetch->resend == HTTPCLIENT_RESEND_IDEMPOTENT ? httprequesthead_is_idempotent(method)
                                                         : httprequesthead_is_safe(method);
}

/* httpclient.c */

/* NULL: no memory. It has a slot, and everything else is zero or empty. */
struct httpfetch *httpclient_take_fetch(struct httpclient *client);
void httpclient_give_fetch(struct httpfetch *fetch);

/* NULL: it is over, or never was. */
struct httpfetch *httpclient_find_fetch(const struct httpclient *client, uint64_t id);

/* Does what waits for the last to end. */
void httpclient_end_if_done(struct httpclient *client);

/* httpfetchrequest.c: takes over what was asked for, or finds that it cannot be sent: -EINVAL, -EPROTONOSUPPORT,
 * -ENOMEM. */
int httpfetch_set_request(struct httpfetch *fetch, const struct httpclient_request *request);

/* The URL of a hop: text is changed, and has to stay. */
int httpfetch_set_url(struct httpfetch *fetch, char *text, size_t length);

/* The head of the request of this hop, into fetch->head. */
int httpfetch_format_head(struct httpfetch *fetch) IOAPI_MUST_USE;
void httpfetch_merge_defaults(struct httpclient_request *request, const struct httpclient_request *defaults);

/* httpfetch.c */

/* The first hop. A negative errno value: it does not begin. */
int httpfetch_begin(struct httpfetch *fetch) IOAPI_MUST_USE;

/* Ends it; on_response comes from a task. detail: static, NULL: what the error means. */
void httpfetch_fail(struct httpfetch *fetch, int error, const char *detail);

/* The response is whole, and the connection given back: on_response, or the next hop. */
void httpfetch_finish(struct httpfetch *fetch);

/* In a child of fork() that a callback has called: the rest of the response is for the parent to take and to tell. */
static inline bool httpfetch_is_parents(const struct httpfetch *fetch)
{
    return loopmember_is_stale(fetch->client->loop);
}

/* The way into on_head. */
void httpfetch_tell_head(struct httpfetch *fetch);

/* The same request once more, over a new connection. */
void httpfetch_retry(struct httpfetch *fetch);

/* Three digits and a NUL, for details. Answers where the NUL is. */
char *httpfetch_put_status(char *place, int status);

/* The phase, as a program understands it. */
enum httpclient_phase httpfetch_phase(const struct httpfetch *fetch);

/* Sees to it that somebody looks when the next of its timeouts is over. */
void httpfetch_watch(struct httpfetch *fetch);

/* In no slot yet; NULL: no memory. clear: ready for the next request. */
struct httpfetch *httpfetch_new(struct httpclient *client);
void httpfetch_clear(struct httpfetch *fetch);

/* Its memory outlives client and loop from here on. */
void httpfetch_take(struct httpfetch *fetch);
void httpfetch_free(struct httpfetch *fetch);

/* httpconnect.c: can a socket have this path? · makes a connection for the fetch. */
bool httpconnect_is_unix_path(const char *path);
void httpconnect_open(struct httppool_connection *connection, struct httpfetch *fetch);

/* The connection is there, TLS and all: the exchange begins. */
void httpconnect_ready(struct httppool_connection *connection);

/* The same through a tunnel, while the proxy's answer is what the stream has unread. */
void httpconnect_tunnel_ready(struct httppool_connection *connection);
int httpconnect_start_tls(struct httppool_connection *connection);

/* httptunnel.c: asks the proxy for a tunnel. */
void httptunnel_begin(struct httppool_connection *connection);

/* http1exchange.c */
void http1exchange_begin(struct httppool_connection *connection, struct httpfetch *fetch);
void http1exchange_pause(struct httpfetch *fetch);
void http1exchange_resume(struct httpfetch *fetch);
void http1exchange_go_on(struct looptask *task);

/* The response is whole. is_alone: no byte came behind it. end: where its last bytes end; NULL: not known. */
void http1exchange_end(struct httppool_connection *connection, struct httpfetch *fetch, bool is_alone, const char *end);

/* The stream of a fetch has ended. */
void http1exchange_lost(struct httppool_connection *connection, int error);

/* httpdownload.c */

/* Behind the head: is there a content coding to undo? */
int httpdownload_begin(struct httpfetch *fetch) IOAPI_MUST_USE;

/* Takes what there is of the body, up to its end, and waits for what is missing. Answers how many bytes were taken; all
 * of them when the fetch is over. */
size_t httpdownload_go_on(struct httppool_connection *connection, struct httpfetch *fetch, const char *data,
                          size_t length);

/* Without waiting. Then: all has been told · what came, in gzip, ends too early. */
size_t httpdownload_take(struct httpfetch *fetch, const char *data, size_t length);
bool httpdownload_is_done(const struct httpfetch *fetch);
bool httpdownload_is_cut_off(const struct httpfetch *fetch);

/* What it inflated with is not needed any more. */
void httpdownload_release_inflate(struct httpfetch *fetch);

/* httpupload.c */

/* Sends head and body, or so much of them as may be. */
void httpupload_send(struct httppool_connection *connection, struct httpfetch *fetch);
void httpupload_go_ahead(struct httpfetch *fetch); /* 100 (Continue) */
void httpupload_stop(struct httpfetch *fetch);
void httpupload_call_producer(struct looptask *task);

/* Has everything gone to the kernel, or is about to? */
bool httpupload_is_sent(const struct httpfetch *fetch);

/* Is it the program that has to go on? */
bool httpupload_waits_for_program(const struct httpfetch *fetch);

/* Bytes that have gone since it was last asked are progress. */
void httpupload_note_progress(struct httpfetch *fetch, int64_t now);
struct httpfetch_body *httpupload_new_body(const struct httpclient_request *request);
void httpupload_release_body(struct httpfetch_body *body);

#endif
