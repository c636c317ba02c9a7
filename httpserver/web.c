/* The life of a request: what of its handler is called, in which order, and how it ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"

/* The end. A request is released when the program has finished it, the answer has been given to the server, and none of
 * the program's functions runs for it or is still to be called. */

/* One that is answered, and in no function of the program. */
static inline bool is_done(const struct web_request *request)
{
    return request->flushes == 0 && !looptask_waits(&request->task);
}

void weblayer_enter(struct web_request *request)
{
    request->entered++;
}

/* Requests that wait for the program. Most never do; for the others there is a deadline, which starts again whenever
 * something of the program has run for them. */

static bool is_with_program(const struct web_request *request)
{
    return !request->finished && (request->paused || request->body_through);
}

static void finish_is_overdue(struct deadline *deadline);

/* Without memory for a deadline there is none. Most requests do not wait for as long: so it is not cleared when they
 * are finished, and mostly it only starts again here. */
static __attribute__((noinline)) void wait_for_program(struct web_request *request)
{
    struct web_application *app = request->app;
    double own = request->handler->finish_timeout, seconds = own != 0 ? own : app->settings.finish_timeout;

    if (request->is_overdue || app->without_loop)
        return;
    request->sent_before = request->http->body_sent;
    if (request->deadline.link != NULL && request->finish_timeout == seconds) {
        deadline_touch(&request->deadline, deadline_now(app->loop));
        return;
    }
    request->finish_timeout = seconds;
    (void)deadline_set(app->loop, &request->deadline, seconds, finish_is_overdue);
}

/* Who has been forgotten is given up: what comes of that is what comes when a client leaves. */
static void give_client_up(struct web_request *request)
{
    const char *pattern = request->route->pattern;
    char why[160];

    request->is_overdue = true;
    snprintf(why, sizeof why, "not finished in time by the handler of %s", pattern != NULL ? pattern : "no pattern");
    weblayer_log(request, 503, why);
    if (!httprequest_left(request->http))
        http1connection_give_up(request->http, 503, "not finished in time");
}

/* While something goes to the client, or waits for it to read, it is not the program that is late. */
static bool is_sending(const struct web_request *request)
{
    const struct httprequest *http = request->http;

    return http->body_sent != request->sent_before || (httprequest_pending(http) > 0 && !http->is_held);
}

static void finish_is_overdue(struct deadline *deadline)
{
    struct web_request *request = (struct web_request *)((char *)deadline - offsetof(struct web_request, deadline));

    if (!is_with_program(request))
        return;
    if (is_sending(request))
        wait_for_program(request);
    else
        give_client_up(request);
}

/* Nobody looks at the request behind this. No other function of the program runs for it, as none is called inside
 * another one but by weblayer_call. */
static inline void leave(struct web_request *request)
{
    request->entered--;
    if (!request->finished) {
        wait_for_program(request);
        return;
    }
    if (!request->answered)
        (void)weblayer_answer(request);
    if (is_done(request))
        weblayer_give(request);
}

void weblayer_leave(struct web_request *request)
{
    leave(request);
}

/* For what the program calls out of nowhere: it may look at the request until it returns to the loop. */
int weblayer_end(struct web_request *request)
{
    struct web_application *app = request->app;

    if (request->entered > 0 || request->answered)
        return 0;
    int error = weblayer_answer(request);
    if (!app->without_loop)
        looptask_add(app->loop, &request->task);
    else if (is_done(request))
        weblayer_give(request);
    return error;
}

void weblayer_call(struct web_request *request, web_fn *function)
{
    if (function == NULL)
        return;
    request->entered++;
    function(request);
    request->entered--;
    if (request->finished)
        (void)weblayer_end(request);
}

/* The way of a request. */

/* To a server that has not told of the head the body is one piece. */
static void hand_over_body(struct web_request *request)
{
    size_t length;
    const void *body = httprequest_body(request->http, &length);

    request->streams = true;
    if (length > 0)
        request->handler->data_received(request, body, length);
}

/* A function of the program runs for it, and will return to the loop: what it finishes is answered then. */
static inline void call_method(struct web_request *request)
{
    request->method_began = true;
    request->method(request);
    if (!request->asynchronous && !request->handler->asynchronous)
        request->finished = true;
}

static void go_on(struct web_request *request)
{
    if (request->finished || request->paused || request->method_began || !request->body_through)
        return;
    if (request->method == NULL) {
        weblayer_refuse_method(request);
        return;
    }
    if (request->handler->data_received != NULL && !request->streams) {
        hand_over_body(request);
        if (request->finished || request->paused)
            return;
    }
    call_method(request);
}

void weblayer_run_task(struct looptask *task)
{
    struct web_request *request = (struct web_request *)((char *)task - offsetof(struct web_request, task));

    weblayer_enter(request);
    go_on(request);
    weblayer_leave(request);
}

