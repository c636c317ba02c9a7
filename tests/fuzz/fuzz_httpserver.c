/* A server in this process, and a client that sends the input in pieces. The first bytes of the input say how: the
 * sizes of pieces, what the program does with each request, what fails, and how the client ends. In the rest, bytes
 * from 0x80 on stand for words that make up requests.
 *
 * The program sees heads and answers early, streams bodies and pauses them, answers at once, later or by and by in
 * every framing, writes what is not allowed, leaves HTTP. What has to hold: what comes back is one well-formed response
 * for each answer, in order, with what was written, and at most one refusal behind them; where something was made to
 * fail, the beginning of that; each request that was seen ends once, and each write that was accepted is told of once;
 * after a while the connection is gone; nothing leaks; the next client is served. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "httpserver/httpserver.h"
#include "tests/fuzz/answercheck.h"
#include "tests/fuzz/fuzzclient.h"

enum { SETTINGS = 12, LONG_ANSWER = 250000 };

static struct httpserver *servers[SERVERS]; /* the second believes a proxy */

/* How the program goes about it, which also draws. */
static uint8_t late, on_heads, by_and_by;

static struct httprequest *waiting, *paused, *duplex;
static int pieces_left;
static int seen, ended;    /* requests */
static int accepted, told; /* writes */
static char long_answer[LONG_ANSWER];
static int long_answers; /* that may still be given */
static int file;

/* The server's side. */

static void request_logged(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
    require(httprequest_arg(request) == &seen && status >= 0 && status <= 999);
    ended++;
}

static void write_told(struct iostream *stream, int error, void *arg)
{
    told++;
    may_be_cut = may_be_cut || error != 0;
}

static void client_left(struct httprequest *request, void *arg)
{
    if (request == paused)
        paused = NULL;
    if (request == duplex) {
        duplex = NULL;
        may_be_cut = true;
    }
}

static void see(struct httprequest *request)
{
    if (httprequest_arg(request) != NULL)
        return;
    httprequest_set_arg(request, &seen);
    httprequest_set_close_callback(request, client_left, NULL);
    seen++;
}

/* All that can be asked is asked; what the answer is depends on the length of the target. */
static size_t look_at(struct httprequest *request)
{
    const char *name, *value;
    size_t length, sum = strlen(httprequest_method(request)) + strlen(httprequest_remote_ip(request));

    (void)!httprequest_path(request, &length);
    (void)!httprequest_query(request, &length);
    for (size_t i = 0; httprequest_header_at(request, i, &name, &value); i++) {
        require(httprequest_header(request, name) != NULL);
        sum += strlen(name) + strlen(value);
    }
    const char *body = httprequest_body(request, &length);
    for (size_t i = 0; i < length; i++)
        sum += (unsigned char)body[i];
    const struct httpheaders *trailers = httprequest_trailers(request);
    require(trailers == NULL || (httpheaders_count(trailers) > 0 && httpheaders_get(trailers, "Host") == NULL));
    sum += strlen(httprequest_protocol(request));
    return sum + strlen(httprequest_target(request));
}

/* Notes an answer whose head was accepted. */
static struct answer *note_answer(const struct httprequest *request, int status)
{
    require(answer_count < MOST_ANSWERS);
    struct answer *answer = &answers[answer_count++];
    bool to_head = strcmp(httprequest_method(request), "HEAD") == 0;

    *answer = (struct answer){ .status = status };
    answer->without_body = to_head || status == 204 || status == 205 || status == 304;
    return answer;
}

/* -EIO: of a file, which is perhaps read by the next call only. */
static void check_result(int error)
{
    require(error == 0 || error == -EBADF || error == -ENOBUFS || error == -ENOMEM || error == -EMSGSIZE ||
            error == -EPIPE || error == -ECONNRESET || error == -EIO);
    may_be_cut = may_be_cut || error != 0;
}

