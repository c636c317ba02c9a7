/* An application: how it is made, the requests that it keeps, how it ends. */
#include <errno.h>
#include <string.h>

#include "httpserver/httpdeflate.h"
#include "httpserver/httpetag.h"
#include "httpserver/httpheaderslayer.h"
#include "httpserver/webcompress.h"
#include "httpserver/webfilecache.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"
#include "ioloop/iolog.h"

#define LEAST_SECRET 16

/* Life. An application is gone when its server has closed and its last request is released: one whose client has left
 * may be in work for longer than the server lives. */

static struct web_request *new_web_request(struct web_application *app)
{
    struct web_request *request = ioalloc_zeroed(sizeof *request);

    if (request == NULL)
        return NULL;
    request->task.run = weblayer_run_task;
    request->next = app->requests;
    request->link = &app->requests;
    if (request->next != NULL)
        request->next->link = &request->next;
    app->requests = request;
    return request;
}

static void free_web_request(struct web_request *request)
{
    *request->link = request->next;
    if (request->next != NULL)
        request->next->link = request->link;
    deadline_clear(&request->deadline);
    httpheaders_free(&request->headers);
    httpheaders_free(&request->new_cookies);
    iobudget_free(request->body.bytes);
    iobudget_free(request->packed.bytes);
    iobudget_free(request->path.bytes);
    iobudget_free(request->state.bytes);
    httparguments_free(&request->query);
    httparguments_free(&request->form);
    httpform_files_free(&request->files);
    httpcookies_free(&request->cookies);
    ioalloc_free(request);
}

static void free_application(struct web_application *app)
{
    while (app->spare != NULL) {
        struct web_request *request = app->spare;

        app->spare = request->next_spare;
        free_web_request(request);
    }
    while (app->host_count > 0) {
        struct weblayer_host *host = &app->hosts[--app->host_count];

        webroute_free(&host->name);
        webroute_table_free(&host->routes);
    }
    ioalloc_free(app->hosts);
    webroute_table_free(&app->static_routes);
    webroute_table_free(&app->routes);
    httpdeflate_free(app->spare_deflate);
    httpdeflate_free(app->spare_stream);
    if (app->file_cache != NULL)
        webfilecache_free(app->file_cache);
    httpheaders_free(&app->headers);
    httpheaders_free(&app->tagged_headers);
    if (!app->without_loop)
        loopmember_remove(&app->member);
    ioalloc_free(app);
}

/* While the loop closes it stays for those who are told of that later: it ends as the loop's member. */
static void free_application_if_last(struct web_application *app)
{
    if (app->server == NULL && app->live == 0 && (app->without_loop || loopmember_check(app->loop) == 0))
        free_application(app);
}

struct web_request *weblayer_take(struct web_application *app)
{
    struct web_request *request = app->spare;

    if (request == NULL) {
        request = new_web_request(app);
        if (request == NULL)
            return NULL;
    } else {
        app->spare = request->next_spare;
        app->spare_count--;
        memset(&request->entered, 0, offsetof(struct web_request, flushes) - offsetof(struct web_request, entered));
        request->reason[0] = '\0';
    }
    request->app = app;
    request->answer_headers = &app->headers;
    request->status = 200;
    app->live++;
    return request;
}

static void shorten(struct weblayer_buffer *buffer)
{
    if (buffer->capacity <= WEBLAYER_SPARE_BYTES)
        return;
    iobudget_free(buffer->bytes);
    *buffer = (struct weblayer_buffer){ 0 };
}

/* What was long is not kept, as it might be for weeks. Capacities are powers of two, so that one look tells. */
static inline void shorten_buffers(struct web_request *request)
{
    if ((request->body.capacity | request->packed.capacity | request->path.capacity | request->state.capacity) <
        2 * WEBLAYER_SPARE_BYTES)
        return;
    shorten(&request->body);
    shorten(&request->packed);
    shorten(&request->path);
    shorten(&request->state);
}

