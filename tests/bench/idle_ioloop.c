/* idle_ioloop CONNECTIONS: an echo server that says, when so many connections have sent a message each and are silent,
 * how many bytes of memory the library holds, divided by their number. All of it counts: streams, the loop and its
 * tables, the server. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "ioloop/ioalloc.h"
#include "ioloop/tcpserver.h"

#define SETTLE 0.05
#define HEADER sizeof(size_t) /* of an allocation of malloc, of which malloc_usable_size says nothing */

static size_t requested, used; /* by the library; by malloc for it */
static int expected, served;

/* The size that was asked for stands before each allocation. The alignment is that of max_align_t. */
struct allocation {
    _Alignas(16) size_t size;
    _Alignas(16) char bytes[];
};

static void *count_in(struct allocation *allocation, size_t size)
{
    if (allocation == NULL)
        return NULL;
    allocation->size = size;
    requested += size;
    used += malloc_usable_size(allocation) + HEADER - sizeof *allocation;
    return allocation->bytes;
}

static struct allocation *count_out(void *memory)
{
    if (memory == NULL)
        return NULL;
    struct allocation *allocation = (struct allocation *)((char *)memory - offsetof(struct allocation, bytes));
    requested -= allocation->size;
    used -= malloc_usable_size(allocation) + HEADER - sizeof *allocation;
    return allocation;
}

static void *counting_malloc(size_t size)
{
    return count_in(malloc(sizeof(struct allocation) + size), size);
}

static void *counting_realloc(void *memory, size_t size)
{
    struct allocation *allocation = count_out(memory);
    struct allocation *resized = realloc(allocation, sizeof *allocation + size);

    if (resized == NULL && allocation != NULL)
        count_in(allocation, allocation->size);
    return count_in(resized, size);
}

static void counting_free(void *memory)
{
    free(count_out(memory));
}

static void report(void *arg)
{
    (void)arg;
    printf("heap asked for\tbytes\t%.3f\n", (double)requested / expected);
    printf("heap with malloc's own\tbytes\t%.3f\n", (double)used / expected);
    fflush(stdout);
}

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    else if (++served == expected)
        ioloop_call_later(iostream_loop(stream), SETTLE, report, NULL);
    (void)arg;
    return length;
}

static void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    (void)server, (void)address, (void)length, (void)arg;
    if (iostream_set_consumer(stream, echo, NULL) < 0)
        iostream_close(stream);
}

int main(int argc, char **argv)
{
    expected = argc == 2 ? atoi(argv[1]) : 0;
    if (expected <= 0) {
        fprintf(stderr, "usage: %s CONNECTIONS\n", argv[0]);
        return 2;
    }
    ioalloc_set_functions(&(struct ioalloc_functions){ counting_malloc, counting_realloc, counting_free });
    struct tcpserver_options options = { .max_connections = (size_t)expected + 1 };
    struct ioloop *loop = ioloop_current();
    struct tcpserver *server = loop != NULL ? tcpserver_new(loop, handle_stream, NULL, &options) : NULL;
    int port =
        server != NULL ? tcpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;
    if (port < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(port));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    return ioloop_start(loop) < 0;
}
