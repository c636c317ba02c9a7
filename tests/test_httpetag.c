#include "httpserver/httpetag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { STRONG = 1, WEAK = 2, BOTH = STRONG | WEAK, NEITHER = 0 }; /* comparisons that have to match */

struct comparison {
    const char *value;
    const char *tag;
    unsigned matches;
};

static bool compare(const char *value, const char *tag, bool weak)
{
    char copy[64];

    if (tag != NULL)
        memcpy(copy, tag, strlen(tag) + 1);
    return httpetag_matches(guardpage_text(value, strlen(value) + 1), tag != NULL ? copy : NULL, weak);
}

static void assert_comparison(const char *value, const char *tag, unsigned matches)
{
    if (compare(value, tag, true) != ((matches & WEAK) != 0))
        fail_msg("weak comparison of %s with %s", value, tag);
    if (compare(value, tag, false) != ((matches & STRONG) != 0))
        fail_msg("strong comparison of %s with %s", value, tag);
}

static void assert_comparisons(const struct comparison *comparisons, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_comparison(comparisons[i].value, comparisons[i].tag, comparisons[i].matches);
}

static void tells_what_is_no_list_from_one_without_the_tag(void **state)
{
    static const struct {
        const char *value, *tag;
        int found;
    } rows[] = {
        { "\"a\"", "\"a\"", 1 },
        { "\"b\", \"a\"", "\"a\"", 1 },
        { "*", "\"a\"", 1 },
        { " * ", NULL, 1 },
        { "\"b\"", "\"a\"", 0 },
        { "", "\"a\"", 0 },
        { ",", "\"a\"", 0 },
        { "\"a\"", NULL, 0 },
        { "\"a\" b", "\"a\"", -EINVAL },
        { "a", "\"a\"", -EINVAL },
        { "*, *", NULL, -EINVAL },
        { "\"a\", x", NULL, -EINVAL },
        { "\"a\"", "a", 0 },
        { "\"\"", NULL, 0 },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(httpetag_find(rows[i].value, rows[i].tag, true), rows[i].found);
}

/* The table of RFC 9110 8.8.3.2. */
static void compares_as_the_rfc_does(void **state)
{
    assert_comparison("W/\"1\"", "W/\"1\"", WEAK);
    assert_comparison("W/\"1\"", "W/\"2\"", NEITHER);
    assert_comparison("W/\"1\"", "\"1\"", WEAK);
    assert_comparison("\"1\"", "W/\"1\"", WEAK);
    assert_comparison("\"1\"", "\"1\"", BOTH);
}

/* The fields of Tornado's CacheTest. */
static void finds_the_tag_in_a_list(void **state)
{
    static const struct comparison comparisons[] = {
        { "\"etag1\"", "\"etag1\"", BOTH },
        { "\"etag1\", \"etag2\", \"etag3\"", "\"etag1\"", BOTH },
        { "\"etag1\", \"etag2\", \"etag3\"", "\"etag2\"", BOTH },
        { "\"etag1\",\"etag2\",\"etag3\"", "\"etag3\"", BOTH },
        { "\"etag1\"", "\"etag\"", NEITHER },
        { "\"etag\"", "\"etag1\"", NEITHER },
        { "\"etag1\"", "\"Etag1\"", NEITHER },
        { "\"etag1\", \"etag2\", \"etag3\"", "\"etag4\"", NEITHER },
        { "W/\"etag1\", W/\"etag2\", W/\"etag3\"", "\"etag2\"", WEAK },
        { "W/\"etag1\", W/\"etag2\", W/\"etag3\"", "\"etag4\"", NEITHER },
        { "W/\"etag1\", \"etag1\"", "\"etag1\"", BOTH },
        { " \t\"etag1\"\t ", "\"etag1\"", BOTH },
        { "\"etag0\" \t, \t\"etag1\" ", "\"etag1\"", BOTH },
        { ",, ,\"etag1\",\t,", "\"etag1\"", BOTH }, /* RFC 9110 5.6.1.2 */
        { ",", "\"etag1\"", NEITHER },
        { "", "\"etag1\"", NEITHER },
        { " ", "\"etag1\"", NEITHER },
        { "\"\"", "\"\"", BOTH },
        { "\"a,b\"", "\"a,b\"", BOTH },
        { "\"a,b\"", "\"a\"", NEITHER },
        { "\"a\\\"", "\"a\\\"", BOTH }, /* no escapes */
        { "\"\xc3\xa4!#~\"", "\"\xc3\xa4!#~\"", BOTH },
    };

    assert_comparisons(comparisons, COUNT(comparisons));
}

static void takes_an_asterisk_for_any_tag(void **state)
{
    static const struct comparison comparisons[] = {
        { "*", "\"etag1\"", BOTH },
        { "*", "W/\"etag1\"", BOTH },
        { " *\t", "\"etag1\"", BOTH },
        { "*", NULL, BOTH },
        { "\"etag1\"", NULL, NEITHER },
        { "", NULL, NEITHER },
        { "\"*\"", "\"etag1\"", NEITHER },
        { "**", "\"etag1\"", NEITHER },
        { "*, \"etag1\"", "\"etag1\"", NEITHER },
        { "\"etag1\", *", "\"etag1\"", NEITHER },
    };

    assert_comparisons(comparisons, COUNT(comparisons));
}

static void matches_nothing_where_the_list_is_not_one(void **state)
{
    static const struct comparison comparisons[] = {
        { "etag1", "\"etag1\"", NEITHER },
        { "'etag1'", "\"etag1\"", NEITHER },
        { "\"etag1", "\"etag1\"", NEITHER },
        { "etag1\"", "\"etag1\"", NEITHER },
        { "\"", "\"\"", NEITHER },
        { "w/\"etag1\"", "\"etag1\"", NEITHER }, /* case matters */
        { "W\"etag1\"", "\"etag1\"", NEITHER },
        { "W", "\"etag1\"", NEITHER },
        { "W/", "\"etag1\"", NEITHER },
        { "W/ \"etag1\"", "\"etag1\"", NEITHER },
        { "W/W/\"etag1\"", "\"etag1\"", NEITHER },
        { "/\"etag1\"", "\"etag1\"", NEITHER },
        { "\"etag1\" \"etag2\"", "\"etag1\"", NEITHER },
        { "\"etag1\"\"etag2\"", "\"etag1\"", NEITHER },
        { "\"etag1\";\"etag2\"", "\"etag1\"", NEITHER },
        { "\"etag1\", junk", "\"etag1\"", NEITHER },
        { "junk, \"etag1\"", "\"etag1\"", NEITHER },
        { "\"etag1\", \"", "\"etag1\"", NEITHER },
        { "\"etag1\"\n", "\"etag1\"", NEITHER },
        { "\"et ag\"", "\"et ag\"", NEITHER },
        { "\"et\tag\"", "\"et\tag\"", NEITHER },
        { "\"et\x7f\"", "\"et\x7f\"", NEITHER },
        { "\"etag1\"", "etag1", NEITHER }, /* nor where the tag is none */
        { "\"etag1\"", "", NEITHER },
        { "\"etag1\"", "\"etag1\", \"etag2\"", NEITHER },
        { "\"etag1\"", "\"etag1\" ", NEITHER },
    };

    assert_comparisons(comparisons, COUNT(comparisons));
}

static void matches_nothing_without_the_field(void **state)
{
    assert_false(httpetag_matches(NULL, "\"etag1\"", true));
    assert_false(httpetag_matches(NULL, NULL, true));
}

static void assert_is_tag(const char *tag)
{
    assert_int_equal(strlen(tag), HTTPETAG_SIZE - 1);
    assert_true(tag[0] == '"' && tag[HTTPETAG_SIZE - 2] == '"');
    assert_int_equal(strspn(tag + 1, "abcdefghijklmnop"), HTTPETAG_SIZE - 3);
    assert_true(httpetag_matches(tag, tag, false));
}

static void assert_tag(const char *bytes, size_t length, const char *wanted)
{
    char *place = guardpage_place(HTTPETAG_SIZE);

    httpetag_of_bytes(guardpage_text(bytes, length), length, place);
    assert_is_tag(place);
    assert_string_equal(place, wanted);
}

/* Tags outlive the process and are compared across machines, so what they are must not change unnoticed. One line for
 * each way to read a length. */
static void makes_the_same_tags_everywhere(void **state)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog, and then some more of the same kind.";

    assert_tag(text, 0, "\"opgcpmlgbkembdnf\"");
    assert_tag(text, 1, "\"pajlppjnpoaaeeai\"");
    assert_tag(text, 2, "\"fjkhehicicabngop\"");
    assert_tag(text, 3, "\"ceggoecdekneijfk\"");
    assert_tag(text, 4, "\"hgmahcccciddmmpn\"");
    assert_tag(text, 7, "\"lkpbkljiiognenof\"");
    assert_tag(text, 8, "\"lelooioakdnckhhf\"");
    assert_tag(text, 15, "\"aadhndjdncidkomo\"");
    assert_tag(text, 16, "\"jopkcbcbmeekofij\"");
    assert_tag(text, 17, "\"oieffcldohjgpfnj\"");
    assert_tag(text, 32, "\"lfnhafgognioffdo\"");
    assert_tag(text, 33, "\"pgejkinpfgmlnbhi\"");
    assert_tag(text, 48, "\"eljicpffkplbekdc\"");
    assert_tag(text, 64, "\"lbhlmabofjepaplg\"");
    assert_tag(text, 81, "\"iligdhbamohmoicd\"");
}

