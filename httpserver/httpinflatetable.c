#include "httpserver/httpinflatetable.h"

#include <string.h>

#include "httpserver/httpbits.h"

/* RFC 1951 3.2.5. */
static uint32_t literal_meaning(unsigned symbol)
{
    static const uint16_t bases[] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };

    if (symbol < HTTPBITS_END)
        return HTTPINFLATETABLE_LITERAL | symbol << 16;
    if (symbol == HTTPBITS_END)
        return HTTPINFLATETABLE_SPECIAL | HTTPINFLATETABLE_END;
    unsigned code = symbol - HTTPBITS_END - 1;
    if (code >= sizeof bases / sizeof *bases)
        return HTTPINFLATETABLE_SPECIAL;
    return (uint32_t)bases[code] << 16 | httpbits_length_extra(code);
}

static uint32_t distance_meaning(unsigned symbol)
{
    if (symbol >= 30)
        return HTTPINFLATETABLE_SPECIAL;
    if (symbol < 4)
        return (symbol + 1) << 16;
    unsigned extra = httpbits_distance_extra(symbol);
    return (((2 | (symbol & 1)) << extra) + 1) << 16 | extra;
}

static uint32_t meaning(enum httpinflatetable_alphabet alphabet, unsigned symbol)
{
    if (alphabet == HTTPINFLATETABLE_OF_LITERALS)
        return literal_meaning(symbol);
    return alphabet == HTTPINFLATETABLE_OF_DISTANCES ? distance_meaning(symbol) : symbol << 16;
}

struct code_table {
    uint32_t *entries;
    unsigned root; /* bits of the first part */
    unsigned bits; /* that it has now */
    unsigned used; /* entries */
    enum httpinflatetable_alphabet alphabet;
    unsigned longest;
    uint16_t counts[HTTPBITS_LONGEST_CODE + 1]; /* of codes of so many bits, that are not in the table yet */
};

/* Their sum has to be a whole, or else (RFC 1951 3.2.7, for distances) there is one code, of one bit, or none at all.
 */
static bool is_code(const struct code_table *table)
{
    int left = 1;

    for (unsigned length = 1; length <= HTTPBITS_LONGEST_CODE; length++) {
        left = 2 * left - table->counts[length];
        if (left < 0)
            return false;
    }
    return left == 0 || (table->alphabet != HTTPINFLATETABLE_OF_LENGTHS && table->longest <= 1);
}

static void sort_symbols(const struct code_table *table, const uint8_t *lengths, unsigned count, uint16_t *sorted)
{
    uint16_t places[HTTPBITS_LONGEST_CODE + 2] = { 0 };

    for (unsigned length = 1; length <= HTTPBITS_LONGEST_CODE; length++)
        places[length + 1] = (uint16_t)(places[length] + table->counts[length]);
    for (unsigned symbol = 0; symbol < count; symbol++)
        if (lengths[symbol] > 0)
            sorted[places[lengths[symbol]]++] = (uint16_t)symbol;
}

/* The codes that begin with these root bits, of which the one to come is the shortest, get a table that is as large as
 * the longest of them needs. */
static void add_table(struct code_table *table, unsigned code, unsigned length)
{
    unsigned bits = length - table->root;
    int left = 1 << bits;

    while (bits + table->root < table->longest) {
        left -= table->counts[bits + table->root];
        if (left <= 0)
            break;
        bits++;
        left *= 2;
    }
    table->entries[httpinflatetable_low_bits(code, table->root)] =
        HTTPINFLATETABLE_SPECIAL | HTTPINFLATETABLE_FURTHER | table->used << 16 | bits << 8 | table->root;
    table->used += 1u << bits;
}

/* The first part becomes as large as codes of so many bits need: each entry is for all indexes that end with it. */
static void grow_table(struct code_table *table, unsigned bits)
{
    for (; table->bits < bits; table->bits++)
        memcpy(table->entries + (1u << table->bits), table->entries, sizeof(uint32_t) << table->bits);
}

static void add_long_code(struct code_table *table, unsigned code, unsigned length, uint32_t entry)
{
    unsigned rest = code >> table->root;

    grow_table(table, table->root);
    if (rest == 0) /* the first with these root bits */
        add_table(table, code, length);
    uint32_t to = table->entries[httpinflatetable_low_bits(code, table->root)];
    for (unsigned i = rest; i < 1u << (to >> 8 & 15); i += 1u << (length - table->root))
        table->entries[(to >> 16) + i] = entry;
}

/* Shorter ones come first. */
static void add_code(struct code_table *table, unsigned code, unsigned length, uint32_t entry)
{
    if (length > table->root) {
        add_long_code(table, code, length, entry);
        return;
    }
    grow_table(table, length);
    table->entries[code] = entry;
}

bool httpinflatetable_make(enum httpinflatetable_alphabet alphabet, uint32_t *entries, unsigned root,
                           const uint8_t *lengths, unsigned count)
{
    struct code_table table = { .entries = entries, .root = root, .used = 1u << root, .alphabet = alphabet };
    uint16_t sorted[HTTPBITS_LITERALS];
    unsigned code = 0, symbols = 0;

    for (unsigned symbol = 0; symbol < count; symbol++)
        table.counts[lengths[symbol]]++;
    symbols = count - table.counts[0];
    for (table.longest = HTTPBITS_LONGEST_CODE; table.longest > 0 && table.counts[table.longest] == 0;)
        table.longest--;
    if (!is_code(&table))
        return false;
    sort_symbols(&table, lengths, count, sorted);
    entries[0] = HTTPINFLATETABLE_SPECIAL | 1; /* what is no code, if there is one code at most */
    for (unsigned i = 0; i < symbols; i++) {
        unsigned length = lengths[sorted[i]];
        add_code(&table, code, length, meaning(alphabet, sorted[i]) + length + (length << 8));
        table.counts[length]--;
        code = httpbits_next_code(code, length);
    }
    grow_table(&table, root);
    return true;
}
