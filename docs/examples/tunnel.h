/* tunnel.h: two streams that are one: what comes from either goes to the other, no faster than that takes it. The end
 * of one is the end of what the other is sent, which may go on sending. */
#ifndef EXAMPLES_TUNNEL_H
#define EXAMPLES_TUNNEL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <httpserver/httprequest.h>
#include <ioloop/ioloop.h>
#include <ioloop/iostream.h>
#include <ioloop/tcpclient.h>

#define TUNNEL_MOST_WAITING (256 * 1024) /* bytes that one side has not taken: then the other is held back */
#define TUNNEL_PATIENCE     10.0         /* seconds for a server to agree */
#define TUNNEL_IDLE         300.0        /* seconds in which nobody takes a byte: they have gone */

struct tunnel {
    struct iostream *ends[2];  /* NULL: has closed */
    uint64_t taken, delivered; /* bytes from both, and to both when it was looked at last */
    uint64_t timeout;
};

static inline struct iostream *tunnel_other(const struct tunnel *tunnel, const struct iostream *end)
{
    return tunnel->ends[tunnel->ends[0] == end];
}

/* Each closes by itself when both have ended and all is sent; the other may still have something to send then. */
static inline void tunnel_closed(struct iostream *end, int error, void *arg)
{
    struct tunnel *tunnel = arg;
    struct iostream *other = tunnel_other(tunnel, end);

    tunnel->ends[tunnel->ends[1] == end] = NULL;
    if (other == NULL) {
        ioloop_remove_timeout(iostream_loop(end), tunnel->timeout);
        free(tunnel);
    } else if (error != -ESHUTDOWN) {
        iostream_close(other);
    }
}

/* A side that takes nothing may have sent its last byte, and the other is held back: no read would ever time out. */
static inline void tunnel_look(void *arg)
{
    struct tunnel *tunnel = arg;
    struct ioloop *loop = ioloop_current();
    uint64_t delivered = tunnel->taken;

    for (int i = 0; i < 2; i++)
        delivered -= tunnel->ends[i] != NULL ? iostream_pending(tunnel->ends[i]) : 0;
    tunnel->timeout = delivered != tunnel->delivered ? ioloop_call_later(loop, TUNNEL_IDLE, tunnel_look, tunnel) : 0;
    tunnel->delivered = delivered;
    for (int i = 0; i < 2 && tunnel->timeout == 0; i++) {
        if (tunnel->ends[i] != NULL)
            iostream_reset(tunnel->ends[i]);
    }
}

static inline size_t tunnel_pump(struct iostream *from, int error, const char *data, size_t length, void *arg)
{
    struct tunnel *tunnel = arg;
    struct iostream *to = tunnel_other(tunnel, from);

    if (to == NULL)
        return length;
    tunnel->taken += length;
    if (error == -ESHUTDOWN)
        iostream_shutdown(to);
    else if (error == 0 && iostream_write(to, data, length, NULL, NULL) == 0 &&
             iostream_pending(to) > TUNNEL_MOST_WAITING)
        iostream_set_consumer(from, NULL, NULL); /* until tunnel_drained */
    return length;
}

static inline void tunnel_drained(struct iostream *to, void *tunnel)
{
    struct iostream *from = tunnel_other(tunnel, to);

    if (from != NULL)
        iostream_set_consumer(from, tunnel_pump, tunnel);
}

