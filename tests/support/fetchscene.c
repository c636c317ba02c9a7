#include "tests/support/fetchscene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "httpserver/httpserver.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static void append(struct fetchscene_text *text, const void *bytes, size_t length)
{
    if (text->length + length >= text->capacity) {
        text->capacity = 2 * (text->length + length) + 1;
        text->bytes = realloc(text->bytes, text->capacity);
        assert_non_null(text->bytes);
    }
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void copy_text(char *place, size_t size, const char *text)
{
    size_t length = strlen(text);

    length = length < size ? length : size - 1;
    memcpy(place, text, length);
    place[length] = '\0';
}

/* Responses. */

static void note_headers(struct fetchscene_text *text, const struct httpheaders *headers)
{
    const char *name, *value;

    assert_non_null(headers);
    append(text, "", 0);
    for (size_t i = 0; httpheaders_at(headers, i, &name, &value); i++) {
        append(text, name, strlen(name));
        append(text, ": ", 2);
        append(text, value, strlen(value));
        append(text, "\n", 1);
    }
}

/* What holds of each, whatever the server did. */
static void check_response(const struct httpclient_response *response)
{
    assert_true(response->error <= 0);
    assert_true((response->error < 0) == (response->detail != NULL));
    assert_non_null(response->effective_url);
    const char *authority = strstr(response->effective_url, "://");
    assert_non_null(authority);
    authority += 3;
    assert_null(memchr(authority, '@', strcspn(authority, "/")));
    assert_non_null(response->body);
    assert_int_equal(response->body[response->length], '\0');
    assert_true(response->request_time >= 0);
    assert_true(response->time_info.queue >= 0 && response->time_info.connect >= 0);
    assert_true(response->time_info.send >= 0 && response->time_info.head >= 0 && response->time_info.body >= 0);
    assert_true(response->redirects >= 0);
    if (response->error == 0) {
        assert_int_equal(response->phase, HTTPCLIENT_DONE);
        assert_in_range(response->code, 200, 999);
    }
    assert_true((response->code != 0) == (response->reason != NULL));
}

static void note_response(struct httpclient_response *response, void *arg)
{
    struct fetchscene_fetch *fetch = arg;

    assert_false(fetch->scene->in_call);
    assert_false(fetch->may_be_lost);
    check_response(response);
    fetch->calls++;
    assert_int_equal(fetch->calls, 1);
    assert_true(httpclient_response_id(response) == fetch->id);
    fetch->place = ++fetch->scene->answered;
    fetch->error = response->error;
    fetch->phase = response->phase;
    fetch->code = response->code;
    fetch->redirects = response->redirects;
    fetch->is_reused = response->is_reused;
    fetch->request_time = response->request_time;
    fetch->queue_time = response->time_info.queue;
    fetch->head_time = response->time_info.head;
    fetch->body_time = response->time_info.body;
    copy_text(fetch->reason, sizeof fetch->reason, response->reason != NULL ? response->reason : "");
    copy_text(fetch->detail, sizeof fetch->detail, response->detail != NULL ? response->detail : "");
    copy_text(fetch->url, sizeof fetch->url, response->effective_url);
    note_headers(&fetch->headers, response->headers);
    note_headers(&fetch->trailers, response->trailers);
    append(&fetch->body, response->body, response->length);
    if (fetch->on_response != NULL)
        fetch->on_response(fetch, response);
}

void fetchscene_on_data(const void *data, size_t length, void *arg)
{
    struct fetchscene_fetch *fetch = arg;

    assert_false(fetch->scene->in_call);
    assert_int_equal(fetch->calls, 0);
    assert_true(length > 0);
    append(&fetch->body, data, length);
    fetch->pieces++;
    if (fetch->on_data != NULL)
        fetch->on_data(fetch);
}

void fetchscene_on_line(const char *line, size_t length, void *arg)
{
    struct fetchscene_fetch *fetch = arg;

    assert_false(fetch->scene->in_call);
    assert_int_equal(fetch->calls, 0);
    assert_true(length >= 2 && memcmp(line + length - 2, "\r\n", 2) == 0);
    assert_null(memchr(line, '\n', length - 1));
    append(&fetch->lines, line, length);
    if (fetch->on_line != NULL)
        fetch->on_line(fetch);
}

/* Fetches. */

static struct fetchscene_fetch *add_fetch(struct fetchscene *scene)
{
    struct fetchscene_fetch *fetch = calloc(1, sizeof *fetch);

    scene->fetches = realloc(scene->fetches, (scene->count + 1) * sizeof(void *));
    assert_true(fetch != NULL && scene->fetches != NULL);
    fetch->scene = scene;
    append(&fetch->body, "", 0);
    append(&fetch->lines, "", 0);
    scene->fetches[scene->count++] = fetch;
    return fetch;
}

static void free_fetch(struct fetchscene_fetch *fetch)
{
    free(fetch->headers.bytes);
    free(fetch->trailers.bytes);
    free(fetch->body.bytes);
    free(fetch->lines.bytes);
    free(fetch);
}

void fetchscene_forget(struct fetchscene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        assert_int_equal(scene->fetches[i]->calls, scene->fetches[i]->may_be_lost ? 0 : 1);
        free_fetch(scene->fetches[i]);
    }
    free(scene->fetches);
    scene->fetches = NULL;
    scene->count = 0;
    scene->answered = 0;
}

