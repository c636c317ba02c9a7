/* The calls that systems spell differently: no SIGPIPE from any of them, and what they make is non-blocking. */
#include "ioloop/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

static struct iovec piece(const char *text)
{
    return (struct iovec){ .iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text) };
}

static bool is_nonblocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

static bool is_close_on_exec(int fd)
{
    return fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

static void assert_reads(int fd, const char *text)
{
    char bytes[256] = { 0 };

    testing_deliver();
    assert_int_equal(read(fd, bytes, sizeof bytes - 1), strlen(text));
    assert_string_equal(bytes, text);
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* A file of so many bytes, 0 1 2 … 250 0 1 …, that is gone when closed. */
static int new_file(size_t size)
{
    char path[] = "/tmp/test_kernel_XXXXXX";
    int file = mkstemp(path);
    char *bytes = malloc(size + 1);

    assert_true(file >= 0);
    assert_non_null(bytes);
    unlink(path);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i % 251);
    assert_int_equal(write(file, bytes, size), size);
    free(bytes);
    return file;
}

/* A listener of 127.0.0.1, non-blocking, and its address. */
static int new_listener(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int listener = kernel_socket(AF_INET, SOCK_STREAM);

    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)address, length), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &length), 0);
    return listener;
}

/* What is made. */

static void a_socket_is_nonblocking_and_closed_on_exec(void **state)
{
    static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM };

    for (int i = 0; i < 6; i++) {
        int fd = kernel_socket(families[i / 2], types[i % 2]);
        if (fd == -EAFNOSUPPORT)
            continue;
        assert_true(fd >= 0);
        assert_true(is_nonblocking(fd) && is_close_on_exec(fd));
        close(fd);
    }
    assert_true(kernel_socket(-1, SOCK_STREAM) < 0);
    faults_system_call("socket", EMFILE, 1);
    assert_int_equal(kernel_socket(AF_INET, SOCK_STREAM), -EMFILE);
    faults_end();
}

static void an_accepted_socket_is_nonblocking_and_closed_on_exec(void **state)
{
    struct sockaddr_in address, peer, own;
    socklen_t length = sizeof peer, own_length = sizeof own;
    int listener = new_listener(&address), client = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(kernel_accept(listener, NULL, NULL), -EAGAIN);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    int fd = kernel_accept(listener, (struct sockaddr *)&peer, &length);
    assert_true(fd >= 0);
    assert_true(is_nonblocking(fd) && is_close_on_exec(fd));
    assert_int_equal(getsockname(client, (struct sockaddr *)&own, &own_length), 0);
    assert_int_equal(length, own_length);
    assert_int_equal(peer.sin_port, own.sin_port);
    assert_int_equal(kernel_accept(listener, NULL, NULL), -EAGAIN);
    close(fd);
    close(client);
    close(listener);
    assert_int_equal(kernel_accept(listener, NULL, NULL), -EBADF);
}

static void accepting_goes_on_after_an_interrupt_and_answers_other_errors(void **state)
{
    struct sockaddr_in address;
    int listener = new_listener(&address), client = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    faults_system_call("accept4", EMFILE, 1);
    assert_int_equal(kernel_accept(listener, NULL, NULL), -EMFILE);
    assert_true(faults_hit());
    faults_system_call("accept4", EINTR, 1);
    int fd = kernel_accept(listener, NULL, NULL);
    assert_true(faults_hit());
    assert_true(fd >= 0);
    close(fd);
    close(client);
    close(listener);
}

static void a_pipe_is_nonblocking_and_closed_on_exec(void **state)
{
    int fds[2];

    assert_int_equal(kernel_pipe(fds), 0);
    for (int i = 0; i < 2; i++)
        assert_true(is_nonblocking(fds[i]) && is_close_on_exec(fds[i]));
    assert_int_equal(kernel_write_pipe(fds[1], &(struct iovec){ "x", 1 }, 1), 1);
    assert_reads(fds[0], "x");
    close_both(fds);
    faults_system_call("pipe2", EMFILE, 1);
    assert_int_equal(kernel_pipe(fds), -EMFILE);
    faults_end();
}

