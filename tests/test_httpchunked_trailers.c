#include "httpserver/httpchunked.h"

#include <stdio.h>
#include <string.h>

#include "httpserver/httpheaders.h"
#include "tests/support/chunktrace.h"
#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A13: which stay. */
static void trailers_are_kept_apart(void **state)
{
    static struct chunktrace trace;
    static const char text[] = "0\r\nX-Checksum: abc\r\nServer-Timing:x\r\nx-checksum:\r\n\r\nrest";

    chunktrace_decode_every_way(text, sizeof text - 1, NULL, &trace);
    assert_true(trace.done);
    assert_string_equal(trace.trailers, "X-Checksum: abc\r\nServer-Timing: x\r\nx-checksum: \r\n");
    assert_string_equal(text + trace.taken, "rest");
}

/* A13: which go. */
static void trailers_cannot_pass_for_headers(void **state)
{
    static const char *const names[] = {
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Encoding",
        "Content-X",
        "Connection",
        "Te",
        "Trailer",
        "Expect",
        "Range",
        "If-None-Match",
        "If-",
        "Upgrade",
        "Cache-Control",
        "Max-Forwards",
        "X-Forwarded-For",
        "X-Real-Ip",
        "Proxy-Connection",
        "Keep-Alive",
        "WWW-Authenticate",
        "Accept",
        "Accept-Language",
        "Forwarded",
        "Sec-WebSocket-Key",
        "Set-Cookie2",
        "Age",
        "Vary",
        "Location",
        "Date",
        "Expires",
        "Retry-After",
        "Pragma",
        "Origin",
        "Referer",
        "X-Scheme",
        "Via",
        "Warning",
        "User-Agent",
        "From",
        "X-Http-Method-Override",
        "Proxy-Authorization",
        "Authentication-Info",
    };
    static const char *const others[] = {
        "Content",          "Hosts",          "Hos",     "Tee",        "T", "If", "Contents-X", "Aged",
        "X-Content-Length", "Content_Length", "Cookies", "X-Forwarded"
    };
    static struct chunktrace trace;
    char text[128], kept[64];

    for (size_t i = 0; i < COUNT(names); i++) {
        int length = snprintf(text, sizeof text, "0\r\nA: 1\r\n%s: 5\r\nB: 2\r\n\r\n", names[i]);
        chunktrace_decode(text, (size_t)length, (size_t)length, 1, NULL, &trace);
        assert_true(trace.done);
        assert_string_equal(trace.trailers, "A: 1\r\nB: 2\r\n");
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        int length = snprintf(text, sizeof text, "0\r\n%s: 5\r\n\r\n", others[i]);
        snprintf(kept, sizeof kept, "%s: 5\r\n", others[i]);
        chunktrace_decode(text, (size_t)length, (size_t)length, 1, NULL, &trace);
        assert_string_equal(trace.trailers, kept);
    }
}

static void trailers_are_as_strict_as_headers(void **state)
{
    static const char *const texts[] = {
        "0\r\nA\n\r\n",
        "0\r\nA: b\n\r\n\r\n",
        "0\r\nA: b\r\n\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA: b\rC: d\r\n\r\n",
        "0\r\nA: b\x01\r\n\r\n",
        "0\r\nA: b\r\r\n\r\n",
        "0\r\nA B: c\r\n\r\n",
        "0\r\nA: b\r\n: c\r\n\r\n",
        "0\r\nHost : b\r\n\r\n",
        "0\r\nHost: b\x7f\r\n\r\n",
        "0\r\nCookie: a\rb\r\n\r\n",
        "0\r\nA: b\r\nC: \x0b\r\n\r\n",
    };
    struct httpchunked chunked;
    struct httpchunked_piece piece;
    ssize_t taken;

    for (size_t i = 0; i < COUNT(texts); i++) {
        chunktrace_assert_status(texts[i], NULL, -400);
        chunked = (struct httpchunked){ 0 }; /* nobody wants them: they are checked all the same */
        taken = httpchunked_decode(&chunked, NULL, texts[i], strlen(texts[i]), &piece, NULL);
        assert_int_equal(taken, -400);
    }
}

