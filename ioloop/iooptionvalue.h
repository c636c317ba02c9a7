/* Internal: iooptionvalue.h, texts of options as values, and back. Pure functions, the same in every locale; blanks
 * around a text do not count. Each that reads answers NULL, or why the text is no such value. */
#ifndef IOLOOP_IOOPTIONVALUE_H
#define IOLOOP_IOOPTIONVALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

const char *iooptionvalue_boolean(const char *text, size_t length, bool *value);
const char *iooptionvalue_integer(const char *text, size_t length, int64_t *value);
const char *iooptionvalue_number(const char *text, size_t length, double *value);
const char *iooptionvalue_duration(const char *text, size_t length, double *seconds);
const char *iooptionvalue_datetime(const char *text, size_t length, struct tm *value);

/* "a:b", or "a", which is a:a. */
const char *iooptionvalue_range(const char *text, size_t length, int64_t *first, int64_t *last);

/* Which of "zero|one|two" the text is, in any case; -1: none. place: the one there, of so many bytes. */
int iooptionvalue_choice(const char *choices, const char *text, size_t length, const char **place, size_t *size);

/* The shortest that is read as the same number. Answers its length. */
#define IOOPTIONVALUE_NUMBER_SIZE 32
size_t iooptionvalue_format_number(double value, char place[IOOPTIONVALUE_NUMBER_SIZE]);

#endif
