/* Bodies that a client sends: by and by, and after a 100. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_request seen;

/* A producer: sends so many pieces, some a call, and waits between calls if it is asynchronous. */
struct production {
    int pieces, sent, a_call, calls;
    int fail_at;     /* instead of the piece with this number, from 1 */
    bool waits;      /* the test resumes it */
    bool in_vain;    /* goes on after the end: all is refused */
    int result;      /* of the last write */
    uint64_t upload; /* the fetch; 0: not called yet */
};

static void produce(struct httpclient *client, uint64_t fetch, void *arg)
{
    struct production *production = arg;
    char piece[16];

    production->calls++;
    production->upload = fetch;
    if (production->waits && production->calls % 2 == 1)
        return;
    for (int i = 0; i < production->a_call && production->sent < production->pieces; i++) {
        if (++production->sent == production->fail_at) {
            httpclient_upload_fail(client, fetch, -EIO);
            return;
        }
        snprintf(piece, sizeof piece, "%04d", production->sent);
        production->result = httpclient_upload_write(client, fetch, piece, 4);
        memset(piece, '#', sizeof piece);
    }
    if (production->sent == production->pieces)
        httpclient_upload_finish(client, fetch);
    if (production->in_vain)
        assert_true(httpclient_upload_write(client, fetch, "more", 4) < 0);
}

static struct fetchscene_fetch *post(struct production *production, const char *length)
{
    struct httpheaders headers = { 0 };

    if (length != NULL)
        assert_int_equal(httpheaders_add(&headers, "Content-Length", length), 0);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/post",
                                                              .method = "POST",
                                                              .headers = &headers,
                                                              .body_producer = produce,
                                                              .body_producer_arg = production });
    httpheaders_free(&headers);
    return fetch;
}

static struct fetchscene_fetch *post_after_100(struct production *production)
{
    return fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/",
                                                                 .method = "POST",
                                                                 .body_producer = produce,
                                                                 .body_producer_arg = production,
                                                                 .expect_100_continue = true });
}

static void answer_hi(struct fetchscene_peer *peer, struct fetchscene_fetch *fetch)
{
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
}

static void refuse(struct fetchscene_peer *peer, struct fetchscene_fetch *fetch)
{
    fetchscene_put(&scene, peer, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    fetchscene_expect(&scene, fetch, 403, "no");
}

/* What comes until the client ends its connection. */
static void take_all(struct fetchscene_peer *peer)
{
    while (!peer->ended) {
        fetchscene_take(peer, SIZE_MAX);
        fetchscene_settle(&scene);
    }
}

/* The whole request as the server sees it, resuming the producer meanwhile. */
static struct fetchscene_peer *take_upload(struct production *production)
{
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    for (int i = 0; production->waits && i < 50; i++) {
        fetchscene_settle(&scene);
        if (production->upload != 0 && production->sent < production->pieces)
            httpclient_upload_resume(scene.client, production->upload);
    }
    fetchscene_take_request(&scene, peer, &seen);
    return peer;
}

static void expect_upload(struct production production, const char *length)
{
    struct fetchscene_fetch *fetch = post(&production, length);
    struct fetchscene_peer *peer = take_upload(&production);

    assert_string_equal(seen.body, "00010002000300040005");
    if (length != NULL) {
        assert_string_equal(fetchscene_request_header(&seen, "Content-Length"), length);
        assert_null(fetchscene_request_header(&seen, "Transfer-Encoding"));
    } else {
        assert_string_equal(fetchscene_request_header(&seen, "Transfer-Encoding"), "chunked");
        assert_in_range(seen.chunks, 1, 5);
    }
    answer_hi(peer, fetch);
    assert_int_equal(production.result, 0);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_hang_up(peer);
    fetchscene_settle(&scene);
}

/* simple_httpclient_test:test_sync_body_producer_chunked,
 * simple_httpclient_test:test_sync_body_producer_content_length,
 * simple_httpclient_test:test_async_body_producer_chunked,
 * simple_httpclient_test:test_async_body_producer_content_length */
static void a_producer_sends_in_chunks_or_as_long_as_it_said(void **state)
{
    static const char *const lengths[] = { NULL, "20" };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        expect_upload((struct production){ .pieces = 5, .a_call = 5 }, lengths[i]);
        expect_upload((struct production){ .pieces = 5, .a_call = 1 }, lengths[i]);
        expect_upload((struct production){ .pieces = 5, .a_call = 2 }, lengths[i]);
        expect_upload((struct production){ .pieces = 5, .a_call = 1, .waits = true }, lengths[i]);
        expect_upload((struct production){ .pieces = 5, .a_call = 5, .waits = true }, lengths[i]);
        expect_upload((struct production){ .pieces = 5, .a_call = 5, .in_vain = true }, lengths[i]);
    }
    fetchscene_close(&scene);
}

