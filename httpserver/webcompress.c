#include "httpserver/webcompress.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpdeflate.h"
#include "httpserver/httpencoding.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpheaders.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"

/* Bits. A stream has its encoder for as long as it lives, which may be for hours. */
enum { WHOLE_WINDOW = 15, STREAM_WINDOW = 12 };

/* Which answers. */

static bool is_text_type(const char *type, size_t length)
{
    return length > 5 && httpfield_is_same(type, "text/", 5);
}

/* "application/ld+json" and so on, RFC 6839. */
static bool has_text_suffix(const char *type, size_t length)
{
    return (length > 5 && httpfield_is_same(type + length - 5, "+json", 5)) ||
           (length > 4 && httpfield_is_same(type + length - 4, "+xml", 4));
}

bool webcompress_is_type(const char *content_type)
{
    static const char *const types[] = { "application/javascript", "application/x-javascript", "application/json",
                                         "application/xml",        "application/x-ndjson",     "application/wasm",
                                         "image/svg+xml" };
    size_t length = strcspn(content_type, "; \t");

    if (is_text_type(content_type, length) || has_text_suffix(content_type, length))
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (length == strlen(types[i]) && httpfield_is_same(content_type, types[i], length))
            return true;
    return false;
}

/* Several fields are one list. */
static bool accepts_gzip(const struct web_request *request)
{
    struct httpencoding accepted = { 0 };
    const char *name, *value;

    for (size_t i = 0; httprequest_header_at(request->http, i, &name, &value); i++)
        if (httpencoding_is_field(name))
            httpencoding_parse(value, &accepted);
    int weight = httpencoding_weight(&accepted, HTTPENCODING_GZIP);
    return weight > 0 && weight >= httpencoding_weight(&accepted, HTTPENCODING_IDENTITY);
}

static bool can_be_compressed(const struct web_request *request)
{
    const struct httpheaders *headers = web_headers(request);
    const char *type = httpheaders_get(headers, "Content-Type");

    return !request->as_it_is && request->status != 204 && request->status != 205 && request->status != 206 &&
           type != NULL && webcompress_is_type(type) && httpheaders_get(headers, "Content-Encoding") == NULL &&
           httpheaders_get(headers, "Content-Range") == NULL && accepts_gzip(request);
}

bool webcompress_would(const struct web_request *request, uint64_t length)
{
    return request->app->settings.compress_response && length >= WEBCOMPRESS_LEAST && can_be_compressed(request);
}

/* Their headers. */

static bool varies(const struct httpheaders *headers)
{
    const char *value = httpheaders_get(headers, "Vary");

    while (value != NULL && !httpheaders_list_has(value, "Accept-Encoding") && !httpheaders_list_has(value, "*"))
        value = httpheaders_get_next(headers, "Vary", value);
    return value != NULL;
}

/* Answers that are not compressed too: for another client they would be. */
static void add_vary(struct web_request *request)
{
    static const char member[] = ", Accept-Encoding";

    if (varies(web_headers(request)))
        return;
    struct httpheaders *headers = weblayer_own_headers(request);
    char *before = headers != NULL ? httpheaders_join(headers, "Vary") : NULL;
    size_t length = before != NULL ? strlen(before) : 0;
    char *list = headers != NULL ? ioalloc(length + sizeof member) : NULL;
    if (list == NULL || (before == NULL && errno == ENOMEM)) {
        request->failed = -ENOMEM;
    } else {
        memcpy(list, before != NULL ? before : "", length);
        memcpy(list + length, member, sizeof member);
        if (httpheaders_set(headers, "Vary", length > 0 ? list : list + 2) == -ENOMEM)
            request->failed = -ENOMEM;
    }
    ioalloc_free(before);
    ioalloc_free(list);
}

/* The bytes are others than those that the tag is of, though they mean the same: RFC 9110 8.8.1. */
static int weaken_etag(struct web_request *request)
{
    const char *etag = httpheaders_get(web_headers(request), "Etag");
    struct httpheaders *headers = etag != NULL && *etag == '"' ? weblayer_own_headers(request) : NULL;

    if (etag == NULL || *etag != '"')
        return 0;
    char *weak = headers != NULL ? ioalloc(strlen(etag) + 3) : NULL;
    if (weak == NULL)
        return -ENOMEM;
    memcpy(weak, "W/", 2);
    strcpy(weak + 2, etag);
    int error = httpheaders_set(headers, "Etag", weak);
    ioalloc_free(weak);
    return error;
}

/* A cache would say it of the answer that it has, which may have been compressed. */
static void forget_ranges(struct web_request *request)
{
    if (httpheaders_get(web_headers(request), "Accept-Ranges") == NULL)
        return;
    if (weblayer_own_headers(request) == NULL)
        request->failed = -ENOMEM;
    else
        httpheaders_remove(&request->headers, "Accept-Ranges");
}

