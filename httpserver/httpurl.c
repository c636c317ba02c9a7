#include "httpserver/httpurl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

/* What a byte may be part of. */
enum {
    URL_TEXT = 1,       /* a URL: VCHAR but the backslash, which some readers take for a slash */
    URL_UNRESERVED = 2, /* RFC 3986 2.3 */
    URL_PATH = 4,       /* pchar and "/", RFC 3986 3.3 */
    URL_USERINFO = 8,   /* RFC 3986 3.2.1, and "%" */
    URL_HOST = 16,      /* reg-name, RFC 3986 3.2.2, but no comma and no escapes: nobody resolves those */
    URL_SCHEME = 32,    /* RFC 3986 3.1, from the second byte on */
    URL_HEX = 64,
};

/* clang-format off */
#define T URL_TEXT
#define P (T | URL_PATH)
#define E (T | URL_USERINFO)
#define C (P | URL_USERINFO)
#define S (C | URL_HOST)
#define G (S | URL_SCHEME)
#define U (S | URL_UNRESERVED)
#define A (U | URL_SCHEME)
#define X (A | URL_HEX)
static const uint8_t url_classes[256] = {
    [0x20] = /*  !"#$%&'()*+,-./ */ 0, S, T, T, S, E, S, S, S, S, S, G, C, A, A, P,
    [0x30] = /* 0123456789:;<=>? */ X, X, X, X, X, X, X, X, X, X, C, S, T, S, T, T,
    [0x40] = /* @ABCDEFGHIJKLMNO */ P, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x50] = /* PQRSTUVWXYZ[\]^_ */ A, A, A, A, A, A, A, A, A, A, A, T, 0, T, T, U,
    [0x60] = /* `abcdefghijklmno */ T, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x70] = /* pqrstuvwxyz{|}~  */ A, A, A, A, A, A, A, A, A, A, A, T, T, T, U, 0,
};
#undef T
#undef P
#undef E
#undef C
#undef S
#undef G
#undef U
#undef A
#undef X
/* clang-format on */

static bool is_in_class(char byte, unsigned class)
{
    return (url_classes[(uint8_t)byte] & class) != 0;
}

static bool are_in_class(struct httpurl_part part, unsigned class)
{
    for (size_t i = 0; i < part.length; i++)
        if (!is_in_class(part.text[i], class))
            return false;
    return true;
}

static bool is_decimal(char byte)
{
    return byte >= '0' && byte <= '9';
}

static char fold_letter(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static bool is_same_folded(struct httpurl_part a, struct httpurl_part b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (fold_letter(a.text[i]) != fold_letter(b.text[i]))
            return false;
    return true;
}

static unsigned hex_value(char digit)
{
    return is_decimal(digit) ? (unsigned)(digit - '0') : (unsigned)(fold_letter(digit) - 'a' + 10);
}

/* "%" and two hexadecimal digits, as a byte; -1 for what is not. */
static int escaped_byte(const char *text, size_t length)
{
    if (length < 3 || !is_in_class(text[1], URL_HEX) || !is_in_class(text[2], URL_HEX))
        return -1;
    return (int)(hex_value(text[1]) << 4 | hex_value(text[2]));
}

static bool is_url_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_in_class(text[i], URL_TEXT) || (text[i] == '%' && escaped_byte(text + i, length - i) < 0))
            return false;
    return true;
}

/* What comes before the first of the stops, or all; it is gone from the rest then. */
static struct httpurl_part take_until(struct httpurl_part *rest, const char *stops)
{
    struct httpurl_part part = { rest->text, 0 };
    size_t count = strlen(stops);

    while (part.length < rest->length && memchr(stops, rest->text[part.length], count) == NULL)
        part.length++;
    rest->text += part.length;
    rest->length -= part.length;
    return part;
}

/* Is it there? Then it is gone from the rest. */
static bool take_prefix(struct httpurl_part *rest, const char *prefix)
{
    size_t length = strlen(prefix);

    if (rest->length < length || memcmp(rest->text, prefix, length) != 0)
        return false;
    rest->text += length;
    rest->length -= length;
    return true;
}

