#include "tests/support/httpprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

#define PATIENCE 20 /* seconds */

/* The server's side. */

enum { MOST_WAITING = 1000 };

static struct httpserver *server;
static struct httprequest *waiting[MOST_WAITING];
static int waiting_count;
static long requests;
static size_t peak;

static void answer_with_usage(struct httprequest *request)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    struct httpprocess_usage answer = { .cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                                               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
                                        .resident = usage.ru_maxrss,
                                        .bytes = faults_allocated_bytes(),
                                        .peak = peak,
                                        .files = testing_count_fds(),
                                        .connections = (int)httpserver_connections(server),
                                        .waiting = waiting_count,
                                        .requests = requests };
    peak = 0;
    (void)!httprequest_reply(request, 200, "application/octet-stream", &answer, sizeof answer);
}

static void answer_with_size(struct httprequest *request, size_t size)
{
    char *bytes = malloc(size + 1);

    memset(bytes, 'x', size);
    (void)!httprequest_reply(request, 200, "text/plain", bytes, size);
    free(bytes);
}

static void answer_with_text(struct httprequest *request)
{
    char text[256];
    size_t length;

    httprequest_body(request, &length);
    int size =
        snprintf(text, sizeof text, "%s %.200s %zu", httprequest_method(request), httprequest_target(request), length);
    if (httprequest_path_is(request, "/pid"))
        size = snprintf(text, sizeof text, "%ld", (long)getpid());
    int status = httprequest_path_is(request, "/missing") ? 404 : 200;
    (void)!httprequest_reply(request, status, "text/plain", text, (size_t)size);
}

static void on_request(struct httprequest *request, void *arg)
{
    const char *target = httprequest_target(request);
    size_t bytes = faults_allocated_bytes();

    requests++;
    peak = bytes > peak ? bytes : peak;
    if (httprequest_path_is(request, "/usage"))
        answer_with_usage(request);
    else if (strncmp(target, "/size/", 6) == 0)
        answer_with_size(request, strtoul(target + 6, NULL, 10));
    else if (httprequest_path_is(request, "/wait") && waiting_count < MOST_WAITING)
        waiting[waiting_count++] = request;
    else
        answer_with_text(request);
}

/* Also those whose clients have left. */
static void answer_waiting(int signal_number, void *arg)
{
    while (waiting_count > 0)
        answer_with_text(waiting[--waiting_count]);
}

static void finish(int signal_number, void *arg)
{
    httpserver_close(server);
}

static void server_closed(struct httpserver *closed, void *arg)
{
    server = NULL;
    ioloop_stop(arg);
}

static void test_ended(int fd, unsigned events, void *loop)
{
    _exit(0);
}

/* What processes tell: that the server is bound, and then each that it serves. */
struct report {
    pid_t pid;
    int port;
};

static void report(int fd, int port)
{
    struct report entry = { getpid(), port };

    if (write(fd, &entry, sizeof entry) != sizeof entry)
        _exit(9);
}

static struct ioloop *start_serving(const struct httpprocess_options *options, int life, int reports)
{
    struct httpserver_options own = options->server;
    struct ioloop *loop = ioloop_new(NULL);

    own.on_close = server_closed;
    server = loop != NULL ? httpserver_new(loop, on_request, loop, &own) : NULL;
    int port =
        server != NULL ? httpserver_bind(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : 0;
    if (port <= 0)
        _exit(8);
    report(reports, port);
    if (httpserver_start(server, options->workers > 0 ? options->workers : 1, 0) < 0 ||
        ioloop_add_handler(loop, life, test_ended, loop, IOLOOP_READ) < 0 ||
        ioloop_add_signal(loop, SIGUSR1, answer_waiting, NULL) < 0 ||
        ioloop_add_signal(loop, SIGTERM, finish, NULL) < 0)
        _exit(7);
    report(reports, port);
    return loop;
}

static void limit_files(int files)
{
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ (rlim_t)files, (rlim_t)files });
}

_Noreturn static void run(const struct httpprocess_options *options, int life, int reports)
{
    int files = testing_count_fds();
    long allocated = faults_allocated();

    if (options->files > 0)
        limit_files(options->files);
    if (options->logs_all)
        iolog_set_level(IOLOG_INFO);
    struct ioloop *loop = start_serving(options, life, reports);
    if (options->files_later > 0)
        limit_files(options->files_later);
    int error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0 || server != NULL || waiting_count > 0)
        fprintf(stderr, "the loop ended with %d, the server %s\n", error, server != NULL ? "runs" : "ended");
    else if (faults_allocated() != allocated || testing_count_fds() != files)
        fprintf(stderr, "left: %ld of memory, %d files\n", faults_allocated() - allocated, testing_count_fds() - files);
    else
        _exit(0);
    _exit(6);
}

