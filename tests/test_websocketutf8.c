#include "websocket/websocketutf8.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

/* The same source once more without the machine's own vectors: the two have to agree on everything. */
bool check_in_words(struct websocketutf8 *utf8, const void *bytes, size_t length);
#define WEBSOCKETUTF8_NO_VECTORS 1
#define websocketutf8_check      check_in_words
#include "websocket/websocketutf8.c"
#undef websocketutf8_check

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef bool check_fn(struct websocketutf8 *, const void *, size_t);

enum { WHOLE = -1, CUT = -2, ALL_LENGTHS = 700 };

static check_fn *const functions[] = { websocketutf8_check, check_in_words };

/* A text and what is to be said of it: WHOLE, CUT (it might go on to be right), or the place of its first wrong byte.
 */
struct text {
    const char *bytes;
    size_t length;
    int verdict;
};

#define TEXT(literal, verdict)                                                                                         \
    {                                                                                                                  \
        literal, sizeof literal - 1, verdict                                                                           \
    }

static int check_whole(check_fn *check, const char *bytes, size_t length)
{
    struct websocketutf8 utf8 = { 0 };

    if (!check(&utf8, guardpage_text(bytes, length), length))
        return 0;
    return websocketutf8_is_whole(&utf8) ? WHOLE : CUT;
}

/* The place of the first wrong byte, found with one byte at a time. */
static int check_bytewise(check_fn *check, const char *bytes, size_t length)
{
    struct websocketutf8 utf8 = { 0 };

    for (size_t i = 0; i < length; i++)
        if (!check(&utf8, guardpage_text(bytes + i, 1), 1))
            return (int)i;
    return websocketutf8_is_whole(&utf8) ? WHOLE : CUT;
}

/* The first part has to be refused when the wrong byte is in it, and not before. */
static void assert_same_when_cut(check_fn *check, const struct text *text, size_t cut)
{
    struct websocketutf8 utf8 = { 0 };
    bool is_wrong = text->verdict >= 0;

    bool is_first_right = check(&utf8, guardpage_text(text->bytes, cut), cut);
    assert_int_equal(is_first_right, !is_wrong || cut <= (size_t)text->verdict);
    if (!is_first_right)
        return;
    assert_int_equal(check(&utf8, guardpage_text(text->bytes + cut, text->length - cut), text->length - cut),
                     !is_wrong);
    if (!is_wrong)
        assert_int_equal(websocketutf8_is_whole(&utf8), text->verdict == WHOLE);
}

static void assert_verdict(const struct text *text)
{
    for (size_t i = 0; i < COUNT(functions); i++) {
        int whole = check_whole(functions[i], text->bytes, text->length);
        assert_int_equal(whole, text->verdict >= 0 ? 0 : text->verdict);
        assert_int_equal(check_bytewise(functions[i], text->bytes, text->length), text->verdict);
        for (size_t cut = 0; cut <= text->length; cut++)
            assert_same_when_cut(functions[i], text, cut);
    }
}

/* The same with ASCII and others before and behind, so that it lies everywhere in words and vectors. */
static void assert_verdict_anywhere(const struct text *text)
{
    static const char before[] = "abcdefghijklmnopqrstuvwxyz0123456789 \xce\xba\xe2\x82\xac.";
    static const char behind[] = " more \xf0\x9f\x98\x80 and more";
    char bytes[256];

    assert_verdict(text);
    for (size_t skip = 0; skip < sizeof before - 6; skip++) {
        size_t length = sizeof before - 1 - skip;
        bool goes_on = text->verdict != CUT;
        memcpy(bytes, before + skip, length);
        memcpy(bytes + length, text->bytes, text->length);
        memcpy(bytes + length + text->length, behind, sizeof behind - 1);
        const struct text moved = { bytes, length + text->length + (goes_on ? sizeof behind - 1 : 0),
                                    text->verdict < 0 ? text->verdict : (int)length + text->verdict };
        assert_verdict(&moved);
    }
}

