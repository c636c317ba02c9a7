/* What a kernel queue promises, for each poller by the same tests: nothing here knows which one it is. */
#include "ioloop/poller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

enum { BOTH = IOLOOP_READ | IOLOOP_WRITE };

/* Long enough for what does not come; over loopback and pipes all else is there at once. */
static const int64_t A_MOMENT = 2000000;
static const int64_t LONG = 5000000000;

static struct poller *new_poller(void)
{
    struct poller *poller = poller_new();

    assert_non_null(poller);
    return poller;
}

static int64_t nanoseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The events of the one descriptor that has any, IOLOOP_NONE when a moment passes without. Either bit of ERROR counts
 * as ERROR. The wait may be woken for nothing a few times, but must not spin. */
static unsigned wait_for(struct poller *poller, int fd)
{
    struct poller_event ready[8];
    int64_t end = nanoseconds_now() + A_MOMENT;

    for (int waits = 0;; waits++) {
        assert_in_range(waits, 0, 4);
        int count = poller_wait(poller, ready, 8, A_MOMENT);
        assert_in_range(count, 0, 1);
        if (count == 1) {
            assert_int_equal(ready[0].fd, fd);
            return (ready[0].events & IOLOOP_ERROR) != 0 ? ready[0].events | IOLOOP_ERROR : ready[0].events;
        }
        if (nanoseconds_now() >= end)
            return IOLOOP_NONE;
    }
}

static int is_readable(int fd)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN };

    return poll(&entry, 1, 1);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* The peer sends a reset: it closes with bytes unread. */
static void reset(int fd, int peer)
{
    put(fd, "unread");
    close(peer);
}

/* What is reported. */

static void reading_is_not_told_of_writing(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE); /* ioloop:test_read_while_writeable */
    put(fds[1], "x");
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ); /* level-triggered */
    close_both(fds);
    poller_free(poller);
}

static void writing_is_not_told_of_reading(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_WRITE, 1), 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_WRITE);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_WRITE);
    close_both(fds);
    poller_free(poller);
}

static void a_full_socket_becomes_writable_when_the_peer_reads(void **state)
{
    struct poller *poller = new_poller();
    char bytes[4096] = { 0 };
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_WRITE, 1), 0);
    while (write(fds[0], bytes, sizeof bytes) > 0)
        continue;
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
    while (read(fds[1], bytes, sizeof bytes) > 0)
        continue;
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_WRITE);
    close_both(fds);
    poller_free(poller);
}

static void both_directions_come_in_one_event(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], BOTH, 1), 0);
    assert_int_equal(wait_for(poller, fds[0]), BOTH);
    close_both(fds);
    poller_free(poller);
}

static void without_interest_only_errors_are_reported(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_tcp_pair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_NONE, 1), 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
    put(fds[1], "y");
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
    poller_remove(poller, fds[0], IOLOOP_NONE);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_NONE, 1), 0);
    assert_int_equal(is_readable(poller_fd(poller)), 0); /* nor is anybody woken for it */
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_NONE, 1), -EEXIST);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    reset(fds[0], fds[1]);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_ERROR);
    close(fds[0]);
    poller_free(poller);
}

static void without_interest_a_hangup_of_both_sides_is_an_error(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_NONE, 1), 0);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_ERROR);
    close_both(fds);
    poller_free(poller);
}

static void without_interest_the_end_of_a_pipe_is_an_error(void **state)
{
    struct poller *poller = new_poller();
    int in[2], out[2];

    assert_int_equal(pipe(in), 0);
    assert_int_equal(poller_add(poller, in[0], IOLOOP_NONE, 1), 0);
    assert_int_equal(wait_for(poller, in[0]), IOLOOP_NONE);
    close(in[1]);
    assert_int_equal(wait_for(poller, in[0]), IOLOOP_ERROR);
    poller_remove(poller, in[0], IOLOOP_NONE);
    close(in[0]);

    assert_int_equal(pipe(out), 0);
    assert_int_equal(poller_add(poller, out[1], IOLOOP_NONE, 1), 0);
    assert_int_equal(wait_for(poller, out[1]), IOLOOP_NONE);
    close(out[0]);
    assert_int_equal(wait_for(poller, out[1]), IOLOOP_ERROR);
    close(out[1]);
    poller_free(poller);
}

