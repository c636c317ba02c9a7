/* WebSockets in this process: a server of ours, and for some inputs a client of ours too, else one that sends what the
 * input says. The first bytes of the input say how: sizes of pieces, limits, what fails, and the seed that decides what
 * the programs do in each callback and between them: write, send to many, publish, subscribe, ping, pause, resume,
 * close, abort. In the rest each byte from 0x80 on begins a frame that is mostly well-formed, others are sent as they
 * are.
 *
 * What has to hold: what a server sends is frames as RFC 6455 has them, unmasked, texts in UTF-8, with nothing behind a
 * close frame; messages between our own two sides arrive whole and in order, and all of them when it ends cleanly; each
 * socket that was opened is told of its end once, also one whose handshake failed; nothing leaks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "httpclient/httpclient.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "tests/fuzz/fuzzloop.h"
#include "tests/support/faults.h"
#include "websocket/websocket.h"
#include "websocket/websocketdeflate.h"
#include "websocket/websocketframe.h"
#include "websocket/websocketutf8.h"

enum { SETTINGS = 10, MOST_SENT = 4096, LONGEST = 200000 };

static struct ioloop *loop;
static char bytes[LONGEST];
static struct web_application *app;
static bool is_faulty; /* something was made to fail, or has been broken off */

/* One side, and what it has sent. */
struct side {
    struct websocket *socket;
    bool is_connecting;
    int opened, closed;
    bool closes;              /* was the first to do so, on this side */
    uint64_t sent[MOST_SENT]; /* length and kind of each message */
    size_t sent_count, got_count;
    uint64_t got_bytes; /* of a message that comes in pieces */
};

static struct side sides[2]; /* server, client */
static bool both;            /* are ours */

/* What programs do. */

static struct side *side_of(struct websocket *socket)
{
    return &sides[socket == sides[1].socket];
}

static void note_sent(struct side *side, int error, size_t length, bool is_binary)
{
    require(error == 0 || error == -EBADF || error == -ENOBUFS || error == -ENOMEM || error == -ECONNRESET);
    if (error == 0 && side->sent_count < MOST_SENT)
        side->sent[side->sent_count++] = (uint64_t)length << 1 | is_binary;
    if (error != 0 && error != -EBADF)
        is_faulty = true;
}

static size_t draw_length(void)
{
    return draw(20) == 0 ? draw(LONGEST) : draw(4) == 0 ? 100 + draw(200) : draw(30);
}

static void send_one(struct side *side)
{
    size_t length = draw_length();
    bool is_binary = draw(2);

    if (draw(4) > 0) {
        note_sent(side, websocket_write(side->socket, bytes, length, is_binary), length, is_binary);
        return;
    }
    struct websocket_message *message = websocket_message_new(bytes, length, is_binary);
    if (message == NULL)
        return;
    note_sent(side, websocket_send(side->socket, message), length, is_binary);
    websocket_message_release(message);
}

static void publish_one(struct side *side)
{
    size_t length = draw_length();
    bool is_binary = draw(2);
    int before = side->sent_count < MOST_SENT;
    size_t subscribers = websocket_subscribers(loop, "t");
    int count;

    /* Who is subscribed is only one side at a time, so that it is known who has sent it. */
    if (subscribers != 1 || !before)
        return;
    count = websocket_publish(loop, "t", bytes, length, is_binary, NULL);
    require(count == 0 || count == 1 || count == -ENOMEM);
    if (count == 1)
        note_sent(side, 0, length, is_binary);
}

static void close_side(struct side *side)
{
    side->closes = side->closes || !websocket_closing(side->socket);
    (void)!websocket_close(side->socket, (int)draw(3) * 1000, draw(2) ? "because" : NULL);
}

static void act(struct side *side)
{
    struct websocket *socket = side->socket;

    if (socket == NULL)
        return;
    switch (draw(24)) {
    case 0:
        (void)!websocket_ping(socket, bytes, draw(126));
        break;
    case 1:
        websocket_pause(socket);
        break;
    case 2:
    case 3:
        websocket_resume(socket);
        break;
    case 4:
        if (draw(6) == 0)
            close_side(side);
        break;
    case 5:
        if (draw(12) == 0) {
            websocket_abort(socket);
            is_faulty = true;
        }
        break;
    case 6:
        if (side == &sides[0])
            (void)!websocket_subscribe(socket, "t");
        break;
    case 7:
        websocket_unsubscribe(socket, "t");
        break;
    case 8:
        publish_one(&sides[0]);
        break;
    case 9:
        (void)websocket_remote_ip(socket);
        (void)websocket_pending(socket);
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        send_one(side);
        break;
    default:
        break;
    }
}

