#include "tests/support/httpscene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/wire.h"

#define ROUNDS 2000 /* of waiting for what has to come */

/* The server's side. */

static void answer_with_size(struct httprequest *request, size_t size)
{
    char *bytes = malloc(size + 1);

    assert_non_null(bytes);
    memset(bytes, 'x', size);
    (void)!httprequest_reply(request, 200, "text/plain", bytes, size);
    free(bytes);
}

void httpscene_answer(struct httprequest *request)
{
    const char *target = httprequest_target(request);
    size_t length;
    const char *body = httprequest_body(request, &length);

    if (strncmp(target, "/size/", 6) == 0) {
        answer_with_size(request, (size_t)atol(target + 6));
        return;
    }
    size_t size = strlen(httprequest_method(request)) + strlen(target) + length + 3;
    char *text = malloc(size);
    assert_non_null(text);
    int count = snprintf(text, size, "%s %s%s", httprequest_method(request), target, length > 0 ? " " : "");
    if (length > 0)
        memcpy(text + count, body, length);
    (void)!httprequest_reply(request, 200, "text/plain", text, (size_t)count + length);
    free(text);
}

static void request_left(struct httprequest *request, void *arg)
{
    struct httpscene *scene = arg;

    scene->left++;
    if (scene->on_left != NULL)
        scene->on_left(scene, request);
}

void httpscene_wait(struct httpscene *scene, struct httprequest *request)
{
    assert_true(scene->waiting_count < HTTPSCENE_WAITING);
    httprequest_set_close_callback(request, request_left, scene);
    scene->waiting[scene->waiting_count++] = request;
}

int httpscene_answer_next(struct httpscene *scene)
{
    assert_true(scene->waiting_count > 0);
    struct httprequest *request = scene->waiting[0];
    scene->waiting_count--;
    memmove(scene->waiting, scene->waiting + 1, (size_t)scene->waiting_count * sizeof *scene->waiting);
    return httprequest_reply(request, 200, "text/plain", "later", 5);
}

static void on_request(struct httprequest *request, void *arg)
{
    struct httpscene *scene = arg;

    scene->requests++;
    if (scene->on_request != NULL)
        scene->on_request(scene, request);
    else if (httprequest_path_is(request, "/later"))
        httpscene_wait(scene, request);
    else
        httpscene_answer(request);
}

static void count_answer(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
    struct httpscene *scene = arg;

    scene->logged++;
    scene->last_status = status;
}

static void server_closed(struct httpserver *server, void *arg)
{
    struct httpscene *scene = arg;

    scene->closed++;
    httpserver_close(server); /* legal, and nothing, until this returns */
    assert_int_equal(httpserver_listen(server, 0, NULL), -EBADF);
    assert_int_equal(httpserver_connections(server), 0);
    scene->server = NULL;
    if (scene->on_close != NULL)
        scene->on_close(scene);
}

void httpscene_open(struct httpscene *scene, const struct httpserver_options *options)
{
    struct httpserver_options own = { 0 };

    signal(SIGPIPE, SIG_IGN); /* of clients, which use write */
    testing_begin_logs();
    *scene = (struct httpscene){ .clock = 100, .allocated = faults_allocated() };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    assert_non_null(scene->loop);
    if (options != NULL)
        own = *options;
    own.on_close = server_closed;
    if (own.on_log == NULL)
        own.on_log = count_answer;
    scene->server = httpserver_new(scene->loop, on_request, scene, &own);
    assert_non_null(scene->server);
    scene->port = httpserver_listen(scene->server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene->port > 0);
    httpscene_listen_unix(scene, scene->server);
}

void httpscene_listen_unix(struct httpscene *scene, struct httpserver *server)
{
    static int number;

    snprintf(scene->path, sizeof scene->path, "@httpscene_%d_%d", (int)getpid(), number++);
    assert_int_equal(httpserver_listen_unix(server, scene->path, 0), 0);
}

