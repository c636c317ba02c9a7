/* Two streams, the ends of a pair of sockets or of a pipe, that do what the input says: reads, writes, closes, from
 * outside and from inside their callbacks, while system calls and allocations fail, come short or early.
 *
 * What has to hold: bytes arrive in order and unaltered; what was accepted is told of exactly once; without faults
 * and closes all that was written arrives; when nothing happens any more the loop sleeps; no memory and no descriptor
 * is left at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/iostreamlayer.h"
#include "tests/fuzz/fuzzloop.h"
#include "tests/support/faults.h"

#define MOST_OPERATIONS 2000
#define MOST_WRITTEN    1500000u /* bytes a run and direction */
#define LONGEST         70000u
#define LINE            41u /* every so many bytes there is a newline */

struct operation {
    bool accepted;
    int told;
    void *memory; /* freed when it is told */
};

/* One end. Its bytes are those of pattern; written and read count them. */
struct end {
    struct iostream *stream; /* NULL: gone */
    struct end *peer;
    struct operation *closing;
    uint64_t written, read;
    size_t take; /* what the consumer takes of what it is shown */
    bool is_consumed;
    bool may_write, may_read;
    char hidden[3000]; /* of the transport */
    size_t hidden_start, hidden_length, hidden_most;
};

static struct ioloop *loop;
static struct end ends[2];
static struct operation operations[MOST_OPERATIONS];
static size_t operation_count;
static bool is_clean; /* nothing was closed or made fail: all bytes have to arrive */
static const uint8_t *input, *input_end;
static unsigned depth; /* of the operations that run from inside callbacks */
static int file;

/* Input. */

static unsigned take_byte(void)
{
    return input < input_end ? *input++ : 0;
}

static size_t take_size(void)
{
    size_t size = take_byte();

    return size < 200 ? size : (size - 199) * (take_byte() + 1) * 5;
}

static struct end *take_end(void)
{
    return &ends[take_byte() & 1];
}

/* Bytes: those of every stream of bytes, also in the file. */

static char pattern[MOST_WRITTEN + LONGEST];

static void make_pattern(void)
{
    for (size_t place = 0; place < sizeof pattern; place++) {
        char byte = (char)(place ^ place >> 8 ^ place >> 16);
        pattern[place] = place % LINE == LINE - 1 ? '\n' : byte == '\n' ? 'x' : byte;
    }
}

static void fill(char *bytes, uint64_t place, size_t length)
{
    memcpy(bytes, pattern + place, length);
}

static void check(const struct end *end, const char *data, size_t length)
{
    require(end->read + length <= sizeof pattern && memcmp(data, pattern + end->read, length) == 0);
}

/* Operations. */

static struct operation *new_operation(void *memory)
{
    struct operation *operation = &operations[operation_count++];

    *operation = (struct operation){ .memory = memory };
    return operation;
}

static bool has_room(void)
{
    return operation_count + 8 < MOST_OPERATIONS;
}

static void do_one(struct end *end);

/* Inside a callback the input goes on. */
static void do_some(void)
{
    if (depth > 20)
        return;
    depth++;
    for (unsigned count = take_byte() % 4; count > 0; count--)
        do_one(take_end());
    depth--;
}

static void tell(struct operation *operation)
{
    require(operation->accepted && operation->told == 0);
    operation->told++;
    free(operation->memory);
    operation->memory = NULL;
    do_some();
}

static struct end *end_of(const struct iostream *stream)
{
    return stream == ends[0].stream ? &ends[0] : &ends[1];
}

static void on_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct end *end = end_of(stream);

    require(end->stream == stream);
    if (length > 0)
        check(end, data, length);
    end->read += length;
    tell(arg);
}

/* Ends with the newline, and there is none before. */
static void on_line(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    require(error != 0 ? length == 0 : memchr(data, '\n', length) == data + length - 1);
    on_read(stream, error, data, length, arg);
}

static void on_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct end *end = end_of(stream);
    struct operation *operation = arg;

    if (length == 0) {
        on_read(stream, error, data, length, arg);
        return;
    }
    require(error == 0 && operation->told == 0);
    check(end, data, length);
    end->read += length;
    do_some();
}

static size_t consume(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct end *end = arg;
    size_t count = length < end->take ? length : end->take;

    require(end->stream == stream && end->is_consumed);
    check(end, data, length);
    end->read += count;
    if (error != 0)
        end->is_consumed = false;
    do_some();
    return count;
}

static void on_end(struct iostream *stream, int error, void *arg)
{
    tell(arg);
}

static void on_release(void *data, void *arg)
{
    tell(arg);
}