/* Little of each content differs: a counter, in another place for each length. */
static void gives_different_contents_different_tags(void **state)
{
    enum { CONTENTS = 40000 };
    char(*tags)[HTTPETAG_SIZE] = malloc((size_t)CONTENTS * HTTPETAG_SIZE);
    unsigned char bytes[80] = { 0 };

    assert_non_null(tags);
    for (unsigned i = 0; i < CONTENTS; i++) {
        size_t length = 4 + i % 76;
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes + 7 * length % (length - 3), &(uint32_t){ i / 76 + 1 }, 4);
        httpetag_of_bytes(bytes, length, tags[i]);
    }
    qsort(tags, CONTENTS, HTTPETAG_SIZE, (int (*)(const void *, const void *))strcmp);
    for (unsigned i = 1; i < CONTENTS; i++)
        assert_string_not_equal(tags[i - 1], tags[i]);
    free(tags);
}

static void gives_lengths_of_the_same_byte_different_tags(void **state)
{
    static char zeros[300];
    char tags[sizeof zeros][HTTPETAG_SIZE];

    for (size_t length = 0; length < sizeof zeros; length++) {
        httpetag_of_bytes(zeros, length, tags[length]);
        for (size_t other = 0; other < length; other++)
            assert_string_not_equal(tags[other], tags[length]);
    }
}