static void each_event_has_the_generation_of_its_registration(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event event;
    int fds[2];

    testing_socketpair(fds);
    for (uint32_t generation = UINT32_MAX; generation != 2; generation++) {
        assert_int_equal(poller_add(poller, fds[0], IOLOOP_WRITE, generation), 0);
        assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
        assert_int_equal(event.fd, fds[0]);
        assert_int_equal(event.generation, generation);
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_WRITE, IOLOOP_WRITE, generation - 77), 0);
        assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
        assert_int_equal(event.generation, generation - 77);
        poller_remove(poller, fds[0], IOLOOP_WRITE);
    }
    close_both(fds);
    poller_free(poller);
}

static void interest_changes_from_each_to_each(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    for (int i = 0; i < 16; i++) {
        unsigned from = interests[i / 4], to = interests[i % 4];

        assert_int_equal(poller_add(poller, fds[0], from, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), from);
        assert_int_equal(poller_update(poller, fds[0], from, to, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), to);
        assert_int_equal(wait_for(poller, fds[0]), to);
        poller_remove(poller, fds[0], to);
        assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
    }
    close_both(fds);
    poller_free(poller);
}

static void what_is_removed_is_silent_and_can_be_added_again(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poller_add(poller, fds[0], BOTH, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), BOTH);
        poller_remove(poller, fds[0], BOTH);
        poller_remove(poller, fds[0], BOTH);
        assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
    }
    close_both(fds);
    poller_free(poller);
}

static void a_number_that_is_reused_is_a_new_registration(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event event;
    int first[2], second[2];

    testing_socketpair(first);
    put(first[1], "x");
    assert_int_equal(poller_add(poller, first[0], BOTH, 1), 0);
    close_both(first); /* without removing it */
    testing_socketpair(second);
    assert_int_equal(second[0], first[0]);
    assert_int_equal(poller_wait(poller, &event, 1, A_MOMENT), 0);
    assert_int_equal(poller_add(poller, second[0], IOLOOP_READ, 2), 0);
    assert_int_equal(wait_for(poller, second[0]), IOLOOP_NONE);
    put(second[1], "x");
    assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
    assert_int_equal(event.generation, 2);
    assert_int_equal(event.events, IOLOOP_READ);
    close_both(second);
    poller_free(poller);
}

/* Ends and errors. */

