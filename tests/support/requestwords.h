/* Internal: requestwords.h, http1parser once more, without vector instructions: parse_in_words has to agree with
 * http1parser_parse_request on everything. For one source of a program. */
#ifndef TESTS_SUPPORT_REQUESTWORDS_H
#define TESTS_SUPPORT_REQUESTWORDS_H

#include "httpserver/http1parser.h"

typedef int parse_fn(const void *bytes, size_t length, const struct http1parser_limits *limits,
                     struct http1parser_scan *scan, struct http1parser_request *request);
parse_fn parse_in_words;

#define HTTP1PARSER_NO_VECTORS    1
#define http1parser_parse_request parse_in_words
#define http1scan_find_end        find_end_in_words
#define http1scan_find_empty_line find_empty_line_in_words
#include "httpserver/http1parser.c"
#include "httpserver/http1scan.c"
#undef http1parser_parse_request
#undef http1scan_find_end
#undef http1scan_find_empty_line

#endif
