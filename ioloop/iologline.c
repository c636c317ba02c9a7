#include "ioloop/iologline.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How many bytes of UTF-8 a lead byte announces; 0: it is none. */
static size_t announced_bytes(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* RFC 3629 4: the character there; size 0 when there is none. */
static uint32_t decode_character(const char *text, size_t length, size_t *size)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t lead = (uint8_t)*text;
    size_t count = announced_bytes(lead);
    uint32_t character = count <= 1 ? lead : lead & (0x7fu >> count);

    *size = 0;
    if (count == 0 || count > length)
        return 0;
    for (size_t i = 1; i < count; i++) {
        uint8_t byte = (uint8_t)text[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (byte & 0x3fu);
    }
    bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
    *size = character < least[count] || character > 0x10ffff || is_surrogate ? 0 : count;
    return character;
}

/* A terminal acts on these, those over 0x7f included. */
static bool is_control(uint32_t character)
{
    return (character < 0x20 && character != '\t') || (character >= 0x7f && character < 0xa0);
}

static size_t put_byte_escape(char *place, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    place[0] = '\\';
    place[1] = 'x';
    place[2] = digits[byte >> 4];
    place[3] = digits[byte & 15];
    return 4;
}

size_t iologline_escape(const char *text, size_t length, char *place)
{
    size_t out = 0;

    while (length > 0 && text[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length;) {
        size_t size;
        uint32_t character = decode_character(text + i, length - i, &size);
        if (character == '\n' && size == 1) {
            memcpy(place + out, "\n    ", 5);
            out += 5;
            i++;
        } else if (size == 0 || is_control(character)) {
            out += put_byte_escape(place + out, (uint8_t)text[i++]);
        } else {
            memcpy(place + out, text + i, size);
            out += size;
            i += size;
        }
    }
    return out;
}

/* Blue, green, yellow and red, as in Tornado. */
static char colour_of(enum iolog_level level)
{
    return "4231"[level];
}

size_t iologline_format(char *place, enum iolog_channel channel, enum iolog_level level, const struct tm *local,
                        const char *text, bool in_colours)
{
    static const char *const channels[] = { "access", "application", "general" };
    char colour[8] = "";

    if (in_colours)
        snprintf(colour, sizeof colour, "\033[3%cm", colour_of(level));
    int head = snprintf(place, IOLOGLINE_HEAD, "%s[%c %02d%02d%02d %02d:%02d:%02d %s]%s ", colour, "DIWE"[level],
                        (local->tm_year + 1900) % 100, local->tm_mon + 1, local->tm_mday, local->tm_hour, local->tm_min,
                        local->tm_sec, channels[channel], in_colours ? "\033[0m" : "");
    size_t length = (size_t)head;
    length += iologline_escape(text, strlen(text), place + length);
    place[length++] = '\n';
    return length;
}
