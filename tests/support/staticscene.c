#include "tests/support/staticscene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

static void serve(struct httpscene *http, struct httprequest *request)
{
    web_application_serve(request, ((struct staticscene *)http)->app);
}

void staticscene_open_routes(struct staticscene *scene, const struct web_route *routes,
                             const struct web_settings *settings)
{
    struct web_settings own = settings != NULL ? *settings : (struct web_settings){ 0 };

    httpscene_open(&scene->http, NULL);
    folder_open(&scene->folder);
    folder_make(&scene->folder, "root");
    snprintf(scene->root, sizeof scene->root, "%s/root", scene->folder.path);
    scene->files.root = scene->root;
    own.loop = scene->http.loop;
    own.log_function = NULL;
    if (own.static_path != NULL)
        own.static_path = scene->root;
    scene->app = web_application_new(routes, &own);
    assert_non_null(scene->app);
    scene->http.on_request = serve;
    scene->client = httpscene_connect(&scene->http);
}

void staticscene_open(struct staticscene *scene, const struct webstatic *files)
{
    const struct web_route routes[] = {
        { .pattern = "/static/(.*)", .handler = &webstatic_handler, .arg = &scene->files }, { 0 }
    };

    scene->files = files != NULL ? *files : (struct webstatic){ 0 };
    staticscene_open_routes(scene, routes, NULL);
}

void staticscene_close(struct staticscene *scene)
{
    faults_end();
    httpscene_hang_up(scene->client);
    httpscene_settle(&scene->http);
    web_application_close(scene->app);
    httpscene_settle(&scene->http);
    folder_close(&scene->folder);
    httpscene_close(&scene->http);
}

void staticscene_reconnect(struct staticscene *scene)
{
    httpscene_hang_up(scene->client);
    httpscene_settle(&scene->http);
    scene->client = httpscene_connect(&scene->http);
}

void staticscene_put(struct staticscene *scene, const char *request, const char *headers)
{
    size_t size = strlen(request) + (headers != NULL ? strlen(headers) : 0) + 64;
    char *text = malloc(size);

    assert_non_null(text);
    snprintf(text, size, "%s HTTP/1.1\r\nHost: example.org\r\n%s\r\n", request, headers != NULL ? headers : "");
    httpscene_put(&scene->http, scene->client, text);
    free(text);
}

int staticscene_next(struct staticscene *scene, const char *request)
{
    scene->answer = httpscene_next(&scene->http, scene->client, strncmp(request, "HEAD ", 5) == 0);
    return scene->answer.status;
}

int staticscene_ask(struct staticscene *scene, const char *request, const char *headers)
{
    staticscene_put(scene, request, headers);
    return staticscene_next(scene, request);
}

void staticscene_expect(struct staticscene *scene, const char *request, const char *headers, int status,
                        const char *body)
{
    int answered = staticscene_ask(scene, request, headers);

    if (answered != status)
        fail_msg("%s, %s: %d, not %d", request, headers != NULL ? headers : "", answered, status);
    if (body != NULL)
        assert_string_equal(scene->answer.body, body);
}

const char *staticscene_header(const struct staticscene *scene, const char *name)
{
    static char values[2][1024];
    static int next;
    char line[64], *value = values[next ^= 1];

    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *start = strstr(scene->answer.head, line);
    if (start == NULL)
        return NULL;
    start += strlen(line);
    size_t length = (size_t)(strstr(start, "\r\n") - start);
    memcpy(value, start, length);
    value[length] = '\0';
    return value;
}

/* The loop's clock stands still, but the wall's does not. */
static void mask_date(char *head, const char *name)
{
    char *line = strstr(head, name);

    if (line != NULL)
        memset(line + strlen(name), '0', strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
}

void staticscene_expect_same_head(struct staticscene *scene, const char *target, const char *headers)
{
    static const char *const dates[] = { "\r\nDate: ", "\r\nExpires: " };
    char request[256];

    snprintf(request, sizeof request, "GET %s", target);
    staticscene_ask(scene, request, headers);
    struct httpscene_answer got = scene->answer;
    snprintf(request, sizeof request, "HEAD %s", target);
    staticscene_ask(scene, request, headers);
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        mask_date(got.head, dates[i]);
        mask_date(scene->answer.head, dates[i]);
    }
    assert_string_equal(scene->answer.head, got.head);
    scene->answer = got;
}
