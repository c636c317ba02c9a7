/* Internal: lifetimescene.h, what test_lifetime acts in: streams that are connected, a server, a pipe, a timer, all of
 * whose callbacks a ledger knows. The one that is asked to acts: it calls scene.action, once.
 *
 * For one source of a program. */
#ifndef TESTS_SUPPORT_LIFETIMESCENE_H
#define TESTS_SUPPORT_LIFETIMESCENE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/netutil.h"
#include "ioloop/tcpserver.h"
#include "tests/support/ledger.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

enum { STREAMS = 4 };

struct member {
    struct iostream *stream; /* NULL when it is gone */
    struct ledger_entry *closing;
};

/* first and second are connected; third connects to the server, which makes the fourth. */
static struct scene {
    struct ioloop *loop;
    struct member streams[STREAMS];
    struct tcpserver *server;
    int pipe[2]; /* with a handler */
    int file;
    uint64_t timer;
    double now;
    bool has_acted, loop_closes;
    struct iostream *subject;
    void (*action)(void);
} scene;

enum { FIRST, SECOND, THIRD, FOURTH };

static inline void act(struct iostream *subject)
{
    if (scene.has_acted)
        return;
    scene.has_acted = true;
    scene.subject = subject != NULL ? subject : scene.streams[FIRST].stream;
    scene.action();
}

static inline void act_if_asked(struct ledger_entry *entry, struct iostream *stream, int error)
{
    if (entry->acts)
        act(stream);
}

/* The callbacks that are not the ledger's. */

static inline size_t consume(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct ledger_entry *entry = arg;

    if (error != 0)
        entry->told++;
    else
        act_if_asked(entry, stream, 0);
    return length;
}

static inline void on_drain(struct iostream *stream, void *arg)
{
    act(stream);
}

static inline void on_close(struct iostream *stream, int error, void *arg)
{
    struct member *member = arg;

    ledger_tell(member->closing, stream, error);
    member->stream = NULL;
}

static inline void on_callback(void *arg)
{
    ledger_tell(arg, NULL, 0);
}

static inline void on_signal(int signal_number, void *arg)
{
    ledger_tell(arg, NULL, 0);
}

static inline void on_ready(int fd, unsigned events, void *arg)
{
    char byte;

    if (read(fd, &byte, 1) == 1)
        ledger_tell(arg, NULL, 0);
}

/* Streams. */

static inline void adopt(int place, struct iostream *stream)
{
    struct member *member = &scene.streams[place];

    assert_non_null(stream);
    member->stream = stream;
    member->closing = ledger_add("close");
    ledger_note(member->closing, 0);
    iostream_set_close_callback(stream, on_close, member);
}

static struct ledger_entry *server_closing;

static inline void on_connection(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                                 socklen_t length, void *arg)
{
    adopt(FOURTH, stream);
    struct ledger_entry *read = ledger_add("read of the accepted stream");
    ledger_note(read, iostream_read_bytes(stream, 3, ledger_on_read, read));
    ledger_tell(arg, stream, 0);
}

static inline void on_server_close(struct tcpserver *server, void *arg)
{
    scene.server = NULL;
    ledger_tell(server_closing, NULL, 0);
}

static inline void begin_read(struct iostream *stream, size_t length)
{
    struct ledger_entry *operation = ledger_add("read");

    if (stream != NULL)
        ledger_note(operation, iostream_read_bytes(stream, length, ledger_on_read, operation));
}

static inline void begin_owned_write(struct iostream *stream, size_t length)
{
    struct ledger_entry *written = ledger_add("owned write"), *released = ledger_add("release");
    char *memory = calloc(1, length);

    ledger_note(written,
                iostream_write_owned(stream, memory, length, ledger_on_release, released, ledger_on_end, written));
    released->accepted = written->accepted;
    if (!written->accepted)
        free(memory);
}

static inline void begin_writes(struct iostream *stream)
{
    static const char bytes[70000];
    struct ledger_entry *operations[3];

    if (stream == NULL)
        return;
    for (int i = 0; i < 3; i++)
        operations[i] = ledger_add("write");
    ledger_note(operations[0], iostream_write(stream, "small", 5, ledger_on_end, operations[0]));
    ledger_note(operations[1], iostream_write(stream, bytes, sizeof bytes, ledger_on_end, operations[1]));
    ledger_note(operations[2], iostream_sendfile(stream, scene.file, 0, 5000, ledger_on_end, operations[2]));
    begin_owned_write(stream, 3000);
}

/* The scene. */

static inline void connect_third(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct ledger_entry *connected = ledger_add("connect");

    adopt(THIRD, iostream_new(scene.loop, socket(AF_INET, SOCK_STREAM, 0), NULL));
    ledger_note(connected, iostream_connect(scene.streams[THIRD].stream, (struct sockaddr *)&address, sizeof address,
                                            ledger_on_end, connected));
    assert_int_equal(iostream_write(scene.streams[THIRD].stream, "abcdef", 6, NULL, NULL), 0);
}

static inline void open_server(void)
{
    struct ledger_entry *accept = ledger_add("accept");

    server_closing = ledger_add("close of the server");
    scene.server =
        tcpserver_new(scene.loop, on_connection, accept, &(struct tcpserver_options){ .on_close = on_server_close });
    assert_non_null(scene.server);
    ledger_note(server_closing, 0);
    accept->accepted = accept->may_be_lost = true; /* not when the server closes before */
}

static inline void open_scene(bool busy)
{
    int fds[2];

    scene = (struct scene){ .now = 1000 };
    ledger_begin(act_if_asked);
    scene.loop = ioloop_new(&(struct ioloop_options){
        .make_current = IOLOOP_CURRENT_NEVER, .clock = testing_clock, .clock_arg = &scene.now });
    assert_non_null(scene.loop);
    assert_int_equal(pipe(scene.pipe), 0);
    scene.file = streampair_file(5000);
    testing_socketpair(fds);
    adopt(FIRST, iostream_new(scene.loop, fds[0], NULL));
    adopt(SECOND, iostream_new(scene.loop, fds[1], &(struct iostream_options){ .half_close = true }));
    open_server();
    int port = tcpserver_listen(scene.server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(port > 0);
    connect_third(port);
    if (busy) { /* much waits on both sides */
        begin_writes(scene.streams[FIRST].stream);
        begin_writes(scene.streams[FIRST].stream);
        begin_read(scene.streams[SECOND].stream, 1000000);
    }
}

static inline void run_scene(int iterations)
{
    for (int i = 0; i < iterations && !scene.loop_closes; i++)
        assert_true(ioloop_run_once(scene.loop, i == 0 ? 0.001 : 0) >= 0);
}

static inline void close_scene(void)
{
    if (!scene.loop_closes) {
        for (int i = 0; i < STREAMS; i++) {
            if (scene.streams[i].stream != NULL)
                iostream_close(scene.streams[i].stream);
        }
        if (scene.server != NULL)
            tcpserver_close(scene.server);
        ioloop_remove_handler(scene.loop, scene.pipe[0]);
        ioloop_remove_signal(scene.loop, SIGUSR1);
        run_scene(3);
        ioloop_close(scene.loop, false);
    }
    close(scene.pipe[0]);
    close(scene.pipe[1]);
    close(scene.file);
}

#endif