/* A socket whose connection to 127.0.0.1 is being refused. */
static int refused_socket(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int unused = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(unused, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(unused, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    int result = connect(fd, (struct sockaddr *)&address, length);
    assert_true(result < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    close(unused);
    return fd;
}

/* iostream:test_connection_refused */
static void a_refused_connection_is_an_error(void **state)
{
    static const unsigned interests[] = { IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();

    for (int i = 0; i < 3; i++) {
        int error = 0, fd = refused_socket();
        socklen_t length = sizeof error;

        assert_int_equal(poller_add(poller, fd, interests[i], 1), 0);
        assert_int_equal(wait_for(poller, fd), interests[i] | IOLOOP_ERROR);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
        assert_int_equal(error, ECONNREFUSED); /* nobody has taken it */
        poller_remove(poller, fd, interests[i]);
        close(fd);
    }
    poller_free(poller);
}

/* iostream:test_connection_closed */
static void a_peer_that_closes_is_no_error_and_what_it_sent_can_be_read(void **state)
{
    struct poller *poller = new_poller();
    char bytes[8];
    int fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    put(fds[1], "last");
    close(fds[1]);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    assert_int_equal(read(fds[0], bytes, sizeof bytes), 4);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    assert_int_equal(read(fds[0], bytes, sizeof bytes), 0);
    assert_int_equal(poller_update(poller, fds[0], IOLOOP_READ, BOTH, 1), 0);
    assert_int_equal(wait_for(poller, fds[0]), BOTH);
    close(fds[0]);
    poller_free(poller);
}

static void a_reset_is_an_error_whatever_was_asked_for(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();

    for (int i = 0; i < 4; i++) {
        int fds[2];

        testing_tcp_pair(fds);
        assert_int_equal(poller_add(poller, fds[0], interests[i], 1), 0);
        reset(fds[0], fds[1]);
        assert_int_equal(wait_for(poller, fds[0]), interests[i] | IOLOOP_ERROR);
        poller_remove(poller, fds[0], interests[i]);
        close(fds[0]);
    }
    poller_free(poller);
}

static void an_error_before_the_registration_is_reported(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();

    for (int i = 0; i < 16; i++) {
        unsigned from = interests[i / 4], to = interests[i % 4];
        int fds[2];

        testing_tcp_pair(fds);
        reset(fds[0], fds[1]);
        assert_int_equal(poller_add(poller, fds[0], from, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), from | IOLOOP_ERROR);
        assert_int_equal(poller_update(poller, fds[0], from, to, 2), 0);
        if (from != to || to != IOLOOP_NONE) /* there a kqueue may say it once */
            assert_int_equal(wait_for(poller, fds[0]), to | IOLOOP_ERROR);
        poller_remove(poller, fds[0], to);
        close(fds[0]);
    }
    poller_free(poller);
}

static void a_hangup_of_both_sides_is_an_error_for_a_writer(void **state)
{
    struct poller *poller = new_poller();

    for (int tcp = 0; tcp < 2; tcp++) {
        char bytes[8];
        int fds[2];

        if (tcp)
            testing_tcp_pair(fds);
        else
            testing_socketpair(fds);
        put(fds[1], "last");
        assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
        assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
        assert_int_equal(poller_add(poller, fds[0], BOTH, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), BOTH | IOLOOP_ERROR);
        assert_int_equal(poller_update(poller, fds[0], BOTH, IOLOOP_WRITE, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), IOLOOP_WRITE | IOLOOP_ERROR);
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_WRITE, IOLOOP_READ, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]) & BOTH, IOLOOP_READ); /* an error too, for epoll */
        assert_int_equal(read(fds[0], bytes, sizeof bytes), 4);
        poller_remove(poller, fds[0], IOLOOP_READ);
        close_both(fds);
    }
    poller_free(poller);
}

static void a_pipe_tells_each_end_that_the_other_is_closed(void **state)
{
    struct poller *poller = new_poller();
    char byte;
    int in[2], out[2];

    assert_int_equal(pipe(in), 0);
    assert_int_equal(poller_add(poller, in[0], IOLOOP_READ, 1), 0);
    put(in[1], "x");
    close(in[1]);
    assert_int_equal(wait_for(poller, in[0]) & BOTH, IOLOOP_READ); /* epoll says ERROR already */
    assert_int_equal(read(in[0], &byte, 1), 1);
    assert_int_not_equal(wait_for(poller, in[0]), IOLOOP_NONE); /* epoll says ERROR only */
    assert_int_equal(read(in[0], &byte, 1), 0);
    poller_remove(poller, in[0], IOLOOP_READ);
    close(in[0]);

    assert_int_equal(pipe(out), 0);
    assert_int_equal(poller_add(poller, out[1], IOLOOP_WRITE, 1), 0);
    assert_int_equal(wait_for(poller, out[1]), IOLOOP_WRITE);
    close(out[0]);
    assert_int_equal(wait_for(poller, out[1]), IOLOOP_WRITE | IOLOOP_ERROR);
    close(out[1]);
    poller_free(poller);
}

/* What is refused. */

static void files_and_folders_cannot_be_watched(void **state)
{
    struct poller *poller = new_poller();
    char path[] = "/tmp/test_poller_XXXXXX";
    int file = mkstemp(path), folder = open("/", O_RDONLY);

    assert_true(file >= 0 && folder >= 0);
    unlink(path);
    assert_int_equal(poller_add(poller, file, IOLOOP_READ, 1), -EPERM);
    assert_int_equal(poller_add(poller, file, IOLOOP_WRITE, 1), -EPERM);
    assert_int_equal(poller_add(poller, folder, IOLOOP_READ, 1), -EPERM);
    close(file);
    close(folder);
    poller_free(poller);
}

static void adding_twice_or_changing_the_unknown_is_refused(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();
    struct poller_event event;
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_READ, IOLOOP_WRITE, 1), -ENOENT);
        assert_int_equal(poller_add(poller, fds[0], interests[i], 1), 0);
        assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 2), -EEXIST);
        assert_int_equal(wait_for(poller, fds[0]), interests[i]);
        if (interests[i] != IOLOOP_NONE) {
            assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
            assert_int_equal(event.generation, 1);
        }
        poller_remove(poller, fds[0], interests[i]);
    }
    assert_int_equal(poller_update(poller, fds[0], IOLOOP_READ, IOLOOP_WRITE, 1), -ENOENT);
    close_both(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), -EBADF);
    assert_int_equal(poller_add(poller, -1, IOLOOP_READ, 1), -EBADF);
    poller_remove(poller, -1, IOLOOP_READ);
    poller_free(poller);
}

