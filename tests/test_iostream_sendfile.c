/* iostream_sendfile: over sockets, pipes and transports, alone and among memory, and files that are not as said. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* A transport that does nothing of its own. */
static ssize_t plain_read(void *context, int fd, void *buffer, size_t size)
{
    ssize_t count = read(fd, buffer, size);

    return count < 0 ? -errno : count;
}

static ssize_t plain_write(void *context, int fd, const struct iovec *vector, int count)
{
    ssize_t written = writev(fd, vector, count);

    for (int i = 0; i < count; i++)
        assert_true(vector[i].iov_len > 0);
    return written < 0 ? -errno : written;
}

static const struct iostream_transport plain = { .read = plain_read, .write = plain_write };

static const struct way {
    enum streampair_kind kind;
    const struct iostream_transport *transport;
} ways[] = {
    { STREAMPAIR_UNIX, NULL },
    { STREAMPAIR_TCP, NULL },
    { STREAMPAIR_PIPE_OUT, NULL },
    { STREAMPAIR_UNIX, &plain },
};

enum { WAYS = sizeof ways / sizeof *ways };

static void open_way(struct streampair *pair, int way)
{
    streampair_open(pair, ways[way].kind, &(struct iostream_options){ .transport = ways[way].transport });
}

static void open_narrow(struct streampair *pair, int way, size_t max_write_buffer_size)
{
    streampair_open(
        pair, ways[way].kind,
        &(struct iostream_options){ .transport = ways[way].transport, .max_write_buffer_size = max_write_buffer_size });
    if (ways[way].kind <= STREAMPAIR_TCP)
        streampair_narrow(pair);
}

static void sends_part_of_a_file_and_leaves_its_offset(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int file = streampair_file(5000);

        lseek(file, 17, SEEK_SET);
        open_way(&pair, way);
        accepted(iostream_sendfile(pair.stream, file, 1000, 3000, outcome_end, &sent));
        assert_int_equal(sent.calls, 0);
        streampair_expect_pattern(&pair, 1000, 3000);
        streampair_run(&pair, &sent);
        assert_ended(sent, 0);
        assert_int_equal(lseek(file, 0, SEEK_CUR), 17);
        streampair_close(&pair);
        close(file);
    }
}

static void sends_a_large_file(void **state)
{
    enum { SIZE = 3 * (1 << 20) + 12345 };

    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int file = streampair_file(SIZE);

        open_narrow(&pair, way, 0);
        size_t before = faults_allocated_bytes();
        accepted(iostream_sendfile(pair.stream, file, 0, SIZE, outcome_end, &sent));
        assert_true(iostream_pending(pair.stream) > 0);
        assert_in_range(faults_allocated_bytes() - before, 1, 70000);
        streampair_expect_pattern(&pair, 0, SIZE);
        streampair_run(&pair, &sent);
        assert_ended(sent, 0);
        streampair_close(&pair);
        close(file);
    }
}

static void sends_files_among_memory(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent[6] = { 0 };
        int file = streampair_file(1000000);
        char bytes[300];
        uint64_t place = 0;

        open_way(&pair, way);
        for (int i = 0; i < 6; i++) {
            streampair_pattern(bytes, place, sizeof bytes);
            accepted(iostream_write(pair.stream, bytes, sizeof bytes, NULL, NULL));
            place += sizeof bytes;
            accepted(iostream_sendfile(pair.stream, file, (int64_t)place, 150000, outcome_end, &sent[i]));
            place += 150000;
        }
        streampair_expect_pattern(&pair, 0, place);
        streampair_run(&pair, &sent[5]);
        for (int i = 0; i < 6; i++) {
            assert_ended(sent[i], 0);
            assert_int_equal(sent[i].order, i + 1);
        }
        streampair_close(&pair);
        close(file);
    }
}

static int is_corked(const struct streampair *pair)
{
    int corked = -1;

    getsockopt(iostream_fd(pair->stream), IPPROTO_TCP, TCP_CORK, &corked, &(socklen_t){ sizeof corked });
    return corked;
}

