#include "tests/support/webscene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

static char notes[8192];

void webscene_note(const char *word)
{
    assert_true(strlen(notes) + strlen(word) + 2 < sizeof notes);
    strcat(notes, word);
    strcat(notes, " ");
}

void webscene_expect_notes(const char *expected)
{
    assert_string_equal(notes, expected);
    notes[0] = '\0';
}

void webscene_forget_notes(void)
{
    notes[0] = '\0';
}

static struct webscene *current;

static void application_closed(struct httpserver *server, void *arg)
{
    assert_ptr_equal(arg, current->app);
    assert_ptr_equal(server, web_application_server(current->app));
    current->closed++;
}

void webscene_open(struct webscene *scene, const struct web_route *routes, const struct web_settings *settings)
{
    struct web_settings own = settings != NULL ? *settings : (struct web_settings){ 0 };

    signal(SIGPIPE, SIG_IGN);
    testing_begin_logs();
    notes[0] = '\0';
    *scene = (struct webscene){ .http = { .clock = 100, .allocated = faults_allocated() } };
    scene->http.loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->http.clock });
    assert_non_null(scene->http.loop);
    own.loop = scene->http.loop;
    if (own.arg == NULL)
        own.arg = scene;
    own.server.on_close = application_closed;
    current = scene;
    scene->app = web_application_new(routes, &own);
    assert_non_null(scene->app);
    scene->http.server = web_application_server(scene->app);
    scene->http.port = web_application_listen(scene->app, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene->http.port > 0);
}

void webscene_close(struct webscene *scene)
{
    faults_end();
    for (int i = 0; i < scene->http.client_count; i++)
        httpscene_hang_up(&scene->http.clients[i]);
    httpscene_settle(&scene->http);
    web_application_close(scene->app);
    httpscene_settle(&scene->http);
    ioloop_close(scene->http.loop, false);
    free(scene->text);
    free(scene->body);
    assert_int_equal(faults_allocated(), scene->http.allocated);
    testing_end_logs();
}

/* The chunks of a body, put together; false: there is no last one. */
static bool join_chunks(const char *from, char *place)
{
    for (;;) {
        char *end;
        size_t size = strtoul(from, &end, 16);

        if (end == from || strncmp(end, "\r\n", 2) != 0)
            return false;
        if (size == 0) {
            assert_string_equal(end, "\r\n\r\n");
            return true;
        }
        if (strlen(end) < 2 + size + 2)
            return false;
        memcpy(place, end + 2, size);
        place += size;
        *place = '\0';
        assert_memory_equal(end + 2 + size, "\r\n", 2);
        from = end + 2 + size + 2;
    }
}

static void read_body(struct webscene *scene, bool to_head)
{
    const char *start = strstr(scene->text, "\r\n\r\n"), *length = webscene_header(scene, "Content-Length");

    scene->body = calloc(1, scene->length + 1);
    assert_non_null(scene->body);
    if (start == NULL)
        return;
    start += 4;
    scene->broken = false;
    if (to_head || scene->status == 204 || scene->status == 304) {
        assert_string_equal(start, "");
    } else if (webscene_header(scene, "Transfer-Encoding") != NULL) {
        scene->broken = !join_chunks(start, scene->body);
    } else {
        memcpy(scene->body, start, strlen(start) + 1);
        assert_true(length == NULL || strlen(start) <= strtoul(length, NULL, 10));
        scene->broken = length != NULL && strlen(start) < strtoul(length, NULL, 10);
    }
}

int webscene_read(struct webscene *scene, struct httpscene_client *client, const char *request)
{
    free(scene->text);
    free(scene->body);
    scene->text = httpscene_transcript(&scene->http, client, &scene->length);
    httpscene_hang_up(client);
    scene->status = strncmp(scene->text, "HTTP/1.1 ", 9) == 0 ? atoi(scene->text + 9) : 0;
    scene->broken = true;
    read_body(scene, strncmp(request, "HEAD ", 5) == 0);
    return scene->status;
}

void webscene_put(struct webscene *scene, struct httpscene_client *client, const char *request, const char *headers,
                  const char *body)
{
    size_t size = strlen(request) + (headers != NULL ? strlen(headers) : 0) + (body != NULL ? strlen(body) : 0) + 128;
    char *text = malloc(size), length[64] = "";

    assert_non_null(text);
    if (headers == NULL)
        headers = "";
    if (body != NULL)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    snprintf(text, size, "%s HTTP/1.1\r\n%s%s%sConnection: close\r\n\r\n%s", request,
             strncmp(headers, "Host:", 5) == 0 ? "" : "Host: example.org\r\n", headers, length,
             body != NULL ? body : "");
    httpscene_put(&scene->http, client, text);
    free(text);
}

int webscene_ask(struct webscene *scene, const char *request, const char *headers, const char *body)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);

    webscene_put(scene, client, request, headers, body);
    return webscene_read(scene, client, request);
}

void webscene_expect(struct webscene *scene, const char *request, const char *headers, const char *body, int status,
                     const char *expected)
{
    webscene_ask(scene, request, headers, body);
    if (scene->status != status)
        fail_msg("%s, %s: %d, not %d: %s", request, headers != NULL ? headers : "", scene->status, status, scene->text);
    if (expected == NULL)
        return;
    assert_false(scene->broken);
    assert_string_equal(scene->body, expected);
}

const char *webscene_header_at(const struct webscene *scene, const char *name, int index)
{
    static char values[4][2048];
    static unsigned next;
    char line[64], *value = values[next++ % 4];
    const char *start = scene->text, *end = strstr(start, "\r\n\r\n");

    if (end == NULL)
        return NULL;
    snprintf(line, sizeof line, "\r\n%s: ", name);
    do {
        start = strstr(start + 1, line); /* no header is at the beginning */
        if (start == NULL || start > end)
            return NULL;
    } while (index-- > 0);
    start += strlen(line);
    size_t length = (size_t)(strstr(start, "\r\n") - start);
    assert_true(length < sizeof values[0]);
    memcpy(value, start, length);
    value[length] = '\0';
    return value;
}

const char *webscene_header(const struct webscene *scene, const char *name)
{
    return webscene_header_at(scene, name, 0);
}

void webscene_expect_header(const struct webscene *scene, const char *name, const char *value)
{
    const char *got = webscene_header(scene, name);

    if ((got == NULL) != (value == NULL) || (got != NULL && strcmp(got, value) != 0))
        fail_msg("%s: %s, not %s", name, got != NULL ? got : "none", value != NULL ? value : "none");
}
