#include "httpserver/httpform.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpescape.h"
#include "httpserver/httpformlayer.h"
#include "httpserver/httpparameters.h"
#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"

enum {
    LONGEST_BOUNDARY = 70, /* RFC 2046 5.1.1 */
    LINE_END = 2,          /* CRLF */
    SMALLEST_HEAD = 512,
};

/* Takes a byte or more of those that are there, at least one, and answers how many. */
typedef size_t form_step_fn(struct httpform *form, const char *data, size_t length);

struct httpform {
    struct httpform_functions functions;
    void *arg;
    struct httpform_limits limits;
    form_step_fn *step; /* what the next byte belongs to */
    int error;
    const char *reason;
    uint32_t parts;  /* that have begun; 0: in the preamble */
    size_t preamble; /* bytes of it */

    /* The bytes that have come of what may be the delimiter. They are not kept, being the same as the delimiter's own;
     * those from ungiven_from on are content if it is none. */
    size_t matched;
    size_t ungiven_from;
    size_t delimiter_length;
    char delimiter[LINE_END + 2 + LONGEST_BOUNDARY]; /* CRLF "--" boundary */

    /* Of the part that has begun. What the part names is in the head. */
    char *head;
    size_t head_length, head_capacity;
    size_t line; /* where the last line of the head begins */
    uint32_t lines;
    struct httpform_part part;
};

/* Of the head of a part, absent or inside it. */
struct part_head {
    struct httpparameters_part disposition, content_type;
    struct httpparameters_part name, filename, extended_filename;
};

static void refuse_form(struct httpform *form, int error, const char *reason)
{
    form->error = error;
    form->reason = reason;
}

static void note_answer(struct httpform *form, int answer)
{
    if (answer < 0)
        refuse_form(form, answer, "refused by the program");
}

/* The boundary, and what a form has from its birth. */

static bool is_boundary_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("'()+_,-./:=? ", byte) != NULL);
}

bool httpform_is_boundary(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (i == LONGEST_BOUNDARY || !is_boundary_byte(text[i]))
            return false;
    return length > 0 && text[length - 1] != ' ';
}

/* Nothing and -EINVAL also with a second boundary: two readers could choose differently. */
static int find_boundary(char *content_type, struct httpparameters_part *boundary)
{
    struct httpparameters walk;
    struct httpparameters_part type;
    struct httpparameters_parameter parameter;
    int more;

    httpparameters_begin(&walk, content_type, strlen(content_type), content_type);
    if (httpparameters_value(&walk, &type) < 0 || !httpparameters_is(type, "multipart/form-data"))
        return -EINVAL;
    while ((more = httpparameters_next(&walk, &parameter)) > 0) {
        if (!httpparameters_is(parameter.name, "boundary"))
            continue;
        if (boundary->text != NULL || !httpform_is_boundary(parameter.value.text, parameter.value.length))
            return -EINVAL;
        *boundary = parameter.value;
    }
    return more < 0 || boundary->text == NULL ? -EINVAL : 0;
}

static void set_delimiter(struct httpform *form, struct httpparameters_part boundary)
{
    memcpy(form->delimiter, "\r\n--", 4);
    memcpy(form->delimiter + 4, boundary.text, boundary.length);
    form->delimiter_length = 4 + boundary.length;
}

static void set_form_limits(struct httpform *form, const struct httpform_limits *limits)
{
    form->limits = limits != NULL ? *limits : (struct httpform_limits){ 0 };
    if (form->limits.parts == 0)
        form->limits.parts = HTTPFORM_MAX_PARTS;
    if (form->limits.part_head == 0)
        form->limits.part_head = HTTPFORM_MAX_PART_HEAD;
    if (form->limits.part_headers == 0)
        form->limits.part_headers = HTTPFORM_MAX_PART_HEADERS;
}

/* Content, and what ends it. */

static void give_content(struct httpform *form, const char *data, size_t length)
{
    if (length == 0 || form->error != 0)
        return;
    if (form->parts > 0)
        note_answer(form, form->functions.part_data(data, length, form->arg));
    else if (length > form->limits.part_head - form->preamble)
        refuse_form(form, -ENOBUFS, "too much before the first boundary");
    else
        form->preamble += length;
}

