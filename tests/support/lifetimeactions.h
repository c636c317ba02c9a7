/* Internal: lifetimeactions.h, for test_lifetime: what a program may do inside a callback. */
#ifndef TESTS_SUPPORT_LIFETIMEACTIONS_H
#define TESTS_SUPPORT_LIFETIMEACTIONS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/tcpserver.h"
#include "tests/support/ledger.h"
#include "tests/support/lifetimescene.h"
#include "tests/support/testing.h"

static inline void do_nothing(void)
{
}

static inline void close_self(void)
{
    iostream_close(scene.subject);
    iostream_close(scene.subject);
}

static inline void close_peers(void)
{
    for (int i = 0; i < STREAMS; i++) {
        if (scene.streams[i].stream != NULL && scene.streams[i].stream != scene.subject)
            iostream_close(scene.streams[i].stream);
    }
}

static inline void close_all(void)
{
    close_peers();
    close_self();
}

static inline void close_server(void)
{
    if (scene.server == NULL)
        return;
    tcpserver_stop(scene.server);
    tcpserver_close(scene.server);
    tcpserver_close(scene.server);
}

static inline void stop_loop(void)
{
    ioloop_stop(scene.loop);
}

static inline void close_loop(void)
{
    scene.loop_closes = true;
    ioloop_close(scene.loop, false);
    ioloop_close(scene.loop, false);
}

static inline void close_self_and_loop(void)
{
    close_self();
    close_loop();
}

static inline void run_loop(void)
{
    assert_int_equal(ioloop_run_once(scene.loop, 0), -EBUSY);
    assert_int_equal(ioloop_start(scene.loop), -EBUSY);
}

static inline void write_to_all(void)
{
    for (int i = 0; i < STREAMS; i++)
        begin_writes(scene.streams[i].stream);
}

static inline void write_and_close(void)
{
    begin_writes(scene.subject);
    close_self();
}

static inline void read_from_all(void)
{
    for (int i = 0; i < STREAMS; i++)
        begin_read(scene.streams[i].stream, 5);
}

static inline void read_nothing(void)
{
    begin_read(scene.subject, 0);
}

static inline void cancel_reads(void)
{
    for (int i = 0; i < STREAMS; i++) {
        if (scene.streams[i].stream != NULL)
            iostream_cancel_read(scene.streams[i].stream);
    }
}

static inline void cancel_and_read(void)
{
    cancel_reads();
    begin_read(scene.subject, 1);
}

static inline void change_timers(void)
{
    struct ledger_entry *operation = ledger_add("timer");
    operation->may_be_lost = true;
    uint64_t first = ioloop_call_later(scene.loop, 0, on_callback, NULL);
    uint64_t second = ioloop_call_later(scene.loop, 0, on_callback, operation);

    operation->accepted = second != 0;
    ioloop_remove_timeout(scene.loop, first);
    ioloop_remove_timeout(scene.loop, scene.timer);
    ioloop_remove_timeout(scene.loop, first);
}

static inline void change_handlers(void)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(ioloop_add_handler(scene.loop, fds[0], on_ready, NULL, IOLOOP_READ), 0);
    ioloop_remove_handler(scene.loop, fds[0]);
    ioloop_remove_handler(scene.loop, scene.pipe[0]);
    ioloop_remove_handler(scene.loop, scene.pipe[0]);
    close(fds[0]);
    close(fds[1]);
}

static inline void remove_signal(void)
{
    ioloop_remove_signal(scene.loop, SIGUSR1);
}

static inline void stop_consuming(void)
{
    struct ledger_entry *consumer = ledger_find("consumer");

    if (iostream_set_consumer(scene.subject, NULL, NULL) == 0 && consumer != NULL)
        consumer->accepted = false; /* nobody is there to be told */
}

static inline void replace_consumer(void)
{
    stop_consuming();
    struct ledger_entry *operation = ledger_add("consumer");
    ledger_note(operation, iostream_set_consumer(scene.subject, consume, operation));
}

static inline void shut_down(void)
{
    iostream_shutdown(scene.subject);
    assert_true(iostream_write(scene.subject, "a", 1, NULL, NULL) < 0);
}

static inline void shut_down_all(void)
{
    for (int i = 0; i < STREAMS; i++) {
        if (scene.streams[i].stream != NULL)
            iostream_shutdown(scene.streams[i].stream);
    }
}

static inline void cork_for_good(void)
{
    iostream_cork(scene.subject);
    begin_writes(scene.subject);
}

static inline void cork_and_close(void)
{
    cork_for_good();
    close_self();
}

static inline void time_out(void)
{
    iostream_set_read_timeout(scene.subject, 1);
    scene.now += 2;
}

static inline void change_drain(void)
{
    iostream_set_drain_callback(scene.subject, 1, NULL, NULL);
    begin_writes(scene.subject);
    iostream_set_drain_callback(scene.subject, 1, on_drain, NULL);
}

static inline void connect_again(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9) };
    struct ledger_entry *operation = ledger_add("connect");

    ledger_note(operation,
                iostream_connect(scene.subject, (struct sockaddr *)&address, sizeof address, ledger_on_end, operation));
}

/* A new stream gets the number of the one just closed. */
static inline void close_and_reuse(void)
{
    int fd = iostream_fd(scene.subject), fds[2];
    struct ledger_entry *read = ledger_add("read of a reused descriptor");

    if (scene.subject == NULL || fd < 0)
        return;
    close_self();
    testing_socketpair(fds);
    assert_true(fds[0] == fd || fds[1] == fd);
    struct iostream *stream = iostream_new(scene.loop, fds[0], NULL);
    assert_non_null(stream);
    ledger_note(read, iostream_read_bytes(stream, 1, ledger_on_read, read));
    close(fds[1]); /* ends it, and the stream goes */
}

static const struct action {
    const char *name;
    void (*function)(void);
} actions[] = {
    { "nothing", do_nothing },
    { "close self", close_self },
    { "close peers", close_peers },
    { "close all", close_all },
    { "close the listener", close_server },
    { "stop the loop", stop_loop },
    { "close the loop", close_loop },
    { "close self and the loop", close_self_and_loop },
    { "run the loop", run_loop },
    { "write", write_to_all },
    { "write and close", write_and_close },
    { "read", read_from_all },
    { "read nothing", read_nothing },
    { "cancel", cancel_reads },
    { "cancel and read", cancel_and_read },
    { "timers", change_timers },
    { "handlers", change_handlers },
    { "remove the signal", remove_signal },
    { "no consumer", stop_consuming },
    { "another consumer", replace_consumer },
    { "shutdown", shut_down },
    { "shutdown of all", shut_down_all },
    { "cork", cork_for_good },
    { "cork and close", cork_and_close },
    { "time out", time_out },
    { "drain", change_drain },
    { "connect", connect_again },
    { "close and reuse the descriptor", close_and_reuse },
};

#endif
