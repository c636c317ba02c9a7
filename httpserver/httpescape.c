#include "httpserver/httpescape.h"

#include <stdint.h>
#include <string.h>

static const char *html_entity(char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#x27;";
    default:
        return NULL;
    }
}

size_t httpescape_html(const char *text, size_t length, char *place)
{
    size_t out = 0;

    for (size_t i = 0; i < length; i++) {
        const char *entity = html_entity(text[i]);
        if (entity == NULL) {
            place[out++] = text[i];
            continue;
        }
        size_t size = strlen(entity);
        memcpy(place + out, entity, size);
        out += size;
    }
    return out;
}

/* The bytes of a UTF-8 sequence that begins with this one (RFC 3629 4), and what its second byte may be: it is there
 * that overlong forms, surrogates and what is over U+10FFFF show. size 0: none begins so. */
struct utf8_lead {
    uint8_t size, second_first, second_last;
};

static struct utf8_lead lead_of(uint8_t byte)
{
    if (byte < 0x80)
        return (struct utf8_lead){ 1, 0, 0 };
    if (byte < 0xc2 || byte > 0xf4)
        return (struct utf8_lead){ 0, 0, 0 };
    if (byte < 0xe0)
        return (struct utf8_lead){ 2, 0x80, 0xbf };
    if (byte < 0xf0)
        return (struct utf8_lead){ 3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf };
    return (struct utf8_lead){ 4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf };
}

/* The length of the character that the bytes begin with; 0 when they are not UTF-8. */
static size_t utf8_length(const uint8_t *bytes, size_t length)
{
    struct utf8_lead lead = lead_of(bytes[0]);

    if (lead.size > length)
        return 0;
    if (lead.size > 1 && (bytes[1] < lead.second_first || bytes[1] > lead.second_last))
        return 0;
    for (size_t i = 2; i < lead.size; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    return lead.size;
}

/* How many bytes from here on are surely ASCII, found eight at a time. */
static size_t ascii_run(const uint8_t *bytes, size_t length)
{
    size_t run = 0;
    uint64_t word;

    for (; length - run >= sizeof word; run += sizeof word) {
        memcpy(&word, bytes + run, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return run;
}

bool httpescape_is_utf8(const char *text, size_t length)
{
    const uint8_t *bytes = (const uint8_t *)text;

    for (size_t at = 0; at < length;) {
        at += ascii_run(bytes + at, length - at);
        /* Up to where a run may begin again, so that text with few ASCII bytes is not looked at twice. */
        for (size_t tail = at + sizeof(uint64_t); at < length && at < tail;) {
            size_t size = utf8_length(bytes + at, length - at);
            if (size == 0)
                return false;
            at += size;
        }
    }
    return true;
}

static const char lower_digits[] = "0123456789abcdef";

static size_t put_unicode_escape(char *place, unsigned character)
{
    memcpy(place, "\\u", 2);
    for (int i = 0; i < 4; i++)
        place[2 + i] = lower_digits[character >> (12 - 4 * i) & 15];
    return 6;
}

/* The letter of a short escape of RFC 8259 7; 0 without one. */
static char json_letter(uint8_t byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return (char)byte;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

/* In a script of an HTML page "</" would begin its end, and "<!--" what can hide that (HTML 13.2.5.20). */
static size_t put_json_ascii(char *place, uint8_t byte, bool follows_less_than)
{
    char letter = byte == '/' && follows_less_than ? '/' : json_letter(byte);

    if (letter != 0) {
        place[0] = '\\';
        place[1] = letter;
        return 2;
    }
    if (byte < 0x20 || (byte == '!' && follows_less_than))
        return put_unicode_escape(place, byte);
    place[0] = (char)byte;
    return 1;
}

/* U+2028 and U+2029 end a line in JavaScript, and in JSON they do not. */
static bool is_line_separator(const uint8_t *bytes, size_t size)
{
    return size == 3 && bytes[0] == 0xe2 && bytes[1] == 0x80 && (bytes[2] | 1) == 0xa9;
}

size_t httpescape_json(const char *text, size_t length, char *place)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t out = 0;

    for (size_t at = 0, size; at < length; at += size) {
        size = utf8_length(bytes + at, length - at);
        if (size == 0) {
            out += put_unicode_escape(place + out, 0xfffd);
            size = 1;
        } else if (size == 1) {
            out += put_json_ascii(place + out, bytes[at], at > 0 && bytes[at - 1] == '<');
        } else if (is_line_separator(bytes + at, size)) {
            out += put_unicode_escape(place + out, 0x2000u | (bytes[at + 2] & 0x3fu));
        } else {
            memcpy(place + out, bytes + at, size);
            out += size;
        }
    }
    return out;
}

static size_t put_log_escape(char *place, uint8_t byte)
{
    if (byte >= 0x20 && byte <= 0x7e && byte != '"' && byte != '\\') {
        place[0] = (char)byte;
        return 1;
    }
    place[0] = '\\';
    place[1] = 'x';
    place[2] = lower_digits[byte >> 4];
    place[3] = lower_digits[byte & 15];
    return 4;
}

/* No more of the text is looked at than there is room for. */
size_t httpescape_log(const char *text, size_t length, char *place, size_t size)
{
    static const char dots[] = "...";
    size_t out = 0, cut = 0; /* where the dots would go: behind the last escape that leaves room for them */
    char escape[4];

    if (size == 0)
        return 0;
    size_t room = size - 1;
    for (size_t i = 0; i < length; i++) {
        size_t wanted = put_log_escape(escape, (uint8_t)text[i]);
        if (wanted > room - out) {
            size_t count = room - cut < sizeof dots - 1 ? room - cut : sizeof dots - 1;
            memcpy(place + cut, dots, count);
            out = cut + count;
            break;
        }
        memcpy(place + out, escape, wanted);
        out += wanted;
        if (room - out >= sizeof dots - 1)
            cut = out;
    }
    place[out] = '\0';
    return out;
}