static void adopting_tells_sockets_from_others(void **state)
{
    int sockets[2], pipes[2], file = new_file(1);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kernel_adopt(sockets[i]), 1);
        assert_int_equal(kernel_adopt(sockets[i]), 1);
        assert_true(is_nonblocking(sockets[i]) && is_close_on_exec(sockets[i]));
        assert_int_equal(kernel_adopt(pipes[i]), 0);
        assert_true(is_nonblocking(pipes[i]) && is_close_on_exec(pipes[i]));
    }
    int append = fcntl(file, F_SETFL, O_APPEND);
    assert_int_equal(append, 0);
    assert_int_equal(kernel_adopt(file), 0);
    assert_true((fcntl(file, F_GETFL) & O_APPEND) != 0);
    close(file);
    close_both(sockets);
    close_both(pipes);
    assert_int_equal(kernel_adopt(file), -EBADF);
}

static void adopting_answers_each_failure(void **state)
{
    static const char *const calls[] = { "getsockopt", "fcntl", "setsockopt" };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1, hit = 1; hit; nth++) {
            int fds[2];

            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
            faults_system_call(calls[i], ENOMEM, nth);
            int result = kernel_adopt(fds[0]);
            hit = faults_hit();
            assert_int_equal(result, hit ? -ENOMEM : 1);
            close_both(fds);
        }
    }
}

/* Sending. */

static void all_pieces_are_sent_in_order(void **state)
{
    struct iovec vector[3] = { piece("one "), piece("two "), piece("three") };
    int fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(kernel_send(fds[0], vector, 3, false), 13);
    assert_reads(fds[1], "one two three");
    assert_int_equal(kernel_send(fds[0], vector, 1, false), 4);
    assert_reads(fds[1], "one ");
    assert_int_equal(kernel_send(fds[0], vector, 2, true), 8);
    assert_int_equal(kernel_send(fds[0], vector + 2, 1, false), 5); /* what was held back comes now at the latest */
    assert_reads(fds[1], "one two three");
    close_both(fds);

    assert_int_equal(kernel_pipe(fds), 0);
    assert_int_equal(kernel_write_pipe(fds[1], vector, 3), 13);
    assert_reads(fds[0], "one two three");
    assert_int_equal(kernel_write_pipe(fds[1], vector, 1), 4);
    assert_reads(fds[0], "one ");
    assert_int_equal(kernel_send(fds[1], vector, 1, false), -ENOTSOCK);
    close_both(fds);
}

static int tcp_option(int fd, int name)
{
    int value = -1;

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &(socklen_t){ sizeof value }), 0);
    return value;
}

