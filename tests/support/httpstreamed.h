/* Internal: httpstreamed.h, a server whose on_head has each body streamed, and notes what came.
 *
 *     httpscene_open(&scene, &(struct httpserver_options){ .on_head = streamed_on_head });
 *     scene.on_request = streamed_answer;
 *
 * What a test wants to happen besides goes into streamed.at_head and streamed.at_piece. */
#ifndef TESTS_SUPPORT_HTTPSTREAMED_H
#define TESTS_SUPPORT_HTTPSTREAMED_H

#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/testing.h"

static struct {
    struct httprequest *request; /* the last whose head was seen; NULL: it has left */
    int heads, left;
    int pieces; /* of its body so far, and these with a | behind each */
    size_t length;
    char text[4096];
    bool is_paused; /* as it should be: no piece may come */
    void (*at_head)(struct httprequest *request);
    void (*at_piece)(struct httprequest *request);
} streamed;

static inline void streamed_left(struct httprequest *request, void *arg)
{
    assert_ptr_equal(request, streamed.request);
    streamed.left++;
    streamed.request = NULL;
}

static inline void streamed_piece(struct httprequest *request, const void *data, size_t length, void *arg)
{
    assert_ptr_equal(request, streamed.request);
    assert_int_equal(arg == &streamed, 1);
    assert_true(length > 0);
    assert_false(streamed.is_paused);
    streamed.pieces++;
    streamed.length += length;
    size_t used = strlen(streamed.text);
    if (used + length + 2 < sizeof streamed.text) {
        memcpy(streamed.text + used, data, length);
        memcpy(streamed.text + used + length, "|", 2);
    }
    if (streamed.at_piece != NULL)
        streamed.at_piece(request);
}

static inline void streamed_on_head(struct httprequest *request, void *arg)
{
    streamed.request = request;
    streamed.heads++;
    streamed.pieces = 0;
    streamed.length = 0;
    streamed.text[0] = '\0';
    streamed.is_paused = false;
    httprequest_stream_body(request, streamed_piece, &streamed);
    httprequest_set_close_callback(request, streamed_left, NULL);
    if (streamed.at_head != NULL)
        streamed.at_head(request);
}

/* With the pieces. */
static inline void streamed_answer(struct httpscene *scene, struct httprequest *request)
{
    size_t length;

    assert_false(streamed.is_paused);
    assert_true(httprequest_body(request, &length) == NULL || length == 0);
    assert_int_equal(length, 0);
    (void)!httprequest_reply(request, 200, "text/plain", streamed.text, strlen(streamed.text));
}

static inline void streamed_pause(struct httprequest *request)
{
    streamed.is_paused = true;
    httprequest_pause(request);
}

static inline void streamed_resume(struct httprequest *request)
{
    streamed.is_paused = false;
    httprequest_resume(request);
}

/* A scene with all of this, and nothing left of the one before. */
static inline void streamed_open(struct httpscene *scene, struct httpserver_options options)
{
    memset(&streamed, 0, sizeof streamed);
    options.on_head = streamed_on_head;
    httpscene_open(scene, &options);
    scene->on_request = streamed_answer;
}

#endif