static void trailers_have_limits(void **state)
{
    static const struct httpchunked_limits two = { .trailer_lines = 2 }, ten = { .trailers = 10 };
    static char text[16 * 1024];
    static struct chunktrace trace;
    size_t length;

    chunktrace_assert_row(&(struct chunktrace_row){ "0\r\nA: b\r\nA: b\r\n\r\n", 0, "", "" }, &two);
    chunktrace_assert_status("0\r\nA: b\r\nA: b\r\nHost: b\r\n\r\n", &two, -431);
    chunktrace_assert_row(&(struct chunktrace_row){ "0\r\nA: bcde\r\n\r\nX", -431, "", "" }, &ten);
    chunktrace_assert_row(&(struct chunktrace_row){ "0\r\nA: bcd\r\n\r\nX", 0, "", "X" }, &ten);
    chunktrace_assert_row(&(struct chunktrace_row){ "0\r\n\r\n123456789", 0, "", "123456789" }, &ten);
    chunktrace_assert_status("0\r\nabcdefghij", &ten, -431);
    length = (size_t)snprintf(text, sizeof text, "0\r\nA: %0*d\r\n\r\n", HTTPCHUNKED_MAX_TRAILERS - 6, 0);
    chunktrace_decode(text, length, 1, 100, NULL, &trace);
    assert_true(trace.done == false && trace.status == -431);
    length = (size_t)snprintf(text, sizeof text, "0\r\nHost: %0*d\r\n\r\n", HTTPCHUNKED_MAX_TRAILERS - 10, 0);
    chunktrace_decode(text, length, 1, 100, NULL, &trace);
    assert_true(trace.done);
}

static void sixteen_trailers_are_allowed(void **state)
{
    static struct chunktrace trace;
    char text[256] = "0\r\n";

    for (int i = 0; i < HTTPCHUNKED_MAX_TRAILER_LINES; i++)
        strcat(text, "A: b\r\n");
    size_t length = strlen(text);
    strcat(text, "\r\n");
    chunktrace_decode_every_way(text, strlen(text), NULL, &trace);
    assert_true(trace.done);
    assert_int_equal(strlen(trace.trailers), length - 3);
    strcpy(text + length, "A: b\r\n\r\n");
    chunktrace_decode_every_way(text, strlen(text), NULL, &trace);
    assert_int_equal(trace.status, -431);
}

/* The section is searched once, however slowly it comes: what has been searched is not looked at again. */
static void trailers_that_drip_are_searched_once(void **state)
{
    char text[] = "0\r\nA: b\r\nC: d\r\nE:";
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;

    assert_int_equal(httpchunked_decode(&chunked, NULL, text, 9, &piece, NULL), 3);
    assert_int_equal(chunked.scanned, 6);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text + 3, sizeof text - 4, &piece, NULL), 0);
    assert_int_equal(chunked.scanned, sizeof text - 4);
    assert_int_equal(chunked.lines, 2);
}

/* As after a pause, before the bytes are shown once more. */
static void to_ask_with_less_than_before_changes_nothing(void **state)
{
    static const char text[] = "0\r\nA: b\r\nC: d\r\n\r\n";
    size_t length = sizeof text - 1;

    for (size_t seen = 3; seen < length; seen++) {
        for (size_t less = 0; less <= seen - 3; less++) {
            struct httpchunked chunked = { 0 };
            struct httpchunked_piece piece;
            struct httpheaders trailers = { 0 };
            assert_int_equal(httpchunked_decode(&chunked, NULL, guardpage_text(text, seen), seen, &piece, NULL), 3);
            assert_int_equal(
                httpchunked_decode(&chunked, NULL, guardpage_text(text + 3, less), less, &piece, &trailers), 0);
            assert_false(piece.done);
            assert_int_equal(httpchunked_decode(&chunked, NULL, text + 3, length - 3, &piece, &trailers), length - 3);
            assert_true(piece.done);
            assert_string_equal(httpheaders_get(&trailers, "C"), "d");
            httpheaders_free(&trailers);
        }
    }
}

