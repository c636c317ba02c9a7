/* Content-Range, as a client reads it.
 *
 * What has to hold: a part is not empty, lies in the size, and is written by httprange_format as what is read as the
 * same again; a refusal sets nothing; zeros in front of numbers, and the case of the unit, change nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpclient/httpcontentrange.h"
#include "httpserver/httprange.h"
#include "tests/fuzz/fuzz.h"

static bool is_same_content_range(const struct httpcontentrange *a, const struct httpcontentrange *b)
{
    return a->first == b->first && a->length == b->length && a->size == b->size && a->has_size == b->has_size;
}

static void require_understood(const char *text, const struct httpcontentrange *wanted)
{
    struct httpcontentrange range;

    require(httpcontentrange_parse(text, &range) == 0);
    require(is_same_content_range(&range, wanted));
}

static void check_taken(const struct httpcontentrange *range)
{
    char text[200];
    char size[32] = "*";
    unsigned long long first = range->first, last = range->first + range->length - 1;

    require(range->first <= INT64_MAX && range->size <= INT64_MAX);
    if (range->has_size)
        snprintf(size, sizeof size, "00%llu", (unsigned long long)range->size);
    if (range->length == 0) {
        require(range->has_size && range->first == 0);
        snprintf(text, sizeof text, "BYTES */%s", size);
    } else {
        require(last >= first && last <= INT64_MAX && (!range->has_size || last < range->size));
        snprintf(text, sizeof text, "ByTeS 0%llu-000%llu/%s", first, last, size);
    }
    require_understood(text, range);
    if (!range->has_size)
        return;
    require(httprange_format(text, range->first, range->length, range->size) == strlen(text));
    require_understood(text, range);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct httpcontentrange untouched = { 1, 2, 3, true };
    struct httpcontentrange range = untouched;
    char *text = malloc(size + 1);

    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    int error = httpcontentrange_parse(text, &range);
    if (error == 0)
        check_taken(&range);
    else
        require((error == -EINVAL || error == -ENOTSUP) && is_same_content_range(&range, &untouched));
    free(text);
    return 0;
}