static size_t match_delimiter(struct httpform *form, const char *data, size_t length)
{
    size_t size = 0;

    while (size < length && form->matched < form->delimiter_length && data[size] == form->delimiter[form->matched]) {
        form->matched++;
        size++;
    }
    return size;
}

/* What came in earlier calls and looked like the delimiter, and is content after all. The bytes before ungiven_from
 * are always among those that matched before. */
static void give_matched(struct httpform *form, size_t matched_before)
{
    give_content(form, form->delimiter + form->ungiven_from, matched_before - form->ungiven_from);
    form->ungiven_from = 0;
    form->matched = 0;
}

static form_step_fn take_after_delimiter;

/* The preamble, or the content of a part, up to the delimiter. That has one CR, its first byte: so where a comparison
 * fails, none can have begun in what was compared, and no byte is compared twice but the one it failed at. */
static size_t take_content(struct httpform *form, const char *data, size_t length)
{
    size_t matched_before = form->matched, begin = 0;

    for (;;) {
        size_t end = begin + match_delimiter(form, data + begin, length - begin);
        if (form->matched == form->delimiter_length)
            form->step = take_after_delimiter;
        if (form->matched == form->delimiter_length || end == length) {
            give_content(form, data, begin);
            return end;
        }
        give_matched(form, matched_before);
        matched_before = 0;
        const char *next = memchr(data + end, '\r', length - end);
        begin = next != NULL ? (size_t)(next - data) : length;
    }
}

/* Content begins. The CRLF before it (or the beginning of the body) can be that of a delimiter, and is no content if it
 * is not: RFC 2046 5.1.1. */
static void begin_content(struct httpform *form)
{
    form->step = take_content;
    form->matched = LINE_END;
    form->ungiven_from = LINE_END;
}

static void end_part(struct httpform *form)
{
    if (form->parts > 0)
        note_answer(form, form->functions.part_end(form->arg));
}

static size_t ignore_all(struct httpform *form, const char *data, size_t length)
{
    return length;
}

static form_step_fn take_part_head;

static void begin_part_head(struct httpform *form)
{
    if (form->error != 0)
        return;
    if (form->parts == form->limits.parts) {
        refuse_form(form, -ENOBUFS, "too many parts");
        return;
    }
    form->parts++;
    form->head_length = form->line = form->lines = 0;
    form->step = take_part_head;
}

static size_t take_line_feed(struct httpform *form, const char *data, size_t length)
{
    if (*data == '\n') {
        end_part(form);
        begin_part_head(form);
    } else {
        refuse_form(form, -EINVAL, "CR without LF after a boundary");
    }
    return 1;
}

static size_t take_last_line_feed(struct httpform *form, const char *data, size_t length)
{
    if (*data == '\n')
        form->step = ignore_all;
    else
        refuse_form(form, -EINVAL, "CR without LF after a boundary");
    return 1;
}

static size_t take_after_last(struct httpform *form, const char *data, size_t length)
{
    if (*data == '\r')
        form->step = take_last_line_feed;
    else
        refuse_form(form, -EINVAL, "bytes after a boundary");
    return 1;
}

static size_t take_second_dash(struct httpform *form, const char *data, size_t length)
{
    if (*data == '-') {
        end_part(form);
        form->step = take_after_last;
    } else {
        refuse_form(form, -EINVAL, "bytes after a boundary");
    }
    return 1;
}

/* A line that only begins as the delimiter does is no content either, as RFC 2046 5.1.1 has it: there are readers that
 * would take it for one. */
static size_t take_after_delimiter(struct httpform *form, const char *data, size_t length)
{
    if (*data == '\r')
        form->step = take_line_feed;
    else if (*data == '-')
        form->step = take_second_dash;
    else
        refuse_form(form, -EINVAL, "bytes after a boundary");
    return 1;
}

/* The head of a part. */

