#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Each kind of request, with each allocation and each system call failing once, or from then on. What the client has
 * got then is the beginning of what it gets otherwise, or an error; the program has been told of all it was promised;
 * nothing leaks, and the next client is served. */

static int file, writes_accepted, writes_told;

static void write_done(struct iostream *stream, int error, void *arg)
{
    writes_told++;
}

static void note_write(int result)
{
    writes_accepted += result == 0;
}

static void answer_much(struct httprequest *request)
{
    char *bytes = malloc(400001);

    (void)!httprequest_reply(request, 200, "text/plain", filled(bytes, 400000), 400000);
    free(bytes);
}

static void answer_by_and_by(struct httprequest *request)
{
    char *bytes = malloc(300001);

    filled(bytes, 300000);
    note_write(httprequest_write_head(request, 200, NULL, NULL, "a", 1, write_done, NULL));
    note_write(httprequest_write(request, bytes, 3000, write_done, NULL));
    note_write(httprequest_write(request, bytes, 300000, write_done, NULL));
    note_write(httprequest_write(request, "b", 1, write_done, NULL));
    (void)!httprequest_finish(request);
    free(bytes);
}

static void answer_with_file(struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    if (httprequest_path_is(request, "/length") && httpheaders_add(&headers, "Content-Length", "200000") < 0) {
        (void)!httprequest_finish(request);
        return;
    }
    note_write(httprequest_write_head(request, 200, NULL, &headers, NULL, 0, write_done, NULL));
    note_write(httprequest_write_file(request, file, 0, 200000, write_done, NULL));
    (void)!httprequest_finish(request);
    httpheaders_free(&headers);
}

static void answer_raw(struct httprequest *request)
{
    struct iostream *stream = httprequest_detach(request);

    if (stream == NULL) {
        (void)!httprequest_finish(request);
        return;
    }
    (void)!iostream_write(stream, "raw", 3, NULL, NULL);
    iostream_close(stream);
}

static void tell_who(struct httprequest *request)
{
    const char *ip = httprequest_remote_ip(request);

    (void)!httprequest_reply(request, 200, NULL, ip, strlen(ip));
}

/* As the pieces are not always the same, what they are made of. */
static void answer_streamed(struct httprequest *request)
{
    char *to = streamed.text;

    assert_false(streamed.is_paused);
    for (const char *from = to; *from != '\0'; from++) {
        if (*from != '|')
            *to++ = *from;
    }
    (void)!httprequest_reply(request, 200, NULL, streamed.text, (size_t)(to - streamed.text));
}

static void answer_kind(struct httpscene *scene, struct httprequest *request)
{
    static const struct {
        const char *path;
        void (*answer)(struct httprequest *);
    } kinds[] = {
        { "/much", answer_much },         { "/pieces", answer_by_and_by }, { "/file", answer_with_file },
        { "/length", answer_with_file },  { "/raw", answer_raw },          { "/who", tell_who },
        { "/streamed", answer_streamed },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (httprequest_path_is(request, kinds[i].path)) {
            kinds[i].answer(request);
            return;
        }
    }
    if (httprequest_path_is(request, "/later"))
        httpscene_wait(scene, request);
    else
        httpscene_answer(request);
}

static void note_head(struct httprequest *request, void *arg)
{
    if (httprequest_path_is(request, "/streamed"))
        streamed_on_head(request, arg);
}

static void go_on(struct httprequest *request)
{
    if (streamed.pieces % 2 == 1)
        streamed_pause(request);
}

#define POST_TO(path, more) "POST " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" more "\r\n"

static char *texts[10];
enum { KINDS = sizeof texts / sizeof *texts };

