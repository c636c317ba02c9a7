/* httpescape: the first byte is the room of a line of a log.
 *
 * What has to hold: what is escaped has none of what it must not have, is as long as promised, and says the same. */
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpescape.h"
#include "tests/fuzz/fuzz.h"

static char html_character(const char *entity, size_t length, size_t *taken)
{
    static const struct {
        const char *entity;
        char character;
    } entities[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&#x27;", '\'' } };

    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        *taken = strlen(entities[i].entity);
        if (*taken <= length && memcmp(entity, entities[i].entity, *taken) == 0)
            return entities[i].character;
    }
    abort();
}

static void require_html(const char *text, size_t length, char *place)
{
    size_t size = httpescape_html(text, length, place), at = 0;

    for (size_t i = 0, taken = 1; i < size; i += taken, taken = 1) {
        char character = place[i] == '&' ? html_character(place + i, size - i, &taken) : place[i];
        require(strchr("<>\"'", place[i]) == NULL || place[i] == '\0');
        require(at < length && character == text[at++]);
    }
    require(at == length && size <= 6 * length);
}

static void require_json(const char *text, size_t length, char *place)
{
    size_t size = httpescape_json(text, length, place);

    require(size >= length && size <= 6 * length && httpescape_is_utf8(place, size));
    for (size_t i = 0; i < size; i++) {
        require((uint8_t)place[i] >= 0x20 && place[i] != '"');
        require(place[i] != '<' || i + 1 == size || place[i + 1] != '/');
        if (place[i] == '\\')
            require(++i < size && place[i] != '\0' && strchr("\"\\/bfnrtu", place[i]) != NULL);
    }
}

static void require_log(const char *text, size_t length, size_t size)
{
    char *whole = malloc(4 * length + 1), *cut = malloc(size);

    require(whole != NULL && cut != NULL);
    size_t full = httpescape_log(text, length, whole, 4 * length + 1), given = httpescape_log(text, length, cut, size);
    require(full == strlen(whole) && given == strlen(cut) && given < size);
    for (size_t i = 0; i < full; i++)
        require(whole[i] >= 0x20 && whole[i] <= 0x7e && whole[i] != '"');
    if (full < size)
        require(strcmp(whole, cut) == 0);
    else
        require(given < 3 || (strcmp(cut + given - 3, "...") == 0 && memcmp(whole, cut, given - 3) == 0));
    free(whole);
    free(cut);
}

/* In two halves, at a place where a character begins. */
static void require_utf8(const char *text, size_t length, size_t split)
{
    while (split < length && (text[split] & 0xc0) == 0x80)
        split++;
    require(httpescape_is_utf8(text, length) ==
            (httpescape_is_utf8(text, split) && httpescape_is_utf8(text + split, length - split)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t length = size - 1;
    char *text = malloc(length + (length == 0)), *place = malloc(6 * length + 1);

    require(text != NULL && place != NULL);
    memcpy(text, data + 1, length);
    require_html(text, length, place);
    require_json(text, length, place);
    require_log(text, length, 1 + (size_t)data[0] * (4 * length + 8) / 256);
    require_utf8(text, length, data[0] * (length + 1) / 256);
    free(text);
    free(place);
    return 0;
}
