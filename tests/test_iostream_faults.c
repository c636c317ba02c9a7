/* Streams of all kinds at work, while each allocation and each system call fails in turn, in every way that it may.
 * Of each case: no crash, no leak, no descriptor lost, everything that was accepted told of exactly once, and without
 * having to be closed for it, and a loop that works afterwards. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "tests/support/faults.h"
#include "tests/support/ledger.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

enum { MOST_STREAMS = 8 };

struct member {
    struct iostream *stream;
    struct ledger_entry *closing;
    int step; /* of the reads that follow each other */
    char memory[40];
};

static struct scene {
    struct ioloop *loop;
    int failed; /* operations that were told of an error */
    struct member members[MOST_STREAMS];
    int member_count;
    int listener, file;
    struct sockaddr_in address;
    regex_t regex;
    double now;
} scene;

/* Whoever is refused something gives up, so that its peer is not left waiting. */
static void note(struct ledger_entry *entry, struct iostream *stream, int result)
{
    ledger_note(entry, result);
    if (result < 0)
        iostream_close(stream);
}

/* Callbacks. */

static void count_failure(struct ledger_entry *entry, struct iostream *stream, int error)
{
    scene.failed += error != 0 && strcmp(entry->name, "close") != 0;
}

static void on_drain(struct iostream *stream, void *arg)
{
}

static void on_close(struct iostream *stream, int error, void *arg)
{
    struct member *member = arg;

    ledger_tell(member->closing, stream, error);
    member->stream = NULL;
}

static struct member *adopt(int fd, const struct iostream_options *options)
{
    struct iostream *stream = iostream_new_pipe(scene.loop, fd, options);
    struct member *member = &scene.members[scene.member_count];

    if (stream == NULL) {
        close(fd);
        return NULL;
    }
    assert_in_range(++scene.member_count, 0, MOST_STREAMS);
    *member = (struct member){ .stream = stream, .closing = ledger_add("close") };
    member->closing->accepted = true;
    iostream_set_close_callback(stream, on_close, member);
    return member;
}

/* Reading, one kind after the other. */

static struct member *member_of(struct iostream *stream)
{
    for (int i = 0; i < scene.member_count; i++) {
        if (scene.members[i].stream == stream)
            return &scene.members[i];
    }
    fail_msg("%s", "a callback of a stream that is gone");
    return NULL;
}

static void read_next(struct iostream *stream);

static void on_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    ledger_tell(arg, stream, error);
    if (error == 0)
        read_next(stream);
}

static void on_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (length == 0)
        on_read(stream, error, data, length, arg);
}

static void read_next(struct iostream *stream)
{
    struct member *member = member_of(stream);
    struct ledger_entry *read = ledger_add("read");
    static const char delimiter[20] = "a long delimiter...\n";
    int result;

    switch (member->step++) {
    case 0:
        result = iostream_read_until(stream, "\n", 0, on_read, read);
        break;
    case 1:
        result = iostream_read_until_bytes(stream, delimiter, sizeof delimiter, 0, on_read, read);
        break;
    case 2:
        result = iostream_read_until_regex(stream, &scene.regex, 0, on_read, read);
        break;
    case 3:
        result = iostream_read_bytes(stream, 10, on_read, read);
        break;
    case 4:
        result = iostream_read_into(stream, member->memory, sizeof member->memory, on_read, read);
        break;
    case 5:
        result = iostream_read_bytes_partial(stream, 10, on_read, read);
        break;
    case 6:
        result = iostream_read_bytes_streaming(stream, 70000, on_piece, read);
        break;
    case 7:
        result = iostream_read_until_close(stream, 0, on_read, read);
        break;
    default:
        read->accepted = false;
        return;
    }
    note(read, stream, result);
}

static size_t consume(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error != 0) {
        ((struct ledger_entry *)arg)->told++;
        iostream_shutdown(stream);
    } else {
        int result = 0; /* answers a little, in pieces that are corked */
        for (int i = 0; i < 3 && result == 0; i++)
            result = iostream_write(stream, "xyz\n", 4, NULL, NULL);
    }
    return length;
}

/* Writing, one kind after the other. */

static bool write_text(struct iostream *stream, const char *text)
{
    struct ledger_entry *written = ledger_add("write");

    note(written, stream, iostream_write(stream, text, strlen(text), ledger_on_end, written));
    return written->accepted;
}

static bool write_parts(struct iostream *stream)
{
    struct ledger_entry *written = ledger_add("writev");
    struct iovec vector[2] = { { "parts", 5 }, { " of a line\n", 11 } };

    note(written, stream, iostream_writev(stream, vector, 2, ledger_on_end, written));
    return written->accepted;
}

