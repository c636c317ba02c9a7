/* bench [-n COUNT] SCENARIO...: what an event loop costs without a network. Linked with one bench_<loop>.c.
 * One line a figure: its name, its unit and the value, with tabs between.
 *
 *   calls    COUNT (default 1,000,000) callbacks, each of which asks for the next: in 1 chain, in 100
 *   timers   started again COUNT times with a tenth of that standing; COUNT started, stopped in random order; fired
 *   touch    COUNT times something comes from one of 10,000 connections with a timeout
 *   wakeups  COUNT callbacks from another thread in a burst; some of them one at a time
 *   pipes    rings of N socket pairs: a byte that comes out of one goes into the next, W times, A bytes at once
 *   version  the name and version of the library
 *
 * Times are processor time where one thread runs, and real time where two do. */
#include "bench.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define STANDING_PART 10
#define CONNECTIONS   10000
#define STRIDE        7919 /* has no factor in common with CONNECTIONS */
#define ROUNDS        9

static int count = 1000000;
static int left;
static uint32_t seed = 12345;

static void say(const char *figure, const char *unit, double value)
{
    printf("%s\t%s\t%.3f\n", figure, unit, value);
    fflush(stdout);
}

static void *new_array(size_t number, size_t size)
{
    void *array = malloc(number * size);

    if (array == NULL)
        measure_fail("malloc");
    return memset(array, 0, number * size); /* touched: its pages are there before anything is measured */
}

/* Runs a part of a program as a callback of the loop: most loops treat calls from outside it in another way. */
static void run_inside(bench_fn *body, void *arg)
{
    void *task = new_array(1, bench_task_size);

    bench_task_init(task, body, arg);
    bench_call_soon(task);
    bench_run();
}

/* Callbacks. */

static void chain(void *task)
{
    left--;
    if (left > 0)
        bench_call_soon(task);
    else if (left == 0)
        bench_stop();
}

static void call_in_chains(int chains, const char *figure)
{
    char *tasks = new_array((size_t)chains, bench_task_size);
    double start;

    left = count;
    for (int i = 0; i < chains; i++)
        bench_task_init(tasks + (size_t)i * bench_task_size, chain, tasks + (size_t)i * bench_task_size);
    start = measure_cpu();
    for (int i = 0; i < chains; i++)
        bench_call_soon(tasks + (size_t)i * bench_task_size);
    bench_run();
    say(figure, "ns", (measure_cpu() - start) * 1e9 / count);
    bench_settle(); /* the ends of the other chains */
}

static void calls(void)
{
    call_in_chains(1, "call soon, 1 chain");
    call_in_chains(100, "call soon, 100 chains");
}

/* Timers. */

static void on_timer(void *arg)
{
    (void)arg;
    if (--left == 0)
        bench_stop();
}

static void shuffle(char **pointers)
{
    for (int i = count - 1; i > 0; i--) {
        uint32_t other = measure_random(&seed) % ((uint32_t)i + 1);
        char *pointer = pointers[i];
        pointers[i] = pointers[other];
        pointers[other] = pointer;
    }
}

static char *timer_array, **shuffled;

static void *timer_at(int i)
{
    return timer_array + (size_t)i * bench_timer_size;
}

/* As connections do with their timeouts. */
static void rearm(void *arg)
{
    int standing = count / STANDING_PART;

    for (int i = 0; i < standing; i++)
        bench_timer_start(timer_at(i), 60 + (double)i / standing);
    double start = measure_cpu();
    for (int i = 0; i < count; i++)
        bench_timer_again(timer_at((int)(measure_random(&seed) % (uint32_t)standing)), 60 + (double)i / standing);
    say("timer re-arm, a tenth standing", "ns", (measure_cpu() - start) * 1e9 / count);
    for (int i = 0; i < standing; i++)
        bench_timer_stop(timer_at(i));
    (void)arg;
    bench_stop();
}