/* The tag of a 304 is that of the answer that the client has (RFC 9110 15.4.5), which may have been compressed. */
static void keep_weak_etag(struct web_request *request)
{
    const char *etag = httpheaders_get(web_headers(request), "Etag");

    if (etag == NULL || !weblayer_has_tag(request, "If-None-Match", etag, true) ||
        weblayer_has_tag(request, "If-None-Match", etag, false))
        return;
    if (weaken_etag(request) < 0)
        request->failed = -ENOMEM;
}

/* What is true of other bytes goes: a part of the text is no part of this. False: no memory, or too many headers; then
 * they are as good as before. */
static bool set_compressed_headers(struct web_request *request)
{
    static const char *const names[] = { "Content-Length", "Accept-Ranges",  "Content-MD5",
                                         "Digest",         "Content-Digest", "Repr-Digest" };
    struct httpheaders *headers = weaken_etag(request) == 0 ? weblayer_own_headers(request) : NULL;

    if (headers == NULL || httpheaders_set(headers, "Content-Encoding", "gzip") < 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        httpheaders_remove(headers, names[i]);
    return true;
}

/* Their bodies. */

static struct httpdeflate *take_encoder(struct web_application *app, struct httpdeflate **spare, int window)
{
    struct httpdeflate *deflate = *spare;

    *spare = NULL;
    return deflate != NULL ? deflate : httpdeflate_new(HTTPDEFLATE_GZIP, app->settings.compress_level, window);
}

/* One of each kind is kept for the next answer. */
static void give_encoder(struct web_application *app, struct httpdeflate **spare, struct httpdeflate *deflate)
{
    if (*spare != NULL || app->server == NULL) {
        httpdeflate_free(deflate);
        return;
    }
    httpdeflate_reset(deflate);
    *spare = deflate;
}

static void swap_bodies(struct web_request *request)
{
    struct weblayer_buffer body = request->body;

    request->body = request->packed;
    request->packed = body;
}

/* The body, into the other buffer. */
static int encode_body(struct web_request *request, struct httpdeflate *deflate, enum httpdeflate_flush flush)
{
    struct weblayer_buffer *packed = &request->packed;
    struct httpdeflate_piece piece;
    size_t at = 0, length = request->body.length;

    packed->length = 0;
    do {
        const char *bytes = length > at ? request->body.bytes + at : NULL;
        at += httpdeflate_encode(deflate, bytes, length - at, flush, &piece);
        if (weblayer_reserve(packed, piece.length) < 0)
            return -ENOMEM;
        if (piece.length > 0)
            memcpy(packed->bytes + packed->length, piece.data, piece.length);
        packed->length += piece.length;
    } while (piece.more);
    return 0;
}

static int encode_whole(struct web_request *request)
{
    struct web_application *app = request->app;
    struct httpdeflate *deflate = take_encoder(app, &app->spare_deflate, WHOLE_WINDOW);

    if (deflate == NULL)
        return -ENOMEM;
    int error = encode_body(request, deflate, HTTPDEFLATE_FINISH);
    give_encoder(app, &app->spare_deflate, deflate);
    return error;
}

void webcompress_whole(struct web_request *request)
{
    add_vary(request);
    if (request->failed != 0)
        return;
    if (request->status == 304) {
        forget_ranges(request);
        keep_weak_etag(request);
        return;
    }
    if (request->body.length >= WEBCOMPRESS_LEAST && can_be_compressed(request) && encode_whole(request) == 0 &&
        set_compressed_headers(request))
        swap_bodies(request);
}

void webcompress_begin(struct web_request *request)
{
    struct web_application *app = request->app;

    add_vary(request);
    if (request->failed != 0 || request->status == 304 || app->encoders >= app->settings.max_encoders ||
        !can_be_compressed(request))
        return;
    request->deflate = take_encoder(app, &app->spare_stream, STREAM_WINDOW);
    app->encoders += request->deflate != NULL;
    if (request->deflate != NULL && !set_compressed_headers(request))
        webcompress_end(request);
}

int webcompress_piece(struct web_request *request, bool is_last)
{
    int error = encode_body(request, request->deflate, is_last ? HTTPDEFLATE_FINISH : HTTPDEFLATE_SYNC);

    if (error == 0)
        swap_bodies(request);
    return error;
}

void webcompress_undo(struct web_request *request)
{
    swap_bodies(request);
    httpheaders_remove(&request->headers, "Content-Encoding");
    webcompress_end(request);
}

void webcompress_end(struct web_request *request)
{
    struct web_application *app = request->app;

    if (request->deflate == NULL)
        return;
    app->encoders--;
    give_encoder(app, &app->spare_stream, request->deflate);
    request->deflate = NULL;
}