/* So no packet has the last bytes of a part alone; and parts end where those do that the kernel makes of a file. */
static void corks_the_socket_while_there_is_much_of_a_file(void **state)
{
    enum { HEAD = 100, OFFSET = 1000, SIZE = 3000000, SMALL = 190000 };
    struct streampair pair;
    int file = streampair_file(OFFSET + SIZE);
    char head[HEAD];

    streampair_pattern(head, OFFSET - HEAD, HEAD);
    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    assert_int_equal(setsockopt(iostream_fd(pair.stream), IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    for (int round = 0; round < 2; round++) {
        struct outcome sent[2] = { 0 };

        faults_count_reset();
        accepted(iostream_write(pair.stream, head, HEAD, NULL, NULL));
        accepted(iostream_sendfile(pair.stream, file, OFFSET, SIZE, outcome_end, &sent[0]));
        assert_int_equal(faults_asked("sendfile"), (1 << 20) - OFFSET);
        assert_int_equal(is_corked(&pair), 1);
        streampair_expect_pattern(&pair, OFFSET - HEAD, HEAD + SIZE);
        assert_int_equal(is_corked(&pair), 0);
        accepted(iostream_sendfile(pair.stream, file, 0, SMALL, outcome_end, &sent[1]));
        streampair_expect_pattern(&pair, 0, SMALL);
        assert_int_equal(faults_count("setsockopt"), 2);
        streampair_run(&pair, &sent[1]);
        assert_ended(sent[0], 0);
        assert_ended(sent[1], 0);
    }
    streampair_close(&pair);
    close(file);
}

/* What waits: memory, part of a file, memory. What is asked to be sent at once, and what is sent of it: less only where
 * that is more than a socket takes (0). */
static void a_piece_ends_with_memory_with_a_file_or_between(void **state)
{
    enum { PIECE = 1 << 20, MOST = 2 * PIECE };
    static const struct {
        unsigned before, offset, size, behind, asked, sent;
        bool corked;
    } cases[] = {
        { 0, 0, 0, 196607, 0, 196607, false },
        { 0, 0, 0, 196608, 0, 131072, false },
        { 0, 0, 196607, 0, 196607, 196607, false },
        { 0, 0, 196608, 0, 196608, 196608, true },
        { 0, 0, 131071, 100000, 131071, 131072, false },
        { 0, 0, 131072, 100000, 131072, 131072, true },
        { 0, 0, 150000, 100000, 150000, 150000, true },
        { 0, 1000, PIECE, 0, PIECE, 0, true },
        { 0, 1000, PIECE + 1, 0, PIECE - 1000, 0, true },
        { 100000, 0, 2 * PIECE, 0, 14 << 16, 0, true },
        { 100000, 0, PIECE - 100000, 1, PIECE - 100000, 0, true },
        { 100000, 0, PIECE - 100000 + 1, 1, 14 << 16, 0, true },
        { 131071, 65535, 2 * PIECE, 0, PIECE - 131071, 0, true },
        { 131071, 0, 2 * PIECE, 0, 14 << 16, 0, true },
        { 131072, 0, 400000, 0, 0, 131072, true },
        { 200000, 0, 131072, 0, 0, 131072, true },
        { 300000, 0, 100, 0, 0, 131072, false },
        { 100000, 0, 100, 300000, 100, 131072, false },
    };
    char *bytes = calloc(1, MOST);
    int file = streampair_file(MOST + 65536);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct streampair pair;
        uint64_t all = (uint64_t)cases[i].before + cases[i].size + cases[i].behind;

        streampair_open(&pair, STREAMPAIR_TCP, NULL);
        assert_int_equal(setsockopt(iostream_fd(pair.stream), IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
        iostream_cork(pair.stream);
        accepted(iostream_write_static(pair.stream, bytes, cases[i].before, NULL, NULL));
        accepted(iostream_sendfile(pair.stream, file, cases[i].offset, cases[i].size, NULL, NULL));
        accepted(iostream_write_static(pair.stream, bytes, cases[i].behind, NULL, NULL));
        faults_count_reset();
        iostream_uncork(pair.stream);
        uint64_t sent = all - iostream_pending(pair.stream);
        unsigned asked = faults_count("sendfile") > 0 ? (unsigned)faults_asked("sendfile") : 0;
        if (asked != cases[i].asked || (cases[i].sent != 0 && sent != cases[i].sent) ||
            (faults_count("setsockopt") > 0) != cases[i].corked)
            fail_msg("case %zu: %u asked, %llu sent, %d settings", i, asked, (unsigned long long)sent,
                     faults_count("setsockopt"));
        streampair_close(&pair);
    }
    close(file);
    free(bytes);
}

/* The socket is not corked for what waits behind a file, and corked anew for the next. */
static void each_file_has_a_cork_of_its_own(void **state)
{
    enum { SIZE = 1500000, MEMORY = 5000000, STEP = 10000 };
    struct streampair pair;
    struct outcome sent = { 0 };
    char *bytes = malloc(MEMORY);
    int file = streampair_file(SIZE);

    assert_non_null(bytes);
    streampair_pattern(bytes, SIZE, MEMORY);
    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    assert_int_equal(setsockopt(iostream_fd(pair.stream), IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    iostream_cork(pair.stream);
    accepted(iostream_sendfile(pair.stream, file, 0, SIZE, NULL, NULL));
    accepted(iostream_write_static(pair.stream, bytes, MEMORY, NULL, NULL));
    faults_count_reset();
    iostream_uncork(pair.stream);
    assert_int_equal(faults_count("setsockopt"), 1);
    uint64_t place = 0;
    for (; faults_count("setsockopt") == 1; place += STEP)
        streampair_expect_pattern(&pair, place, STEP);
    assert_in_range(iostream_pending(pair.stream), MEMORY / 2, MEMORY);
    assert_true(place <= SIZE);
    accepted(iostream_sendfile(pair.stream, file, 0, SIZE, outcome_end, &sent));
    streampair_expect_pattern(&pair, place, SIZE + MEMORY - place);
    streampair_expect_pattern(&pair, 0, SIZE);
    streampair_run(&pair, &sent);
    assert_int_equal(faults_count("setsockopt"), 4);
    streampair_close(&pair);
    close(file);
    free(bytes);
}

/* Its pieces are its own, such as records. */
static void a_transport_is_not_corked_and_gets_nothing_empty(void **state)
{
    enum { FIRST = 131072, ALL = 300000 };
    struct streampair pair;
    char *bytes = malloc(ALL);
    int file = streampair_file(ALL);

    streampair_pattern(bytes, 0, ALL);
    streampair_open(&pair, STREAMPAIR_TCP, &(struct iostream_options){ .transport = &plain });
    assert_int_equal(setsockopt(iostream_fd(pair.stream), IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    faults_count_reset();
    iostream_cork(pair.stream);
    accepted(iostream_write_static(pair.stream, bytes, FIRST, NULL, NULL));
    accepted(iostream_write_static(pair.stream, bytes + FIRST, ALL - FIRST, NULL, NULL));
    iostream_uncork(pair.stream);
    assert_int_equal(iostream_pending(pair.stream), ALL - FIRST);
    streampair_expect_pattern(&pair, 0, ALL);
    accepted(iostream_sendfile(pair.stream, file, 0, ALL, NULL, NULL));
    streampair_expect_pattern(&pair, 0, ALL);
    assert_int_equal(faults_count("setsockopt"), 0);
    streampair_close(&pair);
    close(file);
    free(bytes);
}

static void sends_nothing_of_a_file(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int file = streampair_file(10);

        open_way(&pair, way);
        accepted(iostream_sendfile(pair.stream, file, 5, 0, outcome_end, &sent));
        assert_int_equal(sent.calls, 0);
        streampair_spin(&pair, 1);
        assert_ended(sent, 0);
        assert_int_equal(pair.closed.calls, 0);
        streampair_close(&pair);
        close(file);
    }
}

/* An empty write that waits for its turn is not the file. */
static void sends_a_file_behind_an_empty_write(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome empty = { 0 }, sent = { 0 };
        int file = streampair_file(1000);

        open_way(&pair, way);
        iostream_cork(pair.stream);
        accepted(iostream_write(pair.stream, "", 0, outcome_end, &empty));
        accepted(iostream_sendfile(pair.stream, file, 0, 1000, outcome_end, &sent));
        iostream_uncork(pair.stream);
        streampair_expect_pattern(&pair, 0, 1000);
        streampair_run(&pair, &sent);
        assert_ended(empty, 0);
        assert_ended(sent, 0);
        streampair_close(&pair);
        close(file);
    }
}

static void closes_when_the_file_ends_too_soon(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 }, next = { 0 };
        int file = streampair_file(1000);

        testing_begin_logs();
        open_way(&pair, way);
        accepted(iostream_sendfile(pair.stream, file, 0, 1001, outcome_end, &sent));
        if (iostream_closed(pair.stream))
            next.calls = 1;
        else
            accepted(iostream_write(pair.stream, "a", 1, outcome_end, &next));
        streampair_expect_pattern(&pair, 0, 1000);
        streampair_run(&pair, &pair.closed);
        assert_ended(sent, -EIO);
        assert_int_equal(next.calls, 1);
        assert_ended(pair.closed, -EIO);
        assert_int_equal(testing_logs("a file to be sent ends 1 bytes too soon"), 1);
        assert_int_equal(testing_logs(NULL), 1);
        streampair_expect_end(&pair);
        streampair_close(&pair);
        close(file);
    }
}

/* It was cut while a slow peer reads it. */
static void closes_when_the_file_is_cut(void **state)
{
    enum { SIZE = 3 << 20, CUT = 2 << 20 };

    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int file = streampair_file(SIZE);

        testing_begin_logs();
        open_narrow(&pair, way, 0);
        accepted(iostream_sendfile(pair.stream, file, 0, SIZE, outcome_end, &sent));
        assert_int_equal(ftruncate(file, CUT), 0);
        streampair_expect_pattern(&pair, 0, CUT);
        streampair_run(&pair, &pair.closed);
        assert_ended(sent, -EIO);
        assert_ended(pair.closed, -EIO);
        assert_int_equal(testing_logs("a file to be sent ends 1048576 bytes too soon"), 1);
        assert_int_equal(testing_logs(NULL), 1);
        streampair_close(&pair);
        close(file);
    }
}

/* Its descriptor is of no use: which is not the stream's fault. */
static void closes_when_the_file_cannot_be_read(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        for (int is_closed = 0; is_closed < 2; is_closed++) {
            struct streampair pair;
            struct outcome sent = { 0 };
            int file = open("/dev/null", O_WRONLY | O_CLOEXEC);

            testing_begin_logs();
            open_way(&pair, way);
            if (is_closed)
                close(file);
            accepted(iostream_sendfile(pair.stream, file, 0, 10, outcome_end, &sent));
            streampair_run(&pair, &pair.closed);
            assert_ended(sent, -EIO);
            assert_ended(pair.closed, -EIO);
            assert_int_equal(testing_logs("a file to be sent cannot be read: "), 1);
            assert_int_equal(testing_logs(NULL), 1);
            streampair_close(&pair);
            if (!is_closed)
                close(file);
        }
    }
}

static void stops_where_it_was_said_in_a_longer_file(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int file = streampair_file(100000);
        char next;

        streampair_pattern(&next, 20, 1);
        open_way(&pair, way);
        accepted(iostream_sendfile(pair.stream, file, 0, 20, outcome_end, &sent));
        streampair_run(&pair, &sent);
        accepted(iostream_write(pair.stream, &next, 1, NULL, NULL));
        streampair_expect_pattern(&pair, 0, 21);
        streampair_close(&pair);
        close(file);
    }
}

