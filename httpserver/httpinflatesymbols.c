/* The symbols of blocks, RFC 1951 3.2.5: one by one, and fast. */
#include <string.h>

#include "httpserver/httpinflatelayer.h"

enum { MARGIN = 16 }; /* bytes that a turn of the fast loop may take */

/* From its beginning, or from that of the output, on. */
static bool is_in_window(const struct httpinflate *inflate, unsigned distance, uint32_t at)
{
    return distance <= inflate->window && (distance <= at || inflate->has_lapped);
}

static enum httpinflatelayer_step copy_match(struct httpinflate *inflate)
{
    uint32_t size = inflate->size, at = inflate->at, distance = inflate->distance;
    uint32_t from = distance <= at ? at - distance : at + size - distance;

    for (; inflate->length > 0 && at < size; inflate->length--) {
        inflate->ring[at++] = inflate->ring[from++];
        from = from == size ? 0 : from;
    }
    inflate->at = at;
    if (inflate->length > 0)
        return HTTPINFLATELAYER_STOPS;
    inflate->state = HTTPINFLATELAYER_IN_SYMBOLS;
    return HTTPINFLATELAYER_ON;
}

/* The length is among the bits. */
static enum httpinflatelayer_step read_match(struct httpinflate *inflate, uint32_t entry)
{
    uint64_t bits = inflate->bits >> httpinflatetable_bits(entry);
    uint32_t far = httpinflatetable_find(inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT, bits);

    if (inflate->count < httpinflatetable_bits(entry) + httpinflatetable_bits(far))
        return HTTPINFLATELAYER_WANTS_INPUT;
    if (far & HTTPINFLATETABLE_SPECIAL)
        return httpinflatelayer_fail(inflate, "code of a distance");
    unsigned distance = httpinflatetable_value(far, bits);
    if (!is_in_window(inflate, distance, inflate->at))
        return httpinflatelayer_fail(inflate, "distance beyond the window");
    inflate->length = (uint16_t)httpinflatetable_value(entry, inflate->bits);
    inflate->distance = (uint16_t)distance;
    httpinflatelayer_drop_bits(inflate, httpinflatetable_bits(entry) + httpinflatetable_bits(far));
    inflate->state = HTTPINFLATELAYER_IN_MATCH;
    return HTTPINFLATELAYER_ON;
}

static enum httpinflatelayer_step read_symbol(struct httpinflate *inflate)
{
    if (inflate->at == inflate->size)
        return HTTPINFLATELAYER_STOPS;
    bool is_there = httpinflatelayer_has_bits(inflate, 1);
    uint32_t entry = httpinflatetable_find(inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT, inflate->bits);
    if (!is_there || inflate->count < httpinflatetable_bits(entry))
        return HTTPINFLATELAYER_WANTS_INPUT;
    if ((entry & (HTTPINFLATETABLE_LITERAL | HTTPINFLATETABLE_SPECIAL)) == 0)
        return read_match(inflate, entry);
    if ((entry & HTTPINFLATETABLE_SPECIAL) && !(entry & HTTPINFLATETABLE_END))
        return httpinflatelayer_fail(inflate, "code of a literal");
    httpinflatelayer_drop_bits(inflate, httpinflatetable_bits(entry));
    if (entry & HTTPINFLATETABLE_END)
        return httpinflatelayer_end_block(inflate);
    inflate->ring[inflate->at++] = (uint8_t)(entry >> 16);
    return HTTPINFLATELAYER_ON;
}

/* The fast loop. It does what read_symbol and copy_match do, as long as input and ring have room for a turn, and leaves
 * to them, undone, whatever is out of the ordinary. */

struct fast_bits {
    const uint8_t *in;
    uint64_t bits; /* above count may be more, which is that of the bytes from in on */
    unsigned count;
};

/* To 56 bits or more, without asking how many there are: bits that are there already come to the same place. */
static inline void fill_fast(struct fast_bits *fast)
{
    fast->bits |= httpbits_load64(fast->in) << fast->count;
    fast->in += (63 - fast->count) >> 3;
    fast->count |= 56;
}

