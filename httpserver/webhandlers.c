/* Handlers that are there already. */
#include <string.h>

#include "httpserver/httpurl.h"
#include "httpserver/weblayer.h"

/* Error. */

static void send_given_error(struct web_request *request)
{
    const struct web_error *error = web_route_arg(request);

    web_send_error(request, error != NULL ? error->status : 404);
}

static const struct web_method any_method[] = { { "*", send_given_error }, { NULL, NULL } };

const struct web_handler web_error_handler = {
    .others = any_method, .prepare = send_given_error, .no_xsrf_check = true, .lazy_form = true
};

/* Redirect. The arguments were decoded, and are encoded again: one cannot end the URL or begin another header. */

static size_t argument_room(const struct web_request *request)
{
    size_t room = 0;

    for (uint32_t i = 0; i < request->groups; i++)
        room += 3 * (size_t)request->group[i].length;
    return room;
}

/* "{7}" at text: its number, and what is behind it; -1: it is none. */
static int read_placeholder(const char *text, const char **end)
{
    int number = 0;

    if (*text++ != '{' || *text < '0' || *text > '9')
        return -1;
    while (*text >= '0' && *text <= '9' && number < 100)
        number = number * 10 + (*text++ - '0');
    if (*text != '}')
        return -1;
    *end = text + 1;
    return number;
}

static size_t count_placeholders(const char *url)
{
    const char *end;
    size_t count = 0;

    for (; *url != '\0'; url++)
        count += read_placeholder(url, &end) >= 0;
    return count;
}

static const char *skip_to_any(const char *at, const char *end, const char *bytes)
{
    while (at < end && strchr(bytes, *at) == NULL)
        at++;
    return at;
}

/* How much of an argument that follows the beginning of a URL is no part of its path: that has all its signs escaped,
 * or a colon would end a scheme, and a slash or an "@" make another host of one that the argument is in. */
static size_t length_before_path(const char *url, const char *end, const char *argument)
{
    const char *at = skip_to_any(url, end, ":/?#");

    if (at == end)
        return strcspn(argument, "/");
    at += *at == ':';
    if (end - at < 2 || memcmp(at, "//", 2) != 0 || skip_to_any(at + 2, end, "/?#") < end)
        return 0;
    return *argument == '/' && end > at + 2 ? 0 : strlen(argument); /* behind a host it may begin the path */
}

/* Answers the end. */
static char *put_path_argument(const char *url, char *end, const char *argument)
{
    size_t first = length_before_path(url, end, argument);

    end += httpurl_encode(argument, first, end, 0);
    return end + httpurl_encode(argument + first, strlen(argument + first), end, HTTPURL_PATH);
}

/* Answers the end. */
static char *fill_in_arguments(const struct web_request *request, const char *url, char *place)
{
    char *end = place;

    while (*url != '\0') {
        int number = read_placeholder(url, &url);
        const char *argument = number >= 0 ? web_path_argument(request, (size_t)number) : NULL;

        if (number < 0)
            *end++ = *url++;
        else if (argument != NULL)
            end = put_path_argument(place, end, argument);
    }
    *end = '\0';
    return end;
}

/* Behind the one of the URL, if it has one, and before its fragment. */
static void add_query(char *url, char *end, const char *query, size_t length)
{
    char *fragment = memchr(url, '#', (size_t)(end - url));
    char *place = fragment != NULL ? fragment : end;
    bool has_query = memchr(url, '?', (size_t)(place - url)) != NULL;

    if (length == 0)
        return;
    memmove(place + 1 + length, place, (size_t)(end - place) + 1);
    place[0] = has_query ? '&' : '?';
    memcpy(place + 1, query, length);
}

static void redirect_as_given(struct web_request *request)
{
    const struct web_redirection *redirection = web_route_arg(request);
    size_t query_length;
    const char *query = httprequest_query(request->http, &query_length), *url = redirection->url;
    char *place =
        weblayer_new_text(request, strlen(url) + query_length + 2 + count_placeholders(url) * argument_room(request));

    if (place == NULL) {
        web_send_error(request, 503);
        return;
    }
    char *end = fill_in_arguments(request, url, place);
    add_query(place, end, query, query_length);
    if (strncmp(url, "//", 2) != 0)
        place = weblayer_use_one_slash(place); /* an argument that begins with one would make it two */
    (void)web_redirect(request, place, !redirection->is_temporary);
}

const struct web_handler web_redirect_handler = { .get = redirect_as_given, .head = redirect_as_given };

/* Fallback. web_application_serve knows it, and hands the request over before anything is done with it. */

static void hand_nothing_over(struct web_request *request)
{
    web_send_error(request, 500);
}

const struct web_handler web_fallback_handler = { .prepare = hand_nothing_over, .lazy_form = true };
