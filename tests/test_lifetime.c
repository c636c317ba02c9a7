/* Every callback of streams, servers and the loop × everything a program may do inside it. Of each case: no crash, no
 * leak, every operation that was accepted is told of exactly once, every owned buffer is released exactly once. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"
#include "tests/support/ledger.h"
#include "tests/support/lifetimeactions.h"
#include "tests/support/lifetimescene.h"
#include "tests/support/testing.h"

/* Occasions: each makes one kind of callback happen, which then acts. */

static struct ledger_entry *acting(const char *name)
{
    struct ledger_entry *entry = ledger_add(name);

    entry->acts = true;
    return entry;
}

/* Of the loop: when that closes, these are dropped. */
static struct ledger_entry *acting_loosely(const char *name)
{
    struct ledger_entry *entry = acting(name);

    entry->may_be_lost = true;
    return entry;
}

static void send_to_first(size_t length)
{
    static const char bytes[70000];

    assert_int_equal(iostream_write(scene.streams[SECOND].stream, bytes, length, NULL, NULL), 0);
}

static void by_read(void)
{
    struct ledger_entry *read = acting("read");

    ledger_note(read, iostream_read_bytes(scene.streams[FIRST].stream, 10, ledger_on_read, read));
    send_to_first(100);
}

static void by_read_of_the_rest(void)
{
    begin_read(scene.streams[FIRST].stream, 1);
    send_to_first(10);
    ioloop_run_once(scene.loop, 0);
    struct ledger_entry *read = acting("read");
    ledger_note(read, iostream_read_bytes(scene.streams[FIRST].stream, 3, ledger_on_read, read));
}

static void by_end_of_file(void)
{
    struct ledger_entry *read = acting("read");

    ledger_note(read, iostream_read_until_close(scene.streams[FIRST].stream, 0, ledger_on_read, read));
    send_to_first(10);
    iostream_close(scene.streams[SECOND].stream);
}

static void by_limit(void)
{
    struct ledger_entry *read = acting("read");

    iolog_set_level(IOLOG_ERROR);
    ledger_note(read, iostream_read_until(scene.streams[FIRST].stream, "\n", 10, ledger_on_read, read));
    send_to_first(100);
}

static void by_piece(void)
{
    struct ledger_entry *read = acting("stream");

    ledger_note(read, iostream_read_bytes_streaming(scene.streams[FIRST].stream, 200, ledger_on_piece, read));
    send_to_first(100);
}

static void by_consumer(void)
{
    struct ledger_entry *consumer = acting("consumer");

    ledger_note(consumer, iostream_set_consumer(scene.streams[FIRST].stream, consume, consumer));
    send_to_first(70000);
}

static void by_end_of_consumer(void)
{
    begin_read(scene.streams[FIRST].stream, 5);
    send_to_first(3);
    iostream_shutdown(scene.streams[SECOND].stream);
    ledger_find("read")->acts = true;
}

static void by_write(void)
{
    struct ledger_entry *written = acting("write");

    ledger_note(written, iostream_write(scene.streams[FIRST].stream, "a", 1, ledger_on_end, written));
}

static void by_release(void)
{
    struct ledger_entry *released = acting("release"), *written = ledger_add("owned write");
    struct iostream *stream = scene.streams[FIRST].stream;

    ledger_note(written,
                iostream_write_owned(stream, malloc(1), 1, ledger_on_release, released, ledger_on_end, written));
    released->accepted = written->accepted;
}

static void by_drain(void)
{
    static const char bytes[500000];
    struct ledger_entry *consumer = ledger_add("consumer of the peer");

    assert_int_equal(iostream_set_drain_callback(scene.streams[FIRST].stream, 10, on_drain, NULL), 0);
    assert_int_equal(iostream_write(scene.streams[FIRST].stream, bytes, sizeof bytes, NULL, NULL), 0);
    ledger_note(consumer, iostream_set_consumer(scene.streams[SECOND].stream, consume, consumer));
}

