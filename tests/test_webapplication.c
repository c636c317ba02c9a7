/* How an application is made, and what it refuses. Its routes are in test_webrouter.c, its end in test_web.c. */
#include <errno.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static void say_arg(struct web_request *request)
{
    web_write(request, web_route_arg(request));
}

static const struct web_handler says_arg = { .get = say_arg, .post = say_arg };
static const struct web_route of_all[] = { { .pattern = "/foo", .handler = &says_arg, .arg = "all foo" }, { 0 } };

static void what_cannot_be_is_refused(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);
    long before = faults_allocated();

    assert_null(
        web_application_new((struct web_route[]){ { .pattern = "(" }, { 0 } }, &(struct web_settings){ .loop = loop }));
    assert_int_equal(errno, EINVAL);
    assert_null(web_application_new(NULL, &(struct web_settings){ .loop = loop, .cookie_secret = "fifteen bytes.." }));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(faults_allocated(), before);
    ioloop_close(loop, false);
}

/* An application that could not sign, or with what anybody can guess, is none. */
static void keys_are_looked_at_at_once(void **state)
{
    static const struct httpsigned_key good[] = { { 2, "sixteen bytes..." }, { 5, "sixteen bytes too" }, { 0, NULL } };
    static const struct httpsigned_key weak[] = { { 2, "sixteen bytes..." }, { 5, "fifteen bytes.." }, { 0, NULL } };
    static const struct httpsigned_key negative[] = { { -1, "sixteen bytes..." }, { 0, NULL } };
    static const struct httpsigned_key none[] = { { 0, NULL } };
    static const struct {
        const struct httpsigned_key *keys;
        int version;
        bool is_fine;
    } cases[] = { { good, 2, true },  { good, 5, true }, { good, 0, false },     { weak, 2, false },
                  { none, 0, false }, { NULL, 3, true }, { negative, -1, false } };
    struct ioloop *loop = ioloop_new(NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct web_application *app = web_application_new(
            NULL,
            &(struct web_settings){ .loop = loop, .cookie_keys = cases[i].keys, .key_version = cases[i].version });

        assert_int_equal(app != NULL, cases[i].is_fine);
        if (app != NULL)
            web_application_close(app);
        else
            assert_int_equal(errno, EINVAL);
    }
    ioloop_close(loop, false);
}

static void an_application_is_made_whole_or_not_at_all(void **state)
{
    static const struct web_route routes[] = { { .pattern = "/(a+)", .handler = &says_arg }, { 0 } };
    struct ioloop *loop = ioloop_new(NULL);
    struct web_application *app;
    long before = faults_allocated();
    int nth = 0;

    do {
        faults_allocation(++nth, false);
        app = web_application_new(routes, &(struct web_settings){ .loop = loop, .static_path = "/nowhere" });
        faults_allocation(0, false);
        if (app == NULL)
            assert_int_equal(errno, ENOMEM);
        if (app == NULL)
            assert_int_equal(faults_allocated(), before);
    } while (app == NULL);
    assert_true(nth > 10);
    for (int error = -ENOMEM, first = ++nth; error < 0; nth++) {
        faults_allocation(nth - first + 1, false);
        error = web_application_add_routes(app, "host[0-9]", routes);
        faults_allocation(0, false);
        assert_true(error == 0 || error == -ENOMEM);
    }
    ioloop_close(loop, false);
}

static void an_application_uses_the_current_loop(void **state)
{
    struct web_application *app = web_application_new(of_all, NULL);

    assert_non_null(app);
    assert_null(web_application_arg(app));
    assert_ptr_equal(httpserver_loop(web_application_server(app)), ioloop_current());
    ioloop_close(ioloop_current(), false);
}

static void answer_nothing(struct httprequest *request, void *arg)
{
}

static void make_another(struct httpserver *server, void *arg)
{
    struct ioloop *loop = httpserver_loop(server);

    errno = 0;
    assert_null(web_application_new(of_all, &(struct web_settings){ .loop = loop }));
    assert_int_equal(errno, EBADF);
    errno = 0;
    assert_null(httpserver_new(loop, answer_nothing, NULL, NULL));
    assert_int_equal(errno, EBADF);
    ++*(int *)web_application_arg(arg);
}

static void none_is_made_on_a_loop_that_closes(void **state)
{
    long before = faults_allocated();
    int calls = 0;
    struct ioloop *loop = ioloop_new(NULL);
    struct web_settings settings = { .loop = loop, .arg = &calls, .server.on_close = make_another };

    assert_non_null(web_application_new(of_all, &settings));
    ioloop_hold(loop);
    ioloop_close(loop, false);
    assert_int_equal(calls, 1);
    errno = 0;
    assert_null(web_application_new(of_all, &settings));
    assert_int_equal(errno, EBADF);
    ioloop_release(loop);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_cannot_be_is_refused),
    cmocka_unit_test(keys_are_looked_at_at_once),
    cmocka_unit_test(an_application_is_made_whole_or_not_at_all),
    cmocka_unit_test(an_application_uses_the_current_loop),
    cmocka_unit_test(none_is_made_on_a_loop_that_closes),
};

TESTING_MAIN(tests)
