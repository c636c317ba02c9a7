#include "httpserver/httpsigned.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define A_DAY        INT64_C(86400)
#define PRESENT      INT64_C(1300000000)
#define PAST         (PRESENT - 32 * A_DAY)
#define SIGNATURE    "3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e152"
#define KNOWN        "2|1:0|10:1300000000|3:key|8:dmFsdWU=|" SIGNATURE

/* Of Tornado's tests. */
static const struct httpsigned_key one_key[] = { { 0, "It's a secret to everybody" }, { 0, NULL } };
static const struct httpsigned_key keys[] = { { 0, "asdfbasdf" }, { 1, "12312312" }, { 2, "2342342" }, { 0, NULL } };
static const struct httpsigned_key old_key[] = { { 0, "ajklasdf0ojaisdf" }, { 0, NULL } };
static const struct httpsigned_key both_keys[] = { { 0, "ajklasdf0ojaisdf" }, { 1, "aslkjasaolwkjsdf" }, { 0, NULL } };
static const struct httpsigned_key new_key[] = { { 1, "aslkjasaolwkjsdf" }, { 0, NULL } };

static const char *sign(const struct httpsigned_key *table, int version, const char *name, const char *value,
                        int64_t now)
{
    static char text[512];

    ssize_t length = httpsigned_create(table, version, name, value, strlen(value), now, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_true((size_t)length < HTTPSIGNED_ROOM(strlen(name), strlen(value)));
    return text;
}

static ssize_t verify(const struct httpsigned_key *table, const char *name, const char *text, int64_t now, char *value,
                      size_t size)
{
    return httpsigned_decode(table, name, guardpage_string(text), 0, now, value, size);
}

static void assert_value(const struct httpsigned_key *table, const char *name, const char *text, int64_t now,
                         const char *wanted)
{
    char value[512];

    assert_int_equal(verify(table, name, text, now, value, sizeof value), strlen(wanted));
    assert_memory_equal(value, wanted, strlen(wanted));
}

static void assert_refused(const struct httpsigned_key *table, const char *name, const char *text, int64_t now,
                           int error)
{
    char value[512];
    ssize_t result = verify(table, name, text, now, value, sizeof value);

    if (result != error)
        fail_msg("%s: %zd", text, result);
}

/* web_test:test_known_values; the others are of another implementation. */
static void signs_as_tornado_does(void **state)
{
    char text[256];

    assert_string_equal(sign(one_key, 0, "key", "value", PRESENT), KNOWN);
    assert_value(one_key, "key", KNOWN, PRESENT, "value");
    assert_string_equal(sign(one_key, 0, "key1", "value", PAST),
                        "2|1:0|10:1297235200|4:key1|8:dmFsdWU=|"
                        "79f49ddb9cc22a1cba43baf6bfa3bd0ff7c14503ce924cd49e0323a24850d61b");
    assert_string_equal(sign(one_key, 0, "", "", 0),
                        "2|1:0|1:0|0:|0:|b014290de88f15074ecf249b549ea4a9d3d07685ee815f1ae2bea66b55c49bf8");
    assert_string_equal(
        sign((struct httpsigned_key[]){ { INT_MAX, "2342342" }, { 0, NULL } }, INT_MAX, "k|3:x", "ab", INT64_MAX),
        "2|10:2147483647|19:9223372036854775807|5:k|3:x|4:YWI=|"
        "f0cf93513f3e42ff1abe74f7bf99771beb7a155cd2311a7538675c6bec3d4824");
    assert_int_equal(httpsigned_create(keys, 1, "key", "\0\xe9|", 3, PRESENT, text, sizeof text), 97);
    assert_string_equal(text, "2|1:1|10:1300000000|3:key|4:AOl8|"
                              "8e0c5861168649d8ab49d19bc999f05e5b68f99d8dd10a9fae51e7bde33de9a8");
}

/* web_test:test_round_trip, web_test:test_non_ascii */
static void gives_back_what_was_signed(void **state)
{
    unsigned char value[256], result[256];
    char text[1024];

    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (unsigned char)~i;
    for (size_t length = 0; length <= sizeof value; length++) {
        assert_true(httpsigned_create(one_key, 0, "foo", value, length, PRESENT, text, sizeof text) > 0);
        assert_int_equal(httpsigned_decode(one_key, "foo", text, 0, PRESENT, result, sizeof result), length);
        assert_memory_equal(result, value, length);
    }
    assert_value(one_key, "key", sign(one_key, 0, "key", "\xe9", PRESENT), PRESENT, "\xe9");
}

/* web_test:test_name_swap; and a name that the other begins with, or that looks like a field. */
static void holds_for_one_name_only(void **state)
{
    static const char *const names[] = { "key1", "key2", "key", "", "1", "key11", "1|4:key1", "key1|", "Key1" };

    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t j = 0; j < COUNT(names); j++)
            if (i == j)
                assert_value(one_key, names[j], sign(one_key, 0, names[i], "value", PRESENT), PRESENT, "value");
            else
                assert_refused(one_key, names[j], sign(one_key, 0, names[i], "value", PRESENT), PRESENT, -EBADMSG);
    }
}

