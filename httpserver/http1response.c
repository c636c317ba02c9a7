#include "httpserver/http1response.h"

#include <errno.h>
#include <string.h>

#include "httpserver/http1head.h"

/* What http1head.h answers is what a server would say. */
static __attribute__((cold, noinline)) int response_error(int status)
{
    return status == -431 ? -EMSGSIZE : -EPROTO;
}

static int refuse_response(struct http1response *response, const char *problem)
{
    return http1head_refuse(&response->problem, 400, problem);
}

static bool is_status_code(const uint8_t *digits)
{
    return digits[0] != '0' && http1bytes_is_a(digits[0], HTTP1BYTES_DIGIT) &&
           http1bytes_is_a(digits[1], HTTP1BYTES_DIGIT) && http1bytes_is_a(digits[2], HTTP1BYTES_DIGIT);
}

/* What most answers begin with saves taking it apart. */
static bool take_usual_line(struct http1head *head, struct http1response *response)
{
    static const char usual[] = "HTTP/1.1 200 OK\r\n";
    size_t size = sizeof usual - 1;

    if (head->end < size || head->limits.line < size - 2 || memcmp(head->bytes, usual, size) != 0)
        return false;
    response->minor_version = 1;
    response->status = 200;
    response->reason = http1head_slice(size - 4, size - 2);
    head->at = size;
    return true;
}

/* status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF, RFC 9112 4. Where there is no reason many
 * servers leave out the space before it, too, and no two readers see different things there. As the bytes end with CR
 * LF, of which none is looked for before a reason, no byte behind them is read. */
static int parse_status_line(struct http1head *head, struct http1response *response)
{
    const uint8_t *line = head->bytes;
    const uint8_t *digits = line + sizeof "HTTP/1.1 " - 1;
    size_t reason = sizeof "HTTP/1.1 200" - 1;

    if (head->end < sizeof "HTTP/1.\r\n" - 1 || memcmp(line, "HTTP/1.", 7) != 0)
        return refuse_response(response, "no status line");
    if ((line[7] != '0' && line[7] != '1') || line[8] != ' ')
        return refuse_response(response, "HTTP version not supported");
    if (!is_status_code(digits) || (line[reason] != ' ' && line[reason] != '\r'))
        return refuse_response(response, "malformed status code");
    response->minor_version = (uint8_t)(line[7] - '0');
    response->status = (uint16_t)((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0'));
    reason += line[reason] == ' ';
    size_t end = http1bytes_skip_text(line, reason, head->end);
    if (!http1head_is_line_end(line + end) || end > head->limits.line)
        return http1head_leave_to_scan(&response->problem);
    response->reason = http1head_slice(reason, end);
    head->at = end + 2;
    return 0;
}

/* The connection is a tunnel behind this, RFC 9110 9.3.6: what its head says of a body means nothing. */
static bool opens_tunnel(const struct http1response *response, enum http1response_to to)
{
    return to == HTTP1RESPONSE_TO_CONNECT && response->status / 100 == 2;
}

static bool never_has_body(const struct http1response *response, enum http1response_to to)
{
    return to == HTTP1RESPONSE_TO_HEAD || response->status < 200 || response->status == 204 || response->status == 304;
}

/* How the body ends, RFC 9112 6.3, and whether another response may come behind it (9.3):
 *
 *     2xx of CONNECT                     no body, whatever the fields say
 *     fields that contradict themselves  refused, as http1head_decide_framing says
 *     1xx, 204, 304, of HEAD             no body
 *     Transfer-Encoding                  in chunks
 *     Content-Length                     so many bytes, or no body where it is 0
 *     neither                            until the connection is closed */
static int decide_end(const struct http1head *head, enum http1response_to to, struct http1response *response)
{
    enum http1parser_framing said = HTTP1PARSER_NO_BODY;

    response->framing = HTTP1RESPONSE_NO_BODY;
    response->keep_alive = false;
    if (opens_tunnel(response, to))
        return 0;
    int status =
        http1head_decide_framing(head, response->minor_version, &said, &response->content_length, &response->problem);
    if (status != 0)
        return status;
    response->has_length = said == HTTP1PARSER_LENGTH;
    response->keep_alive = http1head_keeps_alive(head, response->minor_version) && response->status != 101;
    if (never_has_body(response, to))
        return 0;
    if (said == HTTP1PARSER_CHUNKED) {
        response->framing = HTTP1RESPONSE_CHUNKED;
    } else if (said == HTTP1PARSER_NO_BODY) {
        response->framing = HTTP1RESPONSE_UNTIL_CLOSE;
        response->keep_alive = false;
    } else if (response->content_length > 0) {
        response->framing = HTTP1RESPONSE_LENGTH;
    }
    return 0;
}

/* HTTP-message without its body, RFC 9112 2.1. Answers its size. */
static int parse_response_head(struct http1head *head, enum http1response_to to, struct http1response *response)
{
    response->content_length = 0;
    response->problem = NULL;
    response->has_length = false;
    int status = take_usual_line(head, response) ? 0 : parse_status_line(head, response);
    if (status == 0)
        status = http1head_parse_headers(head, response->headers, &response->problem);
    if (status < 0)
        return status;
    response->header_count = (uint32_t)status;
    status = decide_end(head, to, response);
    return status == 0 ? (int)head->at : status;
}

/* What speaks another protocol often waits for an answer after a few bytes, so these are looked at before the head is
 * whole; only those that the limits allow for, as it must not matter how many there are. */
static bool may_be_response(const uint8_t *bytes, size_t length, const struct http1parser_limits *limits)
{
    static const char beginning[] = "HTTP/1.";
    size_t most = sizeof beginning - 1;

    most = most < limits->head ? most : limits->head;
    most = most < limits->line ? most : limits->line;
    return memcmp(bytes, beginning, length < most ? length : most) == 0;
}

/* As find_and_parse of http1parser.c. */
static __attribute__((noinline)) int find_and_parse_response(const uint8_t *bytes, size_t length,
                                                             const struct http1parser_limits *given,
                                                             struct http1parser_scan *scan, enum http1response_to to,
                                                             struct http1response *response, int status)
{
    struct http1parser_limits limits =
        http1head_complete_limits(given, HTTP1RESPONSE_MAX_HEAD, response->header_capacity);

    if (length > 0 && !may_be_response(bytes, length, &limits))
        return response_error(refuse_response(response, "no status line"));
    int size = http1scan_find_end(HTTP1SCAN_RESPONSE, bytes, length, &limits, scan, &response->problem);
    if (size < 0)
        return response_error(size);
    if (size == 0)
        return 0;
    *scan = (struct http1parser_scan){ 0 };
    if (status < 0)
        return response_error(status);
    return http1response_parse(bytes, (size_t)size, given, scan, to, response);
}

/* What is accepted at once needs no scan: parsing has looked at every byte up to the end, and at the limits. */
int http1response_parse(const void *bytes, size_t length, const struct http1parser_limits *limits,
                        struct http1parser_scan *scan, enum http1response_to to, struct http1response *response)
{
    struct http1parser_slice host; /* to whom that of a response means nothing */
    struct http1head head = { .bytes = bytes, .host = &host };
    int size = 0;

    head.limits = http1head_complete_limits(limits, HTTP1RESPONSE_MAX_HEAD, response->header_capacity);
    if (scan->scanned == 0)
        head.end = http1head_likely_end(bytes, length < head.limits.head ? length : head.limits.head);
    if (head.end > 0)
        size = parse_response_head(&head, to, response);
    return size > 0 ? size : find_and_parse_response(bytes, length, limits, scan, to, response, size);
}
