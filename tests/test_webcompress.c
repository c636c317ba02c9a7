/* Answers that are compressed: Tornado's GzipTestCase, and what is left as it is. */
#include "httpserver/webcompress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpinflate.h"
#include "httpserver/httpetag.h"
#include "httpserver/web.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/staticscene.h"
#include "tests/support/webscene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define GZIP         "Accept-Encoding: gzip\r\n"

enum { LONG = 5000 };

static char page[LONG + 1]; /* that handlers write */

/* What the handlers do. */
static struct {
    size_t length;
    const char *type, *coding, *vary, *etag;
    int status;
    int flushes; /* the text goes out in so many parts before the last */
    bool says_length, writes_nothing_last, is_bad_first;
} plan;

static void write_part(struct web_request *request, size_t from, size_t to)
{
    (void)web_write_bytes(request, page + from, to - from);
}

static void set_planned_headers(struct web_request *request)
{
    char length[24];

    if (plan.type != NULL)
        web_set_header(request, "Content-Type", plan.type);
    if (plan.coding != NULL)
        web_set_header(request, "Content-Encoding", plan.coding);
    if (plan.vary != NULL)
        (void)web_set_header(request, "Vary", plan.vary);
    if (plan.etag != NULL)
        web_set_etag(request, plan.etag);
    if (plan.status != 0)
        web_set_status(request, plan.status, NULL);
    snprintf(length, sizeof length, "%zu", plan.length);
    if (plan.says_length)
        web_set_header(request, "Content-Length", length);
}

static void answer(struct web_request *request)
{
    size_t step = plan.length / (size_t)(plan.flushes + 1), at = 0;

    set_planned_headers(request);
    for (int i = 0; i < plan.flushes; i++, at += step) {
        write_part(request, at, at + step);
        if (i == 0 && plan.is_bad_first) {
            web_set_status(request, 1000, NULL);
            assert_int_equal(web_flush(request, NULL, NULL), -EINVAL);
            web_set_status(request, 200, NULL);
        }
        (void)web_flush(request, NULL, NULL);
    }
    write_part(request, at, plan.length);
    if (plan.writes_nothing_last)
        (void)web_flush(request, NULL, NULL);
}

static void send_404(struct web_request *request)
{
    web_send_error(request, 404);
}

static const struct web_handler planned = { .get = answer, .head = answer, .post = answer };
static const struct web_handler failing = { .get = send_404 };
static const struct web_route routes[] = { { .pattern = "/", .handler = &planned },
                                           { .pattern = "/fail", .handler = &failing },
                                           { 0 } };

static void make_page(void)
{
    for (size_t i = 0; i < LONG; i++)
        page[i] = (char)('a' + i * i / 7 % 13);
}

static void open_scene(struct webscene *scene)
{
    memset(&plan, 0, sizeof plan);
    plan.length = LONG;
    make_page();
    webscene_open(scene, routes, &(struct web_settings){ .compress_response = true });
}

/* The body of the last answer. */
static size_t copy_body(const struct webscene *scene, char *place, size_t room)
{
    const char *at = memmem(scene->text, scene->length, "\r\n\r\n", 4), *end = scene->text + scene->length;
    size_t length = 0;

    assert_non_null(at);
    at += 4;
    if (webscene_header(scene, "Transfer-Encoding") == NULL) {
        length = (size_t)(end - at);
        assert_true(length <= room);
        memcpy(place, at, length);
        return length;
    }
    for (;;) {
        char *data;
        size_t size = strtoul(at, &data, 16);
        assert_memory_equal(data, "\r\n", 2);
        assert_true(data + 2 + size + 2 <= end && length + size <= room);
        memcpy(place + length, data + 2, size);
        length += size;
        at = data + 2 + size + 2;
        if (size == 0)
            break;
    }
    assert_ptr_equal(at, end);
    return length;
}