/* web_test:test_expired */
static void a_value_expires_after_31_days(void **state)
{
    const char *text = sign(one_key, 0, "key1", "value", PAST);

    assert_value(one_key, "key1", text, PAST, "value");
    assert_refused(one_key, "key1", text, PRESENT, -ETIMEDOUT);
    assert_value(one_key, "key1", text, PAST + 31 * A_DAY, "value");
    assert_refused(one_key, "key1", text, PAST + 31 * A_DAY + 1, -ETIMEDOUT);
    assert_value(one_key, "key1", text, 0, "value"); /* a clock that was put back */
    assert_refused(one_key, "key1", text, INT64_MAX, -ETIMEDOUT);
    assert_refused(one_key, "key2", text, PRESENT, -EBADMSG);
}

static void expires_after_so_many_days(void **state)
{
    static const struct {
        double days;
        int64_t age;
        ssize_t result;
    } cases[] = {
        { 1, A_DAY, 5 },
        { 1, A_DAY + 1, -ETIMEDOUT },
        { 0.5, A_DAY / 2, 5 },
        { 0.5, A_DAY / 2 + 1, -ETIMEDOUT },
        { 365, 365 * A_DAY, 5 },
        { 365, 365 * A_DAY + 1, -ETIMEDOUT },
        { HTTPSIGNED_MAX_AGE_DAYS, 31 * A_DAY, 5 },
        { HTTPSIGNED_MAX_AGE_DAYS, 31 * A_DAY + 1, -ETIMEDOUT },
        { -1, 0, -ETIMEDOUT },
        { -1, -A_DAY, 5 },
        { INFINITY, INT64_MAX - PRESENT, 5 },
        { -INFINITY, 0, -ETIMEDOUT },
        { NAN, 0, -ETIMEDOUT },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char value[8];
        assert_int_equal(
            httpsigned_decode(one_key, "key", KNOWN, cases[i].days, PRESENT + cases[i].age, value, sizeof value),
            cases[i].result);
    }
}

/* web_test:test_payload_tampering */
static void refuses_another_payload(void **state)
{
    static const char *const prefixes[] = {
        "2|1:1|10:1300000000|3:key|8:dmFsdWU=|", /* another version of the key */
        "2|1:0|10:130000000|3:key|8:dmFsdWU=|",  /* a field is shorter than it says */
        "2|1:0|10:1300000000|3:keey|8:dmFsdWU=|", "2|1:0|10:1300000001|3:key|8:dmFsdWU=|",
        "2|1:0|11:13000000003|2:ey|8:dmFsdWU=|", /* a byte has moved to the field before */
        "2|1:0|10:1300000000|3:key|8:dmFsdWV=|",
    };

    for (size_t i = 0; i < COUNT(prefixes); i++) {
        char text[128];
        snprintf(text, sizeof text, "%s%s", prefixes[i], SIGNATURE);
        assert_refused(one_key, "key", text, PRESENT, -EBADMSG);
    }
}

/* web_test:test_signature_tampering */
static void refuses_another_signature(void **state)
{
    static const char *const signatures[] = {
        "",
        "3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e15",
        "3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e15238",
        "3D4E60B996FF9C5D5788E333A0CBA6F238A22C6C0F94788870E1A9ECD482E152",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "00000000000000000000000000000000",
        SIGNATURE " ",
        " " SIGNATURE,
        SIGNATURE "|",
        SIGNATURE SIGNATURE,
    };

    for (size_t i = 0; i < COUNT(signatures); i++) {
        char text[256];
        snprintf(text, sizeof text, "2|1:0|10:1300000000|3:key|8:dmFsdWU=|%s", signatures[i]);
        assert_refused(one_key, "key", text, PRESENT, -EBADMSG);
    }
}

static void refuses_a_change_of_any_bit(void **state)
{
    char text[] = KNOWN;

    for (size_t bit = 0; bit < 8 * (sizeof text - 1); bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        assert_refused(one_key, "key", text, PRESENT, -EBADMSG);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    }
    assert_value(one_key, "key", text, PRESENT, "value");
}

static void refuses_what_is_cut_off_anywhere(void **state)
{
    for (size_t length = 0; length < strlen(KNOWN); length++) {
        char text[] = KNOWN;
        text[length] = '\0';
        assert_refused(one_key, "key", text, PRESENT, -EBADMSG);
        assert_int_equal(httpsigned_key_version(guardpage_string(text)), -EINVAL);
    }
}

