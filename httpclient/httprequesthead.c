#include "httpclient/httprequesthead.h"

#include <errno.h>
#include <string.h>

#include "httpserver/http1bytes.h"
#include "httpserver/http1parser.h"
#include "httpserver/httpbase64.h"
#include "httpserver/httpfield.h"
#include "ioloop/ioalloc.h"

/* Text that grows in the caller's place while there is room, and is counted to its end. */
struct head_writer {
    char *place;
    size_t size;
    size_t length;
};

/* Which headers the program's have, and the request has besides. */
enum {
    HAS_USER_AGENT = 1,
    HAS_CONTENT_TYPE = 2,
    HAS_ACCEPT_ENCODING = 4,
    SAYS_CLOSE = 8,
};

HTTP1BYTES_INLINE void put_piece(struct head_writer *writer, const char *bytes, size_t length)
{
    if (length > 0 && writer->length + length <= writer->size)
        memcpy(writer->place + writer->length, bytes, length);
    writer->length += length;
}

#define PUT_LITERAL(writer, literal) put_piece(writer, literal, sizeof literal - 1)

static void put_url_part(struct head_writer *writer, struct httpurl_part part)
{
    put_piece(writer, part.text, part.length);
}

static void put_head_number(struct head_writer *writer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    put_piece(writer, digits + at, sizeof digits - at);
}

/* "Name: value" of which only the value is not ours. */
static int put_line(struct head_writer *writer, const char *name, size_t name_length, const char *value)
{
    size_t length = strlen(value);

    put_piece(writer, name, name_length);
    PUT_LITERAL(writer, ": ");
    bool fits = writer->length + length <= writer->size;
    if (fits ? !httpfield_copy_value(writer->place + writer->length, value, length)
             : !httpfield_is_value(value, length))
        return -EINVAL;
    writer->length += length;
    PUT_LITERAL(writer, "\r\n");
    return 0;
}

#define PUT_LINE(writer, name, value) put_line(writer, name, sizeof name - 1, value)

/* The request line, RFC 9112 3. */

/* CONNECT asks for an authority, and nothing else does. */
static bool is_sendable_method(const struct httprequesthead *head, size_t length)
{
    bool is_connect = length == 7 && memcmp(head->method, "CONNECT", 7) == 0;

    return length > 0 && length <= HTTP1PARSER_MAX_METHOD && head->method[length] == '\0' &&
           is_connect == (head->target == HTTPREQUESTHEAD_AUTHORITY);
}

/* A port may have zeros in front in a URL; in a Host it has not. */
static void put_port(struct head_writer *writer, const struct httpurl *url)
{
    PUT_LITERAL(writer, ":");
    if (url->port_text.length > 0 && url->port_text.text[0] != '0')
        put_url_part(writer, url->port_text);
    else
        put_head_number(writer, (uint64_t)url->port);
}

/* uri-host [ ":" port ] */
static void put_authority(struct head_writer *writer, const struct httpurl *url, bool with_port)
{
    if (url->is_ipv6)
        PUT_LITERAL(writer, "[");
    put_url_part(writer, url->host);
    if (url->is_ipv6)
        PUT_LITERAL(writer, "]");
    if (with_port)
        put_port(writer, url);
}

/* The port is one that the scheme does not imply. Few are those of any scheme, and have to be looked up. */
static bool needs_port(const struct httpurl *url)
{
    if (url->port_text.length == 0)
        return false;
    return (url->port != 80 && url->port != 443) || url->port != httpurl_default_port(url);
}

/* origin-form, RFC 9112 3.2.1. */
static void put_origin(struct head_writer *writer, const struct httpurl *url)
{
    if (url->path.length == 0)
        PUT_LITERAL(writer, "/");
    put_url_part(writer, url->path);
    if (url->query.text == NULL)
        return;
    PUT_LITERAL(writer, "?");
    put_url_part(writer, url->query);
}

/* A proxy knows WebSockets as what their handshake is. */
static const char *proxied_scheme(const struct httpurl *url)
{
    return httpurl_has_scheme(url, "https") || httpurl_has_scheme(url, "wss") ? "https://" : "http://";
}

static void put_target(struct head_writer *writer, const struct httprequesthead *head)
{
    const struct httpurl *url = head->url;

    if (head->target == HTTPREQUESTHEAD_AUTHORITY) {
        put_authority(writer, url, true);
        return;
    }
    if (head->target == HTTPREQUESTHEAD_ABSOLUTE) {
        const char *scheme = proxied_scheme(url);
        put_piece(writer, scheme, strlen(scheme));
        put_authority(writer, url, needs_port(url));
    }
    put_origin(writer, url);
}

