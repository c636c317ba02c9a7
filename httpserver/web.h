/* web.h: an application of routes and handlers, tornado.web.Application and RequestHandler.
 *
 *     static void get(struct web_request *request) { web_write(request, "Hello, world"); }
 *     static const struct web_handler main_handler = { .get = get };
 *     static const struct web_route routes[] = { { .pattern = "/", .handler = &main_handler }, { 0 } };
 *     struct web_application *app = web_application_new(routes, NULL);
 *     web_application_listen(app, 8888, NULL);                                 // and ioloop_start(ioloop_current())
 *
 * Lifetime: an application until web_application_close, or ioloop_close. A request until its method returns, or, when
 *     that has called web_asynchronous, until web_finish; also when its client has left, unless its body was still to
 *     come: then on_connection_close and, behind it, on_finish are the end of it. Texts that a function answers are the
 *     request's.
 * Order: initialize, set_default_headers, (the body, if it is not streamed), the check for XSRF, prepare, (a streamed
 *     body, to data_received), the method, on_finish. A method that the handler has not is refused with 405 in its
 *     place, behind prepare, which may answer it; with a streamed body, before that. Who waits for 100 (Continue) is
 *     refused at once, and no body is asked for, where the head tells: no route, web_error_handler, a path that cannot
 *     be decoded, or no such method and no prepare. Once the request is finished nothing more of it is called but
 *     on_finish. What a function of the handler has finished is sent when that function returns; what is finished from
 *     elsewhere, at once: log_function and on_finish run inside web_finish then, and what they free is gone behind it.
 * Errors: of a call that sends, as in httprequest.h; -EPIPE: the request is finished. They may be ignored: what could
 *     not be collected becomes a 500, or a connection that is closed. A NULL that a call has answered for want of
 *     memory may be written, or redirected to: the answer is that 500.
 * Threads: the loop's. */
#ifndef HTTPSERVER_WEB_H
#define HTTPSERVER_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpserver/httpcookie.h"
#include "httpserver/httpform.h"
#include "httpserver/httpserver.h"
#include "httpserver/httpsigned.h"
#include "ioloop/ioapi.h"
#include "ioloop/netutil.h"

IOAPI_BEGIN

struct web_application;
struct web_request;
struct webstatic;

typedef void web_fn(struct web_request *request);
typedef void web_data_fn(struct web_request *request, const void *data, size_t length);
typedef void web_error_fn(struct web_request *request, int status);
typedef const char *web_user_fn(struct web_request *request);

struct web_method {
    const char *name;
    web_fn *function;
};

/* What a handler has not is the default: a method that is NULL is answered with 405. Lent for as long as the
 * application lives. */
struct web_handler {
    web_fn *get, *head, *post, *put, *patch, *delete_, *options;
    const struct web_method *others; /* methods of other names, "*": of any; ended by one whose name is NULL */
    web_fn *initialize;              /* the route's arg is there already */
    web_fn *set_default_headers;     /* also before an error page */
    web_fn *prepare;
    web_data_fn *data_received; /* the body goes here by and by, and is not collected */
    web_error_fn *write_error;  /* writes the page of web_send_error */
    web_fn *on_finish;
    web_fn *on_connection_close; /* the client has left, or only stopped sending, before the answer was whole: what is
                                  * finished in it is given up, as by web_abort */
    web_user_fn *get_current_user;
    size_t size;       /* bytes of web_state, zeroed for each request */
    bool asynchronous; /* all of its methods are, as if each began with web_asynchronous */
    bool no_xsrf_check;
    bool no_etag;          /* none is made of the body */
    bool lazy_form;        /* a form in the body is parsed when it is asked for, not before prepare */
    uint64_t max_body;     /* instead of the server's */
    double body_timeout;   /* the same */
    double finish_timeout; /* instead of the application's */
};

/* pattern: a path, literally, unless it has one of \ [ ( ) * + ? { } | ^ $: then a POSIX extended regular expression
 * for the whole path, with \d, \w and (?:...) of Tornado's, but without \1, and without {n,m} that come to more than
 * 1,000 signs, those within others multiplied: libc takes seconds for a path then. 4,096 bytes at most. Its groups,
 * 16 at most, are the path arguments, percent-decoded; "(?P<name>...)" gives one a name. The first route that matches
 * serves the request. */
struct web_route {
    const char *pattern;
    const struct web_handler *handler;
    const void *arg;  /* for the handler: web_route_arg; lent */
    const char *name; /* for web_reverse_url; lent */
};

