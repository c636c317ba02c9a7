/* Internal: resolverscene.h, what the tests of resolver share: names that are answered here, and what came of a query.
 *
 *     struct ioloop *loop = new_loop();
 *     assert_int_equal(resolve(NULL, loop, "many.test", 80, AF_UNSPEC, &answer), 0);
 *     end(loop);
 *
 * For one source of a program. */
#ifndef TESTS_SUPPORT_RESOLVERSCENE_H
#define TESTS_SUPPORT_RESOLVERSCENE_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/ioloop.h"
#include "ioloop/resolver.h"
#include "tests/support/faults.h"
#include "tests/support/gate.h"
#include "tests/support/testing.h"

/* getaddrinfo and freeaddrinfo, as the library sees them: some names are answered here, the rest by the system.
 *     blocked.test    192.0.2.1, after the gate was opened
 *     many.test       192.0.2.1, an address of no use, 2001:db8::1, 192.0.2.1 again; many-1.test and so on, too
 *     useless.test    an address of no use */

static atomic_int lists_out;
static atomic_int asked; /* how often the system was asked for a name */

static struct sockaddr_in v4 = { .sin_family = AF_INET };
static struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
static struct sockaddr useless = { .sa_family = AF_UNIX };

static struct addrinfo again = { .ai_family = AF_INET, .ai_addr = (void *)&v4, .ai_addrlen = sizeof v4 };
static struct addrinfo third = {
    .ai_family = AF_INET6, .ai_addr = (void *)&v6, .ai_addrlen = sizeof v6, .ai_next = &again
};
static struct addrinfo second = {
    .ai_family = AF_UNIX, .ai_addr = &useless, .ai_addrlen = sizeof useless, .ai_next = &third
};
static struct addrinfo first = {
    .ai_family = AF_INET, .ai_addr = (void *)&v4, .ai_addrlen = sizeof v4, .ai_next = &second
};
static struct addrinfo only = { .ai_family = AF_INET, .ai_addr = (void *)&v4, .ai_addrlen = sizeof v4 };
static struct addrinfo none = { .ai_family = AF_UNIX, .ai_addr = &useless, .ai_addrlen = sizeof useless };

static void (*real_free)(struct addrinfo *);
static int (*real_get)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((constructor)) static void find_real_functions(void)
{
    void *get = dlsym(RTLD_NEXT, "getaddrinfo"), *release = dlsym(RTLD_NEXT, "freeaddrinfo");

    memcpy(&real_get, &get, sizeof get);
    memcpy(&real_free, &release, sizeof release);
    inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
    inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
    faults_allocated(); /* counts from here on */
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    static const struct {
        const char *name;
        struct addrinfo *list;
    } names[] = { { "blocked.test", &only }, { "many.test", &first }, { "useless.test", &none } };

    atomic_fetch_add(&asked, 1);
    if (strcmp(host, "blocked.test") == 0)
        pass_gate();
    if (strncmp(host, "many-", 5) == 0)
        host = "many.test";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(host, names[i].name) == 0) {
            *result = names[i].list;
            atomic_fetch_add(&lists_out, 1);
            return 0;
        }
    }
    int error = real_get(host, service, hints, result);
    if (error == 0)
        atomic_fetch_add(&lists_out, 1);
    return error;
}

void freeaddrinfo(struct addrinfo *list)
{
    atomic_fetch_sub(&lists_out, 1);
    if (list != &only && list != &first && list != &none)
        real_free(list);
}

/* What came of a query. */
struct answer {
    int told;
    int error;
    size_t count;
    struct resolver_address addresses[8];
    bool done;
    struct ioloop *loop;
};

static inline void on_resolved(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct answer *answer = arg;

    answer->told++;
    answer->error = error;
    answer->count = count;
    for (size_t i = 0; i < count && i < 8; i++)
        answer->addresses[i] = addresses[i];
    answer->done = true;
    answer->loop = ioloop_current_if_any();
    if (answer->loop != NULL)
        ioloop_stop(answer->loop); /* this iteration need not wait for anything more */
}

static inline struct ioloop *new_loop(void)
{
    struct ioloop *loop = ioloop_new(NULL);

    assert_non_null(loop);
    close_gate();
    asked = 0;
    return loop;
}

static inline struct ioexecutor *new_executor(int threads, int queue)
{
    struct ioexecutor *executor = ioexecutor_new(threads, queue);

    assert_non_null(executor);
    return executor;
}

static inline struct resolver *new_resolver(struct ioexecutor *executor)
{
    struct resolver *resolver = resolver_new(executor);

    assert_non_null(resolver);
    return resolver;
}

static inline uint64_t ask(struct resolver *resolver, struct ioloop *loop, const char *host, struct answer *answer)
{
    uint64_t id = resolver_resolve(resolver, loop, host, 80, AF_UNSPEC, 0, on_resolved, answer);

    assert_true(id != 0);
    assert_int_equal(answer->told, 0);
    return id;
}

/* Asks, waits, and answers the error. */
static inline int resolve(struct resolver *resolver, struct ioloop *loop, const char *host, int port, int family,
                          struct answer *answer)
{
    *answer = (struct answer){ .error = 1 };
    assert_true(resolver_resolve(resolver, loop, host, port, family, 0, on_resolved, answer) != 0);
    testing_run_until(loop, &answer->done);
    assert_int_equal(answer->told, 1);
    return answer->error;
}

/* The first address as "192.0.2.1 80". */
static inline const char *text_of(const struct answer *answer, size_t i)
{
    static char text[INET6_ADDRSTRLEN + 16];
    const struct sockaddr_storage *address = &answer->addresses[i].address;
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    char host[INET6_ADDRSTRLEN];

    if (i >= answer->count)
        return "none";
    if (address->ss_family == AF_INET) {
        assert_int_equal(answer->addresses[i].length, sizeof *in);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    } else {
        assert_int_equal(answer->addresses[i].length, sizeof *in6);
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    }
    int port = ntohs(address->ss_family == AF_INET ? in->sin_port : in6->sin6_port);
    snprintf(text, sizeof text, "%s %d", host, port);
    return text;
}

/* The default executor's threads hold memory; with them gone, nothing may be left. */
static inline void end(struct ioloop *loop)
{
    ioloop_close(loop, false);
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(lists_out, 0);
}

static inline void override(struct resolver *resolver, const char *host, int port, int family, const char *to,
                            int to_port)
{
    assert_int_equal(resolver_add_override(resolver, host, port, family, to, to_port), 0);
}

static double now;

static inline struct ioloop *new_loop_with_clock(void)
{
    struct ioloop *loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &now });

    assert_non_null(loop);
    now = 1000;
    close_gate();
    asked = 0;
    return loop;
}

#endif
