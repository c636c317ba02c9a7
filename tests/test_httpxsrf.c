#include "httpserver/httpxsrf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

/* The same source once more, with random bytes of our own. */
int init_with_ours(struct httpxsrf *xsrf, int64_t now);
int decode_with_ours(struct httpxsrf *xsrf, const char *text, int64_t now);
int format_with_ours(const struct httpxsrf *xsrf, char text[HTTPXSRF_ROOM]);
bool is_same_with_ours(const struct httpxsrf *a, const struct httpxsrf *b);
#define kernel_random    random_of_ours
#define httpxsrf_init    init_with_ours
#define httpxsrf_decode  decode_with_ours
#define httpxsrf_format  format_with_ours
#define httpxsrf_is_same is_same_with_ours
#include "httpserver/httpxsrf.c"
#undef kernel_random
#undef httpxsrf_init
#undef httpxsrf_decode
#undef httpxsrf_format
#undef httpxsrf_is_same

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOW          INT64_C(1300000000)
#define HEX_64       "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TEXT_64      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* 1, 2, 3, ...; or an error, after which some have been written. */
static int random_error;

int random_of_ours(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(i + 1);
    return random_error;
}

static struct httpxsrf decoded(const char *text)
{
    struct httpxsrf xsrf;

    memset(&xsrf, '#', sizeof xsrf);
    assert_int_equal(httpxsrf_decode(&xsrf, guardpage_string(text), NOW), 0);
    return xsrf;
}

static void render(const struct httpxsrf *xsrf, char text[HTTPXSRF_ROOM])
{
    int length = httpxsrf_format(xsrf, text);

    assert_int_equal(length, strlen(text));
    assert_true(length < HTTPXSRF_ROOM);
}

static void assert_token(const char *text, const void *token, size_t length, int64_t timestamp)
{
    struct httpxsrf xsrf = decoded(text);

    assert_int_equal(xsrf.length, length);
    assert_memory_equal(xsrf.token, token, length);
    assert_int_equal(xsrf.timestamp, timestamp);
}

static void assert_empty(const struct httpxsrf *xsrf)
{
    static const struct httpxsrf none;

    assert_memory_equal(xsrf->token, none.token, sizeof none.token);
    assert_true(xsrf->length == 0 && xsrf->timestamp == 0);
}

static void makes_tokens_of_random_bytes(void **state)
{
    struct httpxsrf all[50];

    for (size_t i = 0; i < COUNT(all); i++) {
        assert_int_equal(httpxsrf_init(&all[i], NOW), 0);
        assert_int_equal(all[i].length, HTTPXSRF_TOKEN);
        assert_int_equal(all[i].timestamp, NOW);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(all[i].token, all[j].token, HTTPXSRF_TOKEN);
    }
}

/* web_test:test_distinct_tokens */
static void masks_each_rendering_anew(void **state)
{
    char texts[20][HTTPXSRF_ROOM];
    struct httpxsrf xsrf;

    assert_int_equal(httpxsrf_init(&xsrf, NOW), 0);
    for (size_t i = 0; i < COUNT(texts); i++) {
        render(&xsrf, texts[i]);
        assert_int_equal(strlen(texts[i]), 2 + 8 + 1 + 2 * HTTPXSRF_TOKEN + 1 + 10);
        assert_string_equal(strrchr(texts[i], '|'), "|1300000000");
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(texts[i] + 2, texts[j] + 2, 8);
            assert_memory_not_equal(texts[i] + 11, texts[j] + 11, 2 * HTTPXSRF_TOKEN);
        }
    }
}

/* web_test:test_refresh_token: a page that was rendered before another one goes on being good. */
static void knows_its_token_in_every_rendering(void **state)
{
    char text[HTTPXSRF_ROOM];
    struct httpxsrf cookie, xsrf;

    assert_int_equal(httpxsrf_init(&cookie, NOW), 0);
    xsrf = cookie;
    for (int i = 0; i < 20; i++) {
        render(&xsrf, text);
        xsrf = decoded(text);
        assert_true(httpxsrf_is_same(&xsrf, &cookie));
        assert_int_equal(xsrf.timestamp, NOW);
    }
}