static __attribute__((noinline)) void free_pieces(struct web_request *request)
{
    if (request->lent.release != NULL)
        request->lent.release((char *)request->lent.bytes, request->lent.arg);
    request->lent = (struct weblayer_lent){ 0 };
    if (request->deflate != NULL)
        webcompress_end(request);
    while (request->texts != NULL) {
        struct weblayer_text *text = request->texts;

        request->texts = text->next;
        ioalloc_free(text);
    }
}

static inline void empty_request(struct web_request *request)
{
    if (request->deflate != NULL || request->texts != NULL || request->lent.release != NULL)
        free_pieces(request);
    if (weblayer_has_own_headers(request))
        httpheaderslayer_clear(&request->headers);
    if (request->new_cookies.count > 0)
        httpheaders_clear(&request->new_cookies);
    if (request->has_query)
        httparguments_clear(&request->query);
    if (request->has_form) {
        httparguments_clear(&request->form);
        httpform_files_free(&request->files);
    }
    if (request->has_cookies)
        httpcookies_free(&request->cookies);
    request->body.length = 0;
    shorten_buffers(request);
}

void weblayer_give(struct web_request *request)
{
    struct web_application *app = request->app;

    empty_request(request);
    if (app->server == NULL || app->spare_count == WEBLAYER_SPARE) {
        free_web_request(request);
    } else {
        request->next_spare = app->spare;
        app->spare = request;
        app->spare_count++;
    }
    app->live--;
    free_application_if_last(app);
}

static void server_has_closed(struct httpserver *server, void *arg)
{
    struct web_application *app = arg;

    if (app->settings.server.on_close != NULL)
        app->settings.server.on_close(server, app);
    app->server = NULL;
    free_application_if_last(app);
}

/* Requests of clients that have left may go on, though few programs look after any now; but no deadline does. */
static void loop_has_closed(struct loopmember *member)
{
    struct web_application *app = (struct web_application *)((char *)member - offsetof(struct web_application, member));

    if (app->live > 0)
        iolog_write(IOLOG_APPLICATION, IOLOG_WARNING, "the loop has closed before %zu requests were finished",
                    app->live);
    for (struct web_request *request = app->requests; request != NULL; request = request->next)
        deadline_clear(&request->deadline);
    loopmember_remove(member);
    app->without_loop = true;
    free_application_if_last(app);
}

/* The application logs what it serves. */
static void log_nothing(struct httprequest *http, int status, uint64_t body_bytes, double seconds, void *arg)
{
}

/* "/static/(.*)": the prefix is not a pattern, whatever bytes it has. */
static char *new_static_pattern(const char *prefix)
{
    size_t length = strlen(prefix), used = 0;
    char *pattern = ioalloc(2 * length + sizeof "(.*)");

    for (size_t i = 0; pattern != NULL && i < length; i++) {
        if (strchr(".[]{}()*+?^$|\\", prefix[i]) != NULL)
            pattern[used++] = '\\';
        pattern[used++] = prefix[i];
    }
    if (pattern != NULL)
        memcpy(pattern + used, "(.*)", sizeof "(.*)");
    return pattern;
}

static int add_static_routes(struct web_application *app)
{
    char *pattern = new_static_pattern(app->settings.static_url_prefix);

    if (pattern == NULL)
        return -ENOMEM;
    const struct web_route routes[] = { { pattern, &webstatic_handler, &app->files, NULL },
                                        { "/(favicon\\.ico)", &webstatic_handler, &app->files, NULL },
                                        { "/(robots\\.txt)", &webstatic_handler, &app->files, NULL },
                                        { 0 } };
    int error = webroute_table_init(&app->static_routes, routes);
    ioalloc_free(pattern);
    return error;
}

/* What nobody guesses, and one to sign with. */
static bool are_keys(const struct httpsigned_key *key, int key_version)
{
    bool has_version = false;

    for (; key->secret != NULL; key++) {
        if (key->version < 0 || strlen(key->secret) < LEAST_SECRET)
            return false;
        has_version = has_version || key->version == key_version;
    }
    return has_version;
}

