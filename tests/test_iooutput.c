#include "ioloop/iooutput.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/iobudget.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static void no_callback(struct iostream *stream, int error, void *arg)
{
    fail();
}

static struct iooutput_segment *new_memory(const void *data, size_t length, iostream_write_fn *callback)
{
    struct iooutput_segment *segment = iooutput_new_segment(0);

    segment->data = data;
    segment->left = length;
    segment->callback = callback;
    return segment;
}

static struct iooutput_segment *new_file(uint64_t length, iostream_write_fn *callback)
{
    struct iooutput_segment *segment = iooutput_new_segment(0);

    segment->file = 0;
    segment->left = length;
    segment->callback = callback;
    return segment;
}

static bool copy_text(struct iooutput *output, const char *text, iostream_write_fn *callback)
{
    return iooutput_copy(output, &(struct iovec){ (void *)text, strlen(text) }, 1, 0, callback, NULL);
}

static void expect_first(struct iooutput *output, const char *text)
{
    struct iovec part;

    assert_int_equal(iooutput_gather(output, &part, 1), 1);
    assert_int_equal(part.iov_len, strlen(text));
    assert_memory_equal(part.iov_base, text, part.iov_len);
}

static void expect_done(struct iooutput *output, int count)
{
    struct iooutput_segment *done = iooutput_take_done(output);

    while (done != NULL) {
        struct iooutput_segment *segment = done;

        done = segment->next;
        count--;
        iobudget_free(segment);
    }
    assert_int_equal(count, 0);
    assert_null(iooutput_take_done(output));
}

/* A writer and a sender against their own count of bytes. */
struct model {
    struct iooutput *output;
    uint64_t in, out;      /* bytes so far */
    uint64_t marks[20000]; /* where each callback is due */
    size_t added, done;
};

static void mark(struct model *model)
{
    model->marks[model->added++] = model->in;
}

static void model_copy(struct model *model, size_t length, bool callback)
{
    static char bytes[300000];
    size_t third = length / 3;
    struct iovec vector[3] = { { bytes, third }, { bytes + third, 0 }, { bytes + third, length - third } };
    size_t skip = length > 0 ? (size_t)rand() % length : 0;

    streampair_pattern(bytes, model->in - skip, length);
    assert_true(iooutput_copy(model->output, vector, 3, skip, callback ? no_callback : NULL,
                              callback ? &model->marks[model->added] : NULL));
    model->in += length - skip;
    if (callback)
        mark(model);
}

static void model_file(struct model *model, size_t length)
{
    struct iooutput_segment *segment = new_file(length, no_callback);

    segment->arg = &model->marks[model->added];
    segment->offset = (int64_t)model->in;
    iooutput_append(model->output, segment);
    model->in += length;
    mark(model);
}

static void model_send(struct model *model, size_t most)
{
    struct iovec vector[5];
    int count = iooutput_gather(model->output, vector, 5);
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        assert_true(streampair_is_pattern(vector[i].iov_base, model->out + length, vector[i].iov_len));
        length += vector[i].iov_len;
    }
    struct iooutput_segment *first = model->output->first;
    while (count == 0 && first != NULL && first->left == 0)
        first = first->next;
    if (count == 0 && first != NULL) {
        assert_int_equal(first->offset, model->out);
        length = (size_t)first->left;
    }
    length = length < most ? length : most;
    iooutput_sent(model->output, length);
    model->out += length;
    assert_int_equal(model->output->pending, model->in - model->out);
}

static void model_expect_done(struct model *model)
{
    iooutput_sent(model->output, 0);
    struct iooutput_segment *done = iooutput_take_done(model->output);
    while (done != NULL) {
        struct iooutput_segment *segment = done;

        done = segment->next;
        assert_ptr_equal(segment->arg, &model->marks[model->done]);
        assert_true(model->marks[model->done++] <= model->out);
        iobudget_free(segment);
    }
    assert_true(model->done == model->added || model->marks[model->done] > model->out);
}

