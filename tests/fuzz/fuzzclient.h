/* Internal: fuzzclient.h, for fuzz targets with two servers in this process and a client that sends the input to one of
 * them: where they listen, what bytes stand for, what is made to fail, how the client ends. */
#ifndef TESTS_FUZZ_FUZZCLIENT_H
#define TESTS_FUZZ_FUZZCLIENT_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/fuzz/fuzzloop.h"
#include "tests/support/faults.h"

enum { SERVERS = 2 };
enum { ENDS_BY_FIN, ENDS_BY_WAITING, ENDS_BY_CLOSING, ENDINGS };

static struct ioloop *loop;
static struct sockaddr_un addresses[SERVERS];

static inline void spin(int iterations)
{
    while (iterations-- > 0)
        (void)!ioloop_run_once(loop, 0);
}

/* The path that a server is to listen at. */
static inline const char *name_server(const char *target, int which)
{
    struct sockaddr_un *address = &addresses[which];

    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "@%s_%d_%d", target, (int)getpid(), which);
    return address->sun_path;
}

static inline int connect_client(int which)
{
    struct sockaddr_un to = addresses[which];
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(to.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    to.sun_path[0] = '\0';
    require(fd >= 0);
    require(connect(fd, (struct sockaddr *)&to, length) == 0);
    require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* Bytes from 0x80 on stand for what requests have in common, so that most that is tried gets further than to the first
 * byte. */
static inline size_t expand(const char *const *words, size_t word_count, const uint8_t *data, size_t size,
                            uint8_t *text)
{
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        const char *word = words[data[i] % word_count];
        size_t count = data[i] < 0x80 ? 1 : strlen(word);

        memcpy(text + length, data[i] < 0x80 ? (const void *)(data + i) : word, count);
        length += count;
    }
    return length;
}

struct failing_call {
    const char *name;
    int error;
};

/* False: nothing is to fail. */
static inline bool order_failure(const struct failing_call *calls, size_t count, uint8_t what, uint8_t nth)
{
    if (what >= 192)
        faults_system_call(calls[what % count].name, calls[what % count].error, 1 + nth % 32);
    else if (what >= 128)
        faults_allocation(1 + nth % 64, what % 4 == 0);
    return what >= 128;
}

#endif
