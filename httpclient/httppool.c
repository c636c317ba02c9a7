#include "httpclient/httppool.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "httpclient/httpfetch.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopfront.h"
#include "ioloop/tcpclient.h"

#define FIRST_CHAINS 16

/* Life. */

int httppool_init(struct httppool *pool, struct httpclient *client)
{
    *pool = (struct httppool){ .client = client, .chain_count = FIRST_CHAINS };
    httppool_ring_clear(&pool->connections);
    httppool_ring_clear(&pool->kept);
    httppool_ring_clear(&pool->queue);
    httppool_ring_clear(&pool->starved);
    int error = kernel_random(&pool->secret, sizeof pool->secret);
    if (error < 0)
        return error;
    pool->chains = ioalloc_zeroed(FIRST_CHAINS * sizeof(struct httppool_origin *));
    return pool->chains != NULL ? 0 : -ENOMEM;
}

void httppool_free(struct httppool *pool)
{
    ioalloc_free(pool->chains);
}

/* Connections. */

struct httppool_connection *httppool_add(struct httppool *pool, struct httpfetch *fetch)
{
    struct httppool_connection *connection = ioalloc_zeroed(sizeof *connection);

    if (connection == NULL)
        return NULL;
    connection->client = pool->client;
    connection->origin = fetch->origin;
    connection->fetch = fetch;
    connection->watched = HTTPFETCH_NEVER;
    httppool_ring_clear(&connection->kept);
    httppool_ring_clear(&connection->of_origin);
    httppool_ring_add(&pool->connections, &connection->all);
    fetch->connection = connection;
    fetch->origin->users++;
    fetch->origin->connections++;
    pool->connection_count++;
    return connection;
}

static void leave_kept(struct httppool_connection *connection)
{
    if (!connection->is_kept)
        return;
    connection->is_kept = false;
    httppool_ring_remove(&connection->kept);
    httppool_ring_remove(&connection->of_origin);
    connection->client->pool.kept_count--;
}

static void serve_waiting(struct httppool *pool, struct httppool_origin *origin);

/* It does not count any more. What was to be told of it is told later. */
static void drop_connection(struct httppool_connection *connection)
{
    if (connection->is_dropped)
        return;
    connection->is_dropped = true;
    leave_kept(connection);
    connection->origin->connections--;
    connection->client->pool.connection_count--;
    if (connection->fetch != NULL)
        connection->fetch->connection = NULL;
    connection->fetch = NULL;
    deadline_clear(&connection->deadline);
    if (connection->stream != NULL)
        iostream_close(connection->stream);
    else if (connection->connecting != 0)
        tcpclient_cancel(connection->client->loop, connection->connecting);
}

void httppool_drop(struct httppool_connection *connection)
{
    struct httppool *pool = &connection->client->pool;

    if (connection->is_dropped)
        return;
    drop_connection(connection);
    serve_waiting(pool, connection->origin);
}

void httppool_forget(struct httppool_connection *connection)
{
    struct httpclient *client = connection->client;

    httppool_drop(connection);
    httppool_ring_remove(&connection->all);
    httppool_leave_origin(&client->pool, connection->origin);
    ioalloc_free(connection);
    httpclient_end_if_done(client);
}

void httppool_detach(struct httppool_connection *connection)
{
    connection->stream = NULL;
    httppool_forget(connection);
}

void httppool_drop_all(struct httppool *pool)
{
    struct httppool_ring *place = pool->connections.next;

    while (place != &pool->connections) {
        struct httppool_connection *connection = HTTPPOOL_OWNER(place, struct httppool_connection, all);
        place = place->next;
        drop_connection(connection);
    }
}

/* Being kept. */

/* Nobody has asked: whatever comes is no answer, and may not become one. */
static size_t consume_unasked(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    httppool_drop(arg);
    return length;
}

static void keep_time_passed(struct deadline *deadline);

/* False: no memory. */
static bool watch_kept(struct httppool_connection *connection, int64_t now)
{
    int64_t until = connection->released + (int64_t)(connection->client->options.keep_time * 1e9);

    if (connection->watched <= until)
        return true;
    if (deadline_set(connection->client->loop, &connection->deadline, (double)(until - now) / 1e9, keep_time_passed) <
        0)
        return false;
    connection->watched = until;
    return true;
}