static void an_exclusive_registration_is_one_like_others(void **state)
{
    struct poller *pollers[2] = { new_poller(), new_poller() };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(poller_add(pollers[i], listener, IOLOOP_READ | POLLER_EXCLUSIVE, 1), 0);
    assert_int_equal(wait_for(pollers[0], listener), IOLOOP_NONE);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    assert_int_equal(wait_for(pollers[0], listener) | wait_for(pollers[1], listener), IOLOOP_READ);
#if !__has_include(<sys/event.h>) /* epoll changes none of these, which shows that it is one */
    assert_int_equal(poller_update(pollers[0], listener, IOLOOP_READ, IOLOOP_READ, 1), -EINVAL);
#endif
    for (int i = 0; i < 2; i++) {
        poller_remove(pollers[i], listener, IOLOOP_READ | POLLER_EXCLUSIVE);
        assert_int_equal(wait_for(pollers[i], listener), IOLOOP_NONE);
        poller_free(pollers[i]);
    }
    close(client);
    close(listener);
}

/* Waking. */

static void a_wakeup_before_the_wait_ends_it_and_is_no_event(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    for (int i = 0; i < 3; i++) {
        poller_wake(poller);
        assert_int_equal(poller_wait(poller, ready, 4, -1), 0);
        poller_wake(poller);
        int64_t start = nanoseconds_now();
        assert_int_equal(poller_wait(poller, ready, 4, LONG), 0);
        assert_true(nanoseconds_now() - start < LONG);
    }
    poller_free(poller);
}

static void a_thousand_wakeups_end_one_wait(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    for (int i = 0; i < 3; i++) {
        for (int wakeup = 0; wakeup < 1000; wakeup++)
            poller_wake(poller);
        assert_int_equal(poller_wait(poller, ready, 4, -1), 0);
        int64_t start = nanoseconds_now();
        assert_int_equal(poller_wait(poller, ready, 4, A_MOMENT), 0);
        assert_true(nanoseconds_now() - start >= A_MOMENT);
    }
    poller_free(poller);
}

/* The pipe that stands in for user events somewhere holds 64 KiB. */
static void a_hundred_thousand_wakeups_block_nobody(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    for (int wakeup = 0; wakeup < 100000; wakeup++)
        poller_wake(poller);
    assert_int_equal(poller_wait(poller, ready, 4, -1), 0);
    assert_int_equal(wait_for(poller, -1), IOLOOP_NONE);
    poller_wake(poller);
    assert_int_equal(poller_wait(poller, ready, 4, -1), 0);
    poller_free(poller);
}

static void a_wakeup_hides_no_event(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    put(fds[1], "x");
    poller_wake(poller);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    close_both(fds);
    poller_free(poller);
}

static void *wake_later(void *arg)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    poller_wake(arg);
    return NULL;
}

static void another_thread_wakes_a_wait(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    pthread_t thread;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_later, poller), 0);
        assert_int_equal(poller_wait(poller, ready, 4, i % 2 == 0 ? -1 : LONG), 0);
        pthread_join(thread, NULL);
    }
    poller_free(poller);
}

static struct ping_pong {
    struct poller *pollers[2];
    atomic_int turn;
} ping_pong;