/* A router of the program's own: answers a route for the request, NULL for none, then the routes are asked. Asked twice
 * for a request with a body: when its head is there, and when all of it is. */
typedef const struct web_route *web_find_route_fn(struct web_application *app, struct httprequest *request, void *arg);

/* A request has been answered; instead of the line in the access log. status 0: no answer has gone to its client, who
 * has left, or was given up. */
typedef void web_log_fn(struct web_request *request, int status, double seconds);

/* 0 is the default in every field; texts and tables are lent for as long as the application lives. */
struct web_settings {
    struct ioloop *loop;              /* NULL: the thread's current one */
    void *arg;                        /* web_application_arg */
    struct httpserver_options server; /* its functions but on_close are the application's own */
    const char *default_host;         /* of requests whose host no pattern knows */
    struct web_route default_route;   /* for what no route matches; without: 404 */
    web_find_route_fn *find_route;
    web_log_fn *log_function;
    const char *cookie_secret;                /* of signed cookies; at least 16 bytes */
    const struct httpsigned_key *cookie_keys; /* several, by version; the same of each */
    int key_version;                          /* the one to sign with */
    bool xsrf_cookies;                        /* requests but GET, HEAD and OPTIONS need the token */
    const char *xsrf_cookie_name;             /* "_xsrf" */
    const struct httpcookie_options *xsrf_cookie_options;
    const char *login_url;         /* where web_authenticated redirects to */
    const char *static_path;       /* a folder: served below static_url_prefix, with /favicon.ico and /robots.txt */
    const char *static_url_prefix; /* "/static/" */
    const struct webstatic *static_files; /* instead of static_path: the folder, and how it is served (webstatic.h) */
    uint32_t max_arguments;               /* of query and body together: 256 */

    /* A request that waits for web_finish or web_resume, and of which the client has got nothing for so many seconds,
     * is taken for forgotten (behind a part of the answer it may take twice as long): that is logged with the pattern
     * of its route, and the client gets a 503, or the end of the connection if the answer has begun. For the program it
     * is as if the client had left. 1 h; below 0: never. */
    double finish_timeout;

    /* Texts of 1,024 bytes or more, or flushed by and by, are compressed for clients that accept gzip, and all answers
     * vary by Accept-Encoding; what is compressed goes without Accept-Ranges and digests. An answer with a secret and
     * what its reader chose tells of the secret by its length: web_xsrf_token masks its own. What is sent past
     * web_write (httprequest_write, a file) has Content-Encoding set to be left alone. */
    bool compress_response;
    int compress_level; /* 1 (fast) to 9 (small): 6 */

    /* Answers compressed by and by at a time, each with an encoder of about 52 KiB from its first flush to its end (a
     * whole answer's, of 250 KiB, is one for all): 64. Answers beyond these go out as they are. */
    uint32_t max_encoders;
};

/* routes: ended by one whose pattern is NULL; copied, the patterns too. NULL with errno: ENOMEM, EINVAL a pattern is
 * not valid, or a secret too short, or there is none of key_version; EBADF the loop closes. */
struct web_application *web_application_new(const struct web_route *routes, const struct web_settings *settings);

/* Routes for hosts that match this pattern (a name, in whatever case, or a regular expression, which is shown the name
 * in lower case), asked before the others, in order of being added. 0, -ENOMEM, -EINVAL. */
int web_application_add_routes(struct web_application *app, const char *host_pattern, const struct web_route *routes);

/* Answers the port. More by the server: web_application_server(app) and httpserver.h. */
int web_application_listen(struct web_application *app, int port, const struct netutil_bind_options *options);
struct httpserver *web_application_server(struct web_application *app);

/* As httpserver_close; settings.server.on_close is told (its arg: the application), then the application is gone. */
void web_application_close(struct web_application *app);

/* Serves a request of another server, or of an application whose route led to here; an httpserver_request_fn with the
 * application as arg. */
void web_application_serve(struct httprequest *request, void *app);

/* Its on_head: handlers with data_received, max_body or body_timeout need it, and what is refused before its body. */
void web_application_serve_head(struct httprequest *request, void *app);

void *web_application_arg(const struct web_application *app);

/* The path of a named route with these arguments in its groups, percent-encoded (but for slashes where the group may
 * match them, as in "(.*)"), into place: its length, -ENOENT, -EINVAL (the pattern is more than literals and groups, or
 * the number of arguments is wrong), -ENOBUFS. */
ssize_t web_application_reverse_url(const struct web_application *app, const char *name, const char *const *arguments,
                                    size_t count, char *place, size_t size);

