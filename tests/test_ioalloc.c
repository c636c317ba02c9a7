/* Where memory comes from, and that whoever replaces it is asked each time. */
#include "ioloop/ioalloc.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

static int mallocs, reallocs, frees;
static bool exhausted;

static void *count_malloc(size_t size)
{
    mallocs++;
    return exhausted ? NULL : malloc(size);
}

static void *count_realloc(void *memory, size_t size)
{
    reallocs++;
    return exhausted ? NULL : realloc(memory, size);
}

static void count_free(void *memory)
{
    frees++;
    free(memory);
}

static void replace(void)
{
    struct ioalloc_functions functions = { count_malloc, count_realloc, count_free };

    mallocs = reallocs = frees = 0;
    exhausted = false;
    ioalloc_set_functions(&functions);
    memset(&functions, 0, sizeof functions); /* they are copied */
}

static void the_functions_of_the_program_are_called(void **state)
{
    replace();
    char *memory = ioalloc(10);
    memory = ioalloc_resize(memory, 20);
    memory = ioalloc_array_resize(memory, 5, 8);
    ioalloc_free(memory);
    ioalloc_free(ioalloc_string("text"));
    ioalloc_free(ioalloc_zeroed(3));
    ioalloc_free(NULL);
    assert_int_equal(mallocs, 3);
    assert_int_equal(reallocs, 2);
    assert_int_equal(frees, 4);
    ioalloc_set_functions(NULL);
    ioalloc_free(ioalloc(1));
    assert_int_equal(mallocs, 3);
}

static void memory_is_zeroed_copied_and_keeps_its_bytes_when_it_grows(void **state)
{
    char *zeroed = ioalloc_zeroed(1000), *string = ioalloc_string("some text");

    for (int i = 0; i < 1000; i++)
        assert_int_equal(zeroed[i], 0);
    assert_string_equal(string, "some text");
    string = ioalloc_resize(string, 100000);
    assert_string_equal(string, "some text");
    string = ioalloc_array_resize(string, 3, 100000);
    assert_string_equal(string, "some text");
    ioalloc_free(zeroed);
    ioalloc_free(string);
}

static void an_array_too_large_for_a_number_is_refused(void **state)
{
    int *array = ioalloc_array_resize(NULL, 2, sizeof *array);

    assert_non_null(array);
    array[0] = 7;
    assert_null(ioalloc_array_resize(array, SIZE_MAX / 4 + 2, 4));
    assert_null(ioalloc_array_resize(array, SIZE_MAX, SIZE_MAX));
    assert_int_equal(array[0], 7);
    ioalloc_free(array);
}

static void each_function_answers_null_when_there_is_no_memory(void **state)
{
    replace();
    void *memory = ioalloc(1);
    exhausted = true;
    assert_null(ioalloc(1));
    assert_null(ioalloc_zeroed(1));
    assert_null(ioalloc_string(""));
    assert_null(ioalloc_resize(memory, 2));
    assert_null(ioalloc_array_resize(memory, 2, 2));
    ioalloc_free(memory);
    ioalloc_set_functions(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_functions_of_the_program_are_called),
    cmocka_unit_test(memory_is_zeroed_copied_and_keeps_its_bytes_when_it_grows),
    cmocka_unit_test(an_array_too_large_for_a_number_is_refused),
    cmocka_unit_test(each_function_answers_null_when_there_is_no_memory),
};

TESTING_MAIN(tests)