static void answer_at_once(struct httprequest *request)
{
    static const int statuses[] = { 200, 200, 200, 204, 304, 404, 205, 500, 99 };
    size_t sum = look_at(request);
    size_t length = sum % 16 == 0 && long_answers-- > 0 ? LONG_ANSWER : sum % 500;
    int status = statuses[sum % 9];
    struct answer *answer = note_answer(request, status == 99 ? 500 : status);

    int error = httprequest_reply(request, status, sum % 3 == 0 ? NULL : "text/plain", long_answer, length);
    if (status == 99 && error == -EINVAL) {
        error = 0;
        length = strlen("500: Internal Server Error\n");
    }
    answer->length = length;
    answer->ended = true;
    if (error != 0)
        answer_count--;
    check_result(error);
}

static void note_write(int error, uint64_t length)
{
    accepted += error == 0;
    if (error == 0 && answer_count > 0)
        answers[answer_count - 1].length += length;
    check_result(error);
}

/* False: nothing was begun. */
static bool begin_by_and_by(struct httprequest *request)
{
    struct httpheaders headers = { 0 };
    char text[24];
    bool with_length = draw(3) == 0;

    if (draw(6) == 0)
        httprequest_cork(request);
    snprintf(text, sizeof text, "%u", draw(40));
    int error = with_length ? httpheaders_add(&headers, "Content-Length", text) : 0;
    if (error == 0 && draw(8) == 0)
        error = httpheaders_add(&headers, "Connection", "close");
    if (error == 0) {
        size_t length = draw(4) == 0 ? 1 : 0;
        error = httprequest_write_head(request, 200, NULL, &headers, "x", length, write_told, NULL);
        if (error == 0) {
            struct answer *answer = note_answer(request, 200);
            answer->until_end = !with_length && httprequest_minor_version(request) == 0;
        }
        note_write(error, length);
    }
    httpheaders_free(&headers);
    return error == 0;
}

static void write_some(struct httprequest *request)
{
    size_t length = draw(50) == 0 && long_answers-- > 0 ? LONG_ANSWER : draw(30);

    switch (draw(8)) {
    case 0:
        httprequest_cork(request);
        break;
    case 1:
        httprequest_uncork(request);
        break;
    }
    if (draw(4) == 0)
        note_write(httprequest_write_file(request, file, 0, length % 100, write_told, NULL), length % 100);
    else
        note_write(httprequest_write(request, long_answer, length, write_told, NULL), length);
}

/* A request whose head could not be sent gets a 500. */
static void end_by_and_by(struct httprequest *request)
{
    bool begun = httprequest_head_sent(request);
    struct answer *answer = begun ? NULL : note_answer(request, 500);
    int error = httprequest_finish(request);

    if (!begun && error == -EINVAL)
        answer->length = strlen("500: Internal Server Error\n");
    else if (!begun)
        answer_count--;
    if (!begun && error == -EINVAL)
        error = 0;
    if (error == 0)
        answers[answer_count - 1].ended = true;
    check_result(error);
}

static void leave_http(struct httprequest *request)
{
    struct iostream *stream = httprequest_detach(request);

    if (stream == NULL) {
        check_result(-errno);
        check_result(httprequest_finish(request) == -EBADF ? -EBADF : -EPIPE);
        return;
    }
    note_answer(request, 0)->raw = true;
    check_result(iostream_write(stream, "RAW!", 4, NULL, NULL));
    may_be_cut = may_be_cut || long_answers == 0; /* calls move little then: closing drops what did not go at once */
    may_be_cut = may_be_cut || iostream_pending(stream) > 4;
    iostream_close(stream);
}

/* Of a body that is streamed: what to do with a piece. */
enum { JUST_LOOK, PAUSE, ECHO };

static void take_piece(struct httprequest *request, const void *data, size_t length, void *arg)
{
    int mode = (int)(intptr_t)arg;

    require(request != paused && length > 0);
    if (mode == ECHO) {
        note_write(httprequest_write(request, data, length, write_told, NULL), length);
    } else if (draw(24) == 0) {
        answer_at_once(request);
    } else if (mode == PAUSE && draw(2) == 0) {
        httprequest_pause(request);
        if (draw(4) == 0)
            httprequest_resume(request);
        else
            paused = request;
    }
}

