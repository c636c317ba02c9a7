/* A client in a child of fork() that goes on with the loop: what there is is the parent's. F5 */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/resolver.h"
#include "tests/support/fakenames.h"
#include "tests/support/fetchscene.h"
#include "tests/support/forkedchild.h"
#include "tests/support/packed.h"
#include "tests/support/veil.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

const struct fakename fakenames[] = {
    { "slow.test", { "127.0.0.1" } },
    { NULL, { NULL } },
};

static struct fetchscene scene;
static struct fetchscene_request seen;

static pid_t fork_and_reopen(void)
{
    pid_t child = fork_child();

    if (child == 0)
        CHECK(ioloop_reopen(scene.loop) == 0);
    return child;
}

/* Fetches once, from a server that is the child's. */
static void fetch_in_child(void)
{
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/child");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_take_request(&scene, peer, &seen);
    CHECK(strcmp(seen.target, "/child") == 0);
    fetchscene_put(&scene, peer, HI);
    fetchscene_settle(&scene);
    CHECK(fetch->calls == 1 && fetch->error == 0 && !fetch->is_reused);
    CHECK(httpclient_connections(scene.client) == 1);
}

static void a_connection_that_is_kept_is_the_parents(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/settings");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    for (int worker = 0; worker < 2; worker++) {
        pid_t child = fork_and_reopen();
        if (child == 0) {
            CHECK(httpclient_connections(scene.client) == 0 && httpclient_kept(scene.client) == 0);
            fetch_in_child();
            _exit(0);
        }
        wait_for(child);
    }
    fetchscene_expect_nothing(&scene, peer);
    fetch = fetchscene_get(&scene, "/parent");
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_true(fetch->is_reused);
    fetchscene_close(&scene);
}

static bool is_left_to_parent(const struct fetchscene_fetch *fetch)
{
    return fetch->calls == 1 && fetch->error == -ECANCELED && strcmp(fetch->detail, "the process has forked") == 0;
}

/* One that is asked, one that is being answered, one that connects, and one that waits. */
static void fetches_that_are_under_way_are_the_parents(void **state)
{
    struct fetchscene_fetch *fetches[4];
    struct fetchscene_peer *peers[4];

    fetchscene_open(&scene, &(struct httpclient_options){ .max_per_origin = 3 });
    for (int i = 0; i < 2; i++) {
        fetches[i] = fetchscene_get(&scene, "/");
        peers[i] = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peers[i], &seen);
    }
    fetchscene_put(&scene, peers[1], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
    fetchscene_settle(&scene);
    fetches[2] = fetchscene_get(&scene, "/");
    fetches[3] = fetchscene_get(&scene, "/");
    pid_t child = fork_and_reopen();
    if (child == 0) {
        for (int i = 0; i < 4; i++)
            CHECK(fetches[i]->calls == 0); /* not inside ioloop_reopen */
        fetchscene_settle(&scene);
        for (int i = 0; i < 4; i++)
            CHECK(is_left_to_parent(fetches[i]));
        CHECK(httpclient_connections(scene.client) == 0 && httpclient_waiting(scene.client) == 0);
        _exit(0);
    }
    wait_for(child);
    fetchscene_put(&scene, peers[0], HI);
    fetchscene_put(&scene, peers[1], "i");
    fetchscene_serve(&scene, peers[0], HI); /* the one that waited */
    fetchscene_serve(&scene, NULL, HI);
    for (int i = 0; i < 4; i++)
        fetchscene_expect(&scene, fetches[i], 200, "hi");
    fetchscene_close(&scene);
}

/* The name comes from a thread that the child does not have. */
static void a_fetch_whose_name_is_not_known_yet_does_not_wait_in_the_child(void **state)
{
    char url[64];

    assert_int_equal(pipe(fakenames_gate), 0);
    fetchscene_open_bare(&scene);
    struct ioexecutor *executor = ioexecutor_new(1, 8);
    struct resolver *resolver = resolver_new(executor);
    scene.client = httpclient_new(scene.loop, &(struct httpclient_options){ .resolver = resolver });
    snprintf(url, sizeof url, "http://slow.test:%d/", scene.ports[FETCHSCENE_FIRST]);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, url);
    fetchscene_settle(&scene);
    pid_t child = fork_and_reopen();
    if (child == 0) {
        fetchscene_settle(&scene);
        CHECK(is_left_to_parent(fetch));
        fetch_in_child();
        _exit(0);
    }
    wait_for(child);
    assert_int_equal(write(fakenames_gate[1], "x", 1), 1);
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_settle(&scene);
    resolver_close(resolver);
    fetchscene_settle(&scene);
    ioexecutor_close(executor, true);
    fetchscene_close(&scene);
    close(fakenames_gate[0]);
    close(fakenames_gate[1]);
}

/* Behind a response, over the same connection, and not sent when the process forks: it goes once. */
static struct fetchscene_fetch *second;
static pid_t forked;

