/* websocketreader.h and websocketframe.h: the same events whatever the bytes are split into, within the limits; bytes
 * that were not taken stay as they were; heads that are printed again are the same. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "websocket/websocketreader.h"

enum { SETTINGS = 5, MOST_FRAGMENTS = 40, ROOM = 1 << 15 };

/* What came of the bytes; of an unfinished message nothing. */
struct trace {
    struct websocketreader reader;
    const struct websocketreader_limits *limits;
    ssize_t result; /* of the last step */
    size_t taken;   /* bytes of whole events */
    size_t length, message;
    bool is_under_way, is_binary, is_closed;
    uint8_t events[ROOM], payload[ROOM];
};

static void add_event(struct trace *trace, uint8_t kind, int code, const void *data, size_t length)
{
    uint8_t head[4] = { kind, (uint8_t)(code >> 8), (uint8_t)code, (uint8_t)length };

    require(length + sizeof head <= ROOM - trace->length);
    memcpy(trace->events + trace->length, head, sizeof head);
    trace->length += sizeof head;
    if (length > 0)
        memcpy(trace->events + trace->length, data, length);
    trace->length += length;
}

static bool is_text(const void *bytes, size_t length)
{
    struct websocketutf8 utf8 = { 0 };

    return websocketutf8_check(&utf8, bytes, length) && websocketutf8_is_whole(&utf8);
}

static uint64_t most_payload(const struct trace *trace, bool is_compressed)
{
    return trace->limits->message + (is_compressed ? trace->limits->message / 8 + 1024 : 0);
}

static void add_piece(struct trace *trace, const struct websocketreader_piece *piece)
{
    require(piece->is_first == !trace->is_under_way);
    require(piece->is_first || piece->is_binary == trace->is_binary);
    require(piece->length + piece->coming <= most_payload(trace, piece->is_compressed) - trace->message);
    if (piece->length > 0)
        memcpy(trace->payload + trace->message, piece->data, piece->length);
    trace->message += piece->length;
    trace->is_under_way = !piece->is_last;
    trace->is_binary = piece->is_binary;
    if (!piece->is_last)
        return;
    require(piece->coming == 0 && (trace->limits->may_compress || !piece->is_compressed));
    require(piece->is_binary || piece->is_compressed || is_text(trace->payload, trace->message));
    add_event(trace, (uint8_t)(1 + piece->is_binary + 2 * piece->is_compressed), 0, trace->payload, trace->message);
    trace->message = 0;
}

static void add_control(struct trace *trace, const struct websocketreader_piece *piece)
{
    require(piece->length <= WEBSOCKETFRAME_MOST_CONTROL && !trace->is_closed);
    if (piece->what == WEBSOCKETREADER_CLOSE) {
        trace->is_closed = true;
        require(piece->code == 1005 || websocketframe_is_code(piece->code));
        require(is_text(piece->data, piece->length));
        require(piece->length == 0 || piece->code != 1005);
    }
    add_event(trace, (uint8_t)(8 + piece->what), piece->code, piece->data, piece->length);
}

static void require_same_head(const char *bytes, size_t length)
{
    char place[WEBSOCKETFRAME_LONGEST_HEAD];
    struct websocketframe frame;
    int size = websocketframe_parse(bytes, length, &frame);

    require(size >= 0 || size == -1002);
    if (size <= 0)
        return;
    require(websocketframe_format(place, &frame) == (size_t)size && memcmp(place, bytes, (size_t)size) == 0);
    for (int i = 1; i < size; i++)
        require(websocketframe_parse(bytes, (size_t)i, &frame) == 0);
}

/* Steps as long as something is taken. Answers how much was; trace->result: 0, or the refusal. */
static size_t give(struct trace *trace, const uint8_t *bytes, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    struct websocketreader_piece piece;
    size_t at = 0;

    require(copy != NULL);
    memcpy(copy, bytes, length);
    for (;;) {
        if (trace->reader.left == 0)
            require_same_head(copy + at, length - at);
        trace->result = websocketreader_next(&trace->reader, trace->limits, copy + at, length - at, &piece);
        if (trace->result <= 0)
            break;
        at += (size_t)trace->result;
        require(at <= length && memcmp(copy + at, bytes + at, length - at) == 0);
        require(piece.length == 0 || (piece.data >= copy && piece.data + piece.length <= copy + at));
        if (piece.what == WEBSOCKETREADER_MESSAGE)
            add_piece(trace, &piece);
        else if (piece.what != WEBSOCKETREADER_NOTHING)
            add_control(trace, &piece);
    }
    require(trace->result == 0 || piece.problem != NULL);
    free(copy);
    return at;
}

static void read_in_pieces(struct trace *trace, const struct websocketreader_limits *limits, const uint8_t *bytes,
                           size_t length, size_t first, size_t step)
{
    size_t at = 0, end = first < length ? first : length;

    memset(trace, 0, offsetof(struct trace, events));
    trace->limits = limits;
    for (;;) {
        at += give(trace, bytes + at, end - at);
        if (trace->result < 0 || end == length)
            break;
        end = length - end > step ? end + step : length;
    }
    trace->taken = trace->result < 0 ? 0 : at;
}

static void require_same(const struct trace *a, const struct trace *b)
{
    require(a->result == b->result && a->taken == b->taken && a->length == b->length);
    require(memcmp(a->events, b->events, a->length) == 0);
    require(a->result < 0 || (a->message == b->message && memcmp(a->payload, b->payload, a->message) == 0));
    require(a->result < 0 || a->is_under_way == b->is_under_way);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trace whole, part;

    if (size < SETTINGS)
        return 0;
    const struct websocketreader_limits limits = { .message = data[1] * 64u,
                                                   .fragments = data[2] % MOST_FRAGMENTS,
                                                   .is_client = (data[0] & 1) != 0,
                                                   .may_compress = (data[0] & 2) != 0 };
    const uint8_t *bytes = data + SETTINGS;
    size_t length = size - SETTINGS;
    size_t first = data[3] * (length + 1) / 256;

    read_in_pieces(&whole, &limits, bytes, length, length, 1);
    require(whole.result == 0 || whole.result == -1002 || whole.result == -1007 || whole.result == -1009);
    read_in_pieces(&part, &limits, bytes, length, first, length);
    require_same(&part, &whole);
    read_in_pieces(&part, &limits, bytes, length, first, 1u + data[4]);
    require_same(&part, &whole);
    read_in_pieces(&part, &limits, bytes, length, 1, 1);
    require_same(&part, &whole);
    return 0;
}