static int use_keys(struct web_application *app)
{
    struct web_settings *settings = &app->settings;

    app->own_key[0].secret = settings->cookie_secret;
    app->keys = settings->cookie_secret != NULL ? app->own_key : settings->cookie_keys;
    if (settings->cookie_secret != NULL)
        settings->key_version = 0;
    return app->keys == NULL || are_keys(app->keys, settings->key_version) ? 0 : -EINVAL;
}

static int use_settings(struct web_application *app)
{
    struct web_settings *settings = &app->settings;
    int error = use_keys(app);

    if (settings->static_url_prefix == NULL)
        settings->static_url_prefix = "/static/";
    if (settings->xsrf_cookie_name == NULL)
        settings->xsrf_cookie_name = "_xsrf";
    if (settings->max_arguments == 0)
        settings->max_arguments = 256;
    if (settings->max_encoders == 0)
        settings->max_encoders = 64;
    if (settings->finish_timeout == 0)
        settings->finish_timeout = 3600;
    app->looks_at_heads = settings->find_route != NULL || weblayer_looks_at_head(&settings->default_route);
    app->files =
        settings->static_files != NULL ? *settings->static_files : (struct webstatic){ .root = settings->static_path };
    if (error == 0 && app->files.root != NULL)
        error = add_static_routes(app);
    return error;
}

static int open_server(struct web_application *app)
{
    struct httpserver_options options = app->settings.server;

    app->loop = app->settings.loop != NULL ? app->settings.loop : ioloop_current();
    if (app->loop == NULL)
        return -errno;
    app->member.close = loop_has_closed;
    loopmember_add_last(app->loop, &app->member);
    app->without_loop = false;
    options.on_head = web_application_serve_head;
    options.on_close = server_has_closed;
    options.on_log = app->settings.log_function != NULL ? log_nothing : NULL;
    app->server = httpserver_new(app->loop, web_application_serve, app, &options);
    return app->server != NULL ? 0 : -errno;
}

static int make_default_headers(struct web_application *app)
{
    char tag[HTTPETAG_SIZE];
    int error = httpheaders_set(&app->headers, "Content-Type", "text/html; charset=UTF-8");

    httpetag_of_bytes("", 0, tag);
    if (error == 0 && app->settings.compress_response)
        error = httpheaders_set(&app->headers, "Vary", "Accept-Encoding");
    if (error == 0)
        error = httpheaders_copy(&app->tagged_headers, &app->headers);
    if (error == 0)
        error = httpheaders_set(&app->tagged_headers, "Etag", tag);
    app->tag = (char *)httpheaders_get(&app->tagged_headers, "Etag");
    return error;
}

struct web_application *web_application_new(const struct web_route *routes, const struct web_settings *settings)
{
    struct web_application *app = ioalloc_zeroed(sizeof *app);

    if (app == NULL)
        return errno = ENOMEM, NULL;
    app->without_loop = true;
    if (settings != NULL)
        app->settings = *settings;
    int error = use_settings(app);
    if (error == 0)
        error = webroute_table_init(&app->routes, routes);
    if (error == 0)
        error = make_default_headers(app);
    weblayer_note_handlers(app, &app->routes);
    if (error == 0)
        error = open_server(app);
    if (error < 0) {
        free_application(app);
        return errno = -error, NULL;
    }
    return app;
}

int web_application_listen(struct web_application *app, int port, const struct netutil_bind_options *options)
{
    return app->server != NULL ? httpserver_listen(app->server, port, options) : -EBADF;
}

struct httpserver *web_application_server(struct web_application *app)
{
    return app->server;
}

void *web_application_arg(const struct web_application *app)
{
    return app->settings.arg;
}

void web_application_close(struct web_application *app)
{
    if (app->server != NULL)
        httpserver_close(app->server);
}