static void on_head(struct httprequest *request, void *arg)
{
    see(request);
    require(paused == NULL && duplex == NULL && waiting == NULL);
    switch (on_heads == 0 ? 9 : draw(10)) {
    case 0:
        answer_at_once(request);
        break;
    case 1:
        httprequest_pause(request);
        paused = request;
        break;
    case 2:
    case 3:
        httprequest_stream_body(request, take_piece, (void *)(intptr_t)JUST_LOOK);
        break;
    case 4:
    case 5:
        httprequest_stream_body(request, take_piece, (void *)(intptr_t)PAUSE);
        break;
    case 6:
        httprequest_set_max_body(request, draw(5000));
        httprequest_set_body_timeout(request, draw(40));
        break;
    case 7:
        httprequest_stream_body(request, take_piece, (void *)(intptr_t)ECHO);
        if (begin_by_and_by(request))
            duplex = request;
        else
            end_by_and_by(request);
        break;
    case 8:
        (void)begin_by_and_by(request);
        end_by_and_by(request);
        break;
    default:
        break;
    }
}

static void on_request(struct httprequest *request, void *arg)
{
    see(request);
    require(waiting == NULL && request != paused);
    if (request == duplex) {
        duplex = NULL;
        end_by_and_by(request);
        return;
    }
    uint32_t way = by_and_by == 0 ? 0 : draw(8);
    pieces_left = way > 4 ? (int)draw(6) : 0;
    if (late != 0 && seen % late == 0) {
        waiting = request;
    } else if (way == 3 && draw(4) == 0) {
        leave_http(request);
    } else if (way < 4) {
        answer_at_once(request);
    } else {
        if (begin_by_and_by(request)) {
            while (pieces_left-- > 0)
                write_some(request);
        }
        end_by_and_by(request);
    }
}

/* Something that the program does outside of callbacks. */
static void go_on(void)
{
    struct httprequest *request = waiting, *resumed = paused;

    paused = NULL;
    if (resumed != NULL)
        httprequest_resume(resumed);
    if (request == NULL)
        return;
    if (pieces_left > 0 && !httprequest_head_sent(request) && begin_by_and_by(request))
        return;
    if (--pieces_left > 0 && httprequest_head_sent(request)) {
        write_some(request);
        return;
    }
    waiting = NULL;
    if (httprequest_head_sent(request) || httprequest_left(request))
        end_by_and_by(request);
    else if (by_and_by != 0 && draw(16) == 0)
        leave_http(request);
    else
        answer_at_once(request);
}

static struct httpserver *begin_server(int which)
{
    struct httpserver_options options = { .max_body = 4096, .on_head = on_head, .on_log = request_logged };

    options.xheaders = options.proxy_protocol = which == 1;
    struct httpserver *server = httpserver_new(loop, on_request, NULL, &options);
    require(server != NULL && httpserver_listen_unix(server, name_server("fuzz_httpserver", which), 0) == 0);
    return server;
}

static void set_up(void)
{
    if (loop != NULL)
        return;
    faults_allocated();
    memset(long_answer, 'x', sizeof long_answer);
    output = malloc(64 << 20);
    iolog_set_function(say_nothing, NULL);
    FILE *temporary = tmpfile();
    require(temporary != NULL && fwrite(long_answer, 1, 100, temporary) == 100 && fflush(temporary) == 0);
    file = fileno(temporary);
    loop = ioloop_new(&(struct ioloop_options){ .clock = read_clock });
    require(loop != NULL && output != NULL);
    servers[0] = begin_server(0);
    servers[1] = begin_server(1);
}

/* The client. */

