/* URLs that are made of others: references resolved, arguments added. */
#include <errno.h>
#include <string.h>

#include "httpserver/httpurl.h"
#include "httpserver/httpurllayer.h"

/* Text that grows in the caller's place. Once something did not fit nothing more is added. */
struct url_writer {
    char *place;
    size_t size;
    size_t length;
    bool is_full;
};

static void write_bytes(struct url_writer *writer, const char *text, size_t length)
{
    if (writer->size - writer->length < length)
        writer->is_full = true;
    if (writer->is_full || length == 0)
        return;
    memcpy(writer->place + writer->length, text, length);
    writer->length += length;
}

static void write_byte(struct url_writer *writer, char byte)
{
    if (writer->length == writer->size)
        writer->is_full = true;
    if (!writer->is_full)
        writer->place[writer->length++] = byte;
}

static inline void write_part(struct url_writer *writer, struct httpurl_part part)
{
    write_bytes(writer, part.text, part.length);
}

/* With what stands before it; nothing when it is absent. */
static void write_part_after(struct url_writer *writer, char before, struct httpurl_part part)
{
    if (part.text == NULL)
        return;
    write_byte(writer, before);
    write_part(writer, part);
}

static ssize_t end_text(struct url_writer *writer)
{
    write_byte(writer, '\0');
    return writer->is_full ? -ENOBUFS : (ssize_t)writer->length - 1;
}

static void write_authority(struct url_writer *writer, const struct httpurl *url)
{
    if (url->host.text == NULL)
        return;
    write_bytes(writer, "//", 2);
    write_part(writer, url->userinfo);
    if (url->userinfo.text != NULL)
        write_byte(writer, '@');
    if (url->is_ipv6)
        write_byte(writer, '[');
    write_part(writer, url->host);
    if (url->is_ipv6)
        write_byte(writer, ']');
    write_part_after(writer, ':', url->port_text);
}

/* What base contributes to a path that has no slash in front, RFC 3986 5.2.3. */
static struct httpurl_part directory_of(const struct httpurl *base)
{
    size_t length = base->path.length;

    if (base->host.text != NULL && length == 0)
        return (struct httpurl_part){ "/", 1 };
    while (length > 0 && base->path.text[length - 1] != '/')
        length--;
    return (struct httpurl_part){ base->path.text, length };
}

static size_t skip_leading_dots(const char *path, size_t length)
{
    size_t at = 0;

    while (at < length && path[at] == '.') {
        size_t dots = length - at > 1 && path[at + 1] == '.' ? 2 : 1;
        if (at + dots == length)
            return length;
        if (path[at + dots] != '/')
            break;
        at += dots + 1;
    }
    return at;
}

/* A segment has its slash in front; the first one may have none. */
static size_t end_of_segment(const char *path, size_t at, size_t length)
{
    do
        at++;
    while (at < length && path[at] != '/');
    return at;
}

/* RFC 3986 5.2.4, in place: the result never gets past what is read. Dots at the end leave their slash. Answers the new
 * length. */
static size_t remove_dot_segments(char *path, size_t length)
{
    size_t at = skip_leading_dots(path, length), out = 0;

    while (at < length) {
        size_t end = end_of_segment(path, at, length);
        bool is_dot = end - at == 2 && memcmp(path + at, "/.", 2) == 0;
        bool is_parent = end - at == 3 && memcmp(path + at, "/..", 3) == 0;
        while (is_parent && out > 0 && path[--out] != '/')
            ;
        if (!is_dot && !is_parent) {
            if (out < at)
                memmove(path + out, path + at, end - at);
            out += end - at;
        } else if (end == length) {
            path[out++] = '/';
        }
        at = end;
    }
    return out;
}

/* The path without its dots. Where no authority stands before it, it must not look like one (RFC 3986 3.3): "/." goes
 * before "//a", as browsers do. */
