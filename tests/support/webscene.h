/* Internal: webscene.h, for tests of the web layer: an application with a server of its own, on a loop whose clock
 * stands still, and clients.
 *
 *     struct webscene scene;
 *     webscene_open(&scene, routes, NULL);
 *     webscene_expect(&scene, "GET /a?b=c", "Accept: x\r\n", NULL, 200, "text");
 *     webscene_close(&scene);
 *
 * Each request has a connection of its own, which is read to its end. Clients for more than that are those of
 * httpscene.h, with &scene.http. Logs go where testing_logs finds them. */
#ifndef TESTS_SUPPORT_WEBSCENE_H
#define TESTS_SUPPORT_WEBSCENE_H

#include "httpserver/web.h"
#include "tests/support/httpscene.h"

struct webscene {
    struct httpscene http;
    struct web_application *app;
    char *text; /* the last answer, NUL-terminated */
    size_t length;
    int status;  /* 0: there was none */
    char *body;  /* of the last answer, without its chunks */
    bool broken; /* it ended before its end */
    int closed;  /* calls of the application's on_close */
};

void webscene_open(struct webscene *scene, const struct web_route *routes, const struct web_settings *settings);

/* All that the library had allocated is freed then. */
void webscene_close(struct webscene *scene);

/* request: method and target. headers: lines, each with its end; NULL: none. Answers the status. */
int webscene_ask(struct webscene *scene, const char *request, const char *headers, const char *body);

/* The same, and compares; a NULL expected is not looked at. */
void webscene_expect(struct webscene *scene, const char *request, const char *headers, const char *body, int status,
                     const char *expected);

/* The two halves of ask: put sends the request, read has what the client gets, to its end. */
void webscene_put(struct webscene *scene, struct httpscene_client *client, const char *request, const char *headers,
                  const char *body);
int webscene_read(struct webscene *scene, struct httpscene_client *client, const char *request);

/* The index-th header of that name of the last answer; NULL: there is none. Valid until the call but three. */
const char *webscene_header_at(const struct webscene *scene, const char *name, int index);
const char *webscene_header(const struct webscene *scene, const char *name);
void webscene_expect_header(const struct webscene *scene, const char *name, const char *value);

/* What has happened: words with a blank behind each. expect also forgets them. */
void webscene_note(const char *word);
void webscene_expect_notes(const char *notes);
void webscene_forget_notes(void);

#endif
