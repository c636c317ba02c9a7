#include "ioloop/resolver.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/resolverscene.h"
#include "tests/support/testing.h"

/* Names. */

/* netutil_test:test_localhost */
static void localhost_is_a_loopback_address(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    assert_int_equal(resolve(NULL, loop, "localhost", 80, AF_UNSPEC, &answer), 0);
    assert_true(answer.count >= 1);
    for (size_t i = 0; i < answer.count; i++) {
        const char *text = text_of(&answer, i);
        assert_true(strcmp(text, "127.0.0.1 80") == 0 || strcmp(text, "::1 80") == 0);
    }
    assert_int_equal(resolve(NULL, loop, "localhost", 80, AF_INET, &answer), 0);
    assert_int_equal(answer.count, 1); /* though /etc/hosts may have it twice */
    assert_string_equal(text_of(&answer, 0), "127.0.0.1 80");
    end(loop);
}

/* netutil_test:test_bad_host */
static void a_bad_host_is_an_error(void **state)
{
    static const char *const hosts[] = { "an invalid domain", "no-such-host.invalid" };
    struct ioloop *loop = new_loop();
    struct answer answer;

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        int error = resolve(NULL, loop, hosts[i], 80, AF_UNSPEC, &answer);
        assert_true(error == -ENXIO || error == -EAGAIN); /* the latter where no name server can be reached */
        assert_int_equal(answer.count, 0);
    }
    end(loop);
}

static void each_address_comes_once_and_in_order(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    assert_int_equal(resolve(NULL, loop, "many.test", 8080, AF_UNSPEC, &answer), 0);
    assert_int_equal(answer.count, 2);
    assert_string_equal(text_of(&answer, 0), "192.0.2.1 8080");
    assert_string_equal(text_of(&answer, 1), "2001:db8::1 8080");
    assert_int_equal(resolve(NULL, loop, "useless.test", 80, AF_UNSPEC, &answer), -ENXIO);
    end(loop);
}

static void what_has_been_told_is_freed(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    for (int i = 0; i < 4; i++)
        resolve(NULL, loop, "many.test", 80, AF_UNSPEC, &answer);
    long before = faults_allocated();
    for (int i = 0; i < 10; i++)
        resolve(NULL, loop, i % 2 ? "many.test" : "127.0.0.1", 80, AF_UNSPEC, &answer);
    assert_int_equal(faults_allocated(), before);
    assert_true(ioloop_next_timeout(loop) < 0);
    end(loop);
}

static void errors_of_the_system_become_ours(void **state)
{
    static const struct {
        int eai, error;
    } cases[] = { { EAI_NONAME, -ENXIO }, { EAI_FAIL, -ENXIO },    { EAI_FAMILY, -ENXIO },
                  { EAI_AGAIN, -EAGAIN }, { EAI_MEMORY, -ENOMEM }, { EAI_SERVICE, -ENXIO } };
    struct ioloop *loop = new_loop();
    struct answer answer;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faults_system_call("getaddrinfo", cases[i].eai, 1);
        assert_int_equal(resolve(NULL, loop, "localhost", 80, AF_UNSPEC, &answer), cases[i].error);
        assert_true(faults_hit());
    }
    faults_end();
    end(loop);
}

static void what_cannot_be_asked_is_not_accepted(void **state)
{
    static const struct {
        const char *host;
        int port, family;
        double timeout;
    } cases[] = {
        { NULL, 80, AF_UNSPEC, 0 },        { "", 80, AF_UNSPEC, 0 },
        { "localhost", -1, AF_UNSPEC, 0 }, { "localhost", 65536, AF_UNSPEC, 0 },
        { "localhost", 80, AF_UNIX, 0 },   { "localhost", 80, AF_UNSPEC, __builtin_nan("") },
    };
    struct ioloop *loop = new_loop();
    struct answer answer = { .told = 0 };
    char host[255];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = 0;
        assert_int_equal(resolver_resolve(NULL, loop, cases[i].host, cases[i].port, cases[i].family, cases[i].timeout,
                                          on_resolved, &answer),
                         0);
        assert_int_equal(errno, EINVAL);
    }
    memset(host, 'a', 254);
    host[254] = '\0';
    assert_int_equal(resolver_resolve(NULL, loop, host, 80, AF_UNSPEC, 0, on_resolved, &answer), 0);
    assert_int_equal(errno, EINVAL);
    testing_spin(loop, 3);
    assert_int_equal(answer.told, 0);
    host[253] = '\0';
    assert_true(resolve(NULL, loop, host, 0, AF_UNSPEC, &answer) < 0);
    end(loop);
}