static void keep_time_passed(struct deadline *deadline)
{
    struct httppool_connection *connection = HTTPPOOL_OWNER(deadline, struct httppool_connection, deadline);
    int64_t now = loopfront_now(connection->client->loop);

    connection->watched = HTTPFETCH_NEVER;
    if (!connection->is_kept)
        return;
    if (now - connection->released >= (int64_t)(connection->client->options.keep_time * 1e9) ||
        !watch_kept(connection, now))
        httppool_drop(connection);
}

/* If the connection turns out to have ended (see may_retry in http1exchange.c). */
static bool may_go_again(const struct httpfetch *fetch)
{
    return fetch->producer == NULL && httpfetch_may_resend(fetch);
}

/* While its consumer runs no byte can have come that was not seen, but its end can. Later the kernel knows better than
 * the poller. */
static bool is_quiet_connection(const struct httppool_connection *connection, const struct httpfetch *fetch)
{
    struct iostream *stream = connection->stream;
    char byte;
    ssize_t count;

    if (iostream_closed(stream))
        return false;
    if (stream->is_feeding && !connection->may_have_more && !stream->is_custom && may_go_again(fetch))
        return true;
    if (stream->is_custom) /* a byte that comes is not missed: it is the end of the connection */
        count = iostreamlayer_transport(stream)->read(iostreamlayer_context(stream), stream->fd, &byte, 1);
    else
        count = (count = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT)) < 0 ? -errno : count;
    return count == -EAGAIN || count == -EWOULDBLOCK || count == -EINTR;
}

static struct httppool_connection *last_kept(struct httppool_origin *origin)
{
    if (httppool_ring_is_empty(&origin->kept))
        return NULL;
    return HTTPPOOL_OWNER(origin->kept.previous, struct httppool_connection, of_origin);
}

/* The one that was used last and can be used. NULL: there is none. */
static struct httppool_connection *take_kept(const struct httpfetch *fetch)
{
    struct httppool_connection *connection;

    while ((connection = last_kept(fetch->origin)) != NULL) {
        if (is_quiet_connection(connection, fetch)) {
            leave_kept(connection);
            return connection;
        }
        drop_connection(connection);
    }
    return NULL;
}

/* Giving. */

static bool make_place(struct httppool *pool, struct httppool_origin *origin, bool is_fresh)
{
    const struct httpclient_options *options = &pool->client->options;

    if (origin->connections >= options->max_per_origin) {
        if (!is_fresh || httppool_ring_is_empty(&origin->kept))
            return false;
        drop_connection(last_kept(origin));
    }
    if (pool->connection_count < options->max_clients)
        return true;
    if (httppool_ring_is_empty(&pool->kept))
        return false;
    drop_connection(HTTPPOOL_OWNER(pool->kept.next, struct httppool_connection, kept));
    return true;
}

/* False: there is none now. What goes wrong with one that is new is told to the fetch. */
static bool give_connection(struct httppool *pool, struct httpfetch *fetch)
{
    struct httppool_connection *connection = fetch->is_fresh ? NULL : take_kept(fetch);

    if (connection == NULL && !make_place(pool, fetch->origin, fetch->is_fresh))
        return false;
    fetch->started = httpfetch_now(fetch);
    fetch->in_queues += fetch->started - fetch->queued;
    fetch->phase = HTTPCLIENT_RESOLVE;
    if (connection != NULL) {
        http1exchange_begin(connection, fetch);
        return true;
    }
    connection = httppool_add(pool, fetch);
    if (connection == NULL)
        httpfetch_fail(fetch, -ENOMEM, NULL);
    else
        httpconnect_open(connection, fetch);
    return true;
}

static struct httpfetch *first_in(const struct httppool_ring *queue)
{
    return httppool_ring_is_empty(queue) ? NULL : HTTPPOOL_OWNER(queue->next, struct httpfetch, place);
}

void httppool_leave_queue(struct httppool *pool, struct httpfetch *fetch)
{
    if (!fetch->is_queued)
        return;
    fetch->is_queued = false;
    httppool_ring_remove(&fetch->place);
    pool->waiting_count--;
}

