/* httparguments: the first bytes are a limit, and which allocation fails.
 *
 * What has to hold: the arguments are those that a simple reader finds; however the text is cut at its ampersands, they
 * are the same; written again they are read again; a limit or a lack of memory leaves what was there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httparguments.h"
#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 2 };

static int until_failure;
static size_t allocations;

static bool allows_allocation(void)
{
    allocations++;
    return until_failure == 0 || --until_failure > 0;
}

static void *fuzz_malloc(size_t size)
{
    return allows_allocation() ? malloc(size) : NULL;
}

static void *fuzz_realloc(void *memory, size_t size)
{
    return allows_allocation() ? realloc(memory, size) : NULL;
}

static int digit_of(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

    return found != NULL ? (int)(found - digits) % 16 : -1;
}

/* Is this text, decoded in the simplest way, those bytes? */
static bool is_decoded(const char *text, const char *end, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text == end)
            return false;
        char byte = *text == '+' ? ' ' : *text;
        if (*text == '%' && end - text > 2 && digit_of(text[1]) >= 0 && digit_of(text[2]) >= 0) {
            byte = (char)(digit_of(text[1]) * 16 + digit_of(text[2]));
            text += 2;
        }
        text++;
        if (byte != bytes[i])
            return false;
    }
    return text == end && bytes[length] == '\0';
}

static void require_member(const char *text, const char *end, const struct httpargument *argument)
{
    const char *equals = text;

    while (equals < end && *equals != '=')
        equals++;
    require(argument != NULL && is_decoded(text, equals, argument->name, argument->name_length));
    require(is_decoded(equals < end ? equals + 1 : end, end, argument->value, argument->value_length));
}

/* Answers their number. */
static size_t require_members(const char *text, size_t length, const struct httparguments *arguments)
{
    size_t count = 0;

    for (size_t at = 0, end; at <= length; at = end + 1) {
        for (end = at; end < length && text[end] != '&';)
            end++;
        if (end > at)
            require_member(text + at, text + end, httparguments_at(arguments, count++));
    }
    require(httparguments_count(arguments) == count);
    return count;
}

static void require_same(const struct httparguments *a, const struct httparguments *b)
{
    require(httparguments_count(a) == httparguments_count(b));
    for (size_t i = 0; i < httparguments_count(a); i++) {
        const struct httpargument *one = httparguments_at(a, i), *other = httparguments_at(b, i);
        require(one->name_length == other->name_length && one->value_length == other->value_length);
        require(memcmp(one->name, other->name, one->name_length) == 0);
        require(memcmp(one->value, other->value, one->value_length) == 0);
    }
}

/* A member at a time. */
static void require_same_in_pieces(const char *text, size_t length, const struct httparguments *whole)
{
    struct httparguments parts = { 0 };

    for (size_t at = 0, end; at <= length; at = end + 1) {
        for (end = at; end < length && text[end] != '&';)
            end++;
        require(httparguments_parse(&parts, text + at, end - at, SIZE_MAX) == 0);
    }
    require_same(whole, &parts);
    httparguments_clear(&parts);
    require(httparguments_count(&parts) == 0 && httparguments_parse(&parts, text, length, SIZE_MAX) == 0);
    require_same(whole, &parts);
    httparguments_free(&parts);
}

static void require_same_when_written(size_t length, const struct httparguments *whole)
{
    struct httparguments again = { 0 }, copied = { 0 };
    char *text = malloc(3 * length + 2 * httparguments_count(whole) + 1);
    size_t out = 0;

    require(text != NULL);
    for (size_t i = 0; i < httparguments_count(whole); i++) {
        const struct httpargument *argument = httparguments_at(whole, i);
        out += httpurl_encode(argument->name, argument->name_length, text + out, HTTPURL_PLUS);
        text[out++] = '=';
        out += httpurl_encode(argument->value, argument->value_length, text + out, HTTPURL_PLUS);
        text[out++] = '&';
        require(httparguments_add(&copied, argument->name, argument->name_length, argument->value,
                                  argument->value_length) == 0);
    }
    require(httparguments_parse(&again, text, out, SIZE_MAX) == 0);
    require_same(whole, &again);
    require_same(whole, &copied);
    free(text);
    httparguments_free(&again);
    httparguments_free(&copied);
}

static void require_found(const struct httparguments *arguments)
{
    for (size_t i = 0; i < httparguments_count(arguments) && i < 20; i++) {
        const struct httpargument *argument = httparguments_at(arguments, i), *found = NULL, *last = NULL;
        if (strlen(argument->name) != argument->name_length)
            continue;
        bool is_met = false;
        while ((found = httparguments_next(arguments, argument->name, found)) != NULL) {
            require(last == NULL || found > last);
            is_met |= found == argument;
            last = found;
        }
        require(is_met && httparguments_last(arguments, argument->name) == last);
    }
}

static void require_unchanged_by_failure(const char *text, size_t length, size_t limit, int failure, size_t count)
{
    struct httparguments arguments = { 0 };

    require(httparguments_add(&arguments, "name", 4, "value", 5) == 0);
    allocations = 0;
    until_failure = failure;
    int result = httparguments_parse(&arguments, text, length, limit);
    until_failure = 0;
    size_t left = limit == 0 ? 255 : limit - 1;
    require((result == -ENOBUFS) == (count > left) && (result == 0 || result == -ENOBUFS || result == -ENOMEM));
    require(result != -ENOBUFS || allocations == 0);
    require(allocations <= 2 && httparguments_count(&arguments) == (result == 0 ? count + 1 : 1));
    require(strcmp(httparguments_at(&arguments, 0)->value, "value") == 0);
    httparguments_free(&arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ioalloc_functions functions = { fuzz_malloc, fuzz_realloc, free };
    struct httparguments arguments = { 0 };

    if (size < SETTINGS)
        return 0;
    ioalloc_set_functions(&functions);
    size_t length = size - SETTINGS;
    char *text = malloc(length + (length == 0));
    require(text != NULL);
    memcpy(text, data + SETTINGS, length);
    require(httparguments_parse(&arguments, text, length, SIZE_MAX) == 0);
    size_t count = require_members(text, length, &arguments);
    require_same_in_pieces(text, length, &arguments);
    require_same_when_written(length, &arguments);
    require_found(&arguments);
    require_unchanged_by_failure(text, length, data[0], data[1] % 4, count);
    httparguments_free(&arguments);
    free(text);
    return 0;
}