/* Literals. */

static void literals_are_answered_in_the_next_iteration(void **state)
{
    static const struct {
        const char *host, *text;
        int family;
    } cases[] = {
        { "127.0.0.1", "127.0.0.1 80", AF_UNSPEC },
        { "192.0.2.7", "192.0.2.7 80", AF_INET },
        { "::1", "::1 80", AF_UNSPEC },
        { "2001:DB8::0:7", "2001:db8::7 80", AF_INET6 },
        { "::ffff:192.0.2.1", "::ffff:192.0.2.1 80", AF_UNSPEC },
    };
    struct ioloop *loop = new_loop();

    faults_count_reset();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = { .error = 1 };

        assert_true(resolver_resolve(NULL, loop, cases[i].host, 80, cases[i].family, 0, on_resolved, &answer) != 0);
        assert_int_equal(answer.told, 0);
        testing_spin(loop, 1);
        assert_int_equal(answer.told, 1);
        assert_int_equal(answer.error, 0);
        assert_int_equal(answer.count, 1);
        assert_string_equal(text_of(&answer, 0), cases[i].text);
    }
    assert_int_equal(faults_count("pthread_create"), 0);
    assert_int_equal(asked, 0);
    end(loop);
}

static void literals_of_the_other_family_are_no_host(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    assert_int_equal(resolve(NULL, loop, "127.0.0.1", 80, AF_INET6, &answer), -ENXIO);
    assert_int_equal(resolve(NULL, loop, "::1", 80, AF_INET, &answer), -ENXIO);
    assert_int_equal(asked, 0);
    end(loop);
}