static void a_cork_keeps_what_is_no_whole_segment(void **state)
{
    struct iovec vector[1] = { piece("a few bytes") };
    int fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(setsockopt(fds[0], IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    assert_true(kernel_cork(fds[0]));
    assert_int_equal(tcp_option(fds[0], TCP_CORK), 1);
    assert_int_equal(kernel_send(fds[0], vector, 1, false), 11);
    kernel_uncork(fds[0]);
    assert_int_equal(tcp_option(fds[0], TCP_CORK), 0);
    assert_reads(fds[1], "a few bytes");
    close_both(fds);
    testing_socketpair(fds);
    assert_false(kernel_cork(fds[0]));
    close_both(fds);
}

static void a_socket_that_paces_is_not_corked(void **state)
{
    int fds[2];

    testing_tcp_pair(fds);
    if (setsockopt(fds[0], IPPROTO_TCP, TCP_CONGESTION, "bbr", 3) < 0) {
        close_both(fds);
        skip();
    }
    assert_false(kernel_cork(fds[0]));
    assert_int_equal(tcp_option(fds[0], TCP_CORK), 0);
    close_both(fds);
}

static void a_full_descriptor_is_not_waited_for(void **state)
{
    static char bytes[65536];
    struct iovec vector[2] = { { bytes, sizeof bytes }, { bytes, sizeof bytes } };

    for (int count = 1; count <= 2; count++) {
        ssize_t sent;
        int fds[2];

        testing_socketpair(fds);
        while ((sent = kernel_send(fds[0], vector, count, false)) > 0)
            continue;
        assert_int_equal(sent, -EAGAIN);
        close_both(fds);
        assert_int_equal(kernel_pipe(fds), 0);
        while ((sent = kernel_write_pipe(fds[1], vector, count)) > 0)
            continue;
        assert_int_equal(sent, -EAGAIN);
        close_both(fds);
    }
}

static void sending_goes_on_after_an_interrupt(void **state)
{
    static const struct {
        const char *call;
        int count;
    } socket_calls[] = { { "send", 1 }, { "sendmsg", 2 } };
    static const struct {
        const char *call;
        int count;
    } pipe_calls[] = { { "write", 1 }, { "writev", 2 } };
    struct iovec vector[2] = { piece("one "), piece("two ") };

    for (int i = 0; i < 2; i++) {
        int fds[2];

        testing_socketpair(fds);
        faults_system_call(socket_calls[i].call, EINTR, 1);
        assert_int_equal(kernel_send(fds[0], vector, socket_calls[i].count, false), 4 * socket_calls[i].count);
        assert_true(faults_hit());
        faults_system_call(socket_calls[i].call, ENOBUFS, 1);
        assert_int_equal(kernel_send(fds[0], vector, socket_calls[i].count, false), -ENOBUFS);
        close_both(fds);

        assert_int_equal(kernel_pipe(fds), 0);
        faults_system_call(pipe_calls[i].call, EINTR, 1);
        assert_int_equal(kernel_write_pipe(fds[1], vector, pipe_calls[i].count), 4 * pipe_calls[i].count);
        assert_true(faults_hit());
        faults_system_call(pipe_calls[i].call, ENOSPC, 1);
        assert_int_equal(kernel_write_pipe(fds[1], vector, pipe_calls[i].count), -ENOSPC);
        faults_end();
        close_both(fds);
    }
}

static void a_short_call_answers_what_it_moved(void **state)
{
    struct iovec vector[2] = { piece("one "), piece("two ") };
    int file = new_file(100), fds[2];

    testing_socketpair(fds);
    faults_short_io(3);
    for (int count = 1; count <= 2; count++) {
        assert_int_equal(kernel_send(fds[0], vector, count, false), 3);
        assert_int_equal(kernel_write_pipe(fds[0], vector, count), 3);
    }
    assert_int_equal(kernel_sendfile(fds[0], file, 0, 100), 3);
    faults_end();
    close(file);
    close_both(fds);
}

/* SIGPIPE. */

/* A descriptor that writing to fails for good. */
static int closed_pipe(void)
{
    int fds[2];

    assert_int_equal(kernel_pipe(fds), 0);
    close(fds[0]);
    return fds[1];
}

static int closed_socket(void)
{
    int fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(kernel_adopt(fds[0]), 1);
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    close(fds[1]);
    return fds[0];
}

static bool is_sigpipe_pending(void)
{
    sigset_t set;

    assert_int_equal(sigpending(&set), 0);
    return sigismember(&set, SIGPIPE) == 1;
}

static void set_sigpipe_blocked(bool blocked)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    assert_int_equal(pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL), 0);
}

static bool is_sigpipe_blocked(void)
{
    sigset_t set;

    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    return sigismember(&set, SIGPIPE) == 1;
}

/* All that writes, each to something that breaks it. */
static void write_to_what_is_closed(void)
{
    struct iovec vector[2] = { piece("one "), piece("two ") };
    int in = closed_pipe(), fd = closed_socket(), file = new_file(10);

    for (int count = 1; count <= 2; count++) {
        assert_int_equal(kernel_write_pipe(in, vector, count), -EPIPE);
        assert_int_equal(kernel_send(fd, vector, count, false), -EPIPE);
        assert_int_equal(kernel_send(fd, vector, count, true), -EPIPE);
    }
    assert_int_equal(kernel_sendfile(fd, file, 0, 10), -EPIPE);
    close(in);
    close(fd);
    close(file);
}

static void no_write_raises_sigpipe(void **state)
{
    signal(SIGPIPE, SIG_DFL); /* which would end this program */
    write_to_what_is_closed();
    assert_false(is_sigpipe_blocked());
    assert_false(is_sigpipe_pending());
}

static void *read_a_little_and_leave(void *arg)
{
    char bytes[65536];
    int fd = *(int *)arg;

    shutdown(fd, SHUT_WR); /* else what follows is ECONNRESET, which has no signal */
    for (size_t left = 1000000; left > 0;) {
        ssize_t count = read(fd, bytes, left < sizeof bytes ? left : sizeof bytes);
        if (count > 0)
            left -= (size_t)count;
    }
    close(fd); /* with more unread: a reset */
    return NULL;
}

/* The kernel sends a file piece by piece, and tells of those that went also when it has raised SIGPIPE since. */
static void a_file_of_which_a_part_was_sent_raises_no_sigpipe(void **state)
{
    int fds[2], file = new_file(64 << 20);
    pthread_t reader;

    signal(SIGPIPE, SIG_DFL);
    testing_tcp_pair(fds);
    assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_a_little_and_leave, &fds[1]), 0);
    ssize_t sent = kernel_sendfile(fds[0], file, 0, 64 << 20);
    assert_in_range(sent, 1000000, (64 << 20) - 1);
    assert_false(is_sigpipe_pending());
    pthread_join(reader, NULL);
    close(fds[0]);
    close(file);
}

