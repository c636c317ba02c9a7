#include "ioloop/iostream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"

#define MAX_BUFFER  (16u << 20)
#define READ_BUDGET 4    /* receives a wake-up: one greedy stream does not starve the others */
#define READ_DIRECT 4096 /* from so many unread bytes on, more is received right behind them */
#define READ_AHEAD  262144u /* memory that is made ready for bytes that have not come yet, at most */

#define ONLY_ERRORS 0x2u /* an interest: watched, so that ERROR is told, for nothing else */

static const char nothing[1];

/* Life. */

static void handle_events(int fd, unsigned events, void *arg);
static void run_stream(struct looptask *task);

struct iostreamlayer_extras *iostreamlayer_extras(struct iostream *stream)
{
    if (stream->extras == NULL) {
        stream->extras = ioalloc_zeroed(sizeof *stream->extras);
        if (stream->extras != NULL)
            stream->extras->stream = stream;
    }
    return stream->extras;
}

static bool set_options(struct iostream *stream, const struct iostream_options *options)
{
    if (options == NULL)
        return true;
    stream->half_close = options->half_close;
    if (options->max_buffer_size == 0 && options->max_write_buffer_size == 0 && options->transport == NULL)
        return true;
    if (iostreamlayer_extras(stream) == NULL)
        return false;
    stream->extras->options = *options;
    stream->is_custom = options->transport != NULL;
    stream->is_handshaking = stream->is_custom && options->transport->handshake != NULL;
    return true;
}

static struct iostream *new_stream(struct ioloop *loop, int fd, const struct iostream_options *options)
{
    struct iostream *stream = ioalloc_zeroed(sizeof *stream);
    int error = -ENOMEM;

    if (stream == NULL)
        return errno = ENOMEM, NULL;
    stream->task.run = run_stream;
    stream->loop = loop;
    stream->fd = fd;
    if (set_options(stream, options))
        error = loopmember_claim_fd(loop, fd, handle_events, stream);
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

static const struct iostream_transport *transport_of(const struct iostream *stream)
{
    return stream->extras->options.transport;
}

static void *context_of(const struct iostream *stream)
{
    return stream->extras->options.transport_context;
}

/* The kernel's side of closing; the program's follows in finish_stream. */
void iostreamlayer_fail(struct iostream *stream, int error)
{
    if (stream->is_closed)
        return;
    stream->is_closed = true;
    stream->error = error;
    iostreamlayer_flush_corks(stream);
    ioloop_remove_handler(stream->loop, stream->fd);
    if (stream->extras != NULL)
        deadline_clear(&stream->extras->read_deadline);
    if (stream->is_custom && transport_of(stream)->close != NULL)
        transport_of(stream)->close(context_of(stream), stream->fd);
    close(stream->fd);
    stream->fd = -1;
    if (stream->owner != NULL)
        stream->owner->gone(stream->owner, stream);
    looptask_add(stream->loop, &stream->task);
}

void iostream_close(struct iostream *stream)
{
    iostreamlayer_fail(stream, 0);
}

static void tell_connected(struct iostream *stream, int error)
{
    if (stream->extras == NULL || stream->extras->on_connect == NULL)
        return;
    iostream_connect_fn *callback = stream->extras->on_connect;
    stream->extras->on_connect = NULL;
    callback(stream, error, stream->extras->on_connect_arg);
}

/* The program's side of closing: all that waits ends, in order, the close callback last. */
static void finish_stream(struct iostream *stream)
{
    int error = stream->error != 0 ? stream->error : -ECANCELED;

    tell_connected(stream, error);
    iostreamlayer_tell_written(stream);
    if (stream->consumer != NULL) {
        /* Who closed does not want to read on. */
        size_t length = error != -ECANCELED ? iobuffer_length(stream->input) : 0;
        const char *data = length > 0 ? iobuffer_data(stream->input) : nothing;
        stream->consumer(stream, error, data, length, stream->consumer_arg);
        stream->consumer = NULL;
    }
    iostreamlayer_end_output(stream, error);
    if (stream->close_callback != NULL)
        stream->close_callback(stream, stream->error, stream->close_arg);
    iobuffer_free(&stream->input);
    ioalloc_free(stream->extras);
    looptask_remove(stream->loop, &stream->task);
    ioalloc_free(stream);
}

/* Watching. */

static void set_interest(struct iostream *stream, unsigned events)
{
    unsigned watched = events;

    if (stream->is_custom && transport_of(stream)->events != NULL && events != 0)
        watched = transport_of(stream)->events(context_of(stream), events);
    else if (events == stream->interest)
        return;
    stream->interest = events & 0xfu;
    int error = ioloop_update_handler(stream->loop, stream->fd, watched);
    if (error < 0)
        iostreamlayer_fail(stream, error);
}

/* A close callback wants to know when the peer closes, which shows in reading only. It waits while there are unread
 * bytes: the peer's end comes after them. */
static bool wants_input(const struct iostream *stream)
{
    return stream->end == 0 && !stream->is_write_only &&
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
        if (wants_input(stream) || (stream->end == 0 && (stream->interest & IOLOOP_READ) != 0))
            events |= IOLOOP_READ;
        if (stream->output != NULL && stream->output->pending > 0 && (stream->extras == NULL || stream->extras->corks == 0))
            events |= IOLOOP_WRITE;
        if (stream->is_write_only && stream->close_callback != NULL)
            events |= ONLY_ERRORS;
    }
    set_interest(stream, events);
}

