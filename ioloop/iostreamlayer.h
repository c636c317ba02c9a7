/* Internal: iostreamlayer.h, the inside of a stream, for the files that make it up and the layers that embed one.
 *
 * A stream that waits is this struct and nothing else: buffers, output, and what few streams use exist only while
 * needed. */
#ifndef IOLOOP_IOSTREAMLAYER_H
#define IOLOOP_IOSTREAMLAYER_H

#include <errno.h>
#include <stddef.h>

#include "ioloop/deadlines.h"
#include "ioloop/iobuffer.h"
#include "ioloop/iooutput.h"
#include "ioloop/iostream.h"
#include "ioloop/loopfront.h"
#include "ioloop/looptask.h"

/* Whoever counts streams. gone is called when the descriptor has been closed, from wherever that happens, and fd still
 * tells which it was; it must not call the program. */
struct iostreamlayer_owner {
    void (*gone)(struct iostreamlayer_owner *owner, struct iostream *stream);
};

/* What not every stream needs. */
struct iostreamlayer_extras {
    struct iostream_options options;
    iostream_connect_fn *on_connect;
    void *on_connect_arg;
    iostream_drain_fn *on_drain;
    void *on_drain_arg;
    uint64_t high_water;
    struct deadline read_deadline, write_deadline;
    double read_timeout, write_timeout;
    struct iostream *stream; /* whose these are: the deadlines lead here */
    unsigned corks;
    unsigned forks; /* of the process that has corked it: what is corked is that one's to send */
    bool over_high_water;
    bool drained;
};

struct iostream {
    struct looptask task; /* waits when there is something to tell the program in the next iteration */
    struct ioloop *loop;
    int fd;            /* -1: closed */
    unsigned end : 10; /* -iostreamlayer_end */
    unsigned is_pipe : 1;
    unsigned is_custom : 1; /* reached through a transport from outside */
    unsigned is_handshaking : 1;
    unsigned is_connecting : 1;
    unsigned is_connected : 1; /* which the program has not been told yet */
    unsigned is_closed : 1;
    unsigned half_close : 1;
    unsigned hold_back : 1;
    unsigned shutdown_wanted : 1;
    unsigned shutdown_done : 1;
    unsigned is_feeding : 1;    /* the consumer is being shown bytes */
    unsigned is_fresh : 1;      /* the consumer is new: it has not seen what is unread */
    unsigned takes_nothing : 1; /* the consumer is done without a byte */
    unsigned is_read_op : 1;    /* the consumer is one of iostreamread.c */
    unsigned has_place : 1;     /* the consumer's arg begins with an iostreamlayer_place */
    unsigned is_write_only : 1; /* the writing end of a pipe */
    unsigned reads_on : 1;      /* when the peer takes no more bytes, too: why, it may have said before */
    unsigned cannot_send : 1;   /* and reads on */
    unsigned began_silent : 1;  /* when it was connected no byte had come */
    unsigned interest : 3;      /* what the loop watches for */
    iostream_consumer_fn *consumer;
    void *consumer_arg;
    struct iobuffer *input;
    struct iooutput *output;
    iostream_close_fn *close_callback;
    void *close_arg;
    struct iostreamlayer_extras *extras;
    struct iostreamlayer_owner *owner;
};

/* Where the memory of iostream_user begins. */
#define IOSTREAMLAYER_USER                                                                                             \
    ((sizeof(struct iostream) + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t))

/* Why no more bytes will come in, or, when the stream is closed, why it was. 0: they may; iostream_close. */
static inline int iostreamlayer_end(const struct iostream *stream)
{
    return -(int)stream->end;
}

/* A transport may answer anything; no system has errno values beyond these (but one, EDQUOT of MIPS). */
static inline void iostreamlayer_set_end(struct iostream *stream, int error)
{
    stream->end = (unsigned)(error > 0 || error < -0x3ff ? EIO : -error) & 0x3ffu;
}

/* What is unread, as consumers are shown it: not NULL when there is nothing. */
static inline const char *iostreamlayer_unread(const struct iostream *stream)
{
    return stream->input != NULL ? iobuffer_data(stream->input) : "";
}

static inline const struct iostream_transport *iostreamlayer_transport(const struct iostream *stream)
{
    return stream->extras->options.transport;
}

static inline void *iostreamlayer_context(const struct iostream *stream)
{
    return stream->extras->options.transport_context;
}

/* Something waits to be sent or to be told, or has to be looked at: both at once, for the shortest ways. */
static inline bool iostreamlayer_is_more_than_usual(const struct iostream *stream)
{
    return ((uintptr_t)stream->output | (uintptr_t)stream->extras) != 0;
}

/* Bytes may wait where the poller does not see them. */
static inline bool iostreamlayer_may_hide_bytes(const struct iostream *stream)
{
    return stream->is_custom && iostreamlayer_transport(stream)->buffers;
}

/* It reads no further, and is shown nothing that is unread, until the peer has read more of what waits for it. */
#define IOSTREAMLAYER_HOLD_BACK 262144u
static inline bool iostreamlayer_is_held_back(const struct iostream *stream)
{
    return stream->hold_back && stream->output != NULL && stream->output->pending > IOSTREAMLAYER_HOLD_BACK &&
           !stream->cannot_send;
}

/* For the layers. */

/* A stream on a socket that is known to be non-blocking, as accept gave it. */
struct iostream *iostreamlayer_new_accepted(struct ioloop *loop, int fd, const struct iostream_options *options);

