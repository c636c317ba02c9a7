#include "websocket/websockethandshake.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpbase64.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpurl.h"
#include "websocket/websocketsha1.h"

enum {
    HANDSHAKE_BAD_REQUEST = 400,
    HANDSHAKE_NO_GET = 405,
    HANDSHAKE_UPGRADE_REQUIRED = 426,
    HANDSHAKE_SWITCHING = 101,
    HANDSHAKE_NONCE = 16, /* bytes of a key */
};

/* RFC 6455 1.3. */
static const char accept_suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* A part of a text, without the blanks around it. */
struct handshake_part {
    const char *text;
    size_t length;
};

static struct handshake_part trim_part(const char *text, size_t length)
{
    struct httpfield field = { .value = text, .value_length = length };

    httpfield_trim(&field);
    return (struct handshake_part){ field.value, field.value_length };
}

/* What comes before the next of the separators, and the list behind it; NULL when that was the last one. */
static struct handshake_part next_part(const char **list, const char *separators)
{
    const char *text = *list;
    size_t length = strcspn(text, separators);

    *list = text[length] == '\0' ? NULL : text + length + 1;
    return trim_part(text, length);
}

/* The word is not empty. */
static bool is_part(struct handshake_part part, const char *word)
{
    return part.length == strlen(word) && httpfield_is_same(part.text, word, part.length);
}

bool websockethandshake_has_token(const char *list, const char *token)
{
    while (list != NULL)
        if (is_part(next_part(&list, ","), token))
            return true;
    return false;
}

static bool is_key(const char *key)
{
    unsigned char nonce[WEBSOCKETHANDSHAKE_KEY / 4 * 3];

    return strlen(key) == WEBSOCKETHANDSHAKE_KEY &&
           httpbase64_decode(key, WEBSOCKETHANDSHAKE_KEY, nonce) == HANDSHAKE_NONCE;
}

/* 0 to 255 without leading zeros, RFC 6455 4.3. */
static bool is_version(const char *version)
{
    size_t length = strspn(version, "0123456789");

    if (length == 0 || length > 3 || version[length] != '\0' || (version[0] == '0' && length > 1))
        return false;
    return length < 3 || memcmp(version, "255", 3) <= 0;
}

/* Host, Upgrade and Connection: RFC 6455 4.2.1. NULL: they are right. */
static const char *find_no_upgrade(const struct websockethandshake_request *request)
{
    if (request->minor_version < 1)
        return "HTTP/1.0";
    if (request->host == NULL || request->host[0] == '\0')
        return "no Host";
    if (!websockethandshake_has_token(request->upgrade, "websocket"))
        return "no Upgrade to websocket";
    if (!websockethandshake_has_token(request->connection, "upgrade"))
        return "Connection without upgrade";
    return NULL;
}

int websockethandshake_check_request(const struct websockethandshake_request *request, const char **why)
{
    *why = "no GET";
    if (request->method == NULL || strcmp(request->method, "GET") != 0)
        return HANDSHAKE_NO_GET;
    *why = find_no_upgrade(request);
    if (*why != NULL)
        return HANDSHAKE_BAD_REQUEST;
    *why = "no Sec-WebSocket-Version";
    if (request->version == NULL || !is_version(request->version))
        return HANDSHAKE_BAD_REQUEST;
    *why = "a Sec-WebSocket-Version other than 13";
    if (strcmp(request->version, "13") != 0)
        return HANDSHAKE_UPGRADE_REQUIRED;
    *why = "no Sec-WebSocket-Key of 16 bytes";
    if (request->key == NULL || !is_key(request->key))
        return HANDSHAKE_BAD_REQUEST;
    *why = NULL;
    return 0;
}

/* Neither is empty: that of a Host never is, and any other has another length. */
static bool is_origin_host(struct httpurl_part a, struct httpurl_part b)
{
    return a.length == b.length && httpfield_is_same(a.text, b.text, a.length);
}

/* The port of a page's scheme; -1 for others, whose pages are none of ours. */
static int scheme_port(struct httpurl_part scheme)
{
    struct handshake_part name = { scheme.text, scheme.length };

    if (is_part(name, "http") || is_part(name, "ws"))
        return 80;
    return is_part(name, "https") || is_part(name, "wss") ? 443 : -1;
}