static void fetch_and_fork(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    scene.in_call = false;
    second = fetchscene_get(&scene, "/second");
    forked = fork_and_reopen();
}

static void a_request_that_is_not_sent_is_sent_by_the_parent_alone(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/first");
    fetch->on_response = fetch_and_fork;
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_put(&scene, peer, HI);
    fetchscene_wait(&scene, fetch);
    fetchscene_settle(&scene);
    if (forked == 0) {
        CHECK(is_left_to_parent(second));
        fetch_in_child();
        _exit(0);
    }
    wait_for(forked);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/second");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, second, 200, "hi");
    fetchscene_expect_nothing(&scene, peer); /* now: Nagle's algorithm holds a small segment until this is answered */
    fetchscene_close(&scene);
}

/* What of a response a callback has not seen when it forks is the parent's, as with what a consumer has not seen: a
 * child that does not reopen the loop is told nothing more, and sends nothing. */
static struct fetchscene_fetch *forking;

static void fork_once(struct fetchscene_fetch *fetch)
{
    if (forked < 0)
        forked = fork_child();
}

static void fork_at_line(struct fetchscene_fetch *fetch)
{
    fork_once(fetch);
}

static void fork_at_head(const struct httpclient_response *response, void *arg)
{
    fork_once(forking);
}

static void end_in_child(const struct fetchscene_fetch *fetch, const struct fetchscene_fetch *waiting,
                         const char *lines, const char *body)
{
    if (strcmp(fetch->lines.bytes, lines) != 0 || strcmp(fetch->body.bytes, body) != 0)
        fprintf(stderr, "the child has seen \"%s\" and \"%s\"\n", fetch->lines.bytes, fetch->body.bytes);
    CHECK(strcmp(fetch->lines.bytes, lines) == 0 && strcmp(fetch->body.bytes, body) == 0);
    CHECK(fetch->calls == 0 && waiting->calls == 0);
    _exit(0);
}

enum { AT_LINE, AT_HEAD, AT_DATA };

static void what_a_callback_has_not_seen_is_the_parents(void **state)
{
#define STATUS "HTTP/1.1 200 OK\r\n"
    static const struct {
        int at;
        const char *answer, *lines, *body; /* of which the child sees so much */
        const char *whole;
    } rows[] = {
        { AT_LINE, STATUS "Content-Length: 2\r\n\r\nhi", STATUS, "", "hi" },
        { AT_LINE, STATUS "Content-Length: 0\r\n\r\n", STATUS, "", "" },
        { AT_HEAD, STATUS "Content-Length: 2\r\n\r\nhi", STATUS "Content-Length: 2\r\n\r\n", "", "hi" },
        { AT_HEAD, STATUS "Content-Length: 0\r\n\r\n", STATUS "Content-Length: 0\r\n\r\n", "", "" },
        { AT_DATA, STATUS "Content-Length: 2\r\n\r\nhi", STATUS "Content-Length: 2\r\n\r\n", "hi", "hi" },
        { AT_DATA, STATUS "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
          STATUS "Transfer-Encoding: chunked\r\n\r\n", "h", "hi" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fetchscene_open(&scene, &(struct httpclient_options){ .max_per_origin = 1 });
        struct httpclient_request request = { .url = "/", .header_callback = fetchscene_on_line };
        request.on_head = rows[i].at == AT_HEAD ? fork_at_head : NULL;
        request.streaming_callback = fetchscene_on_data;
        forking = fetchscene_fetch(&scene, request);
        forking->on_line = rows[i].at == AT_LINE ? fork_at_line : NULL;
        forking->on_data = rows[i].at == AT_DATA ? fork_once : NULL;
        struct fetchscene_fetch *waiting = fetchscene_get(&scene, "/waiting");
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        forked = -1;
        fetchscene_put_some(peer, rows[i].answer, strlen(rows[i].answer));
        while (forked < 0)
            (void)!ioloop_run_once(scene.loop, 0.01);
        if (forked == 0)
            end_in_child(forking, waiting, rows[i].lines, rows[i].body);
        wait_for(forked);
        fetchscene_expect(&scene, forking, 200, rows[i].whole);
        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(seen.target, "/waiting");
        fetchscene_expect_nothing(&scene, peer);
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, waiting, 200, "hi");
        fetchscene_close(&scene);
    }
}

/* The same of what lies inflated, when its connection is there, and when it has gone during a pause. */
enum { INFLATED = 40000 };
static bool forks_at_last;

static void pause_first_and_fork(struct fetchscene_fetch *fetch)
{
    if (forks_at_last ? fetch->body.length == INFLATED : fetch->pieces == 1)
        fork_once(fetch);
    else if (fetch->pieces == 1)
        httpclient_pause(scene.client, fetch->id);
}