/* Tries at once, without waiting for the poller, what was asked to be read. Also fine when the stream has closed. Only
 * from a handler of the loop, once, for a stream of new_accepted. */
void iostreamlayer_read_now(struct iostream *stream);

/* iostream_close and iostream_reset with a reason; 0 is as they are. */
void iostreamlayer_fail(struct iostream *stream, int error);
void iostreamlayer_reset(struct iostream *stream, int error);

/* Between iostream.c and iostreamevents.c. */

void iostreamlayer_handle_events(int fd, unsigned events, void *arg);
void iostreamlayer_run(struct looptask *task); /* what was put off to this iteration */

/* Calls the connect callback, if it has not been called. */
void iostreamlayer_tell_connected(struct iostream *stream, int error);

/* The program's side of closing; frees the stream. */
void iostreamlayer_finish(struct iostream *stream);

bool iostreamlayer_wants_input(const struct iostream *stream);
void iostreamlayer_set_interest(struct iostream *stream, unsigned events);

/* For iostreamread.c. */

/* Where the next bytes belong: memory of whoever reads, and how many of them. */
struct iostreamlayer_place {
    char *memory;
    size_t size; /* 0: the next bytes do not belong there */
};

/* Makes a consumer the current one. takes_nothing: it is to be called even if there are no bytes. */
void iostreamlayer_begin_read(struct iostream *stream, iostream_consumer_fn *consumer, void *arg, bool takes_nothing);
void iostreamlayer_end_read(struct iostream *stream);

/* The same for a consumer whose arg begins with a struct iostreamlayer_place: where nothing is unread, bytes are
 * received straight into its memory, and no more than its size. They are shown there (data == place.memory), and have
 * to be taken at once, all of them. Bytes that had been received before, or came with others, are shown where they are,
 * and are the consumer's to copy; it may leave some. It moves the place on by what it has taken, and may change it each
 * time that it is called. */
void iostreamlayer_begin_placed_read(struct iostream *stream, iostream_consumer_fn *consumer, void *arg,
                                     bool takes_nothing);

/* Of the read under way: how many bytes are missing at least; 0: not known. */
size_t iostreamlayer_missing(const struct iostream *stream);

size_t iostreamlayer_max_buffer(const struct iostream *stream);

/* For iostreamwrite.c. */

struct iostreamlayer_extras *iostreamlayer_extras(struct iostream *stream); /* made when missing; NULL: no memory */
void iostreamlayer_drop_extras(struct iostream *stream); /* unless they are for something: without it goes faster */
ssize_t iostreamlayer_transport_write(struct iostream *stream, const struct iovec *vector, int count, bool more);
void iostreamlayer_update_interest(struct iostream *stream);

/* iostream_writev of what is taken however much waits: the beginning of an answer, and the few bytes at its end. */
int iostreamlayer_write_anyway(struct iostream *stream, const struct iovec *vector, int count,
                               iostream_write_fn *callback, void *arg);

/* Sends what waits, as much as the kernel takes. */
void iostreamlayer_send_output(struct iostream *stream);

/* Around consumers: what they write to their stream leaves at the end of the outermost pair. */
static inline void iostreamlayer_begin_cork(struct iostream *stream)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (cork->owner == NULL)
        cork->owner = stream;
}

void iostreamlayer_flush_cork(struct iostream *stream);

/* Offers the kernel what a cork of the loop holds of this stream, if it does. The end has to follow at once: TCP keeps
 * the bytes for the packet of that, which spares both sides one. */
void iostreamlayer_flush_last(struct iostream *stream);

/* Where so many bytes can be put that are written to the stream: in the cork; NULL: they have to be written. Then
 * put_in_cork counts those that were put there, which may be less. */
static inline char *iostreamlayer_cork_place(struct iostream *stream, size_t size)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (cork->owner != stream || iostreamlayer_is_more_than_usual(stream))
        return NULL;
    return loopfront_cork_place(cork, size);
}

static inline void iostreamlayer_put_in_cork(struct iostream *stream, size_t size)
{
    loopfront_cork(stream->loop)->used += size;
}

/* What the kernel answered when it was given the cork. */
void iostreamlayer_settle_cork(struct iostream *stream, ssize_t sent);

static inline void iostreamlayer_end_cork(struct iostream *stream)
{
    struct loopfront_cork *cork = loopfront_cork(stream->loop);

    if (cork->owner == stream) {
        if (cork->used > 0)
            iostreamlayer_flush_cork(stream);
        cork->owner = NULL;
    }
}

/* Tries once to send what a cork holds back; for a stream that is about to close. */
void iostreamlayer_flush_corks(struct iostream *stream);

/* Tells the program of writes that are through, and of the drain. */
void iostreamlayer_tell_written(struct iostream *stream);

/* Ends all writes with an error. */
void iostreamlayer_end_output(struct iostream *stream, int error);

/* All is sent, but the transport has not got rid of its last word. */
static inline bool iostreamlayer_waits_for_shutdown(const struct iostream *stream)
{
    return stream->is_custom && stream->shutdown_wanted && !stream->shutdown_done &&
           (stream->output == NULL || stream->output->pending == 0);
}

/* Does what iostream_shutdown asked for, if nothing is left to send. */
void iostreamlayer_try_shutdown(struct iostream *stream);

#endif
