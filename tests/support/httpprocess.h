/* Internal: httpprocess.h, for tests of an HTTP server as a whole: one in a process of its own, or with workers, for
 * clients of httppeer.h.
 *
 *     struct httpprocess server;
 *     httpprocess_start(&server, NULL);
 *     ...
 *     httpprocess_end(&server);
 *
 * It answers with method, target and the length of the body, separated by blanks. "/pid" is answered with the number
 * of the process, "/missing" with 404, "/size/N" with N bytes, "/usage" with struct httpprocess_usage, and "/wait" when
 * the process gets SIGUSR1. It also ends when the test does; its loop, its memory and its descriptors have to be in
 * order when it is told to end. */
#ifndef TESTS_SUPPORT_HTTPPROCESS_H
#define TESTS_SUPPORT_HTTPPROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "httpserver/httpserver.h"
#include "tests/support/httppeer.h"

struct httpprocess {
    pid_t pid; /* of the server, or of the one that supervises its workers */
    int port;
    int life;    /* the server lives as long as it is open */
    int reports; /* each process that serves tells that it does */
    FILE *log;   /* its stderr */
};

struct httpprocess_options {
    struct httpserver_options server;
    int workers;     /* 0: none, the process serves by itself */
    int files;       /* RLIMIT_NOFILE; 0: as it is */
    int files_later; /* the same, but only when it listens already, and has not reckoned with it */
    bool logs_all;   /* IOLOG_INFO */
};

/* What a process that serves has used. */
struct httpprocess_usage {
    double cpu;      /* seconds */
    long resident;   /* KiB, at most until now */
    size_t bytes;    /* allocated by the library now, */
    size_t peak;     /* and at most since this was asked last, as far as requests have seen it */
    int files;       /* open descriptors */
    int connections; /* with that which asks */
    int waiting;     /* requests for /wait */
    long requests;   /* that were served, this one too */
};

/* Answers when it serves: workers that serve from the beginning are told of by next_worker all the same. */
void httpprocess_start(struct httpprocess *process, const struct httpprocess_options *options);

/* Waits for a process that has begun to serve, and was not told of yet. */
pid_t httpprocess_next_worker(struct httpprocess *process);

/* By SIGTERM, and waits for it. Its status has to be 0. expect_end: somebody else has told it to end. */
void httpprocess_end(struct httpprocess *process);
void httpprocess_expect_end(struct httpprocess *process);

/* Bytes it has logged; and lines of them that contain the word. */
size_t httpprocess_log_size(const struct httpprocess *process);
int httpprocess_log_lines(const struct httpprocess *process, const char *word);

/* Asked over this connection. */
struct httpprocess_usage httpprocess_usage(struct httppeer *peer);

/* Asks until so many connections (waiting requests) are left, with that which asks. */
void httpprocess_wait_for_connections(struct httppeer *peer, int connections);
void httpprocess_wait_for_waiting(struct httppeer *peer, int waiting);

/* A GET over a new connection succeeds. */
void httpprocess_expect_alive(const struct httpprocess *process);

/* Wait for a while, for one who asks again and again. */
void httpprocess_pause(double seconds);

#endif