/* Input. */

static ssize_t transport_read(struct iostream *stream, void *buffer, size_t size)
{
    ssize_t count;

    if (stream->is_custom)
        return transport_of(stream)->read(context_of(stream), stream->fd, buffer, size);
    count = stream->is_pipe ? read(stream->fd, buffer, size) : recv(stream->fd, buffer, size, 0);
    return count < 0 ? -errno : count;
}

size_t iostreamlayer_max_buffer(const struct iostream *stream)
{
    if (stream->extras != NULL && stream->extras->options.max_buffer_size != 0)
        return stream->extras->options.max_buffer_size;
    return MAX_BUFFER;
}

/* Shows the consumer what is unread, and the next one what the first left, until they take no more. Answers how much
 * was taken. This and end_consumer are the way into read callbacks. */
static size_t feed(struct iostream *stream, const char *data, size_t length)
{
    size_t taken = 0;

    iostreamlayer_begin_cork(stream);
    stream->is_feeding = true;
    do {
        if (stream->consumer == NULL || stream->is_closed)
            break;
        stream->is_fresh = false;
        size_t some = stream->consumer(stream, 0, data + taken, length - taken, stream->consumer_arg);
        taken += some;
        if (some == 0 && !stream->is_fresh)
            break;
    } while (taken < length || stream->takes_nothing);
    stream->is_feeding = false;
    iostreamlayer_end_cork(stream);
    return taken;
}

/* The consumer learns that no more will come. A read that it begins now is served from what is left in the next
 * iteration. */
static void end_consumer(struct iostream *stream)
{
    iostream_consumer_fn *consumer = stream->consumer;
    size_t length = iobuffer_length(stream->input);

    iostreamlayer_begin_cork(stream);
    stream->is_feeding = true;
    stream->is_fresh = false;
    size_t taken = consumer(stream, stream->end, length > 0 ? iobuffer_data(stream->input) : nothing, length,
                            stream->consumer_arg);
    if (stream->consumer == consumer && !stream->is_fresh)
        stream->consumer = NULL;
    stream->is_feeding = false;
    iostreamlayer_end_cork(stream);
    iobuffer_consume(&stream->input, taken);
}

/* What there is to do once input has ended, as far as reading goes. Outcomes: the next read waits for what is left
 * unread · unread bytes wait for a reader · the stream goes on writing · it closes. */
static void settle_end(struct iostream *stream)
{
    bool was_read = stream->consumer != NULL;

    if (was_read)
        end_consumer(stream);
    if (stream->is_closed)
        return;
    if (stream->consumer != NULL)
        looptask_add(stream->loop, &stream->task);
    else if (stream->input != NULL && !was_read)
        return;
    else if (!stream->half_close || stream->end != -ESHUTDOWN || stream->shutdown_done)
        iostreamlayer_fail(stream, stream->end);
}

static bool is_quiet(int error)
{
    return error == -ESHUTDOWN || error == -ECONNRESET || error == -ECONNABORTED || error == -EPIPE ||
           error == -ETIMEDOUT;
}