static void a_producer_may_have_nothing_to_send(void **state)
{
    static const char *const lengths[] = { NULL, "0" };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        struct production production = { .pieces = 0 };
        struct fetchscene_fetch *fetch = post(&production, lengths[i]);
        struct fetchscene_peer *peer = take_upload(&production);

        assert_int_equal(seen.length, 0);
        answer_hi(peer, fetch);
        assert_int_equal(production.calls, 1);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void writing_nothing_ends_no_body(void **state)
{
    struct production production = { .pieces = 2, .a_call = 1, .waits = true };

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post(&production, NULL);
    fetchscene_settle(&scene);
    assert_int_equal(httpclient_upload_write(scene.client, production.upload, "", 0), 0);
    struct fetchscene_peer *peer = take_upload(&production);
    assert_string_equal(seen.body, "00010002");
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

/* A producer that waits is not asked again until it is resumed. */
static void a_producer_that_wrote_nothing_is_left_alone(void **state)
{
    struct production production = { .pieces = 1, .a_call = 1, .waits = true };

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post(&production, NULL);
    fetchscene_settle(&scene);
    fetchscene_pass(&scene, 1);
    assert_int_equal(production.calls, 1);
    httpclient_upload_resume(scene.client, production.upload);
    fetchscene_settle(&scene);
    assert_int_equal(production.calls, 2);
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* F11: whatever it has sent before, the body does not look whole. */
static void a_producer_that_fails_leaves_no_whole_body_behind(void **state)
{
    static const char *const lengths[] = { NULL, "20" };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        for (int fail_at = 1; fail_at <= 5; fail_at++) {
            for (int a_call = 1; a_call <= 5; a_call += 4) {
                struct production production = { .pieces = 5, .a_call = a_call, .fail_at = fail_at };
                struct fetchscene_fetch *fetch = post(&production, lengths[i]);
                struct fetchscene_peer *peer = fetchscene_accept(&scene);

                fetchscene_expect_error(&scene, fetch, -EIO, HTTPCLIENT_SEND);
                take_all(peer);
                if (peer->bytes != NULL) {
                    assert_null(strstr(peer->bytes, "\r\n0\r\n\r\n"));
                    assert_null(strstr(peer->bytes, "0005"));
                }
                assert_int_equal(production.calls, a_call == 1 ? fail_at : 1);
                fetchscene_hang_up(peer);
                fetchscene_expect_pool(&scene, 0, 0, 0);
            }
        }
    }
    fetchscene_close(&scene);
}

/* B11 */
static void a_body_that_is_not_as_long_as_it_said_is_an_error(void **state)
{
    static const char *const lengths[] = { "19", "21", "3", "0", "9999999999999999999" };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 5; i++) {
        struct production production = { .pieces = 5, .a_call = 1 };
        struct fetchscene_fetch *fetch = post(&production, lengths[i]);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);

        fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_SEND);
        take_all(peer);
        const char *body = peer->length > 0 ? strstr(peer->bytes, "\r\n\r\n") : NULL;
        assert_true(body == NULL || strlen(body + 4) <= strtoull(lengths[i], NULL, 10));
        fetchscene_hang_up(peer);
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    fetchscene_close(&scene);
}

