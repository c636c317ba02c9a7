/* multipart/form-data: httpform and httpparameters. The first bytes of the input are limits, the place of a split, and
 * which content type is used: one of these here, or the first line of what follows.
 *
 * What has to hold: every way to cut a body has the same outcome; limits are kept; names have no control characters;
 * httpform_parse finds the same parts; what is written from the parts is read as the same parts; a walk over any text
 * goes on, stays inside, and finds the same in place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httparguments.h"
#include "httpserver/httpescape.h"
#include "httpserver/httpformlayer.h"
#include "httpserver/httpparameters.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 5, MOST_PARTS = 40, ROOM = 4 * 8192 };

struct seen_part {
    char *name, *filename, *content_type;
    size_t content, length; /* in the contents below */
};

struct seen {
    struct seen_part parts[MOST_PARTS];
    size_t begun, ended;
    char contents[ROOM];
    size_t length;
    int error;
    const char *reason;
};

static char *copy_of(const char *bytes, size_t length)
{
    char *copy = malloc(length + (length == 0));

    require(copy != NULL);
    return length > 0 ? memcpy(copy, bytes, length) : copy;
}

static char *string_copy(const char *text)
{
    for (const char *at = text; at != NULL && *at != '\0'; at++)
        require(*at == '\t' || ((unsigned char)*at >= 0x20 && *at != 0x7f));
    return text != NULL ? copy_of(text, strlen(text) + 1) : NULL;
}

