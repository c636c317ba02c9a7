#include "httpserver/httpproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "ioloop/netutil.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "tests/support/text.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum { UNIX_PATH = 108 };

static int parse_proxy(const char *bytes, size_t length, struct httpproxy_address *address)
{
    memset(address, '#', sizeof *address);
    return httpproxy_parse(guardpage_text(bytes, length), length, address);
}

static size_t wanted_length(const struct sockaddr_storage *address)
{
    switch (address->ss_family) {
    case AF_UNSPEC:
        return 0;
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        assert_int_equal(address->ss_family, AF_UNIX);
        return offsetof(struct sockaddr_un, sun_path) +
               strnlen(((const struct sockaddr_un *)address)->sun_path, UNIX_PATH);
    }
}

/* "" when the address of the socket stays. */
static void format_remote(const struct httpproxy_address *address, char text[160])
{
    text[0] = '\0';
    assert_int_equal(address->length, wanted_length(&address->remote));
    if (address->length > 0)
        netutil_format_address((const struct sockaddr *)&address->remote, address->length, text, 160);
}

/* The header is found with nothing behind it and with more; each part of it is not enough. */
static void assert_header(const char *bytes, size_t length, const char *wanted)
{
    char longer[HTTPPROXY_MAX_HEADER + 32], text[160];
    struct httpproxy_address address;

    memcpy(longer, bytes, length);
    memcpy(longer + length, "GET / HTTP/1.1\r\n\r\n", 18);
    for (size_t more = 0; more <= 18; more += 6) {
        int size = parse_proxy(longer, length + more, &address);
        if (size != (int)length)
            fail_msg("%.*s: %d", (int)length, bytes, size);
        format_remote(&address, text);
        assert_string_equal(text, wanted);
    }
    for (size_t part = 0; part < length; part++)
        if (parse_proxy(bytes, part, &address) != 0)
            fail_msg("%zu bytes of %.*s: not 0", part, (int)length, bytes);
}

/* Parts of it may be refused or not, but none is accepted, and what was refused stays so. */
static void assert_no_header(const char *bytes, size_t length)
{
    struct httpproxy_address address;
    bool is_refused = false;

    if (parse_proxy(bytes, length, &address) != -EINVAL)
        fail_msg("%.*s is not refused", (int)length, bytes);
    for (size_t part = 0; part < length; part++) {
        int size = parse_proxy(bytes, part, &address);
        assert_true(size == -EINVAL || (size == 0 && !is_refused));
        is_refused = size != 0;
    }
}

