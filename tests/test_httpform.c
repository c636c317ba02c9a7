#include "httpserver/httpform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/formtrace.h"
#include "tests/support/testing.h"

#define COUNT(array)      (sizeof(array) / sizeof *(array))
#define TYPE              "multipart/form-data; boundary=1234"
#define BEGIN             "--1234\r\n"
#define FIELD(parameters) BEGIN "Content-Disposition: form-data; " parameters "\r\n\r\n"
#define END               "\r\n--1234--\r\n"

struct row {
    const char *body;
    size_t length;
    const char *wanted; /* the trace, or where wrong is not NULL what came before the defect */
    const char *wrong;  /* a word of the reason */
};

#define ROW(body, wanted)                                                                                              \
    {                                                                                                                  \
        body, sizeof body - 1, wanted, NULL                                                                            \
    }
#define WRONG(body, wanted, word)                                                                                      \
    {                                                                                                                  \
        body, sizeof body - 1, wanted, word                                                                            \
    }

static void assert_row(const struct row *row)
{
    static struct formtrace trace;

    formtrace_every_way(TYPE, NULL, row->body, row->length, &trace);
    if (strlen(row->wanted) != trace.length || memcmp(trace.bytes, row->wanted, trace.length) != 0)
        print_error("[%s]: %s\n", row->body, trace.bytes);
    assert_int_equal(trace.length, strlen(row->wanted));
    assert_memory_equal(trace.bytes, row->wanted, trace.length);
    assert_int_equal(trace.error, row->wrong != NULL ? -EINVAL : 0);
    if (row->wrong != NULL && strstr(trace.reason, row->wrong) == NULL)
        print_error("[%s]: %s\n", row->body, trace.reason);
    assert_true(row->wrong == NULL || strstr(trace.reason, row->wrong) != NULL);
}

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_row(&rows[i]);
}

/* What is accepted. */

/* httputil_test:test_file_upload, httputil_test:test_unquoted_names. */
static void finds_fields_and_files(void **state)
{
    static const struct row rows[] = {
        ROW("--1234\r\nContent-Disposition: form-data; name=\"files\"; filename=\"ab.txt\"\r\n\r\nFoo\r\n--1234--",
            "[files|ab.txt|-:Foo]"),
        ROW("--1234\r\nContent-Disposition: form-data; name=files; filename=ab.txt\r\n\r\nFoo\r\n--1234--",
            "[files|ab.txt|-:Foo]"),
        ROW(FIELD("name=\"a\"") "1" END, "[a|-|-:1]"),
        ROW(FIELD("name=\"a\"") END, "[a|-|-:]"),
        ROW(FIELD("name=a") "1\r\n" FIELD("name=a") "2\r\n" FIELD("name=b; filename=c") "3" END,
            "[a|-|-:1][a|-|-:2][b|c|-:3]"),
        ROW(BEGIN "Content-Disposition: form-data; name=\"a\"; filename=\"b\"\r\nContent-Type: image/png\r\n\r\n"
                  "\x89PNG" END,
            "[a|b|image/png:\x89PNG]"),
        ROW(BEGIN "content-type:\ttext/plain; charset=utf-8 \t\r\nX-Other: y\r\nCONTENT-DISPOSITION:FORM-DATA;NAME=a"
                  "\r\n\r\n1" END,
            "[a|-|text/plain; charset=utf-8:1]"),
        ROW(BEGIN "Content-Type:  \r\nContent-Disposition: form-data; name=a\r\n\r\n1" END, "[a|-|-:1]"),
        ROW(FIELD("name=a; filename=\"\"") END, "[a||-:]"),
        ROW(FIELD("filename=b; other=\"c\"; name=a;") "1" END, "[a|b|-:1]"),
        ROW("--1234--", ""),
        ROW("--1234--\r\n", ""),
        ROW("\r\n--1234--\r\n", ""),
    };

    assert_rows(rows, COUNT(rows));
}

