/* Internal: guardpage.h, memory that ends where the next byte faults, for what is read and for what is written.
 *
 *     char *place = guardpage_place(3 * length);
 *     httpurl_encode(guardpage_text(text, length), length, place, 0);
 *
 * Lifetime: of each, until the next call. */
#ifndef TESTS_SUPPORT_GUARDPAGE_H
#define TESTS_SUPPORT_GUARDPAGE_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/testing.h"

enum { GUARDPAGE_ROOM = 512 * 1024 };

static inline char *guardpage_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, GUARDPAGE_ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + GUARDPAGE_ROOM, page, PROT_NONE), 0);
    return memory + GUARDPAGE_ROOM;
}

/* A copy of the bytes. */
static inline const char *guardpage_text(const char *bytes, size_t length)
{
    static char *end;

    if (end == NULL)
        end = guardpage_end();
    assert_true(length <= GUARDPAGE_ROOM);
    return length > 0 ? memcpy(end - length, bytes, length) : end;
}

/* The same, with the NUL at its end as the last byte. */
static inline const char *guardpage_string(const char *text)
{
    return guardpage_text(text, strlen(text) + 1);
}

/* So many bytes to write to. */
static inline char *guardpage_place(size_t length)
{
    static char *end;

    if (end == NULL)
        end = guardpage_end();
    assert_true(length <= GUARDPAGE_ROOM);
    return memset(end - length, '#', length);
}

#endif
