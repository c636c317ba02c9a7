/* An echo server on libevent's bufferevents. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "server.h"

static void on_read(struct bufferevent *stream, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(stream);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
                          void *base)
{
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

    (void)listener, (void)address, (void)length;
    if (stream == NULL)
        server_fail("bufferevent_socket_new");
    bufferevent_setcb(stream, on_read, NULL, on_event, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

int main(void)
{
    struct event_base *base = event_base_new();

    if (base == NULL ||
        evconnlistener_new(base, on_connection, base, LEV_OPT_CLOSE_ON_FREE, 0, server_listen()) == NULL)
        server_fail("evconnlistener_new");
    return event_base_dispatch(base);
}
