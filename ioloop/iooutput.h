/* Internal: iooutput.h, what a stream still has to send: segments of memory or of files in their order, each with what
 * is to happen when it is through. No I/O. An output exists only while there is something in it. */
#ifndef IOLOOP_IOOUTPUT_H
#define IOLOOP_IOOUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ioloop/iostream.h"

struct iooutput_segment {
    struct iooutput_segment *next;
    iostream_write_fn *callback; /* may be NULL */
    void *arg;
    iostream_release_fn *release; /* for owned data; may be NULL */
    void *release_arg;
    void *owned;
    const char *data; /* the next byte */
    uint64_t left;    /* bytes not sent yet; 0: only its callback is left */
    int file;         /* -1: memory */
    int64_t offset;
    size_t room; /* behind what was copied into bytes */
    char bytes[];
};

struct iooutput {
    struct iooutput_segment *first, **last;     /* not sent */
    struct iooutput_segment *done, **last_done; /* sent; callbacks and owned data wait for the loop */
    uint64_t pending;
    uint64_t in_files; /* of these: they take no memory */
    uint32_t piece;    /* what is sent of files in one iteration; 0: not known yet */
    uint32_t moved_at; /* a time of who asks whether it has moved: when that was last so; 0: not noted */
    bool has_moved;    /* since iooutput_has_moved was last called */
    bool is_corked;    /* the socket is (kernel_cork) */
    bool sends_on;     /* in the next iteration, without asking the kernel, which would have taken more in this one */
};

struct iooutput *iooutput_new(void);

/* Frees it with all segments, which must have nothing to call or release. */
void iooutput_free(struct iooutput *output);

/* A segment with so many bytes of its own; NULL: no memory. */
struct iooutput_segment *iooutput_new_segment(size_t room);

/* Behind or before all others. A segment with nothing to send is done at the next iooutput_sent, of 0 too, when there
 * is none before it. */
void iooutput_append(struct iooutput *output, struct iooutput_segment *segment);
void iooutput_prepend(struct iooutput *output, struct iooutput_segment *segment);

/* Copies to the end, into the last segment where there is room. False: no memory, and nothing changed. */
bool iooutput_copy(struct iooutput *output, const struct iovec *vector, int count, uint64_t skip,
                   iostream_write_fn *callback, void *arg);

/* The first segments as a vector, up to the first file: 0 when that is the first of all. */
int iooutput_gather(const struct iooutput *output, struct iovec *vector, int capacity);

/* The first file, if less than so many bytes lie before it, which are told then; or NULL. */
const struct iooutput_segment *iooutput_first_file(const struct iooutput *output, uint64_t most, uint64_t *before);

/* So many bytes have gone to the kernel. */
void iooutput_sent(struct iooutput *output, uint64_t count);

/* Have bytes gone to the kernel since this was last asked? The first time: yes. */
bool iooutput_has_moved(struct iooutput *output);

/* Takes all segments that are done, as a list; or, when all is to end, the next one at all. NULL: none. The caller
 * frees them by iobudget_free. */
struct iooutput_segment *iooutput_take_done(struct iooutput *output);
struct iooutput_segment *iooutput_take_any(struct iooutput *output);

/* How many bytes a vector has. */
static inline uint64_t iooutput_length_of(const struct iovec *vector, int count)
{
    uint64_t length = 0;

    for (int i = 0; i < count; i++)
        length += vector[i].iov_len;
    return length;
}

#endif
