/* websockethandshake.h with any headers at all: what is accepted has what a handshake needs, and the two sides agree.
 * The input is texts, each ended by a NUL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpbase64.h"
#include "httpserver/httpfield.h"
#include "tests/fuzz/fuzz.h"
#include "websocket/websockethandshake.h"
#include "websocket/websocketsha1.h"

enum { TEXTS = 8, DIGEST = 20 };

/* The texts as copies of their own; those that are missing stay NULL. */
static void take_texts(const uint8_t *data, size_t size, char *texts[TEXTS])
{
    for (size_t i = 0; i < TEXTS && size > 0; i++) {
        const uint8_t *end = memchr(data, 0, size);
        size_t length = end == NULL ? size : (size_t)(end - data);
        texts[i] = malloc(length + 1);
        require(texts[i] != NULL);
        memcpy(texts[i], data, length);
        texts[i][length] = '\0';
        length += end != NULL;
        data += length;
        size -= length;
    }
}

/* Of the digest made in one go, where the library makes it of two parts. */
static void require_right_accept(const char *key, const char *accept)
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[DIGEST], wanted[DIGEST + 1];
    struct websocketsha1 hash;

    websocketsha1_init(&hash);
    for (const char *at = key; *at != '\0'; at++)
        websocketsha1_update(&hash, at, 1);
    for (const char *at = suffix; *at != '\0'; at++)
        websocketsha1_update(&hash, at, 1);
    websocketsha1_final(&hash, digest);
    require(strlen(accept) == WEBSOCKETHANDSHAKE_ACCEPT);
    require(httpbase64_decode(accept, WEBSOCKETHANDSHAKE_ACCEPT, wanted) == DIGEST);
    require(memcmp(digest, wanted, DIGEST) == 0);
}

static void try_request(char *const texts[TEXTS], int minor_version)
{
    struct websockethandshake_request request = { .method = texts[0],
                                                  .minor_version = minor_version,
                                                  .host = texts[1],
                                                  .connection = texts[2],
                                                  .upgrade = texts[3],
                                                  .key = texts[4],
                                                  .version = texts[5],
                                                  .origin = texts[6] };
    const char *why = "";
    unsigned char nonce[WEBSOCKETHANDSHAKE_KEY];
    int status = websockethandshake_check_request(&request, &why);

    require(status == 0 || status == 400 || status == 405 || status == 426);
    require((status == 0) == (why == NULL));
    if (status != 0)
        return;
    require(minor_version > 0 && strcmp(texts[0], "GET") == 0 && strcmp(texts[5], "13") == 0 && texts[1][0] != '\0');
    require(websockethandshake_has_token(texts[2], "Upgrade") && websockethandshake_has_token(texts[3], "WebSocket"));
    require(httpbase64_decode(texts[4], strlen(texts[4]), nonce) == 16);
}

/* The page of the host itself is always of the same origin. */
static void try_origin(const char *origin, const char *host)
{
    char own[8192 + 8] = "http://";
    bool is_same = websockethandshake_is_same_origin(origin, host);

    require(origin != NULL || is_same);
    if (origin == NULL || !is_same)
        return;
    require(host != NULL && strlen(host) < sizeof own - 7 && strpbrk(host, "/@\\ #?") == NULL);
    require(strstr(origin, "://") != NULL);
    strcat(own, host);
    require(websockethandshake_is_same_origin(own, host));
    strcat(own, ".x");
    require(!websockethandshake_is_same_origin(own, host));
}

static void try_protocols(const char *text)
{
    const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS];
    char *copy = text == NULL ? NULL : strdup(text);
    int count = websockethandshake_split_protocols(copy, names);

    require(count == -400 || (count >= 0 && count <= WEBSOCKETHANDSHAKE_PROTOCOLS));
    require((count == 0) == (text == NULL));
    for (int i = 0; i < count; i++) {
        require(httpfield_is_name(names[i], strlen(names[i])) && websockethandshake_has_token(text, names[i]));
        for (int j = 0; j < i; j++)
            require(strcmp(names[i], names[j]) != 0);
    }
    free(copy);
}

static void try_answer(char *const texts[TEXTS], int status, bool offered_deflate)
{
    static const char *const offered[] = { "chat", "v1", NULL };
    char accept[WEBSOCKETHANDSHAKE_ACCEPT + 1];
    const char *key = texts[4] != NULL ? texts[4] : "", *why = "";

    websockethandshake_accept(key, accept);
    require_right_accept(key, accept);
    struct websockethandshake_answer answer = { .status = status,
                                                .connection = texts[2],
                                                .upgrade = texts[3],
                                                .accept = texts[0] != NULL ? texts[0] : accept,
                                                .protocol = texts[6],
                                                .extensions = texts[7] };
    int error = websockethandshake_check_answer(&answer, key, offered, offered_deflate, &why);
    require((error == 0) == (why == NULL) && (error == 0 || error == -EPROTO));
    if (error != 0)
        return;
    require(status == 101 && strcmp(answer.accept, accept) == 0);
    require(texts[6] == NULL || strcmp(texts[6], "chat") == 0 || strcmp(texts[6], "v1") == 0);
    require(texts[7] == NULL || (offered_deflate && strstr(texts[7], ",") == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *texts[TEXTS] = { NULL };

    if (size < 1)
        return 0;
    take_texts(data + 1, size - 1, texts);
    try_request(texts, data[0] & 1);
    try_origin(texts[6], texts[1]);
    try_protocols(texts[2]);
    try_protocols(texts[7]);
    if (texts[0] != NULL && strcmp(texts[0], "GET") == 0) {
        free(texts[0]);
        texts[0] = NULL;
    }
    try_answer(texts, (data[0] & 2) != 0 ? 101 : data[0], (data[0] & 4) != 0);
    for (size_t i = 0; i < TEXTS; i++)
        free(texts[i]);
    return 0;
}
