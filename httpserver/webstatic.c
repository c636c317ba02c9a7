#include "httpserver/webstatic.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpdate.h"
#include "httpserver/httpencoding.h"
#include "httpserver/httpetag.h"
#include "httpserver/httpfield.h"
#include "httpserver/httprange.h"
#include "httpserver/webcompress.h"
#include "httpserver/webfile.h"
#include "httpserver/webfilecache.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioloop.h"

#define TEN_YEARS      315360000
#define TEN_YEARS_TEXT "max-age=315360000"

static bool is_folder_path(const char *path)
{
    size_t length = strlen(path);

    return length == 0 || path[length - 1] == '/';
}

/* A folder's path stands for the file of the default name in it. */
static int add_default_name(const struct webstatic *files, const char *path, char place[WEBFILE_LONGEST_PATH + 1])
{
    const char *name = is_folder_path(path) && files->default_filename != NULL ? files->default_filename : "";
    size_t length = strlen(path), name_length = strlen(name);

    if (length > WEBFILE_LONGEST_PATH || name_length > WEBFILE_LONGEST_PATH - length)
        return -ENAMETOOLONG;
    memcpy(place, path, length);
    memcpy(place + length, name, name_length + 1);
    return 0;
}

/* Finding it. */

/* Several fields are one list. */
static unsigned accepted_codings(struct web_request *request)
{
    struct httprequest *http = web_http(request);
    struct httpencoding accepted = { 0 };
    const char *name, *value;

    for (size_t i = 0; httprequest_header_at(http, i, &name, &value); i++) {
        if (httpencoding_is_field(name))
            httpencoding_parse(value, &accepted);
    }
    return httpencoding_order(&accepted);
}

static struct webfilecache *cache_of(struct web_request *request)
{
    struct web_application *app = web_get_application(request);

    if (app->file_cache == NULL)
        app->file_cache = webfilecache_new();
    return app->file_cache;
}

/* Opens it, or has its content without that. */
static int find_file(struct web_request *request, const struct webfilecache_key *key, struct webfile *file,
                     const char **content)
{
    struct webfilecache *cache = cache_of(request);
    double now = ioloop_time(httprequest_loop(web_http(request)));

    if (cache == NULL)
        return -ENOMEM;
    *content = webfilecache_find(cache, key, now, file);
    if (*content != NULL)
        return 0;
    int error = webfile_open(file, key->root, key->path, key->no_links, key->codings);
    if (error < 0 || file->size > WEBFILECACHE_MAX_FILE)
        return error;
    *content = webfilecache_load(cache, key, now, time(NULL), file);
    return *content != NULL ? 0 : -errno;
}

/* To the URL with a slash behind it, so that relative ones of the page are right. Not to one that begins with two
 * slashes, or what browsers take for these: that would name another host. */
static void redirect_to_folder(struct web_request *request)
{
    size_t length, query_length;
    const char *path = httprequest_path(web_http(request), &length);
    const char *query = httprequest_query(web_http(request), &query_length);

    if (length < 2 || path[0] != '/' || path[1] == '/' || path[1] == '\\' || path[length - 1] == '/') {
        web_send_error(request, 403);
        return;
    }
    char *url = weblayer_new_text(request, length + query_length + 2);
    if (url == NULL) {
        web_send_error(request, 503);
        return;
    }
    memcpy(url, path, length);
    strcpy(url + length, query != NULL ? "/?" : "/");
    if (query != NULL) {
        memcpy(url + length + 2, query, query_length);
        url[length + 2 + query_length] = '\0';
    }
    web_redirect(request, url, true);
}

/* Conditions: RFC 9110 13. */

/* "" if there are several: that is no date and no range, and those that may be a list are looked at with each of
 * them. */
static const char *field_of(struct web_request *request, const char *name)
{
    const char *each, *value, *found = NULL;
    size_t length = strlen(name);

    for (size_t i = 0; httprequest_header_at(web_http(request), i, &each, &value); i++) {
        if (strlen(each) == length && httpfield_is_same(each, name, length))
            found = found == NULL ? value : "";
    }
    return found;
}