static web_fn *find_other_method(const struct web_handler *handler, const char *name)
{
    const struct web_method *method = handler->others;

    while (method != NULL && method->name != NULL && strcmp(method->name, name) != 0 && strcmp(method->name, "*") != 0)
        method++;
    return method != NULL ? method->function : NULL;
}

static web_fn *find_usual_method(const struct web_handler *handler, enum http1parser_method method)
{
    switch (method) {
    case HTTP1PARSER_GET:
        return handler->get;
    case HTTP1PARSER_HEAD:
        return handler->head;
    case HTTP1PARSER_POST:
        return handler->post;
    case HTTP1PARSER_PUT:
        return handler->put;
    case HTTP1PARSER_DELETE:
        return handler->delete_;
    case HTTP1PARSER_PATCH:
        return handler->patch;
    case HTTP1PARSER_OPTIONS:
        return handler->options;
    default:
        return NULL;
    }
}

static inline void find_method(struct web_request *request)
{
    const struct web_handler *handler = request->handler;
    enum http1parser_method method = request->http->head.method_code;

    request->is_get = method == HTTP1PARSER_GET;
    request->is_head = method == HTTP1PARSER_HEAD;
    request->method = request->is_get ? handler->get : find_usual_method(handler, method);
    if (request->method == NULL && handler->others != NULL)
        request->method = find_other_method(handler, httprequest_method(request->http));
}

static int clear_state(struct web_request *request, size_t size)
{
    if (weblayer_reserve(&request->state, size) < 0)
        return -ENOMEM;
    memset(request->state.bytes, 0, size);
    return 0;
}

/* A request and what serves it. NULL: no memory. */
static inline struct web_request *begin_request(struct web_application *app, struct httprequest *http)
{
    struct web_request *request = weblayer_take(app);

    if (request == NULL)
        return NULL;
    request->http = http;
    if (weblayer_find_route(request) < 0 ||
        (request->handler->size > 0 && clear_state(request, request->handler->size) < 0)) {
        weblayer_give(request);
        return NULL;
    }
    return request;
}

/* Most requests for pages: nothing comes before the method. */
static inline bool is_ready(const struct web_request *request)
{
    const struct web_handler *handler = request->handler;

    return request->is_get && request->method != NULL && request->refused == 0 && !request->http->has_body &&
           handler->initialize == NULL && handler->set_default_headers == NULL && handler->prepare == NULL &&
           handler->data_received == NULL;
}

/* What comes before the body in any case. */
static inline void begin_handler(struct web_request *request)
{
    const struct web_handler *handler = request->handler;

    if (handler->initialize != NULL)
        handler->initialize(request);
    if (!request->finished && handler->set_default_headers != NULL)
        handler->set_default_headers(request);
    if (!request->finished && request->refused != 0)
        web_send_error(request, request->refused);
}

/* Everything before the method, of which there may be none: a handler may answer all of them in prepare. */
static void prepare(struct web_request *request)
{
    const struct web_handler *handler = request->handler;

    begin_handler(request);
    if (!request->finished && request->http->has_body && !handler->lazy_form && handler->data_received == NULL)
        weblayer_parse_body(request);
    if (!request->finished)
        weblayer_check_xsrf(request);
    if (!request->finished && handler->prepare != NULL)
        handler->prepare(request);
}

/* The client has left. While its body came, its request ends with this; later it is the program that ends it. Who only
 * stopped sending is told of in the same way, and would take what is finished here for a whole answer. */
static void client_has_left(struct httprequest *http, void *arg)
{
    struct web_request *request = arg;
    bool ends = !request->body_through; /* with the close callback */

    weblayer_enter(request);
    request->left = ends;
    if (!request->finished && request->handler->on_connection_close != NULL) {
        request->handler->on_connection_close(request);
        request->given_up = request->finished;
    } else if (!request->finished && !ends && !request->is_overdue) {
        weblayer_log(request, 0, "the client has left before it was answered");
    }
    if (ends)
        request->finished = request->given_up = true;
    weblayer_leave(request);
}

void web_asynchronous(struct web_request *request)
{
    if (request->finished || request->asynchronous)
        return;
    request->asynchronous = true;
    httprequest_set_close_callback(request->http, client_has_left, request);
}

/* The body of a handler that has it in pieces. */

static void data_has_come(struct httprequest *http, const void *data, size_t length, void *arg)
{
    struct web_request *request = arg;

    weblayer_enter(request);
    if (!request->finished)
        request->handler->data_received(request, data, length);
    weblayer_leave(request);
}

static bool is_fallback(const struct web_request *request)
{
    return request->handler == &web_fallback_handler;
}

static void use_limits(struct httprequest *http, const struct web_handler *handler)
{
    if (handler->max_body != 0)
        httprequest_set_max_body(http, handler->max_body);
    if (handler->body_timeout > 0)
        httprequest_set_body_timeout(http, handler->body_timeout);
}

