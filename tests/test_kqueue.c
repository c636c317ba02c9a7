/* kqueue(2) as tests/kqueue/kqueue.c plays it: what poller_kqueue.c is tested against has to be right itself. These
 * come from FreeBSD's manual, so its kernel should pass them as well; that has not been tried. */
#if __has_include(<sys/event.h>)

#include <sys/types.h>
#include <sys/event.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

typedef __typeof__(((struct kevent *)0)->filter) filter_type;

static int new_queue(void)
{
    int kq = kqueue();

    assert_true(kq >= 0);
    return kq;
}

/* Submits one change: 0 or its error. */
static int change(int kq, uintptr_t ident, filter_type filter, unsigned short flags, unsigned fflags, int data,
                  void *udata)
{
    struct kevent event;

    EV_SET(&event, ident, filter, flags, fflags, data, udata);
    return kevent(kq, &event, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

static int watch(int kq, int fd, filter_type filter, unsigned short flags)
{
    return change(kq, (uintptr_t)fd, filter, flags, 0, 0, NULL);
}

static int wait_milliseconds(int kq, struct kevent *events, int count, int milliseconds)
{
    struct timespec timeout = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };

    return kevent(kq, NULL, 0, events, count, &timeout);
}

/* The one event there is. */
static struct kevent next_event(int kq)
{
    struct kevent events[8] = { 0 };

    assert_int_equal(wait_milliseconds(kq, events, 8, 5000), 1);
    return events[0];
}

static void assert_silent(int kq)
{
    struct kevent events[8];

    assert_int_equal(wait_milliseconds(kq, events, 8, 1), 0);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void drain(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static void close_all(int kq, const int fds[2])
{
    close(kq);
    close(fds[0]);
    close(fds[1]);
}

/* Changes. */

static void read_and_write_are_filters_of_their_own(void **state)
{
    struct kevent events[8];
    int kq = new_queue(), fds[2], a, b;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, &a), 0);
    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_WRITE, EV_ADD, 0, 0, &b), 0);
    for (int i = 0; i < 2; i++) { /* level-triggered */
        assert_int_equal(wait_milliseconds(kq, events, 8, 5000), 2);
        int read = events[0].filter == EVFILT_READ ? 0 : 1;
        assert_int_equal(events[read].filter, EVFILT_READ);
        assert_int_equal(events[!read].filter, EVFILT_WRITE);
        assert_int_equal(events[0].ident, fds[0]);
        assert_int_equal(events[1].ident, fds[0]);
        assert_ptr_equal(events[read].udata, &a);
        assert_ptr_equal(events[!read].udata, &b);
        assert_int_equal(events[read].data, 1);
    }
    assert_int_equal(watch(kq, fds[0], EVFILT_WRITE, EV_DELETE), 0);
    assert_int_equal(next_event(kq).filter, EVFILT_READ);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), 0);
    assert_silent(kq);
    close_all(kq, fds);
}

static void room_for_one_event_shows_both_filters_in_turn(void **state)
{
    int kq = new_queue(), fds[2], reads = 0;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    assert_int_equal(watch(kq, fds[0], EVFILT_WRITE, EV_ADD), 0);
    for (int i = 0; i < 10; i++) {
        struct kevent event;
        assert_int_equal(wait_milliseconds(kq, &event, 1, 5000), 1);
        reads += event.filter == EVFILT_READ;
    }
    assert_in_range(reads, 1, 9);
    close_all(kq, fds);
}

static void room_for_one_event_loses_none_with_ev_clear(void **state)
{
    struct kevent event;
    int kq = new_queue(), fds[2], reads = 0, writes = 0;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    assert_int_equal(watch(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    for (int i = 0; i < 4 && wait_milliseconds(kq, &event, 1, 1) == 1; i++) {
        reads += event.filter == EVFILT_READ;
        writes += event.filter == EVFILT_WRITE;
    }
    assert_true(reads >= 1 && writes >= 1);
    close_all(kq, fds);
}

static void adding_again_changes_udata_but_not_ev_clear(void **state)
{
    int kq = new_queue(), fds[2], a, b;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, &a), 0);
    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, &b), 0);
    assert_ptr_equal(next_event(kq).udata, &b);
    assert_ptr_equal(next_event(kq).udata, &b);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), 0);
    assert_silent(kq); /* there were not two */
    close_all(kq, fds);
}

