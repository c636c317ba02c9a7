/* Accept-Encoding: names, weights, what is malformed. */
#include "httpserver/httpencoding.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

static void parse_at_guard(const char *value, struct httpencoding *accepted)
{
    httpencoding_parse(guardpage_string(value), accepted);
}

static void codings_have_the_weights_that_are_said(void **state)
{
    static const struct {
        const char *value;
        int br, gzip, identity;
    } cases[] = {
        { "", 0, 0, 0 },
        { "br", 1000, 0, 0 },
        { "gzip", 0, 1000, 0 },
        { "x-gzip", 0, 1000, 0 },
        { "identity", 0, 0, 1000 },
        { "BR, GZip, IDENTITY", 1000, 1000, 1000 },
        { "gzip, deflate, br, zstd", 1000, 1000, 0 },
        { "gzip,br", 1000, 1000, 0 },
        { ",, gzip ,\t, br ,", 1000, 1000, 0 },
        { "br;q=0", 0, 0, 0 },
        { "br;q=0.0, gzip;q=0.", 0, 0, 0 },
        { "br;q=0.000, gzip;q=0.001", 0, 1, 0 },
        { "br;q=1, gzip;q=0.5", 1000, 500, 0 },
        { "br;q=1., gzip;q=1.0", 1000, 1000, 0 },
        { "br;q=1.000,gzip;q=0.999", 1000, 999, 0 },
        { "br ; q=0.25\t,gzip\t;\tQ=0.75 ", 250, 750, 0 },
        /* The others. */
        { "*", 1000, 1000, 0 },
        { "*;q=0.5", 500, 500, 0 },
        { "*;q=0, gzip", 0, 1000, 0 },
        { "br;q=0, *", 0, 1000, 0 },
        { "gzip;q=0.3, *;q=0.6", 600, 300, 0 },
        { "*;q=0", 0, 0, 0 },
        { "identity;q=0.7, *", 1000, 1000, 700 },
        /* The smaller weight. */
        { "br, br;q=0", 0, 0, 0 },
        { "br;q=0, br", 0, 0, 0 },
        { "gzip;q=0.6, x-gzip;q=0.4", 0, 400, 0 },
        /* Other names. */
        { "b", 0, 0, 0 },
        { "brr", 0, 0, 0 },
        { "gzi", 0, 0, 0 },
        { "gzipx", 0, 0, 0 },
        { "x-br", 0, 0, 0 },
        { "**", 0, 0, 0 },
        { "br/gzip", 0, 0, 0 },
        { "\"br\"", 0, 0, 0 },
        { ";q=1", 0, 0, 0 },
        /* Malformed members are ignored, the rest is not. */
        { "br;", 0, 0, 0 },
        { "br;q", 0, 0, 0 },
        { "br;q=", 0, 0, 0 },
        { "br;q=2, gzip", 0, 1000, 0 },
        { "br;q=1.001", 0, 0, 0 },
        { "br;q=1.1", 0, 0, 0 },
        { "br;q=0.1234", 0, 0, 0 },
        { "br;q=.5", 0, 0, 0 },
        { "br;q=-1", 0, 0, 0 },
        { "br;q=+1", 0, 0, 0 },
        { "br;q=01", 0, 0, 0 },
        { "br;q=0.5x, gzip;q=0.5", 0, 500, 0 },
        { "br;q =0.5", 0, 0, 0 },
        { "br;q= 0.5", 0, 0, 0 },
        { "br;w=0.5", 0, 0, 0 },
        { "br;q=0.5;q=0.6", 0, 0, 0 },
        { "br gzip", 0, 0, 0 },
        { "br=1", 0, 0, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpencoding accepted = { 0 };

        parse_at_guard(cases[i].value, &accepted);
        if (httpencoding_weight(&accepted, HTTPENCODING_BR) != cases[i].br ||
            httpencoding_weight(&accepted, HTTPENCODING_GZIP) != cases[i].gzip ||
            httpencoding_weight(&accepted, HTTPENCODING_IDENTITY) != cases[i].identity)
            fail_msg("\"%s\": br %d, gzip %d, identity %d", cases[i].value,
                     httpencoding_weight(&accepted, HTTPENCODING_BR), httpencoding_weight(&accepted, HTTPENCODING_GZIP),
                     httpencoding_weight(&accepted, HTTPENCODING_IDENTITY));
    }
}

static void several_fields_are_one_list(void **state)
{
    struct httpencoding accepted = { 0 };

    httpencoding_parse(NULL, &accepted);
    assert_int_equal(httpencoding_weight(&accepted, HTTPENCODING_BR), 0);
    httpencoding_parse("*", &accepted);
    httpencoding_parse("br;q=0", &accepted);
    httpencoding_parse("gzip;q=0.5", &accepted);
    assert_int_equal(httpencoding_weight(&accepted, HTTPENCODING_BR), 0);
    assert_int_equal(httpencoding_weight(&accepted, HTTPENCODING_GZIP), 500);
}

static void codings_have_a_name_and_a_suffix(void **state)
{
    assert_string_equal(httpencoding_name(HTTPENCODING_BR), "br");
    assert_string_equal(httpencoding_name(HTTPENCODING_GZIP), "gzip");
    assert_string_equal(httpencoding_name(HTTPENCODING_IDENTITY), "identity");
    assert_string_equal(httpencoding_suffix(HTTPENCODING_BR), ".br");
    assert_string_equal(httpencoding_suffix(HTTPENCODING_GZIP), ".gz");
    assert_string_equal(httpencoding_suffix(HTTPENCODING_IDENTITY), "");
}

static void the_name_of_the_field_has_letters_of_either_case(void **state)
{
    static const char *const others[] = { "", "Accept", "Accept-Encodin", "Accept-Encodings", "Accept_Encoding" };

    assert_true(httpencoding_is_field("Accept-Encoding"));
    assert_true(httpencoding_is_field("accept-encoding"));
    assert_true(httpencoding_is_field("ACCEPT-ENCODING"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(httpencoding_is_field(others[i]));
}

static void codings_are_tried_from_the_best_on_if_better_than_none(void **state)
{
    static const struct {
        const char *value, *first, *second;
    } cases[] = {
        { "", NULL, NULL },
        { "br", "br", NULL },
        { "gzip", "gzip", NULL },
        { "gzip, br", "br", "gzip" },
        { "gzip;q=0.5, br;q=0.5", "br", "gzip" },
        { "gzip;q=0.5, br;q=0.4", "gzip", "br" },
        { "gzip, br;q=0", "gzip", NULL },
        { "gzip;q=0, br", "br", NULL },
        { "*", "br", "gzip" },
        { "*;q=0", NULL, NULL },
        { "identity, gzip;q=0.5, br;q=0.6", NULL, NULL },
        { "identity;q=0.5, gzip;q=0.5, br;q=0.4", "gzip", NULL },
        { "identity;q=0, gzip;q=0.1", "gzip", NULL },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpencoding accepted = { 0 };
        const char *names[3] = { NULL };

        parse_at_guard(cases[i].value, &accepted);
        unsigned order = httpencoding_order(&accepted);
        for (int n = 0; order != 0; order >>= 2)
            names[n++] = httpencoding_name((enum httpencoding_coding)((order & 3) - 1));
        if (names[0] != NULL && cases[i].first != NULL)
            assert_string_equal(names[0], cases[i].first);
        if (names[1] != NULL && cases[i].second != NULL)
            assert_string_equal(names[1], cases[i].second);
        assert_true((names[0] == NULL) == (cases[i].first == NULL));
        assert_true((names[1] == NULL) == (cases[i].second == NULL));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(codings_have_the_weights_that_are_said),
    cmocka_unit_test(several_fields_are_one_list),
    cmocka_unit_test(the_name_of_the_field_has_letters_of_either_case),
    cmocka_unit_test(codings_are_tried_from_the_best_on_if_better_than_none),
    cmocka_unit_test(codings_have_a_name_and_a_suffix),
};

TESTING_MAIN(tests)