/* It is compressed, and what was is so many bytes of the page. */
static void expect_compressed(struct webscene *scene, size_t length)
{
    static char packed[4 * LONG];
    size_t size = copy_body(scene, packed, sizeof packed), at = 0, total = 0;
    const char *told = webscene_header(scene, "Content-Length");
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_GZIP, 15);
    struct httpinflate_piece piece;
    ssize_t taken;

    webscene_expect_header(scene, "Content-Encoding", "gzip");
    assert_true(told == NULL || strtoul(told, NULL, 10) == size);
    do {
        taken = httpinflate_decode(inflate, packed + at, size - at, &piece);
        assert_true(taken >= 0 && total + piece.length <= length);
        assert_memory_equal(piece.data, page + total, piece.length);
        total += piece.length;
        at += (size_t)taken;
    } while (taken > 0 || piece.length > 0);
    assert_true(httpinflate_done(inflate));
    assert_int_equal(total, length);
    httpinflate_free(inflate);
}

static void expect_as_it_is(struct webscene *scene, size_t length)
{
    static char body[2 * LONG];

    webscene_expect_header(scene, "Content-Encoding", plan.coding);
    assert_int_equal(copy_body(scene, body, sizeof body), length);
    assert_memory_equal(body, page, length);
}

/* web_test:test_gzip */
static void a_long_text_is_compressed_for_who_accepts_it(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(webscene_ask(&scene, "GET /", GZIP, NULL), 200);
        expect_compressed(&scene, LONG);
        webscene_expect_header(&scene, "Vary", "Accept-Encoding");
        assert_true(strtoul(webscene_header(&scene, "Content-Length"), NULL, 10) < LONG);
    }
    plan.says_length = true;
    webscene_ask(&scene, "GET /", GZIP, NULL);
    expect_compressed(&scene, LONG);
    webscene_ask(&scene, "POST /", GZIP, "");
    expect_compressed(&scene, LONG);
    webscene_close(&scene);
}

/* web_test:test_gzip_not_requested */
static void who_does_not_accept_gzip_gets_the_answer_as_it_is(void **state)
{
    static const struct {
        const char *accepted;
        bool is_compressed;
    } rows[] = {
        { NULL, false },
        { "", false },
        { "identity", false },
        { "br", false },
        { "gzip;q=0", false },
        { "gzip;q=0.0, *", false },
        { "identity, gzip;q=0.5", false },
        { "gzipped", false },
        { "gzip, deflate, br", true },
        { "GZIP;q=0.1", true },
        { "x-gzip", true },
        { "*", true },
        { "deflate\r\nAccept-Encoding: gzip", true },
    };
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char header[80] = "";
        if (rows[i].accepted != NULL)
            snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", rows[i].accepted);
        assert_int_equal(webscene_ask(&scene, "GET /", header, NULL), 200);
        if ((webscene_header(&scene, "Content-Encoding") != NULL) != rows[i].is_compressed)
            fail_msg("%s", header);
        webscene_expect_header(&scene, "Vary", "Accept-Encoding");
        if (rows[i].is_compressed)
            expect_compressed(&scene, LONG);
        else
            expect_as_it_is(&scene, LONG);
    }
    webscene_close(&scene);
}

/* web_test:test_vary_already_present, web_test:test_vary_already_present_multiple */
static void what_else_an_answer_varies_by_stays(void **state)
{
    static const struct {
        const char *vary, *wanted;
    } rows[] = {
        { "Accept-Language", "Accept-Language, Accept-Encoding" },
        { "Accept-Language, Cookie", "Accept-Language, Cookie, Accept-Encoding" },
        { "Accept-Language, accept-encoding", "Accept-Language, accept-encoding" },
        { "Accept-Encodings", "Accept-Encodings, Accept-Encoding" },
        { " ,, ", ",,, Accept-Encoding" },
        { "*", "*" },
    };
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (plan.flushes = 0; plan.flushes < 2; plan.flushes++) {
            plan.vary = rows[i].vary;
            webscene_ask(&scene, "GET /", GZIP, NULL);
            webscene_expect_header(&scene, "Vary", rows[i].wanted);
            expect_compressed(&scene, LONG);
        }
    webscene_close(&scene);
}

