/* periodiccallback.h: a callback again and again, tornado.ioloop.PeriodicCallback.
 *
 *     struct periodiccallback *tick = periodiccallback_new(loop, 0.5, on_tick, NULL);
 *     periodiccallback_start(tick);
 *
 * The first call comes one period after start, the others on the grid start + k * period: a call that overruns makes
 * the loop skip whole periods, not run late ones.
 *
 * Lifetime: periodiccallback_close, also from its own callback; or ioloop_close.
 * Units: seconds (Tornado: milliseconds). */
#ifndef IOLOOP_PERIODICCALLBACK_H
#define IOLOOP_PERIODICCALLBACK_H

#include <stdbool.h>

#include "ioloop/iofuture.h"
#include "ioloop/ioloop.h"

IOAPI_BEGIN

struct periodiccallback;

/* NULL with errno: EINVAL seconds is not above 0 (or not finite), EBADF the loop closes, ENOMEM. */
struct periodiccallback *periodiccallback_new(struct ioloop *loop, double seconds, ioloop_callback_fn *callback,
                                              void *arg);
void periodiccallback_close(struct periodiccallback *periodic);

/* The same for a callback that has not finished when it returns: until the future that it answers is done no other call
 * is begun, and whole periods are skipped. NULL: it has finished. An error of the future is logged. */
typedef struct iofuture *periodiccallback_future_fn(void *arg);
struct periodiccallback *periodiccallback_new_future(struct ioloop *loop, double seconds,
                                                     periodiccallback_future_fn *callback, void *arg);

/* Each period becomes seconds * (1 + jitter * (r - 0.5)), r random in [0, 1). 0: none. -EINVAL outside 0 to 1. */
int periodiccallback_set_jitter(struct periodiccallback *periodic, double jitter);

/* Starting what runs is fine and changes nothing; stopping what does not run, too. -EBADF: it is closed; -ENOMEM. */
int periodiccallback_start(struct periodiccallback *periodic) IOAPI_MUST_USE;
void periodiccallback_stop(struct periodiccallback *periodic);
bool periodiccallback_is_running(const struct periodiccallback *periodic);

IOAPI_END
#endif
