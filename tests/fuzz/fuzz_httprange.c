/* What conditional requests carry: ranges, entity tags, dates. The first byte chooses, the next nine are a number.
 *
 * What has to hold: a part lies in the file and is written as the range that asks for it; a tag is found in every list
 * that has it; what strong comparison finds the weak one does; a date, written anew, is the same date. */
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpdate.h"
#include "httpserver/httpetag.h"
#include "httpserver/httprange.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 10 };

/* A copy of its own that ends with a NUL, so that no byte behind it can be read unseen. */
static char *copy_text(const uint8_t *bytes, size_t length)
{
    char *copy = malloc(length + 1);

    require(copy != NULL);
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

/* The range that asks for what has been answered: "bytes 2-5/9" without the size, and with "=" for the blank. */
static void require_same_range(const char *content_range, uint64_t size, uint64_t first, uint64_t length)
{
    char range[HTTPRANGE_SIZE];
    uint64_t again_first, again_length;

    strcpy(range, content_range);
    range[5] = '=';
    *strchr(range, '/') = '\0';
    require(httprange_parse(range, size, &again_first, &again_length) == HTTPRANGE_PART);
    require(again_first == first && again_length == length);
}

static void check_range(const char *text, uint64_t size)
{
    char content_range[HTTPRANGE_SIZE];
    uint64_t first, length;

    switch (httprange_parse(text, size, &first, &length)) {
    case HTTPRANGE_WHOLE:
        require(first == 0 && length == size);
        break;
    case HTTPRANGE_PART:
        require(length > 0 && length < size && first < size && length <= size - first);
        require(httprange_format(content_range, first, length, size) == strlen(content_range));
        require_same_range(content_range, size, first, length);
        break;
    case HTTPRANGE_UNSATISFIABLE:
        require(first == 0 && length == 0);
        require(httprange_format(content_range, first, length, size) == strlen(content_range));
        require(strncmp(content_range, "bytes */", 8) == 0);
        break;
    }
}

/* The text is a list; then, with a tag made of it in front and behind, still one. */
static void check_tags(const char *text)
{
    size_t length = strlen(text);
    char tag[HTTPETAG_SIZE];
    char *list = malloc(length + 2 * HTTPETAG_SIZE + 3);

    require(list != NULL);
    httpetag_of_bytes(text, length, tag);
    require(httpetag_matches(tag, tag, false));
    bool is_any = httpetag_matches(text, NULL, true);
    require(is_any == httpetag_matches(text, tag, false));
    require(!httpetag_matches(text, text, false) || httpetag_matches(text, text, true));
    strcpy(list, tag);
    strcat(strcat(list, " ,"), text);
    bool is_list = httpetag_matches(list, tag, false);
    require(!is_list || !is_any);
    strcpy(list, text);
    strcat(strcat(list, ", W/"), tag);
    require(httpetag_matches(list, tag, true) == is_list);
    require(!httpetag_matches(list, tag, false));
    free(list);
}

static void check_date(const char *text, size_t length, int64_t now)
{
    char written[HTTPDATE_LENGTH + 1];
    int64_t seconds, again;

    if (!httpdate_parse(text, length, now, &seconds))
        return;
    httpdate_format(seconds, written);
    require(httpdate_parse(written, HTTPDATE_LENGTH, 0, &again) && again == seconds);
    require(memchr(text, '\0', length) == NULL && length >= 24 && length <= 33);
    for (size_t part = 0; part < length; part++)
        require(!httpdate_parse(text, part, now, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t number;

    if (size < SETTINGS)
        return 0;
    memcpy(&number, data + 1, sizeof number);
    number >>= data[9] % 64;
    char *text = copy_text(data + SETTINGS, size - SETTINGS);
    if (data[0] % 3 == 0)
        check_range(text, number);
    else if (data[0] % 3 == 1)
        check_tags(text);
    else
        check_date(text, size - SETTINGS, (int64_t)number);
    free(text);
    return 0;
}