static inline void drop_fast(struct fast_bits *fast, unsigned count)
{
    fast->bits >>= count;
    fast->count -= count;
}

/* May write up to 15 bytes more. */
static inline void copy_fast(uint8_t *to, const uint8_t *from, unsigned length, bool overlaps)
{
    uint8_t *end = to + length;

    if (overlaps) {
        while (to < end)
            *to++ = *from++;
        return;
    }
    do {
        memcpy(to, from, 8);
        memcpy(to + 8, from + 8, 8);
        to += 16;
        from += 16;
    } while (to < end);
}

/* False: to be left to the others. */
static inline bool match_fast(struct httpinflate *inflate, struct fast_bits *fast, uint32_t *at, uint32_t entry)
{
    uint64_t bits = fast->bits >> httpinflatetable_bits(entry);
    uint32_t far = httpinflatetable_find(inflate->distance_table, HTTPINFLATETABLE_DISTANCE_ROOT, bits);
    unsigned length = httpinflatetable_value(entry, fast->bits), distance = httpinflatetable_value(far, bits);

    if ((far & HTTPINFLATETABLE_SPECIAL) || !is_in_window(inflate, distance, *at))
        return false;
    uint32_t from = *at - distance;
    if (distance > *at) {
        from += inflate->size;
        if (from + length > inflate->size)
            return false;
    }
    if (distance == 1)
        memset(inflate->ring + *at, inflate->ring[from], length);
    else
        copy_fast(inflate->ring + *at, inflate->ring + from, length, distance < 8);
    *at += length;
    drop_fast(fast, httpinflatetable_bits(entry) + httpinflatetable_bits(far));
    return true;
}

static void run_fast(struct httpinflate *inflate)
{
    struct fast_bits fast = { inflate->in, inflate->bits, inflate->count };
    const uint8_t *last = inflate->end - MARGIN;
    uint32_t at = inflate->at, last_at = inflate->size - HTTPBITS_LONGEST_MATCH - MARGIN;

    while (fast.in <= last && at <= last_at) {
        fill_fast(&fast);
        uint32_t entry = httpinflatetable_find(inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT, fast.bits);
        for (int literals = 0; (entry & HTTPINFLATETABLE_LITERAL) && literals < 2; literals++) {
            inflate->ring[at++] = (uint8_t)(entry >> 16);
            drop_fast(&fast, httpinflatetable_bits(entry));
            entry = httpinflatetable_find(inflate->literal_table, HTTPINFLATETABLE_LITERAL_ROOT, fast.bits);
        }
        if (entry & HTTPINFLATETABLE_LITERAL) {
            inflate->ring[at++] = (uint8_t)(entry >> 16);
            drop_fast(&fast, httpinflatetable_bits(entry));
            continue;
        }
        if (entry & HTTPINFLATETABLE_SPECIAL)
            break;
        fill_fast(&fast);
        if (!match_fast(inflate, &fast, &at, entry))
            break;
    }
    inflate->in = fast.in;
    inflate->bits = fast.bits & ((UINT64_C(1) << fast.count) - 1);
    inflate->count = fast.count;
    inflate->at = at;
}

static bool has_room_for_fast(const struct httpinflate *inflate)
{
    return inflate->end - inflate->in >= MARGIN && inflate->size - inflate->at >= HTTPBITS_LONGEST_MATCH + MARGIN;
}

/* The fast loop first, where there is room for it. */
static enum httpinflatelayer_step read_some_symbols(struct httpinflate *inflate)
{
    if (has_room_for_fast(inflate))
        run_fast(inflate);
    return read_symbol(inflate);
}

enum httpinflatelayer_step httpinflatelayer_read_symbols(struct httpinflate *inflate)
{
    enum httpinflatelayer_step step;

    do
        step = inflate->state == HTTPINFLATELAYER_IN_MATCH ? copy_match(inflate) : read_some_symbols(inflate);
    while (step == HTTPINFLATELAYER_ON &&
           (inflate->state == HTTPINFLATELAYER_IN_SYMBOLS || inflate->state == HTTPINFLATELAYER_IN_MATCH));
    return step;
}