static void write_clean_path(struct url_writer *writer, struct httpurl_part directory, struct httpurl_part path,
                             bool has_authority)
{
    size_t begin = writer->length;

    write_part(writer, directory);
    write_part(writer, path);
    if (writer->is_full)
        return;
    writer->length = begin + remove_dot_segments(writer->place + begin, writer->length - begin);
    if (has_authority || writer->length - begin < 2 || memcmp(writer->place + begin, "//", 2) != 0)
        return;
    write_bytes(writer, "/.", 2); /* if they do not fit, all is refused in the end */
    memmove(writer->place + begin + 2, writer->place + begin, writer->length - begin - 2);
    memcpy(writer->place + begin, "/.", 2);
}

/* RFC 3986 5.2.2, without the step for readers that are not strict. */
ssize_t httpurl_resolve(const struct httpurl *base, const struct httpurl *reference, char *place, size_t size)
{
    struct url_writer writer = { .place = place, .size = size };
    bool has_scheme = reference->scheme.text != NULL;
    bool stands_alone = has_scheme || reference->host.text != NULL;
    const struct httpurl *home = stands_alone ? reference : base;
    bool is_same_page = !stands_alone && reference->path.length == 0;
    bool is_relative = !stands_alone && !is_same_page && reference->path.text[0] != '/';

    if (base->scheme.text == NULL)
        return -EINVAL;
    write_part(&writer, has_scheme ? reference->scheme : base->scheme);
    write_byte(&writer, ':');
    write_authority(&writer, home);
    if (is_same_page)
        write_part(&writer, base->path);
    else
        write_clean_path(&writer, is_relative ? directory_of(base) : (struct httpurl_part){ 0 }, reference->path,
                         home->host.text != NULL);
    write_part_after(&writer, '?', is_same_page && reference->query.text == NULL ? base->query : reference->query);
    write_part_after(&writer, '#', reference->fragment);
    return end_text(&writer);
}

/* Runs of what stands as it is are written at once. */
static void write_escaped(struct url_writer *writer, const char *text)
{
    char escaped[3];

    while (*text != '\0' && !writer->is_full) {
        const char *begin = text;
        while (httpurllayer_is_in(*text, HTTPURLLAYER_UNRESERVED))
            text++;
        write_bytes(writer, begin, (size_t)(text - begin));
        for (; *text != '\0' && !httpurllayer_is_in(*text, HTTPURLLAYER_UNRESERVED); text++)
            write_bytes(writer, escaped, httpurl_encode(text, 1, escaped, HTTPURL_PLUS));
    }
}

/* The members that are there. Answers what stands before the next one. */
static char write_members(struct url_writer *writer, struct httpurl_part query)
{
    char separator = '?';

    for (size_t at = 0; at < query.length;) {
        const char *begin = query.text + at, *ampersand = memchr(begin, '&', query.length - at);
        struct httpurl_part member = { begin, ampersand != NULL ? (size_t)(ampersand - begin) : query.length - at };
        at += member.length + 1;
        if (member.length == 0)
            continue;
        write_part_after(writer, separator, member);
        if (memchr(begin, '=', member.length) == NULL)
            write_byte(writer, '=');
        separator = '&';
    }
    return separator;
}

ssize_t httpurl_concat(const char *url, const struct httpurl_pair *pairs, size_t count, char *place, size_t size)
{
    struct url_writer writer = { .place = place, .size = size };
    struct httpurl parsed;

    if (httpurl_parse(url, strlen(url), &parsed) < 0)
        return -EINVAL;
    if (count == 0) {
        write_bytes(&writer, url, strlen(url));
        return end_text(&writer);
    }
    write_bytes(&writer, url, (size_t)(parsed.path.text + parsed.path.length - url));
    char separator = write_members(&writer, parsed.query);
    for (size_t i = 0; i < count; i++) {
        write_byte(&writer, separator);
        write_escaped(&writer, pairs[i].name);
        write_byte(&writer, '=');
        write_escaped(&writer, pairs[i].value != NULL ? pairs[i].value : "");
        separator = '&';
    }
    write_part_after(&writer, '#', parsed.fragment);
    return end_text(&writer);
}
