#include "httpclient/httpfetch.h"

#include <errno.h>
#include <string.h>

#include "httpclient/httpredirect.h"
#include "httpserver/httpheaderslayer.h"
#include "httpserver/httpstatus.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"

#define NEAR      INT64_C(1000000000) /* what is nearer than this is waited for exactly */
#define MOST_KEPT 65536u              /* bytes of a room that a spare fetch keeps */

/* Memory. */

bool httpfetch_make_room(struct httpfetch_room *room, size_t size)
{
    if (size <= room->capacity)
        return true;
    char *bytes = ioalloc_resize(room->bytes, size);
    if (bytes == NULL)
        return false;
    room->bytes = bytes;
    room->capacity = size;
    return true;
}

/* Whoever has it from here on, it is not held for a peer. */
static void stop_counting(struct httpfetch_room *room)
{
    if (room->counted > 0)
        (void)iobudget_count(room->counted, 0);
    room->counted = 0;
}

static void free_room(struct httpfetch_room *room)
{
    stop_counting(room);
    ioalloc_free(room->bytes);
    *room = (struct httpfetch_room){ .bytes = NULL };
}

static void empty_room(struct httpfetch_room *room)
{
    room->length = 0;
    if (room->capacity > MOST_KEPT)
        free_room(room);
}

static void tell_fetch_ended(struct looptask *task);

struct httpfetch *httpfetch_new(struct httpclient *client)
{
    struct httpfetch *fetch = ioalloc_zeroed(sizeof *fetch);

    if (fetch == NULL)
        return NULL;
    fetch->client = client;
    fetch->task.run = tell_fetch_ended;
    fetch->resume_task.run = http1exchange_go_on;
    fetch->upload_task.run = httpupload_call_producer;
    fetch->watched = fetch->timer_at = HTTPFETCH_NEVER;
    httppool_ring_clear(&fetch->place);
    return fetch;
}

static void free_fetch_request(struct httpfetch *fetch)
{
    httpupload_release_body(fetch->body);
    ioalloc_free(fetch->authorization);
    ioalloc_free(fetch->proxy_authorization);
    ioalloc_free(fetch->redirected);
}

void httpfetch_clear(struct httpfetch *fetch)
{
    free_fetch_request(fetch);
    httpdownload_release_inflate(fetch);
    memset(fetch, 0, offsetof(struct httpfetch, client));
    fetch->timer_at = HTTPFETCH_NEVER;
    httpheaderslayer_clear(&fetch->headers);
    httpheaderslayer_clear(&fetch->response_headers);
    httpheaderslayer_clear(&fetch->trailers);
    empty_room(&fetch->texts);
    empty_room(&fetch->head);
    stop_counting(&fetch->body_in);
    empty_room(&fetch->body_in);
    empty_room(&fetch->reason);
    empty_room(&fetch->lines);
}

/* Nothing of the loop leads to it any more. */
static void leave_loop(struct httpfetch *fetch)
{
    deadline_clear(&fetch->deadline);
    looptask_remove(fetch->client->loop, &fetch->resume_task);
    looptask_remove(fetch->client->loop, &fetch->upload_task);
}

void httpfetch_take(struct httpfetch *fetch)
{
    leave_loop(fetch);
    fetch->is_taken = true;
    httpupload_release_body(fetch->body);
    fetch->body = NULL;
    httpdownload_release_inflate(fetch);
}

void httpfetch_free(struct httpfetch *fetch)
{
    if (!fetch->is_taken) {
        leave_loop(fetch);
        httpdownload_release_inflate(fetch);
    }
    free_fetch_request(fetch);
    httpheaders_free(&fetch->headers);
    httpheaders_free(&fetch->response_headers);
    httpheaders_free(&fetch->trailers);
    free_room(&fetch->texts);
    free_room(&fetch->head);
    free_room(&fetch->body_in);
    free_room(&fetch->reason);
    free_room(&fetch->lines);
    ioalloc_free(fetch);
}

/* Timeouts. */

static int64_t later_time(int64_t from, int64_t timeout)
{
    int64_t when;

    return timeout == HTTPFETCH_NEVER || __builtin_add_overflow(from, timeout, &when) ? HTTPFETCH_NEVER : when;
}

