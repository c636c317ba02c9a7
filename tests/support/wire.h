/* Internal: wire.h, a test's own end of a connection: a descriptor that does not block, and the bytes that came and
 * were not looked at yet. By read and write: so the calls of the library, recv and send, can be counted and can fail. */
#ifndef TESTS_SUPPORT_WIRE_H
#define TESTS_SUPPORT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

/* Sends what the kernel takes, and answers how much. What the other side does not take any more, as it has closed, goes
 * nowhere, as if it was taken. */
size_t wire_send(int fd, const char *bytes, size_t length);

/* Appends what there is, at most so many bytes; they have a NUL behind them then. True: the end has come, by FIN (error
 * is 0) or otherwise. */
bool wire_receive(int fd, char **bytes, size_t *length, size_t most, int *error);

/* Forgets the first ones. */
void wire_drop(char *bytes, size_t *length, size_t count);

/* close will send RST. */
void wire_reset_at_close(int fd);

#endif
