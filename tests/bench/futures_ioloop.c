/* futures_ioloop COUNT: how many futures, items of a queue and jobs of an executor this library gets through, as lines
 * "figure unit value" with tabs between. */
#include <errno.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/iofuture.h"
#include "ioloop/iogen.h"
#include "ioloop/ioqueue.h"
#include "measure.h"

static struct ioloop *loop;
static struct ioqueue *queue;
static struct ioexecutor *executor;
static long left;

static void check(int result)
{
    if (result < 0 && result != -EBADF) /* the loop is closing */
        abort();
}

/* One more, unless they are enough. */
static int has_more(void)
{
    if (--left == 0)
        ioloop_stop(loop);
    return left > 0;
}

/* Futures: made, waited for, set, told. */

static void on_done(struct iofuture *future, void *arg);

static void make_future(void)
{
    struct iofuture *future = iofuture_new(loop);

    check(iofuture_add_callback(future, on_done, NULL));
    if (future != NULL)
        check(iofuture_set_result(future, NULL, NULL));
}

static void on_done(struct iofuture *future, void *arg)
{
    (void)arg;
    if (iofuture_error(future) == 0 && has_more())
        make_future();
}

static void begin_futures(int chains)
{
    while (chains-- > 0)
        make_future();
}

/* A queue, between two generators. */

static void put_items(struct iogen *gen, void *state)
{
    (void)state;
    IOGEN_BEGIN(gen);
    for (;;)
        IOGEN_TRY(gen, ioqueue_put(queue, queue, -1));
    IOGEN_END(gen);
}

static void get_items(struct iogen *gen, void *state)
{
    (void)state;
    IOGEN_BEGIN(gen);
    do
        IOGEN_TRY(gen, ioqueue_get(queue, -1));
    while (has_more());
    IOGEN_END(gen);
}

static void begin_queue(int chains)
{
    queue = ioqueue_new(loop, 100);
    while (chains-- > 0) {
        if (iogen_start(loop, put_items, NULL, 0) == NULL || iogen_start(loop, get_items, NULL, 0) == NULL)
            abort();
    }
}

/* An executor of one thread. */

static void work(void *arg)
{
    (void)arg;
}

static void on_worked(int error, void *arg)
{
    (void)arg;
    if (error == 0 && has_more() && ioexecutor_submit(executor, loop, work, on_worked, NULL) == 0)
        abort();
}

static void begin_jobs(int chains)
{
    executor = ioexecutor_new(1, chains);
    while (chains-- > 0) {
        if (ioexecutor_submit(executor, loop, work, on_worked, NULL) == 0)
            abort();
    }
}

static void measure(const char *name, long count, void (*begin)(int chains), int chains)
{
    loop = ioloop_new(NULL);
    if (loop == NULL)
        abort();
    left = count;
    begin(chains);
    double start = measure_time();
    check(ioloop_start(loop));
    printf("%s\t1000/s\t%.1f\n", name, (double)count / (measure_time() - start) / 1000);
    left = 0;
    ioloop_close(loop, false);
}

int main(int argc, char **argv)
{
    long count = argc == 2 ? atol(argv[1]) : 0;

    if (count < 1000) {
        fprintf(stderr, "usage: %s COUNT\n", argv[0]);
        return 2;
    }
    measure("future, one at a time", count, begin_futures, 1);
    measure("future, 100 at a time", count, begin_futures, 100);
    measure("queue, one pair", count, begin_queue, 1);
    measure("queue, 100 pairs", count, begin_queue, 100);
    measure("executor, one at a time", count / 10, begin_jobs, 1);
    ioexecutor_close(executor, true);
    measure("executor, 100 at a time", count / 10, begin_jobs, 100);
    ioexecutor_close(executor, true);
    return 0;
}
