#include "websocket/websocketreader.h"

#include <string.h>

enum {
    READER_FINAL = 0x80,  /* of a first byte */
    READER_MASKED = 0x80, /* of a second */
    READER_PROTOCOL_ERROR = -1002,
    READER_INVALID_TEXT = -1007,
    READER_TOO_BIG = -1009,
    READER_NO_CODE = 1005,
    READER_LEAST_FRAGMENTS = 1024, /* that are allowed for messages of any size, */
    READER_FRAGMENT_BYTES = 256,   /* and one more for so many bytes */
};

static const char not_utf8[] = "a text that is not UTF-8";

static int refuse_frame(struct websocketreader_piece *piece, int code, const char *problem)
{
    *piece = (struct websocketreader_piece){ .problem = problem };
    return code;
}

static bool is_control_frame(uint8_t opcode)
{
    return opcode >= WEBSOCKETFRAME_CLOSE;
}

static bool is_message_open(const struct websocketreader *reader)
{
    return reader->opcode != 0;
}

/* May such a frame be the next one? RFC 6455 5.4 and 5.2. NULL: yes. */
static const char *find_misplaced(const struct websocketreader *reader, const struct websocketreader_limits *limits,
                                  uint8_t opcode, bool is_compressed)
{
    if (is_compressed && !limits->may_compress)
        return "RSV1 without an extension";
    if (is_control_frame(opcode))
        return NULL;
    if (opcode == WEBSOCKETFRAME_CONTINUATION)
        return is_message_open(reader) ? NULL : "a continuation of no message";
    return is_message_open(reader) ? "a message within another" : NULL;
}

static const char *find_wrong_mask(const struct websocketreader_limits *limits, bool is_masked)
{
    if (is_masked == limits->is_client)
        return is_masked ? "a masked frame of a server" : "an unmasked frame of a client";
    return NULL;
}

static uint64_t most_fragments(const struct websocketreader_limits *limits)
{
    if (limits->fragments != 0)
        return limits->fragments;
    uint64_t by_size = limits->message / READER_FRAGMENT_BYTES;
    if (by_size >= UINT32_MAX) /* they are not counted further */
        return UINT32_MAX - 1;
    return by_size > READER_LEAST_FRAGMENTS ? by_size : READER_LEAST_FRAGMENTS;
}

/* Unmasks; and if it is text: may it go on so? */
static bool unmask_text(struct websocketutf8 *utf8, char *bytes, size_t length, uint32_t mask)
{
    bool is_ascii = mask != 0 && websocketframe_unmask_text(bytes, length, mask);

    return (is_ascii && websocketutf8_is_whole(utf8)) || websocketutf8_check(utf8, bytes, length);
}

static bool unmask_payload(struct websocketreader *reader, char *bytes, size_t length)
{
    uint32_t mask = reader->mask;

    reader->mask = websocketframe_mask_at(mask, length);
    if (reader->opcode == WEBSOCKETFRAME_TEXT && !reader->is_compressed)
        return unmask_text(&reader->utf8, bytes, length, mask);
    if (mask != 0)
        websocketframe_mask(bytes, bytes, length, mask, 0);
    return true;
}

/* Once more of the present frame's payload, perhaps nothing. Of a message that has no bytes the end is told all the
 * same. */
static ssize_t take_payload(struct websocketreader *reader, char *bytes, size_t length,
                            struct websocketreader_piece *piece)
{
    size_t taken = reader->left < length ? (size_t)reader->left : length;
    bool is_last = taken == reader->left && reader->is_final;

