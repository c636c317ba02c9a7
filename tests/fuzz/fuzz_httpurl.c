/* httpurl: the first bytes say where the input is cut into a base, a reference and the name of an argument.
 *
 * What has to hold: the parts of a URL are its text, in order; what is resolved is a URL again, with the path that the
 * RFC's own words give, whatever the room; escapes go both ways; an argument that is put into a URL is found there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httparguments.h"
#include "httpserver/httpurl.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 3, LONGEST = 1024 };

struct text {
    char bytes[8 * LONGEST];
    size_t length;
};

static void add(struct text *text, const char *bytes, size_t length)
{
    require(sizeof text->bytes - text->length > length);
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void add_part(struct text *text, const char *before, struct httpurl_part part, const char *after)
{
    if (part.text == NULL)
        return;
    add(text, before, strlen(before));
    add(text, part.text, part.length);
    add(text, after, strlen(after));
}

static void require_text(const struct text *text, const char *bytes, size_t length)
{
    require(text->length == length && memcmp(text->bytes, bytes, length) == 0);
}

/* RFC 3986 5.3. */
static void print(struct text *text, const struct httpurl *url)
{
    add_part(text, "", url->scheme, ":");
    if (url->host.text != NULL)
        add(text, "//", 2);
    add_part(text, "", url->userinfo, "@");
    add_part(text, url->is_ipv6 ? "[" : "", url->host, url->is_ipv6 ? "]" : "");
    add_part(text, ":", url->port_text, "");
    add_part(text, "", url->path, "");
    add_part(text, "?", url->query, "");
    add_part(text, "#", url->fragment, "");
}

static bool parse(const char *bytes, size_t length, struct httpurl *url)
{
    struct text text = { .length = 0 };
    int result = httpurl_parse(bytes, length, url);

    require(result == 0 || result == -EINVAL);
    if (result < 0)
        return false;
    print(&text, url);
    require_text(&text, bytes, length);
    for (size_t i = 0; i < length; i++)
        require((uint8_t)bytes[i] > 0x20 && (uint8_t)bytes[i] < 0x7f && bytes[i] != '\\');
    require(url->path.text != NULL && url->port >= -1 && url->port <= 65535);
    require(url->host.text != NULL || (url->userinfo.text == NULL && url->port_text.text == NULL && !url->is_ipv6));
    require(url->host.length == 0 || memchr(url->host.text, '%', url->host.length) == NULL);
    require(httpurl_same_origin(url, url) == (url->scheme.text != NULL && url->host.text != NULL));
    return true;
}

static bool starts_with(const struct text *text, const char *prefix)
{
    return strncmp(text->bytes, prefix, strlen(prefix)) == 0;
}

static void replace_prefix(struct text *text, const char *prefix, const char *with)
{
    struct text rest = { .length = 0 };

    add(&rest, with, strlen(with));
    add(&rest, text->bytes + strlen(prefix), text->length - strlen(prefix));
    *text = rest;
}

static void remove_last_segment(struct text *text)
{
    char *slash = text->length > 0 ? strrchr(text->bytes, '/') : NULL;

    text->length = slash != NULL ? (size_t)(slash - text->bytes) : 0;
    text->bytes[text->length] = '\0';
}

/* RFC 3986 5.2.4, step by step as it is written there. */
static void remove_dot_segments_slowly(struct text *input, struct text *output)
{
    while (input->length > 0) {
        if (starts_with(input, "../")) {
            replace_prefix(input, "../", "");
        } else if (starts_with(input, "./")) {
            replace_prefix(input, "./", "");
        } else if (starts_with(input, "/./")) {
            replace_prefix(input, "/./", "/");
        } else if (strcmp(input->bytes, "/.") == 0) {
            replace_prefix(input, "/.", "/");
        } else if (starts_with(input, "/../")) {
            replace_prefix(input, "/../", "/");
            remove_last_segment(output);
        } else if (strcmp(input->bytes, "/..") == 0) {
            replace_prefix(input, "/..", "/");
            remove_last_segment(output);
        } else if (strcmp(input->bytes, ".") == 0 || strcmp(input->bytes, "..") == 0) {
            input->length = 0;
        } else {
            size_t length = 1 + strcspn(input->bytes + 1, "/");
            add(output, input->bytes, length);
            struct text rest = { .length = 0 };
            add(&rest, input->bytes + length, input->length - length);
            *input = rest;
        }
    }
}

/* RFC 3986 5.2.2, and 5.2.3. */
static void wanted_path(const struct httpurl *base, const struct httpurl *reference, struct text *wanted)
{
    struct text merged = { .length = 0 };
    bool stands_alone = reference->scheme.text != NULL || reference->host.text != NULL;

    if (!stands_alone && reference->path.length == 0) {
        add(wanted, base->path.text, base->path.length);
        return;
    }
    if (!stands_alone && reference->path.text[0] != '/') {
        if (base->host.text != NULL && base->path.length == 0)
            add(&merged, "/", 1);
        size_t length = base->path.length;
        while (length > 0 && base->path.text[length - 1] != '/')
            length--;
        add(&merged, base->path.text, length);
    }
    add(&merged, reference->path.text, reference->path.length);
    remove_dot_segments_slowly(&merged, wanted);
    const struct httpurl *home = stands_alone ? reference : base;
    if (home->host.text == NULL && starts_with(wanted, "//"))
        replace_prefix(wanted, "", "/.");
}

