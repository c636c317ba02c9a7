#include "httpserver/httpaddresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

static union address ipv4(const char *ip, uint16_t port)
{
    union address address;

    memset(&address, 0, sizeof address);
    address.in.sin_family = AF_INET;
    address.in.sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, ip, &address.in.sin_addr), 1);
    return address;
}

static union address ipv6(const char *ip, uint16_t port, uint32_t scope)
{
    union address address;

    memset(&address, 0, sizeof address);
    address.in6.sin6_family = AF_INET6;
    address.in6.sin6_port = htons(port);
    address.in6.sin6_scope_id = scope;
    assert_int_equal(inet_pton(AF_INET6, ip, &address.in6.sin6_addr), 1);
    return address;
}

static void assert_kept(const struct httpaddresses *addresses, int fd, const union address *address, socklen_t length)
{
    struct sockaddr_storage found;

    memset(&found, 0xff, sizeof found);
    assert_int_equal(httpaddresses_find(addresses, fd, &found), length);
    assert_memory_equal(&found, &address->room, sizeof found);
}

static void assert_unknown(const struct httpaddresses *addresses, int fd)
{
    static const union address nothing;

    assert_kept(addresses, fd, &nothing, 0);
}

static void addresses_of_ip_are_kept_as_they_are(void **state)
{
    struct httpaddresses addresses = { 0 };
    union address first = ipv4("192.0.2.1", 1), last = ipv4("255.255.255.255", 65535);
    union address global = ipv6("2001:db8::ff", 80, 0), local = ipv6("fe80::1", 65535, 0xfedcba98);

    httpaddresses_keep(&addresses, 0, &first.any, sizeof first.in);
    httpaddresses_keep(&addresses, 1, &last.any, sizeof last.in);
    httpaddresses_keep(&addresses, 2, &global.any, sizeof global.in6);
    httpaddresses_keep(&addresses, 3, &local.any, sizeof local.in6);
    assert_kept(&addresses, 0, &first, sizeof first.in);
    assert_kept(&addresses, 1, &last, sizeof last.in);
    assert_kept(&addresses, 2, &global, sizeof global.in6);
    assert_kept(&addresses, 3, &local, sizeof local.in6);
    httpaddresses_free(&addresses);
}

static void of_unix_sockets_those_without_a_path_are(void **state)
{
    struct httpaddresses addresses = { 0 };
    union address address;

    memset(&address, 0, sizeof address);
    address.un.sun_family = AF_UNIX;
    httpaddresses_keep(&addresses, 5, &address.any, offsetof(struct sockaddr_un, sun_path));
    assert_kept(&addresses, 5, &address, offsetof(struct sockaddr_un, sun_path));
    strcpy(address.un.sun_path, "/path");
    httpaddresses_keep(&addresses, 5, &address.any, sizeof address.un);
    assert_unknown(&addresses, 5);
    httpaddresses_free(&addresses);
}

static void what_is_none_or_another_is_not_known(void **state)
{
    struct httpaddresses addresses = { 0 };
    union address address = ipv4("192.0.2.1", 1);

    assert_unknown(&addresses, 0);
    assert_unknown(&addresses, -1);
    httpaddresses_keep(&addresses, 7, &address.any, sizeof address.in);
    assert_unknown(&addresses, 6);
    assert_unknown(&addresses, 8);
    assert_unknown(&addresses, 1000000);
    httpaddresses_keep(&addresses, 7, &address.any, 0); /* what was there is another's */
    assert_unknown(&addresses, 7);
    httpaddresses_keep(&addresses, 7, &address.any, sizeof address.in - 1);
    assert_unknown(&addresses, 7);
    httpaddresses_free(&addresses);
    assert_unknown(&addresses, 7);
}

static void it_grows_by_half_and_keeps_the_others(void **state)
{
    struct httpaddresses addresses = { 0 };
    union address each;

    faults_allocated();
    long allocations = faults_allocations();
    for (int fd = 3; fd < 2000; fd++) {
        each = ipv4("192.0.2.1", (uint16_t)fd);
        httpaddresses_keep(&addresses, fd, &each.any, sizeof each.in);
        assert_true(addresses.count > fd && addresses.count < 64 + fd * 3 / 2);
    }
    assert_in_range(faults_allocations() - allocations, 5, 12);
    assert_in_range(faults_allocated_bytes(), 2000 * 24, 3000 * 24 + 64);
    for (int fd = 3; fd < 2000; fd++) {
        each = ipv4("192.0.2.1", (uint16_t)fd);
        assert_kept(&addresses, fd, &each, sizeof each.in);
    }
    for (int fd = 2000; fd < addresses.count; fd++)
        assert_unknown(&addresses, fd);
    httpaddresses_free(&addresses);
}

static void without_memory_nothing_is_kept_and_nothing_lost(void **state)
{
    struct httpaddresses addresses = { 0 };
    union address address = ipv4("192.0.2.1", 1);

    faults_allocation(1, false);
    httpaddresses_keep(&addresses, 7, &address.any, sizeof address.in);
    assert_true(faults_hit());
    assert_unknown(&addresses, 7);
    httpaddresses_keep(&addresses, 7, &address.any, sizeof address.in);
    faults_allocation(1, false);
    httpaddresses_keep(&addresses, 70000, &address.any, sizeof address.in);
    assert_true(faults_hit());
    assert_unknown(&addresses, 70000);
    assert_kept(&addresses, 7, &address, sizeof address.in);
    httpaddresses_free(&addresses);
    faults_end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(addresses_of_ip_are_kept_as_they_are),
    cmocka_unit_test(of_unix_sockets_those_without_a_path_are),
    cmocka_unit_test(what_is_none_or_another_is_not_known),
    cmocka_unit_test(it_grows_by_half_and_keeps_the_others),
    cmocka_unit_test(without_memory_nothing_is_kept_and_nothing_lost),
};

TESTING_MAIN(tests)
