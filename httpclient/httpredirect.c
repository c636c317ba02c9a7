#include "httpclient/httpredirect.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"

bool httpredirect_is_status(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Why 301 and 302 do so to POST: browsers always have, and servers count on it, RFC 9110 15.4.2. */
static const char *method_behind(int status, const char *method)
{
    if (status == 303)
        return strcmp(method, "HEAD") == 0 ? method : "GET";
    if ((status == 301 || status == 302) && strcmp(method, "POST") == 0)
        return "GET";
    return method;
}

static bool is_secure_scheme(const struct httpurl *url)
{
    return httpurl_has_scheme(url, "https") || httpurl_has_scheme(url, "wss");
}

static bool is_http_scheme(const struct httpurl *url)
{
    return httpurl_has_scheme(url, "http") || httpurl_has_scheme(url, "https");
}

static bool is_websocket_scheme(const struct httpurl *url)
{
    return httpurl_has_scheme(url, "ws") || httpurl_has_scheme(url, "wss");
}

/* Only a handshake has a scheme of WebSocket, and can be led on to another. */
static bool may_lead(const struct httpurl *from, const struct httpurl *to)
{
    if (is_secure_scheme(from) && !is_secure_scheme(to))
        return false;
    return is_http_scheme(to) || (is_websocket_scheme(from) && is_websocket_scheme(to));
}

/* Credentials in a Location are the server's idea, and those of the URL that it was asked for do not go on in a text
 * that others see. */
static void drop_private_parts(struct httpurl *url)
{
    url->userinfo = url->fragment = (struct httpurl_part){ 0 };
}

/* place has room for both texts and 3 bytes. */
static int resolve_location(const char *from, const char *location, size_t length, char *place, size_t size,
                            struct httpredirect *redirect)
{
    struct httpurl base, reference, target;

    if (httpurl_parse(from, strlen(from), &base) < 0 || httpurl_parse(location, length, &reference) < 0)
        return -EINVAL;
    drop_private_parts(&base);
    drop_private_parts(&reference);
    ssize_t written = httpurl_resolve(&base, &reference, place, size);
    if (written < 0 || httpurl_parse(place, (size_t)written, &target) < 0)
        return -EINVAL;
    if (!may_lead(&base, &target))
        return -EPROTONOSUPPORT;
    if (target.host.length == 0 || target.port == 0)
        return -EINVAL;
    redirect->drops_credentials = !httpurl_same_origin(&base, &target);
    return 0;
}

/* Many servers send names as they are, and not in escapes. */
static char *escape_location(const char *location, size_t *length)
{
    char *escaped = ioalloc(3 * *length + 1);

    if (escaped != NULL)
        *length = httpurl_encode_iri(location, *length, escaped);
    return escaped;
}

int httpredirect_follow(const char *from, const char *method, int status, const char *location,
                        struct httpredirect *redirect)
{
    struct httpredirect next = { .method = method_behind(status, method) };
    size_t length = strnlen(location, HTTPREDIRECT_MAX_LOCATION + 1);
    int error = -ENOMEM;

    if (!httpredirect_is_status(status) || length > HTTPREDIRECT_MAX_LOCATION)
        return -EINVAL;
    next.drops_body = status == 303 || next.method != method;
    char *escaped = escape_location(location, &length);
    size_t size = strlen(from) + length + 3;
    next.url = escaped != NULL ? ioalloc(size) : NULL;
    if (next.url != NULL)
        error = resolve_location(from, escaped, length, next.url, size, &next);
    ioalloc_free(escaped);
    if (error < 0)
        ioalloc_free(next.url);
    else
        *redirect = next;
    return error;
}

static void remove_all(struct httpheaders *headers, const char *const *names)
{
    for (; *names != NULL; names++)
        httpheaders_remove(headers, *names);
}

void httpredirect_strip(const struct httpredirect *redirect, struct httpheaders *headers)
{
    static const char *const of_body[] = { "Content-Length",   "Content-Type",
                                           "Content-Encoding", "Content-Language",
                                           "Content-Location", "Transfer-Encoding",
                                           "Expect",           NULL };
    static const char *const of_origin[] = { "Authorization", "Cookie", "Host", "Proxy-Authorization", NULL };

    if (redirect->drops_body)
        remove_all(headers, of_body);
    if (redirect->drops_credentials)
        remove_all(headers, of_origin);
}