/* Most requests have none of If-Match and so on, and no Range: the beginnings of names tell. */
static bool may_be_conditional(const struct httprequest *http)
{
    const struct http1parser_header *header = http->head.headers, *end = header + http->head.header_count;

    for (; header < end; header++) {
        const char *name = http->bytes + header->name.offset;

        if (((name[0] | 0x20) == 'r' && header->name.length == sizeof "Range" - 1) ||
            ((name[0] | 0x20) == 'i' && (name[1] | 0x20) == 'f')) /* behind every name is a colon at least */
            return true;
    }
    return false;
}

/* The same, exactly. */
static bool has_conditions(struct web_request *request)
{
    const char *name, *value;

    for (size_t i = 0; httprequest_header_at(web_http(request), i, &name, &value); i++) {
        char first = (char)(name[0] | 0x20);

        if (first == 'r' || (first == 'i' && (name[1] | 0x20) == 'f'))
            return true;
    }
    return false;
}

static bool parse_date(const char *value, int64_t *seconds)
{
    return value != NULL && httpdate_parse(value, strlen(value), time(NULL), seconds);
}

/* The program may have set another. */
static const char *etag_of(const struct web_request *request)
{
    return httpheaders_get(web_headers(request), "Etag");
}

/* 412, 304, or 0 to go on: RFC 9110 13.2.2. */
static int check_conditions(struct web_request *request, const struct webfile *file)
{
    const char *etag = etag_of(request);
    int64_t seconds;

    if (field_of(request, "If-Match") != NULL
            ? !weblayer_has_tag(request, "If-Match", etag, false)
            : parse_date(field_of(request, "If-Unmodified-Since"), &seconds) && file->seconds > seconds)
        return 412;
    if (field_of(request, "If-None-Match") != NULL
            ? weblayer_has_tag(request, "If-None-Match", etag, true)
            : parse_date(field_of(request, "If-Modified-Since"), &seconds) && file->seconds <= seconds)
        return 304;
    return 0;
}

/* A file that goes out compressed has no parts: who joined them to what came before would have a bit of both.
 * If-Range: has the client parts of this file, and of no other? A date has to be exactly that of the file, and its
 * second over: the file may have changed within it. */
static bool is_range_wanted(struct web_request *request, const struct webfile *file, bool is_kept)
{
    const char *value = field_of(request, "If-Range");
    int64_t seconds;

    if (is_kept && webcompress_would(request, file->size))
        return false;
    if (value == NULL)
        return true;
    if (*value == '"')
        return httpetag_matches(value, etag_of(request), false) && strchr(value, ',') == NULL;
    return parse_date(value, &seconds) && seconds == file->seconds && seconds < time(NULL);
}

/* Headers. */

/* Is there a "v" with a value in the query? */
static bool has_version(struct web_request *request)
{
    size_t length;
    const char *query = httprequest_query(web_http(request), &length);

    while (query != NULL && length > 2) {
        if (query[0] == 'v' && query[1] == '=' && query[2] != '&')
            return true;
        const char *next = memchr(query, '&', length);
        length -= next != NULL ? (size_t)(next + 1 - query) : length;
        query = next != NULL ? next + 1 : NULL;
    }
    return false;
}

static int set_cache_headers(struct web_request *request, const struct webstatic *files)
{
    char expires[HTTPDATE_LENGTH + 1];

    if (!has_version(request))
        return files->cache_control != NULL ? web_set_header(request, "Cache-Control", files->cache_control) : 0;
    httpdate_format(time(NULL) + TEN_YEARS, expires);
    int error = web_set_header(request, "Cache-Control", TEN_YEARS_TEXT);
    return error < 0 ? error : web_set_header(request, "Expires", expires);
}

