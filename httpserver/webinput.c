#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httpescape.h"
#include "httpserver/weblayer.h"

enum { IN_QUERY = 1, IN_BODY = 2 };

/* Path arguments. */

const char *web_path_argument(const struct web_request *request, size_t index)
{
    if (index >= request->groups || request->group[index].offset < 0 || request->refused != 0)
        return NULL;
    return request->path.bytes + request->group[index].offset;
}

const char *web_path_argument_named(const struct web_request *request, const char *name)
{
    int index = request->compiled != NULL ? webroute_find_group(request->compiled, name) : -1;

    return index >= 0 ? web_path_argument(request, (size_t)index) : NULL;
}

/* Values. They are made fit to be texts where they are: the memory is the request's. */

static bool is_white(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Controls that no text has become blanks, so that there is no NUL either. */
static void blank_controls(char *value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)value[i];

        if (byte < 0x09 || (byte > 0x0d && byte < 0x20))
            value[i] = ' ';
    }
}

/* That, and the blanks around it go. */
static void clean_value(struct httpargument *argument)
{
    char *value = (char *)argument->value;
    size_t from = 0, to = argument->value_length;

    blank_controls(value, to);
    while (to > from && is_white(value[to - 1]))
        to--;
    while (from < to && is_white(value[from]))
        from++;
    value[to] = '\0';
    argument->value += from;
    argument->value_length = to - from;
}

static void clean_values(struct httparguments *arguments)
{
    for (size_t i = 0; i < arguments->count; i++)
        clean_value(&arguments->list[i]);
}

static void refuse_arguments(struct web_request *request, int error, const char *why)
{
    if (error == -ENOMEM)
        web_send_error_because(request, 503, NULL, "no memory for its arguments");
    else
        web_send_error_because(request, 400, NULL, why);
}

static int load_query(struct web_request *request)
{
    size_t length;
    const char *query = request->http != NULL && !request->has_query ? httprequest_query(request->http, &length) : NULL;
    int error = 0;

    request->has_query = true;
    if (query == NULL)
        return 0;
    error = httparguments_parse(&request->query, query, length, request->app->settings.max_arguments);
    if (error == 0)
        clean_values(&request->query);
    else
        refuse_arguments(request, error, "too many arguments");
    return error;
}

/* The body. */

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static bool is_media_type(const char *value, const char *type)
{
    while (*type != '\0' && lower(*value) == *type)
        value++, type++;
    return *type == '\0' && (*value == '\0' || *value == ';' || is_white(*value));
}

/* More than there may be, with those of the query: nothing is parsed to find that out. */
static int parse_urlencoded(struct web_request *request, const char *body, size_t length, const char **why)
{
    size_t most = request->app->settings.max_arguments - httparguments_count(&request->query);
    int error = most == 0 ? -ENOBUFS : httparguments_parse(&request->form, body, length, most);

    *why = "too many arguments";
    return error;
}

static int parse_multipart(struct web_request *request, const char *type, const char *body, size_t length,
                           const char **why)
{
    int error = httpform_parse(type, body, length, NULL, &request->form, &request->files, why);

    if (error == 0 && httparguments_count(&request->form) + httparguments_count(&request->query) >
                          request->app->settings.max_arguments) {
        *why = "too many arguments";
        error = -ENOBUFS;
    }
    return error;
}

static int parse_form_body(struct web_request *request, const char *body, size_t length)
{
    const char *type = httprequest_header(request->http, "Content-Type"), *why = "a malformed form";
    bool is_urlencoded = type != NULL && is_media_type(type, "application/x-www-form-urlencoded");
    bool is_multipart = type != NULL && is_media_type(type, "multipart/form-data");
    int error = -EINVAL;

    if (!is_urlencoded && !is_multipart)
        return 0;
    if (httprequest_header(request->http, "Content-Encoding") != NULL)
        why = "a form in a Content-Encoding";
    else if (is_urlencoded)
        error = parse_urlencoded(request, body, length, &why);
    else
        error = parse_multipart(request, type, body, length, &why);
    clean_values(&request->form);
    if (error < 0)
        refuse_arguments(request, error, why);
    return error;
}

static int load_form(struct web_request *request)
{
    size_t length;
    const char *body;

    if (request->has_form || request->http == NULL || !request->body_through)
        return 0;
    body = httprequest_body(request->http, &length);
    if (length == 0)
        return 0;
    request->has_form = true;
    int error = load_query(request);
    return error < 0 ? error : parse_form_body(request, body, length);
}

void weblayer_parse_body(struct web_request *request)
{
    (void)load_form(request);
}

/* Arguments. */

static int load_arguments(struct web_request *request, int where)
{
    int error = (where & IN_QUERY) != 0 && !request->has_query ? load_query(request) : 0;

    return error == 0 && (where & IN_BODY) != 0 && !request->has_form ? load_form(request) : error;
}

/* Is it a text? If not, the request has been answered. */
static const char *check_value(struct web_request *request, const struct httpargument *argument)
{
    if (httpescape_is_utf8(argument->value, argument->value_length))
        return argument->value;
    web_send_error_because(request, 400, NULL, "an argument that is not UTF-8");
    return NULL;
}

static void refuse_missing(struct web_request *request, const char *name)
{
    char why[128];

    snprintf(why, sizeof why, "Missing argument %s", name);
    web_send_error_because(request, 400, NULL, why);
}

