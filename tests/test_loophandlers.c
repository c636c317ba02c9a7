/* Handlers: what they are told, and that nobody is told what happened to somebody else. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/support/tracedloop.h"

struct told {
    int calls, fd;
    unsigned events;
};

static void tell(int fd, unsigned events, void *arg)
{
    struct told *told = arg;

    told->calls++;
    told->fd = fd;
    told->events = events;
}

/* The events that one iteration tells. */
static unsigned spin_once(struct told *told)
{
    *told = (struct told){ 0 };
    testing_spin(loop, 1);
    assert_in_range(told->calls, 0, 1);
    return told->events;
}

static void remove_and_close(int fd)
{
    ioloop_remove_handler(loop, fd);
    close(fd);
}

static void remove_and_close_both(const int fds[2])
{
    remove_and_close(fds[0]);
    remove_and_close(fds[1]);
}

/* Registering. */

/* ioloop_test:test_handler_callback_file_object */
static void a_handler_is_given_its_descriptor_and_argument(void **state)
{
    struct told told[2] = { 0 };
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    add_handler(fds[0], tell, &told[0], IOLOOP_WRITE);
    add_handler(fds[1], tell, &told[1], IOLOOP_WRITE);
    assert_int_equal(ioloop_run_once(loop, 0), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(told[i].calls, 1);
        assert_int_equal(told[i].fd, fds[i]);
        assert_int_equal(told[i].events, IOLOOP_WRITE);
    }
    remove_and_close_both(fds);
    close_loop();
}

/* ioloop_test:test_multiple_add */
static void a_descriptor_has_one_handler(void **state)
{
    struct told told;
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    add_handler(fds[0], tell, &told, IOLOOP_WRITE);
    assert_int_equal(ioloop_add_handler(loop, fds[0], note_event, "x", IOLOOP_READ), -EEXIST);
    assert_int_equal(spin_once(&told), IOLOOP_WRITE); /* the first is as it was */
    remove_and_close_both(fds);
    close_loop();
}

/* ioloop_test:test_mixed_fd_fileobj: here a descriptor has no other name than its number, and a duplicate is another
 * descriptor. */
static void a_duplicate_is_a_descriptor_of_its_own(void **state)
{
    struct told told[2] = { 0 };
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    int duplicate = dup(fds[0]);
    add_handler(fds[0], tell, &told[0], IOLOOP_WRITE);
    add_handler(duplicate, tell, &told[1], IOLOOP_WRITE);
    assert_int_equal(ioloop_add_handler(loop, duplicate, tell, NULL, IOLOOP_READ), -EEXIST);
    assert_int_equal(ioloop_run_once(loop, 0), 2);
    remove_and_close(fds[0]); /* which the duplicate survives */
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    assert_int_equal(told[1].calls, 2);
    assert_int_equal(told[1].fd, duplicate);
    remove_and_close(duplicate);
    close(fds[1]);
    close_loop();
}

/* ioloop_test:test_remove_without_add */
static void removing_what_is_not_there_is_fine(void **state)
{
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    ioloop_remove_handler(loop, fds[0]);
    ioloop_remove_handler(loop, -1);
    ioloop_remove_handler(loop, INT_MIN);
    ioloop_remove_handler(loop, INT_MAX);
    add_handler(fds[0], note_event, "x", IOLOOP_READ);
    ioloop_remove_handler(loop, fds[0]);
    ioloop_remove_handler(loop, fds[0]);
    ioloop_remove_handler(loop, fds[1]);
    remove_and_close_both(fds);
    close_loop();
}

