/* The writing side of iostream.h. Bytes take the shortest way that keeps their order: straight to the kernel; into the
 * loop's cork while this stream's consumer runs; else to the end of the stream's output. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/iostreamsend.h"
#include "ioloop/loopfront.h"
#include "ioloop/loopmember.h"

#define MAX_WRITE_BUFFER (16u << 20)
#define CORKED_AT_MOST   4096u /* longer writes are not worth copying into the cork */

static bool make_output(struct iostream *stream)
{
    if (stream->output == NULL)
        stream->output = iooutput_new();
    return stream->output != NULL;
}

uint64_t iostream_pending(const struct iostream *stream)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    return iostreamsend_queued(stream) + (cork->owner == stream ? cork->used : 0);
}

/* The cork. */

/* So many bytes of what was in the cork, and of what came behind it, were sent. Answers how many were of the latter;
 * what is left in the cork goes before all that waits. */
static ssize_t settle_cork(struct iostream *stream, struct loopfront_cork *cork, size_t sent)
{
    struct iovec rest = { cork->data + sent, cork->used - sent };
    size_t used = cork->used;

    if (used == 0)
        return (ssize_t)sent;
    loopfront_clear_cork(cork);
    if (sent >= used) {
        if (stream->output != NULL)
            iooutput_sent(stream->output, 0);
        iostreamsend_note_progress(stream);
        return (ssize_t)(sent - used);
    }
    struct iooutput_segment *segment = iooutput_new_segment(rest.iov_len);
    if (segment == NULL || !make_output(stream)) {
        iobudget_free(segment);
        return -ENOMEM;
    }
    memcpy(segment->bytes, rest.iov_base, rest.iov_len);
    segment->left = rest.iov_len;
    segment->room = 0;
    iooutput_prepend(stream->output, segment);
    return 0;
}

void iostreamlayer_settle_cork(struct iostream *stream, ssize_t sent)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (sent >= 0 || iostreamsend_would_block(sent))
        sent = settle_cork(stream, cork, sent > 0 ? (size_t)sent : 0);
    if (sent < 0) {
        loopfront_clear_cork(cork);
        iostreamsend_fail(stream, (int)sent);
    }
}

/* Gives the kernel what the loop's cork holds of this stream. more: further bytes, or the end, follow at once. */
static void flush_cork(struct iostream *stream, bool more)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);
    struct iovec vector = { cork->data, cork->used };

    if (cork->owner == stream && cork->used > 0)
        iostreamlayer_settle_cork(stream, iostreamlayer_transport_write(stream, &vector, 1, more));
}

void iostreamlayer_flush_cork(struct iostream *stream)
{
    flush_cork(stream, false);
}

void iostreamlayer_flush_last(struct iostream *stream)
{
    flush_cork(stream, true);
}

/* In a child of fork() these bytes are the parent's to send, which has them too. */
static bool is_corked_by_parent(const struct iostream *stream)
{
    return iostreamsend_is_corked(stream) && stream->extras->forks != loopmember_forks();
}

/* Once more before the end, so that an answer written and closed behind is an answer sent. */
void iostreamlayer_flush_corks(struct iostream *stream)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);
    struct iovec vector[IOSTREAMSEND_VECTOR];
    int count = 0;

    if (stream->end == 0 && iostreamsend_may(stream) && cork->owner == stream && cork->used > 0)
        vector[count++] = (struct iovec){ cork->data, cork->used };
    if (stream->end == 0 && iostreamsend_may(stream) && stream->output != NULL &&
        (count > 0 || iostreamsend_is_corked(stream)))
        count += iooutput_gather(stream->output, vector + count, IOSTREAMSEND_VECTOR - count);
    if (count > 0 && !is_corked_by_parent(stream))
        (void)!iostreamlayer_transport_write(stream, vector, count, false);
    if (cork->owner == stream) {
        loopfront_clear_cork(cork);
        cork->owner = NULL;
    }
}

void iostream_cork(struct iostream *stream)
{
    if (stream->is_closed || iostreamlayer_extras(stream) == NULL)
        return;
    if (stream->extras->corks++ == 0)
        stream->extras->forks = loopmember_forks();
}