static const char *last_argument(struct web_request *request, const char *name, const char *otherwise, int where)
{
    const struct httpargument *found = NULL;

    if (load_arguments(request, where) < 0)
        return NULL;
    if ((where & IN_BODY) != 0)
        found = httparguments_last(&request->form, name);
    if (found == NULL && (where & IN_QUERY) != 0)
        found = httparguments_last(&request->query, name);
    if (found != NULL)
        return check_value(request, found);
    if (otherwise == NULL)
        refuse_missing(request, name);
    return otherwise;
}

const char *web_get_argument(struct web_request *request, const char *name, const char *otherwise)
{
    return last_argument(request, name, otherwise, IN_QUERY | IN_BODY);
}

const char *web_get_query_argument(struct web_request *request, const char *name, const char *otherwise)
{
    return last_argument(request, name, otherwise, IN_QUERY);
}

const char *web_get_body_argument(struct web_request *request, const char *name, const char *otherwise)
{
    return last_argument(request, name, otherwise, IN_BODY);
}

/* With the blanks around them: those are gone from the values, but not from what was parsed. Few ask for that, so it is
 * parsed anew for them. */

static int parse_again(struct web_request *request, bool in_body, struct httparguments *arguments)
{
    size_t length;
    const char *text = in_body ? httprequest_body(request->http, &length) : httprequest_query(request->http, &length);
    const char *type = in_body ? httprequest_header(request->http, "Content-Type") : NULL, *why;
    struct httpform_files files = { 0 };

    if (type == NULL || is_media_type(type, "application/x-www-form-urlencoded"))
        return httparguments_parse(arguments, text, length, request->app->settings.max_arguments);
    int error = httpform_parse(type, text, length, NULL, arguments, &files, &why);
    httpform_files_free(&files);
    return error;
}

static const char *copy_unstripped(struct web_request *request, const char *name, bool in_body)
{
    struct httparguments again = { 0 };
    int error = parse_again(request, in_body, &again);
    const struct httpargument *found = error == 0 ? httparguments_last(&again, name) : NULL;
    char *copy = found != NULL ? weblayer_new_text(request, found->value_length) : NULL;

    if (copy != NULL) {
        memcpy(copy, found->value, found->value_length + 1);
        blank_controls(copy, found->value_length);
    }
    httparguments_free(&again);
    if (error < 0)
        refuse_arguments(request, error, "a malformed form");
    return copy;
}

static const char *unstripped_argument(struct web_request *request, const char *name, const char *otherwise, int where)
{
    const char *value = request->http != NULL ? last_argument(request, name, otherwise, where) : otherwise;

    if (value == NULL || value == otherwise)
        return value;
    return copy_unstripped(request, name, (where & IN_BODY) != 0 && httparguments_last(&request->form, name) != NULL);
}

const char *web_get_argument_unstripped(struct web_request *request, const char *name, const char *otherwise)
{
    return unstripped_argument(request, name, otherwise, IN_QUERY | IN_BODY);
}

const char *web_get_query_argument_unstripped(struct web_request *request, const char *name, const char *otherwise)
{
    return unstripped_argument(request, name, otherwise, IN_QUERY);
}

const char *web_get_body_argument_unstripped(struct web_request *request, const char *name, const char *otherwise)
{
    return unstripped_argument(request, name, otherwise, IN_BODY);
}

/* The one of that number; *index is less by those that there are. */
static const struct httpargument *nth_argument(const struct httparguments *arguments, const char *name, size_t *index)
{
    const struct httpargument *argument = NULL;

    while ((argument = httparguments_next(arguments, name, argument)) != NULL && *index > 0)
        --*index;
    return argument;
}

static const char *one_of_arguments(struct web_request *request, const char *name, size_t index, int where)
{
    const struct httpargument *found = NULL;

    if (load_arguments(request, where) < 0)
        return NULL;
    if ((where & IN_QUERY) != 0)
        found = nth_argument(&request->query, name, &index);
    if (found == NULL && (where & IN_BODY) != 0)
        found = nth_argument(&request->form, name, &index);
    return found != NULL ? check_value(request, found) : NULL;
}

const char *web_get_arguments(struct web_request *request, const char *name, size_t index)
{
    return one_of_arguments(request, name, index, IN_QUERY | IN_BODY);
}

const char *web_get_query_arguments(struct web_request *request, const char *name, size_t index)
{
    return one_of_arguments(request, name, index, IN_QUERY);
}

const char *web_get_body_arguments(struct web_request *request, const char *name, size_t index)
{
    return one_of_arguments(request, name, index, IN_BODY);
}

const struct httpargument *web_body_argument_at(struct web_request *request, size_t index)
{
    return load_arguments(request, IN_BODY) < 0 ? NULL : httparguments_at(&request->form, index);
}

const struct httpform_file *web_get_file(struct web_request *request, const char *name, size_t index)
{
    const struct httpform_file *file;

    if (load_arguments(request, IN_BODY) < 0)
        return NULL;
    for (size_t i = 0; (file = httpform_files_at(&request->files, i)) != NULL; i++) {
        if ((name == NULL || strcmp(file->name, name) == 0) && index-- == 0)
            return file;
    }
    return NULL;
}
