#include "httpserver/httpcookie.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpdate.h"
#include "ioloop/ioalloc.h"

#define SECONDS_A_DAY 86400

/* Without its blanks, terminated by a NUL that takes the place of the first of them, or of what ended it. */
static char *trimmed_text(char *text, size_t length)
{
    while (length > 0 && (text[0] == ' ' || text[0] == '\t'))
        text++, length--;
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    text[length] = '\0';
    return text;
}

static bool is_octal_digit(char digit, char most)
{
    return digit >= '0' && digit <= most;
}

/* What the escape at a backslash stands for; how many bytes it has is put into *taken. "\ooo" is a byte up to 255; else
 * the backslash goes and what is behind it stays. */
static char unescaped_byte(const char *escape, size_t *taken)
{
    *taken = 2;
    if (!is_octal_digit(escape[1], '3') || !is_octal_digit(escape[2], '7') || !is_octal_digit(escape[3], '7'))
        return escape[1];
    *taken = 4;
    return (char)((escape[1] - '0') << 6 | (escape[2] - '0') << 3 | (escape[3] - '0'));
}

/* In place: it never gets longer. False: there is a NUL in it. The last byte before the closing quote may be a
 * backslash; it has nothing to escape and stays. */
static bool unquote_value(char *value)
{
    size_t length = strlen(value), taken;
    char *end = value;

    if (length < 2 || value[0] != '"' || value[length - 1] != '"')
        return true;
    value[length - 1] = '\0';
    for (const char *next = value + 1; *next != '\0'; next += taken) {
        taken = 1;
        *end = next[0] == '\\' && next[1] != '\0' ? unescaped_byte(next, &taken) : *next;
        if (*end++ == '\0')
            return false;
    }
    *end = '\0';
    return true;
}

static struct httpcookie *find_cookie(const struct httpcookies *cookies, const char *name)
{
    for (size_t i = 0; i < cookies->count; i++) {
        if (strcmp(cookies->cookies[i].name, name) == 0)
            return &cookies->cookies[i];
    }
    return NULL;
}

static void keep_cookie(struct httpcookies *cookies, const char *name, const char *value)
{
    struct httpcookie *cookie = find_cookie(cookies, name);

    if (cookie == NULL)
        cookie = &cookies->cookies[cookies->count++];
    *cookie = (struct httpcookie){ name, value };
}

/* The value and the name of what stands between two ';'. */
static char *split_pair(char *pair, const char **name)
{
    char *equals = strchr(pair, '=');
    char *value = equals == NULL ? pair : equals + 1;

    *name = equals == NULL ? "" : trimmed_text(pair, (size_t)(equals - pair));
    return trimmed_text(value, strlen(value));
}

/* Duplicates count, too: so nobody makes us compare many with many. */
static int parse_pairs(struct httpcookies *cookies, char *text)
{
    for (size_t pairs = 0; text != NULL;) {
        char *pair = text;
        const char *name;

        text = strchr(pair, ';');
        if (text != NULL)
            *text++ = '\0';
        char *value = split_pair(pair, &name);
        if (name[0] == '\0' && value[0] == '\0')
            continue;
        if (pairs++ == HTTPCOOKIES_MAX)
            return -ENOBUFS;
        if (unquote_value(value))
            keep_cookie(cookies, name, value);
    }
    return 0;
}

/* Nothing of what was there is needed any more. */
static int make_room_for_cookies(struct httpcookies *cookies, size_t size)
{
    if (size <= cookies->capacity)
        return 0;
    httpcookies_free(cookies);
    cookies->cookies = ioalloc(size);
    if (cookies->cookies == NULL)
        return -ENOMEM;
    cookies->capacity = size;
    return 0;
}

int httpcookies_parse(struct httpcookies *cookies, const char *header)
{
    size_t slots = HTTPCOOKIES_MAX * sizeof(struct httpcookie);

    httpcookies_clear(cookies);
    if (header == NULL)
        return 0;
    size_t size = strlen(header) + 1;
    if (make_room_for_cookies(cookies, slots + size) < 0)
        return -ENOMEM;
    return parse_pairs(cookies, memcpy((char *)cookies->cookies + slots, header, size));
}

