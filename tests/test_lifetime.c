/* Every callback of streams, servers and the loop × everything a program may do inside it. Of each case: no crash, no
 * leak, every operation that was accepted is told of exactly once, every owned buffer is released exactly once. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/netutil.h"
#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"
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

static void act(struct iostream *subject)
{
    if (scene.has_acted)
        return;
    scene.has_acted = true;
    scene.subject = subject != NULL ? subject : scene.streams[FIRST].stream;
    scene.action();
}

static void act_if_asked(struct ledger_entry *entry, struct iostream *stream, int error)
{
    if (entry->acts)
        act(stream);
}

/* The callbacks that are not the ledger's. */

static size_t consume(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct ledger_entry *entry = arg;

    if (error != 0)
        entry->told++;
    else
        act_if_asked(entry, stream, 0);
    return length;
}

static void on_drain(struct iostream *stream, void *arg)
{
    act(stream);
}

static void on_close(struct iostream *stream, int error, void *arg)
{
    struct member *member = arg;

    ledger_tell(member->closing, stream, error);
    member->stream = NULL;
}

static void on_callback(void *arg)
{
    ledger_tell(arg, NULL, 0);
}

static void on_signal(int signal_number, void *arg)
{
    ledger_tell(arg, NULL, 0);
}

static void on_ready(int fd, unsigned events, void *arg)
{
    char byte;

    if (read(fd, &byte, 1) == 1)
        ledger_tell(arg, NULL, 0);
}

/* Streams. */

static void adopt(int place, struct iostream *stream)
{
    struct member *member = &scene.streams[place];

    assert_non_null(stream);
    member->stream = stream;
    member->closing = ledger_add("close");
    ledger_note(member->closing, 0);
    iostream_set_close_callback(stream, on_close, member);
}

static struct ledger_entry *server_closing;

static void on_connection(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    adopt(FOURTH, stream);
    struct ledger_entry *read = ledger_add("read of the accepted stream");
    ledger_note(read, iostream_read_bytes(stream, 3, ledger_on_read, read));
    ledger_tell(arg, stream, 0);
}

static void on_server_close(struct tcpserver *server, void *arg)
{
    scene.server = NULL;
    ledger_tell(server_closing, NULL, 0);
}

static void begin_read(struct iostream *stream, size_t length)
{
    struct ledger_entry *operation = ledger_add("read");

    if (stream != NULL)
        ledger_note(operation, iostream_read_bytes(stream, length, ledger_on_read, operation));
}

static void begin_owned_write(struct iostream *stream, size_t length)
{
    struct ledger_entry *written = ledger_add("owned write"), *released = ledger_add("release");
    char *memory = calloc(1, length);

    ledger_note(written,
                iostream_write_owned(stream, memory, length, ledger_on_release, released, ledger_on_end, written));
    released->accepted = written->accepted;
    if (!written->accepted)
        free(memory);
}

static void begin_writes(struct iostream *stream)
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

/* Actions. */

static void do_nothing(void)
{
}

static void close_self(void)
{
    iostream_close(scene.subject);
    iostream_close(scene.subject);
}

static void close_peers(void)
{
    for (int i = 0; i < STREAMS; i++) {
        if (scene.streams[i].stream != NULL && scene.streams[i].stream != scene.subject)
            iostream_close(scene.streams[i].stream);
    }
}

static void close_all(void)
{
    close_peers();
    close_self();
}

static void close_server(void)
{
    if (scene.server == NULL)
        return;
    tcpserver_stop(scene.server);
    tcpserver_close(scene.server);
    tcpserver_close(scene.server);
}

static void stop_loop(void)
{
    ioloop_stop(scene.loop);
}

static void close_loop(void)
{
    scene.loop_closes = true;
    ioloop_close(scene.loop, false);
    ioloop_close(scene.loop, false);
}

static void close_self_and_loop(void)
{
    close_self();
    close_loop();
}

static void run_loop(void)
{
    assert_int_equal(ioloop_run_once(scene.loop, 0), -EBUSY);
    assert_int_equal(ioloop_start(scene.loop), -EBUSY);
}

static void write_to_all(void)
{
    for (int i = 0; i < STREAMS; i++)
        begin_writes(scene.streams[i].stream);
}

static void write_and_close(void)
{
    begin_writes(scene.subject);
    close_self();
}

static void read_from_all(void)
{
    for (int i = 0; i < STREAMS; i++)
        begin_read(scene.streams[i].stream, 5);
}

static void read_nothing(void)
{
    begin_read(scene.subject, 0);
}

static void cancel_reads(void)
{
    for (int i = 0; i < STREAMS; i++) {
        if (scene.streams[i].stream != NULL)
            iostream_cancel_read(scene.streams[i].stream);
    }
}

static void cancel_and_read(void)
{
    cancel_reads();
    begin_read(scene.subject, 1);
}

static void change_timers(void)
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

static void change_handlers(void)
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

static void remove_signal(void)
{
    ioloop_remove_signal(scene.loop, SIGUSR1);
}

static void stop_consuming(void)
{
    struct ledger_entry *consumer = ledger_find("consumer");

    if (iostream_set_consumer(scene.subject, NULL, NULL) == 0 && consumer != NULL)
        consumer->accepted = false; /* nobody is there to be told */
}

static void replace_consumer(void)
{
    stop_consuming();
    struct ledger_entry *operation = ledger_add("consumer");
    ledger_note(operation, iostream_set_consumer(scene.subject, consume, operation));
}

static void shut_down(void)
{
    iostream_shutdown(scene.subject);
    assert_true(iostream_write(scene.subject, "a", 1, NULL, NULL) < 0);
}

static void shut_down_all(void)
{
    for (int i = 0; i < STREAMS; i++) {
        if (scene.streams[i].stream != NULL)
            iostream_shutdown(scene.streams[i].stream);
    }
}

static void cork_for_good(void)
{
    iostream_cork(scene.subject);
    begin_writes(scene.subject);
}

static void cork_and_close(void)
{
    cork_for_good();
    close_self();
}

static void time_out(void)
{
    iostream_set_read_timeout(scene.subject, 1);
    scene.now += 2;
}

static void change_drain(void)
{
    iostream_set_drain_callback(scene.subject, 1, NULL, NULL);
    begin_writes(scene.subject);
    iostream_set_drain_callback(scene.subject, 1, on_drain, NULL);
}

static void connect_again(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9) };
    struct ledger_entry *operation = ledger_add("connect");

    ledger_note(operation,
                iostream_connect(scene.subject, (struct sockaddr *)&address, sizeof address, ledger_on_end, operation));
}

/* A new stream gets the number of the one just closed. */
static void close_and_reuse(void)
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

/* The scene. */

static void connect_third(int port)
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

static void open_server(void)
{
    struct ledger_entry *accept = ledger_add("accept");

    server_closing = ledger_add("close of the server");
    scene.server =
        tcpserver_new(scene.loop, on_connection, accept, &(struct tcpserver_options){ .on_close = on_server_close });
    assert_non_null(scene.server);
    ledger_note(server_closing, 0);
    accept->accepted = accept->may_be_lost = true; /* not when the server closes before */
}

static void open_scene(bool busy)
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

static void run_scene(int iterations)
{
    for (int i = 0; i < iterations && !scene.loop_closes; i++)
        assert_true(ioloop_run_once(scene.loop, i == 0 ? 0.001 : 0) >= 0);
}

static void close_scene(void)
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
