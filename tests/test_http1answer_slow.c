#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Answers that take their time: callbacks, files, slow readers, and clients that leave meanwhile. */

static struct {
    int told; /* callbacks so far; each has to come in its turn */
    int error;
    bool inside; /* a call is on the stack: no callback may come */
} writes;

static void write_done(struct iostream *stream, int error, void *arg)
{
    assert_false(writes.inside);
    assert_int_equal(*(int *)arg, writes.told);
    writes.told++;
    writes.error = error;
}

static int numbers[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void begin_writes(void)
{
    memset(&writes, 0, sizeof writes);
}

/* Callbacks. */

static void write_four_times(struct httpscene *scene, struct httprequest *request)
{
    writes.inside = true;
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, "a", 1, write_done, &numbers[0]), 0);
    assert_int_equal(httprequest_write(request, "b", 1, write_done, &numbers[1]), 0);
    assert_int_equal(httprequest_write(request, "", 0, write_done, &numbers[2]), 0);
    assert_int_equal(httprequest_write(request, "c", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_write(request, "d", 1, write_done, &numbers[3]), 0);
    assert_int_equal(httprequest_finish(request), 0);
    writes.inside = false;
}

static void writes_are_told_of_in_order_even_after_the_end(void **state)
{
    static const char *const texts[] = { GET("/"), HEAD("/"), KEPT_GET("/"), LAST_GET("/") };

    for (size_t i = 0; i < 2 * sizeof texts / sizeof *texts; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        begin_writes();
        scene.on_request = i % 2 == 0 ? write_four_times : httpscene_wait;
        httpscene_put(&scene, client, texts[i / 2]);
        httpscene_settle(&scene);
        if (scene.waiting_count > 0)
            write_four_times(&scene, scene.waiting[--scene.waiting_count]);
        httpscene_settle(&scene);
        assert_int_equal(writes.told, 4);
        assert_int_equal(writes.error, 0);
        httpscene_close(&scene);
    }
}

static void write_nine_megabytes(struct httpscene *scene, struct httprequest *request)
{
    char *bytes = malloc(3000001);

    writes.inside = true;
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, write_done, &numbers[0]), 0);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(httprequest_write(request, filled(bytes, 3000000), 3000000, write_done, &numbers[i]), 0);
    assert_in_range(httprequest_pending(request), 1, 9000100);
    assert_int_equal(httprequest_finish(request), 0);
    writes.inside = false;
    free(bytes);
}

static void callbacks_tell_how_far_a_reader_is(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    begin_writes();
    scene.on_request = write_nine_megabytes;
    httpscene_put(&scene, client, GET("/"));
    for (int i = 1; i <= 3; i++) {
        httpscene_settle(&scene);
        assert_int_equal(writes.told, i);
        while (writes.told == i) {
            assert_true(httpscene_take(client, 100000) > 0);
            httpscene_settle(&scene);
        }
    }
    struct httpscene_answer answer = httpscene_next(&scene, client, false);
    assert_int_equal(answer.length, 9000000);
    assert_int_equal(answer.chunks, 3);
    assert_int_equal(writes.error, 0);
    begin_writes();
    httpscene_put(&scene, client, GET("/"));
    httpscene_settle(&scene);
    assert_int_equal(writes.told, 1);
    httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(writes.told, 4); /* those that wait are told of, too */
    assert_true(writes.error < 0);
    httpscene_close(&scene);
}

/* Files. */

static int file;
static int64_t file_offset;
static uint64_t file_length;
static bool file_has_length;

static void open_file(size_t size)
{
    FILE *temporary = tmpfile();

    assert_non_null(temporary);
    for (size_t i = 0; i < size; i++)
        putc("0123456789"[i % 10], temporary);
    assert_int_equal(fflush(temporary), 0);
    file = dup(fileno(temporary));
    fclose(temporary);
    assert_true(file >= 0);
}

