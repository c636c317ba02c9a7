#include "httpserver/httpcrc32.h"

/* The remainder of a byte is the sum, which is "exclusive or", of those of its bits: a doubling of the table for each.
 */
/* clang-format off */
#define TWO(sum, a) (sum), (sum) ^ (a)
#define FOUR(sum, a, b) TWO(sum, a), TWO((sum) ^ (b), a)
#define EIGHT(sum, a, b, c) FOUR(sum, a, b), FOUR((sum) ^ (c), a, b)
#define SIXTEEN(sum, a, b, c, d) EIGHT(sum, a, b, c), EIGHT((sum) ^ (d), a, b, c)
#define OF_FIVE(sum, a, b, c, d, e) SIXTEEN(sum, a, b, c, d), SIXTEEN((sum) ^ (e), a, b, c, d)
#define OF_SIX(sum, a, b, c, d, e, f) OF_FIVE(sum, a, b, c, d, e), OF_FIVE((sum) ^ (f), a, b, c, d, e)
#define OF_SEVEN(sum, a, b, c, d, e, f, g) OF_SIX(sum, a, b, c, d, e, f), OF_SIX((sum) ^ (g), a, b, c, d, e, f)
#define OF_BITS(a, b, c, d, e, f, g, h) { OF_SEVEN(0u, a, b, c, d, e, f, g), OF_SEVEN(0u ^ (h), a, b, c, d, e, f, g) }

/* crc_table[n] is of a byte that n zero bytes follow. The polynomial is 0xedb88320, its lowest bit the highest
 * power. */
static const uint32_t crc_table[8][256] = {
    OF_BITS(0x77073096u, 0xee0e612cu, 0x076dc419u, 0x0edb8832u, 0x1db71064u, 0x3b6e20c8u, 0x76dc4190u, 0xedb88320u),
    OF_BITS(0x191b3141u, 0x32366282u, 0x646cc504u, 0xc8d98a08u, 0x4ac21251u, 0x958424a2u, 0xf0794f05u, 0x3b83984bu),
    OF_BITS(0x01c26a37u, 0x0384d46eu, 0x0709a8dcu, 0x0e1351b8u, 0x1c26a370u, 0x384d46e0u, 0x709a8dc0u, 0xe1351b80u),
    OF_BITS(0xb8bc6765u, 0xaa09c88bu, 0x8f629757u, 0xc5b428efu, 0x5019579fu, 0xa032af3eu, 0x9b14583du, 0xed59b63bu),
    OF_BITS(0x3d6029b0u, 0x7ac05360u, 0xf580a6c0u, 0x30704bc1u, 0x60e09782u, 0xc1c12f04u, 0x58f35849u, 0xb1e6b092u),
    OF_BITS(0xcb5cd3a5u, 0x4dc8a10bu, 0x9b914216u, 0xec53826du, 0x03d6029bu, 0x07ac0536u, 0x0f580a6cu, 0x1eb014d8u),
    OF_BITS(0xa6770bb4u, 0x979f1129u, 0xf44f2413u, 0x33ef4e67u, 0x67de9cceu, 0xcfbd399cu, 0x440b7579u, 0x8816eaf2u),
    OF_BITS(0xccaa009eu, 0x4225077du, 0x844a0efau, 0xd3e51bb5u, 0x7cbb312bu, 0xf9766256u, 0x299dc2edu, 0x533b85dau),
};
#undef TWO
#undef FOUR
#undef EIGHT
#undef SIXTEEN
#undef OF_FIVE
#undef OF_SIX
#undef OF_SEVEN
#undef OF_BITS
/* clang-format on */

static uint32_t crc_of_byte(uint32_t crc, uint8_t byte)
{
    return crc >> 8 ^ crc_table[0][(crc ^ byte) & 0xff];
}

/* Eight bytes at a time, as the steps for them do not depend on each other. */
static uint32_t crc_of_eight(uint32_t crc, const uint8_t *at)
{
    crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return crc_table[7][crc & 0xff] ^ crc_table[6][crc >> 8 & 0xff] ^ crc_table[5][crc >> 16 & 0xff] ^
           crc_table[4][crc >> 24] ^ crc_table[3][at[4]] ^ crc_table[2][at[5]] ^ crc_table[1][at[6]] ^
           crc_table[0][at[7]];
}

uint32_t httpcrc32(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *at = data;

    crc = ~crc;
    for (; length >= 8; at += 8, length -= 8)
        crc = crc_of_eight(crc, at);
    for (; length > 0; at++, length--)
        crc = crc_of_byte(crc, *at);
    return ~crc;
}