/* What waits in files takes no memory, and does not count as if it did. */
static void does_not_count_files_as_buffered(void **state)
{
    struct streampair pair;
    struct outcome sent = { 0 };
    int file = streampair_file(3000000);
    char bytes[100];

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_write_buffer_size = 1000 });
    accepted(iostream_sendfile(pair.stream, file, 0, 1500000, NULL, NULL));
    assert_true(iostream_pending(pair.stream) > 1000);
    accepted(iostream_sendfile(pair.stream, file, 1500000, 1000000, NULL, NULL));
    streampair_pattern(bytes, 2500000, sizeof bytes);
    accepted(iostream_write(pair.stream, bytes, sizeof bytes, outcome_end, &sent));
    streampair_expect_pattern(&pair, 0, 2500100);
    streampair_run(&pair, &sent);
    assert_ended(sent, 0);
    streampair_close(&pair);
    close(file);
}

static void still_limits_memory_behind_a_file(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        int file = streampair_file(3000000);
        char bytes[600] = { 0 };

        testing_begin_logs();
        open_narrow(&pair, way, 100000);
        accepted(iostream_sendfile(pair.stream, file, 0, 3000000, NULL, NULL));
        int error = 0, count = 0;
        while (error == 0 && count++ < 200)
            error = iostream_write(pair.stream, bytes, sizeof bytes, NULL, NULL);
        assert_int_equal(error, -ENOBUFS);
        assert_in_range(count, 30, 167);
        streampair_run(&pair, &pair.closed);
        streampair_close(&pair);
        close(file);
    }
}

