#include "httpserver/httphuffman.h"

#include <string.h>

#include "httpserver/httpbits.h"

struct weighed {
    uint16_t weight, symbol;
};

static void sort_by_byte(const struct weighed *from, struct weighed *to, unsigned count, unsigned shift)
{
    uint16_t places[257] = { 0 };

    for (unsigned i = 0; i < count; i++)
        places[(from[i].weight >> shift & 0xff) + 1]++;
    for (unsigned i = 1; i < 256; i++)
        places[i] = (uint16_t)(places[i] + places[i - 1]);
    for (unsigned i = 0; i < count; i++)
        to[places[from[i].weight >> shift & 0xff]++] = from[i];
}

/* Those that come, the rarest first. Answers their number, which is 2 or more. */
static unsigned sort_weighed(struct weighed *sorted, const uint16_t *frequencies, unsigned count)
{
    struct weighed found[HTTPHUFFMAN_MOST], half[HTTPHUFFMAN_MOST];
    unsigned used = 0;

    for (unsigned i = 0; i < count; i++)
        if (frequencies[i] > 0)
            found[used++] = (struct weighed){ frequencies[i], (uint16_t)i };
    for (unsigned i = 0; used < 2; i++)
        if (frequencies[i] == 0)
            found[used++] = (struct weighed){ 1, (uint16_t)i };
    sort_by_byte(found, half, used, 0);
    sort_by_byte(half, sorted, used, 8);
    return used;
}

/* Huffman's: the two lightest, of leaves and of nodes made so far, become one node. Nodes are made in the order of
 * their weight, so that both wait in lines. Counts leaves by their depth. */
static void count_depths(const struct weighed *leaves, unsigned count, unsigned limit, unsigned *depths)
{
    uint32_t weights[2 * HTTPHUFFMAN_MOST];
    uint16_t parents[2 * HTTPHUFFMAN_MOST];
    uint8_t depth_of[2 * HTTPHUFFMAN_MOST];
    unsigned leaf = 0, node = count, last = 2 * count - 1;

    for (unsigned i = 0; i < count; i++)
        weights[i] = leaves[i].weight;
    for (unsigned made = count; made < last; made++) {
        weights[made] = 0;
        for (int i = 0; i < 2; i++) {
            unsigned lightest = leaf < count && (node == made || weights[leaf] <= weights[node]) ? leaf++ : node++;
            weights[made] += weights[lightest];
            parents[lightest] = (uint16_t)made;
        }
    }
    depth_of[last - 1] = 0;
    for (unsigned i = last - 1; i-- > 0;) {
        unsigned depth = depth_of[parents[i]] + 1u;
        depth_of[i] = (uint8_t)depth;
        if (i < count)
            depths[depth < limit ? depth : limit]++;
    }
}

/* Those that were too deep have been raised to the limit, and their sum is more than a whole. Each step puts a leaf
 * from the limit beside the deepest that can make room by going one deeper. */
static void limit_depths(unsigned *depths, unsigned limit)
{
    uint32_t sum = 0;

    for (unsigned i = 1; i <= limit; i++)
        sum += (uint32_t)depths[i] << (limit - i);
    for (; sum > UINT32_C(1) << limit; sum--) {
        unsigned depth = limit - 1;
        while (depths[depth] == 0)
            depth--;
        depths[limit]--;
        depths[depth]--;
        depths[depth + 1] += 2;
    }
}

void httphuffman_number(struct httphuffman_code *codes, unsigned count)
{
    uint16_t counts[HTTPBITS_LONGEST_CODE + 1] = { 0 }, next[HTTPBITS_LONGEST_CODE + 2] = { 0 };

    for (unsigned i = 0; i < count; i++)
        counts[codes[i].length]++;
    counts[0] = 0;
    for (unsigned length = 1; length <= HTTPBITS_LONGEST_CODE; length++) {
        unsigned code = next[length];
        for (unsigned i = 0; i < counts[length]; i++)
            code = httpbits_next_code(code, length);
        next[length + 1] = (uint16_t)code;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned length = codes[i].length;
        if (length == 0)
            continue;
        codes[i].bits = next[length];
        next[length] = (uint16_t)httpbits_next_code(next[length], length);
    }
}

void httphuffman_make(struct httphuffman_code *codes, const uint16_t *frequencies, unsigned count, unsigned limit)
{
    struct weighed sorted[HTTPHUFFMAN_MOST];
    unsigned depths[HTTPBITS_LONGEST_CODE + 1] = { 0 };
    unsigned used = sort_weighed(sorted, frequencies, count);

    count_depths(sorted, used, limit, depths);
    limit_depths(depths, limit);
    memset(codes, 0, count * sizeof *codes);
    for (unsigned i = 0, length = limit; i < used; i++) {
        while (depths[length] == 0)
            length--;
        codes[sorted[i].symbol].length = (uint8_t)length;
        depths[length]--;
    }
    httphuffman_number(codes, count);
}
