/* How long a peer is waited for that has its part of closing still to do. */
#include "websocket/websocketconnection.h"

#include <string.h>

#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

#define CLOSE_SECONDS 5.0
#define LATE          0.14

/* A byte each second. Answers after how many seconds the connection had ended. */
static double drip(struct socketscene *scene, struct httpscene_client *client, const char *bytes, size_t length)
{
    double start = scene->web.http.clock;

    for (size_t i = 0; scene->closed == 0; i++) {
        assert_true(i < 60);
        httpscene_put_bytes(&scene->web.http, client, bytes + i % length, 1);
        for (int k = 0; k < 20 && scene->closed == 0; k++)
            httpscene_pass(&scene->web.http, 0.05);
    }
    return scene->web.http.clock - start;
}

/* A frame that is long enough, and one that ends in time and is followed by others. */
static const struct {
    const char *bytes;
    size_t length;
} drips[] = {
    { "\x81\xe4"
      "mask"
      "some text of a hundred bytes, of which no more than these sixty will come",
      70 },
    { "\x89\x80"
      "mask",
      6 },
    { "\x88\xe4"
      "mask"
      "\x03\xe8"
      "a close frame that does not come to its end",
      40 },
};

/* The deadline does not move with what comes. */
static void who_answers_a_close_frame_byte_by_byte_has_no_more_time(void **state)
{
    for (size_t i = 0; i < sizeof drips / sizeof *drips; i++) {
        struct socketscene scene;

        socketscene_open(&scene, &(struct websocket_handler){ .ping_interval = 1, .ping_timeout = 1 });
        struct httpscene_client *client = socketscene_connect(&scene, "");
        assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
        double seconds = drip(&scene, client, drips[i].bytes, drips[i].length);
        assert_true(seconds > CLOSE_SECONDS - 0.01 && seconds < CLOSE_SECONDS + LATE + 0.05);
        socketscene_expect_close(&scene, client, 1000, "");
        socketscene_close(&scene);
    }
}

/* Nor with what is dropped behind both close frames, when only the end is still to come. */
static void who_goes_on_behind_its_close_frame_has_no_more_time(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .ping_interval = 1, .ping_timeout = 1 });
    struct httpscene_client *client = socketscene_connect(&scene, "");
    socketscene_put_close(&scene, client, 1000, "");
    socketscene_expect_close(&scene, client, 1000, "");
    double seconds = drip(&scene, client, "anything", 8);
    assert_true(seconds > CLOSE_SECONDS - 0.01 && seconds < CLOSE_SECONDS + LATE + 0.05);
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_answers_a_close_frame_byte_by_byte_has_no_more_time),
    cmocka_unit_test(who_goes_on_behind_its_close_frame_has_no_more_time),
};

TESTING_MAIN(tests)
