/* Internal: httphuffman.h, codes for symbols that come so often, for the encoder of deflate (RFC 1951 3.2.2). */
#ifndef HTTPSERVER_HTTPHUFFMAN_H
#define HTTPSERVER_HTTPHUFFMAN_H

#include <stdint.h>

enum { HTTPHUFFMAN_MOST = 288 }; /* symbols */

struct httphuffman_code {
    uint16_t bits; /* as they are written: the first one lowest */
    uint8_t length;
};

/* A code for each symbol that comes; length 0 for those that do not. None is longer than limit bits (15 at most), and
 * no set of codes that keeps to that is much better. Two symbols get codes even if fewer come, as some decoders want
 * whole sets of codes. */
void httphuffman_make(struct httphuffman_code *codes, const uint16_t *frequencies, unsigned count, unsigned limit);

/* The codes that have these lengths. */
void httphuffman_number(struct httphuffman_code *codes, unsigned count);

#endif