void iostream_uncork(struct iostream *stream)
{
    if (stream->is_closed || !iostreamsend_is_corked(stream) || --stream->extras->corks > 0)
        return;
    iostreamsend_touch(stream);
    flush_cork(stream, false); /* what the loop's cork holds was written first */
    if (!stream->is_closed)
        iostreamlayer_send_output(stream);
}

/* Writing. */

static int check_open(const struct iostream *stream)
{
    if (stream->is_closed)
        return -EBADF;
    return stream->shutdown_wanted ? -EPIPE : 0;
}

/* An empty write is there for its callback: it waits for what is too much already, and adds nothing to that. */
static int check_write(struct iostream *stream, uint64_t length)
{
    uint64_t most = MAX_WRITE_BUFFER;
    /* What is in the cork has not been offered to the peer yet. */
    uint64_t pending = iostreamsend_queued(stream) - (stream->output != NULL ? stream->output->in_files : 0);
    int error = check_open(stream);

    if (error < 0)
        return error;
    if (stream->extras != NULL && stream->extras->options.max_write_buffer_size != 0)
        most = stream->extras->options.max_write_buffer_size;
    if (pending == 0 || length == 0 || (pending <= most && length <= most - pending))
        return 0;
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "descriptor %d: over max_write_buffer_size, its peer does not read",
                stream->fd);
    iostreamlayer_fail(stream, -ENOBUFS);
    return -ENOBUFS;
}

static void note_high_water(struct iostream *stream)
{
    struct iostreamlayer_extras *extras = stream->extras;

    if (extras != NULL && extras->on_drain != NULL && iostream_pending(stream) > extras->high_water)
        extras->over_high_water = true;
}

/* A segment with no bytes behind what has been written so far: its callback comes when that is through. */
static int add_write_callback(struct iostream *stream, iostream_write_fn *callback, void *arg)
{
    struct iooutput_segment *segment = iooutput_new_segment(0);

    if (segment == NULL || !make_output(stream)) {
        iobudget_free(segment);
        return -ENOMEM;
    }
    segment->callback = callback;
    segment->arg = arg;
    iooutput_append(stream->output, segment);
    return 0;
}

static int put_in_cork(struct iostream *stream, struct loopfront_cork *cork, const struct iovec *vector, int count,
                       iostream_write_fn *callback, void *arg)
{
    if (callback != NULL) {
        int error = add_write_callback(stream, callback, arg);
        if (error < 0)
            return error;
    }
    for (int i = 0; i < count; i++) {
        memcpy(cork->bytes + cork->used, vector[i].iov_base, vector[i].iov_len);
        cork->used += vector[i].iov_len;
    }
    return 0;
}

static bool make_cork(struct loopfront_cork *cork)
{
    cork->bytes = ioalloc(LOOPFRONT_CORK);
    if (cork->bytes == NULL)
        return false;
    cork->size = LOOPFRONT_CORK;
    if (cork->used == 0)
        cork->data = cork->bytes;
    return true;
}

/* What lies in the scratch memory is copied to make room behind it, unless it is so long that both had better go. */
static bool fits_in_cork(struct loopfront_cork *cork, size_t length)
{
    if (length > CORKED_AT_MOST || (cork->data != cork->bytes && cork->used > CORKED_AT_MOST))
        return false;
    if (cork->bytes == NULL && !make_cork(cork))
        return false;
    if (length > cork->size - cork->used)
        return false;
    if (cork->data != cork->bytes)
        cork->data = memcpy(cork->bytes, cork->data, cork->used);
    return true;
}

/* Sends what is in the cork and the vector behind it. Answers how many bytes of the vector went, or an error. */
static ssize_t send_behind_cork(struct iostream *stream, struct loopfront_cork *cork, const struct iovec *vector,
                                int count)
{
    struct iovec all[IOSTREAMSEND_VECTOR + 1] = { { cork->data, cork->used } };

    if (count > IOSTREAMSEND_VECTOR)
        count = IOSTREAMSEND_VECTOR;
    if (cork->owner != stream || cork->used == 0) {
        ssize_t sent = iostreamlayer_transport_write(stream, vector, count, false);
        return iostreamsend_would_block(sent) ? 0 : sent;
    }
    memcpy(all + 1, vector, (size_t)count * sizeof *vector);
    ssize_t sent = iostreamlayer_transport_write(stream, all, count + 1, false);
    if (sent < 0 && !iostreamsend_would_block(sent)) {
        loopfront_clear_cork(cork);
        return sent;
    }
    return settle_cork(stream, cork, sent > 0 ? (size_t)sent : 0);
}

