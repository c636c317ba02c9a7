#include "websocket/websockethandshake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Of RFC 6455 1.3. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { MANY_BLANKS = 50000 };

/* Everything a request needs, but for one thing. */
static const struct websockethandshake_request right_request = {
    .method = "GET",
    .minor_version = 1,
    .host = "example.com",
    .connection = "Upgrade",
    .upgrade = "websocket",
    .key = KEY,
    .version = "13",
};

static int check(const struct websockethandshake_request *request)
{
    const char *why = "not set";
    int status = websockethandshake_check_request(request, &why);

    assert_int_equal(status == 0, why == NULL);
    return status;
}

/* The field at this place of the struct is another, or absent. */
static int check_with(size_t place, const char *value)
{
    struct websockethandshake_request request = right_request;

    memcpy((char *)&request + place, &value, sizeof value);
    return check(&request);
}

#define FIELD(name) offsetof(struct websockethandshake_request, name)

static void accepts_the_handshakes_of_browsers(void **state)
{
    static const struct {
        size_t field;
        const char *value;
    } cases[] = {
        { FIELD(connection), "keep-alive, Upgrade" },
        { FIELD(connection), "upgrade" },
        { FIELD(connection), "UPGRADE,keep-alive" },
        { FIELD(connection), "\tupgrade \t, close" },
        { FIELD(connection), ",, ,upgrade" },
        { FIELD(upgrade), "WebSocket" },
        { FIELD(upgrade), "WEBSOCKET" },
        { FIELD(upgrade), "h2c, websocket" },
        { FIELD(key), "AAAAAAAAAAAAAAAAAAAAAA==" },
        { FIELD(key), "/////////////////////w==" },
        { FIELD(host), "localhost:8888" },
        { FIELD(origin), "http://evil.example" }, /* that is asked separately */
    };

    assert_int_equal(check(&right_request), 0);
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(check_with(cases[i].field, cases[i].value), 0);
}

/* E10. */
static void refuses_what_is_no_handshake(void **state)
{
    static const struct {
        int status;
        size_t field;
        const char *value;
    } cases[] = {
        { 405, FIELD(method), NULL },
        { 405, FIELD(method), "POST" },
        { 405, FIELD(method), "HEAD" },
        { 405, FIELD(method), "get" },
        { 405, FIELD(method), "GETS" },
        { 400, FIELD(host), NULL },
        { 400, FIELD(host), "" },
        { 400, FIELD(upgrade), NULL },
        { 400, FIELD(upgrade), "" },
        { 400, FIELD(upgrade), "h2c" },
        { 400, FIELD(upgrade), "websockets" },
        { 400, FIELD(upgrade), "web socket" },
        { 400, FIELD(connection), NULL },
        { 400, FIELD(connection), "" },
        { 400, FIELD(connection), "keep-alive" },
        { 400, FIELD(connection), "upgraded" },
        { 400, FIELD(connection), "keep-alive;upgrade" },
        { 400, FIELD(connection), "\"upgrade\"" },
        { 400, FIELD(key), NULL },
        { 400, FIELD(key), "" },
        { 400, FIELD(key), "dGhlIHNhbXBsZSBub25j" },
        { 400, FIELD(key), "dGhlIHNhbXBsZSBub25jZWQ=" },
        { 400, FIELD(key), "dGhlIHNhbXBsZSBub25jZWRm" },
        { 400, FIELD(key), "dGhlIHNhbXBsZSBub25jZQ" },
        { 400, FIELD(key), "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==" },
        { 400, FIELD(key), " GhlIHNhbXBsZSBub25jZQ==" },
        { 400, FIELD(key), "dGhlIHNhbXBsZSBub25jZR==" },
        { 400, FIELD(key),
          "dGhlIHNh\xff"
          "XBsZSBub25jZQ==" },
        { 400, FIELD(version), NULL },
        { 400, FIELD(version), "" },
        { 400, FIELD(version), "13, 13" },
        { 400, FIELD(version), "013" },
        { 400, FIELD(version), "13 " },
        { 400, FIELD(version), "-13" },
        { 400, FIELD(version), "256" },
        { 400, FIELD(version), "1300" },
        { 400, FIELD(version), "thirteen" },
        { 426, FIELD(version), "0" },
        { 426, FIELD(version), "7" },
        { 426, FIELD(version), "8" },
        { 426, FIELD(version), "12" },
        { 426, FIELD(version), "14" },
        { 426, FIELD(version), "130" },
        { 426, FIELD(version), "255" },
    };
    struct websockethandshake_request old = right_request, none = { 0 };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(check_with(cases[i].field, cases[i].value), cases[i].status);
    old.minor_version = 0;
    assert_int_equal(check(&old), 400);
    assert_int_equal(check(&none), 405);
    none.method = "GET";
    assert_int_equal(check(&none), 400);
}