/* The test's side. */

static struct report read_report(struct httpprocess *process)
{
    struct report entry = { 0 };

    assert_int_equal(poll(&(struct pollfd){ process->reports, POLLIN, 0 }, 1, PATIENCE * 1000), 1);
    assert_int_equal(read(process->reports, &entry, sizeof entry), sizeof entry);
    return entry;
}

static FILE *open_log(void)
{
    FILE *log = tmpfile();

    assert_non_null(log);
    assert_int_equal(fcntl(fileno(log), F_SETFD, FD_CLOEXEC), 0);
    return log;
}

void httpprocess_start(struct httpprocess *process, const struct httpprocess_options *options)
{
    static const struct httpprocess_options none;
    int life[2], reports[2];

    assert_int_equal(pipe2(life, O_CLOEXEC), 0);
    assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
    process->log = open_log();
    fflush(NULL);
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0) {
        dup2(fileno(process->log), 2);
        fcntl(2, F_SETFL, O_APPEND);
        close(life[1]);
        close(reports[0]);
        run(options != NULL ? options : &none, life[0], reports[1]);
    }
    close(life[0]);
    close(reports[1]);
    process->life = life[1];
    process->reports = reports[0];
    process->port = read_report(process).port;
}

pid_t httpprocess_next_worker(struct httpprocess *process)
{
    return read_report(process).pid;
}

static void print_log(const struct httpprocess *process)
{
    char text[4096];
    ssize_t count = pread(fileno(process->log), text, sizeof text - 1, 0);

    text[count > 0 ? count : 0] = '\0';
    print_error("the server's log:\n%s\n", text);
}

void httpprocess_expect_end(struct httpprocess *process)
{
    int status = -1;

    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    if (status != 0)
        print_log(process);
    assert_int_equal(status, 0);
    close(process->life);
    close(process->reports);
    fclose(process->log);
}

void httpprocess_end(struct httpprocess *process)
{
    kill(process->pid, SIGTERM);
    httpprocess_expect_end(process);
}

size_t httpprocess_log_size(const struct httpprocess *process)
{
    off_t size = lseek(fileno(process->log), 0, SEEK_END);

    assert_true(size >= 0);
    return (size_t)size;
}

int httpprocess_log_lines(const struct httpprocess *process, const char *word)
{
    size_t size = httpprocess_log_size(process);
    char *text = malloc(size + 1), *rest = text;
    int count = 0;

    assert_non_null(text);
    assert_int_equal(pread(fileno(process->log), text, size, 0), size);
    text[size] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        count += strstr(line, word) != NULL;
    free(text);
    return count;
}

struct httpprocess_usage httpprocess_usage(struct httppeer *peer)
{
    struct httpprocess_usage usage;

    assert_int_equal(httppeer_get(peer, "/usage"), 200);
    assert_int_equal(peer->body_length, sizeof usage);
    memcpy(&usage, peer->body, sizeof usage);
    return usage;
}

void httpprocess_pause(double seconds)
{
    poll(NULL, 0, (int)(seconds * 1000));
}

void httpprocess_wait_for_connections(struct httppeer *peer, int connections)
{
    double limit = httppeer_seconds() + PATIENCE;
    int left;

    while ((left = httpprocess_usage(peer).connections) != connections) {
        if (httppeer_seconds() > limit)
            fail_msg("%d connections instead of %d", left, connections);
        httpprocess_pause(0.002);
    }
}

void httpprocess_wait_for_waiting(struct httppeer *peer, int wanted)
{
    double limit = httppeer_seconds() + PATIENCE;
    int count;

    while ((count = httpprocess_usage(peer).waiting) != wanted) {
        if (httppeer_seconds() > limit)
            fail_msg("%d waiting requests instead of %d", count, wanted);
        httpprocess_pause(0.002);
    }
}

void httpprocess_expect_alive(const struct httpprocess *process)
{
    struct httppeer peer;

    assert_true(httppeer_connect(&peer, process->port));
    assert_int_equal(httppeer_get(&peer, "/"), 200);
    assert_string_equal(peer.body, "GET / 0");
    httppeer_close(&peer);
}