static void a_disabled_filter_is_silent_until_enabled(void **state)
{
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE), 0);
    assert_silent(kq);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ENABLE), 0);
    assert_int_equal(next_event(kq).data, 1);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DISABLE), 0);
    close(fds[1]); /* not even the end is told */
    assert_silent(kq);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ENABLE), 0);
    assert_true((next_event(kq).flags & EV_EOF) != 0);
    close(fds[0]);
    close(kq);
}

static void a_oneshot_filter_is_gone_after_its_event(void **state)
{
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT), 0);
    assert_true((next_event(kq).flags & EV_ONESHOT) != 0);
    assert_silent(kq);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), ENOENT);
    close_all(kq, fds);
}

static void ev_clear_reports_a_change_once(void **state)
{
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(fds[1], "x");
    assert_int_equal(next_event(kq).data, 1);
    assert_silent(kq);
    put(fds[1], "yz");
    assert_int_equal(next_event(kq).data, 3);
    assert_silent(kq);
    close_all(kq, fds);
}

static void what_is_not_there_cannot_be_changed(void **state)
{
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), ENOENT);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ENABLE), ENOENT);
    assert_int_equal(change(kq, 5, EVFILT_USER, EV_DELETE, 0, 0, NULL), ENOENT);
    assert_int_equal(change(kq, 5, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), ENOENT);
    assert_int_equal(change(kq, 5, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), ENOENT);
    assert_int_equal(change(kq, 5, (filter_type)-99, EV_ADD, 0, 0, NULL), EINVAL);
    close_all(kq, fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), EBADF); /* the queue */
    kq = new_queue();
    assert_int_equal(watch(kq, kq + 100, EVFILT_READ, EV_ADD), EBADF);
    assert_int_equal(watch(kq, -1, EVFILT_READ, EV_ADD), EBADF);
    close(kq);
    assert_int_equal(kevent(-1, NULL, 0, NULL, 0, NULL), -1);
    assert_int_equal(errno, EBADF);
}