static void end_input(struct iostream *stream, int error)
{
    if (!is_quiet(error))
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "read error on descriptor %d: %s", stream->fd,
                    ioloop_strerror(error));
    stream->end = error;
    settle_end(stream);
}

/* Shows what is in the stream's own buffer. */
static void feed_unread(struct iostream *stream)
{
    size_t length = iobuffer_length(stream->input);
    size_t taken = feed(stream, length > 0 ? iobuffer_data(stream->input) : nothing, length);

    iobuffer_consume(&stream->input, taken);
}

/* Only what is left over after the consumer has seen it is copied. */
static void feed_scratch(struct iostream *stream, const char *data, size_t length)
{
    size_t taken = feed(stream, data, length);

    if (taken < length && iobuffer_append(&stream->input, data + taken, length - taken) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
}

/* No more than may stay unread; one byte over it shows that a reader wants too much. */
static size_t within_limit(const struct iostream *stream, size_t size)
{
    size_t most = iostreamlayer_max_buffer(stream);
    size_t unread = iobuffer_length(stream->input);
    size_t room = unread < most ? most - unread : 0;

    return size <= room ? size : room + 1;
}

static ssize_t receive_into(struct iostream *stream, char *memory, size_t size)
{
    ssize_t count = transport_read(stream, memory, size);

    if (count > 0) {
        iostreamlayer_put_into(stream, (size_t)count);
        feed(stream, nothing, 0);
    }
    return count;
}

/* Room grows with what has come, never with what was only announced. */
static ssize_t receive_behind_unread(struct iostream *stream, size_t missing, size_t *size)
{
    size_t ahead = iobuffer_length(stream->input);

    if (ahead > READ_AHEAD)
        ahead = READ_AHEAD;
    *size = within_limit(stream, missing != 0 && missing < ahead ? missing : ahead);
    char *place = iobuffer_reserve(&stream->input, *size);
    if (place == NULL)
        return -ENOMEM;
    ssize_t count = transport_read(stream, place, *size);
    if (count > 0) {
        iobuffer_commit(stream->input, (size_t)count);
        feed_unread(stream);
    }
    return count;
}

static ssize_t receive_by_scratch(struct iostream *stream, size_t size)
{
    char *scratch = loopmember_scratch(stream->loop);

    if (scratch == NULL)
        return -ENOMEM;
    ssize_t count = transport_read(stream, scratch, size);
    if (count <= 0)
        return count;
    if (stream->input == NULL)
        feed_scratch(stream, scratch, (size_t)count);
    else if (iobuffer_append(&stream->input, scratch, (size_t)count) == 0)
        feed_unread(stream);
    else
        return -ENOMEM;
    return count;
}

/* Answers what the transport said; size: how much it was asked for. */
static ssize_t receive_once(struct iostream *stream, size_t *size)
{
    char *into = NULL;
    size_t missing = stream->is_read_op ? iostreamlayer_missing(stream, &into) : 0;

    if (into != NULL && stream->input == NULL)
        return receive_into(stream, into, *size = missing);
    if (iobuffer_length(stream->input) >= READ_DIRECT)
        return receive_behind_unread(stream, missing, size);
    *size = within_limit(stream, LOOPMEMBER_SCRATCH);
    return receive_by_scratch(stream, *size);
}

static bool may_hide_bytes(const struct iostream *stream)
{
    return stream->is_custom && transport_of(stream)->buffers;
}

static bool is_over_limit(struct iostream *stream)
{
    if (stream->consumer == NULL || iobuffer_length(stream->input) <= iostreamlayer_max_buffer(stream))
        return false;
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "descriptor %d: over max_buffer_size", stream->fd);
    iostreamlayer_fail(stream, -ENOBUFS);
    return true;
}

/* Interrupted is as good as empty: the poller will say again that there is something. */
static void __attribute__((noinline)) receive_nothing(struct iostream *stream, ssize_t result)
{
    if (result != -EAGAIN && result != -EWOULDBLOCK && result != -EINTR)
        end_input(stream, result == 0 ? -ESHUTDOWN : (int)result);
}

