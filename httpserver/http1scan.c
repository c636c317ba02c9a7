#include "httpserver/http1scan.h"

#include <string.h>

#include "httpserver/http1bytes.h"

struct head_scan {
    enum http1scan_kind kind;
    const uint8_t *bytes;
    size_t end;
    const struct http1parser_limits *limits;
    struct http1parser_scan scan;
    const char **reason;
};

static int refuse_scanned(struct head_scan *head, int status, const char *reason)
{
    *head->reason = reason;
    return -status;
}

/* One empty line may come before a request line, so that starts at 0 or 2; a header line never does, and a status line
 * is longer. */
static bool in_start_line(const struct head_scan *head)
{
    return head->scan.line <= 2;
}

static size_t longest_line(const struct head_scan *head)
{
    if (!in_start_line(head) || head->kind == HTTP1SCAN_RESPONSE)
        return head->limits->line;
    return HTTP1PARSER_MAX_METHOD + sizeof " " - 1 + (size_t)head->limits->target + sizeof " HTTP/1.1" - 1;
}

static bool is_line_too_long(const struct head_scan *head, size_t end)
{
    return end - head->scan.line > longest_line(head);
}

static int refuse_long_line(struct head_scan *head)
{
    if (!in_start_line(head))
        return refuse_scanned(head, 431, "header line too long");
    if (head->kind == HTTP1SCAN_RESPONSE)
        return refuse_scanned(head, 431, "status line too long");
    return refuse_scanned(head, 414, "request line too long");
}

static bool is_crlf(const struct head_scan *head, size_t at)
{
    return head->end - at >= 2 && memcmp(head->bytes + at, "\r\n", 2) == 0;
}

/* A control character that does not end a line. HTAB is as good as a space, and the LF of a CR LF has already been
 * dealt with; a CR at the very end has a future. */
static int judge_control(struct head_scan *head, size_t at)
{
    const uint8_t *bytes = head->bytes;

    if (bytes[at] == '\t' || (bytes[at] == '\n' && at > 0 && bytes[at - 1] == '\r'))
        return 0;
    if (bytes[at] == '\r' && at + 1 == head->end)
        return 0;
    if (is_line_too_long(head, at))
        return refuse_long_line(head);
    return refuse_scanned(head, 400, bytes[at] == '\r' ? "CR without LF" : "control character");
}

/* The line that is not empty ends at `at`. */
static int pass_line(struct head_scan *head, size_t at)
{
    if (is_line_too_long(head, at))
        return refuse_long_line(head);
    if (!in_start_line(head) && head->scan.headers++ == head->limits->headers)
        return refuse_scanned(head, 431, "too many headers");
    head->scan.line = (at + 2) & HTTP1PARSER_MOST;
    return 0;
}

/* All that is there has been looked at, and the head does not end in it. */
static int need_more(struct head_scan *head)
{
    size_t at = head->end > 0 && head->bytes[head->end - 1] == '\r' ? head->end - 1 : head->end;

    if (is_line_too_long(head, at))
        return refuse_long_line(head);
    if (head->end == head->limits->head)
        return in_start_line(head) ? refuse_long_line(head) : refuse_scanned(head, 431, "head too long");
    head->scan.scanned = (uint32_t)at;
    return 0;
}

/* RFC 9112 2.1: the first empty line is the end. */
static int find_last_line(struct head_scan *head)
{
    for (size_t at = head->scan.scanned; at < head->end; at += HTTP1BYTES_MARKS) {
        uint64_t marks = http1bytes_controls(head->bytes, at, head->end);
        for (; marks != 0; marks &= marks - 1) {
            size_t here = at + (unsigned)__builtin_ctzll(marks);
            int status;
            if (!is_crlf(head, here)) {
                status = judge_control(head, here);
            } else {
                if (here == head->scan.line)
                    return (int)here + 2;
                status = pass_line(head, here);
                marks &= marks - 1; /* so that what goes next is the LF, or nothing: it is in the next block */
            }
            if (status != 0)
                return status;
        }
    }
    return need_more(head);
}

int http1scan_find_end(enum http1scan_kind kind, const uint8_t *bytes, size_t length,
                       const struct http1parser_limits *limits, struct http1parser_scan *scan, const char **reason)
{
    struct head_scan head = {
        .kind = kind,
        .bytes = bytes,
        .end = length < limits->head ? length : limits->head,
        .limits = limits,
        .scan = *scan,
        .reason = reason,
    };

    if (kind == HTTP1SCAN_REQUEST && head.scan.line == 0 && is_crlf(&head, 0))
        head.scan = (struct http1parser_scan){ .scanned = 2, .line = 2 };
    int size = find_last_line(&head);
    if (size == 0)
        *scan = head.scan;
    return size;
}

/* Four control characters in a row are seldom anything else. Three may be the beginning of four that the next marks
 * show whole. */
size_t http1scan_find_empty_line(const uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length; at += HTTP1BYTES_MARKS - 3) {
        uint64_t marks = http1bytes_controls(bytes, at, length);
        for (marks &= marks >> 1 & marks >> 2 & marks >> 3; marks != 0; marks &= marks - 1) {
            size_t here = at + (unsigned)__builtin_ctzll(marks);
            if (memcmp(bytes + here, "\r\n\r\n", 4) == 0)
                return here + 4;
        }
    }
    return 0;
}
