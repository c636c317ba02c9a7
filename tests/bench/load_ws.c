/* load_ws [-c CONNECTIONS] [-s SIZE] [-w MESSAGES] [-n MESSAGES | -d SECONDS] [-p PID] PORT: sends masked binary
 * messages to a WebSocket server on 127.0.0.1, /ws, which echoes them; over each connection when the answer to the last
 * has come. -w: so many messages at once. -p: the server's process, to see what it costs.
 * load_ws -b ...: to /broadcast, on one connection, when all of them have the last.
 * load_ws -i [-c CONNECTIONS] -p PID PORT: how much larger the server is with connections that are silent.
 *
 * One line a figure: its name, its unit and the value, with tabs between. Runs on the second processor, if there is
 * one. With -d the first fifth is not counted.
 *
 * Servers may send a message in several frames. Pings are not answered. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "measure.h"

#define HEAD       4096
#define FIN        0x80
#define MASKED     0x80
#define BINARY     2
#define CONTROL    8
#define LENGTH_16  126
#define LENGTH_64  127
#define MASK       4
#define LONGEST    10 /* of the heads of servers */
#define FIRST_MASK 0x9d4f3a17u

static struct load load = { .noun = "message", .connections = 64, .at_once = 1 };
static char *payload;
static size_t size = 64;

/* Key and answer are those of RFC 6455 1.3. */
static void shake_hands(int fd)
{
    char text[HEAD + 1];
    size_t count = 0;
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          load.broadcasts ? "/broadcast" : "/ws", load.port);

    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) != length)
        measure_fail("send");
    do {
        ssize_t some = recv(fd, text + count, HEAD - count, 0);
        if (some <= 0)
            load_fail("no answer to the handshake");
        count += (size_t)some;
        text[count] = '\0';
    } while (count < 4 || memcmp(text + count - 4, "\r\n\r\n", 4) != 0);
    if (memcmp(text, "HTTP/1.1 101", 12) != 0 || strstr(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL) {
        fprintf(stderr, "no WebSocket: %s", text);
        exit(1);
    }
}

/* Writes the head of a client's frame, all but the key; answers its length. */
static size_t put_head(unsigned char *place)
{
    int bytes = size < LENGTH_16 ? 0 : size <= UINT16_MAX ? 2 : 8;

    place[0] = FIN | BINARY;
    place[1] = (unsigned char)(MASKED | (bytes == 0 ? size : bytes == 2 ? LENGTH_16 : LENGTH_64));
    for (int i = 0; i < bytes; i++)
        place[2 + i] = (unsigned char)((uint64_t)size >> 8 * (bytes - 1 - i));
    return 2 + (size_t)bytes;
}

static void build_messages(void)
{
    char *bytes = malloc((LONGEST + MASK + size) * (size_t)load.at_once);

    payload = malloc(size);
    if (bytes == NULL || payload == NULL)
        measure_fail("malloc");
    for (size_t i = 0; i < size; i++)
        payload[i] = (char)(i % 251);
    load.size = 0;
    for (int i = 0; i < load.at_once; i++) {
        uint32_t key = FIRST_MASK * (uint32_t)(i + 1);
        load.size += put_head((unsigned char *)bytes + load.size);
        memcpy(bytes + load.size, &key, MASK);
        for (size_t at = 0; at < size; at++)
            bytes[load.size + MASK + at] = (char)(payload[at] ^ bytes[load.size + at % MASK]);
        load.size += MASK + size;
    }
    load.bytes = bytes;
}

/* Of a head, as far as it is there: 0, if that is not enough. */
static unsigned head_length(const unsigned char *head, unsigned count)
{
    unsigned length = count < 2 ? LENGTH_64 : head[1];

    length = length < LENGTH_16 ? 2 : length == LENGTH_16 ? 4 : LONGEST;
    return count < length ? 0 : length;
}

static uint64_t length_of(const unsigned char *head, unsigned head_bytes)
{
    uint64_t length = head_bytes == 2 ? head[1] : 0;

    for (unsigned i = 2; i < head_bytes; i++)
        length = length << 8 | head[i];
    return length;
}

static bool is_control(const struct load_position *position)
{
    return (position->head[0] & CONTROL) != 0;
}

/* What there is of this frame's payload; answers how much, or -1. */
static ssize_t take_payload(struct load_position *position, const char *bytes, size_t length)
{
    size_t some = length < position->left ? length : (size_t)position->left;

    position->left -= some;
    if (is_control(position))
        return (ssize_t)some;
    if (position->before + some > size || memcmp(bytes, payload + position->before, some) != 0)
        return -1;
    position->before += some;
    return (ssize_t)some;
}

/* The frame has ended: 1, if a message ends with it; 0; or -1. */
static int end_frame(struct load_position *position)
{
    bool is_last = (position->head[0] & FIN) != 0 && !is_control(position);

    position->count = 0;
    if (!is_last)
        return 0;
    if (position->before != size)
        return -1;
    position->before = 0;
    return 1;
}

static int count_messages(struct load_position *position, const char *bytes, size_t length)
{
    int messages = 0;

    for (size_t i = 0; i < length;) {
        unsigned head_bytes = head_length(position->head, position->count);
        if (head_bytes == 0) {
            position->head[position->count++] = (unsigned char)bytes[i++];
            head_bytes = head_length(position->head, position->count);
            if (head_bytes == 0)
                continue;
            position->left = length_of(position->head, head_bytes);
        }
        ssize_t some = take_payload(position, bytes + i, length - i);
        if (some < 0)
            return -1;
        i += (size_t)some;
        if (position->left > 0)
            continue;
        int ended = end_frame(position);
        if (ended < 0)
            return -1;
        messages += ended;
    }
    return messages;
}

/* The one answer to an idle connection: in one frame. */
static bool is_echo(const char *bytes, size_t length, size_t before)
{
    struct load_position position = { 0 };

    return before == 0 && count_messages(&position, bytes, length) == 1;
}

static bool parse_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, LOAD_OPTIONS "s:w:b")) != -1) {
        if (option == 's')
            size = strtoul(optarg, NULL, 10);
        else if (option == 'w')
            load.at_once = atoi(optarg);
        else if (option == 'b')
            load.broadcasts = true;
        else if (!load_take_option(&load, option, optarg))
            return false;
    }
    load.port = optind < argc ? atoi(argv[optind]) : 0;
    return load_is_complete(&load) && size > 0 && load.at_once > 0 && (!load.broadcasts || load.at_once == 1) &&
           (!load.idle || size < LENGTH_16);
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(
            stderr,
            "usage: %s [-c CONNECTIONS] [-s SIZE] [-w MESSAGES | -b] [-n MESSAGES | -d SECONDS | -i] [-p PID] PORT\n",
            argv[0]);
        return 2;
    }
    if (load.broadcasts)
        load.noun = "broadcast";
    measure_on_cpu(1);
    measure_raise_files();
    build_messages();
    load.greet = shake_hands;
    load.count_answers = count_messages;
    load.answer = 2 + size; /* of an idle connection, whose message is short */
    load.is_answer = is_echo;
    load_run(&load);
    return 0;
}
