/* What machines have that know no vectors: the same tests. */
#define HTTP1PARSER_NO_VECTORS 1
#include "tests/test_http1bytes.c"