/* The program's own; NULL: it has none. Host and a target with an authority have to be the same (RFC 9112 3.2.2). */
static const char *find_host(const struct httprequesthead *head)
{
    if (head->headers == NULL || head->target != HTTPREQUESTHEAD_ORIGIN)
        return NULL;
    return httpheaders_get(head->headers, "Host");
}

/* uri-host [ ":" port ], with a port that is there, if there is a colon, and can be one. */
static bool is_sendable_host(const char *text, size_t length)
{
    struct httpurl_part host;
    int port;

    if (httpurl_split_host_and_port(text, length, &host, &port) < 0)
        return false;
    return port > 0 || host.text + host.length + (text[0] == '[') == text + length;
}

static int put_own_host(struct head_writer *writer, const struct httpheaders *headers, const char *host)
{
    size_t length = strlen(host);

    if (!is_sendable_host(host, length) || httpheaders_get_next(headers, "Host", host) != NULL)
        return -EINVAL;
    put_piece(writer, host, length);
    return 0;
}

static int put_host(struct head_writer *writer, const struct httprequesthead *head)
{
    const char *own = find_host(head);

    if (own != NULL)
        return put_own_host(writer, head->headers, own);
    put_authority(writer, head->url, head->target == HTTPREQUESTHEAD_AUTHORITY || needs_port(head->url));
    return 0;
}

static int put_request_line(struct head_writer *writer, const struct httprequesthead *head)
{
    size_t length = http1bytes_skip((const uint8_t *)head->method, 0, HTTP1BYTES_TOKEN);

    if (!is_sendable_method(head, length) || head->url->host.length == 0 || head->url->port <= 0)
        return -EINVAL;
    put_piece(writer, head->method, length);
    PUT_LITERAL(writer, " ");
    put_target(writer, head);
    PUT_LITERAL(writer, " HTTP/1.1\r\nHost: ");
    if (put_host(writer, head) < 0)
        return -EINVAL;
    PUT_LITERAL(writer, "\r\n");
    return 0;
}

/* The program's headers. */

HTTP1BYTES_INLINE bool is_header(const char *name, size_t length, const char *word)
{
    return http1bytes_is_word((const uint8_t *)name, length, word);
}

/* Is "close" among the options of this Connection? RFC 9110 7.6.1. */
static bool lists_close(const char *value)
{
    const char *option = value;

    for (;; value++) {
        if (*value != ',' && *value != '\0' && !httpfield_is_blank(*value))
            continue;
        if (is_header(option, (size_t)(value - option), "close"))
            return true;
        if (*value == '\0')
            return false;
        option = value + 1;
    }
}

/* What is not the program's, or is said by the request itself; what it has is noted. */
static bool is_not_sent(const struct httprequesthead *head, const char *name, const char *value, unsigned *has)
{
    size_t length = strlen(name);

    switch (length) {
    case 4: /* it is there already */
        return is_header(name, length, "host");
    case 6:
        return head->expect_continue && is_header(name, length, "expect");
    case 7:
        return !head->upgrade && is_header(name, length, "upgrade");
    case 10:
        if (is_header(name, length, "connection")) {
            *has |= lists_close(value) ? SAYS_CLOSE : 0;
            return !head->upgrade;
        }
        *has |= is_header(name, length, "user-agent") ? HAS_USER_AGENT : 0;
        return false;
    case 12:
        *has |= is_header(name, length, "content-type") ? HAS_CONTENT_TYPE : 0;
        return false;
    case 13:
        return head->authorization != NULL && is_header(name, length, "authorization");
    case 14:
        return is_header(name, length, "content-length");
    case 15:
        *has |= is_header(name, length, "accept-encoding") ? HAS_ACCEPT_ENCODING : 0;
        return false;
    case 17:
        return is_header(name, length, "transfer-encoding") ||
               (head->if_modified_since != NULL && is_header(name, length, "if-modified-since"));
    case 19: /* for a proxy, and no server */
        return is_header(name, length, "proxy-authorization");
    default:
        return false;
    }
}

/* They are httpheaders.h's, and so can be sent. */
static unsigned put_headers(struct head_writer *writer, const struct httprequesthead *head)
{
    const char *name, *value;
    unsigned has = 0;

    if (head->headers == NULL)
        return 0;
    for (size_t i = 0; httpheaders_at(head->headers, i, &name, &value); i++) {
        if (is_not_sent(head, name, value, &has))
            continue;
        put_piece(writer, name, strlen(name));
        PUT_LITERAL(writer, ": ");
        put_piece(writer, value, strlen(value));
        PUT_LITERAL(writer, "\r\n");
    }
    return has;
}

