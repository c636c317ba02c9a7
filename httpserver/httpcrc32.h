/* Internal: httpcrc32.h, the checksum of gzip (RFC 1952 8), CRC-32.
 *
 *     uint32_t crc = httpcrc32(0, data, length);
 *     crc = httpcrc32(crc, more, more_length); */
#ifndef HTTPSERVER_HTTPCRC32_H
#define HTTPSERVER_HTTPCRC32_H

#include <stddef.h>
#include <stdint.h>

/* That of the bytes behind those that gave crc; 0 at first. */
uint32_t httpcrc32(uint32_t crc, const void *data, size_t length);

#endif