static void on_drain(struct iostream *stream, void *arg)
{
    do_some();
}

static void on_close(struct iostream *stream, int error, void *arg)
{
    struct end *end = arg;

    require(end->stream == stream && !end->is_consumed);
    tell(end->closing);
    end->stream = NULL;
    is_clean = false;
}

static void note(struct operation *operation, int result)
{
    operation->accepted = result == 0;
    if (result != 0)
        free(operation->memory);
}

/* Writing. A write that fails without closing has changed nothing. */

static void note_write(struct end *end, struct operation *written, size_t length, int result)
{
    note(written, result);
    if (result == 0)
        end->written += length;
    else if (iostream_closed(end->stream))
        end->may_write = false;
}

static void write_copy(struct end *end, size_t length, unsigned parts)
{
    char *bytes = malloc(length + 1);
    struct iovec vector[30];
    struct operation *written = new_operation(NULL);

    fill(bytes, end->written, length);
    if (parts == 0) {
        note_write(end, written, length, iostream_write(end->stream, bytes, length, on_end, written));
    } else {
        for (unsigned i = 0; i < parts; i++) {
            size_t from = length * i / parts, to = length * (i + 1) / parts;
            vector[i] = (struct iovec){ bytes + from, to - from };
        }
        note_write(end, written, length, iostream_writev(end->stream, vector, (int)parts, on_end, written));
    }
    memset(bytes, 0, length);
    free(bytes);
}

static void write_untold(struct end *end, size_t length)
{
    char bytes[4096];

    length %= sizeof bytes;
    fill(bytes, end->written, length);
    if (iostream_write(end->stream, bytes, length, NULL, NULL) == 0)
        end->written += length;
}

static void write_owned(struct end *end, size_t length)
{
    char *bytes = malloc(length + 1);
    struct operation *written = new_operation(NULL), *released = new_operation(bytes);

    fill(bytes, end->written, length);
    int result = iostream_write_owned(end->stream, bytes, length, on_release, released, on_end, written);
    note_write(end, written, length, result);
    note(released, result);
}

static void write_static(struct end *end, size_t length)
{
    char *bytes = malloc(length + 1);
    struct operation *written = new_operation(bytes);

    fill(bytes, end->written, length);
    note_write(end, written, length, iostream_write_static(end->stream, bytes, length, on_end, written));
}

static void send_file(struct end *end, size_t length)
{
    struct operation *written = new_operation(NULL);

    note_write(end, written, length,
               iostream_sendfile(end->stream, file, (int64_t)end->written, length, on_end, written));
}

static void write_somehow(struct end *end, unsigned kind)
{
    size_t length = take_size();

    if (end->written + length > MOST_WRITTEN)
        return;
    switch (kind) {
    case 0:
        write_copy(end, length, 0);
        break;
    case 1:
        write_copy(end, length, take_byte() % 30);
        break;
    case 2:
        write_owned(end, length);
        break;
    case 3:
        write_static(end, length);
        break;
    case 4:
        write_untold(end, length);
        break;
    default:
        send_file(end, length);
    }
}

/* Reading. */

static void read_somehow(struct end *end, unsigned kind)
{
    size_t length = take_size();
    void *memory = kind == 3 || kind == 4 ? malloc(length + 1) : NULL;
    struct operation *read = new_operation(memory);

    switch (kind) {
    case 0:
        note(read, iostream_read_until(end->stream, "\n", length, on_line, read));
        break;
    case 1:
        note(read, iostream_read_bytes(end->stream, length, on_read, read));
        break;
    case 2:
        note(read, iostream_read_bytes_partial(end->stream, length, on_read, read));
        break;
    case 3:
        note(read, iostream_read_into(end->stream, memory, length, on_read, read));
        break;
    case 4:
        note(read, iostream_read_into_partial(end->stream, memory, length, on_read, read));
        break;
    case 5:
        note(read, iostream_read_bytes_streaming(end->stream, length, on_piece, read));
        break;
    case 6:
        note(read, iostream_read_until_close(end->stream, length, on_read, read));
        break;
    default:
        note(read, iostream_read_until_close_streaming(end->stream, on_piece, read));
    }
}

static void begin_consuming(struct end *end)
{
    end->take = take_size();
    if (iostream_set_consumer(end->stream, consume, end) == 0)
        end->is_consumed = true;
}

static void stop_consuming(struct end *end)
{
    if (iostream_set_consumer(end->stream, NULL, NULL) == 0)
        end->is_consumed = false;
}

/* All else. */

