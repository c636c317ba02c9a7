/* Internal: iobuffer.h, bytes that wait for their reader: one block of memory that grows at its end and is read from
 * its start. NULL is the empty buffer, so whoever holds an empty one holds no memory. */
#ifndef IOLOOP_IOBUFFER_H
#define IOLOOP_IOBUFFER_H

#include <stddef.h>

struct iobuffer {
    size_t start, length, capacity;
    char bytes[]; /* capacity of them and one more, so that a NUL can be put behind any */
};

static inline size_t iobuffer_length(const struct iobuffer *buffer)
{
    return buffer != NULL ? buffer->length : 0;
}

static inline const char *iobuffer_data(const struct iobuffer *buffer)
{
    return buffer != NULL ? buffer->bytes + buffer->start : NULL;
}

/* So many bytes can be put behind those that there are. */
static inline size_t iobuffer_room(const struct iobuffer *buffer)
{
    return buffer != NULL ? buffer->capacity - buffer->start - buffer->length : 0;
}

/* Makes room for so many more bytes and answers where they go; NULL, and nothing changed, without memory. */
char *iobuffer_reserve(struct iobuffer **buffer, size_t size);

/* Counts bytes that were put where reserve said. */
static inline void iobuffer_commit(struct iobuffer *buffer, size_t size)
{
    buffer->length += size;
}

/* 0 or -ENOMEM, and nothing changed. */
int iobuffer_append(struct iobuffer **buffer, const char *data, size_t length);

/* Drops bytes from the start; the last one takes the memory with it. */
void iobuffer_consume(struct iobuffer **buffer, size_t size);
void iobuffer_free(struct iobuffer **buffer);

#endif
