/* The routes of an application: which of them serves a request, with which arguments; and paths of their names. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpescape.h"
#include "httpserver/httpurl.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"

static const struct web_error not_found = { 404 };
static const struct web_route no_route = { NULL, &web_error_handler, &not_found, NULL };

/* Tables. */

/* Is there any use in looking at the head of a request whose body is still to come? */
bool weblayer_looks_at_head(const struct web_route *route)
{
    const struct web_handler *handler = route->handler;

    return handler != NULL && (handler->data_received != NULL || handler->max_body != 0 || handler->body_timeout > 0 ||
                               handler == &web_fallback_handler);
}

void weblayer_note_handlers(struct web_application *app, const struct webroute_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        app->looks_at_heads = app->looks_at_heads || weblayer_looks_at_head(&table->list[i].route);
}

static void copy_lower(char *place, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        place[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
}

/* RFC 3986 3.2.2: names of hosts have no case. What is asked for is compared in lower case; the letters of an
 * expression may mean something else. */
static int init_host_name(struct webroute *name, const char *pattern)
{
    char lower[WEBLAYER_HOST];
    size_t length = strlen(pattern);

    if (length < sizeof lower && webroute_is_literal(pattern)) {
        copy_lower(lower, pattern, length + 1);
        pattern = lower;
    }
    return webroute_init(name, &(struct web_route){ .pattern = pattern });
}

int web_application_add_routes(struct web_application *app, const char *host_pattern, const struct web_route *routes)
{
    struct weblayer_host *hosts = ioalloc_array_resize(app->hosts, app->host_count + 1, sizeof *hosts);

    if (hosts == NULL)
        return -ENOMEM;
    app->hosts = hosts;
    struct weblayer_host *host = &hosts[app->host_count];
    int error = init_host_name(&host->name, host_pattern);
    if (error < 0)
        return error;
    error = webroute_table_init(&host->routes, routes);
    if (error < 0) {
        webroute_free(&host->name);
        return error;
    }
    app->host_count++;
    weblayer_note_handlers(app, &host->routes);
    return 0;
}

/* Routing. */

struct search {
    struct web_request *request;
    const char *path;
    size_t length;
    uint64_t word; /* of the path: see webroute_word */
    bool copied;   /* path is the request's own, with a NUL behind it */
};

static int copy_path(struct search *search)
{
    struct weblayer_buffer *place = &search->request->path;

    if (search->copied)
        return 0;
    place->length = 0;
    if (weblayer_reserve(place, search->length + 1) < 0)
        return -ENOMEM;
    memcpy(place->bytes, search->path, search->length);
    place->bytes[search->length] = '\0';
    place->length = search->length + 1;
    search->path = place->bytes;
    search->copied = true;
    return 0;
}

static void use_route(struct web_request *request, const struct web_route *route)
{
    request->route = route;
    request->handler = route->handler != NULL ? route->handler : &web_error_handler;
}

static __attribute__((noinline)) int match_pattern(struct search *search, const struct webroute *route)
{
    if (copy_path(search) < 0)
        return -ENOMEM;
    return webroute_match(route, search->path, search->length, search->request->group);
}

/* 1: found. What may match a literal does. */
static inline int search_table(struct search *search, const struct webroute_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct webroute *route = &table->list[i];

        if (!webroute_may_match(route, search->word, search->path, search->length))
            continue;
        int matches = route->kind == WEBROUTE_LITERAL ? 1 : match_pattern(search, route);
        if (matches < 0)
            return matches;
        if (matches > 0) {
            search->request->compiled = route;
            use_route(search->request, &route->route);
            return 1;
        }
    }
    return 0;
}

/* In lower case, without port; "" for one that is no host. */
static void copy_host_name(const char *host, size_t length, char name[WEBLAYER_HOST])
{
    struct httpurl_part part;
    int port;

    name[0] = '\0';
    if (httpurl_split_host_and_port(host, length, &part, &port) < 0 || part.length >= WEBLAYER_HOST)
        return;
    copy_lower(name, part.text, part.length);
    name[part.length] = '\0';
}

static int search_hosts(struct search *search, const char *host, size_t length)
{
    const struct web_application *app = search->request->app;
    struct webroute_group groups[WEBROUTE_GROUPS];
    char name[WEBLAYER_HOST];

    copy_host_name(host, length, name);
    for (size_t i = 0; i < app->host_count; i++) {
        int found = webroute_match(&app->hosts[i].name, name, strlen(name), groups);

        if (found > 0)
            found = search_table(search, &app->hosts[i].routes);
        if (found != 0)
            return found;
    }
    return 0;
}

/* A proxy has seen to the host that is asked. Without xheaders anybody could say so. */
static bool is_proxied(const struct web_request *request)
{
    return request->app->settings.server.xheaders && httprequest_header(request->http, "X-Real-Ip") != NULL;
}