/* An origin is a scheme and an authority, RFC 6454 7; a path behind them does not matter. */
bool websockethandshake_is_same_origin(const char *origin, const char *host)
{
    struct httpurl url;
    struct httpurl_part name;
    int port;

    if (origin == NULL)
        return true;
    if (host == NULL || httpurl_parse(origin, strlen(origin), &url) != 0)
        return false;
    if (url.userinfo.text != NULL || scheme_port(url.scheme) < 0)
        return false;
    if (httpurl_split_host_and_port(host, strlen(host), &name, &port) != 0)
        return false;
    if (port < 0)
        port = scheme_port(url.scheme);
    return url.port == port && is_origin_host(url.host, name);
}

static bool is_among(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

int websockethandshake_split_protocols(char *text, const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS])
{
    const char *rest = text;
    int count = 0;

    while (rest != NULL) {
        struct handshake_part part = next_part(&rest, ",");
        if (count == WEBSOCKETHANDSHAKE_PROTOCOLS || !httpfield_is_name(part.text, part.length))
            return -HANDSHAKE_BAD_REQUEST;
        char *name = text + (part.text - text);
        name[part.length] = '\0';
        if (is_among(names, count, name))
            return -HANDSHAKE_BAD_REQUEST;
        names[count++] = name;
    }
    return count;
}

void websockethandshake_accept(const char *key, char place[WEBSOCKETHANDSHAKE_ACCEPT + 1])
{
    unsigned char digest[WEBSOCKETSHA1_DIGEST];
    struct websocketsha1 hash;

    websocketsha1_init(&hash);
    websocketsha1_update(&hash, key, strlen(key));
    websocketsha1_update(&hash, accept_suffix, sizeof accept_suffix - 1);
    websocketsha1_final(&hash, digest);
    place[httpbase64_encode(digest, sizeof digest, place)] = '\0';
}

void websockethandshake_key(const unsigned char random[16], char place[WEBSOCKETHANDSHAKE_KEY + 1])
{
    place[httpbase64_encode(random, HANDSHAKE_NONCE, place)] = '\0';
}

static bool is_protocol_offered(const char *const *offered, const char *protocol)
{
    for (; offered != NULL && *offered != NULL; offered++)
        if (strcmp(*offered, protocol) == 0)
            return true;
    return false;
}

/* Nothing but permessage-deflate, once, if it was offered. Parameters are somebody else's. */
static bool are_extensions_offered(const char *extensions, bool offered_deflate)
{
    while (extensions != NULL) {
        struct handshake_part extension = next_part(&extensions, ",");
        struct handshake_part name = trim_part(extension.text, strcspn(extension.text, ";"));
        if (!offered_deflate || !is_part(name, "permessage-deflate"))
            return false;
        offered_deflate = false;
    }
    return true;
}

/* RFC 6455 4.1. */
static const char *find_bad_answer(const struct websockethandshake_answer *answer, const char *key,
                                   const char *const *offered, bool offered_deflate)
{
    char accept[WEBSOCKETHANDSHAKE_ACCEPT + 1];

    if (answer->status != HANDSHAKE_SWITCHING)
        return "its status is not 101";
    if (answer->upgrade == NULL || !is_part(trim_part(answer->upgrade, strlen(answer->upgrade)), "websocket"))
        return "no Upgrade to websocket";
    if (!websockethandshake_has_token(answer->connection, "upgrade"))
        return "Connection without upgrade";
    websockethandshake_accept(key, accept);
    if (answer->accept == NULL || strcmp(answer->accept, accept) != 0)
        return "a Sec-WebSocket-Accept of another key, or none";
    if (answer->protocol != NULL && !is_protocol_offered(offered, answer->protocol))
        return "a subprotocol that was not offered";
    if (!are_extensions_offered(answer->extensions, offered_deflate))
        return "an extension that was not offered";
    return NULL;
}

int websockethandshake_check_answer(const struct websockethandshake_answer *answer, const char *key,
                                    const char *const *offered, bool offered_deflate, const char **why)
{
    *why = find_bad_answer(answer, key, offered, offered_deflate);
    return *why == NULL ? 0 : -EPROTO;
}