static void run_model(size_t longest, size_t sent_at_most)
{
    static struct model model;

    srand(2);
    model = (struct model){ .output = iooutput_new() };
    for (int i = 0; i < 4000; i++) {
        switch (rand() % 4) {
        case 0:
            model_copy(&model, (size_t)rand() % longest, true);
            break;
        case 1:
            model_copy(&model, (size_t)rand() % longest, false);
            break;
        case 2:
            if (i % 5 == 0)
                model_file(&model, (size_t)rand() % longest);
            break;
        default:
            model_send(&model, (size_t)rand() % sent_at_most);
        }
        if (rand() % 3 == 0)
            model_send(&model, SIZE_MAX);
        model_expect_done(&model);
    }
    while (model.out < model.in)
        model_send(&model, sent_at_most);
    iooutput_sent(model.output, 0);
    model_expect_done(&model);
    assert_int_equal(model.done, model.added);
    assert_null(model.output->first);
    iooutput_free(model.output);
}

/* iostream_test:test_small */
static void keeps_small_pieces_in_order(void **state)
{
    run_model(100, 500);
}

/* iostream_test:test_large */
static void keeps_large_pieces_in_order(void **state)
{
    run_model(100000, 300000);
}

static void copies_small_pieces_behind_each_other(void **state)
{
    struct iooutput *output = iooutput_new();
    long before = faults_allocations();

    for (int i = 0; i < 1000; i++)
        assert_true(copy_text(output, "abc", NULL));
    assert_true(faults_allocations() - before <= 1);
    assert_int_equal(output->pending, 3000);
    iooutput_sent(output, 2999);
    assert_true(copy_text(output, "def", NULL));
    expect_first(output, "cdef");
    iooutput_free(output);
}

/* What comes later must not hold up a callback. */
static void keeps_a_piece_with_a_callback_whole(void **state)
{
    struct iooutput *output = iooutput_new();

    assert_true(copy_text(output, "abc", no_callback));
    assert_true(copy_text(output, "def", NULL));
    expect_first(output, "abc");
    iooutput_sent(output, 3);
    expect_done(output, 1);
    expect_first(output, "def");
    iooutput_free(output);
}

static void finishes_what_has_no_bytes_only_behind_the_rest(void **state)
{
    struct iooutput *output = iooutput_new();

    iooutput_append(output, new_memory("", 0, no_callback));
    iooutput_append(output, new_memory("abc", 3, no_callback));
    iooutput_append(output, new_memory("", 0, no_callback));
    expect_done(output, 0);
    iooutput_sent(output, 0);
    expect_done(output, 1);
    iooutput_sent(output, 2);
    expect_done(output, 0);
    iooutput_sent(output, 1);
    expect_done(output, 2);
    assert_null(output->first);
    iooutput_append(output, new_memory("d", 1, NULL));
    expect_first(output, "d");
    iooutput_free(output);
}

static void prepends_before_what_waits(void **state)
{
    struct iooutput *output = iooutput_new();

    iooutput_prepend(output, new_memory("c", 1, NULL));
    iooutput_append(output, new_memory("d", 1, NULL));
    iooutput_prepend(output, new_memory("ab", 2, NULL));
    assert_int_equal(output->pending, 4);
    expect_first(output, "ab");
    iooutput_sent(output, 2);
    expect_first(output, "c");
    iooutput_sent(output, 1);
    expect_first(output, "d");
    iooutput_free(output);
}

static void gathers_up_to_the_first_file(void **state)
{
    struct iooutput *output = iooutput_new();
    struct iovec vector[4];

    iooutput_append(output, new_memory("", 0, NULL));
    iooutput_append(output, new_memory("ab", 2, NULL));
    iooutput_append(output, new_memory("cd", 2, NULL));
    iooutput_append(output, new_file(7, NULL));
    iooutput_append(output, new_memory("ef", 2, NULL));
    assert_int_equal(iooutput_gather(output, vector, 1), 1);
    assert_int_equal(iooutput_gather(output, vector, 4), 2);
    iooutput_sent(output, 4);
    assert_int_equal(iooutput_gather(output, vector, 4), 0);
    iooutput_sent(output, 5);
    assert_int_equal(output->first->offset, 5);
    assert_int_equal(output->first->left, 2);
    iooutput_sent(output, 2);
    expect_first(output, "ef");
    iooutput_free(output);
}