static void write_file(struct httpscene *scene, struct httprequest *request)
{
    struct httpheaders headers = { 0 };
    char text[24];

    if (httprequest_path_is(request, "/next")) {
        httpscene_answer(request);
        return;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)file_length + 2);
    if (file_has_length)
        assert_int_equal(httpheaders_add(&headers, "Content-Length", text), 0);
    writes.inside = true;
    assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, "<", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_write_file(request, file, file_offset, file_length, write_done, &numbers[0]), 0);
    assert_int_equal(httprequest_write(request, ">", 1, write_done, &numbers[1]), 0);
    assert_int_equal(httprequest_finish(request), 0);
    writes.inside = false;
    httpheaders_free(&headers);
}

static void check_file(struct httpscene *scene, bool has_length, const char *wanted)
{
    struct httpscene_client *client = httpscene_connect(scene);

    file_has_length = has_length;
    for (int to_head = 0; to_head < 2; to_head++) {
        begin_writes();
        httpscene_put(scene, client, to_head ? HEAD("/") : GET("/"));
        struct httpscene_answer answer = httpscene_next(scene, client, to_head);
        if (!to_head) {
            assert_string_equal(answer.body, wanted);
            assert_int_equal(answer.chunks, has_length ? -1 : file_length > 0 ? 3 : 2);
        }
        httpscene_put(scene, client, GET("/next"));
        httpscene_expect(scene, client, 200, "GET /next");
        assert_int_equal(writes.told, 2);
        assert_int_equal(writes.error, 0);
    }
    httpscene_hang_up(client);
}

static void parts_of_files_go_out_in_every_framing(void **state)
{
    static const struct {
        int64_t offset;
        uint64_t length;
        const char *wanted;
    } cases[] = { { 0, 20, "<01234567890123456789>" }, { 5, 10, "<5678901234>" }, { 19, 1, "<9>" }, { 7, 0, "<>" } };
    struct httpscene scene;

    open_file(20);
    httpscene_open(&scene, NULL);
    scene.on_request = write_file;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_offset = cases[i].offset;
        file_length = cases[i].length;
        check_file(&scene, true, cases[i].wanted);
        check_file(&scene, false, cases[i].wanted);
    }
    struct httpscene_client *client = httpscene_connect(&scene);
    begin_writes();
    file_length = 10, file_offset = 10;
    httpscene_put(&scene, client, OLD_GET("/"));
    size_t length;
    char *transcript = httpscene_transcript(&scene, client, &length);
    assert_string_equal(strstr(transcript, "\r\n\r\n"), "\r\n\r\n<0123456789>");
    free(transcript);
    httpscene_close(&scene);
    close(file);
}

static void a_large_file_reaches_a_slow_reader(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    open_file(3000000);
    begin_writes();
    file_offset = 0, file_length = 3000000, file_has_length = true;
    scene.on_request = write_file;
    httpscene_put(&scene, client, GET("/") GET("/next"));
    for (size_t taken = 0; taken < 2000000;) {
        httpscene_settle(&scene);
        size_t some = httpscene_take(client, 200000);
        assert_true(some > 0);
        taken += some;
        assert_int_equal(writes.told, 0);
        httpscene_settle(&scene);
        httpscene_pass(&scene, 25);
        assert_int_equal(httpserver_connections(scene.server), 1);
    }
    assert_int_equal(httpscene_next(&scene, client, false).length, 3000002);
    httpscene_expect(&scene, client, 200, "GET /next");
    assert_int_equal(writes.told, 2);
    httpscene_close(&scene);
    close(file);
}

/* In chunks the call itself knows, as the chunk's end cannot be written any more. */
static void write_too_short_a_file(struct httpscene *scene, struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    if (file_has_length)
        assert_int_equal(httpheaders_add(&headers, "Content-Length", "10"), 0);
    assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, NULL, 0, NULL, NULL), 0);
    int error = httprequest_write_file(request, file, 15, 10, write_done, &numbers[0]);
    assert_int_equal(error, file_has_length ? 0 : -EIO);
    assert_int_equal(httprequest_write(request, "x", 1, NULL, NULL), -EIO);
    assert_int_equal(httprequest_finish(request), -EIO);
    httpheaders_free(&headers);
}