static void errors_of_changes_are_events_where_there_is_room(void **state)
{
    struct kevent changes[3], events[3];
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    EV_SET(&changes[0], (uintptr_t)fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
    EV_SET(&changes[1], (uintptr_t)fds[0], EVFILT_WRITE, EV_ADD, 0, 0, NULL);
    EV_SET(&changes[2], (uintptr_t)fds[1], EVFILT_READ, EV_DELETE, 0, 0, NULL);
    assert_int_equal(kevent(kq, changes, 3, events, 3, NULL), 2);
    assert_true((events[0].flags & EV_ERROR) != 0);
    assert_int_equal(events[0].data, ENOENT);
    assert_int_equal(events[0].ident, fds[0]);
    assert_int_equal(events[1].ident, fds[1]);
    assert_int_equal(next_event(kq).filter, EVFILT_WRITE); /* the one between was applied */

    EV_SET(&changes[1], (uintptr_t)fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    assert_int_equal(kevent(kq, changes, 3, events, 1, NULL), -1);
    assert_int_equal(errno, ENOENT);
    close_all(kq, fds);
}

static void a_receipt_is_an_answer_to_each_change(void **state)
{
    struct kevent events[3];
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    EV_SET(&events[0], (uintptr_t)fds[0], EVFILT_WRITE, EV_ADD | EV_RECEIPT, 0, 0, NULL);
    EV_SET(&events[1], (uintptr_t)fds[0], EVFILT_READ, EV_DELETE | EV_RECEIPT, 0, 0, NULL);
    assert_int_equal(kevent(kq, events, 2, events, 3, NULL), 2); /* one array for both */
    for (int i = 0; i < 2; i++) {
        assert_true((events[i].flags & EV_ERROR) != 0);
        assert_int_equal(events[i].data, i == 0 ? 0 : ENOENT);
    }
    assert_int_equal(next_event(kq).filter, EVFILT_WRITE);
    close_all(kq, fds);
}

static void changes_are_applied_before_the_wait(void **state)
{
    struct kevent event;
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    EV_SET(&event, (uintptr_t)fds[0], EVFILT_WRITE, EV_ADD, 0, 0, NULL);
    assert_int_equal(kevent(kq, &event, 1, &event, 1, NULL), 1);
    assert_int_equal(event.filter, EVFILT_WRITE);
    assert_int_equal(event.flags & EV_ERROR, 0);
    close_all(kq, fds);
}

static void a_closed_descriptor_leaves_no_filter(void **state)
{
    int kq = new_queue(), fds[2], others[2];

    for (int enable = 0; enable < 2; enable++) {
        testing_socketpair(fds);
        put(fds[1], "x");
        assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
        assert_int_equal(watch(kq, fds[0], EVFILT_WRITE, EV_ADD), 0);
        close(fds[0]);
        close(fds[1]);
        assert_silent(kq);
        testing_socketpair(others);
        assert_int_equal(others[0], fds[0]);
        if (enable)
            assert_int_equal(watch(kq, others[0], EVFILT_READ, EV_ENABLE), ENOENT);
        assert_int_equal(watch(kq, others[0], EVFILT_READ, EV_ADD), 0);
        assert_silent(kq);
        put(others[1], "y");
        assert_int_equal(next_event(kq).filter, EVFILT_READ);
        close(others[0]);
        close(others[1]);
    }
    close(kq);
}

/* What the events of descriptors say. */

static void reading_tells_of_the_bytes_and_then_of_the_end(void **state)
{
    struct kevent event;
    int kq = new_queue(), fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    put(fds[1], "hello");
    event = next_event(kq);
    assert_int_equal(event.data, 5);
    assert_int_equal(event.flags & EV_EOF, 0);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    event = next_event(kq);
    assert_int_equal(event.data, 5); /* data may remain */
    assert_true((event.flags & EV_EOF) != 0);
    assert_int_equal(event.fflags, 0);
    drain(fds[0]);
    event = next_event(kq);
    assert_int_equal(event.data, 0);
    assert_true((event.flags & EV_EOF) != 0);

    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), 0);
    assert_int_equal(watch(kq, fds[0], EVFILT_WRITE, EV_ADD), 0);
    event = next_event(kq);
    assert_int_equal(event.flags & EV_EOF, 0); /* it can still be written to */
    close_all(kq, fds);
}

static void a_reset_is_the_end_of_both_with_an_error(void **state)
{
    struct kevent events[8];
    int kq = new_queue(), fds[2], error = 0;
    socklen_t length = sizeof error;

    testing_tcp_pair(fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    assert_int_equal(watch(kq, fds[0], EVFILT_WRITE, EV_ADD), 0);
    put(fds[0], "unread");
    close(fds[1]);
    assert_int_equal(wait_milliseconds(kq, events, 8, 5000), 2);
    for (int i = 0; i < 2; i++) {
        assert_true((events[i].flags & EV_EOF) != 0);
        assert_int_equal(events[i].fflags, ECONNRESET);
    }
    assert_int_equal(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &error, &length), 0);
    assert_int_equal(error, ECONNRESET); /* still there */
    close(fds[0]);
    close(kq);
}

static void a_refused_connection_is_the_end_of_writing(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int kq = new_queue(), unused = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(unused, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(unused, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), -1);
    close(unused);
    assert_int_equal(watch(kq, fd, EVFILT_WRITE, EV_ADD), 0);
    struct kevent event = next_event(kq);
    assert_true((event.flags & EV_EOF) != 0);
    assert_int_not_equal(event.fflags, 0);
    close(fd);
    close(kq);
}

static void a_listener_has_something_to_read_when_a_client_waits(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int kq = new_queue(), listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(watch(kq, listener, EVFILT_READ, EV_ADD), 0);
    assert_silent(kq);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    assert_true(next_event(kq).data >= 1);
    close(client);
    close(listener);
    close(kq);
}

