/* What a consumer writes back of what it is shown: it stays where it lies until it is sent. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/loopfront.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static int sends(void)
{
    return faults_count("send") + faults_count("sendmsg");
}

/* What is written behind the bytes that were shown goes on with their pattern. */
static struct outcome marks[2];
static uint64_t written;
static char more[100000];

static const char *next_bytes(size_t size)
{
    streampair_pattern(more, written, size);
    written += size;
    return more;
}

/* After: what else the consumer does; NULL: nothing. */
struct lender {
    void (*after)(struct iostream *stream);
    size_t shown; /* as many are waited for */
};

static size_t write_what_is_shown(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct lender *lender = arg;

    if (error != 0)
        return 0;
    if (length < lender->shown)
        return 0;
    accepted(iostream_write(stream, data, length, NULL, NULL));
    written += length;
    if (lender->after != NULL)
        lender->after(stream);
    return length;
}

static void show(struct streampair *pair, size_t length)
{
    streampair_pattern(more, 0, length);
    faults_count_reset();
    streampair_put_bytes(pair, more, length);
    streampair_spin(pair, 2);
}

static void wait_for_the_end(struct iostream *stream)
{
    assert_int_equal(iostream_pending(stream), written);
    assert_int_equal(sends(), 0);
}

static void is_sent_in_one_call_and_not_copied(void **state)
{
    static const size_t lengths[] = { 1, 64, 4096, 4097, 40000 };
    struct lender lender = { NULL, 0 };
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "the scratch memory comes with the first bytes");
    accepted(iostream_set_consumer(pair.stream, write_what_is_shown, &lender));
    streampair_spin(&pair, 2);
    streampair_expect(&pair, "the scratch memory comes with the first bytes");
    lender.after = wait_for_the_end;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        written = 0;
        lender.shown = lengths[i];
        show(&pair, lengths[i]);
        assert_int_equal(sends(), 1);
        streampair_expect_pattern(&pair, 0, lengths[i]);
        assert_int_equal(iostream_pending(pair.stream), 0);
    }
    assert_null(loopfront_cork(pair.loop)->bytes);
    streampair_close(&pair);
}

static void write_a_little(struct iostream *stream)
{
    accepted(iostream_write(stream, next_bytes(10), 10, NULL, NULL));
    accepted(iostream_write(stream, next_bytes(20), 20, NULL, NULL));
}

static void write_much(struct iostream *stream)
{
    accepted(iostream_write(stream, next_bytes(50000), 50000, NULL, NULL));
    write_a_little(stream);
}

static void write_and_be_told(struct iostream *stream)
{
    accepted(iostream_write(stream, next_bytes(10), 10, outcome_end, &marks[0]));
    accepted(iostream_write(stream, "", 0, outcome_end, &marks[1]));
}

static void write_nothing(struct iostream *stream)
{
    accepted(iostream_write(stream, "", 0, NULL, NULL));
    accepted(iostream_write(stream, NULL, 0, NULL, NULL));
}

static void write_parts(struct iostream *stream)
{
    const char *bytes = next_bytes(3000);
    struct iovec vector[30];

    for (int i = 0; i < 30; i++)
        vector[i] = (struct iovec){ (char *)bytes + (ptrdiff_t)(100 * i), 100 };
    accepted(iostream_writev(stream, vector, 30, NULL, NULL));
    write_a_little(stream);
}

static void write_memory(struct iostream *stream)
{
    static char own[3000];

    streampair_pattern(own, written, sizeof own);
    written += sizeof own;
    accepted(iostream_write_static(stream, own, sizeof own, NULL, NULL));
    write_a_little(stream);
}

static int file = -1;

static void send_a_file(struct iostream *stream)
{
    file = streampair_file(written + 3000);
    accepted(iostream_sendfile(stream, file, (int64_t)written, 3000, outcome_end, &marks[0]));
    written += 3000;
    write_a_little(stream);
}

