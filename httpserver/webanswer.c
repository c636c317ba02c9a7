/* How what was collected becomes an answer: with its tag and cookies, whole or piece by piece, to the end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpetag.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpheaderslayer.h"
#include "httpserver/webcompress.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"

/* ETag. */

int web_set_etag(struct web_request *request, const char *etag)
{
    char own[HTTPETAG_SIZE];

    if (etag == NULL)
        httpetag_of_bytes(request->body.bytes, request->body.length, own);
    return web_set_header(request, "Etag", etag != NULL ? etag : own);
}

/* Several lines are one list (RFC 9110 5.3): one that is wrong makes it wrong. */
bool weblayer_has_tag(const struct web_request *request, const char *name, const char *etag, bool weak_comparison)
{
    size_t length = strlen(name);
    const char *line, *value;
    bool is_found = false;

    for (size_t i = 0; httprequest_header_at(request->http, i, &line, &value); i++) {
        if (strlen(line) != length || !httpfield_is_same(line, name, length))
            continue;
        int found = httpetag_find(value, etag, weak_comparison);
        if (found < 0)
            return false;
        is_found = is_found || found > 0;
    }
    return is_found;
}

bool web_check_etag(const struct web_request *request)
{
    const char *etag = request->http != NULL ? httpheaders_get(request->answer_headers, "Etag") : NULL;

    return etag != NULL && weblayer_has_tag(request, "If-None-Match", etag, true);
}

/* Where there are none but the application's headers, those with a tag are there already, and it is written into
 * them. */
static inline void add_etag(struct web_request *request)
{
    struct web_application *app = request->app;
    char *tag = app->tag;

    if (weblayer_has_own_headers(request))
        tag = httpheaderslayer_add_etag(&request->headers);
    else
        request->answer_headers = &app->tagged_headers;
    if (tag != NULL)
        httpetag_of_bytes(request->body.bytes, request->body.length, tag);
    else
        request->failed = -ENOMEM;
}

static inline bool has_etag(const struct web_request *request)
{
    return httpheaderslayer_may_have(request->answer_headers, sizeof "Etag" - 1, 'e') &&
           httpheaders_get(request->answer_headers, "Etag") != NULL;
}

/* A HEAD whose handler has written nothing is not about an empty page. */
static inline bool wants_etag(const struct web_request *request)
{
    return !request->handler->no_etag && (request->body.length > 0 || request->is_get) && !has_etag(request);
}

static inline void apply_etag(struct web_request *request)
{
    if (request->status != 200 || !weblayer_is_get_or_head(request))
        return;
    if (wants_etag(request))
        add_etag(request);
    if (http1connection_may_have(request->http, sizeof "If-None-Match" - 1, 'i') && web_check_etag(request)) {
        request->status = 304;
        request->reason[0] = '\0';
    }
}

/* The answer. */

static const char *reason_of(const struct web_request *request)
{
    return request->reason[0] != '\0' ? request->reason : NULL;
}