    if (taken == 0 && !is_last)
        return 0;
    if (!unmask_payload(reader, bytes, taken) || (is_last && !websocketutf8_is_whole(&reader->utf8)))
        return refuse_frame(piece, READER_INVALID_TEXT, not_utf8);
    reader->left -= taken;
    *piece = (struct websocketreader_piece){ .what = WEBSOCKETREADER_MESSAGE,
                                             .data = bytes,
                                             .length = taken,
                                             .coming = reader->left,
                                             .is_first = !reader->is_under_way,
                                             .is_last = is_last,
                                             .is_binary = reader->opcode == WEBSOCKETFRAME_BINARY,
                                             .is_compressed = reader->is_compressed };
    reader->is_under_way = !is_last;
    if (is_last)
        reader->opcode = 0;
    return (ssize_t)taken;
}

/* Bytes that do not compress become more, and each flush of the encoder costs some. */
static uint64_t most_payload(const struct websocketreader_limits *limits, bool is_compressed)
{
    uint64_t more = is_compressed ? limits->message / 8 + 1024 : 0;

    return limits->message <= UINT64_MAX - more ? limits->message + more : UINT64_MAX;
}

static int begin_frame(struct websocketreader *reader, const struct websocketreader_limits *limits,
                       const struct websocketframe *frame, struct websocketreader_piece *piece)
{
    if (frame->opcode != WEBSOCKETFRAME_CONTINUATION) {
        reader->opcode = frame->opcode;
        reader->is_compressed = frame->is_compressed;
        reader->message = 0;
        reader->fragments = 0;
    }
    uint64_t most = most_payload(limits, reader->is_compressed);
    if (frame->length > most || reader->message > most - frame->length)
        return refuse_frame(piece, READER_TOO_BIG, "a message over the limit");
    if (++reader->fragments > most_fragments(limits))
        return refuse_frame(piece, READER_TOO_BIG, "too many fragments");
    reader->message += frame->length;
    reader->left = frame->length;
    reader->mask = frame->mask;
    reader->is_final = frame->is_final;
    return 0;
}

/* RFC 6455 5.5.1 and 7.4. */
static int read_close(struct websocketreader *reader, struct websocketreader_piece *piece)
{
    const uint8_t *code = (const uint8_t *)piece->data;

    reader->opcode = WEBSOCKETFRAME_CLOSE;
    piece->code = READER_NO_CODE;
    if (piece->length == 0)
        return 0;
    if (piece->length == 1)
        return refuse_frame(piece, READER_PROTOCOL_ERROR, "half a close code");
    piece->code = code[0] << 8 | code[1];
    if (!websocketframe_is_code(piece->code))
        return refuse_frame(piece, READER_PROTOCOL_ERROR, "a close code that none may send");
    piece->data += 2;
    piece->length -= 2;
    if (!websocketutf8_is_text(piece->data, piece->length))
        return refuse_frame(piece, READER_INVALID_TEXT, "a close reason that is not UTF-8");
    return 0;
}

/* It has to be there whole, and then goes on with no message and ends none. */
static ssize_t take_control(struct websocketreader *reader, const struct websocketframe *frame, char *bytes, int head,
                            size_t length, struct websocketreader_piece *piece)
{
    if (frame->length > length - (size_t)head)
        return 0;
    piece->data = bytes + head;
    piece->length = (size_t)frame->length;
    if (frame->mask != 0)
        websocketframe_mask(piece->data, piece->data, piece->length, frame->mask, 0);
    piece->what = WEBSOCKETREADER_PONG;
    if (frame->opcode == WEBSOCKETFRAME_PING)
        piece->what = WEBSOCKETREADER_PING;
    else if (frame->opcode == WEBSOCKETFRAME_CLOSE)
        piece->what = WEBSOCKETREADER_CLOSE;
    int refusal = piece->what == WEBSOCKETREADER_CLOSE ? read_close(reader, piece) : 0;
    return refusal < 0 ? refusal : head + (ssize_t)frame->length;
}

/* What the head of a frame that is there, perhaps in part, says against it. */
static const char *find_problem(const struct websocketreader *reader, const struct websocketreader_limits *limits,
                                const struct websocketframe *frame, size_t length)
{
    const char *problem = find_misplaced(reader, limits, frame->opcode, frame->is_compressed);

    if (problem == NULL && length > 1)
        problem = find_wrong_mask(limits, frame->is_masked);
    return problem;
}