static void refuses_ranges_that_overflow(void **state)
{
    struct streampair pair;
    const int64_t most = sizeof(off_t) < sizeof(int64_t) ? INT32_MAX : INT64_MAX;
    int file = streampair_file(10);

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    assert_int_equal(iostream_sendfile(pair.stream, -1, 0, 1, NULL, NULL), -EINVAL);
    assert_int_equal(iostream_sendfile(pair.stream, file, -1, 1, NULL, NULL), -EINVAL);
    assert_int_equal(iostream_sendfile(pair.stream, file, 0, UINT64_MAX, NULL, NULL), -EINVAL);
    assert_int_equal(iostream_sendfile(pair.stream, file, 1, (uint64_t)most, NULL, NULL), -EINVAL);
    iostream_cork(pair.stream);
    accepted(iostream_sendfile(pair.stream, file, 0, (uint64_t)most, NULL, NULL));
    if (most == INT64_MAX)
        assert_int_equal(iostream_sendfile(pair.stream, file, 0, 1, NULL, NULL), -EINVAL);
    assert_int_equal(iostream_pending(pair.stream), most);
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
    close(file);
}

static void closes_on_what_is_no_file(void **state)
{
    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int fds[2];

        testing_begin_logs();
        assert_int_equal(pipe(fds), 0);
        open_way(&pair, way);
        accepted(iostream_sendfile(pair.stream, fds[0], 0, 10, outcome_end, &sent));
        streampair_run(&pair, &pair.closed);
        assert_int_equal(sent.calls, 1);
        assert_true(sent.error < 0);
        streampair_close(&pair);
        close(fds[0]);
        close(fds[1]);
    }
}

