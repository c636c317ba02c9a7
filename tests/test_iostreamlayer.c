/* What the layers know of a stream: why it ends, and how large it is. */
#include "ioloop/iostreamlayer.h"

#include <errno.h>

#include "httpserver/http1connection.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"
#include "websocket/websocketconnection.h"

/* Idle connections are these and nothing else: with malloc's 8 bytes one of HTTP or of a WebSocket takes 160. */
static void idle_connections_are_small(void **state)
{
    if (sizeof(void *) != 8)
        skip();
    assert_int_equal(sizeof(struct iostream), 96);
    assert_int_equal(IOSTREAMLAYER_USER, 96);
    assert_int_equal(sizeof(struct http1connection), 56);
    assert_int_equal(sizeof(struct websocket), 56);
}

static void every_errno_value_is_kept(void **state)
{
    struct iostream stream = { 0 };

    for (int error = 0; error >= -1023; error--) {
        iostreamlayer_set_end(&stream, error);
        assert_int_equal(iostreamlayer_end(&stream), error);
        assert_int_equal(stream.end != 0, error != 0);
    }
}

static void what_is_none_becomes_an_input_output_error(void **state)
{
    static const int errors[] = { -1024, -2048, -4096, -70000, -INT32_MAX, INT32_MIN, 1, EPIPE, 4096, INT32_MAX };
    struct iostream stream = { 0 };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        iostreamlayer_set_end(&stream, errors[i]);
        assert_int_equal(iostreamlayer_end(&stream), -EIO);
    }
}

/* The end of input is not the end of the stream. */
static void an_open_stream_has_no_error(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .half_close = true });
    assert_int_equal(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line), 0);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    streampair_run(&pair, &line);
    assert_ended(line, -ESHUTDOWN);
    assert_int_equal(iostreamlayer_end(pair.stream), -ESHUTDOWN);
    assert_int_equal(iostream_error(pair.stream), 0);
    iostream_close(pair.stream);
    assert_int_equal(iostream_error(pair.stream), 0);
    streampair_close(&pair);
}

static void a_stream_that_failed_says_why(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostreamlayer_fail(pair.stream, -ECONNRESET);
    assert_int_equal(iostream_error(pair.stream), -ECONNRESET);
    iostreamlayer_fail(pair.stream, -EPIPE); /* too late */
    assert_int_equal(iostream_error(pair.stream), -ECONNRESET);
    streampair_run(&pair, &pair.closed);
    assert_ended(pair.closed, -ECONNRESET);
    streampair_close(&pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(idle_connections_are_small),
    cmocka_unit_test(every_errno_value_is_kept),
    cmocka_unit_test(what_is_none_becomes_an_input_output_error),
    cmocka_unit_test(an_open_stream_has_no_error),
    cmocka_unit_test(a_stream_that_failed_says_why),
};

TESTING_MAIN(tests)
