/* Internal: iobudget.h, memory that peers make the library hold: bytes that came and that nobody has taken yet, bodies
 * and messages that are put together, bytes that wait to be sent. The limits of a stream and of a message bound what
 * one peer can have of it; this one bounds what they have together (ioalloc_set_budget).
 *
 * What is over the budget is refused as if there were no memory, but for small pieces: so small requests are served
 * while large ones are refused.
 *
 * Threads: any. */
#ifndef IOLOOP_IOBUDGET_H
#define IOLOOP_IOBUDGET_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc, realloc and free; memory from here goes back here. */
void *iobudget_alloc(size_t size) __attribute__((malloc));
void *iobudget_resize(void *memory, size_t size);
void iobudget_free(void *memory);

/* For memory from elsewhere, that may become the program's: what counted as old bytes counts as so many now, or false
 * and nothing has changed. Less is never refused. */
bool iobudget_count(size_t old, size_t size);

#endif
