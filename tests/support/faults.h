/* Internal: faults.h, failures of system calls and allocations on order, in process.
 *
 *     for (int nth = 1; faults_system_call("recv", ECONNRESET, nth), scenario(), faults_hit(); nth++)
 *         check_that_nothing_was_lost();
 *
 * The library is linked with the linker's --wrap for each call in faults.mk, so its own calls, and those of the test,
 * come through here. close is special: it closes, then reports the error, as the kernel does. */
#ifndef TESTS_SUPPORT_FAULTS_H
#define TESTS_SUPPORT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

/* The nth call from now on (1: the next) of this name fails with error; sticky: all from that one on. */
void faults_system_call(const char *name, int error, int nth);
void faults_system_call_sticky(const char *name, int error, int nth);

/* Did it, since it was ordered? Also ends it. */
bool faults_hit(void);

/* From now on reads and writes move at most so many bytes a call. 0: no limit. */
void faults_short_io(size_t bytes);

/* How often the call was made since faults_count_reset. */
int faults_count(const char *name);
void faults_count_reset(void);

/* With how many bytes it was called the last time, if it moves bytes. */
size_t faults_asked(const char *name);

/* The nth allocation of the library from now on fails (sticky: and all after it). 0: none. */
void faults_allocation(int nth, bool sticky);

/* Allocations of the library that are not freed yet, and how many it made; both count from the first call of any of
 * these three. */
long faults_allocated(void);
long faults_allocations(void);
size_t faults_allocated_bytes(void);

/* Everything back to normal. */
void faults_end(void);

#endif
