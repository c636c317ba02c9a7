/* See load.h. */
#include "load.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define EVENTS     512
#define BUFFER     (256 << 10)
#define STALL      5    /* seconds without an answer */
#define PAUSE      5000 /* microseconds, until a server is asked again whether it listens */
#define BATCH      100
#define SETTLE     300000 /* microseconds */
#define FIRST_PART 0.2

/* Latencies, 64 classes for each power of two of nanoseconds. */
#define CLASSES 64
#define POWERS  40

struct connection {
    int fd;
    size_t sent, received; /* received: bytes, or answers, where they are counted */
    double start;
    bool waits; /* for room to send */
    struct load_position position;
};

static const struct load *load;
static int queue, at_once;
static struct connection *connections;
static int finished; /* of a broadcast: connections that have it */
static char buffer[BUFFER];
static long started, answered;
static uint64_t latencies[POWERS * CLASSES], latency_count;

/* Figures. */

static void say(const char *figure, const char *unit, double value)
{
    printf("%s\t%s\t%.6g\n", figure, unit, value);
}

static void count_latency(double seconds)
{
    uint64_t rest = (uint64_t)(seconds * 1e9);
    int power = 0;

    for (; rest >= 2 * CLASSES; rest >>= 1)
        power++;
    latencies[power * CLASSES + (int)rest]++;
    latency_count++;
}

/* Microseconds that this part of the messages took at most. */
static double latency(double part)
{
    uint64_t rank = (uint64_t)((double)latency_count * part), before = 0;
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

    snprintf(path, sizeof path, "/proc/%d/task", load->server);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        measure_fail(path);
    while ((entry = readdir(tasks)) != NULL) {
        double nanoseconds = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", load->server, entry->d_name);
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

    snprintf(path, sizeof path, "/proc/%d/statm", load->server);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%ld %ld", &total, &resident) != 2)
        measure_fail(path);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Connections. */

void load_fail(const char *why)
{
    fprintf(stderr, "%s, after %ld %ss\n", why, answered, load != NULL ? load->noun : "message");
    exit(1);
}

int load_connect(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval stall = { STALL, 0 };
    double end = measure_time() + STALL;
    int fd = -1;

    address.sin_port = htons((uint16_t)port);
    while (fd < 0) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            break;
        if (fd < 0 || errno != ECONNREFUSED || measure_time() > end)
            measure_fail("connect");
        close(fd);
        fd = -1;
        usleep(PAUSE);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    return fd;
}

static void watch(struct connection *connection, int operation)
{
    struct epoll_event event = { .events = EPOLLIN | (connection->waits ? EPOLLOUT : 0), .data.ptr = connection };

    if (epoll_ctl(queue, operation, connection->fd, &event) < 0)
        measure_fail("epoll_ctl");
}

static void open_connection(struct connection *connection)
{
    *connection = (struct connection){ .fd = load_connect(load->port) };
    if (load->greet != NULL)
        load->greet(connection->fd);
    watch(connection, EPOLL_CTL_ADD);
}

static void go_on_sending(struct connection *connection)
{
    bool waited = connection->waits;

    while (connection->sent < load->size) {
        ssize_t count = send(connection->fd, load->bytes + connection->sent, load->size - connection->sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN)
            measure_fail("send");
        if (count < 0)
            break;
        connection->sent += (size_t)count;
    }
    connection->waits = connection->sent < load->size;
    if (connection->waits != waited)
        watch(connection, EPOLL_CTL_MOD);
}

static void send_next(struct connection *connection)
{
    if (load->messages != 0 && started >= load->messages)
        return;
    if (load->pause > 0)
        usleep((useconds_t)(load->pause * 1e6));
    double start = measure_time();
    started += at_once;
    if (connection->fd < 0)
        open_connection(connection);
    connection->start = start;
    connection->sent = connection->received = 0;
    go_on_sending(connection);
}

/* This one has got what the first has sent. */
static void finish_broadcast(struct connection *connection)
{
    connection->received = 0;
    if (++finished < load->connections)
        return;
    finished = 0;
    count_latency(measure_time() - connections->start);
    answered += at_once;
    send_next(connections);
}

static void finish(struct connection *connection)
{
    if (load->broadcasts) {
        finish_broadcast(connection);
        return;
    }
    count_latency(measure_time() - connection->start);
    answered += at_once;
    if (load->closes) {
        close(connection->fd);
        connection->fd = -1;
    }
    send_next(connection);
}

/* Of the answers: as many bytes, or as many of them where they are counted. */
static size_t wanted_of_answers(void)
{
    return load->count_answers != NULL ? (size_t)at_once : load->answer;
}

/* What has come is looked at; how much of the answers it was. */
static size_t take(struct connection *connection, size_t count)
{
    size_t left = wanted_of_answers() - connection->received;

    if (load->count_answers != NULL) {
        int answers = load->count_answers(&connection->position, buffer, count);
        if (answers < 0 || (size_t)answers > left)
            load_fail("this is not the answer");
        return (size_t)answers;
    }
    if (count > left || !load->is_answer(buffer, count, connection->received))
        load_fail("this is not the answer");
    return count;
}

static void receive(struct connection *connection)
{
    ssize_t count = recv(connection->fd, buffer, BUFFER, MSG_DONTWAIT);

    if (count < 0 && errno == EAGAIN)
        return;
    if (count == 0 && load->closes && connection->received == wanted_of_answers()) {
        finish(connection);
        return;
    }
    if (count <= 0)
        load_fail("the server has closed");
    connection->received += take(connection, (size_t)count);
    if (connection->received == wanted_of_answers() && !load->closes)
        finish(connection);
}

static void run_until(double end)
{
    struct epoll_event events[EVENTS];

    while (load->messages != 0 ? answered < load->messages : measure_time() < end) {
        int count = epoll_wait(queue, events, EVENTS, STALL * 1000);

        if (count == 0)
            load_fail("no answer for seconds");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                go_on_sending(connection);
            if (events[i].events & ~(unsigned)EPOLLOUT)
                receive(connection);
        }
    }
}

static void report(long before, double cpu, double seconds)
{
    char name[64];
    double count = (double)(answered - before);

    if (answered == before)
        load_fail("no answer in all the time");
    if (load->server != 0) {
        snprintf(name, sizeof name, "us/%s", load->noun);
        say("server cpu", name, (server_cpu() - cpu) * 1e6 / count);
    }
    snprintf(name, sizeof name, "%ss", load->noun);
    say(name, "k/s", count / seconds / 1e3);
    say("p50", "us", latency(0.5));
    say("p99", "us", latency(0.99));
}

static void run_messages(void)
{
    connections = calloc((size_t)load->connections, sizeof *connections);
    at_once = load->at_once > 0 ? load->at_once : 1;
    queue = epoll_create1(EPOLL_CLOEXEC);
    if (queue < 0 || connections == NULL)
        measure_fail("epoll_create1");
    for (int i = 0; i < load->connections; i++)
        open_connection(&connections[i]);
    for (int i = 0; i < (load->broadcasts ? 1 : load->connections); i++)
        send_next(&connections[i]);
    if (load->messages == 0)
        run_until(measure_time() + load->duration * FIRST_PART);
    long before = answered;
    double cpu = load->server != 0 ? server_cpu() : 0, start = measure_time();
    memset(latencies, 0, sizeof latencies);
    latency_count = 0;
    run_until(start + load->duration * (1 - FIRST_PART));
    report(before, cpu, measure_time() - start);
}

static void open_batch(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        fds[i] = load_connect(load->port);
        setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
        if (load->greet != NULL)
            load->greet(fds[i]);
        if (send(fds[i], load->bytes, load->size, MSG_NOSIGNAL) != (ssize_t)load->size)
            measure_fail("send");
    }
    for (int i = 0; i < count; i++) {
        if (load->answer > BUFFER || recv(fds[i], buffer, load->answer, MSG_WAITALL) != (ssize_t)load->answer ||
            !load->is_answer(buffer, load->answer, 0))
            load_fail("this is not the answer");
        answered++;
    }
}