static void a_file_that_is_too_short_ends_the_connection(void **state)
{
    for (int has_length = 0; has_length < 2; has_length++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        size_t length;

        open_file(20);
        begin_writes();
        file_has_length = has_length;
        scene.on_request = write_too_short_a_file;
        httpscene_put(&scene, client, GET("/") GET("/next"));
        char *transcript = httpscene_transcript(&scene, client, &length);
        assert_string_equal(strstr(transcript, "\r\n\r\n"), has_length ? "\r\n\r\n56789" : "\r\n\r\na\r\n56789");
        httpscene_settle(&scene);
        assert_int_equal(writes.told, has_length);
        assert_int_equal(writes.error, has_length ? -EIO : 0);
        assert_int_equal(scene.requests, 1);
        free(transcript);
        httpscene_close(&scene);
        close(file);
    }
}

static void try_bad_files(struct httpscene *scene, struct httprequest *request)
{
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, "a", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_write_file(request, -1, 0, 1, write_done, NULL), -EINVAL);
    assert_int_equal(httprequest_write_file(request, file, -1, 1, write_done, NULL), -EINVAL);
    assert_int_equal(httprequest_write_file(request, file, 0, UINT64_MAX, write_done, NULL), -EINVAL);
    assert_int_equal(httprequest_write_file(request, file, INT64_MAX, 1, write_done, NULL), -EINVAL);
    assert_int_equal(httprequest_write(request, "b", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
}

static void what_is_no_part_of_a_file_changes_nothing(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    open_file(20);
    scene.on_request = try_bad_files;
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "ab");
    httpscene_close(&scene);
    close(file);
}

/* Slow readers. */

static struct httprequest *begun;

static void begin_answer(struct httpscene *scene, struct httprequest *request)
{
    httpscene_wait(scene, request);
    begun = request;
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, NULL, NULL), 0);
}

static int write_some(size_t size)
{
    char *bytes = malloc(size + 1);
    int error = httprequest_write(begun, filled(bytes, size), size, NULL, NULL);

    free(bytes);
    return error;
}

static struct httpscene_client *begin_long_answer(struct httpscene *scene, const struct httpserver_options *options)
{
    struct httpscene_client *client = begin_unix(scene, options);

    scene->on_request = begin_answer;
    httpscene_put(scene, client, GET("/"));
    httpscene_settle(scene);
    assert_int_equal(scene->waiting_count, 1);
    return client;
}

static void end_long_answer(struct httpscene *scene, int wanted)
{
    scene->waiting_count = 0;
    assert_int_equal(httprequest_finish(begun), wanted);
}

static void a_reader_that_stops_in_the_middle_of_an_answer_has_left(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_long_answer(&scene, &(struct httpserver_options){ .write_timeout = 10 });

    assert_int_equal(write_some(2000000), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(httpscene_take(client, 100000) > 0);
        httpscene_settle(&scene);
        httpscene_pass(&scene, 9);
        assert_int_equal(scene.left, 0);
    }
    httpscene_pass(&scene, 10 + LATE);
    httpscene_pass(&scene, 10 + LATE); /* it took something just before the first */
    assert_int_equal(scene.left, 1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(write_some(1), -EBADF);
    assert_true(httprequest_left(begun));
    assert_int_equal(httprequest_pending(begun), 0);
    end_long_answer(&scene, -EBADF);
    httpscene_close(&scene);
}

/* What counts is what it takes, not what is left. */
static void a_reader_may_be_as_slow_as_the_answer_grows(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, &(struct httpserver_options){ .write_timeout = 10 });

    scene.on_request = begin_answer;
    httpscene_put(&scene, client, OLD_GET("/"));
    httpscene_settle(&scene);
    assert_int_equal(write_some(600000), 0);
    uint64_t pending = httprequest_pending(begun);
    for (int i = 0; i < 8; i++) {
        while (httprequest_pending(begun) == pending) {
            assert_true(httpscene_take(client, 40000) > 0);
            httpscene_settle(&scene);
        }
        assert_int_equal(write_some((size_t)(pending - httprequest_pending(begun))), 0);
        assert_int_equal(httprequest_pending(begun), pending);
        httpscene_pass(&scene, 9);
        assert_int_equal(scene.left, 0);
    }
    httpscene_pass(&scene, 20 + 2 * LATE);
    httpscene_pass(&scene, 10 + LATE);
    assert_int_equal(scene.left, 1);
    end_long_answer(&scene, -EBADF);
    httpscene_close(&scene);
}