static void webcompress_knows_what_gets_shorter(void **state)
{
    static const char *const texts[] = {
        "text/html; charset=UTF-8",
        "TEXT/Plain",
        "text/event-stream",
        "application/json",
        "application/javascript",
        "application/xml;x",
        "application/atom+xml",
        "application/xhtml+xml",
        "image/svg+xml",
        "application/wasm",
        "application/ld+json ;",
        "application/x-javascript",
    };
    static const char *const others[] = { "",
                                          "text",
                                          "text/",
                                          "image/png",
                                          "application/zip",
                                          "video/mp4",
                                          "application/js",
                                          "xapplication/json",
                                          "+json",
                                          "application/jsonx",
                                          "font/woff2" };

    for (size_t i = 0; i < COUNT(texts); i++)
        if (!webcompress_is_type(texts[i]))
            fail_msg("%s", texts[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        if (webcompress_is_type(others[i]))
            fail_msg("%s", others[i]);
}

static void what_would_gain_nothing_is_left_as_it_is(void **state)
{
    static const struct {
        size_t length;
        const char *type, *coding;
        int status;
        bool is_compressed;
    } rows[] = {
        { WEBCOMPRESS_LEAST, NULL, NULL, 0, true },
        { WEBCOMPRESS_LEAST - 1, NULL, NULL, 0, false },
        { 0, NULL, NULL, 0, false },
        { LONG, "image/png", NULL, 0, false },
        { LONG, "application/json", NULL, 0, true },
        { LONG, NULL, "br", 0, false },
        { LONG, NULL, "identity", 0, false },
        { LONG, NULL, NULL, 500, true },
        { LONG, NULL, NULL, 206, false },
    };
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (plan.flushes = 0; plan.flushes < 2; plan.flushes++) {
            if (rows[i].length < LONG && plan.flushes > 0)
                continue;
            plan.length = rows[i].length;
            plan.type = rows[i].type;
            plan.coding = rows[i].coding;
            plan.status = rows[i].status;
            webscene_ask(&scene, "GET /", GZIP, NULL);
            assert_int_equal(scene.status, rows[i].status != 0 ? rows[i].status : 200);
            webscene_expect_header(&scene, "Vary", "Accept-Encoding");
            if (rows[i].is_compressed)
                expect_compressed(&scene, rows[i].length);
            else
                expect_as_it_is(&scene, rows[i].length);
        }
    webscene_close(&scene);
}

static void an_answer_without_a_body_has_no_coding(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    for (plan.status = 204; plan.status <= 205; plan.status++) {
        webscene_ask(&scene, "GET /", GZIP, NULL);
        assert_int_equal(scene.status, plan.status);
        webscene_expect_header(&scene, "Content-Encoding", NULL);
    }
    webscene_ask(&scene, "GET /fail", GZIP, NULL);
    assert_int_equal(scene.status, 404);
    webscene_expect_header(&scene, "Content-Encoding", NULL);
    webscene_expect_header(&scene, "Vary", "Accept-Encoding");
    webscene_close(&scene);
}

/* The unknown length of what is flushed by and by is taken for long enough. */
static void parts_are_compressed_as_they_are_flushed(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    for (plan.flushes = 1; plan.flushes < 5; plan.flushes++)
        for (int i = 0; i < 8; i++) {
            plan.says_length = i & 1;
            plan.writes_nothing_last = i & 2;
            plan.is_bad_first = i & 4;
            webscene_ask(&scene, "GET /", GZIP, NULL);
            expect_compressed(&scene, LONG);
            webscene_expect_header(&scene, "Content-Length", NULL);
            webscene_expect_header(&scene, "Transfer-Encoding", "chunked");
        }
    plan.length = 10;
    webscene_ask(&scene, "GET /", GZIP, NULL);
    expect_compressed(&scene, 10);
    webscene_close(&scene);
}

/* What was flushed can be read before there is more. */
static struct web_request *held;

static void write_and_wait(struct web_request *request)
{
    write_part(request, 0, 100);
    web_flush(request, NULL, NULL);
    held = request;
}

static void a_flush_brings_out_what_was_written(void **state)
{
    static const struct web_handler waiting = { .get = write_and_wait, .asynchronous = true };
    struct webscene scene;
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_GZIP, 15);
    struct httpinflate_piece piece;

    make_page();
    webscene_open(&scene, (struct web_route[]){ { .pattern = "/", .handler = &waiting }, { 0 } },
                  &(struct web_settings){ .compress_response = true, .compress_level = 9 });
    struct httpscene_client *client = httpscene_connect(&scene.http);
    webscene_put(&scene, client, "GET /", GZIP, NULL);
    httpscene_settle(&scene.http);
    httpscene_take(client, 4096);
    const char *data = strstr(strstr(client->bytes, "\r\n\r\n") + 4, "\r\n") + 2;
    size_t size = strtoul(strstr(client->bytes, "\r\n\r\n") + 4, NULL, 16);
    assert_int_equal(httpinflate_decode(inflate, data, size, &piece), size);
    assert_int_equal(piece.length, 100);
    assert_memory_equal(piece.data, page, 100);
    write_part(held, 100, LONG);
    web_finish(held);
    webscene_read(&scene, client, "GET /");
    expect_compressed(&scene, LONG);
    webscene_close(&scene);
    httpinflate_free(inflate);
}

static void several_at_a_time_have_an_encoder_each(void **state)
{
    static const struct web_handler waiting = { .get = write_and_wait, .asynchronous = true };
    struct webscene scene;
    struct web_request *all[4];
    struct httpscene_client *clients[4];

    webscene_open(&scene, (struct web_route[]){ { .pattern = "/", .handler = &waiting }, { 0 } },
                  &(struct web_settings){ .compress_response = true });
    for (int i = 0; i < 4; i++) {
        clients[i] = httpscene_connect(&scene.http);
        webscene_put(&scene, clients[i], "GET /", GZIP, NULL);
        httpscene_settle(&scene.http);
        all[i] = held;
    }
    for (size_t at = 100; at < LONG; at += 700)
        for (int i = 0; i < 3; i++) {
            write_part(all[i], at, at + 700);
            web_flush(all[i], NULL, NULL);
        }
    for (int i = 0; i < 3; i++) {
        web_finish(all[i]);
        webscene_read(&scene, clients[i], "GET /");
        expect_compressed(&scene, LONG);
    }
    httpscene_hang_up(clients[3]); /* the last one leaves */
    httpscene_settle(&scene.http);
    assert_true(web_write(all[3], "x") == 0);
    web_finish(all[3]);
    webscene_close(&scene);
}

/* What a client has of the server's memory by asking for a stream. */
static void no_more_than_max_encoders_streams_are_compressed_at_a_time(void **state)
{
    enum { MOST = 3, ASKED = 5 };
    static const struct web_handler waiting = { .get = write_and_wait, .asynchronous = true };
    struct webscene scene;
    struct web_request *all[ASKED];
    struct httpscene_client *clients[ASKED];

    webscene_open(&scene, (struct web_route[]){ { .pattern = "/", .handler = &waiting }, { 0 } },
                  &(struct web_settings){ .compress_response = true, .max_encoders = MOST });
    memset(&plan, 0, sizeof plan);
    make_page();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ASKED; i++) {
            clients[i] = httpscene_connect(&scene.http);
            webscene_put(&scene, clients[i], "GET /", GZIP, NULL);
            size_t before = faults_allocated_bytes();
            httpscene_settle(&scene.http);
            assert_true(faults_allocated_bytes() < before + 60000 || (round == 0 && i == 0)); /* warming up */
            all[i] = held;
        }
        for (int i = 0; i < ASKED; i++) {
            write_part(all[i], 100, LONG);
            web_finish(all[i]);
            webscene_read(&scene, clients[i], "GET /");
            webscene_expect_header(&scene, "Vary", "Accept-Encoding");
            if (i < MOST)
                expect_compressed(&scene, LONG);
            else
                expect_as_it_is(&scene, LONG);
        }
    }
    webscene_close(&scene);
}

