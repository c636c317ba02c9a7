/* Addresses as texts, and which texts are addresses. */
#include "ioloop/netutil.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "tests/support/testing.h"

/* netutil_test:test_is_valid_ip */
static void knows_literal_addresses_from_all_else(void **state)
{
    static const char *const valid[] = { "127.0.0.1", "4.4.4.4", "::1", "2620:0:1cfe:face:b00c::3" };
    static const char *const invalid[] = {
        "www.google.com", "localhost", "4.4.4.4<", " 127.0.0.1", "127.0.0.1 ", "", " ", "\n", "1",
        "127.1",          "1.2.3.256", "::1%lo",   "[::1]",      ":::"
    };
    char endless[101] = "";

    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        assert_true(netutil_is_valid_ip(valid[i]));
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        assert_false(netutil_is_valid_ip(invalid[i]));
    assert_false(netutil_is_valid_ip(memset(endless, 'a', 100)));
    assert_false(netutil_is_valid_ip(NULL));
}

static void assert_formatted(const void *address, size_t length, const char *text)
{
    char buffer[128];

    assert_int_equal(netutil_format_address(address, (socklen_t)length, buffer, sizeof buffer), strlen(text));
    assert_string_equal(buffer, text);
}

static void formats_addresses_of_each_family(void **state)
{
    struct sockaddr_in inet = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x7f000001) };
    struct sockaddr_in6 inet6 = { .sin6_family = AF_INET6, .sin6_port = htons(65535), .sin6_addr = in6addr_loopback };
    struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/tmp/x" };
    struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0name\n" };
    size_t start = offsetof(struct sockaddr_un, sun_path);
    struct sockaddr unknown = { .sa_family = AF_UNSPEC };

    assert_formatted(&inet, sizeof inet, "127.0.0.1:80");
    assert_formatted(&inet6, sizeof inet6, "[::1]:65535");
    inet6.sin6_scope_id = 7;
    assert_formatted(&inet6, sizeof inet6, "[::1%7]:65535");
    assert_formatted(&path, sizeof path, "unix:/tmp/x");
    assert_formatted(&path, start + 4, "unix:/tmp"); /* without a NUL at its end */
    assert_formatted(&path, start, "unix:");
    assert_formatted(&abstract, start + 6, "unix:@name?");
    assert_formatted(&unknown, sizeof unknown, "");
    assert_formatted(&inet, 0, "");
    assert_int_equal(netutil_port((struct sockaddr *)&inet), 80);
    assert_int_equal(netutil_port((struct sockaddr *)&inet6), 65535);
    assert_int_equal(netutil_port((struct sockaddr *)&path), 0);
    assert_int_equal(netutil_bound_port(-1), 0);
    char ip[NETUTIL_IP_SIZE];
    assert_string_equal(netutil_format_ip((struct sockaddr *)&inet, ip), "127.0.0.1");
    assert_string_equal(netutil_format_ip((struct sockaddr *)&inet6, ip), "::1");
    assert_string_equal(netutil_format_ip((struct sockaddr *)&path, ip), "0.0.0.0");
    assert_string_equal(netutil_format_ip(&unknown, ip), "");
}

static void cuts_an_address_that_does_not_fit(void **state)
{
    struct sockaddr_in inet = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
    char buffer[6] = "?????";

    assert_int_equal(netutil_format_address((struct sockaddr *)&inet, sizeof inet, buffer, 4), 3);
    assert_string_equal(buffer, "127");
    assert_int_equal(netutil_format_address((struct sockaddr *)&inet, sizeof inet, buffer, 0), 0);
    assert_string_equal(buffer, "127");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(knows_literal_addresses_from_all_else),
    cmocka_unit_test(formats_addresses_of_each_family),
    cmocka_unit_test(cuts_an_address_that_does_not_fit),
};

TESTING_MAIN(tests)