static bool write_owned(struct iostream *stream, size_t length)
{
    struct ledger_entry *written = ledger_add("owned"), *released = ledger_add("release");
    char *memory = calloc(1, length);

    note(written, stream,
         iostream_write_owned(stream, memory, length, ledger_on_release, released, ledger_on_end, written));
    released->accepted = written->accepted;
    if (!written->accepted)
        free(memory);
    return written->accepted;
}

static bool write_file(struct iostream *stream)
{
    struct ledger_entry *written = ledger_add("file");

    note(written, stream, iostream_sendfile(stream, scene.file, 0, 100000, ledger_on_end, written));
    return written->accepted;
}

static bool cork_and_write(struct iostream *stream)
{
    iostream_cork(stream);
    bool written = write_text(stream, "0123456789") && write_text(stream, "0123456789");
    if (written)
        iostream_uncork(stream);
    return written;
}

static void write_everything(struct iostream *stream)
{
    if (iostream_set_drain_callback(stream, 1000, on_drain, NULL) == 0 && write_text(stream, "a line\n") &&
        write_text(stream, "a long delimiter...\n") && write_parts(stream) && cork_and_write(stream) &&
        write_owned(stream, 3000) && write_file(stream) && write_owned(stream, 150000) && write_file(stream) &&
        write_text(stream, "") && iostream_shutdown(stream) == 0)
        return;
    iostream_close(stream);
}

/* The scene: a pair of sockets, a pipe, and a connection. */

static void play_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct member *reader = adopt(fds[0], NULL);
    struct member *writer = adopt(fds[1], &(struct iostream_options){ .half_close = true, .max_buffer_size = 1 << 20 });
    if (reader != NULL) {
        int error = iostream_set_read_timeout(reader->stream, 100);
        if (error < 0)
            iostream_close(reader->stream);
        else
            read_next(reader->stream);
    }
    if (writer != NULL)
        write_everything(writer->stream);
}

static void play_pipe(void)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    struct member *reader = adopt(fds[0], NULL), *writer = adopt(fds[1], NULL);
    struct ledger_entry *read = ledger_add("read until close");
    if (reader != NULL)
        note(read, reader->stream, iostream_read_until_close_streaming(reader->stream, on_piece, read));
    if (writer != NULL)
        write_everything(writer->stream);
}

static void on_connection(int fd, unsigned events, void *arg)
{
    int peer = accept(fd, NULL, NULL);

    if (peer < 0)
        return;
    struct member *member = adopt(peer, &(struct iostream_options){ .half_close = true });
    if (member == NULL)
        return;
    struct ledger_entry *consumer = ledger_add("consumer");
    note(consumer, member->stream, iostream_set_consumer(member->stream, consume, consumer));
}

static void ask_and_shut_down(struct iostream *stream)
{
    struct ledger_entry *line = ledger_add("line");

    if (!write_text(stream, "question"))
        return;
    note(line, stream, iostream_read_until(stream, "xyz\n", 0, on_read, line));
    if (line->accepted && iostream_shutdown(stream) < 0)
        iostream_close(stream);
}

static void on_connected(struct iostream *stream, int error, void *arg)
{
    ledger_tell(arg, stream, error);
    if (error == 0) {
        iostream_set_nodelay(stream, true);
        ask_and_shut_down(stream);
    }
}

static void play_connection(void)
{
    struct ledger_entry *connected = ledger_add("connect");
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    if (ioloop_add_handler(scene.loop, scene.listener, on_connection, NULL, IOLOOP_READ) < 0) {
        close(fd);
        return;
    }
    struct member *member = adopt(fd, NULL);
    if (member == NULL)
        return;
    member->step = 7;
    note(connected, member->stream,
         iostream_connect(member->stream, (struct sockaddr *)&scene.address, sizeof scene.address, on_connected,
                          connected));
}

/* Until all is told, or nothing has happened for a while. A shutdown that fails says that the peer has gone; where it
 * has not, it waits for an end that never comes, and has to be closed. */
static void run_scene(bool shutdown_fails)
{
    for (int idle = 0; idle < 200 && !ledger_is_told();) {
        int handlers = ioloop_run_once(scene.loop, 0.001);
        assert_true(handlers >= 0);
        idle = handlers == 0 ? idle + 1 : 0;
    }
    for (int i = 0; i < scene.member_count && shutdown_fails; i++) {
        if (scene.members[i].stream != NULL)
            iostream_close(scene.members[i].stream);
    }
    testing_spin(scene.loop, 2); /* for what must not come */
}