static void what_cannot_be_watched_is_refused(void **state)
{
    struct told told;
    int fds[2], file;

    open_loop();
    file = open("/proc/self/exe", O_RDONLY);
    if (file < 0)
        file = open("/etc/passwd", O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(ioloop_add_handler(loop, file, note_event, "x", IOLOOP_READ), -EPERM);
    assert_int_equal(ioloop_update_handler(loop, file, IOLOOP_READ), -ENOENT);
    ioloop_remove_handler(loop, file);
    close(file);
    testing_socketpair(fds);
    assert_int_equal(fds[0], file); /* the number is free for the next */
    add_handler(fds[0], tell, &told, IOLOOP_WRITE);
    assert_int_equal(spin_once(&told), IOLOOP_WRITE);
    remove_and_close_both(fds);
    close_loop();
}

static void what_is_no_descriptor_is_refused_and_costs_nothing(void **state)
{
    static const int no_fds[] = { -1, INT_MIN, INT_MAX, INT_MAX - 1, 1 << 30, 900 };

    open_loop();
    size_t before = faults_allocated_bytes();
    for (size_t i = 0; i < sizeof no_fds / sizeof *no_fds; i++) {
        assert_int_equal(ioloop_add_handler(loop, no_fds[i], note_event, "x", IOLOOP_READ), -EBADF);
        assert_int_equal(ioloop_update_handler(loop, no_fds[i], IOLOOP_READ), -ENOENT);
    }
    assert_int_equal(faults_allocated_bytes(), before);
    close_loop();
}

static void updating_what_has_no_handler_is_refused(void **state)
{
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    assert_int_equal(ioloop_update_handler(loop, fds[0], IOLOOP_READ), -ENOENT);
    add_handler(fds[0], note_event, "x", IOLOOP_READ);
    assert_int_equal(ioloop_update_handler(loop, fds[1], IOLOOP_READ), -ENOENT);
    ioloop_remove_handler(loop, fds[0]);
    assert_int_equal(ioloop_update_handler(loop, fds[0], IOLOOP_READ), -ENOENT);
    remove_and_close_both(fds);
    close_loop();
}

static bool may_have_descriptor(int fd)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur > (rlim_t)fd;
}

static void descriptors_may_have_large_numbers(void **state)
{
    static const int numbers[] = { 1023, 1024, 1025, 5000, 65535, 65536, 200000 };
    struct told told;
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && may_have_descriptor(numbers[i]); i++) {
        assert_int_equal(dup2(fds[0], numbers[i]), numbers[i]);
        add_handler(numbers[i], tell, &told, IOLOOP_WRITE);
        assert_int_equal(spin_once(&told), IOLOOP_WRITE);
        assert_int_equal(told.fd, numbers[i]);
        remove_and_close(numbers[i]);
    }
    close_both(fds);
    close_loop();
}

/* Interest. */

static void only_what_was_asked_for_is_told(void **state)
{
    static const unsigned both = IOLOOP_READ | IOLOOP_WRITE;
    static const unsigned interests[] = { IOLOOP_READ,  IOLOOP_WRITE, both, IOLOOP_NONE,
                                          IOLOOP_WRITE, IOLOOP_NONE,  both, IOLOOP_READ,
                                          IOLOOP_NONE,  IOLOOP_READ,  both };
    struct told told;
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    assert_int_equal(write(fds[1], "x", 1), 1);
    add_handler(fds[0], tell, &told, IOLOOP_NONE);
    assert_int_equal(spin_once(&told), IOLOOP_NONE);
    for (size_t i = 0; i < sizeof interests / sizeof *interests; i++) {
        assert_int_equal(ioloop_update_handler(loop, fds[0], interests[i]), 0);
        assert_int_equal(spin_once(&told), interests[i]);
        faults_count_reset();
        assert_int_equal(ioloop_update_handler(loop, fds[0], interests[i]), 0); /* which asks nothing of the kernel */
        assert_int_equal(faults_count("epoll_ctl"), 0);
        assert_int_equal(spin_once(&told), interests[i]);
    }
    remove_and_close_both(fds);
    close_loop();
}

/* ioloop_test:test_read_while_writeable */
static void a_reader_is_not_told_that_it_could_write(void **state)
{
    struct told told;
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    add_handler(fds[0], tell, &told, IOLOOP_READ);
    assert_int_equal(spin_once(&told), IOLOOP_NONE);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(spin_once(&told), IOLOOP_READ);
    remove_and_close_both(fds);
    close_loop();
}

