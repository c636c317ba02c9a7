/* What happens to a stream: bytes that come in, and all other events. Its consumer is called from here, by feed,
 * end_consumer and iostreamlayer_handle_events; the last time, when it has closed, by iostreamlayer_finish. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopfront.h"
#include "ioloop/loopmember.h"

#define MAX_BUFFER  (16u << 20)
#define READ_BUDGET 4       /* receives a wake-up: one greedy stream does not starve the others */
#define READ_DIRECT 4096    /* from so many unread bytes on, more is received right behind them */
#define READ_AHEAD  262144u /* memory that is made ready for bytes that have not come yet, at most */

/* Input. */

static ssize_t transport_read(struct iostream *stream, void *buffer, size_t size)
{
    ssize_t count;

    if (stream->is_custom)
        return iostreamlayer_transport(stream)->read(iostreamlayer_context(stream), stream->fd, buffer, size);
    count = stream->is_pipe ? read(stream->fd, buffer, size) : recv(stream->fd, buffer, size, 0);
    return count < 0 ? -errno : count;
}

size_t iostreamlayer_max_buffer(const struct iostream *stream)
{
    if (stream->extras != NULL && stream->extras->options.max_buffer_size != 0)
        return stream->extras->options.max_buffer_size;
    return MAX_BUFFER;
}

/* In a child of fork() that a consumer has called: what it has not seen yet is the parent's. A fork drops the cork, so
 * most of the time that is all there is to ask. */
static inline bool is_left_to_parent(const struct iostream *stream)
{
    return loopfront_cork(stream->loop)->owner != stream && loopmember_is_stale(stream->loop);
}

/* Shows the consumer what is unread, and the next one what the first left, until they take no more, or have written so
 * much that they are held back. One that takes nothing may begin the next for ever: the second in a row that does is
 * the last of this iteration. Answers how much was taken. */
static size_t feed(struct iostream *stream, const char *data, size_t length)
{
    size_t taken = 0, some = 1, last;

    iostreamlayer_begin_cork(stream);
    stream->is_feeding = true;
    do {
        if (stream->consumer == NULL || stream->is_closed || stream->is_handshaking)
            break;
        stream->is_fresh = iostreamlayer_is_held_back(stream) && !stream->takes_nothing; /* as the end of a read does */
        if (stream->is_fresh)
            break; /* iostreamsend_note_progress goes on */
        last = some;
        some = stream->consumer(stream, 0, data + taken, length - taken, stream->consumer_arg);
        taken += some;
        if (some == 0 && stream->is_fresh && last == 0)
            looptask_add(stream->loop, &stream->task);
        if (some == 0 && (!stream->is_fresh || last == 0))
            break;
    } while ((taken < length || stream->takes_nothing) && !is_left_to_parent(stream));
    stream->is_feeding = false;
    iostreamlayer_end_cork(stream);
    return taken;
}

/* The consumer learns that no more will come. A read that it begins now is served from what is left in the next
 * iteration. */
static void end_consumer(struct iostream *stream)
{
    iostream_consumer_fn *consumer = stream->consumer;

    iostreamlayer_begin_cork(stream);
    stream->is_feeding = true;
    stream->is_fresh = false;
    size_t taken = consumer(stream, iostreamlayer_end(stream), iostreamlayer_unread(stream),
                            iobuffer_length(stream->input), stream->consumer_arg);
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
    else if (!stream->half_close || iostreamlayer_end(stream) != -ESHUTDOWN || stream->shutdown_done)
        iostreamlayer_fail(stream, iostreamlayer_end(stream));
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
    iostreamlayer_set_end(stream, stream->cannot_send && error == -ESHUTDOWN ? -ECONNRESET : error);
    if (stream->is_fresh && stream->input != NULL)
        looptask_add(stream->loop, &stream->task); /* who has just begun to read sees what is unread first */
    else
        settle_end(stream);
}

