/* client.h: what the HTTP clients have in common: their arguments, how long they go on, what they print.
 *
 *     client_... [-c REQUESTS] [-k] -n REQUESTS | -d SECONDS PORT
 *
 * They ask a server on 127.0.0.1 for /plain, 12 bytes, with so many requests under way (-c: 64), each over a connection
 * that is kept, or each over one of its own (-k). One line a figure: its name, its unit and the value, with tabs
 * between. They run on the second processor, if there is one. With -d the first fifth is not counted. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

#define CLIENT_BODY       12
#define CLIENT_AT_ONCE    4096
#define CLIENT_FIRST_PART 0.2
#define CLIENT_LOOKS      16 /* answers from one look at the clock to the next */

struct client {
    int port, at_once;
    bool closes;
    long requests; /* all of them; 0: as many as there are in duration */
    double duration;
    long started, answered;
    long before; /* that are not counted; 0: nothing is counted yet */
    double start, cpu;
};

static struct client client = { .at_once = 64 };

static inline void client_begin(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "c:kn:d:")) != -1) {
        if (option == 'c')
            client.at_once = atoi(optarg);
        else if (option == 'k')
            client.closes = true;
        else if (option == 'n')
            client.requests = atol(optarg);
        else if (option == 'd')
            client.duration = atof(optarg);
    }
    client.port = optind < argc ? atoi(argv[optind]) : 0;
    if (client.port <= 0 || client.at_once < 1 || client.at_once > CLIENT_AT_ONCE ||
        (client.requests <= 0 && client.duration <= 0)) {
        fprintf(stderr, "usage: %s [-c REQUESTS] [-k] -n REQUESTS | -d SECONDS PORT\n", argv[0]);
        exit(2);
    }
    measure_on_cpu(1);
    measure_raise_files();
    client.start = measure_time();
    client.cpu = measure_cpu();
}

/* Is another to be asked for? Then it counts as started. */
static inline bool client_next(void)
{
    if (client.requests > 0 && client.started >= client.requests)
        return false;
    client.started++;
    return true;
}

_Noreturn static inline void client_end(double now)
{
    double count = (double)(client.answered - client.before);

    printf("client cpu\tus/request\t%.6g\n", (measure_cpu() - client.cpu) * 1e6 / count);
    printf("requests\tk/s\t%.6g\n", count / (now - client.start) / 1e3);
    fflush(stdout);
    _exit(0);
}

/* An answer has come. Ends the program when it was the last, or is none. */
static inline void client_answered(int status, size_t length)
{
    if (status != 200 || length != CLIENT_BODY) {
        fprintf(stderr, "this is not the answer, after %ld: status %d, %zu bytes\n", client.answered, status, length);
        exit(1);
    }
    if (++client.answered == client.requests)
        client_end(measure_time());
    if (client.requests > 0 || client.answered % CLIENT_LOOKS != 0)
        return;
    double now = measure_time(), passed = now - client.start;
    if (client.before == 0 && passed >= client.duration * CLIENT_FIRST_PART) {
        client.before = client.answered;
        client.start = now;
        client.cpu = measure_cpu();
    } else if (client.before != 0 && passed >= client.duration * (1 - CLIENT_FIRST_PART)) {
        client_end(now);
    }
}

#endif
