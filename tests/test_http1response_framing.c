/* How the body of a response ends, and whether another one may follow. */
#include <errno.h>
#include <stdio.h>

#include "tests/support/responseparse.h"

#define OK    "HTTP/1.1 200 OK\r\n"
#define OLD   "HTTP/1.0 200 OK\r\n"
#define CLOSE HTTP1RESPONSE_UNTIL_CLOSE

enum { NONE = HTTP1RESPONSE_NO_BODY, LENGTH = HTTP1RESPONSE_LENGTH, CHUNKED = HTTP1RESPONSE_CHUNKED };
enum { OTHER = HTTP1RESPONSE_TO_OTHER, HEAD = HTTP1RESPONSE_TO_HEAD, CONNECT = HTTP1RESPONSE_TO_CONNECT };
enum { KEEP = 1, HAS_LENGTH = 2 };

struct row {
    struct text text;
    int to;
    int framing;
    uint64_t length;
    unsigned flags;
};

static void assert_row(const struct row *row)
{
    struct outcome outcome;
    const struct http1response *response = &outcome.response;

    responseparse_every_way(row->text, (enum http1response_to)row->to, NULL, &outcome);
    unsigned flags = (response->keep_alive ? KEEP : 0) | (response->has_length ? HAS_LENGTH : 0);
    if (outcome.result <= 0 || response->framing != (unsigned)row->framing || flags != row->flags)
        print_error("[%s]\n", row->text.bytes);
    assert_int_equal(outcome.result, row->text.length);
    assert_int_equal(response->framing, row->framing);
    assert_int_equal(response->content_length, row->length);
    assert_int_equal(flags, row->flags);
}

#define ASSERT_ROWS(rows)                                                                                              \
    for (size_t i = 0; i < COUNT(rows); i++)                                                                           \
    assert_row(&(rows)[i])