static void an_ignored_or_blocked_sigpipe_stays_so(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    write_to_what_is_closed();
    assert_true(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
    assert_false(is_sigpipe_pending());

    set_sigpipe_blocked(true);
    write_to_what_is_closed();
    assert_true(is_sigpipe_blocked());
    assert_false(is_sigpipe_pending());
    set_sigpipe_blocked(false);
}

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int signal_number)
{
    sigpipes++;
}

static void a_sigpipe_that_waited_before_is_not_lost(void **state)
{
    signal(SIGPIPE, count_sigpipe);
    for (int to_thread = 0; to_thread < 2; to_thread++) {
        sigpipes = 0;
        set_sigpipe_blocked(true);
        if (to_thread)
            pthread_kill(pthread_self(), SIGPIPE);
        else
            kill(getpid(), SIGPIPE);
        write_to_what_is_closed();
        assert_true(is_sigpipe_pending());
        assert_int_equal(sigpipes, 0);
        set_sigpipe_blocked(false);
        assert_true(sigpipes >= 1);
    }

    sigpipes = 0;
    write_to_what_is_closed();
    assert_int_equal(sigpipes, 0);
    raise(SIGPIPE);
    assert_int_equal(sigpipes, 1);
    signal(SIGPIPE, SIG_DFL);
}

static void *flood_with_sigpipes(void *arg)
{
    for (int i = 0; i < 200; i++) {
        kill(getpid(), SIGPIPE);
        nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
    }
    return NULL;
}

/* Only this thread can take them: the other one has them blocked. */
static void a_sigpipe_of_others_reaches_the_program(void **state)
{
    int in = closed_pipe();
    pthread_t thread;

    sigpipes = 0;
    signal(SIGPIPE, count_sigpipe);
    set_sigpipe_blocked(true);
    assert_int_equal(pthread_create(&thread, NULL, flood_with_sigpipes, NULL), 0);
    set_sigpipe_blocked(false);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(kernel_write_pipe(in, &(struct iovec){ "x", 1 }, 1), -EPIPE);
    pthread_join(thread, NULL);
    assert_in_range(sigpipes, 1, 200);
    signal(SIGPIPE, SIG_DFL);
    close(in);
}

/* As it is where SIGPIPE is ignored, and not even sent. */
static void a_closed_pipe_without_a_signal_is_no_trouble(void **state)
{
    int fds[2];

    assert_int_equal(kernel_pipe(fds), 0);
    faults_system_call("write", EPIPE, 1);
    assert_int_equal(kernel_write_pipe(fds[1], &(struct iovec){ "x", 1 }, 1), -EPIPE);
    faults_end();
    close_both(fds);
}

static void a_reset_socket_answers_errors_in_silence(void **state)
{
    int fds[2];

    signal(SIGPIPE, SIG_DFL);
    testing_tcp_pair(fds);
    assert_int_equal(kernel_adopt(fds[0]), 1);
    assert_int_equal(write(fds[0], "unread", 6), 6);
    testing_deliver();
    close(fds[1]);
    testing_deliver();
    assert_int_equal(kernel_send(fds[0], &(struct iovec){ "x", 1 }, 1, false), -ECONNRESET);
    assert_int_equal(kernel_send(fds[0], &(struct iovec){ "x", 1 }, 1, false), -EPIPE);
    close(fds[0]);
}

/* Files. */

