#include "ioloop/iostream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopfront.h"
#include "ioloop/loopmember.h"

#define ONLY_ERRORS 0x2u /* an interest: watched, so that ERROR is told, for nothing else */

/* Life. */

struct iostreamlayer_extras *iostreamlayer_extras(struct iostream *stream)
{
    if (stream->extras == NULL) {
        stream->extras = ioalloc_zeroed(sizeof *stream->extras);
        if (stream->extras != NULL)
            stream->extras->stream = stream;
    }
    return stream->extras;
}

void iostreamlayer_drop_extras(struct iostream *stream)
{
    const struct iostreamlayer_extras *extras = stream->extras;

    if (extras == NULL || extras->options.max_buffer_size != 0 || extras->options.max_write_buffer_size != 0 ||
        extras->options.transport != NULL || extras->on_connect != NULL || extras->on_drain != NULL ||
        extras->read_timeout > 0 || extras->write_timeout > 0 || extras->corks > 0)
        return;
    ioalloc_free(stream->extras);
    stream->extras = NULL;
}

static bool set_options(struct iostream *stream, const struct iostream_options *options)
{
    if (options == NULL)
        return true;
    stream->half_close = options->half_close;
    stream->hold_back = options->hold_back;
    if (options->max_buffer_size == 0 && options->max_write_buffer_size == 0 && options->transport == NULL)
        return true;
    if (iostreamlayer_extras(stream) == NULL)
        return false;
    stream->extras->options = *options;
    stream->is_custom = options->transport != NULL;
    stream->is_handshaking = stream->is_custom && options->transport->handshake != NULL;
    return true;
}

/* With it there is the loop's memory to receive into: a stream that has begun does not end for want of that. */
static struct iostream *new_stream(struct ioloop *loop, int fd, const struct iostream_options *options)
{
    size_t user_size = options != NULL ? options->user_size : 0;
    struct iostream *stream = user_size < SIZE_MAX / 2 ? ioalloc_zeroed(IOSTREAMLAYER_USER + user_size) : NULL;
    int error = -ENOMEM;

    if (stream == NULL)
        return errno = ENOMEM, NULL;
    stream->task.run = iostreamlayer_run;
    stream->loop = loop;
    stream->fd = fd;
    if (set_options(stream, options))
        error = loopmember_claim_fd(loop, fd, iostreamlayer_handle_events, stream);
    if (error == 0 && loopfront_scratch(loop) == NULL) {
        ioloop_remove_handler(loop, fd);
        error = -ENOMEM;
    }
    if (error < 0) {
        ioalloc_free(stream->extras);
        ioalloc_free(stream);
        return errno = -error, NULL;
    }
    if (stream->is_handshaking)
        looptask_add(loop, &stream->task);
    return stream;
}

struct iostream *iostream_new(struct ioloop *loop, int fd, const struct iostream_options *options)
{
    int kind = kernel_adopt(fd);

    if (kind < 0)
        return errno = -kind, NULL;
    if (kind == 0)
        return errno = ENOTSOCK, NULL;
    return new_stream(loop, fd, options);
}

struct iostream *iostream_new_pipe(struct ioloop *loop, int fd, const struct iostream_options *options)
{
    int kind = kernel_adopt(fd);
    int flags = kind < 0 ? -1 : fcntl(fd, F_GETFL);

    if (kind < 0)
        return errno = -kind, NULL;
    if (flags < 0)
        return NULL;
    struct iostream *stream = new_stream(loop, fd, options);
    if (stream != NULL) {
        stream->is_pipe = kind == 0;
        stream->is_write_only = (flags & O_ACCMODE) == O_WRONLY;
    }
    return stream;
}

struct iostream *iostreamlayer_new_accepted(struct ioloop *loop, int fd, const struct iostream_options *options)
{
    struct iostream *stream = new_stream(loop, fd, options);

    if (stream != NULL)
        stream->is_feeding = true; /* until read_now: nothing is watched for yet */
    return stream;
}

/* The kernel's side of closing; the program's follows in iostreamlayer_finish. */
void iostreamlayer_fail(struct iostream *stream, int error)
{
    if (stream->is_closed)
        return;
    stream->is_closed = true;
    iostreamlayer_set_end(stream, error);
    iostreamlayer_flush_corks(stream);
    ioloop_remove_handler(stream->loop, stream->fd);
    if (stream->extras != NULL) {
        deadline_clear(&stream->extras->read_deadline);
        deadline_clear(&stream->extras->write_deadline);
    }
    if (stream->is_custom && iostreamlayer_transport(stream)->close != NULL)
        iostreamlayer_transport(stream)->close(iostreamlayer_context(stream), stream->fd);
    close(stream->fd);
    if (stream->owner != NULL)
        stream->owner->gone(stream->owner, stream);
    stream->fd = -1;
    looptask_add(stream->loop, &stream->task);
}

void iostream_close(struct iostream *stream)
{
    iostreamlayer_fail(stream, 0);
}

/* Where there is no such thing, as for pipes, it is a close like any other. A child of fork() has the socket together
 * with its parent, whose close is not to be a reset. */