static void insert_and_cancel(void *arg)
{
    double start = measure_cpu();

    for (int i = 0; i < count; i++)
        bench_timer_start(timer_at(i), 100 + measure_random(&seed) % 100000 / 1e3);
    say("timer insert", "ns", (measure_cpu() - start) * 1e9 / count);
    start = measure_cpu();
    for (int i = 0; i < count; i++)
        bench_timer_stop(shuffled[i]);
    say("timer cancel", "ns", (measure_cpu() - start) * 1e9 / count);
    (void)arg;
    bench_stop();
}

static void insert_soon(void *arg)
{
    for (int i = 0; i < count; i++)
        bench_timer_start(timer_at(i), measure_random(&seed) % 1000 / 2e3);
    (void)arg;
    bench_stop();
}

static void fire(void)
{
    left = count;
    run_inside(insert_soon, NULL);
    double start = measure_cpu();
    bench_run();
    say("timer fire", "ns", (measure_cpu() - start) * 1e9 / count);
}

static void timers(void)
{
    timer_array = new_array((size_t)count, bench_timer_size);
    shuffled = new_array((size_t)count, sizeof *shuffled);
    for (int i = 0; i < count; i++) {
        shuffled[i] = timer_at(i);
        bench_timer_init(shuffled[i], on_timer, NULL);
    }
    shuffle(shuffled);
    run_inside(rearm, NULL); /* first: what the others leave behind lies scattered in memory */
    run_inside(insert_and_cancel, NULL);
    fire();
}

static void touch_all(void *connections)
{
    uint32_t next = 0;
    double start;

    for (int i = 0; i < CONNECTIONS; i++)
        bench_idle_init((char *)connections + (size_t)i * bench_idle_size, 60);
    start = measure_cpu();
    for (int i = 0; i < count; i++) {
        bench_idle_touch((char *)connections + next * bench_idle_size, 60 + i * 1e-6);
        next = (next + STRIDE) % CONNECTIONS;
    }
    say("touch of an idle timeout", "ns", (measure_cpu() - start) * 1e9 / count);
    bench_stop();
}

static void touch(void)
{
    run_inside(touch_all, new_array(CONNECTIONS, bench_idle_size));
}

/* From another thread. */

static int answers[2];

static void on_post(void *arg)
{
    (void)arg;
    if (--left == 0)
        bench_stop();
}

struct poster {
    void (*post)(void);
    int posts, cpu;
    double start;
};

static void post(void)
{
    bench_post(on_post, NULL);
}

static void on_ping(void *arg)
{
    if (write(answers[1], "", 1) != 1)
        measure_fail("write");
    on_post(arg);
}

static void post_and_wait(void)
{
    char byte;

    bench_post(on_ping, NULL);
    if (read(answers[0], &byte, 1) != 1)
        measure_fail("read");
}

static void *run_poster(void *arg)
{
    struct poster *poster = arg;

    measure_on_cpu(poster->cpu);
    poster->start = measure_time();
    for (int i = 0; i < poster->posts; i++)
        poster->post();
    return NULL;
}

/* Answers posts a second. */
static double run_against(struct poster poster)
{
    pthread_t thread;

    left = poster.posts;
    if (pthread_create(&thread, NULL, run_poster, &poster) != 0)
        measure_fail("pthread_create");
    bench_run();
    double end = measure_time();
    pthread_join(thread, NULL);
    return poster.posts / (end - poster.start);
}

/* On two processors a ping is mostly the kernel's, and perhaps a host's, waking of a processor that sleeps. */
static void wakeups(void)
{
    if (pipe(answers) < 0)
        measure_fail("pipe");
    say("posts, a burst", "M/s", run_against((struct poster){ post, count, 1, 0 }) / 1e6);
    say("posts, ping-pong on one cpu", "k/s", run_against((struct poster){ post_and_wait, count / 20, 0, 0 }) / 1e3);
    say("posts, ping-pong on two cpus", "k/s", run_against((struct poster){ post_and_wait, count / 50, 1, 0 }) / 1e3);
}