static void order_a_fault(void)
{
    static const char *const calls[] = { "recv",     "send",      "sendmsg",  "read",  "write",      "writev",
                                         "sendfile", "epoll_ctl", "shutdown", "close", "getsockopt", "setsockopt" };
    static const int errors[] = { EINTR, EAGAIN, ECONNRESET, EPIPE, ENOMEM, ENOBUFS, EIO, ETIMEDOUT };
    const char *call = calls[take_byte() % (sizeof calls / sizeof *calls)];
    int error = errors[take_byte() % (sizeof errors / sizeof *errors)];

    if (call[0] == 'e' && (error == EINTR || error == EAGAIN))
        error = ENOMEM;
    if (error != EINTR && error != EAGAIN)
        is_clean = false;
    faults_system_call(call, error, 1 + (int)take_byte() % 8);
}

static void change_something(struct end *end, unsigned what)
{
    switch (what) {
    case 0:
        iostream_cancel_read(end->stream);
        break;
    case 1:
        iostream_cork(end->stream);
        break;
    case 2:
        iostream_uncork(end->stream);
        break;
    case 3:
        if (iostream_set_drain_callback(end->stream, take_size() * 20, on_drain, NULL) < 0)
            break;
        break;
    case 4:
        if (take_byte() % 4 == 0) {
            is_clean = false;
            if (iostream_shutdown(end->stream) == 0)
                end->may_write = false;
        }
        break;
    case 5:
        if (take_byte() % 8 == 0) {
            is_clean = false;
            iostream_close(end->stream);
        }
        break;
    case 6:
        if (iostream_set_read_timeout(end->stream, take_byte()) == 0)
            is_clean = false;
        break;
    case 7:
        now += take_byte();
        break;
    case 8:
        order_a_fault();
        break;
    case 9:
        is_clean = false;
        faults_allocation(1 + (int)take_byte() % 16, take_byte() % 8 == 0);
        break;
    case 10:
        faults_short_io(take_byte() % 8);
        break;
    default:
        faults_end();
    }
}

static void do_one(struct end *end)
{
    unsigned what = take_byte();

    if (end->stream == NULL || !has_room())
        return;
    if (what < 80)
        write_somehow(end, what % 6);
    else if (what < 160)
        read_somehow(end, what % 8);
    else if (what < 180)
        begin_consuming(end);
    else if (what < 190)
        stop_consuming(end);
    else
        change_something(end, what % 12);
}

/* A transport that hides bytes, and changes them on their way. */

static void change(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] ^= 0x55;
}

static ssize_t veiled_read(void *context, int fd, void *buffer, size_t size)
{
    struct end *end = context;

    if (end->hidden_length == 0) {
        ssize_t count = recv(fd, end->hidden, sizeof end->hidden, 0);
        if (count <= 0)
            return count < 0 ? -errno : 0;
        end->hidden_start = 0;
        end->hidden_length = (size_t)count;
        change(end->hidden, (size_t)count);
    }
    size = size < end->hidden_length ? size : end->hidden_length;
    size = size < end->hidden_most ? size : end->hidden_most;
    memcpy(buffer, end->hidden + end->hidden_start, size);
    end->hidden_start += size;
    end->hidden_length -= size;
    return (ssize_t)size;
}

