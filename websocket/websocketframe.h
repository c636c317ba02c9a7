/* Internal: websocketframe.h, heads of frames and the mask: RFC 6455 5.2, 5.3. Pure. */
#ifndef WEBSOCKET_WEBSOCKETFRAME_H
#define WEBSOCKET_WEBSOCKETFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum websocketframe_opcode {
    WEBSOCKETFRAME_CONTINUATION = 0,
    WEBSOCKETFRAME_TEXT = 1,
    WEBSOCKETFRAME_BINARY = 2,
    WEBSOCKETFRAME_CLOSE = 8,
    WEBSOCKETFRAME_PING = 9,
    WEBSOCKETFRAME_PONG = 10,
};

enum {
    WEBSOCKETFRAME_LONGEST_HEAD = 14,
    WEBSOCKETFRAME_MOST_CONTROL = 125, /* bytes of a control frame's payload */
};

struct websocketframe {
    uint64_t length; /* of the payload; below 2^63 */
    uint32_t mask;   /* its four bytes as they lie in memory; 0 without one */
    uint8_t opcode;
    bool is_final;
    bool is_masked;
    bool is_compressed; /* RSV1, RFC 7692 6 */
};

/* Takes the head of a frame at the beginning of the bytes apart. Answers its size, 0 when more bytes are needed, or
 * -1002 (RFC 6455 7.4.1): a reserved bit (RSV1 but on the first frame of a message), an unknown opcode, a length that
 * is not minimal or has its highest bit set, a control frame that is long or in fragments. What is hopeless is refused
 * as soon as its byte is there. Whether it may be masked, or compressed, and what may follow what, is for
 * websocketreader.h. When it needs more the first byte has set opcode, is_final and is_compressed, the second
 * is_masked. */
int websocketframe_parse(const void *bytes, size_t length, struct websocketframe *frame);

/* Writes one, and answers its size. */
size_t websocketframe_format(char place[WEBSOCKETFRAME_LONGEST_HEAD], const struct websocketframe *frame);

/* May a close frame have it (7.4)? 1000-1003, 1007-1014 (1012-1014 are registered since), 3000-4999. */
bool websocketframe_is_code(int code);

/* The mask as it is from this byte of the payload on. */
uint32_t websocketframe_mask_at(uint32_t mask, uint64_t offset);

/* to = from, masked or unmasked; they are the same, or do not overlap. offset: where in the payload it begins. 16 bytes
 * at a time and more, where there are as many. */
void websocketframe_mask(void *to, const void *from, size_t length, uint32_t mask, uint64_t offset);

/* Unmasks where it lies, from offset 0; and is it all ASCII? One pass. */
bool websocketframe_unmask_text(void *bytes, size_t length, uint32_t mask);

#endif