void httpscene_close(struct httpscene *scene)
{
    faults_end();
    for (int i = 0; i < scene->client_count; i++)
        httpscene_hang_up(&scene->clients[i]);
    if (scene->loop != NULL)
        httpscene_settle(scene);
    if (scene->server != NULL)
        httpserver_close(scene->server);
    if (scene->loop != NULL)
        ioloop_close(scene->loop, false);
    while (scene->waiting_count > 0)
        assert_int_equal(httpscene_answer_next(scene), -EBADF);
    assert_int_equal(scene->closed, 1);
    assert_int_equal(faults_allocated(), scene->allocated);
}

void httpscene_settle(struct httpscene *scene)
{
    for (int quiet = 0, rounds = 0; quiet < 4 && rounds < ROUNDS; rounds++) {
        int count = testing_step(scene->loop);
        assert_true(count >= 0);
        bool has_more = ioloop_next_timeout(scene->loop) == 0; /* a task, such as to send on */
        quiet = count == 0 && !has_more ? quiet + 1 : 0;
    }
}

void httpscene_pass(struct httpscene *scene, double seconds)
{
    scene->clock += seconds;
    httpscene_settle(scene);
}

/* Clients. */

static struct httpscene_client *new_client(struct httpscene *scene, int family)
{
    int i = 0;

    while (i < scene->client_count && scene->clients[i].fd >= 0)
        i++;
    assert_true(i < HTTPSCENE_CLIENTS);
    if (i == scene->client_count)
        scene->client_count++;
    scene->clients[i] = (struct httpscene_client){ .fd = socket(family, SOCK_STREAM, 0) };
    assert_true(scene->clients[i].fd >= 0);
    return &scene->clients[i];
}

static struct httpscene_client *connect_to(struct httpscene_client *client, const void *address, size_t length)
{
    assert_int_equal(connect(client->fd, address, (socklen_t)length), 0);
    testing_deliver();
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
    return client;
}

struct httpscene_client *httpscene_connect(struct httpscene *scene)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)scene->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    struct httpscene_client *client = connect_to(new_client(scene, AF_INET), &address, sizeof address);
    /* Each piece goes when it is put, and does not wait for 40 ms until what went before is acknowledged. */
    assert_int_equal(setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
    return client;
}

struct httpscene_client *httpscene_connect_unix(struct httpscene *scene)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memcpy(address.sun_path, scene->path, strlen(scene->path));
    address.sun_path[0] = '\0';
    return connect_to(new_client(scene, AF_UNIX), &address,
                      offsetof(struct sockaddr_un, sun_path) + strlen(scene->path));
}

void httpscene_hang_up(struct httpscene_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    testing_deliver();
    free(client->bytes);
    client->bytes = NULL;
    client->length = 0;
}

void httpscene_reset(struct httpscene_client *client)
{
    wire_reset_at_close(client->fd);
    httpscene_hang_up(client);
}

void httpscene_finish(struct httpscene_client *client)
{
    assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
    testing_deliver();
}

size_t httpscene_put_some(struct httpscene_client *client, const char *bytes, size_t length)
{
    return wire_send(client->fd, bytes, length);
}

void httpscene_put_bytes(struct httpscene *scene, struct httpscene_client *client, const char *bytes, size_t length)
{
    for (int rounds = 0; length > 0; rounds++) {
        size_t count = httpscene_put_some(client, bytes, length);

        bytes += count;
        length -= count;
        if (count == 0)
            assert_true(ioloop_run_once(scene->loop, 0.001) >= 0);
        assert_true(rounds < ROUNDS * 10);
    }
}

void httpscene_put(struct httpscene *scene, struct httpscene_client *client, const char *text)
{
    httpscene_put_bytes(scene, client, text, strlen(text));
}

size_t httpscene_take(struct httpscene_client *client, size_t most)
{
    size_t before = client->length;

    if (!client->ended)
        client->ended = wire_receive(client->fd, &client->bytes, &client->length, most, &client->error);
    return client->length - before;
}

