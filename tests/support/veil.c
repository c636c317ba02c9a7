#include "tests/support/veil.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/ioloop.h"
#include "tests/support/testing.h"

enum { VEIL = 0x55 };

static void change(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] ^= VEIL;
}

static ssize_t veil_receive(int fd, void *buffer, size_t size)
{
    ssize_t count = recv(fd, buffer, size, 0);

    if (count > 0)
        change(buffer, (size_t)count);
    return count < 0 ? -errno : count;
}

static ssize_t veil_read(void *context, int fd, void *buffer, size_t size)
{
    struct veil *veil = context;

    assert_int_equal(veil->rounds, 0);
    assert_true(size > 0);
    veil->reads++;
    if (veil->write_to_read) {
        if (send(fd, "!", 1, MSG_NOSIGNAL) != 1)
            return -EAGAIN;
        veil->write_to_read = false;
    }
    if (veil->hidden_length == 0) {
        ssize_t count = veil_receive(fd, veil->hidden, sizeof veil->hidden);
        if (count <= 0)
            return count;
        veil->hidden_start = 0;
        veil->hidden_length = (size_t)count;
    }
    if (veil->most != 0 && size > veil->most)
        size = veil->most;
    if (size > veil->hidden_length)
        size = veil->hidden_length;
    memcpy(buffer, veil->hidden + veil->hidden_start, size);
    veil->hidden_start += size;
    veil->hidden_length -= size;
    return (ssize_t)size;
}

static ssize_t veil_write(void *context, int fd, const struct iovec *vector, int count)
{
    struct veil *veil = context;
    char bytes[1000], byte;
    size_t length = 0;

    assert_int_equal(veil->rounds, 0);
    assert_true(count > 0);
    if (veil->read_to_write) {
        if (recv(fd, &byte, 1, 0) != 1)
            return -EAGAIN;
        veil->read_to_write = false;
    }
    for (int i = 0; i < count && length < sizeof bytes; i++) {
        size_t part = vector[i].iov_len < sizeof bytes - length ? vector[i].iov_len : sizeof bytes - length;
        memcpy(bytes + length, vector[i].iov_base, part);
        length += part;
    }
    change(bytes, length);
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static int veil_handshake(void *context, int fd)
{
    struct veil *veil = context;
    char byte;

    veil->handshakes++;
    for (; veil->rounds > 0; veil->rounds--) {
        if (!veil->sent_round && send(fd, "h", 1, MSG_NOSIGNAL) != 1)
            return -EAGAIN;
        veil->sent_round = true;
        ssize_t count = recv(fd, &byte, 1, 0);
        if (count < 0)
            return -errno;
        if (count == 0)
            return -ECONNRESET;
        veil->sent_round = false;
    }
    if (veil->failure != 0)
        return veil->failure;
    /* The peer's last byte may have come with the first of what follows. */
    ssize_t count = veil->most != 0 ? veil_receive(fd, veil->hidden, sizeof veil->hidden) : 0;
    veil->hidden_start = 0;
    veil->hidden_length = count > 0 ? (size_t)count : 0;
    return 0;
}

static unsigned veil_events(void *context, unsigned wanted)
{
    const struct veil *veil = context;
    unsigned events = wanted;

    if (veil->write_to_read && (wanted & IOLOOP_READ))
        events = (events & ~IOLOOP_READ) | IOLOOP_WRITE;
    if (veil->read_to_write && (wanted & IOLOOP_WRITE))
        events = (events & ~IOLOOP_WRITE) | IOLOOP_READ;
    return events;
}

static int veil_shutdown(void *context, int fd)
{
    struct veil *veil = context;

    veil->shutdowns++;
    if (veil->busy > 0 && veil->busy-- > 0)
        return -EAGAIN;
    return shutdown(fd, SHUT_WR);
}

static void veil_close(void *context, int fd)
{
    struct veil *veil = context;

    assert_true(fcntl(fd, F_GETFD) >= 0);
    veil->closes++;
    veil->closed_fd = fd;
}

const struct iostream_transport veil_plain = {
    .read = veil_read,
    .write = veil_write,
    .events = veil_events,
    .shutdown = veil_shutdown,
    .close = veil_close,
};

const struct iostream_transport veil_buffering = {
    .read = veil_read,
    .write = veil_write,
    .events = veil_events,
    .shutdown = veil_shutdown,
    .close = veil_close,
    .buffers = true,
};

const struct iostream_transport veil_greeting = {
    .read = veil_read,
    .write = veil_write,
    .handshake = veil_handshake,
    .events = veil_events,
    .shutdown = veil_shutdown,
    .close = veil_close,
    .buffers = true,
};

void veil_put(struct streampair *pair, const char *text)
{
    char bytes[1000];
    size_t length = strlen(text);

    memcpy(bytes, text, length);
    change(bytes, length);
    streampair_put_bytes(pair, bytes, length);
}

void veil_shake_hands(struct streampair *pair, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        streampair_expect(pair, "h");
        streampair_put(pair, "H");
    }
}