static void an_error_is_told_whatever_was_asked_for(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, IOLOOP_READ | IOLOOP_WRITE };

    for (size_t i = 0; i < sizeof interests / sizeof *interests; i++) {
        struct told told;
        int fds[2];

        open_loop();
        testing_tcp_pair(fds);
        add_handler(fds[0], tell, &told, interests[i]);
        assert_int_equal(write(fds[0], "unread", 6), 6);
        close(fds[1]); /* with bytes unread: a reset */
        assert_true((spin_once(&told) & IOLOOP_ERROR) != 0);
        assert_int_equal(told.events & ~(interests[i] | IOLOOP_ERROR), 0);
        remove_and_close(fds[0]);
        close_loop();
    }
}

static void bits_that_mean_nothing_are_ignored(void **state)
{
    struct told told;
    int fds[2];

    open_loop();
    testing_socketpair(fds);
    add_handler(fds[0], tell, &told, ~(unsigned)IOLOOP_WRITE);
    assert_int_equal(spin_once(&told), IOLOOP_NONE);
    assert_int_equal(ioloop_update_handler(loop, fds[0], ~0u), 0);
    assert_int_equal(spin_once(&told), IOLOOP_WRITE);
    remove_and_close_both(fds);
    close_loop();
}

/* In one batch. */

static int ready[2][2]; /* two pipes that are ready */
static int reused;      /* a descriptor that got the number of another */

static void open_batch(ioloop_handler_fn *handler)
{
    open_loop();
    for (int i = 0; i < 2; i++) {
        open_ready_pipe(ready[i]);
        add_handler(ready[i][0], handler, &ready[i], IOLOOP_READ);
    }
}

/* Of the two the one that is not fd. */
static int *other_of(int fd)
{
    return fd == ready[0][0] ? ready[1] : ready[0];
}

static void close_batch(void)
{
    for (int i = 0; i < 2; i++) {
        remove_and_close(ready[i][0]);
        close(ready[i][1]);
    }
    close_loop();
}

static void remove_other(int fd, unsigned events, void *arg)
{
    note("r");
    ioloop_remove_handler(loop, other_of(fd)[0]);
}

/* ioloop_test:test_remove_handler_from_handler */
static void a_handler_removed_by_one_before_it_is_not_called(void **state)
{
    open_batch(remove_other);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    testing_spin(loop, 1);
    assert_string_equal(trace, "rr");
    close_batch();
}

static void reuse_other(int fd, unsigned events, void *arg)
{
    int *other = other_of(fd);

    note("c");
    remove_and_close(other[0]);
    close(other[1]);
    open_ready_pipe(other); /* the lowest numbers that are free: those just closed */
    reused = other[0];
    add_handler(other[0], note_event, "n", IOLOOP_READ);
    ioloop_remove_handler(loop, fd);
}

static void a_new_descriptor_is_not_told_what_happened_to_the_old_of_its_number(void **state)
{
    open_batch(reuse_other);
    int numbers[2] = { ready[0][0], ready[1][0] };
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    assert_string_equal(trace, "c");
    assert_true(reused == numbers[0] || reused == numbers[1]);
    testing_spin(loop, 1);
    assert_string_equal(trace, "cn"); /* it is ready itself, which the next turn tells */
    close_batch();
}

static void add_other_anew(int fd, unsigned events, void *arg)
{
    int other = other_of(fd)[0];

    note("a");
    ioloop_remove_handler(loop, other);
    add_handler(other, note_event, "n", IOLOOP_READ);
    ioloop_remove_handler(loop, fd);
}

static void a_handler_added_anew_is_not_told_the_event_of_the_old(void **state)
{
    open_batch(add_other_anew);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    assert_string_equal(trace, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "an");
    close_batch();
}

static void ask_other_for_nothing(int fd, unsigned events, void *arg)
{
    note("u");
    assert_int_equal(ioloop_update_handler(loop, other_of(fd)[0], IOLOOP_NONE), 0);
}

static void a_handler_that_lost_its_interest_is_not_called(void **state)
{
    open_batch(ask_other_for_nothing);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    assert_string_equal(trace, "u");
    close_batch();
}

