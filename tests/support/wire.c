#include "tests/support/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/testing.h"

size_t wire_send(int fd, const char *bytes, size_t length)
{
    ssize_t count = write(fd, bytes, length);

    if (count < 0)
        return errno == EAGAIN ? 0 : length;
    testing_deliver();
    return (size_t)count;
}

bool wire_receive(int fd, char **bytes, size_t *length, size_t most, int *error)
{
    while (most > 0) {
        char piece[65536];
        ssize_t count = read(fd, piece, most < sizeof piece ? most : sizeof piece);

        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        *error = count < 0 ? errno : 0;
        if (count <= 0)
            return true;
        *bytes = realloc(*bytes, *length + (size_t)count + 1);
        assert_non_null(*bytes);
        memcpy(*bytes + *length, piece, (size_t)count);
        *length += (size_t)count;
        (*bytes)[*length] = '\0';
        most -= (size_t)count;
    }
    return false;
}

void wire_drop(char *bytes, size_t *length, size_t count)
{
    assert_true(count <= *length);
    *length -= count;
    memmove(bytes, bytes + count, *length + 1);
}

void wire_reset_at_close(int fd)
{
    struct linger none = { .l_onoff = 1 };

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
}