/* Runs the loop until there are so many bytes, or the end. */
static void wait_for(struct httpscene *scene, struct httpscene_client *client, size_t length)
{
    for (int rounds = 0; client->length < length; rounds++) {
        if (httpscene_take(client, SIZE_MAX) > 0)
            continue;
        if (client->ended || rounds == ROUNDS)
            fail_msg("%zu bytes and then %s (%s): %s", client->length, client->ended ? "the end" : "nothing",
                     strerror(client->error), client->length > 0 ? client->bytes : "");
        testing_turn(scene->loop, client->fd);
    }
}

/* Responses. */

static size_t wait_for_head(struct httpscene *scene, struct httpscene_client *client)
{
    const char *end;

    while (client->length == 0 || (end = strstr(client->bytes, "\r\n\r\n")) == NULL)
        wait_for(scene, client, client->length + 1);
    return (size_t)(end - client->bytes) + 4;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static void check_date(const char *value, size_t length)
{
    static const char form[] = "Aaa, 00 Aaa 0000 00:00:00 GMT";

    assert_int_equal(length, sizeof form - 1);
    for (size_t i = 0; i < length; i++) {
        if (form[i] == '0')
            assert_in_range(value[i], '0', '9');
        else if (form[i] != 'A' && form[i] != 'a')
            assert_int_equal(value[i], form[i]);
    }
}

static void check_header(struct httpscene_answer *answer, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);

    assert_true(colon != NULL && colon > line && colon[1] == ' ');
    for (const char *byte = line; byte < line + length; byte++)
        assert_true(((unsigned char)*byte >= 0x20 && *byte != 0x7f) || *byte == '\t');
    if (strncmp(line, "Date: ", 6) == 0)
        check_date(line + 6, length - 6);
    if (strncmp(line, "Content-Length: ", 16) == 0) {
        assert_true(answer->length == SIZE_MAX);
        answer->length = strtoul(line + 16, NULL, 10);
    }
    if (strncmp(line, "Connection: close\r", 18) == 0) {
        assert_false(answer->closes);
        answer->closes = true;
    }
    if (strncmp(line, "Transfer-Encoding: ", 19) == 0) {
        assert_memory_equal(line, "Transfer-Encoding: chunked\r", 27);
        answer->chunks = 0;
    }
}

static struct httpscene_answer check_head(const char *head, size_t size)
{
    struct httpscene_answer answer = { .length = SIZE_MAX, .chunks = -1 };
    char phrase[64];
    int dates = 0;

    assert_true(size < sizeof answer.head);
    memcpy(answer.head, head, size);
    assert_int_equal(sscanf(head, "HTTP/1.1 %3d %63[A-Za-z -]\r", &answer.status, phrase), 2);
    const char *line = strstr(head, "\r\n") + 2;
    while (line < head + size - 2) {
        size_t length = (size_t)(strstr(line, "\r\n") - line);
        dates += strncmp(line, "Date: ", 6) == 0;
        check_header(&answer, line, length);
        line += length + 2;
    }
    assert_int_equal(dates, 1);
    return answer;
}

/* "1a\r\n" and its bytes and "\r\n", from here on. Answers where the next begins; 0 behind the last. */
static size_t take_chunk(struct httpscene *scene, struct httpscene_client *client, size_t at,
                         struct httpscene_answer *answer)
{
    while (client->length <= at || strstr(client->bytes + at, "\r\n") == NULL)
        wait_for(scene, client, client->length + 1);
    char *end;
    size_t size = strtoul(client->bytes + at, &end, 16);
    assert_true(end > client->bytes + at && end[0] == '\r');
    size_t start = (size_t)(end - client->bytes) + 2;
    wait_for(scene, client, start + size + 2);
    assert_memory_equal(client->bytes + start + size, "\r\n", 2);
    size_t room = answer->length < sizeof answer->body ? sizeof answer->body - 1 - answer->length : 0;
    if (room > 0)
        memcpy(answer->body + answer->length, client->bytes + start, size < room ? size : room);
    answer->length += size;
    answer->chunks += size > 0;
    if (size == 0)
        wire_drop(client->bytes, &client->length, start + 2);
    return size > 0 ? start + size + 2 : 0;
}

