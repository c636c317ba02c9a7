/* Internal: poolscene.h, a client and two servers of this library that count connections, for tests of the pool.
 *
 *     open_scene(&scene, NULL);
 *     fetch(&scene, "/a");
 *     run_until_done(&scene, 1);
 *     close_scene(&scene);
 *
 * The servers answer "hello"; what begins with /hold not before let_go, /last with Connection: close. */
#ifndef TESTS_SUPPORT_POOLSCENE_H
#define TESTS_SUPPORT_POOLSCENE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "httpserver/httpserver.h"
#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

enum { POOLSCENE_HELD = 64 };

/* A client, and a server of its own that counts. */
struct scene {
    struct ioloop *loop;
    struct httpclient *client;
    struct httpserver *server, *second;
    int port, second_port;
    int accepted; /* connections, of both */
    struct httprequest *held[POOLSCENE_HELD];
    int held_count;
    int done, ok;
    bool all_done;
    int wanted;
    char order[128]; /* the last letter of each URL, as their responses came */
    int to_go;       /* fetches that a response starts, */
    int to_port;     /* from there */
    int reused;
    long allocated;
    double clock;
};

static inline void count_connection(struct httprequest *request, int status, uint64_t body_bytes, double seconds,
                                    void *arg)
{
}

static inline void answer(struct httprequest *request, void *arg)
{
    struct scene *scene = arg;

    if (strncmp(httprequest_target(request), "/hold", 5) == 0 && scene->held_count < POOLSCENE_HELD) {
        scene->held[scene->held_count++] = request;
        return;
    }
    if (strcmp(httprequest_target(request), "/last") == 0) {
        struct httpheaders headers = { 0 };
        assert_int_equal(httpheaders_set(&headers, "Connection", "close"), 0);
        httprequest_answer(request, 200, NULL, &headers, "bye", 3);
        httpheaders_free(&headers);
        return;
    }
    httprequest_reply(request, 200, "text/plain", "hello", 5);
}

static inline void let_go(struct scene *scene)
{
    for (int i = 0; i < scene->held_count; i++)
        httprequest_reply(scene->held[i], 200, "text/plain", "held", 4);
    scene->held_count = 0;
}

static inline void open_scene(struct scene *scene, const struct httpclient_options *options)
{
    memset(scene, 0, sizeof *scene);
    scene->allocated = faults_allocated();
    scene->clock = 1000;
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    struct httpserver_options quiet = { .on_log = count_connection, .max_requests = 1000000 };
    scene->server = httpserver_new(scene->loop, answer, scene, &quiet);
    scene->second = httpserver_new(scene->loop, answer, scene, &quiet);
    scene->port = httpserver_listen(scene->server, 0, &(struct netutil_bind_options){ .address = "0.0.0.0" });
    scene->second_port = httpserver_listen(scene->second, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene->port > 0 && scene->second_port > 0);
    scene->client = httpclient_new(scene->loop, options);
    assert_non_null(scene->client);
}

static inline void close_scene(struct scene *scene)
{
    ioloop_close(scene->loop, false);
    assert_int_equal(faults_allocated(), scene->allocated);
}

static inline void url_of(const struct scene *scene, char url[64], int port, const char *path)
{
    snprintf(url, 64, "http://127.0.0.1:%d%s", port != 0 ? port : scene->port, path);
}

static inline void on_response(struct httpclient_response *response, void *arg)
{
    struct scene *scene = arg;
    char url[64];

    scene->order[scene->done % 127] = response->effective_url[strlen(response->effective_url) - 1];
    scene->done++;
    scene->ok += response->error == 0 && response->code == 200;
    scene->reused += response->is_reused;
    if (scene->to_go > 0) {
        scene->to_go--;
        url_of(scene, url, scene->to_port, "/");
        assert_true(httpclient_fetch(scene->client, &(struct httpclient_request){ .url = url }, on_response, scene) !=
                    0);
    }
    scene->all_done = scene->done == scene->wanted;
}

static inline uint64_t fetch_from(struct scene *scene, int port, const char *path)
{
    char url[64];

    url_of(scene, url, port, path);
    return httpclient_fetch(scene->client, &(struct httpclient_request){ .url = url }, on_response, scene);
}

static inline uint64_t fetch(struct scene *scene, const char *path)
{
    return fetch_from(scene, 0, path);
}

static inline void run_until_done(struct scene *scene, int wanted)
{
    scene->wanted = wanted;
    scene->all_done = scene->done == wanted;
    testing_run_until(scene->loop, &scene->all_done);
}

#endif
