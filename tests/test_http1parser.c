#include "tests/support/testing.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "httpserver/http1parser.h"

/* The same source once more without vector instructions: the two have to agree on everything. */
int parse_in_words(const void *bytes, size_t length, const struct http1parser_limits *limits,
                   struct http1parser_scan *scan, struct http1parser_request *request);
#define HTTP1PARSER_NO_VECTORS    1
#define http1parser_parse_request parse_in_words
#define http1scan_find_end        find_end_in_words
#define http1scan_find_empty_line find_empty_line_in_words
#include "httpserver/http1parser.c"
#include "httpserver/http1scan.c"
#undef http1parser_parse_request
#undef http1scan_find_end
#undef http1scan_find_empty_line

typedef int parse_fn(const void *, size_t, const struct http1parser_limits *, struct http1parser_scan *,
                     struct http1parser_request *);

struct outcome {
    int result;
    struct http1parser_request request;
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
};

struct text {
    const char *bytes;
    size_t length;
};

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ROOM = 128 * 1024 };

/* The bytes where the next one cannot be read. */
static const char *at_guard_page(const char *bytes, size_t length)
{
    static char *end;

    if (end == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *memory = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        assert_int_equal(mprotect(memory + ROOM, page, PROT_NONE), 0);
        end = memory + ROOM;
    }
    assert_true(length <= ROOM);
    return memcpy(end - length, bytes, length);
}

static void parse_part(parse_fn *parse, const char *bytes, size_t length, const struct http1parser_limits *limits,
                       struct http1parser_scan *scan, struct outcome *outcome)
{
    outcome->request.headers = outcome->headers;
    outcome->request.header_capacity = HTTP1PARSER_MAX_HEADERS;
    outcome->request.reason = "";
    outcome->result = parse(at_guard_page(bytes, length), length, limits, scan, &outcome->request);
}

static void parse_whole(struct text text, const struct http1parser_limits *limits, struct outcome *outcome)
{
    struct http1parser_scan scan = { 0 };

    parse_part(http1parser_parse_request, text.bytes, text.length, limits, &scan, outcome);
    if (outcome->result > 0)
        assert_true(scan.scanned == 0 && scan.line == 0 && scan.headers == 0);
}

static void assert_same_slice(struct http1parser_slice a, struct http1parser_slice b)
{
    assert_int_equal(a.offset, b.offset);
    assert_int_equal(a.length, b.length);
}

static void assert_same_request(const struct http1parser_request *a, const struct http1parser_request *b)
{
    assert_same_slice(a->method, b->method);
    assert_same_slice(a->target, b->target);
    assert_same_slice(a->authority, b->authority);
    assert_same_slice(a->path, b->path);
    assert_same_slice(a->host, b->host);
    assert_int_equal(a->content_length, b->content_length);
    assert_int_equal(a->method_code, b->method_code);
    assert_int_equal(a->form, b->form);
    assert_int_equal(a->framing, b->framing);
    assert_int_equal(a->minor_version, b->minor_version);
    assert_int_equal(a->keep_alive, b->keep_alive);
    assert_int_equal(a->upgrade, b->upgrade);
    assert_int_equal(a->expect_continue, b->expect_continue);
    assert_int_equal(a->expect_unknown, b->expect_unknown);
    assert_int_equal(a->header_count, b->header_count);
    for (uint32_t i = 0; i < a->header_count; i++) {
        assert_same_slice(a->headers[i].name, b->headers[i].name);
        assert_same_slice(a->headers[i].value, b->headers[i].value);
    }
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->result, b->result);
    if (a->result < 0)
        assert_string_equal(a->request.reason, b->request.reason);
    if (a->result > 0) {
        assert_null(a->request.reason);
        assert_same_request(&a->request, &b->request);
    }
}

/* First so many bytes, then all. What is known before the rest comes has to be right, too. */
static void assert_same_when_split(parse_fn *parse, struct text text, size_t split,
                                   const struct http1parser_limits *limits, const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part;

    parse_part(parse, text.bytes, split, limits, &scan, &part);
    if (part.result == 0)
        parse_part(parse, text.bytes, text.length, limits, &scan, &part);
    assert_same(&part, whole);
}

/* No byte is scanned again but a CR whose LF was not there. */
static void assert_same_byte_by_byte(parse_fn *parse, struct text text, const struct http1parser_limits *limits,
                                     const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part = { 0 };

    for (size_t length = 0; part.result == 0 && length <= text.length; length++) {
        parse_part(parse, text.bytes, length, limits, &scan, &part);
        assert_true(part.result != 0 || (scan.scanned <= length && scan.scanned + 1 >= length));
    }
    assert_same(&part, whole);
}

/* Nor does it change what follows: a byte behind what is accepted or refused, or none behind a head. */
static void assert_same_whatever_follows(parse_fn *parse, struct text text, const struct http1parser_limits *limits,
                                         const struct outcome *whole)
{
    static char longer[ROOM];
    struct http1parser_scan scan = { 0 };
    struct outcome other;

    if (whole->result == 0)
        return;
    memcpy(longer, text.bytes, text.length);
    longer[text.length] = 'x';
    parse_part(parse, longer, text.length + 1, limits, &scan, &other);
    assert_same(&other, whole);
    if (whole->result < 0)
        return;
    parse_part(parse, text.bytes, (size_t)whole->result, limits, &scan, &other);
    assert_same(&other, whole);
}

/* Every way to take the bytes has the same outcome. */
static void parse_every_way(struct text text, const struct http1parser_limits *limits, struct outcome *whole)
{
    static parse_fn *const parsers[] = { http1parser_parse_request, parse_in_words };

    parse_whole(text, limits, whole);
    for (size_t i = 0; i < COUNT(parsers); i++) {
        for (size_t split = 0; split <= text.length; split++)
            assert_same_when_split(parsers[i], text, split, limits, whole);
        assert_same_byte_by_byte(parsers[i], text, limits, whole);
        assert_same_whatever_follows(parsers[i], text, limits, whole);
    }
}