static void *play(void *arg)
{
    int me = arg != NULL;
    struct poller_event ready[4];

    for (int i = 0; i < 1000; i++) {
        while (ping_pong.turn % 2 != me)
            poller_wait(ping_pong.pollers[me], ready, 4, -1);
        ping_pong.turn++;
        poller_wake(ping_pong.pollers[!me]);
    }
    return NULL;
}

static void no_wakeup_between_two_threads_is_lost(void **state)
{
    pthread_t thread;

    ping_pong = (struct ping_pong){ .pollers = { new_poller(), new_poller() } };
    assert_int_equal(pthread_create(&thread, NULL, play, &ping_pong), 0);
    play(NULL);
    pthread_join(thread, NULL);
    assert_int_equal(ping_pong.turn, 2000);
    poller_free(ping_pong.pollers[0]);
    poller_free(ping_pong.pollers[1]);
}

static struct poller *signalled_poller;
static atomic_int signals;

static void wake_from_handler(int signal_number)
{
    int error = errno;

    errno = 12345;
    if (signalled_poller != NULL)
        poller_wake(signalled_poller);
    if (errno == 12345)
        signals++;
    errno = error;
}

static void handle_sigusr1(struct poller *poller)
{
    signals = 0;
    signalled_poller = poller;
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = wake_from_handler }, NULL);
}

static void a_signal_handler_wakes_the_wait_and_errno_stays(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    handle_sigusr1(poller);
    for (int i = 1; i <= 3; i++) {
        raise(SIGUSR1);
        assert_int_equal(poller_wait(poller, ready, 4, -1), 0);
        assert_int_equal(signals, i);
    }
    signal(SIGUSR1, SIG_DFL);
    poller_free(poller);
}

static void a_failing_wakeup_leaves_errno_alone(void **state)
{
    struct poller *poller = new_poller();

    faults_system_call_sticky("write", EAGAIN, 1);
    faults_system_call_sticky("epoll_ctl", ENOMEM, 1);
    errno = 0;
    poller_wake(poller);
    assert_int_equal(errno, 0);
    faults_system_call_sticky("write", EAGAIN, 1);
    poller_wake(poller);
    assert_int_equal(errno, 0);
    faults_end();
    poller_free(poller);
}

/* Waiting. */

static void *send_signals(void *arg)
{
    while (signals == 0) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
    }
    return NULL;
}

static void an_interrupt_ends_the_wait_without_an_event(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    pthread_t thread, self = pthread_self();

    for (int i = 0; i < 2; i++) {
        handle_sigusr1(NULL);
        assert_int_equal(pthread_create(&thread, NULL, send_signals, &self), 0);
        assert_int_equal(poller_wait(poller, ready, 4, i == 0 ? -1 : LONG), 0);
        pthread_join(thread, NULL);
    }
    signal(SIGUSR1, SIG_DFL);
    poller_free(poller);
}

static void a_wait_never_ends_early(void **state)
{
    static const int64_t times[] = { 1, 999, 50000, 300000, 999999, 1000001, 1700000 };
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    int64_t shortest = INT64_MAX;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        for (int repeat = 0; repeat < 20; repeat++) {
            int64_t start = nanoseconds_now();
            assert_int_equal(poller_wait(poller, ready, 4, times[i]), 0);
            int64_t waited = nanoseconds_now() - start;
            assert_true(waited >= times[i]);
            if (times[i] == 300000 && waited < shortest)
                shortest = waited;
        }
    }
    print_message("300 us: %lld ns\n", (long long)shortest);
    poller_free(poller);
}

static void a_wait_of_no_time_returns_at_once(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    int64_t start = nanoseconds_now();
    for (int i = 0; i < 100; i++)
        assert_int_equal(poller_wait(poller, ready, 4, 0), 0);
    assert_true(nanoseconds_now() - start < LONG);
    put(fds[1], "x");
    assert_int_equal(poller_wait(poller, ready, 4, 0), 1);
    close_both(fds);
    poller_free(poller);
}

