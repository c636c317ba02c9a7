#include "httpserver/webroute.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"
#include "ioloop/kernel.h"

/* From pattern to expression. One pass, a function for each kind of sign; what it makes of a sign is at most
 * LONGEST_SIGN bytes. */

#define LONGEST_SIGN 12 /* "[[:alnum:]_]" */

struct translation {
    struct webroute *route;
    const char *next;  /* of the pattern */
    char *regex;       /* the end of what there is of it */
    char *text;        /* and of the literals */
    unsigned opened;   /* parentheses so far */
    unsigned depth;    /* those that are open */
    bool in_prefix;    /* nothing but literals so far */
    bool can_repeat;   /* something that * can follow */
    bool alternatives; /* "|" outside of parentheses */
    bool reversible;
    bool is_rest;
    bool after_group;          /* what * would follow is a group */
    uint32_t before_group;     /* prefix_length where the outermost open group began */
    uint32_t copies;           /* of signs that {n,m} repeat: an expression becomes so long in libc */
    uint32_t sign_size;        /* of what can be repeated, in signs that are repeated themselves */
    uint32_t sizes[UCHAR_MAX]; /* of what is in each open group, and, first, outside */
};

/* A sign, or a group of that many. */
static void add_size(struct translation *to, uint32_t size)
{
    to->sign_size = size;
    to->sizes[to->depth] += size;
}

/* A path that is made of the pattern may have slashes in this group. */
static void note_slash(struct translation *to)
{
    if (to->depth > 0 && to->route->group_count > 0)
        to->route->with_slash |= 1U << (to->route->group_count - 1);
}

static void emit(struct translation *to, const char *text)
{
    size_t length = strlen(text);

    memcpy(to->regex, text, length);
    to->regex += length;
}

/* A byte that stands for itself; in brackets it does everywhere, but for ^ and \, which stand for themselves with \. */
static void take_literal_byte(struct translation *to, char byte)
{
    if (strchr(".[]{}()*+?^$|\\", byte) != NULL && byte != '}' && byte != ']')
        *to->regex++ = '\\';
    if (byte == '}' || byte == ']')
        *to->regex++ = '[';
    *to->regex++ = byte;
    if (byte == '}' || byte == ']')
        *to->regex++ = ']';
    if (to->in_prefix)
        to->route->prefix[to->route->prefix_length++] = byte;
    if (to->depth == 0)
        *to->text++ = byte;
    if (byte == '/')
        note_slash(to);
    add_size(to, 1);
    to->can_repeat = true;
    to->after_group = false;
}

/* Something that stands for several bytes. */
static void take_set(struct translation *to, const char *regex)
{
    emit(to, regex);
    add_size(to, 1);
    to->in_prefix = to->after_group = false;
    to->can_repeat = true;
    if (to->depth == 0)
        to->reversible = false;
}

static int take_escape(struct translation *to)
{
    char byte = *to->next++;

    if (byte == 'd')
        return take_set(to, "[0-9]"), 0;
    if (byte == 'w')
        return take_set(to, "[[:alnum:]_]"), 0;
    if (byte == '\0' || strchr(".[]{}()*+?^$|\\/-", byte) == NULL)
        return -EINVAL;
    return take_literal_byte(to, byte), 0;
}

/* "." is a literal for those who make paths of the pattern, as "/robots.txt" is what is meant. */
static void take_dot(struct translation *to)
{
    emit(to, ".");
    add_size(to, 1);
    note_slash(to);
    to->in_prefix = false;
    to->can_repeat = true;
    to->after_group = false;
    if (to->depth == 0)
        *to->text++ = '.';
}

/* [...]; a backslash would be one to POSIX, and something else to Tornado. */
static int take_bracket(struct translation *to)
{
    const char *from = to->next - 1, *end = to->next;

    if (*end == '^')
        end++;
    if (*end == ']')
        end++;
    for (; *end != ']'; end++) {
        if (*end == '\0' || *end == '\\')
            return -EINVAL;
        if (end[0] == '[' && (end[1] == ':' || end[1] == '.' || end[1] == '=')) {
            char kind = end[1];

            for (end += 2; !(end[0] == kind && end[1] == ']'); end++) {
                if (end[0] == '\0')
                    return -EINVAL;
            }
            end++;
        }
    }
    take_set(to, "");
    if ((memchr(from, '/', (size_t)(end - from)) != NULL) != (from[1] == '^'))
        note_slash(to);
    memcpy(to->regex, from, (size_t)(end + 1 - from));
    to->regex += end + 1 - from;
    to->next = end + 1;
    return 0;
}

