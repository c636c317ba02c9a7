/* What a handler says: status, headers and body, collected until they are sent (webanswer.c). */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httpescape.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpheaderslayer.h"
#include "httpserver/weblayer.h"
#include "ioloop/iolog.h"

/* Status. */

/* RFC 9112 4; and no "<", as the reason gets into pages. */
static bool is_reason(const char *reason)
{
    size_t length = strlen(reason);

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)reason[i];

        if ((byte < 0x20 && byte != '\t') || byte == 0x7f || byte == '<')
            return false;
    }
    return length < WEBLAYER_REASON;
}

void web_set_status(struct web_request *request, int status, const char *reason)
{
    if (request->finished)
        return;
    request->status = status;
    request->reason[0] = '\0';
    if (reason != NULL)
        strcpy(request->reason, is_reason(reason) ? reason : "Unknown");
}

int web_get_status(const struct web_request *request)
{
    return request->status;
}

/* Headers. Most answers have just those of the application; a copy is made for the others. */

struct httpheaders *weblayer_own_headers(struct web_request *request)
{
    if (!weblayer_has_own_headers(request)) {
        if (httpheaders_copy(&request->headers, request->answer_headers) < 0)
            return NULL;
        request->answer_headers = &request->headers;
    }
    return &request->headers;
}

const struct httpheaders *web_headers(const struct web_request *request)
{
    return request->answer_headers;
}

#define KIND_OF(name) HTTPHEADERS_KIND(sizeof name - 1, name[0])
#define SERVERS_KINDS (KIND_OF("connection") | KIND_OF("transfer-encoding"))

static bool is_close(const char *value, size_t length)
{
    return length == 5 && httpfield_is_same(value, "close", length);
}

static bool is_field_named(const char *name, const char *other, size_t length)
{
    return strlen(name) == length && httpfield_is_same(name, other, length);
}

/* Framing and the connection are the server's, which refuses a whole answer that has one of these. */
static bool is_servers(const char *name, const char *value)
{
    struct httpfield field = { .value = value, .value_length = strlen(value) };

    httpfield_trim(&field);
    return is_field_named(name, "Transfer-Encoding", sizeof "Transfer-Encoding" - 1) ||
           (is_field_named(name, "Connection", sizeof "Connection" - 1) && !is_close(field.value, field.value_length));
}

/* The headers were none of the program's own before one was set. */
static __attribute__((noinline)) int take_back_servers(struct web_request *request)
{
    const char *connection = httpheaders_get(&request->headers, "Connection");

    if (httpheaders_get(&request->headers, "Transfer-Encoding") == NULL &&
        (connection == NULL || is_close(connection, strlen(connection))))
        return 0;
    httpheaderslayer_clear(&request->headers);
    return -EINVAL;
}

static __attribute__((noinline)) int set_own_header(struct web_request *request, const char *name, const char *value)
{
    return is_servers(name, value) ? -EINVAL
                                   : weblayer_note_failure(request, httpheaders_set(&request->headers, name, value));
}

int web_set_header(struct web_request *request, const char *name, const char *value)
{
    int error = weblayer_cannot_change(request);

    if (error < 0 || value == NULL)
        return error < 0 ? error : weblayer_missing(request);
    if (weblayer_has_own_headers(request))
        return set_own_header(request, name, value);
    error = httpheaderslayer_copy_with(&request->headers, request->answer_headers, name, value);
    if (error == 0 && (request->headers.kinds & SERVERS_KINDS) != 0)
        error = take_back_servers(request);
    if (error == 0)
        request->answer_headers = &request->headers;
    return weblayer_note_failure(request, error);
}

static bool is_second_length(const struct web_request *request, const char *name)
{
    return is_field_named(name, "Content-Length", sizeof "Content-Length" - 1) &&
           httpheaders_get(request->answer_headers, "Content-Length") != NULL;
}

int web_add_header(struct web_request *request, const char *name, const char *value)
{
    int error = weblayer_cannot_change(request);

    if (error < 0 || value == NULL)
        return error < 0 ? error : weblayer_missing(request);
    if (is_servers(name, value) || is_second_length(request, name))
        return -EINVAL;
    struct httpheaders *headers = weblayer_own_headers(request);
    return weblayer_note_failure(request, headers != NULL ? httpheaders_add(headers, name, value) : -ENOMEM);
}

/* A copy that cannot be made is noted: the answer would have the header. */
void web_clear_header(struct web_request *request, const char *name)
{
    if (weblayer_cannot_change(request) < 0 || httpheaders_get(request->answer_headers, name) == NULL)
        return;
    if (weblayer_own_headers(request) == NULL)
        weblayer_note_failure(request, -ENOMEM);
    else
        httpheaders_remove(&request->headers, name);
}

void weblayer_clear(struct web_request *request)
{
    httpheaders_clear(&request->headers);
    request->answer_headers = &request->app->headers;
    request->body.length = 0;
    request->failed = 0;
    request->status = 200;
    request->reason[0] = '\0';
}

void web_clear(struct web_request *request)
{
    if (weblayer_cannot_change(request) < 0)
        return;
    weblayer_clear(request);
    weblayer_call(request, request->handler->set_default_headers);
}

/* Body. */

int web_write_bytes(struct web_request *request, const void *data, size_t length)
{
    if (request->finished)
        return -EPIPE;
    if (length == 0)
        return 0;
    if (weblayer_reserve(&request->body, length) < 0)
        return weblayer_note_failure(request, -ENOMEM);
    memcpy(request->body.bytes + request->body.length, data, length);
    request->body.length += length;
    return 0;
}

