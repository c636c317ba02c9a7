#include "httpserver/httpurl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "httpserver/http1bytes.h"
#include "httpserver/httpfield.h"

/* What a byte may be part of. "%" is of no part: it has to be looked at. */
enum {
    URL_FRAGMENT = 1,   /* VCHAR but the backslash, which some readers take for a slash */
    URL_QUERY = 2,      /* the same, but what ends a query */
    URL_TEXT = 4,       /* and but what ends a path */
    URL_UNRESERVED = 8, /* RFC 3986 2.3 */
    URL_PATH = 16,      /* pchar and "/", RFC 3986 3.3 */
    URL_PLUSLESS = 32,  /* the same but "+", where that is a space */
    URL_USERINFO = 64,  /* RFC 3986 3.2.1 */
    URL_HOST = 128,     /* reg-name, RFC 3986 3.2.2, but no comma and no escapes: nobody resolves those */
    URL_SCHEME = 256,   /* RFC 3986 3.1, from the second byte on */
    URL_HEX = 512,
};

/* clang-format off */
#define F URL_FRAGMENT
#define Q (F | URL_QUERY)
#define T (Q | URL_TEXT)
#define O (T | URL_PATH)
#define P (O | URL_PLUSLESS)
#define C (P | URL_USERINFO)
#define S (C | URL_HOST)
#define G (O | URL_USERINFO | URL_HOST | URL_SCHEME)
#define U (S | URL_UNRESERVED)
#define A (U | URL_SCHEME)
#define X (A | URL_HEX)
static const uint16_t url_classes[256] = {
    [0x20] = /*  !"#$%&'()*+,-./ */ 0, S, T, F, S, 0, S, S, S, S, S, G, C, A, A, P,
    [0x30] = /* 0123456789:;<=>? */ X, X, X, X, X, X, X, X, X, X, C, S, T, S, T, Q,
    [0x40] = /* @ABCDEFGHIJKLMNO */ P, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x50] = /* PQRSTUVWXYZ[\]^_ */ A, A, A, A, A, A, A, A, A, A, A, T, 0, T, T, U,
    [0x60] = /* `abcdefghijklmno */ T, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x70] = /* pqrstuvwxyz{|}~  */ A, A, A, A, A, A, A, A, A, A, A, T, T, T, U, 0,
};
#undef F
#undef Q
#undef T
#undef O
#undef P
#undef C
#undef S
#undef G
#undef U
#undef A
#undef X
/* clang-format on */

static inline bool is_in_class(char byte, unsigned class)
{
    return (url_classes[(uint8_t)byte] & class) != 0;
}

/* For one class only. */
static inline bool are_four_in_class(const char *at, unsigned class)
{
    return (url_classes[(uint8_t)at[0]] & url_classes[(uint8_t)at[1]] & url_classes[(uint8_t)at[2]] &
            url_classes[(uint8_t)at[3]] & class) != 0;
}

/* To the first byte of another class. */
static inline const char *skip_class(const char *at, const char *end, unsigned class)
{
    while (end - at >= 4 && are_four_in_class(at, class))
        at += 4;
    while (at < end && is_in_class(*at, class))
        at++;
    return at;
}