static void make_texts(void)
{
    char pad[1200], *long_head = malloc(3000);

    sprintf(long_head,
            "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 4.4.4.4\r\nPad: %s\r\n\r\n",
            filled(pad, 1100));
    const char *const all[KINDS] = {
        LAST_GET("/plain"),
        LAST_GET("/much"),
        LAST_GET("/pieces"),
        LAST_GET("/file"),
        LAST_GET("/length"),
        LAST_GET("/raw"),
        LAST_GET("/later"),
        POST_TO("/streamed", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n") "2\r\nab\r\n3\r\ncde\r\n1\r\nf\r"
                                                                                       "\n0\r\nX: y\r\n\r\n",
        POST_TO("/collected", "Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        long_head,
    };
    for (int i = 0; i < KINDS; i++)
        texts[i] = strdup(all[i]);
    free(long_head);
}

static void open_scene(struct httpscene *scene)
{
    memset(&streamed, 0, sizeof streamed);
    streamed.at_piece = go_on;
    writes_accepted = writes_told = 0;
    httpscene_open(scene, &(struct httpserver_options){ .on_head = note_head, .xheaders = true });
    scene->on_request = answer_kind;
}

/* What the client gets until the end, whatever it takes. */
static char *serve_one(struct httpscene *scene, const char *text, size_t *length)
{
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_put(scene, client, text);
    for (int rounds = 0; !client->ended; rounds++) {
        for (int i = 0; i < 8; i++)
            (void)!ioloop_run_once(scene->loop, 0);
        if (streamed.is_paused && streamed.request != NULL)
            streamed_resume(streamed.request);
        while (scene->waiting_count > 0)
            (void)!httpscene_answer_next(scene);
        if (httpscene_take(client, SIZE_MAX) == 0)
            scene->clock += rounds < 300 ? 0 : 1;
        if (rounds == 1000)
            fail_msg("%s never ended", text);
    }
    faults_end();
    char *transcript = httpscene_transcript(scene, client, length);
    httpscene_hang_up(client);
    return transcript;
}

static bool is_error(const char *got)
{
    return strstr(got, " 500 Internal") != NULL || strstr(got, " 503 Service") != NULL ||
           strstr(got, " 408 Req") != NULL;
}

/* Without a list of trailers or addresses there is less to tell. */
static bool is_less(const char *got)
{
    return strstr(got, "\r\n\r\n127.0.0.1") != NULL;
}

static void check_outcome(struct httpscene *scene, const char *text, const char *wanted, size_t wanted_length)
{
    size_t length;
    char *got = serve_one(scene, text, &length);

    if ((length > wanted_length || memcmp(got, wanted, length) != 0) && !is_error(got) && !is_less(got))
        fail_msg("%.40s gave:\n%.400s\ninstead of:\n%.400s", text, got, wanted);
    free(got);
    httpscene_settle(scene);
    for (int i = 0; i < 8; i++)
        httpscene_pass(scene, 15);
    assert_int_equal(httpserver_connections(scene->server), 0);
    assert_int_equal(writes_told, writes_accepted);
    httpscene_expect_alive(scene);
    httpscene_close(scene);
}

typedef void order_fn(int kind, int nth);

static void sweep(order_fn *order, int orders)
{
    FILE *temporary = tmpfile();

    assert_non_null(temporary);
    file = fileno(temporary);
    assert_int_equal(ftruncate(file, 200000), 0);
    make_texts();
    for (int i = 0; i < KINDS; i++) {
        struct httpscene scene;
        size_t length;

        open_scene(&scene);
        char *wanted = serve_one(&scene, texts[i], &length);
        httpscene_close(&scene);
        for (int kind = 0; kind < orders; kind++) {
            bool hit = true;
            for (int nth = 1; hit; nth++) {
                open_scene(&scene);
                order(kind, nth);
                check_outcome(&scene, texts[i], wanted, length);
                hit = faults_hit();
                assert_true(nth < 200);
            }
        }
        free(wanted);
        free(texts[i]);
    }
    fclose(temporary);
}

static void order_allocation(int kind, int nth)
{
    faults_allocation(nth, kind == 1);
}

static void nothing_is_lost_when_an_allocation_fails(void **state)
{
    sweep(order_allocation, 2);
}

static const struct {
    const char *name;
    int error;
} calls[] = {
    { "recv", ECONNRESET },  { "recv", EAGAIN },      { "recv", EINTR },        { "send", EPIPE },
    { "send", EAGAIN },      { "send", EINTR },       { "send", ENOBUFS },      { "sendmsg", ECONNRESET },
    { "sendmsg", EAGAIN },   { "sendfile", EIO },     { "sendfile", EAGAIN },   { "sendfile", EINVAL },
    { "epoll_ctl", ENOMEM }, { "epoll_wait", EINTR }, { "shutdown", ENOTCONN }, { "close", EINTR },
    { "accept4", EMFILE },   { "pread", EIO },
};

static void order_call(int kind, int nth)
{
    faults_system_call(calls[kind].name, calls[kind].error, nth);
}

static void nothing_is_lost_when_a_system_call_fails(void **state)
{
    sweep(order_call, sizeof calls / sizeof *calls);
}

static void order_short_io(int kind, int nth)
{
    static const size_t sizes[] = { 1, 7, 100, 5000 };

    faults_allocation(0, false);
    faults_short_io(sizes[kind]);
}

static void nothing_is_lost_when_calls_move_little(void **state)
{
    make_texts();
    for (int i = 0; i < KINDS; i++) {
        for (int kind = 0; kind < 4; kind++) {
            struct httpscene scene;
            size_t length, got_length;

            if ((i >= 1 && i <= 4 && kind < 3) || i == 5)
                continue; /* long ones take long, and what closes at once does not wait */
            open_scene(&scene);
            char *wanted = serve_one(&scene, texts[i], &length);
            order_short_io(kind, 0);
            char *got = serve_one(&scene, texts[i], &got_length);
            if (got_length != length || memcmp(got, wanted, length) != 0)
                fail_msg("%.40s gave:\n%.400s\ninstead of:\n%.400s", texts[i], got, wanted);
            free(got);
            free(wanted);
            httpscene_close(&scene);
        }
        free(texts[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_lost_when_an_allocation_fails),
    cmocka_unit_test(nothing_is_lost_when_a_system_call_fails),
    cmocka_unit_test(nothing_is_lost_when_calls_move_little),
};

TESTING_MAIN(tests)
