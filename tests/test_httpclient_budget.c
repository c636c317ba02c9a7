/* Bodies that the HTTP client collects, and the budget for what peers make the process hold. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"
#include "ioloop/iofuture.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"
#include "tests/support/packed.h"

#define OK "HTTP/1.1 200 OK\r\n"

enum { MIB = 1 << 20, LONG = 300000, TOO_LONG = 3 * MIB };

static struct fetchscene scene;
static struct fetchscene_request seen;
static char letters[TOO_LONG];
static size_t before;

static void open_with(size_t budget)
{
    uint32_t random = 1;

    for (size_t i = 0; i < sizeof letters; i++) {
        random = random * 1103515245 + 12345;
        letters[i] = (char)('a' + (random >> 16) % 26);
    }
    fetchscene_open(&scene, NULL);
    ioalloc_set_budget(budget);
    before = ioalloc_budget_used();
}

/* Nothing that was taken since is left. */
static void close_and_check(void)
{
    fetchscene_close(&scene);
    assert_int_equal(ioalloc_budget_used(), before);
    ioalloc_set_budget(0);
}

static size_t used(void)
{
    return ioalloc_budget_used() - before;
}

/* The ways in which so many bytes can come. */
enum way { BY_LENGTH, IN_CHUNKS, UNTIL_CLOSE, IN_GZIP, WAYS };

/* Up to the body, of which so many bytes are to come. */
static struct fetchscene_peer *put_head(enum way way, size_t length)
{
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    char head[256];

    fetchscene_take_request(&scene, peer, &seen);
    pack(letters, way == IN_GZIP ? length : 1);
    if (way == BY_LENGTH)
        snprintf(head, sizeof head, OK "Content-Length: %zu\r\n\r\n", length);
    else if (way == IN_CHUNKS)
        snprintf(head, sizeof head, OK "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", length);
    else if (way == IN_GZIP)
        snprintf(head, sizeof head, OK "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", packed_length);
    else
        snprintf(head, sizeof head, OK "\r\n");
    fetchscene_put(&scene, peer, head);
    return peer;
}

static void put_body(struct fetchscene_peer *peer, enum way way, size_t length)
{
    if (way == IN_GZIP)
        fetchscene_put_bytes(&scene, peer, packed, packed_length);
    else
        fetchscene_put_bytes(&scene, peer, letters, length);
    if (way == IN_CHUNKS)
        fetchscene_put(&scene, peer, "\r\n0\r\n\r\n");
    if (way == UNTIL_CLOSE)
        fetchscene_finish(peer);
}

static struct fetchscene_fetch *begin(bool is_streamed)
{
    return fetchscene_fetch(&scene,
                            (struct httpclient_request){ .url = "/",
                                                         .streaming_callback = is_streamed ? fetchscene_on_data : NULL,
                                                         .decompress_response = true });
}

static size_t used_in_response;

static void note_used(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    used_in_response = used();
}

static void a_body_counts_until_its_response_was_told(void **state)
{
    for (int i = 0; i < WAYS; i++) {
        open_with(MIB);
        struct fetchscene_fetch *fetch = begin(false);
        fetch->on_response = note_used;
        struct fetchscene_peer *peer = put_head((enum way)i, LONG);
        assert_in_range(used(), 0, 2000);
        put_body(peer, (enum way)i, LONG);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_int_equal(fetch->body.length, LONG);
        assert_in_range(used_in_response, LONG, 2 * LONG);
        assert_int_equal(used(), 0);
        close_and_check();
    }
}

static void one_that_is_too_long_ends_with_ENOMEM_and_others_go_on(void **state)
{
    for (int i = 0; i < WAYS; i++) {
        open_with(MIB);
        struct fetchscene_fetch *first = begin(false);
        struct fetchscene_peer *peer = put_head((enum way)i, TOO_LONG);
        put_body(peer, (enum way)i, TOO_LONG);
        fetchscene_expect_error(&scene, first, -ENOMEM, HTTPCLIENT_BODY);
        assert_non_null(strstr(first->detail, "budget"));
        assert_int_equal(first->code, 200);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        assert_int_equal(used(), 0);
        fetchscene_hang_up(peer);

        struct fetchscene_fetch *second = begin(false);
        put_body(put_head((enum way)i, LONG), (enum way)i, LONG);
        fetchscene_wait(&scene, second);
        assert_int_equal(second->error, 0);
        close_and_check();
    }
}

static void those_that_are_streamed_do_not_count(void **state)
{
    for (int i = 0; i < WAYS; i++) {
        open_with(MIB);
        struct fetchscene_fetch *fetch = begin(true);
        put_body(put_head((enum way)i, TOO_LONG), (enum way)i, TOO_LONG);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_int_equal(fetch->body.length, TOO_LONG);
        close_and_check();
    }
}

/* Two that come at once: what is left for the second is not enough. */
static void fetches_share_the_budget(void **state)
{
    open_with(MIB);
    struct fetchscene_fetch *first = begin(false);
    struct fetchscene_peer *peer = put_head(BY_LENGTH, 800000);
    fetchscene_put_bytes(&scene, peer, letters, 700000);
    fetchscene_settle(&scene);
    assert_in_range(used(), 700000, 800001);
    struct fetchscene_fetch *second = begin(false);
    put_body(put_head(BY_LENGTH, 400000), BY_LENGTH, 400000);
    fetchscene_expect_error(&scene, second, -ENOMEM, HTTPCLIENT_BODY);
    fetchscene_put_bytes(&scene, peer, letters + 700000, 100000);
    fetchscene_wait(&scene, first);
    assert_int_equal(first->error, 0);
    assert_int_equal(first->body.length, 800000);
    close_and_check();
}