/* What was not sent is copied to the end of the output, with the callback; without either nothing is left to do. */
static int keep_rest(struct iostream *stream, const struct iovec *vector, int count, uint64_t sent,
                     iostream_write_fn *callback, void *arg)
{
    if (!make_output(stream) || !iooutput_copy(stream->output, vector, count, sent, callback, arg)) {
        iostreamsend_drop_empty(stream);
        return -ENOMEM;
    }
    return 0;
}

/* Sent in part, and the rest is lost: nobody could make sense of the bytes that follow. */
static int fail_write(struct iostream *stream, int error)
{
    iostreamsend_fail(stream, error);
    return error;
}

static int write_now(struct iostream *stream, struct loopfront_cork *cork, const struct iovec *vector, int count,
                     uint64_t length, iostream_write_fn *callback, void *arg)
{
    ssize_t sent = length > 0 ? send_behind_cork(stream, cork, vector, count) : 0;

    if (sent < 0)
        return fail_write(stream, (int)sent);
    if ((uint64_t)sent < length) {
        int error = keep_rest(stream, vector, count, (uint64_t)sent, callback, arg);
        if (error < 0)
            return fail_write(stream, error);
        iostreamlayer_update_interest(stream);
    } else if (callback != NULL) {
        int error = add_write_callback(stream, callback, arg);
        if (error < 0)
            return fail_write(stream, error);
        iooutput_sent(stream->output, 0);
        looptask_add(stream->loop, &stream->task);
    }
    return 0;
}

static int write_vector(struct iostream *stream, const struct iovec *vector, int count, uint64_t length,
                        iostream_write_fn *callback, void *arg)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);
    int error;

    if (iostreamsend_queued(stream) == 0)
        iostreamsend_touch(stream);
    if (iostreamsend_queued(stream) > 0 || !iostreamsend_may(stream) || iostreamsend_is_corked(stream)) {
        error = keep_rest(stream, vector, count, 0, callback, arg);
        if (error == 0)
            iostreamlayer_update_interest(stream);
    } else if (cork->owner == stream && length + cork->used > 0 && fits_in_cork(cork, (size_t)length)) {
        error = put_in_cork(stream, cork, vector, count, callback, arg);
    } else {
        error = write_now(stream, cork, vector, count, length, callback, arg);
    }
    note_high_water(stream);
    return error;
}

int iostream_writev(struct iostream *stream, const struct iovec *vector, int count, iostream_write_fn *callback,
                    void *arg)
{
    uint64_t length = iooutput_length_of(vector, count);
    int error = check_write(stream, length);

    if (error < 0 || (length == 0 && callback == NULL))
        return error;
    return write_vector(stream, vector, count, length, callback, arg);
}

int iostreamlayer_write_anyway(struct iostream *stream, const struct iovec *vector, int count,
                               iostream_write_fn *callback, void *arg)
{
    int error = check_open(stream);

    return error < 0 ? error : write_vector(stream, vector, count, iooutput_length_of(vector, count), callback, arg);
}

/* The shortest ways of all, when nothing waits that was written before: to let it lie where the consumer was shown it,
 * and to copy it behind what is in the cork. */
static inline bool put_in_cork_quickly(struct iostream *stream, const void *data, size_t length)
{
    struct loopfront *front = loopfront_of(stream->loop);
    struct loopfront_cork *cork = &front->cork;

    if (cork->owner != stream || length == 0 || iostreamlayer_is_more_than_usual(stream))
        return false;
    if (cork->used == 0 && (uintptr_t)data - (uintptr_t)front->scratch < LOOPFRONT_SCRATCH) {
        cork->data = (char *)data;
        cork->used = length;
        return true;
    }
    char *place = length <= CORKED_AT_MOST ? loopfront_cork_place(cork, length) : NULL;
    if (place == NULL)
        return false;
    cork->used += length;
    memcpy(place, data, length);
    return true;
}

