/* Routes: a pattern, a NUL, a path. Whatever shortcuts a route takes, it matches what the regular expression alone
 * matches, with the same groups, which are parts of the path; what cannot match is not tried. A path that was made of
 * arguments has the literals where they were. */
#include <stdlib.h>
#include <string.h>

#include "httpserver/webroute.h"
#include "tests/fuzz/fuzz.h"

enum { LONGEST_PATTERN = 64, LONGEST_PATH = 128, MOST_BRACES = 2 };

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* Patterns are the program's. Those that make an expression of gigabytes are its own fault. */
static bool is_small(const char *pattern)
{
    int braces = 0;

    for (const char *byte = pattern; *byte != '\0'; byte++) {
        braces += *byte == '{';
        if (*byte >= '0' && *byte <= '9' && byte[1] >= '0' && byte[1] <= '9')
            return false;
    }
    return strlen(pattern) <= LONGEST_PATTERN && braces <= MOST_BRACES;
}

/* The same pattern, with an alternative that no path here has: nothing is known of its beginning. */
static bool init_without_shortcuts(struct webroute *route, const char *pattern)
{
    char text[LONGEST_PATTERN + 16];
    size_t length = strlen(pattern);

    if (strpbrk(pattern, "\\[()*+?{}|^$") == NULL || pattern[0] == '^' || pattern[length - 1] == '$')
        return false; /* a literal, in which "." is no sign; or "^" would not be at the beginning */
    strcpy(text, "(?:");
    strcat(text, pattern);
    strcat(text, "|\n\n\n)");
    return webroute_init(route, &(struct web_route){ .pattern = text }) == 0;
}

static void check_groups(const struct webroute_group *group, uint32_t count, size_t length)
{
    for (uint32_t i = 0; i < count; i++) {
        if (group[i].offset < 0)
            CHECK(group[i].offset == -1 && group[i].length == 0);
        else
            CHECK((size_t)group[i].offset <= length && group[i].length <= length - (size_t)group[i].offset);
    }
}

static void check_against_expression(const struct webroute *route, const char *path, size_t length)
{
    struct webroute_group group[WEBROUTE_GROUPS], expected[WEBROUTE_GROUPS];
    struct webroute plain;
    int matches = webroute_match(route, path, length, group);

    CHECK(matches == 0 || matches == 1);
    CHECK(matches == 0 || webroute_may_match(route, webroute_word(path, length), path, length));
    if (matches == 1)
        check_groups(group, route->group_count, length);
    if (memchr(path, '\n', length) != NULL || memchr(path, '\0', length) != NULL ||
        !init_without_shortcuts(&plain, route->route.pattern))
        return;
    CHECK(webroute_match(&plain, path, length, expected) == matches);
    CHECK(plain.group_count == route->group_count);
    if (matches == 1)
        CHECK(memcmp(group, expected, route->group_count * sizeof *group) == 0);
    webroute_free(&plain);
}

static void check_reverse(const struct webroute *route)
{
    const char *arguments[WEBROUTE_GROUPS];
    char place[LONGEST_PATTERN + WEBROUTE_GROUPS * 3 + 1];
    size_t used = 0, from = 0;

    for (uint32_t i = 0; i < route->group_count; i++)
        arguments[i] = "?";
    ssize_t length = webroute_reverse(route, arguments, route->group_count, place, sizeof place);
    if (length < 0)
        return;
    CHECK(strlen(place) == (size_t)length);
    for (uint32_t i = 0; i <= route->group_count; i++) {
        size_t literal = route->piece[i] - from;

        CHECK(memcmp(place + used, route->text + from, literal) == 0);
        used += literal;
        from += literal;
        if (i < route->group_count)
            CHECK(memcmp(place + used, "%3F", 3) == 0);
        used += i < route->group_count ? 3 : 0;
    }
    CHECK(used == (size_t)length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\0', size);
    struct webroute route;

    if (end == NULL || !is_small((const char *)data))
        return 0;
    size_t length = size - (size_t)(end + 1 - data);
    if (length > LONGEST_PATH || webroute_init(&route, &(struct web_route){ .pattern = (const char *)data }) < 0)
        return 0;
    char *path = malloc(length + 1);
    CHECK(path != NULL);
    memcpy(path, end + 1, length);
    path[length] = '\0';
    check_against_expression(&route, path, length);
    check_reverse(&route);
    free(path);
    webroute_free(&route);
    return 0;
}
