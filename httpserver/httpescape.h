/* httpescape.h: text made safe for the place it goes to; tornado.escape. Escapes of URLs are in httpurl.h.
 *
 *     char *page = malloc(6 * length);
 *     size_t size = httpescape_html(text, length, page);
 *
 * Pure functions of any bytes, NULs too. The place must not overlap the text; it gets no NUL where nothing else is
 * said. Threads: any. */
#ifndef HTTPSERVER_HTTPESCAPE_H
#define HTTPSERVER_HTTPESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* For HTML and XML, in text and in quoted attributes: & < > " ' as entities. The place has 6 * length bytes. Answers
 * how many it got. */
size_t httpescape_html(const char *text, size_t length, char *place);

/* The inside of a JSON string, which may stand in a script of an HTML page: "</" becomes "<\/", "<!" becomes
 * "<\u0021", U+2028 and U+2029 are escaped, and each byte that is not UTF-8 becomes \ufffd. The place has 6 * length
 * bytes. Answers how many it got. */
size_t httpescape_json(const char *text, size_t length, char *place);

/* For a line of a log: all but 0x20 to 0x7E, and " and \ of those, as \xHH. NUL-terminated; what does not fit into
 * size bytes with its NUL is cut between two escapes, and ends with "...". Answers the length. */
size_t httpescape_log(const char *text, size_t length, char *place, size_t size);

/* Strictly, RFC 3629: nothing overlong, no surrogates, nothing over U+10FFFF. */
bool httpescape_is_utf8(const char *text, size_t length);

IOAPI_END
#endif
