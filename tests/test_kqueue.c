/* kqueue(2): changes, and what the events of descriptors say. */
#include "tests/support/kqueuescene.h"

#if KQUEUESCENE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/testing.h"

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
        assert_int_equal(wait_milliseconds(kq, events, 8, 20000), 2);
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
        assert_int_equal(wait_milliseconds(kq, &event, 1, 20000), 1);
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
    testing_deliver();
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
    testing_deliver();
    assert_int_equal(wait_milliseconds(kq, events, 8, 20000), 2);
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
    testing_deliver();
    event = next_event(kq);
    assert_int_equal(event.data, 1);
    assert_true((event.flags & EV_EOF) != 0);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_DELETE), 0);

    assert_int_equal(change(kq, (uintptr_t)fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, NOTE_LOWAT, 1 << 30, NULL), 0);
    assert_silent(kq);
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0); /* the end on both sides */
    for (int i = 0; i < 2; i++)                     /* and that it was seen there */
        testing_deliver();
    assert_true((next_event(kq).flags & EV_EOF) != 0);
    assert_silent(kq);
    close_all(kq, fds);
}

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
};

TESTING_MAIN(tests)

#endif
