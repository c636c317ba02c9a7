/* producer_consumer: five numbers go through a queue, from one chain of callbacks to another.
 *
 *     putting 0 ... putting 4, and got: 0 ... got: 4, each after its put */
#include <stdint.h>
#include <stdio.h>

#include <ioloop/ioqueue.h>

#define NUMBERS 5

struct side {
    struct ioqueue *queue;
    struct iofuture *finished; /* what main waits for */
    intptr_t next;
};

static void fail(struct side *side, int error)
{
    iofuture_set_error(side->finished, error);
}

/* A future that could not be made says so in here. */
static void when_done(struct side *side, struct iofuture *future, iofuture_fn *callback)
{
    int error = iofuture_add_callback(future, callback, side);

    if (error < 0)
        fail(side, error);
}

static void produce(struct side *side);

static void on_put(struct iofuture *future, void *arg)
{
    struct side *side = arg;

    if (iofuture_error(future) < 0)
        fail(side, iofuture_error(future));
    else if (++side->next < NUMBERS)
        produce(side);
    else
        iofuture_set_result(side->finished, NULL, NULL);
}

static void produce(struct side *side)
{
    printf("putting %d\n", (int)side->next);
    when_done(side, ioqueue_put(side->queue, (void *)side->next, -1), on_put);
}

static void consume(struct side *side);

static void on_get(struct iofuture *future, void *arg)
{
    struct side *side = arg;

    if (iofuture_error(future) < 0) {
        fail(side, iofuture_error(future));
        return;
    }
    printf("got: %d\n", (int)(intptr_t)iofuture_result(future));
    if (++side->next < NUMBERS)
        consume(side);
    else
        iofuture_set_result(side->finished, NULL, NULL);
}

static void consume(struct side *side)
{
    when_done(side, ioqueue_get(side->queue, -1), on_get);
}

/* Both at once; done when both are. */
static struct iofuture *run(void *arg)
{
    struct side *sides = arg;
    struct ioloop *loop = ioloop_current();
    struct iofuture *finished[2] = { iofuture_new(loop), iofuture_new(loop) };

    if (finished[0] == NULL || finished[1] == NULL)
        return NULL;
    sides[0].finished = finished[0];
    sides[1].finished = finished[1];
    produce(&sides[0]);
    consume(&sides[1]);
    return iofuture_multi(loop, finished, 2);
}

int main(void)
{
    struct ioloop *loop = ioloop_current();
    struct ioqueue *queue = loop != NULL ? ioqueue_new(loop, NUMBERS) : NULL;
    struct side sides[2] = { { .queue = queue }, { .queue = queue } };

    if (queue == NULL)
        return perror("producer_consumer"), 1;
    int error = iofuture_run_sync(loop, run, sides, -1, NULL);
    if (error < 0)
        fprintf(stderr, "producer_consumer: %s\n", ioloop_strerror(error));
    ioloop_close(loop, false);
    return error < 0;
}