static bool has_no_controls(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

/* ext-value of RFC 8187 3.2.1, in UTF-8; decoded where it is. The value is a token, so what may not be in it unescaped
 * is only a star or a quote, as `%` is looked at when decoding. */
static int decode_extended(char *text, size_t length, struct httpparameters_part *value)
{
    static const size_t charset = sizeof "UTF-8'" - 1;
    const struct httpparameters_part begin = { text, charset };
    const char *quote;

    if (length < charset || !httpparameters_is(begin, "UTF-8'"))
        return -EINVAL;
    quote = memchr(text + charset, '\'', length - charset);
    if (quote == NULL)
        return -EINVAL;
    size_t at = (size_t)(quote + 1 - text);
    if (memchr(text + at, '\'', length - at) != NULL || memchr(text + at, '*', length - at) != NULL)
        return -EINVAL;
    ssize_t size = httpurl_decode(text + at, length - at, text + at, 0);
    if (size < 0 || !has_no_controls(text + at, (size_t)size) || !httpescape_is_utf8(text + at, (size_t)size))
        return -EINVAL;
    *value = (struct httpparameters_part){ text + at, (size_t)size };
    return 0;
}

/* The place in part_head of a parameter of Content-Disposition; NULL: it is not looked at. */
static struct httpparameters_part *parameter_place(struct part_head *head, struct httpparameters_part name)
{
    if (httpparameters_is(name, "name"))
        return &head->name;
    if (httpparameters_is(name, "filename"))
        return &head->filename;
    return httpparameters_is(name, "filename*") ? &head->extended_filename : NULL;
}

/* RFC 7578 4.2. The same parameter twice is not for us to choose from. */
static const char *parse_disposition(char *text, size_t length, struct part_head *head)
{
    struct httpparameters walk;
    struct httpparameters_part type;
    struct httpparameters_parameter parameter;
    int more;

    httpparameters_begin(&walk, text, length, text);
    if (httpparameters_value(&walk, &type) < 0 || !httpparameters_is(type, "form-data"))
        return "Content-Disposition is not form-data";
    while ((more = httpparameters_next(&walk, &parameter)) > 0) {
        struct httpparameters_part *place = parameter_place(head, parameter.name);
        if (parameter.value.text == NULL || (place == &head->extended_filename && parameter.is_quoted))
            return "malformed Content-Disposition";
        if (place != NULL && place->text != NULL)
            return "parameter of Content-Disposition given twice";
        if (place != NULL)
            *place = parameter.value;
    }
    return more < 0 ? "malformed Content-Disposition" : NULL;
}

static struct httpparameters_part trimmed_value(const char *text, size_t length)
{
    while (length > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        length--;
    }
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    return (struct httpparameters_part){ text, length };
}

/* field-line, RFC 9112 5; a folded one has no name. Those that are not ours are left alone (RFC 7578 4.8). Answers what
 * is wrong with it. */
static const char *parse_head_line(const char *line, size_t length, struct part_head *head)
{
    const struct httpparameters_part name = { line, httpparameters_token(line, length) };
    struct httpparameters_part *place = NULL;

    if (name.length == 0 || name.length == length || line[name.length] != ':')
        return "malformed header of a part";
    if (httpparameters_is(name, "Content-Disposition"))
        place = &head->disposition;
    else if (httpparameters_is(name, "Content-Type"))
        place = &head->content_type;
    if (place != NULL && place->text != NULL)
        return "header of a part given twice";
    if (place != NULL)
        *place = trimmed_value(line + name.length + 1, length - name.length - 1);
    return NULL;
}

/* Every line has been seen to end with CRLF and to have no other control characters. */
static const char *parse_head_lines(const struct httpform *form, struct part_head *head)
{
    const char *line = form->head, *empty_line = form->head + form->line, *reason = NULL;

    while (line < empty_line && reason == NULL) {
        const char *end = memchr(line, '\r', (size_t)(empty_line - line));
        reason = parse_head_line(line, (size_t)(end - line), head);
        line = end + LINE_END;
    }
    return reason;
}

/* Behind every value is a byte that has been read, at the latest the CR of its line. */
static const char *end_string(struct httpform *form, struct httpparameters_part value)
{
    if (value.text == NULL)
        return NULL;
    form->head[(size_t)(value.text - form->head) + value.length] = '\0';
    return value.text;
}

static const char *parse_part_head(struct httpform *form, struct part_head *head)
{
    const char *reason = parse_head_lines(form, head);

    if (reason != NULL)
        return reason;
    if (head->disposition.text == NULL)
        return "part without Content-Disposition";
    reason = parse_disposition(form->head + (head->disposition.text - form->head), head->disposition.length, head);
    if (reason != NULL)
        return reason;
    if (head->name.length == 0)
        return "part without a name";
    if (head->extended_filename.text == NULL)
        return NULL;
    if (decode_extended(form->head + (head->extended_filename.text - form->head), head->extended_filename.length,
                        &head->filename) < 0)
        return "malformed filename*";
    return NULL;
}

static void begin_part(struct httpform *form)
{
    struct part_head head = { 0 };
    const char *reason = parse_part_head(form, &head);

    if (reason != NULL) {
        refuse_form(form, -EINVAL, reason);
        return;
    }
    form->part.name = end_string(form, head.name);
    form->part.filename = end_string(form, head.filename);
    form->part.content_type = head.content_type.length > 0 ? end_string(form, head.content_type) : NULL;
    begin_content(form);
    note_answer(form, form->functions.part_begin(&form->part, form->arg));
}

/* The line that has just been completed. */
static void judge_head_line(struct httpform *form)
{
    const char *line = form->head + form->line;
    size_t length = form->head_length - form->line;

    if (length < LINE_END || line[length - LINE_END] != '\r')
        refuse_form(form, -EINVAL, "LF without CR in the head of a part");
    else if (!has_no_controls(line, length - LINE_END))
        refuse_form(form, -EINVAL, "control character in the head of a part");
    else if (length == LINE_END)
        begin_part(form);
    else if (form->lines++ == form->limits.part_headers)
        refuse_form(form, -ENOBUFS, "too many headers of a part");
    form->line = form->head_length;
}

static int append_to_head(struct httpform *form, const char *data, size_t length)
{
    size_t capacity = form->head_capacity != 0 ? form->head_capacity : SMALLEST_HEAD;

    while (capacity < form->head_length + length)
        capacity *= 2;
    if (capacity > form->head_capacity) {
        char *head = ioalloc_resize(form->head, capacity);
        if (head == NULL)
            return -ENOMEM;
        form->head = head;
        form->head_capacity = capacity;
    }
    memcpy(form->head + form->head_length, data, length);
    form->head_length += length;
    return 0;
}

/* Up to the end of a line. */
static size_t take_part_head(struct httpform *form, const char *data, size_t length)
{
    const char *end = memchr(data, '\n', length);
    size_t size = end != NULL ? (size_t)(end - data) + 1 : length;

    if (size > form->limits.part_head - form->head_length)
        refuse_form(form, -ENOBUFS, "head of a part too long");
    else if (append_to_head(form, data, size) < 0)
        refuse_form(form, -ENOMEM, "no memory");
    else if (end != NULL)
        judge_head_line(form);
    return size;
}

/* The life of a form. */

struct httpform *httpform_new(const char *content_type, const struct httpform_limits *limits,
                              const struct httpform_functions *functions, void *arg)
{
    struct httpparameters_part boundary = { 0 };
    struct httpform *form = ioalloc_zeroed(sizeof *form);
    char *copy = ioalloc_string(content_type);
    int error = form == NULL || copy == NULL ? -ENOMEM : find_boundary(copy, &boundary);

    if (error == 0) {
        form->functions = *functions;
        form->arg = arg;
        set_form_limits(form, limits);
        set_delimiter(form, boundary);
        begin_content(form);
    } else {
        ioalloc_free(form);
        form = NULL;
    }
    ioalloc_free(copy);
    if (error < 0)
        errno = -error;
    return form;
}

void httpform_free(struct httpform *form)
{
    if (form == NULL)
        return;
    ioalloc_free(form->head);
    ioalloc_free(form);
}

int httpform_feed(struct httpform *form, const char *data, size_t length)
{
    while (length > 0 && form->error == 0) {
        size_t taken = form->step(form, data, length);
        data += taken;
        length -= taken;
    }
    return form->error;
}

int httpform_finish(struct httpform *form)
{
    if (form->error == 0 && form->step != ignore_all && form->step != take_after_last)
        refuse_form(form, -EINVAL, "the last boundary is missing");
    return form->error;
}

const char *httpform_reason(const struct httpform *form)
{
    return form->reason;
}
