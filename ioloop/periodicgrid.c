#include "ioloop/periodicgrid.h"

/* The largest whole number that is not above x, for x >= 0 below 2^63; libm is not needed for it. */
static double whole(double x)
{
    return x < 9e18 ? (double)(long long)x : x;
}

double periodicgrid_next(double last, double now, double period, double jitter, double random)
{
    double step = period;

    if (jitter > 0)
        step *= 1 + jitter * (random - 0.5);
    if (last <= now)
        return last + (whole((now - last) / step) + 1) * step;
    return last + step;
}