void iostreamlayer_reset(struct iostream *stream, int error)
{
    if (!stream->is_closed && !loopmember_is_stale(stream->loop))
        setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    iostreamlayer_fail(stream, error);
}

void iostream_reset(struct iostream *stream)
{
    iostreamlayer_reset(stream, 0);
}

void iostreamlayer_tell_connected(struct iostream *stream, int error)
{
    if (stream->extras == NULL || stream->extras->on_connect == NULL)
        return;
    iostream_connect_fn *callback = stream->extras->on_connect;
    stream->extras->on_connect = NULL;
    callback(stream, error, stream->extras->on_connect_arg);
}

static void free_stream(struct looptask *task)
{
    struct iostream *stream = (struct iostream *)task;

    ioalloc_free(stream->extras);
    ioalloc_free(stream);
}

/* The program's side of closing: all that waits ends, in order, the close callback last. */
void iostreamlayer_finish(struct iostream *stream)
{
    int error = stream->end != 0 ? iostreamlayer_end(stream) : -ECANCELED;

    iostreamlayer_tell_connected(stream, error);
    iostreamlayer_tell_written(stream);
    if (stream->consumer != NULL) {
        /* Who closed does not want to read on. */
        size_t length = error != -ECANCELED ? iobuffer_length(stream->input) : 0;
        stream->consumer(stream, error, iostreamlayer_unread(stream), length, stream->consumer_arg);
        stream->consumer = NULL;
    }
    iostreamlayer_end_output(stream, error);
    if (stream->close_callback != NULL)
        stream->close_callback(stream, iostreamlayer_end(stream), stream->close_arg);
    iobuffer_free(&stream->input);
    looptask_remove(stream->loop, &stream->task);
    looptask_end(stream->loop, &stream->task, free_stream);
}

/* Watching. */

void iostreamlayer_set_interest(struct iostream *stream, unsigned events)
{
    unsigned watched = events;

    /* Connecting is not the transport's affair. */
    if (stream->is_custom && iostreamlayer_transport(stream)->events != NULL && events != 0 && !stream->is_connecting)
        watched = iostreamlayer_transport(stream)->events(iostreamlayer_context(stream), events);
    else if (events == stream->interest)
        return;
    stream->interest = events & 0x7u;
    int error = ioloop_update_handler(stream->loop, stream->fd, watched);
    if (error < 0) /* on a loop that closes, all that is open is cancelled */
        iostreamlayer_fail(stream, loopmember_check(stream->loop) == -EBADF ? -ECANCELED : error);
}

/* A close callback wants to know when the peer closes, which shows in reading only. It waits while there are unread
 * bytes: the peer's end comes after them. */
bool iostreamlayer_wants_input(const struct iostream *stream)
{
    return !iostreamlayer_is_held_back(stream) && stream->end == 0 && !stream->is_write_only &&
           !stream->is_handshaking &&
           (stream->consumer != NULL || (stream->close_callback != NULL && stream->input == NULL));
}

/* Interest in reading is dropped only when bytes come that nobody wants: most of the time the next read follows. */
void iostreamlayer_update_interest(struct iostream *stream)
{
    unsigned events = 0;

    if (stream->is_closed || stream->is_feeding)
        return;
    if (stream->is_connecting)
        events = IOLOOP_WRITE;
    else if (stream->is_handshaking)
        events = IOLOOP_READ;
    else {
        if (iostreamlayer_wants_input(stream) || (stream->end == 0 && (stream->interest & IOLOOP_READ) != 0))
            events |= IOLOOP_READ;
        if (stream->output != NULL && stream->output->pending > 0 && !stream->output->sends_on &&
            !stream->cannot_send && (stream->extras == NULL || stream->extras->corks == 0))
            events |= IOLOOP_WRITE;
        if (iostreamlayer_waits_for_shutdown(stream))
            events |= IOLOOP_WRITE;
        if (stream->is_write_only && stream->close_callback != NULL)
            events |= ONLY_ERRORS;
    }
    iostreamlayer_set_interest(stream, events);
}

/* Consumers. */

void iostreamlayer_begin_read(struct iostream *stream, iostream_consumer_fn *consumer, void *arg, bool takes_nothing)
{
    stream->consumer = consumer;
    stream->consumer_arg = arg;
    stream->takes_nothing = takes_nothing;
    stream->has_place = false;
    stream->is_fresh = true;
    if (stream->extras != NULL && stream->extras->read_timeout > 0)
        deadline_touch(&stream->extras->read_deadline, deadline_now(stream->loop));
    if (stream->is_feeding)
        return;
    if (stream->input != NULL || takes_nothing || stream->end != 0 || stream->cannot_send ||
        iostreamlayer_may_hide_bytes(stream))
        looptask_add(stream->loop, &stream->task);
    else
        iostreamlayer_update_interest(stream);
}

void iostreamlayer_begin_placed_read(struct iostream *stream, iostream_consumer_fn *consumer, void *arg,
                                     bool takes_nothing)
{
    iostreamlayer_begin_read(stream, consumer, arg, takes_nothing);
    stream->has_place = true;
}