const char *httpcookies_get(const struct httpcookies *cookies, const char *name)
{
    const struct httpcookie *cookie = find_cookie(cookies, name);

    return cookie == NULL ? NULL : cookie->value;
}

const struct httpcookie *httpcookies_at(const struct httpcookies *cookies, size_t index)
{
    return index < cookies->count ? &cookies->cookies[index] : NULL;
}

size_t httpcookies_count(const struct httpcookies *cookies)
{
    return cookies->count;
}

void httpcookies_clear(struct httpcookies *cookies)
{
    cookies->count = 0;
}

void httpcookies_free(struct httpcookies *cookies)
{
    ioalloc_free(cookies->cookies);
    memset(cookies, 0, sizeof *cookies);
}

/* A text that is being written; is_full: something did not fit, and nothing more is written. */
struct cookie_text {
    char *place;
    size_t length, size;
    bool is_full;
};

static void append_to_cookie(struct cookie_text *text, const char *bytes, size_t length)
{
    if (length > text->size - text->length)
        text->is_full = true;
    if (text->is_full)
        return;
    memcpy(text->place + text->length, bytes, length);
    text->length += length;
}

static bool is_letter_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

/* byte: not NUL. */
static bool is_one_of(char byte, const char *set)
{
    return strchr(set, byte) != NULL;
}

/* tchar, RFC 9110 5.6.2. */
static bool is_cookie_name_byte(char byte)
{
    return is_letter_or_digit(byte) || is_one_of(byte, "!#$%&'*+-.^_`|~");
}

/* Bytes that a value has without quotes. */
static bool is_plain_byte(char byte)
{
    return is_cookie_name_byte(byte) || byte == ':';
}

/* And those that need no escape within; ',' and ';' are separators, whatever is around them. */
static bool is_quotable_byte(char byte)
{
    return is_plain_byte(byte) || is_one_of(byte, " ()/<=>?@[]{}");
}

static bool is_cookie_domain_byte(char byte)
{
    return is_letter_or_digit(byte) || is_one_of(byte, "._-");
}

static bool is_cookie_path_byte(char byte)
{
    return byte > ' ' && byte < 0x7f && byte != ';' && byte != ',';
}

static bool has_only_bytes(const char *text, bool is_fine(char byte))
{
    while (*text != '\0' && is_fine(*text))
        text++;
    return *text == '\0';
}

static bool is_left_out(const char *text)
{
    return text == NULL || text[0] == '\0';
}

/* word: letters only, which differ from nothing but their other case in that bit. */
static bool is_in_any_case(const char *text, const char *word)
{
    while (*word != '\0' && (*text | 0x20) == (*word | 0x20))
        text++, word++;
    return *word == '\0' && *text == '\0';
}

/* "" for an attribute that is left out; NULL: there is no such value. */
static const char *known_same_site(const char *text)
{
    static const char *const known[] = { "Strict", "Lax", "None" };

    if (is_left_out(text))
        return "";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (is_in_any_case(text, known[i]))
            return known[i];
    }
    return NULL;
}

static bool are_valid_attributes(const struct httpcookie_options *options)
{
    if (!is_left_out(options->domain) && !has_only_bytes(options->domain, is_cookie_domain_byte))
        return false;
    if (!is_left_out(options->path) && (options->path[0] != '/' || !has_only_bytes(options->path, is_cookie_path_byte)))
        return false;
    return known_same_site(options->same_site) != NULL && options->expires_days == options->expires_days; /* no NaN */
}

static void append_escaped(struct cookie_text *text, char byte)
{
    unsigned value = (unsigned char)byte;
    char octal[] = { '\\', (char)('0' + (value >> 6)), (char)('0' + (value >> 3 & 7)), (char)('0' + (value & 7)) };
    char quoted[] = { '\\', byte };

    if (byte == '"' || byte == '\\')
        append_to_cookie(text, quoted, sizeof quoted);
    else
        append_to_cookie(text, octal, sizeof octal);
}

