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
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* What was asked for, and what came of it. */
struct operation {
    const char *name;
    bool accepted; /* so it is to be told of, once */
    bool acts;     /* its callback is the one this case is about */
    int told;
};

enum { MOST_OPERATIONS = 64, STREAMS = 4 };

struct member {
    struct iostream *stream; /* NULL when it is gone */
    struct operation *closing;
};

/* first and second are connected; third connects to the server, which makes the fourth. */
static struct scene {
    struct ioloop *loop;
    struct member streams[STREAMS];
    struct tcpserver *server;
    struct operation operations[MOST_OPERATIONS];
    int operation_count;
    int pipe[2];   /* with a handler */
    int file;
    uint64_t timer;
    double now;
    bool has_acted, loop_closes;
    struct iostream *subject;
    void (*action)(void);
} scene;

enum { FIRST, SECOND, THIRD, FOURTH };

static struct operation *new_operation(const char *name)
{
    assert_in_range(scene.operation_count, 0, MOST_OPERATIONS - 1);
    struct operation *operation = &scene.operations[scene.operation_count++];
    *operation = (struct operation){ .name = name };
    return operation;
}

static void note(struct operation *operation, int result)
{
    operation->accepted = result == 0;
}

static void act(struct iostream *subject)
{
    if (scene.has_acted)
        return;
    scene.has_acted = true;
    scene.subject = subject != NULL ? subject : scene.streams[FIRST].stream;
    scene.action();
}

static void tell(struct operation *operation, struct iostream *subject)
{
    operation->told++;
    if (operation->acts)
        act(subject);
}

/* The callbacks. */

static void on_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    tell(arg, stream);
}

static void on_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct operation *operation = arg;

    if (length == 0)
        operation->told++;
    if (operation->acts)
        act(stream);
}

static size_t consume(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct operation *operation = arg;

    if (error != 0)
        operation->told++;
    if (operation->acts && error == 0)
        act(stream);
    return length;
}

static void on_end(struct iostream *stream, int error, void *arg)
{
    tell(arg, stream);
}

static void on_release(void *data, void *arg)
{
    free(data);
    tell(arg, NULL);
}

static void on_drain(struct iostream *stream, void *arg)
{
    act(stream);
}

static void on_close(struct iostream *stream, int error, void *arg)
{
    struct member *member = arg;

    tell(member->closing, stream);
    member->stream = NULL;
}

static void on_callback(void *arg)
{
    tell(arg, NULL);
}

static void on_signal(int signal_number, void *arg)
{
    tell(arg, NULL);
}

static void on_ready(int fd, unsigned events, void *arg)
{
    char byte;

    if (read(fd, &byte, 1) == 1)
        tell(arg, NULL);
}

/* Streams. */

static void adopt(int place, struct iostream *stream)
{
    struct member *member = &scene.streams[place];

    assert_non_null(stream);
    member->stream = stream;
    member->closing = new_operation("close");
    note(member->closing, 0);
    iostream_set_close_callback(stream, on_close, member);
}

static struct operation *server_closing;

static void on_connection(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    adopt(FOURTH, stream);
    struct operation *read = new_operation("read of the accepted stream");
    note(read, iostream_read_bytes(stream, 3, on_read, read));
    tell(arg, stream);
}

static void on_server_close(struct tcpserver *server, void *arg)
{
    scene.server = NULL;
    tell(server_closing, NULL);
}

static void begin_read(struct iostream *stream, size_t length)
{
    struct operation *operation = new_operation("read");

    if (stream != NULL)
        note(operation, iostream_read_bytes(stream, length, on_read, operation));
}

static void begin_owned_write(struct iostream *stream, size_t length)
{
    struct operation *written = new_operation("owned write"), *released = new_operation("release");
    char *memory = calloc(1, length);

    note(written, iostream_write_owned(stream, memory, length, on_release, released, on_end, written));
    released->accepted = written->accepted;
    if (!written->accepted)
        free(memory);
}

