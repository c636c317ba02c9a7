/* Memory that a stream has for the program. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static void assert_bytes(const void *memory, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(((const unsigned char *)memory)[i], byte);
}

static void it_is_zeroed_and_aligned_for_every_type(void **state)
{
    for (size_t size = 1; size < 100; size += 7) {
        struct streampair pair;

        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .user_size = size });
        void *memory = iostream_user(pair.stream);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        assert_bytes(memory, 0, size);
        memset(memory, 'x', size);
        streampair_close(&pair);
    }
}

static void it_costs_its_size_and_no_allocation(void **state)
{
    struct streampair pair;
    size_t bytes[2];
    long allocated[2];

    for (size_t i = 0; i < 2; i++) {
        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .user_size = i * 1008 });
        bytes[i] = faults_allocated_bytes();
        allocated[i] = faults_allocated();
        streampair_close(&pair);
    }
    assert_int_equal(bytes[1] - bytes[0], 1008);
    assert_int_equal(allocated[1], allocated[0]);
}

/* With other options a stream has a part of its own for these. */
static void other_options_go_with_it(void **state)
{
    struct streampair pair;
    struct outcome end = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .user_size = 64, .max_buffer_size = 10 });
    memset(iostream_user(pair.stream), 'x', 64);
    assert_int_equal(iostream_read_bytes(pair.stream, 11, outcome_read, &end), -ENOBUFS);
    assert_bytes(iostream_user(pair.stream), 'x', 64);
    streampair_close(&pair);
}

static void look_at_it(struct iostream *stream, int error, void *arg)
{
    assert_bytes(iostream_user(stream), 'x', 1000);
    memset(iostream_user(stream), 'y', 1000);
    *(bool *)arg = true;
}

static void it_stays_until_the_close_callback_has_returned(void **state)
{
    struct streampair pair;
    bool looked = false;

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .user_size = 1000 });
    memset(iostream_user(pair.stream), 'x', 1000);
    iostream_set_close_callback(pair.stream, look_at_it, &looked);
    iostream_close(pair.stream);
    assert_bytes(iostream_user(pair.stream), 'x', 1000);
    testing_spin(pair.loop, 2);
    assert_true(looked);
    pair.stream = NULL;
    streampair_close(&pair);
}

static void more_than_there_is_is_refused_and_the_descriptor_stays(void **state)
{
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 96, SIZE_MAX / 2 };
    struct ioloop *loop = ioloop_new(NULL);
    int fds[2];

    testing_socketpair(fds);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        assert_null(iostream_new(loop, fds[0], &(struct iostream_options){ .user_size = sizes[i] }));
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(write(fds[0], "x", 1), 1);
    }
    close(fds[0]);
    close(fds[1]);
    ioloop_close(loop, false);
}

/* Servers. */

static int streams_begun;

static void begin(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address, socklen_t length,
                  void *arg)
{
    assert_bytes(iostream_user(stream), 0, 40);
    memset(iostream_user(stream), 'x', 40);
    streams_begun++;
}

static int connect_to(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int start_nothing(void *arg, const struct iostream_transport **transport, void **context)
{
    return 0;
}

static void each_stream_of_a_server_has_its_own(void **state)
{
    tcpserver_start_transport_fn *const starts[] = { NULL, start_nothing };

    for (size_t i = 0; i < 2; i++) {
        struct tcpserver_options options = { .stream.user_size = 40, .start_transport = starts[i] };
        struct ioloop *loop = ioloop_new(NULL);
        struct tcpserver *server = tcpserver_new(loop, begin, NULL, &options);
        int port = tcpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
        int clients[3];

        assert_true(port > 0);
        streams_begun = 0;
        for (size_t client = 0; client < 3; client++)
            clients[client] = connect_to(port);
        while (streams_begun < 3)
            assert_true(ioloop_run_once(loop, 1) >= 0);
        for (size_t client = 0; client < 3; client++)
            close(clients[client]);
        ioloop_close(loop, false);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_is_zeroed_and_aligned_for_every_type),
    cmocka_unit_test(it_costs_its_size_and_no_allocation),
    cmocka_unit_test(other_options_go_with_it),
    cmocka_unit_test(it_stays_until_the_close_callback_has_returned),
    cmocka_unit_test(more_than_there_is_is_refused_and_the_descriptor_stays),
    cmocka_unit_test(each_stream_of_a_server_has_its_own),
};

TESTING_MAIN(tests)
