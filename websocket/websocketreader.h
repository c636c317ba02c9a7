/* Internal: websocketreader.h, what comes in over a WebSocket, as pieces of messages and control frames: RFC 6455 5 and
 * 7. Strict; a function of the bytes, however they are split. Pure, but that payloads are unmasked where they lie.
 *
 *     while ((taken = websocketreader_next(&reader, &limits, bytes, length, &piece)) > 0) {
 *         use(&piece);
 *         bytes += taken, length -= taken;
 *     }
 *
 * Everything is taken but the head of a frame, and a control frame, that are not there whole. A piece of a message is
 * handed over as soon as there is a byte of it; a message that lies there whole is one piece. */
#ifndef WEBSOCKET_WEBSOCKETREADER_H
#define WEBSOCKET_WEBSOCKETREADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "websocket/websocketframe.h"
#include "websocket/websocketutf8.h"

struct websocketreader_limits {
    uint64_t message; /* bytes of its payload over all fragments. Compressed, it may be an eighth and 1 KiB more: there
                         it is for whoever inflates it to count */
    uint32_t fragments; /* of a message; 0: the greater of 1,024 and message / 256 */
    bool is_client;     /* frames have to be unmasked; else masked */
    bool may_compress;  /* RSV1 was negotiated */
};

/* Zeroed at first. As small as can be: it stays with every connection. */
struct websocketreader {
    uint64_t left;      /* of the payload of the present frame; 0: a head is next */
    uint64_t message;   /* declared by the frames of the present message so far */
    uint32_t mask;      /* for the next byte of the payload */
    uint32_t fragments; /* of the message */
    struct websocketutf8 utf8;
    uint8_t opcode;     /* of the message; 0: none is begun; 8: a close frame has come, and nothing counts behind it */
    bool is_final;      /* the present frame */
    bool is_compressed; /* the message */
    bool is_under_way;  /* a piece of the message was handed over */
};

enum websocketreader_what {
    WEBSOCKETREADER_NOTHING, /* bytes were taken (a head, or what is behind a close frame), and that is all */
    WEBSOCKETREADER_MESSAGE, /* a piece of one */
    WEBSOCKETREADER_PING,
    WEBSOCKETREADER_PONG,
    WEBSOCKETREADER_CLOSE,
};

struct websocketreader_piece {
    enum websocketreader_what what;
    int code;            /* of a close frame; 1005: it has none (RFC 6455 7.1.5) */
    char *data;          /* among the bytes given, unmasked; of a close frame the reason, valid UTF-8 */
    size_t length;       /* may be 0 */
    uint64_t coming;     /* of a message: bytes of this frame that are still to come */
    const char *problem; /* of a refusal, for logs */
    bool is_first;       /* piece of a message */
    bool is_last;
    bool is_binary;
    bool is_compressed; /* then a text has not been checked for UTF-8 */
};

/* Answers how many bytes were taken, 0 when it needs more behind these, or the negative code for a close frame: -1002,
 * -1007 (a text, at its first wrong byte, or a close reason that is not UTF-8), -1009 (as soon as a length says so, or
 * for too many fragments); then of the piece only the problem is there. After a refusal nothing more is to be read. */
ssize_t websocketreader_next(struct websocketreader *reader, const struct websocketreader_limits *limits, char *bytes,
                             size_t length, struct websocketreader_piece *piece);

/* So many of the last bytes of a piece of a message were not taken: they are masked again, and are to come first the
 * next time. */
void websocketreader_give_back(struct websocketreader *reader, const struct websocketreader_piece *piece, size_t count);

/* Most of what comes, with a third of the instructions: a message of up to 125 bytes in one frame that is there whole,
 * while no message is begun. Answers as websocketreader_next, but sets only data, length and is_binary of the piece; 0:
 * it is something else, and nothing was done. most: as limits->message. */
ssize_t websocketreader_short(bool is_client, uint64_t most, char *bytes, size_t length,
                              struct websocketreader_piece *piece);

#endif