int web_write(struct web_request *request, const char *text)
{
    return text != NULL ? web_write_bytes(request, text, strlen(text)) : weblayer_missing(request);
}

/* Into what room there is; once more when that was not enough. */
int web_printf(struct web_request *request, const char *format, ...)
{
    struct weblayer_buffer *body = &request->body;

    if (request->finished)
        return -EPIPE;
    for (;;) {
        size_t room = body->capacity - body->length;
        va_list arguments;

        va_start(arguments, format);
        int length = vsnprintf(room > 0 ? body->bytes + body->length : NULL, room, format, arguments);
        va_end(arguments);
        if (length < 0)
            return -EINVAL;
        if ((size_t)length < room) {
            body->length += (size_t)length;
            return 0;
        }
        if (weblayer_reserve(body, (size_t)length + 1) < 0)
            return weblayer_note_failure(request, -ENOMEM);
    }
}

int web_write_json(struct web_request *request, const char *json)
{
    int error = request->flushed ? 0 : web_set_header(request, "Content-Type", "application/json; charset=UTF-8");

    return error < 0 ? error : web_write(request, json);
}

static int write_escaped_text(struct web_request *request, const char *text, size_t length,
                              size_t (*escape)(const char *text, size_t length, char *place))
{
    struct weblayer_buffer *body = &request->body;

    if (request->finished)
        return -EPIPE;
    if (length > SIZE_MAX / 6 || weblayer_reserve(body, 6 * length) < 0)
        return weblayer_note_failure(request, -ENOMEM);
    body->length += escape(text, length, body->bytes + body->length);
    return 0;
}

int web_write_html_text(struct web_request *request, const char *text)
{
    return text != NULL ? write_escaped_text(request, text, strlen(text), httpescape_html) : weblayer_missing(request);
}

int web_write_json_string(struct web_request *request, const char *text)
{
    int error = text != NULL ? web_write(request, "\"") : weblayer_missing(request);

    if (error == 0)
        error = write_escaped_text(request, text, strlen(text), httpescape_json);
    return error < 0 ? error : web_write(request, "\"");
}

/* web_printf_html. */

/* A va_list that functions share: as a parameter it may be a copy, or not. */
struct html_arguments {
    va_list list;
};

/* most: of its bytes; below 0: all. */
static int write_html_part(struct web_request *request, int most, const char *text)
{
    if (text == NULL)
        return weblayer_missing(request);
    size_t length = most < 0 ? strlen(text) : strnlen(text, (size_t)most);
    return write_escaped_text(request, text, length, httpescape_html);
}

/* 0: an int, 1: long, 2: long long, 3: size_t. */
static int read_argument_size(const char **format)
{
    int size = 0;

    if (**format == 'z')
        return ++*format, 3;
    while (size < 2 && **format == 'l')
        ++*format, size++;
    return size;
}

static int write_signed(struct web_request *request, int size, struct html_arguments *arguments)
{
    long long number = size == 0   ? va_arg(arguments->list, int)
                       : size == 1 ? va_arg(arguments->list, long)
                       : size == 2 ? va_arg(arguments->list, long long)
                                   : va_arg(arguments->list, ssize_t);

    return web_printf(request, "%lld", number);
}

static int write_unsigned(struct web_request *request, int size, struct html_arguments *arguments)
{
    unsigned long long number = size == 0   ? va_arg(arguments->list, unsigned)
                                : size == 1 ? va_arg(arguments->list, unsigned long)
                                : size == 2 ? va_arg(arguments->list, unsigned long long)
                                            : va_arg(arguments->list, size_t);

    return web_printf(request, "%llu", number);
}

/* What stands behind a "%", which is passed. An argument of a kind that is not known cannot be passed. */
static int write_conversion(struct web_request *request, const char **format, struct html_arguments *arguments)
{
    bool has_most = strncmp(*format, ".*s", 3) == 0;
    int most = has_most ? va_arg(arguments->list, int) : -1;

    *format += has_most ? 2 : 0;
    int size = read_argument_size(format);
    switch (*(*format)++) {
    case 's':
        return write_html_part(request, most, va_arg(arguments->list, const char *));
    case 'd':
    case 'i':
        return write_signed(request, size, arguments);
    case 'u':
        return write_unsigned(request, size, arguments);
    case '%':
        return web_write_bytes(request, "%", 1);
    default:
        iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "web_printf_html has no such conversion: %%%.8s", *format - 1);
        return request->failed = -EINVAL;
    }
}

static int write_html(struct web_request *request, const char *format, struct html_arguments *arguments)
{
    int first = 0;

    while (request->failed == 0 && *format != '\0') {
        size_t length = strcspn(format, "%");
        int error = web_write_bytes(request, format, length);

        format += length;
        if (*format == '%' && error == 0) {
            format++;
            error = write_conversion(request, &format, arguments);
        }
        if (first == 0)
            first = error;
    }
    return first != 0 ? first : request->failed;
}

int web_printf_html(struct web_request *request, const char *format, ...)
{
    struct html_arguments arguments;

    if (request->finished)
        return -EPIPE;
    va_start(arguments.list, format);
    int error = write_html(request, format, &arguments);
    va_end(arguments.list);
    return error;
}
