/* One exchange: where responses end, and what does not count as one. */
#include <errno.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "tests/support/fetchscene.h"
#include "tests/support/testing.h"

#define OK       "HTTP/1.1 200 OK\r\n"
#define CHUNKED  OK "Transfer-Encoding: chunked\r\n\r\n"
#define FIVE     OK "Content-Length: 5\r\n\r\n"
#define MOVED    "HTTP/1.1 302 Found\r\nLocation: /next\r\n"
#define INTERIM  "HTTP/1.1 103 Early Hints\r\n\r\n"
#define INTERIM5 INTERIM INTERIM INTERIM INTERIM INTERIM

enum ending { STAYS, FIN, RST };

/* What is cut off is never a success. */
static void a_response_ends_where_it_says_and_nowhere_else(void **state)
{
    static const struct {
        const char *answer;
        enum ending ending;
        int error;
        const char *body; /* of a success */
    } rows[] = {
        { FIVE "hello", STAYS, 0, "hello" },
        { FIVE "hell", FIN, -ESHUTDOWN, NULL },
        { FIVE "hell", RST, -ECONNRESET, NULL },
        { FIVE "", FIN, -ESHUTDOWN, NULL },
        { OK "Content-Length: 5\r\n", FIN, -ESHUTDOWN, NULL },
        { "H", FIN, -ESHUTDOWN, NULL },
        { "", FIN, -ESHUTDOWN, NULL },
        { "", RST, -ECONNRESET, NULL },
        { CHUNKED "5\r\nhello\r\n0\r\n\r\n", STAYS, 0, "hello" },
        { CHUNKED "5\r\nhello\r\n0\r\n\r\n", FIN, 0, "hello" }, /* httpclient_test:test_chunked_close */
        { CHUNKED "5\r\nhello\r\n0\r\n", FIN, -ESHUTDOWN, NULL },
        { CHUNKED "5\r\nhello\r\n", FIN, -ESHUTDOWN, NULL },
        { CHUNKED "5\r\nhel", FIN, -ESHUTDOWN, NULL },
        { CHUNKED "", FIN, -ESHUTDOWN, NULL },
        { CHUNKED "5\r\nhelloXX", STAYS, -EPROTO, NULL },
        { CHUNKED "FFFFFFFFFFFFFFFF\r\n", STAYS, -EMSGSIZE, NULL },
        { OK "\r\nhello", FIN, 0, "hello" },
        { OK "\r\nhello", RST, -ECONNRESET, NULL },
        { OK "\r\n", FIN, 0, "" },
        { INTERIM5 INTERIM5 FIVE "hello", STAYS, 0, "hello" },
        { INTERIM5 INTERIM5 INTERIM FIVE "hello", STAYS, -EPROTO, NULL },
        { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", STAYS, -EPROTO, NULL },
        { "asdf\r\n\r\n", STAYS, -EPROTO, NULL },
        { MOVED "Content-Length: 5\r\n\r\nhell", FIN, -ESHUTDOWN, NULL },
        { OK "Content-Length: 16777217\r\n\r\n", STAYS, -EMSGSIZE, NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene scene;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, rows[i].answer);
        fetchscene_settle(&scene);
        if (rows[i].ending == FIN)
            fetchscene_hang_up(peer);
        else if (rows[i].ending == RST)
            fetchscene_reset(peer);
        if (rows[i].error == 0)
            fetchscene_expect(&scene, fetch, 200, rows[i].body);
        else
            fetchscene_expect_error(&scene, fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
        fetchscene_close(&scene);
    }
}

static void a_short_body_of_a_redirect_is_read_and_its_connection_used_again(void **state)
{
    struct fetchscene scene;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, MOVED "Content-Length: 5\r\n\r\nmoved");
    fetchscene_serve(&scene, peer, FIVE "hello");
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

/* Also when it turns out to be long only by and by. */
static void a_long_body_of_a_redirect_ends_its_connection(void **state)
{
    static const char *const answers[] = {
        MOVED "Content-Length: 65537\r\n\r\n",
        MOVED "\r\nmoved",
        MOVED "Transfer-Encoding: chunked\r\n\r\n10001\r\n",
    };
    static char more[70000];

    memset(more, 'x', sizeof more);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fetchscene scene;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, answers[i]);
        if (i == 2)
            fetchscene_put_bytes(&scene, peer, more, sizeof more);
        fetchscene_expect_end(&scene, peer);
        fetchscene_serve(&scene, NULL, FIVE "hello");
        fetchscene_expect(&scene, fetch, 200, "hello");
        assert_int_equal(fetch->redirects, 1);
        fetchscene_close(&scene);
    }
}

