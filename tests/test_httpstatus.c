#include "httpserver/httpstatus.h"

#include <string.h>

#include "tests/support/testing.h"

static void knows_the_codes_of_the_registry(void **state)
{
    static const struct {
        int status;
        const char *reason;
    } cases[] = {
        { 100, "Continue" },
        { 101, "Switching Protocols" },
        { 200, "OK" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 226, "IM Used" },
        { 301, "Moved Permanently" },
        { 304, "Not Modified" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 408, "Request Timeout" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 417, "Expectation Failed" },
        { 431, "Request Header Fields Too Large" },
        { 451, "Unavailable For Legal Reasons" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
        { 510, "Not Extended" },
        { 511, "Network Authentication Required" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(httpstatus_reason(cases[i].status), cases[i].reason);
}

static void has_no_reason_for_others(void **state)
{
    static const int others[] = { -200, -1,  0,   1,   99,  199, 299,  306,   399,
                                  418,  427, 499, 512, 600, 999, 1000, 65736, 131272 };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(httpstatus_reason(others[i]));
}

/* They go into a status line as they are. */
static void reasons_are_printable_and_short(void **state)
{
    for (int status = 0; status < 1000; status++) {
        const char *reason = httpstatus_reason(status);

        if (reason == NULL)
            continue;
        assert_in_range(strlen(reason), 2, 40);
        for (; *reason != '\0'; reason++)
            assert_in_range(*reason, ' ', '~');
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(knows_the_codes_of_the_registry),
    cmocka_unit_test(has_no_reason_for_others),
    cmocka_unit_test(reasons_are_printable_and_short),
};

TESTING_MAIN(tests)