/* The form is judged before the signature: here the forms alone, as key_version has them. */
static void reads_the_form_strictly(void **state)
{
    static const struct {
        const char *text;
        int version;
    } cases[] = {
        { KNOWN, 0 },
        { "2|1:7|1:0|0:|0:|" SIGNATURE, 7 },
        { "2|10:2147483647|19:9223372036854775807|0:|0:|" SIGNATURE, INT_MAX },
        { "2|1:0|1:0|3:||||3:a|b|" SIGNATURE, 0 },
        { "", -EINVAL },
        { "|", -EINVAL },
        { "2", -EINVAL },
        { "2|", -EINVAL },
        { "2||||", -EINVAL },
        { "2|0:|0:|0:|0:|", -EINVAL },
        { "1|1:0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "3|1:0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "02|1:0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2 |1:0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { " 2|1:0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "\"2|1:0|1:0|0:|0:|" SIGNATURE "\"", -EINVAL },
        { "2|0:|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|0:|0:|0:|" SIGNATURE, -EINVAL },
        { "2|01:0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|2:01|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|2:00|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|2:01|0:|0:|" SIGNATURE, -EINVAL },
        { "2|2:-1|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|2:+1|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|2: 1|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|3:0x1|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|3:1_0|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|10:2147483648|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|10:9999999999|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|19:9223372036854775808|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|20:18446744073709551616|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|00:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|-0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0:0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0:|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|4:key|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|99999:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|18446744073709551615:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|18446744073709551616:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|99999999999999999999999999:|0:|" SIGNATURE, -EINVAL },
        { "2|3:0|1|1:0|0:|0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|3:key:0:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|3:key|0:2" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0:|66:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0:|65:|" SIGNATURE, -EINVAL },
        { "2|1:0|1:0|0:|64:|" SIGNATURE, -EINVAL },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        if (httpsigned_key_version(guardpage_string(cases[i].text)) != cases[i].version)
            fail_msg("%s", cases[i].text);
        if (cases[i].version < 0)
            assert_refused(one_key, "", cases[i].text, PRESENT, -EBADMSG);
    }
}

/* Tornado never makes these; who has the key can. */
static void refuses_values_that_are_no_base64(void **state)
{
    static const char *const texts[] = {
        "2|1:0|10:1300000000|3:key|8:dmFsdWV=|f764c4fec87252e3e60d245d9ac7062b21c0bdf21c3d4077df08c905e2e80c77",
        "2|1:0|10:1300000000|3:key|7:dmFsdWU|e3253d8fe2bf1668442f364d9906445853d13aa6717b388dccb134dd210672e9",
        "2|1:0|10:1300000000|3:key|1:=|2068debd4a1f4ab3c65d444282891f3fd42e7bbe9ab871ca5e96d7b0f35e51c5",
        "2|1:0|10:1300000000|3:key|4:====|c6930214ec1a9cd4ef8d9e07f5d9e9f4b4c366fe069221352681cb4f106979ca",
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(one_key, "key", texts[i], PRESENT, -EBADMSG);
}

/* web_test:test_key_version_roundtrip, web_test:test_key_version_roundtrip_differing_version,
 * web_test:test_key_versioning_read_write_default_key, web_test:test_key_versioning_read_write_non_default_key */
static void signs_with_the_key_of_a_version(void **state)
{
    assert_value(both_keys, "foo", sign(both_keys, 0, "foo", "bar", PRESENT), PRESENT, "bar");
    assert_value(both_keys, "foo", sign(both_keys, 1, "foo", "bar", PRESENT), PRESENT, "bar");
    assert_value(keys, "key", sign(keys, 0, "key", "\xe9", PRESENT), PRESENT, "\xe9");
    assert_value(keys, "key", sign(keys, 1, "key", "\xe9", PRESENT), PRESENT, "\xe9");
    assert_refused(both_keys, "key", sign(keys, 0, "key", "\xe9", PRESENT), PRESENT, -EBADMSG);
}

/* web_test:test_key_version_increment_version, web_test:test_key_version_invalidate_version,
 * web_test:test_key_versioning_invalid_key */
static void reads_with_old_keys_until_they_are_removed(void **state)
{
    const char *text = sign(old_key, 0, "foo", "bar", PRESENT);

    assert_value(both_keys, "foo", text, PRESENT, "bar");
    assert_refused(new_key, "foo", text, PRESENT, -EBADMSG);
    assert_refused((struct httpsigned_key[]){ { 0, NULL } }, "foo", text, PRESENT, -EBADMSG);
}

/* web_test:test_key_version_retrieval */
static void tells_the_version_of_a_key(void **state)
{
    assert_int_equal(httpsigned_key_version(sign(keys, 1, "key", "\xe9", PRESENT)), 1);
    assert_int_equal(httpsigned_key_version(sign(keys, 2, "key", "\xe9", PRESENT)), 2);
    assert_int_equal(httpsigned_key_version("3|bad"), -EINVAL);
}

static void takes_the_first_key_of_a_version(void **state)
{
    struct httpsigned_key twice[] = { { 0, "ajklasdf0ojaisdf" }, { 0, "other" }, { 0, NULL } };

    assert_value(old_key, "foo", sign(twice, 0, "foo", "bar", PRESENT), PRESENT, "bar");
    assert_value(twice, "foo", sign(old_key, 0, "foo", "bar", PRESENT), PRESENT, "bar");
}

static void does_not_sign_without_a_key(void **state)
{
    struct httpsigned_key empty[] = { { 0, "" }, { -1, "secret" }, { 0, NULL } };
    char text[256];

    assert_int_equal(httpsigned_create(empty, 0, "a", "b", 1, PRESENT, text, sizeof text), -EINVAL);
    assert_int_equal(httpsigned_create(empty, -1, "a", "b", 1, PRESENT, text, sizeof text), -EINVAL);
    assert_int_equal(httpsigned_create(empty, 1, "a", "b", 1, PRESENT, text, sizeof text), -EINVAL);
    assert_int_equal(httpsigned_create(one_key, 0, "a", "b", 1, -1, text, sizeof text), -EINVAL);
}

/* Signed with HMAC's empty key, which anybody has. */
static void does_not_verify_with_an_empty_key(void **state)
{
    struct httpsigned_key empty[] = { { 0, "" }, { 0, NULL } };

    assert_refused(empty, "key",
                   "2|1:0|10:1300000000|3:key|8:dmFsdWU=|"
                   "7a49c78800580368b37133bbf7a0fc28524d91823e04d9c791a243f719fd076b",
                   PRESENT, -EBADMSG);
}

static void signs_into_as_much_as_it_needs(void **state)
{
    size_t needed = sizeof KNOWN;
    char text[sizeof KNOWN + 1];

    for (size_t size = 0; size <= needed; size++) {
        memset(text, '#', sizeof text);
        ssize_t wanted = size < needed ? -ENOBUFS : (ssize_t)needed - 1;
        assert_int_equal(httpsigned_create(one_key, 0, "key", "value", 5, PRESENT, text, size), wanted);
        assert_int_equal(text[size], '#');
    }
    assert_string_equal(text, KNOWN);
}

static void decodes_into_as_much_as_it_needs(void **state)
{
    for (size_t length = 0; length < 20; length++) {
        const char *value = &"12345678901234567890"[20 - length];
        const char *text = sign(one_key, 0, "key", value, PRESENT);
        for (size_t size = 0; size <= length; size++) {
            char place[32];
            memset(place, '#', sizeof place);
            assert_int_equal(verify(one_key, "key", text, PRESENT, place, size),
                             size < length ? -ENOBUFS : (ssize_t)length);
            assert_int_equal(place[size], '#');
        }
    }
}

/* What does not fit is told of to those who have the key only. */
static void says_nothing_of_what_is_not_signed(void **state)
{
    char text[] = KNOWN;

    text[sizeof text - 2] ^= 1;
    assert_int_equal(verify(one_key, "key", text, PRESENT, NULL, 0), -EBADMSG);
    assert_int_equal(verify(one_key, "key", text, INT64_MAX, NULL, 0), -EBADMSG);
    assert_int_equal(verify(one_key, "kez", KNOWN, INT64_MAX, NULL, 0), -EBADMSG);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signs_as_tornado_does),
    cmocka_unit_test(gives_back_what_was_signed),
    cmocka_unit_test(holds_for_one_name_only),
    cmocka_unit_test(a_value_expires_after_31_days),
    cmocka_unit_test(expires_after_so_many_days),
    cmocka_unit_test(refuses_another_payload),
    cmocka_unit_test(refuses_another_signature),
    cmocka_unit_test(refuses_a_change_of_any_bit),
    cmocka_unit_test(refuses_what_is_cut_off_anywhere),
    cmocka_unit_test(reads_the_form_strictly),
    cmocka_unit_test(refuses_values_that_are_no_base64),
    cmocka_unit_test(signs_with_the_key_of_a_version),
    cmocka_unit_test(reads_with_old_keys_until_they_are_removed),
    cmocka_unit_test(tells_the_version_of_a_key),
    cmocka_unit_test(takes_the_first_key_of_a_version),
    cmocka_unit_test(does_not_sign_without_a_key),
    cmocka_unit_test(does_not_verify_with_an_empty_key),
    cmocka_unit_test(signs_into_as_much_as_it_needs),
    cmocka_unit_test(decodes_into_as_much_as_it_needs),
    cmocka_unit_test(says_nothing_of_what_is_not_signed),
};

TESTING_MAIN(tests)
