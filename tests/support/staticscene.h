/* Internal: staticscene.h, for tests of files that are served: an application on the server of an httpscene, a folder
 * with files, and a client.
 *
 *     struct staticscene scene;
 *     staticscene_open(&scene, NULL);
 *     folder_write(&scene.folder, "root/a.txt", "text");
 *     staticscene_expect(&scene, "GET /static/a.txt", "Range: bytes=0-0\r\n", 206, "t");
 *     staticscene_close(&scene);
 *
 * Below /static/ is the folder "root". */
#ifndef TESTS_SUPPORT_STATICSCENE_H
#define TESTS_SUPPORT_STATICSCENE_H

#include "httpserver/web.h"
#include "httpserver/webstatic.h"
#include "tests/support/folder.h"
#include "tests/support/httpscene.h"

struct staticscene {
    struct httpscene http;
    struct folder folder;
    char root[80];
    struct webstatic files;
    struct web_application *app;
    struct httpscene_client *client;
    struct httpscene_answer answer; /* the last one */
};

/* files: but for the root, which is the scene's. routes: more of them, ended as usual; NULL: none. */
void staticscene_open(struct staticscene *scene, const struct webstatic *files);
void staticscene_open_routes(struct staticscene *scene, const struct web_route *routes,
                             const struct web_settings *settings);
void staticscene_close(struct staticscene *scene);

/* request: method and target. headers: lines, each with its end; NULL: none. Answers the status. */
int staticscene_ask(struct staticscene *scene, const char *request, const char *headers);
void staticscene_put(struct staticscene *scene, const char *request, const char *headers);
int staticscene_next(struct staticscene *scene, const char *request);

/* The same, and compares; a NULL body is not looked at. */
void staticscene_expect(struct staticscene *scene, const char *request, const char *headers, int status,
                        const char *body);

/* A header of the last answer; NULL: there is none. Valid until the call but one. */
const char *staticscene_header(const struct staticscene *scene, const char *name);

/* The same request with HEAD has the same status and headers. */
void staticscene_expect_same_head(struct staticscene *scene, const char *target, const char *headers);

/* Asks anew over a new connection. */
void staticscene_reconnect(struct staticscene *scene);

#endif