/* RFC 9110 8.8.1 and 15.4.5. */
static void the_tag_of_what_is_compressed_is_weak(void **state)
{
    struct webscene scene;
    char header[200], tag[64];

    open_scene(&scene);
    webscene_ask(&scene, "GET /", NULL, NULL);
    strcpy(tag, webscene_header(&scene, "Etag"));
    assert_int_equal(tag[0], '"');
    snprintf(header, sizeof header, "W/%s", tag);
    webscene_ask(&scene, "GET /", GZIP, NULL);
    webscene_expect_header(&scene, "Etag", header);
    snprintf(header, sizeof header, GZIP "If-None-Match: \"x\", W/%s\r\n", tag);
    assert_int_equal(webscene_ask(&scene, "GET /", header, NULL), 304);
    webscene_expect_header(&scene, "Content-Encoding", NULL);
    webscene_expect_header(&scene, "Vary", "Accept-Encoding");
    assert_memory_equal(webscene_header(&scene, "Etag"), "W/\"", 3);
    for (int i = 0; i < 2; i++) {
        snprintf(header, sizeof header, GZIP "If-None-Match: %s%s\r\n", i > 0 ? "W/\"x\", " : "", tag);
        assert_int_equal(webscene_ask(&scene, "GET /", header, NULL), 304);
        webscene_expect_header(&scene, "Etag", tag);
    }
    snprintf(header, sizeof header, GZIP "If-None-Match: \"x\"\r\nIf-None-Match: W/%s\r\n", tag);
    assert_int_equal(webscene_ask(&scene, "GET /", header, NULL), 304);
    assert_memory_equal(webscene_header(&scene, "Etag"), "W/\"", 3);
    plan.etag = "W/\"mine\"";
    webscene_ask(&scene, "GET /", GZIP, NULL);
    webscene_expect_header(&scene, "Etag", "W/\"mine\"");
    expect_compressed(&scene, LONG);
    plan.etag = "\"mine\"";
    plan.flushes = 1;
    webscene_ask(&scene, "GET /", GZIP, NULL);
    webscene_expect_header(&scene, "Etag", "W/\"mine\"");
    webscene_close(&scene);
}