/* httputil_test:test_special_filenames. */
static void unescapes_names(void **state)
{
    static const struct row rows[] = {
        ROW(FIELD("name=\"files\"; filename=\"a;b.txt\"") "Foo" END, "[files|a;b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"a\\\"b.txt\"") "Foo" END, "[files|a\"b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"a\\\";b.txt\"") "Foo" END, "[files|a\";b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"a;\\\"b.txt\"") "Foo" END, "[files|a;\"b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"a\\\";\\\";.txt\"") "Foo" END, "[files|a\";\";.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"a\\\\\\\"b.txt\"") "Foo" END, "[files|a\\\"b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"a\\\\b.txt\"") "Foo" END, "[files|a\\b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"C:\\docs\\b.txt\"") "Foo" END, "[files|C:\\docs\\b.txt|-:Foo]"),
        ROW(FIELD("name=\"a\\\"b\\\\\"; filename=\"%22%0D%0A\"") "Foo" END, "[a\"b\\|%22%0D%0A|-:Foo]"),
        ROW(FIELD("name=\"../../a\"; filename=\"../../x\"") "Foo" END, "[../../a|../../x|-:Foo]"),
    };

    assert_rows(rows, COUNT(rows));
}

/* httputil_test:test_non_ascii_filename_rfc5987, httputil_test:test_non_ascii_filename_raw. */
static void takes_names_that_are_not_ascii(void **state)
{
    static const struct row rows[] = {
        ROW(FIELD("name=\"files\"; filename=\"ab.txt\"; filename*=UTF-8''%C3%A1b.txt") "Foo" END, "[files|\xc3\xa1"
                                                                                                  "b.txt|-:Foo]"),
        ROW(FIELD("name=\"files\"; filename=\"\xe6\xb5\x8b\xe8\xaf\x95.txt\"") "Foo" END,
            "[files|\xe6\xb5\x8b\xe8\xaf\x95.txt|-:Foo]"),
        ROW(FIELD("filename*=utf-8'en-GB'a%20%22b%25%2f; name=\"\xc3\xa9\"") "Foo" END, "[\xc3\xa9|a \"b%/|-:Foo]"),
        ROW(FIELD("filename*=UTF-8''; filename=b; name=a") "Foo" END, "[a||-:Foo]"),
        ROW(FIELD("filename*=UTF-8''c; filename=b; name=a") "Foo" END, "[a|c|-:Foo]"),
        ROW(FIELD("filename=\"\xff\"; name=\"\x80\"") "Foo" END, "[\x80|\xff|-:Foo]"),
    };
    static const struct row wrong[] = {
        WRONG(FIELD("name=a; filename*=ab") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8'") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8'en") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-16''a") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-9''a") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=US-AS'en'a") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=ISO-8859-1''a") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''%") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''%4") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''%4g") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''%ff") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''%c0%af") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''a%00b") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''a%0d%0a") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''a%7f") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''a'b") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=UTF-8''a*b") "", "", "filename*"),
        WRONG(FIELD("name=a; filename*=\"UTF-8''a\"") "", "", "malformed Content-Disposition"),
        WRONG(FIELD("name=a; filename*=UTF-8''\xc3\xa9") "", "", "malformed Content-Disposition"),
    };

    assert_rows(rows, COUNT(rows));
    assert_rows(wrong, COUNT(wrong));
}

/* httputil_test:test_data_after_final_boundary. */
static void ignores_what_comes_before_and_after(void **state)
{
    static const struct row rows[] = {
        ROW("preamble\r\n" FIELD("name=a") "1" END, "[a|-|-:1]"),
        ROW("--123\r\n--12\n--1234\r--1234--\r\n" FIELD("name=a") "1" END, "[a|-|-:1]"),
        ROW("\r\r\n\r\n" FIELD("name=a") "1" END, "[a|-|-:1]"),
        ROW("--12\r\n" FIELD("name=a") "1" END, "[a|-|-:1]"),
        ROW("x" FIELD("name=b") "2\r\n" FIELD("name=a") "1" END, "[a|-|-:1]"),
        ROW(FIELD("name=a") "1" END "epilogue\r\n" FIELD("name=b") "2" END, "[a|-|-:1]"),
        ROW(FIELD("name=a") "1\r\n--1234--\r\nepilogue\x00", "[a|-|-:1]"),
        ROW(FIELD("name=\"files\"; filename=\"ab.txt\"") "Foo\r\n--1234--\r\n\r\n", "[files|ab.txt|-:Foo]"),
    };

    assert_rows(rows, COUNT(rows));
}