static void a_content_length_of_a_producer_that_is_none_is_refused(void **state)
{
    static const char *const lengths[] = { "-1", "+1", "1 1", "x", "", "18446744073709551616", "1,1" };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 7; i++) {
        struct httpheaders headers = { 0 };

        assert_int_equal(httpheaders_add(&headers, "Content-Length", lengths[i]), 0);
        assert_null(
            fetchscene_try(&scene, (struct httpclient_request){
                                       .url = "/", .method = "POST", .headers = &headers, .body_producer = produce }));
        assert_int_equal(errno, EINVAL);
        httpheaders_free(&headers);
    }
    fetchscene_close(&scene);
}

/* Back-pressure. */

static void pour(struct httpclient *client, uint64_t fetch, void *arg)
{
    static char piece[16384];
    size_t *poured = arg;

    if (*poured >= 64 * 1024 * 1024)
        httpclient_upload_finish(client, fetch);
    else
        assert_int_equal(httpclient_upload_write(client, fetch, piece, sizeof piece), 0);
    *poured += sizeof piece;
}

static struct fetchscene_fetch *put_without_end(size_t *poured)
{
    return fetchscene_fetch(
        &scene,
        (struct httpclient_request){ .url = "/", .method = "PUT", .body_producer = pour, .body_producer_arg = poured });
}

static void a_producer_is_asked_only_as_fast_as_the_server_reads(void **state)
{
    size_t poured = 0;
    struct fetchscene_request head;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = put_without_end(&poured);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    testing_spin(scene.loop, 300);
    assert_true(poured < 16 * 1024 * 1024);
    assert_true(faults_allocated_bytes() < 1024 * 1024);
    fetchscene_take_head(&scene, peer, &head);
    while (poured < 64 * 1024 * 1024) {
        fetchscene_take(peer, SIZE_MAX);
        peer->length = 0;
        assert_true(ioloop_run_once(scene.loop, 0) >= 0);
    }
    for (int i = 0; i < 20; i++) {
        fetchscene_take(peer, SIZE_MAX);
        fetchscene_settle(&scene);
    }
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

static void a_large_body_is_sent_whole(void **state)
{
    enum { LENGTH = 20000000 };
    char *body = malloc(LENGTH);

    assert_non_null(body);
    for (size_t i = 0; i < LENGTH; i++)
        body[i] = (char)('a' + i % 23);
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/", .method = "POST", .body = body, .body_length = LENGTH });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    while (peer->length < LENGTH) {
        fetchscene_take(peer, SIZE_MAX);
        assert_true(ioloop_run_once(scene.loop, 0) >= 0);
    }
    assert_int_equal(peer->length, LENGTH);
    assert_memory_equal(peer->bytes, body, LENGTH);
    peer->length = 0;
    answer_hi(peer, fetch);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    free(body);
    fetchscene_close(&scene);
}

/* An answer that comes before the body has gone: it counts, and the rest is not sent. */

