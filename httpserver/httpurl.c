#include "httpserver/httpurl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "httpserver/http1bytes.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpurllayer.h"

/* clang-format off */
#define F HTTPURLLAYER_FRAGMENT
#define Q (F | HTTPURLLAYER_QUERY)
#define T (Q | HTTPURLLAYER_TEXT)
#define O (T | HTTPURLLAYER_PATH)
#define P (O | HTTPURLLAYER_PLUSLESS)
#define C (P | HTTPURLLAYER_USERINFO)
#define S (C | HTTPURLLAYER_HOST)
#define G (O | HTTPURLLAYER_USERINFO | HTTPURLLAYER_HOST | HTTPURLLAYER_SCHEME)
#define U (S | HTTPURLLAYER_UNRESERVED)
#define A (U | HTTPURLLAYER_SCHEME)
#define X (A | HTTPURLLAYER_HEX)
const uint16_t httpurllayer_classes[256] = {
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

/* To the first byte of another class. */
static inline const char *skip_class(const char *at, const char *end, unsigned class)
{
    while (end - at >= 4 && httpurllayer_are_four_in(at, class))
        at += 4;
    while (at < end && httpurllayer_is_in(*at, class))
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

/* The same, past escapes too. */
static const char *skip_class_and_escapes(const char *at, const char *end, unsigned class)
{
    for (at = skip_class(at, end, class); httpurllayer_is_escape(at, end); at = skip_class(at, end, class))
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
    if (end == text || (!httpurllayer_is_in(end[-1], HTTPURLLAYER_HEX) && fold_letter(end[-1]) != 'x'))
        return false;
    for (label = end; label > text && label[-1] != '.';)
        label--;
    if (end - label > 1 && label[0] == '0' && fold_letter(label[1]) == 'x')
        return skip_class(label + 2, end, HTTPURLLAYER_HEX) == end;
    while (label < end && is_decimal(*label))
        label++;
    return label == end;
}

/* An address, or a name, which may be empty: RFC 9110 4.2.1. */
static inline const char *read_host_name(const char *at, const char *end)
{
    const char *stop = read_ipv4_address(at, end);

    if (stop != NULL && (stop == end || !httpurllayer_is_in(*stop, HTTPURLLAYER_HOST)))
        return stop;
    stop = skip_class(at, end, HTTPURLLAYER_HOST);
    return !ends_in_number(at, stop) ? stop : NULL;
}

/* IPv6address, RFC 3986 3.2.2. Neither zones nor later versions. */
static const char *read_ipv6_address(const char *at, const char *end)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = 0;

    for (; at < end && (httpurllayer_is_in(*at, HTTPURLLAYER_HEX) || *at == ':' || *at == '.'); at++) {
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
    const char *stop = skip_class(at, end, HTTPURLLAYER_SCHEME);

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
    const char *stop = skip_class_and_escapes(at, end, HTTPURLLAYER_USERINFO);

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
    const char *stop = skip_class_and_escapes(at, end, HTTPURLLAYER_TEXT);

    url->path = part_of(at, stop);
    if (is_next(stop, end, '?')) {
        at = stop + 1;
        stop = skip_class_and_escapes(at, end, HTTPURLLAYER_QUERY);
        url->query = part_of(at, stop);
    }
    if (is_next(stop, end, '#')) {
        at = stop + 1;
        stop = skip_class_and_escapes(at, end, HTTPURLLAYER_FRAGMENT);
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