/* Pipes. */

struct ring {
    int pipes, active, writes;
    int *in, *out;
    int written, passed;
};

static struct ring ring;

static void on_byte(void *arg)
{
    int *out = arg;
    char byte;

    if (read(*out, &byte, 1) != 1)
        return;
    if (ring.written < ring.writes) {
        int next = (int)(out - ring.out + 1) % ring.pipes;
        ring.written++;
        if (write(ring.in[next], &byte, 1) != 1)
            measure_fail("write");
    }
    if (++ring.passed == ring.active + ring.writes)
        bench_stop();
}

static double run_ring(void)
{
    ring.written = ring.passed = 0;
    for (int i = 0; i < ring.active; i++) {
        if (write(ring.in[i * (ring.pipes / ring.active)], "", 1) != 1)
            measure_fail("write");
    }
    double start = measure_cpu();
    bench_run();
    return (measure_cpu() - start) * 1e9 / (ring.active + ring.writes);
}

static int compare_doubles(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

static void open_ring(char *watches)
{
    for (int i = 0; i < ring.pipes; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
            measure_fail("socketpair");
        ring.out[i] = ends[0];
        ring.in[i] = ends[1];
        bench_watch(watches + (size_t)i * bench_watch_size, ends[0], on_byte, &ring.out[i]);
    }
    bench_settle();
}

static void close_ring(char *watches)
{
    for (int i = 0; i < ring.pipes; i++)
        bench_unwatch(watches + (size_t)i * bench_watch_size);
    bench_settle();
    for (int i = 0; i < ring.pipes; i++) {
        close(ring.out[i]);
        close(ring.in[i]);
    }
}

static void measure_ring(int number, int active, int writes)
{
    char figure[64], *watches = new_array((size_t)number, bench_watch_size);
    double rounds[ROUNDS];

    ring = (struct ring){ number, active, writes, NULL, NULL, 0, 0 };
    ring.in = new_array((size_t)number, sizeof *ring.in);
    ring.out = new_array((size_t)number, sizeof *ring.out);
    open_ring(watches);
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] = run_ring();
    close_ring(watches);
    qsort(rounds, ROUNDS, sizeof *rounds, compare_doubles);
    snprintf(figure, sizeof figure, "pipes %d/%d/%d", number, active, writes);
    say(figure, "ns/event", rounds[ROUNDS / 2]);
}

static void pipes(void)
{
    static const int rings[][3] = { { 100, 1, 1000 }, { 1000, 1, 1000 }, { 9000, 1, 1000 }, { 9000, 100, 10000 } };
    rlim_t files = measure_raise_files();

    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
        if (files < 2 * (rlim_t)rings[i][0] + 50)
            fprintf(stderr, "pipes: %d pairs are more than the limit of %ld descriptors\n", rings[i][0], (long)files);
        else
            measure_ring(rings[i][0], rings[i][1], rings[i][2]);
    }
}

static void version(void)
{
    puts(bench_version());
}

static int run_scenario(const char *name)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = { { "calls", calls },     { "timers", timers }, { "touch", touch },
                      { "wakeups", wakeups }, { "pipes", pipes },   { "version", version } };

    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(name, scenarios[i].name) == 0)
            return scenarios[i].run(), 0;
    }
    fprintf(stderr, "no such scenario: %s\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    int status = 0, option;

    while ((option = getopt(argc, argv, "n:")) != -1) {
        if (option != 'n' || (count = atoi(optarg)) < 1000) {
            fprintf(stderr, "usage: %s [-n COUNT, 1000 or more] SCENARIO...\n", argv[0]);
            return 2;
        }
    }
    measure_on_cpu(0);
    bench_open();
    for (int i = optind; i < argc && status == 0; i++)
        status = run_scenario(argv[i]);
    return status;
}