/* Another version may have another kind of key. */
static void looks_at_the_version_before_the_key(void **state)
{
    struct websockethandshake_request request = right_request;

    request.version = "25";
    request.key = NULL;
    assert_int_equal(check(&request), 426);
}

static void finds_tokens_in_lists(void **state)
{
    static const struct {
        const char *list, *token;
        bool is_there;
    } cases[] = {
        { "a", "a", true },      { "a", "A", true },         { "A,b", "a", true },
        { "b,a", "a", true },    { "b , a , c", "a", true }, { "b,\ta\t", "a", true },
        { ",,a,,", "a", true },  { NULL, "a", false },       { "", "a", false },
        { ",", "a", false },     { " ", "a", false },        { "ab", "a", false },
        { "b", "a", false },     { "a b", "a", false },      { "a;b", "a", false },
        { "b a,c", "a", false }, { "ba", "a", false },       { "\"a\"", "a", false },
        { ";;,,", "a", false },  { "a\x0b", "a", false },    { "keep-alive, Upgrade", "upgrade", true },
        { "@", "`", false },     { "{", "[", false },        { "a,A", "a", true },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(websockethandshake_has_token(cases[i].list, cases[i].token), cases[i].is_there);
}

/* E10: as much time as there are bytes. */
static void passes_over_many_blanks_and_commas(void **state)
{
    static char text[MANY_BLANKS + 8];
    const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS];

    memset(text, ' ', MANY_BLANKS);
    text[0] = 'b';
    text[MANY_BLANKS] = 'x';
    assert_false(websockethandshake_has_token(text, "x"));
    assert_int_equal(websockethandshake_split_protocols(text, names), -400);
    memset(text, ',', MANY_BLANKS);
    text[MANY_BLANKS] = 'x';
    assert_true(websockethandshake_has_token(text, "x"));
    assert_int_equal(websockethandshake_split_protocols(text, names), -400);
    memset(text, ' ', MANY_BLANKS);
    text[0] = 'b';
    text[MANY_BLANKS - 1] = ',';
    assert_int_equal(websockethandshake_split_protocols(text, names), 2);
    assert_string_equal(names[0], "b");
    assert_string_equal(names[1], "x");
}

