/* futures_libuv COUNT: as futures_ioloop, of what libuv has of it: the work queue, on one thread. */
#include <uv.h>

#include "measure.h"

static long left;

static void work(uv_work_t *request)
{
    (void)request;
}

static void on_worked(uv_work_t *request, int status)
{
    (void)status;
    if (--left > 0)
        uv_queue_work(request->loop, request, work, on_worked);
    else
        uv_stop(request->loop);
}

static void measure(const char *name, long count, int chains)
{
    static uv_work_t requests[100];
    uv_loop_t *loop = uv_default_loop();

    left = count;
    for (int i = 0; i < chains; i++)
        uv_queue_work(loop, &requests[i], work, on_worked);
    double start = measure_time();
    uv_run(loop, UV_RUN_DEFAULT);
    printf("%s\t1000/s\t%.1f\n", name, (double)count / (measure_time() - start) / 1000);
    left = 0;
    uv_run(loop, UV_RUN_DEFAULT);
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    long count = argc == 2 ? atol(argv[1]) : 0;

    if (count < 1000) {
        fprintf(stderr, "usage: %s COUNT\n", argv[0]);
        return 2;
    }
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    measure("executor, one at a time", count / 10, 1);
    measure("executor, 100 at a time", count / 10, 100);
    return 0;
}