struct fetchscene_fetch *fetchscene_try_with(struct fetchscene *scene, struct httpclient *client,
                                             struct httpclient_request request)
{
    struct fetchscene_fetch *fetch = add_fetch(scene);
    char url[4096];

    if (request.url != NULL && request.url[0] == '/' && request.url[1] != '/') {
        assert_true(snprintf(url, sizeof url, "%s%s", scene->base, request.url) < (int)sizeof url);
        request.url = url;
    }
    if (request.header_callback == fetchscene_on_line || request.streaming_callback == fetchscene_on_data)
        request.callback_arg = fetch;
    bool nested = scene->in_call;
    scene->in_call = true;
    errno = 0;
    fetch->id = httpclient_fetch(client, &request, note_response, fetch);
    int error = errno;
    scene->in_call = nested;
    memset(url, '#', sizeof url);
    fetch->may_be_lost = fetch->id == 0;
    errno = error;
    return fetch->id != 0 ? fetch : NULL;
}

struct fetchscene_fetch *fetchscene_try(struct fetchscene *scene, struct httpclient_request request)
{
    return fetchscene_try_with(scene, scene->client, request);
}

struct fetchscene_fetch *fetchscene_fetch(struct fetchscene *scene, struct httpclient_request request)
{
    struct fetchscene_fetch *fetch = fetchscene_try(scene, request);

    if (fetch == NULL)
        fail_msg("%s is refused: %s", request.url, strerror(errno));
    return fetch;
}

struct fetchscene_fetch *fetchscene_get(struct fetchscene *scene, const char *url)
{
    return fetchscene_fetch(scene, (struct httpclient_request){ .url = url });
}

/* The scene. */

static void note_close(struct httpclient *client, void *arg)
{
    struct fetchscene *scene = arg;

    scene->closed++;
    assert_int_equal(scene->closed, 1);
    httpclient_close(client); /* legal, and nothing, until this returns */
    errno = 0;
    assert_true(httpclient_fetch(client, &(struct httpclient_request){ .url = "http://a/" }, note_response, NULL) == 0);
    assert_int_equal(errno, EBADF);
    scene->client = NULL;
}

static int start_listening(int family, const void *address, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, length), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void listen_at(struct fetchscene *scene, int listener)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    scene->listeners[listener] = start_listening(AF_INET, &address, length);
    assert_int_equal(getsockname(scene->listeners[listener], (struct sockaddr *)&address, &length), 0);
    scene->ports[listener] = ntohs(address.sin_port);
}

static void listen_at_path(struct fetchscene *scene)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    static int number;

    snprintf(scene->path, sizeof scene->path, "@fetchscene_%d_%d", (int)getpid(), number++);
    memcpy(address.sun_path, scene->path, strlen(scene->path));
    address.sun_path[0] = '\0';
    scene->listeners[FETCHSCENE_UNIX] =
        start_listening(AF_UNIX, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(scene->path)));
}

void fetchscene_open_bare(struct fetchscene *scene)
{
    signal(SIGPIPE, SIG_IGN); /* of servers, which use write */
    testing_begin_logs();
    *scene = (struct fetchscene){ .clock = 100, .allocated = faults_allocated() };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    assert_non_null(scene->loop);
    listen_at(scene, FETCHSCENE_FIRST);
    listen_at(scene, FETCHSCENE_SECOND);
    listen_at_path(scene);
    snprintf(scene->base, sizeof scene->base, "http://127.0.0.1:%d", scene->ports[FETCHSCENE_FIRST]);
}

void fetchscene_open(struct fetchscene *scene, const struct httpclient_options *options)
{
    struct httpclient_options own = { 0 };

    fetchscene_open_bare(scene);
    if (options != NULL)
        own = *options;
    own.on_close = note_close;
    own.on_close_arg = scene;
    scene->client = httpclient_new(scene->loop, &own);
    assert_non_null(scene->client);
    assert_ptr_equal(httpclient_loop(scene->client), scene->loop);
}

static void handle_request(struct httprequest *request, void *arg)
{
    struct fetchscene *scene = arg;

    scene->requests++;
    scene->on_request(scene, request);
}