static void a_pipe_tells_each_end_of_the_others_end(void **state)
{
    struct kevent event;
    int kq = new_queue(), in[2], out[2];

    assert_int_equal(pipe(in), 0);
    assert_int_equal(watch(kq, in[0], EVFILT_READ, EV_ADD), 0);
    put(in[1], "abc");
    close(in[1]);
    event = next_event(kq);
    assert_int_equal(event.data, 3);
    assert_true((event.flags & EV_EOF) != 0);
    close(in[0]);

    assert_int_equal(pipe(out), 0);
    assert_int_equal(watch(kq, out[1], EVFILT_WRITE, EV_ADD), 0);
    assert_int_equal(next_event(kq).flags & EV_EOF, 0);
    close(out[0]);
    event = next_event(kq);
    assert_true((event.flags & EV_EOF) != 0);
    assert_int_equal(event.fflags, 0);
    close(out[1]);
    close(kq);
}

static void a_low_water_mark_holds_back_all_but_the_end(void **state)
{
    struct kevent event;
    int kq = new_queue(), fds[2];

    testing_tcp_pair(fds);
    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 4, NULL), 0);
    put(fds[1], "abc");
    assert_silent(kq);
    put(fds[1], "d");
    event = next_event(kq);
    assert_int_equal(event.data, 4);
    drain(fds[0]);
    put(fds[1], "e");
    assert_silent(kq);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    event = next_event(kq);
    assert_int_equal(event.data, 1);
    assert_true((event.flags & EV_EOF) != 0);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), 0);

    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, NOTE_LOWAT, 1 << 30, NULL), 0);
    assert_silent(kq);
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0); /* the end on both sides */
    assert_true((next_event(kq).flags & EV_EOF) != 0);
    assert_silent(kq);
    close_all(kq, fds);
}

/* User events. */

static void a_user_event_comes_once_it_is_triggered(void **state)
{
    struct kevent event;
    int kq = new_queue(), a;

    assert_int_equal(change(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, &a), 0);
    assert_silent(kq);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(change(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0, &a), 0);
        assert_int_equal(change(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0, &a), 0);
        event = next_event(kq);
        assert_int_equal(event.ident, 7);
        assert_int_equal(event.filter, EVFILT_USER);
        assert_ptr_equal(event.udata, &a);
        assert_silent(kq);
    }
    close(kq);
}

static void without_ev_clear_a_user_event_stays(void **state)
{
    int kq = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(next_event(kq).ident, 1);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_DISABLE, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, NULL), 0);
    assert_int_equal(next_event(kq).ident, 1);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), 0);
    assert_int_equal(next_event(kq).ident, 1);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), ENOENT);
    close(kq);
}

static void the_flags_of_a_user_event_are_the_programs(void **state)
{
    static const struct {
        unsigned fflags, expected;
    } steps[] = {
        { NOTE_FFNOP | 0x0f, 0x33 },
        { NOTE_FFAND | 0x0f, 0x03 },
        { NOTE_FFOR | 0xf0, 0xf3 },
        { NOTE_FFCOPY | 0x123456, 0x123456 },
        { NOTE_FFCOPY | NOTE_FFLAGSMASK, NOTE_FFLAGSMASK },
    };
    int kq = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD, NOTE_FFCOPY | NOTE_TRIGGER | 0x33, 0, NULL), 0);
    assert_int_equal(next_event(kq).fflags & NOTE_FFLAGSMASK, 0x33);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(change(kq, 1, EVFILT_USER, 0, steps[i].fflags, 0, NULL), 0);
        assert_int_equal(next_event(kq).fflags & NOTE_FFLAGSMASK, steps[i].expected);
    }
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, NULL), 0);

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    for (unsigned bit = 1; bit <= 2; bit++) { /* a retrieved event takes its flags along */
        assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_FFOR | NOTE_TRIGGER | bit, 0, NULL), 0);
        assert_int_equal(next_event(kq).fflags & NOTE_FFLAGSMASK, bit);
    }
    close(kq);
}

static void several_user_events_fit_through_a_narrow_wait(void **state)
{
    struct kevent event;
    unsigned seen = 0;
    int kq = new_queue();

    for (uintptr_t ident = 0; ident < 4; ident++)
        assert_int_equal(change(kq, ident, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, NULL), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(wait_milliseconds(kq, &event, 1, 5000), 1);
        seen |= 1u << event.ident;
    }
    assert_int_equal(seen, 15);
    assert_silent(kq);
    close(kq);
}