static void a_program_may_stop_in_the_middle_of_an_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_long_answer(&scene, NULL);

    for (int i = 0; i < 10; i++) {
        assert_int_equal(write_some(100), 0);
        assert_int_equal(httprequest_pending(begun), 0);
        httpscene_pass(&scene, 100);
        assert_int_equal(scene.left, 0);
        assert_false(httprequest_left(begun));
    }
    end_long_answer(&scene, 0);
    assert_int_equal(httpscene_next(&scene, client, false).chunks, 10);
    httpscene_close(&scene);
}

/* Of what waits here, not of all that is written. */
static void a_reader_may_leave_max_unsent_bytes_unread(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_long_answer(&scene, &(struct httpserver_options){ .max_unsent = 1000000 });

    for (int i = 0; i < 10; i++) {
        assert_int_equal(write_some(500000), 0);
        while (httprequest_pending(begun) > 0) {
            assert_true(httpscene_take(client, 100000) > 0);
            httpscene_settle(&scene);
        }
    }
    assert_int_equal(write_some(900000), 0);
    uint64_t pending = httprequest_pending(begun);
    assert_in_range(pending, 500000, 900100);
    size_t room = 1000000 - (size_t)pending - strlen("ffff\r\n\r\n");
    assert_int_equal(write_some(room - room % 16), 0);
    assert_int_equal(write_some(1000), -ENOBUFS);
    assert_true(httprequest_left(begun));
    assert_int_equal(scene.left, 0); /* not inside the call */
    httpscene_settle(&scene);
    assert_int_equal(scene.left, 1);
    assert_int_equal(write_some(1), -EBADF);
    end_long_answer(&scene, -EBADF);
    httpscene_close(&scene);
}

/* What was not sent leaves a gap that the client could not see. */
static void a_write_without_memory_ends_the_connection(void **state)
{
    for (int files = 0; files < 2; files++) {
        struct httpscene scene;

        begin_long_answer(&scene, NULL);
        open_file(20);
        assert_int_equal(write_some(900000), 0);
        assert_true(httprequest_pending(begun) > 0);
        faults_allocation(1, true);
        if (files)
            assert_int_equal(httprequest_write_file(begun, file, 0, 20, write_done, NULL), -ENOMEM);
        else
            assert_int_equal(httprequest_write(begun, "abc", 3, write_done, NULL), -ENOMEM);
        faults_end();
        assert_true(httprequest_left(begun));
        httpscene_settle(&scene);
        assert_int_equal(scene.left, 1);
        assert_int_equal(httpserver_connections(scene.server), 0);
        end_long_answer(&scene, -EBADF);
        httpscene_close(&scene);
        close(file);
    }
}

/* Who is not there any more. */

static void an_answer_to_a_client_that_has_left_only_ends_the_request(void **state)
{
    struct httpheaders headers = { 0 };

    for (int whole = 0; whole < 2; whole++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        httpscene_put(&scene, client, GET("/later"));
        httpscene_settle(&scene);
        httpscene_reset(client);
        httpscene_settle(&scene);
        struct httprequest *request = scene.waiting[--scene.waiting_count];
        assert_true(httprequest_left(request));
        assert_int_equal(httprequest_pending(request), 0);
        assert_int_equal(scene.logged, 0);
        errno = 0;
        assert_null(httprequest_detach(request));
        assert_int_equal(errno, EBADF);
        assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, "a", 1, write_done, NULL), -EBADF);
        assert_int_equal(httprequest_write(request, "a", 1, write_done, NULL), -EBADF);
        assert_int_equal(httprequest_write_file(request, 0, 0, 1, write_done, NULL), -EBADF);
        assert_int_equal(scene.logged, 0);
        if (whole)
            assert_int_equal(httprequest_answer(request, 200, NULL, &headers, "a", 1), -EBADF);
        else
            assert_int_equal(httprequest_finish(request), -EBADF);
        assert_int_equal(scene.logged, 1);
        assert_int_equal(scene.last_status, 0);
        httpscene_close(&scene);
    }
}