static void gives_back_what_only_looks_like_a_boundary(void **state)
{
    static const struct row rows[] = {
        ROW(FIELD("name=a") "\r" END, "[a|-|-:\r]"),
        ROW(FIELD("name=a") "\r\n" END, "[a|-|-:\r\n]"),
        ROW(FIELD("name=a") "\r\n\r\n\r\r\n\n" END, "[a|-|-:\r\n\r\n\r\r\n\n]"),
        ROW(FIELD("name=a") "\r\n-\r\n--\r\n--1\r\n--12\r\n--123\r\n--12 34" END,
            "[a|-|-:\r\n-\r\n--\r\n--1\r\n--12\r\n--123\r\n--12 34]"),
        ROW(FIELD("name=a") "\r\n--123\r\r\n--123" END, "[a|-|-:\r\n--123\r\r\n--123]"),
        ROW(FIELD("name=a") "\n--1234\r\n\r--1234\r--1234--" END, "[a|-|-:\n--1234\r\n\r--1234\r--1234--]"),
        ROW(FIELD("name=a") "----------------------------" END, "[a|-|-:----------------------------]"),
        ROW(FIELD("name=a") "-\r\n-\r\n--" END, "[a|-|-:-\r\n-\r\n--]"),
        ROW(FIELD("name=a") "--123" END, "[a|-|-:--123]"),
        ROW(FIELD("name=a") "-" END, "[a|-|-:-]"),
        ROW(FIELD("name=a") "--1234--" END, "[a|-|-:]"), /* ends it: the CRLF before is that of the empty line */
        ROW(FIELD("name=a") FIELD("name=b") END, "[a|-|-:][b|-|-:]"),
    };

    assert_rows(rows, COUNT(rows));
}

/* What is refused. */

/* httputil_test:test_missing_headers, httputil_test:test_invalid_content_disposition,
 * httputil_test:test_content_disposition_header_without_name_parameter. */
