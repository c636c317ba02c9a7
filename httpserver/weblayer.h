/* Internal: weblayer.h, what the parts of the web layer share: an application, and a request that it serves.
 *
 * webapplication.c has the application, webrouter.c its routes, web.c the life of a request, webinput.c what the client
 * has sent, weboutput.c and weberror.c what it is to get, webanswer.c how it gets that, webcookie.c cookies and users,
 * weburl.c where it is sent to, webhandlers.c handlers of our own, webcompress.c compression. */
#ifndef HTTPSERVER_WEBLAYER_H
#define HTTPSERVER_WEBLAYER_H

#include <errno.h>

#include "httpserver/httparguments.h"
#include "httpserver/httpxsrf.h"
#include "httpserver/web.h"
#include "httpserver/webroute.h"
#include "httpserver/webstatic.h"
#include "ioloop/deadlines.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

enum {
    WEBLAYER_SPARE = 16,          /* requests an application keeps for the next ones */
    WEBLAYER_SPARE_BYTES = 16384, /* of a buffer that is kept with one */
    WEBLAYER_REASON = 100,        /* of a reason of the program's own, with its NUL */
    WEBLAYER_HOST = 256,          /* no name of a host is longer, RFC 1035 2.3.4 */
};

struct httpdeflate;
struct webfilecache;

struct weblayer_buffer {
    char *bytes;
    size_t length, capacity;
};

struct weblayer_host {
    struct webroute name;
    struct webroute_table routes;
};

struct web_application {
    struct httpserver *server; /* NULL: it has closed */
    struct ioloop *loop;
    struct web_settings settings;
    struct webroute_table static_routes, routes;
    struct weblayer_host *hosts;
    size_t host_count;
    struct webstatic files;          /* below settings.static_url_prefix; root NULL: none */
    struct webfilecache *file_cache; /* of webstatic.c; NULL: none yet. To be freed with webfilecache_free */
    struct httpsigned_key own_key[2];
    const struct httpsigned_key *keys; /* NULL: there is no secret */
    struct httpheaders headers;        /* of every answer, unless it says otherwise */
    struct httpheaders tagged_headers; /* the same with an Etag, whose value is at tag */
    char *tag;
    struct web_request *requests; /* all that there are */
    struct web_request *spare;
    unsigned spare_count;
    struct httpdeflate *spare_deflate; /* an encoder for the next whole answer; NULL: none */
    struct httpdeflate *spare_stream;  /* and one of a smaller window for what is flushed */
    uint32_t encoders;                 /* of answers that are flushed by and by */
    struct loopmember member;
    bool without_loop;   /* it has closed, or there was none yet */
    size_t live;         /* requests that are not released yet */
    bool looks_at_heads; /* some handler wants to know of a body before it is there */
};

/* A text that a function has answered: it lives as long as the request. */
struct weblayer_text {
    struct weblayer_text *next;
    char text[];
};

/* A body that is not copied. release is called when the request is released; NULL: it is not lent. */
struct weblayer_lent {
    const char *bytes;
    size_t length;
    iostream_release_fn *release;
    void *arg;
};

struct weblayer_flush {
    struct web_request *request; /* NULL: free for the next */
    web_flush_fn *callback;
    void *arg;
    int error;
};

struct web_request {
    /* Set for each request. */
    struct httprequest *http; /* NULL: it has ended, or is no longer ours */
    struct web_application *app;
    const struct web_handler *handler;
    const struct web_route *route;
    const struct httpheaders *answer_headers; /* those of the application, unless there are own ones: see headers */
    web_fn *method;                           /* NULL: the handler has none of that name */
    struct looptask task;                     /* goes on after a pause, or releases */
    int status;

    /* Zeroed for each request. */
    unsigned entered;                /* functions of the program that run for it */
    const struct webroute *compiled; /* NULL: the route is not from a table */
    void *arg;
    const char *user;
    int failed;           /* an error, mostly -ENOMEM: what was collected is not what the program meant */
    int refused;          /* a status: the path cannot be decoded */
    uint32_t groups;      /* of the path */
    uint64_t sent_before; /* bytes of the answer's body, when the deadline was set */
    bool body_through;
    bool streams; /* data_received has the body */
    bool paused;
    bool asynchronous; /* web_asynchronous was called */
    bool method_began;
    bool prepared; /* set by the handler of WebSockets: prepare was called */
    bool finished; /* by the program, or for it */
    bool answered; /* and nothing of it is left to be done */
    bool left;     /* the client, while its body came: the request ends by itself */
    bool given_up; /* no answer goes out, or no more of it */
    bool flushed;  /* the head has gone */
    bool is_get, is_head;
    bool in_error; /* write_error runs */
    bool has_query, has_form, has_cookies, has_token, has_user;
    bool as_it_is;   /* the body is not compressed */
    bool with_query; /* and compiled: there is one */
    bool is_overdue; /* and that was said */

    /* Zero again when a request is released. */
    unsigned flushes;            /* callbacks that are still to come */
    struct weblayer_flush flush; /* more of them at a time are allocated */
    struct httpdeflate *deflate; /* compresses what is flushed; NULL: it goes out as it is */
    struct weblayer_text *texts;
    struct weblayer_lent lent; /* instead of what was written */

