/* The read operations of iostream.h: consumers that know what they wait for. */
#include <errno.h>
#include <string.h>

#include "ioloop/bytesregex.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/loopfront.h"

#define DEFAULT_MAX_BYTES 65536u
#define LONGEST_DELIMITER 256u
#define SHORT_DELIMITER   16u

struct read_op {
    struct iostreamlayer_place place; /* of read_into: where it goes on */
    iostream_read_fn *callback;
    void *arg;
    uint64_t wanted; /* bytes; of the untils max_bytes */
    size_t scanned;  /* unread bytes in which no delimiter begins */
    union {
        char *into; /* where it began */
        const regex_t *regex;
        char short_delimiter[SHORT_DELIMITER];
        char *long_delimiter;
    } with;
    uint16_t delimiter_length;
    bool partial; /* any number of bytes up to what is wanted will do; or nobody knows how many are missing */
    bool is_into;
    bool until_close;
};

_Static_assert(sizeof(struct read_op) <= LOOPFRONT_SPARE, "a read_op lives in a spare block");

/* Beginning and ending. */

static int check_read(const struct iostream *stream)
{
    if (stream->is_closed)
        return -EBADF;
    if (stream->consumer != NULL)
        return -EALREADY;
    if (stream->end != 0 && stream->input == NULL)
        return iostreamlayer_end(stream);
    return 0;
}

static struct read_op *new_op(struct iostream *stream, uint64_t wanted, iostream_read_fn *callback, void *arg,
                              int *error)
{
    *error = callback == NULL ? -EINVAL : check_read(stream);
    if (*error < 0)
        return NULL;
    struct read_op *op = loopfront_take_spare(stream->loop);
    if (op == NULL)
        *error = -ENOMEM;
    else
        *op = (struct read_op){ .callback = callback, .arg = arg, .wanted = wanted };
    return op;
}

static void begin(struct iostream *stream, struct read_op *op, iostream_consumer_fn *consumer)
{
    iostreamlayer_begin_read(stream, consumer, op, op->wanted == 0 && consumer != NULL);
    stream->is_read_op = true;
}

static void free_op(struct iostream *stream, struct read_op *op)
{
    if (op->delimiter_length > SHORT_DELIMITER)
        ioalloc_free(op->with.long_delimiter);
    loopfront_give_spare(stream->loop, op);
}

/* The way into read callbacks, but for the pieces of streaming ones. The op is gone before, so that the callback can
 * begin the next one. */
static void complete(struct iostream *stream, struct read_op *op, int error, const char *data, size_t length)
{
    iostream_read_fn *callback = op->callback;
    void *arg = op->arg;

    iostreamlayer_end_read(stream);
    free_op(stream, op);
    callback(stream, error, data, length, arg);
}

size_t iostreamlayer_missing(const struct iostream *stream)
{
    const struct read_op *op = stream->consumer_arg;

    if (stream->consumer == NULL || op->wanted > SIZE_MAX)
        return 0;
    size_t unread = iobuffer_length(stream->input);
    return !op->partial && op->wanted > unread ? (size_t)op->wanted - unread : 0;
}

/* read_bytes, partial or not. */

static size_t consume_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct read_op *op = arg;
    size_t enough = op->partial && op->wanted > 0 ? 1 : (size_t)op->wanted;

    if (length >= enough) {
        size_t count = length < op->wanted ? length : (size_t)op->wanted;
        complete(stream, op, 0, data, count);
        return count;
    }
    if (error < 0)
        complete(stream, op, error, NULL, 0);
    return 0;
}

static int read_bytes(struct iostream *stream, size_t length, bool partial, iostream_read_fn *callback, void *arg)
{
    int error;

    if (!partial && length > iostreamlayer_max_buffer(stream))
        return stream->is_closed ? -EBADF : -ENOBUFS;
    struct read_op *op = new_op(stream, length, callback, arg, &error);
    if (op == NULL)
        return error;
    op->partial = partial;
    begin(stream, op, consume_bytes);
    return 0;
}

int iostream_read_bytes(struct iostream *stream, size_t length, iostream_read_fn *callback, void *arg)
{
    return read_bytes(stream, length, false, callback, arg);
}

int iostream_read_bytes_partial(struct iostream *stream, size_t max_bytes, iostream_read_fn *callback, void *arg)
{
    return read_bytes(stream, max_bytes, true, callback, arg);
}