/* What is in the outermost group need not be in a path. */
static void take_back_group(struct translation *to)
{
    to->in_prefix = false;
    if (to->route->prefix_length > to->before_group)
        to->route->prefix_length = to->before_group;
}

/* The larger of the numbers in {n,m}, but no more than is refused anyway. */
static uint32_t most_times(const char *at)
{
    uint32_t most = 1, number = 0;

    for (; *at != '}'; at++) {
        number = *at == ',' ? 0 : number * 10 + (uint32_t)(*at - '0');
        if (number > WEBROUTE_COPIES)
            return WEBROUTE_COPIES + 1;
        if (number > most)
            most = number;
    }
    return most;
}

/* False: there are too many. Those of inner groups count once more in outer ones. */
static bool add_copies(struct translation *to, uint32_t times)
{
    uint64_t size = (uint64_t)to->sign_size * times;

    if (to->copies + size > WEBROUTE_COPIES)
        return false;
    to->copies += (uint32_t)size;
    add_size(to, (uint32_t)size - to->sign_size);
    return true;
}

/* * + ? {n} {n,} {n,m}: of what was before, once. It takes back that this was a literal. */
static int take_repetition(struct translation *to)
{
    const char *from = to->next - 1, *end = to->next;

    if (!to->can_repeat)
        return -EINVAL;
    if (*from == '{') {
        if (*end < '0' || *end > '9')
            return -EINVAL;
        while ((*end >= '0' && *end <= '9') || *end == ',')
            end++;
        if (*end++ != '}' || !add_copies(to, most_times(from + 1)))
            return -EINVAL;
    }
    memcpy(to->regex, from, (size_t)(end - from));
    to->regex += end - from;
    to->next = end;
    if (to->after_group)
        take_back_group(to);
    else if (to->in_prefix)
        to->route->prefix_length--;
    to->in_prefix = to->can_repeat = false;
    if (to->depth == 0)
        to->reversible = false;
    return 0;
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

/* The name in (?P<name>...), which no other group has. */
static int take_group_name(struct translation *to)
{
    struct webroute *route = to->route;
    const char *start = to->next, *end = start;

    while (is_name_byte(*end))
        end++;
    size_t length = (size_t)(end - start);
    if (length == 0 || *end != '>')
        return -EINVAL;
    for (uint32_t i = 0; i < route->group_count; i++) {
        if (route->name[i].length == length && memcmp(route->name[i].start, start, length) == 0)
            return -EINVAL;
    }
    route->name[route->group_count].start = start;
    route->name[route->group_count].length = (uint32_t)length;
    to->next = end + 1;
    return 0;
}

/* Number 1 in the expression is the whole. */
static int add_group(struct translation *to)
{
    struct webroute *route = to->route;

    if (to->depth > 0)
        to->reversible = false;
    route->group[route->group_count] = (uint8_t)(to->opened + 1);
    route->piece[route->group_count++] = (uint32_t)(to->text - route->text);
    if (to->opened == 1 && to->in_prefix && (strcmp(to->next, ".*)") == 0 || strcmp(to->next, ".*)$") == 0))
        to->is_rest = true;
    return 0;
}

static int take_open(struct translation *to)
{
    bool counts = true;

    if (to->opened == UCHAR_MAX - 1 || to->route->group_count == WEBROUTE_GROUPS)
        return -EINVAL;
    if (strncmp(to->next, "?:", 2) == 0) {
        counts = false;
        to->next += 2;
        to->reversible = false;
    } else if (strncmp(to->next, "?P<", 3) == 0) {
        to->next += 3;
        int error = take_group_name(to);
        if (error < 0)
            return error;
    } else if (*to->next == '?') {
        return -EINVAL;
    }
    to->opened++;
    if (counts)
        add_group(to);
    if (to->depth++ == 0 && to->in_prefix)
        to->before_group = to->route->prefix_length;
    to->can_repeat = false;
    to->sizes[to->depth] = 0;
    emit(to, "(");
    return 0;
}

static int take_close(struct translation *to)
{
    if (to->depth == 0)
        return -EINVAL;
    to->depth--;
    add_size(to, to->sizes[to->depth + 1]);
    to->can_repeat = to->after_group = true;
    emit(to, ")");
    return 0;
}

/* ^ and $, where they are true: at the ends of the pattern they say what is so anyway. */
static int take_anchor(struct translation *to, char anchor)
{
    bool at_end = anchor == '^' ? to->next - 1 == to->route->route.pattern : *to->next == '\0';

    to->can_repeat = false;
    return at_end ? 0 : -EINVAL;
}

static int take_sign(struct translation *to)
{
    char sign = *to->next++;

    switch (sign) {
    case '\\':
        return take_escape(to);
    case '.':
        return take_dot(to), 0;
    case '[':
        return take_bracket(to);
    case '*':
    case '+':
    case '?':
    case '{':
        return take_repetition(to);
    case '(':
        return take_open(to);
    case ')':
        return take_close(to);
    case '^':
    case '$':
        return take_anchor(to, sign);
    case '|':
        emit(to, "|");
        take_back_group(to);
        to->can_repeat = false;
        to->alternatives = to->alternatives || to->depth == 0;
        return 0;
    default:
        return take_literal_byte(to, sign), 0;
    }
}

static int compile_regex(regex_t *regex, const char *text)
{
    int error = kernel_regcomp(regex, text, REG_EXTENDED);

    return error == 0 ? 0 : error == REG_ESPACE ? -ENOMEM : -EINVAL;
}

static int translate_pattern(struct webroute *route, char *regex)
{
    struct translation to = { .route = route,
                              .next = route->route.pattern,
                              .regex = regex,
                              .text = route->text,
                              .in_prefix = true,
                              .reversible = true };
    int error = 0;

    emit(&to, "^(");
    while (error == 0 && *to.next != '\0')
        error = take_sign(&to);
    if (error < 0 || to.depth > 0)
        return -EINVAL;
    emit(&to, ")$");
    *to.regex = '\0';
    route->piece[route->group_count] = (uint32_t)(to.text - route->text);
    if (to.alternatives)
        route->prefix_length = 0;
    route->kind = to.in_prefix && to.opened == 0 ? WEBROUTE_LITERAL : to.is_rest ? WEBROUTE_REST : WEBROUTE_REGEX;
    if (!to.reversible || to.alternatives) {
        ioalloc_free(route->text);
        route->text = NULL;
    }
    return route->kind == WEBROUTE_REGEX ? compile_regex(&route->regex, regex) : 0;
}

/* Life. */

bool webroute_is_literal(const char *pattern)
{
    return strpbrk(pattern, "\\[()*+?{}|^$") == NULL;
}

static int compile_route(struct webroute *route, size_t length)
{
    if (webroute_is_literal(route->route.pattern)) {
        memcpy(route->prefix, route->route.pattern, length);
        memcpy(route->text, route->route.pattern, length);
        route->prefix_length = route->piece[0] = (uint32_t)length;
        route->kind = WEBROUTE_LITERAL;
        return 0;
    }
    char *regex = ioalloc(LONGEST_SIGN * length + sizeof "^()$");
    if (regex == NULL)
        return -ENOMEM;
    int error = translate_pattern(route, regex);
    ioalloc_free(regex);
    return error;
}

static void free_texts(struct webroute *route)
{
    ioalloc_free((char *)route->route.pattern);
    ioalloc_free(route->prefix);
    ioalloc_free(route->text);
}

static void note_beginning(struct webroute *route)
{
    static const char ones[] = "\377\377\377\377\377\377\377\377";
    size_t length = route->prefix_length < sizeof route->word ? route->prefix_length : sizeof route->word;

    route->word = webroute_word(route->prefix, length);
    route->word_mask = webroute_word(ones, length);
    route->longest_rest = route->kind == WEBROUTE_LITERAL ? 0 : UINT32_MAX - WEBROUTE_PATTERN - 1;
}

int webroute_init(struct webroute *route, const struct web_route *given)
{
    size_t length = strlen(given->pattern);
    int error = -ENOMEM;

    if (length > WEBROUTE_PATTERN)
        return -EINVAL;
    *route = (struct webroute){ .route = *given, .prefix = ioalloc(length + 1), .text = ioalloc(length + 1) };
    route->route.pattern = ioalloc_string(given->pattern);
    if (route->prefix != NULL && route->text != NULL && route->route.pattern != NULL)
        error = compile_route(route, length);
    if (error < 0)
        free_texts(route);
    else
        note_beginning(route);
    return error;
}

void webroute_free(struct webroute *route)
{
    if (route->kind == WEBROUTE_REGEX)
        regfree(&route->regex);
    free_texts(route);
}

int webroute_table_init(struct webroute_table *table, const struct web_route *given)
{
    size_t count = 0;

    *table = (struct webroute_table){ 0 };
    while (given != NULL && given[count].pattern != NULL)
        count++;
    if (count == 0)
        return 0;
    table->list = ioalloc_array_resize(NULL, count, sizeof *table->list);
    if (table->list == NULL)
        return -ENOMEM;
    while (table->count < count) {
        int error = webroute_init(&table->list[table->count], &given[table->count]);

        if (error < 0) {
            webroute_table_free(table);
            return error;
        }
        table->count++;
    }
    return 0;
}

void webroute_table_free(struct webroute_table *table)
{
    while (table->count > 0)
        webroute_free(&table->list[--table->count]);
    ioalloc_free(table->list);
    table->list = NULL;
}

/* Matching. */

static int match_regex(const struct webroute *route, const char *path, struct webroute_group *group)
{
    regmatch_t matches[UCHAR_MAX + 1];
    size_t wanted = route->group_count == 0 ? 0 : (size_t)route->group[route->group_count - 1] + 1;
    int error = regexec(&route->regex, path, wanted, matches, 0);

    if (error != 0)
        return error == REG_NOMATCH ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < route->group_count; i++) {
        const regmatch_t *match = &matches[route->group[i]];

        group[i].offset = (int32_t)match->rm_so;
        group[i].length = match->rm_so < 0 ? 0 : (uint32_t)(match->rm_eo - match->rm_so);
    }
    return 1;
}