void iostreamlayer_end_read(struct iostream *stream)
{
    stream->consumer = NULL;
    stream->has_place = false;
    stream->is_read_op = false;
    stream->takes_nothing = false;
}

int iostream_set_consumer(struct iostream *stream, iostream_consumer_fn *consumer, void *arg)
{
    if (stream->is_closed)
        return -EBADF;
    if (stream->is_read_op)
        return -EALREADY;
    if (consumer == NULL) {
        stream->consumer = NULL;
        stream->has_place = false;
        return 0;
    }
    if (stream->end != 0 && stream->input == NULL)
        return iostreamlayer_end(stream);
    iostreamlayer_begin_read(stream, consumer, arg, false);
    return 0;
}

static void read_timed_out(struct deadline *deadline)
{
    struct iostreamlayer_extras *extras =
        (struct iostreamlayer_extras *)((char *)deadline - offsetof(struct iostreamlayer_extras, read_deadline));
    struct iostream *stream = extras->stream;

    if (stream->consumer != NULL)
        iostreamlayer_fail(stream, -ETIMEDOUT);
    else if (iostream_set_read_timeout(stream, extras->read_timeout) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
}

int iostream_set_read_timeout(struct iostream *stream, double seconds)
{
    if (stream->is_closed)
        return -EBADF;
    if (iostreamlayer_extras(stream) == NULL)
        return -ENOMEM;
    stream->extras->read_timeout = seconds;
    return deadline_set(stream->loop, &stream->extras->read_deadline, seconds, read_timed_out);
}

/* Connecting. */

int iostream_connect(struct iostream *stream, const struct sockaddr *address, socklen_t length,
                     iostream_connect_fn *callback, void *arg)
{
    if (stream->is_closed)
        return -EBADF;
    if (stream->is_connecting || stream->is_connected)
        return -EALREADY;
    if (iostreamlayer_extras(stream) == NULL)
        return -ENOMEM;
    stream->extras->on_connect = callback;
    stream->extras->on_connect_arg = arg;
    if (connect(stream->fd, address, length) == 0) {
        stream->is_connected = true;
        looptask_add(stream->loop, &stream->task);
    } else if (errno == EINPROGRESS || errno == EINTR) {
        stream->is_connecting = true;
        iostreamlayer_update_interest(stream);
    } else {
        iostreamlayer_fail(stream, -errno);
    }
    return 0;
}

/* Without a handshake too it begins in the next iteration, when whoever is being shown bytes has taken what it will;
 * until then nothing is sent. */
int iostream_set_transport(struct iostream *stream, const struct iostream_transport *transport, void *context)
{
    if (stream->is_closed)
        return -EBADF;
    if (stream->end != 0)
        return iostreamlayer_end(stream);
    if (stream->is_custom || stream->is_connecting || stream->is_connected || stream->consumer != NULL ||
        (stream->input != NULL && !stream->is_feeding) || iostream_pending(stream) > 0 || stream->shutdown_wanted)
        return -EBUSY;
    if (iostreamlayer_extras(stream) == NULL)
        return -ENOMEM;
    stream->extras->options.transport = transport;
    stream->extras->options.transport_context = context;
    stream->is_custom = stream->is_handshaking = true;
    looptask_add(stream->loop, &stream->task);
    return 0;
}

/* Setting and asking. */

void iostream_set_close_callback(struct iostream *stream, iostream_close_fn *callback, void *arg)
{
    stream->close_callback = callback;
    stream->close_arg = arg;
    iostreamlayer_update_interest(stream);
}

bool iostream_reading(const struct iostream *stream)
{
    return stream->consumer != NULL;
}

bool iostream_writing(const struct iostream *stream)
{
    return iostream_pending(stream) > 0;
}

bool iostream_closed(const struct iostream *stream)
{
    return stream->is_closed;
}

int iostream_error(const struct iostream *stream)
{
    return stream->is_closed ? iostreamlayer_end(stream) : 0;
}

int iostream_fd(const struct iostream *stream)
{
    return stream->fd;
}

struct ioloop *iostream_loop(const struct iostream *stream)
{
    return stream->loop;
}

void *iostream_user(const struct iostream *stream)
{
    return (char *)stream + IOSTREAMLAYER_USER;
}

int iostream_set_half_close(struct iostream *stream, bool on)
{
    if (stream->is_closed)
        return -EBADF;
    stream->half_close = on;
    if (!on && stream->end != 0)
        looptask_add(stream->loop, &stream->task); /* it was kept open */
    return 0;
}

int iostream_set_nodelay(struct iostream *stream, bool on)
{
    int value = on;

    if (stream->is_closed)
        return -EBADF;
    if (setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value) == 0)
        return 0;
    /* Not TCP (each system has its own word for that), or reset already. */
    if (errno == EOPNOTSUPP || errno == ENOPROTOOPT || errno == ENOTSOCK || errno == EINVAL || errno == ECONNRESET)
        return 0;
    return -errno;
}
