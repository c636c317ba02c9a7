#include "httpserver/httpparameters.h"

#include <errno.h>
#include <string.h>

static unsigned char lower_case(char byte)
{
    return (unsigned char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

/* tchar, RFC 9110 5.6.2. */
static bool is_parameter_token(char byte)
{
    unsigned char lower = lower_case(byte);

    return (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
           (lower != '\0' && strchr("!#$%&'*+-.^_`|~", lower) != NULL);
}

/* What may stand in quotes, RFC 9110 5.6.4. */
static bool is_quotable(char byte)
{
    return byte == '\t' || ((unsigned char)byte >= 0x20 && byte != 0x7f);
}

static bool is_parameter_next(const struct httpparameters *walk, char byte)
{
    return walk->at < walk->length && walk->text[walk->at] == byte;
}

static void skip_parameter_blanks(struct httpparameters *walk)
{
    while (is_parameter_next(walk, ' ') || is_parameter_next(walk, '\t'))
        walk->at++;
}

/* Around "=", where the grammar is that of RFC 2616 2.1, "implied *LWS". */
static void skip_implied_blanks(struct httpparameters *walk)
{
    if (walk->is_list)
        skip_parameter_blanks(walk);
}

size_t httpparameters_token(const char *text, size_t length)
{
    size_t size = 0;

    while (size < length && is_parameter_token(text[size]))
        size++;
    return size;
}

/* Answers whether there was one. */
static bool skip_parameter_token(struct httpparameters *walk)
{
    size_t size = httpparameters_token(walk->text + walk->at, walk->length - walk->at);

    walk->at += size;
    return size > 0;
}

static struct httpparameters_part part_from(const struct httpparameters *walk, size_t begin)
{
    return (struct httpparameters_part){ walk->text + begin, walk->at - begin };
}

void httpparameters_begin(struct httpparameters *walk, const char *text, size_t length, char *scratch)
{
    *walk = (struct httpparameters){ .text = text, .length = length, .scratch = scratch };
}

void httpparameters_begin_list(struct httpparameters *walk, const char *text, size_t length, char *scratch)
{
    *walk = (struct httpparameters){ .text = text, .length = length, .scratch = scratch, .is_list = true };
}

/* Before a member of a list may be empty ones, RFC 9110 5.6.1.2. */
static void skip_to_value(struct httpparameters *walk)
{
    skip_parameter_blanks(walk);
    while (walk->is_list && is_parameter_next(walk, ',')) {
        walk->at++;
        skip_parameter_blanks(walk);
    }
}

int httpparameters_value(struct httpparameters *walk, struct httpparameters_part *value)
{
    skip_to_value(walk);
    size_t begin = walk->at;

    if (walk->is_list && begin == walk->length)
        return 0;
    if (!skip_parameter_token(walk))
        return -EINVAL;
    if (is_parameter_next(walk, '/')) {
        walk->at++;
        if (!skip_parameter_token(walk))
            return -EINVAL;
    }
    *value = part_from(walk, begin);
    return 1;
}

/* quoted-string, from its quote to behind the closing one. Nothing is read after more has been written over it: what is
 * unescaped is never longer. */
static int parse_quoted(struct httpparameters *walk, struct httpparameters_part *value)
{
    const char *text = walk->text;
    char *place = walk->scratch + walk->at + 1;

    *value = (struct httpparameters_part){ place, 0 };
    for (size_t i = walk->at + 1; i < walk->length && is_quotable(text[i]); i++) {
        if (text[i] == '"') {
            walk->at = i + 1;
            return 1;
        }
        if (text[i] == '\\' && i + 1 < walk->length && (text[i + 1] == '"' || text[i + 1] == '\\'))
            i++;
        place[value->length++] = text[i];
    }
    return -EINVAL;
}

static int parse_value(struct httpparameters *walk, struct httpparameters_parameter *parameter)
{
    size_t begin = walk->at;

    parameter->is_quoted = is_parameter_next(walk, '"');
    if (parameter->is_quoted)
        return parse_quoted(walk, &parameter->value);
    if (!skip_parameter_token(walk))
        return -EINVAL;
    parameter->value = part_from(walk, begin);
    return 1;
}

/* What has to be between parameters, RFC 9110 5.6.6: there may be nothing between two semicolons. Answers whether a
 * parameter follows; none where the value ends. */
static int skip_to_parameter(struct httpparameters *walk)
{
    bool seen = false;

    for (skip_parameter_blanks(walk); is_parameter_next(walk, ';'); skip_parameter_blanks(walk)) {
        walk->at++;
        seen = true;
    }
    if (walk->at == walk->length || (walk->is_list && is_parameter_next(walk, ',')))
        return 0;
    return seen ? 1 : -EINVAL;
}

int httpparameters_next(struct httpparameters *walk, struct httpparameters_parameter *parameter)
{
    int more = skip_to_parameter(walk);
    size_t begin = walk->at;

    if (more <= 0)
        return more;
    if (!skip_parameter_token(walk))
        return -EINVAL;
    *parameter = (struct httpparameters_parameter){ .name = part_from(walk, begin) };
    skip_implied_blanks(walk);
    if (!is_parameter_next(walk, '='))
        return 1;
    walk->at++;
    skip_implied_blanks(walk);
    return parse_value(walk, parameter);
}

bool httpparameters_is(struct httpparameters_part part, const char *word)
{
    if (part.length != strlen(word))
        return false;
    for (size_t i = 0; i < part.length; i++)
        if (lower_case(part.text[i]) != lower_case(word[i]))
            return false;
    return true;
}