/* A short receive has emptied the socket; asking again would only be told so. */
static void receive(struct iostream *stream)
{
    for (int i = 0; i < READ_BUDGET && wants_input(stream); i++) {
        size_t size;
        ssize_t count = receive_once(stream, &size);

        if (stream->is_closed)
            return;
        if (count <= 0) {
            receive_nothing(stream, count);
            return;
        }
        if (stream->extras != NULL && stream->extras->read_timeout > 0)
            deadline_touch(&stream->extras->read_deadline, deadline_now(stream->loop));
        if (stream->input != NULL && is_over_limit(stream))
            return;
        if ((size_t)count < size && !may_hide_bytes(stream))
            return;
    }
    if (may_hide_bytes(stream) && !stream->is_closed && stream->consumer != NULL)
        looptask_add(stream->loop, &stream->task);
}

void iostreamlayer_read_now(struct iostream *stream)
{
    stream->is_feeding = false;
    if (!stream->is_closed && !stream->is_handshaking && stream->input == NULL && !stream->takes_nothing)
        receive(stream);
    if (!stream->is_closed && stream->is_fresh && (stream->input != NULL || stream->takes_nothing))
        looptask_add(stream->loop, &stream->task);
    iostreamlayer_update_interest(stream);
}

/* Events. */

static void connected(struct iostream *stream)
{
    iostreamlayer_begin_cork(stream);
    tell_connected(stream, 0);
    iostreamlayer_end_cork(stream);
    if (!stream->is_closed && stream->output != NULL)
        iostreamlayer_send_output(stream);
    iostreamlayer_try_shutdown(stream);
}

static void go_on_with_handshake(struct iostream *stream)
{
    int error = transport_of(stream)->handshake(context_of(stream), stream->fd);

    if (error == -EAGAIN)
        return;
    if (error < 0) {
        iostreamlayer_fail(stream, error);
        return;
    }
    stream->is_handshaking = false;
    connected(stream);
    if (may_hide_bytes(stream))
        looptask_add(stream->loop, &stream->task);
}

static void go_on_with_connect(struct iostream *stream)
{
    int error = kernel_socket_error(stream->fd);

    if (error < 0) {
        iostreamlayer_fail(stream, error);
        return;
    }
    stream->is_connecting = false;
    if (stream->is_handshaking)
        go_on_with_handshake(stream);
    else
        connected(stream);
}

static inline bool is_usual(const struct iostream *stream)
{
    return stream->consumer != NULL && stream->input == NULL && stream->extras == NULL && stream->end == 0 &&
           stream->interest == IOLOOP_READ && !stream->is_connecting && !stream->is_handshaking &&
           !stream->is_custom && !stream->is_pipe && !stream->is_read_op;
}

/* ERROR, and nobody reads who would find out more. Who has a close callback and nothing left to read is told. Else
 * there may be bytes that nobody has asked for yet, or a program that does not expect its stream to go: since ERROR
 * cannot be masked, the kernel is to say no more until somebody reads or writes. */
static void handle_error(struct iostream *stream)
{
    bool is_over = stream->is_write_only || (stream->end != 0 && stream->input == NULL);

    if (is_over && stream->close_callback != NULL) {
        int error = stream->is_write_only ? -EPIPE : stream->is_pipe ? 0 : kernel_socket_error(stream->fd);
        iostreamlayer_fail(stream, error != 0 ? error : stream->end);
    } else {
        loopmember_unwatch_fd(stream->loop, stream->fd);
        stream->interest = 0;
    }
}

static void receive_and_send(struct iostream *stream, unsigned events)
{
    bool had_reader = wants_input(stream);

    if (stream->is_closed)
        return;
    if (had_reader && ((events & (IOLOOP_READ | IOLOOP_ERROR)) || stream->is_custom))
        receive(stream);
    else if (events & IOLOOP_READ)
        set_interest(stream, stream->interest & ~IOLOOP_READ);
    if (!stream->is_closed && stream->output != NULL && ((events & ~IOLOOP_READ) || stream->is_custom))
        iostreamlayer_send_output(stream);
    if (!stream->is_closed && (events & IOLOOP_ERROR) && !had_reader)
        handle_error(stream);
    else
        iostreamlayer_update_interest(stream);
}