static bool is_same_string(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What the callbacks see. */

static int see_begin(const struct httpform_part *part, void *arg)
{
    struct seen *seen = arg;

    require(seen->begun == seen->ended && seen->begun < MOST_PARTS);
    require(part->name[0] != '\0' && (part->content_type == NULL || part->content_type[0] != '\0'));
    seen->parts[seen->begun++] = (struct seen_part){ string_copy(part->name), string_copy(part->filename),
                                                     string_copy(part->content_type), seen->length, 0 };
    return 0;
}

static int see_data(const char *data, size_t length, void *arg)
{
    struct seen *seen = arg;

    require(length > 0 && seen->begun == seen->ended + 1 && seen->length + length <= ROOM);
    memcpy(seen->contents + seen->length, data, length);
    seen->length += length;
    seen->parts[seen->ended].length += length;
    return 0;
}

static int see_end(void *arg)
{
    struct seen *seen = arg;

    require(seen->begun == ++seen->ended);
    return 0;
}

static const struct httpform_functions see = { see_begin, see_data, see_end };

static void forget(struct seen *seen)
{
    for (size_t i = 0; i < seen->begun; i++) {
        free(seen->parts[i].name);
        free(seen->parts[i].filename);
        free(seen->parts[i].content_type);
    }
    seen->begun = seen->ended = seen->length = 0;
}

/* In pieces of so many bytes, the first one shorter or longer, each a copy of its own. False: no form. */
static bool read_form(const char *type, const struct httpform_limits *limits, const char *body, size_t length,
                      size_t first, size_t step, struct seen *seen)
{
    struct httpform *form = httpform_new(type, limits, &see, seen);
    size_t piece = first < length ? first : length;

    seen->error = 0;
    if (form == NULL)
        return false;
    for (size_t at = 0; at < length && seen->error == 0; at += piece, piece = step < length - at ? step : length - at) {
        char *copy = copy_of(body + at, piece);
        seen->error = httpform_feed(form, copy, piece);
        free(copy);
    }
    if (seen->error == 0)
        seen->error = httpform_finish(form);
    seen->reason = httpform_reason(form);
    require(seen->error == 0 || seen->error == -EINVAL || seen->error == -ENOBUFS);
    require((seen->error == 0) == (seen->reason == NULL) && (seen->error != 0 || seen->begun == seen->ended));
    httpform_free(form);
    return true;
}

static void require_same(const struct seen *a, const struct seen *b)
{
    require(a->error == b->error && is_same_string(a->reason, b->reason));
    require(a->begun == b->begun && a->ended == b->ended && a->length == b->length);
    require(memcmp(a->contents, b->contents, a->length) == 0);
    for (size_t i = 0; i < a->begun; i++) {
        const struct seen_part *p = &a->parts[i], *q = &b->parts[i];
        require(p->content == q->content && p->length == q->length && is_same_string(p->name, q->name));
        require(is_same_string(p->filename, q->filename) && is_same_string(p->content_type, q->content_type));
    }
}

/* The same body at once. Only it has a limit for fields, which is not met here. */
static void require_same_at_once(const char *type, const struct httpform_limits *limits, const char *body,
                                 size_t length, const struct seen *seen)
{
    struct httparguments fields = { 0 };
    struct httpform_files files = { 0 };
    const char *reason = NULL;
    size_t field_count = 0, file_count = 0;

    require(httpform_parse(type, body, length, limits, &fields, &files, &reason) == seen->error);
    require(is_same_string(reason, seen->reason));
    for (size_t i = 0; i < seen->ended; i++) {
        const struct seen_part *part = &seen->parts[i];
        if (part->filename == NULL || part->filename[0] == '\0') {
            const struct httpargument *field = httparguments_at(&fields, field_count++);
            require(field != NULL && strcmp(field->name, part->name) == 0 && field->value_length == part->length);
            require(memcmp(field->value, seen->contents + part->content, part->length) == 0);
        } else {
            const struct httpform_file *file = httpform_files_at(&files, file_count++);
            require(file != NULL && strcmp(file->name, part->name) == 0 && file->length == part->length);
            require(memcmp(file->body, seen->contents + part->content, part->length) == 0);
            require(strcmp(file->filename, part->filename) == 0);
        }
    }
    require(httparguments_count(&fields) == field_count && httpform_files_count(&files) == file_count);
    httparguments_free(&fields);
    httpform_files_free(&files);
}

/* A quote is written as browsers write it and stays so: then the names differ, and are not compared. */
static bool is_same_name(const char *written, const char *read)
{
    return is_same_string(written, read) || (written != NULL && read != NULL && strchr(written, '"') != NULL);
}

/* One at the end is refused, and two are read as one. */
static bool has_backslash(const char *name)
{
    return name != NULL && strchr(name, '\\') != NULL;
}

static void require_same_when_written(const struct seen *seen)
{
    static struct seen again;
    struct httpform_file parts[MOST_PARTS] = { { 0 } };
    struct iobuffer *body = NULL;

    for (size_t i = 0; i < seen->begun; i++) {
        const struct seen_part *part = &seen->parts[i];
        parts[i] = (struct httpform_file){ part->name, part->filename, part->content_type,
                                           seen->contents + part->content, part->length };
        if (memmem(parts[i].body, parts[i].length, "--0f1e2d", 8) != NULL || has_backslash(part->name) ||
            has_backslash(part->filename))
            return;
    }
    require(httpform_encode(&body, "0f1e2d", parts, seen->begun) == 0);
    const struct httpform_limits limits = { MOST_PARTS, 1 << 20, 3 };
    require(read_form("multipart/form-data; boundary=0f1e2d", &limits, iobuffer_data(body), iobuffer_length(body), 7,
                      SIZE_MAX, &again));
    require(again.error == 0 && again.begun == seen->begun && again.length == seen->length);
    require(memcmp(again.contents, seen->contents, seen->length) == 0);
    for (size_t i = 0; i < seen->begun; i++) {
        const struct seen_part *p = &seen->parts[i], *q = &again.parts[i];
        require(is_same_name(p->name, q->name) && is_same_name(p->filename, q->filename));
        require(p->content == q->content && p->length == q->length);
    }
    forget(&again);
    iobuffer_free(&body);
}

static void require_basename(const char *filename)
{
    char *name = filename != NULL ? httpform_basename(filename) : NULL;

    if (name == NULL)
        return;
    require(name[0] != '\0' && strlen(name) <= 255 && strpbrk(name, "/\\") == NULL);
    require(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    free(name);
}

/* Walks over a text. */

static bool is_inside(struct httpparameters_part part, const char *begin, size_t length)
{
    return part.text >= begin && part.length <= length && part.text <= begin + (length - part.length);
}

static void require_walk(const char *bytes, size_t length, bool is_list)
{
    char *text = copy_of(bytes, length), *place = copy_of(bytes, length), *scratch = copy_of("", 0);
    struct httpparameters apart, in_place;
    struct httpparameters_part a, b;
    struct httpparameters_parameter p, q;
    int more;

    free(scratch);
    scratch = malloc(length + (length == 0));
    require(scratch != NULL);
    (is_list ? httpparameters_begin_list : httpparameters_begin)(&apart, text, length, scratch);
    (is_list ? httpparameters_begin_list : httpparameters_begin)(&in_place, place, length, place);
    do {
        size_t before = apart.at;
        more = httpparameters_value(&apart, &a);
        require(httpparameters_value(&in_place, &b) == more && in_place.at == apart.at);
        if (more <= 0)
            break;
        require(a.length > 0 && apart.at > before && is_inside(a, text, length));
        require(a.length == b.length && memcmp(a.text, b.text, a.length) == 0);
        while ((more = httpparameters_next(&apart, &p)) > 0) {
            require(httpparameters_next(&in_place, &q) == more && in_place.at == apart.at);
            require(p.name.length > 0 && is_inside(p.name, text, length));
            require(p.name.length == q.name.length && memcmp(p.name.text, q.name.text, p.name.length) == 0);
            require((p.value.text == NULL) == (q.value.text == NULL) && p.value.length == q.value.length);
            require(p.value.text == NULL || is_inside(p.value, p.is_quoted ? scratch : text, length));
            require(p.value.length == 0 || memcmp(p.value.text, q.value.text, p.value.length) == 0);
        }
        require(httpparameters_next(&in_place, &q) == more);
    } while (more == 0 && is_list);
    require(more == 0 || more == -EINVAL);
    require(more < 0 || apart.at == length);
    require(memcmp(text, bytes, length) == 0);
    free(text);
    free(place);
    free(scratch);
}

static const char *const types[] = {
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\"--\"",
    "multipart/form-data; boundary=----WebKitFormBoundaryABCDEF",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole, part;
    char line[256] = { 0 };

    if (size < SETTINGS)
        return 0;
    const struct httpform_limits limits = { .parts = 1 + data[0] % MOST_PARTS,
                                            .part_head = 1 + data[1] * 8u,
                                            .part_headers = 1 + data[2] % 20u };
    const char *bytes = (const char *)data + SETTINGS, *type;
    size_t length = size - SETTINGS, first = 1 + data[3] * length / 256, step = 1 + data[4] / 4 % 32;

    require_walk(bytes, length, false);
    require_walk(bytes, length, true);
    if (data[4] % 4 < 3) {
        type = types[data[4] % 4];
    } else {
        const char *end = memchr(bytes, '\n', length);
        size_t line_length = end != NULL ? (size_t)(end - bytes) : 0;
        if (end == NULL || line_length >= sizeof line)
            return 0;
        memcpy(line, bytes, line_length);
        type = line;
        bytes = end + 1;
        length -= line_length + 1;
    }
    if (!read_form(type, &limits, bytes, length, length, length, &whole))
        return 0;
    require(whole.begun <= limits.parts);
    for (size_t i = 0; i < 3; i++) {
        require(read_form(type, &limits, bytes, length, i < 2 ? first : 1, i == 0 ? length : i == 1 ? step : 1, &part));
        require_same(&whole, &part);
        forget(&part);
    }
    require_same_at_once(type, &limits, bytes, length, &whole);
    require_same_when_written(&whole);
    for (size_t i = 0; i < whole.begun; i++)
        require_basename(whole.parts[i].filename);
    forget(&whole);
    return 0;
}
