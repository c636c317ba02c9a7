/* Internal: veil.h, for tests of streams: a transport that can do a few things TLS does. Every byte is changed on the
 * wire.
 *
 *     struct veil veil = { .rounds = 2 };
 *     streampair_open(&pair, STREAMPAIR_UNIX,
 *                     &(struct iostream_options){ .transport = &veil_greeting, .transport_context = &veil });
 *     veil_shake_hands(&pair, 2);
 *     veil_put(&pair, "abc\n"); */
#ifndef TESTS_SUPPORT_VEIL_H
#define TESTS_SUPPORT_VEIL_H

#include <stdbool.h>
#include <stddef.h>

#include "ioloop/iostream.h"
#include "tests/support/streampair.h"

struct veil {
    int rounds; /* of the handshake that are left: sends a byte and waits for one, each */
    bool sent_round;
    int failure;        /* what the handshake ends with */
    bool write_to_read; /* before it reads it has to send a byte, */
    bool read_to_write; /* and before it writes to get one */
    size_t most;        /* bytes a read answers at most. 0: all */
    char hidden[20000]; /* read ahead */
    size_t hidden_start, hidden_length;
    int busy; /* calls of shutdown that have to wait */
    int handshakes, reads, shutdowns, closes;
    int closed_fd;
};

/* buffering reads ahead; greeting does too, and has a handshake. */
extern const struct iostream_transport veil_plain, veil_buffering, veil_greeting;

/* The peer sends, as if it had a veil of its own. */
void veil_put(struct streampair *pair, const char *text);

/* The peer's side of so many rounds. */
void veil_shake_hands(struct streampair *pair, int rounds);

#endif
