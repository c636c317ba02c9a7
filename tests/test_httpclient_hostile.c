/* Servers that break the rules: what is not clearly one whole response to this request is an error, the same however
 * its bytes are split, and its connection is never used again. The numbers in comments are those of the catalogue of
 * attacks that the library is built against. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK          "HTTP/1.1 200 OK\r\n"
#define HI          OK "Content-Length: 2\r\n\r\nhi"
#define CHUNKED     OK "Transfer-Encoding: chunked\r\n\r\n"
#define BYTES(text) text, sizeof(text) - 1

static struct fetchscene scene;

/* What the server does behind its bytes. */
enum then { STAYS, FINISHES, RESETS };

struct script {
    const char *bytes;
    size_t length;
    enum then then;
    int error;
    enum httpclient_phase phase;
};

static struct fetchscene_peer *begin(const char *method, struct fetchscene_fetch **fetch)
{
    struct fetchscene_request request;

    *fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .method = method });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &request);
    return peer;
}

static void play(const struct script *script, const char *method, size_t split)
{
    struct fetchscene_fetch *fetch;
    struct fetchscene_peer *peer = begin(method, &fetch);

    fetchscene_put_bytes(&scene, peer, script->bytes, split);
    if (split < script->length) {
        fetchscene_settle(&scene);
        fetchscene_put_bytes(&scene, peer, script->bytes + split, script->length - split);
    }
    if (script->then == FINISHES)
        fetchscene_finish(peer);
    if (script->then == RESETS) {
        fetchscene_settle(&scene); /* a reset overtakes what was not received yet */
        fetchscene_reset(peer);
    }
    fetchscene_wait(&scene, fetch);
    if (fetch->error != script->error || (fetch->error < 0 && fetch->phase != script->phase))
        fail_msg("%s split at %zu: %s in %d, not %s: %s", script->bytes, split, ioloop_strerror(fetch->error),
                 (int)fetch->phase, ioloop_strerror(script->error), fetch->detail);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    if (script->then != RESETS) {
        fetchscene_take(peer, 1);
        assert_true(peer->ended && peer->length == 0);
    }
    fetchscene_hang_up(peer);
    fetchscene_forget(&scene);
}

static void play_every_way(const struct script *scripts, size_t count, const char *method)
{
    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < count; i++) {
        for (size_t split = 1; split <= scripts[i].length && split <= 200; split++)
            play(&scripts[i], method, split);
        play(&scripts[i], method, scripts[i].length);
    }
    fetchscene_close(&scene);
}

#define PLAY(scripts, method) play_every_way(scripts, sizeof(scripts) / sizeof *(scripts), method)

/* A1, A3, A4, A9. simple_httpclient_test:test_multiple_content_length_accepted, of which here none is,
 * simple_httpclient_test:test_chunked_with_content_length, simple_httpclient_test:test_204_invalid_content_length */
