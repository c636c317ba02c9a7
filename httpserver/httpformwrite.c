/* multipart/form-data as a client makes it: httpform.h and httpformlayer.h. */
#include "httpserver/httpformlayer.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/kernel.h"

/* Goes over a body twice: to know its size, and to put it there. */
struct form_writer {
    char *place; /* NULL: the first time */
    size_t size;
    bool overflown;
};

int httpform_boundary(char place[HTTPFORM_BOUNDARY + 1])
{
    unsigned char bytes[HTTPFORM_BOUNDARY / 2];
    int error = kernel_random(bytes, sizeof bytes);

    if (error < 0)
        return error;
    for (size_t i = 0; i < HTTPFORM_BOUNDARY; i++)
        place[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xf];
    place[HTTPFORM_BOUNDARY] = '\0';
    return 0;
}

static void put_bytes(struct form_writer *writer, const char *bytes, size_t length)
{
    if (writer->place != NULL && length > 0)
        memcpy(writer->place + writer->size, bytes, length);
    writer->overflown |= __builtin_add_overflow(writer->size, length, &writer->size);
}

static void put_text(struct form_writer *writer, const char *text)
{
    put_bytes(writer, text, strlen(text));
}

/* How a byte of a name is written where it cannot be as it is; NULL: it can. */
static const char *name_escape(char byte)
{
    switch (byte) {
    case '\r':
        return "%0D";
    case '\n':
        return "%0A";
    case '"':
        return "%22";
    default:
        return NULL;
    }
}

/* name="value" */
static void put_name(struct form_writer *writer, const char *parameter, const char *value)
{
    put_text(writer, parameter);
    put_text(writer, "=\"");
    for (; *value != '\0'; value++) {
        const char *escape = name_escape(*value);
        if (escape != NULL)
            put_text(writer, escape);
        else
            put_bytes(writer, value, 1);
    }
    put_text(writer, "\"");
}

static void put_part(struct form_writer *writer, const char *boundary, const struct httpform_file *part)
{
    const char *type = part->content_type;

    put_text(writer, "--");
    put_text(writer, boundary);
    put_text(writer, "\r\nContent-Disposition: form-data; ");
    put_name(writer, "name", part->name);
    if (part->filename != NULL) {
        put_text(writer, "; ");
        put_name(writer, "filename", part->filename);
        type = type != NULL ? type : "application/octet-stream";
    }
    if (type != NULL) {
        put_text(writer, "\r\nContent-Type: ");
        put_text(writer, type);
    }
    put_text(writer, "\r\n\r\n");
    put_bytes(writer, part->body, part->length);
    put_text(writer, "\r\n");
}

static void put_form(struct form_writer *writer, const char *boundary, const struct httpform_file *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_part(writer, boundary, &parts[i]);
    put_text(writer, "--");
    put_text(writer, boundary);
    put_text(writer, "--\r\n");
}

/* What the parser takes, too. */
static bool is_writable(char byte)
{
    return byte == '\t' || ((unsigned char)byte >= 0x20 && byte != 0x7f);
}

/* A reader that takes backslashes for escapes would take one at the end for that of the quote, and what is behind for
 * the name. */
static bool is_writable_name(const char *name)
{
    size_t length = strlen(name);

    if (length > 0 && name[length - 1] == '\\')
        return false;
    for (; *name != '\0'; name++)
        if (!is_writable(*name) && name_escape(*name) == NULL)
            return false;
    return true;
}

static bool is_writable_type(const char *type)
{
    for (const char *at = type; *at != '\0'; at++)
        if (!is_writable(*at))
            return false;
    return *type != '\0';
}

static bool is_writable_part(const struct httpform_file *part)
{
    return part->name[0] != '\0' && is_writable_name(part->name) &&
           (part->filename == NULL || is_writable_name(part->filename)) &&
           (part->content_type == NULL || is_writable_type(part->content_type));
}

/* The size of the form, or -EINVAL or -ENOMEM. */
static ssize_t measure_form(const char *boundary, const struct httpform_file *parts, size_t count)
{
    struct form_writer writer = { 0 };

    if (!httpform_is_boundary(boundary, strlen(boundary)))
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (!is_writable_part(&parts[i]))
            return -EINVAL;
    put_form(&writer, boundary, parts, count);
    return writer.overflown || writer.size > SSIZE_MAX ? -ENOMEM : (ssize_t)writer.size;
}

int httpform_encode(struct iobuffer **body, const char *boundary, const struct httpform_file *parts, size_t count)
{
    ssize_t size = measure_form(boundary, parts, count);

    if (size < 0)
        return (int)size;
    struct form_writer writer = { .place = iobuffer_reserve(body, (size_t)size) };
    if (writer.place == NULL)
        return -ENOMEM;
    put_form(&writer, boundary, parts, count);
    iobuffer_commit(*body, writer.size);
    return 0;
}

int httpform_write(const struct httpform_file *parts, size_t count, struct httpform_body *body)
{
    static const char type[] = "multipart/form-data; boundary=";
    char boundary[HTTPFORM_BOUNDARY + 1];
    int error = httpform_boundary(boundary);
    ssize_t size = error < 0 ? error : measure_form(boundary, parts, count);

    if (size < 0)
        return (int)size;
    struct form_writer writer = { .place = ioalloc((size_t)size) };
    if (writer.place == NULL)
        return -ENOMEM;
    put_form(&writer, boundary, parts, count);
    *body = (struct httpform_body){ .bytes = writer.place, .length = writer.size };
    memcpy(body->content_type, type, sizeof type - 1);
    memcpy(body->content_type + sizeof type - 1, boundary, sizeof boundary);
    return 0;
}