static void the_longest_of_waits_are_possible(void **state)
{
    static const int64_t times[] = { INT64_MAX, INT64_MIN, INT64_C(3000000) * 1000000000, -1 };
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    pthread_t thread;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t start = nanoseconds_now();
        assert_int_equal(pthread_create(&thread, NULL, wake_later, poller), 0);
        assert_int_equal(poller_wait(poller, ready, 4, times[i]), 0);
        assert_true(nanoseconds_now() - start >= 1000000);
        pthread_join(thread, NULL);
    }
    poller_free(poller);
}

static void the_queue_itself_is_readable_when_there_is_something(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    put(fds[1], "x");
    assert_int_equal(is_readable(poller_fd(poller)), 1);
    poller_remove(poller, fds[0], IOLOOP_READ);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    poller_wake(poller);
    assert_int_equal(is_readable(poller_fd(poller)), 1);
    assert_int_equal(poller_wait(poller, ready, 4, 0), 0);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    assert_int_equal(fcntl(poller_fd(poller), F_GETFD), FD_CLOEXEC);
    close_both(fds);
    poller_free(poller);
}

/* Counts how often each of the descriptors is reported in so many waits; each is there once a wait at most. */
static void count_events(struct poller *poller, int waits, int capacity, int *counts, int limit)
{
    struct poller_event *ready = calloc((size_t)capacity, sizeof *ready);

    assert_non_null(ready);
    for (int i = 0; i < waits; i++) {
        int count = poller_wait(poller, ready, capacity, 0);
        assert_in_range(count, 0, capacity);
        for (int event = 0; event < count; event++) {
            assert_in_range(ready[event].fd, 0, limit - 1);
            for (int other = 0; other < event; other++)
                assert_int_not_equal(ready[other].fd, ready[event].fd);
            counts[ready[event].fd]++;
        }
    }
    free(ready);
}

static void too_many_for_one_wait_come_in_the_next(void **state)
{
    enum { PAIRS = 10, LIMIT = 200 };
    static const unsigned interests[] = { IOLOOP_READ, IOLOOP_WRITE, BOTH };

    for (int i = 0; i < 9; i++) {
        struct poller *poller = new_poller();
        int fds[PAIRS][2], counts[LIMIT] = { 0 };

        for (int pair = 0; pair < PAIRS; pair++) {
            testing_socketpair(fds[pair]);
            put(fds[pair][1], "x");
            assert_int_equal(poller_add(poller, fds[pair][0], interests[i % 3], 1), 0);
        }
        poller_wake(poller); /* which takes room, too */
        count_events(poller, 60, 1 + i / 3, counts, LIMIT);
        for (int pair = 0; pair < PAIRS; pair++) {
            assert_int_not_equal(counts[fds[pair][0]], 0);
            close_both(fds[pair]);
        }
        poller_free(poller);
    }
}

static void room_for_one_event_starves_neither_direction(void **state)
{
    struct poller *poller = new_poller();
    unsigned events = 0;
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], BOTH, 1), 0);
    for (int i = 0; i < 10; i++) {
        struct poller_event event;
        assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
        events |= event.events;
    }
    assert_int_equal(events, BOTH);
    close_both(fds);
    poller_free(poller);
}

static void room_for_one_event_loses_no_error(void **state)
{
    enum { COUNT = 10, LIMIT = 200 };
    struct poller *poller = new_poller();
    int fds[COUNT][2], counts[LIMIT] = { 0 };

    for (int i = 0; i < COUNT; i++) {
        testing_tcp_pair(fds[i]);
        assert_int_equal(poller_add(poller, fds[i][0], IOLOOP_NONE, 1), 0);
        reset(fds[i][0], fds[i][1]);
    }
    count_events(poller, 60, 1, counts, LIMIT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_not_equal(counts[fds[i][0]], 0);
        close(fds[i][0]);
    }
    poller_free(poller);
}

