/* What the servers of a scene do: connections, requests, answers. */
#include "tests/support/fetchscene.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "tests/support/wire.h"

/* Connections. */

static struct fetchscene_peer *new_peer(struct fetchscene *scene, int fd)
{
    int i = 0;

    while (i < scene->peer_count && scene->peers[i].fd >= 0)
        i++;
    assert_true(i < FETCHSCENE_PEERS);
    if (i == scene->peer_count)
        scene->peer_count++;
    scene->peers[i] = (struct fetchscene_peer){ .fd = fd };
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return &scene->peers[i];
}

struct fetchscene_peer *fetchscene_accept_from(struct fetchscene *scene, int listener)
{
    for (int rounds = 0; rounds < FETCHSCENE_ROUNDS; rounds++) {
        int fd = accept(scene->listeners[listener], NULL, NULL);
        if (fd >= 0)
            return new_peer(scene, fd);
        fetchscene_turn(scene, rounds);
    }
    fail_msg("%s", "the client does not connect");
    return NULL;
}

struct fetchscene_peer *fetchscene_accept(struct fetchscene *scene)
{
    return fetchscene_accept_from(scene, FETCHSCENE_FIRST);
}

void fetchscene_expect_no_connection(struct fetchscene *scene)
{
    fetchscene_settle(scene);
    for (int i = 0; i < FETCHSCENE_LISTENERS; i++)
        assert_int_equal(accept(scene->listeners[i], NULL, NULL), -1);
}

void fetchscene_hang_up(struct fetchscene_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    testing_deliver();
    free(peer->bytes);
    peer->bytes = NULL;
    peer->length = 0;
}

void fetchscene_reset(struct fetchscene_peer *peer)
{
    wire_reset_at_close(peer->fd);
    fetchscene_hang_up(peer);
}

void fetchscene_finish(struct fetchscene_peer *peer)
{
    (void)!shutdown(peer->fd, SHUT_WR); /* it may be closed by the client already */
    testing_deliver();
}

static void change_bytes(char *bytes, size_t length, char mask)
{
    for (size_t i = 0; i < length && mask != 0; i++)
        bytes[i] = (char)(bytes[i] ^ mask);
}

size_t fetchscene_put_some(struct fetchscene_peer *peer, const char *bytes, size_t length)
{
    char piece[65536];

    length = length < sizeof piece ? length : sizeof piece;
    memcpy(piece, bytes, length);
    change_bytes(piece, length, peer->mask);
    return wire_send(peer->fd, piece, length);
}

void fetchscene_put_bytes(struct fetchscene *scene, struct fetchscene_peer *peer, const char *bytes, size_t length)
{
    for (int rounds = 0; length > 0; rounds++) {
        size_t count = fetchscene_put_some(peer, bytes, length);

        bytes += count;
        length -= count;
        if (count == 0)
            assert_true(ioloop_run_once(scene->loop, 0.001) >= 0);
        assert_true(rounds < FETCHSCENE_ROUNDS * 10);
    }
}

void fetchscene_put(struct fetchscene *scene, struct fetchscene_peer *peer, const char *text)
{
    fetchscene_put_bytes(scene, peer, text, strlen(text));
}

size_t fetchscene_take(struct fetchscene_peer *peer, size_t most)
{
    size_t before = peer->length;

    if (peer->ended)
        return 0;
    peer->ended = wire_receive(peer->fd, &peer->bytes, &peer->length, most, &peer->error);
    if (peer->length > before)
        change_bytes(peer->bytes + before, peer->length - before, peer->mask);
    return peer->length - before;
}

/* Runs the loop until there are so many bytes. */
static void wait_for(struct fetchscene *scene, struct fetchscene_peer *peer, size_t length)
{
    for (int rounds = 0; peer->length < length; rounds++) {
        if (fetchscene_take(peer, SIZE_MAX) > 0)
            continue;
        if (peer->ended || rounds == FETCHSCENE_ROUNDS)
            fail_msg("%zu bytes and then %s (%s): %s", peer->length, peer->ended ? "the end" : "nothing",
                     strerror(peer->error), peer->length > 0 ? peer->bytes : "");
        fetchscene_turn(scene, rounds);
    }
}

/* Requests. */