static struct httpscene_answer next_in_chunks(struct httpscene *scene, struct httpscene_client *client,
                                              struct httpscene_answer answer, size_t head)
{
    assert_true(answer.length == SIZE_MAX);
    answer.length = 0;
    for (size_t at = head; at != 0;)
        at = take_chunk(scene, client, at, &answer);
    return answer;
}

struct httpscene_answer httpscene_next(struct httpscene *scene, struct httpscene_client *client, bool to_head)
{
    size_t size = wait_for_head(scene, client);
    struct httpscene_answer answer = check_head(client->bytes, size);
    bool has_body = !to_head && answer.status != 204 && answer.status != 304;

    if (has_body && answer.chunks == 0)
        return next_in_chunks(scene, client, answer, size);
    assert_true(!has_body || answer.length != SIZE_MAX);
    size_t length = has_body ? answer.length : 0;
    wait_for(scene, client, size + length);
    memcpy(answer.body, client->bytes + size, length < sizeof answer.body ? length : sizeof answer.body - 1);
    wire_drop(client->bytes, &client->length, size + length);
    return answer;
}

void httpscene_expect(struct httpscene *scene, struct httpscene_client *client, int status, const char *body)
{
    struct httpscene_answer answer = httpscene_next(scene, client, false);

    assert_int_equal(answer.status, status);
    assert_string_equal(answer.body, body);
    assert_false(answer.closes);
}

void httpscene_expect_last(struct httpscene *scene, struct httpscene_client *client, int status)
{
    struct httpscene_answer answer = httpscene_next(scene, client, false);

    assert_int_equal(answer.status, status);
    assert_true(answer.closes);
    httpscene_expect_end(scene, client);
}

static void wait_for_end(struct httpscene *scene, struct httpscene_client *client)
{
    for (int rounds = 0; !client->ended; rounds++) {
        assert_true(rounds < ROUNDS);
        if (httpscene_take(client, SIZE_MAX) == 0 && !client->ended)
            testing_turn(scene->loop, client->fd);
    }
}

void httpscene_expect_end(struct httpscene *scene, struct httpscene_client *client)
{
    wait_for_end(scene, client);
    assert_int_equal(client->error, 0);
    assert_int_equal(client->length, 0);
}

void httpscene_expect_nothing(struct httpscene *scene, struct httpscene_client *client)
{
    httpscene_settle(scene);
    httpscene_take(client, SIZE_MAX);
    assert_false(client->ended);
    assert_int_equal(client->length, 0);
}

void httpscene_expect_text(struct httpscene *scene, struct httpscene_client *client, const char *text)
{
    wait_for(scene, client, strlen(text));
    assert_memory_equal(client->bytes, text, strlen(text));
    wire_drop(client->bytes, &client->length, strlen(text));
}

static void mask_dates(char *bytes)
{
    for (char *date = bytes; (date = strstr(date, "\r\nDate: ")) != NULL;) {
        date += 8;
        memset(date, '0', strnlen(date, 25));
    }
}

char *httpscene_transcript(struct httpscene *scene, struct httpscene_client *client, size_t *length)
{
    wait_for_end(scene, client);
    char *bytes = client->bytes != NULL ? client->bytes : calloc(1, 1);
    assert_non_null(bytes);
    mask_dates(bytes);
    *length = client->length;
    client->bytes = NULL;
    client->length = 0;
    return bytes;
}

void httpscene_expect_alive(struct httpscene *scene)
{
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_put(scene, client, "GET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect(scene, client, 200, "GET /alive");
    httpscene_hang_up(client);
}