static void *trigger_later(void *arg)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    change(*(int *)arg, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    return NULL;
}

static void another_thread_triggers_while_one_waits(void **state)
{
    struct kevent event;
    pthread_t thread;
    int kq = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, trigger_later, &kq), 0);
        assert_int_equal(kevent(kq, NULL, 0, &event, 1, NULL), 1);
        assert_int_equal(event.filter, EVFILT_USER);
        pthread_join(thread, NULL);
    }
    close(kq);
}

static int signalled_queue;

static void trigger_from_handler(int signal_number)
{
    int error = errno;

    change(signalled_queue, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    errno = error;
}

static void a_signal_handler_triggers(void **state)
{
    struct kevent event;
    struct timespec forever = { .tv_sec = 1000000 };
    int kq = signalled_queue = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    signal(SIGUSR1, trigger_from_handler);
    raise(SIGUSR1);
    assert_int_equal(kevent(kq, NULL, 0, &event, 1, &forever), 1);
    assert_int_equal(event.filter, EVFILT_USER);
    signal(SIGUSR1, SIG_DFL);
    close(kq);
}

/* Timers and timeouts. */

static int64_t microseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void a_timer_repeats_and_counts(void **state)
{
    struct kevent event;
    int kq = new_queue(), a;

    assert_int_equal(change(kq, 9, EVFILT_TIMER, EV_ADD, 0, 2, &a), 0); /* milliseconds */
    int64_t start = microseconds_now();
    event = next_event(kq);
    assert_int_equal(event.ident, 9);
    assert_ptr_equal(event.udata, &a);
    assert_true(event.data >= 1);
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    event = next_event(kq);
    assert_true(event.data >= 2);
    assert_true(microseconds_now() - start >= 9000);
    assert_int_equal(change(kq, 9, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), 0);
    assert_silent(kq);
    close(kq);
}

static void a_timer_has_units_and_may_come_once(void **state)
{
    static const unsigned units[] = { NOTE_NSECONDS, NOTE_USECONDS };
    int kq = new_queue();

    for (int i = 0; i < 2; i++) {
        int64_t start = microseconds_now();
        assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, units[i], i == 0 ? 3000000 : 3000, NULL), 0);
        assert_int_equal(next_event(kq).data, 1);
        assert_true(microseconds_now() - start >= 2999);
        assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), ENOENT);
    }
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 1, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 1, NULL), 0); /* set anew */
    assert_true(next_event(kq).data >= 1);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), 0);
    close(kq);
}

static void a_timeout_has_nanoseconds_and_is_not_early(void **state)
{
    struct kevent event;
    int kq = new_queue();

    for (int i = 0; i < 10; i++) {
        int64_t start = microseconds_now();
        assert_int_equal(kevent(kq, NULL, 0, &event, 1, &(struct timespec){ .tv_nsec = 300000 }), 0);
        assert_true(microseconds_now() - start >= 299);
    }
    assert_int_equal(kevent(kq, NULL, 0, &event, 1, &(struct timespec){ 0 }), 0);
    assert_int_equal(kevent(kq, NULL, 0, NULL, 0, NULL), 0); /* no room: no wait */
    close(kq);
}

static void on_signal(int signal_number)
{
}

static void *interrupt(void *arg)
{
    for (int i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
    }
    return NULL;
}

static void a_signal_interrupts_the_wait(void **state)
{
    struct kevent event;
    pthread_t thread, self = pthread_self();
    int kq = new_queue();

    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
    assert_int_equal(kevent(kq, NULL, 0, &event, 1, NULL), -1);
    assert_int_equal(errno, EINTR);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
    close(kq);
}

/* The queue. */

static void a_queue_can_be_polled(void **state)
{
    struct pollfd entry = { .events = POLLIN };
    int kq = new_queue(), fds[2];

    entry.fd = kq;
    testing_socketpair(fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    assert_int_equal(poll(&entry, 1, 1), 0);
    put(fds[1], "x");
    assert_int_equal(poll(&entry, 1, 5000), 1);
    drain(fds[0]);
    assert_int_equal(poll(&entry, 1, 1), 0);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), 0);
    assert_int_equal(poll(&entry, 1, 5000), 1);
    assert_int_equal(next_event(kq).filter, EVFILT_USER);
    assert_int_equal(poll(&entry, 1, 1), 0);
    close_all(kq, fds);
}