/* All but those of a part; a 304 goes without those of the body. */
static int make_file_headers(struct web_request *request, const struct webstatic *files, const struct webfile *file)
{
    int error = web_set_etag(request, file->etag);

    if (error == 0)
        error = web_set_header(request, "Last-Modified", file->last_modified);
    if (error == 0)
        error = web_set_header(request, "Accept-Ranges", "bytes");
    if (error == 0 && files->precompressed && !web_get_application(request)->settings.compress_response)
        error = web_add_header(request, "Vary", "Accept-Encoding");
    if (error == 0)
        error = web_set_header(request, "Content-Type", file->type);
    if (error == 0 && file->coding != HTTPENCODING_IDENTITY)
        error = web_set_header(request, "Content-Encoding", httpencoding_name(file->coding));
    return error == 0 ? set_cache_headers(request, files) : error;
}

/* Where only the application's headers come before them, they are the same for each answer with this file, and kept. To
 * keep them may fail. */
static int set_file_headers(struct web_request *request, const struct webstatic *files, const struct webfile *file,
                            struct webfilecache_headers *kept)
{
    if (kept == NULL || weblayer_has_own_headers(request) || has_version(request))
        return make_file_headers(request, files, file);
    if (kept->owner == files) {
        int error = httpheaders_copy(&request->headers, &kept->list);
        if (error == 0)
            request->answer_headers = &request->headers;
        return error;
    }
    int error = make_file_headers(request, files, file);
    if (error == 0)
        kept->owner = httpheaders_copy(&kept->list, &request->headers) == 0 ? files : NULL;
    return error;
}

/* Sending. */

static void close_file(struct iostream *stream, int error, void *arg)
{
    close((int)(intptr_t)arg);
}

static int set_length(struct web_request *request, uint64_t length)
{
    char text[21];
    char *digit = text + sizeof text - 1;

    *digit = '\0';
    do
        *--digit = (char)('0' + length % 10);
    while ((length /= 10) > 0);
    return web_set_header(request, "Content-Length", digit);
}

/* A file that is too big to be kept: the head, then the kernel copies. What goes wrong from here on closes the
 * connection. */
static void send_file_part(struct web_request *request, struct webfile *file, uint64_t first, uint64_t length)
{
    if (set_length(request, length) < 0) {
        web_send_error(request, 503);
        return;
    }
    request->as_it_is = true;
    if (web_flush(request, NULL, NULL) == 0 &&
        httprequest_write_file(web_http(request), file->fd, (int64_t)first, length, close_file,
                               (void *)(intptr_t)file->fd) == 0)
        file->fd = -1; /* close_file has it now */
    web_finish(request);
}

static void send_part(struct web_request *request, struct webfile *file, const char *content, uint64_t first,
                      uint64_t length)
{
    if (content == NULL)
        send_file_part(request, file, first, length);
    else if (web_write_bytes(request, content + first, (size_t)length) < 0)
        web_send_error(request, 503);
    else
        web_finish(request);
}