static void refuses_heads_that_name_nothing(void **state)
{
    static const struct row rows[] = {
        WRONG("--1234\r\n\r\nFoo\r\n--1234--", "", "without Content-Disposition"),
        WRONG("--1234\r\n\r\n--1234--", "", "without Content-Disposition"),
        WRONG(BEGIN "Content-Type: text/plain\r\n\r\nFoo" END, "", "without Content-Disposition"),
        WRONG(BEGIN "Content-Disposition: invalid; name=\"files\"; filename=\"ab.txt\"\r\n\r\nFoo" END, "",
              "not form-data"),
        WRONG(BEGIN "Content-Disposition: \r\n\r\nFoo" END, "", "not form-data"),
        WRONG(BEGIN "Content-Disposition: \"form-data\"; name=a\r\n\r\nFoo" END, "", "not form-data"),
        WRONG(BEGIN "Content-Disposition: form-data/x; name=a\r\n\r\nFoo" END, "", "not form-data"),
        WRONG(BEGIN "Content-Disposition: form-data; filename=\"ab.txt\"\r\n\r\nFoo" END, "", "without a name"),
        WRONG(BEGIN "Content-Disposition: form-data\r\n\r\nFoo" END, "", "without a name"),
        WRONG(FIELD("name=\"\"") "Foo" END, "", "without a name"),
        WRONG(FIELD("name") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=a; filename") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=\"a") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=\"a\\\"") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=a b") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=a, b=c") "Foo" END, "", "malformed Content-Disposition"),
        WRONG(FIELD("name=a; NAME=b") "Foo" END, "", "given twice"),
        WRONG(FIELD("name=a; filename=b; filename=b") "Foo" END, "", "given twice"),
        WRONG(FIELD("name=a; filename*=UTF-8''b; filename*=UTF-8''b") "Foo" END, "", "given twice"),
        WRONG(BEGIN "Content-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b\r\n\r\n" END, "",
              "given twice"),
        WRONG(BEGIN "Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Disposition: form-data; name=a\r\n\r\n" END, "",
              "given twice"),
        WRONG(BEGIN "Content-Disposition: form-data; name=a\r\n : x\r\n\r\n" END, "", "malformed header"),
        WRONG(BEGIN "Content-Disposition: form-data;\r\n name=a\r\n\r\n" END, "", "malformed header"),
        WRONG(BEGIN "Content-Disposition : form-data; name=a\r\n\r\n" END, "", "malformed header"),
        WRONG(BEGIN "Content-Disposition: form-data; name=a\r\n: x\r\n\r\n" END, "", "malformed header"),
        WRONG(BEGIN "Content-Disposition: form-data; name=a\r\nx\r\n\r\n" END, "", "malformed header"),
        WRONG(BEGIN "Content-Disposition: form-data; name=a\r\n--1234--\r\n\r\n", "", "malformed header"),
    };

    assert_rows(rows, COUNT(rows));
}

/* httputil_test:test_line_does_not_end_with_correct_line_break. */
static void wants_crlf_at_the_end_of_every_line(void **state)
{
    static const struct row rows[] = {
        WRONG("--1234\r\nContent-Disposition: form-data; name=\"files\"; filename=\"ab.txt\"\r\n\r\nFoo--1234--",
              "[files|ab.txt|-:Foo--1234--", "last boundary"),
        WRONG("--1234\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nFoo\n--1234--", "[a|-|-:Foo\n--1234--",
              "last boundary"),
        WRONG("--1234\nContent-Disposition: form-data; name=\"a\"\r\n\r\nFoo\r\n--1234--", "", "after a boundary"),
        WRONG("--1234\rContent-Disposition: form-data; name=\"a\"\r\n\r\nFoo\r\n--1234--", "", "CR without LF"),
        WRONG("--1234 \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nFoo\r\n--1234--", "", "after a boundary"),
        WRONG("--1234-\r\n", "", "after a boundary"),
        WRONG("--12345\r\n", "", "after a boundary"),
        WRONG("--123\r\n--12345--", "", "after a boundary"),
        WRONG("--1234\r\nContent-Disposition: form-data; name=\"a\"\n\nFoo\r\n--1234--", "", "LF without CR"),
        WRONG("--1234\r\nContent-Disposition: form-data; name=\"a\"\r\n\nFoo\r\n--1234--", "", "LF without CR"),
        WRONG("--1234\r\n\n", "", "LF without CR"),
        WRONG(FIELD("name=a") "1\r\n--1234x" END, "[a|-|-:1", "after a boundary"),
        WRONG(FIELD("name=a") "1\r\n--1234\r\r", "[a|-|-:1", "CR without LF"),
        WRONG(FIELD("name=a") "1\r\n--1234-x", "[a|-|-:1", "after a boundary"),
        /* Some readers take that for the last boundary, others for content. */
        WRONG(FIELD("name=a") "1\r\n--1234--x" END, "[a|-|-:1]", "after a boundary"),
        WRONG(FIELD("name=a") "1\r\n--1234--\n", "[a|-|-:1]", "after a boundary"),
        WRONG(FIELD("name=a") "1\r\n--1234--\rx", "[a|-|-:1]", "CR without LF"),
        WRONG(FIELD("name=a") "1\r\n--1234--\r", "[a|-|-:1]", "last boundary"),
        WRONG(FIELD("name=a") "1\r\n--1234\0\0x", "[a|-|-:1", "after a boundary"),
    };

    assert_rows(rows, COUNT(rows));
}

