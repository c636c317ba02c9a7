/* The way of a stream's output to the kernel: a piece in each iteration, so that others do not wait. */
#include "ioloop/iostreamsend.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/kernel.h"

#define SEND_BUDGET   16           /* calls a wake-up, */
#define SENT_AT_ONCE  (128u << 10) /* and bytes: what the peer cannot read meanwhile only drives others from caches */
#define FILES_AT_ONCE (1u << 20)   /* of files, if the kernel keeps what is no whole segment */
#define FILE_CHUNK    65536u       /* of a file that goes where sendfile does not */

_Static_assert(SENT_AT_ONCE + SENT_AT_ONCE / 2 <= IOSTREAMLAYER_HOLD_BACK,
               "what was held back is looked at once more, and then read on");

ssize_t iostreamlayer_transport_write(struct iostream *stream, const struct iovec *vector, int count, bool more)
{
    if (stream->is_custom)
        return iostreamlayer_transport(stream)->write(iostreamlayer_context(stream), stream->fd, vector, count);
    return stream->is_pipe ? kernel_write_pipe(stream->fd, vector, count)
                           : kernel_send(stream->fd, vector, count, more);
}

void iostreamsend_fail(struct iostream *stream, int error)
{
    if (stream->reads_on && !stream->is_custom && (error == -EPIPE || error == -ECONNRESET)) {
        stream->cannot_send = true;
        looptask_add(stream->loop, &stream->task);
        return;
    }
    if (error != -EPIPE && error != -ECONNRESET && error != -ECONNABORTED && error != -ETIMEDOUT &&
        error != -EPROTOTYPE) /* a word of macOS for a peer that is just going */
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "write error on descriptor %d: %s", stream->fd,
                    ioloop_strerror(error));
    iostreamlayer_fail(stream, error);
}

void iostreamsend_drop_empty(struct iostream *stream)
{
    struct iooutput *output = stream->output;

    if (output == NULL || output->first != NULL || output->done != NULL)
        return;
    iooutput_free(output);
    stream->output = NULL;
}

/* Instead of an error: not the way to the peer has failed, but a file, and the log has been told so. */
#define FILE_FAILED INT_MIN

/* error 0: it has ended. */
static ssize_t fail_file(const struct iostream *stream, int error)
{
    if (error == 0)
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "descriptor %d: a file to be sent ends %llu bytes too soon", stream->fd,
                    (unsigned long long)stream->output->first->left);
    else
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "descriptor %d: a file to be sent cannot be read: %s", stream->fd,
                    ioloop_strerror(error));
    return FILE_FAILED;
}

/* Where sendfile does not lead (pipes, transports from outside, and files and sockets of some kinds: EINVAL), the next
 * bytes of the file become a segment of memory. Answers 0 or an error. */
static ssize_t load_file_chunk(struct iostream *stream)
{
    struct iooutput_segment *file = stream->output->first;
    size_t size = file->left < FILE_CHUNK ? (size_t)file->left : FILE_CHUNK;
    struct iooutput_segment *chunk = iooutput_new_segment(size);

    if (chunk == NULL)
        return -ENOMEM;
    ssize_t count;
    do
        count = pread(file->file, chunk->bytes, size, (off_t)file->offset);
    while (count < 0 && errno == EINTR);
    if (count <= 0) {
        int error = count < 0 ? -errno : 0;
        iobudget_free(chunk);
        return fail_file(stream, error);
    }
    chunk->left = (uint64_t)count;
    chunk->room = 0;
    file->left -= (uint64_t)count;
    file->offset += count;
    stream->output->pending -= (uint64_t)count;
    stream->output->in_files -= (uint64_t)count;
    iooutput_prepend(stream->output, chunk);
    return 0;
}

static ssize_t send_part_of_file(struct iostream *stream, size_t most)
{
    struct iooutput_segment *file = stream->output->first;
    size_t size = file->left < most ? (size_t)file->left : most;
    ssize_t count = kernel_sendfile(stream->fd, file->file, file->offset, size);

    if (count == 0 || count == -EBADF || count == -EIO) /* of a socket that is open this is not said */
        return fail_file(stream, (int)count);
    return count;
}

/* So much of the vector as has at most so many bytes. Answers how many it has. */
static size_t cut_vector(struct iovec *vector, int *count, size_t most)
{
    size_t size = 0;

    for (int i = 0; i < *count; i++) {
        if (vector[i].iov_len >= most - size) {
            vector[i].iov_len = most - size;
            *count = i + 1;
        }
        size += vector[i].iov_len;
    }
    return size;
}