static inline bool is_decimal(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline char fold_letter(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static unsigned hex_value(char digit)
{
    return is_decimal(digit) ? (unsigned)(digit - '0') : (unsigned)(fold_letter(digit) - 'a' + 10);
}

static bool is_escape(const char *at, const char *end)
{
    return end - at >= 3 && at[0] == '%' && is_in_class(at[1], URL_HEX) && is_in_class(at[2], URL_HEX);
}

/* The same, past escapes too. */
static const char *skip_class_and_escapes(const char *at, const char *end, unsigned class)
{
    for (at = skip_class(at, end, class); is_escape(at, end); at = skip_class(at, end, class))
        at += 3;
    return at;
}

/* A URL is read from its beginning to its end, each part as far as its bytes go. What comes then has to be what may
 * follow that part: this refuses what is in none. Functions that read answer where they stopped, or NULL. */

static inline bool is_next(const char *at, const char *end, char byte)
{
    return at < end && *at == byte;
}

static inline bool is_digit_next(const char *at, const char *end)
{
    return at < end && is_decimal(*at);
}

static inline struct httpurl_part part_of(const char *at, const char *end)
{
    return (struct httpurl_part){ at, (size_t)(end - at) };
}

/* dec-octet, RFC 3986 3.2.2: no leading zeros, which some readers take for octal. */
static inline const char *read_octet(const char *at, const char *end)
{
    if (!is_digit_next(at, end))
        return NULL;
    int number = *at++ - '0';
    if (number > 0 && is_digit_next(at, end)) {
        number = 10 * number + (*at++ - '0');
        if (is_digit_next(at, end))
            number = 10 * number + (*at++ - '0');
    }
    return number <= 255 ? at : NULL;
}

/* IPv4address, RFC 3986 3.2.2. */
static inline const char *read_ipv4_address(const char *at, const char *end)
{
    at = read_octet(at, end);
    for (int i = 1; at != NULL && i < 4; i++)
        at = is_next(at, end, '.') ? read_octet(at + 1, end) : NULL;
    return at;
}

/* Would inet_aton take the last label for a number, and the host for an address then? It knows hexadecimal, octal and
 * fewer than four. */
static bool ends_in_number(const char *text, const char *end)
{
    const char *label;

    if (end > text && end[-1] == '.')
        end--;
    if (end == text || (!is_in_class(end[-1], URL_HEX) && fold_letter(end[-1]) != 'x'))
        return false;
    for (label = end; label > text && label[-1] != '.';)
        label--;
    if (end - label > 1 && label[0] == '0' && fold_letter(label[1]) == 'x')
        return skip_class(label + 2, end, URL_HEX) == end;
    while (label < end && is_decimal(*label))
        label++;
    return label == end;
}

/* An address, or a name, which may be empty: RFC 9110 4.2.1. */
static inline const char *read_host_name(const char *at, const char *end)
{
    const char *stop = read_ipv4_address(at, end);

    if (stop != NULL && (stop == end || !is_in_class(*stop, URL_HOST)))
        return stop;
    stop = skip_class(at, end, URL_HOST);
    return !ends_in_number(at, stop) ? stop : NULL;
}

/* IPv6address, RFC 3986 3.2.2. Neither zones nor later versions. */
static const char *read_ipv6_address(const char *at, const char *end)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = 0;

    for (; at < end && (is_in_class(*at, URL_HEX) || *at == ':' || *at == '.'); at++) {
        if (length == sizeof text - 1)
            return NULL;
        text[length++] = *at;
    }
    text[length] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1 ? at : NULL;
}

static const char *read_bracketed_host(const char *at, const char *end, struct httpurl *url)
{
    const char *stop = read_ipv6_address(at, end);

    if (stop == NULL || !is_next(stop, end, ']'))
        return NULL;
    url->is_ipv6 = true;
    url->host = part_of(at, stop);
    return stop + 1;
}

/* At most five digits. url->port is left alone where there are none, as in "a:". */
static inline const char *read_port(const char *at, const char *end, struct httpurl *url)
{
    const char *begin = at;
    int port = 0;

    for (; is_digit_next(at, end) && port <= 65535; at++)
        port = 10 * port + (*at - '0');
    if (at > begin)
        url->port = port;
    url->port_text = part_of(begin, at);
    return at - begin <= 5 && port <= 65535 ? at : NULL;
}

/* Host and port of an authority, RFC 3986 3.2.2 and 3.2.3. */
static const char *read_host_and_port(const char *at, const char *end, struct httpurl *url)
{
    if (is_next(at, end, '[')) {
        at = read_bracketed_host(at + 1, end, url);
    } else {
        const char *begin = at;
        at = read_host_name(begin, end);
        url->host = part_of(begin, at != NULL ? at : begin);
    }
    return at != NULL && is_next(at, end, ':') ? read_port(at + 1, end, url) : at;
}

/* The port of those schemes whose URLs have a host, RFC 9110 4.2 and RFC 6455 3; -1 of others. */
static int default_port(struct httpurl_part scheme)
{
    const uint8_t *text = (const uint8_t *)scheme.text;

    if (http1bytes_is_word(text, scheme.length, "http"))
        return 80;
    if (http1bytes_is_word(text, scheme.length, "https"))
        return 443;
    if (scheme.length < 2 || scheme.length > 3 || (text[0] | 0x20) != 'w' || (text[1] | 0x20) != 's')
        return -1;
    return scheme.length == 2 ? 80 : (text[2] | 0x20) == 's' ? 443 : -1;
}

/* scheme ":", RFC 3986 3.1. What looks otherwise may be a path. */
static inline const char *read_scheme(const char *at, const char *end, struct httpurl *url)
{
    const char *stop = skip_class(at, end, URL_SCHEME);

    if (!is_next(stop, end, ':'))
        return at;
    if (fold_letter(*at) < 'a') /* of the bytes of a scheme, all that are not letters; and the colon */
        return at;
    url->scheme = part_of(at, stop);
    url->port = default_port(url->scheme);
    return stop + 1;
}

/* Host and port, and nothing more of the authority. Only schemes that may do without a host may have an empty one. */
static const char *read_rest_of_authority(const char *at, const char *end, struct httpurl *url)
{
    bool may_be_empty = url->scheme.text != NULL && url->port < 0;

    at = read_host_and_port(at, end, url);
    if (at == NULL || (url->host.length == 0 && !may_be_empty))
        return NULL;
    return at == end || *at == '/' || *at == '?' || *at == '#' ? at : NULL;
}

/* userinfo "@" host and port, RFC 3986 3.2.1. */
static const char *read_authority_of_user(const char *at, const char *end, struct httpurl *url)
{
    const char *stop = skip_class_and_escapes(at, end, URL_USERINFO);

    if (!is_next(stop, end, '@'))
        return NULL;
    *url = (struct httpurl){ .scheme = url->scheme, .port = default_port(url->scheme) };
    url->userinfo = part_of(at, stop);
    return read_rest_of_authority(stop + 1, end, url);
}

/* "//" authority, RFC 3986 3.2. Most have no user; what looks so, and has one, is not an authority without its "@". */
static inline const char *read_authority(const char *at, const char *end, struct httpurl *url)
{
    if (end - at < 2 || memcmp(at, "//", 2) != 0)
        return at;
    const char *stop = read_rest_of_authority(at + 2, end, url);
    return stop != NULL ? stop : read_authority_of_user(at + 2, end, url);
}

/* "1:b" and ":b" are nothing: no scheme, and no path either (path-noscheme, RFC 3986 4.2). */
static bool has_colon_in_first_segment(struct httpurl_part path)
{
    size_t at = 0;

    while (at < path.length && path.text[at] != '/' && path.text[at] != ':')
        at++;
    return at < path.length && path.text[at] == ':';
}

static inline const char *read_path_and_rest(const char *at, const char *end, struct httpurl *url)
{
    const char *stop = skip_class_and_escapes(at, end, URL_TEXT);

    url->path = part_of(at, stop);
    if (is_next(stop, end, '?')) {
        at = stop + 1;
        stop = skip_class_and_escapes(at, end, URL_QUERY);
        url->query = part_of(at, stop);
    }
    if (is_next(stop, end, '#')) {
        at = stop + 1;
        stop = skip_class_and_escapes(at, end, URL_FRAGMENT);
        url->fragment = part_of(at, stop);
    }
    return stop;
}

int httpurl_parse(const char *text, size_t length, struct httpurl *url)
{
    const char *begin = text != NULL ? text : "", *end = begin + length;
    struct httpurl parsed = { .port = -1 };
    const char *at = read_authority(read_scheme(begin, end, &parsed), end, &parsed);

    if (at == NULL || read_path_and_rest(at, end, &parsed) < end)
        return -EINVAL;
    if (parsed.scheme.text == NULL && parsed.host.text == NULL && has_colon_in_first_segment(parsed.path))
        return -EINVAL;
    *url = parsed;
    return 0;
}

int httpurl_split_host_and_port(const char *text, size_t length, struct httpurl_part *host, int *port)
{
    struct httpurl parsed = { .port = -1 };

    if (length == 0 || read_host_and_port(text, text + length, &parsed) != text + length || parsed.host.length == 0)
        return -EINVAL;
    *host = parsed.host;
    *port = parsed.port;
    return 0;
}

static bool is_same_part(struct httpurl_part a, struct httpurl_part b)
{
    return a.length == b.length && (a.length == 0 || httpfield_is_same(a.text, b.text, a.length));
}

bool httpurl_same_origin(const struct httpurl *a, const struct httpurl *b)
{
    if (a->scheme.text == NULL || b->scheme.text == NULL || a->host.text == NULL || b->host.text == NULL)
        return false;
    return a->port == b->port && is_same_part(a->scheme, b->scheme) && is_same_part(a->host, b->host);
}

bool httpurl_has_scheme(const struct httpurl *url, const char *scheme)
{
    return is_same_part(url->scheme, (struct httpurl_part){ scheme, strlen(scheme) });
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

/* Eight bytes at once, in any order; most have nothing in them to be done. */
enum { URL_WORD = sizeof(uint64_t) };

static inline uint64_t load_url_word(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof word);
    return word;
}

/* Some bit where one of the bytes is this one, else 0. */
static inline uint64_t has_url_byte(uint64_t word, char byte)
{
    uint64_t other = word ^ HTTP1BYTES_EACH((uint8_t)byte);

    return (other - HTTP1BYTES_EACH(0x01)) & ~other & HTTP1BYTES_EACH(0x80);
}

/* Copies up to the first byte that does not stand for itself, and answers how many bytes that is. The place may be, or
 * be before, the text. */
static inline size_t copy_unescaped(const char *text, size_t length, char *place, unsigned flags)
{
    char blank = flags & HTTPURL_PLUS ? '+' : '%';
    size_t at = 0;

    for (; length - at >= URL_WORD; at += URL_WORD) {
        uint64_t word = load_url_word(text + at);
        if (has_url_byte(word, '%') || has_url_byte(word, blank))
            break;
        memcpy(place + at, &word, sizeof word);
    }
    for (; at < length && text[at] != '%' && text[at] != blank; at++)
        place[at] = text[at];
    return at;
}

ssize_t httpurl_decode(const char *text, size_t length, char *place, unsigned flags)
{
    size_t at = copy_unescaped(text, length, place, flags), out = at;

    while (at < length) {
        if (is_escape(text + at, text + length)) {
            place[out++] = (char)(hex_value(text[at + 1]) << 4 | hex_value(text[at + 2]));
            at += 3;
        } else if (text[at] == '%' && !(flags & HTTPURL_LENIENT)) {
            return -EINVAL;
        } else {
            place[out++] = text[at] == '%' ? '%' : ' ';
            at++;
        }
        size_t copied = copy_unescaped(text + at, length - at, place + out, flags);
        at += copied;
        out += copied;
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

/* Of what stands as it is. */
static unsigned encode_class(unsigned flags)
{
    if (!(flags & HTTPURL_PATH))
        return URL_UNRESERVED;
    return flags & HTTPURL_PLUS ? URL_PLUSLESS : URL_PATH;
}

static inline size_t encode_byte(char byte, char *place, unsigned class, unsigned flags)
{
    bool is_blank = byte == ' ' && (flags & HTTPURL_PLUS);

    if (!is_blank && !is_in_class(byte, class))
        return put_escape(place, (uint8_t)byte);
    *place = is_blank ? '+' : byte;
    return 1;
}

size_t httpurl_encode(const char *text, size_t length, char *place, unsigned flags)
{
    unsigned class = encode_class(flags);
    size_t at = 0, out = 0;

    while (at < length) {
        if (length - at >= 4 && are_four_in_class(text + at, class)) {
            memcpy(place + out, text + at, 4);
            at += 4;
            out += 4;
        } else {
            out += encode_byte(text[at++], place + out, class, flags);
        }
    }
    return out;
}

size_t httpurl_encode_iri(const char *text, size_t length, char *place)
{
    size_t out = 0, i = 0;

    while (i < length) {
        if (length - i >= URL_WORD && (load_url_word(text + i) & HTTP1BYTES_EACH(0x80)) == 0) {
            memcpy(place + out, text + i, URL_WORD);
            out += URL_WORD;
            i += URL_WORD;
        } else if ((uint8_t)text[i] < 0x80) {
            place[out++] = text[i++];
        } else {
            out += put_escape(place + out, (uint8_t)text[i++]);
        }
    }
    return out;
}

/* Runs of what stands as it is are written at once. */
static void write_escaped(struct url_writer *writer, const char *text)
{
    char escaped[3];

    while (*text != '\0' && !writer->is_full) {
        const char *begin = text;
        while (is_in_class(*text, URL_UNRESERVED))
            text++;
        write_bytes(writer, begin, (size_t)(text - begin));
        for (; *text != '\0' && !is_in_class(*text, URL_UNRESERVED); text++)
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