static void open_scene(void)
{
    socklen_t length = sizeof scene.address;

    scene = (struct scene){ .now = 1000, .file = streampair_file(100000) };
    ledger_begin(count_failure);
    scene.loop = ioloop_new(&(struct ioloop_options){
        .make_current = IOLOOP_CURRENT_NEVER, .clock = testing_clock, .clock_arg = &scene.now });
    assert_non_null(scene.loop);
    assert_int_equal(regcomp(&scene.regex, "[a-z ]+\n", REG_EXTENDED), 0);
    scene.address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    scene.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(scene.listener, (struct sockaddr *)&scene.address, length), 0);
    assert_int_equal(getsockname(scene.listener, (struct sockaddr *)&scene.address, &length), 0);
    assert_int_equal(listen(scene.listener, 5), 0);
}

/* The loop is none the worse for it. */
static void check_that_the_loop_works(void)
{
    struct ledger_entry line = { 0 };
    int fds[2];

    testing_socketpair(fds);
    struct iostream *stream = iostream_new(scene.loop, fds[0], NULL);
    assert_non_null(stream);
    assert_int_equal(iostream_write(stream, "a\n", 2, NULL, NULL), 0);
    scene.members[0] = (struct member){ .stream = stream, .step = 8 };
    scene.member_count = 1;
    assert_int_equal(iostream_read_until(stream, "\n", 0, on_read, &line), 0);
    assert_int_equal(write(fds[1], "b\n", 2), 2);
    while (line.told == 0)
        assert_true(ioloop_run_once(scene.loop, 0.001) >= 0);
    assert_int_equal(line.told, 1);
    iostream_close(stream);
    close(fds[1]);
}

static void close_scene(void)
{
    ioloop_remove_handler(scene.loop, scene.listener);
    check_that_the_loop_works();
    ioloop_close(scene.loop, false);
    regfree(&scene.regex);
    close(scene.listener);
    close(scene.file);
}

static void check_operations(const char *what, int error, int nth)
{
    if (!ledger_is_settled())
        fail_msg("failing %s, number %d, with %s", what, nth, strerror(error));
}

/* Answers whether it came to the fault. */
static bool play(const char *call, int error, int nth, bool sticky)
{
    long before = faults_allocated();
    int fds = testing_count_fds();

    open_scene();
    if (call == NULL)
        faults_allocation(nth, sticky);
    else if (sticky)
        faults_system_call_sticky(call, error, nth);
    else
        faults_system_call(call, error, nth);
    play_pair();
    play_pipe();
    play_connection();
    run_scene(call != NULL && strcmp(call, "shutdown") == 0);
    bool hit = faults_hit();
    faults_end();
    check_operations(call != NULL ? call : "allocation", error, nth);
    close_scene();
    if (faults_allocated() != before || testing_count_fds() != fds)
        fail_msg("failing %s, number %d, with %s leaks", call != NULL ? call : "allocation", nth, strerror(error));
    return hit;
}

static void works_without_faults(void **state)
{
    testing_begin_logs();
    assert_false(play(NULL, 0, 0, false));
    assert_int_equal(scene.failed, 0);
    assert_int_equal(testing_logs(NULL), 0);
}

static void survives_short_reads_and_writes(void **state)
{
    static const size_t sizes[] = { 4096, 1000, 333 };

    for (int i = 0; i < 3; i++) {
        testing_begin_logs();
        faults_short_io(sizes[i]);
        play(NULL, 0, 0, false);
        assert_int_equal(testing_logs(NULL), 0);
    }
}

static void survives_every_failure_to_allocate(void **state)
{
    testing_begin_logs();
    for (int sticky = 0; sticky < 2; sticky++) {
        int nth = 1;
        while (play(NULL, ENOMEM, nth, sticky))
            nth++;
        assert_in_range(nth, 40, 1000);
    }
}

static const struct failure {
    const char *call;
    int errors[8];
    int least; /* calls of the scene, where the kernel is Linux */
} failures[] = {
    { "recv", { EINTR, EAGAIN, ECONNRESET, ETIMEDOUT, ENOMEM, ENOBUFS, EIO }, 10 },
    { "send", { EINTR, EAGAIN, ECONNRESET, EPIPE, ETIMEDOUT, ENOMEM, ENOBUFS }, 4 },
    { "sendmsg", { EINTR, EAGAIN, ECONNRESET, EPIPE, ENOMEM, ENOBUFS, ECONNABORTED }, 2 },
    { "read", { EINTR, EAGAIN, EIO }, 5 },
    { "write", { EINTR, EAGAIN, EPIPE, EIO }, 4 },
    { "writev", { EINTR, EAGAIN, EPIPE, EIO }, 2 },
    { "sendfile", { EINTR, EAGAIN, EPIPE, ECONNRESET, EIO, ENOMEM, EINVAL }, 2 },
    { "connect", { EINTR, ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, EAGAIN, ENOBUFS, EPERM }, 1 },
    { "setsockopt", { ENOBUFS, ENOMEM, EINVAL }, 1 },
    { "getsockopt", { ENOBUFS, ENOMEM, EBADF }, 3 },
    { "epoll_ctl", { ENOMEM, ENOSPC, EPERM }, 8 },
    { "shutdown", { ENOTCONN, ENOBUFS }, 2 },
    { "fcntl", { ENOMEM, EBADF }, 6 },
    { "close", { EINTR, EIO, ENOSPC, EDQUOT }, 6 },
};