static void __attribute__((noinline)) handle_other_events(struct iostream *stream, unsigned events)
{
    if (events & LOOPMEMBER_CLOSING) {
        iostreamlayer_fail(stream, -ECANCELED);
    } else if (stream->is_connecting) {
        go_on_with_connect(stream);
        iostreamlayer_update_interest(stream);
    } else if (stream->is_handshaking) {
        go_on_with_handshake(stream);
        iostreamlayer_update_interest(stream);
    } else {
        receive_and_send(stream, events);
    }
}

/* The consumer did not take all at once. */
static void __attribute__((noinline)) feed_rest(struct iostream *stream, const char *data, size_t length, bool some)
{
    size_t taken = 0;

    if (some || stream->is_fresh)
        taken = feed(stream, data, length);
    if (taken < length && iobuffer_append(&stream->input, data + taken, length - taken) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
}

/* Nearly all there is: bytes for a plain socket with a consumer, nothing unread, and nothing of what few streams
 * have. What follows does the same as receive, and leaves out what cannot be. */
static void handle_events(int fd, unsigned events, void *arg)
{
    struct iostream *stream = arg;
    struct loopfront *front = loopmember_front(stream->loop);

    if (events != IOLOOP_READ || !is_usual(stream) || front->scratch == NULL) {
        handle_other_events(stream, events);
        return;
    }
    ssize_t count = recv(fd, front->scratch, LOOPMEMBER_SCRATCH, 0);
    if (count > 0) {
        front->cork.owner = stream;
        stream->is_feeding = true;
        stream->is_fresh = false;
        size_t taken = stream->consumer(stream, 0, front->scratch, (size_t)count, stream->consumer_arg);
        if (taken < (size_t)count || stream->takes_nothing)
            feed_rest(stream, front->scratch + taken, (size_t)count - taken, taken > 0);
        stream->is_feeding = false;
        iostreamlayer_end_cork(stream);
    } else {
        receive_nothing(stream, count < 0 ? -errno : 0);
    }
    if (count == LOOPMEMBER_SCRATCH || stream->consumer == NULL || stream->output != NULL)
        receive_and_send(stream, 0);
}

/* What was put off to this iteration. */
static void run_stream(struct looptask *task)
{
    struct iostream *stream = (struct iostream *)task;

    if (!stream->is_closed && stream->is_connected) {
        stream->is_connected = false;
        if (!stream->is_handshaking)
            connected(stream);
    }
    if (!stream->is_closed && stream->is_handshaking && !stream->is_connecting)
        go_on_with_handshake(stream);
    if (!stream->is_closed)
        iostreamlayer_tell_written(stream);
    if (!stream->is_closed && stream->is_fresh && (stream->input != NULL || stream->takes_nothing))
        feed_unread(stream);
    if (!stream->is_closed && may_hide_bytes(stream) && !stream->is_handshaking && !stream->is_connecting)
        receive(stream);
    if (!stream->is_closed && stream->end != 0)
        settle_end(stream);
    if (stream->is_closed)
        finish_stream(stream);
    else
        iostreamlayer_update_interest(stream);
}

/* Consumers. */

void iostreamlayer_begin_read(struct iostream *stream, iostream_consumer_fn *consumer, void *arg, bool takes_nothing)
{
    stream->consumer = consumer;
    stream->consumer_arg = arg;
    stream->takes_nothing = takes_nothing;
    stream->is_fresh = true;
    if (stream->extras != NULL && stream->extras->read_timeout > 0)
        deadline_touch(&stream->extras->read_deadline, deadline_now(stream->loop));
    if (stream->is_feeding)
        return;
    if (stream->input != NULL || takes_nothing || stream->end != 0 || may_hide_bytes(stream))
        looptask_add(stream->loop, &stream->task);
    else
        iostreamlayer_update_interest(stream);
}

void iostreamlayer_end_read(struct iostream *stream)
{
    stream->consumer = NULL;
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
        return 0;
    }
    if (stream->end != 0 && stream->input == NULL)
        return stream->end;
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
    return stream->error;
}

int iostream_fd(const struct iostream *stream)
{
    return stream->fd;
}

struct ioloop *iostream_loop(const struct iostream *stream)
{
    return stream->loop;
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