static void a_new_queue_with_an_old_number_is_empty(void **state)
{
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL), 0);
    close(kq);
    assert_int_equal(new_queue(), kq);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), ENOENT);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ENABLE), ENOENT);
    close_all(kq, fds);
}

static void a_child_does_not_inherit_a_queue(void **state)
{
    int kq = new_queue(), fds[2], status;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool is_closed = fcntl(kq, F_GETFD) < 0 && errno == EBADF;
        bool is_new = kqueue() == kq && watch(kq, fds[0], EVFILT_READ, EV_ENABLE) == ENOENT;
        _exit(is_closed && is_new ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(next_event(kq).filter, EVFILT_READ);
    close_all(kq, fds);
}

#ifdef __linux__

static void failures_below_are_answered_and_leave_nothing(void **state)
{
    int fds = testing_count_fds(), kq = new_queue();

    for (int nth = 1, hit = 1; hit; nth++) {
        faults_system_call("epoll_ctl", ENOSPC, nth);
        int other = kqueue();
        hit = faults_hit();
        assert_true((other < 0) == hit);
        if (hit)
            assert_int_equal(errno, ENOSPC);
        else
            close(other);
    }
    faults_system_call("epoll_ctl", ENOSPC, 1);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, NULL), ENOSPC);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), ENOENT);
    faults_end();
    close(kq);
    assert_int_equal(testing_count_fds(), fds);
}

#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(read_and_write_are_filters_of_their_own),
    cmocka_unit_test(room_for_one_event_shows_both_filters_in_turn),
    cmocka_unit_test(room_for_one_event_loses_none_with_ev_clear),
    cmocka_unit_test(adding_again_changes_udata_but_not_ev_clear),
    cmocka_unit_test(a_disabled_filter_is_silent_until_enabled),
    cmocka_unit_test(a_oneshot_filter_is_gone_after_its_event),
    cmocka_unit_test(ev_clear_reports_a_change_once),
    cmocka_unit_test(what_is_not_there_cannot_be_changed),
    cmocka_unit_test(errors_of_changes_are_events_where_there_is_room),
    cmocka_unit_test(a_receipt_is_an_answer_to_each_change),
    cmocka_unit_test(changes_are_applied_before_the_wait),
    cmocka_unit_test(a_closed_descriptor_leaves_no_filter),
    cmocka_unit_test(reading_tells_of_the_bytes_and_then_of_the_end),
    cmocka_unit_test(a_reset_is_the_end_of_both_with_an_error),
    cmocka_unit_test(a_refused_connection_is_the_end_of_writing),
    cmocka_unit_test(a_listener_has_something_to_read_when_a_client_waits),
    cmocka_unit_test(a_pipe_tells_each_end_of_the_others_end),
    cmocka_unit_test(a_low_water_mark_holds_back_all_but_the_end),
    cmocka_unit_test(a_user_event_comes_once_it_is_triggered),
    cmocka_unit_test(without_ev_clear_a_user_event_stays),
    cmocka_unit_test(the_flags_of_a_user_event_are_the_programs),
    cmocka_unit_test(several_user_events_fit_through_a_narrow_wait),
    cmocka_unit_test(another_thread_triggers_while_one_waits),
    cmocka_unit_test(a_signal_handler_triggers),
    cmocka_unit_test(a_timer_repeats_and_counts),
    cmocka_unit_test(a_timer_has_units_and_may_come_once),
    cmocka_unit_test(a_timeout_has_nanoseconds_and_is_not_early),
    cmocka_unit_test(a_signal_interrupts_the_wait),
    cmocka_unit_test(a_queue_can_be_polled),
    cmocka_unit_test(a_new_queue_with_an_old_number_is_empty),
    cmocka_unit_test(a_child_does_not_inherit_a_queue),
#ifdef __linux__
    cmocka_unit_test(failures_below_are_answered_and_leave_nothing),
#endif
};

TESTING_MAIN(tests)

#else

#include <stdio.h>

int main(void)
{
    puts("0 tests: no kqueue here");
    return 0;
}

#endif