static void the_head_is_the_same_for_head(void **state)
{
    struct webscene scene;
    char length[24];

    open_scene(&scene);
    webscene_ask(&scene, "GET /", GZIP, NULL);
    strcpy(length, webscene_header(&scene, "Content-Length"));
    webscene_ask(&scene, "HEAD /", GZIP, NULL);
    webscene_expect_header(&scene, "Content-Encoding", "gzip");
    webscene_expect_header(&scene, "Content-Length", length);
    webscene_close(&scene);
}

/* web_test:test_gzip_static */
static void files_are_compressed_when_they_are_whole_and_small(void **state)
{
    static char large[200000];
    struct staticscene scene;

    memset(large, 'l', sizeof large - 1);
    memset(page, 'p', LONG);
    staticscene_open_routes(&scene, NULL, &(struct web_settings){ .static_path = "", .compress_response = true });
    folder_write(&scene.folder, "root/page.txt", page);
    folder_write(&scene.folder, "root/large.txt", large);
    folder_write(&scene.folder, "root/page.png", page);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(staticscene_ask(&scene, "GET /static/page.txt", GZIP), 200);
        assert_string_equal(staticscene_header(&scene, "Content-Encoding"), "gzip");
        assert_string_equal(staticscene_header(&scene, "Vary"), "Accept-Encoding");
        assert_memory_equal(staticscene_header(&scene, "Etag"), "W/\"", 3);
        assert_true(scene.answer.length < 200);
        staticscene_expect_same_head(&scene, "/static/page.txt", GZIP);
        staticscene_expect(&scene, "GET /static/page.txt", NULL, 200, NULL);
        assert_null(staticscene_header(&scene, "Content-Encoding"));
        assert_int_equal(scene.answer.length, LONG);
        staticscene_expect(&scene, "GET /static/page.png", GZIP, 200, NULL);
        assert_null(staticscene_header(&scene, "Content-Encoding"));
        staticscene_expect(&scene, "GET /static/large.txt", GZIP, 200, NULL);
        assert_null(staticscene_header(&scene, "Content-Encoding"));
        assert_int_equal(scene.answer.length, sizeof large - 1);
    }
    staticscene_close(&scene);
}