/* Shows what is in the stream's own buffer. */
static void feed_unread(struct iostream *stream)
{
    size_t taken = feed(stream, iostreamlayer_unread(stream), iobuffer_length(stream->input));

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

/* No more than belongs there: what comes behind is not to be copied if it can be helped. */
static ssize_t receive_placed(struct iostream *stream, struct iostreamlayer_place place)
{
    ssize_t count = transport_read(stream, place.memory, place.size);

    if (count > 0)
        feed(stream, place.memory, (size_t)count);
    return count;
}

/* Room grows with what has come, never with what was only announced. */
static ssize_t receive_behind_unread(struct iostream *stream, size_t *size)
{
    size_t missing = stream->is_read_op ? iostreamlayer_missing(stream) : 0;
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
    char *scratch = loopfront_of(stream->loop)->scratch;
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
    const struct iostreamlayer_place *place =
        stream->has_place && stream->consumer != NULL ? stream->consumer_arg : NULL;

    if (place != NULL && place->size > 0 && stream->input == NULL)
        return receive_placed(stream, (struct iostreamlayer_place){ place->memory, *size = place->size });
    if (iobuffer_length(stream->input) >= READ_DIRECT)
        return receive_behind_unread(stream, size);
    *size = within_limit(stream, LOOPFRONT_SCRATCH);
    return receive_by_scratch(stream, *size);
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

/* A short receive has emptied the socket; asking again would only be told so. So, most likely, has one that ended a
 * placed read: no more was asked for, and if there is more the poller says it. */
static void receive(struct iostream *stream)
{
    for (int i = 0; i < READ_BUDGET && iostreamlayer_wants_input(stream); i++) {
        size_t size;
        bool had_place = stream->has_place;
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
        if (((size_t)count < size || (had_place && !stream->has_place)) && !iostreamlayer_may_hide_bytes(stream))
            return;
        if (loopmember_is_stale(stream->loop))
            return; /* the consumer has forked */
    }
    if (iostreamlayer_may_hide_bytes(stream) && !stream->is_closed && stream->consumer != NULL &&
        iostreamlayer_wants_input(stream))
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
    iostreamlayer_tell_connected(stream, 0);
    iostreamlayer_end_cork(stream);
    if (!stream->is_closed && stream->output != NULL)
        iostreamlayer_send_output(stream);
    iostreamlayer_try_shutdown(stream);
}

/* Bytes that are unread now came before the handshake, and nobody vouches for them: nobody is to take them for what
 * comes through the transport. */
static int handshake(struct iostream *stream)
{
    const struct iostream_transport *transport = iostreamlayer_transport(stream);

    if (stream->input != NULL) {
        iobuffer_free(&stream->input);
        return -EPROTO;
    }
    return transport->handshake != NULL ? transport->handshake(iostreamlayer_context(stream), stream->fd) : 0;
}

static void go_on_with_handshake(struct iostream *stream)
{
    int error = handshake(stream);

    if (error == -EAGAIN)
        return;
    if (error < 0) {
        iostreamlayer_fail(stream, error);
        return;
    }
    stream->is_handshaking = false;
    connected(stream);
    looptask_add(stream->loop, &stream->task); /* what waited, and bytes that came with the handshake */
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

static inline bool is_usual_stream(const struct iostream *stream)
{
    return stream->consumer != NULL && !((uintptr_t)stream->input | (uintptr_t)stream->extras) && stream->end == 0 &&
           stream->interest == IOLOOP_READ && !stream->is_connecting && !stream->is_handshaking && !stream->is_custom &&
           !stream->is_pipe && !stream->has_place;
}

/* ERROR, and nobody reads who would find out more. Who has a close callback and nothing left to read is told. Else
 * there may be bytes that nobody has asked for yet, or a program that does not expect its stream to go: since ERROR
 * cannot be masked, the kernel is to say no more until somebody reads or writes. */
static void handle_error(struct iostream *stream)
{
    bool is_over = stream->is_write_only || (stream->end != 0 && stream->input == NULL);

    if (is_over && stream->close_callback != NULL) {
        int error = stream->is_write_only ? -EPIPE : stream->is_pipe ? 0 : kernel_socket_error(stream->fd);
        iostreamlayer_fail(stream, error != 0 ? error : iostreamlayer_end(stream));
    } else {
        loopmember_unwatch_fd(stream->loop, stream->fd);
        stream->interest = 0;
    }
}

static void receive_and_send(struct iostream *stream, unsigned events)
{
    bool had_reader = iostreamlayer_wants_input(stream);

    if (stream->is_closed)
        return;
    if (had_reader && ((events & (IOLOOP_READ | IOLOOP_ERROR)) || stream->is_custom))
        receive(stream);
    else if (events & IOLOOP_READ)
        iostreamlayer_set_interest(stream, stream->interest & ~IOLOOP_READ);
    if (!stream->is_closed && stream->output != NULL && ((events & ~IOLOOP_READ) || stream->is_custom) &&
        !loopmember_is_stale(stream->loop))
        iostreamlayer_send_output(stream);
    if (stream->is_custom)
        iostreamlayer_try_shutdown(stream);
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

    if ((some || stream->is_fresh) && !is_left_to_parent(stream))
        taken = feed(stream, data, length);
    if (taken < length && iobuffer_append(&stream->input, data + taken, length - taken) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
}

/* What the consumer has written was not sent, or not all of it, or somebody waits to be told. */
static void __attribute__((noinline)) settle_sent(struct iostream *stream, ssize_t sent)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (cork->used > 0)
        iostreamlayer_settle_cork(stream, sent < 0 ? -errno : sent);
    cork->owner = NULL;
    iostreamlayer_update_interest(stream);
}

/* What the consumer has written leaves in one call. */
static inline void send_cork(struct iostream *stream, struct loopfront_cork *cork)
{
    ssize_t sent = cork->used > 0 ? kernel_send_bytes(stream->fd, cork->data, cork->used) : 0;

    if (sent != (ssize_t)cork->used || iostreamlayer_is_more_than_usual(stream)) {
        settle_sent(stream, sent);
        return;
    }
    loopfront_clear_cork(cork);
    cork->owner = NULL;
}

/* Nearly all there is: bytes for a plain socket with a consumer, nothing unread, and nothing of what few streams
 * have. What follows does the same as receive, and leaves out what cannot be. */
void iostreamlayer_handle_events(int fd, unsigned events, void *arg)
{
    struct iostream *stream = arg;
    struct loopfront *front = loopfront_of(stream->loop);

    if (events != IOLOOP_READ || !is_usual_stream(stream)) {
        handle_other_events(stream, events);
        return;
    }
    ssize_t count = recv(fd, front->scratch, LOOPFRONT_SCRATCH, 0);
    if (count <= 0) {
        receive_nothing(stream, count < 0 ? -errno : 0);
        iostreamlayer_update_interest(stream);
        return;
    }
    front->cork.owner = stream;
    stream->is_feeding = true;
    stream->is_fresh = false;
    size_t taken = stream->consumer(stream, 0, front->scratch, (size_t)count, stream->consumer_arg);
    if (taken < (size_t)count || stream->takes_nothing)
        feed_rest(stream, front->scratch + taken, (size_t)count - taken, taken > 0);
    stream->is_feeding = false;
    if (front->cork.owner == stream)
        send_cork(stream, &front->cork);
    else
        iostreamlayer_update_interest(stream); /* it was shut down, or is closed */
}

/* The peer takes no more bytes, so it sends no more either: what is there is the last. */
static void receive_last(struct iostream *stream)
{
    char byte;

    receive(stream);
    if (stream->is_closed || stream->end != 0 || stream->consumer == NULL)
        return;
    if (recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
        end_input(stream, -ECONNRESET);
    else
        looptask_add(stream->loop, &stream->task);
}

/* What was put off to this iteration. */
void iostreamlayer_run(struct looptask *task)
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
    if (!stream->is_closed && stream->output != NULL && stream->output->sends_on)
        iostreamlayer_send_output(stream);
    if (!stream->is_closed && stream->is_fresh && (stream->input != NULL || stream->takes_nothing))
        feed_unread(stream);
    if (!stream->is_closed && iostreamlayer_may_hide_bytes(stream) && !stream->is_handshaking && !stream->is_connecting)
        receive(stream);
    if (!stream->is_closed && stream->cannot_send && stream->end == 0)
        receive_last(stream);
    else if (!stream->is_closed && stream->end != 0 && !(stream->is_fresh && iostreamlayer_is_held_back(stream)))
        settle_end(stream);
    if (stream->is_closed)
        iostreamlayer_finish(stream);
    else
        iostreamlayer_update_interest(stream);
}
