/* load_echo [-c CONNECTIONS] [-s SIZE] [-n MESSAGES | -d SECONDS] [-p PID] PORT: sends to an echo server on 127.0.0.1,
 * over each connection one message after the answer to the last. -p: the server's process, to see what it costs.
 * load_echo -i [-c CONNECTIONS] -p PID PORT: how much larger the server is with connections that say nothing any more.
 *
 * One line a figure: its name, its unit and the value, with tabs between. Runs on the second processor, if there is
 * one. With -d the first fifth is not counted. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define EVENTS     512
#define BUFFER     (256 << 10)
#define STALL      5000 /* milliseconds without an answer */
#define BATCH      100
#define SETTLE     300000 /* microseconds */
#define FIRST_PART 0.2

/* Latencies, 64 classes for each power of two of nanoseconds. */
#define CLASSES 64
#define POWERS  40

struct connection {
    int fd;
    size_t sent, received;
    double start;
    bool waits; /* for room to send */
};

static int connections = 64;
static size_t size = 64;
static long messages;
static double duration;
static int server, port;
static bool idle;

static int queue;
static char *message, *buffer;
static long started, answered;
static uint64_t latencies[POWERS * CLASSES];

/* Figures. */

static void say(const char *figure, const char *unit, double value)
{
    printf("%s\t%s\t%.3f\n", figure, unit, value);
}

static void count_latency(double seconds)
{
    uint64_t rest = (uint64_t)(seconds * 1e9);
    int power = 0;

    for (; rest >= 2 * CLASSES; rest >>= 1)
        power++;
    latencies[power * CLASSES + (int)rest]++;
}

/* Microseconds that this part of the messages took at most. */
static double latency(double part)
{
    uint64_t rank = (uint64_t)((double)answered * part), before = 0;
    int i = 0;

    while (i < POWERS * CLASSES - 1 && (before += latencies[i]) <= rank)
        i++;
    int power = i < CLASSES ? 0 : i / CLASSES - 1;
    return (double)((uint64_t)(i - power * CLASSES) << power) / 1e3;
}

/* Seconds of processor time of all the server's threads. */
static double server_cpu(void)
{
    char path[320];
    double sum = 0;
    struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/task", server);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        measure_fail(path);
    while ((entry = readdir(tasks)) != NULL) {
        double nanoseconds = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", server, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        if (fscanf(file, "%lf", &nanoseconds) == 1)
            sum += nanoseconds / 1e9;
        fclose(file);
    }
    closedir(tasks);
    return sum;
}

/* Bytes of the server that are in memory. */
static double server_resident(void)
{
    char path[64];
    long total, resident;

    snprintf(path, sizeof path, "/proc/%d/statm", server);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%ld %ld", &total, &resident) != 2)
        measure_fail(path);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Connections. */

static int open_connection(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)port);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        measure_fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}

static void watch(struct connection *connection, int operation)
{
    struct epoll_event event = { .events = EPOLLIN | (connection->waits ? EPOLLOUT : 0), .data.ptr = connection };

    if (epoll_ctl(queue, operation, connection->fd, &event) < 0)
        measure_fail("epoll_ctl");
}

static void go_on_sending(struct connection *connection)
{
    bool waited = connection->waits;

    while (connection->sent < size) {
        ssize_t count =
            send(connection->fd, message + connection->sent, size - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN)
            measure_fail("send");
        if (count < 0)
            break;
        connection->sent += (size_t)count;
    }
    connection->waits = connection->sent < size;
    if (connection->waits != waited)
        watch(connection, EPOLL_CTL_MOD);
}

static void send_next(struct connection *connection)
{
    if (messages != 0 && started == messages)
        return;
    started++;
    connection->sent = connection->received = 0;
    connection->start = measure_time();
    go_on_sending(connection);
}

static void receive(struct connection *connection)
{
    ssize_t count = recv(connection->fd, buffer, BUFFER, MSG_DONTWAIT);

    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        measure_fail("the server has closed");
    connection->received += (size_t)count;
    if (connection->received < size)
        return;
    if (connection->received > size || memcmp(buffer, message + size - (size_t)count, (size_t)count) != 0) {
        fprintf(stderr, "this is no echo\n");
        exit(1);
    }
    count_latency(measure_time() - connection->start);
    answered++;
    send_next(connection);
}