static void begin_streaming(struct web_request *request)
{
    struct httprequest *http = request->http;

    request->streams = true;
    http->layer = request;
    httprequest_set_close_callback(http, client_has_left, request);
    httprequest_stream_body(http, data_has_come, request);
    weblayer_enter(request);
    find_method(request);
    prepare(request);
    if (!request->finished && !request->paused && request->method == NULL)
        weblayer_refuse_method(request); /* its body need not come */
    weblayer_leave(request);
}

/* RFC 9110 10.1.1: who waits to be asked for the body is not asked where the head alone is enough to refuse it. A
 * handler's own prepare may answer what it has no method for, and may want the body for that. */

static bool is_refused_by_head(struct web_request *request)
{
    const struct web_handler *handler = request->handler;

    if (!request->http->head.expect_continue || is_fallback(request))
        return false;
    find_method(request);
    return request->refused != 0 || handler == &web_error_handler ||
           (request->method == NULL && handler->prepare == NULL);
}

static void refuse_by_head(struct web_request *request)
{
    weblayer_enter(request);
    begin_handler(request);
    if (request->handler == &web_error_handler)
        web_error_handler.prepare(request);
    else
        weblayer_refuse_method(request); /* unless it is finished */
    weblayer_leave(request);
}

/* Without memory it is as if there was no such handler, until the body is there: then there may be some. */
void web_application_serve_head(struct httprequest *http, void *arg)
{
    struct web_application *app = arg;
    bool looks_at_head = app->looks_at_heads || http->head.expect_continue;
    struct web_request *request = looks_at_head ? begin_request(app, http) : NULL;

    if (request == NULL)
        return;
    use_limits(http, request->handler);
    if (request->handler->data_received != NULL) {
        begin_streaming(request);
        return;
    }
    if (is_refused_by_head(request)) {
        refuse_by_head(request);
        return;
    }
    const struct web_fallback *fallback = is_fallback(request) ? request->route->arg : NULL;
    weblayer_give(request);
    if (fallback != NULL && fallback->function == web_application_serve)
        web_application_serve_head(http, fallback->arg);
}

/* A request that is there whole. */

static inline void serve_whole(struct web_request *request)
{
    request->body_through = true;
    if (request->handler->asynchronous || request->handler->on_connection_close != NULL)
        httprequest_set_close_callback(request->http, client_has_left, request);
    weblayer_enter(request);
    find_method(request);
    if (is_ready(request)) {
        call_method(request);
    } else {
        prepare(request);
        go_on(request);
    }
    leave(request);
}

static void serve_streamed(struct web_request *request)
{
    request->body_through = true;
    weblayer_enter(request);
    go_on(request);
    weblayer_leave(request);
}

void web_application_serve(struct httprequest *http, void *arg)
{
    struct web_application *app = arg;
    struct web_request *request = http->layer;

    if (request != NULL) {
        serve_streamed(request);
        return;
    }
    request = begin_request(app, http);
    if (request == NULL) {
        (void)httprequest_reply(http, 503, "text/plain", "503: Service Unavailable\n", 25);
    } else if (is_fallback(request)) {
        const struct web_fallback *fallback = request->route->arg;

        weblayer_give(request);
        fallback->function(http, fallback->arg);
    } else {
        serve_whole(request);
    }
}

/* A pause holds what comes next: pieces of the body, or the method. */

void web_pause(struct web_request *request)
{
    if (request->paused || request->finished || request->method_began)
        return;
    request->paused = true;
    if (!request->body_through)
        httprequest_pause(request->http);
}

void web_resume(struct web_request *request)
{
    if (!request->paused)
        return;
    request->paused = false;
    if (!request->body_through && !request->finished)
        httprequest_resume(request->http);
    if (request->app->without_loop)
        (void)web_finish(request); /* nothing else will happen any more */
    else if (request->body_through)
        looptask_add(request->app->loop, &request->task);
}

/* What belongs to a request. */

struct httprequest *web_http(const struct web_request *request)
{
    return request->http;
}

struct web_application *web_get_application(const struct web_request *request)
{
    return request->app;
}

const void *web_route_arg(const struct web_request *request)
{
    return request->route->arg;
}

void *web_state(const struct web_request *request)
{
    return request->handler->size > 0 ? request->state.bytes : NULL;
}

void web_set_arg(struct web_request *request, void *arg)
{
    request->arg = arg;
}

void *web_arg(const struct web_request *request)
{
    return request->arg;
}

bool web_finished(const struct web_request *request)
{
    return request->finished;
}

int weblayer_grow(struct weblayer_buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 4 - buffer->length)
        return -ENOMEM;
    size_t capacity = buffer->capacity < 512 ? 512 : buffer->capacity;
    while (capacity - buffer->length < more)
        capacity *= 2;
    char *bytes = iobudget_resize(buffer->bytes, capacity);
    if (bytes == NULL)
        return -ENOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

char *weblayer_new_text(struct web_request *request, size_t length)
{
    struct weblayer_text *text = ioalloc(sizeof *text + length + 1);

    if (text == NULL) {
        request->failed = -ENOMEM;
        return NULL;
    }
    text->next = request->texts;
    request->texts = text;
    return text->text;
}