/* 204 and 304 are about no representation (RFC 9110 15.3.5, 15.4.5), whatever the handler has written. */
static __attribute__((noinline)) void drop_body(struct web_request *request)
{
    static const char *const names[] = { "Content-Type", "Content-Encoding", "Content-Language", "Content-Length" };

    request->body.length = 0;
    if (weblayer_own_headers(request) == NULL) {
        request->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        httpheaders_remove(&request->headers, names[i]);
}

static __attribute__((noinline)) void add_cookies(struct web_request *request)
{
    const char *name, *value;

    if (weblayer_own_headers(request) == NULL)
        request->failed = -ENOMEM;
    for (size_t i = 0; request->failed == 0 && httpheaders_at(&request->new_cookies, i, &name, &value); i++)
        weblayer_note_failure(request, httpheaders_add(&request->headers, name, value));
}

static inline void complete_head(struct web_request *request)
{
    if (request->status != 200 && (request->status == 204 || request->status == 304))
        drop_body(request);
    if (request->new_cookies.count > 0)
        add_cookies(request);
}

/* The whole answer is there before its head goes: as http1answer_with_headers does, a body of 205 is left out, and a
 * length that is not the body's is -EINVAL. */
static int complete_length(struct web_request *request)
{
    const char *given = httpheaders_get(request->answer_headers, "Content-Length");
    char text[24];

    if (request->status == 204 || request->status == 304)
        return 0;
    if (request->status == 205)
        request->body.length = 0;
    snprintf(text, sizeof text, "%zu", request->body.length);
    if (given != NULL)
        return request->is_head || strcmp(given, text) == 0 ? 0 : -EINVAL;
    if (weblayer_own_headers(request) == NULL || httpheaders_set(&request->headers, "Content-Length", text) < 0)
        request->failed = -ENOMEM;
    return 0;
}

/* status: what has gone to the client; 0: nothing. */
static void tell_end(struct web_request *request, int status)
{
    web_log_fn *log = request->app->settings.log_function;

    request->entered++;
    if (log != NULL)
        log(request, status, httprequest_time(request->http));
    if (request->handler->on_finish != NULL)
        request->handler->on_finish(request);
    request->entered--;
}

static bool is_heard_at_end(const struct web_request *request)
{
    return request->handler->on_finish != NULL || request->app->settings.log_function != NULL;
}

/* Without memory for what there is to say: the status alone. */
static __attribute__((noinline)) void make_bare(struct web_request *request)
{
    if (request->status < 400)
        request->status = 500;
    request->reason[0] = '\0';
    request->body.length = 0;
    request->lent.length = 0;
    httpheaders_clear(&request->headers);
    request->answer_headers = &request->headers;
}

/* What can be wrong with an answer whose headers were taken one by one. */
static __attribute__((noinline)) void note_invalid(struct web_request *request)
{
    const char *length = httpheaders_get(request->answer_headers, "Content-Length");

    if (length != NULL)
        iolog_write(IOLOG_APPLICATION, IOLOG_ERROR,
                    "an answer cannot be sent: status %d, Content-Length \"%s\", a body of %zu", request->status,
                    length, request->body.length);
    else
        iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "an answer cannot be sent: status %d", request->status);
    request->status = 500;
}

/* In two steps, so that on_finish sees the request behind its answer. */
static __attribute__((noinline)) int answer_and_tell(struct web_request *request)
{
    struct httprequest *http = request->http;
    int error = request->failed == 0 ? complete_length(request) : 0;

    if (request->failed != 0)
        make_bare(request);
    if (error == 0)
        error = httprequest_write_head(http, request->status, reason_of(request), request->answer_headers,
                                       request->body.bytes, request->body.length, NULL, NULL);
    if (error == -EINVAL)
        note_invalid(request);
    tell_end(request, error == -EBADF ? http->status : request->status); /* 101: it has left HTTP */
    int end = httprequest_finish(http);
    return error < 0 ? error : end;
}

static inline int answer_whole(struct web_request *request)
{
    if (request->failed == 0)
        apply_etag(request);
    if (request->failed == 0 && request->app->settings.compress_response)
        webcompress_whole(request);
    if (request->failed == 0)
        complete_head(request);
    if (request->failed != 0)
        make_bare(request);
    if (is_heard_at_end(request))
        return answer_and_tell(request);
    const char *body = request->body.bytes;
    size_t length = request->body.length;
    if (request->lent.release != NULL) {
        body = request->lent.bytes;
        length = request->lent.length;
    }
    int error = http1answer_with_headers(request->http, request->status, reason_of(request), request->answer_headers,
                                         body, length);
    if (error == -EINVAL)
        note_invalid(request);
    return error;
}

/* An end that the client can take for the end of the answer would be a lie. */
static void break_off_answer(struct web_request *request)
{
    if (!httprequest_left(request->http))
        iostream_close(http1connection_stream(request->http->connection));
}