static void an_early_answer_ends_a_body_on_its_way(void **state)
{
    size_t poured = 0;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = put_without_end(&poured);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_put(&scene, peer, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    fetchscene_expect(&scene, fetch, 413, "no");
    fetchscene_expect_pool(&scene, 0, 0, 0);
    size_t before = poured;
    fetchscene_settle(&scene);
    assert_int_equal(poured, before);
    while (!peer->ended) {
        fetchscene_take(peer, SIZE_MAX);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_waiting_producer_is_forgotten_after_an_early_answer(void **state)
{
    struct production production = { .pieces = 1, .a_call = 1, .waits = true };

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post(&production, NULL);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    refuse(peer, fetch);
    fetchscene_expect_end(&scene, peer);
    assert_int_equal(production.calls, 1);
    fetchscene_close(&scene);
}

static void resume_late(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    struct production *production = fetch->arg;

    httpclient_upload_resume(scene.client, production->upload);
    assert_true(httpclient_upload_write(scene.client, production->upload, "late", 4) < 0);
    httpclient_upload_finish(scene.client, production->upload);
    httpclient_upload_fail(scene.client, production->upload, -EIO);
}

static void an_upload_that_is_over_takes_nothing(void **state)
{
    struct production production = { .pieces = 1, .a_call = 1, .waits = true };

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post(&production, NULL);
    fetch->arg = &production;
    fetch->on_response = resume_late;
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_settle(&scene);
    assert_int_equal(production.calls, 1);
    httpclient_cancel(scene.client, fetch->id);
    fetchscene_expect_error(&scene, fetch, -ECANCELED, FETCHSCENE_ANY_PHASE);
    fetchscene_expect_end(&scene, peer);
    fetchscene_close(&scene);
}

/* What a producer has set going may come back when its fetch is over, and another one is where that was. */
static void an_upload_that_is_over_is_not_the_next_one(void **state)
{
    struct production production = { .pieces = 2, .a_call = 1, .waits = true }, other = production;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post(&production, NULL);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_settle(&scene);
    refuse(peer, fetch);
    fetch = post(&other, NULL);
    fetchscene_settle(&scene);
    assert_int_equal(httpclient_upload_write(scene.client, production.upload, "stale", 5), -EBADF);
    httpclient_upload_resume(scene.client, production.upload);
    httpclient_upload_finish(scene.client, production.upload);
    httpclient_upload_fail(scene.client, production.upload, -EIO);
    fetchscene_settle(&scene);
    assert_int_equal(other.calls, 1);
    peer = take_upload(&other);
    assert_string_equal(seen.body, "00010002");
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

static void expect_no_upload(uint64_t fetch)
{
    assert_int_equal(httpclient_upload_write(scene.client, fetch, "early", 5), -EBADF);
    httpclient_upload_resume(scene.client, fetch);
    httpclient_upload_finish(scene.client, fetch);
    httpclient_upload_fail(scene.client, fetch, -EIO);
}

/* In the queue, while connecting, and while the server has not said that it wants it. */
static void an_upload_begins_with_the_first_call_of_its_producer(void **state)
{
    struct production production = { .pieces = 2, .a_call = 2 };

    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *first = fetchscene_get(&scene, "/");
    struct fetchscene_fetch *fetch = post_after_100(&production);
    expect_no_upload(fetch->id);
    fetchscene_serve(&scene, NULL, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    expect_no_upload(fetch->id);
    fetchscene_expect(&scene, first, 200, "hi");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    expect_no_upload(fetch->id);
    fetchscene_expect_nothing(&scene, peer);
    assert_int_equal(production.calls, 0);
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n");
    fetchscene_expect_text(&scene, peer, "4\r\n0001\r\n4\r\n0002\r\n0\r\n\r\n");
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

/* Its connection is being made. */
static void an_upload_has_to_wait_for_a_connection(void **state)
{
    struct production production = { .pieces = 1, .a_call = 1 };

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post(&production, NULL);
    expect_no_upload(fetch->id);
    struct fetchscene_peer *peer = take_upload(&production);
    assert_string_equal(seen.body, "0001");
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

/* A body that is there goes by itself. */
static void a_fetch_without_producer_has_no_upload(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){
                    .url = "/", .method = "POST", .body = "body", .body_length = 4, .expect_100_continue = true });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    assert_int_equal(httpclient_upload_write(scene.client, fetch->id, "more", 4), -EBADF);
    httpclient_upload_finish(scene.client, fetch->id);
    httpclient_upload_fail(scene.client, fetch->id, -EIO);
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(httpclient_upload_write(scene.client, fetch->id, "more", 4), -EBADF);
    fetchscene_expect_text(&scene, peer, "body");
    answer_hi(peer, fetch);
    assert_int_equal(httpclient_upload_write(scene.client, 0, "more", 4), -EBADF);
    fetchscene_close(&scene);
}

/* Expect: 100-continue. */

static struct fetchscene_fetch *post_with_expect(struct fetchscene_peer **peer)
{
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){
                    .url = "/", .method = "POST", .body = "body", .body_length = 4, .expect_100_continue = true });

    *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, *peer, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Expect"), "100-continue");
    assert_string_equal(fetchscene_request_header(&seen, "Content-Length"), "4");
    fetchscene_expect_nothing(&scene, *peer);
    return fetch;
}

/* simple_httpclient_test:test_100_continue */
static void a_body_waits_for_100(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post_with_expect(&peer);
    fetchscene_put(&scene, peer, "HTTP/1.1 103 Early\r\nA: b\r\n\r\n");
    fetchscene_expect_nothing(&scene, peer);
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n");
    fetchscene_expect_text(&scene, peer, "body");
    answer_hi(peer, fetch);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_100_continue_early_response */
static void a_body_is_never_sent_after_a_final_answer(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post_with_expect(&peer);
    refuse(peer, fetch);
    fetchscene_expect_end(&scene, peer); /* the server may wait for the body, so it is not used again */
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

/* The head of a final answer is enough: the body does not begin while that of the answer comes. */
static void a_body_is_never_sent_after_the_head_of_a_final_answer(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post_with_expect(&peer);
    fetchscene_put(&scene, peer, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n");
    fetchscene_pass(&scene, 1.5);
    fetchscene_expect_nothing(&scene, peer);
    fetchscene_put(&scene, peer, "no");
    fetchscene_expect(&scene, fetch, 403, "no");
    fetchscene_expect_end(&scene, peer);
    fetchscene_close(&scene);
}

static void a_body_waits_a_second_for_100_at_most(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post_with_expect(&peer);
    fetchscene_pass(&scene, 0.9);
    fetchscene_expect_nothing(&scene, peer);
    fetchscene_pass(&scene, 0.3);
    fetchscene_expect_text(&scene, peer, "body");
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n" HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

static void a_producer_waits_for_100_too(void **state)
{
    struct production production = { .pieces = 2, .a_call = 1 };

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post_after_100(&production);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_expect_nothing(&scene, peer);
    assert_int_equal(production.calls, 0);
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n");
    fetchscene_expect_text(&scene, peer, "4\r\n0001\r\n4\r\n0002\r\n0\r\n\r\n");
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

static void the_end_while_a_body_waits_for_100_is_an_error(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = post_with_expect(&peer);
    fetchscene_hang_up(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, FETCHSCENE_ANY_PHASE);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

static void without_a_body_there_is_nothing_to_expect(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .expect_100_continue = true });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    assert_null(fetchscene_request_header(&seen, "Expect"));
    answer_hi(peer, fetch);
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_producer_sends_in_chunks_or_as_long_as_it_said),
    cmocka_unit_test(a_producer_may_have_nothing_to_send),
    cmocka_unit_test(writing_nothing_ends_no_body),
    cmocka_unit_test(a_producer_that_wrote_nothing_is_left_alone),
    cmocka_unit_test(a_producer_that_fails_leaves_no_whole_body_behind),
    cmocka_unit_test(a_body_that_is_not_as_long_as_it_said_is_an_error),
    cmocka_unit_test(a_content_length_of_a_producer_that_is_none_is_refused),
    cmocka_unit_test(a_producer_is_asked_only_as_fast_as_the_server_reads),
    cmocka_unit_test(a_large_body_is_sent_whole),
    cmocka_unit_test(an_early_answer_ends_a_body_on_its_way),
    cmocka_unit_test(a_waiting_producer_is_forgotten_after_an_early_answer),
    cmocka_unit_test(an_upload_that_is_over_takes_nothing),
    cmocka_unit_test(an_upload_that_is_over_is_not_the_next_one),
    cmocka_unit_test(an_upload_begins_with_the_first_call_of_its_producer),
    cmocka_unit_test(an_upload_has_to_wait_for_a_connection),
    cmocka_unit_test(a_fetch_without_producer_has_no_upload),
    cmocka_unit_test(a_body_waits_for_100),
    cmocka_unit_test(a_body_is_never_sent_after_a_final_answer),
    cmocka_unit_test(a_body_is_never_sent_after_the_head_of_a_final_answer),
    cmocka_unit_test(a_body_waits_a_second_for_100_at_most),
    cmocka_unit_test(a_producer_waits_for_100_too),
    cmocka_unit_test(the_end_while_a_body_waits_for_100_is_an_error),
    cmocka_unit_test(without_a_body_there_is_nothing_to_expect),
};

TESTING_MAIN(tests)