static void a_malformed_trailer_is_refused_when_its_line_ends(void **state)
{
    chunktrace_assert_status("0\r\nGET / HTTP/1.1\r\n", NULL, -400);
    chunktrace_assert_status("0\r\nA: b\n", NULL, -400);
    chunktrace_assert_status("0\r\nA: b\r\n c\r\n", NULL, -400);
    chunktrace_assert_status("0\r\n\r\r\n", NULL, -400);
}

static void trailers_are_added_to_what_is_there(void **state)
{
    static const char text[] = "0\r\nC: d\r\nE: f\r\n\r\n", bad[] = "0\r\nC: d\r\nE f\r\n\r\n";
    struct httpheaders trailers = { 0 };
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;

    assert_int_equal(httpheaders_add(&trailers, "A", "b"), 0);
    assert_int_equal(httpchunked_decode(&chunked, NULL, bad, sizeof bad - 1, &piece, &trailers), -400);
    assert_int_equal(httpheaders_count(&trailers), 1);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text, sizeof text - 1, &piece, &trailers), sizeof text - 1);
    assert_int_equal(httpheaders_count(&trailers), 3);
    assert_string_equal(httpheaders_get(&trailers, "a"), "b");
    assert_string_equal(httpheaders_get(&trailers, "e"), "f");
    httpheaders_free(&trailers);
}

static void more_trailers_than_there_is_room_for_are_refused(void **state)
{
    struct httpheaders trailers = { 0 };
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;

    for (int i = 0; i < HTTPHEADERS_MAX_COUNT; i++)
        assert_int_equal(httpheaders_add(&trailers, "A", "b"), 0);
    assert_int_equal(httpchunked_decode(&chunked, NULL, "0\r\nC: d\r\n\r\n", 11, &piece, &trailers), -431);
    assert_int_equal(httpheaders_count(&trailers), HTTPHEADERS_MAX_COUNT);
    httpheaders_free(&trailers);
}

static void trailers_may_find_no_memory(void **state)
{
    static const char text[] = "0\r\nA: b\r\nC: d\r\n\r\n";
    struct httpheaders trailers = { 0 };
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;
    long before = faults_allocated();

    faults_allocation(1, false);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text, sizeof text - 1, &piece, &trailers), -503);
    assert_int_equal(httpheaders_count(&trailers), 0);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text, sizeof text - 1, &piece, &trailers), sizeof text - 1);
    assert_true(piece.done);
    assert_int_equal(httpheaders_count(&trailers), 2);
    chunked = (struct httpchunked){ 0 };
    faults_allocation(1, true);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text, sizeof text - 1, &piece, &trailers), -503);
    faults_end();
    assert_int_equal(httpheaders_count(&trailers), 2);
    httpheaders_free(&trailers);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(trailers_are_kept_apart),
    cmocka_unit_test(trailers_cannot_pass_for_headers),
    cmocka_unit_test(trailers_are_as_strict_as_headers),
    cmocka_unit_test(trailers_have_limits),
    cmocka_unit_test(sixteen_trailers_are_allowed),
    cmocka_unit_test(trailers_that_drip_are_searched_once),
    cmocka_unit_test(to_ask_with_less_than_before_changes_nothing),
    cmocka_unit_test(a_malformed_trailer_is_refused_when_its_line_ends),
    cmocka_unit_test(trailers_are_added_to_what_is_there),
    cmocka_unit_test(more_trailers_than_there_is_room_for_are_refused),
    cmocka_unit_test(trailers_may_find_no_memory),
};

TESTING_MAIN(tests)
