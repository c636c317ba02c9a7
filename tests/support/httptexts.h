/* Internal: httptexts.h, what clients in tests of the HTTP server send.
 *
 *     struct httpscene_client *client = begin(&scene, NULL);
 *     httpscene_put(&scene, client, GET("/1") POST("5") "hello" CHUNKED("/3") "1\r\nx\r\n0\r\n\r\n"); */
#ifndef TESTS_SUPPORT_HTTPTEXTS_H
#define TESTS_SUPPORT_HTTPTEXTS_H

#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/testing.h"

#define GET(target)          "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD(target)         "HEAD " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OLD_GET(target)      "GET " target " HTTP/1.0\r\n\r\n"
#define KEPT_GET(target)     "GET " target " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define LAST_GET(target)     "GET " target " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define POST(length)         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n"
#define POST_EXPECTS(length) "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " length "\r\n\r\n"
#define CHUNKED              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_EXPECTS      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GO_AHEAD             "HTTP/1.1 100 Continue\r\n\r\n"

#define LATE 0.14 /* a tick of the wheel is 0.067 s, and deadlines may be two late */

/* A scene and its first client, over TCP or a Unix socket. */
static inline struct httpscene_client *begin(struct httpscene *scene, const struct httpserver_options *options)
{
    httpscene_open(scene, options);
    return httpscene_connect(scene);
}

static inline struct httpscene_client *begin_unix(struct httpscene *scene, const struct httpserver_options *options)
{
    httpscene_open(scene, options);
    return httpscene_connect_unix(scene);
}

/* A connection lasts so long, and then it ends: with nothing, */
static inline void expect_end_after(struct httpscene *scene, struct httpscene_client *client, double seconds)
{
    httpscene_pass(scene, seconds - 0.1);
    httpscene_expect_nothing(scene, client);
    httpscene_pass(scene, 0.1 + LATE);
    httpscene_expect_end(scene, client);
}

/* with a last answer, */
static inline void expect_last_after(struct httpscene *scene, struct httpscene_client *client, double seconds,
                                     int status)
{
    httpscene_pass(scene, seconds - 0.1);
    httpscene_expect_nothing(scene, client);
    httpscene_pass(scene, 0.1 + LATE);
    httpscene_expect_last(scene, client, status);
}

/* or, the only one there is, in the middle of what its client does not read. */
static inline void expect_cut_after(struct httpscene *scene, double seconds)
{
    httpscene_pass(scene, seconds - 0.1);
    assert_int_equal(httpserver_connections(scene->server), 1);
    httpscene_pass(scene, 0.1 + LATE);
    assert_int_equal(httpserver_connections(scene->server), 0);
}

static inline const char *filled(char *bytes, size_t length)
{
    assert_non_null(bytes);
    memset(bytes, 'b', length);
    bytes[length] = '\0';
    return bytes;
}

#endif