/* Anything that may come. */
static ssize_t take_any(struct websocketreader *reader, const struct websocketreader_limits *limits, char *bytes,
                        size_t length, struct websocketreader_piece *piece)
{
    struct websocketframe frame;

    if (length == 0)
        return 0;
    if (reader->left > 0)
        return take_payload(reader, bytes, length, piece);
    if (reader->opcode == WEBSOCKETFRAME_CLOSE)
        return (ssize_t)length;
    int head = websocketframe_parse(bytes, length, &frame);
    if (head < 0)
        return refuse_frame(piece, head, "no frame");
    const char *problem = find_problem(reader, limits, &frame, length);
    if (problem != NULL)
        return refuse_frame(piece, READER_PROTOCOL_ERROR, problem);
    if (head == 0)
        return 0;
    if (is_control_frame(frame.opcode))
        return take_control(reader, &frame, bytes, head, length, piece);
    int refusal = begin_frame(reader, limits, &frame, piece);
    if (refusal < 0)
        return refusal;
    ssize_t taken = take_payload(reader, bytes + head, length - (size_t)head, piece);
    return taken < 0 ? taken : head + taken;
}

static __attribute__((noinline)) ssize_t check_short_text(struct websocketreader_piece *piece, ssize_t taken)
{
    if (!websocketutf8_is_text(piece->data, piece->length))
        return refuse_frame(piece, READER_INVALID_TEXT, not_utf8);
    return taken;
}

ssize_t websocketreader_short(bool is_client, uint64_t most, char *bytes, size_t length,
                              struct websocketreader_piece *piece)
{
    size_t head = is_client ? 2 : 6;
    uint32_t mask;

    if (length < head)
        return 0;
    unsigned opcode = (uint8_t)bytes[0] ^ READER_FINAL;
    if (opcode != WEBSOCKETFRAME_TEXT && opcode != WEBSOCKETFRAME_BINARY)
        return 0;
    size_t size = (uint8_t)bytes[1] ^ (is_client ? 0u : READER_MASKED);
    if (size > WEBSOCKETFRAME_MOST_CONTROL || size > length - head || size > most)
        return 0;
    ssize_t taken = (ssize_t)(head + size);
    piece->data = bytes + head;
    piece->length = size;
    piece->is_binary = opcode == WEBSOCKETFRAME_BINARY;
    if (!is_client) {
        memcpy(&mask, bytes + 2, 4);
        if (websocketframe_unmask_text(bytes + head, size, mask))
            return taken;
    }
    return piece->is_binary ? taken : check_short_text(piece, taken);
}

ssize_t websocketreader_next(struct websocketreader *reader, const struct websocketreader_limits *limits, char *bytes,
                             size_t length, struct websocketreader_piece *piece)
{
    ssize_t taken = 0;

    *piece = (struct websocketreader_piece){ 0 };
    if (reader->opcode == 0)
        taken = websocketreader_short(limits->is_client, limits->message, bytes, length, piece);
    if (taken == 0)
        return take_any(reader, limits, bytes, length, piece);
    if (taken > 0) {
        piece->what = WEBSOCKETREADER_MESSAGE;
        piece->is_first = piece->is_last = true;
    }
    return taken;
}

void websocketreader_give_back(struct websocketreader *reader, const struct websocketreader_piece *piece, size_t count)
{
    char *from = piece->data + piece->length - count;

    if (count == 0)
        return;
    reader->mask = websocketframe_mask_at(reader->mask, (4 - count % 4) % 4);
    websocketframe_mask(from, from, count, reader->mask, 0);
    reader->left += count;
    reader->opcode = piece->is_binary ? WEBSOCKETFRAME_BINARY : WEBSOCKETFRAME_TEXT;
    reader->is_under_way = true;
}
