#include "ioloop/iobuffer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ioloop/iobudget.h"

#define SMALLEST 256u

/* Room for at least as much as is moved, so that a byte is moved a constant number of times, whatever pieces it came
 * in, also in a buffer that is read as fast as it grows. */
static size_t grown_capacity(const struct iobuffer *buffer, size_t size)
{
    size_t length = iobuffer_length(buffer);
    size_t needed, capacity = buffer != NULL ? buffer->capacity : SMALLEST / 2;

    if (__builtin_add_overflow(length, size > length ? size : length, &needed) || needed > (size_t)-1 / 4)
        return 0;
    while (capacity < needed)
        capacity *= 2;
    return capacity;
}

/* One that is read from its beginning may grow where it is: the kernel moves large ones without copying them. */
static struct iobuffer *grow_buffer(struct iobuffer *old, size_t capacity)
{
    size_t length = iobuffer_length(old);
    bool stays = old == NULL || old->start == 0;
    struct iobuffer *grown = iobudget_resize(stays ? old : NULL, sizeof *grown + capacity + 1);

    if (grown == NULL)
        return NULL;
    if (!stays) {
        memcpy(grown->bytes, old->bytes + old->start, length);
        iobudget_free(old);
    }
    *grown = (struct iobuffer){ 0, length, capacity };
    return grown;
}

char *iobuffer_reserve(struct iobuffer **buffer, size_t size)
{
    struct iobuffer *old = *buffer;

    if (old != NULL && iobuffer_room(old) >= size)
        return old->bytes + old->start + old->length;
    /* Moving down is worth it only when it makes room for as much as is moved. */
    if (old != NULL && old->capacity - old->length >= size && old->start >= old->length) {
        memmove(old->bytes, old->bytes + old->start, old->length);
        old->start = 0;
        return old->bytes + old->length;
    }
    size_t capacity = grown_capacity(old, size);
    struct iobuffer *grown = capacity != 0 ? grow_buffer(old, capacity) : NULL;
    if (grown == NULL)
        return NULL;
    *buffer = grown;
    return grown->bytes + grown->length;
}

int iobuffer_append(struct iobuffer **buffer, const char *data, size_t length)
{
    if (length == 0)
        return 0;
    char *place = iobuffer_reserve(buffer, length);
    if (place == NULL)
        return -ENOMEM;
    memcpy(place, data, length);
    iobuffer_commit(*buffer, length);
    return 0;
}

void iobuffer_consume(struct iobuffer **buffer, size_t size)
{
    struct iobuffer *held = *buffer;

    if (size == 0)
        return;
    held->start += size;
    held->length -= size;
    if (held->length == 0)
        iobuffer_free(buffer);
}

void iobuffer_free(struct iobuffer **buffer)
{
    iobudget_free(*buffer);
    *buffer = NULL;
}