static int64_t earlier_time(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* It waits for the program, and not for the server. */
static bool waits_for_program(const struct httpfetch *fetch)
{
    return fetch->is_paused || httpupload_waits_for_program(fetch);
}

/* When the next of the timeouts is over that count now. */
static int64_t next_due(const struct httpfetch *fetch)
{
    int64_t due = later_time(fetch->began, fetch->total_timeout);

    if (fetch->phase == HTTPCLIENT_QUEUE)
        return earlier_time(due, later_time(fetch->queued, fetch->queue_timeout));
    due = earlier_time(due, later_time(fetch->started, fetch->request_timeout));
    if (fetch->phase <= HTTPCLIENT_CONNECT)
        return earlier_time(due, later_time(fetch->started, fetch->connect_timeout));
    return waits_for_program(fetch) ? due : earlier_time(due, later_time(fetch->progress, fetch->idle_timeout));
}

static const char *timeout_text(enum httpclient_phase phase)
{
    switch (phase) {
    case HTTPCLIENT_QUEUE:
        return "timeout in request queue";
    case HTTPCLIENT_RESOLVE:
        return "timeout while resolving";
    case HTTPCLIENT_CONNECT:
        return "timeout while connecting";
    case HTTPCLIENT_SEND:
        return "timeout while sending";
    default:
        return "timeout during request";
    }
}

/* Looks what time it is. */
static void look_at_time(struct httpfetch *fetch)
{
    int64_t now = httpfetch_now(fetch);

    if (fetch->id == 0 || fetch->is_over)
        return;
    httpupload_note_progress(fetch, now);
    if (next_due(fetch) <= now)
        httpfetch_fail(fetch, -ETIMEDOUT, timeout_text(httpfetch_phase(fetch)));
    else
        httpfetch_watch(fetch);
}

static void fetch_deadline_passed(struct deadline *deadline)
{
    struct httpfetch *fetch = HTTPPOOL_OWNER(deadline, struct httpfetch, deadline);

    fetch->watched = HTTPFETCH_NEVER;
    look_at_time(fetch);
}

static void fetch_timer_passed(void *arg)
{
    struct httpfetch *fetch = arg;

    fetch->timer = 0;
    fetch->timer_at = HTTPFETCH_NEVER;
    look_at_time(fetch);
}

static int watch_exactly(struct httpfetch *fetch, int64_t due)
{
    struct ioloop *loop = fetch->client->loop;
    uint64_t timer = ioloop_call_at(loop, (double)due / 1e9, fetch_timer_passed, fetch);

    if (timer == 0)
        return -errno;
    ioloop_remove_timeout(loop, fetch->timer);
    fetch->timer = timer;
    fetch->timer_at = due;
    return 0;
}

static int watch_coarsely(struct httpfetch *fetch, int64_t due, int64_t now)
{
    int error = deadline_set(fetch->client->loop, &fetch->deadline, (double)(due - now) / 1e9, fetch_deadline_passed);

    fetch->watched = error < 0 ? HTTPFETCH_NEVER : due;
    return error;
}

void httpfetch_watch(struct httpfetch *fetch)
{
    int64_t due = next_due(fetch);
    int64_t now = httpfetch_now(fetch);

    if (due >= fetch->watched || due >= fetch->timer_at)
        return;
    int error = due - now < NEAR ? watch_exactly(fetch, due) : watch_coarsely(fetch, due, now);
    if (error < 0)
        httpfetch_fail(fetch, error, NULL);
}

/* The end. */

static double seconds_between(int64_t from, int64_t to)
{
    return from != 0 && to > from ? (double)(to - from) / 1e9 : 0;
}

static void set_times(struct httpfetch *fetch, int64_t now)
{
    struct httpclient_response *response = &fetch->response;

    if (fetch->phase == HTTPCLIENT_QUEUE)
        fetch->in_queues += now - fetch->queued;
    response->request_time = (double)(now - fetch->began - fetch->in_queues) / 1e9;
    response->time_info.queue = seconds_between(fetch->queued, fetch->started != 0 ? fetch->started : now);
    response->time_info.connect = seconds_between(fetch->started, fetch->connected);
    response->time_info.send = seconds_between(fetch->connected, fetch->sent);
    response->time_info.head = seconds_between(fetch->sent, fetch->answered);
    response->time_info.body = seconds_between(fetch->answered, now);
}

static inline __attribute__((always_inline)) void set_response(struct httpfetch *fetch)
{
    struct httpclient_response *response = &fetch->response;
    bool has_body = response->error == 0 || response->error == -ENOMSG;

    set_times(fetch, httpfetch_now(fetch));
    response->headers = &fetch->response_headers;
    response->trailers = &fetch->trailers;
    response->reason = fetch->has_head ? fetch->reason.bytes : NULL;
    response->effective_url = fetch->url_text;
    response->redirects = fetch->redirects;
    response->length = has_body ? fetch->body_in.length : 0;
    response->body = "";
    if (response->length > 0) {
        fetch->body_in.bytes[response->length] = '\0';
        response->body = fetch->body_in.bytes;
    }
}

void httpfetch_tell_head(struct httpfetch *fetch)
{
    fetch->owes_head = false;
    set_response(fetch);
    fetch->response.phase = fetch->phase;
    fetch->on_head(&fetch->response, fetch->callback_arg);
}

/* The way into on_response, and the end of the fetch. */
static void tell_response(struct httpfetch *fetch)
{
    struct httpclient *client = fetch->client;

    set_response(fetch);
    if (fetch->on_upgrade != NULL)
        fetch->on_upgrade(&fetch->response, fetch->upgraded, fetch->arg);
    else
        fetch->on_response(&fetch->response, fetch->arg);
    httpclient_give_fetch(fetch);
    httpclient_end_if_done(client);
}

static void tell_fetch_ended(struct looptask *task)
{
    tell_response(HTTPPOOL_OWNER(task, struct httpfetch, task));
}

/* From here on it has nothing to do with anybody but its program. */
static void leave_all(struct httpfetch *fetch)
{
    struct httppool *pool = &fetch->client->pool;
    struct ioloop *loop = fetch->client->loop;

    httppool_leave_queue(pool, fetch);
    if (fetch->timer != 0)
        ioloop_remove_timeout(loop, fetch->timer);
    httpupload_stop(fetch);
    if (fetch->connection != NULL)
        httppool_drop(fetch->connection);
    if (fetch->origin != NULL)
        httppool_leave_origin(pool, fetch->origin);
    fetch->origin = NULL;
}

char *httpfetch_put_status(char *place, int status)
{
    *place++ = (char)('0' + status / 100 % 10);
    *place++ = (char)('0' + status / 10 % 10);
    *place++ = (char)('0' + status % 10);
    *place = '\0';
    return place;
}

enum httpclient_phase httpfetch_phase(const struct httpfetch *fetch)
{
    return fetch->phase == HTTPCLIENT_SEND && httpupload_is_sent(fetch) ? HTTPCLIENT_HEAD : fetch->phase;
}

void httpfetch_fail(struct httpfetch *fetch, int error, const char *detail)
{
    if (fetch->is_over)
        return;
    fetch->is_over = true;
    fetch->response.error = error;
    fetch->response.phase = httpfetch_phase(fetch);
    fetch->response.detail = detail != NULL ? detail : ioloop_strerror(error);
    leave_all(fetch);
    looptask_add(fetch->client->loop, &fetch->task);
}

/* Hops. */

static void clear_hop(struct httpfetch *fetch)
{
    fetch->phase = HTTPCLIENT_QUEUE;
    fetch->queued = httpfetch_now(fetch);
    fetch->started = fetch->connected = fetch->sent = fetch->answered = 0;
    fetch->has_received = fetch->is_unsent = fetch->is_redirect = fetch->has_head = false;
    fetch->scan = (struct http1parser_scan){ 0 };
    fetch->interims = 0;
}

static int begin_hop(struct httpfetch *fetch)
{
    struct httppool *pool = &fetch->client->pool;

    clear_hop(fetch);
    int error = httpfetch_format_head(fetch);
    if (error < 0)
        return error;
    fetch->origin = httppool_hold_origin(pool, &fetch->key);
    if (fetch->origin == NULL)
        return -ENOMEM;
    httppool_ask(pool, fetch, false);
    if (fetch->is_queued)
        httpfetch_watch(fetch);
    return 0;
}

int httpfetch_begin(struct httpfetch *fetch)
{
    fetch->began = httpfetch_now(fetch);
    if (!httppool_has_room(&fetch->client->pool))
        return -EAGAIN;
    return begin_hop(fetch);
}

void httpfetch_retry(struct httpfetch *fetch)
{
    struct httppool *pool = &fetch->client->pool;

    httpupload_stop(fetch);
    fetch->is_fresh = true;
    if (fetch->connection != NULL) {
        fetch->connection->fetch = NULL;
        httppool_drop(fetch->connection);
        fetch->connection = NULL;
    }
    clear_hop(fetch);
    httppool_ask(pool, fetch, true);
    if (fetch->is_queued)
        httpfetch_watch(fetch);
}

static void forget_request_body(struct httpfetch *fetch)
{
    httpupload_release_body(fetch->body);
    fetch->body = NULL;
    fetch->producer = NULL;
    fetch->expects_100 = false;
}

static void forget_credentials(struct httpfetch *fetch)
{
    ioalloc_free(fetch->authorization);
    fetch->authorization = NULL;
    for (const char *name = fetch->private_headers; *name != '\0'; name += strlen(name) + 1)
        httpheaders_remove(&fetch->headers, name);
}

/* The same place once more is no other. */
static bool has_other_location(const struct httpheaders *headers, const char *location)
{
    const char *other = location;

    while (other != NULL && strcmp(other, location) == 0)
        other = httpheaders_get_next(headers, "Location", other);
    return other != NULL;
}

/* Takes over what the redirect says. The method may be the one that was there. */
static int apply_redirect(struct httpfetch *fetch, const struct httpredirect *redirect, const char **detail)
{
    if (fetch->producer != NULL && !redirect->drops_body && fetch->upload.is_called) {
        ioalloc_free(redirect->url);
        *detail = "it redirects, and the body cannot be produced once more";
        return -ENOTSUP;
    }
    ioalloc_free(fetch->redirected);
    fetch->redirected = redirect->url;
    fetch->method = redirect->method;
    httpredirect_strip(redirect, &fetch->headers);
    if (redirect->drops_body)
        forget_request_body(fetch);
    if (redirect->drops_credentials)
        forget_credentials(fetch);
    int error = httpfetch_set_url(fetch, fetch->redirected, strlen(fetch->redirected));
    if (error == -EPROTONOSUPPORT)
        *detail = "it redirects to https, which needs options.tls";
    return error;
}

/* Where it leads, and with what. *detail: of an error, if there is more to say. */
static int take_redirect(struct httpfetch *fetch, const char **detail)
{
    const char *location = httpheaders_get(&fetch->response_headers, "Location");
    struct httpredirect redirect;

    if (has_other_location(&fetch->response_headers, location)) {
        *detail = "it redirects to two places";
        return -EPROTO;
    }
    int error = httpredirect_follow(fetch->url_text, fetch->method, fetch->response.code, location, &redirect);
    if (error == -EPROTONOSUPPORT)
        *detail = "it redirects out of http, or from https to what is not";
    if (error == 0)
        error = apply_redirect(fetch, &redirect, detail);
    if (error != -EINVAL)
        return error;
    *detail = "it redirects to what is no URL";
    return -EPROTO;
}

static int follow_redirect(struct httpfetch *fetch, const char **detail)
{
    int error = take_redirect(fetch, detail);

    if (error < 0)
        return error;
    if (fetch->is_over) /* the program was given its body back, and has cancelled */
        return 0;
    fetch->redirects++;
    fetch->is_fresh = false;
    fetch->response.code = 0;
    httpheaders_clear(&fetch->response_headers);
    httpheaders_clear(&fetch->trailers);
    memset(&fetch->upload, 0, sizeof fetch->upload);
    return begin_hop(fetch);
}

/* "HTTP 404: Not Found", as in Tornado; but the reason is not the server's, which may be anything. */
static const char *describe_status(struct httpfetch *fetch)
{
    const char *reason = httpstatus_reason(fetch->response.code);
    char *place = stpcpy(fetch->detail, "HTTP ");

    place = httpfetch_put_status(place, fetch->response.code);
    if (reason != NULL && strlen(reason) < sizeof fetch->detail - sizeof "HTTP 000: ")
        stpcpy(stpcpy(place, ": "), reason);
    return fetch->detail;
}

void httpfetch_finish(struct httpfetch *fetch)
{
    struct httpclient_response *response = &fetch->response;

    httpupload_stop(fetch);
    httppool_leave_origin(&fetch->client->pool, fetch->origin);
    fetch->origin = NULL;
    if (fetch->is_redirect) {
        const char *detail = NULL;
        int error = follow_redirect(fetch, &detail);
        if (error < 0)
            httpfetch_fail(fetch, error, detail);
        return;
    }
    fetch->phase = response->phase = HTTPCLIENT_DONE;
    if (fetch->raises && (response->code < 200 || response->code > 299) && fetch->upgraded == NULL) {
        response->error = -ENOMSG;
        response->detail = describe_status(fetch);
    }
    fetch->is_over = true;
    leave_all(fetch);
    tell_response(fetch);
}

/* The program's side. */

static struct httpfetch *fetch_of(const struct httpclient_response *response)
{
    return HTTPPOOL_OWNER(response, struct httpfetch, response);
}

char *httpclient_take_body(struct httpclient_response *response, size_t *length)
{
    struct httpfetch *fetch = fetch_of(response);
    char *body = response->length > 0 ? fetch->body_in.bytes : NULL;

    *length = response->length;
    if (body != NULL) {
        stop_counting(&fetch->body_in);
        fetch->body_in = (struct httpfetch_room){ .bytes = NULL };
    }
    response->body = "";
    response->length = 0;
    return body;
}

uint64_t httpclient_response_id(const struct httpclient_response *response)
{
    return fetch_of(response)->id;
}