static void opened(struct websocket *socket, struct web_request *request)
{
    struct side *side = &sides[request == NULL];

    require(side->opened == side->closed || side->is_connecting);
    side->opened++;
    side->is_connecting = false;
    side->socket = socket;
    act(side);
}

static void closed(struct websocket *socket, int code, const char *reason)
{
    struct side *side = side_of(socket);

    require(code >= 1000 && code < 5000 && reason != NULL);
    require(websocket_write(socket, "a", 1, true) == -EBADF);
    side->closed++;
    require(side->closed == side->opened + side->is_connecting);
    if (websocket_error(socket) != 0 || code == WEBSOCKET_ABNORMAL)
        is_faulty = true;
    side->is_connecting = false;
    side->socket = NULL;
}

static void check_message(struct side *side, uint64_t length, bool is_binary)
{
    const struct side *other = &sides[side == &sides[0]];

    if (!both)
        return;
    require(side->got_count < other->sent_count);
    require(other->sent[side->got_count++] == (length << 1 | is_binary));
}

static void got_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    struct side *side = side_of(socket);

    require(((const char *)data)[length] == '\0');
    require(!both || memcmp(data, bytes, length) == 0);
    require(is_binary || websocketutf8_is_text(data, length));
    check_message(side, length, is_binary);
    act(side);
}

static void got_piece(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    struct side *side = side_of(socket);

    require(!both || side->got_bytes + length <= LONGEST);
    require(!both || memcmp(data, bytes + side->got_bytes, length) == 0);
    side->got_bytes += length;
    if (is_last) {
        check_message(side, side->got_bytes, is_binary);
        side->got_bytes = 0;
    }
    act(side);
}

static void got_control(struct websocket *socket, const void *data, size_t length)
{
    require(length <= 125);
    act(side_of(socket));
}

static void drained(struct websocket *socket)
{
    act(side_of(socket));
}

/* A client that is not ours. */

static int fd;
static char *output;
static struct websocketdeflate *inflater; /* of what the server sends; NULL: nothing was agreed on */
static size_t output_length;

static void receive(void)
{
    static char piece[65536];
    ssize_t count;

    while (fd >= 0 && (count = read(fd, piece, sizeof piece)) > 0) {
        output = realloc(output, output_length + (size_t)count);
        require(output != NULL);
        memcpy(output + output_length, piece, (size_t)count);
        output_length += (size_t)count;
    }
}

static void turn(int times)
{
    while (times-- > 0) {
        require(ioloop_run_once(loop, 0) >= 0);
        receive();
    }
}

static void put(const char *text, size_t length)
{
    size_t sent = 0;

    for (int tries = 0; sent < length && tries < 50; tries++) {
        ssize_t count = send(fd, text + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN)
            return;
        sent += count > 0 ? (size_t)count : 0;
        if (sent < length)
            turn(1);
    }
}

/* Frames that are mostly right. */
static size_t add_frame(const uint8_t *data, size_t size, char *place, size_t *used)
{
    static const uint8_t opcodes[] = { 0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a,
                                       0x81, 0x82, 0x80, 0x00, 0x88, 0x89, 0x83, 0xc1 };
    size_t length = data[0] & 0x70 ? data[0] >> 4 & 7 : size > 1 ? (size_t)data[1] * 2 : 0;
    size_t at = 2, taken = 1;

    place[0] = (char)opcodes[data[0] & 15];
    place[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        place[at++] = (char)(length >> 8);
        place[at++] = (char)length;
    }
    memcpy(place + at, "\1\2\3\4", 4);
    at += 4;
    for (size_t i = 0; i < length; i++, at++) {
        uint8_t byte = taken < size ? data[taken++] : 'x';
        place[at] = (char)(byte ^ (i % 4 + 1));
    }
    *used += at;
    return taken;
}

