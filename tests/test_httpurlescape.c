/* Escapes of URLs. */
#include "httpserver/httpurl.h"

#include <errno.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "tests/support/text.h"

/* Into a place of its own, which is as long as the text, and then into the text itself. */
static void assert_decoded(struct text text, unsigned flags, const struct text *wanted)
{
    char *place = guardpage_place(text.length);
    ssize_t length = httpurl_decode(guardpage_text(text.bytes, text.length), text.length, place, flags);

    if (wanted == NULL) {
        assert_int_equal(length, -EINVAL);
        return;
    }
    assert_int_equal(length, wanted->length);
    assert_memory_equal(place, wanted->bytes, wanted->length);
    place = memcpy(guardpage_place(text.length), text.bytes, text.length);
    assert_int_equal(httpurl_decode(place, text.length, place, flags), wanted->length);
    assert_memory_equal(place, wanted->bytes, wanted->length);
}

static void escapes_are_decoded(void **state)
{
    static const struct {
        struct text text, strict, lenient;
        unsigned flags;
        bool is_malformed;
    } cases[] = {
        { TEXT(""), TEXT(""), TEXT(""), 0, false },
        { TEXT("abc"), TEXT("abc"), TEXT("abc"), 0, false },
        { TEXT("%41%62%7a%7A"), TEXT("Abzz"), TEXT("Abzz"), 0, false },
        { TEXT("a%00b"), TEXT("a\0b"), TEXT("a\0b"), 0, false },
        { TEXT("%fF%Ff%0a"), TEXT("\xff\xff\n"), TEXT("\xff\xff\n"), 0, false },
        { TEXT("%2541%25"), TEXT("%41%"), TEXT("%41%"), 0, false },
        { TEXT("%c3%A9"), TEXT("\xc3\xa9"), TEXT("\xc3\xa9"), 0, false },
        { TEXT("\xc3\xa9\0%20"), TEXT("\xc3\xa9\0 "), TEXT("\xc3\xa9\0 "), 0, false },
        { TEXT("a+b%2B+"), TEXT("a+b++"), TEXT("a+b++"), 0, false },
        { TEXT("a+b%2B+"), TEXT("a b+ "), TEXT("a b+ "), HTTPURL_PLUS, false },
        { TEXT("abcdefgh+abcdef+"), TEXT("abcdefgh+abcdef+"), TEXT("abcdefgh+abcdef+"), 0, false },
        { TEXT("%"), TEXT(""), TEXT("%"), 0, true },
        { TEXT("%4"), TEXT(""), TEXT("%4"), 0, true },
        { TEXT("a%4"), TEXT(""), TEXT("a%4"), 0, true },
        { TEXT("%zz"), TEXT(""), TEXT("%zz"), 0, true },
        { TEXT("%4z"), TEXT(""), TEXT("%4z"), 0, true },
        { TEXT("%z4"), TEXT(""), TEXT("%z4"), 0, true },
        { TEXT("%%41"), TEXT(""), TEXT("%A"), 0, true },
        { TEXT("%4%41"), TEXT(""), TEXT("%4A"), 0, true },
        { TEXT("%%%"), TEXT(""), TEXT("%%%"), 0, true },
        { TEXT("%+1%-1%0x"), TEXT(""), TEXT("% 1%-1%0x"), HTTPURL_PLUS, true },
        { TEXT("%u0041%:0%@0%`0%g0%/0"), TEXT(""), TEXT("%u0041%:0%@0%`0%g0%/0"), 0, true },
        { TEXT("%\xb1\xb1"), TEXT(""), TEXT("%\xb1\xb1"), 0, true },
        { TEXT("100%"), TEXT(""), TEXT("100%"), 0, true },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_decoded(cases[i].text, cases[i].flags, cases[i].is_malformed ? NULL : &cases[i].strict);
        assert_decoded(cases[i].text, cases[i].flags | HTTPURL_LENIENT, &cases[i].lenient);
    }
}

/* Most bytes are copied many at once. */
static void escapes_are_decoded_wherever_they_are(void **state)
{
    enum { LONGEST = 27 };
    char text[LONGEST + 1], wanted[LONGEST + 1];

    for (size_t length = 1; length <= LONGEST; length++) {
        for (size_t at = 0; at < length; at++) {
            memset(text, 'x', length);
            memset(wanted, 'x', length);
            text[at] = '+';
            wanted[at] = ' ';
            assert_decoded((struct text){ text, length }, HTTPURL_PLUS, &(struct text){ wanted, length });
            assert_decoded((struct text){ text, length }, 0, &(struct text){ text, length });
            text[at] = '%';
            assert_decoded((struct text){ text, length }, 0, NULL);
            assert_decoded((struct text){ text, length }, HTTPURL_LENIENT, &(struct text){ text, length });
            if (length - at < 3)
                continue;
            memcpy(text + at + 1, "fe", 2);
            wanted[at] = '\xfe';
            assert_decoded((struct text){ text, length }, 0, &(struct text){ wanted, length - 2 });
        }
    }
}