/* Not by the calls that are made to fail. False: the server has ended the connection. */
static bool receive(int fd)
{
    struct iovec vector = { output + output_length, 1 << 20 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    ssize_t count;

    require(output_length < 62u << 20);
    while ((count = recvmsg(fd, &message, 0)) > 0) {
        output_length += (size_t)count;
        vector.iov_base = output + output_length;
        require(output_length < 62u << 20);
    }
    require(count == 0 || errno == EAGAIN || errno == ECONNRESET);
    return count < 0 && errno == EAGAIN;
}

static void send_piece(int fd, const uint8_t *data, size_t length)
{
    for (int tries = 0; length > 0 && tries < 100; tries++) {
        ssize_t count = sendto(fd, data, length, MSG_NOSIGNAL, NULL, 0);

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
            go_on();
    }
}

/* Reads to the end, while time goes by. */
static void wait_for_end(int fd)
{
    for (int rounds = 0, last = 0; rounds - last < 100000; rounds++) { /* without a byte */
        size_t before = output_length;
        bool goes_on = receive(fd);

        last = output_length > before ? rounds : last;
        spin(1);
        if (rounds % 3 == 2)
            go_on();
        if (!goes_on)
            return;
        if (rounds % 64 == 63)
            now += 1;
    }
    abort();
}

static void forget_all(void)
{
    answer_count = seen = ended = accepted = told = 0;
    output_length = 0;
    may_be_cut = false;
    late = on_heads = by_and_by = 0;
    long_answers = 0;
}

static void check_next_client(int which)
{
    static const char get[] = "PROXY UNKNOWN\r\nGET / HTTP/1.0\r\n\r\n";
    size_t skipped = which == 0 ? strlen("PROXY UNKNOWN\r\n") : 0;
    int fd = connect_client(which);

    forget_all();
    send_piece(fd, (const uint8_t *)get + skipped, sizeof get - 1 - skipped);
    wait_for_end(fd);
    close(fd);
    spin(3);
    require(answer_count == 1 && seen == 1 && ended == 1);
    check_output();
    require(httpserver_connections(servers[which]) == 0 && faults_allocated() < 128);
}

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
    "0\r\n\r\n",
    "Expect: 100-continue\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n",
};

static const struct failing_call failing_calls[] = {
    { "recv", ECONNRESET },  { "recv", EAGAIN },       { "send", EPIPE },   { "send", EAGAIN },
    { "sendmsg", EAGAIN },   { "sendmsg", ENOBUFS },   { "sendfile", EIO }, { "sendfile", EAGAIN },
    { "epoll_ctl", ENOMEM }, { "shutdown", ENOTCONN }, { "close", EINTR }
};

static size_t put_proxy_header(uint8_t *text, uint8_t how)
{
    static const char line[] = "PROXY TCP4 4.3.2.1 5.6.7.8 1111 80\r\n";
    static const char binary[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x04\x03\x02\x01\x05\x06\x07\x08\x04\x57\0\x50";
    size_t length = how % 4 == 0 ? 0 : how % 4 == 1 ? sizeof binary - 1 : sizeof line - 1;

    memcpy(text, how % 4 == 1 ? binary : line, length);
    return length;
}

static void begin_run(const uint8_t *settings)
{
    forget_all();
    seed = settings[6];
    late = settings[3] % 5;
    on_heads = settings[7] & 1;
    by_and_by = settings[7] & 2;
    faults_short_io(settings[4] < 128 ? 0 : settings[4] - 127u);
    long_answers = settings[4] < 128 ? 2 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[8192 * 64];

    if (size < SETTINGS || size > 8192)
        return 0;
    set_up();
    int ending = data[2] % ENDINGS, which = data[8] & 1;
    int fd = connect_client(which);

    begin_run(data);
    spin(2);
    if (order_failure(failing_calls, sizeof failing_calls / sizeof *failing_calls, data[9], data[10]))
        may_be_cut = true;
    size_t length = which == 1 ? put_proxy_header(text, data[11]) : 0;
    length += expand(words, sizeof words / sizeof *words, data + SETTINGS, size - SETTINGS, text + length);
    send_all(fd, text, length, data);
    if (ending == ENDS_BY_FIN)
        shutdown(fd, SHUT_WR);
    if (ending != ENDS_BY_CLOSING) {
        wait_for_end(fd);
        check_output();
    }
    close(fd);
    faults_end();
    for (int i = 0; i < 12; i++) {
        spin(2);
        go_on();
    }
    now += 0.1 * data[5];
    spin(2);
    require(waiting == NULL && paused == NULL && duplex == NULL);
    require(seen == ended && accepted == told);
    check_next_client(which);
    return 0;
}