static void enter_queue(struct httppool *pool, struct httppool_ring *queue, struct httpfetch *fetch)
{
    fetch->is_queued = true;
    httppool_ring_add(queue, &fetch->place);
    pool->waiting_count++;
}

static bool is_full(const struct httppool *pool, const struct httppool_origin *origin)
{
    return origin->connections >= pool->client->options.max_per_origin;
}

/* But for max_clients. */
static bool has_place(const struct httppool *pool, const struct httppool_origin *origin)
{
    return !is_full(pool, origin) || !httppool_ring_is_empty(&origin->kept);
}

/* Those who are parked with it wait for nothing but a place in all, which any other origin may give. */
static void note_starved(struct httppool *pool, struct httppool_origin *origin)
{
    if (has_place(pool, origin) && !httppool_ring_is_empty(&origin->parked) && httppool_ring_is_empty(&origin->starved))
        httppool_ring_add(&pool->starved, &origin->starved);
}

static struct httpfetch *first_parked(const struct httppool *pool, const struct httppool_origin *origin)
{
    return has_place(pool, origin) ? first_in(&origin->parked) : NULL;
}

static struct httpfetch *first_starved(struct httppool *pool)
{
    while (!httppool_ring_is_empty(&pool->starved)) {
        struct httppool_origin *origin = HTTPPOOL_OWNER(pool->starved.next, struct httppool_origin, starved);
        struct httpfetch *fetch = first_parked(pool, origin);
        if (fetch != NULL)
            return fetch;
        httppool_ring_remove(&origin->starved);
    }
    return NULL;
}

static struct httpfetch *older_of(struct httpfetch *a, struct httpfetch *b)
{
    return b == NULL || (a != NULL && a->queued <= b->queued) ? a : b;
}

/* Who has waited for longest, of those who may be served: else an origin that is asked again and again would keep all
 * the places. */
static struct httpfetch *next_in_turn(struct httppool *pool, const struct httppool_origin *origin)
{
    return older_of(first_parked(pool, origin), older_of(first_starved(pool), first_in(&pool->queue)));
}

/* Something of this origin is free. What fails at once while they are served makes room that is seen here. */
static void serve_waiting(struct httppool *pool, struct httppool_origin *origin)
{
    struct httpfetch *fetch;

    if (pool->waiting_count == 0 || pool->client->closing)
        return;
    if (pool->is_serving) {
        note_starved(pool, origin);
        return;
    }
    pool->is_serving = true;
    origin->users++;
    while ((fetch = next_in_turn(pool, origin)) != NULL) {
        bool given = give_connection(pool, fetch);
        if (!given && has_place(pool, fetch->origin))
            break;
        httppool_leave_queue(pool, fetch);
        if (!given)
            enter_queue(pool, &fetch->origin->parked, fetch);
    }
    note_starved(pool, origin);
    httppool_leave_origin(pool, origin);
    pool->is_serving = false;
}

/* A retry has been at the head of the queue before. */
void httppool_ask(struct httppool *pool, struct httpfetch *fetch, bool first)
{
    if (give_connection(pool, fetch))
        return;
    if (is_full(pool, fetch->origin))
        enter_queue(pool, first ? fetch->origin->parked.next : &fetch->origin->parked, fetch);
    else
        enter_queue(pool, first ? pool->queue.next : &pool->queue, fetch);
}

bool httppool_has_room(const struct httppool *pool)
{
    return pool->waiting_count < pool->client->options.max_queue;
}

void httppool_release(struct httppool_connection *connection, bool may_have_more)
{
    struct httppool *pool = &connection->client->pool;

    connection->fetch->connection = NULL;
    connection->fetch = NULL;
    connection->released = loopfront_now(connection->client->loop);
    connection->may_have_more = may_have_more;
    if (iostream_set_consumer(connection->stream, consume_unasked, connection) < 0 ||
        !watch_kept(connection, connection->released)) {
        httppool_drop(connection);
        return;
    }
    connection->is_kept = true;
    httppool_ring_add(&pool->kept, &connection->kept);
    httppool_ring_add(&connection->origin->kept, &connection->of_origin);
    pool->kept_count++;
    serve_waiting(pool, connection->origin);
}