/* read_into, partial or not. Bytes come from the unread ones first, then straight from the transport. */

static size_t length_into(const struct read_op *op)
{
    return (size_t)(op->place.memory - op->with.into);
}

static size_t consume_into(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct read_op *op = arg;
    size_t count = length < op->place.size ? length : op->place.size;

    if (count > 0) {
        if (data != op->place.memory)
            memcpy(op->place.memory, data, count);
        op->place.memory += count;
        op->place.size -= count;
    }
    if (op->place.size == 0 || (op->partial && length_into(op) > 0))
        complete(stream, op, 0, op->with.into, length_into(op));
    else if (error < 0)
        complete(stream, op, error, op->with.into, length_into(op));
    return count;
}

static int read_into(struct iostream *stream, void *buffer, size_t length, bool partial, iostream_read_fn *callback,
                     void *arg)
{
    int error;
    struct read_op *op = new_op(stream, length, callback, arg, &error);

    if (op == NULL)
        return error;
    op->partial = partial;
    op->is_into = true;
    op->with.into = buffer;
    op->place = (struct iostreamlayer_place){ buffer, length };
    iostreamlayer_begin_placed_read(stream, consume_into, op, length == 0);
    stream->is_read_op = true;
    return 0;
}

int iostream_read_into(struct iostream *stream, void *buffer, size_t length, iostream_read_fn *callback, void *arg)
{
    return read_into(stream, buffer, length, false, callback, arg);
}

int iostream_read_into_partial(struct iostream *stream, void *buffer, size_t length, iostream_read_fn *callback,
                               void *arg)
{
    return read_into(stream, buffer, length, true, callback, arg);
}

/* read_until and read_until_regex. */

static void log_unsatisfiable(const struct iostream *stream)
{
    iolog_write(IOLOG_GENERAL, IOLOG_INFO, "unsatisfiable read, closing descriptor %d: no match within max_bytes",
                stream->fd);
}

/* A match that ends at end (0: there is none) in what is unread. A match beyond max_bytes is none, and then there can
 * be none any more. */
static size_t settle_until(struct iostream *stream, struct read_op *op, int error, const char *data, size_t length,
                           size_t end)
{
    if (end > 0 && end <= op->wanted) {
        complete(stream, op, 0, data, end);
        return end;
    }
    if (end > op->wanted || length >= op->wanted) {
        log_unsatisfiable(stream);
        iostreamlayer_fail(stream, -EMSGSIZE);
        complete(stream, op, -EMSGSIZE, NULL, 0);
    } else if (error < 0) {
        complete(stream, op, error, NULL, 0);
    }
    return 0;
}

static const char *delimiter_of(const struct read_op *op)
{
    return op->delimiter_length > SHORT_DELIMITER ? op->with.long_delimiter : op->with.short_delimiter;
}

/* Each byte is searched once, except for the few in which a delimiter may have begun. */
static size_t consume_until(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct read_op *op = arg;
    size_t from = op->scanned <= length ? op->scanned : 0;
    const char *hit = memmem(data + from, length - from, delimiter_of(op), op->delimiter_length);
    size_t end = hit != NULL ? (size_t)(hit - data) + op->delimiter_length : 0;

    if (length >= op->delimiter_length)
        op->scanned = length - op->delimiter_length + 1u;
    return settle_until(stream, op, error, data, length, end);
}

int iostream_read_until_bytes(struct iostream *stream, const void *delimiter, size_t delimiter_length, size_t max_bytes,
                              iostream_read_fn *callback, void *arg)
{
    int error;

    if (delimiter_length == 0 || delimiter_length > LONGEST_DELIMITER)
        return -EINVAL;
    struct read_op *op = new_op(stream, max_bytes != 0 ? max_bytes : DEFAULT_MAX_BYTES, callback, arg, &error);
    if (op == NULL)
        return error;
    char *place = op->with.short_delimiter;
    if (delimiter_length > SHORT_DELIMITER)
        place = op->with.long_delimiter = ioalloc(delimiter_length);
    if (place == NULL) {
        loopfront_give_spare(stream->loop, op);
        return -ENOMEM;
    }
    memcpy(place, delimiter, delimiter_length);
    op->partial = true;
    op->delimiter_length = (uint16_t)delimiter_length;
    begin(stream, op, consume_until);
    return 0;
}