/* Reads all there is and checks that the file's bytes go on at offset; answers how many. */
static size_t check_bytes(int fd, size_t offset)
{
    unsigned char bytes[4096];
    size_t total = 0;
    ssize_t got;

    while ((got = read(fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < got; i++, total++)
            assert_int_equal(bytes[i], (offset + total) % 251);
    }
    assert_true(got < 0 && errno == EAGAIN);
    return total;
}

static void a_file_is_sent_to_its_end(void **state)
{
    enum { SIZE = 300000, START = 1234 };
    int file = new_file(SIZE), fds[2];
    size_t offset = START;
    ssize_t sent;

    testing_socketpair(fds);
    while ((sent = kernel_sendfile(fds[0], file, (int64_t)offset, SIZE)) != 0) {
        if (sent == -EAGAIN)
            sent = 0;
        assert_true(sent >= 0);
        assert_int_equal(check_bytes(fds[1], offset), sent);
        offset += (size_t)sent;
    }
    assert_int_equal(offset, SIZE);
    assert_int_equal(kernel_sendfile(fds[0], file, SIZE + 1, 10), 0);
    assert_int_equal(kernel_sendfile(fds[0], file, 0, 0), 0);
    assert_int_equal(check_bytes(fds[1], 0), 0);
    assert_int_equal(kernel_sendfile(fds[0], file, 7, 5), 5);
    assert_int_equal(check_bytes(fds[1], 7), 5);
    assert_int_equal(lseek(file, 0, SEEK_CUR), SIZE); /* its own position has not moved */
    close(file);
    assert_int_equal(kernel_sendfile(fds[0], file, 0, 10), -EBADF);
    close_both(fds);
}

static void sending_a_file_stops_at_a_full_socket_and_survives_an_interrupt(void **state)
{
    int file = new_file(1000000), fds[2];
    size_t offset = 0;
    ssize_t sent;

    testing_socketpair(fds);
    faults_system_call("sendfile", EINTR, 1);
    while ((sent = kernel_sendfile(fds[0], file, (int64_t)offset, 1000000 - offset)) > 0)
        offset += (size_t)sent;
    faults_hit();
    assert_int_equal(sent, -EAGAIN);
    assert_in_range(offset, 1, 999999);
    assert_int_equal(check_bytes(fds[1], 0), offset);
    close(file);
    close_both(fds);
}

/* The rest. */

static void the_error_of_a_socket_is_told_once(void **state)
{
    struct sockaddr_in address;
    int unused = new_listener(&address), fd = kernel_socket(AF_INET, SOCK_STREAM);

    close(unused);
    assert_int_equal(kernel_socket_error(fd), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, EINPROGRESS);
    assert_int_equal(kernel_socket_error(fd), -ECONNREFUSED);
    assert_int_equal(kernel_socket_error(fd), 0);
    close(fd);
    assert_int_equal(kernel_socket_error(fd), -EBADF);
    fd = closed_pipe();
    assert_int_equal(kernel_socket_error(fd), -ENOTSOCK);
    close(fd);
}

static void random_bytes_are_random(void **state)
{
    enum { SIZE = 1000 };
    unsigned char bytes[SIZE + 1] = { 0 }, seen[SIZE] = { 0 };

    for (int i = 0; i < 8; i++) { /* no byte is 0 eight times */
        assert_int_equal(kernel_random(bytes, SIZE), 0);
        for (int j = 0; j < SIZE; j++)
            seen[j] |= bytes[j];
    }
    assert_null(memchr(seen, 0, SIZE));
    assert_int_equal(bytes[SIZE], 0);
    assert_int_equal(kernel_random(bytes, 0), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_socket_is_nonblocking_and_closed_on_exec),
    cmocka_unit_test(an_accepted_socket_is_nonblocking_and_closed_on_exec),
    cmocka_unit_test(accepting_goes_on_after_an_interrupt_and_answers_other_errors),
    cmocka_unit_test(a_pipe_is_nonblocking_and_closed_on_exec),
    cmocka_unit_test(adopting_tells_sockets_from_others),
    cmocka_unit_test(adopting_answers_each_failure),
    cmocka_unit_test(all_pieces_are_sent_in_order),
    cmocka_unit_test(a_cork_keeps_what_is_no_whole_segment),
    cmocka_unit_test(a_socket_that_paces_is_not_corked),
    cmocka_unit_test(a_full_descriptor_is_not_waited_for),
    cmocka_unit_test(sending_goes_on_after_an_interrupt),
    cmocka_unit_test(a_short_call_answers_what_it_moved),
    cmocka_unit_test(no_write_raises_sigpipe),
    cmocka_unit_test(a_file_of_which_a_part_was_sent_raises_no_sigpipe),
    cmocka_unit_test(an_ignored_or_blocked_sigpipe_stays_so),
    cmocka_unit_test(a_sigpipe_that_waited_before_is_not_lost),
    cmocka_unit_test(a_sigpipe_of_others_reaches_the_program),
    cmocka_unit_test(a_closed_pipe_without_a_signal_is_no_trouble),
    cmocka_unit_test(a_reset_socket_answers_errors_in_silence),
    cmocka_unit_test(a_file_is_sent_to_its_end),
    cmocka_unit_test(sending_a_file_stops_at_a_full_socket_and_survives_an_interrupt),
    cmocka_unit_test(the_error_of_a_socket_is_told_once),
    cmocka_unit_test(random_bytes_are_random),
};

TESTING_MAIN(tests)
