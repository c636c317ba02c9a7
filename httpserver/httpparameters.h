/* Internal: httpparameters.h, values with parameters (RFC 9110 5.6.6): those of Content-Type, Content-Disposition, and
 * lists of them (Sec-WebSocket-Extensions). tornado.httputil._parse_header.
 *
 *     httpparameters_begin(&walk, text, length, scratch);
 *     if (httpparameters_value(&walk, &value) > 0)
 *         while ((more = httpparameters_next(&walk, &parameter)) > 0)
 *             use(&parameter);
 *
 * One pass over the bytes, no memory. Names, and values without quotes, are tokens; a value in quotes is any bytes but
 * control characters. There a backslash escapes a quote or a backslash. Before anything else it is itself, as there are
 * clients that send paths of Windows as they are; Tornado does the same.
 *
 * Errors: -EINVAL, not in the grammar; the walk is then over. */
#ifndef HTTPSERVER_HTTPPARAMETERS_H
#define HTTPSERVER_HTTPPARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

/* Inside the given text or the scratch. */
struct httpparameters_part {
    const char *text; /* NULL: absent */
    size_t length;
};

struct httpparameters_parameter {
    struct httpparameters_part name;
    struct httpparameters_part value; /* absent in `; name`; without its quotes and escapes */
    bool is_quoted;
};

struct httpparameters {
    const char *text;
    size_t length;
    size_t at;     /* what is before has been read */
    char *scratch; /* of the text's length: what stands in quotes goes to the same place in it */
    bool is_list;
};

/* scratch: as many bytes as the text, for what stands in quotes; or the text itself, changed where it has escapes. */
void httpparameters_begin(struct httpparameters *walk, const char *text, size_t length, char *scratch);

/* The same for values with commas between them, as RFC 6455 9.1 has them: there may be blanks around "=". */
void httpparameters_begin_list(struct httpparameters *walk, const char *text, size_t length, char *scratch);

/* The value before the parameters, a token or two with "/" between: 1. After the last parameter of one in a list: the
 * next one's, or 0: there is none. A value that is no list has to be there, and is there once. */
int httpparameters_value(struct httpparameters *walk, struct httpparameters_part *value);

/* The next parameter of this value: 1, or 0: it has no more. */
int httpparameters_next(struct httpparameters *walk, struct httpparameters_parameter *parameter);

/* How many bytes of a token (RFC 9110 5.6.2) the text begins with. */
size_t httpparameters_token(const char *text, size_t length);

/* Is this the word, upper and lower case alike? */
bool httpparameters_is(struct httpparameters_part part, const char *word);

#endif