int iostream_read_until(struct iostream *stream, const char *delimiter, size_t max_bytes, iostream_read_fn *callback,
                        void *arg)
{
    return iostream_read_until_bytes(stream, delimiter, strlen(delimiter), max_bytes, callback, arg);
}

/* Every buffer of ours has room for a NUL behind the bytes. An empty match is none: it would be there without a byte,
 * for ever. */
static size_t consume_until_regex(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct read_op *op = arg;
    size_t end = 0;

    if (length > 0) {
        ((char *)data)[length] = '\0';
        end = bytesregex_find(op->with.regex, data, length);
    }
    return settle_until(stream, op, error, data, length, end);
}

int iostream_read_until_regex(struct iostream *stream, const regex_t *regex, size_t max_bytes,
                              iostream_read_fn *callback, void *arg)
{
    int error;

    if (max_bytes > INT32_MAX)
        return -EINVAL;
    struct read_op *op = new_op(stream, max_bytes != 0 ? max_bytes : DEFAULT_MAX_BYTES, callback, arg, &error);
    if (op == NULL)
        return error;
    op->partial = true;
    op->with.regex = regex;
    begin(stream, op, consume_until_regex);
    return 0;
}

/* read_until_close. */

static size_t consume_until_close(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct read_op *op = arg;

    if (length > op->wanted) {
        size_t most = (size_t)op->wanted;
        iostreamlayer_fail(stream, -ENOBUFS);
        complete(stream, op, -ENOBUFS, data, most);
        return length;
    }
    if (error == 0)
        return 0;
    complete(stream, op, error == -ESHUTDOWN ? 0 : error, data, length);
    return length;
}

int iostream_read_until_close(struct iostream *stream, size_t max_bytes, iostream_read_fn *callback, void *arg)
{
    int error;
    size_t most = iostreamlayer_max_buffer(stream);
    struct read_op *op = new_op(stream, max_bytes != 0 && max_bytes < most ? max_bytes : most, callback, arg, &error);

    if (op == NULL)
        return error;
    op->partial = true;
    begin(stream, op, consume_until_close);
    return 0;
}

/* The streaming ones. The op stays while its callback runs with a piece; a stream that is closed in there is told of
 * its end by iostreamlayer_finish. */

static size_t consume_streaming(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct read_op *op = arg;
    size_t count = length < op->wanted ? length : (size_t)op->wanted;

    if (count > 0) {
        if (!op->until_close)
            op->wanted -= count;
        op->callback(stream, 0, data, count, op->arg);
        if (stream->consumer != consume_streaming)
            return count; /* cancelled: that completes it */
    }
    if (op->wanted == 0)
        complete(stream, op, 0, NULL, 0);
    else if (error < 0)
        complete(stream, op, op->until_close && error == -ESHUTDOWN ? 0 : error, NULL, 0);
    return count;
}

int iostream_read_bytes_streaming(struct iostream *stream, uint64_t length, iostream_read_fn *callback, void *arg)
{
    int error;
    struct read_op *op = new_op(stream, length, callback, arg, &error);

    if (op == NULL)
        return error;
    op->partial = true;
    begin(stream, op, consume_streaming);
    return 0;
}

int iostream_read_until_close_streaming(struct iostream *stream, iostream_read_fn *callback, void *arg)
{
    int error;
    struct read_op *op = new_op(stream, UINT64_MAX, callback, arg, &error);

    if (op == NULL)
        return error;
    op->partial = true;
    op->until_close = true;
    begin(stream, op, consume_streaming);
    return 0;
}

/* Cancelling. */

static size_t consume_cancelled(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    complete(stream, arg, -ECANCELED, NULL, 0);
    return 0;
}

void iostream_cancel_read(struct iostream *stream)
{
    if (!stream->is_read_op || stream->is_closed)
        return;
    struct read_op *op = stream->consumer_arg;
    if (op->is_into && iobuffer_append(&stream->input, op->with.into, length_into(op)) < 0) {
        iostreamlayer_fail(stream, -ENOMEM);
        return;
    }
    op->partial = true;
    op->is_into = false; /* the caller has its memory back */
    iostreamlayer_begin_read(stream, consume_cancelled, op, true);
}