/* The decimal number that the text is, with at most so many digits and no more than the most; or -1. */
static int small_number(struct httpurl_part text, size_t digits, int most)
{
    int number = 0;

    if (text.length == 0 || text.length > digits)
        return -1;
    for (size_t i = 0; i < text.length; i++) {
        if (!is_decimal(text.text[i]))
            return -1;
        number = 10 * number + (text.text[i] - '0');
    }
    return number <= most ? number : -1;
}

/* IPv4address, RFC 3986 3.2.2: no leading zeros, which some readers take for octal. */
static bool is_ipv4_address(struct httpurl_part rest)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0 && !take_prefix(&rest, "."))
            return false;
        struct httpurl_part number = take_until(&rest, ".");
        if (small_number(number, 3, 255) < 0 || (number.length > 1 && number.text[0] == '0'))
            return false;
    }
    return rest.length == 0;
}

/* Would inet_aton take this last label for a number, and the host for an address then? It knows hexadecimal, octal and
 * fewer than four. */
static bool is_number_of_address(struct httpurl_part label)
{
    if (label.length > 1 && label.text[0] == '0' && fold_letter(label.text[1]) == 'x') {
        label.text += 2;
        label.length -= 2;
        return are_in_class(label, URL_HEX);
    }
    for (size_t i = 0; i < label.length; i++)
        if (!is_decimal(label.text[i]))
            return false;
    return label.length > 0;
}

static struct httpurl_part last_label(struct httpurl_part host)
{
    size_t end = host.length;

    if (end > 0 && host.text[end - 1] == '.')
        end--;
    size_t begin = end;
    while (begin > 0 && host.text[begin - 1] != '.')
        begin--;
    return (struct httpurl_part){ host.text + begin, end - begin };
}

/* Not empty, RFC 9110 4.2.1. */
static bool is_host_name(struct httpurl_part host)
{
    if (host.length == 0 || !are_in_class(host, URL_HOST))
        return false;
    return !is_number_of_address(last_label(host)) || is_ipv4_address(host);
}