/* More than any poller takes from the kernel at a time. */
static void many_descriptors_are_all_reported(void **state)
{
    enum { LIMIT = 1000 };
    struct poller *poller = new_poller();
    struct rlimit limit;
    int fds[2], copies[LIMIT], copy, count = 0, counts[LIMIT] = { 0 };

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < LIMIT ? limit.rlim_max : LIMIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    testing_socketpair(fds);
    put(fds[1], "x");
    while ((copy = dup(fds[0])) >= 0) {
        assert_int_equal(poller_add(poller, copy, BOTH, 1), 0);
        copies[count++] = copy;
    }
    assert_int_equal(errno, EMFILE);
    count_events(poller, 12, LIMIT, counts, LIMIT);
    for (int i = 0; i < count; i++) {
        assert_int_not_equal(counts[copies[i]], 0);
        poller_remove(poller, copies[i], BOTH);
        close(copies[i]);
    }
    print_message("%d descriptors\n", count);
    assert_int_equal(wait_for(poller, -1), IOLOOP_NONE);
    close_both(fds);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    poller_free(poller);
}

/* A child of fork() cannot use the queue: it frees it, which must touch nothing of its parent's or of its own. */
static void a_child_frees_the_queue_without_harm(void **state)
{
    struct poller *poller = new_poller();
    int fds[2], status;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct poller_event event;
        struct poller *own = poller_new();

        if (own == NULL || poller_add(own, fds[0], IOLOOP_READ, 2) < 0)
            _exit(1);
        poller_free(poller);
        _exit(poller_wait(own, &event, 1, LONG) == 1 && event.generation == 2 ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    close_both(fds);
    poller_free(poller);
}

/* Failures. */

static void a_failing_constructor_leaves_nothing(void **state)
{
    static const char *const calls[] = { "epoll_create1", "eventfd", "epoll_ctl", "fcntl", "pipe2" };
    int fds = testing_count_fds();

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1, hit = 1; hit; nth++) {
            faults_system_call(calls[i], ENFILE, nth);
            struct poller *poller = poller_new();
            int error = errno;
            hit = faults_hit();
            assert_true((poller == NULL) == hit);
            if (hit)
                assert_int_equal(error, ENFILE);
            poller_free(poller);
            assert_int_equal(testing_count_fds(), fds);
        }
    }
    long allocated = faults_allocated();
    faults_allocation(1, false);
    errno = 0;
    assert_null(poller_new());
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(faults_allocated(), allocated);
    faults_end();
}

static void a_registration_that_fails_is_none(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    faults_allocation(1, false);
    int error = poller_add(poller, fds[0], BOTH, 1);
    assert_int_equal(error, faults_hit() ? -ENOMEM : 0);
    poller_remove(poller, fds[0], BOTH);

    for (int i = 0; i < 16; i++) {
        unsigned from = interests[i / 4], to = interests[i % 4];

        for (int nth = 1, hit = 1; hit; nth++) {
            faults_system_call("epoll_ctl", ENOSPC, nth);
            error = poller_add(poller, fds[0], from, 1);
            hit = faults_hit();
            assert_true(error == 0 || (hit && error == -ENOSPC));
            assert_int_equal(wait_for(poller, fds[0]), error == 0 ? from : IOLOOP_NONE);
            if (error < 0) {
                assert_int_equal(poller_update(poller, fds[0], from, to, 1), -ENOENT);
                assert_int_equal(poller_add(poller, fds[0], from, 1), 0);
            }
            assert_int_equal(poller_update(poller, fds[0], from, to, 1), 0);
            for (int repeat = 0; repeat < 2; repeat++)
                assert_int_equal(wait_for(poller, fds[0]), to);
            poller_remove(poller, fds[0], to);
            assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
        }
    }
    faults_end();
    close_both(fds);
    poller_free(poller);
}

static void a_change_that_fails_changes_nothing(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();

    for (int i = 0; i < 16; i++) {
        unsigned from = interests[i / 4], to = interests[i % 4];

        for (int nth = 1, hit = 1; hit; nth++) {
            int fds[2];

            testing_socketpair(fds);
            put(fds[1], "x");
            assert_int_equal(poller_add(poller, fds[0], from, 1), 0);
            faults_system_call("epoll_ctl", ENOSPC, nth);
            int error = poller_update(poller, fds[0], from, to, 2);
            hit = faults_hit();
            assert_true(error == 0 || (hit && error == -ENOSPC));
            /* Hit without an error: what failed was a removal, which no kernel does. */
            for (int repeat = 0; repeat < 2 && (error < 0 || !hit); repeat++)
                assert_int_equal(wait_for(poller, fds[0]), error == 0 ? to : from);
            poller_remove(poller, fds[0], error == 0 ? to : from);
            close_both(fds);
        }
    }
    faults_end();
    poller_free(poller);
}

