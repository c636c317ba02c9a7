/* load_http [-c CONNECTIONS] [-w REQUESTS] [-k] [-b BYTES] [-r BYTES] [-n REQUESTS | -d SECONDS] [-p PID] PORT PATH:
 * asks an HTTP server on 127.0.0.1 for PATH, over each connection when the answer to the last request has come. -w: so
 * many requests at once (pipelined). -k: a connection a request. -b: POST, with a body of so many bytes. -r: bytes that
 * the body of each answer has to have (12). -s: seconds before each request. -p: the server's process, to see what it
 * costs.
 * load_http -i [-c CONNECTIONS] -p PID PORT PATH: how much larger the server is with connections that are silent.
 * load_http -f: a port on which nobody listens.
 *
 * One line a figure: its name, its unit and the value, with tabs between. Runs on the second processor, if there is
 * one. With -d the first fifth is not counted.
 *
 * The head of the first answer is read, and all others are to be of its length: that every one of them begins where the
 * one before it has ended, with a status of 200, is looked at; nothing else, so as to be quicker than what is measured.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "measure.h"

#define HEAD 4096

static const char status[] = "HTTP/1.1 200 ";
static struct load load = { .noun = "request", .connections = 64, .at_once = 1 };
static size_t body, expected = 12, response; /* bytes: of a request's body, of a response's, of a response */

/* Of the responses that begin in these bytes, as far as it is there: the status. */
static bool begin_as_they_should(const char *bytes, size_t length, size_t before)
{
    for (size_t start = (response - before % response) % response; start < length; start += response) {
        size_t rest = length - start;
        if (memcmp(bytes + start, status, rest < strlen(status) ? rest : strlen(status)) != 0)
            return false;
    }
    return true;
}

static char *build_requests(void)
{
    char head[512];
    int length = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: a\r\n%s", body > 0 ? "POST" : "GET", load.bytes,
                          load.closes ? "Connection: close\r\n" : "");

    if (body > 0)
        length += snprintf(head + length, sizeof head - (size_t)length, "Content-Length: %zu\r\n", body);
    length += snprintf(head + length, sizeof head - (size_t)length, "\r\n");
    char *requests = malloc(((size_t)length + body) * (size_t)load.at_once);
    if (requests == NULL)
        measure_fail("malloc");
    load.size = 0;
    for (int i = 0; i < load.at_once; i++) {
        memcpy(requests + load.size, head, (size_t)length);
        memset(requests + load.size + length, 'x', body);
        load.size += (size_t)length + body;
    }
    return requests;
}

/* The length of a head, its end included; 0 while that has not come. */
static size_t head_length(const char *bytes, size_t length)
{
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);

    return end != NULL ? (size_t)(end - bytes) + 4 : 0;
}

/* Asks once, for the length of the answers. */
static void learn_response(const char *requests)
{
    char head[HEAD + 1];
    size_t count = 0, length = 0, request = load.size / (size_t)load.at_once;
    int fd = load_connect(load.port);

    if (send(fd, requests, request, MSG_NOSIGNAL) != (ssize_t)request)
        measure_fail("send");
    while (length == 0) {
        ssize_t some = recv(fd, head + count, HEAD - count, 0);
        if (some <= 0)
            load_fail("no head of an answer comes");
        count += (size_t)some;
        length = head_length(head, count);
    }
    head[length] = '\0';
    const char *announced = strcasestr(head, "\r\nContent-Length:");
    if (memcmp(head, status, strlen(status)) != 0 || announced == NULL ||
        strtoul(announced + strlen("\r\nContent-Length:"), NULL, 10) != expected) {
        fprintf(stderr, "the answer is not one of %zu bytes:\n%s", expected, head);
        exit(1);
    }
    response = length + expected;
    close(fd);
}

static int print_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        measure_fail("bind");
    return printf("%d\n", ntohs(address.sin_port)) < 0;
}

static bool parse_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, LOAD_OPTIONS "w:kb:r:s:f")) != -1) {
        if (option == 'w')
            load.at_once = atoi(optarg);
        else if (option == 'k')
            load.closes = true;
        else if (option == 'b')
            body = strtoul(optarg, NULL, 10);
        else if (option == 'r')
            expected = strtoul(optarg, NULL, 10);
        else if (option == 's')
            load.pause = atof(optarg);
        else if (option == 'f')
            exit(print_free_port());
        else if (!load_take_option(&load, option, optarg))
            return false;
    }
    if (argc - optind != 2 || load.at_once < 1 || (load.closes && load.at_once > 1))
        return false;
    load.port = atoi(argv[optind]);
    load.bytes = argv[optind + 1];
    return load_is_complete(&load);
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(stderr,
                "usage: %s [-c CONNECTIONS] [-w REQUESTS | -k] [-b BYTES] [-r BYTES] [-s SECONDS]\n"
                "    [-n REQUESTS | -d SECONDS | -i] [-p PID] PORT PATH\n",
                argv[0]);
        return 2;
    }
    measure_on_cpu(1);
    char *requests = build_requests();
    learn_response(requests);
    load.bytes = requests;
    load.answer = response * (size_t)load.at_once;
    load.is_answer = begin_as_they_should;
    load_run(&load);
    return 0;
}