static void reads_lines_of_version_1(void **state)
{
    static const struct {
        const char *line;
        const char *remote;
    } lines[] = {
        { "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324" },
        { "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535" },
        { "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0" },
        { "PROXY TCP6 2620:0:1cfe:face:b00c::3 ::1 1 80\r\n", "[2620:0:1cfe:face:b00c::3]:1" },
        { "PROXY TCP6 FFFF::A :: 256 80\r\n", "[ffff::a]:256" },
        { "PROXY TCP6 ::ffff:1.2.3.4 ::1 9 8\r\n", "[::ffff:1.2.3.4]:9" },
        { "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
    };

    for (size_t i = 0; i < COUNT(lines); i++)
        assert_header(lines[i].line, strlen(lines[i].line), lines[i].remote);
}

static void keeps_the_address_of_the_socket_for_unknown(void **state)
{
    static const char *const lines[] = {
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \r\n",
        "PROXY UNKNOWN 1.2.3.4 5.6.7.8 9 20\r\n",
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "PROXY UNKNOWN any \x01\x80 thing\r\n",
    };

    assert_int_equal(strlen(lines[3]), HTTPPROXY_MAX_LINE);
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_header(lines[i], strlen(lines[i]), "");
}

static void refuses_what_is_no_line_of_version_1(void **state)
{
    static const struct text lines[] = {
        TEXT("GET / HTTP/1.1\r\n"),
        TEXT("P "),
        TEXT("proxy TCP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT(" PROXY TCP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXX TCP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY\tTCP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXYTCP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY\r\n"),
        TEXT("PROXY \r\n"),
        TEXT("PROXY  TCP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY tcp4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP5 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP44 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY UDP4 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY unknown\r\n"),
        TEXT("PROXY UNKNOWNS\r\n"),
        TEXT("PROXY UNKNOW\r\n"),
        TEXT("PROXY TCP4\r\n"),
        TEXT("PROXY TCP4 1.2.3.4\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 \r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8  9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 20 \r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 20 11\r\n"),
        TEXT("PROXY TCP4 1.2.3.4\t5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.256 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.04 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4\0 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8.9 9 20\r\n"),
        TEXT("PROXY TCP4 ::1 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 ::1 9 20\r\n"),
        TEXT("PROXY TCP6 1.2.3.4 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP6 ::1 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP6 ::1%lo ::1 9 20\r\n"),
        TEXT("PROXY TCP6 [::1] ::1 9 20\r\n"),
        TEXT("PROXY TCP6 1::2::3 ::1 9 20\r\n"),
        TEXT("PROXY TCP6 0000:0000:0000:0000:0000:ffff:0255.255.255.255 ::1 1 2\r\n"),
        TEXT("PROXY TCP4 localhost 5.6.7.8 9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 65536 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 09 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 00 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 +9 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 -1 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9a 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9/ 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 4294967305 20\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 20\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 20\rx"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 20\r\r\n"),
        TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 9 20\n\r\n"),
        TEXT("PROXY UNKNOWN\n"),
        TEXT("PROXY UNKNOWN a\rb\r\n"),
    };

    for (size_t i = 0; i < COUNT(lines); i++)
        assert_no_header(lines[i].bytes, lines[i].length);
}

static void refuses_lines_of_over_107_bytes(void **state)
{
    char line[200] = "PROXY UNKNOWN ";
    struct httpproxy_address address;

    memset(line + 14, 'x', sizeof line - 14);
    assert_int_equal(parse_proxy(line, HTTPPROXY_MAX_LINE - 1, &address), 0);
    assert_no_header(line, HTTPPROXY_MAX_LINE);
    memcpy(line + HTTPPROXY_MAX_LINE - 1, "\r\n", 2);
    assert_no_header(line, HTTPPROXY_MAX_LINE + 1);
    memcpy(line + HTTPPROXY_MAX_LINE - 2, "\r\n", 2);
    assert_header(line, HTTPPROXY_MAX_LINE, "");
}

/* A header of version 2 whose length is that of the rest. */
static size_t make_header(char *place, unsigned command, unsigned family, const char *rest, size_t length)
{
    memcpy(place, SIGNATURE, 12);
    place[12] = (char)command;
    place[13] = (char)family;
    place[14] = (char)(length >> 8);
    place[15] = (char)length;
    if (length > 0)
        memcpy(place + 16, rest, length);
    return 16 + length;
}

static void assert_binary(unsigned command, unsigned family, const char *rest, size_t length, const char *wanted)
{
    char header[HTTPPROXY_MAX_HEADER];

    assert_header(header, make_header(header, command, family, rest, length), wanted);
}

static void assert_no_binary(unsigned command, unsigned family, const char *rest, size_t length)
{
    char header[2 * HTTPPROXY_MAX_HEADER];

    assert_no_header(header, make_header(header, command, family, rest, length));
}

static const char ipv4[] = { 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x34, 0x56, 0x78 };
static const char ipv6[] = { 0x26, 0x20, 0, 0, 0x1c, 0xf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,   9,    9,
                             9,    9,    9, 9, 9,    9,   9, 9, 9, 9, 9, 9, 9, 9, 1, 0x1, 0x56, 0x78 };

static void reads_headers_of_version_2(void **state)
{
    char paths[2 * UNIX_PATH] = "/run/client.sock";

    assert_binary(0x21, 0x11, ipv4, sizeof ipv4, "1.2.3.4:4660");
    assert_binary(0x21, 0x12, ipv4, sizeof ipv4, "1.2.3.4:4660");
    assert_binary(0x21, 0x21, ipv6, sizeof ipv6, "[2620:0:1c0f::3]:257");
    assert_binary(0x21, 0x22, ipv6, sizeof ipv6, "[2620:0:1c0f::3]:257");
    memset(paths + UNIX_PATH, 'x', UNIX_PATH);
    assert_binary(0x21, 0x31, paths, sizeof paths, "unix:/run/client.sock");
    assert_binary(0x21, 0x32, paths, sizeof paths, "unix:/run/client.sock");
    paths[0] = '\0';
    assert_binary(0x21, 0x31, paths, sizeof paths, "unix:");
}

static void reads_a_path_without_an_end(void **state)
{
    struct httpproxy_address address;
    char paths[2 * UNIX_PATH], header[16 + sizeof paths], text[160];

    memset(paths, 'p', UNIX_PATH);
    memset(paths + UNIX_PATH, 'x', UNIX_PATH);
    size_t length = make_header(header, 0x21, 0x31, paths, sizeof paths);
    assert_int_equal(parse_proxy(header, length, &address), length);
    format_remote(&address, text);
    assert_int_equal(strspn(text + strlen("unix:"), "p"), strlen(text) - strlen("unix:"));
    assert_true(strlen(text) > 100);
}

static void keeps_the_address_of_the_socket_for_local_and_unspecified(void **state)
{
    assert_binary(0x20, 0x00, NULL, 0, "");
    assert_binary(0x20, 0x11, ipv4, sizeof ipv4, "");
    assert_binary(0x20, 0x11, NULL, 0, "");
    assert_binary(0x20, 0xff, ipv6, sizeof ipv6, ""); /* the family is to be ignored */
    assert_binary(0x21, 0x00, NULL, 0, "");
    assert_binary(0x21, 0x00, ipv4, sizeof ipv4, "");
}

static void skips_what_follows_the_addresses(void **state)
{
    char rest[216 + 4096] = { 0 };

    memcpy(rest, ipv4, sizeof ipv4);
    assert_binary(0x21, 0x11, rest, sizeof ipv4 + 1, "1.2.3.4:4660");
    assert_binary(0x21, 0x11, rest, 300, "1.2.3.4:4660");
    assert_binary(0x21, 0x11, rest, sizeof rest, "1.2.3.4:4660");
    assert_binary(0x20, 0x00, rest, sizeof rest, "");
}

static void refuses_what_is_no_header_of_version_2(void **state)
{
    static const unsigned families[] = { 0x01, 0x02, 0x10, 0x13, 0x14, 0x20, 0x23, 0x30, 0x33, 0x41, 0x51, 0xf1, 0xff };
    char rest[216 + 4096 + 1] = { 0 }, header[32];

    for (size_t i = 0; i < COUNT(families); i++)
        assert_no_binary(0x21, families[i], rest, 216);
    for (unsigned command = 0; command < 0x100; command++)
        if (command != 0x20 && command != 0x21)
            assert_no_binary(command, 0x11, ipv4, sizeof ipv4);
    for (size_t at = 0; at < 12; at++) {
        size_t length = make_header(header, 0x21, 0x11, ipv4, sizeof ipv4);
        header[at] ^= 1;
        assert_no_header(header, length);
    }
    assert_no_binary(0x21, 0x11, rest, sizeof ipv4 - 1);
    assert_no_binary(0x21, 0x12, rest, 0);
    assert_no_binary(0x21, 0x21, rest, sizeof ipv6 - 1);
    assert_no_binary(0x21, 0x31, rest, 215);
}

static void refuses_headers_over_the_limit_before_they_have_come(void **state)
{
    char rest[216 + 4096 + 1] = { 0 }, header[16 + sizeof rest];
    struct httpproxy_address address;

    assert_no_binary(0x21, 0x11, rest, sizeof rest);
    assert_no_binary(0x20, 0x00, rest, sizeof rest);
    make_header(header, 0x21, 0x11, rest, sizeof rest);
    assert_int_equal(parse_proxy(header, 16, &address), -EINVAL);
    memset(header + 14, 0xff, 2);
    assert_int_equal(parse_proxy(header, 16, &address), -EINVAL);
}

struct forwarding {
    const char *forwarded_for;
    const char *real_ip;
    const char *wanted; /* NULL: the address of the socket stays */
};

static void assert_forwarding(const struct forwarding *it, const char *const *trusted, size_t trusted_count)
{
    const char *forwarded_for =
        it->forwarded_for != NULL ? guardpage_text(it->forwarded_for, strlen(it->forwarded_for) + 1) : NULL;
    char *place = guardpage_place(INET6_ADDRSTRLEN);

    if (httpproxy_forwarded_ip(forwarded_for, it->real_ip, trusted, trusted_count, place)) {
        if (it->wanted == NULL || strcmp(place, it->wanted) != 0)
            fail_msg("%s, %s: %s", it->forwarded_for, it->real_ip, place);
    } else {
        if (it->wanted != NULL)
            fail_msg("%s, %s: none", it->forwarded_for, it->real_ip);
        assert_int_equal(place[0], '#');
    }
}

/* The fields of Tornado's test_ip_headers, and more. */
static void takes_the_last_forwarded_address(void **state)
{
    static const struct forwarding forwardings[] = {
        { NULL, NULL, NULL },
        { NULL, "4.4.4.4", "4.4.4.4" },
        { "127.0.0.1, 4.4.4.4", NULL, "4.4.4.4" },
        { NULL, "2620:0:1cfe:face:b00c::3", "2620:0:1cfe:face:b00c::3" },
        { "::1, 2620:0:1cfe:face:b00c::3", NULL, "2620:0:1cfe:face:b00c::3" },
        { NULL, "4.4.4.4<script>", NULL },
        { "4.4.4.4, 5.5.5.5<script>", NULL, NULL },
        { NULL, "www.google.com", NULL },
        { "4.4.4.4", NULL, "4.4.4.4" },
        { "4.4.4.4,5.5.5.5", NULL, "5.5.5.5" },
        { " \t4.4.4.4\t ", NULL, "4.4.4.4" },
        { "5.5.5.5 , \t4.4.4.4\t ", NULL, "4.4.4.4" },
        { "4.4.4.4", "5.5.5.5", "5.5.5.5" }, /* X-Real-Ip wins */
        { "4.4.4.4", "", NULL },
        { "4.4.4.4", "junk", NULL },
        { NULL, "5.5.5.5, 4.4.4.4", NULL },
        { "", NULL, NULL },
        { ",", NULL, NULL },
        { "4.4.4.4,", NULL, NULL },
        { "4.4.4.4, ", NULL, NULL },
        { "4.4.4.4 5.5.5.5", NULL, NULL },
        { "unknown", NULL, NULL },
        { "_hidden", NULL, NULL },
        { "4.4.4.4:80", NULL, NULL },
        { "[::1]", NULL, NULL },
        { "\"4.4.4.4\"", NULL, NULL },
        { "04.4.4.4", NULL, NULL },
        { "4.4.4", NULL, NULL },
        { "0x4.4.4.4", NULL, NULL },
        { "FFFF:0:0::0A", NULL, "ffff::a" },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.255", NULL, "::ffff:255.255.255.255" },
        { "0000:0000:0000:0000:0000:ffff:0255.255.255.255", NULL, NULL },
        { "1111111111111111111111111111111111111111111111111111111", NULL, NULL },
    };

    for (size_t i = 0; i < COUNT(forwardings); i++)
        assert_forwarding(&forwardings[i], NULL, 0);
}

/* The fields of Tornado's test_trusted_downstream, and more. */
static void passes_over_trusted_proxies_from_the_right(void **state)
{
    static const char *const trusted[] = { "5.5.5.5", "junk", "::00a0" };
    static const struct forwarding forwardings[] = {
        { "4.4.4.4, 5.5.5.5", NULL, "4.4.4.4" },
        { "4.4.4.4,5.5.5.5,5.5.5.5", NULL, "4.4.4.4" },
        { "3.3.3.3, 4.4.4.4, 5.5.5.5", NULL, "4.4.4.4" },
        { "5.5.5.5, 4.4.4.4", NULL, "4.4.4.4" },
        { "5.5.5.5, 4.4.4.4, 5.5.5.5", NULL, "4.4.4.4" },
        { "4.4.4.4 , ::a0 , 0:0::00A0", NULL, "4.4.4.4" }, /* however they are written */
        { "5.5.5.5", NULL, "5.5.5.5" },
        { "5.5.5.5, 5.5.5.5", NULL, "5.5.5.5" },
        { "::a0, 5.5.5.5", NULL, "::a0" },
        { "4.4.4.4, junk", NULL, NULL },
        { "4.4.4.4, junk, 5.5.5.5", NULL, NULL },
        { ", 5.5.5.5", NULL, NULL },
        { "4.4.4.4, , 5.5.5.5", NULL, NULL },
        { "4.4.4.4, 5.5.5.55", NULL, "5.5.5.55" },
        { "4.4.4.4, 505:505::", NULL, "505:505::" }, /* the bytes of 5.5.5.5, another family */
        { "4.4.4.4", "5.5.5.5", "5.5.5.5" },
    };

    for (size_t i = 0; i < COUNT(forwardings); i++)
        assert_forwarding(&forwardings[i], trusted, COUNT(trusted));
}

static void looks_at_no_more_than_64_hops(void **state)
{
    static const char *const trusted[] = { "5.5.5.5" };
    char list[8 * (HTTPPROXY_MAX_HOPS + 2)];

    for (int proxies = 0; proxies <= HTTPPROXY_MAX_HOPS; proxies++) {
        size_t length = (size_t)snprintf(list, sizeof list, "4.4.4.4");
        for (int i = 0; i < proxies; i++)
            length += (size_t)snprintf(list + length, sizeof list - length, ",5.5.5.5");
        assert_forwarding(&(struct forwarding){ list, NULL, proxies < HTTPPROXY_MAX_HOPS ? "4.4.4.4" : NULL }, trusted,
                          1);
    }
}

static void assert_scheme(const char *x_scheme, const char *x_forwarded_proto, const char *wanted)
{
    const char *scheme = httpproxy_scheme(x_scheme, x_forwarded_proto);

    if ((scheme == NULL) != (wanted == NULL))
        fail_msg("%s, %s: %s", x_scheme, x_forwarded_proto, scheme);
    if (scheme != NULL)
        assert_string_equal(scheme, wanted);
}

/* The fields of Tornado's test_scheme_headers, and more. */
static void takes_the_last_scheme_if_it_is_one(void **state)
{
    assert_scheme(NULL, NULL, NULL);
    assert_scheme("https", NULL, "https");
    assert_scheme(NULL, "https", "https");
    assert_scheme(NULL, "https,http", "http");
    assert_scheme(NULL, "http,https", "https");
    assert_scheme(NULL, "http , \thttps\t ", "https");
    assert_scheme("unknown", NULL, NULL);
    assert_scheme(NULL, "unknown", NULL);
    assert_scheme("http", NULL, "http");
    assert_scheme("http", "https", "http"); /* X-Scheme wins */
    assert_scheme("unknown", "https", NULL);
    assert_scheme("", "https", NULL);
    assert_scheme(NULL, "https,", NULL);
    assert_scheme(NULL, "https, junk", NULL);
    assert_scheme(NULL, "http https", NULL);
    assert_scheme(NULL, "https, http ", "http");
    assert_scheme(NULL, "httpx", NULL);
    assert_scheme(NULL, "htt", NULL);
    assert_scheme(NULL, "HTTPS", NULL);
    assert_scheme(NULL, "https\r\nX: y", NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_lines_of_version_1),
    cmocka_unit_test(keeps_the_address_of_the_socket_for_unknown),
    cmocka_unit_test(refuses_what_is_no_line_of_version_1),
    cmocka_unit_test(refuses_lines_of_over_107_bytes),
    cmocka_unit_test(reads_headers_of_version_2),
    cmocka_unit_test(reads_a_path_without_an_end),
    cmocka_unit_test(keeps_the_address_of_the_socket_for_local_and_unspecified),
    cmocka_unit_test(skips_what_follows_the_addresses),
    cmocka_unit_test(refuses_what_is_no_header_of_version_2),
    cmocka_unit_test(refuses_headers_over_the_limit_before_they_have_come),
    cmocka_unit_test(takes_the_last_forwarded_address),
    cmocka_unit_test(passes_over_trusted_proxies_from_the_right),
    cmocka_unit_test(looks_at_no_more_than_64_hops),
    cmocka_unit_test(takes_the_last_scheme_if_it_is_one),
};

TESTING_MAIN(tests)