static ssize_t veiled_write(void *context, int fd, const struct iovec *vector, int count)
{
    char bytes[2000];
    size_t length = 0;

    for (int i = 0; i < count && length < sizeof bytes; i++) {
        size_t part = vector[i].iov_len < sizeof bytes - length ? vector[i].iov_len : sizeof bytes - length;
        memcpy(bytes + length, vector[i].iov_base, part);
        length += part;
    }
    change(bytes, length);
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static int veiled_shutdown(void *context, int fd)
{
    return shutdown(fd, SHUT_WR);
}

static const struct iostream_transport veil = {
    .read = veiled_read,
    .write = veiled_write,
    .shutdown = veiled_shutdown,
    .buffers = true,
};

/* A run. */

static void open_end(struct end *end, int fd, unsigned mode)
{
    unsigned limits = take_byte();
    struct iostream_options options = {
        .half_close = (limits & 0x40) == 0,
        .hold_back = (limits & 0x20) != 0 && end == &ends[0], /* both would wait for each other */
        .max_buffer_size = limits % 8 == 1 ? take_size() + 1 : 0,
        .max_write_buffer_size = limits % 8 == 2 ? take_size() + 1 : 0,
        .transport = mode == 2 ? &veil : NULL,
        .transport_context = end,
    };
    int size = 1;

    if (options.max_buffer_size != 0 || options.max_write_buffer_size != 0)
        is_clean = false;
    if (limits & 0x80)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    end->hidden_most = take_byte() + 1;
    end->stream = iostream_new_pipe(loop, fd, &options);
    require(end->stream != NULL);
    end->stream->reads_on = (limits & 0x10) != 0 && mode < 2;
    end->may_write = end->may_read = true;
    end->closing = new_operation(NULL);
    end->closing->accepted = true;
    iostream_set_close_callback(end->stream, on_close, end);
}

static void open_ends(void)
{
    unsigned mode = take_byte() % 4;
    int fds[2];

    memset(ends, 0, sizeof ends);
    ends[0].peer = &ends[1];
    ends[1].peer = &ends[0];
    require((mode == 3 ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) == 0);
    open_end(&ends[0], fds[0], mode);
    open_end(&ends[1], fds[1], mode);
    if (mode == 3) {
        is_clean = false; /* one of the ways does not exist */
        ends[0].may_write = ends[1].may_read = false;
    }
}

static void run(int iterations)
{
    for (int i = 0; i < iterations; i++)
        require(ioloop_run_once(loop, 0) >= 0);
}

static size_t consume_all(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct end *end = arg;

    check(end, data, length);
    end->read += length;
    if (error != 0)
        end->is_consumed = false;
    return length;
}

/* Whatever was left undone: when both are read from, all that was written arrives. */
static void expect_all(void)
{
    input = input_end;
    for (int i = 0; i < 2; i++) {
        iostream_cancel_read(ends[i].stream);
        for (int corks = 0; corks < MOST_OPERATIONS; corks++)
            iostream_uncork(ends[i].stream);
    }
    run(1);
    for (int i = 0; i < 2 && is_clean; i++) {
        require(iostream_set_consumer(ends[i].stream, consume_all, &ends[i]) == 0);
        ends[i].is_consumed = true;
    }
    uint64_t before = 0;
    for (int idle = 0; idle < 100 && is_clean; idle++) {
        uint64_t got = ends[0].read + ends[1].read;
        if (got == ends[0].written + ends[1].written)
            return;
        if (got != before)
            idle = 0;
        before = got;
        run(1);
    }
    require(!is_clean);
}

/* Changes with all that happens. */
static uint64_t progress(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < 2; i++) {
        const struct iostream *stream = ends[i].stream;
        sum = 31 * (31 * sum + ends[i].read) + ends[i].hidden_length;
        if (stream != NULL)
            sum = 31 * sum + iostream_pending(stream) + iobuffer_length(stream->input) + 1;
    }
    for (size_t i = 0; i < operation_count; i++)
        sum += (uint64_t)operations[i].told << 48;
    return sum;
}

static void expect_sleep(void)
{
    uint64_t before = 0;

    input = input_end;
    for (int idle = 0, all = 0; idle < 60 && all < 200000; idle++, all++) {
        uint64_t now_is = progress();
        idle = now_is != before ? 0 : idle;
        before = now_is;
        run(1);
    }
    require(ioloop_next_timeout(loop) != 0);
}

static void close_ends(void)
{
    faults_end();
    for (int i = 0; i < 2; i++) {
        if (ends[i].stream != NULL)
            iostream_close(ends[i].stream);
    }
    input = input_end;
    run(2);
}

static void check_operations(void)
{
    for (size_t i = 0; i < operation_count; i++)
        require(operations[i].told == operations[i].accepted);
}

static int lowest_free_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

static void make_file(void)
{
    FILE *stream = tmpfile();

    make_pattern();
    require(stream != NULL && fwrite(pattern, 1, sizeof pattern, stream) == sizeof pattern && fflush(stream) == 0);
    file = fileno(stream);
    iolog_set_function(say_nothing, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (file == 0)
        make_file();
    long allocated = faults_allocated();
    int fd = lowest_free_fd();

    input = data;
    input_end = data + size;
    operation_count = 0;
    is_clean = true;
    now = 1000;
    loop = ioloop_new(&(struct ioloop_options){ .make_current = IOLOOP_CURRENT_NEVER, .clock = read_clock });
    require(loop != NULL);
    open_ends();
    while (input < input_end) {
        for (unsigned count = take_byte() % 6; count > 0; count--)
            do_one(take_end());
        run(1 + (int)(take_byte() % 3));
    }
    faults_end();
    expect_sleep();
    if (is_clean) {
        expect_all();
        expect_sleep();
    }
    close_ends();
    check_operations();
    ioloop_close(loop, false);
    require(faults_allocated() == allocated && lowest_free_fd() == fd);
    return 0;
}