/* web_test:test_cross_user */
static void refuses_the_token_of_another(void **state)
{
    struct httpxsrf a, b;

    assert_int_equal(httpxsrf_init(&a, NOW), 0);
    assert_int_equal(httpxsrf_init(&b, NOW), 0);
    assert_false(httpxsrf_is_same(&a, &b));
    for (size_t bit = 0; bit < 8 * a.length; bit++) {
        b = a;
        assert_true(httpxsrf_is_same(&a, &b));
        b.token[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(httpxsrf_is_same(&a, &b));
    }
    b = a;
    b.length--;
    assert_false(httpxsrf_is_same(&a, &b));
    assert_false(httpxsrf_is_same(&b, &a));
}

static void no_token_is_the_same_as_none(void **state)
{
    struct httpxsrf none = { 0 }, token = decoded("xoxo");
    char text[HTTPXSRF_ROOM] = "#";

    assert_false(httpxsrf_is_same(&none, &none));
    assert_false(httpxsrf_is_same(&none, &token));
    assert_false(httpxsrf_is_same(&token, &none));
    assert_int_equal(httpxsrf_format(&none, text), -EINVAL);
    assert_string_equal(text, "");
}

static void reads_what_tornado_writes(void **state)
{
    assert_token("2|00000000|deadbeef|1300000000", "\xde\xad\xbe\xef", 4, 1300000000);
    assert_token("2|01020304|dfafbdeb|5", "\xde\xad\xbe\xef", 4, 5);
    assert_token("2|ffffffff|FF00ff00AA|0", "\x00\xff\x00\xff\x55", 5, 0);
    assert_token("2|01020304|05|007", "\x04", 1, 7);
    assert_token("2|00000000|" HEX_64 HEX_64 "|999999999999999999", decoded(HEX_64 HEX_64).token, 64,
                 INT64_C(999999999999999999));
}

/* web_test:test_xsrf_success_short_token, web_test:test_xsrf_success_non_hex_token */
static void reads_plain_tokens(void **state)
{
    assert_token("deadbeef", "\xde\xad\xbe\xef", 4, NOW);
    assert_token("DeadBeef", "\xde\xad\xbe\xef", 4, NOW);
    assert_token("00", "\0", 1, NOW);
    assert_token("xoxo", "xoxo", 4, NOW);
    assert_token("deadbee", "deadbee", 7, NOW);
    assert_token("2", "2", 1, NOW);
    assert_token(TEXT_64, TEXT_64, 64, NOW);
    assert_token("|", "|", 1, NOW);
    assert_token("0|", "0|", 2, NOW);
    assert_token("02|00000000|deadbeef|1", "02|00000000|deadbeef|1", 22, NOW);
    assert_token("x2|00000000|deadbeef|1", "x2|00000000|deadbeef|1", 22, NOW);
    assert_token("\xc3\xa9", "\xc3\xa9", 2, NOW);
}

static void knows_a_plain_token_in_its_renderings(void **state)
{
    static const char *const texts[] = { "xoxo", "deadbeef", TEXT_64, HEX_64, HEX_64 HEX_64, "00" };

    for (size_t i = 0; i < COUNT(texts); i++) {
        char text[HTTPXSRF_ROOM];
        struct httpxsrf cookie = decoded(texts[i]), xsrf;
        render(&cookie, text);
        xsrf = decoded(text);
        assert_true(httpxsrf_is_same(&cookie, &xsrf));
    }
}

/* web_test:test_xsrf_fail_argument_invalid_format, web_test:test_xsrf_fail_cookie_invalid_format: "3|" */
static void refuses_other_texts(void **state)
{
    static const char *const texts[] = {
        "",
        "3|",
        "22|",
        "1|",
        "10|00000000|deadbeef|1",
        "22|00000000|deadbeef|1",
        "3|00000000|deadbeef|1",
        "2|",
        "2|00000000",
        "2||",
        "2|||",
        "2||||",
        "2|00000000|deadbeef",
        "2|00000000|deadbeef|",
        "2|00000000|deadbeef|1|",
        "2|00000000|deadbeef|1|2",
        "2|00000000|deadbeef|-1",
        "2|00000000|deadbeef|+1",
        "2|00000000|deadbeef| 1",
        "2|00000000|deadbeef|1 ",
        "2|00000000|deadbeef|1x",
        "2|00000000|deadbeef|9223372036854775808",
        "2|00000000|deadbeef|1000000000000000000",
        "2||deadbeef|1",
        "2|000000|deadbeef|1",
        "2|0000000|deadbeef|1",
        "2|000000000|deadbeef|1",
        "2|0000000000|deadbeef|1",
        "2|0000000x|deadbeef|1",
        "2|x0000000|deadbeef|1",
        "2|00000000||1",
        "2|00000000|deadbee|1",
        "2|00000000|deadbeeg|1",
        "2|00000000|dead:eef|1",
        "2|00000000|dead@eef|1",
        "2|00000000|dead`eef|1",
        "2|00000000|/eadbeef|1",
        "2|00000000|deadbe Gf|1",
        "2|00000000|" HEX_64 HEX_64 "00|1",
        TEXT_64 "x",
        HEX_64 HEX_64 "00",
        HEX_64 HEX_64 "0",
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct httpxsrf xsrf;
        memset(&xsrf, '#', sizeof xsrf);
        if (httpxsrf_decode(&xsrf, guardpage_string(texts[i]), NOW) != -EINVAL)
            fail_msg("%s", texts[i]);
        assert_empty(&xsrf);
    }
}

static void takes_no_text_for_no_token(void **state)
{
    struct httpxsrf xsrf = { .length = 3 };

    assert_int_equal(httpxsrf_decode(&xsrf, NULL, NOW), -EINVAL);
    assert_empty(&xsrf);
}

static void writes_any_timestamp(void **state)
{
    static const struct {
        int64_t timestamp;
        const char *text;
    } cases[] = {
        { 0, "|0" },
        { 9, "|9" },
        { 10, "|10" },
        { -1, "|0" },
        { INT64_MIN, "|0" },
        { INT64_C(999999999999999999), "|999999999999999999" },
        { INT64_MAX, "|999999999999999999" },
    };
    struct httpxsrf xsrf = decoded(HEX_64 HEX_64);

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[HTTPXSRF_ROOM];
        xsrf.timestamp = cases[i].timestamp;
        render(&xsrf, text);
        assert_string_equal(strrchr(text, '|'), cases[i].text);
    }
}

