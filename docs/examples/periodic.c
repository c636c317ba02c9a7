/* periodic: a callback, a timeout, and a periodic callback whose work takes longer than its period: while that goes on
 * no other run of it is begun, and whole periods are skipped.
 *
 *     periodic [--period=S] [--work=S] [--runs=N]                      0.1, 0.25 and 3
 *
 *     It prints "callback", "later", and for each run "period N: begun" and "period N: done". */
#include <stdio.h>

#include <ioloop/iofuture.h>
#include <ioloop/iooptions.h>
#include <ioloop/ioloop.h>
#include <ioloop/periodiccallback.h>

static double period = 0.1, work = 0.25;
static int runs = 3;

static struct ioloop *loop;
static struct periodiccallback *periodic;
static double start;
static int in_period; /* the run that was begun last */

static void say(void *text)
{
    puts(text);
}

static void end_run(struct iofuture *future, void *arg)
{
    printf("period %d: done\n", in_period);
    if (--runs > 0)
        return;
    periodiccallback_close(periodic);
    ioloop_stop(loop);
}

/* The future that it answers says when the run is over. */
static struct iofuture *begin_run(void *arg)
{
    struct iofuture *future = iofuture_sleep(loop, work); /* stands for what takes its time */

    if (future == NULL || iofuture_add_callback(future, end_run, NULL) < 0)
        return NULL;
    in_period = (int)((ioloop_time(loop) - start) / period + 0.01); /* it never comes early */
    printf("period %d: begun\n", in_period);
    return future;
}

static void begin(void *arg)
{
    say(arg);
    start = ioloop_time(loop);
    int error = periodiccallback_start(periodic);
    if (error < 0)
        ioloop_callback_failed(loop, error);
}

int main(int argc, char **argv)
{
    static const struct iooption options[] = {
        { .name = "period", .duration = &period, .minimum = 0.001, .maximum = 3600, .help = "from run to run" },
        { .name = "work", .duration = &work, .help = "how long a run takes" },
        { .name = "runs", .integer = &runs, .minimum = 1, .maximum = 1000, .help = "how many" },
        { 0 },
    };
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    loop = ioloop_current();
    periodic = loop != NULL ? periodiccallback_new_future(loop, period, begin_run, NULL) : NULL;
    if (periodic == NULL || ioloop_call_later(loop, 0.05, begin, "later") == 0)
        return perror("periodic"), 1;
    int error = ioloop_add_callback(loop, say, "callback");
    if (error == 0)
        error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "periodic: %s\n", ioloop_strerror(error));
    return error < 0;
}