/* However it ends; streamed, too, when a limit is given. */
static void a_body_over_max_body_is_an_error(void **state)
{
    static const char *const answers[] = {
        OK "Content-Length: 6\r\n\r\n",
        CHUNKED "6\r\n",
        CHUNKED "5\r\nhello\r\n1\r\n!",
        OK "\r\nhello!",
    };

    for (size_t i = 0; i < 2 * sizeof answers / sizeof *answers; i++) {
        struct fetchscene scene;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){
                        .url = "/", .max_body = 5, .streaming_callback = i % 2 == 1 ? fetchscene_on_data : NULL });
        fetchscene_serve(&scene, NULL, answers[i / 2]);
        fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_BODY);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_close(&scene);
    }
}

/* What is whole is told whole, wherever the program has paused, and whether the connection ends before it resumes or in
 * the same turn. */
static struct fetchscene *paused_scene;
static struct fetchscene_peer *paused_peer;

static void pause_in_line(struct fetchscene_fetch *fetch)
{
    const char *last = fetch->arg;
    size_t length = strlen(last);

    if (fetch->lines.length >= length && memcmp(fetch->lines.bytes + fetch->lines.length - length, last, length) == 0)
        httpclient_pause(paused_scene->client, fetch->id);
}

static void hang_up_and_resume(void *arg)
{
    struct fetchscene_fetch *fetch = arg;

    fetchscene_hang_up(paused_peer);
    httpclient_resume(paused_scene->client, fetch->id);
}

static void a_response_that_is_whole_outlives_its_connection_in_a_pause(void **state)
{
    static const struct {
        const char *answer, *last; /* the line that it pauses behind */
        int code;
    } rows[] = {
        { OK "Content-Length: 0\r\n\r\n", "200 OK\r\n", 200 },
        { OK "Content-Length: 0\r\n\r\n", ": 0\r\n", 200 },
        { OK "Content-Length: 0\r\n\r\n", "\r\n\r\n", 200 },
        { "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "Content\r\n", 204 },
        { "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "\r\n\r\n", 204 },
        { FIVE "hello", "OK\r\n", 200 },
        { FIVE "hello", "\r\n\r\n", 200 },
        { OK "\r\n", "OK\r\n", 200 },
    };

    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct fetchscene scene;
        paused_scene = &scene;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .header_callback = fetchscene_on_line });
        fetch->arg = (void *)rows[i / 2].last;
        fetch->on_line = pause_in_line;
        struct fetchscene_peer *peer = paused_peer = fetchscene_serve(&scene, NULL, rows[i / 2].answer);
        fetchscene_settle(&scene);
        fetchscene_expect_waiting(&scene, fetch);
        if (i % 2 == 0) {
            fetchscene_hang_up(peer);
            fetchscene_settle(&scene);
            fetchscene_expect_waiting(&scene, fetch);
            httpclient_resume(scene.client, fetch->id);
        } else {
            assert_int_equal(ioloop_add_callback(scene.loop, hang_up_and_resume, fetch), 0);
        }
        fetchscene_expect(&scene, fetch, rows[i / 2].code, strchr(rows[i / 2].answer, '5') != NULL ? "hello" : "");
        fetchscene_close(&scene);
    }
}

/* httpclient.h: names and values are HTTPHEADERS_MAX_SIZE in all. */
static void a_head_is_larger_than_headers_can_be_whatever_max_header_is(void **state)
{
    static char head[2 * HTTPHEADERS_MAX_SIZE], value[8001];

    memset(value, 'a', sizeof value - 1);
    for (int lines = 8; lines <= 9; lines++) {
        struct fetchscene scene;
        char *place = stpcpy(head, OK "Content-Length: 0\r\n");
        for (int i = 0; i < lines; i++)
            place = stpcpy(stpcpy(stpcpy(place, "X: "), value), "\r\n");
        stpcpy(place, "\r\n");
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .max_header = 1 << 20 });
        fetchscene_serve(&scene, NULL, head);
        if (lines == 8)
            fetchscene_expect(&scene, fetch, 200, "");
        else
            fetchscene_expect_error(&scene, fetch, -EMSGSIZE, FETCHSCENE_ANY_PHASE);
        fetchscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_response_ends_where_it_says_and_nowhere_else),
    cmocka_unit_test(a_body_over_max_body_is_an_error),
    cmocka_unit_test(a_short_body_of_a_redirect_is_read_and_its_connection_used_again),
    cmocka_unit_test(a_long_body_of_a_redirect_ends_its_connection),
    cmocka_unit_test(a_response_that_is_whole_outlives_its_connection_in_a_pause),
    cmocka_unit_test(a_head_is_larger_than_headers_can_be_whatever_max_header_is),
};

TESTING_MAIN(tests)