/* As http.cookies of Python has it, also with "" for nothing. */
static void append_cookie_value(struct cookie_text *text, const char *value)
{
    if (value[0] != '\0' && has_only_bytes(value, is_plain_byte)) {
        append_to_cookie(text, value, strlen(value));
        return;
    }
    append_to_cookie(text, "\"", 1);
    for (; *value != '\0'; value++) {
        if (is_quotable_byte(*value))
            append_to_cookie(text, value, 1);
        else
            append_escaped(text, *value);
    }
    append_to_cookie(text, "\"", 1);
}

/* "; Name" or "; Name=" and what follows that. */
static void append_cookie_attribute(struct cookie_text *text, const char *name, const char *value)
{
    append_to_cookie(text, name, strlen(name));
    append_to_cookie(text, value, strlen(value));
}

/* What a date cannot say any more may be anything that is as far; an int64_t could not say it either. */
static int64_t expiry_of_cookie(const struct httpcookie_options *options, int64_t now)
{
    double seconds = (double)now + options->expires_days * SECONDS_A_DAY;

    if (options->expires != 0)
        return options->expires;
    if (seconds < -1e15)
        return INT64_MIN;
    return seconds > 1e15 ? INT64_MAX : (int64_t)seconds;
}

static void append_expires(struct cookie_text *text, const struct httpcookie_options *options, int64_t now)
{
    char date[HTTPDATE_LENGTH + 1];

    if (options->expires == 0 && options->expires_days == 0)
        return;
    httpdate_format(expiry_of_cookie(options, now), date);
    append_cookie_attribute(text, "; expires=", date);
}

static void append_max_age(struct cookie_text *text, int64_t seconds)
{
    char digits[20];
    size_t place = sizeof digits;

    if (seconds == 0)
        return;
    digits[--place] = '\0';
    do {
        digits[--place] = (char)('0' + (seconds < 0 ? 0 : seconds % 10));
        seconds /= 10;
    } while (seconds > 0);
    append_cookie_attribute(text, "; Max-Age=", digits + place);
}

/* In the order of Tornado, which is that of the names. */
static void append_cookie_attributes(struct cookie_text *text, const struct httpcookie_options *options, int64_t now)
{
    const char *path = options->path == NULL ? "/" : options->path;
    const char *same_site = known_same_site(options->same_site);

    if (!is_left_out(options->domain))
        append_cookie_attribute(text, "; Domain=", options->domain);
    append_expires(text, options, now);
    if (options->http_only)
        append_cookie_attribute(text, "; HttpOnly", "");
    append_max_age(text, options->max_age);
    if (!is_left_out(path))
        append_cookie_attribute(text, "; Path=", path);
    if (!is_left_out(same_site))
        append_cookie_attribute(text, "; SameSite=", same_site);
    if (options->secure)
        append_cookie_attribute(text, "; Secure", "");
}

ssize_t httpcookie_format(char *place, size_t size, const char *name, const char *value,
                          const struct httpcookie_options *options, int64_t now)
{
    static const struct httpcookie_options defaults = { 0 };
    struct cookie_text text = { .place = place, .size = size };

    if (size > 0)
        place[0] = '\0';
    if (options == NULL)
        options = &defaults;
    if (name[0] == '\0' || !has_only_bytes(name, is_cookie_name_byte) || !are_valid_attributes(options))
        return -EINVAL;
    append_to_cookie(&text, name, strlen(name));
    append_to_cookie(&text, "=", 1);
    append_cookie_value(&text, value);
    append_cookie_attributes(&text, options, now);
    append_to_cookie(&text, "", 1);
    if (!text.is_full)
        return (ssize_t)text.length - 1;
    if (size > 0)
        place[0] = '\0';
    return -ENOBUFS;
}