static int __attribute__((noinline))
write_slowly(struct iostream *stream, const void *data, size_t length, iostream_write_fn *callback, void *arg)
{
    struct iovec vector = { (void *)data, length };

    return iostream_writev(stream, &vector, length > 0, callback, arg);
}

int iostream_write(struct iostream *stream, const void *data, size_t length, iostream_write_fn *callback, void *arg)
{
    if (callback == NULL && put_in_cork_quickly(stream, data, length))
        return 0;
    return write_slowly(stream, data, length, callback, arg);
}

/* A segment of its own, behind everything that was written before: what the cork holds goes first, and together with
 * the beginning of the segment where that follows at once. */
static int write_segment(struct iostream *stream, struct iooutput_segment *segment)
{
    if (segment == NULL || !make_output(stream)) {
        iobudget_free(segment);
        return -ENOMEM;
    }
    bool was_empty = stream->output->pending == 0;
    bool is_next = was_empty && segment->left > 0 && iostreamsend_may(stream) && !iostreamsend_is_corked(stream);
    iooutput_append(stream->output, segment);
    if (was_empty)
        iostreamsend_touch(stream);
    flush_cork(stream, is_next);
    if (!stream->is_closed && was_empty && iostreamsend_may(stream))
        iostreamlayer_send_output(stream);
    else
        iostreamlayer_update_interest(stream);
    note_high_water(stream);
    return 0; /* what has gone wrong since is told to its callback */
}

static int write_memory(struct iostream *stream, const void *data, size_t length, iostream_release_fn *release,
                        void *release_arg, iostream_write_fn *callback, void *arg)
{
    int error = check_write(stream, length);

    if (error < 0)
        return error;
    struct iooutput_segment *segment = iooutput_new_segment(0);
    if (segment != NULL) {
        segment->data = data;
        segment->owned = (void *)data;
        segment->left = length;
        segment->release = release;
        segment->release_arg = release_arg;
        segment->callback = callback;
        segment->arg = arg;
    }
    return write_segment(stream, segment);
}

int iostream_write_owned(struct iostream *stream, void *data, size_t length, iostream_release_fn *release,
                         void *release_arg, iostream_write_fn *callback, void *arg)
{
    if (release == NULL)
        return -EINVAL;
    return write_memory(stream, data, length, release, release_arg, callback, arg);
}

int iostream_write_static(struct iostream *stream, const void *data, size_t length, iostream_write_fn *callback,
                          void *arg)
{
    return write_memory(stream, data, length, NULL, NULL, callback, arg);
}

int iostream_sendfile(struct iostream *stream, int file, int64_t offset, uint64_t length, iostream_write_fn *callback,
                      void *arg)
{
    int error = check_write(stream, 1); /* its bytes lie in no memory */
    int64_t pending;
    off_t end; /* which may have 32 bits */

    if (error == 0 && (file < 0 || offset < 0 || __builtin_add_overflow(offset, length, &end) ||
                       __builtin_add_overflow(iostream_pending(stream), length, &pending)))
        error = -EINVAL;
    if (error < 0)
        return error;
    struct iooutput_segment *segment = iooutput_new_segment(0);
    if (segment != NULL) {
        segment->file = file;
        segment->offset = offset;
        segment->left = length;
        segment->callback = callback;
        segment->arg = arg;
    }
    return write_segment(stream, segment);
}

/* Shutting down. */

/* False: that has to wait. What else can go wrong is that the peer has gone, which reading will tell. */
static bool tell_peer(struct iostream *stream)
{
    if (stream->is_custom) {
        const struct iostream_transport *transport = iostreamlayer_transport(stream);
        return transport->shutdown == NULL ||
               !iostreamsend_would_block(transport->shutdown(iostreamlayer_context(stream), stream->fd));
    }
    if (stream->is_pipe)
        iostreamlayer_fail(stream, 0); /* closing is the only way a pipe has to say it */
    else
        shutdown(stream->fd, SHUT_WR);
    return true;
}

