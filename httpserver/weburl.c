/* URLs: of the request, and of what it may be sent to. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpurl.h"
#include "httpserver/weblayer.h"

const char *weblayer_host(const struct web_request *request, size_t *length)
{
    const struct http1parser_request *head = &request->http->head;
    struct http1parser_slice host = head->host.length > 0 ? head->host : head->authority;

    *length = host.length;
    return request->http->bytes + host.offset;
}

struct origin {
    const char *protocol, *host;
    size_t host_length;
    size_t length; /* of "protocol://host" */
};

/* A client of HTTP/1.0 need not say which host it asks. */
static struct origin origin_of(const struct web_request *request)
{
    struct origin origin = { .protocol = httprequest_protocol(request->http) };

    origin.host = weblayer_host(request, &origin.host_length);
    if (origin.host_length == 0) {
        origin.host = "127.0.0.1";
        origin.host_length = strlen(origin.host);
    }
    origin.length = strlen(origin.protocol) + 3 + origin.host_length;
    return origin;
}

static char *append_text(char *end, const char *text, size_t length)
{
    memcpy(end, text, length);
    return end + length;
}

static char *append_origin(char *end, const struct origin *origin)
{
    end = append_text(end, origin->protocol, strlen(origin->protocol));
    end = append_text(end, "://", 3);
    return append_text(end, origin->host, origin->host_length);
}

char *weblayer_uri(struct web_request *request, bool with_origin)
{
    struct origin origin = origin_of(request);
    size_t path_length, query_length;
    const char *path = httprequest_path(request->http, &path_length);
    const char *query = httprequest_query(request->http, &query_length);
    char *uri = weblayer_new_text(request, origin.length + path_length + 1 + query_length);

    if (uri == NULL)
        return NULL;
    char *end = with_origin ? append_origin(uri, &origin) : uri;
    end = append_text(end, path, path_length);
    if (query != NULL) {
        *end++ = '?';
        end = append_text(end, query, query_length);
    }
    *end = '\0';
    return uri;
}

const char *web_full_url(struct web_request *request)
{
    return request->http != NULL ? weblayer_uri(request, true) : NULL;
}

const char *web_reverse_url(struct web_request *request, const char *name, const char *const *arguments, size_t count)
{
    size_t size = WEBROUTE_PATTERN + 1;

    for (size_t i = 0; i < count; i++) {
        if (arguments[i] == NULL)
            return NULL;
        size += 3 * strlen(arguments[i]);
    }
    char *url = weblayer_new_text(request, size);
    if (url == NULL)
        return NULL;
    return web_application_reverse_url(request->app, name, arguments, count, url, size) >= 0 ? url : NULL;
}

const char *web_static_url(struct web_request *request, const char *path, bool with_host, bool with_version)
{
    const struct web_settings *settings = &request->app->settings;
    char version[64] = "";

    if (request->app->files.root == NULL || request->http == NULL || path == NULL)
        return NULL;
    size_t length = strlen(path), prefix_length = strlen(settings->static_url_prefix);
    struct origin origin = origin_of(request);
    if (with_version && webstatic_version(&request->app->files, path, version, sizeof version) < 0)
        version[0] = '\0'; /* a file that is not there has none */
    char *url = weblayer_new_text(request, origin.length + prefix_length + 3 * length + 3 + sizeof version);
    if (url == NULL)
        return NULL;
    char *end = with_host ? append_origin(url, &origin) : url;
    end = append_text(end, settings->static_url_prefix, prefix_length);
    end += httpurl_encode(path, length, end, HTTPURL_PATH);
    if (version[0] != '\0') {
        end = append_text(end, "?v=", 3);
        end = append_text(end, version, strlen(version));
    }
    *end = '\0';
    return url;
}

/* With a slash at the end of the path, or without. */

static bool is_slash(char byte)
{
    return byte == '/' || byte == '\\';
}

char *weblayer_use_one_slash(char *path)
{
    if (!is_slash(path[0]))
        return path;
    while (is_slash(path[1]))
        path++;
    path[0] = '/';
    return path;
}

/* To this path, with the query of the request. */
static void redirect_to_path(struct web_request *request, size_t length, const char *end)
{
    size_t path_length;
    char *uri = weblayer_uri(request, false);
    char *place = uri != NULL ? weblayer_new_text(request, strlen(uri) + 1) : NULL;

    if (place == NULL) {
        web_send_error(request, 503);
        return;
    }
    (void)httprequest_path(request->http, &path_length);
    char *to = append_text(place, uri, length);
    to = append_text(to, end, strlen(end));
    append_text(to, uri + path_length, strlen(uri + path_length) + 1);
    (void)web_redirect(request, weblayer_use_one_slash(place), true);
}

bool web_removeslash(struct web_request *request)
{
    size_t length;
    const char *path = request->http != NULL ? httprequest_path(request->http, &length) : NULL;

    if (path == NULL || length == 0 || path[length - 1] != '/')
        return true;
    if (!weblayer_is_get_or_head(request))
        return web_send_error(request, 404), false;
    while (length > 0 && path[length - 1] == '/')
        length--;
    if (length == 0)
        return true; /* "/" cannot be without */
    redirect_to_path(request, length, "");
    return false;
}

bool web_addslash(struct web_request *request)
{
    size_t length;
    const char *path = request->http != NULL ? httprequest_path(request->http, &length) : NULL;

    if (path == NULL || length == 0 || path[length - 1] == '/')
        return true;
    if (!weblayer_is_get_or_head(request))
        return web_send_error(request, 404), false;
    redirect_to_path(request, length, "/");
    return false;
}

/* Redirects. */

/* A tab, which headers may have, is nothing to browsers: "/\t/host" is "//host". */
static bool is_redirect_to(int status, const char *url)
{
    return status >= 300 && status <= 399 && (url == NULL || strchr(url, '\t') == NULL);
}

int web_redirect_with_status(struct web_request *request, const char *url, int status)
{
    int error = weblayer_cannot_change(request);

    if (error < 0)
        return error;
    error = is_redirect_to(status, url) ? web_set_header(request, "Location", url) : -EINVAL;
    if (error == -EINVAL) {
        web_send_error_because(request, 500, NULL, "a redirect to what is no URL");
        return error;
    }
    web_set_status(request, status, NULL);
    return web_finish(request);
}

int web_redirect(struct web_request *request, const char *url, bool permanent)
{
    return web_redirect_with_status(request, url, permanent ? 301 : 302);
}

/* Browsers take a backslash for a slash, and drop tabs and line ends wherever they are (URL standard, 4.4). */
bool web_is_local_url(const char *url)
{
    if (url == NULL || url[0] != '/' || is_slash(url[1]))
        return false;
    while ((unsigned char)*url > ' ' && *url != 0x7f)
        url++;
    return *url == '\0';
}