static void require_resolved(const struct httpurl *base, size_t base_length, const struct httpurl *reference,
                             size_t length, size_t less)
{
    char place[2 * LONGEST + 4], again[4 * LONGEST + 8];
    struct text wanted = { .length = 0 };
    struct httpurl url;
    size_t room = base_length + length + 3;
    ssize_t result = httpurl_resolve(base, reference, place, room);

    if (base->scheme.text == NULL) {
        require(result == -EINVAL);
        return;
    }
    require(result >= 0 && place[result] == '\0' && parse(place, (size_t)result, &url));
    wanted_path(base, reference, &wanted);
    require_text(&wanted, url.path.text, url.path.length);
    require(url.scheme.length == (reference->scheme.text != NULL ? reference->scheme.length : base->scheme.length));
    ssize_t second = httpurl_resolve(base, &url, again, sizeof again);
    require(second >= 0 && parse(again, (size_t)second, &url));
    char third[sizeof again];
    require(httpurl_resolve(&url, &url, third, sizeof third) == second && strcmp(again, third) == 0);
    char *small = malloc(room);
    require(small != NULL);
    ssize_t cut = httpurl_resolve(base, reference, small, less % (room + 1));
    require(cut == -ENOBUFS || (cut == result && strcmp(place, small) == 0));
    free(small);
}

static void require_escapes(const char *bytes, size_t length, unsigned flags, size_t split)
{
    char *encoded = malloc(3 * length + 1), *decoded = malloc(3 * length + 1);
    require(encoded != NULL && decoded != NULL);
    size_t size = httpurl_encode(bytes, length, encoded, flags);

    require(size >= length && size <= 3 * length);
    require(httpurl_decode(encoded, size, decoded, flags) == (ssize_t)length && memcmp(decoded, bytes, length) == 0);
    size_t first = httpurl_encode(bytes, split, decoded, flags);
    first += httpurl_encode(bytes + split, length - split, decoded + first, flags);
    require(first == size && memcmp(decoded, encoded, size) == 0);
    ssize_t strict = httpurl_decode(bytes, length, decoded, flags & HTTPURL_PLUS);
    memcpy(encoded, bytes, length);
    ssize_t lenient = httpurl_decode(encoded, length, encoded, (flags & HTTPURL_PLUS) | HTTPURL_LENIENT);
    require(lenient >= 0 && (size_t)lenient <= length);
    require(strict == -EINVAL || (strict == lenient && memcmp(encoded, decoded, (size_t)strict) == 0));
    free(encoded);
    free(decoded);
}

/* Host and port alone are what they are in a URL. */
static void require_split(const char *bytes, size_t length)
{
    struct text text = { .length = 0 };
    struct httpurl_part host;
    struct httpurl url;
    int port;

    if (httpurl_split_host_and_port(bytes, length, &host, &port) < 0)
        return;
    add(&text, "//", 2);
    add(&text, bytes, length);
    require(parse(text.bytes, text.length, &url));
    require(url.host.length == host.length && memcmp(url.host.text, host.text, host.length) == 0 && url.port == port);
    require(url.userinfo.text == NULL && url.path.length == 0 && url.query.text == NULL && url.fragment.text == NULL);
}

static void require_arguments(struct httparguments *arguments, struct httpurl_part query)
{
    require(httparguments_parse(arguments, query.text, query.length, SIZE_MAX) == 0);
}

static void require_concat(const char *url, const char *name, const struct httpurl *before)
{
    const struct httpurl_pair pair = { name, url };
    struct httparguments old = { 0 }, new = { 0 };
    char place[8 * LONGEST];
    struct httpurl after;
    ssize_t length = httpurl_concat(url, &pair, 1, place, sizeof place);

    require(length >= 0 && place[length] == '\0' && parse(place, (size_t)length, &after));
    require_arguments(&old, before->query);
    require_arguments(&new, after.query);
    size_t count = httparguments_count(&old);
    require(httparguments_count(&new) == count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct httpargument *a = httparguments_at(&old, i), *b = httparguments_at(&new, i);
        require(a->name_length == b->name_length && memcmp(a->name, b->name, a->name_length) == 0);
        require(a->value_length == b->value_length && memcmp(a->value, b->value, a->value_length) == 0);
    }
    require(strcmp(httparguments_at(&new, count)->name, name) == 0);
    require(strcmp(httparguments_at(&new, count)->value, url) == 0);
    require(after.fragment.length == before->fragment.length && after.path.length == before->path.length);
    httparguments_free(&old);
    httparguments_free(&new);
}

/* A copy of its own, so that no byte behind it can be read unseen. terminated: with a NUL. */
static char *copy_of(const uint8_t *bytes, size_t length, bool terminated)
{
    char *copy = malloc(length + terminated + (length == 0));

    require(copy != NULL);
    memcpy(copy, bytes, length);
    if (terminated)
        copy[length] = '\0';
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct httpurl base, reference;

    if (size < SETTINGS || size > LONGEST)
        return 0;
    const uint8_t *bytes = data + SETTINGS;
    size_t length = size - SETTINGS, first = data[0] * (length + 1) / 256, second = length - first;
    char *a = copy_of(bytes, first, false), *b = copy_of(bytes + first, second, false);
    char *name = copy_of(bytes, first, true), *url = copy_of(bytes + first, second, true);

    require_escapes(b, second, data[1], data[2] * (second + 1) / 256);
    require_split(b, second);
    bool has_base = parse(a, first, &base), has_reference = parse(b, second, &reference);
    if (has_base && has_reference) {
        require_resolved(&base, first, &reference, second, data[2] * 8u + data[1]);
        require(httpurl_same_origin(&base, &reference) == httpurl_same_origin(&reference, &base));
    }
    if (has_reference)
        require_concat(url, name, &reference);
    free(a);
    free(b);
    free(name);
    free(url);
    return 0;
}