void iostreamlayer_try_shutdown(struct iostream *stream)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (!stream->shutdown_wanted || stream->shutdown_done || stream->is_closed || !iostreamsend_may(stream) ||
        iostreamsend_queued(stream) > 0 || (cork->owner == stream && cork->used > 0))
        return;
    if (!tell_peer(stream))
        return;
    stream->shutdown_done = true;
    if (stream->end != 0 && stream->input == NULL && stream->consumer == NULL)
        iostreamlayer_fail(stream, iostreamlayer_end(stream));
}

int iostream_shutdown(struct iostream *stream)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (stream->is_closed)
        return -EBADF;
    stream->shutdown_wanted = true;
    flush_cork(stream, iostreamsend_queued(stream) == 0);
    if (cork->owner == stream)
        cork->owner = NULL;
    if (!stream->is_closed)
        iostreamlayer_try_shutdown(stream);
    if (iostreamlayer_waits_for_shutdown(stream))
        iostreamlayer_update_interest(stream);
    return 0;
}

/* Time. */

/* Not the peer's fault is what waits for a cork, or for the connection. */
static bool waits_for_peer(const struct iostream *stream)
{
    return iostreamsend_queued(stream) > 0 && iostreamsend_may(stream) && !iostreamsend_is_corked(stream);
}

/* Closed like any other the socket would keep what it has for minutes. */
static void write_timed_out(struct deadline *deadline)
{
    struct iostreamlayer_extras *extras =
        (struct iostreamlayer_extras *)((char *)deadline - offsetof(struct iostreamlayer_extras, write_deadline));
    struct iostream *stream = extras->stream;
    uint64_t queued = iostreamsend_queued(stream);

    iostreamlayer_send_output(stream); /* the kernel has room for a byte long before it says so */
    if (stream->is_closed)
        return;
    if (waits_for_peer(stream) && iostreamsend_queued(stream) == queued)
        iostreamlayer_reset(stream, -ETIMEDOUT);
    else if (iostream_set_write_timeout(stream, extras->write_timeout) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
}

int iostream_set_write_timeout(struct iostream *stream, double seconds)
{
    if (stream->is_closed)
        return -EBADF;
    if (iostreamlayer_extras(stream) == NULL)
        return -ENOMEM;
    stream->extras->write_timeout = seconds;
    return deadline_set(stream->loop, &stream->extras->write_deadline, seconds, write_timed_out);
}

/* Telling. */

int iostream_set_drain_callback(struct iostream *stream, uint64_t high_water, iostream_drain_fn *callback, void *arg)
{
    if (stream->is_closed)
        return -EBADF;
    if (iostreamlayer_extras(stream) == NULL)
        return -ENOMEM;
    stream->extras->high_water = high_water;
    stream->extras->on_drain = callback;
    stream->extras->on_drain_arg = arg;
    note_high_water(stream);
    return 0;
}

/* The only way into write callbacks and release functions. */
static void tell(struct iostream *stream, struct iooutput_segment *segment, int error)
{
    struct iooutput_segment copy = *segment;

    iobudget_free(segment);
    if (copy.release != NULL)
        copy.release(copy.owned, copy.release_arg);
    if (copy.callback != NULL)
        copy.callback(stream, error, copy.arg);
}

/* Those that are through now; what their callbacks write is told of in the next iteration. */
void iostreamlayer_tell_written(struct iostream *stream)
{
    if (stream->extras != NULL && stream->extras->drained && !stream->is_closed) {
        stream->extras->drained = false;
        if (stream->extras->on_drain != NULL)
            stream->extras->on_drain(stream, stream->extras->on_drain_arg);
    }
    if (stream->output == NULL || stream->output->done == NULL)
        return;
    struct iooutput_segment *done = iooutput_take_done(stream->output);
    while (done != NULL) {
        struct iooutput_segment *segment = done;

        done = segment->next;
        tell(stream, segment, 0);
    }
    iostreamsend_drop_empty(stream);
}

void iostreamlayer_end_output(struct iostream *stream, int error)
{
    struct iooutput_segment *segment;

    if (stream->output == NULL)
        return;
    while ((segment = iooutput_take_any(stream->output)) != NULL)
        tell(stream, segment, error);
    iooutput_free(stream->output);
    stream->output = NULL;
}
