#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"

/* Signals that are ignored or blocked are so in programs that are started, too, as nohup and shells' background jobs
 * make use of; descriptors that are closed stay closed, and modes of files are what the umask leaves. The tests are
 * about none of that. (Signals that have a handler by now have it from a sanitizer.) */
__attribute__((constructor)) static void begin_the_same_however_started(void)
{
    const struct sigaction as_usual = { .sa_handler = SIG_DFL };
    struct sigaction action;
    struct rlimit fds;
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            sigaction(number, &as_usual, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2)
        fd = open("/dev/null", O_RDWR);
    close(fd);
    umask(022);
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0 && fds.rlim_cur < 1024) {
        fds.rlim_cur = fds.rlim_max < 1024 ? fds.rlim_max : 1024;
        setrlimit(RLIMIT_NOFILE, &fds);
    }
}

/* A socket that sends to itself. Packets to this machine wait in one queue, so what comes by it came last. */
static int to_itself = -1;

static void open_to_itself(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    const struct timeval second = { .tv_sec = 1 };

    to_itself = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(to_itself, (struct sockaddr *)&address, length) < 0 ||
        getsockname(to_itself, (struct sockaddr *)&address, &length) < 0 ||
        connect(to_itself, (struct sockaddr *)&address, length) < 0 ||
        setsockopt(to_itself, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) < 0)
        abort();
}

/* By calls that the library does not make: those can be counted, and can fail. */
void testing_deliver(void)
{
    char byte = 0;

    if (sendto(to_itself, &byte, 1, 0, NULL, 0) != 1)
        return;
    while (recvfrom(to_itself, &byte, 1, 0, NULL, NULL) < 0 && errno == EINTR)
        continue;
}

static const struct CMUnitTest *all_tests;
static size_t next_test;
static int fds_before;

static void too_slow(int signal_number)
{
    const char *name = next_test > 0 ? all_tests[next_test - 1].name : "?";

    if (write(2, "too slow: ", 10) < 0 || write(2, name, strlen(name)) < 0 || write(2, "\n", 1) < 0)
        _exit(3);
    abort();
}

static unsigned seconds_a_test(void)
{
    const char *slow = getenv("TESTING_SECONDS");

    return slow != NULL ? (unsigned)atoi(slow) : 30;
}

void testing_limit_time(void)
{
    alarm(seconds_a_test());
}

static int before(void **state)
{
    next_test++;
    fds_before = testing_count_fds();
    signal(SIGALRM, too_slow);
    testing_limit_time();
    return 0;
}

static int after(void **state)
{
    alarm(0);
    testing_end_logs();
    ioloop_clear_current();
    int fds = testing_count_fds();
    if (fds != fds_before)
        print_error("descriptors: %d before the test, %d after it\n", fds_before, fds);
    return fds == fds_before ? 0 : -1;
}

/* cmocka counts a failing teardown as an error of the group, not of a test; this makes it one of the test. */
int testing_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *wrapped = calloc(count, sizeof *wrapped);

    if (wrapped == NULL)
        return 2;
    open_to_itself();
    all_tests = tests;
    for (size_t i = 0; i < count; i++) {
        wrapped[i] = tests[i];
        wrapped[i].setup_func = before;
        wrapped[i].teardown_func = after;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int failed = _cmocka_run_group_tests(group, wrapped, count, NULL, NULL);
    free(wrapped);
    return failed != 0;
}

int testing_count_fds(void)
{
    DIR *folder = opendir("/dev/fd");
    int count = 0;

    if (folder == NULL)
        return -1;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

bool testing_has_ipv6(void)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    if (!has)
        print_message("this machine has no IPv6: what is about it is skipped\n");
    return has;
}

void __tsan_init(void) __attribute__((weak));

void testing_skip_under_thread_sanitizer(void)
{
    if (__tsan_init != NULL)
        skip();
}

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
}

void testing_socketpair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    set_nonblocking(fds[0]);
    set_nonblocking(fds[1]);
}

void testing_tcp_pair(int fds[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, length), 0);
    testing_deliver();
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
    set_nonblocking(fds[0]);
    set_nonblocking(fds[1]);
}

static char *logs;
static size_t logs_size;
static FILE *logs_file;

static void to_buffer(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
    fprintf(logs_file, "%c %s\n", "DIWE"[level], text);
    fflush(logs_file);
}

void testing_begin_logs(void)
{
    testing_end_logs();
    logs_file = open_memstream(&logs, &logs_size);
    assert_non_null(logs_file);
    iolog_set_level(IOLOG_DEBUG);
    iolog_set_rate(UINT_MAX);
    iolog_set_function(to_buffer, NULL);
}

int testing_logs(const char *word)
{
    int count = 0;

    if (fflush(logs_file) != 0 || logs == NULL)
        return 0;
    for (const char *line = logs; *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *hit = word != NULL ? strstr(line, word) : line;
        count += hit != NULL && hit <= end;
        line = end + 1;
    }
    return count;
}

void testing_end_logs(void)
{
    if (logs_file == NULL)
        return;
    iolog_set_function(NULL, NULL);
    iolog_set_level(IOLOG_WARNING);
    iolog_set_rate(0);
    fclose(logs_file);
    free(logs);
    logs_file = NULL;
    logs = NULL;
}

double testing_clock(void *arg)
{
    return *(double *)arg;
}

int testing_step(struct ioloop *loop)
{
    testing_deliver();
    return ioloop_run_once(loop, 0);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* As a program with a loop of its own would: the wait is outside, so what a task or callback does in a turn is seen
 * before the next wait. */
void testing_wait(struct ioloop *loop, int fd)
{
    struct pollfd entries[2] = { { .fd = ioloop_fd(loop), .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    double next = ioloop_next_timeout(loop);

    poll(entries, 2, next < 0 || next > 0.1 ? 100 : (int)(next * 1000 + 0.999));
}

void testing_turn(struct ioloop *loop, int fd)
{
    assert_true(testing_step(loop) >= 0);
    testing_wait(loop, fd);
}

void testing_run_until(struct ioloop *loop, const bool *done)
{
    double limit = seconds_now() + 20;

    while (!*done) {
        assert_true(testing_step(loop) >= 0);
        if (*done)
            return;
        if (seconds_now() > limit)
            fail_msg("%s", "what the test waits for did not come within 20 s");
        testing_wait(loop, -1);
    }
}

void testing_spin(struct ioloop *loop, int iterations)
{
    for (int i = 0; i < iterations; i++)
        assert_true(testing_step(loop) >= 0);
    testing_deliver();
}