/* RFC 9110 14.2: who joined a part of the text to a beginning in gzip would have neither. */
static void what_is_compressed_has_no_parts(void **state)
{
    static const char range[] = "Range: bytes=0-1999\r\n", behind[] = "Range: bytes=99999-\r\n";
    static const struct {
        const char *target, *accepted, *range;
        int status;
    } rows[] = {
        { "/static/page.txt", GZIP, "", 200 },
        { "/static/page.txt", GZIP, range, 200 },
        { "/static/page.txt", GZIP, behind, 200 },
        { "/static/page.txt", "", range, 206 },
        { "/static/page.txt", "", behind, 416 },
        { "/static/page.txt", "", "", 200 },
        { "/static/page.png", GZIP, range, 206 },
        { "/static/large.txt", GZIP, range, 206 },
        { "/static/short.txt", GZIP, "Range: bytes=1-2\r\n", 206 },
    };
    static char large[200000];
    struct staticscene scene;
    char headers[300];

    memset(large, 'l', sizeof large - 1);
    memset(page, 'p', LONG);
    staticscene_open_routes(&scene, NULL, &(struct web_settings){ .static_path = "", .compress_response = true });
    folder_write(&scene.folder, "root/page.txt", page);
    folder_write(&scene.folder, "root/large.txt", large);
    folder_write(&scene.folder, "root/page.png", page);
    folder_write(&scene.folder, "root/short.txt", "short");
    folder_set_time(&scene.folder, "root/page.txt", 1000000000, 0);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int dated = 0; dated < 2; dated++) {
            bool is_page = strcmp(rows[i].target, "/static/page.txt") == 0;
            bool is_packed = is_page && rows[i].accepted[0] != '\0';
            char request[64];
            snprintf(request, sizeof request, "GET %s", rows[i].target);
            snprintf(headers, sizeof headers, "%s%s%s", rows[i].accepted, rows[i].range,
                     is_page && dated ? "If-Range: Sun, 09 Sep 2001 01:46:40 GMT\r\n" : "");
            staticscene_expect(&scene, request, headers, rows[i].status, NULL);
            assert_int_equal(staticscene_header(&scene, "Content-Encoding") != NULL, is_packed);
            assert_int_equal(staticscene_header(&scene, "Accept-Ranges") == NULL, is_packed);
            staticscene_expect_same_head(&scene, rows[i].target, headers);
        }
    staticscene_expect(&scene, "GET /static/page.txt", GZIP "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 304,
                       NULL);
    assert_null(staticscene_header(&scene, "Accept-Ranges"));
    staticscene_close(&scene);
}

static void write_with_digests(struct web_request *request)
{
    web_set_header(request, "Content-MD5", "x");
    web_set_header(request, "Repr-Digest", "x");
    web_set_header(request, "Accept-Ranges", "bytes");
    write_part(request, 0, plan.length);
    if (plan.flushes > 0)
        web_flush(request, NULL, NULL);
}

