/* iogen.h: functions that give up the thread until a future is done, and then go on, tornado.gen.
 *
 *     IOGEN_BEGIN(gen);
 *     IOGEN_YIELD(gen, ioqueue_get(my->queue, -1));
 *     if (gen->error == 0)
 *         iogen_set_result(gen, parse(gen->value), free);
 *     IOGEN_END(gen);
 *
 * This is the body of an iogen_fn, which is called anew whenever it goes on; a switch leads to where it was. Therefore
 * no local variable survives a yield (what has to is in the state), no yield stands inside another switch, and there
 * is one at most in a line. return ends it, anywhere. C++ lets no case label be jumped to over a local variable that is
 * initialised: there such a one stands in a block of its own without a yield, or a function of its own.
 *
 * Lifetime: as its future. It ends with its loop.
 * Callbacks: it starts in the next iteration and goes on in the one after the future is done, also when that is done
 *     already: so others have their turn, and the stack does not grow.
 * Cancelling: iofuture_cancel of its future also cancels the one that it waits for. It goes on once more, with
 * -ECANCELED, to tidy up (value is what had come, if anything); the next yield ends it. So too when the loop closes.
 * One that has not started does not start. Errors: a yield of NULL goes on with errno, so constructors of futures need
 * no check of their own. */
#ifndef IOLOOP_IOGEN_H
#define IOLOOP_IOGEN_H

#include <stddef.h>

#include "ioloop/iofuture.h"

IOAPI_BEGIN

struct iogen {
    int error;   /* what came of the last yield: 0, or a negative errno value */
    void *value; /* the result, lent until the next yield */
    int line;    /* for the macros: where it goes on */
};

typedef void iogen_fn(struct iogen *gen, void *state);

/* state: so many bytes, copied; that copy is what the function is given each time. NULL: all 0. Answers the future of
 * the function's end; its value is NULL unless the function sets another. NULL with errno. */
struct iofuture *iogen_start(struct ioloop *loop, iogen_fn *function, const void *state, size_t size);

struct ioloop *iogen_loop(const struct iogen *gen);

/* value, from now on yours (iofuture_take_result). */
void *iogen_take_value(struct iogen *gen);

/* As those of iofuture.h, on the future that iogen_start has answered. The function may go on after it. */
int iogen_set_result(struct iogen *gen, void *value, iofuture_free_fn *free_value);
int iogen_set_error(struct iogen *gen, int error);

#define IOGEN_BEGIN(gen)                                                                                               \
    switch ((gen)->line) {                                                                                             \
    case 0:

#define IOGEN_END(gen) }

#define IOGEN_YIELD(gen, future)                                                                                       \
    do {                                                                                                               \
        iogen_wait((gen), (future), __LINE__);                                                                         \
        return;                                                                                                        \
    case __LINE__:;                                                                                                    \
    } while (0)

/* An error ends it, and is its own (what an exception would do). */
#define IOGEN_TRY(gen, future)                                                                                         \
    do {                                                                                                               \
        IOGEN_YIELD(gen, future);                                                                                      \
        if ((gen)->error < 0) {                                                                                        \
            iogen_set_error((gen), (gen)->error);                                                                      \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* For the macros. */
void iogen_wait(struct iogen *gen, struct iofuture *future, int line);

IOAPI_END
#endif