    /* Kept for the next request. */
    struct web_request *next, **link; /* of the application's */
    struct web_request *next_spare;
    struct deadline deadline; /* of a request that waits for the program; it stays for the next one that does */
    double finish_timeout;    /* which it was set for */
    struct webroute_group group[WEBROUTE_GROUPS]; /* before they are decoded: see path */
    char reason[WEBLAYER_REASON];                 /* "": the usual one */
    struct httpheaders headers;                   /* empty as long as the answer's are others */
    struct httpheaders new_cookies;
    struct weblayer_buffer body;
    struct weblayer_buffer packed; /* the body compressed, and then the other way round */
    struct weblayer_buffer path;   /* the path, and behind it the groups, decoded */
    struct weblayer_buffer state;
    struct httparguments query, form;
    struct httpform_files files;
    struct httpcookies cookies;
    struct httpxsrf token;
};

/* webrouter.c */

/* Route and groups of the path. -ENOMEM. */
int weblayer_find_route(struct web_request *request);

/* Whether bodies are looked at before they are there: by handlers of this table, or of such a route. */
void weblayer_note_handlers(struct web_application *app, const struct webroute_table *table);
bool weblayer_looks_at_head(const struct web_route *route);

/* webapplication.c */

/* A request with nothing in it; NULL: no memory. Given back, it may be the last that the application has waited for. */
struct web_request *weblayer_take(struct web_application *app);
void weblayer_give(struct web_request *request);

/* web.c */

/* What a request puts off to the loop: going on after a pause, or its release. */
void weblayer_run_task(struct looptask *task);

/* Calls a function of the program for a call that it made. NULL is fine. */
void weblayer_call(struct web_request *request, web_fn *function);

/* To be told when a function of the program, called from the loop, begins and has returned; the latter may release the
 * request. */
void weblayer_enter(struct web_request *request);
void weblayer_leave(struct web_request *request);

/* The request is finished: sends the answer and ends it, as soon as no function of the program runs for it. */
int weblayer_end(struct web_request *request);

/* Makes room for so many more bytes, of which there is not enough. -ENOMEM. */
int weblayer_grow(struct weblayer_buffer *buffer, size_t more);

/* A place for a text of that length; NULL: no memory, and the request has failed. */
char *weblayer_new_text(struct web_request *request, size_t length);

/* webinput.c */

/* A form in the body that is not one is answered with 400. */
void weblayer_parse_body(struct web_request *request);

/* weburl.c */

/* The host that is asked, not terminated: Host, or, as it may be in HTTP/1.0, what the target alone says (RFC
 * 9112 3.3). Length 0: neither does. */
const char *weblayer_host(const struct web_request *request, size_t *length);

/* Path and query of the request, perhaps with scheme and host, in a text of its own. NULL: no memory. */
char *weblayer_uri(struct web_request *request, bool with_origin);

/* The path with one slash at its beginning: with more, or with backslashes, it would name another host. */
char *weblayer_use_one_slash(char *path);

/* weboutput.c */

/* As web_clear, but set_default_headers is not called. */
void weblayer_clear(struct web_request *request);

/* Headers that can be changed, instead of those of the application; NULL: no memory. */
struct httpheaders *weblayer_own_headers(struct web_request *request);

/* webanswer.c */

/* Is the tag in that field of the request, If-Match or If-None-Match? */
bool weblayer_has_tag(const struct web_request *request, const char *name, const char *etag, bool weak_comparison);

/* Sends what is left of the answer and gives the request of the server back. */
int weblayer_answer(struct web_request *request);

/* weberror.c */

/* 405, with the methods that there are. */
void weblayer_refuse_method(struct web_request *request);

/* A line of the log about a request, with all that the client has sent escaped. status 0: it has got none. */
void weblayer_log(const struct web_request *request, int status, const char *why);

/* webcookie.c */

/* A request that changes something needs the token, or is answered with 403. */
void weblayer_check_xsrf(struct web_request *request);

/* Room for so many more bytes. -ENOMEM. */
static inline int weblayer_reserve(struct weblayer_buffer *buffer, size_t more)
{
    return more <= buffer->capacity - buffer->length ? 0 : weblayer_grow(buffer, more);
}

static inline bool weblayer_has_own_headers(const struct web_request *request)
{
    return request->answer_headers == &request->headers;
}

/* Why nothing can be said about the answer any more; 0: it can. */
static inline int weblayer_cannot_change(const struct web_request *request)
{
    return request->finished ? -EPIPE : request->flushed ? -EALREADY : 0;
}

/* What was collected is not whole: it must not go out as if it was. Answers the error. */
static inline int weblayer_note_failure(struct web_request *request, int error)
{
    if (error == -ENOMEM || error == -ENOBUFS)
        request->failed = error;
    return error;
}

/* What a call that failed has answered may be handed on to the next: NULL, which is then this error. */
static inline int weblayer_missing(const struct web_request *request)
{
    return request->failed != 0 ? request->failed : -EINVAL;
}

static inline bool weblayer_is_get_or_head(const struct web_request *request)
{
    return request->is_get || request->is_head;
}

#endif
