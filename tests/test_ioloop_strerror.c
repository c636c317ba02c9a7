/* A text for every code. */
#include <errno.h>
#include <limits.h>

#include "ioloop/ioloop.h"
#include "tests/support/testing.h"

static void a_code_has_one_text_whatever_its_sign(void **state)
{
    assert_string_equal(ioloop_strerror(-ECONNREFUSED), "connection refused");
    for (int error = 0; error < 200; error++) {
        const char *text = ioloop_strerror(error);
        assert_non_null(text);
        assert_true(text[0] != '\0');
        assert_ptr_equal(text, ioloop_strerror(-error));
    }
}

static void codes_with_a_meaning_of_the_library_s_own_have_it(void **state)
{
    static const int ours[] = { ESHUTDOWN, ECANCELED, EMSGSIZE, ENOBUFS, ETIMEDOUT,       EALREADY, EBADF,
                                ESTALE,    ENXIO,     EPIPE,    ENOMEM,  EINVAL,          EAGAIN,   EBUSY,
                                EEXIST,    ENOENT,    EPERM,    EINTR,   EBADMSG,         EIO,      ECHILD,
                                ESRCH,     EPROTO,    ENOMSG,   ELOOP,   EPROTONOSUPPORT, ENOTSUP,  EACCES };

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        assert_string_not_equal(ioloop_strerror(ours[i]), "unknown error");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ioloop_strerror(ours[i]), ioloop_strerror(ours[j]));
    }
    assert_string_equal(ioloop_strerror(0), "no error");
}

static void any_number_has_a_text(void **state)
{
    static const int numbers[] = { INT_MIN, INT_MIN + 1, -100000, 100000, INT_MAX };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_string_equal(ioloop_strerror(numbers[i]), "unknown error");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_code_has_one_text_whatever_its_sign),
    cmocka_unit_test(codes_with_a_meaning_of_the_library_s_own_have_it),
    cmocka_unit_test(any_number_has_a_text),
};

TESTING_MAIN(tests)