/* The hosts' routes, those of all, and once more as if the default host had been asked. */
static __attribute__((noinline)) int search_all(struct search *search)
{
    const struct web_application *app = search->request->app;
    const char *default_host = app->settings.default_host;
    int found = 0;

    if (app->host_count > 0) {
        size_t length;
        const char *host = weblayer_host(search->request, &length);

        found = search_hosts(search, host, length);
    }
    if (found == 0 && app->static_routes.count > 0)
        found = search_table(search, &app->static_routes);
    if (found == 0)
        found = search_table(search, &app->routes);
    if (found == 0 && app->host_count > 0 && default_host != NULL && !is_proxied(search->request))
        found = search_hosts(search, default_host, strlen(default_host));
    return found;
}

/* Copies the bytes up to the first that is NUL, of an escape, or no ASCII. Answers how many that is. */
static inline size_t copy_plain(char *place, const char *text, size_t length)
{
    size_t at = 0;

    for (uint64_t word; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        uint64_t not_escape = word ^ UINT64_C(0x2525252525252525); /* "%" */
        uint64_t below = (word - UINT64_C(0x0101010101010101)) | (not_escape - UINT64_C(0x0101010101010101));
        if (((word | below) & UINT64_C(0x8080808080808080)) != 0)
            break;
        memcpy(place + at, &word, sizeof word);
    }
    for (; at < length && (signed char)text[at] > 0 && text[at] != '%'; at++)
        place[at] = text[at];
    return at;
}

static __attribute__((noinline)) ssize_t decode_escapes(char *place, const char *text, size_t length)
{
    ssize_t decoded = httpurl_decode(text, length, place, 0);

    if (decoded < 0 || memchr(place, '\0', (size_t)decoded) != NULL || !httpescape_is_utf8(place, (size_t)decoded))
        return -EINVAL;
    return decoded;
}

/* 400 for what cannot be a text of the program's: malformed escapes, NULs, and what is not UTF-8. */
static inline bool decode_group(struct weblayer_buffer *path, struct webroute_group *group)
{
    const char *text = path->bytes + group->offset;
    char *place = path->bytes + path->length;
    ssize_t length = (ssize_t)group->length;

    if (copy_plain(place, text, group->length) < group->length)
        length = decode_escapes(place, text, group->length);
    if (length < 0)
        return false;
    place[length] = '\0';
    group->offset = (int32_t)path->length;
    group->length = (uint32_t)length;
    path->length += (size_t)length + 1;
    return true;
}

static __attribute__((noinline)) int decode_groups(struct web_request *request)
{
    size_t most = 0;

    for (uint32_t i = 0; i < request->groups; i++)
        most += request->group[i].length + 1;
    if (weblayer_reserve(&request->path, most) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < request->groups && request->refused == 0; i++) {
        if (request->group[i].offset >= 0 && !decode_group(&request->path, &request->group[i]))
            request->refused = 400;
    }
    return 0;
}

static inline size_t length_without_query(const char *path, size_t length)
{
    const char *query = memchr(path, '?', length);

    return query != NULL ? (size_t)(query - path) : length;
}

int weblayer_find_route(struct web_request *request)
{
    struct web_application *app = request->app;
    const struct web_settings *settings = &app->settings;

    if (settings->find_route != NULL) {
        const struct web_route *route = settings->find_route(app, request->http, settings->arg);

        if (route != NULL)
            return use_route(request, route), 0;
    }
    const char *path = request->http->bytes + request->http->head.path.offset;
    size_t length = length_without_query(path, request->http->head.path.length);

    request->with_query = length < request->http->head.path.length;
    if (length == 0 && request->http->head.form == HTTP1PARSER_ABSOLUTE &&
        request->http->head.method_code != HTTP1PARSER_OPTIONS) {
        path = "/"; /* RFC 9110 4.2.3 */
        length = 1;
    }
    struct search search = { request, path, length, webroute_word(path, length), false };

    int found = app->host_count == 0 && app->static_routes.count == 0 ? search_table(&search, &app->routes)
                                                                      : search_all(&search);
    if (found < 0)
        return found;
    if (found == 0)
        use_route(request, settings->default_route.handler != NULL ? &settings->default_route : &no_route);
    else
        request->groups = request->compiled->group_count;
    return request->groups > 0 ? decode_groups(request) : 0;
}

/* Paths from names. */

static const struct webroute *find_named(const struct webroute_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->list[i].route.name != NULL && strcmp(table->list[i].route.name, name) == 0)
            return &table->list[i];
    }
    return NULL;
}

ssize_t web_application_reverse_url(const struct web_application *app, const char *name, const char *const *arguments,
                                    size_t count, char *place, size_t size)
{
    const struct webroute *route = find_named(&app->routes, name);

    for (size_t i = 0; route == NULL && i < app->host_count; i++)
        route = find_named(&app->hosts[i].routes, name);
    return route != NULL ? webroute_reverse(route, arguments, count, place, size) : -ENOENT;
}
