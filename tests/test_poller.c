/* What a kernel queue promises, for each poller by the same tests: what it reports, and what it refuses. */
#include "ioloop/poller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/pollerscene.h"
#include "tests/support/testing.h"

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
    poller_remove(poller, fds[0]);
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
    poller_remove(poller, in[0]);
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
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_WRITE, generation - 77), 0);
        assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
        assert_int_equal(event.generation, generation - 77);
        poller_remove(poller, fds[0]);
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
        assert_int_equal(poller_update(poller, fds[0], to, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), to);
        assert_int_equal(wait_for(poller, fds[0]), to);
        poller_remove(poller, fds[0]);
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
        poller_remove(poller, fds[0]);
        poller_remove(poller, fds[0]);
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
        poller_remove(poller, fd);
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
    assert_int_equal(poller_update(poller, fds[0], BOTH, 1), 0);
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
        poller_remove(poller, fds[0]);
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
        assert_int_equal(poller_update(poller, fds[0], to, 2), 0);
        if (from != to || to != IOLOOP_NONE) /* there a kqueue may say it once */
            assert_int_equal(wait_for(poller, fds[0]), to | IOLOOP_ERROR);
        poller_remove(poller, fds[0]);
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
        testing_deliver();
        assert_int_equal(poller_add(poller, fds[0], BOTH, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), BOTH | IOLOOP_ERROR);
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_WRITE, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]), IOLOOP_WRITE | IOLOOP_ERROR);
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_READ, 1), 0);
        assert_int_equal(wait_for(poller, fds[0]) & BOTH, IOLOOP_READ); /* an error too, for epoll */
        assert_int_equal(read(fds[0], bytes, sizeof bytes), 4);
        poller_remove(poller, fds[0]);
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
    poller_remove(poller, in[0]);
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
        assert_int_equal(poller_update(poller, fds[0], IOLOOP_WRITE, 1), -ENOENT);
        assert_int_equal(poller_add(poller, fds[0], interests[i], 1), 0);
        assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 2), -EEXIST);
        assert_int_equal(wait_for(poller, fds[0]), interests[i]);
        if (interests[i] != IOLOOP_NONE) {
            assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
            assert_int_equal(event.generation, 1);
        }
        poller_remove(poller, fds[0]);
    }
    assert_int_equal(poller_update(poller, fds[0], IOLOOP_WRITE, 1), -ENOENT);
    close_both(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), -EBADF);
    assert_int_equal(poller_add(poller, -1, IOLOOP_READ, 1), -EBADF);
    poller_remove(poller, -1);
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
    assert_int_equal(poller_update(pollers[0], listener, IOLOOP_READ, 1), -EINVAL);
#endif
    for (int i = 0; i < 2; i++) {
        poller_remove(pollers[i], listener);
        assert_int_equal(wait_for(pollers[i], listener), IOLOOP_NONE);
        poller_free(pollers[i]);
    }
    close(client);
    close(listener);
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
};

TESTING_MAIN(tests)