static void a_wait_that_fails_answers_the_error(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event event;
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_WRITE, 1), 0);
    faults_system_call("epoll_wait", EBADF, 1);
    assert_int_equal(poller_wait(poller, &event, 1, -1), -EBADF);
    faults_system_call("epoll_wait", EINTR, 1);
    assert_int_equal(poller_wait(poller, &event, 1, -1), 0);
    faults_end();
    assert_int_equal(poller_wait(poller, &event, 1, -1), 1);
    close_both(fds);
    poller_free(poller);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reading_is_not_told_of_writing),
    cmocka_unit_test(writing_is_not_told_of_reading),
    cmocka_unit_test(a_full_socket_becomes_writable_when_the_peer_reads),
    cmocka_unit_test(both_directions_come_in_one_event),
    cmocka_unit_test(without_interest_only_errors_are_reported),
    cmocka_unit_test(without_interest_a_hangup_of_both_sides_is_an_error),
    cmocka_unit_test(without_interest_the_end_of_a_pipe_is_an_error),
    cmocka_unit_test(each_event_has_the_generation_of_its_registration),
    cmocka_unit_test(interest_changes_from_each_to_each),
    cmocka_unit_test(what_is_removed_is_silent_and_can_be_added_again),
    cmocka_unit_test(a_number_that_is_reused_is_a_new_registration),
    cmocka_unit_test(a_refused_connection_is_an_error),
    cmocka_unit_test(a_peer_that_closes_is_no_error_and_what_it_sent_can_be_read),
    cmocka_unit_test(a_reset_is_an_error_whatever_was_asked_for),
    cmocka_unit_test(an_error_before_the_registration_is_reported),
    cmocka_unit_test(a_hangup_of_both_sides_is_an_error_for_a_writer),
    cmocka_unit_test(a_pipe_tells_each_end_that_the_other_is_closed),
    cmocka_unit_test(files_and_folders_cannot_be_watched),
    cmocka_unit_test(adding_twice_or_changing_the_unknown_is_refused),
    cmocka_unit_test(an_exclusive_registration_is_one_like_others),
    cmocka_unit_test(a_wakeup_before_the_wait_ends_it_and_is_no_event),
    cmocka_unit_test(a_thousand_wakeups_end_one_wait),
    cmocka_unit_test(a_hundred_thousand_wakeups_block_nobody),
    cmocka_unit_test(a_wakeup_hides_no_event),
    cmocka_unit_test(another_thread_wakes_a_wait),
    cmocka_unit_test(no_wakeup_between_two_threads_is_lost),
    cmocka_unit_test(a_signal_handler_wakes_the_wait_and_errno_stays),
    cmocka_unit_test(a_failing_wakeup_leaves_errno_alone),
    cmocka_unit_test(an_interrupt_ends_the_wait_without_an_event),
    cmocka_unit_test(a_wait_never_ends_early),
    cmocka_unit_test(a_wait_of_no_time_returns_at_once),
    cmocka_unit_test(the_longest_of_waits_are_possible),
    cmocka_unit_test(the_queue_itself_is_readable_when_there_is_something),
    cmocka_unit_test(too_many_for_one_wait_come_in_the_next),
    cmocka_unit_test(room_for_one_event_starves_neither_direction),
    cmocka_unit_test(room_for_one_event_loses_no_error),
    cmocka_unit_test(many_descriptors_are_all_reported),
    cmocka_unit_test(a_child_frees_the_queue_without_harm),
    cmocka_unit_test(a_failing_constructor_leaves_nothing),
    cmocka_unit_test(a_registration_that_fails_is_none),
    cmocka_unit_test(a_change_that_fails_changes_nothing),
    cmocka_unit_test(a_wait_that_fails_answers_the_error),
};

TESTING_MAIN(tests)