/* The default rule alone; that it is asked is tested with servers. E12. */
static void knows_pages_of_the_same_host(void **state)
{
    static const struct {
        const char *origin, *host;
        bool is_same;
    } cases[] = {
        { NULL, "example.com", true },
        { NULL, NULL, true },
        { "http://example.com", "example.com", true },
        { "http://example.com/", "example.com", true },
        { "http://example.com/path?query#fragment", "example.com", true },
        { "https://example.com", "example.com", true },
        { "ws://example.com", "example.com", true },
        { "http://EXAMPLE.com", "example.COM", true },
        { "HTTP://example.com", "example.com", true },
        { "http://localhost:8888", "localhost:8888", true },
        { "http://localhost:8888/path", "localhost:8888", true },
        { "http://127.0.0.1:8888", "127.0.0.1:8888", true },
        { "http://[::1]:8888", "[::1]:8888", true },
        /* a port that is the scheme's own is as good as none */
        { "http://example.com:80", "example.com", true },
        { "http://example.com", "example.com:80", true },
        { "https://example.com:443", "example.com", true },
        { "wss://example.com", "example.com:443", true },
        { "https://example.com", "example.com:80", false },
        { "https://example.com:80", "example.com", false },
        { "http://example.com:443", "example.com", false },
        /* others */
        { "http://evil", "example.com", false },
        { "http://evil.example.com", "example.com", false },
        { "http://example.com", "evil.example.com", false },
        { "http://example.com.evil", "example.com", false },
        { "http://example.co", "example.com", false },
        { "http://example.com:8888", "example.com", false },
        { "http://example.com", "example.com:8888", false },
        { "http://example.com:8889", "example.com:8888", false },
        { "http://example.com", "example.com:0", false },
        { "http://[::2]", "[::1]", false },
        /* no origins */
        { "", "example.com", false },
        { "null", "example.com", false },
        { "example.com", "example.com", false },
        { "localhost:8888", "localhost:8888", false },
        { "//example.com", "example.com", false },
        { "/example.com", "example.com", false },
        { "http:example.com", "example.com", false },
        { "http://", "example.com", false },
        { "http:///example.com", "example.com", false },
        { "http://user@example.com", "example.com", false },
        { "http://example.com@evil", "example.com", false },
        { "http://evil\\@example.com", "example.com", false },
        { "http://evil/@example.com", "example.com", false },
        { "http://evil#example.com", "example.com", false },
        { "http://example.com, http://evil", "example.com", false },
        { "http://example.com http://evil", "example.com", false },
        { "http://example.com:99999", "example.com", false },
        /* of schemes that have no pages here */
        { "file://example.com", "example.com", false },
        { "ftp://example.com:80", "example.com:80", false },
        { "chrome-extension://example.com", "example.com", false },
        /* nothing to compare with */
        { "http://example.com", NULL, false },
        { "http://example.com", "", false },
        { "http://example.com", "example.com/", false },
        { "http://example.com", "user@example.com", false },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        if (websockethandshake_is_same_origin(cases[i].origin, cases[i].host) != cases[i].is_same)
            fail_msg("%s, %s", cases[i].origin, cases[i].host);
}

/* B8. wanted: the names with "|" between; NULL: refused. */
static void splits_subprotocols(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "chat", "chat" },
        { "chat, superchat", "chat|superchat" },
        { "a,b,c", "a|b|c" },
        { " a\t,\tb ", "a|b" },
        { "a, A", "a|A" },
        { "v1.json!#$%&'*+-.^_`|~", "v1.json!#$%&'*+-.^_`|~" },
        { "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16" },
        { "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL },
        { "a\tb, c", NULL },
        { "a b", NULL },
        { "a, b c", NULL },
        { "", NULL },
        { " ", NULL },
        { ",", NULL },
        { "a,", NULL },
        { ",a", NULL },
        { "a,,b", NULL },
        { "a, , b", NULL },
        { "a, b, a", NULL },
        { "a,a", NULL },
        { "\"a\"", NULL },
        { "a/b", NULL },
        { "a;b", NULL },
        { "a\x7f", NULL },
        { "\xc3\xbc", NULL },
        { "a\r\nb", NULL },
    };
    const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS];

    for (size_t i = 0; i < COUNT(cases); i++) {
        char joined[128] = "", text[128];
        strcpy(text, cases[i].text);
        int count = websockethandshake_split_protocols(text, names);
        assert_int_equal(count < 0 ? count : 0, cases[i].wanted == NULL ? -400 : 0);
        for (int j = 0; j < count; j++)
            strcat(strcat(joined, j == 0 ? "" : "|"), names[j]);
        if (count > 0)
            assert_string_equal(joined, cases[i].wanted);
    }
    assert_int_equal(websockethandshake_split_protocols(NULL, names), 0);
}

/* The text ends where nothing can be read. */
static void splits_no_further_than_the_text(void **state)
{
    const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS];
    char *place = guardpage_place(5);

    memcpy(place, "a, b", 5);
    assert_int_equal(websockethandshake_split_protocols(place, names), 2);
    assert_string_equal(names[1], "b");
}