/* Closed, and nobody has been told yet. */
static void close_and_answer(struct httpscene *scene, struct httprequest *request)
{
    iostream_close(http1connection_stream(request->connection));
    assert_true(httprequest_left(request));
    if (scene->requests == 1) {
        assert_int_equal(httprequest_reply(request, 200, NULL, "a", 1), -EBADF);
    } else {
        assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, "a", 1, NULL, NULL), -EBADF);
        assert_int_equal(httprequest_finish(request), -EBADF);
    }
}

static void what_is_answered_on_a_closed_connection_is_logged_as_no_answer(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    scene.on_request = close_and_answer;
    for (int i = 1; i <= 2; i++) {
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, GET("/") GET("/2"));
        httpscene_settle(&scene);
        assert_int_equal(scene.requests, i);
        assert_int_equal(scene.logged, i);
        assert_int_equal(scene.last_status, 0);
        assert_int_equal(httpserver_connections(scene.server), 0);
    }
    httpscene_close(&scene);
}

static void end_in_callback(struct httpscene *scene, struct httprequest *request)
{
    scene->waiting_count = 0;
    assert_int_equal(httprequest_write(request, "a", 1, NULL, NULL), -EBADF);
    assert_int_equal(httprequest_finish(request), -EBADF);
}

/* web_test:test_client_close */
static void an_answer_may_be_ended_in_the_close_callback(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_long_answer(&scene, NULL);

    scene.on_left = end_in_callback;
    assert_int_equal(write_some(1000), 0);
    httpscene_hang_up(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, 1);
    assert_int_equal(scene.logged, 1);
    assert_int_equal(scene.last_status, 200);
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_close(&scene);
}

/* web_test:test_connection_close, at the latest that it can be told */
static void a_client_that_only_stops_sending_is_told_as_having_left(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later"));
    httpscene_settle(&scene);
    httpscene_finish(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, 1);
    assert_false(httprequest_left(scene.waiting[0]));
    assert_int_equal(httpscene_answer_next(&scene), 0);
    assert_string_equal(httpscene_next(&scene, client, false).body, "later");
    httpscene_expect_end(&scene, client);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, 1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_are_told_of_in_order_even_after_the_end),
    cmocka_unit_test(callbacks_tell_how_far_a_reader_is),
    cmocka_unit_test(parts_of_files_go_out_in_every_framing),
    cmocka_unit_test(a_large_file_reaches_a_slow_reader),
    cmocka_unit_test(a_file_that_is_too_short_ends_the_connection),
    cmocka_unit_test(what_is_no_part_of_a_file_changes_nothing),
    cmocka_unit_test(a_reader_that_stops_in_the_middle_of_an_answer_has_left),
    cmocka_unit_test(a_reader_may_be_as_slow_as_the_answer_grows),
    cmocka_unit_test(a_program_may_stop_in_the_middle_of_an_answer),
    cmocka_unit_test(a_reader_may_leave_max_unsent_bytes_unread),
    cmocka_unit_test(a_write_without_memory_ends_the_connection),
    cmocka_unit_test(an_answer_to_a_client_that_has_left_only_ends_the_request),
    cmocka_unit_test(what_is_answered_on_a_closed_connection_is_logged_as_no_answer),
    cmocka_unit_test(an_answer_may_be_ended_in_the_close_callback),
    cmocka_unit_test(a_client_that_only_stops_sending_is_told_as_having_left),
};

TESTING_MAIN(tests)