static void assert_result(struct text text, int result)
{
    static struct outcome outcome;

    parse_every_way(text, NULL, &outcome);
    if (outcome.result != result)
        print_error("[%.*s]\n", (int)text.length, text.bytes);
    assert_int_equal(outcome.result, result);
    assert_true(result >= 0 || outcome.request.reason[0] != '\0');
}

static void assert_results(const struct text *texts, size_t count, int result)
{
    for (size_t i = 0; i < count; i++)
        assert_result(texts[i], result != 0 ? result : (int)texts[i].length);
}

/* Every row is refused with this status, or (0) accepted to its last byte. */
#define ASSERT_RESULTS(texts, result) assert_results(texts, COUNT(texts), result)

static struct text join(char *buffer, size_t size, const char *before, const char *value, const char *after)
{
    int length = snprintf(buffer, size, "%s%s%s", before, value, after);

    assert_true(length > 0 && (size_t)length < size);
    return (struct text){ buffer, (size_t)length };
}

static void assert_value_result(const char *before, const char *value, const char *after, int result)
{
    char buffer[1024];
    struct text text = join(buffer, sizeof buffer, before, value, after);

    assert_result(text, result != 0 ? result : (int)text.length);
}

static const char *slice_text(struct text text, struct http1parser_slice slice)
{
    static char buffers[4][256];
    static unsigned next;
    char *buffer = buffers[next++ % 4];

    assert_true(slice.offset + slice.length <= text.length && slice.length < sizeof buffers[0]);
    memcpy(buffer, text.bytes + slice.offset, slice.length);
    buffer[slice.length] = '\0';
    return buffer;
}

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

/* What is accepted. */

/* httputil_test:test_parse_request_start_line */
static void finds_the_parts_of_a_request(void **state)
{
    struct text text = TEXT("PUT /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nX-Empty:\r\nx-TABS: \t a\tb \t \r\n"
                            "Text:\xc3\xa9 \"q\"\r\n\r\nbody");
    static const char *const headers[][2] = {
        { "Host", "example.com:8080" }, { "X-Empty", "" }, { "x-TABS", "a\tb" }, { "Text", "\xc3\xa9 \"q\"" }
    };
    struct outcome outcome;
    const struct http1parser_request *request = &outcome.request;

    parse_every_way(text, NULL, &outcome);
    assert_int_equal(outcome.result, text.length - 4);
    assert_string_equal(slice_text(text, request->method), "PUT");
    assert_int_equal(request->method_code, HTTP1PARSER_PUT);
    assert_string_equal(slice_text(text, request->target), "/a/b?c=d");
    assert_string_equal(slice_text(text, request->path), "/a/b?c=d");
    assert_string_equal(slice_text(text, request->host), "example.com:8080");
    assert_int_equal(request->authority.length, 0);
    assert_int_equal(request->minor_version, 1);
    assert_int_equal(request->header_count, COUNT(headers));
    assert_null(request->reason);
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_string_equal(slice_text(text, request->headers[i].name), headers[i][0]);
        assert_string_equal(slice_text(text, request->headers[i].value), headers[i][1]);
    }
}

static void knows_methods_by_their_exact_names(void **state)
{
    static const struct {
        const char *name;
        enum http1parser_method code;
    } rows[] = {
        { "GET", HTTP1PARSER_GET },        { "HEAD", HTTP1PARSER_HEAD },
        { "POST", HTTP1PARSER_POST },      { "PUT", HTTP1PARSER_PUT },
        { "DELETE", HTTP1PARSER_DELETE },  { "OPTIONS", HTTP1PARSER_OPTIONS },
        { "TRACE", HTTP1PARSER_TRACE },    { "PATCH", HTTP1PARSER_PATCH },
        { "get", HTTP1PARSER_OTHER },      { "Get", HTTP1PARSER_OTHER },
        { "GETS", HTTP1PARSER_OTHER },     { "G", HTTP1PARSER_OTHER },
        { "PROPFIND", HTTP1PARSER_OTHER }, { "PATCHES", HTTP1PARSER_OTHER },
        { "M-SEARCH", HTTP1PARSER_OTHER }, { "!#$%&'*+-.^_`|~", HTTP1PARSER_OTHER },
        { "CONNECTS", HTTP1PARSER_OTHER }, { "TRAC", HTTP1PARSER_OTHER },
    };
    char buffer[256];
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text text = join(buffer, sizeof buffer, "", rows[i].name, " / HTTP/1.1\r\nHost: a\r\n\r\n");
        parse_every_way(text, NULL, &outcome);
        assert_int_equal(outcome.result, text.length);
        assert_string_equal(slice_text(text, outcome.request.method), rows[i].name);
        assert_int_equal(outcome.request.method_code, rows[i].code);
    }
}

