/* Internal: testing.h, what every test needs: cmocka, a limit of time a test, a check for descriptors left open.
 *
 *     static void adds_two_numbers(void **state) { assert_int_equal(1 + 1, 2); }
 *     static const struct CMUnitTest tests[] = { cmocka_unit_test(adds_two_numbers) };
 *     TESTING_MAIN(tests)
 *
 * A test that takes over 30 s (60 s under a sanitizer or valgrind) aborts its program with its name: it hangs. None
 * needs more than 10 s, but the machine may have other things to do. */
#ifndef TESTS_SUPPORT_TESTING_H
#define TESTS_SUPPORT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

int testing_run(const char *group, const struct CMUnitTest *tests, size_t count);

#define TESTING_MAIN(tests)                                                                                            \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return testing_run(__FILE__, tests, sizeof tests / sizeof *tests);                                             \
    }

/* Gives a child of fork() as much time as a test has: that which hangs must not outlive its test for long. */
void testing_limit_time(void);

/* Open descriptors of this process. */
int testing_count_fds(void);

/* Whether this machine has ::1; says so if it has not. */
bool testing_has_ipv6(void);

/* For tests in which the child of a process with threads starts one: under ThreadSanitizer it cannot. */
void testing_skip_under_thread_sanitizer(void);

/* Two ends of a connected, non-blocking socket pair. */
void testing_socketpair(int fds[2]);

/* Two ends of a TCP connection over 127.0.0.1, non-blocking. */
void testing_tcp_pair(int fds[2]);

/* Logs of the library from here to testing_end_logs go into a buffer instead of to stderr. testing_logs counts those
 * whose text contains the word (NULL: all). A test that expects none checks that. */
void testing_begin_logs(void);
int testing_logs(const char *word);
void testing_end_logs(void);

/* A clock for ioloop_options.clock: it stands still until a test moves it. arg: a double, the seconds. */
double testing_clock(void *arg);

/* Runs the loop until *done is true; fails the test when 20 s (of real time) go by. */
struct ioloop;
void testing_run_until(struct ioloop *loop, const bool *done);

/* What is sent to 127.0.0.1 is under way until the kernel comes to deliver it, which under load is a moment later. Waits
 * until it has delivered what was sent before. */
void testing_deliver(void);

/* An iteration that does not wait, when what was sent before is delivered; answers what ioloop_run_once does. */
int testing_step(struct ioloop *loop);

/* So many of them; then what they have sent is delivered, too. */
void testing_spin(struct ioloop *loop, int iterations);

/* Waits until there is something for the loop to do or for the descriptor (-1: none) to read, for 0.1 s at most; a turn
 * is an iteration that does not wait, and that behind it. */
void testing_wait(struct ioloop *loop, int fd);
void testing_turn(struct ioloop *loop, int fd);

#endif
