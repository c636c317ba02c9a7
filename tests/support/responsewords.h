/* Internal: responsewords.h, http1response once more, without vector instructions: parse_in_words has to agree with
 * http1response_parse on everything. For one source of a program. */
#ifndef TESTS_SUPPORT_RESPONSEWORDS_H
#define TESTS_SUPPORT_RESPONSEWORDS_H

#include "httpserver/http1response.h"

typedef int parse_fn(const void *bytes, size_t length, const struct http1parser_limits *limits,
                     struct http1parser_scan *scan, enum http1response_to to, struct http1response *response);
parse_fn parse_in_words;

#define HTTP1PARSER_NO_VECTORS    1
#define http1response_parse       parse_in_words
#define http1scan_find_end        find_end_in_words
#define http1scan_find_empty_line find_empty_line_in_words
#include "httpserver/http1response.c"
#include "httpserver/http1scan.c"
#undef http1response_parse
#undef http1scan_find_end
#undef http1scan_find_empty_line

#endif
