/* Cookies, signed values, tokens and what they are made of. The first byte of the input says which.
 *
 * What has to hold: a header means the same as its parts one after another; what format writes is one cookie, which
 * parse reads back; a signed value has one text only, and no other verifies; a token survives its rendering; base64 has
 * one text for each value; bytes are hashed the same in whatever pieces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpbase64.h"
#include "httpserver/httpcookie.h"
#include "httpserver/httphmac.h"
#include "httpserver/httpsigned.h"
#include "httpserver/httpxsrf.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1300000000)

static const struct httpsigned_key keys[] = { { 0, "It's a secret to everybody" }, { 7, "2342342" }, { 0, NULL } };

/* A string of its own up to the first NUL, which is passed; no byte behind it can be read unseen. */
static char *take_string(const uint8_t **data, size_t *size)
{
    size_t length = strnlen((const char *)*data, *size);
    char *text = malloc(length + 1);

    require(text != NULL);
    memcpy(text, *data, length);
    text[length] = '\0';
    length += length < *size;
    *data += length;
    *size -= length;
    return text;
}

static bool is_trimmed(const char *text)
{
    size_t length = strlen(text);

    return length == 0 || (strchr(" \t", text[0]) == NULL && strchr(" \t", text[length - 1]) == NULL);
}

static void require_sound_cookies(const struct httpcookies *cookies)
{
    require(httpcookies_count(cookies) <= HTTPCOOKIES_MAX);
    for (size_t i = 0; i < httpcookies_count(cookies); i++) {
        const struct httpcookie *cookie = httpcookies_at(cookies, i);
        require(strpbrk(cookie->name, "=;") == NULL && is_trimmed(cookie->name));
        require(httpcookies_get(cookies, cookie->name) == cookie->value); /* no other has that name */
    }
    require(httpcookies_at(cookies, httpcookies_count(cookies)) == NULL);
}

/* Is every cookie of part in whole, with its value, unless one of later took its place? */
static void require_part(const struct httpcookies *whole, const struct httpcookies *part,
                         const struct httpcookies *later)
{
    for (size_t i = 0; i < httpcookies_count(part); i++) {
        const struct httpcookie *cookie = httpcookies_at(part, i);
        const char *value = httpcookies_get(whole, cookie->name);
        require(value != NULL);
        if (later == NULL || httpcookies_get(later, cookie->name) == NULL)
            require(strcmp(value, cookie->value) == 0);
    }
}

static void check_parts(const struct httpcookies *whole, char *header, char *middle)
{
    struct httpcookies left = { 0 }, right = { 0 };

    *middle = '\0';
    require(httpcookies_parse(&left, header) == 0);
    require(httpcookies_parse(&right, middle + 1) == 0);
    *middle = ';';
    require_part(whole, &left, &right);
    require_part(whole, &right, NULL);
    require(httpcookies_count(whole) <= httpcookies_count(&left) + httpcookies_count(&right));
    httpcookies_free(&left);
    httpcookies_free(&right);
}

static void check_comes_back(const struct httpcookie *cookie)
{
    struct httpcookies again = { 0 };
    size_t room = 4 * strlen(cookie->value) + 16;
    char *text = malloc(room);

    require(text != NULL);
    ssize_t length = httpcookie_format(text, room, "n", cookie->value, &(struct httpcookie_options){ .path = "" }, NOW);
    require(length > 0 && (size_t)length == strlen(text));
    require(httpcookies_parse(&again, text) == 0 && httpcookies_count(&again) == 1);
    require(strcmp(httpcookies_get(&again, "n"), cookie->value) == 0);
    httpcookies_free(&again);
    free(text);
}

static void check_header(const uint8_t *data, size_t size)
{
    struct httpcookies cookies = { 0 };
    char *header = take_string(&data, &size);
    int result = httpcookies_parse(&cookies, header);

    require_sound_cookies(&cookies);
    for (size_t i = 0; i < httpcookies_count(&cookies); i++)
        check_comes_back(httpcookies_at(&cookies, i));
    require(result == 0 || result == -ENOBUFS);
    char *middle = result == 0 ? strchr(header, ';') : NULL;
    for (int i = 0; i < 8 && middle != NULL; middle = strchr(middle + 1, ';'), i++)
        check_parts(&cookies, header, middle);
    httpcookies_free(&cookies);
    free(header);
}

