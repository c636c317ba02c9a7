/* What came in one receive, of which a callback forks: the rest is the parent's to read and to answer. */
#include "websocket/websocketconnection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/forkedchild.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

static struct socketscene scene;
static struct httpscene_client *client;
static char got[200];
static pid_t forked;
static bool reopens;

/* At the first that has an "f". */
static void see(const char *what, const void *data, size_t length)
{
    snprintf(got + strlen(got), sizeof got - strlen(got), "%s:%.*s ", what, (int)length, (const char *)data);
    if (forked >= 0 || length == 0 || memchr(data, 'f', length) == NULL)
        return;
    forked = fork_child();
    if (forked == 0 && reopens)
        CHECK(ioloop_reopen(scene.web.http.loop) == 0);
}

static void see_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    see("message", data, length);
}

static void see_piece(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    see(is_last ? "last" : "piece", data, length);
}

static void see_ping(struct websocket *socket, const void *data, size_t length)
{
    see("ping", data, length);
}

static void see_pong(struct websocket *socket, const void *data, size_t length)
{
    see("pong", data, length);
}

static const struct websocket_handler messages = { .on_message = see_message,
                                                   .on_ping = see_ping,
                                                   .on_pong = see_pong };
static const struct websocket_handler pieces = { .on_piece = see_piece, .on_ping = see_ping, .on_pong = see_pong };

/* Runs until the process has forked, and to the end of that turn; in the child to the end of it. */
static void run_until_forked(const char *seen_by_child)
{
    int result = 0;

    while (forked < 0)
        result = ioloop_run_once(scene.web.http.loop, 0.01);
    if (forked > 0) {
        wait_for(forked);
        return;
    }
    CHECK(result == (reopens ? 1 : -ESTALE));
    if (strcmp(got, seen_by_child) != 0)
        fprintf(stderr, "the child has seen %s\n", got);
    CHECK(strcmp(got, seen_by_child) == 0);
    _exit(0);
}

static void begin(const struct websocket_handler *handler, bool child_reopens)
{
    client = socketscene_begin(&scene, handler);
    got[0] = '\0';
    forked = -1;
    reopens = child_reopens;
}

static void send_frames(void)
{
    assert_int_equal(httpscene_put_some(client, scene.frames.bytes, scene.frames.length), scene.frames.length);
}

static void end_scene(const char *seen)
{
    httpscene_settle(&scene.web.http);
    assert_string_equal(got, seen);
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

struct frame {
    int first;
    const char *payload;
};

enum { TEXT = SOCKETSCENE_TEXT, MORE = 1, NEXT = 0, LAST = WSFRAMES_FINAL, PING = SOCKETSCENE_PING };
enum { PONG = SOCKETSCENE_PONG };

static void the_frames_behind_are_the_parents(void **state)
{
    static const struct {
        const struct websocket_handler *handler;
        struct frame frames[5];
        const char *seen_by_child, *seen;
    } rows[] = {
        { &messages, { { TEXT, "f" } }, "message:f ", "message:f " },
        { &messages,
          { { TEXT, "0" }, { TEXT, "f" }, { TEXT, "1" }, { TEXT, "2" } },
          "message:0 message:f ",
          "message:0 message:f message:1 message:2 " },
        { &messages,
          { { MORE, "a" }, { LAST, "f" }, { TEXT, "1" }, { PONG, "2" } },
          "message:af ",
          "message:af message:1 pong:2 " },
        { &messages,
          { { TEXT, "f" }, { MORE, "a" }, { LAST, "b" }, { TEXT, "1" } },
          "message:f ",
          "message:f message:ab message:1 " },
        { &messages,
          { { PONG, "0" }, { PONG, "f" }, { PONG, "1" }, { TEXT, "2" } },
          "pong:0 pong:f ",
          "pong:0 pong:f pong:1 message:2 " },
        { &pieces,
          { { MORE, "f" }, { NEXT, "1" }, { LAST, "2" }, { TEXT, "3" } },
          "piece:f ",
          "piece:f piece:1 last:2 last:3 " },
        { &pieces, { { TEXT, "f" }, { TEXT, "1" } }, "last:f ", "last:f last:1 " },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int child_reopens = 0; child_reopens < 2; child_reopens++) {
            begin(rows[i].handler, child_reopens);
            for (const struct frame *frame = rows[i].frames; frame->payload != NULL; frame++)
                wsframes_add(&scene.frames, frame->first, frame->payload, strlen(frame->payload));
            send_frames();
            run_until_forked(child_reopens ? rows[i].seen : rows[i].seen_by_child);
            end_scene(rows[i].seen);
        }
    }
}

/* Nor does it answer any. */
static void a_ping_behind_is_answered_once(void **state)
{
    static const struct websocket_handler *const handlers[] = { &messages, &pieces };

    for (int i = 0; i < 2; i++) {
        begin(handlers[i], false);
        wsframes_add(&scene.frames, TEXT, "f", 1);
        wsframes_add(&scene.frames, PING, "p", 1);
        wsframes_add(&scene.frames, SOCKETSCENE_CLOSE, "\x03\xe8", 2);
        send_frames();
        run_until_forked(i == 0 ? "message:f " : "last:f ");
        socketscene_expect(&scene, client, PONG, "p");
        socketscene_expect_close(&scene, client, 1000, "");
        httpscene_expect_end(&scene.web.http, client);
        assert_string_equal(got, i == 0 ? "message:f ping:p " : "last:f ping:p ");
        socketscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_frames_behind_are_the_parents),
    cmocka_unit_test(a_ping_behind_is_answered_once),
};

TESTING_MAIN(tests)