static void run_until(double end)
{
    struct epoll_event events[EVENTS];

    while (messages != 0 ? answered < messages : measure_time() < end) {
        int count = epoll_wait(queue, events, EVENTS, STALL);

        if (count == 0) {
            fprintf(stderr, "no answer for %d ms\n", STALL);
            exit(1);
        }
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                go_on_sending(connection);
            if (events[i].events & ~(unsigned)EPOLLOUT)
                receive(connection);
        }
    }
}

static void run_busy(void)
{
    struct connection *all = calloc((size_t)connections, sizeof *all);

    queue = epoll_create1(EPOLL_CLOEXEC);
    if (queue < 0 || all == NULL)
        measure_fail("epoll_create1");
    for (int i = 0; i < connections; i++) {
        all[i].fd = open_connection();
        watch(&all[i], EPOLL_CTL_ADD);
    }
    for (int i = 0; i < connections; i++)
        send_next(&all[i]);
    if (messages == 0)
        run_until(measure_time() + duration * FIRST_PART);
    long before = answered;
    double cpu = server != 0 ? server_cpu() : 0, start = measure_time();
    memset(latencies, 0, sizeof latencies);
    run_until(start + duration * (1 - FIRST_PART));
    double end = measure_time();
    answered -= before;
    if (server != 0)
        say("server cpu", "us/message", (server_cpu() - cpu) * 1e6 / (double)answered);
    say("messages", "k/s", (double)answered / (end - start) / 1e3);
    say("p50", "us", latency(0.5));
    say("p99", "us", latency(0.99));
}

/* Connections that have been of use once. */
static void open_batch(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        fds[i] = open_connection();
        setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ STALL / 1000, 0 }, sizeof(struct timeval));
        if (send(fds[i], message, size, MSG_NOSIGNAL) != (ssize_t)size)
            measure_fail("send");
    }
    for (int i = 0; i < count; i++) {
        if (recv(fds[i], buffer, size, MSG_WAITALL) != (ssize_t)size)
            measure_fail("recv");
    }
}

static void run_idle(void)
{
    int *fds = malloc((size_t)connections * sizeof *fds);
    double before = server_resident();

    if (fds == NULL)
        measure_fail("malloc");
    if (measure_raise_files() < (rlim_t)connections + 50) {
        fprintf(stderr, "%d connections are more than the limit of descriptors\n", connections);
        exit(1);
    }
    for (int i = 0; i < connections; i += BATCH)
        open_batch(fds + i, connections - i < BATCH ? connections - i : BATCH);
    usleep(SETTLE);
    say("resident memory", "bytes", (server_resident() - before) / connections);
}

static bool parse_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "c:s:n:d:p:i")) != -1) {
        if (option == 'c')
            connections = atoi(optarg);
        else if (option == 's')
            size = strtoul(optarg, NULL, 10);
        else if (option == 'n')
            messages = atol(optarg);
        else if (option == 'd')
            duration = atof(optarg);
        else if (option == 'p')
            server = atoi(optarg);
        else if (option == 'i')
            idle = true;
        else
            return false;
    }
    port = optind < argc ? atoi(argv[optind]) : 0;
    return port > 0 && connections > 0 && size > 0 && (idle ? server != 0 : messages > 0 || duration > 0);
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: %s [-c CONNECTIONS] [-s SIZE] [-n MESSAGES | -d SECONDS | -i] [-p PID] PORT\n",
                argv[0]);
        return 2;
    }
    measure_on_cpu(1);
    message = malloc(size);
    buffer = malloc(size > BUFFER ? size : BUFFER);
    if (message == NULL || buffer == NULL)
        measure_fail("malloc");
    for (size_t i = 0; i < size; i++)
        message[i] = (char)(i % 251);
    if (idle)
        run_idle();
    else
        run_busy();
    return 0;
}