/* RFC 9112 6.3 */
static void decides_how_the_body_ends(void **state)
{
    static const struct row rows[] = {
        { TEXT(OK "Content-Length: 5\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT(OK "content-LENGTH:5 \t\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT(OK "Content-Length: 0\r\n\r\n"), OTHER, NONE, 0, KEEP | HAS_LENGTH },
        { TEXT(OK "Content-Length: 9999999999999999999\r\n\r\n"), OTHER, LENGTH, 9999999999999999999u,
          KEEP | HAS_LENGTH },
        { TEXT(OK "Transfer-Encoding: chunked\r\n\r\n"), OTHER, CHUNKED, 0, KEEP },
        { TEXT(OK "transfer-encoding:\tCHUNKed\t\r\n\r\n"), OTHER, CHUNKED, 0, KEEP },
        { TEXT(OK "\r\n"), OTHER, CLOSE, 0, 0 },
        { TEXT(OLD "\r\n"), OTHER, CLOSE, 0, 0 },
        { TEXT(OLD "Content-Length: 5\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT("HTTP/1.1 500 x\r\nContent-Length: 5\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT("HTTP/1.1 205 x\r\nContent-Length: 5\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT("HTTP/1.1 300 x\r\n\r\n"), OTHER, CLOSE, 0, 0 },
        { TEXT("HTTP/1.1 999 x\r\nTransfer-Encoding: chunked\r\n\r\n"), OTHER, CHUNKED, 0, KEEP },
        /* A20 */
        { TEXT(OK "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n"), OTHER, CLOSE, 0, 0 },
        { TEXT(OK "Content-Lengths: 5\r\nXTransfer-Encoding: chunked\r\n\r\n"), OTHER, CLOSE, 0, 0 },
    };

    ASSERT_ROWS(rows);
}

/* A24; httpclient_test:test_304_with_content_length */
static void some_responses_never_have_a_body(void **state)
{
    static const struct row rows[] = {
        { TEXT("HTTP/1.1 204 x\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"), OTHER, NONE, 5, KEEP | HAS_LENGTH },
        { TEXT("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT("HTTP/1.0 204 x\r\n\r\n"), OTHER, NONE, 0, 0 },
        { TEXT("HTTP/1.1 304 x\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT("HTTP/1.1 304 x\r\nContent-Length: 42\r\n\r\n"), OTHER, NONE, 42, KEEP | HAS_LENGTH },
        { TEXT("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT("HTTP/1.1 100 Continue\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"), OTHER, NONE, 5, KEEP | HAS_LENGTH },
        { TEXT("HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT("HTTP/1.1 199 x\r\n\r\n"), OTHER, NONE, 0, KEEP },
        { TEXT(OK "\r\n"), HEAD, NONE, 0, KEEP },
        { TEXT(OK "Content-Length: 5\r\n\r\n"), HEAD, NONE, 5, KEEP | HAS_LENGTH },
        { TEXT(OK "Transfer-Encoding: chunked\r\n\r\n"), HEAD, NONE, 0, KEEP },
        { TEXT("HTTP/1.1 500 x\r\nContent-Length: 5\r\n\r\n"), HEAD, NONE, 5, KEEP | HAS_LENGTH },
        { TEXT(OLD "Connection: keep-alive\r\n\r\n"), HEAD, NONE, 0, KEEP },
    };

    ASSERT_ROWS(rows);
}

/* RFC 9110 9.3.6, RFC 9112 6.3: a client ignores the fields then, even those that make no sense. */
static void behind_a_tunnel_and_101_comes_another_protocol(void **state)
{
    static const struct row rows[] = {
        { TEXT(OK "\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT("HTTP/1.0 200 Connection established\r\n\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT(OK "Content-Length: 5\r\n\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT(OLD "Transfer-Encoding: x\r\nConnection: keep-alive\r\n\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT("HTTP/1.1 204 x\r\n\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT("HTTP/1.1 299 x\r\n\r\n"), CONNECT, NONE, 0, 0 },
        { TEXT("HTTP/1.1 407 x\r\nContent-Length: 5\r\n\r\n"), CONNECT, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT("HTTP/1.1 300 x\r\n\r\n"), CONNECT, CLOSE, 0, 0 },
        { TEXT("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), OTHER, NONE, 0, 0 },
        { TEXT("HTTP/1.1 101 x\r\n\r\n"), CONNECT, NONE, 0, 0 },
    };

    ASSERT_ROWS(rows);
}

/* RFC 9112 9.3 */
static void knows_whether_the_connection_stays(void **state)
{
#define FIVE "Content-Length: 5\r\n"
    static const struct row rows[] = {
        { TEXT(OK FIVE "Connection: close\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT(OK FIVE "Connection: x, ,CLOSE ,y\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT(OK FIVE "Connection: keep-alive, close\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT(OK FIVE "Connection: keep-alive\r\nConnection: close\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT(OK FIVE "Connection: closed, xclose\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT(OK FIVE "Connection:\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT(OK FIVE "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT(OK "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"), OTHER, CHUNKED, 0, 0 },
        { TEXT(OK "Connection: keep-alive\r\n\r\n"), OTHER, CLOSE, 0, 0 },
        { TEXT("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n"), OTHER, NONE, 0, 0 },
        { TEXT(OLD FIVE "Connection: Keep-Alive\r\n\r\n"), OTHER, LENGTH, 5, KEEP | HAS_LENGTH },
        { TEXT(OLD FIVE "Connection: keep-alive, close\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT(OLD FIVE "Keep-Alive: 5\r\n\r\n"), OTHER, LENGTH, 5, HAS_LENGTH },
        { TEXT(OLD "Connection: keep-alive\r\n\r\n"), OTHER, CLOSE, 0, 0 },
    };

    ASSERT_ROWS(rows);
}

/* A1, A3, A4, A9: whatever was asked, and whether there could be a body or not. */
static void refuses_doubtful_framing(void **state)
{
    static const char *const fields[] = {
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\ncontent-length: 0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
    };
    static const char *const lines[] = { OK, OLD, "HTTP/1.1 204 x\r\n", "HTTP/1.1 304 x\r\n", "HTTP/1.1 100 x\r\n" };
    struct outcome outcome;
    char buffer[256];

    for (size_t i = 0; i < COUNT(fields) * COUNT(lines); i++) {
        int length = snprintf(buffer, sizeof buffer, "%s%s\r\n", lines[i % COUNT(lines)], fields[i / COUNT(lines)]);
        struct text text = { buffer, (size_t)length };
        assert_result(text, -EPROTO);
        responseparse_every_way(text, HTTP1RESPONSE_TO_HEAD, NULL, &outcome);
        assert_int_equal(outcome.result, -EPROTO);
    }
    assert_result((struct text)TEXT(OLD "Transfer-Encoding: chunked\r\n\r\n"), -EPROTO);
}

static void assert_value_refused(const char *name, const char *value)
{
    char buffer[256];
    int length = snprintf(buffer, sizeof buffer, OK "%s:%s\r\n\r\n", name, value);

    assert_result((struct text){ buffer, (size_t)length }, -EPROTO);
    length = snprintf(buffer, sizeof buffer, OK "Content-Length: 5\r\n%s:%s\r\n\r\n", name, value);
    assert_result((struct text){ buffer, (size_t)length }, -EPROTO);
}

/* A2 */
static void refuses_transfer_encodings_other_than_chunked(void **state)
{
    static const char *const values[] = {
        "xchunked",      ",chunked",        "chunked,",    "chunked, identity", "identity", "\x0b chunked",
        "chunked\x0c",   "\xa0 chunked",    "chunked;a=b", "\"chunked\"",       "",         "gzip",
        "gzip, chunked", "chunked chunked", "chunke",      "chunkedd",
    };

    for (size_t i = 0; i < COUNT(values); i++)
        assert_value_refused("Transfer-Encoding", values[i]);
}

/* A9 */
static void refuses_malformed_content_lengths(void **state)
{
    static const char *const values[] = { "+5",
                                          "-1",
                                          "0x5",
                                          "1_0",
                                          "5 5",
                                          "",
                                          "5,5",
                                          "5,6",
                                          "5, 5",
                                          "007",
                                          "00",
                                          "5;",
                                          "\"5\"",
                                          "18446744073709551621",
                                          "99999999999999999999",
                                          "5a",
                                          "\xef\xbc\x95" };

    for (size_t i = 0; i < COUNT(values); i++)
        assert_value_refused("Content-Length", values[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(decides_how_the_body_ends),
    cmocka_unit_test(some_responses_never_have_a_body),
    cmocka_unit_test(behind_a_tunnel_and_101_comes_another_protocol),
    cmocka_unit_test(knows_whether_the_connection_stays),
    cmocka_unit_test(refuses_doubtful_framing),
    cmocka_unit_test(refuses_transfer_encodings_other_than_chunked),
    cmocka_unit_test(refuses_malformed_content_lengths),
};

TESTING_MAIN(tests)
