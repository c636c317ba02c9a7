/* A server in this process, and a client that sends the input in pieces. The first bytes of the input say how: the
 * sizes of pieces, which requests are answered late, how much a system call moves, and how the client ends. In the
 * rest, bytes from 0x80 on stand for words that make up requests.
 *
 * What has to hold: what comes back is one well-formed response for each request that was served, in order, with at
 * most one refusal behind them; after a while the connection is gone; nothing leaks; the next client is served. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "httpserver/httpserver.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTINGS = 6, MOST_REQUESTS = 4096, LONG_ANSWER = 250000 };
enum { ENDS_BY_FIN, ENDS_BY_WAITING, ENDS_BY_CLOSING, ENDINGS };

static struct ioloop *loop;
static struct httpserver *server;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static double now = 100;

static uint8_t late;                /* each so-manieth request; 0: none */
static bool is_head[MOST_REQUESTS]; /* of those that were served */
static int requests;
static struct httprequest *waiting;
static bool left;
static char long_answer[LONG_ANSWER];
static int long_answers; /* that may still be given */

static char *output;
static size_t output_length;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static double read_clock(void *arg)
{
    return now;
}

static void say_nothing(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
}

/* The server's side. */

static void client_left(struct httprequest *request, void *arg)
{
    require(request == waiting);
    left = true;
}

/* All that can be asked is asked; what the answer is depends on the length of the target. */
static size_t look_at(struct httprequest *request)
{
    const char *name, *value;
    size_t length, sum = strlen(httprequest_method(request));

    (void)!httprequest_path(request, &length);
    (void)!httprequest_query(request, &length);
    for (size_t i = 0; httprequest_header_at(request, i, &name, &value); i++) {
        require(httprequest_header(request, name) != NULL);
        sum += strlen(name) + strlen(value);
    }
    const char *body = httprequest_body(request, &length);
    for (size_t i = 0; i < length; i++)
        sum += (unsigned char)body[i];
    return sum + strlen(httprequest_target(request));
}

static void answer(struct httprequest *request)
{
    static const int statuses[] = { 200, 200, 200, 204, 304, 404, 205, 500 };
    size_t sum = look_at(request);
    size_t length = sum % 16 == 0 && long_answers-- > 0 ? LONG_ANSWER : sum % 500;

    (void)!httprequest_reply(request, statuses[sum % 8], sum % 3 == 0 ? NULL : "text/plain", long_answer, length);
}

static void on_request(struct httprequest *request, void *arg)
{
    require(waiting == NULL && requests < MOST_REQUESTS);
    is_head[requests++] = strcmp(httprequest_method(request), "HEAD") == 0;
    if (late == 0 || requests % late != 0) {
        answer(request);
        return;
    }
    httprequest_set_close_callback(request, client_left, NULL);
    waiting = request;
}

static void answer_late(void)
{
    struct httprequest *request = waiting;

    waiting = NULL;
    if (request != NULL)
        answer(request);
    left = false;
}

static void spin(int iterations)
{
    while (iterations-- > 0)
        require(ioloop_run_once(loop, 0) >= 0);
}

static void set_up(void)
{
    if (loop != NULL)
        return;
    faults_allocated();
    memset(long_answer, 'x', sizeof long_answer);
    output = malloc(64 << 20);
    iolog_set_function(say_nothing, NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "@fuzz_httpserver_%d", (int)getpid());
    loop = ioloop_new(&(struct ioloop_options){ .clock = read_clock });
    require(loop != NULL && output != NULL);
    server = httpserver_new(loop, on_request, NULL, &(struct httpserver_options){ .max_body = 4096 });
    require(server != NULL && httpserver_listen_unix(server, address.sun_path, 0) == 0);
}

/* The client. */

static int connect_client(void)
{
    struct sockaddr_un to = address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    to.sun_path[0] = '\0';
    require(fd >= 0);
    require(connect(fd, (struct sockaddr *)&to,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path))) == 0);
    require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* False: the server has ended the connection. */
static bool receive(int fd)
{
    ssize_t count;

    require(output_length < 63u << 20);
    while ((count = read(fd, output + output_length, 1 << 20)) > 0)
        output_length += (size_t)count;
    require(count == 0 || errno == EAGAIN || errno == ECONNRESET);
    return count < 0 && errno == EAGAIN;
}

static void send_piece(int fd, const uint8_t *data, size_t length)
{
    for (int tries = 0; length > 0 && tries < 100; tries++) {
        ssize_t count = send(fd, data, length, MSG_NOSIGNAL);

        if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return;
        data += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
        spin(1);
        receive(fd);
    }
}

static void send_all(int fd, const uint8_t *data, size_t length, const uint8_t *settings)
{
    for (size_t at = 0, i = 0; at < length; i++) {
        size_t size = i % 2 == 0 ? 1 + settings[0] * 4u : 1 + settings[1] / 8u;

        if (size > length - at)
            size = length - at;
        send_piece(fd, data + at, size);
        at += size;
        if (i % 5 == 4)
            answer_late();
    }
}

