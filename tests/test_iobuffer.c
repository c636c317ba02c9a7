#include "ioloop/iobuffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static void is_no_memory_when_empty(void **state)
{
    struct iobuffer *buffer = NULL;

    assert_int_equal(iobuffer_length(buffer), 0);
    assert_null(iobuffer_data(buffer));
    assert_int_equal(iobuffer_append(&buffer, NULL, 0), 0);
    assert_null(buffer);
    iobuffer_consume(&buffer, 0);
    assert_null(buffer);
    iobuffer_free(&buffer);
    assert_null(buffer);
}

static void gives_its_memory_back_with_the_last_byte(void **state)
{
    struct iobuffer *buffer = NULL;
    long before = faults_allocated();

    assert_int_equal(iobuffer_append(&buffer, "abc", 3), 0);
    assert_int_equal(faults_allocated(), before + 1);
    iobuffer_consume(&buffer, 2);
    assert_memory_equal(iobuffer_data(buffer), "c", 1);
    iobuffer_consume(&buffer, 1);
    assert_null(buffer);
    assert_int_equal(faults_allocated(), before);
}

static void takes_bytes_where_it_said_they_go(void **state)
{
    struct iobuffer *buffer = NULL;

    memcpy(iobuffer_reserve(&buffer, 1000), "abcdef", 6);
    assert_int_equal(iobuffer_length(buffer), 0);
    iobuffer_commit(buffer, 6);
    iobuffer_consume(&buffer, 3);
    char *place = iobuffer_reserve(&buffer, 5000);
    assert_ptr_equal(place, iobuffer_data(buffer) + 3);
    memset(place, 'x', 5000);
    iobuffer_commit(buffer, 5000);
    assert_int_equal(iobuffer_length(buffer), 5003);
    assert_memory_equal(iobuffer_data(buffer), "defxxx", 6);
    iobuffer_free(&buffer);
}

static void keeps_bytes_in_order(void **state)
{
    struct iobuffer *buffer = NULL;
    uint64_t in = 0, out = 0;
    char bytes[3000];

    srand(1);
    for (int i = 0; i < 20000; i++) {
        size_t length = (size_t)rand() % (i % 7 == 0 ? sizeof bytes : 40);
        streampair_pattern(bytes, in, length);
        assert_int_equal(iobuffer_append(&buffer, bytes, length), 0);
        in += length;
        size_t unread = iobuffer_length(buffer);
        assert_int_equal(unread, in - out);
        length = unread > 0 ? (size_t)rand() % (unread + 1) : 0;
        assert_true(streampair_is_pattern(iobuffer_data(buffer), out, length));
        iobuffer_consume(&buffer, length);
        out += length;
    }
    assert_true(streampair_is_pattern(iobuffer_data(buffer), out, iobuffer_length(buffer)));
    iobuffer_free(&buffer);
}

/* Appends and consumes so many bytes, piece by piece, and answers how many bytes were moved to another place. */
static uint64_t moved_bytes(struct iobuffer **buffer, size_t pieces, size_t piece, size_t consumed)
{
    uint64_t moved = 0;

    for (size_t i = 0; i < pieces; i++) {
        const char *before = iobuffer_data(*buffer);
        size_t length = iobuffer_length(*buffer);
        assert_int_equal(iobuffer_append(buffer, "0123456789abcdef", piece), 0);
        if (before != NULL && iobuffer_data(*buffer) != before)
            moved += length;
        iobuffer_consume(buffer, consumed);
    }
    return moved;
}

static void moves_a_byte_a_few_times_while_it_grows(void **state)
{
    struct iobuffer *buffer = NULL;

    assert_true(moved_bytes(&buffer, 1 << 20, 1, 0) <= 2 << 20);
    iobuffer_free(&buffer);
    assert_true(moved_bytes(&buffer, 1 << 16, 16, 0) <= 2 << 20);
    iobuffer_free(&buffer);
}

/* A reader that is always as far behind, whatever the distance. */
static void moves_a_byte_a_few_times_while_it_stays_full(void **state)
{
    for (size_t behind = 200; behind < 9000; behind += 111) {
        struct iobuffer *buffer = NULL;

        moved_bytes(&buffer, behind, 1, 0);
        assert_true(moved_bytes(&buffer, 20000, 1, 1) <= 3 * 20000 + 4 * behind);
        assert_true(moved_bytes(&buffer, 2000, 16, 16) <= 3 * 32000 + 4 * behind);
        iobuffer_free(&buffer);
    }
}

static void holds_a_few_times_what_is_in_it(void **state)
{
    struct iobuffer *buffer = NULL;
    size_t before = faults_allocated_bytes();

    moved_bytes(&buffer, 10000, 1, 0);
    assert_true(faults_allocated_bytes() - before <= 40000);
    moved_bytes(&buffer, 100000, 1, 1);
    assert_true(faults_allocated_bytes() - before <= 80000);
    iobuffer_free(&buffer);
}

static void changes_nothing_without_memory(void **state)
{
    struct iobuffer *buffer = NULL;

    faults_allocation(1, true);
    assert_null(iobuffer_reserve(&buffer, 1));
    assert_null(buffer);
    faults_end();
    assert_int_equal(iobuffer_append(&buffer, "abc", 3), 0);
    faults_allocation(1, true);
    assert_int_equal(iobuffer_append(&buffer, (char[4096]){ 0 }, 4096), -ENOMEM);
    assert_true(faults_hit());
    faults_end();
    assert_int_equal(iobuffer_length(buffer), 3);
    assert_memory_equal(iobuffer_data(buffer), "abc", 3);
    iobuffer_free(&buffer);
}

static void refuses_sizes_that_overflow(void **state)
{
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 200, SIZE_MAX / 2, SIZE_MAX / 4 + 1 };
    struct iobuffer *buffer = NULL;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(iobuffer_reserve(&buffer, sizes[i]));
        assert_int_equal(iobuffer_append(&buffer, "abc", 3), 0);
        assert_null(iobuffer_reserve(&buffer, sizes[i]));
        assert_int_equal(iobuffer_length(buffer), 3);
        iobuffer_free(&buffer);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(is_no_memory_when_empty),
    cmocka_unit_test(gives_its_memory_back_with_the_last_byte),
    cmocka_unit_test(takes_bytes_where_it_said_they_go),
    cmocka_unit_test(keeps_bytes_in_order),
    cmocka_unit_test(moves_a_byte_a_few_times_while_it_grows),
    cmocka_unit_test(moves_a_byte_a_few_times_while_it_stays_full),
    cmocka_unit_test(holds_a_few_times_what_is_in_it),
    cmocka_unit_test(changes_nothing_without_memory),
    cmocka_unit_test(refuses_sizes_that_overflow),
};

TESTING_MAIN(tests)