/* Where the kernel refuses sendfile, the file is read. */
static void reads_files_that_sendfile_refuses(void **state)
{
    struct streampair pair;
    struct outcome sent = { 0 };
    int file = streampair_file(200000);

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    faults_system_call_sticky("sendfile", EINVAL, 1);
    accepted(iostream_sendfile(pair.stream, file, 0, 200000, outcome_end, &sent));
    streampair_expect_pattern(&pair, 0, 200000);
    streampair_run(&pair, &sent);
    assert_ended(sent, 0);
    streampair_close(&pair);
    close(file);
}

static void reads_a_file_again_when_that_was_interrupted(void **state)
{
    struct streampair pair;
    struct outcome sent = { 0 };
    int file = streampair_file(1000);

    streampair_open(&pair, STREAMPAIR_PIPE_OUT, NULL);
    faults_system_call("pread", EINTR, 1);
    accepted(iostream_sendfile(pair.stream, file, 0, 1000, outcome_end, &sent));
    streampair_expect_pattern(&pair, 0, 1000);
    assert_true(faults_hit());
    streampair_run(&pair, &sent);
    assert_ended(sent, 0);
    streampair_close(&pair);
    close(file);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(sends_part_of_a_file_and_leaves_its_offset),
    cmocka_unit_test(sends_nothing_of_a_file),
    cmocka_unit_test(sends_a_file_behind_an_empty_write),
    cmocka_unit_test(closes_when_the_file_ends_too_soon),
    cmocka_unit_test(stops_where_it_was_said_in_a_longer_file),
    cmocka_unit_test(refuses_ranges_that_overflow),
    cmocka_unit_test(closes_on_what_is_no_file),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(sends_a_large_file),
    cmocka_unit_test(sends_files_among_memory),
    cmocka_unit_test(corks_the_socket_while_there_is_much_of_a_file),
    cmocka_unit_test(a_piece_ends_with_memory_with_a_file_or_between),
    cmocka_unit_test(each_file_has_a_cork_of_its_own),
    cmocka_unit_test(a_transport_is_not_corked_and_gets_nothing_empty),
    cmocka_unit_test(does_not_count_files_as_buffered),
    cmocka_unit_test(still_limits_memory_behind_a_file),
    cmocka_unit_test(reads_files_that_sendfile_refuses),
    cmocka_unit_test(reads_a_file_again_when_that_was_interrupted),
    cmocka_unit_test(closes_when_the_file_is_cut),
    cmocka_unit_test(closes_when_the_file_cannot_be_read),
};

STREAMPAIR_MAIN(at_all_sizes, once)
