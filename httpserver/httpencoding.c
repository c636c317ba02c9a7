#include "httpserver/httpencoding.h"

#include <stddef.h>
#include <string.h>

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

static bool ends_coding(char byte)
{
    return byte == '\0' || byte == ',' || byte == ';' || byte == ' ' || byte == '\t';
}

static bool is_same_text(const char *text, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++) {
        char letter = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];

        if (letter != name[i]) /* also behind its end */
            return false;
    }
    return name[length] == '\0';
}

bool httpencoding_is_field(const char *name)
{
    return strlen(name) == 15 && is_same_text(name, 15, "accept-encoding");
}

/* Where the weight of this coding goes; NULL for those that are not known. x-gzip: RFC 9110 8.4.1.3. */
static int *place_of_coding(struct httpencoding *accepted, const char *text, size_t length)
{
    if (is_same_text(text, length, "br"))
        return &accepted->named[HTTPENCODING_BR];
    if (is_same_text(text, length, "gzip") || is_same_text(text, length, "x-gzip"))
        return &accepted->named[HTTPENCODING_GZIP];
    if (is_same_text(text, length, "identity"))
        return &accepted->named[HTTPENCODING_IDENTITY];
    return is_same_text(text, length, "*") ? &accepted->others : NULL;
}

/* qvalue: 0 to 1 with at most three decimals (RFC 9110 12.4.2). Answers where it ends; NULL: it is none. */
static const char *read_qvalue(const char *at, int *weight)
{
    if (*at != '0' && *at != '1')
        return NULL;
    *weight = (*at++ - '0') * 1000;
    if (*at != '.')
        return at;
    at++;
    for (int unit = 100; unit > 0 && *at >= '0' && *at <= '9'; unit /= 10)
        *weight += (*at++ - '0') * unit;
    return *weight <= 1000 ? at : NULL;
}

/* What may follow a coding: ";q=0.5". */
static const char *read_weight(const char *at, int *weight)
{
    *weight = 1000;
    at = skip_blanks(at);
    if (*at != ';')
        return at;
    at = skip_blanks(at + 1);
    if ((*at != 'q' && *at != 'Q') || at[1] != '=')
        return NULL;
    at = read_qvalue(at + 2, weight);
    return at != NULL ? skip_blanks(at) : NULL;
}

static void read_coding(const char *text, struct httpencoding *accepted)
{
    const char *end = text;
    int weight;

    while (!ends_coding(*end))
        end++;
    int *place = place_of_coding(accepted, text, (size_t)(end - text));
    end = read_weight(end, &weight);
    if (place == NULL || end == NULL || (*end != ',' && *end != '\0'))
        return;
    if (*place == 0 || weight + 1 < *place)
        *place = weight + 1;
}

void httpencoding_parse(const char *value, struct httpencoding *accepted)
{
    while (value != NULL) {
        read_coding(skip_blanks(value), accepted);
        value = strchr(value, ',');
        if (value != NULL)
            value++;
    }
}

int httpencoding_weight(const struct httpencoding *accepted, enum httpencoding_coding coding)
{
    int weight = accepted->named[coding];

    if (weight == 0 && coding != HTTPENCODING_IDENTITY)
        weight = accepted->others;
    return weight > 0 ? weight - 1 : 0;
}

static bool is_better_than_none(const struct httpencoding *accepted, enum httpencoding_coding coding)
{
    int weight = httpencoding_weight(accepted, coding);

    return weight > 0 && weight >= httpencoding_weight(accepted, HTTPENCODING_IDENTITY);
}

unsigned httpencoding_order(const struct httpencoding *accepted)
{
    unsigned br = is_better_than_none(accepted, HTTPENCODING_BR) ? HTTPENCODING_BR + 1 : 0;
    unsigned gzip = is_better_than_none(accepted, HTTPENCODING_GZIP) ? HTTPENCODING_GZIP + 1 : 0;
    int br_weight = httpencoding_weight(accepted, HTTPENCODING_BR);

    if (br == 0 || httpencoding_weight(accepted, HTTPENCODING_GZIP) > br_weight)
        return gzip | br << 2;
    return br | gzip << 2;
}

const char *httpencoding_name(enum httpencoding_coding coding)
{
    static const char *const coding_names[] = { "br", "gzip", "identity" };

    return coding_names[coding];
}

const char *httpencoding_suffix(enum httpencoding_coding coding)
{
    static const char *const suffixes[] = { ".br", ".gz", "" };

    return suffixes[coding];
}
