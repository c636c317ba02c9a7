#include "httpclient/httprequesthead.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/http1parser.h"
#include "ioloop/ioalloc.h"
#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct httpurl parsed(const char *text)
{
    struct httpurl url;

    assert_int_equal(httpurl_parse(text, strlen(text), &url), 0);
    return url;
}

/* Formats into exactly the room that it takes, at a guard page, and into less, where nothing is to be written behind.
 */
static const char *formatted(struct httprequesthead *head)
{
    static char text[70000];
    ssize_t length = httprequesthead_format(head, NULL, 0);

    assert_true(length > 0 && (size_t)length < sizeof text);
    for (size_t size = 0; size < (size_t)length && size < 100; size++)
        assert_int_equal(httprequesthead_format(head, guardpage_place(size), size), length);
    char *place = guardpage_place((size_t)length);
    assert_int_equal(httprequesthead_format(head, place, (size_t)length), length);
    memcpy(text, place, (size_t)length);
    text[length] = '\0';
    return text;
}

static void assert_formatted(struct httprequesthead head, const char *url_text, const char *wanted)
{
    struct httpurl url = parsed(url_text);

    head.url = &url;
    if (head.method == NULL)
        head.method = "GET";
    assert_string_equal(formatted(&head), wanted);
}

static void assert_refused(struct httprequesthead head, const char *url_text)
{
    struct httpurl url = parsed(url_text);
    char place[1024];

    head.url = &url;
    assert_int_equal(httprequesthead_format(&head, place, sizeof place), -EINVAL);
    assert_int_equal(httprequesthead_format(&head, NULL, 0), -EINVAL);
}

#define HEAD(...)                                                                                                      \
    (struct httprequesthead)                                                                                           \
    {                                                                                                                  \
        .method = "GET", __VA_ARGS__                                                                                   \
    }

/* The request line, and Host. */

/* simple_httpclient_test:test_host_header; httpclient_test:test_credentials_in_url (F2) */
static void asks_for_path_and_query_of_a_host(void **state)
{
    static const char *const rows[][3] = {
        { "http://a/", "/", "a" },
        { "http://a", "/", "a" },
        { "http://a?b", "/?b", "a" },
        { "http://a/?", "/?", "a" },
        { "http://a#b", "/", "a" },
        { "http://a/b/../c;d?e=%20&f?g#h", "/b/../c;d?e=%20&f?g", "a" },
        { "http://a//b", "//b", "a" },
        { "http://a:80/", "/", "a" },
        { "http://a:/", "/", "a" },
        { "http://a:0080/", "/", "a" },
        { "http://a:8080/", "/", "a:8080" },
        { "http://a:08080/", "/", "a:8080" },
        { "http://a:443/", "/", "a:443" },
        { "http://a:65535/", "/", "a:65535" },
        { "http://a:1/", "/", "a:1" },
        { "https://a/", "/", "a" },
        { "https://a:443/", "/", "a" },
        { "HTTPS://a:443/", "/", "a" },
        { "https://a:80/", "/", "a:80" },
        { "ws://a:80/", "/", "a" },
        { "wss://a:443/", "/", "a" },
        { "http://[::1]/", "/", "[::1]" },
        { "http://[::1]:81/", "/", "[::1]:81" },
        { "http://u:p%40x@h/", "/", "h" },
        { "http://u@h:81/x", "/x", "h:81" },
    };
    char wanted[256];

    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(wanted, sizeof wanted, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i][1], rows[i][2]);
        assert_formatted(HEAD(0), rows[i][0], wanted);
    }
}

/* RFC 9112 3.2.2 */
static void asks_a_proxy_for_the_whole_url(void **state)
{
    static const char *const rows[][3] = {
        { "http://a/b?c#d", "http://a/b?c", "a" },  { "http://a", "http://a/", "a" },
        { "http://a?b", "http://a/?b", "a" },       { "http://a:80/", "http://a/", "a" },
        { "http://a:81/", "http://a:81/", "a:81" }, { "HTTP://a/", "http://a/", "a" },
        { "https://a/", "https://a/", "a" },        { "ws://a:80/", "http://a/", "a" },
        { "wss://a/", "https://a/", "a" },          { "http://[::1]:81/", "http://[::1]:81/", "[::1]:81" },
        { "http://u:p@a/b", "http://a/b", "a" },
    };
    char wanted[256];

    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(wanted, sizeof wanted, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i][1], rows[i][2]);
        assert_formatted(HEAD(.target = HTTPREQUESTHEAD_ABSOLUTE), rows[i][0], wanted);
    }
}