static void cork_and_uncork(struct iostream *stream)
{
    iostream_cork(stream);
    write_a_little(stream);
    iostream_uncork(stream);
    write_a_little(stream);
}

static void shut_down(struct iostream *stream)
{
    write_much(stream);
    accepted(iostream_shutdown(stream));
    assert_int_equal(iostream_write(stream, "x", 1, NULL, NULL), -EPIPE);
}

static void keeps_its_place_before_all_kinds_of_writes(void **state)
{
    static void (*const kinds[])(struct iostream * stream) = { write_a_little, write_much,      write_and_be_told,
                                                               write_nothing,  write_parts,     write_memory,
                                                               send_a_file,    cork_and_uncork, shut_down };
    static const size_t lengths[] = { 1, 64, 4096, 4097, 30000 };

    for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds * 5; i++) {
        struct lender lender = { kinds[i / 10], lengths[i / 2 % 5] };
        struct streampair pair;

        written = 0;
        memset(marks, 0, sizeof marks);
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (i % 2 == 1)
            streampair_narrow(&pair);
        accepted(iostream_set_consumer(pair.stream, write_what_is_shown, &lender));
        show(&pair, lender.shown);
        streampair_expect_pattern(&pair, 0, written);
        streampair_spin(&pair, 3);
        assert_int_equal(iostream_pending(pair.stream), 0);
        streampair_close(&pair);
        if (file >= 0)
            close(file);
        file = -1;
    }
}

static void close_it(struct iostream *stream)
{
    iostream_close(stream);
}

static void is_sent_before_its_stream_closes(void **state)
{
    struct lender lender = { close_it, 0 };
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, write_what_is_shown, &lender));
    written = 0;
    show(&pair, 100);
    streampair_expect_pattern(&pair, 0, 100);
    streampair_expect_end(&pair);
    streampair_close(&pair);
}

/* Nothing is lost when there is no memory to copy it to: both go at once then. */
static void write_without_memory(struct iostream *stream)
{
    faults_allocation(1, true);
    accepted(iostream_write(stream, next_bytes(10), 10, NULL, NULL));
    faults_end();
    assert_int_equal(sends(), 1);
    assert_int_equal(iostream_pending(stream), 0);
}

static void needs_no_memory(void **state)
{
    struct lender lender = { write_without_memory, 0 };
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, write_what_is_shown, &lender));
    written = 0;
    show(&pair, 100);
    streampair_expect_pattern(&pair, 0, 110);
    streampair_close(&pair);
}

/* Half of what is shown is left unread, and is shown again from another place. */
static size_t write_half(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error != 0)
        return 0;
    accepted(iostream_write(stream, data, (length + 1) / 2, NULL, NULL));
    return (length + 1) / 2;
}

static size_t write_one_and_stop(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error != 0)
        return 0;
    accepted(iostream_write(stream, data, 1, NULL, NULL));
    iostream_set_consumer(stream, NULL, NULL);
    return 1;
}

static void is_sent_whatever_becomes_of_the_rest(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, write_half, NULL));
    show(&pair, 1000);
    streampair_expect_pattern(&pair, 0, 1000);
    accepted(iostream_set_consumer(pair.stream, write_one_and_stop, NULL));
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            streampair_put(&pair, "abc");
        streampair_spin(&pair, 3);
        streampair_expect(&pair, (const char *[]){ "a", "b", "c" }[i]);
        accepted(iostream_set_consumer(pair.stream, write_one_and_stop, NULL));
    }
    streampair_close(&pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(is_sent_in_one_call_and_not_copied),
    cmocka_unit_test(keeps_its_place_before_all_kinds_of_writes),
    cmocka_unit_test(is_sent_before_its_stream_closes),
    cmocka_unit_test(needs_no_memory),
    cmocka_unit_test(is_sent_whatever_becomes_of_the_rest),
};

TESTING_MAIN(tests)