/* httputil_test:test_invalid_chars. */
static void refuses_control_characters_in_heads(void **state)
{
    static const char around[] = FIELD("name=\"a\"; filename=\"?.txt\"") "Foo" END;
    char body[sizeof around];

    memcpy(body, around, sizeof around);
    char *place = strchr(body, '?');
    for (int byte = 0; byte < 256; byte++) {
        static struct formtrace trace;
        bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        if (byte == '"')
            continue;
        *place = (char)byte;
        formtrace_every_way(TYPE, NULL, body, sizeof around - 1, &trace);
        assert_int_equal(trace.error, is_control ? -EINVAL : 0);
        if (is_control)
            assert_string_equal(trace.reason, byte == '\n' ? "LF without CR in the head of a part"
                                                           : "control character in the head of a part");
    }
}

static void needs_the_last_boundary(void **state)
{
    static const char body[] = FIELD("name=a") "1\r\n" FIELD("name=b") "2\r\n--1234--";
    static struct formtrace trace;

    for (size_t length = 0; length < sizeof body - 1; length++) {
        formtrace_run(TYPE, NULL, body, length, length, 1, &trace);
        assert_int_equal(trace.error, -EINVAL);
        assert_string_equal(trace.reason, "the last boundary is missing");
    }
    formtrace_run(TYPE, NULL, body, sizeof body - 1, 1, 1, &trace);
    assert_int_equal(trace.error, 0);
}

/* The boundary. */