static void begin_writes(struct iostream *stream)
{
    static const char bytes[70000];
    struct operation *operations[3];

    if (stream == NULL)
        return;
    for (int i = 0; i < 3; i++)
        operations[i] = new_operation("write");
    note(operations[0], iostream_write(stream, "small", 5, on_end, operations[0]));
    note(operations[1], iostream_write(stream, bytes, sizeof bytes, on_end, operations[1]));
    note(operations[2], iostream_sendfile(stream, scene.file, 0, 5000, on_end, operations[2]));
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
    struct operation *operation = new_operation("timer");
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
    for (int i = 0; i < scene.operation_count; i++) {
        struct operation *operation = &scene.operations[i];
        if (strcmp(operation->name, "consumer") == 0 && iostream_set_consumer(scene.subject, NULL, NULL) == 0)
            operation->accepted = false; /* nobody is there to be told */
    }
}

static void replace_consumer(void)
{
    stop_consuming();
    struct operation *operation = new_operation("consumer");
    note(operation, iostream_set_consumer(scene.subject, consume, operation));
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
    struct operation *operation = new_operation("connect");

    note(operation, iostream_connect(scene.subject, (struct sockaddr *)&address, sizeof address, on_end, operation));
}

/* A new stream gets the number of the one just closed. */
static void close_and_reuse(void)
{
    int fd = iostream_fd(scene.subject), fds[2];
    struct operation *read = new_operation("read of a reused descriptor");

    if (scene.subject == NULL || fd < 0)
        return;
    close_self();
    testing_socketpair(fds);
    assert_true(fds[0] == fd || fds[1] == fd);
    struct iostream *stream = iostream_new(scene.loop, fds[0], NULL);
    assert_non_null(stream);
    note(read, iostream_read_bytes(stream, 1, on_read, read));
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

static struct operation *acting(const char *name)
{
    struct operation *operation = new_operation(name);

    operation->acts = true;
    return operation;
}

static void send_to_first(size_t length)
{
    static const char bytes[70000];

    assert_int_equal(iostream_write(scene.streams[SECOND].stream, bytes, length, NULL, NULL), 0);
}

static void by_read(void)
{
    struct operation *read = acting("read");

    note(read, iostream_read_bytes(scene.streams[FIRST].stream, 10, on_read, read));
    send_to_first(100);
}

static void by_read_of_the_rest(void)
{
    begin_read(scene.streams[FIRST].stream, 1);
    send_to_first(10);
    ioloop_run_once(scene.loop, 0);
    struct operation *read = acting("read");
    note(read, iostream_read_bytes(scene.streams[FIRST].stream, 3, on_read, read));
}

static void by_end_of_file(void)
{
    struct operation *read = acting("read");

    note(read, iostream_read_until_close(scene.streams[FIRST].stream, 0, on_read, read));
    send_to_first(10);
    iostream_close(scene.streams[SECOND].stream);
}

static void by_limit(void)
{
    struct operation *read = acting("read");

    iolog_set_level(IOLOG_ERROR);
    note(read, iostream_read_until(scene.streams[FIRST].stream, "\n", 10, on_read, read));
    send_to_first(100);
}

static void by_piece(void)
{
    struct operation *read = acting("stream");

    note(read, iostream_read_bytes_streaming(scene.streams[FIRST].stream, 200, on_piece, read));
    send_to_first(100);
}

static void by_consumer(void)
{
    struct operation *consumer = acting("consumer");

    note(consumer, iostream_set_consumer(scene.streams[FIRST].stream, consume, consumer));
    send_to_first(70000);
}

static void by_end_of_consumer(void)
{
    begin_read(scene.streams[FIRST].stream, 5);
    send_to_first(3);
    iostream_shutdown(scene.streams[SECOND].stream);
    for (int i = 0; i < scene.operation_count; i++)
        scene.operations[i].acts = strcmp(scene.operations[i].name, "read") == 0;
}

static void by_write(void)
{
    struct operation *written = acting("write");

    note(written, iostream_write(scene.streams[FIRST].stream, "a", 1, on_end, written));
}

static void by_release(void)
{
    struct operation *released = acting("release"), *written = new_operation("owned write");

    note(written, iostream_write_owned(scene.streams[FIRST].stream, malloc(1), 1, on_release, released, on_end, written));
    released->accepted = written->accepted;
}

static void by_drain(void)
{
    static const char bytes[500000];
    struct operation *consumer = new_operation("consumer of the peer");

    assert_int_equal(iostream_set_drain_callback(scene.streams[FIRST].stream, 10, on_drain, NULL), 0);
    assert_int_equal(iostream_write(scene.streams[FIRST].stream, bytes, sizeof bytes, NULL, NULL), 0);
    note(consumer, iostream_set_consumer(scene.streams[SECOND].stream, consume, consumer));
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
    struct operation *read = acting("read");

    note(read, iostream_read_bytes(scene.streams[FIRST].stream, 10, on_read, read));
    iostream_close(scene.streams[FIRST].stream);
}

static void by_canceled_write(void)
{
    static const char bytes[500000];
    struct operation *written = acting("write");

    note(written, iostream_write(scene.streams[FIRST].stream, bytes, sizeof bytes, on_end, written));
    iostream_close(scene.streams[FIRST].stream);
}

static void by_timer(void)
{
    struct operation *timer = acting("timer");

    scene.timer = ioloop_call_later(scene.loop, 0, on_callback, timer);
    timer->accepted = scene.timer != 0;
}

static void by_callback(void)
{
    struct operation *callback = acting("callback");

    note(callback, ioloop_add_callback(scene.loop, on_callback, callback));
}

static void by_signal(void)
{
    struct operation *signalled = acting("signal");

    note(signalled, ioloop_add_signal(scene.loop, SIGUSR1, on_signal, signalled));
    raise(SIGUSR1);
}

static void by_handler(void)
{
    struct operation *ready = acting("handler");

    note(ready, ioloop_add_handler(scene.loop, scene.pipe[0], on_ready, ready, IOLOOP_READ));
    assert_int_equal(write(scene.pipe[1], "a", 1), 1);
}

static void by_accept(void)
{
    for (int i = 0; i < scene.operation_count; i++)
        scene.operations[i].acts = strcmp(scene.operations[i].name, "accept") == 0;
}

static void by_connect(void)
{
    for (int i = 0; i < scene.operation_count; i++)
        scene.operations[i].acts = strcmp(scene.operations[i].name, "connect") == 0;
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
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct operation *connected = new_operation("connect");

    adopt(THIRD, iostream_new(scene.loop, socket(AF_INET, SOCK_STREAM, 0), NULL));
    note(connected, iostream_connect(scene.streams[THIRD].stream, (struct sockaddr *)&address, sizeof address, on_end,
                                     connected));
    assert_int_equal(iostream_write(scene.streams[THIRD].stream, "abcdef", 6, NULL, NULL), 0);
}

static void open_server(void)
{
    struct operation *accept = new_operation("accept");

    server_closing = new_operation("close of the server");
    scene.server = tcpserver_new(scene.loop, on_connection, accept, &(struct tcpserver_options){
        .on_close = on_server_close });
    assert_non_null(scene.server);
    note(server_closing, 0);
    accept->accepted = false; /* counted only when it happens */
}

static void open_scene(bool busy)
{
    int fds[2];

    scene = (struct scene){ .now = 1000 };
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
        assert_true(ioloop_run_once(scene.loop, i < 3 ? 0.001 : 0) >= 0);
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

static bool is_of_the_loop(const struct operation *operation)
{
    return strcmp(operation->name, "timer") == 0 || strcmp(operation->name, "callback") == 0 ||
           strcmp(operation->name, "signal") == 0 || strcmp(operation->name, "handler") == 0;
}

static void check_scene(const char *occasion, const char *action)
{
    bool good = scene.has_acted;

    for (int i = 0; i < scene.operation_count; i++) {
        const struct operation *operation = &scene.operations[i];
        if (operation->told == operation->accepted || (is_of_the_loop(operation) && operation->told == 0) ||
            (strcmp(operation->name, "accept") == 0 && operation->told <= 1))
            continue;
        print_error("%s: %s, told %d times\n", operation->name, operation->accepted ? "accepted" : "refused",
                    operation->told);
        good = false;
    }
    if (!good)
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