static void run_idle(void)
{
    int *fds = malloc((size_t)load->connections * sizeof *fds);
    double before = server_resident();

    if (fds == NULL)
        measure_fail("malloc");
    if (measure_raise_files() < (rlim_t)load->connections + 50)
        load_fail("that is more than the limit of descriptors");
    for (int i = 0; i < load->connections; i += BATCH)
        open_batch(fds + i, load->connections - i < BATCH ? load->connections - i : BATCH);
    usleep(SETTLE);
    say("resident memory", "bytes", (server_resident() - before) / load->connections);
}

bool load_take_option(struct load *wanted, int option, const char *value)
{
    if (option == 'c')
        wanted->connections = atoi(value);
    else if (option == 'n')
        wanted->messages = atol(value);
    else if (option == 'd')
        wanted->duration = atof(value);
    else if (option == 'p')
        wanted->server = atoi(value);
    else if (option == 'i')
        wanted->idle = true;
    return option != '?' && strchr(LOAD_OPTIONS, option) != NULL;
}

bool load_is_complete(const struct load *wanted)
{
    if (wanted->port <= 0 || wanted->connections <= 0)
        return false;
    return wanted->idle ? wanted->server != 0 : wanted->messages > 0 || wanted->duration > 0;
}

void load_run(const struct load *wanted)
{
    load = wanted;
    if (load->idle)
        run_idle();
    else
        run_messages();
}
