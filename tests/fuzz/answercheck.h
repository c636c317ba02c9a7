/* Internal: answercheck.h, for fuzz_httpserver: what comes back of the answers that a program has given, in order, each
 * as one well-formed response, and at most one refusal behind them. Where something was made to fail, the beginning of
 * that. */
#ifndef TESTS_FUZZ_ANSWERCHECK_H
#define TESTS_FUZZ_ANSWERCHECK_H

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { MOST_ANSWERS = 4096 };

/* What is to come back. */
static struct answer {
    bool without_body, until_end, raw;
    int status;
    uint64_t length;
    bool ended;
} answers[MOST_ANSWERS];
static int answer_count;
static bool may_be_cut; /* something failed, or was broken off */

/* What has come. */
static char *output;
static size_t output_length;

/* Parts of a response. NULL: it is cut there. */

static inline const char *line_end(const char *line, const char *end)
{
    while (end - line >= 2 && (line[0] != '\r' || line[1] != '\n'))
        line++;
    return end - line >= 2 ? line : NULL;
}

struct response {
    int status;
    long length; /* -1: none given */
    bool chunked, closes;
};

static inline void read_header(const char *line, const char *at, struct response *response)
{
    const char *colon = memchr(line, ':', (size_t)(at - line));

    require(colon != NULL && colon > line && colon[1] == ' ');
    require(memchr(line, '\n', (size_t)(at - line)) == NULL && memchr(line, '\0', (size_t)(at - line)) == NULL);
    if (strncmp(line, "Connection: close\r", 18) == 0) {
        require(!response->closes);
        response->closes = true;
    } else if (strncmp(line, "Content-Length: ", 16) == 0) {
        require(response->length < 0 && !response->chunked);
        response->length = strtol(line + 16, NULL, 10);
    } else if (strncmp(line, "Transfer-Encoding: ", 19) == 0) {
        require(strncmp(line + 19, "chunked\r", 8) == 0 && !response->chunked && response->length < 0);
        response->chunked = true;
    }
}

/* Answers where the body begins. */
static inline const char *read_head(const char *at, const char *end, struct response *response)
{
    const char *line = at;

    *response = (struct response){ .length = -1 };
    at = line_end(line, end);
    if (at == NULL)
        return NULL;
    require(at - line > 13 && memcmp(line, "HTTP/1.1 ", 9) == 0 && line[12] == ' ');
    response->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
    require(response->status >= 100 && response->status <= 999);
    while ((line = at + 2), (at = line_end(line, end)) != line) {
        if (at == NULL)
            return NULL;
        read_header(line, at, response);
    }
    return at + 2;
}

static inline const char *read_chunks(const char *at, const char *end, uint64_t *length)
{
    for (*length = 0;;) {
        const char *line = at;
        at = line_end(line, end);
        if (at == NULL)
            return NULL;
        long size = strtol(line, NULL, 16);
        require(at > line && at - line <= 16 && size >= 0 && (size > 0 || at == line + 1));
        at += 2;
        if (end - at < size + 2)
            return NULL;
        at += size;
        require(at[0] == '\r' && at[1] == '\n');
        at += 2;
        *length += (uint64_t)size;
        if (size == 0)
            return at;
    }
}

/* Answers where the next response begins. */
static inline const char *check_body(const char *at, const char *end, const struct response *response,
                                     const struct answer *answer)
{
    uint64_t length = 0;

    if (answer->without_body)
        return at;
    require(answer->until_end == (response->length < 0 && !response->chunked));
    if (answer->until_end) {
        require(response->closes);
        length = (uint64_t)(end - at);
        at = end;
    } else if (response->chunked) {
        at = read_chunks(at, end, &length);
    } else {
        length = (uint64_t)response->length;
        at = response->length <= end - at ? at + response->length : NULL;
    }
    if (at != NULL && !may_be_cut)
        require(length == answer->length && answer->ended);
    return at;
}

static inline const char *skip_interim(const char *at, const char *end)
{
    static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";

    while ((size_t)(end - at) >= sizeof go_ahead - 1 && memcmp(at, go_ahead, sizeof go_ahead - 1) == 0)
        at += sizeof go_ahead - 1;
    return at;
}

/* What of the output is no answer of the program's: a refusal, the last there is. HEAD may have been refused too: then
 * it has no body. */
static inline void check_refusal(const char *at, const char *end)
{
    struct response response;

    if (at == end || may_be_cut)
        return;
    at = read_head(at, end, &response);
    require(at != NULL && response.status >= 400 && response.closes);
    require(at == end || at + response.length == end);
}

/* False: the output ends in the middle of it. */
static inline const char *check_answer(const char *at, const char *end, const struct answer *answer)
{
    struct response response;

    at = skip_interim(at, end);
    if (answer->raw) {
        require(end - at <= 4 && memcmp(at, "RAW!", (size_t)(end - at)) == 0);
        return end;
    }
    at = read_head(at, end, &response);
    if (at == NULL)
        return NULL;
    if (response.status != answer->status) { /* the server was faster with a refusal */
        require(may_be_cut && response.status >= 400);
        return NULL;
    }
    at = check_body(at, end, &response, answer);
    require(at == NULL || !response.closes || at == end);
    return at;
}

static inline void check_output(void)
{
    const char *at = output, *end = output + output_length;

    for (int i = 0; i < answer_count; i++) {
        at = check_answer(at, end, &answers[i]);
        require(at != NULL || may_be_cut);
        if (at == NULL)
            return;
    }
    check_refusal(skip_interim(at, end), end);
}

#endif
