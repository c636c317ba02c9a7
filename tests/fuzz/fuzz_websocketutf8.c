/* websocketutf8.h against the grammar of RFC 3629 read aloud: the same verdict, the same first wrong byte, and the same
 * whatever the bytes are split into. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "websocket/websocketutf8.h"

enum { WHOLE = -1, CUT = -2 };

/* How many bytes from 0x80 to 0xBF belong behind a first byte; -1: it is none. */
static int count_tail(uint8_t first)
{
    if (first < 0x80)
        return 0;
    if (first < 0xc2 || first > 0xf4)
        return -1;
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/* RFC 3629 4, UTF8-3 and UTF8-4. */
static bool may_be_second(uint8_t first, uint8_t second)
{
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f))
        return false;
    return (first != 0xf0 || second >= 0x90) && (first != 0xf4 || second <= 0x8f);
}

/* The first wrong byte, or that there is none. */
static int judge(const uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        int tail = count_tail(bytes[at]);
        if (tail < 0)
            return (int)at;
        for (size_t i = 1; i <= (size_t)tail; i++) {
            if (at + i == length)
                return CUT;
            uint8_t byte = bytes[at + i];
            if (byte < 0x80 || byte > 0xbf || (i == 1 && !may_be_second(bytes[at], byte)))
                return (int)(at + i);
        }
        at += (size_t)tail + 1;
    }
    return WHOLE;
}

/* A copy of its own, so that a read outside of it is seen. */
static bool check_copy(struct websocketutf8 *utf8, const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);

    require(copy != NULL);
    memcpy(copy, bytes, length);
    bool is_right = websocketutf8_check(utf8, copy, length);
    free(copy);
    return is_right;
}

/* So many bytes first, then so many at a time: refused with the piece that has the wrong byte. */
static void require_same_in_pieces(const uint8_t *bytes, size_t length, size_t first, size_t step, int verdict)
{
    struct websocketutf8 utf8 = { 0 };

    for (size_t at = 0, end = first < length ? first : length;;
         at = end, end = length - end > step ? end + step : length) {
        bool is_wrong = verdict >= 0 && (size_t)verdict < end;
        require(check_copy(&utf8, bytes + at, end - at) == !is_wrong);
        if (is_wrong)
            return;
        if (end == length)
            break;
    }
    require(websocketutf8_is_whole(&utf8) == (verdict == WHOLE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t *bytes = data + 2;
    size_t length = size - 2;
    int verdict = judge(bytes, length);

    require_same_in_pieces(bytes, length, length, 1, verdict);
    require_same_in_pieces(bytes, length, 1, 1, verdict);
    require_same_in_pieces(bytes, length, data[0] * (length + 1) / 256, length, verdict);
    require_same_in_pieces(bytes, length, data[0], 1u + data[1], verdict);
    return 0;
}