static void accepts_the_key_of_the_rfc(void **state)
{
    char *place = guardpage_place(WEBSOCKETHANDSHAKE_ACCEPT + 1);

    websockethandshake_accept(KEY, place);
    assert_string_equal(place, ACCEPT);
    websockethandshake_accept("x3JJHMbDL1EzLkh9GBhXDw==", place);
    assert_string_equal(place, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

static void makes_keys_of_random_bytes(void **state)
{
    char *place = guardpage_place(WEBSOCKETHANDSHAKE_KEY + 1);
    unsigned char random[16];

    websockethandshake_key((const unsigned char *)"the sample nonce", place);
    assert_string_equal(place, KEY);
    memset(random, 0xff, sizeof random);
    websockethandshake_key(random, place);
    assert_string_equal(place, "/////////////////////w==");
    assert_int_equal(check_with(FIELD(key), place), 0);
}

static const char *const offered_protocols[] = { "chat", "superchat", NULL };

static const struct websockethandshake_answer right_answer = {
    .status = 101, .connection = "Upgrade", .upgrade = "websocket", .accept = ACCEPT
};

/* The field at this place of the struct is another, or absent. */
struct answer_case {
    bool is_right;
    size_t field;
    const char *value;
};

#define ANSWER(name) offsetof(struct websockethandshake_answer, name)

static bool is_right_answer(const struct websockethandshake_answer *answer, const char *const *offered,
                            bool offered_deflate)
{
    const char *why = "not set";
    int error = websockethandshake_check_answer(answer, KEY, offered, offered_deflate, &why);

    assert_int_equal(error, why == NULL ? 0 : -EPROTO);
    return error == 0;
}

static void assert_answers(const struct answer_case *cases, size_t count, const char *const *offered,
                           bool offered_deflate)
{
    for (size_t i = 0; i < count; i++) {
        struct websockethandshake_answer answer = right_answer;
        memcpy((char *)&answer + cases[i].field, &cases[i].value, sizeof cases[i].value);
        if (is_right_answer(&answer, offered, offered_deflate) != cases[i].is_right)
            fail_msg("%s", cases[i].value);
    }
}

static void checks_the_answer_to_a_client(void **state)
{
    static const struct answer_case cases[] = {
        { true, ANSWER(upgrade), "WebSocket" },
        { true, ANSWER(upgrade), " websocket\t" },
        { true, ANSWER(connection), "keep-alive, upgrade" },
        { false, ANSWER(upgrade), NULL },
        { false, ANSWER(upgrade), "" },
        { false, ANSWER(upgrade), "h2c" },
        { false, ANSWER(upgrade), "websocket, h2c" },
        { false, ANSWER(connection), NULL },
        { false, ANSWER(connection), "keep-alive" },
        { false, ANSWER(accept), NULL },
        { false, ANSWER(accept), "" },
        { false, ANSWER(accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=" },
        { false, ANSWER(accept), "S3PPLMBITXAQ9KYGZZHZRBK+XOO=" },
        { false, ANSWER(accept), ACCEPT " " },
        { false, ANSWER(accept), KEY },
        { false, ANSWER(protocol), "chat" },
        { false, ANSWER(protocol), "" },
        { false, ANSWER(extensions), "permessage-deflate" },
        { false, ANSWER(extensions), "" },
        { false, ANSWER(extensions), "constructor" },
    };
    static const int statuses[] = { 0, 100, 102, 200, 302, 404, 426 };

    assert_true(is_right_answer(&right_answer, NULL, false));
    assert_answers(cases, COUNT(cases), NULL, false);
    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct websockethandshake_answer answer = right_answer;
        answer.status = statuses[i];
        assert_false(is_right_answer(&answer, NULL, false));
    }
}

static void takes_only_what_was_offered(void **state)
{
    static const struct answer_case cases[] = {
        { true, ANSWER(protocol), "chat" },
        { true, ANSWER(protocol), "superchat" },
        { true, ANSWER(protocol), NULL },
        { false, ANSWER(protocol), "Chat" },
        { false, ANSWER(protocol), "chat, superchat" },
        { false, ANSWER(protocol), "" },
        { false, ANSWER(protocol), "other" },
        { true, ANSWER(extensions), "permessage-deflate" },
        { true, ANSWER(extensions), "permessage-deflate; server_max_window_bits=10" },
        { true, ANSWER(extensions), " permessage-deflate ;client_no_context_takeover " },
        { false, ANSWER(extensions), "permessage-deflate, permessage-deflate" },
        { false, ANSWER(extensions), "permessage-deflate, other" },
        { false, ANSWER(extensions), "x-webkit-deflate-frame" },
        { false, ANSWER(extensions), "permessage-deflates" },
        { false, ANSWER(extensions), "permessage-deflate," },
        { false, ANSWER(extensions), ";;,," },
        { false, ANSWER(extensions), "" },
    };

    assert_answers(cases, COUNT(cases), offered_protocols, true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(accepts_the_handshakes_of_browsers),
    cmocka_unit_test(refuses_what_is_no_handshake),
    cmocka_unit_test(looks_at_the_version_before_the_key),
    cmocka_unit_test(finds_tokens_in_lists),
    cmocka_unit_test(passes_over_many_blanks_and_commas),
    cmocka_unit_test(knows_pages_of_the_same_host),
    cmocka_unit_test(splits_subprotocols),
    cmocka_unit_test(splits_no_further_than_the_text),
    cmocka_unit_test(accepts_the_key_of_the_rfc),
    cmocka_unit_test(makes_keys_of_random_bytes),
    cmocka_unit_test(checks_the_answer_to_a_client),
    cmocka_unit_test(takes_only_what_was_offered),
};
TESTING_MAIN(tests)