static void put_packed(struct fetchscene_peer *peer)
{
    static char bytes[INFLATED];
    char head[200];

    pack(bytes, sizeof bytes);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
             packed_length);
    assert_int_equal(fetchscene_put_some(peer, head, strlen(head)), strlen(head));
    assert_int_equal(fetchscene_put_some(peer, packed, packed_length), packed_length);
}

static void what_is_inflated_and_not_told_is_the_parents(void **state)
{
    for (int how = 0; how < 3; how++) {
        bool at_last = how > 0;

        fetchscene_open(&scene, NULL);
        forks_at_last = at_last;
        forked = -1;
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){
                        .url = "/", .streaming_callback = fetchscene_on_data, .decompress_response = true });
        fetch->on_data = pause_first_and_fork;
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        put_packed(peer);
        if (at_last) {
            fetchscene_settle(&scene);
            assert_int_equal(fetch->pieces, 1);
            if (how == 1)
                fetchscene_hang_up(peer);
            else
                fetchscene_reset(peer); /* is known at once */
            fetchscene_settle(&scene);
            httpclient_resume(scene.client, fetch->id);
        }
        while (forked < 0)
            (void)!ioloop_run_once(scene.loop, 0.01);
        if (forked == 0) {
            CHECK((fetch->body.length == INFLATED) == at_last && fetch->calls == 0);
            _exit(0);
        }
        wait_for(forked);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_int_equal(fetch->body.length, INFLATED);
        fetchscene_close(&scene);
    }
}

/* A producer that forks is not called again in the child. */
static int produced;

static void produce_and_fork(struct httpclient *client, uint64_t fetch, void *arg)
{
    if (++produced == 1)
        forked = fork_child();
    if (produced <= 3)
        (void)!httpclient_upload_write(client, fetch, forked > 0 ? "p" : "c", 1);
    else
        httpclient_upload_finish(client, fetch);
}

static void what_is_left_to_produce_is_the_parents(void **state)
{
    fetchscene_open(&scene, NULL);
    produced = 0;
    forked = -1;
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/", .method = "POST", .body_producer = produce_and_fork });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    while (forked < 0)
        (void)!ioloop_run_once(scene.loop, 0.01);
    if (forked == 0) {
        CHECK(produced == 1);
        _exit(0);
    }
    wait_for(forked);
    assert_int_equal(produced, 4);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* Its session, too: the child says nothing in it, not even good bye. */
static struct veil veil;

static int start_veil(void *arg, const char *host, const struct iostream_transport **transport, void **context)
{
    veil = (struct veil){ .rounds = 0 };
    *transport = &veil_plain;
    *context = &veil;
    return 0;
}

static void a_session_of_tls_is_the_parents(void **state)
{
    static struct httpclient_mapping mappings[2];

    fetchscene_open_bare(&scene);
    mappings[0] = (struct httpclient_mapping){ "a.test", "127.0.0.1", scene.ports[FETCHSCENE_FIRST] };
    scene.client = httpclient_new(scene.loop,
                                  &(struct httpclient_options){ .mappings = mappings, .tls = { .start = start_veil } });
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    peer->mask = 0x55;
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    pid_t child = fork_and_reopen();
    if (child == 0) {
        CHECK(httpclient_connections(scene.client) == 0);
        CHECK(veil.closes == 1 && veil.shutdowns == 0);
        _exit(0);
    }
    wait_for(child);
    fetch = fetchscene_get(&scene, "https://a.test/");
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_true(fetch->is_reused);
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_settle(&scene);
    fetchscene_close(&scene);
}

/* A client may be closed on the loop that it was left on; and one that was closed before is not asked. */
static void clients_close_in_a_child_as_ever(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    for (int closes = 0; closes < 3; closes++) {
        pid_t child = fork_and_reopen();
        if (child == 0) {
            if (closes == 1)
                httpclient_close(scene.client);
            else if (closes == 2)
                ioloop_close(scene.loop, false);
            if (closes < 2)
                fetchscene_settle(&scene);
            CHECK(is_left_to_parent(fetch) && scene.closed == (closes > 0));
            _exit(0);
        }
        wait_for(child);
    }
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    httpclient_close(scene.client);
    fetchscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    pid_t child = fork_and_reopen();
    if (child == 0)
        _exit(0);
    wait_for(child);
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_connection_that_is_kept_is_the_parents),
    cmocka_unit_test(fetches_that_are_under_way_are_the_parents),
    cmocka_unit_test(a_fetch_whose_name_is_not_known_yet_does_not_wait_in_the_child),
    cmocka_unit_test(a_request_that_is_not_sent_is_sent_by_the_parent_alone),
    cmocka_unit_test(what_a_callback_has_not_seen_is_the_parents),
    cmocka_unit_test(what_is_inflated_and_not_told_is_the_parents),
    cmocka_unit_test(what_is_left_to_produce_is_the_parents),
    cmocka_unit_test(a_session_of_tls_is_the_parents),
    cmocka_unit_test(clients_close_in_a_child_as_ever),
};

TESTING_MAIN(tests)
