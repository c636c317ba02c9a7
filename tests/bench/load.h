/* load.h: connections that send the same bytes to a server on 127.0.0.1 again and again, each time when the whole
 * answer to the last has come. What it costs the server, how many a second, how long one takes. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a connection is in its answers, for the function that counts them; zeroes at first. */
struct load_position {
    uint64_t left, before; /* bytes: still to come, and that have come */
    unsigned count;        /* of the head */
    unsigned char head[16];
};

struct load {
    const char *noun; /* what is counted, in the singular */
    int port, connections;
    int server;        /* its process; 0: nothing is said of what it costs */
    long messages;     /* all of them; 0: as many as there are in so many seconds, and the first fifth not counted */
    double duration;   /* seconds */
    const char *bytes; /* what is sent */
    size_t size;       /* of that */
    size_t answer;     /* bytes that come back */
    int at_once;       /* messages in the bytes; 0 is 1 */
    double pause;      /* seconds before they are sent: the server has come to rest */
    bool idle;         /* instead: how much larger the server is with connections that have had an answer */
    bool closes;       /* the server, behind each answer */
    bool broadcasts;   /* the server, to all connections, what the first has sent; messages are counted once */
    void (*greet)(int fd); /* before all else on a connection, whose calls block */
    bool (*is_answer)(const char *bytes, size_t length, size_t before); /* so many bytes after the answer's first */
    /* Instead, where answers differ in length: how many of them end in these bytes; -1: they are none. */
    int (*count_answers)(struct load_position *position, const char *bytes, size_t length);
};

/* The options that all programs have, for getopt. take_option answers whether it is one of them; is_complete, when all
 * are taken, whether there is something to do. */
#define LOAD_OPTIONS "c:n:d:p:i"
bool load_take_option(struct load *load, int option, const char *value);
bool load_is_complete(const struct load *load);

/* Prints a line a figure: its name, its unit and the value, with tabs between. Ends the program on any surprise. */
void load_run(const struct load *load);

/* A connection whose calls block, for some seconds at most. Waits for the server to listen. */
int load_connect(int port);

_Noreturn void load_fail(const char *why);

#endif