/* Sends once, at most so many bytes. Answers how many, or an error; full: the kernel takes no more now. */
static ssize_t send_once(struct iostream *stream, size_t most, bool *full)
{
    struct iovec vector[IOSTREAMSEND_VECTOR];
    struct iooutput *output = stream->output;
    int count = iooutput_gather(output, vector, IOSTREAMSEND_VECTOR);
    ssize_t sent;

    if (count == 0) {
        sent = stream->is_custom || stream->is_pipe ? -EINVAL : send_part_of_file(stream, most);
        if (sent != -EINVAL) {
            *full = iostreamsend_would_block(sent);
            return *full ? 0 : sent;
        }
        sent = load_file_chunk(stream);
        if (sent < 0)
            return sent;
        count = iooutput_gather(output, vector, IOSTREAMSEND_VECTOR);
    }
    size_t size = cut_vector(vector, &count, most);
    sent = iostreamlayer_transport_write(stream, vector, count, size < output->pending);
    /* A transport has reasons of its own to take less, such as the size of a record. */
    *full = iostreamsend_would_block(sent) || sent == 0 || (sent > 0 && (size_t)sent < size && !stream->is_custom);
    return iostreamsend_would_block(sent) ? 0 : sent;
}

void iostreamsend_note_progress(struct iostream *stream)
{
    struct iostreamlayer_extras *extras = stream->extras;

    if (extras != NULL && extras->over_high_water && iostreamsend_queued(stream) <= extras->high_water / 4) {
        extras->over_high_water = false;
        extras->drained = true;
        looptask_add(stream->loop, &stream->task);
    }
    if (stream->output != NULL && stream->output->done != NULL)
        looptask_add(stream->loop, &stream->task);
    if (stream->hold_back && stream->is_fresh && !iostreamlayer_is_held_back(stream))
        looptask_add(stream->loop, &stream->task); /* what is unread was held back too */
    iostreamsend_drop_empty(stream);
    if (iostreamsend_queued(stream) == 0)
        iostreamlayer_try_shutdown(stream);
}

/* sendfile sends the end of each piece at once, for it does not know that the next follows; and a few bytes in a packet
 * of their own behind some full ones cost both sides half as much again within a machine, where segments have 64 KiB.
 * So the kernel keeps what is no whole segment until all files are through, or else a piece is whole segments. */
static void choose_piece_of_files(const struct iostream *stream)
{
    struct iooutput *output = stream->output;
    socklen_t length = sizeof(int);
    int segment = 0; /* not of TCP; else a number of 16 bits */

    output->is_corked = !stream->is_custom && kernel_cork(stream->fd);
    output->piece = output->is_corked ? FILES_AT_ONCE : SENT_AT_ONCE;
    if (!output->is_corked)
        getsockopt(stream->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &length);
    if (segment > 0)
        output->piece -= SENT_AT_ONCE % (unsigned)segment;
}

static void uncork_behind_files(const struct iostream *stream)
{
    struct iooutput *output = stream->output;

    if (output->in_files > 0)
        return;
    if (output->is_corked)
        kernel_uncork(stream->fd);
    output->piece = 0;
    output->is_corked = false;
}

/* How many bytes of what waits are sent in one iteration. What is a little more than a piece goes as one. Of a file a
 * piece ends where those do which the kernel makes of it, as many pages as a pipe has room for: elsewhere each of ours
 * costs one more of those. */
static size_t piece_of_output(const struct iostream *stream)
{
    struct iooutput *output = stream->output;
    uint64_t before;

    if (output->pending < SENT_AT_ONCE + SENT_AT_ONCE / 2)
        return (size_t)output->pending;
    if (output->in_files < SENT_AT_ONCE)
        return SENT_AT_ONCE;
    if (output->piece == 0)
        choose_piece_of_files(stream);
    if (!output->is_corked)
        return output->piece;
    const struct iooutput_segment *file = iooutput_first_file(output, SENT_AT_ONCE, &before);
    if (file == NULL)
        return SENT_AT_ONCE;
    uint64_t room = output->piece - before;
    uint64_t part = file->left <= room ? file->left : room - ((uint64_t)file->offset + room) % FILE_CHUNK;
    return (size_t)(before + part);
}

void iostreamlayer_send_output(struct iostream *stream)
{
    bool full = false;

    if (!iostreamsend_may(stream) || iostreamsend_is_corked(stream) || stream->output == NULL)
        return;
    iooutput_sent(stream->output, 0); /* so that the first has something to send */
    size_t piece = piece_of_output(stream), left = piece;
    for (int i = 0; i < SEND_BUDGET && !full && left > 0 && stream->output->pending > 0; i++) {
        ssize_t sent = send_once(stream, left, &full);
        if (sent < 0) {
            if (sent == FILE_FAILED)
                iostreamlayer_fail(stream, -EIO);
            else
                iostreamsend_fail(stream, (int)sent);
            return;
        }
        iooutput_sent(stream->output, (uint64_t)sent);
        left -= (size_t)sent;
    }
    if (left < piece)
        iostreamsend_touch(stream);
    iooutput_sent(stream->output, 0);
    uncork_behind_files(stream);
    stream->output->sends_on = !full && stream->output->pending > 0;
    if (stream->output->sends_on)
        looptask_add(stream->loop, &stream->task);
    iostreamsend_note_progress(stream);
    iostreamlayer_update_interest(stream);
}
