#include "ioloop/iogen.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "ioloop/iofuturelayer.h"

/* The runner: the future that iogen_start answers is its beginning, and held by it until the function has ended. */
struct generator {
    struct iofuture future;
    struct iogen gen;
    struct looptask task; /* goes on without a future to wait for */
    struct iofuture_link link;
    struct iofuture *awaited; /* held until the next yield. NULL: none */
    int failed;               /* why there is none */
    iogen_fn *function;
    bool waits;   /* it has yielded, and not gone on yet */
    bool is_last; /* it has been told that it is to end */
    max_align_t state[];
};

static struct generator *generator_of(const struct iogen *gen)
{
    return (struct generator *)((char *)(uintptr_t)gen - offsetof(struct generator, gen));
}

static void release_awaited(struct generator *generator)
{
    iofuturelayer_remove(&generator->link);
    if (generator->awaited != NULL)
        iofuture_release(generator->awaited);
    generator->awaited = NULL;
}

static void end_generator(struct generator *generator)
{
    looptask_remove(generator->future.loop, &generator->task);
    release_awaited(generator);
    if (generator->future.owed)
        iofuture_set_result(&generator->future, NULL, NULL);
    iofuture_release(&generator->future);
}

static void interrupt_generator(struct iofuture *future)
{
    struct generator *generator = (struct generator *)future;

    if (generator->awaited != NULL) /* while the function runs this is the last one, which is done */
        iofuture_cancel(generator->awaited);
}

static const struct iofuture_kind generator_kind = { .cancel = interrupt_generator };

static bool has_to_end(const struct generator *generator)
{
    return generator->future.cancelled || loopmember_check(generator->future.loop) < 0;
}

static void run_function(struct generator *generator)
{
    generator->waits = false;
    generator->function(&generator->gen, generator->state);
    if (!generator->waits || generator->is_last)
        end_generator(generator);
    else if (generator->future.cancelled)
        interrupt_generator(&generator->future); /* by its own function */
}

static void resume_generator(struct generator *generator)
{
    struct iofuture *awaited = generator->awaited;

    generator->gen.error = awaited != NULL ? iofuture_error(awaited) : generator->failed;
    generator->gen.value = awaited != NULL ? awaited->value : NULL;
    if (has_to_end(generator)) {
        generator->is_last = true;
        generator->gen.error = -ECANCELED;
    }
    if (generator->is_last && generator->gen.line == 0)
        end_generator(generator);
    else
        run_function(generator);
}

static void resume_after_future(struct iofuture *future, void *arg)
{
    resume_generator(arg);
}

static void resume_with_task(struct looptask *task)
{
    resume_generator((struct generator *)((char *)task - offsetof(struct generator, task)));
}

struct iofuture *iogen_start(struct ioloop *loop, iogen_fn *function, const void *state, size_t size)
{
    if (size > SIZE_MAX / 2)
        return errno = ENOMEM, NULL;
    struct generator *generator = iofuturelayer_new(loop, sizeof *generator + size, &generator_kind);
    if (generator == NULL)
        return NULL;
    generator->function = function;
    generator->task.run = resume_with_task;
    if (state != NULL)
        memcpy(generator->state, state, size);
    iofuture_hold(&generator->future);
    looptask_add_first(loop, &generator->task);
    return &generator->future;
}

/* The new one is held before the last is released: it may live on that. */
void iogen_wait(struct iogen *gen, struct iofuture *future, int line)
{
    struct generator *generator = generator_of(gen);
    int error = future != NULL || errno == 0 ? EINVAL : errno;
    bool can_wait = future != NULL && future->loop == generator->future.loop;

    gen->line = line;
    generator->waits = true;
    if (can_wait)
        iofuture_hold(future);
    release_awaited(generator);
    if (can_wait) {
        generator->awaited = future;
        iofuturelayer_add(future, &generator->link, resume_after_future, generator);
    } else {
        generator->failed = -error;
        looptask_add_first(generator->future.loop, &generator->task);
    }
}

struct ioloop *iogen_loop(const struct iogen *gen)
{
    return generator_of(gen)->future.loop;
}

void *iogen_take_value(struct iogen *gen)
{
    struct iofuture *awaited = generator_of(gen)->awaited;

    return awaited != NULL ? iofuture_take_result(awaited) : NULL;
}

int iogen_set_result(struct iogen *gen, void *value, iofuture_free_fn *free_value)
{
    return iofuture_set_result(&generator_of(gen)->future, value, free_value);
}

int iogen_set_error(struct iogen *gen, int error)
{
    return iofuture_set_error(&generator_of(gen)->future, error);
}