/* What belongs to a request. http: method, headers, body, address; NULL once it is answered, or detached. */
struct httprequest *web_http(const struct web_request *request);
struct web_application *web_get_application(const struct web_request *request);
const void *web_route_arg(const struct web_request *request);
void *web_state(const struct web_request *request); /* handler->size bytes */
void web_set_arg(struct web_request *request, void *arg);
void *web_arg(const struct web_request *request);

/* Input. */

/* The groups of the route's pattern; NULL: there is no such group, or it did not take part in the match. */
const char *web_path_argument(const struct web_request *request, size_t index);
const char *web_path_argument_named(const struct web_request *request, const char *name);

/* The last value of that name, of query and body (the body's come last), without the blanks around it; otherwise, which
 * is NULL for one that has to be there: then the request has been answered with 400. So too when the value is not
 * UTF-8. Control characters but white ones are blanks in it. query and body: only of that. Whether there is one at all
 * web_get_arguments tells. */
const char *web_get_argument(struct web_request *request, const char *name, const char *otherwise);
const char *web_get_query_argument(struct web_request *request, const char *name, const char *otherwise);
const char *web_get_body_argument(struct web_request *request, const char *name, const char *otherwise);

/* The same with the blanks around it, as for passwords (strip=False). Of a request that is not answered yet; looked for
 * in the whole of query or body each time. */
const char *web_get_argument_unstripped(struct web_request *request, const char *name, const char *otherwise);
const char *web_get_query_argument_unstripped(struct web_request *request, const char *name, const char *otherwise);
const char *web_get_body_argument_unstripped(struct web_request *request, const char *name, const char *otherwise);

/* All values of a name, in order: the one of that number, NULL behind the last. */
const char *web_get_arguments(struct web_request *request, const char *name, size_t index);
const char *web_get_query_arguments(struct web_request *request, const char *name, size_t index);
const char *web_get_body_arguments(struct web_request *request, const char *name, size_t index);

/* The fields of the body, in order, without the blanks around them, but not checked for UTF-8; NULL behind the last.
 * The struct is in httpserver/httparguments.h. */
const struct httpargument *web_body_argument_at(struct web_request *request, size_t index);

/* Files of a multipart form; of that name, NULL behind the last; a NULL name: all. */
const struct httpform_file *web_get_file(struct web_request *request, const char *name, size_t index);

/* In a method, or before it: the request goes on when the method has returned, until web_finish or what else finishes
 * it, from any callback. Who never calls that keeps the client waiting: see finish_timeout. */
void web_asynchronous(struct web_request *request);

/* In prepare and data_received: nothing further of this request happens until web_resume. */
void web_pause(struct web_request *request);
void web_resume(struct web_request *request);

/* Output: collected until web_flush or web_finish. */

/* reason NULL: the usual one. One that cannot be sent becomes "Unknown". */
void web_set_status(struct web_request *request, int status, const char *reason);
int web_get_status(const struct web_request *request);
const char *web_get_reason(const struct web_request *request);

/* -EINVAL: a header cannot have that name or value. How the answer is framed is the server's: there is no
 * Transfer-Encoding, no second Content-Length, and no Connection but "close". */
int web_set_header(struct web_request *request, const char *name, const char *value);
int web_add_header(struct web_request *request, const char *name, const char *value);
void web_clear_header(struct web_request *request, const char *name);
const struct httpheaders *web_headers(const struct web_request *request);

/* Forgets status, headers and what was written, but not cookies. */
void web_clear(struct web_request *request);

/* Adds to the page, which goes out at the end or by web_flush. */
int web_write(struct web_request *request, const char *text);
int web_write_bytes(struct web_request *request, const void *data, size_t length);
int web_printf(struct web_request *request, const char *format, ...) IOAPI_PRINTF(2, 3);

/* Also sets Content-Type: application/json. The text is JSON already. */
int web_write_json(struct web_request *request, const char *json);

/* Text from elsewhere, which must not become a part of the page's language: escaped for HTML, and a JSON string with
 * its quotes (httpescape.h). */
int web_write_html_text(struct web_request *request, const char *text);
int web_write_json_string(struct web_request *request, const char *text);

/* A piece of a page: the texts of %s and %.*s are escaped for HTML, for between tags and within quotes, the format is
 * not: "<a href=\"%s\">%s</a>". Beside them it knows %d, %i and %u, with l, ll or z, and %%; others are a 500. */
int web_printf_html(struct web_request *request, const char *format, ...) IOAPI_PRINTF(2, 3);