/* escape_test:test_url_unescape_unicode: the bytes are the same, whatever they mean */
static void every_pair_of_digits_is_a_byte(void **state)
{
    static const char digits[] = "0123456789abcdef", others[] = "0123456789ABCDEF";

    for (int byte = 0; byte < 256; byte++) {
        char text[3] = { '%', digits[byte >> 4], others[byte & 15] },
             swapped[3] = { '%', others[byte >> 4], digits[byte & 15] };
        char wanted = (char)byte;
        assert_decoded((struct text){ text, 3 }, 0, &(struct text){ &wanted, 1 });
        assert_decoded((struct text){ swapped, 3 }, 0, &(struct text){ &wanted, 1 });
    }
}

static void assert_encoded(struct text text, unsigned flags, const char *wanted)
{
    char *place = guardpage_place(3 * text.length);
    size_t length = httpurl_encode(guardpage_text(text.bytes, text.length), text.length, place, flags);

    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(place, wanted, length);
}

/* escape_test:test_url_escape_unicode, escape_test:test_url_escape_quote_plus */
static void bytes_are_encoded(void **state)
{
    static const struct {
        struct text text;
        const char *plain, *plus, *path, *path_plus;
    } cases[] = {
        { TEXT(""), "", "", "", "" },
        { TEXT("azAZ09-._~"), "azAZ09-._~", "azAZ09-._~", "azAZ09-._~", "azAZ09-._~" },
        { TEXT("\xc3\xa9"), "%C3%A9", "%C3%A9", "%C3%A9", "%C3%A9" },
        { TEXT("a\0b"), "a%00b", "a%00b", "a%00b", "a%00b" },
        { TEXT("a b"), "a%20b", "a+b", "a%20b", "a+b" },
        { TEXT("+ #%"), "%2B%20%23%25", "%2B+%23%25", "+%20%23%25", "%2B+%23%25" },
        { TEXT("/a/b"), "%2Fa%2Fb", "%2Fa%2Fb", "/a/b", "/a/b" },
        { TEXT("!$&'()*,;=:@"), "%21%24%26%27%28%29%2A%2C%3B%3D%3A%40", "%21%24%26%27%28%29%2A%2C%3B%3D%3A%40",
          "!$&'()*,;=:@", "!$&'()*,;=:@" },
        { TEXT("\"<>?[\\]^`{|}\x7f\r\n"), "%22%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%7F%0D%0A",
          "%22%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%7F%0D%0A", "%22%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%7F%0D%0A",
          "%22%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%7F%0D%0A" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_encoded(cases[i].text, 0, cases[i].plain);
        assert_encoded(cases[i].text, HTTPURL_PLUS, cases[i].plus);
        assert_encoded(cases[i].text, HTTPURL_PATH, cases[i].path);
        assert_encoded(cases[i].text, HTTPURL_PATH | HTTPURL_PLUS, cases[i].path_plus);
    }
}

static void what_is_encoded_is_decoded_again(void **state)
{
    char all[256], encoded[3 * sizeof all];

    for (int byte = 0; byte < 256; byte++)
        all[byte] = (char)byte;
    for (unsigned flags = 0; flags < 8; flags++) {
        size_t length = httpurl_encode(all, sizeof all, encoded, flags);
        for (size_t i = 0; i < length; i++)
            assert_true(encoded[i] > 0x20 && encoded[i] < 0x7f);
        assert_decoded((struct text){ encoded, length }, flags, &(struct text){ all, sizeof all });
    }
}

/* RFC 3987 3.1; never a byte of something else: B5 */
static void text_of_an_iri_is_encoded(void **state)
{
    static const struct {
        struct text text, wanted;
    } cases[] = {
        { TEXT(""), TEXT("") },
        { TEXT("http://u:p@a:1/b?c=%20#d"), TEXT("http://u:p@a:1/b?c=%20#d") },
        { TEXT("http://a/\xc4\x8d"), TEXT("http://a/%C4%8D") },
        { TEXT("\x80\xff\x7f"), TEXT("%80%FF\x7f") },
        { TEXT("a b\r\n\0\\"), TEXT("a b\r\n\0\\") }, /* for httpurl_parse to refuse */
    };
    struct httpurl url;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text text = cases[i].text;
        char *place = guardpage_place(3 * text.length);
        assert_int_equal(httpurl_encode_iri(guardpage_text(text.bytes, text.length), text.length, place),
                         cases[i].wanted.length);
        assert_memory_equal(place, cases[i].wanted.bytes, cases[i].wanted.length);
    }
    char *place = guardpage_place(18);
    assert_int_equal(httpurl_encode_iri("\xff\xff\xff\xff\xff\xff", 6, place), 18);
    char host[64];
    assert_int_equal(httpurl_parse(host, httpurl_encode_iri("http://\xc4\x8d/", 10, host), &url), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(escapes_are_decoded),
    cmocka_unit_test(escapes_are_decoded_wherever_they_are),
    cmocka_unit_test(every_pair_of_digits_is_a_byte),
    cmocka_unit_test(bytes_are_encoded),
    cmocka_unit_test(what_is_encoded_is_decoded_again),
    cmocka_unit_test(text_of_an_iri_is_encoded),
};

TESTING_MAIN(tests)