static void by_close(void)
{
    scene.streams[FIRST].closing->acts = true;
    iostream_close(scene.streams[FIRST].stream);
}

static void by_the_peers_close(void)
{
    scene.streams[FIRST].closing->acts = true;
    iostream_close(scene.streams[SECOND].stream);
}

static void by_canceled_read(void)
{
    struct ledger_entry *read = acting("read");

    ledger_note(read, iostream_read_bytes(scene.streams[FIRST].stream, 10, ledger_on_read, read));
    iostream_close(scene.streams[FIRST].stream);
}

static void by_canceled_write(void)
{
    static const char bytes[500000];
    struct ledger_entry *written = acting("write");

    ledger_note(written, iostream_write(scene.streams[FIRST].stream, bytes, sizeof bytes, ledger_on_end, written));
    iostream_close(scene.streams[FIRST].stream);
}

static void by_timer(void)
{
    struct ledger_entry *timer = acting_loosely("timer");

    scene.timer = ioloop_call_later(scene.loop, 0, on_callback, timer);
    timer->accepted = scene.timer != 0;
}

static void by_callback(void)
{
    struct ledger_entry *callback = acting_loosely("callback");

    ledger_note(callback, ioloop_add_callback(scene.loop, on_callback, callback));
}

static void by_signal(void)
{
    struct ledger_entry *signalled = acting_loosely("signal");

    ledger_note(signalled, ioloop_add_signal(scene.loop, SIGUSR1, on_signal, signalled));
    raise(SIGUSR1);
}

static void by_handler(void)
{
    struct ledger_entry *ready = acting_loosely("handler");

    ledger_note(ready, ioloop_add_handler(scene.loop, scene.pipe[0], on_ready, ready, IOLOOP_READ));
    assert_int_equal(write(scene.pipe[1], "a", 1), 1);
}

static void by_accept(void)
{
    ledger_find("accept")->acts = true;
}

static void by_connect(void)
{
    ledger_find("connect")->acts = true;
}

static void by_server_close(void)
{
    server_closing->acts = true;
    tcpserver_close(scene.server);
}

static const struct action occasions[] = {
    { "read", by_read },
    { "read of the rest", by_read_of_the_rest },
    { "end of file", by_end_of_file },
    { "limit", by_limit },
    { "piece", by_piece },
    { "consumer", by_consumer },
    { "end of a consumer", by_end_of_consumer },
    { "write", by_write },
    { "release", by_release },
    { "drain", by_drain },
    { "close", by_close },
    { "the peer's close", by_the_peers_close },
    { "canceled read", by_canceled_read },
    { "canceled write", by_canceled_write },
    { "timer", by_timer },
    { "callback", by_callback },
    { "signal", by_signal },
    { "handler", by_handler },
    { "accept", by_accept },
    { "connect", by_connect },
    { "close of the server", by_server_close },
};

static void check_scene(const char *occasion, const char *action)
{
    if (!ledger_is_settled() || !scene.has_acted)
        fail_msg("in the callback of %s: %s%s", occasion, action, scene.has_acted ? "" : " (which did not happen)");
}

static void play(const struct action *occasion, const struct action *action, bool busy)
{
    long before = faults_allocated();

    open_scene(busy);
    scene.action = action->function;
    occasion->function();
    run_scene(12);
    close_scene();
    check_scene(occasion->name, action->name);
    iolog_set_level(IOLOG_INFO);
    if (faults_allocated() != before)
        fail_msg("in the callback of %s: %s leaks", occasion->name, action->name);
}

/* An action may find that what it is about has gone already: the stream of a close callback for one. */
static void survives_everything_in_every_callback(void **state)
{
    testing_begin_logs();
    for (size_t i = 0; i < sizeof occasions / sizeof *occasions; i++) {
        for (size_t j = 0; j < sizeof actions / sizeof *actions; j++) {
            play(&occasions[i], &actions[j], false);
            play(&occasions[i], &actions[j], true);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(survives_everything_in_every_callback),
};

TESTING_MAIN(tests)