static void finds_the_first_file(void **state)
{
    struct iooutput *output = iooutput_new();
    struct iooutput_segment *files[2] = { new_file(7, NULL), new_file(9, NULL) };
    uint64_t before = 99;

    assert_null(iooutput_first_file(output, 100, &before));
    iooutput_append(output, new_memory("hello", 5, NULL));
    iooutput_append(output, new_memory("you", 3, NULL));
    assert_null(iooutput_first_file(output, 100, &before));
    iooutput_append(output, files[0]);
    iooutput_append(output, files[1]);
    assert_null(iooutput_first_file(output, 8, &before));
    assert_int_equal(before, 99);
    assert_ptr_equal(iooutput_first_file(output, 9, &before), files[0]);
    assert_int_equal(before, 8);
    iooutput_sent(output, 6);
    assert_ptr_equal(iooutput_first_file(output, 9, &before), files[0]);
    assert_int_equal(before, 2);
    iooutput_sent(output, 10);
    assert_ptr_equal(iooutput_first_file(output, 1, &before), files[1]);
    assert_int_equal(before, 0);
    iooutput_free(output);
}

static void takes_all_in_their_order(void **state)
{
    struct iooutput *output = iooutput_new();
    static const char texts[] = "abcd";

    for (int i = 0; i < 4; i++)
        iooutput_append(output, new_memory(texts + i, 1, no_callback));
    iooutput_sent(output, 2);
    for (int i = 0; i < 4; i++) {
        struct iooutput_segment *segment = iooutput_take_any(output);
        assert_ptr_equal(segment->data, texts + i + (i < 2));
        iobudget_free(segment);
    }
    assert_null(iooutput_take_any(output));
    assert_int_equal(output->pending, 0);
    iooutput_append(output, new_memory("e", 1, NULL));
    expect_first(output, "e");
    iooutput_free(output);
}

static void changes_nothing_without_memory(void **state)
{
    struct iooutput *output = iooutput_new();

    assert_true(copy_text(output, "abc", no_callback));
    faults_allocation(1, true);
    assert_false(copy_text(output, "def", no_callback));
    assert_null(iooutput_new());
    assert_null(iooutput_new_segment(10));
    faults_end();
    assert_int_equal(output->pending, 3);
    iooutput_sent(output, 3);
    expect_done(output, 1);
    assert_null(output->first);
    iooutput_free(output);
}

static void refuses_sizes_that_overflow(void **state)
{
    assert_null(iooutput_new_segment(SIZE_MAX));
    assert_null(iooutput_new_segment(SIZE_MAX - sizeof(struct iooutput_segment) + 1));
}

static void tells_whether_bytes_have_gone_since_it_was_asked(void **state)
{
    struct iooutput *output = iooutput_new();

    assert_true(copy_text(output, "abc", NULL));
    assert_true(iooutput_has_moved(output)); /* it was never asked before */
    assert_false(iooutput_has_moved(output));
    assert_true(copy_text(output, "def", NULL));
    assert_false(iooutput_has_moved(output));
    iooutput_sent(output, 1);
    iooutput_sent(output, 0); /* which takes nothing back */
    assert_true(iooutput_has_moved(output));
    iooutput_sent(output, 0);
    assert_false(iooutput_has_moved(output));
    iooutput_free(output);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(keeps_small_pieces_in_order),
    cmocka_unit_test(keeps_large_pieces_in_order),
    cmocka_unit_test(copies_small_pieces_behind_each_other),
    cmocka_unit_test(keeps_a_piece_with_a_callback_whole),
    cmocka_unit_test(finishes_what_has_no_bytes_only_behind_the_rest),
    cmocka_unit_test(prepends_before_what_waits),
    cmocka_unit_test(gathers_up_to_the_first_file),
    cmocka_unit_test(finds_the_first_file),
    cmocka_unit_test(takes_all_in_their_order),
    cmocka_unit_test(changes_nothing_without_memory),
    cmocka_unit_test(refuses_sizes_that_overflow),
    cmocka_unit_test(tells_whether_bytes_have_gone_since_it_was_asked),
};

TESTING_MAIN(tests)
