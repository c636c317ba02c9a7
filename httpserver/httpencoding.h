/* Internal: httpencoding.h, the content codings that a client accepts: field Accept-Encoding (RFC 9110 12.5.3). Pure.
 */
#ifndef HTTPSERVER_HTTPENCODING_H
#define HTTPSERVER_HTTPENCODING_H

#include <stdbool.h>

enum httpencoding_coding { HTTPENCODING_BR, HTTPENCODING_GZIP, HTTPENCODING_IDENTITY, HTTPENCODING_CODINGS };

/* Weights in thousandths, plus one: 0 is a coding that is not named, so that zeroed nothing is. */
struct httpencoding {
    int named[HTTPENCODING_CODINGS];
    int others; /* "*" */
};

/* Is that the name of the field? */
bool httpencoding_is_field(const char *name);

/* Adds what a field says; NULL: there is none. A member that is malformed is ignored, and of a coding that is named
 * twice the smaller weight counts. */
void httpencoding_parse(const char *value, struct httpencoding *accepted);

/* 0 to 1000. 0: not accepted. Nothing at all is identity when nobody names it, so that any coding that is accepted is
 * better. */
int httpencoding_weight(const struct httpencoding *accepted, enum httpencoding_coding coding);

/* The codings that are better than none, the best first, which of equals is br: each plus one in two bits, from the low
 * end. 0: none. */
unsigned httpencoding_order(const struct httpencoding *accepted);

/* The value of Content-Encoding, and how names of such files end. */
const char *httpencoding_name(enum httpencoding_coding coding);
const char *httpencoding_suffix(enum httpencoding_coding coding);

#endif