static void send_input(const uint8_t *data, size_t size, size_t most)
{
    static char all[65536];
    size_t used = 0;

    while (size > 0 && used < sizeof all - 1000) {
        size_t taken = 1;
        if (data[0] >= 0x80)
            taken = add_frame(data, size, all + used, &used);
        else
            all[used++] = (char)data[0];
        data += taken;
        size -= taken;
    }
    for (size_t at = 0; at < used;) {
        size_t length = 1 + draw((uint32_t)most);
        if (length > used - at)
            length = used - at;
        put(all + at, length);
        at += length;
        turn((int)draw(3));
        if (sides[0].socket != NULL && draw(3) == 0)
            act(&sides[0]);
    }
}

/* A message of the server inflates, to a text if it is one. The client begins anew if it has said so. */
static void check_deflated(const char *payload, size_t length, bool is_text)
{
    struct websocketutf8 utf8 = { 0 };
    struct websocketdeflate_piece piece;

    require(inflater != NULL);
    do {
        ssize_t taken = websocketdeflate_decompress(inflater, payload, length, true, LONGEST, &piece);
        require(taken >= 0);
        payload += taken;
        length -= (size_t)taken;
        require(!is_text || websocketutf8_check(&utf8, piece.data, piece.length));
    } while (piece.more);
    require(websocketutf8_is_whole(&utf8));
}

/* What the server has agreed to. */
static void make_inflater(const char *end)
{
    static const char name[] = "\r\nSec-WebSocket-Extensions: ";
    static const struct websocketdeflate_terms wanted = { .server_window = 15, .client_window = 15 };
    struct websocketdeflate_terms agreed;
    const char *value = memmem(output, (size_t)(end - output), name, sizeof name - 1);
    char text[256];

    if (value == NULL)
        return;
    value += sizeof name - 1;
    size_t length = (size_t)((const char *)memchr(value, '\r', 256) - value);
    require(length < sizeof text);
    memcpy(text, value, length);
    text[length] = '\0';
    require(websocketdeflate_check_answer(text, &wanted, &agreed) == 1);
    inflater = websocketdeflate_new(&agreed, true, 0);
    require(inflater != NULL);
}

/* What a server has sent. */
static void check_output(void)
{
    const char *end = output_length > 0 ? memmem(output, output_length, "\r\n\r\n", 4) : NULL;
    bool is_closed = false;

    if (end == NULL || memcmp(output, "HTTP/1.1 101 ", output_length < 13 ? output_length : 13) != 0)
        return;
    make_inflater(end);
    for (size_t at = (size_t)(end - output) + 4; at < output_length;) {
        struct websocketframe frame;
        int head = websocketframe_parse(output + at, output_length - at, &frame);

        require(head >= 0 && !is_closed);
        if (head == 0)
            return;
        require(!frame.is_masked && frame.is_final && frame.opcode != WEBSOCKETFRAME_CONTINUATION);
        if (frame.length > output_length - at - (size_t)head)
            return;
        if (frame.is_compressed)
            check_deflated(output + at + head, (size_t)frame.length, frame.opcode == WEBSOCKETFRAME_TEXT);
        else if (frame.opcode == WEBSOCKETFRAME_TEXT)
            require(websocketutf8_is_text(output + at + head, (size_t)frame.length));
        is_closed = frame.opcode == WEBSOCKETFRAME_CLOSE;
        at += (size_t)head + (size_t)frame.length;
    }
}