static void headers_about_the_bytes_before_they_were_compressed_go(void **state)
{
    static const struct web_handler digested = { .get = write_with_digests };
    static const char *const names[] = { "Content-MD5", "Repr-Digest", "Accept-Ranges" };
    struct webscene scene;

    open_scene(&scene);
    webscene_close(&scene);
    webscene_open(&scene, (struct web_route[]){ { .pattern = "/", .handler = &digested }, { 0 } },
                  &(struct web_settings){ .compress_response = true });
    for (plan.flushes = 0; plan.flushes < 2; plan.flushes++)
        for (size_t i = 0; i < COUNT(names); i++) {
            webscene_ask(&scene, "GET /", GZIP, NULL);
            webscene_expect_header(&scene, names[i], NULL);
            webscene_ask(&scene, "GET /", NULL, NULL);
            assert_non_null(webscene_header(&scene, names[i]));
        }
    webscene_close(&scene);
}

/* web_test:test_no_gzip */
static void nothing_is_compressed_unless_it_is_asked_for(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_close(&scene);
    webscene_open(&scene, routes, NULL);
    webscene_ask(&scene, "GET /", GZIP, NULL);
    expect_as_it_is(&scene, LONG);
    webscene_expect_header(&scene, "Vary", NULL);
    webscene_close(&scene);
}

/* Whichever allocation fails, there is an answer, in one form or the other, or 500, or one that is broken off. */
static void without_memory_an_answer_is_as_it_is(void **state)
{
    int compressed = 0, as_it_is = 0, refused = 0;

    for (int flushes = 0; flushes < 3; flushes += 2)
        for (int nth = 1; nth < 40; nth++) {
            struct webscene scene;
            open_scene(&scene);
            plan.flushes = flushes;
            plan.vary = "Cookie";
            struct httpscene_client *client = httpscene_connect(&scene.http);
            httpscene_settle(&scene.http);
            webscene_put(&scene, client, "GET /", GZIP, NULL);
            faults_allocation(nth, false);
            webscene_read(&scene, client, "GET /");
            faults_allocation(0, false);
            bool ends = webscene_header(&scene, "Transfer-Encoding") == NULL ||
                        (scene.length > 5 && memcmp(scene.text + scene.length - 5, "0\r\n\r\n", 5) == 0);
            refused += scene.status != 200 || !ends;
            if (scene.status == 200 && ends)
                webscene_expect_header(&scene, "Vary", "Cookie, Accept-Encoding");
            if (scene.status == 200 && ends && webscene_header(&scene, "Content-Encoding") != NULL) {
                expect_compressed(&scene, LONG);
                compressed++;
            } else if (scene.status == 200 && ends) {
                expect_as_it_is(&scene, LONG);
                as_it_is++;
            }
            webscene_close(&scene);
        }
    assert_true(compressed > 0 && as_it_is > 2 && refused > 4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_long_text_is_compressed_for_who_accepts_it),
    cmocka_unit_test(who_does_not_accept_gzip_gets_the_answer_as_it_is),
    cmocka_unit_test(what_else_an_answer_varies_by_stays),
    cmocka_unit_test(webcompress_knows_what_gets_shorter),
    cmocka_unit_test(what_would_gain_nothing_is_left_as_it_is),
    cmocka_unit_test(an_answer_without_a_body_has_no_coding),
    cmocka_unit_test(parts_are_compressed_as_they_are_flushed),
    cmocka_unit_test(a_flush_brings_out_what_was_written),
    cmocka_unit_test(several_at_a_time_have_an_encoder_each),
    cmocka_unit_test(no_more_than_max_encoders_streams_are_compressed_at_a_time),
    cmocka_unit_test(the_tag_of_what_is_compressed_is_weak),
    cmocka_unit_test(the_head_is_the_same_for_head),
    cmocka_unit_test(files_are_compressed_when_they_are_whole_and_small),
    cmocka_unit_test(what_is_compressed_has_no_parts),
    cmocka_unit_test(headers_about_the_bytes_before_they_were_compressed_go),
    cmocka_unit_test(nothing_is_compressed_unless_it_is_asked_for),
    cmocka_unit_test(without_memory_an_answer_is_as_it_is),
};

TESTING_MAIN(tests)