static void remove_itself(int fd, unsigned events, void *arg)
{
    note("s");
    ioloop_remove_handler(loop, fd);
}

static void a_handler_may_remove_itself(void **state)
{
    open_batch(remove_itself);
    assert_int_equal(ioloop_run_once(loop, 0), 2);
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    assert_string_equal(trace, "ss");
    close_batch();
}

static void stop_in_handler(int fd, unsigned events, void *arg)
{
    note("s");
    ioloop_stop(loop);
}

static void a_stop_in_a_handler_ends_the_loop_after_its_turn(void **state)
{
    open_batch(stop_in_handler);
    call_later(0, note, "t");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "tss");
    close_batch();
}

/* The table of handlers grows while one of them runs. */
static void add_a_large_number(int fd, unsigned events, void *arg)
{
    int large = fcntl(fd, F_DUPFD, 800 + 200 * (int)traced);

    note("g");
    assert_true(large >= 0);
    add_handler(large, remove_itself, NULL, IOLOOP_READ);
    ioloop_remove_handler(loop, fd);
    assert_int_equal(ioloop_update_handler(loop, large, IOLOOP_READ | IOLOOP_WRITE), 0);
}

static void handlers_may_be_added_by_handlers(void **state)
{
    open_batch(add_a_large_number);
    assert_int_equal(ioloop_run_once(loop, 0), 2);
    assert_int_equal(ioloop_run_once(loop, 0), 2);
    assert_string_equal(trace, "ggss");
    close(800);
    close(1000);
    close_batch();
}

/* More than one call of the kernel can tell. */
static void all_of_very_many_ready_ones_are_called(void **state)
{
    static int many[1300];
    static struct told told[1300];
    int fds[2], called = 0;

    if (!may_have_descriptor(1400))
        skip();
    open_loop();
    open_ready_pipe(fds);
    for (int i = 0; i < 1300; i++) {
        many[i] = dup(fds[0]);
        assert_true(many[i] >= 0);
        told[i] = (struct told){ 0 };
        add_handler(many[i], tell, &told[i], IOLOOP_READ);
    }
    for (int i = 0; i < 10; i++)
        called += ioloop_run_once(loop, 0);
    assert_true(called >= 1300);
    for (int i = 0; i < 1300; i++) {
        assert_true(told[i].calls > 0); /* none starves */
        remove_and_close(many[i]);
    }
    close_both(fds);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_handler_is_given_its_descriptor_and_argument),
    cmocka_unit_test(a_descriptor_has_one_handler),
    cmocka_unit_test(a_duplicate_is_a_descriptor_of_its_own),
    cmocka_unit_test(removing_what_is_not_there_is_fine),
    cmocka_unit_test(what_cannot_be_watched_is_refused),
    cmocka_unit_test(what_is_no_descriptor_is_refused_and_costs_nothing),
    cmocka_unit_test(updating_what_has_no_handler_is_refused),
    cmocka_unit_test(descriptors_may_have_large_numbers),
    cmocka_unit_test(only_what_was_asked_for_is_told),
    cmocka_unit_test(a_reader_is_not_told_that_it_could_write),
    cmocka_unit_test(an_error_is_told_whatever_was_asked_for),
    cmocka_unit_test(bits_that_mean_nothing_are_ignored),
    cmocka_unit_test(a_handler_removed_by_one_before_it_is_not_called),
    cmocka_unit_test(a_new_descriptor_is_not_told_what_happened_to_the_old_of_its_number),
    cmocka_unit_test(a_handler_added_anew_is_not_told_the_event_of_the_old),
    cmocka_unit_test(a_handler_that_lost_its_interest_is_not_called),
    cmocka_unit_test(a_handler_may_remove_itself),
    cmocka_unit_test(a_stop_in_a_handler_ends_the_loop_after_its_turn),
    cmocka_unit_test(handlers_may_be_added_by_handlers),
    cmocka_unit_test(all_of_very_many_ready_ones_are_called),
};

TESTING_MAIN(tests)