static void connect_by_hand(const char *path)
{
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    require(fd >= 0);
    memcpy(address.sun_path + 1, path + 1, strlen(path + 1));
    require(connect(fd, (struct sockaddr *)&address,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) == 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    put(request, sizeof request - 1);
    turn(3);
}

static void run_by_hand(const uint8_t *data, size_t size, const uint8_t *settings, const char *path)
{
    connect_by_hand(path);
    send_input(data, size, settings[4] % 4 == 0 ? 1 : 1 + settings[4] * 8u);
    turn(4);
    if (settings[5] & 1)
        shutdown(fd, SHUT_WR);
    turn(4);
    for (int i = 0; i < 40 && sides[0].socket != NULL; i++) {
        now += 1;
        turn(2);
    }
    receive();
    close(fd);
    fd = -1;
    turn(4);
}

/* Both sides ours. */

static void resume_both(int times)
{
    while (times-- > 0) {
        for (int i = 0; i < 2; i++) {
            if (sides[i].socket != NULL)
                websocket_resume(sides[i].socket);
        }
        turn(2);
    }
}

static void run_both(const uint8_t *settings, const char *path, const struct websocket_handler *handler)
{
    char copy[64];

    snprintf(copy, sizeof copy, "%s", path);
    sides[1].is_connecting = true;
    sides[1].socket =
        websocket_connect(loop, "ws://a/ws", handler,
                          &(struct websocket_options){ .request = &(struct httpclient_request){ .unix_path = copy } });
    if (sides[1].socket == NULL) {
        sides[1].is_connecting = false;
        return;
    }
    int rounds = 20 + settings[4];
    for (int i = 0; i < rounds && (sides[1].socket != NULL || i < 10); i++) {
        turn(1 + (int)draw(3));
        act(&sides[draw(2)]);
        now += draw(10) == 0 ? 0.5 : 0;
    }
    resume_both(60);
    struct side *ends = &sides[settings[6] & 1];
    if (ends->socket != NULL)
        close_side(ends);
    for (int i = 0; i < 60 && (sides[0].socket != NULL || sides[1].socket != NULL); i++) {
        now += 0.25;
        resume_both(2);
    }
    bool has_ended = sides[0].socket == NULL && sides[1].socket == NULL;
    for (int i = 0; i < 2; i++) {
        if (has_ended && !is_faulty && sides[i].closes && !sides[!i].closes)
            require(sides[!i].got_count == sides[i].sent_count);
    }
}

static struct websocket_handler make_handler(uint8_t setting)
{
    struct websocket_handler handler = { .open = opened,
                                         .on_message = got_message,
                                         .on_ping = got_control,
                                         .on_pong = got_control,
                                         .on_close = closed,
                                         .ping_interval = setting & 1 ? 2 : 0,
                                         .write_timeout = setting & 64 && !both ? 1.5 : 0,
                                         .max_unsent = setting & 2 ? 300000 : 0,
                                         .policy = (enum websocket_policy)(setting >> 2 & 1),
                                         .max_message = setting & 8 && !both ? 100 : 0,
                                         .max_fragments = setting & 16 ? 5 : 0,
                                         .compress = setting & 128,
                                         .compress_window = setting & 1 ? 9 + (setting >> 1) % 7 : 0,
                                         .compress_anew = setting & 2,
                                         .compress_least = setting & 4 ? 1 : 0 };

    if (setting & 32) {
        handler.on_piece = got_piece;
        handler.on_message = NULL;
    }
    if (setting & 64) {
        handler.on_drain = drained;
        handler.high_water = 1000;
    }
    return handler;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int number;
    char path[64];

    if (size < SETTINGS)
        return 0;
    if (bytes[0] == '\0') {
        iolog_set_function(say_nothing, NULL);
        for (size_t i = 0; i < LONGEST; i++)
            bytes[i] = (char)('a' + i % 23);
    }
    long allocated = faults_allocated();
    const uint8_t *settings = data;
    now = 100;
    fd = -1;
    is_faulty = false;
    memset(sides, 0, sizeof sides);
    both = settings[0] & 1;
    seed = 0;
    memcpy(&seed, settings + 1, 3);
    struct websocket_handler handlers[2];
    handlers[0] = make_handler(settings[7]);
    handlers[1] = make_handler(settings[8]);
    loop = ioloop_new(&(struct ioloop_options){ .clock = read_clock });
    require(loop != NULL);
    app = web_application_new((struct web_route[]){ { "/ws", &websocket_route, &handlers[0], NULL }, { 0 } },
                              &(struct web_settings){ .loop = loop });
    require(app != NULL);
    snprintf(path, sizeof path, "@fuzz_websocket_%d_%d", (int)getpid(), number++ % 1000);
    require(httpserver_listen_unix(web_application_server(app), path, 0) == 0);
    if (settings[9] & 1) {
        faults_allocation(1 + settings[9] / 2, false);
        is_faulty = true;
    } else if (settings[9] & 2) {
        faults_short_io(1 + settings[9] / 4u);
    }
    if (both)
        run_both(settings, path, &handlers[1]);
    else
        run_by_hand(data + SETTINGS, size - SETTINGS, settings, path);
    faults_end();
    check_output();
    web_application_close(app);
    now += settings[5] & 2 ? 0 : 20;
    turn(6);
    ioloop_close(loop, false);
    require(sides[0].opened == sides[0].closed && sides[0].socket == NULL);
    require(sides[1].socket == NULL && !sides[1].is_connecting);
    websocketdeflate_free(inflater);
    inflater = NULL;
    free(output);
    output = NULL;
    output_length = 0;
    require(faults_allocated() == allocated);
    return 0;
}
