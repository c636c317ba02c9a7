/* Internal: iostreamsend.h, between iostreamsend.c, which gives the kernel what waits in a stream's output, and
 * iostreamwrite.c, which puts it there. */
#ifndef IOLOOP_IOSTREAMSEND_H
#define IOLOOP_IOSTREAMSEND_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioloop/iooutput.h"
#include "ioloop/iostreamlayer.h"

#define IOSTREAMSEND_VECTOR 16 /* pieces in one call */

/* Bytes in the output, without those in the loop's cork. */
static inline uint64_t iostreamsend_queued(const struct iostream *stream)
{
    return stream->output != NULL ? stream->output->pending : 0;
}

static inline bool iostreamsend_would_block(ssize_t result)
{
    return result == -EAGAIN || result == -EWOULDBLOCK || result == -EINTR;
}

static inline bool iostreamsend_may(const struct iostream *stream)
{
    return !stream->is_connecting && !stream->is_connected && !stream->is_handshaking && !stream->cannot_send;
}

/* By iostream_cork. */
static inline bool iostreamsend_is_corked(const struct iostream *stream)
{
    return stream->extras != NULL && stream->extras->corks > 0;
}

/* A write has failed: the output stays as it is, and ends with the stream. */
void iostreamsend_fail(struct iostream *stream, int error);

/* Bytes have gone to the kernel: whoever waits for that, or for the drain, is told in the next iteration. */
void iostreamsend_note_progress(struct iostream *stream);

/* The peer has taken bytes, or has just been given the first that it can: its time to take more begins. */
static inline void iostreamsend_touch(struct iostream *stream)
{
    if (stream->extras != NULL && stream->extras->write_timeout > 0)
        deadline_touch(&stream->extras->write_deadline, deadline_now(stream->loop));
}

/* Output comes and goes with what is in it. */
void iostreamsend_drop_empty(struct iostream *stream);

#endif