static void literals_may_have_a_scope(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;
    char host[64];
    struct if_nameindex *interfaces = if_nameindex();

    assert_non_null(interfaces);
    snprintf(host, sizeof host, "fe80::1%%%s", interfaces[0].if_name);
    faults_count_reset();
    assert_int_equal(resolve(NULL, loop, host, 80, AF_UNSPEC, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "fe80::1 80");
    assert_int_equal(((struct sockaddr_in6 *)&answer.addresses[0].address)->sin6_scope_id, interfaces[0].if_index);
    if_freenameindex(interfaces);
    assert_int_equal(resolve(NULL, loop, "fe80::1%no-such-interface", 80, AF_UNSPEC, &answer), -ENXIO);
    assert_int_equal(resolve(NULL, loop, "host:80", 80, AF_UNSPEC, &answer), -ENXIO);
    assert_int_equal(faults_count("pthread_create"), 0);
    end(loop);
}

/* Overrides. */

/* netutil_test:test_resolve_multiaddr */
static void overrides_may_differ_by_family(void **state)
{
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct answer answer;

    override(resolver, "google.test", 80, AF_UNSPEC, "1.2.3.4", 80);
    override(resolver, "google.test", 80, AF_INET, "1.2.3.5", 80);
    override(resolver, "google.test", 80, AF_INET6, "2a02:6b8:7c:40c:c51e:495f:e23a:3", 80);
    assert_int_equal(resolve(resolver, loop, "google.test", 80, AF_INET, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "1.2.3.5 80");
    assert_int_equal(resolve(resolver, loop, "google.test", 80, AF_INET6, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "2a02:6b8:7c:40c:c51e:495f:e23a:3 80");
    assert_int_equal(resolve(resolver, loop, "google.test", 80, AF_UNSPEC, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "1.2.3.4 80");
    resolver_close(resolver);
    end(loop);
}

static void the_most_specific_override_wins(void **state)
{
    static const struct {
        const char *host;
        int port, family;
        const char *text;
    } cases[] = {
        { "host.test", 80, AF_INET, "10.0.0.3 80" },   { "host.test", 80, AF_UNSPEC, "10.0.0.2 8000" },
        { "host.test", 81, AF_UNSPEC, "10.0.0.1 81" }, { "host.test", 81, AF_INET, "10.0.0.4 81" },
        { "HOST.Test", 81, AF_UNSPEC, "10.0.0.1 81" }, { "later.test", 80, AF_UNSPEC, "10.0.0.6 80" },
        { "10.9.9.9", 80, AF_UNSPEC, "10.0.0.7 80" },  { "127.0.0.1", 80, AF_UNSPEC, "127.0.0.1 80" },
        { "both.test", 80, AF_INET, "10.0.0.8 80" },   { "both.test", 81, AF_INET, "10.0.0.9 81" },
    };
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct answer answer;

    override(resolver, "host.test", 80, AF_INET, "10.0.0.3", 0);
    override(resolver, "host.test", 80, AF_UNSPEC, "10.0.0.2", 8000);
    override(resolver, "host.test", 0, AF_INET, "10.0.0.4", 0);
    override(resolver, "host.test", 0, AF_UNSPEC, "10.0.0.1", 0);
    override(resolver, "later.test", 0, AF_UNSPEC, "10.0.0.5", 0);
    override(resolver, "later.test", 0, AF_UNSPEC, "10.0.0.6", 0);
    override(resolver, "10.9.9.9", 0, AF_UNSPEC, "10.0.0.7", 0);
    override(resolver, "both.test", 80, AF_UNSPEC, "10.0.0.8", 0);
    override(resolver, "both.test", 0, AF_INET, "10.0.0.9", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(resolve(resolver, loop, cases[i].host, cases[i].port, cases[i].family, &answer), 0);
        assert_string_equal(text_of(&answer, 0), cases[i].text);
    }
    resolver_close(resolver);
    end(loop);
}

static void an_override_leads_to_a_name_but_to_no_other_override(void **state)
{
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct answer answer;

    override(resolver, "a.test", 0, AF_UNSPEC, "many.test", 0);
    override(resolver, "many.test", 0, AF_UNSPEC, "10.0.0.1", 0);
    assert_int_equal(resolve(resolver, loop, "a.test", 80, AF_UNSPEC, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "192.0.2.1 80");
    assert_int_equal(resolve(NULL, loop, "many.test", 80, AF_UNSPEC, &answer), 0); /* not for others */
    assert_string_equal(text_of(&answer, 0), "192.0.2.1 80");
    resolver_close(resolver);
    end(loop);
}

static void overrides_are_checked(void **state)
{
    struct resolver *resolver = new_resolver(NULL);

    assert_int_equal(resolver_add_override(resolver, "", 0, AF_UNSPEC, "10.0.0.1", 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 65536, AF_UNSPEC, "10.0.0.1", 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 0, AF_UNIX, "10.0.0.1", 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 0, AF_UNSPEC, NULL, 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 0, AF_UNSPEC, "10.0.0.1", -1), -EINVAL);
    resolver_close(resolver);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(localhost_is_a_loopback_address),
    cmocka_unit_test(a_bad_host_is_an_error),
    cmocka_unit_test(each_address_comes_once_and_in_order),
    cmocka_unit_test(what_has_been_told_is_freed),
    cmocka_unit_test(errors_of_the_system_become_ours),
    cmocka_unit_test(what_cannot_be_asked_is_not_accepted),
    cmocka_unit_test(literals_are_answered_in_the_next_iteration),
    cmocka_unit_test(literals_of_the_other_family_are_no_host),
    cmocka_unit_test(literals_may_have_a_scope),
    cmocka_unit_test(overrides_may_differ_by_family),
    cmocka_unit_test(the_most_specific_override_wins),
    cmocka_unit_test(an_override_leads_to_a_name_but_to_no_other_override),
    cmocka_unit_test(overrides_are_checked),
};

TESTING_MAIN(tests)