/* Reads to the end, while time goes by. */
static void wait_for_end(int fd)
{
    for (int rounds = 0; rounds < 100000; rounds++) {
        bool goes_on = receive(fd);

        spin(1);
        if (waiting != NULL && rounds % 3 == 2)
            answer_late();
        if (!goes_on)
            return;
        if (rounds % 64 == 63)
            now += 1;
    }
    abort();
}

/* Responses. */

static const char *line_end(const char *line, const char *end)
{
    while (end - line >= 2 && (line[0] != '\r' || line[1] != '\n'))
        line++;
    require(end - line >= 2);
    return line;
}

struct response {
    int status;
    long length; /* -1: none given */
    bool closes;
};

/* Answers where the body begins. */
static const char *read_head(const char *at, const char *end, struct response *response)
{
    const char *line = at;

    *response = (struct response){ .length = -1 };
    at = line_end(line, end);
    require(at - line > 13 && memcmp(line, "HTTP/1.1 ", 9) == 0 && line[12] == ' ');
    response->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
    require(response->status >= 100 && response->status <= 999);
    while ((line = at + 2), (at = line_end(line, end)) != line) {
        const char *colon = memchr(line, ':', (size_t)(at - line));
        require(colon != NULL && colon > line && colon[1] == ' ');
        require(memchr(line, '\n', (size_t)(at - line)) == NULL && memchr(line, '\0', (size_t)(at - line)) == NULL);
        require(!response->closes);
        response->closes = strncmp(line, "Connection: close\r", 18) == 0;
        if (strncmp(line, "Content-Length: ", 16) == 0)
            response->length = strtol(line + 16, NULL, 10);
    }
    return at + 2;
}

static const char *skip_body(const char *at, const char *end, const struct response *response)
{
    if (response->status == 204 || response->status == 304)
        return at;
    require(response->length >= 0 && response->length <= end - at);
    return at + response->length;
}

/* What of the output is no response to a request that was served: a refusal, the last there is. HEAD may have been
 * refused too: then it has no body. */
static void check_refusal(const char *at, const char *end)
{
    struct response response;

    if (at == end)
        return;
    at = read_head(at, end, &response);
    require(response.status >= 400 && response.closes);
    require(at == end || at + response.length == end);
}

static void check_output(void)
{
    const char *at = output, *end = output + output_length;
    struct response response;
    int count = 0;

    while (at < end) {
        const char *start = at;

        at = read_head(at, end, &response);
        if (response.status == 100)
            continue;
        if (count == requests) {
            check_refusal(start, end);
            return;
        }
        if (!is_head[count++])
            at = skip_body(at, end, &response);
        require(!response.closes || at == end);
    }
    require(count == requests);
}

static void check_next_client(void)
{
    static const char get[] = "GET / HTTP/1.0\r\n\r\n";
    int fd = connect_client();

    requests = 0;
    output_length = 0;
    late = 0;
    long_answers = 0;
    send_piece(fd, (const uint8_t *)get, sizeof get - 1);
    wait_for_end(fd);
    close(fd);
    spin(3);
    require(requests == 1);
    check_output();
    require(httpserver_connections(server) == 0 && faults_allocated() < 64);
}

/* The words are what requests have in common, so that most that is tried gets further than to the first byte. */
static size_t expand(const uint8_t *data, size_t size, uint8_t *text)
{
    static const char *const words[] = {
        "GET /",
        "POST /",
        "HEAD /",
        " HTTP/1.1\r\nHost: a\r\n",
        " HTTP/1.0\r\n",
        "\r\n\r\n",
        "\r\n",
        "Content-Length: ",
        "5\r\n\r\nhello",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Expect: 100-continue\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "X: y\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n",
    };
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        const char *word = words[data[i] % 16];
        size_t count = data[i] < 0x80 ? 1 : strlen(word);
        memcpy(text + length, data[i] < 0x80 ? (const void *)(data + i) : word, count);
        length += count;
    }
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[(8192 - SETTINGS) * 64];

    if (size < SETTINGS || size > 8192)
        return 0;
    set_up();
    int ending = data[2] % ENDINGS;
    int fd = connect_client();

    requests = 0;
    output_length = 0;
    late = data[3] % 5;
    faults_short_io(data[4] < 128 ? 0 : data[4] - 127u);
    long_answers = data[4] < 128 ? 2 : 0;
    send_all(fd, text, expand(data + SETTINGS, size - SETTINGS, text), data);
    if (ending == ENDS_BY_FIN)
        shutdown(fd, SHUT_WR);
    if (ending != ENDS_BY_CLOSING) {
        wait_for_end(fd);
        check_output();
    }
    close(fd);
    faults_short_io(0);
    spin(4);
    answer_late();
    now += 0.1 * data[5];
    spin(2);
    check_next_client();
    return 0;
}
