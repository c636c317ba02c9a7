/* client_limit (client.h): an HTTP client on the kernel and nothing else. The first answer is read; of the others only
 * how long they are is looked at. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "client.h"

#define EVENTS 512
#define BUFFER 65536

struct connection {
    int fd;
    size_t received;
    bool waits; /* to be connected, and then sends */
};

static struct connection connections[CLIENT_AT_ONCE];
static char buffer[BUFFER], request[128];
static size_t request_length, answer_length;
static int queue;

static void watch(struct connection *connection, int operation, unsigned events)
{
    struct epoll_event event = { .events = events, .data.ptr = connection };

    if (epoll_ctl(queue, operation, connection->fd, &event) < 0)
        measure_fail("epoll_ctl");
}

static void send_request(struct connection *connection)
{
    ssize_t sent = send(connection->fd, request, request_length, MSG_NOSIGNAL);

    connection->received = 0;
    connection->waits = sent < 0 && errno == EAGAIN;
    if (!connection->waits && sent != (ssize_t)request_length)
        measure_fail("send");
}

/* Here the connection is made before connect returns, so that the request can be sent at once. */
static void connect_and_send(struct connection *connection)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    address.sin_port = htons((uint16_t)client.port);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        (connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS))
        measure_fail("connect");
    send_request(connection);
    watch(connection, EPOLL_CTL_ADD, connection->waits ? EPOLLOUT : EPOLLIN);
}

static void finish(struct connection *connection)
{
    client_answered(200, CLIENT_BODY);
    if (client.closes)
        close(connection->fd);
    if (!client_next())
        return;
    if (client.closes)
        connect_and_send(connection);
    else
        send_request(connection);
}

/* All answers are as long as the first, which comes in one piece. */
static void learn_answer(size_t length)
{
    const char *end = memmem(buffer, length, "\r\n\r\n", 4);

    answer_length = length;
    client_answered(memcmp(buffer, "HTTP/1.1 200 ", 13) == 0 ? 200 : 0,
                    end != NULL ? length - (size_t)(end + 4 - buffer) : 0);
    client.answered--;
}

static void receive(struct connection *connection)
{
    ssize_t count = recv(connection->fd, buffer, sizeof buffer, 0);

    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        client_answered(0, 0);
    if (answer_length == 0)
        learn_answer((size_t)count);
    connection->received += (size_t)count;
    if (connection->received > answer_length)
        client_answered(0, connection->received);
    if (connection->received == answer_length)
        finish(connection);
}

static void go_on(struct connection *connection)
{
    if (!connection->waits) {
        receive(connection);
        return;
    }
    send_request(connection);
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];

    client_begin(argc, argv);
    request_length = (size_t)snprintf(request, sizeof request, "GET /plain HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n",
                                      client.port, client.closes ? "Connection: close\r\n" : "");
    queue = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < client.at_once && client_next(); i++)
        connect_and_send(&connections[i]);
    for (;;) {
        int count = epoll_wait(queue, events, EVENTS, -1);

        for (int i = 0; i < count; i++)
            go_on(events[i].data.ptr);
    }
}
