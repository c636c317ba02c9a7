/* load_echo [-c CONNECTIONS] [-s SIZE] [-n MESSAGES | -d SECONDS] [-p PID] PORT: sends to an echo server on 127.0.0.1,
 * over each connection one message after the answer to the last. -p: the server's process, to see what it costs.
 * load_echo -i [-c CONNECTIONS] -p PID PORT: how much larger the server is with connections that say nothing any more.
 *
 * One line a figure: its name, its unit and the value, with tabs between. Runs on the second processor, if there is
 * one. With -d the first fifth is not counted. */
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "measure.h"

static struct load load = { .noun = "message", .connections = 64, .size = 64 };

static bool is_echo(const char *bytes, size_t length, size_t before)
{
    return memcmp(bytes, load.bytes + before, length) == 0;
}

static bool parse_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, LOAD_OPTIONS "s:")) != -1) {
        if (option == 's')
            load.size = strtoul(optarg, NULL, 10);
        else if (!load_take_option(&load, option, optarg))
            return false;
    }
    load.port = optind < argc ? atoi(argv[optind]) : 0;
    return load_is_complete(&load) && load.size > 0;
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: %s [-c CONNECTIONS] [-s SIZE] [-n MESSAGES | -d SECONDS | -i] [-p PID] PORT\n",
                argv[0]);
        return 2;
    }
    measure_on_cpu(1);
    char *message = malloc(load.size);
    if (message == NULL)
        measure_fail("malloc");
    for (size_t i = 0; i < load.size; i++)
        message[i] = (char)(i % 251);
    load.bytes = message;
    load.answer = load.size;
    load.is_answer = is_echo;
    load_run(&load);
    return 0;
}
