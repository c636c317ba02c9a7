/* Internal: periodicgrid.h, when a periodic callback runs next (PeriodicCallback._update_next). Pure. */
#ifndef IOLOOP_PERIODICGRID_H
#define IOLOOP_PERIODICGRID_H

/* last is when it was to run last. From there on in steps of the period, to the first that lies after now: whole
 * periods that have gone by are skipped. When the clock was set back, exactly one period after last, so that nothing
 * runs twice. jitter makes the step period * (1 + jitter * (random - 0.5)). */
double periodicgrid_next(double last, double now, double period, double jitter, double random);

#endif
