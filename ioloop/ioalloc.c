#include "ioloop/ioalloc.h"

#include <stdlib.h>
#include <string.h>

static const struct ioalloc_functions libc_functions = { malloc, realloc, free };
static struct ioalloc_functions functions = { malloc, realloc, free };

void ioalloc_set_functions(const struct ioalloc_functions *replacement)
{
    functions = replacement != NULL ? *replacement : libc_functions;
}

void *ioalloc(size_t size)
{
    return functions.malloc(size);
}

void *ioalloc_zeroed(size_t size)
{
    void *memory = functions.malloc(size);

    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *ioalloc_resize(void *memory, size_t size)
{
    return functions.realloc(memory, size);
}

void *ioalloc_array_resize(void *memory, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return functions.realloc(memory, bytes);
}

char *ioalloc_string(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = functions.malloc(size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

void ioalloc_free(void *memory)
{
    functions.free(memory);
}