/* IPv6address, RFC 3986 3.2.2. Neither zones nor later versions. */
static bool is_ipv6_address(struct httpurl_part host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (host.length >= sizeof text)
        return false;
    for (size_t i = 0; i < host.length; i++) {
        text[i] = host.text[i];
        if (!is_in_class(text[i], URL_HEX) && text[i] != ':' && text[i] != '.')
            return false;
    }
    text[host.length] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* Host and port of an authority, RFC 3986 3.2.2 and 3.2.3. url->port is left alone where there is none, as in "a:". */
static bool parse_host_and_port(struct httpurl_part rest, struct httpurl *url)
{
    url->is_ipv6 = take_prefix(&rest, "[");
    url->host = take_until(&rest, url->is_ipv6 ? "]" : ":");
    if (url->is_ipv6 && (!take_prefix(&rest, "]") || !is_ipv6_address(url->host)))
        return false;
    if (!url->is_ipv6 && url->host.length > 0 && !is_host_name(url->host))
        return false;
    if (rest.length == 0)
        return true;
    if (!take_prefix(&rest, ":"))
        return false;
    url->port_text = rest;
    if (rest.length == 0)
        return true;
    url->port = small_number(rest, 5, 65535);
    return url->port >= 0;
}

/* The port of those schemes whose URLs have a host, RFC 9110 4.2 and RFC 6455 3; -1 of others. */
static int default_port(struct httpurl_part scheme)
{
    static const struct {
        const char *scheme;
        int port;
    } defaults[] = { { "http", 80 }, { "https", 443 }, { "ws", 80 }, { "wss", 443 } };

    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (is_same_folded(scheme, (struct httpurl_part){ defaults[i].scheme, strlen(defaults[i].scheme) }))
            return defaults[i].port;
    return -1;
}

/* scheme ":", RFC 3986 3.1. */
static void take_scheme(struct httpurl_part *rest, struct httpurl *url)
{
    struct httpurl_part after = *rest;
    struct httpurl_part scheme = take_until(&after, ":/?#");

    if (scheme.length == 0 || !are_in_class(scheme, URL_SCHEME) || !take_prefix(&after, ":"))
        return;
    if (fold_letter(scheme.text[0]) < 'a') /* of the bytes of a scheme, all that are not letters */
        return;
    url->scheme = scheme;
    url->port = default_port(scheme);
    *rest = after;
}

/* "//" authority, RFC 3986 3.2. Only schemes that may do without a host may have an empty one. */
static bool take_authority(struct httpurl_part *rest, struct httpurl *url)
{
    if (!take_prefix(rest, "//"))
        return true;
    struct httpurl_part authority = take_until(rest, "/?#");
    struct httpurl_part userinfo = take_until(&authority, "@");
    if (take_prefix(&authority, "@")) {
        if (!are_in_class(userinfo, URL_USERINFO))
            return false;
        url->userinfo = userinfo;
    } else {
        authority = userinfo;
    }
    bool may_be_empty = url->scheme.text != NULL && default_port(url->scheme) < 0;
    return parse_host_and_port(authority, url) && (url->host.length > 0 || may_be_empty);
}

/* "1:b" and ":b" are nothing: no scheme, and no path either (path-noscheme, RFC 3986 4.2). */
static bool has_colon_in_first_segment(struct httpurl_part path)
{
    take_until(&path, "/:");
    return take_prefix(&path, ":");
}

int httpurl_parse(const char *text, size_t length, struct httpurl *url)
{
    struct httpurl_part rest = { text != NULL ? text : "", length };
    struct httpurl parsed = { .port = -1 };

    if (!is_url_text(rest.text, length))
        return -EINVAL;
    take_scheme(&rest, &parsed);
    if (!take_authority(&rest, &parsed))
        return -EINVAL;
    parsed.path = take_until(&rest, "?#");
    if (parsed.scheme.text == NULL && parsed.host.text == NULL && has_colon_in_first_segment(parsed.path))
        return -EINVAL;
    if (take_prefix(&rest, "?"))
        parsed.query = take_until(&rest, "#");
    if (take_prefix(&rest, "#"))
        parsed.fragment = rest;
    *url = parsed;
    return 0;
}

int httpurl_split_host_and_port(const char *text, size_t length, struct httpurl_part *host, int *port)
{
    struct httpurl parsed = { .port = -1 };

    if (length == 0 || !parse_host_and_port((struct httpurl_part){ text, length }, &parsed) || parsed.host.length == 0)
        return -EINVAL;
    *host = parsed.host;
    *port = parsed.port;
    return 0;
}

bool httpurl_same_origin(const struct httpurl *a, const struct httpurl *b)
{
    if (a->scheme.text == NULL || b->scheme.text == NULL || a->host.text == NULL || b->host.text == NULL)
        return false;
    return is_same_folded(a->scheme, b->scheme) && is_same_folded(a->host, b->host) && a->port == b->port;
}

bool httpurl_has_scheme(const struct httpurl *url, const char *scheme)
{
    return is_same_folded(url->scheme, (struct httpurl_part){ scheme, strlen(scheme) });
}

int httpurl_default_port(const struct httpurl *url)
{
    return default_port(url->scheme);
}

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

/* With what stands before it; nothing when it is absent. */
static void write_part(struct url_writer *writer, const char *before, struct httpurl_part part)
{
    if (part.text == NULL)
        return;
    write_bytes(writer, before, strlen(before));
    write_bytes(writer, part.text, part.length);
}

static ssize_t end_text(struct url_writer *writer)
{
    write_bytes(writer, "", 1);
    return writer->is_full ? -ENOBUFS : (ssize_t)writer->length - 1;
}

static void write_authority(struct url_writer *writer, const struct httpurl *url)
{
    if (url->host.text == NULL)
        return;
    write_bytes(writer, "//", 2);
    write_part(writer, "", url->userinfo);
    if (url->userinfo.text != NULL)
        write_bytes(writer, "@", 1);
    write_part(writer, url->is_ipv6 ? "[" : "", url->host);
    if (url->is_ipv6)
        write_bytes(writer, "]", 1);
    write_part(writer, ":", url->port_text);
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
    struct httpurl_part rest = { path, length };

    while (take_prefix(&rest, "../") || take_prefix(&rest, "./"))
        ;
    if ((rest.length == 1 && rest.text[0] == '.') || (rest.length == 2 && memcmp(rest.text, "..", 2) == 0))
        rest.length = 0;
    return length - rest.length;
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

    write_part(writer, "", directory);
    write_part(writer, "", path);
    if (writer->is_full)
        return;
    writer->length = begin + remove_dot_segments(writer->place + begin, writer->length - begin);
    if (has_authority || writer->length - begin < 2 || memcmp(writer->place + begin, "//", 2) != 0)
        return;
    write_bytes(writer, "/.", 2);
    if (writer->is_full)
        return;
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
    write_part(&writer, "", has_scheme ? reference->scheme : base->scheme);
    write_bytes(&writer, ":", 1);
    write_authority(&writer, home);
    if (is_same_page)
        write_part(&writer, "", base->path);
    else
        write_clean_path(&writer, is_relative ? directory_of(base) : (struct httpurl_part){ 0 }, reference->path,
                         home->host.text != NULL);
    write_part(&writer, "?", is_same_page && reference->query.text == NULL ? base->query : reference->query);
    write_part(&writer, "#", reference->fragment);
    return end_text(&writer);
}

ssize_t httpurl_decode(const char *text, size_t length, char *place, unsigned flags)
{
    size_t out = 0;

    for (size_t at = 0; at < length; at++) {
        int byte = (unsigned char)text[at];
        if (byte == '%') {
            int escaped = escaped_byte(text + at, length - at);
            if (escaped < 0 && !(flags & HTTPURL_LENIENT))
                return -EINVAL;
            if (escaped >= 0) {
                byte = escaped;
                at += 2;
            }
        } else if (byte == '+' && (flags & HTTPURL_PLUS)) {
            byte = ' ';
        }
        place[out++] = (char)byte;
    }
    return (ssize_t)out;
}

static size_t put_escape(char *place, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";

    place[0] = '%';
    place[1] = digits[byte >> 4];
    place[2] = digits[byte & 15];
    return 3;
}

size_t httpurl_encode(const char *text, size_t length, char *place, unsigned flags)
{
    unsigned class = flags & HTTPURL_PATH ? URL_PATH : URL_UNRESERVED;
    bool has_plus = flags & HTTPURL_PLUS;
    size_t out = 0;

    for (size_t i = 0; i < length; i++) {
        if (has_plus && text[i] == ' ')
            place[out++] = '+';
        else if (is_in_class(text[i], class) && !(has_plus && text[i] == '+'))
            place[out++] = text[i];
        else
            out += put_escape(place + out, (uint8_t)text[i]);
    }
    return out;
}

size_t httpurl_encode_iri(const char *text, size_t length, char *place)
{
    size_t out = 0;

    for (size_t i = 0; i < length; i++) {
        if ((uint8_t)text[i] < 0x80)
            place[out++] = text[i];
        else
            out += put_escape(place + out, (uint8_t)text[i]);
    }
    return out;
}

static void write_escaped(struct url_writer *writer, const char *text)
{
    char escaped[3];

    for (; *text != '\0' && !writer->is_full; text++)
        write_bytes(writer, escaped, httpurl_encode(text, 1, escaped, HTTPURL_PLUS));
}

/* The members that are there. Answers what stands before the next one. */
static const char *write_members(struct url_writer *writer, struct httpurl_part query)
{
    const char *separator = "?";

    while (query.length > 0) {
        struct httpurl_part member = take_until(&query, "&");
        take_prefix(&query, "&");
        if (member.length == 0)
            continue;
        write_part(writer, separator, member);
        if (memchr(member.text, '=', member.length) == NULL)
            write_bytes(writer, "=", 1);
        separator = "&";
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
    const char *separator = write_members(&writer, parsed.query);
    for (size_t i = 0; i < count; i++) {
        write_bytes(&writer, separator, 1);
        write_escaped(&writer, pairs[i].name);
        write_bytes(&writer, "=", 1);
        write_escaped(&writer, pairs[i].value != NULL ? pairs[i].value : "");
        separator = "&";
    }
    write_part(&writer, "#", parsed.fragment);
    return end_text(&writer);
}