int webroute_match(const struct webroute *route, const char *path, size_t length, struct webroute_group *group)
{
    if (!webroute_may_match(route, webroute_word(path, length), path, length))
        return 0;
    if (route->kind == WEBROUTE_LITERAL)
        return 1;
    if (length > INT32_MAX || memchr(path, '\0', length) != NULL)
        return 0; /* what is compared is not what comes behind a NUL */
    if (route->kind == WEBROUTE_REGEX)
        return match_regex(route, path, group);
    group[0].offset = (int32_t)route->prefix_length;
    group[0].length = (uint32_t)length - route->prefix_length;
    return 1;
}

int webroute_find_group(const struct webroute *route, const char *name)
{
    size_t length = strlen(name);

    for (uint32_t i = 0; i < route->group_count; i++) {
        if (route->name[i].start != NULL && route->name[i].length == length &&
            memcmp(route->name[i].start, name, length) == 0)
            return (int)i;
    }
    return -1;
}

/* Answers how many bytes that are. Behind a first slash there is no other: "//" would begin the name of a host. */
static size_t put_argument(char *place, size_t used, const char *argument, size_t length, bool with_slash)
{
    char *at = place + used;

    for (;;) {
        const char *slash = with_slash ? memchr(argument, '/', length) : NULL;
        size_t part = slash != NULL ? (size_t)(slash - argument) : length;

        at += httpurl_encode(argument, part, at, 0);
        if (slash == NULL)
            return (size_t)(at - place) - used;
        at += httpurl_encode("/", 1, at, at == place + 1 && *place == '/' ? 0 : HTTPURL_PATH);
        argument = slash + 1;
        length -= part + 1;
    }
}

ssize_t webroute_reverse(const struct webroute *route, const char *const *arguments, size_t count, char *place,
                         size_t size)
{
    size_t used = 0, from = 0;

    if (route->text == NULL || count != route->group_count)
        return -EINVAL;
    for (size_t i = 0; i <= count; i++) {
        size_t literal = route->piece[i] - from, length = i < count ? strlen(arguments[i]) : 0;

        if (literal >= size - used || length > (size - used - literal - 1) / 3)
            return -ENOBUFS;
        memcpy(place + used, route->text + from, literal);
        used += literal;
        from += literal;
        if (i < count)
            used += put_argument(place, used, arguments[i], length, (route->with_slash >> i & 1) != 0);
    }
    place[used] = '\0';
    return (ssize_t)used;
}
