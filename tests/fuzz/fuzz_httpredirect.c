/* httpredirect: the first bytes say where the input is cut into the URL that answered, the Location, and the method,
 * and what the status is.
 *
 * What has to hold: where it leads is a URL again, of http or https (or of a WebSocket, from one), never from TLS to
 * none, with host and port, without user, password and fragment; credentials go along to the same origin only; the
 * method changes as the status says; nothing is written on an error. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpclient/httpredirect.h"
#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 3 };

/* Up to the first NUL, as a Location can have none. In memory of its own. */
static char *take_text(const uint8_t **bytes, size_t *left, size_t length)
{
    length = length < *left ? length : *left;
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, *bytes, length);
    text[length] = '\0';
    *bytes += length;
    *left -= length;
    return text;
}

static bool has_one_of(const struct httpurl *url, const char *scheme, const char *other)
{
    return httpurl_has_scheme(url, scheme) || httpurl_has_scheme(url, other);
}

static void require_place(const char *from_text, const char *location, const struct httpredirect *redirect)
{
    struct httpurl from, to, given;

    require(httpurl_parse(from_text, strlen(from_text), &from) == 0);
    require(httpurl_parse(redirect->url, strlen(redirect->url), &to) == 0);
    require(to.host.length > 0 && to.port > 0 && to.userinfo.text == NULL && to.fragment.text == NULL);
    require(has_one_of(&to, "http", "https") || (has_one_of(&to, "ws", "wss") && has_one_of(&from, "ws", "wss")));
    require(!has_one_of(&from, "https", "wss") || has_one_of(&to, "https", "wss"));
    require(redirect->drops_credentials == !httpurl_same_origin(&from, &to));
    if (httpurl_parse(location, strlen(location), &given) == 0 && given.host.text != NULL)
        require(given.host.length == to.host.length && memcmp(given.host.text, to.host.text, to.host.length) == 0);
}

static void require_method(const char *method, int status, const struct httpredirect *redirect)
{
    if (status == 307 || status == 308)
        require(redirect->method == method && !redirect->drops_body);
    if (status == 303)
        require(redirect->drops_body && (redirect->method == method || strcmp(redirect->method, "GET") == 0));
    if (redirect->method != method)
        require(redirect->drops_body && strcmp(redirect->method, "GET") == 0 && strcmp(method, "HEAD") != 0);
}

/* From where it led it leads nowhere else: it is a whole URL. */
static void require_stable(const struct httpredirect *redirect)
{
    struct httpredirect again;
    int error = httpredirect_follow(redirect->url, "GET", 307, redirect->url, &again);

    require(strlen(redirect->url) > HTTPREDIRECT_MAX_LOCATION ? error == -EINVAL : error == 0);
    if (error < 0)
        return;
    require(!again.drops_credentials);
    ioalloc_free(again.url);
    require(httpredirect_follow(redirect->url, "GET", 307, "", &again) == 0);
    require(strcmp(again.url, redirect->url) == 0 && !again.drops_credentials);
    ioalloc_free(again.url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = { 301, 302, 303, 307, 308, 300, 200 };
    struct httpredirect redirect = { .url = NULL };

    if (size < SETTINGS)
        return 0;
    const uint8_t *bytes = data + SETTINGS;
    size_t left = size - SETTINGS;
    int status = statuses[data[2] % 7];
    char *from = take_text(&bytes, &left, data[0]);
    char *method = take_text(&bytes, &left, data[1] % 8);
    char *location = take_text(&bytes, &left, left);

    int error = httpredirect_follow(from, method, status, location, &redirect);
    require(error == 0 || error == -EINVAL || error == -EPROTONOSUPPORT);
    require((error == 0) == (redirect.url != NULL));
    if (error == 0) {
        require(httpredirect_is_status(status));
        require_place(from, location, &redirect);
        require_method(method, status, &redirect);
        require_stable(&redirect);
        ioalloc_free(redirect.url);
    }
    free(location);
    free(method);
    free(from);
    return 0;
}