static void require_attribute(const struct httpcookies *cookies, const char *name, const char *value)
{
    const char *found = httpcookies_get(cookies, name);

    require((found == NULL) == (value[0] == '\0'));
    require(found == NULL || strcmp(found, value) == 0);
}

static bool is_attribute(const char *name)
{
    static const char *const names[] = { "Domain", "expires", "HttpOnly", "Max-Age", "Path", "SameSite", "Secure" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* As parse has no notion of attributes, they are cookies to it: exactly those that were asked for. */
static void check_written(const char *text, const char *name, const char *value,
                          const struct httpcookie_options *options)
{
    struct httpcookies cookies = { 0 };
    size_t semicolons = 0;

    for (const char *byte = text; *byte != '\0'; byte++) {
        require(*byte >= ' ' && *byte < 0x7f);
        semicolons += *byte == ';';
    }
    require(semicolons == (size_t)(options->domain[0] != '\0') + (options->path[0] != '\0') +
                              (options->same_site[0] != '\0') + (options->expires_days != 0) + (options->max_age != 0) +
                              options->secure + options->http_only);
    require(httpcookies_parse(&cookies, text) == 0);
    const struct httpcookie *first = httpcookies_at(&cookies, 0);
    require(strcmp(first->name, name) == 0);
    if (!is_attribute(name)) {
        require(strcmp(first->value, value) == 0);
        require_attribute(&cookies, "Domain", options->domain);
        require_attribute(&cookies, "Path", options->path);
    }
    httpcookies_free(&cookies);
}

static void check_format(const uint8_t *data, size_t size)
{
    unsigned flags = size > 0 ? data[size - 1] : 0;
    char *name = take_string(&data, &size), *value = take_string(&data, &size);
    char *domain = take_string(&data, &size), *path = take_string(&data, &size);
    char *same_site = take_string(&data, &size);
    struct httpcookie_options options = { .domain = domain,
                                          .path = path,
                                          .expires_days = (flags & 1) != 0 ? 1.5 : 0,
                                          .max_age = (flags & 2) != 0 ? 77 : 0,
                                          .same_site = same_site,
                                          .secure = (flags & 4) != 0,
                                          .http_only = (flags & 8) != 0 };
    char text[4096], tight[4096];
    ssize_t length = httpcookie_format(text, sizeof text, name, value, &options, NOW);

    require(length == -EINVAL || length == -ENOBUFS || (size_t)length == strlen(text));
    require(length >= 0 || text[0] == '\0');
    if (length >= 0) {
        check_written(text, name, value, &options);
        require(httpcookie_format(tight, (size_t)length, name, value, &options, NOW) == -ENOBUFS);
        require(httpcookie_format(tight, (size_t)length + 1, name, value, &options, NOW) == length);
    }
    free(name), free(value), free(domain), free(path), free(same_site);
}

/* What was signed, without trust in the code that reads it. */
static int64_t timestamp_of(const char *text)
{
    const char *field = strchr(strchr(text + 2, '|') + 1, ':') + 1;

    return strtoll(field, NULL, 10);
}

/* If it verifies, signing the same makes the same text. */
static void check_verified(const char *text, const char *name)
{
    size_t room = strlen(text) + 1;
    char *value = malloc(room), *again = malloc(room);
    int version = httpsigned_key_version(text);

    require(value != NULL && again != NULL);
    ssize_t length = httpsigned_decode(keys, name, text, 1e300, NOW, value, room);
    require(length == -EBADMSG || length >= 0);
    require(version >= 0 || length < 0);
    if (length >= 0) {
        require((size_t)length < room);
        require(httpsigned_create(keys, version, name, value, (size_t)length, timestamp_of(text), again, room) ==
                (ssize_t)room - 1);
        require(strcmp(again, text) == 0);
        require(httpsigned_decode(keys, name, text, -1e300, NOW, value, room) == -ETIMEDOUT);
        require(length == 0 || httpsigned_decode(keys, name, text, 1e300, NOW, value, (size_t)length - 1) == -ENOBUFS);
    }
    free(value), free(again);
}

/* The signature of the text, so that what stands in it is looked at. */
static char *with_signature(const char *text, const char *secret)
{
    size_t length = strlen(text);
    unsigned char digest[HTTPHMAC_DIGEST];
    char *all = malloc(length + 2 * sizeof digest + 1);
    struct httphmac hmac;

    require(all != NULL);
    httphmac_init(&hmac, secret, strlen(secret));
    httphmac_update(&hmac, text, length);
    httphmac_final(&hmac, digest);
    memcpy(all, text, length);
    for (size_t i = 0; i < 2 * sizeof digest; i++)
        all[length++] = "0123456789abcdef"[(i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2]) & 15];
    all[length] = '\0';
    return all;
}

static void check_signed(const uint8_t *data, size_t size)
{
    char *name = take_string(&data, &size), *text = take_string(&data, &size);

    check_verified(text, name);
    for (int i = 0; i < 2; i++) {
        char *all = with_signature(text, keys[i].secret);
        check_verified(all, name);
        free(all);
    }
    free(name), free(text);
}

static void check_changed(const uint8_t *data, size_t size)
{
    unsigned place = size > 1 ? data[0] | (unsigned)data[1] << 8 : 0, change = size > 2 ? data[2] : 0;
    size_t skipped = size < 3 ? size : 3;

    data += skipped;
    size -= skipped;
    char *name = take_string(&data, &size);
    size_t room = HTTPSIGNED_ROOM(strlen(name), size);
    char *text = malloc(room), *value = malloc(size + 1);
    require(text != NULL && value != NULL);
    ssize_t length = httpsigned_create(keys, 7, name, data, size, NOW, text, room);
    require(length > 0 && (size_t)length == strlen(text));
    require(httpsigned_decode(keys, name, text, 0, NOW, value, size) == (ssize_t)size);
    require(size == 0 || memcmp(value, data, size) == 0);
    text[place % (size_t)length] = (char)(text[place % (size_t)length] ^ (int)change);
    require(change == 0 || httpsigned_decode(keys, name, text, 0, NOW, value, size) == -EBADMSG);
    free(name), free(text), free(value);
}

static void check_token(const uint8_t *data, size_t size)
{
    char *text = take_string(&data, &size), rendered[HTTPXSRF_ROOM];
    struct httpxsrf xsrf, again;

    if (httpxsrf_decode(&xsrf, text, NOW) == 0) {
        require(xsrf.length > 0 && xsrf.length <= HTTPXSRF_MAX_TOKEN);
        require(httpxsrf_is_same(&xsrf, &xsrf));
        int length = httpxsrf_format(&xsrf, rendered);
        require(length > 0 && (size_t)length == strlen(rendered));
        require(httpxsrf_decode(&again, rendered, 0) == 0);
        require(httpxsrf_is_same(&xsrf, &again) && xsrf.timestamp == again.timestamp);
    } else {
        require(xsrf.length == 0 && !httpxsrf_is_same(&xsrf, &xsrf));
    }
    free(text);
}

static void check_base64(const uint8_t *data, size_t size)
{
    size_t room = HTTPBASE64_LENGTH(size);
    char *text = malloc(room + 1), *again = malloc(room + 1);

    require(text != NULL && again != NULL);
    memcpy(text, data, size);
    ssize_t length = httpbase64_decode(text, size, text);
    require(length == -EINVAL || HTTPBASE64_LENGTH(length) == size);
    require(length < 0 || (httpbase64_encode(text, (size_t)length, again) == size && memcmp(again, data, size) == 0));
    require(httpbase64_encode(data, size, text) == room);
    require(httpbase64_decode(text, room, again) == (ssize_t)size && memcmp(again, data, size) == 0);
    free(text), free(again);
}

static void check_hash(const uint8_t *data, size_t size)
{
    unsigned char whole[HTTPHMAC_DIGEST], digest[HTTPHMAC_DIGEST];
    size_t step = size > 0 ? 1 + data[0] % 100u : 1;
    struct httphmac hmac;

    httphmac_init(&hmac, data, size / 2);
    httphmac_update(&hmac, data, size);
    httphmac_final(&hmac, whole);
    httphmac_init(&hmac, data, size / 2);
    for (size_t done = 0; done < size; done += step)
        httphmac_update(&hmac, data + done, size - done < step ? size - done : step);
    httphmac_final(&hmac, digest);
    require(httphmac_equal(whole, digest, sizeof whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(const uint8_t *, size_t) = {
        check_header, check_format, check_signed, check_changed, check_token, check_base64, check_hash,
    };

    if (size > 0)
        checks[data[0] % (sizeof checks / sizeof *checks)](data + 1, size - 1);
    return 0;
}
