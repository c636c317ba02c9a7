#include "ioloop/iooutput.h"

#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"

#define CHUNK 4000u /* with its head and malloc's about a page */

struct iooutput *iooutput_new(void)
{
    struct iooutput *output = ioalloc(sizeof *output);

    if (output == NULL)
        return NULL;
    *output = (struct iooutput){ .last = &output->first, .last_done = &output->done, .has_moved = true };
    return output;
}

void iooutput_free(struct iooutput *output)
{
    if (output == NULL)
        return;
    for (struct iooutput_segment *segment; (segment = iooutput_take_any(output)) != NULL;)
        iobudget_free(segment);
    ioalloc_free(output);
}

struct iooutput_segment *iooutput_new_segment(size_t room)
{
    struct iooutput_segment *segment = NULL;
    size_t size;

    if (!__builtin_add_overflow(sizeof *segment, room, &size))
        segment = iobudget_alloc(size);
    if (segment != NULL) {
        memset(segment, 0, sizeof *segment);
        segment->file = -1;
        segment->room = room;
        segment->data = segment->bytes;
    }
    return segment;
}

static void add_done(struct iooutput *output, struct iooutput_segment *segment)
{
    segment->next = NULL;
    *output->last_done = segment;
    output->last_done = &segment->next;
}

static struct iooutput_segment *take_first(struct iooutput *output)
{
    struct iooutput_segment *segment = output->first;

    output->first = segment->next;
    if (output->first == NULL)
        output->last = &output->first;
    return segment;
}

static void finish_segment(struct iooutput *output, struct iooutput_segment *segment)
{
    if (segment->callback != NULL || segment->release != NULL)
        add_done(output, segment);
    else
        iobudget_free(segment);
}

/* Those that have nothing left to send and nothing before them. */
static void finish_empty(struct iooutput *output)
{
    while (output->first != NULL && output->first->left == 0)
        finish_segment(output, take_first(output));
}

void iooutput_append(struct iooutput *output, struct iooutput_segment *segment)
{
    segment->next = NULL;
    *output->last = segment;
    output->last = &segment->next;
    output->pending += segment->left;
    if (segment->file >= 0)
        output->in_files += segment->left;
}

void iooutput_prepend(struct iooutput *output, struct iooutput_segment *segment)
{
    segment->next = output->first;
    if (output->first == NULL)
        output->last = &segment->next;
    output->first = segment;
    output->pending += segment->left;
}

static void copy_in(struct iooutput_segment *segment, const struct iovec *vector, int count, uint64_t skip)
{
    for (int i = 0; i < count; i++) {
        if (skip >= vector[i].iov_len) {
            skip -= vector[i].iov_len;
            continue;
        }
        size_t length = vector[i].iov_len - (size_t)skip;
        memcpy((char *)segment->data + segment->left, (const char *)vector[i].iov_base + skip, length);
        segment->left += length;
        segment->room -= length;
        skip = 0;
    }
}

static struct iooutput_segment *last_segment(struct iooutput *output)
{
    if (output->first == NULL)
        return NULL;
    return (struct iooutput_segment *)((char *)output->last - offsetof(struct iooutput_segment, next));
}

bool iooutput_copy(struct iooutput *output, const struct iovec *vector, int count, uint64_t skip,
                   iostream_write_fn *callback, void *arg)
{
    uint64_t length = iooutput_length_of(vector, count) - skip;
    struct iooutput_segment *segment = last_segment(output);

    /* A segment with a callback is whole: what follows it must not hold it up. */
    if (segment == NULL || segment->callback != NULL || segment->room < length) {
        segment = iooutput_new_segment(length < CHUNK && callback == NULL ? CHUNK : (size_t)length);
        if (segment == NULL)
            return false;
        iooutput_append(output, segment);
    }
    copy_in(segment, vector, count, skip);
    output->pending += length;
    segment->callback = callback;
    segment->arg = arg;
    return true;
}

int iooutput_gather(const struct iooutput *output, struct iovec *vector, int capacity)
{
    int count = 0;

    for (struct iooutput_segment *segment = output->first; segment != NULL && count < capacity;
         segment = segment->next) {
        if (segment->left == 0)
            continue;
        if (segment->file >= 0)
            break;
        vector[count++] = (struct iovec){ (void *)segment->data, (size_t)segment->left };
    }
    return count;
}

const struct iooutput_segment *iooutput_first_file(const struct iooutput *output, uint64_t most, uint64_t *before)
{
    uint64_t length = 0;

    for (const struct iooutput_segment *segment = output->first; segment != NULL && length < most;
         segment = segment->next) {
        if (segment->file >= 0) {
            *before = length;
            return segment;
        }
        length += segment->left;
    }
    return NULL;
}

void iooutput_sent(struct iooutput *output, uint64_t count)
{
    output->pending -= count;
    output->has_moved = output->has_moved || count > 0;
    for (struct iooutput_segment *segment = output->first; segment != NULL && count > 0; segment = segment->next) {
        uint64_t part = count < segment->left ? count : segment->left;

        segment->left -= part;
        count -= part;
        if (segment->file >= 0) {
            segment->offset += (int64_t)part;
            output->in_files -= part;
        } else {
            segment->data += part;
        }
    }
    finish_empty(output);
}

bool iooutput_has_moved(struct iooutput *output)
{
    bool has_moved = output->has_moved;

    output->has_moved = false;
    return has_moved;
}

struct iooutput_segment *iooutput_take_done(struct iooutput *output)
{
    struct iooutput_segment *done = output->done;

    output->done = NULL;
    output->last_done = &output->done;
    return done;
}

static struct iooutput_segment *take_first_done(struct iooutput *output)
{
    struct iooutput_segment *segment = output->done;

    output->done = segment->next;
    if (output->done == NULL)
        output->last_done = &output->done;
    return segment;
}

struct iooutput_segment *iooutput_take_any(struct iooutput *output)
{
    if (output->done != NULL)
        return take_first_done(output);
    if (output->first == NULL)
        return NULL;
    struct iooutput_segment *segment = take_first(output);
    output->pending -= segment->left;
    if (segment->file >= 0)
        output->in_files -= segment->left;
    return segment;
}
