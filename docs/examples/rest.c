/* rest: a service of notes, in JSON.
 *
 *     rest [--port=N]                                                  port 8888; 0: any
 *
 *     curl -d 'buy milk' 127.0.0.1:8888/notes                         {"id":1,"text":"buy milk"}, and 201 with Location
 *     curl 127.0.0.1:8888/notes                                       all of them
 *     curl -X PUT -d 'buy tea' 127.0.0.1:8888/notes/1
 *     curl -X DELETE 127.0.0.1:8888/notes/1 */
#include "serve.h"

#include <httpserver/httpescape.h>

#define MOST_NOTES 100
#define LONGEST    1000

struct note {
    int id; /* 0: no note */
    char text[LONGEST + 1];
};

static struct note notes[MOST_NOTES];
static int last_id;

static struct note *find(int id)
{
    for (int i = 0; i < MOST_NOTES; i++) {
        if (notes[i].id == id)
            return &notes[i];
    }
    return NULL;
}

/* The text came from a client. */
static void write_note(struct web_request *request, const struct note *note)
{
    web_printf(request, "{\"id\":%d,\"text\":", note->id);
    web_write_json_string(request, note->text);
    web_write(request, "}");
}

static void say_json(struct web_request *request)
{
    web_set_header(request, "Content-Type", "application/json");
}

/* False: it was answered with 400 or 413. */
static bool read_text(struct web_request *request, char text[LONGEST + 1])
{
    size_t length;
    const char *body = httprequest_body(web_http(request), &length);

    if (length == 0 || length > LONGEST || !httpescape_is_utf8(body, length) || memchr(body, '\0', length) != NULL) {
        web_send_error(request, length > LONGEST ? 413 : 400);
        return false;
    }
    memcpy(text, body, length);
    text[length] = '\0';
    return true;
}

static void list_notes(struct web_request *request)
{
    const char *separator = "";

    say_json(request);
    web_write(request, "[");
    for (int i = 0; i < MOST_NOTES; i++) {
        if (notes[i].id == 0)
            continue;
        web_write(request, separator);
        write_note(request, &notes[i]);
        separator = ",";
    }
    web_write(request, "]");
}

static void add_note(struct web_request *request)
{
    struct note *note = find(0);
    char url[32];

    if (note == NULL) {
        web_send_error(request, 507);
        return;
    }
    if (!read_text(request, note->text))
        return;
    note->id = ++last_id;
    snprintf(url, sizeof url, "/notes/%d", note->id);
    web_set_status(request, 201, NULL);
    web_set_header(request, "Location", url);
    say_json(request);
    write_note(request, note);
}

/* Of every request for one note: the note, which is found before its method is called. */
struct one_note {
    struct note *note;
};

static void find_note(struct web_request *request)
{
    struct one_note *state = web_state(request);

    state->note = find(atoi(web_path_argument(request, 0)));
    if (state->note == NULL || state->note->id == 0)
        web_send_error(request, 404);
}

static void get_note(struct web_request *request)
{
    say_json(request);
    write_note(request, ((struct one_note *)web_state(request))->note);
}

static void put_note(struct web_request *request)
{
    struct note *note = ((struct one_note *)web_state(request))->note;

    if (read_text(request, note->text))
        get_note(request);
}

static void delete_note(struct web_request *request)
{
    ((struct one_note *)web_state(request))->note->id = 0;
    web_set_status(request, 204, NULL);
}

static const struct web_handler notes_handler = { .get = list_notes, .post = add_note };
static const struct web_handler note_handler = {
    .get = get_note, .put = put_note, .delete_ = delete_note, .prepare = find_note, .size = sizeof(struct one_note)
};

int main(int argc, char **argv)
{
    static const struct web_route routes[] = {
        { "/notes", &notes_handler, NULL, NULL },
        { "/notes/([0-9]{1,9})", &note_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &settings), argv[0]);
}