/* Those of Autobahn 6.* and of Markus Kuhn's UTF-8 decoder capability and stress test. */
static void accepts_every_kind_of_text(void **state)
{
    static const struct text texts[] = {
        TEXT("", WHOLE),
        TEXT("Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!", WHOLE),
        TEXT("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", WHOLE),
        /* the first and the last of each length, 2.1 and 2.2 */
        TEXT("\x00", WHOLE),
        TEXT("\x7f", WHOLE),
        TEXT("\xc2\x80", WHOLE),
        TEXT("\xdf\xbf", WHOLE),
        TEXT("\xe0\xa0\x80", WHOLE),
        TEXT("\xef\xbf\xbf", WHOLE),
        TEXT("\xf0\x90\x80\x80", WHOLE),
        TEXT("\xf4\x8f\xbf\xbf", WHOLE),
        /* around the surrogates, 2.3 */
        TEXT("\xed\x9f\xbf", WHOLE),
        TEXT("\xee\x80\x80", WHOLE),
        TEXT("\xef\xbf\xbd", WHOLE),
        /* no characters, but code points, 5.3 */
        TEXT("\xef\xbf\xbe", WHOLE),
        TEXT("\xef\xb7\x90\xef\xb7\xaf", WHOLE),
        TEXT("\xf0\x9f\xbf\xbe", WHOLE),
        TEXT("\xf3\xaf\xbf\xbf", WHOLE),
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_verdict_anywhere(&texts[i]);
}

static void waits_for_the_rest_of_a_character(void **state)
{
    static const struct text texts[] = {
        TEXT("\xc2", CUT),         TEXT("\xdf", CUT),         TEXT("\xe0", CUT),         TEXT("\xe0\xa0", CUT),
        TEXT("\xed", CUT),         TEXT("\xed\x9f", CUT),     TEXT("\xef\xbf", CUT),     TEXT("\xf0", CUT),
        TEXT("\xf0\x90", CUT),     TEXT("\xf0\x90\x80", CUT), TEXT("\xf3\xbf\xbf", CUT), TEXT("\xf4", CUT),
        TEXT("\xf4\x8f\xbf", CUT), TEXT("\xce\xba\xe1", CUT), TEXT("abc\xe2\x82", CUT),
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_verdict_anywhere(&texts[i]);
}

/* E7 */
static void refuses_every_kind_of_wrong_byte_at_once(void **state)
{
    static const struct text texts[] = {
        /* bytes that begin nothing, 3.1 and 3.5 */
        TEXT("\x80", 0),
        TEXT("\xbf", 0),
        TEXT("\x80\xbf\x80", 0),
        TEXT("\xfe", 0),
        TEXT("\xff", 0),
        TEXT("\xfe\xfe\xff\xff", 0),
        TEXT("\xc0", 0),
        TEXT("\xc1", 0),
        TEXT("\xf5", 0),
        TEXT("\xf8", 0),
        TEXT("\xfc", 0),
        /* first bytes with a blank behind, 3.2 */
        TEXT("\xc2 ", 1),
        TEXT("\xdf ", 1),
        TEXT("\xe0 ", 1),
        TEXT("\xef ", 1),
        TEXT("\xf0 ", 1),
        TEXT("\xf4 ", 1),
        /* the last byte is missing, 3.3 and 3.4; all but one are */
        TEXT("\xe0\xa0 ", 2),
        TEXT("\xf0\x90\x80 ", 3),
        TEXT("\xef\xbf\xc3\xb6", 2),
        TEXT("\xc3\xc3\xb6", 1),
        TEXT("\xf0\x90\xc3\xb6", 2),
        TEXT("\xc3\xb6\x80", 2),
        TEXT("\xe2\x82\xac\x80", 3),
        /* longer than needed, 4 */
        TEXT("\xc0\xaf", 0),
        TEXT("\xc0\x80", 0),
        TEXT("\xc1\xbf", 0),
        TEXT("\xe0\x80\xaf", 1),
        TEXT("\xe0\x9f\xbf", 1),
        TEXT("\xf0\x80\x80\xaf", 1),
        TEXT("\xf0\x8f\xbf\xbf", 1),
        TEXT("\xf8\x80\x80\x80\xaf", 0),
        TEXT("\xfc\x80\x80\x80\x80\xaf", 0),
        /* surrogates, 5.1 and 5.2 */
        TEXT("\xed\xa0\x80", 1),
        TEXT("\xed\xad\xbf", 1),
        TEXT("\xed\xae\x80", 1),
        TEXT("\xed\xbf\xbf", 1),
        TEXT("\xed\xa0\x80\xed\xb0\x80", 1),
        /* over U+10FFFF */
        TEXT("\xf4\x90\x80\x80", 1),
        TEXT("\xf7\xbf\xbf\xbf", 0),
        TEXT("\xf8\x88\x80\x80\x80", 0),
        TEXT("\xfb\xbf\xbf\xbf\xbf", 0),
        TEXT("\xfd\xbf\xbf\xbf\xbf\xbf", 0),
        /* Autobahn 6.4: fails fast */
        TEXT("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
             "edited",
             12),
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_verdict_anywhere(&texts[i]);
}

static size_t encode(uint32_t point, char place[4])
{
    static const struct {
        uint32_t most, first;
        size_t size;
    } forms[] = { { 0x7f, 0, 1 }, { 0x7ff, 0xc0, 2 }, { 0xffff, 0xe0, 3 }, { 0x10ffff, 0xf0, 4 } };
    size_t form = 0;

    while (point > forms[form].most)
        form++;
    for (size_t i = forms[form].size; i-- > 1; point >>= 6)
        place[i] = (char)(0x80 | (point & 0x3f));
    place[0] = (char)(forms[form].first | point);
    return forms[form].size;
}

static bool check_now(check_fn *check, const char *bytes, size_t length)
{
    struct websocketutf8 utf8 = { 0 };

    return check(&utf8, bytes, length) && websocketutf8_is_whole(&utf8);
}

/* Alone, which goes byte by byte, and with three bytes behind, which does not. */
static void accepts_every_code_point_but_surrogates(void **state)
{
    char place[8];

    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        size_t size = encode(point, place);
        bool is_right = point < 0xd800 || point > 0xdfff;
        memcpy(place + size, "abc", 3);
        for (size_t i = 0; i < COUNT(functions); i++)
            assert_true(check_now(functions[i], place, size) == is_right &&
                        check_now(functions[i], place, size + 3) == is_right);
    }
}

/* RFC 3629 4 read aloud. How many bytes of so many are one character; 0: none. */
static size_t measure(const uint8_t *bytes, size_t length)
{
    uint32_t point = bytes[0];
    size_t size = point < 0x80 ? 1 : point < 0xc0 ? 0 : point < 0xe0 ? 2 : point < 0xf0 ? 3 : point < 0xf8 ? 4 : 0;
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (size < 2 || size > length)
        return size > length ? 0 : size;
    point &= 0x7fu >> size;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    return point < least[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : size;
}

static bool is_right(const uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t size = measure(bytes + at, length - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

/* All of two bytes; of three and four those around every border. */
static void agrees_with_the_rfc_on_all_short_texts(void **state)
{
    static const uint8_t borders[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf4 };
    uint8_t bytes[4];

    for (unsigned i = 0; i < 256 * 256; i++) {
        bytes[0] = (uint8_t)(i >> 8);
        bytes[1] = (uint8_t)i;
        for (size_t j = 0; j < COUNT(functions); j++)
            assert_int_equal(check_now(functions[j], (char *)bytes, 2), is_right(bytes, 2));
        for (size_t k = 0; k < COUNT(borders) * COUNT(borders); k++) {
            bytes[2] = borders[k / COUNT(borders)];
            bytes[3] = borders[k % COUNT(borders)];
            bool is_three = is_right(bytes, 3), is_four = is_right(bytes, 4);
            if (check_now(websocketutf8_check, (char *)bytes, 3) != is_three ||
                check_now(websocketutf8_check, (char *)bytes, 4) != is_four)
                fail_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
        }
    }
}

static void finds_one_wrong_byte_anywhere_in_long_ascii(void **state)
{
    static char text[ALL_LENGTHS];

    memset(text, 'a', sizeof text);
    for (size_t length = 1; length <= ALL_LENGTHS; length += 1 + length / 40)
        for (size_t at = 0; at < length; at++)
            for (size_t i = 0; i < COUNT(functions); i++) {
                text[at] = '\xff';
                assert_int_equal(check_whole(functions[i], text, length), 0);
                text[at] = '\xc3';
                assert_int_equal(check_whole(functions[i], text, length), at + 1 == length ? CUT : 0);
                text[at] = 'a';
                assert_int_equal(check_whole(functions[i], text, length), WHOLE);
            }
}

static void passes_long_texts_of_all_kinds(void **state)
{
    static const char *const pieces[] = {
        "a", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xd1\x8f ", "abcdefghij"
    };
    char text[ALL_LENGTHS * 10];

    for (unsigned step = 1; step < 40; step++) {
        size_t length = 0;
        for (unsigned i = 0; i < ALL_LENGTHS; i++) {
            const char *piece = pieces[i / step * i % COUNT(pieces)];
            memcpy(text + length, piece, strlen(piece));
            length += strlen(piece);
        }
        for (size_t i = 0; i < COUNT(functions); i++) {
            assert_int_equal(check_whole(functions[i], text, length), WHOLE);
            text[length / 2] = (char)(text[length / 2] ^ 0x80);
            assert_int_equal(check_whole(functions[i], text, length) == WHOLE, is_right((uint8_t *)text, length));
            text[length / 2] = (char)(text[length / 2] ^ 0x80);
        }
    }
}

/* Characters of all lengths, so that the way of long texts is gone; some of ASCII first, as it begins there. */
static size_t fill_mixed(char *place, size_t length)
{
    static const char pieces[] =
        "abc\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80-\xed\x9f\xbf\xf4\x8f\xbf\xbf\xe0\xa0\x80\xf0\x90\x80\x80";
    size_t at = sizeof pieces - 1;

    memcpy(place, pieces, at);
    while (at < length)
        at += encode(at % 7 == 0 ? 'a' : (uint32_t)(0x7ff + at * at * 37 % 0x5000), place + at);
    return at;
}

/* Four bytes from around every border, everywhere in a vector; what is behind decides only whether they end well. */
static void agrees_with_the_rfc_on_all_short_parts_of_long_texts(void **state)
{
    static const uint8_t borders[] = { 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
                                       0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff };
    enum { BORDERS = COUNT(borders), ALL = BORDERS * BORDERS * BORDERS * BORDERS, BEFORE = 48, BEHIND = 400 };
    static char text[BEFORE + 40 + 4 + 2 * BEHIND];
    char mixed[2 * BEHIND];
    size_t length = fill_mixed(mixed, BEHIND);

    for (unsigned i = 0; i < 3 * ALL; i++) {
        size_t shift = (i + i / ALL * 11) % 33, at = fill_mixed(text, BEFORE);
        memset(text + at, '.', shift);
        at += shift;
        for (unsigned j = 0, rest = i % ALL; j < 4; j++, rest /= BORDERS)
            text[at + j] = (char)borders[rest % BORDERS];
        bool is_four_right = is_right((uint8_t *)text + at, 4);
        memcpy(text + at + 4, mixed, length);
        if (check_now(websocketutf8_check, text, at + 4 + length) != is_four_right)
            fail_msg("%02x %02x %02x %02x at %zu", text[at], text[at + 1], text[at + 2], text[at + 3], at);
    }
}

static void goes_on_with_long_texts_wherever_they_are_cut(void **state)
{
    static char text[2 * ALL_LENGTHS];
    size_t length = fill_mixed(text, ALL_LENGTHS);

    for (size_t i = 0; i < COUNT(functions); i++)
        for (size_t wrong = 0; wrong <= length; wrong += 41) {
            char kept = text[wrong];
            if (wrong > 0 && wrong < length)
                text[wrong] = '\xff';
            bool is_wrong = text[wrong] != kept;
            for (size_t cut = 0; cut <= length; cut++) {
                struct websocketutf8 utf8 = { 0 };
                bool is_first_right = functions[i](&utf8, guardpage_text(text, cut), cut);
                assert_int_equal(is_first_right, !is_wrong || cut <= wrong);
                if (is_first_right)
                    assert_int_equal(functions[i](&utf8, guardpage_text(text + cut, length - cut), length - cut),
                                     !is_wrong);
                if (!is_wrong)
                    assert_true(websocketutf8_is_whole(&utf8));
            }
            text[wrong] = kept;
        }
}

static void passes_nothing(void **state)
{
    struct websocketutf8 utf8 = { 0 };

    assert_true(websocketutf8_check(&utf8, NULL, 0));
    assert_true(websocketutf8_is_whole(&utf8));
    assert_true(websocketutf8_is_text(NULL, 0));
    assert_true(websocketutf8_is_text("\xc3\xbc", 2));
    assert_false(websocketutf8_is_text("\xc3\xbc\xc3", 3));
    assert_false(websocketutf8_is_text("\xff", 1));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(accepts_every_kind_of_text),
    cmocka_unit_test(waits_for_the_rest_of_a_character),
    cmocka_unit_test(refuses_every_kind_of_wrong_byte_at_once),
    cmocka_unit_test(accepts_every_code_point_but_surrogates),
    cmocka_unit_test(agrees_with_the_rfc_on_all_short_texts),
    cmocka_unit_test(finds_one_wrong_byte_anywhere_in_long_ascii),
    cmocka_unit_test(passes_long_texts_of_all_kinds),
    cmocka_unit_test(agrees_with_the_rfc_on_all_short_parts_of_long_texts),
    cmocka_unit_test(goes_on_with_long_texts_wherever_they_are_cut),
    cmocka_unit_test(passes_nothing),
};
TESTING_MAIN(tests)