static void writes_as_tornado_does(void **state)
{
    struct httpxsrf xsrf = decoded("00ff00ff55aa");
    char text[HTTPXSRF_ROOM];

    assert_true(format_with_ours(&xsrf, text) > 0);
    assert_string_equal(text, "2|01020304|01fd03fb54a8|1300000000");
    assert_int_equal(init_with_ours(&xsrf, NOW), 0);
    assert_true(format_with_ours(&xsrf, text) > 0);
    assert_string_equal(text, "2|01020304|000000000404040c080808080c0c0c14|1300000000");
}

static void makes_nothing_without_random_bytes(void **state)
{
    struct httpxsrf xsrf, token = decoded("xoxo");
    char text[HTTPXSRF_ROOM] = "#";

    random_error = -ENOSYS;
    assert_int_equal(init_with_ours(&xsrf, NOW), -ENOSYS);
    assert_empty(&xsrf);
    assert_int_equal(format_with_ours(&token, text), -ENOSYS);
    assert_string_equal(text, "");
    random_error = 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(makes_tokens_of_random_bytes),
    cmocka_unit_test(masks_each_rendering_anew),
    cmocka_unit_test(knows_its_token_in_every_rendering),
    cmocka_unit_test(refuses_the_token_of_another),
    cmocka_unit_test(no_token_is_the_same_as_none),
    cmocka_unit_test(reads_what_tornado_writes),
    cmocka_unit_test(reads_plain_tokens),
    cmocka_unit_test(knows_a_plain_token_in_its_renderings),
    cmocka_unit_test(refuses_other_texts),
    cmocka_unit_test(takes_no_text_for_no_token),
    cmocka_unit_test(writes_any_timestamp),
    cmocka_unit_test(writes_as_tornado_does),
    cmocka_unit_test(makes_nothing_without_random_bytes),
};

TESTING_MAIN(tests)