/* Both are the tunnel's from here on, whatever becomes of it. */
static inline void tunnel_start(struct iostream *one, struct iostream *two)
{
    struct tunnel *tunnel = malloc(sizeof *tunnel);
    struct iostream *const ends[2] = { one, two };

    if (tunnel != NULL) {
        *tunnel = (struct tunnel){ { one, two }, .delivered = UINT64_MAX };
        tunnel->timeout = ioloop_call_later(iostream_loop(one), TUNNEL_IDLE, tunnel_look, tunnel);
    }
    for (int i = 0; i < 2; i++) {
        iostream_set_close_callback(ends[i], tunnel != NULL ? tunnel_closed : NULL, tunnel);
        if (tunnel == NULL || tunnel->timeout == 0 || iostream_set_half_close(ends[i], true) < 0 ||
            iostream_set_read_timeout(ends[i], 0) < 0 ||
            iostream_set_drain_callback(ends[i], TUNNEL_MOST_WAITING, tunnel_drained, tunnel) < 0 ||
            iostream_set_consumer(ends[i], tunnel_pump, tunnel) < 0)
            iostream_close(ends[i]);
    }
}

/* A request that wants to leave HTTP, and the server that may let it. */

struct tunnel_upgrade {
    struct iostream *client;
    size_t length;
    char head[]; /* of the request */
};

/* Whose answer has no body. */
static inline void tunnel_refuse(struct iostream *client, const char *status)
{
    char answer[100];
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 %.3s Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);

    iostream_write(client, answer, (size_t)length, NULL, NULL);
    iostream_close(client);
}

static inline void tunnel_answered(struct iostream *server, int error, const char *head, size_t length, void *client)
{
    static const char agreed[] = "HTTP/1.1 101";

    if (error == 0 && length > sizeof agreed && memcmp(head, agreed, sizeof agreed - 1) == 0) {
        iostream_write(client, head, length, NULL, NULL);
        tunnel_start(client, server);
    } else {
        tunnel_refuse(client, error == 0 && length > sizeof agreed ? head + 9 : "502");
        iostream_close(server);
    }
}

static inline void tunnel_connected(int error, struct iostream *server, void *arg)
{
    struct tunnel_upgrade *upgrade = arg;

    if (error == 0) {
        iostream_write(server, upgrade->head, upgrade->length, NULL, NULL);
        error = iostream_set_read_timeout(server, TUNNEL_PATIENCE);
        if (error == 0)
            error = iostream_read_until(server, "\r\n\r\n", 0, tunnel_answered, upgrade->client);
        if (error < 0)
            iostream_close(server);
    }
    if (error < 0)
        tunnel_refuse(upgrade->client, "502");
    free(upgrade);
}

/* Upgrade and Connection are added to the headers. */
static inline struct tunnel_upgrade *tunnel_request(const struct httprequest *request, struct httpheaders *headers)
{
    const char *method = httprequest_method(request), *target = httprequest_target(request);

    if (httpheaders_set(headers, "Connection", "Upgrade") < 0 ||
        httpheaders_set(headers, "Upgrade", httprequest_header(request, "Upgrade")) < 0)
        return NULL;
    size_t size = strlen(method) + strlen(target) + httpheaders_size(headers) + 32;
    struct tunnel_upgrade *upgrade = malloc(sizeof *upgrade + size);
    if (upgrade == NULL)
        return NULL;
    upgrade->length = (size_t)snprintf(upgrade->head, size, "%s %s HTTP/1.1\r\n", method, target);
    upgrade->length += httpheaders_serialize(headers, upgrade->head + upgrade->length);
    memcpy(upgrade->head + upgrade->length, "\r\n", 2);
    upgrade->length += 2;
    return upgrade;
}

/* Asks that server with these headers, and when it says 101 it gets all that follows, too; what else it says is the
 * status of the answer. */
static inline void tunnel_upgrade(struct httprequest *request, const char *host, int port, struct httpheaders *headers)
{
    struct ioloop *loop = httprequest_loop(request);
    struct tunnel_upgrade *upgrade = tunnel_request(request, headers);
    struct iostream *client = upgrade != NULL ? httprequest_detach(request) : NULL;

    if (client == NULL) {
        httprequest_abort(request);
        free(upgrade);
        return;
    }
    upgrade->client = client;
    if (tcpclient_connect(loop, host, port, NULL, tunnel_connected, upgrade) == 0)
        tunnel_connected(-errno, NULL, upgrade);
}

#endif