/* Those of the request itself. */

static int put_texts(struct head_writer *writer, const struct httprequesthead *head, unsigned has)
{
    int error = 0;

    if (head->user_agent != NULL && (has & HAS_USER_AGENT) == 0)
        error = PUT_LINE(writer, "User-Agent", head->user_agent);
    if (head->authorization != NULL && error == 0)
        error = PUT_LINE(writer, "Authorization", head->authorization);
    if (head->proxy_authorization != NULL && error == 0)
        error = PUT_LINE(writer, "Proxy-Authorization", head->proxy_authorization);
    if (head->if_modified_since != NULL && error == 0)
        error = PUT_LINE(writer, "If-Modified-Since", head->if_modified_since);
    if (head->content_type != NULL && (has & HAS_CONTENT_TYPE) == 0 && error == 0)
        error = PUT_LINE(writer, "Content-Type", head->content_type);
    return error;
}

static void put_framing(struct head_writer *writer, const struct httprequesthead *head, unsigned has)
{
    if (head->accept_gzip && (has & HAS_ACCEPT_ENCODING) == 0)
        PUT_LITERAL(writer, "Accept-Encoding: gzip\r\n");
    if (head->body == HTTPREQUESTHEAD_LENGTH) {
        PUT_LITERAL(writer, "Content-Length: ");
        put_head_number(writer, head->content_length);
        PUT_LITERAL(writer, "\r\n");
    } else if (head->body == HTTPREQUESTHEAD_CHUNKED) {
        PUT_LITERAL(writer, "Transfer-Encoding: chunked\r\n");
    }
    if (head->expect_continue)
        PUT_LITERAL(writer, "Expect: 100-continue\r\n");
    if (head->closes)
        PUT_LITERAL(writer, "Connection: close\r\n");
}

ssize_t httprequesthead_format(struct httprequesthead *head, char *place, size_t size)
{
    struct head_writer writer = { .place = place, .size = size };

    if (put_request_line(&writer, head) < 0)
        return -EINVAL;
    unsigned has = put_headers(&writer, head);
    head->closes = (head->close || (has & SAYS_CLOSE) != 0) && !head->upgrade;
    if (put_texts(&writer, head, has) < 0)
        return -EINVAL;
    put_framing(&writer, head, has);
    PUT_LITERAL(&writer, "\r\n");
    return (ssize_t)writer.length;
}

/* What methods are. */

static bool is_method_among(const char *method, const char *const *methods)
{
    while (*methods != NULL && strcmp(method, *methods) != 0)
        methods++;
    return *methods != NULL;
}

bool httprequesthead_is_standard(const char *method)
{
    static const char *const standard[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL };

    return is_method_among(method, standard);
}

bool httprequesthead_wants_body(const char *method)
{
    static const char *const with_body[] = { "POST", "PUT", "PATCH", NULL };

    return method[0] == 'P' && is_method_among(method, with_body);
}

bool httprequesthead_is_safe(const char *method)
{
    static const char *const safe[] = { "GET", "HEAD", "OPTIONS", "TRACE", NULL };

    return is_method_among(method, safe);
}

bool httprequesthead_is_idempotent(const char *method)
{
    static const char *const idempotent[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", NULL };

    return is_method_among(method, idempotent);
}

/* RFC 7617 2: no control characters. */
static bool has_controls(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

char *httprequesthead_basic(const char *user, size_t user_length, const char *password, size_t password_length)
{
    static const char scheme[] = "Basic ";
    size_t length = user_length + 1 + password_length;

    if (has_controls(user, user_length) || has_controls(password, password_length) ||
        (user_length > 0 && memchr(user, ':', user_length) != NULL))
        return errno = EINVAL, NULL;
    char *value = ioalloc(sizeof scheme + HTTPBASE64_LENGTH(length));
    char *plain = value != NULL ? ioalloc(length) : NULL;
    if (plain == NULL) {
        ioalloc_free(value);
        return errno = ENOMEM, NULL;
    }
    if (user_length > 0)
        memcpy(plain, user, user_length);
    plain[user_length] = ':';
    if (password_length > 0)
        memcpy(plain + user_length + 1, password, password_length);
    memcpy(value, scheme, sizeof scheme - 1);
    size_t encoded = httpbase64_encode(plain, length, value + sizeof scheme - 1);
    value[sizeof scheme - 1 + encoded] = '\0';
    ioalloc_free(plain);
    return value;
}
