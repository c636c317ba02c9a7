#include "ioloop/connector.h"

#include <errno.h>

#include "ioloop/ioalloc.h"

/* Life. */

/* Moves the addresses of the first one's family to the front. */
static void split_by_family(struct connector *connector, const struct resolver_address *addresses, size_t count)
{
    size_t placed = 0;

    for (int side = 0; side < 2; side++) {
        connector->sides[side].next = placed;
        for (size_t i = 0; i < count; i++) {
            bool is_other = addresses[i].address.ss_family != addresses[0].address.ss_family;
            if (is_other == (side == 1))
                connector->addresses[placed++] = addresses[i];
        }
        connector->sides[side].end = placed;
    }
}

int connector_init(struct connector *connector, struct ioloop *loop, const struct connector_functions *functions,
                   const struct resolver_address *addresses, size_t count)
{
    *connector = (struct connector){ .loop = loop, .functions = functions, .last_error = -ENXIO };
    if (count == 0)
        return 0;
    connector->addresses = ioalloc_array_resize(NULL, count, sizeof *addresses);
    if (connector->addresses == NULL)
        return -ENOMEM;
    split_by_family(connector, addresses, count);
    return 0;
}

void connector_free(struct connector *connector)
{
    if (connector->delay != 0)
        ioloop_remove_timeout(connector->loop, connector->delay);
    if (connector->deadline != 0)
        ioloop_remove_timeout(connector->loop, connector->deadline);
    ioalloc_free(connector->addresses);
}

static void finish_connector(struct connector *connector, int error, int winner)
{
    connector->over = true;
    for (int side = 0; side < 2; side++) {
        if (connector->sides[side].trying && !(error == 0 && side == winner))
            connector->functions->abandon(connector, side);
        connector->sides[side].trying = false;
    }
    connector->functions->done(connector, error, winner);
}

void connector_stop(struct connector *connector, int error)
{
    if (!connector->over)
        finish_connector(connector, error, -1);
}

/* Trying. */

/* Starts the next attempt of a side. Answers whether one failed at once. */
static bool try_next(struct connector *connector, int number)
{
    struct connector_side *side = &connector->sides[number];
    bool failed = false;

    while (!connector->over && !side->trying && side->next < side->end) {
        side->trying = true;
        int error = connector->functions->attempt(connector, number, &connector->addresses[side->next++]);
        if (error == 0 || connector->over)
            break;
        side->trying = false;
        connector->last_error = error;
        failed = true;
    }
    return failed;
}

static void finish_if_exhausted(struct connector *connector)
{
    const struct connector_side *sides = connector->sides;

    if (!connector->over && !sides[0].trying && !sides[1].trying && sides[0].next == sides[0].end &&
        sides[1].next == sides[1].end)
        finish_connector(connector, connector->last_error, -1);
}

/* A first list that has come to its end waits for nothing but the second. */
static void go_on_with_side(struct connector *connector, int side, bool failed)
{
    failed = try_next(connector, side) || failed;
    if (failed)
        try_next(connector, 1); /* nothing new if it is under way */
    finish_if_exhausted(connector);
}

void connector_tell(struct connector *connector, int side, int error)
{
    if (connector->over || !connector->sides[side].trying)
        return;
    if (error == 0) {
        finish_connector(connector, 0, side);
        return;
    }
    connector->sides[side].trying = false;
    connector->last_error = error;
    go_on_with_side(connector, side, true);
}

static void on_delay(void *arg)
{
    go_on_with_side(arg, 1, false);
}

static void on_deadline(void *arg)
{
    connector_stop(arg, -ETIMEDOUT);
}

/* What is connected at once, as it is within one machine, needs neither of the timeouts. Without memory for the delay
 * the second list waits for the first failure; without a deadline nothing goes on: it might never end. */
void connector_start(struct connector *connector, double delay, double deadline)
{
    const struct connector_side *second = &connector->sides[1];

    go_on_with_side(connector, 0, false);
    if (connector->over)
        return;
    connector->deadline = ioloop_call_at(connector->loop, deadline, on_deadline, connector);
    if (connector->deadline == 0)
        connector_stop(connector, -errno);
    else if (!second->trying && second->next < second->end)
        connector->delay = ioloop_call_later(connector->loop, delay, on_delay, connector);
}
