/* An echo server on bare descriptors: echo_server [--port=N] (default 10000; 0: any free port).
 *
 * It shows the three calls that all else is made of. add_handler: call me when this socket can be read (or written).
 * update_handler: from now on I wait for something else. remove_handler: no more, before the socket is closed.
 *
 * What comes from a client goes into its queue of messages. While there are any, the client is watched for WRITE as
 * well; while there are too many, for WRITE alone, so that who does not read cannot fill the memory. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ioloop/ioloop.h>
#include <ioloop/iooptions.h>

#define MESSAGE_SIZE 4096
#define QUEUE_LIMIT  (256u << 10) /* bytes */

struct message {
    struct message *next;
    size_t length, sent;
    char bytes[MESSAGE_SIZE];
};

struct client {
    struct client *next, **link; /* among all clients */
    int fd;
    struct message *first, **last;
    size_t unsent;
    bool finished; /* no more is read; closed when all is sent */
};

static struct ioloop *loop;
static struct client *clients;
static int listener;
static bool stopping;

static void drop_first_message(struct client *client)
{
    struct message *message = client->first;

    client->first = message->next;
    if (client->first == NULL)
        client->last = &client->first;
    free(message);
}

static void watch_listener(bool on)
{
    if (!stopping && ioloop_update_handler(loop, listener, on ? IOLOOP_READ : IOLOOP_NONE) < 0)
        ioloop_stop(loop);
}

static void close_client(struct client *client)
{
    ioloop_remove_handler(loop, client->fd);
    close(client->fd);
    while (client->first != NULL)
        drop_first_message(client);
    *client->link = client->next;
    if (client->next != NULL)
        client->next->link = client->link;
    free(client);
    watch_listener(true); /* there is a free descriptor again */
    if (stopping && clients == NULL)
        ioloop_stop(loop);
}

static void update_client(struct client *client)
{
    unsigned events = IOLOOP_NONE;

    if (!client->finished && client->unsent < QUEUE_LIMIT)
        events |= IOLOOP_READ;
    if (client->unsent > 0)
        events |= IOLOOP_WRITE;
    if (events == IOLOOP_NONE || ioloop_update_handler(loop, client->fd, events) < 0)
        close_client(client);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Answers whether the client is still all right. */
static bool receive(struct client *client)
{
    struct message *message = malloc(sizeof *message);
    ssize_t count = message != NULL ? recv(client->fd, message->bytes, sizeof message->bytes, 0) : -1;

    if (message == NULL || count <= 0) {
        bool failed = message == NULL || (count < 0 && !would_block());
        client->finished = count == 0;
        free(message);
        return !failed;
    }
    message->next = NULL;
    message->length = (size_t)count;
    message->sent = 0;
    *client->last = message;
    client->last = &message->next;
    client->unsent += message->length;
    return true;
}

static bool send_messages(struct client *client)
{
    while (client->first != NULL) {
        struct message *message = client->first;
        ssize_t count = send(client->fd, message->bytes + message->sent, message->length - message->sent, MSG_NOSIGNAL);

        if (count < 0)
            return would_block();
        message->sent += (size_t)count;
        client->unsent -= (size_t)count;
        if (message->sent < message->length)
            break;
        drop_first_message(client);
    }
    return true;
}

static void on_client(int fd, unsigned events, void *arg)
{
    struct client *client = arg;
    bool fine = true;

    if (events & IOLOOP_READ)
        fine = receive(client);
    else if (events & IOLOOP_ERROR)
        fine = false;
    if (fine && (events & IOLOOP_WRITE))
        fine = send_messages(client);
    if (fine)
        update_client(client);
    else
        close_client(client);
}

static void add_client(int fd)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        ioloop_add_handler(loop, fd, on_client, client, IOLOOP_READ) < 0) {
        close(fd);
        free(client);
        return;
    }
    client->fd = fd;
    client->last = &client->first;
    client->next = clients;
    client->link = &clients;
    if (clients != NULL)
        clients->link = &client->next;
    clients = client;
}

/* Out of descriptors the listener would be reported again and again: it waits until a client has gone. */
static void on_listener(int fd, unsigned events, void *arg)
{
    int accepted;

    while ((accepted = accept(fd, NULL, NULL)) >= 0)
        add_client(accepted);
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
        watch_listener(false);
}

static void stop(void *arg)
{
    ioloop_stop(loop);
}

/* Accepts and, after what is there, reads no more; the answers are sent first, for at most two seconds. */
static void on_sigterm(int signal_number, void *arg)
{
    struct client *next;

    stopping = true;
    ioloop_remove_handler(loop, listener);
    close(listener);
    if (clients == NULL || ioloop_call_later(loop, 2.0, stop, NULL) == 0)
        ioloop_stop(loop);
    for (struct client *client = clients; client != NULL; client = next) {
        next = client->next;
        bool fine = receive(client);
        client->finished = true;
        if (fine)
            update_client(client);
        else
            close_client(client);
    }
}

/* Answers the port. */
static int start_listening(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int on = 1;

    listener = socket(AF_INET, SOCK_STREAM, 0);
    /* Accepted sockets inherit TCP_NODELAY: without it a message of several pieces waits for the client's
     * acknowledgement of the first. */
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 128) < 0 ||
        fcntl(listener, F_SETFL, O_NONBLOCK) < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
    static int port = 10000;
    static const struct iooption options[] = {
        { .name = "port", .integer = &port, .maximum = 65535, .help = "where to listen; 0: any port" }, { 0 }
    };
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest < argc)
        return fprintf(stderr, "echo_server: what is %s?\n", argv[rest]), 2;
    loop = ioloop_current();
    int result = loop != NULL ? start_listening(port) : -ENOMEM;
    port = result;
    if (result >= 0)
        result = ioloop_add_handler(loop, listener, on_listener, NULL, IOLOOP_READ);
    if (result >= 0)
        result = ioloop_add_signal(loop, SIGTERM, on_sigterm, NULL);
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(result));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    result = ioloop_start(loop);
    while (clients != NULL)
        close_client(clients);
    ioloop_close(loop, false);
    return result < 0;
}