static __attribute__((noinline)) int answer_rest(struct web_request *request)
{
    struct httprequest *http = request->http;
    struct iostream *burst = http1answer_begin_burst(http);
    int error = request->failed;

    if (error == 0 && request->deflate != NULL)
        error = webcompress_piece(request, true);
    if (error == 0 && request->body.length > 0)
        error = httprequest_write(http, request->body.bytes, request->body.length, NULL, NULL);
    if (error < 0)
        break_off_answer(request);
    tell_end(request, request->status);
    int end = httprequest_finish(http);
    http1answer_end_burst(burst);
    return error < 0 ? error : end;
}

/* A request whose client has left while its body came ends by itself. */
static __attribute__((noinline)) int give_up(struct web_request *request)
{
    tell_end(request, request->http->status);
    if (!request->left)
        httprequest_abort(request->http);
    return -EBADF;
}

int weblayer_answer(struct web_request *request)
{
    int error;

    request->answered = true;
    if (request->http == NULL) {
        weblayer_call(request, request->handler->on_finish); /* it was detached */
        return 0;
    }
    if (request->given_up)
        error = give_up(request);
    else
        error = request->flushed ? answer_rest(request) : answer_whole(request);
    request->http = NULL;
    return error;
}

int web_finish(struct web_request *request)
{
    if (request->finished)
        return -EPIPE;
    request->finished = true;
    return weblayer_end(request);
}

void web_abort(struct web_request *request)
{
    if (request->finished)
        return;
    request->given_up = true;
    (void)web_finish(request);
}

/* Flushing. */

static struct weblayer_flush *take_flush(struct web_request *request)
{
    struct weblayer_flush *flush = request->flush.request == NULL ? &request->flush : ioalloc(sizeof *flush);

    if (flush != NULL)
        flush->request = request;
    return flush;
}

static void give_flush(struct weblayer_flush *flush)
{
    struct web_request *request = flush->request;

    flush->request = NULL;
    if (flush != &request->flush)
        ioalloc_free(flush);
}

static void is_flushed(struct iostream *stream, int error, void *arg)
{
    struct weblayer_flush flush = *(struct weblayer_flush *)arg;

    give_flush(arg);
    weblayer_enter(flush.request);
    flush.request->flushes--;
    flush.callback(flush.request, error, flush.arg);
    weblayer_leave(flush.request);
}

static int send_collected(struct web_request *request, struct weblayer_flush *flush)
{
    struct httprequest *http = request->http;
    struct weblayer_buffer *body = &request->body;
    iostream_write_fn *callback = flush != NULL ? is_flushed : NULL;

    if (!request->flushed && request->app->settings.compress_response)
        webcompress_begin(request);
    int error = request->deflate != NULL ? webcompress_piece(request, false) : 0;
    if (error < 0)
        return weblayer_note_failure(request, error);
    if (request->flushed)
        return httprequest_write(http, body->bytes, body->length, callback, flush);
    complete_head(request);
    if (request->failed != 0)
        return request->failed;
    error = httprequest_write_head(http, request->status, reason_of(request), request->answer_headers, body->bytes,
                                   body->length, callback, flush);
    request->flushed = error != -EINVAL;
    if (!request->flushed && request->deflate != NULL)
        webcompress_undo(request);
    return error;
}

int web_flush(struct web_request *request, web_flush_fn *callback, void *arg)
{
    struct weblayer_flush *flush = NULL;

    if (request->finished || request->failed != 0)
        return request->finished ? -EPIPE : request->failed;
    if (callback != NULL) {
        flush = take_flush(request);
        if (flush == NULL)
            return -ENOMEM;
        flush->callback = callback;
        flush->arg = arg;
    }
    int error = send_collected(request, flush);
    if (error != -EINVAL)
        request->body.length = 0;
    if (flush != NULL && error < 0)
        give_flush(flush);
    else if (flush != NULL)
        request->flushes++;
    return request->flushed ? weblayer_note_failure(request, error) : error;
}

/* Leaving. */

struct iostream *web_detach(struct web_request *request)
{
    if (request->finished)
        return errno = EPIPE, NULL;
    struct iostream *stream = httprequest_detach(request->http);
    if (stream == NULL)
        return NULL;
    request->http = NULL;
    request->finished = true;
    (void)weblayer_end(request);
    return stream;
}