/* RFC 9112 3.2.3 */
static void asks_a_proxy_for_a_tunnel(void **state)
{
    const struct httprequesthead connect = { .method = "CONNECT",
                                             .target = HTTPREQUESTHEAD_AUTHORITY,
                                             .proxy_authorization = "Basic eA==" };

    assert_formatted(connect, "https://u:p@a/b",
                     "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Authorization: Basic eA==\r\n\r\n");
    assert_formatted(connect, "ws://[::1]:8080",
                     "CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\nProxy-Authorization: Basic eA==\r\n\r\n");
}

/* B4 */
static void refuses_methods_that_are_no_tokens(void **state)
{
    static const char *const methods[] = {
        "",     " ",     "GET ", " GET",  "GET / HTTP/1.1\r\nX: y\r\n\r\n",    "G\xc3\x89T",
        "GET/", "GET\n", "G:T",  "(GET)", "a-method-of-thirty-three-letters!",
    };

    for (size_t i = 0; i < COUNT(methods); i++)
        assert_refused((struct httprequesthead){ .method = methods[i] }, "http://a/");
    for (int byte = 1; byte < 256; byte++) {
        const char method[] = { 'G', (char)byte, '\0' };
        bool is_token = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        strchr("!#$%&'*+-.^_`|~", byte) != NULL;
        struct httpurl url = parsed("http://a/");
        struct httprequesthead head = { .method = method, .url = &url };
        assert_int_equal(httprequesthead_format(&head, NULL, 0) > 0, is_token);
    }
    assert_formatted((struct httprequesthead){ .method = "a-method-of-thirty-two-letters-!" }, "http://a/",
                     "a-method-of-thirty-two-letters-! / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void only_connect_asks_for_an_authority(void **state)
{
    assert_refused((struct httprequesthead){ .method = "CONNECT" }, "http://a/");
    assert_refused((struct httprequesthead){ .method = "CONNECT", .target = HTTPREQUESTHEAD_ABSOLUTE }, "http://a/");
    assert_refused(HEAD(.target = HTTPREQUESTHEAD_AUTHORITY), "http://a/");
    assert_formatted((struct httprequesthead){ .method = "CONNECTS" }, "http://a/",
                     "CONNECTS / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void refuses_urls_that_lead_to_no_server(void **state)
{
    assert_refused(HEAD(0), "/a");
    assert_refused(HEAD(0), "http:a");
    assert_refused(HEAD(0), "http://a:0/");
    assert_refused(HEAD(0), "x://a/");
    assert_refused(HEAD(0), "file:///a");
}

/* Headers. */

/* Lines "Name: value\n" as headers. */
static struct httpheaders headers_of(const char *lines)
{
    struct httpheaders headers = { 0 };

    while (*lines != '\0') {
        const char *colon = strchr(lines, ':'), *end = strchr(lines, '\n');
        assert_int_equal(
            httpheaders_add_bytes(&headers, lines, (size_t)(colon - lines), colon + 1, (size_t)(end - colon - 1)), 0);
        lines = end + 1;
    }
    return headers;
}

/* A "\n" of what is wanted stands for "\r\n". */
static void assert_lines(struct httprequesthead head, const char *lines, const char *wanted)
{
    struct httpheaders headers = headers_of(lines), before = headers_of(lines);
    struct httpurl url = parsed("http://a/");
    static char text[70000];
    char *place = text;

    head.url = &url;
    head.headers = &headers;
    for (const char *from = formatted(&head); *from != '\0'; from++)
        if (*from != '\r')
            *place++ = *from;
    *place = '\0';
    assert_int_equal(head.closes, !head.upgrade && strstr(text, "\nConnection: close\n") != NULL);
    static const char begin[] = "GET / HTTP/1.1\nHost: a\n";
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_string_equal(text + sizeof begin - 1, wanted);
    assert_int_equal(httpheaders_count(&headers), httpheaders_count(&before));
    httpheaders_free(&headers);
    httpheaders_free(&before);
}

/* simple_httpclient_test:test_header_reuse: they are not modified. */
static void sends_the_programs_headers(void **state)
{
    assert_lines(HEAD(0), "A: b\nc-D:\nA: \xc3\xa9\t\"x\"\n", "A: b\nc-D: \nA: \xc3\xa9\t\"x\"\n\n");
    assert_lines(HEAD(0), "", "\n");
}

static void leaves_out_what_is_the_clients(void **state)
{
    assert_lines(HEAD(0), "Content-Length: 5\ncontent-length: 6\nTransfer-Encoding: chunked\n", "\n");
    assert_lines(HEAD(0), "Upgrade: websocket\nConnection: upgrade\n", "\n");
    assert_lines(HEAD(0), "Hosts: a\nContent_Length: 5\nX-Host: b\nConnections: close\nXost: c\n",
                 "Hosts: a\nContent_Length: 5\nX-Host: b\nConnections: close\nXost: c\n\n");
}

static void assert_host(struct httprequesthead head, const char *lines, const char *wanted)
{
    struct httpheaders headers = headers_of(lines);
    struct httpurl url = parsed("http://a/");
    char text[512], begin[128];

    head.url = &url;
    head.headers = &headers;
    ssize_t length = httprequesthead_format(&head, text, sizeof text - 1);
    httpheaders_free(&headers);
    if (wanted == NULL) {
        if (length != -EINVAL)
            fail_msg("%s is sent", lines);
        return;
    }
    assert_in_range(length, 1, sizeof text - 1);
    text[length] = '\0';
    snprintf(begin, sizeof begin, " HTTP/1.1\r\nHost: %s\r\nA: b\r\n\r\n", wanted);
    assert_string_equal(strstr(text, " HTTP/1.1"), begin);
}

static void a_host_of_the_program_wins_if_it_is_one(void **state)
{
    static const struct {
        const char *lines, *host; /* NULL: it cannot be sent */
    } rows[] = {
        { "Host: b\nA: b\n", "b" },
        { "A: b\nhOST: b.example:65535\n", "b.example:65535" },
        { "Host: 127.0.0.1:1\nA: b\n", "127.0.0.1:1" },
        { "Host: [::1]\nA: b\n", "[::1]" },
        { "Host: [::1]:8080\nA: b\n", "[::1]:8080" },
        { "Host: b\nA: b\nHOST: b\n", NULL },
        { "Host:\n", NULL },
        { "Host: b:\n", NULL },
        { "Host: [::1]:\n", NULL },
        { "Host: b:0\n", NULL },
        { "Host: b:65536\n", NULL },
        { "Host: b:000080\n", NULL },
        { "Host: b:x\n", NULL },
        { "Host: :80\n", NULL },
        { "Host: b c\n", NULL },
        { "Host: b, c\n", NULL },
        { "Host: b/c\n", NULL },
        { "Host: user@b\n", NULL },
        { "Host: http://b\n", NULL },
        { "Host: ::1\n", NULL },
        { "Host: [::1\n", NULL },
        { "Host: \xc3\xa9\n", NULL },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_host(HEAD(0), rows[i].lines, rows[i].host);
}

/* RFC 9112 3.2.2, 3.2.3 */
static void a_target_with_an_authority_has_the_same_host(void **state)
{
    assert_host(HEAD(.target = HTTPREQUESTHEAD_ABSOLUTE), "Host: b\nA: b\nHost: c\n", "a");
    struct httprequesthead connect = HEAD(.target = HTTPREQUESTHEAD_AUTHORITY);
    connect.method = "CONNECT";
    assert_host(connect, "Host: b\nA: b\n", "a:80");
}

static void connection_close_counts_as_close(void **state)
{
    static const char *const closes[] = { "close", "Close", "a, close", "close,b", ",CLOSE ,", "a\tclose" };
    static const char *const others[] = { "", "keep-alive", "closed", "clos", "xclose", "close-x", "a,b, ,c" };
    char line[64];

    for (size_t i = 0; i < COUNT(closes); i++) {
        snprintf(line, sizeof line, "Connection: %s\n", closes[i]);
        assert_lines(HEAD(0), line, "Connection: close\n\n");
        assert_lines(HEAD(.close = true), line, "Connection: close\n\n");
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        snprintf(line, sizeof line, "Connection: %s\n", others[i]);
        assert_lines(HEAD(0), line, "\n");
        assert_lines(HEAD(.close = true), line, "Connection: close\n\n");
    }
    assert_lines(HEAD(0), "Connection: a\nConnection: close\nConnection: b\n", "Connection: close\n\n");
}

static void an_upgrade_has_its_own_connection(void **state)
{
    assert_lines(HEAD(.upgrade = true), "Upgrade: websocket\nConnection: Upgrade\nHost: a\nContent-Length: 1\n",
                 "Upgrade: websocket\nConnection: Upgrade\n\n");
    assert_lines(HEAD(.upgrade = true, .close = true), "Connection: Upgrade, close\nUpgrade: x\n",
                 "Connection: Upgrade, close\nUpgrade: x\n\n");
}

/* simple_httpclient_test:test_default_user_agent */
static void adds_what_the_programs_headers_lack(void **state)
{
    assert_lines(HEAD(.user_agent = "ioloop"), "", "User-Agent: ioloop\n\n");
    assert_lines(HEAD(.user_agent = "ioloop"), "user-agent: mine\n", "user-agent: mine\n\n");
    assert_lines(HEAD(.user_agent = "ioloop"), "User-Agent:\n", "User-Agent: \n\n");
    assert_lines(HEAD(.user_agent = "ioloop"), "User-Agens: x\n", "User-Agens: x\nUser-Agent: ioloop\n\n");
    assert_lines(HEAD(.content_type = "a/b"), "", "Content-Type: a/b\n\n");
    assert_lines(HEAD(.content_type = "a/b"), "CONTENT-TYPE: c/d\n", "CONTENT-TYPE: c/d\n\n");
    assert_lines(HEAD(.content_type = "a/b"), "Content-Typo: c\n", "Content-Typo: c\nContent-Type: a/b\n\n");
    assert_lines(HEAD(.accept_gzip = true), "Accept-Encodinx: br\n", "Accept-Encodinx: br\nAccept-Encoding: gzip\n\n");
    assert_lines(HEAD(.accept_gzip = true), "", "Accept-Encoding: gzip\n\n");
    assert_lines(HEAD(.accept_gzip = true), "Accept-Encoding: br\n", "Accept-Encoding: br\n\n");
}

static void what_the_request_says_wins(void **state)
{
    assert_lines(HEAD(.authorization = "Basic x"), "Authorization: y\nAuthorization: z\n",
                 "Authorization: Basic x\n\n");
    assert_lines(HEAD(0), "Authorization: y\n", "Authorization: y\n\n");
    assert_lines(HEAD(.if_modified_since = "Sat"), "If-Modified-Since: Sun\n", "If-Modified-Since: Sat\n\n");
    assert_lines(HEAD(0), "If-Modified-Since: Sun\n", "If-Modified-Since: Sun\n\n");
    assert_lines(HEAD(.expect_continue = true), "Expect: x\n", "Expect: 100-continue\n\n");
    assert_lines(HEAD(0), "Expect: x\n", "Expect: x\n\n");
}

/* F1: what is meant for a proxy goes to no server. */
static void what_is_for_a_proxy_is_said_by_the_request_alone(void **state)
{
    assert_lines(HEAD(.proxy_authorization = "Basic x"), "Proxy-Authorization: y\n",
                 "Proxy-Authorization: Basic x\n\n");
    assert_lines(HEAD(0), "Proxy-Authorization: y\nPROXY-AUTHORIZATION: z\n", "\n");
    assert_lines(HEAD(.upgrade = true), "Proxy-Authorization: y\n", "\n");
    assert_lines(HEAD(0), "Proxy-Authorizatiom: y\nProxy-Connection: z\n",
                 "Proxy-Authorizatiom: y\nProxy-Connection: z\n\n");
}

static void says_how_the_body_is_framed(void **state)
{
    assert_lines(HEAD(.body = HTTPREQUESTHEAD_LENGTH), "", "Content-Length: 0\n\n");
    assert_lines(HEAD(.body = HTTPREQUESTHEAD_LENGTH, .content_length = 10), "Content-Length: 11\n",
                 "Content-Length: 10\n\n");
    assert_lines(HEAD(.body = HTTPREQUESTHEAD_LENGTH, .content_length = UINT64_MAX), "",
                 "Content-Length: 18446744073709551615\n\n");
    assert_lines(HEAD(.body = HTTPREQUESTHEAD_CHUNKED), "Transfer-Encoding: gzip\n", "Transfer-Encoding: chunked\n\n");
    assert_lines(HEAD(.content_length = 5), "", "\n");
}

/* B1, B6; httpclient_test:test_header_crlf is of httpheaders.h */
static void refuses_values_that_are_not_in_one_line(void **state)
{
    static const char *const values[] = { "a\r\nX: y", "a\nb", "a\rb", "\x01", "\x7f", "a\x0b" };

    for (size_t i = 0; i < COUNT(values); i++) {
        assert_refused(HEAD(.user_agent = values[i]), "http://a/");
        assert_refused(HEAD(.authorization = values[i]), "http://a/");
        assert_refused(HEAD(.proxy_authorization = values[i]), "http://a/");
        assert_refused(HEAD(.content_type = values[i]), "http://a/");
        assert_refused(HEAD(.if_modified_since = values[i]), "http://a/");
        assert_refused(HEAD(.user_agent = values[i], .authorization = "x"), "http://a/");
        assert_refused(HEAD(.authorization = values[i], .proxy_authorization = "x"), "http://a/");
        assert_refused(HEAD(.proxy_authorization = values[i], .if_modified_since = "x"), "http://a/");
        assert_refused(HEAD(.if_modified_since = values[i], .content_type = "x"), "http://a/");
    }
}

static void takes_as_many_headers_as_there_can_be(void **state)
{
    struct httpheaders headers = { 0 };
    struct httpurl url = parsed("http://a/");
    struct httprequesthead head = { .method = "GET", .url = &url, .headers = &headers };
    static char value[600];

    memset(value, 'v', sizeof value - 1);
    for (int i = 0; i < HTTPHEADERS_MAX_COUNT; i++)
        assert_int_equal(httpheaders_add(&headers, "Name", value), 0);
    size_t size = httpheaders_size(&headers) + sizeof "GET / HTTP/1.1\r\nHost: a\r\n\r\n" - 1;
    assert_int_equal(strlen(formatted(&head)), size);
    httpheaders_free(&headers);
}

/* What is sent is what a server reads: as it was meant, and of one request. */
static void a_server_reads_what_was_meant(void **state)
{
    struct httpheaders headers = headers_of("A: b\nConnection: close\n");
    struct httpurl url = parsed("http://u:p@[::1]:81/b?c=d#e");
    struct httprequesthead head = { .method = "POST",
                                    .url = &url,
                                    .headers = &headers,
                                    .user_agent = "ioloop",
                                    .body = HTTPREQUESTHEAD_LENGTH,
                                    .content_length = 5,
                                    .expect_continue = true };
    struct http1parser_header lines[HTTP1PARSER_MAX_HEADERS];
    struct http1parser_request request = { .headers = lines, .header_capacity = HTTP1PARSER_MAX_HEADERS };
    struct http1parser_scan scan = { 0 };
    const char *text = formatted(&head);

    assert_int_equal(http1parser_parse_request(text, strlen(text), NULL, &scan, &request), strlen(text));
    assert_int_equal(request.method_code, HTTP1PARSER_POST);
    assert_int_equal(request.framing, HTTP1PARSER_LENGTH);
    assert_int_equal(request.content_length, 5);
    assert_true(request.expect_continue);
    assert_false(request.keep_alive);
    assert_int_equal(request.header_count, 6);
    assert_memory_equal(text + request.target.offset, "/b?c=d", request.target.length);
    assert_memory_equal(text + request.host.offset, "[::1]:81", request.host.length);
    httpheaders_free(&headers);
}

/* Methods. */

/* httpclient_test:test_body_sanity_checks is about these. */
static void knows_methods(void **state)
{
    static const struct {
        const char *method;
        bool is_standard, wants_body, is_safe, is_idempotent;
    } rows[] = {
        { "GET", true, false, true, true },         { "HEAD", true, false, true, true },
        { "POST", true, true, false, false },       { "PUT", true, true, false, true },
        { "PATCH", true, true, false, false },      { "DELETE", true, false, false, true },
        { "OPTIONS", true, false, true, true },     { "TRACE", false, false, true, true },
        { "CONNECT", false, false, false, false },  { "get", false, false, false, false },
        { "", false, false, false, false },         { "GETS", false, false, false, false },
        { "PROPFIND", false, false, false, false },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(httprequesthead_is_standard(rows[i].method), rows[i].is_standard);
        assert_int_equal(httprequesthead_wants_body(rows[i].method), rows[i].wants_body);
        assert_int_equal(httprequesthead_is_safe(rows[i].method), rows[i].is_safe);
        assert_int_equal(httprequesthead_is_idempotent(rows[i].method), rows[i].is_idempotent);
    }
}

/* RFC 7617 */

/* httpclient_test:test_basic_auth; httpclient_test:test_basic_auth_unicode */
static void writes_basic_credentials(void **state)
{
    static const char *const rows[][3] = {
        { "Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" }, /* RFC 7617 2 */
        { "test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow==" },                /* RFC 7617 2.1 */
        { "", "", "Basic Og==" },
        { "a", "b:c", "Basic YTpiOmM=" },
        { "", "p", "Basic OnA=" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char *value = httprequesthead_basic(rows[i][0], strlen(rows[i][0]), rows[i][1], strlen(rows[i][1]));
        assert_string_equal(value, rows[i][2]);
        ioalloc_free(value);
    }
    char *value = httprequesthead_basic(NULL, 0, NULL, 0);
    assert_string_equal(value, "Basic Og==");
    ioalloc_free(value);
}

static void refuses_credentials_that_could_be_read_otherwise(void **state)
{
    for (int byte = 0; byte < 256; byte++) {
        const char text[] = { 'a', (char)byte };
        bool is_control = byte < 0x20 || byte == 0x7f;
        errno = 0;
        char *value = httprequesthead_basic(text, 2, "p", 1);
        assert_int_equal(value == NULL, is_control || byte == ':');
        assert_int_equal(errno, value == NULL ? EINVAL : 0);
        ioalloc_free(value);
        value = httprequesthead_basic("u", 1, text, 2);
        assert_int_equal(value == NULL, is_control);
        ioalloc_free(value);
    }
}

static void loses_nothing_without_memory(void **state)
{
    long before = faults_allocated();
    char *value = NULL;
    int nth = 1;

    for (;; nth++) {
        faults_allocation(nth, false);
        errno = 0;
        value = httprequesthead_basic("user", 4, "password", 8);
        if (!faults_hit())
            break;
        assert_null(value);
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(faults_allocated(), before);
    }
    faults_end();
    assert_true(nth > 2);
    assert_non_null(value);
    ioalloc_free(value);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(asks_for_path_and_query_of_a_host),
    cmocka_unit_test(asks_a_proxy_for_the_whole_url),
    cmocka_unit_test(asks_a_proxy_for_a_tunnel),
    cmocka_unit_test(refuses_methods_that_are_no_tokens),
    cmocka_unit_test(only_connect_asks_for_an_authority),
    cmocka_unit_test(refuses_urls_that_lead_to_no_server),
    cmocka_unit_test(sends_the_programs_headers),
    cmocka_unit_test(leaves_out_what_is_the_clients),
    cmocka_unit_test(a_host_of_the_program_wins_if_it_is_one),
    cmocka_unit_test(a_target_with_an_authority_has_the_same_host),
    cmocka_unit_test(connection_close_counts_as_close),
    cmocka_unit_test(an_upgrade_has_its_own_connection),
    cmocka_unit_test(adds_what_the_programs_headers_lack),
    cmocka_unit_test(what_the_request_says_wins),
    cmocka_unit_test(what_is_for_a_proxy_is_said_by_the_request_alone),
    cmocka_unit_test(says_how_the_body_is_framed),
    cmocka_unit_test(refuses_values_that_are_not_in_one_line),
    cmocka_unit_test(takes_as_many_headers_as_there_can_be),
    cmocka_unit_test(a_server_reads_what_was_meant),
    cmocka_unit_test(knows_methods),
    cmocka_unit_test(writes_basic_credentials),
    cmocka_unit_test(refuses_credentials_that_could_be_read_otherwise),
    cmocka_unit_test(loses_nothing_without_memory),
};

TESTING_MAIN(tests)