/* What was said of the file is not true of this answer, least of all for how long it may be kept. */
static void send_unsatisfiable(struct web_request *request, uint64_t size)
{
    static const char *const names[] = { "Content-Encoding", "Cache-Control", "Expires" };
    char content_range[HTTPRANGE_SIZE];

    httprange_format(content_range, 0, 0, size);
    web_set_status(request, 416, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        web_clear_header(request, names[i]);
    if (web_set_header(request, "Content-Type", "text/plain") < 0 ||
        web_set_header(request, "Content-Range", content_range) < 0)
        web_send_error(request, 503);
    else
        web_finish(request);
}

/* 200, 206 or 416. */
static void send_body(struct web_request *request, struct webfile *file, const char *content, bool conditional)
{
    char content_range[HTTPRANGE_SIZE];
    uint64_t first, length;
    bool is_wanted = conditional && is_range_wanted(request, file, content != NULL);
    const char *range = is_wanted ? field_of(request, "Range") : NULL;
    enum httprange_outcome outcome = httprange_parse(range, file->size, &first, &length);
    int error = 0;

    if (outcome == HTTPRANGE_UNSATISFIABLE) {
        send_unsatisfiable(request, file->size);
        return;
    }
    if (outcome == HTTPRANGE_PART) {
        httprange_format(content_range, first, length, file->size);
        web_set_status(request, 206, NULL);
        error = web_set_header(request, "Content-Range", content_range);
    }
    if (error < 0)
        web_send_error(request, 503);
    else
        send_part(request, file, content, first, length);
}

static void answer_with_file(struct web_request *request, const struct webstatic *files, const char *path,
                             struct webfile *file, const char *content)
{
    struct webfilecache_headers *kept = content != NULL ? webfilecache_headers(cache_of(request)) : NULL;

    if (set_file_headers(request, files, file, kept) < 0) {
        web_send_error(request, 503);
        return;
    }
    if (files->set_extra_headers != NULL)
        files->set_extra_headers(request, path);
    if (web_finished(request))
        return;
    bool conditional = weblayer_is_get_or_head(request) && has_conditions(request); /* RFC 9110 13.2.1, 14.2 */
    int status = conditional ? check_conditions(request, file) : 0;
    if (status == 412) {
        web_send_error(request, 412);
    } else if (status == 304) {
        web_set_status(request, 304, NULL);
        web_finish(request);
    } else {
        send_body(request, file, content, conditional);
    }
}

/* Finds it, and looks at what is asked. */
static void serve_any(struct web_request *request, const struct webstatic *files, const char *path)
{
    char place[WEBFILE_LONGEST_PATH + 1];
    struct webfilecache_key key = { .root = files->root, .path = place, .no_links = files->no_links };
    struct webfile file = { .fd = -1 };
    const char *content = NULL;

    int error = add_default_name(files, path, place);
    if (error == 0) {
        key.codings = files->precompressed ? accepted_codings(request) : 0;
        error = find_file(request, &key, &file, &content);
    }
    if (error == -EISDIR && files->default_filename != NULL)
        redirect_to_folder(request);
    else if (error < 0)
        web_send_error(request, webfile_status(error));
    else
        answer_with_file(request, files, place, &file, content);
    webfile_close(&file);
}

/* Is it asked for as nearly all are, and is there nobody who wants a say in the answer? */
static bool is_plain(const struct web_request *request, const struct webstatic *files)
{
    const struct web_application *app = request->app;

    return app->file_cache != NULL && request->compiled != NULL && !request->with_query &&
           request->answer_headers == &app->headers && request->status == 200 && request->body.length == 0 &&
           !request->flushed && files->set_extra_headers == NULL && !files->precompressed &&
           request->handler->on_finish == NULL && app->settings.log_function == NULL &&
           !app->settings.compress_response && !may_be_conditional(request->http);
}

/* The same answer as before, from where it is: nothing of it is looked at. */
static bool serve_kept(struct web_request *request, const struct webstatic *files, const char *path)
{
    struct weblayer_lent *lent = &request->lent;
    double now = (double)loopfront_now(request->app->loop) / 1e9;

    lent->bytes = webfilecache_hold(request->app->file_cache, files, path, strlen(path), now, &lent->length,
                                    &request->answer_headers, &lent->arg);
    if (lent->bytes == NULL)
        return false;
    lent->release = webfilecache_release;
    web_finish(request);
    return true;
}

void webstatic_serve(struct web_request *request, const struct webstatic *files, const char *path)
{
    if (web_finished(request) || (is_plain(request, files) && serve_kept(request, files, path)))
        return;
    serve_any(request, files, path);
}

static void serve_path_argument(struct web_request *request)
{
    const char *path = web_path_argument(request, 0);

    webstatic_serve(request, web_route_arg(request), path != NULL ? path : "");
}

const struct web_handler webstatic_handler = { .get = serve_path_argument,
                                               .head = serve_path_argument,
                                               .no_etag = true };

int webstatic_version(const struct webstatic *files, const char *path, char *place, size_t size)
{
    char etag[HTTPETAG_SIZE];
    struct webfile file;
    int error = webfile_open(&file, files->root, path, files->no_links, 0);

    if (error < 0)
        return error;
    webfile_close(&file);
    if (size < sizeof etag - 2)
        return -ENOBUFS;
    /* Without the inode: the same file has the same version on each of several machines. */
    httpetag_of_file(0, file.size, file.seconds, file.nanoseconds, etag);
    memcpy(place, etag + 1, sizeof etag - 3);
    place[sizeof etag - 3] = '\0';
    return 0;
}