static unsigned letter_value(char letter)
{
    return (unsigned)(letter - 'a');
}

static uint32_t next_random(uint32_t *random)
{
    return *random = *random * 1664525u + 1013904223u;
}

/* Every bit of the content flips every bit of the tag in about half of the cases: of 400, 200 and not 6 standard
 * deviations more or less. */
static void changes_half_of_the_tag_with_each_bit(void **state)
{
    static const size_t lengths[] = { 4, 7, 8, 12, 15, 16, 17, 31, 32, 40, 48 };
    enum { CASES = 400, LEEWAY = 60 };
    char before[HTTPETAG_SIZE], after[HTTPETAG_SIZE];
    unsigned char bytes[48];
    uint32_t random = 1;

    for (size_t i = 0; i < COUNT(lengths); i++)
        for (size_t bit = 0; bit < 8 * lengths[i]; bit += 3) {
            unsigned flips[64] = { 0 };
            for (int j = 0; j < CASES; j++) {
                for (size_t k = 0; k < lengths[i]; k++)
                    bytes[k] = (unsigned char)(next_random(&random) >> 24);
                httpetag_of_bytes(bytes, lengths[i], before);
                bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
                httpetag_of_bytes(bytes, lengths[i], after);
                for (size_t k = 0; k < 64; k++)
                    flips[k] += (letter_value(before[1 + k / 4]) ^ letter_value(after[1 + k / 4])) >> k % 4 & 1;
            }
            for (size_t k = 0; k < 64; k++)
                if (flips[k] + LEEWAY < CASES / 2 || flips[k] > CASES / 2 + LEEWAY)
                    fail_msg("length %zu, bit %zu flips bit %zu %u times", lengths[i], bit, k, flips[k]);
        }
}

static void reads_each_byte_of_every_length_and_none_behind(void **state)
{
    char before[HTTPETAG_SIZE], after[HTTPETAG_SIZE];
    char bytes[70];

    for (size_t length = 0; length <= sizeof bytes; length++)
        for (size_t at = 0; at < length; at++) {
            memset(bytes, 'x', sizeof bytes);
            httpetag_of_bytes(guardpage_text(bytes, length), length, before);
            bytes[at] = 'y';
            httpetag_of_bytes(guardpage_text(bytes, length), length, after);
            assert_string_not_equal(before, after);
        }
    httpetag_of_bytes(NULL, 0, after);
    httpetag_of_bytes("", 0, before);
    assert_string_equal(before, after);
}

/* Also where a file and the one that follows it differ in two of them by as much. */
static void tells_files_apart_by_each_of_their_marks(void **state)
{
    enum { VALUES = 6, FILES = VALUES * VALUES * VALUES * VALUES };
    static const int64_t values[VALUES] = { 0, 1, 2, 256, 999999999, -1 };
    char tags[FILES][HTTPETAG_SIZE];

    for (int i = 0; i < FILES; i++) {
        httpetag_of_file((uint64_t)values[i % 6], (uint64_t)values[i / 6 % 6], values[i / 36 % 6], values[i / 216],
                         tags[i]);
        assert_is_tag(tags[i]);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(tags[i], tags[j]);
    }
}

static void makes_the_same_tag_of_the_same_file(void **state)
{
    char *place = guardpage_place(HTTPETAG_SIZE);

    httpetag_of_file(1234567, 4096, 1700000000, 123456789, place);
    assert_string_equal(place, "\"odcbjkfjcfaabgmm\"");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(compares_as_the_rfc_does),
    cmocka_unit_test(tells_what_is_no_list_from_one_without_the_tag),
    cmocka_unit_test(finds_the_tag_in_a_list),
    cmocka_unit_test(takes_an_asterisk_for_any_tag),
    cmocka_unit_test(matches_nothing_where_the_list_is_not_one),
    cmocka_unit_test(matches_nothing_without_the_field),
    cmocka_unit_test(makes_the_same_tags_everywhere),
    cmocka_unit_test(gives_different_contents_different_tags),
    cmocka_unit_test(gives_lengths_of_the_same_byte_different_tags),
    cmocka_unit_test(changes_half_of_the_tag_with_each_bit),
    cmocka_unit_test(reads_each_byte_of_every_length_and_none_behind),
    cmocka_unit_test(tells_files_apart_by_each_of_their_marks),
    cmocka_unit_test(makes_the_same_tag_of_the_same_file),
};

TESTING_MAIN(tests)