static void lengths_that_contradict_each_other_are_refused(void **state)
{
    static const struct script scripts[] = {
        { BYTES(OK "Content-Length: 2,4\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2,2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2\r\nContent-Length: 4\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), STAYS, -EPROTO,
          HTTPCLIENT_HEAD },
        { BYTES(OK "Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), FINISHES, -EPROTO,
          HTTPCLIENT_HEAD },
        { BYTES(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), STAYS, -EPROTO,
          HTTPCLIENT_HEAD },
        { BYTES(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Transfer-Encoding: identity\r\n\r\nhi"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Transfer-Encoding: xchunked\r\n\r\nhi"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Transfer-Encoding: \r\n\r\nhi"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: -1\r\n\r\n"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: +2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 0x2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 002\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: \r\n\r\n"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: hi\r\n\r\n"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 18446744073709551618\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 99999999999999999999\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), STAYS, -EPROTO,
          HTTPCLIENT_HEAD },
    };

    PLAY(scripts, "GET");
}

/* A5, A6, A7, A8, A18, A25, B6 */
static void what_is_not_a_head_of_http_1_is_refused(void **state)
{
    static const struct script scripts[] = {
        { BYTES("garbage\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("\r\n" HI), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(" " HI), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("<html>"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff"), STAYS, -EPROTO,
          HTTPCLIENT_HEAD },
        { BYTES("\x15\x03\x01\0\x02\x02\x16"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("SSH-2.0-OpenSSH_9.6\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("220 mail ESMTP\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("ICY 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("GET / HTTP/1.1\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/2.0 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.2 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.10 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/01.1 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/4294967297.1 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("http/1.1 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1  200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1\t200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 20 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 2000 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 +20 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 099 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 2x0 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"), FINISHES, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2\r\n\nhi\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length: 2\r\n\rXhi\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "A: b\rContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "A: a\0b\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "A\0: b\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "A: \x7f\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK " A: b\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "A: b\r\n c\r\nContent-Length: 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length : 2\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "Content-Length\r\n\r\nhi"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK ": b\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES(OK "\xef\xbb\xbf"
                   "A: b\r\n\r\n"),
          STAYS, -EPROTO, HTTPCLIENT_HEAD },
        { BYTES("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), STAYS,
          -EPROTO, HTTPCLIENT_HEAD },
    };

    PLAY(scripts, "GET");
}

/* A10, A11, A12, A13 */
static void what_is_not_a_body_in_chunks_is_refused(void **state)
{
    static const struct script scripts[] = {
        { BYTES(CHUNKED "garbage\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "2\nhi\r\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "2\r\nhiXX0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "2\r\nhi\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "2 \r\nhi\r\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "0x2\r\nhi\r\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "-2\r\nhi\r\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "2;a=b\nX\r\nhi\r\n0\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "0\r\nXXHTTP/1.1 200 OK\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
        { BYTES(CHUNKED "0\r\nA : b\r\n\r\n"), STAYS, -EPROTO, HTTPCLIENT_BODY },
    };

    PLAY(scripts, "GET");
}

static void sizes_of_chunks_that_are_beyond_all_are_refused(void **state)
{
    static const char *const sizes[] = { "10000000000000002", "FFFFFFFFFFFFFFFF", "8000000000000000", "1000001" };
    char answer[128];

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin("GET", &fetch);

        snprintf(answer, sizeof answer, CHUNKED "%s\r\nhi", sizes[i]);
        fetchscene_put(&scene, peer, answer);
        fetchscene_wait(&scene, fetch);
        assert_true(fetch->error == -EPROTO || fetch->error == -EMSGSIZE);
        assert_int_equal(fetch->phase, HTTPCLIENT_BODY);
        fetchscene_expect_end(&scene, peer);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* A14: each answer, ended at each of its bytes by FIN and by RST. */

static const char *const whole[] = {
    HI,
    "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
    OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;a\r\nabc\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
};

static size_t length_of_head(const char *answer)
{
    const char *last = answer;

    if (strncmp(answer, "HTTP/1.1 100", 12) == 0)
        last = strstr(answer, "\r\n\r\n") + 4;
    return (size_t)(strstr(last, "\r\n\r\n") - answer) + 4;
}

static void an_answer_that_is_cut_off_anywhere_is_an_error(void **state)
{
    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        for (size_t length = 0; length < strlen(whole[i]); length++) {
            int phase = length < length_of_head(whole[i]) ? HTTPCLIENT_HEAD : HTTPCLIENT_BODY;
            struct fetchscene_fetch *fetch;
            struct fetchscene_peer *peer = begin("GET", &fetch);

            fetchscene_put_bytes(&scene, peer, whole[i], length);
            fetchscene_finish(peer);
            fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, phase);
            fetchscene_hang_up(peer);

            peer = begin("GET", &fetch);
            fetchscene_put_bytes(&scene, peer, whole[i], length);
            fetchscene_settle(&scene);
            fetchscene_reset(peer);
            fetchscene_expect_error(&scene, fetch, -ECONNRESET, phase);
        }
    }
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

/* One that lasts until the end is whole when that is a FIN, and only then. */
static void a_reset_is_no_end_of_a_body(void **state)
{
    static const struct script scripts[] = {
        { BYTES(OK "\r\nhel"), RESETS, -ECONNRESET, HTTPCLIENT_BODY },
        { BYTES("HTTP/1.0 200 OK\r\n\r\n"), RESETS, -ECONNRESET, HTTPCLIENT_BODY },
    };

    PLAY(scripts, "GET");
}

/* A24: a body where there is none, a second response, bytes between: one success, and never that connection again. */
static void bytes_behind_a_response_are_no_response(void **state)
{
    static const struct script scripts[] = {
        { BYTES(HI HI), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES(HI "\r\n"), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES(HI "garbage"), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES(HI "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"), FINISHES, 0, HTTPCLIENT_DONE },
        { BYTES(CHUNKED "0\r\n\r\n0\r\n\r\n"), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES("HTTP/1.1 204 No\r\n\r\nhi"), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES("HTTP/1.1 304 Not\r\nContent-Length: 2\r\n\r\nhi"), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES("HTTP/1.1 204 No\r\n\r\n" HI), STAYS, 0, HTTPCLIENT_DONE },
    };

    PLAY(scripts, "GET");
}

static void a_body_of_a_response_to_head_is_no_response(void **state)
{
    static const struct script scripts[] = {
        { BYTES(HI), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES(CHUNKED "2\r\nhi\r\n0\r\n\r\n"), STAYS, 0, HTTPCLIENT_DONE },
        { BYTES(OK "\r\nhi"), STAYS, 0, HTTPCLIENT_DONE },
    };

    PLAY(scripts, "HEAD");
}

/* The next fetch gets its own answer, on a connection of its own, even when it was started when the first was told. */
static void fetch_again(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    fetchscene_get(&scene, "/second");
}

static void a_second_response_is_not_that_to_the_next_request(void **state)
{
    struct fetchscene_request request;
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin("GET", &fetch);
    fetch->on_response = fetch_again;
    fetchscene_put(&scene, peer, HI OK "Content-Length: 4\r\n\r\nevil");
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_end(&scene, peer);
    peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &request);
    assert_string_equal(request.target, "/second");
    fetchscene_expect_waiting(&scene, scene.fetches[1]);
    fetchscene_put(&scene, peer, OK "Content-Length: 4\r\n\r\ngood");
    fetchscene_expect(&scene, scene.fetches[1], 200, "good");
    fetchscene_close(&scene);
}

static void bytes_on_an_idle_connection_end_it(void **state)
{
    static const char *const noise[] = { "\n", "HTTP/1.1 408 Request Timeout\r\n\r\n", HI };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");

        peer = fetchscene_serve(&scene, NULL, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_expect_pool(&scene, 1, 1, 0);
        fetchscene_put(&scene, peer, noise[i]);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_expect_end(&scene, peer);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* The same, when the bytes and the next fetch meet: nothing has looked at the connection in between. */
static void bytes_that_an_idle_connection_has_when_it_is_taken_are_no_answer(void **state)
{
    struct fetchscene_request request;
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin("GET", &fetch);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_settle(&scene);
    fetchscene_put(&scene, peer, OK "Content-Length: 4\r\n\r\nevil");
    scene.clock += 0.001;
    fetch = fetchscene_get(&scene, "/second");
    struct fetchscene_peer *second = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, second, &request);
    assert_string_equal(request.target, "/second");
    fetchscene_put(&scene, second, OK "Content-Length: 4\r\n\r\ngood");
    fetchscene_expect(&scene, fetch, 200, "good");
    fetchscene_close(&scene);
}

/* A24: an answer to nobody. The server sends it as soon as it has the connection, which is before the client knows of
 * that. */
static void a_response_that_comes_before_the_request_is_refused(void **state)
{
    fetchscene_open(&scene, NULL);
    faults_system_call("poll", EINTR, 1); /* as if the connection took time, as it does when the server is elsewhere */
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    int fd = -1;
    while (fd < 0) {
        fd = accept(scene.listeners[FETCHSCENE_FIRST], NULL, NULL);
        if (fd < 0)
            assert_true(ioloop_run_once(scene.loop, 0) >= 0);
    }
    assert_int_equal(write(fd, HI, strlen(HI)), strlen(HI));
    fetchscene_wait(&scene, fetch);
    assert_int_equal(fetch->error, -EPROTO);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    close(fd);
    fetchscene_close(&scene);
}

/* F6: what has no end. */

static void flood(const char *first, const char *again, int error, int phase, size_t most)
{
    struct fetchscene_fetch *fetch;
    struct fetchscene_peer *peer = begin("GET", &fetch);
    size_t sent = 0;

    fetchscene_put(&scene, peer, first);
    while (fetch->calls == 0) {
        fetchscene_put(&scene, peer, again);
        sent += strlen(again);
        assert_true(ioloop_run_once(scene.loop, 0) >= 0);
        if (sent > most)
            fail_msg("%zu bytes of %s, and no end", sent, again);
    }
    fetchscene_expect_error(&scene, fetch, error, phase);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_hang_up(peer);
}

#define BYTES_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n"
#define BYTES_1K                                                                                                       \
    BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64 BYTES_64        \
        BYTES_64 BYTES_64 BYTES_64 BYTES_64

static void what_has_no_end_is_given_up_at_its_limit(void **state)
{
    fetchscene_open(&scene, NULL);
    flood("", "HTTP/1.1 100 Continue\r\n\r\n", -EPROTO, HTTPCLIENT_HEAD, 100000);
    flood("HTTP/1.1 200 ", "OKOKOKOKOKOKOKOK", -EMSGSIZE, HTTPCLIENT_HEAD, 1000000);
    flood(OK, "A: b\r\n", -EMSGSIZE, HTTPCLIENT_HEAD, 1000000);
    flood(OK "A: ", "bbbbbbbbbbbbbbbb", -EMSGSIZE, HTTPCLIENT_HEAD, 1000000);
    flood(OK, "Aaaaaaaaaaaaaaaa", -EMSGSIZE, HTTPCLIENT_HEAD, 1000000);
    flood(OK "\r\n", BYTES_1K BYTES_1K BYTES_1K, -EMSGSIZE, HTTPCLIENT_BODY, 17000000);
    flood(CHUNKED, "400\r\n" BYTES_1K "\r\n", -EMSGSIZE, HTTPCLIENT_BODY, 17000000);
    flood(CHUNKED "1", ";aaaaaaaaaaaaaaa", -EMSGSIZE, HTTPCLIENT_BODY, 1000000);
    flood(CHUNKED "0", "0000000000000000", -EPROTO, HTTPCLIENT_BODY, 1000000);
    flood(CHUNKED "0\r\n", "A: b\r\n", -EMSGSIZE, HTTPCLIENT_BODY, 1000000);
    flood(CHUNKED "0\r\nA: ", "bbbbbbbbbbbbbbbb", -EMSGSIZE, HTTPCLIENT_BODY, 1000000);
    fetchscene_close(&scene);
}

/* Chunks that are nearly all overhead, as bytes of one each with a long extension. */
static void chunks_that_are_nearly_nothing_but_extensions_are_given_up(void **state)
{
    fetchscene_open(&scene, NULL);
    flood(CHUNKED, "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n", -EMSGSIZE,
          HTTPCLIENT_BODY, 4000000);
    fetchscene_close(&scene);
}

static void up_to_ten_interim_responses_are_passed_over(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int count = 9; count <= 11; count++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin("GET", &fetch);

        for (int i = 0; i < count; i++)
            fetchscene_put(&scene, peer, "HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n");
        fetchscene_put(&scene, peer, HI);
        if (count <= 10)
            fetchscene_expect(&scene, fetch, 200, "hi");
        else
            fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_HEAD);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_hundred_headers_are_the_most(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int count = 99; count <= 101; count++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin("GET", &fetch);

        fetchscene_put(&scene, peer, OK);
        for (int i = 1; i < count; i++)
            fetchscene_put(&scene, peer, "A: b\r\n");
        fetchscene_put(&scene, peer, "Content-Length: 2\r\n\r\nhi");
        if (count <= 100)
            fetchscene_expect(&scene, fetch, 200, "hi");
        else
            fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_HEAD);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lengths_that_contradict_each_other_are_refused),
    cmocka_unit_test(what_is_not_a_head_of_http_1_is_refused),
    cmocka_unit_test(what_is_not_a_body_in_chunks_is_refused),
    cmocka_unit_test(sizes_of_chunks_that_are_beyond_all_are_refused),
    cmocka_unit_test(an_answer_that_is_cut_off_anywhere_is_an_error),
    cmocka_unit_test(a_reset_is_no_end_of_a_body),
    cmocka_unit_test(bytes_behind_a_response_are_no_response),
    cmocka_unit_test(a_body_of_a_response_to_head_is_no_response),
    cmocka_unit_test(a_second_response_is_not_that_to_the_next_request),
    cmocka_unit_test(bytes_on_an_idle_connection_end_it),
    cmocka_unit_test(bytes_that_an_idle_connection_has_when_it_is_taken_are_no_answer),
    cmocka_unit_test(a_response_that_comes_before_the_request_is_refused),
    cmocka_unit_test(what_has_no_end_is_given_up_at_its_limit),
    cmocka_unit_test(chunks_that_are_nearly_nothing_but_extensions_are_given_up),
    cmocka_unit_test(up_to_ten_interim_responses_are_passed_over),
    cmocka_unit_test(a_hundred_headers_are_the_most),
};

TESTING_MAIN(tests)
