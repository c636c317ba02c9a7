/* Internal: text.h, bytes and how many, for tables of them: zeros may be among them.
 *
 *     static const struct text rows[] = { TEXT("a\0b"), TEXT("") };
 *     for (size_t i = 0; i < COUNT(rows); i++)
 *         take(rows[i].bytes, rows[i].length); */
#ifndef TESTS_SUPPORT_TEXT_H
#define TESTS_SUPPORT_TEXT_H

#include <stddef.h>

struct text {
    const char *bytes;
    size_t length;
};

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

#endif
