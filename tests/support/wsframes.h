/* Internal: wsframes.h, WebSocket frames for tests, right ones and wrong ones: made and taken apart without the
 * library.
 *
 *     struct wsframes sent = { .is_masked = true };
 *     wsframes_add(&sent, WSFRAMES_FINAL | 1, "hello", 5);
 *     wsframes_add_close(&sent, 1000, "bye");
 *     send(fd, sent.bytes, sent.length, 0);
 *     wsframes_free(&sent);
 */
#ifndef TESTS_SUPPORT_WSFRAMES_H
#define TESTS_SUPPORT_WSFRAMES_H

#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

enum { WSFRAMES_FINAL = 0x80, WSFRAMES_COMPRESSED = 0x40, WSFRAMES_LONGEST_HEAD = 14 };

/* Frames one behind the other. Zeroed: none, not masked. */
struct wsframes {
    char *bytes;
    size_t length, capacity;
    bool is_masked; /* as a client's are */
    uint32_t masks; /* so many were used; each frame has another */
};

/* One that was taken apart. */
struct wsframes_frame {
    int first; /* byte: final, reserved bits, opcode */
    bool is_masked;
    size_t length;
    const char *payload; /* as it came: lent, and perhaps masked */
    unsigned char mask[4];
};

static inline void wsframes_add_raw(struct wsframes *frames, const void *bytes, size_t length)
{
    if (frames->capacity - frames->length < length) {
        frames->capacity = 2 * frames->capacity + length;
        frames->bytes = realloc(frames->bytes, frames->capacity);
        assert_non_null(frames->bytes);
    }
    if (length > 0)
        memcpy(frames->bytes + frames->length, bytes, length);
    frames->length += length;
}

/* So many bytes of length (0: as few as it takes; else 1, 2 or 8), which may then be wrong. Answers the mask, zeros
 * without one. */
static inline const unsigned char *wsframes_add_odd_head(struct wsframes *frames, int first, uint64_t length,
                                                         size_t size)
{
    unsigned char head[WSFRAMES_LONGEST_HEAD] = { (unsigned char)first };
    size_t at = 2;

    if (size == 0)
        size = length < 126 ? 1 : length < 65536 ? 2 : 8;
    head[1] = (unsigned char)(size == 1 ? length : size == 2 ? 126 : 127);
    for (size_t left = size == 1 ? 0 : size; left > 0; left--)
        head[at++] = (unsigned char)(length >> (8 * (left - 1)));
    if (frames->is_masked) {
        uint32_t mask = 0x9e3779b9u * ++frames->masks;
        head[1] |= 0x80;
        memcpy(head + at, &mask, 4);
        at += 4;
    }
    wsframes_add_raw(frames, head, at);
    return frames->is_masked ? (unsigned char *)frames->bytes + frames->length - 4 : (const unsigned char *)"\0\0\0";
}

static inline const unsigned char *wsframes_add_head(struct wsframes *frames, int first, uint64_t length)
{
    return wsframes_add_odd_head(frames, first, length, 0);
}

static inline void wsframes_add(struct wsframes *frames, int first, const void *payload, size_t length)
{
    unsigned char mask[4];

    memcpy(mask, wsframes_add_head(frames, first, length), 4);
    wsframes_add_raw(frames, payload, length);
    for (size_t i = 0; i < length; i++)
        frames->bytes[frames->length - length + i] = (char)((unsigned char)((const char *)payload)[i] ^ mask[i % 4]);
}

static inline void wsframes_add_text(struct wsframes *frames, const char *text)
{
    wsframes_add(frames, WSFRAMES_FINAL | 1, text, strlen(text));
}

/* code 0: without one, and without a reason. */
static inline void wsframes_add_close(struct wsframes *frames, int code, const char *reason)
{
    char payload[1024] = { (char)(code >> 8), (char)code };
    size_t length = strlen(reason);

    assert_true(length <= sizeof payload - 2);
    memcpy(payload + 2, reason, length);
    wsframes_add(frames, WSFRAMES_FINAL | 8, payload, code == 0 ? 0 : 2 + length);
}

static inline void wsframes_free(struct wsframes *frames)
{
    free(frames->bytes);
    frames->bytes = NULL;
    frames->length = frames->capacity = 0;
}

/* The first frame of these bytes. Answers its whole size, or 0: it is not there whole. */
static inline size_t wsframes_take(const char *bytes, size_t length, struct wsframes_frame *frame)
{
    const unsigned char *head = (const unsigned char *)bytes;
    size_t at = 2;

    if (length < 2)
        return 0;
    frame->first = head[0];
    frame->is_masked = head[1] >= 0x80;
    frame->length = head[1] & 0x7f;
    size_t size = frame->length == 126 ? 2 : frame->length == 127 ? 8 : 0;
    if (length < at + size + (frame->is_masked ? 4 : 0))
        return 0;
    if (size > 0)
        for (frame->length = 0; size > 0; size--)
            frame->length = frame->length << 8 | head[at++];
    memset(frame->mask, 0, 4);
    if (frame->is_masked) {
        memcpy(frame->mask, head + at, 4);
        at += 4;
    }
    frame->payload = bytes + at;
    return frame->length <= length - at ? at + frame->length : 0;
}

/* Its payload, unmasked; place has length bytes. */
static inline void wsframes_unmask(const struct wsframes_frame *frame, char *place)
{
    for (size_t i = 0; i < frame->length; i++)
        place[i] = (char)((unsigned char)frame->payload[i] ^ frame->mask[i % 4]);
}

#endif