static void survives_every_failure_of_the_kernel(void **state)
{
    testing_begin_logs();
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const struct failure *failure = &failures[i];
        for (const int *error = failure->errors; *error != 0; error++) {
            int nth = 1;
            for (; play(failure->call, *error, nth, false); nth++) {
                /* Interrupted, or too early: nobody notices. (A connect of which that is made up has not begun.) */
                if ((*error == EINTR || *error == EAGAIN) && strcmp(failure->call, "connect") != 0)
                    assert_int_equal(scene.failed, 0);
            }
            if (strcmp(failure->call, "epoll_ctl") != 0)
                assert_true(nth > failure->least);
        }
    }
}

/* From some moment on nothing of this kind works any more. */
static void survives_failures_that_last(void **state)
{
    testing_begin_logs();
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        for (const int *error = failures[i].errors; *error != 0; error++) {
            if (*error == EINTR || *error == EAGAIN)
                continue; /* these do not last */
            for (int nth = 1; play(failures[i].call, *error, nth, true); nth++)
                continue;
        }
    }
}

/* What cannot be begun without memory is as if it had not been asked for. */
static void answers_enomem_and_changes_nothing(void **state)
{
    static const char delimiter[20];
    struct ledger_entry none = { 0 };
    char memory[10];
    int fds[2];

    open_scene();
    testing_socketpair(fds);
    struct iostream *stream = iostream_new(scene.loop, fds[0], NULL);
    faults_allocation(1, true);
    assert_int_equal(iostream_read_until(stream, "\n", 0, on_read, &none), -ENOMEM);
    assert_int_equal(iostream_read_until_regex(stream, &scene.regex, 0, on_read, &none), -ENOMEM);
    assert_int_equal(iostream_read_bytes(stream, 1, on_read, &none), -ENOMEM);
    assert_int_equal(iostream_read_into(stream, memory, 1, on_read, &none), -ENOMEM);
    assert_int_equal(iostream_read_until_close(stream, 0, on_read, &none), -ENOMEM);
    assert_int_equal(iostream_read_bytes_streaming(stream, 1, on_read, &none), -ENOMEM);
    assert_int_equal(iostream_set_read_timeout(stream, 1), -ENOMEM);
    assert_int_equal(iostream_set_write_timeout(stream, 1), -ENOMEM);
    assert_int_equal(iostream_set_drain_callback(stream, 1, on_drain, NULL), -ENOMEM);
    assert_int_equal(iostream_connect(stream, NULL, 0, ledger_on_end, &none), -ENOMEM);
    assert_int_equal(iostream_write_owned(stream, memory, 1, ledger_on_release, &none, ledger_on_end, &none), -ENOMEM);
    assert_int_equal(iostream_write_static(stream, "a", 1, ledger_on_end, &none), -ENOMEM);
    assert_int_equal(iostream_sendfile(stream, scene.file, 0, 1, ledger_on_end, &none), -ENOMEM);
    iostream_cork(stream);                                           /* without memory it does not cork, */
    assert_int_equal(iostream_write(stream, "a", 1, NULL, NULL), 0); /* and this needs none */
    faults_end();
    faults_allocation(2, true); /* of a delimiter that is too long for the operation itself */
    assert_int_equal(iostream_read_until_bytes(stream, delimiter, sizeof delimiter, 0, on_read, &none), -ENOMEM);
    faults_end();
    assert_false(iostream_closed(stream));
    assert_false(iostream_reading(stream));
    assert_int_equal(read(fds[1], memory, sizeof memory), 1);
    testing_spin(scene.loop, 2);
    assert_int_equal(none.told, 0);
    iostream_close(stream);
    close(fds[1]);
    close_scene();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(works_without_faults),
    cmocka_unit_test(answers_enomem_and_changes_nothing),
    cmocka_unit_test(survives_short_reads_and_writes),
    cmocka_unit_test(survives_every_failure_to_allocate),
    cmocka_unit_test(survives_every_failure_of_the_kernel),
    cmocka_unit_test(survives_failures_that_last),
};

TESTING_MAIN(tests)
