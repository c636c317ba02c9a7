/* Internal: webroute.h, one route: does it serve this path, and what are its arguments?
 *
 * Most patterns are compared, not searched: literals, and literals with "(.*)" behind. The others are POSIX extended
 * regular expressions, compiled once in the C locale, tried only on paths that begin as they do. What \d and \w,
 * (?:...) and (?P<name>...) are to Tornado is translated; what would make matching expensive (\1, and more than
 * WEBROUTE_COPIES signs when each is counted as often as {n,m} around it say) or means different things to different
 * readers (a?+, [\d], \b) is refused.
 *
 * Threads: any, once it is made. */
#ifndef HTTPSERVER_WEBROUTE_H
#define HTTPSERVER_WEBROUTE_H

#include <regex.h>
#include <stdint.h>
#include <sys/types.h>

#include "httpserver/web.h"

enum { WEBROUTE_GROUPS = 16, WEBROUTE_PATTERN = 4096, WEBROUTE_COPIES = 1000 };

enum webroute_kind { WEBROUTE_LITERAL, WEBROUTE_REST, WEBROUTE_REGEX };

/* Of a path. offset -1: it took no part in the match. */
struct webroute_group {
    int32_t offset;
    uint32_t length;
};

struct webroute {
    uint64_t word, word_mask; /* how every path begins, as webroute_word has it */
    uint32_t prefix_length;   /* of what every path begins with: of a literal, all */
    uint32_t longest_rest;    /* of a path behind it: 0 for a literal; more than that is a path that is too short */
    char *prefix;
    enum webroute_kind kind;
    struct web_route route; /* the pattern is a copy */
    uint32_t group_count;
    uint32_t with_slash;                 /* a bit for each group: it may match a slash */
    uint8_t group[WEBROUTE_GROUPS];      /* their numbers in the expression */
    uint32_t piece[WEBROUTE_GROUPS + 1]; /* where in text the literal before each argument ends */
    struct {
        const char *start; /* in the pattern; NULL: it has no name */
        uint32_t length;
    } name[WEBROUTE_GROUPS];
    char *text; /* the literals between the arguments; NULL: a path cannot be made of it */
    regex_t regex;
};

struct webroute_table {
    struct webroute *list;
    size_t count;
};

/* Is it nothing but what it says? */
bool webroute_is_literal(const char *pattern);

/* -EINVAL, -ENOMEM; then there is nothing to free. */
int webroute_init(struct webroute *route, const struct web_route *given);
void webroute_free(struct webroute *route);

/* A table of copies, ended by a NULL pattern; given may be NULL. */
int webroute_table_init(struct webroute_table *table, const struct web_route *given);
void webroute_table_free(struct webroute_table *table);

/* 1: it does; 0: it does not; -ENOMEM. path[length] is a NUL unless the kind is WEBROUTE_LITERAL. group:
 * WEBROUTE_GROUPS of them; the first group_count are set. */
int webroute_match(const struct webroute *route, const char *path, size_t length, struct webroute_group *group);

/* The index of a group; -1. */
int webroute_find_group(const struct webroute *route, const char *name);

/* See web_application_reverse_url. */
ssize_t webroute_reverse(const struct webroute *route, const char *const *arguments, size_t count, char *place,
                         size_t size);

/* The first 8 bytes of a path, zeros behind a shorter one. */
static inline uint64_t webroute_word(const char *path, size_t length)
{
    const uint8_t *at = (const uint8_t *)path;
    uint64_t word = 0;

    if (length >= sizeof word) /* compilers make one load of this */
        return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
               (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
    while (length-- > 0)
        word = word << 8 | at[length];
    return word;
}

/* Most routes that are looked at are not the right one: that takes no look at more than the word. */
static inline bool webroute_may_match(const struct webroute *route, uint64_t word, const char *path, size_t length)
{
    if (length - route->prefix_length > route->longest_rest || ((word ^ route->word) & route->word_mask) != 0)
        return false; /* a path that is too short is longer than everything then */
    return route->prefix_length <= sizeof word || __builtin_memcmp(route->prefix, path, route->prefix_length) == 0;
}

#endif
