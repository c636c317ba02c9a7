/* Internal: websocketdeflate.h, permessage-deflate (RFC 7692): what is agreed on, and messages. Pure.
 *
 * A window of 2^8 bytes, which other encoders cannot do, is kept to like any other. */
#ifndef WEBSOCKET_WEBSOCKETDEFLATE_H
#define WEBSOCKET_WEBSOCKETDEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

struct websocketdeflate;

/* What the sides agree on, or would like to. */
struct websocketdeflate_terms {
    int server_window, client_window; /* log2 of that of what each sends: 8 to 15 */
    bool server_anew, client_anew;    /* it begins each message with an empty window */
    bool names_server_window;         /* in the answer, as it was in the offer; else only one below 15 is named */
};

#define WEBSOCKETDEFLATE_LONGEST 144 /* value of Sec-WebSocket-Extensions, with its NUL */

/* The server's side. text: Sec-WebSocket-Extensions, all values with ", " between; taken apart. Agrees on the first
 * offer that can be kept, with windows that are not larger than wanted, as far as the client lets itself be told.
 * Answers 1, or 0: nothing to agree on; -400: malformed. An offer that RFC 7692 7.1 does not allow is passed over. */
int websocketdeflate_accept(char *text, const struct websocketdeflate_terms *wanted,
                            struct websocketdeflate_terms *agreed) IOAPI_MUST_USE;

/* For its answer. */
void websocketdeflate_format_answer(const struct websocketdeflate_terms *agreed, char place[WEBSOCKETDEFLATE_LONGEST]);

/* The client's: an offer, and the answer to it. Answers 1, or 0: there is none (text NULL or empty); -EPROTO: it is not
 * an answer to that offer, or to none. */
void websocketdeflate_format_offer(const struct websocketdeflate_terms *wanted, char place[WEBSOCKETDEFLATE_LONGEST]);
int websocketdeflate_check_answer(char *text, const struct websocketdeflate_terms *wanted,
                                  struct websocketdeflate_terms *agreed) IOAPI_MUST_USE;

/* Coders that are not in use. Who begins each message anew needs them only while one is under way, and may share them.
 * Zeroed at first. */
struct websocketdeflate_spare {
    struct httpdeflate *deflate; /* NULL: none */
    struct httpinflate *inflate;
    int deflate_window, inflate_window;
};

void websocketdeflate_free_spare(struct websocketdeflate_spare *spare);

struct websocketdeflate_piece {
    const char *data; /* until the next call */
    size_t length;    /* may be 0 */
    bool more;        /* it is to be called again, with the bytes that were not taken */
};

/* The memory of each direction (of httpdeflate.h and httpinflate.h) is taken with its first message. NULL: no memory.
 */
struct websocketdeflate *websocketdeflate_new(const struct websocketdeflate_terms *agreed, bool is_client, int level);
void websocketdeflate_free(struct websocketdeflate *deflate); /* NULL is fine */

/* Coders come from there, and go there behind each message, in the directions that begin anew. All that share have one
 * level. What was handed over last is then good until any of them is called. */
void websocketdeflate_share(struct websocketdeflate *deflate, struct websocketdeflate_spare *spare);

/* log2 of that of what it sends. */
int websocketdeflate_send_window(const struct websocketdeflate *deflate);

/* Payload of a message that is compressed, by and by; is_last: the message ends with these bytes. Answers how many were
 * taken, or the negative code for a close frame: -1007 it is not deflated, -1009 it is more than most bytes, -1011 no
 * memory. most is never overstepped by what is handed over. Then, and after a close, only websocketdeflate_free. */
ssize_t websocketdeflate_decompress(struct websocketdeflate *deflate, const void *bytes, size_t length, bool is_last,
                                    uint64_t most, struct websocketdeflate_piece *piece) IOAPI_MUST_USE;

/* The same to send; is_last: the message ends with these bytes. What comes out until then is its payload. -ENOMEM:
 * nothing was taken. */
ssize_t websocketdeflate_compress(struct websocketdeflate *deflate, const void *bytes, size_t length, bool is_last,
                                  struct websocketdeflate_piece *piece) IOAPI_MUST_USE;

/* What was compressed last was not sent, or is not to be gone on with: the next message refers to nothing before it,
 * which it need not (RFC 7692 7.1.1). */
void websocketdeflate_forget(struct websocketdeflate *deflate);

#endif
