/* Responses in gzip that are broken, too long, or more than there is memory for. */
#include "tests/support/testing.h"

#include <errno.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/gzipanswer.h"

/* What is broken. */

static void expect_broken(const char *why)
{
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 6);
        struct fetchscene_fetch *fetch = fetch_answer(framing == IN_CHUNKS ? streamed : plain);
        if (fetch->error != -EPROTO)
            print_message("%s, framing %d\n", why, framing);
        fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_BODY);
        assert_int_equal(fetch->code, 200);
    }
    fetchscene_forget(&scene);
}

/* httpclient_test:test_invalid_gzip */
static void what_is_not_whole_or_wrong_is_never_a_success(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0;; i++) {
        pack("hello, hello, hello", 19);
        if ((size_t)i == packed_length - 1)
            break;
        packed_length = (size_t)i + 1;
        expect_broken("cut off");
    }
    for (int i = 1; i <= 8; i++) {
        pack("hello, hello, hello", 19);
        packed[packed_length - (size_t)i] ^= 1;
        expect_broken("checksum or length");
    }
    pack("hello, hello, hello", 19);
    packed[packed_length++] = 'x';
    expect_broken("a byte behind");
    for (int i = 0;; i++) { /* the second of two members */
        pack("hello, hello, hello", 19);
        if ((size_t)i == packed_length - 1)
            break;
        memcpy(packed + packed_length, packed, packed_length);
        packed_length += (size_t)i + 1;
        expect_broken("a second member that is cut off");
    }
    strcpy(packed, "not gzip at all");
    packed_length = 15;
    expect_broken("not gzip");
    fetchscene_close(&scene);
}

/* The connection has gone meanwhile, which is how the body ends. */
static void what_is_not_whole_is_no_success_behind_a_pause_either(void **state)
{
    static char text[100000];

    memset(text, 'x', sizeof text);
    fetchscene_open(&scene, NULL);
    for (size_t cut = 1; cut < 30; cut++) {
        pack(text, sizeof text);
        packed_length -= cut;
        make_answer("200 OK", GZIP, UNTIL_CLOSE, 0);
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, streamed);
        fetch->on_data = pause_always;
        struct fetchscene_peer *peer = send_answer();
        fetchscene_settle(&scene);
        fetchscene_finish(peer);
        resume_at_most(fetch, 20);
        fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_BODY);
        end_connection(peer);
    }
    fetchscene_close(&scene);
}

static void a_connection_that_ends_too_early_is_told_as_such(void **state)
{
    fetchscene_open(&scene, NULL);
    pack("hello, hello, hello", 19);
    for (int framing = BY_LENGTH; framing <= IN_CHUNKS; framing++) {
        make_answer("200 OK", GZIP, framing, 6);
        answer_length -= 3;
        fetchscene_expect_error(&scene, fetch_answer(plain), -ESHUTDOWN, HTTPCLIENT_BODY);
    }
    fetchscene_close(&scene);
}

/* Limits. */

static void max_body_counts_what_is_inflated(void **state)
{
    static char text[100000];
    struct httpclient_request request = plain;

    memset(text, 'x', sizeof text);
    pack(text, sizeof text);
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 50);
        for (int is_streamed = 0; is_streamed < 2; is_streamed++) {
            request.streaming_callback = is_streamed ? fetchscene_on_data : NULL;
            request.max_body = sizeof text;
            struct fetchscene_fetch *fetch = fetch_answer(request);
            fetchscene_wait(&scene, fetch);
            assert_int_equal(fetch->error, 0);
            assert_int_equal(fetch->body.length, sizeof text);
            request.max_body--;
            fetch = fetch_answer(request);
            fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_BODY);
            assert_true(fetch->body.length < sizeof text);
        }
    }
    fetchscene_close(&scene);
}

/* 100 MB in 100 KB. */
static void a_bomb_is_cut_while_it_is_inflated(void **state)
{
    pack_bomb(100 << 20);
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 60000);
        struct httpclient_request request = plain;
        request.max_body = 200000;
        size_t before = faults_allocated_bytes();
        struct fetchscene_fetch *fetch = fetch_answer(request);
        assert_true(faults_allocated_bytes() < before + 700000);
        fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_BODY);
        assert_int_equal(fetch->body.length, 0);
    }
    fetchscene_close(&scene);
}

/* Memory. */

static void each_allocation_may_fail(void **state)
{
    pack("hello, hello, hello", 19);
    make_answer("200 OK", GZIP, IN_CHUNKS, 20);
    int nth = 1, failures = 0;
    for (bool hit = true; hit; nth++) {
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, plain);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        fetchscene_settle(&scene);
        faults_allocation(nth, false);
        fetchscene_put_bytes(&scene, peer, answer, answer_length);
        fetchscene_wait(&scene, fetch);
        hit = faults_hit();
        faults_allocation(0, false);
        assert_true(fetch->error == 0 || fetch->error == -ENOMEM);
        failures += fetch->error != 0;
        fetchscene_close(&scene);
    }
    assert_in_range(failures, 2, nth);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_not_whole_or_wrong_is_never_a_success),
    cmocka_unit_test(what_is_not_whole_is_no_success_behind_a_pause_either),
    cmocka_unit_test(a_connection_that_ends_too_early_is_told_as_such),
    cmocka_unit_test(max_body_counts_what_is_inflated),
    cmocka_unit_test(a_bomb_is_cut_while_it_is_inflated),
    cmocka_unit_test(each_allocation_may_fail),
};

TESTING_MAIN(tests)