#define A_70 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* httputil_test:test_boundary_starts_and_ends_with_quotes. */
static void takes_the_boundary_of_the_content_type(void **state)
{
    static const struct {
        const char *content_type;
        const char *boundary;
    } rows[] = {
        { "multipart/form-data; boundary=\"1234\"", "1234" },
        { "multipart/form-data; boundary=1234", "1234" },
        { "Multipart/Form-Data;BOUNDARY=1234;", "1234" },
        { "multipart/form-data; charset=utf-8; boundary=1; x=\"y\"", "1" },
        { "multipart/form-data; boundary=----WebKitFormBoundaryAbC", "----WebKitFormBoundaryAbC" },
        { "multipart/form-data; boundary=\"'()+_,-./:=? z\"", "'()+_,-./:=? z" },
        { "multipart/form-data; boundary=" A_70, A_70 },
        { "multipart/form-data; boundary=\"" A_70 "\"", A_70 },
        { "multipart/form-data; boundary=\"-\"", "-" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        static struct formtrace trace;
        char body[512];
        int length =
            snprintf(body, sizeof body, "--%s\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--\r\n--%s--\r\n",
                     rows[i].boundary, rows[i].boundary);
        formtrace_every_way(rows[i].content_type, NULL, body, (size_t)length, &trace);
        assert_int_equal(trace.error, 0);
        assert_string_equal(trace.bytes, "[a|-|-:1\r\n--]");
    }
}

static void needs_a_content_type_with_a_boundary(void **state)
{
    static const char *const rows[] = {
        "",
        "multipart/form-data",
        "multipart/form-data;",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"1234",
        "multipart/form-data; boundary=1234\"",
        "multipart/form-data; boundary=12 34",
        "multipart/form-data; boundary=12/34",
        "multipart/form-data; boundary=\"1234 \"",
        "multipart/form-data; boundary=\" \"",
        "multipart/form-data; boundary=\"12\\\"34\"",
        "multipart/form-data; boundary=\"12\\\\34\"",
        "multipart/form-data; boundary=\"12\t34\"",
        "multipart/form-data; boundary=\"12;34\"",
        "multipart/form-data; boundary=12*34",
        "multipart/form-data; boundary=\"\xc3\xa9\"",
        "multipart/form-data; boundary=1\r\n",
        "multipart/form-data; boundary=" A_70 "a",
        "multipart/form-data; boundary=1; boundary=2",
        "multipart/form-data; boundary=1; boundary=1",
        "multipart/form-data; boundary=1, multipart/form-data",
        "multipart/form-data; boundary=1; x=",
        "multipart/mixed; boundary=1234",
        "multipart/form-data2; boundary=1234",
        "application/x-www-form-urlencoded",
        "form-data; boundary=1234",
        "multipart/form-data boundary=1234",
    };
    long before = faults_allocated();

    for (size_t i = 0; i < COUNT(rows); i++) {
        errno = 0;
        if (httpform_new(rows[i], NULL, &formtrace_functions, NULL) != NULL)
            fail_msg("%s", rows[i]);
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(faults_allocated(), before);
}

/* What the program answers, memory. */

static void ends_with_what_a_callback_answers(void **state)
{
    static const char body[] = FIELD("name=a") "1\r\n" FIELD("name=b") "2\r\n--x" END;
    const struct httpform_limits one_part = { .parts = 1 };
    static struct formtrace trace;

    for (size_t step = 1; step < sizeof body; step++) {
        trace.refused_call = 0;
        formtrace_run(TYPE, NULL, body, sizeof body - 1, step, step, &trace);
        int calls = trace.calls;
        assert_true(calls >= 6);
        for (int call = 1; call <= calls; call++) {
            trace.refused_call = call; /* the trace fails when another call comes */
            formtrace_run(TYPE, NULL, body, sizeof body - 1, step, step, &trace);
            assert_int_equal(trace.error, FORMTRACE_REFUSAL);
            assert_string_equal(trace.reason, "refused by the program");
            assert_int_equal(trace.calls, call);
        }
    }
    trace.refused_call = 3; /* the end of the only part that is allowed */
    formtrace_run(TYPE, &one_part, body, sizeof body - 1, 1, 1, &trace);
    assert_int_equal(trace.error, FORMTRACE_REFUSAL);
    assert_string_equal(trace.bytes, "[a|-|-:1]");
}

static void loses_nothing_without_memory(void **state)
{
    static const char body[] = FIELD("name=a; filename=b") "1" END;
    static struct formtrace trace;
    long before = faults_allocated();
    int nth = 0, error;

    memset(&trace, 0, sizeof trace);
    do {
        faults_allocation(++nth, false);
        struct httpform *form = httpform_new(TYPE, NULL, &formtrace_functions, &trace);
        error = form == NULL ? -errno : httpform_feed(form, body, sizeof body - 1);
        if (form != NULL && error < 0)
            assert_string_equal(httpform_reason(form), "no memory");
        httpform_free(form);
        assert_true(error == 0 || error == -ENOMEM);
        assert_true(error == 0 || trace.calls == 0);
        assert_int_equal(faults_allocated(), before);
    } while (error != 0);
    faults_end();
    assert_int_equal(nth, 4); /* the form, a copy of the type, the head */
    assert_int_equal(trace.calls, 3);
}

static void to_free_no_parser_is_fine(void **state)
{
    httpform_free(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_fields_and_files),
    cmocka_unit_test(unescapes_names),
    cmocka_unit_test(takes_names_that_are_not_ascii),
    cmocka_unit_test(ignores_what_comes_before_and_after),
    cmocka_unit_test(gives_back_what_only_looks_like_a_boundary),
    cmocka_unit_test(refuses_heads_that_name_nothing),
    cmocka_unit_test(wants_crlf_at_the_end_of_every_line),
    cmocka_unit_test(refuses_control_characters_in_heads),
    cmocka_unit_test(needs_the_last_boundary),
    cmocka_unit_test(takes_the_boundary_of_the_content_type),
    cmocka_unit_test(needs_a_content_type_with_a_boundary),
    cmocka_unit_test(ends_with_what_a_callback_answers),
    cmocka_unit_test(loses_nothing_without_memory),
    cmocka_unit_test(to_free_no_parser_is_fine),
};

TESTING_MAIN(tests)