/* Sends what there is, the head first. The callback (NULL: none): it is with the kernel, or, with a negative error, is
 * not. It may come behind on_finish, whose request is still there then, but not what on_finish has freed. */
typedef void web_flush_fn(struct web_request *request, int error, void *arg);
int web_flush(struct web_request *request, web_flush_fn *callback, void *arg);

/* Sends the rest and ends the request, whatever is answered. */
int web_finish(struct web_request *request);
bool web_finished(const struct web_request *request);

/* Gives up, as httprequest_abort: the connection is closed without the answer, or without the rest of it, by which the
 * client can tell that it is not whole. The way out when nobody seems to wait any more. */
void web_abort(struct web_request *request);

/* 301 if permanent, else 302; with_status: 300 to 399. The url goes out as it is. They finish. */
int web_redirect(struct web_request *request, const char *url, bool permanent);
int web_redirect_with_status(struct web_request *request, const char *url, int status);

/* A path on the host that was asked, whatever a browser makes of it? For what comes from the client, such as the "next"
 * of a page to log in: to redirect to any URL is to lend strangers one's name. */
bool web_is_local_url(const char *url);

/* Answers with an error page instead of what there was, but for cookies, and finishes; what has been sent already
 * cannot be taken back: then the connection closes. why (NULL: nothing) goes to the log, not to the client. */
void web_send_error(struct web_request *request, int status);
void web_send_error_because(struct web_request *request, int status, const char *reason, const char *why);

/* Of a 200 to GET or HEAD that was not flushed an ETag is made by itself, and If-None-Match answered with 304. set_etag
 * with NULL: of what is written so far. */
int web_set_etag(struct web_request *request, const char *etag);
bool web_check_etag(const struct web_request *request); /* true: the client has it */

/* Cookies: the first 64 of a request. */
const char *web_get_cookie(struct web_request *request, const char *name, const char *otherwise);
int web_set_cookie(struct web_request *request, const char *name, const char *value,
                   const struct httpcookie_options *options);
int web_clear_cookie(struct web_request *request, const char *name, const struct httpcookie_options *options);
int web_clear_all_cookies(struct web_request *request);

/* Signed; NULL: none, too old (max_age_days 0: 31), or not ours. A NUL follows the value; length may be NULL.
 * expires_days is 30 unless options say otherwise. */
const char *web_get_signed_cookie(struct web_request *request, const char *name, double max_age_days, size_t *length);
int web_set_signed_cookie(struct web_request *request, const char *name, const void *value, size_t length,
                          const struct httpcookie_options *options);

/* What it claims to be signed with; -ENOENT, there is none; -EINVAL. */
int web_get_signed_cookie_key_version(struct web_request *request, const char *name);

/* The token for forms, which also sets its cookie; and a hidden input with it. */
const char *web_xsrf_token(struct web_request *request);
const char *web_xsrf_form_html(struct web_request *request);

/* Users. current_user asks the handler's get_current_user once. authenticated: false: there is none, and the request
 * has been answered with a redirect to login_url, or 403. */
const char *web_current_user(struct web_request *request);
void web_set_current_user(struct web_request *request, const char *user);
bool web_authenticated(struct web_request *request);

/* For prepare: true when the path is as it should be; else it was answered with 301, or 404. */
bool web_removeslash(struct web_request *request);
bool web_addslash(struct web_request *request);

/* "http://host/path?query" of this request, as the client has sent them: to be escaped in a page. */
const char *web_full_url(struct web_request *request);

/* As web_application_reverse_url; NULL instead of an error. static_url: prefix and path, with "?v=" a version. */
const char *web_reverse_url(struct web_request *request, const char *name, const char *const *arguments, size_t count);
const char *web_static_url(struct web_request *request, const char *path, bool with_host, bool with_version);

/* Leaves HTTP, as httprequest_detach, which tells what the stream is like; the request is finished. */
struct iostream *web_detach(struct web_request *request);

/* Handlers that are there already; what their route's arg points to is lent. */

/* Any method, always this status. */
struct web_error {
    int status;
};
extern const struct web_handler web_error_handler;

/* 301, or 302 if temporary, to url, in which "{0}", "{1}" … are the path arguments, percent-encoded; the query is
 * appended. */
struct web_redirection {
    const char *url;
    bool is_temporary;
};
extern const struct web_handler web_redirect_handler;

/* Hands the request to another function, as that of an httpserver or web_application_serve. An application behind it
 * has to outlive the one before it: it is closed in that one's on_close. */
struct web_fallback {
    httpserver_request_fn *function;
    void *arg;
};
extern const struct web_handler web_fallback_handler;

IOAPI_END
#endif
