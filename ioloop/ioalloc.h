/* ioalloc.h: where the library's memory comes from; malloc unless a program says otherwise.
 *
 *     ioalloc_set_functions(&(struct ioalloc_functions){ my_malloc, my_realloc, my_free });
 *
 * Every allocation of the library goes through here, so a program can count, limit or fail them. Each may fail: the
 * function that needed it then answers -ENOMEM (a constructor NULL), and the loop goes on serving.
 *
 * Threads: the functions are called from any thread. Set them before the first call of the library. */
#ifndef IOLOOP_IOALLOC_H
#define IOLOOP_IOALLOC_H

#include <stddef.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

struct ioalloc_functions {
    void *(*malloc)(size_t size);
    void *(*realloc)(void *memory, size_t size);
    void (*free)(void *memory);
};

/* NULL goes back to those of libc. The struct is copied. */
void ioalloc_set_functions(const struct ioalloc_functions *functions);

/* Of memory that peers make the library hold (bytes that came and were not taken, bodies and messages that are put
 * together, bytes that wait to be sent) the process has at most so much: 256 MiB. 0 goes back to that; SIZE_MAX: no
 * limit. More than 4 KiB beyond it are refused as if there were no memory: a body is answered with 503, a stream or a
 * WebSocket closes with -ENOMEM, a fetch that collects its body ends with that. So it has to be more than the largest
 * body or page that a program means to handle. A body of the HTTP client counts until on_response has returned, its
 * future is freed, or httpclient_take_body has made it the program's. Threads: any, at any time. */
void ioalloc_set_budget(size_t bytes);
size_t ioalloc_budget_used(void);

/* As malloc, malloc and memset to 0, realloc and free. ioalloc_array_resize answers NULL, and leaves the memory as it
 * is, when count * size overflows. */
void *ioalloc(size_t size) __attribute__((malloc));
void *ioalloc_zeroed(size_t size) __attribute__((malloc));
void *ioalloc_resize(void *memory, size_t size);
void *ioalloc_array_resize(void *memory, size_t count, size_t size);
char *ioalloc_string(const char *text);
void ioalloc_free(void *memory);

IOAPI_END
#endif