/* A method, a target, a version; then lines with a name, a colon and a value each. */
static void check_head(const char *head)
{
    size_t word = strcspn(head, " \r\n");

    assert_true(word > 0 && head[word] == ' ');
    head += word + 1;
    word = strcspn(head, " \r\n");
    assert_true(word > 0);
    assert_memory_equal(head + word, " HTTP/1.1\r\n", 11);
    for (head += word + 11; strcmp(head, "\r\n") != 0; head = strstr(head, "\r\n") + 2) {
        size_t name = strspn(head, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
        assert_true(name > 0);
        assert_memory_equal(head + name, ": ", 2);
        assert_true(head[strcspn(head, "\r\n")] == '\r');
    }
}

void fetchscene_take_head(struct fetchscene *scene, struct fetchscene_peer *peer, struct fetchscene_request *request)
{
    const char *end;

    *request = (struct fetchscene_request){ .chunks = -1 };
    while (peer->length == 0 || (end = strstr(peer->bytes, "\r\n\r\n")) == NULL)
        wait_for(scene, peer, peer->length + 1);
    size_t size = (size_t)(end - peer->bytes) + 4;
    assert_true(size < sizeof request->head);
    memcpy(request->head, peer->bytes, size);
    wire_drop(peer->bytes, &peer->length, size);
    check_head(request->head);
    assert_int_equal(sscanf(request->head, "%39s %1023s ", request->method, request->target), 2);
}

static void note_body(struct fetchscene_request *request, const char *bytes, size_t length)
{
    size_t room = request->length < sizeof request->body ? sizeof request->body - 1 - request->length : 0;

    if (room > 0)
        memcpy(request->body + request->length, bytes, length < room ? length : room);
    request->length += length;
}

static void take_chunks(struct fetchscene *scene, struct fetchscene_peer *peer, struct fetchscene_request *request)
{
    for (size_t size = 1; size > 0; request->chunks++) {
        char *end;

        while (peer->length == 0 || strstr(peer->bytes, "\r\n") == NULL)
            wait_for(scene, peer, peer->length + 1);
        size = strtoul(peer->bytes, &end, 16);
        assert_true(end > peer->bytes && end[0] == '\r' && end[1] == '\n');
        size_t start = (size_t)(end - peer->bytes) + 2;
        wait_for(scene, peer, start + size + 2);
        note_body(request, peer->bytes + start, size);
        assert_memory_equal(peer->bytes + start + size, "\r\n", 2);
        wire_drop(peer->bytes, &peer->length, start + size + 2);
    }
}

void fetchscene_take_request(struct fetchscene *scene, struct fetchscene_peer *peer, struct fetchscene_request *request)
{
    fetchscene_take_head(scene, peer, request);
    const char *length = fetchscene_request_header(request, "Content-Length");
    if (fetchscene_request_header(request, "Transfer-Encoding") != NULL) {
        assert_null(length);
        assert_string_equal(fetchscene_request_header(request, "Transfer-Encoding"), "chunked");
        take_chunks(scene, peer, request);
        return;
    }
    size_t size = length != NULL ? strtoul(length, NULL, 10) : 0;
    wait_for(scene, peer, size);
    if (size > 0) {
        note_body(request, peer->bytes, size);
        wire_drop(peer->bytes, &peer->length, size);
    }
}

struct fetchscene_peer *fetchscene_serve(struct fetchscene *scene, struct fetchscene_peer *peer, const char *answer)
{
    struct fetchscene_request request;

    if (peer == NULL)
        peer = fetchscene_accept(scene);
    fetchscene_take_request(scene, peer, &request);
    fetchscene_put(scene, peer, answer);
    return peer;
}

void fetchscene_exchange(struct fetchscene *scene, struct httpclient_request request, struct fetchscene_request *seen)
{
    struct fetchscene_fetch *fetch = fetchscene_fetch(scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(scene);

    fetchscene_take_request(scene, peer, seen);
    fetchscene_put(scene, peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    fetchscene_expect(scene, fetch, 200, "hi");
    fetchscene_hang_up(peer);
    fetchscene_settle(scene);
}

const char *fetchscene_request_header(const struct fetchscene_request *request, const char *name)
{
    return fetchscene_line(request->head, name);
}

/* Expectations. */

void fetchscene_expect_text(struct fetchscene *scene, struct fetchscene_peer *peer, const char *text)
{
    wait_for(scene, peer, strlen(text));
    assert_memory_equal(peer->bytes, text, strlen(text));
    wire_drop(peer->bytes, &peer->length, strlen(text));
}

void fetchscene_expect_end(struct fetchscene *scene, struct fetchscene_peer *peer)
{
    for (int rounds = 0; !peer->ended; rounds++) {
        assert_true(rounds < FETCHSCENE_ROUNDS);
        if (fetchscene_take(peer, SIZE_MAX) == 0 && !peer->ended)
            fetchscene_turn(scene, rounds);
    }
    if (peer->length > 0)
        fail_msg("before the end there is: %s", peer->bytes);
}

void fetchscene_expect_nothing(struct fetchscene *scene, struct fetchscene_peer *peer)
{
    fetchscene_settle(scene);
    fetchscene_take(peer, SIZE_MAX);
    assert_false(peer->ended);
    if (peer->length > 0)
        fail_msg("there is: %s", peer->bytes);
}
