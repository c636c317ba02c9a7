/* Fetches with futures. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httpserver.h"
#include "ioloop/iofuture.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct fetchscene scene;

static void answer_hello(struct fetchscene *where, struct httprequest *request)
{
    int status = httprequest_path_is(request, "/hello") ? 200 : 404;

    assert_int_equal(httprequest_reply(request, status, "text/plain", "Hello world!", 12), 0);
}

static struct iofuture *fetch_future(const char *path, bool raise_error)
{
    char url[128];

    snprintf(url, sizeof url, "%s%s", scene.base, path);
    return httpclient_fetch_future(scene.client,
                                   &(struct httpclient_request){ .url = url, .raise_error = raise_error });
}

static void note_done(struct iofuture *future, void *arg)
{
    int *calls = arg;

    (*calls)++;
}

static void wait_for_future(const int *calls)
{
    while (*calls == 0)
        assert_true(ioloop_run_once(scene.loop, 0.01) >= 0);
}

/* httpclient_test:test_future_interface */
static void a_future_has_the_response_once(void **state)
{
    int calls = 0;

    fetchscene_open(&scene, NULL);
    struct iofuture *future = fetch_future("/hello", false);
    assert_non_null(future);
    assert_int_equal(iofuture_add_callback(future, note_done, &calls), 0);
    iofuture_hold(future);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    wait_for_future(&calls);
    fetchscene_hang_up(peer);
    fetchscene_settle(&scene);
    assert_int_equal(calls, 1);
    assert_int_equal(iofuture_error(future), 0);
    const struct httpclient_response *response = iofuture_result(future);
    assert_int_equal(response->code, 200);
    assert_string_equal(response->reason, "OK");
    assert_string_equal(response->body, "hi");
    assert_int_equal(response->length, 2);
    assert_string_equal(httpheaders_get(response->headers, "Content-Length"), "2");
    assert_int_equal(httpheaders_count(response->trailers), 0);
    assert_string_equal(response->effective_url + strlen(scene.base), "/hello");
    iofuture_release(future);
    fetchscene_settle(&scene);
    fetchscene_close(&scene);
}

static void a_future_has_the_error_of_the_response(void **state)
{
    int calls = 0;

    fetchscene_open(&scene, NULL);
    struct iofuture *future = fetch_future("/hello", false);
    assert_int_equal(iofuture_add_callback(future, note_done, &calls), 0);
    iofuture_hold(future);
    fetchscene_serve(&scene, NULL, "garbage\r\n\r\n");
    wait_for_future(&calls);
    assert_int_equal(iofuture_error(future), -EPROTO);
    iofuture_release(future);
    fetchscene_close(&scene);
}

static void a_future_that_is_cancelled_cancels_its_fetch(void **state)
{
    fetchscene_open(&scene, NULL);
    struct iofuture *future = fetch_future("/hello", false);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    fetchscene_settle(&scene);
    iofuture_cancel(future);
    fetchscene_expect_end(&scene, peer);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    assert_int_equal(testing_logs(NULL), 0);
    fetchscene_close(&scene);
}

static void a_future_is_cancelled_when_the_client_closes(void **state)
{
    int calls = 0;

    fetchscene_open(&scene, NULL);
    struct iofuture *future = fetch_future("/hello", false);
    assert_int_equal(iofuture_add_callback(future, note_done, &calls), 0);
    iofuture_hold(future);
    httpclient_close(scene.client);
    wait_for_future(&calls);
    assert_int_equal(iofuture_error(future), -ECANCELED);
    iofuture_release(future);
    fetchscene_close(&scene);
}

static void what_a_client_refuses_has_no_future(void **state)
{
    fetchscene_open(&scene, NULL);
    errno = 0;
    assert_null(httpclient_fetch_future(scene.client, &(struct httpclient_request){ .url = "nonsense" }));
    assert_int_equal(errno, EINVAL);
    assert_null(httpclient_fetch_future(scene.client, &(struct httpclient_request){ .url = "https://a/" }));
    assert_int_equal(errno, EPROTONOSUPPORT);
    long before = faults_allocated();
    assert_null(fetch_future("/a target with blanks", false));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(faults_allocated(), before);
    for (int nth = 1; nth < 3; nth++) {
        faults_allocation(nth, false);
        assert_null(fetch_future("/", false));
        assert_int_equal(errno, ENOMEM);
    }
    faults_allocation(0, false);
    fetchscene_close(&scene);
}

/* Waiting for one, as in a program without a loop of its own. */

struct wanted {
    const char *path;
    bool raise_error;
};

static struct iofuture *begin_wanted(void *arg)
{
    const struct wanted *wanted = arg;

    return fetch_future(wanted->path, wanted->raise_error);
}

/* httpclient_test:test_sync_client, httpclient_test:test_sync_client_error */
static void a_fetch_can_be_waited_for(void **state)
{
    void *value = NULL;

    fetchscene_open(&scene, NULL);
    fetchscene_start_server(&scene, answer_hello);
    int error = iofuture_run_sync(scene.loop, begin_wanted, &(struct wanted){ "/hello", false }, -1, &value);
    assert_int_equal(error, 0);
    assert_string_equal(((struct httpclient_response *)value)->body, "Hello world!");
    error = iofuture_run_sync(scene.loop, begin_wanted, &(struct wanted){ "/notfound", true }, -1, &value);
    assert_int_equal(error, -ENOMSG);
    error = iofuture_run_sync(scene.loop, begin_wanted, &(struct wanted){ "/notfound", false }, -1, &value);
    assert_int_equal(error, 0);
    assert_int_equal(((struct httpclient_response *)value)->code, 404);
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_future_has_the_response_once),
    cmocka_unit_test(a_future_has_the_error_of_the_response),
    cmocka_unit_test(a_future_that_is_cancelled_cancels_its_fetch),
    cmocka_unit_test(a_future_is_cancelled_when_the_client_closes),
    cmocka_unit_test(what_a_client_refuses_has_no_future),
    cmocka_unit_test(a_fetch_can_be_waited_for),
};

TESTING_MAIN(tests)