static void small_ones_are_collected_in_any_case(void **state)
{
    for (int i = 0; i < WAYS; i++) {
        open_with(MIB);
        void *all = iobudget_alloc(MIB - 1000);
        assert_non_null(all);
        struct fetchscene_fetch *fetch = begin(false);
        struct fetchscene_peer *peer = put_head((enum way)i, 3000);
        put_body(peer, (enum way)i, 3000);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_int_equal(fetch->body.length, 3000);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
        fetch = begin(false);
        put_body(put_head((enum way)i, 30000), (enum way)i, 30000);
        fetchscene_expect_error(&scene, fetch, -ENOMEM, HTTPCLIENT_BODY);
        iobudget_free(all);
        close_and_check();
    }
}

/* What the program has. */

static char *taken;

static void take_body(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    size_t length;

    assert_in_range(used(), LONG, MIB);
    taken = httpclient_take_body(response, &length);
    assert_int_equal(length, LONG);
    assert_int_equal(used(), 0);
}

static void one_that_is_taken_is_the_programs(void **state)
{
    open_with(MIB);
    struct fetchscene_fetch *fetch = begin(false);
    fetch->on_response = take_body;
    put_body(put_head(BY_LENGTH, LONG), BY_LENGTH, LONG);
    fetchscene_wait(&scene, fetch);
    assert_memory_equal(taken, letters, LONG);
    ioalloc_free(taken);
    close_and_check();
}

static struct iofuture *fetch_future(void)
{
    char url[128];

    snprintf(url, sizeof url, "%s/", scene.base);
    struct iofuture *future = httpclient_fetch_future(scene.client, &(struct httpclient_request){ .url = url });
    assert_non_null(future);
    iofuture_hold(future);
    return future;
}

static void one_that_a_future_has_counts_until_that_is_freed(void **state)
{
    open_with(MIB);
    struct iofuture *future = fetch_future();
    put_body(put_head(BY_LENGTH, LONG), BY_LENGTH, LONG);
    fetchscene_settle(&scene);
    assert_true(iofuture_done(future));
    assert_int_equal(iofuture_error(future), 0);
    assert_in_range(used(), LONG, MIB);
    iofuture_release(future);
    fetchscene_settle(&scene);
    assert_int_equal(used(), 0);
    close_and_check();
}

/* Endings. */

static void cancel_it(struct fetchscene_fetch *fetch)
{
    httpclient_cancel(scene.client, fetch->id);
}

static void close_client(struct fetchscene_fetch *fetch)
{
    httpclient_close(scene.client);
}

static void wait_too_long(struct fetchscene_fetch *fetch)
{
    fetchscene_pass(&scene, 100);
}

static void however_it_ends_its_count_does(void **state)
{
    static void (*const ends[])(struct fetchscene_fetch * fetch) = { cancel_it, close_client, wait_too_long };

    for (size_t i = 0; i < 4 * WAYS; i++) {
        enum way way = (enum way)(i / 4);
        open_with(MIB);
        struct fetchscene_fetch *fetch = begin(false);
        struct fetchscene_peer *peer = put_head(way, LONG);
        fetchscene_put_bytes(&scene, peer, way == IN_GZIP ? packed : letters, 100000);
        fetchscene_settle(&scene);
        assert_in_range(used(), 100000, MIB);
        if (i % 4 < 3)
            ends[i % 4](fetch);
        else
            fetchscene_reset(peer);
        fetchscene_wait(&scene, fetch);
        assert_true(fetch->error < 0);
        fetchscene_settle(&scene);
        assert_int_equal(used(), 0);
        close_and_check();
    }
}

/* Memory that a fetch has left is used by the next, and is not counted in between. */
static void what_is_kept_for_the_next_does_not_count(void **state)
{
    long allocations = 0;

    open_with(MIB);
    struct fetchscene_peer *peer = NULL;
    for (int i = 0; i < 4; i++) {
        struct fetchscene_fetch *fetch = begin(false);
        if (peer == NULL)
            peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        allocations = faults_allocations();
        fetchscene_put(&scene, peer, OK "Content-Length: 10000\r\n\r\n");
        fetchscene_put_bytes(&scene, peer, letters, 10000);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->body.length, 10000);
        assert_int_equal(used(), 0);
        if (i == 3)
            assert_int_equal(faults_allocations(), allocations);
    }
    close_and_check();
}

static void memory_that_is_not_there_does_not_count(void **state)
{
    for (int i = 0; i < WAYS; i++) {
        bool has_hit = true;
        for (int nth = 1; has_hit; nth++) {
            assert_true(nth < 300);
            open_with(MIB);
            struct fetchscene_fetch *fetch = begin(false);
            struct fetchscene_peer *peer = put_head((enum way)i, LONG);
            faults_allocation(nth, nth % 2 == 0);
            put_body(peer, (enum way)i, LONG);
            fetchscene_wait(&scene, fetch);
            assert_true(fetch->error == 0 ? fetch->body.length == LONG : fetch->error == -ENOMEM);
            has_hit = faults_hit();
            faults_end();
            close_and_check();
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_counts_until_its_response_was_told),
    cmocka_unit_test(one_that_is_too_long_ends_with_ENOMEM_and_others_go_on),
    cmocka_unit_test(those_that_are_streamed_do_not_count),
    cmocka_unit_test(fetches_share_the_budget),
    cmocka_unit_test(small_ones_are_collected_in_any_case),
    cmocka_unit_test(one_that_is_taken_is_the_programs),
    cmocka_unit_test(one_that_a_future_has_counts_until_that_is_freed),
    cmocka_unit_test(however_it_ends_its_count_does),
    cmocka_unit_test(what_is_kept_for_the_next_does_not_count),
    cmocka_unit_test(memory_that_is_not_there_does_not_count),
};

TESTING_MAIN(tests)