static void knows_the_forms_of_targets(void **state)
{
    static const struct {
        struct text text;
        enum http1parser_form form;
        const char *authority, *path;
    } rows[] = {
        { TEXT("GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ORIGIN, "", "/x?y" },
        { TEXT("GET //x/y HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ORIGIN, "", "//x/y" },
        { TEXT("GET /http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ORIGIN, "", "/http://b/" },
        { TEXT("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "/x?y" },
        { TEXT("GET HTTPS://A:1/ HTTP/1.1\r\nHost: a:1\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "A:1", "/" },
        { TEXT("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "" },
        { TEXT("GET http://a?x=/ HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "?x=/" },
        { TEXT("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "" },
        { TEXT("GET http://[::1]:1/x HTTP/1.0\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "[::1]:1", "/x" },
        { TEXT("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ASTERISK, "", "" },
        { TEXT("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_AUTHORITY, "a:1", "" },
        { TEXT("CONNECT [::1]:443 HTTP/1.0\r\n\r\n"), HTTP1PARSER_AUTHORITY, "[::1]:443", "" },
    };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_every_way(rows[i].text, NULL, &outcome);
        assert_int_equal(outcome.result, rows[i].text.length);
        assert_int_equal(outcome.request.form, rows[i].form);
        assert_string_equal(slice_text(rows[i].text, outcome.request.authority), rows[i].authority);
        assert_string_equal(slice_text(rows[i].text, outcome.request.path), rows[i].path);
    }
}

enum { NONE = HTTP1PARSER_NO_BODY, LENGTH = HTTP1PARSER_LENGTH, CHUNKED = HTTP1PARSER_CHUNKED };
enum { KEEP = 1, UPGRADE = 2, CONTINUE = 4, UNKNOWN = 8 };
static const struct {
    struct text text;
    unsigned framing;
    uint64_t length;
    unsigned flags;
} semantics[] = {
    { TEXT(GET "\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\n\r\n"), NONE, 0, 0 },
    /* A15: the method has no say. */
    { TEXT(GET "Content-Length: 5\r\n\r\n"), LENGTH, 5, KEEP },
    { TEXT("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP },
    { TEXT("FOO / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP },
    { TEXT(POST "\r\n"), NONE, 0, KEEP },
    { TEXT(POST "Content-Length: 0\r\n\r\n"), LENGTH, 0, KEEP },
    { TEXT(POST "CONTENT-LENGTH:\t42 \r\n\r\n"), LENGTH, 42, KEEP },
    { TEXT(POST "Content-Length: 9999999999999999999\r\n\r\n"), LENGTH, 9999999999999999999u, KEEP },
    { TEXT(POST "Transfer-Encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP },
    { TEXT(POST "Transfer-Encoding:\t CHUNKed \t\r\n\r\n"), CHUNKED, 0, KEEP },
    { TEXT("POST / HTTP/1.0\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"), LENGTH, 7, KEEP },
    /* A20 */
    { TEXT(POST "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(POST "Content-Lengths: 5\r\nXContent-Length: 5\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connection: close\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: CLOSE\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: x, ,close ,y\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: keep-alive, close\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: closed, xclose, clos, clo-e\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connection:\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connections: close\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\nConnection: te,\tkeep-alive\t\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), NONE, 0, 0 },
    { TEXT("GET / HTTP/1.0\r\nKeep-Alive: 5\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), NONE, 0, KEEP | UPGRADE },
    { TEXT(GET "Connection: keep-alive, UPGRADE\r\nupgrade: websocket\r\n\r\n"), NONE, 0, KEEP | UPGRADE },
    { TEXT(GET "Upgrade: a\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"), LENGTH, 0, KEEP | UPGRADE },
    { TEXT(GET "Upgrade: websocket\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connection: upgrade\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Upgrade: \r\nConnection: upgrade\r\n\r\n"), NONE, 0, KEEP },
    /* A21 */
    { TEXT("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), NONE, 0, 0 },
    { TEXT(POST "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\n"), LENGTH, 1, KEEP },
    { TEXT(POST "Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP },
    /* A22 */
    { TEXT(POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP | CONTINUE },
    { TEXT(POST "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP | CONTINUE },
    { TEXT(POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"), LENGTH, 0, KEEP },
    { TEXT(GET "Expect: 100-continue\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, 0 },
    { TEXT(POST "Expect: x\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP | UNKNOWN },
    { TEXT(POST "Expect: 100-continue, x\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP | UNKNOWN },
    { TEXT(POST "Expect: 200-continue\r\n\r\n"), NONE, 0, KEEP | UNKNOWN },
    { TEXT(POST "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5,
      KEEP | CONTINUE | UNKNOWN },
    { TEXT(GET "Expect:\r\n\r\n"), NONE, 0, KEEP | UNKNOWN },
};

static void decides_on_framing_and_connection(void **state)
{
    struct outcome outcome;
    const struct http1parser_request *request = &outcome.request;

    for (size_t i = 0; i < COUNT(semantics); i++) {
        parse_every_way(semantics[i].text, NULL, &outcome);
        assert_int_equal(outcome.result, semantics[i].text.length);
        unsigned flags = (request->keep_alive ? KEEP : 0) | (request->upgrade ? UPGRADE : 0) |
                         (request->expect_continue ? CONTINUE : 0) | (request->expect_unknown ? UNKNOWN : 0);
        if (request->framing != semantics[i].framing || flags != semantics[i].flags)
            print_error("row %zu [%s]\n", i, semantics[i].text.bytes);
        assert_int_equal(request->framing, semantics[i].framing);
        assert_int_equal(request->content_length, semantics[i].length);
        assert_int_equal(flags, semantics[i].flags);
    }
}

/* RFC 9112 2.2; Tornado: test_http10_keepalive_extra_crlf */
static void skips_one_empty_line_before_the_request_line(void **state)
{
    static const struct text accepted[] = { TEXT("\r\n" GET "\r\n"), TEXT("\r\nGET / HTTP/1.0\r\n\r\n") };
    static const struct text refused[] = { TEXT("\r\n\r\n"),      TEXT("\r\n\r\n" GET "\r\n"), TEXT("\n" GET "\r\n"),
                                           TEXT("\r" GET "\r\n"), TEXT(" \r\n" GET "\r\n"),    TEXT("\r\n\n") };
    struct outcome outcome;

    ASSERT_RESULTS(accepted, 0);
    ASSERT_RESULTS(refused, -400);
    parse_whole(accepted[0], NULL, &outcome);
    assert_int_equal(outcome.request.method.offset, 2);
    assert_int_equal(outcome.request.header_count, 1);
}

static void leaves_what_follows_the_head(void **state)
{
    static const struct text rows[] = {
        TEXT(GET "\r\n" GET "\r\n"), TEXT(GET "\r\n\r\n"),   TEXT(GET "\r\n\n"),
        TEXT(GET "\r\n\r\r"),        TEXT(GET "\r\n\0\x7f"),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_result(rows[i], sizeof GET "\r\n" - 1);
}

static void wants_more_of_a_head_that_is_not_whole(void **state)
{
    static const struct text text = TEXT("\r\n" GET "Content-Length: 5\r\nX:\ty\r\n\r\n");
    struct outcome outcome;

    for (size_t length = 0; length < text.length; length++) {
        parse_whole((struct text){ text.bytes, length }, NULL, &outcome);
        assert_int_equal(outcome.result, 0);
    }
}

/* What is refused: the rows of the table of attacks, by their ids there. */

/* A1, A3, A4 */
static void refuses_doubtful_framing(void **state)
{
    static const struct text rows[] = {
        TEXT(POST
             "Content-Length: 35\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /SMUG HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length:\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
        TEXT(POST "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n"),
        TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        TEXT("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
        TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A2; Tornado: test_chunked_request_body_unsupported_transfer_encoding */
static void refuses_transfer_encodings_other_than_chunked(void **state)
{
    static const struct {
        const char *value;
        int status;
    } rows[] = {
        { "xchunked", 501 },
        { "chunke", 501 },
        { "chunkedx", 501 },
        { "identity", 501 },
        { "gzip", 501 },
        { "deflate", 501 },
        { "chunked-", 501 },
        { "c", 501 },
        { ",chunked", 400 },
        { "chunked,", 400 },
        { "chunked, identity", 400 },
        { "gzip, chunked", 400 },
        { "chunked, chunked", 400 },
        { "\013chunked", 400 },
        { "chunked\x0c", 400 },
        { "\240chunked", 400 },
        { "chunked;a=b", 400 },
        { "\"chunked\"", 400 },
        { "'chunked", 501 },
        { "", 400 },
        { " ", 400 },
        { "chunked chunked", 400 },
        { "chun ked", 400 },
        { "\205chunked", 400 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_value_result(POST "Transfer-Encoding: ", rows[i].value, "\r\n\r\n", -rows[i].status);
        assert_value_result(POST "Content-Length: 5\r\nTransfer-Encoding: ", rows[i].value, "\r\n\r\n", -400);
        assert_value_result(POST "Transfer-Encoding: ", rows[i].value, "\r\nContent-Length: 5\r\n\r\n", -400);
    }
}

/* A5 */
static void refuses_folded_lines(void **state)
{
    static const struct text rows[] = {
        TEXT(POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n\tHost: a\r\nHost: a\r\n\r\n"),
        TEXT(GET "X: a\r\n\tb\r\n\r\n"),
        TEXT(GET " \r\n\r\n"),
        TEXT(GET "X: a\r\n \r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A6, A18 */
static void refuses_malformed_names(void **state)
{
    static const struct text rows[] = {
        TEXT(POST "Content-Length : 5\r\n\r\n"),
        TEXT(POST " Content-Length: 5\r\n\r\n"),
        TEXT(GET "X\t: 5\r\n\r\n"),
        TEXT(GET "Foo Bar: x\r\n\r\n"),
        TEXT(GET "\357foo: x\r\n\r\n"),
        TEXT(GET ":\r\n\r\n"),
        TEXT(GET ": x\r\n\r\n"),
        TEXT(GET "X\r\n\r\n"),
        TEXT(GET "X\r\nY: z\r\n\r\n"),
        TEXT(GET "\"X\": y\r\n\r\n"),
        TEXT(GET "X(: y\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost\r\n: a\r\n\r\n"),
        TEXT(GET "[X]: y\r\n\r\n"),
        TEXT(GET "X=Y\r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A7, A8; Tornado accepts LF alone (test_newlines) */
static void refuses_anything_but_crlf_as_the_end_of_a_line(void **state)
{
    static const struct text rows[] = {
        TEXT("GET / HTTP/1.1\nHost: a\n\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\n\r\n"),
        TEXT("GET / HTTP/1.1\rHost: a\r\r"),
        TEXT("GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
        TEXT(GET "X: a\rb: c\r\n\r\n"),
        TEXT(GET "X: a\nb: c\r\n\r\n"),
        TEXT(GET "X: a\r\r\n\r\n"),
        TEXT(GET "X: a\r\n\n"),
        TEXT(GET "\n"),
        TEXT(GET "\r\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n\rXGET /SMUG HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(GET "X: a\0b\r\n\r\n"),
        TEXT(GET "X: a\001b\r\n\r\n"),
        TEXT(GET "X: a\177b\r\n\r\n"),
        TEXT(GET "X\0: a\r\n\r\n"),
        TEXT(GET "X: a\x0b\r\n\r\n"),
        TEXT(GET "X: a\x0c\r\n\r\n"),
        TEXT(GET "X: a\x1b[0m\r\n\r\n"),
        TEXT("\0"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A9; Tornado: test_invalid_content_length */
static void refuses_malformed_content_lengths(void **state)
{
    static const char *const values[] = {
        "+5",
        "-1",
        "-0",
        "0x5",
        "1_0",
        "5 5",
        "",
        "5,5",
        "5,6",
        "5,",
        ",5",
        "007",
        "00",
        "010",
        "5a",
        "a",
        "5.0",
        "1e3",
        "\"5\"",
        "5;",
        "18446744073709551621",
        "99999999999999999999",
        "10000000000000000000",
        "\xd9\xa5",
        "5\t5",
        "\xb2",
    };

    for (size_t i = 0; i < COUNT(values); i++)
        assert_value_result(POST "Content-Length: ", values[i], "\r\n\r\n", -400);
    assert_value_result(POST "Content-Length: 5\r\nContent-Length: ", "0", "\r\n\r\n", -400);
    assert_value_result(POST "Content-Length: 5\r\nContent-Length: ", "5", "\r\n\r\n", -400);
    assert_value_result(POST "Content-Length: 5\r\nX: y\r\ncontent-length: ", "", "\r\n\r\n", -400);
    assert_value_result("POST / HTTP/1.0\r\nContent-Length: ", "5", "\r\nContent-Length: 5\r\n\r\n", -400);
}

/* A19; Tornado: test_invalid_host_header_with_whitespace */
static void refuses_doubtful_hosts(void **state)
{
    static const char *const invalid[] = {
        "",        "a/b@c",   "a b",      "a,b",    "a, b",     "user@a", "user:1@a", "a:",       "a:b",   "a:1:2",
        "a:65536", "a:99999", "a:000080", ":80",    "a:-1",     "a:+1",   "http://a", "a/",       "/",     "a?b",
        "a#b",     "a\\b",    "[::1",     "[::1x",  "[::1x:80", "a%4z",   "::1",      ":::1]",    "/::1]", "[]",
        "[x]",     "[::1]x",  "[::1]:",   "x[::1]", "a%",       "a%4",    "a%zz",     "\xc3\xa9", "a\"b",  "<a>",
        "a|b",     "a^b",     "{a}",      "a`b",    "[1:",      "a:8 0",
    };
    static const char *const valid[] = {
        "a",
        "A.b-C_d~e",
        "127.0.0.1",
        "127.0.0.1:8080",
        "localhost:0",
        "a:65535",
        "a:00080",
        "[::1]",
        "[::1]:80",
        "[::ffff:1.2.3.4]:443",
        "xn--e1afmkfd",
        "a%41",
        "%c3%a9.example:1",
        "!$&'()*+;=",
        "a ",
    };

    for (size_t i = 0; i < COUNT(invalid); i++) {
        assert_value_result("GET / HTTP/1.1\r\nHost: ", invalid[i], "\r\n\r\n", -400);
        assert_value_result("GET / HTTP/1.0\r\nHost: ", invalid[i], "\r\n\r\n", -400);
    }
    for (size_t i = 0; i < COUNT(valid); i++) {
        assert_value_result("GET / HTTP/1.1\r\nHost: ", valid[i], "\r\n\r\n", 0);
        assert_value_result("GET / HTTP/1.1\r\nX: y\r\nHost: ", valid[i], "\r\n\r\n", 0);
    }
}

/* Whatever its line looks like, and wherever it is. */
static void finds_the_host(void **state)
{
    static const struct text rows[] = {
        TEXT("GET / HTTP/1.1\r\nHost: a-1.example:65535\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a-1.example:65535\r\nX: y\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nX: y\r\nHost: a-1.example:65535\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nhost:a-1.example:65535 \t\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost:\ta-1.example:65535\r\n\r\n"),
    };
    static struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_every_way(rows[i], NULL, &outcome);
        assert_int_equal(outcome.result, rows[i].length);
        assert_int_equal(outcome.request.host.length, strlen("a-1.example:65535"));
        assert_memory_equal(rows[i].bytes + outcome.request.host.offset, "a-1.example:65535",
                            strlen("a-1.example:65535"));
        assert_int_equal(outcome.request.header_count, memchr(rows[i].bytes, 'X', rows[i].length) != NULL ? 2 : 1);
    }
}

static void wants_exactly_one_host_that_is_the_targets(void **state)
{
    static const struct text refused[] = {
        TEXT("GET / HTTP/1.1\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n"),
        TEXT("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.1\r\nHost: y\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.1\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.0\r\nHost: y\r\n\r\n"),
        TEXT("GET http://x:80/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.1\r\nHost: xy\r\n\r\n"),
        TEXT("OPTIONS http://x HTTP/1.1\r\nHost: y\r\n\r\n"),
    };
    static const struct text accepted[] = {
        TEXT("GET / HTTP/1.0\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.0\r\n\r\n"),
        TEXT("GET http://EXAMPLE.com:1/ HTTP/1.1\r\nHost: example.COM:1\r\n\r\n"),
    };

    ASSERT_RESULTS(refused, -400);
    ASSERT_RESULTS(accepted, 0);
}

/* A25 */
static void refuses_versions_other_than_1_0_and_1_1(void **state)
{
    static const char *const malformed[] = {
        "http/1.1", "HTTP/1.10", "HTTP/1.1x",  "HTTP/01.1",  "HTTP/4294967295.255",
        "HTTP/1",   "HTTP/1.",   "HTTP/.1",    "HTTP/",      "HTTP",
        "",         " HTTP/1.1", "HTTP/1.1 ",  "HTTP /1.1",  "HTTP/1,1",
        "HTTP/1.a", "HTTP/a.1",  "HTTPS/1.",   "XTTP/1.1",   "HTTP/1 1",
        "HTTP/-1.", "HTTP\t1.1", "HTTP/1.1\t", "x HTTP/1.1",
    };
    static const char *const unsupported[] = { "HTTP/2.0", "HTTP/1.2", "HTTP/1.9", "HTTP/0.9", "HTTP/3.0", "HTTP/0.0" };

    for (size_t i = 0; i < COUNT(malformed); i++)
        assert_value_result("GET / ", malformed[i], "\r\nHost: a\r\n\r\n", -400);
    for (size_t i = 0; i < COUNT(unsupported); i++)
        assert_value_result("GET / ", unsupported[i], "\r\nHost: a\r\n\r\n", -505);
    assert_value_result("PRI * HTTP/2.0\r\n\r\n", "SM", "\r\n\r\n", -505);
}

/* A21, A26; Tornado: test_malformed_first_line_response, test_parse_request_start_line */
static void refuses_malformed_request_lines(void **state)
{
    static const struct text rows[] = {
        TEXT("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(" / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("CONNECT  HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        TEXT("GET /\r\n\r\n"),
        TEXT("GET\r\n\r\n"),
        TEXT("GET \r\n\r\n"),
        TEXT("/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / \r\n\r\n"),
        TEXT(" \r\n\r\n"),
        TEXT("A\r\n\r\n"),
        TEXT("GET HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("(GET) / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("\r\nA\r\n\r\n"),
        TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        TEXT("GET / HTTP/1.1\r\n"),
    };

    for (size_t i = 0; i + 1 < COUNT(rows); i++)
        assert_result(rows[i], -400);
    assert_result(rows[COUNT(rows) - 1], 0);
}

/* RFC 9112 3.2 */
static void refuses_targets_in_no_form(void **state)
{
    static const char *const targets[] = {
        "a",
        "a/b",
        "?x",
        "*",
        "**",
        "http:/a/",
        "http:xxa/",
        "http//a/",
        "http:a",
        "http:",
        "http://",
        "http:///x",
        "http://?x",
        "://a/",
        "ftp://a/",
        "httpx://a/",
        "xhttp://a/",
        "http://u@a/",
        "http://u:1@a/",
        "http://a:/",
        "http://a:x/",
        "http://a,b/",
        "http://[::1/",
        "a:80",
        "[::1]:80",
        "javascript:1",
        "..",
        "http://a:65536/",
        "http:/",
        "\\a",
        ";/",
        "h://a/",
    };
    static const char *const connect_targets[] = { "/",    "*",   "a",     "a:",      ":1",   "http://a/",
                                                   "a:1/", "a:x", "u@a:1", "a:65536", "[::1]" };

    for (size_t i = 0; i < COUNT(targets); i++) {
        assert_value_result("GET ", targets[i], " HTTP/1.1\r\nHost: a\r\n\r\n", -400);
        assert_value_result("GET ", targets[i], " HTTP/1.0\r\n\r\n", -400);
    }
    for (size_t i = 0; i < COUNT(connect_targets); i++)
        assert_value_result("CONNECT ", connect_targets[i], " HTTP/1.1\r\nHost: a\r\n\r\n", -400);
}

/* A7, A26, A27: which bytes may stand where, by the words of the RFCs. */

static bool is_alphanumeric(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool may_be_in_token(int byte)
{
    return is_alphanumeric(byte) || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

/* A colon ends it. */
static bool may_be_in_name(int byte)
{
    return may_be_in_token(byte) || byte == ':';
}

static bool may_be_in_target(int byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '#';
}

static bool may_be_in_value(int byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static bool may_be_in_host(int byte)
{
    return is_alphanumeric(byte) || (byte != 0 && strchr("-._~!$&'()*+;=", byte) != NULL);
}

static void takes_the_right_bytes_in_each_place(void **state)
{
    static const struct {
        struct text text;
        size_t place;
        bool (*may_be)(int byte);
    } rows[] = {
        { TEXT("GxT / HTTP/1.1\r\nHost: a\r\n\r\n"), 1, may_be_in_token },
        { TEXT("GET /xy HTTP/1.1\r\nHost: a\r\n\r\n"), 5, may_be_in_target },
        { TEXT(GET "AxB: b\r\n\r\n"), sizeof GET, may_be_in_name },
        { TEXT(GET "A: xyz\r\n\r\n"), sizeof GET + 3, may_be_in_value },
        { TEXT("GET / HTTP/1.1\r\nHost: axb\r\n\r\n"), 23, may_be_in_host },
    };
    char bytes[64];

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text text = { bytes, rows[i].text.length };
        memcpy(bytes, rows[i].text.bytes, text.length);
        for (int byte = 0; byte < 256; byte++) {
            struct outcome outcome;
            bytes[rows[i].place] = (char)byte;
            parse_every_way(text, NULL, &outcome);
            if ((outcome.result > 0) != rows[i].may_be(byte))
                print_error("place %zu, byte 0x%02x: %d\n", i, (unsigned)byte, outcome.result);
            assert_int_equal(outcome.result, rows[i].may_be(byte) ? (int)text.length : -400);
        }
    }
}

static void does_not_care_about_the_locale(void **state)
{
    setlocale(LC_ALL, "tr_TR.UTF-8");
    takes_the_right_bytes_in_each_place(state);
    assert_value_result(POST "CONTENT-LENGTH: ", "5", "\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n", -400);
    setlocale(LC_ALL, "C");
}

/* Limits. */

/* A text of before, so many letters, after. */
static struct text padded(const char *before, size_t count, const char *after)
{
    static char buffer[ROOM];
    size_t length = strlen(before);

    assert_true(length + count + strlen(after) < sizeof buffer);
    memcpy(buffer, before, length);
    memset(buffer + length, 'a', count);
    memcpy(buffer + length + count, after, strlen(after));
    return (struct text){ buffer, length + count + strlen(after) };
}

/* Where a text of many bytes is refused, in steps. */
static void assert_dripping_result(struct text text, const struct http1parser_limits *limits, int result)
{
    static struct outcome outcome;
    struct http1parser_scan scan = { 0 };

    outcome.result = 0;
    for (size_t length = 0; outcome.result == 0 && length < text.length;) {
        length = length + 61 < text.length ? length + 61 : text.length;
        parse_part(http1parser_parse_request, text.bytes, length, limits, &scan, &outcome);
    }
    assert_int_equal(outcome.result, result);
}

static void assert_limit(struct text text, const struct http1parser_limits *limits, int result)
{
    struct outcome outcome;

    if (result > 0)
        result = (int)text.length;
    parse_whole(text, limits, &outcome);
    assert_int_equal(outcome.result, result);
    if (text.length < 600)
        parse_every_way(text, limits, &outcome);
    assert_dripping_result(text, limits, result);
}

static void limits_the_target(void **state)
{
    static const char end[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    const struct http1parser_limits ten = { .target = 10 };

    assert_limit(padded("GET /", 8190, end), NULL, 1);
    assert_limit(padded("GET /", 8191, end), NULL, 1);
    assert_limit(padded("GET /", 8192, end), NULL, -414);
    assert_limit(padded("GET /", 20000, end), NULL, -414);
    assert_limit(padded("GET /", 8, end), &ten, 1);
    assert_limit(padded("GET /", 9, end), &ten, 1);
    assert_limit(padded("GET /", 10, end), &ten, -414);
    assert_limit(padded("GET /", 100, end), &ten, -414);
    assert_limit(padded("\r\nGET /", 9, end), &ten, 1);
    assert_limit(padded("\r\nGET /", 10, end), &ten, -414);
}

static void limits_the_method(void **state)
{
    static const char end[] = " / HTTP/1.1\r\nHost: a\r\n\r\n";

    assert_limit(padded("", 31, end), NULL, 1);
    assert_limit(padded("", 32, end), NULL, 1);
    assert_limit(padded("", 33, end), NULL, -501);
    assert_limit(padded("", 9000, end), NULL, -414);
}

static void limits_header_lines(void **state)
{
    const struct http1parser_limits twenty = { .line = 20 };

    assert_limit(padded(GET "X: ", 8192 - 4, "\r\n\r\n"), NULL, 1);
    assert_limit(padded(GET "X: ", 8192 - 3, "\r\n\r\n"), NULL, 1);
    assert_limit(padded(GET "X: ", 8192 - 2, "\r\n\r\n"), NULL, -431);
    assert_limit(padded(GET, 8192, ":\r\n\r\n"), NULL, -431);
    assert_limit(padded(GET "X: ", 16, "\r\n\r\n"), &twenty, 1);
    assert_limit(padded(GET "X: ", 17, "\r\n\r\n"), &twenty, 1);
    assert_limit(padded(GET "X: ", 18, "\r\n\r\n"), &twenty, -431);
    assert_limit(padded(GET "X: ", 300, "\r\n\r\n"), &twenty, -431);
    assert_limit(padded("GET / HTTP/1.1\r\nHost: ", 14, "\r\n\r\n"), &twenty, 1);
    assert_limit(padded("GET / HTTP/1.1\r\nHost: ", 15, "\r\n\r\n"), &twenty, -431);
    /* The line's length counts, however far away the forbidden byte is. */
    assert_limit(padded(GET "X: ", 17, "\n\r\n\r\n"), &twenty, -400);
    assert_limit(padded(GET "X: ", 18, "\n\r\n\r\n"), &twenty, -431);
    assert_limit(padded(GET "X: \t\t", 16, "\n\r\n\r\n"), &twenty, -431);
}

/* A head of the wanted size; at most 8,000 bytes a line. */
static struct text head_of(size_t size)
{
    static char buffer[ROOM];
    size_t length = sizeof GET - 1;

    memcpy(buffer, GET, length);
    for (size_t line; length < size - 2; length += line) {
        line = size - 2 - length > 8000 ? 4000 : size - 2 - length;
        assert_true(line >= 5);
        memset(buffer + length, 'a', line);
        memcpy(buffer + length, "X:", 2);
        memcpy(buffer + length + line - 2, "\r\n", 2);
    }
    memcpy(buffer + length, "\r\n", 2);
    return (struct text){ buffer, size };
}

static void limits_the_head(void **state)
{
    const struct http1parser_limits hundred = { .head = 100 };
    const struct http1parser_limits twenty = { .head = 20 };

    assert_limit(head_of(32767), NULL, 1);
    assert_limit(head_of(32768), NULL, 1);
    assert_limit(head_of(32769), NULL, -431);
    assert_limit(head_of(50000), NULL, -431);
    assert_limit(head_of(99), &hundred, 1);
    assert_limit(head_of(100), &hundred, 1);
    assert_limit(head_of(101), &hundred, -431);
    assert_limit(head_of(150), &hundred, -431);
    assert_limit(padded("GET /", 2, " HTTP/1.0\r\n\r\n"), &twenty, 1);
    assert_limit(padded("GET /", 3, " HTTP/1.0\r\n\r\n"), &twenty, -431);
    assert_limit(padded("GET /", 4, " HTTP/1.0\r\n\r\n"), &twenty, -431);
    assert_limit(padded("GET /", 5, " HTTP/1.0\r\n\r\n"), &twenty, -414);
    assert_limit(padded("GET /", 100, " HTTP/1.0\r\n\r\n"), &twenty, -414);
}

static struct text head_with(unsigned headers)
{
    static char buffer[ROOM];
    size_t length = sizeof GET - 1;

    memcpy(buffer, GET, length);
    for (unsigned i = 1; i < headers; i++)
        length += (size_t)snprintf(buffer + length, sizeof buffer - length, "X-%u: y\r\n", i);
    memcpy(buffer + length, "\r\n", 3);
    return (struct text){ buffer, length + 2 };
}

/* A18 */
static void limits_the_number_of_headers(void **state)
{
    const struct http1parser_limits three = { .headers = 3 };
    const struct http1parser_limits many = { .headers = 1000 };
    struct http1parser_header headers[3];
    struct http1parser_request request = { .headers = headers, .header_capacity = 2 };
    struct http1parser_scan scan = { 0 };
    struct text text = head_with(3);

    assert_int_equal(http1parser_parse_request(text.bytes, text.length, NULL, &scan, &request), -431);
    request.header_capacity = 0;
    text = head_with(1);
    assert_int_equal(http1parser_parse_request(text.bytes, text.length, NULL, &scan, &request), -431);
    assert_limit(head_with(99), NULL, 1);
    assert_limit(head_with(100), NULL, 1);
    assert_limit(head_with(101), NULL, -431);
    assert_limit(head_with(101), &many, -431); /* what the array holds is a limit, too */
    assert_limit(head_with(2), &three, 1);
    assert_limit(head_with(3), &three, 1);
    assert_limit(head_with(4), &three, -431);
    assert_limit(padded(POST "a: b\r\nc: d\r\nContent-Length: 5\r\n\r\n", 5, ""), &three, -431);
}

static int result_of(struct text text, const struct http1parser_limits *limits)
{
    static struct outcome outcome;

    parse_whole(text, limits, &outcome);
    return outcome.result;
}

static void refuses_the_hopeless_before_it_is_whole(void **state)
{
    static const struct text hopeless[] = {
        TEXT("GET / HTTP/1.1\n"), TEXT("\r\n\r\n"),         TEXT("GET / HTTP/1.1\r\n\rX"), TEXT("\n"), TEXT("G\0"),
        TEXT(GET "X: \x7f"),      TEXT("GET / HTTP/1.1\rH")
    };
    const struct http1parser_limits small = { .target = 10, .head = 100, .line = 20, .headers = 1 };
    const size_t request_line = HTTP1PARSER_MAX_METHOD + 1 + 10 + 1 + 8;

    for (size_t i = 0; i < COUNT(hopeless); i++) {
        assert_result(hopeless[i], -400);
        assert_int_equal(result_of((struct text){ hopeless[i].bytes, hopeless[i].length - 1 }, NULL), 0);
    }
    assert_int_equal(result_of(padded("", request_line, ""), &small), 0);
    assert_int_equal(result_of(padded("", request_line, "\r"), &small), 0);
    assert_int_equal(result_of(padded("", request_line + 1, ""), &small), -414);
    assert_int_equal(result_of(padded(GET, 20, ""), &small), 0);
    assert_int_equal(result_of(padded(GET, 20, "\r"), &small), 0);
    assert_int_equal(result_of(padded(GET, 21, ""), &small), -431);
    assert_int_equal(result_of(padded(GET "X:", 8, "\r"), &small), 0);
    assert_int_equal(result_of(padded(GET "X:", 8, "\r\n"), &small), -431);
    assert_int_equal(result_of((struct text){ head_of(32768).bytes, 32767 }, NULL), 0);
    assert_int_equal(result_of((struct text){ head_of(32769).bytes, 32768 }, NULL), -431);
}

/* What is left of work when the bytes come one by one is what the scan says: it goes on where it was. And nothing is
 * parsed: the request is not even cleared. */
static void scans_no_byte_twice_while_bytes_drip_in(void **state)
{
    static struct outcome outcome, whole;
    struct text text = head_of(32768);
    struct http1parser_scan scan = { 0 };

    parse_whole(text, NULL, &whole);
    outcome.request.headers = outcome.headers;
    outcome.request.header_capacity = HTTP1PARSER_MAX_HEADERS;
    outcome.request.content_length = 77;
    for (size_t length = 0; length < text.length; length++) {
        assert_int_equal(http1parser_parse_request(text.bytes, length, NULL, &scan, &outcome.request), 0);
        assert_int_equal(outcome.request.content_length, 77);
        assert_true(scan.scanned <= length && scan.scanned + 1 >= length);
    }
    outcome.result = http1parser_parse_request(text.bytes, text.length, NULL, &scan, &outcome.request);
    assert_same(&outcome, &whole);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        struct text text;
        const char *reason;
    } rows[] = {
        { TEXT(GET " X: y\r\n\r\n"), "folded header line" },
        { TEXT(GET "X : y\r\n\r\n"), "malformed header name" },
        { TEXT(GET "X: \x01\r\n\r\n"), "control character" },
        { TEXT(GET "X: y\rz\r\n\r\n"), "CR without LF" },
        { TEXT("GET /\r\n\r\n"), "no HTTP version" },
        { TEXT("GET /#\r\n\r\n"), "forbidden byte in the target" },
        { TEXT("GET / HTTP/1.2\r\n\r\n"), "HTTP version not supported" },
        { TEXT("G@T / HTTP/1.1\r\n\r\n\n"), "method is not a token" },
        { TEXT("G@T / HTTP/1.1\r\nX: \x01"), "control character" }, /* before it is known where the head ends */
    };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_every_way(rows[i].text, NULL, &outcome);
        assert_true(outcome.result < 0);
        assert_string_equal(outcome.request.reason, rows[i].reason);
    }
}

/* Bytes changed at random in a request that has everything; a fixed seed. */
static void does_the_same_with_and_without_vectors(void **state)
{
    static const char original[] =
        "POST http://example.com:80/x?y=z HTTP/1.1\r\nHost: example.com:80\r\nConnection: upgrade, close"
        "\r\nExpect: 100-continue\r\nContent-Length: 123\r\nUpgrade: h2c\r\nX-Long-Name: \ta\tb \r\n\r\n";
    static const char bytes[] = "\r\n\t\0\x7f :,a0\x80\x1f%[]/#@\"=";
    uint32_t random = 1;
    char changed[sizeof original];

    for (int i = 0; i < 20000; i++) {
        struct outcome vectors;
        memcpy(changed, original, sizeof changed);
        for (int changes = 1 + i % 3; changes > 0; changes--) {
            random = random * 1664525 + 1013904223;
            changed[(random >> 8) % (sizeof changed - 1)] = bytes[(random >> 24) % (sizeof bytes - 1)];
        }
        struct text text = { changed, sizeof changed - 1 };
        parse_whole(text, NULL, &vectors);
        assert_same_when_split(parse_in_words, text, (random >> 4) % text.length, NULL, &vectors);
        assert_same_when_split(parse_in_words, text, text.length, NULL, &vectors);
        assert_same_when_split(http1parser_parse_request, text, (random >> 6) % text.length, NULL, &vectors);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_parts_of_a_request),
    cmocka_unit_test(knows_methods_by_their_exact_names),
    cmocka_unit_test(knows_the_forms_of_targets),
    cmocka_unit_test(decides_on_framing_and_connection),
    cmocka_unit_test(skips_one_empty_line_before_the_request_line),
    cmocka_unit_test(leaves_what_follows_the_head),
    cmocka_unit_test(wants_more_of_a_head_that_is_not_whole),
    cmocka_unit_test(refuses_doubtful_framing),
    cmocka_unit_test(refuses_transfer_encodings_other_than_chunked),
    cmocka_unit_test(refuses_folded_lines),
    cmocka_unit_test(refuses_malformed_names),
    cmocka_unit_test(refuses_anything_but_crlf_as_the_end_of_a_line),
    cmocka_unit_test(refuses_malformed_content_lengths),
    cmocka_unit_test(refuses_doubtful_hosts),
    cmocka_unit_test(finds_the_host),
    cmocka_unit_test(wants_exactly_one_host_that_is_the_targets),
    cmocka_unit_test(refuses_versions_other_than_1_0_and_1_1),
    cmocka_unit_test(refuses_malformed_request_lines),
    cmocka_unit_test(refuses_targets_in_no_form),
    cmocka_unit_test(takes_the_right_bytes_in_each_place),
    cmocka_unit_test(does_not_care_about_the_locale),
    cmocka_unit_test(limits_the_target),
    cmocka_unit_test(limits_the_method),
    cmocka_unit_test(limits_header_lines),
    cmocka_unit_test(limits_the_head),
    cmocka_unit_test(limits_the_number_of_headers),
    cmocka_unit_test(refuses_the_hopeless_before_it_is_whole),
    cmocka_unit_test(scans_no_byte_twice_while_bytes_drip_in),
    cmocka_unit_test(says_what_is_wrong),
    cmocka_unit_test(does_the_same_with_and_without_vectors),
};

TESTING_MAIN(tests)