void fetchscene_start_server(struct fetchscene *scene,
                             void (*on_request)(struct fetchscene *scene, struct httprequest *request))
{
    struct netutil_bind_options address = { .address = "127.0.0.1" };

    scene->on_request = on_request;
    scene->server = httpserver_new(scene->loop, handle_request, scene, NULL);
    assert_non_null(scene->server);
    int port = httpserver_listen(scene->server, 0, &address);
    assert_true(port > 0);
    snprintf(scene->base, sizeof scene->base, "http://127.0.0.1:%d", port);
}

void fetchscene_close(struct fetchscene *scene)
{
    bool had_client = scene->client != NULL || scene->closed > 0;

    faults_end();
    if (scene->client != NULL)
        httpclient_close(scene->client);
    fetchscene_settle(scene);
    if (scene->server != NULL)
        httpserver_close(scene->server);
    ioloop_close(scene->loop, false);
    assert_int_equal(scene->closed, had_client);
    for (int i = 0; i < scene->peer_count; i++)
        fetchscene_hang_up(&scene->peers[i]);
    for (int i = 0; i < FETCHSCENE_LISTENERS; i++)
        close(scene->listeners[i]);
    fetchscene_forget(scene);
    assert_int_equal(faults_allocated(), scene->allocated);
}

void fetchscene_settle(struct fetchscene *scene)
{
    for (int quiet = 0, rounds = 0; quiet < 4 && rounds < FETCHSCENE_ROUNDS; rounds++) {
        int count = testing_step(scene->loop);
        assert_true(count >= 0);
        quiet = count == 0 ? quiet + 1 : 0;
    }
}

void fetchscene_pass(struct fetchscene *scene, double seconds)
{
    fetchscene_settle(scene);
    scene->clock += seconds;
    fetchscene_settle(scene);
}

/* The first turns do not wait: what is awaited often comes from a task of theirs, behind their own wait. */
void fetchscene_turn(struct fetchscene *scene, int round)
{
    testing_deliver();
    assert_true(ioloop_run_once(scene->loop, round < 8 ? 0 : 0.01) >= 0);
}

/* What came of it. */

const char *fetchscene_line(const char *text, const char *name)
{
    static char values[4][1024];
    static int next;
    size_t length = strlen(name);

    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 2;
        size_t size = strcspn(value, "\r\n");
        next = (next + 1) % 4;
        assert_true(size < sizeof values[0]);
        memcpy(values[next], value, size);
        values[next][size] = '\0';
        return values[next];
    }
    return NULL;
}

const char *fetchscene_header(const struct fetchscene_fetch *fetch, const char *name)
{
    return fetchscene_line(fetch->headers.bytes, name);
}

void fetchscene_wait(struct fetchscene *scene, struct fetchscene_fetch *fetch)
{
    for (int rounds = 0; fetch->calls == 0; rounds++) {
        if (rounds == FETCHSCENE_ROUNDS)
            fail_msg("%s", "the fetch is not answered");
        fetchscene_turn(scene, rounds);
    }
}

void fetchscene_expect(struct fetchscene *scene, struct fetchscene_fetch *fetch, int code, const char *body)
{
    fetchscene_wait(scene, fetch);
    if (fetch->error < 0)
        fail_msg("%s in phase %d: %s", ioloop_strerror(fetch->error), (int)fetch->phase, fetch->detail);
    assert_int_equal(fetch->code, code);
    assert_string_equal(fetch->body.bytes, body);
    assert_int_equal(fetch->body.length, strlen(body));
}

void fetchscene_expect_error(struct fetchscene *scene, struct fetchscene_fetch *fetch, int error, int phase)
{
    fetchscene_wait(scene, fetch);
    if (fetch->error != error || (phase != FETCHSCENE_ANY_PHASE && (int)fetch->phase != phase))
        fail_msg("%s in phase %d, not %s in %d: %s", ioloop_strerror(fetch->error), (int)fetch->phase,
                 ioloop_strerror(error), phase, fetch->detail);
}

void fetchscene_expect_waiting(struct fetchscene *scene, const struct fetchscene_fetch *fetch)
{
    fetchscene_settle(scene);
    if (fetch->calls != 0)
        fail_msg("answered with %d, %s: %s", fetch->code, ioloop_strerror(fetch->error), fetch->detail);
}

void fetchscene_expect_pool(struct fetchscene *scene, size_t connections, size_t kept, size_t waiting)
{
    fetchscene_settle(scene);
    assert_int_equal(httpclient_connections(scene->client), connections);
    assert_int_equal(httpclient_kept(scene->client), kept);
    assert_int_equal(httpclient_waiting(scene->client), waiting);
}
