#include "ioloop/resolver.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

/* getaddrinfo and freeaddrinfo, as the library sees them: some names are answered here, the rest by the system.
 *     blocked.test    192.0.2.1, after the gate was opened
 *     many.test       192.0.2.1, an address of no use, 2001:db8::1, 192.0.2.1 again
 *     useless.test    an address of no use */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int gate_entered;
static atomic_int lists_out;
static atomic_int asked; /* how often the system was asked for a name */

static void close_gate(void)
{
    gate_open = false;
    gate_entered = 0;
    asked = 0;
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = true;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static void await_entered(int count)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_entered < count)
        pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static void pass_gate(void)
{
    pthread_mutex_lock(&gate_lock);
    gate_entered++;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open)
        pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

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

static void find_real_functions(void)
{
    void *get = dlsym(RTLD_NEXT, "getaddrinfo"), *release = dlsym(RTLD_NEXT, "freeaddrinfo");

    memcpy(&real_get, &get, sizeof get);
    memcpy(&real_free, &release, sizeof release);
    inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
    inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
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

static void on_resolved(int error, const struct resolver_address *addresses, size_t count, void *arg)
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

static struct ioloop *new_loop(void)
{
    struct ioloop *loop = ioloop_new(NULL);

    assert_non_null(loop);
    close_gate();
    return loop;
}

static struct ioexecutor *new_executor(int threads, int queue)
{
    struct ioexecutor *executor = ioexecutor_new(threads, queue);

    assert_non_null(executor);
    return executor;
}

static struct resolver *new_resolver(struct ioexecutor *executor)
{
    struct resolver *resolver = resolver_new(executor);

    assert_non_null(resolver);
    return resolver;
}

static uint64_t ask(struct resolver *resolver, struct ioloop *loop, const char *host, struct answer *answer)
{
    uint64_t id = resolver_resolve(resolver, loop, host, 80, AF_UNSPEC, 0, on_resolved, answer);

    assert_true(id != 0);
    assert_int_equal(answer->told, 0);
    return id;
}

/* Asks, waits, and answers the error. */
static int resolve(struct resolver *resolver, struct ioloop *loop, const char *host, int port, int family,
                   struct answer *answer)
{
    *answer = (struct answer){ .error = 1 };
    assert_true(resolver_resolve(resolver, loop, host, port, family, 0, on_resolved, answer) != 0);
    testing_run_until(loop, &answer->done);
    assert_int_equal(answer->told, 1);
    return answer->error;
}

/* The first address as "192.0.2.1 80". */
static const char *text_of(const struct answer *answer, size_t i)
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
static void end(struct ioloop *loop)
{
    ioloop_close(loop, false);
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(lists_out, 0);
}

/* Names. */

/* netutil_test:test_localhost */
static void localhost_is_a_loopback_address(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    assert_int_equal(resolve(NULL, loop, "localhost", 80, AF_UNSPEC, &answer), 0);
    assert_true(answer.count >= 1);
    for (size_t i = 0; i < answer.count; i++) {
        const char *text = text_of(&answer, i);
        assert_true(strcmp(text, "127.0.0.1 80") == 0 || strcmp(text, "::1 80") == 0);
    }
    assert_int_equal(resolve(NULL, loop, "localhost", 80, AF_INET, &answer), 0);
    assert_int_equal(answer.count, 1); /* though /etc/hosts may have it twice */
    assert_string_equal(text_of(&answer, 0), "127.0.0.1 80");
    end(loop);
}

/* netutil_test:test_bad_host */
static void a_bad_host_is_an_error(void **state)
{
    static const char *const hosts[] = { "an invalid domain", "no-such-host.invalid" };
    struct ioloop *loop = new_loop();
    struct answer answer;

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        int error = resolve(NULL, loop, hosts[i], 80, AF_UNSPEC, &answer);
        assert_true(error == -ENXIO || error == -EAGAIN); /* the latter where no name server can be reached */
        assert_int_equal(answer.count, 0);
    }
    end(loop);
}

static void each_address_comes_once_and_in_order(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    assert_int_equal(resolve(NULL, loop, "many.test", 8080, AF_UNSPEC, &answer), 0);
    assert_int_equal(answer.count, 2);
    assert_string_equal(text_of(&answer, 0), "192.0.2.1 8080");
    assert_string_equal(text_of(&answer, 1), "2001:db8::1 8080");
    assert_int_equal(resolve(NULL, loop, "useless.test", 80, AF_UNSPEC, &answer), -ENXIO);
    end(loop);
}

static void what_has_been_told_is_freed(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    for (int i = 0; i < 4; i++)
        resolve(NULL, loop, "many.test", 80, AF_UNSPEC, &answer);
    long before = faults_allocated();
    for (int i = 0; i < 10; i++)
        resolve(NULL, loop, i % 2 ? "many.test" : "127.0.0.1", 80, AF_UNSPEC, &answer);
    assert_int_equal(faults_allocated(), before);
    assert_true(ioloop_next_timeout(loop) < 0);
    end(loop);
}

static void errors_of_the_system_become_ours(void **state)
{
    static const struct {
        int eai, error;
    } cases[] = { { EAI_NONAME, -ENXIO }, { EAI_FAIL, -ENXIO },    { EAI_FAMILY, -ENXIO },
                  { EAI_AGAIN, -EAGAIN }, { EAI_MEMORY, -ENOMEM }, { EAI_SERVICE, -ENXIO } };
    struct ioloop *loop = new_loop();
    struct answer answer;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faults_system_call("getaddrinfo", cases[i].eai, 1);
        assert_int_equal(resolve(NULL, loop, "localhost", 80, AF_UNSPEC, &answer), cases[i].error);
        assert_true(faults_hit());
    }
    faults_end();
    end(loop);
}

static void what_cannot_be_asked_is_not_accepted(void **state)
{
    static const struct {
        const char *host;
        int port, family;
        double timeout;
    } cases[] = {
        { NULL, 80, AF_UNSPEC, 0 },        { "", 80, AF_UNSPEC, 0 },
        { "localhost", -1, AF_UNSPEC, 0 }, { "localhost", 65536, AF_UNSPEC, 0 },
        { "localhost", 80, AF_UNIX, 0 },   { "localhost", 80, AF_UNSPEC, __builtin_nan("") },
    };
    struct ioloop *loop = new_loop();
    struct answer answer = { .told = 0 };
    char host[255];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = 0;
        assert_int_equal(resolver_resolve(NULL, loop, cases[i].host, cases[i].port, cases[i].family, cases[i].timeout,
                                          on_resolved, &answer),
                         0);
        assert_int_equal(errno, EINVAL);
    }
    memset(host, 'a', 254);
    host[254] = '\0';
    assert_int_equal(resolver_resolve(NULL, loop, host, 80, AF_UNSPEC, 0, on_resolved, &answer), 0);
    assert_int_equal(errno, EINVAL);
    testing_spin(loop, 3);
    assert_int_equal(answer.told, 0);
    host[253] = '\0';
    assert_true(resolve(NULL, loop, host, 0, AF_UNSPEC, &answer) < 0);
    end(loop);
}

/* Literals. */

static void literals_are_answered_in_the_next_iteration(void **state)
{
    static const struct {
        const char *host, *text;
        int family;
    } cases[] = {
        { "127.0.0.1", "127.0.0.1 80", AF_UNSPEC },
        { "192.0.2.7", "192.0.2.7 80", AF_INET },
        { "::1", "::1 80", AF_UNSPEC },
        { "2001:DB8::0:7", "2001:db8::7 80", AF_INET6 },
        { "::ffff:192.0.2.1", "::ffff:192.0.2.1 80", AF_UNSPEC },
    };
    struct ioloop *loop = new_loop();

    faults_count_reset();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = { .error = 1 };

        assert_true(resolver_resolve(NULL, loop, cases[i].host, 80, cases[i].family, 0, on_resolved, &answer) != 0);
        assert_int_equal(answer.told, 0);
        testing_spin(loop, 1);
        assert_int_equal(answer.told, 1);
        assert_int_equal(answer.error, 0);
        assert_int_equal(answer.count, 1);
        assert_string_equal(text_of(&answer, 0), cases[i].text);
    }
    assert_int_equal(faults_count("pthread_create"), 0);
    assert_int_equal(asked, 0);
    end(loop);
}

static void literals_of_the_other_family_are_no_host(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;

    assert_int_equal(resolve(NULL, loop, "127.0.0.1", 80, AF_INET6, &answer), -ENXIO);
    assert_int_equal(resolve(NULL, loop, "::1", 80, AF_INET, &answer), -ENXIO);
    assert_int_equal(asked, 0);
    end(loop);
}

static void literals_may_have_a_scope(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer answer;
    char host[64];
    struct if_nameindex *interfaces = if_nameindex();

    assert_non_null(interfaces);
    snprintf(host, sizeof host, "fe80::1%%%s", interfaces[0].if_name);
    faults_count_reset();
    assert_int_equal(resolve(NULL, loop, host, 80, AF_UNSPEC, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "fe80::1 80");
    assert_int_equal(((struct sockaddr_in6 *)&answer.addresses[0].address)->sin6_scope_id, interfaces[0].if_index);
    if_freenameindex(interfaces);
    assert_int_equal(resolve(NULL, loop, "fe80::1%no-such-interface", 80, AF_UNSPEC, &answer), -ENXIO);
    assert_int_equal(resolve(NULL, loop, "host:80", 80, AF_UNSPEC, &answer), -ENXIO);
    assert_int_equal(faults_count("pthread_create"), 0);
    end(loop);
}

/* Overrides. */

static void override(struct resolver *resolver, const char *host, int port, int family, const char *to, int to_port)
{
    assert_int_equal(resolver_add_override(resolver, host, port, family, to, to_port), 0);
}

/* netutil_test:test_resolve_multiaddr */
static void overrides_may_differ_by_family(void **state)
{
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct answer answer;

    override(resolver, "google.test", 80, AF_UNSPEC, "1.2.3.4", 80);
    override(resolver, "google.test", 80, AF_INET, "1.2.3.5", 80);
    override(resolver, "google.test", 80, AF_INET6, "2a02:6b8:7c:40c:c51e:495f:e23a:3", 80);
    assert_int_equal(resolve(resolver, loop, "google.test", 80, AF_INET, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "1.2.3.5 80");
    assert_int_equal(resolve(resolver, loop, "google.test", 80, AF_INET6, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "2a02:6b8:7c:40c:c51e:495f:e23a:3 80");
    assert_int_equal(resolve(resolver, loop, "google.test", 80, AF_UNSPEC, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "1.2.3.4 80");
    resolver_close(resolver);
    end(loop);
}

static void the_most_specific_override_wins(void **state)
{
    static const struct {
        const char *host;
        int port, family;
        const char *text;
    } cases[] = {
        { "host.test", 80, AF_INET, "10.0.0.3 80" },   { "host.test", 80, AF_UNSPEC, "10.0.0.2 8000" },
        { "host.test", 81, AF_UNSPEC, "10.0.0.1 81" }, { "host.test", 81, AF_INET, "10.0.0.4 81" },
        { "HOST.Test", 81, AF_UNSPEC, "10.0.0.1 81" }, { "later.test", 80, AF_UNSPEC, "10.0.0.6 80" },
        { "10.9.9.9", 80, AF_UNSPEC, "10.0.0.7 80" },  { "127.0.0.1", 80, AF_UNSPEC, "127.0.0.1 80" },
        { "both.test", 80, AF_INET, "10.0.0.8 80" },   { "both.test", 81, AF_INET, "10.0.0.9 81" },
    };
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct answer answer;

    override(resolver, "host.test", 80, AF_INET, "10.0.0.3", 0);
    override(resolver, "host.test", 80, AF_UNSPEC, "10.0.0.2", 8000);
    override(resolver, "host.test", 0, AF_INET, "10.0.0.4", 0);
    override(resolver, "host.test", 0, AF_UNSPEC, "10.0.0.1", 0);
    override(resolver, "later.test", 0, AF_UNSPEC, "10.0.0.5", 0);
    override(resolver, "later.test", 0, AF_UNSPEC, "10.0.0.6", 0);
    override(resolver, "10.9.9.9", 0, AF_UNSPEC, "10.0.0.7", 0);
    override(resolver, "both.test", 80, AF_UNSPEC, "10.0.0.8", 0);
    override(resolver, "both.test", 0, AF_INET, "10.0.0.9", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(resolve(resolver, loop, cases[i].host, cases[i].port, cases[i].family, &answer), 0);
        assert_string_equal(text_of(&answer, 0), cases[i].text);
    }
    resolver_close(resolver);
    end(loop);
}

static void an_override_leads_to_a_name_but_to_no_other_override(void **state)
{
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct answer answer;

    override(resolver, "a.test", 0, AF_UNSPEC, "many.test", 0);
    override(resolver, "many.test", 0, AF_UNSPEC, "10.0.0.1", 0);
    assert_int_equal(resolve(resolver, loop, "a.test", 80, AF_UNSPEC, &answer), 0);
    assert_string_equal(text_of(&answer, 0), "192.0.2.1 80");
    assert_int_equal(resolve(NULL, loop, "many.test", 80, AF_UNSPEC, &answer), 0); /* not for others */
    assert_string_equal(text_of(&answer, 0), "192.0.2.1 80");
    resolver_close(resolver);
    end(loop);
}

static void overrides_are_checked(void **state)
{
    struct resolver *resolver = new_resolver(NULL);

    assert_int_equal(resolver_add_override(resolver, "", 0, AF_UNSPEC, "10.0.0.1", 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 65536, AF_UNSPEC, "10.0.0.1", 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 0, AF_UNIX, "10.0.0.1", 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 0, AF_UNSPEC, NULL, 0), -EINVAL);
    assert_int_equal(resolver_add_override(resolver, "a.test", 0, AF_UNSPEC, "10.0.0.1", -1), -EINVAL);
    resolver_close(resolver);
}

/* Deadlines and cancelling. */

static double now;

static struct ioloop *new_loop_with_clock(void)
{
    struct ioloop *loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &now });

    assert_non_null(loop);
    now = 1000;
    close_gate();
    return loop;
}

/* One query runs in the thread, the other waits for it. */
static void a_deadline_ends_a_query_whose_answer_does_not_come(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop_with_clock();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, patient = { .error = 1 };

    ask(resolver, loop, "blocked.test", &running);
    assert_true(resolver_resolve(resolver, loop, "localhost", 80, AF_UNSPEC, 3, on_resolved, &waiting) != 0);
    assert_true(resolver_resolve(resolver, loop, "many.test", 80, AF_UNSPEC, __builtin_inf(), on_resolved, &patient) !=
                0);
    await_entered(1);
    now += 2.9;
    testing_spin(loop, 2);
    assert_int_equal(waiting.told, 0);
    now += 0.2;
    testing_spin(loop, 2);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(waiting.error, -ETIMEDOUT);
    now += 6.8;
    testing_spin(loop, 2);
    assert_int_equal(running.told, 0);
    now += 0.2;
    testing_spin(loop, 2);
    assert_int_equal(running.told, 1);
    assert_int_equal(running.error, -ETIMEDOUT);
    now += 100000;
    testing_spin(loop, 2);
    open_gate();
    testing_run_until(loop, &patient.done);
    assert_int_equal(patient.error, 0);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(asked, 2); /* the one that gave up before it started was not asked */
    resolver_close(resolver);
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void cancelled_queries_say_so_from_the_loop(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, literal = { .error = 1 };

    uint64_t ids[] = { ask(resolver, loop, "blocked.test", &running), ask(resolver, loop, "localhost", &waiting),
                       ask(resolver, loop, "127.0.0.1", &literal) };
    await_entered(1);
    for (int twice = 0; twice < 2; twice++) {
        for (int i = 0; i < 3; i++)
            resolver_cancel(loop, ids[i]);
    }
    assert_int_equal(running.told + waiting.told + literal.told, 0);
    testing_spin(loop, 2);
    assert_int_equal(running.error, -ECANCELED);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(literal.error, -ECANCELED);
    for (int i = 0; i < 3; i++)
        resolver_cancel(loop, ids[i]);
    open_gate();
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(literal.told, 1);
    assert_int_equal(asked, 1);
    resolver_close(resolver);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void cancelling_what_is_not_there_is_fine(void **state)
{
    struct ioloop *loop = new_loop(), *other = ioloop_new(NULL);
    struct answer answer = { .error = 1 };

    resolver_cancel(loop, 0);
    resolver_cancel(loop, 12345678);
    uint64_t id = ask(NULL, loop, "127.0.0.1", &answer);
    resolver_cancel(other, id);
    testing_spin(loop, 1);
    assert_int_equal(answer.error, 0);
    resolver_cancel(loop, id);
    testing_spin(loop, 1);
    assert_int_equal(answer.told, 1);
    ioloop_close(other, false);
    end(loop);
}

/* The answer has come, and its callback waits behind the one that cancels. */
static uint64_t id_to_cancel;

static void cancel_from_callback(void *arg)
{
    resolver_cancel(arg, id_to_cancel);
}

static void cancelling_beats_an_answer_that_is_on_its_way(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer answer = { .error = 1 };

    assert_int_equal(ioloop_add_callback(loop, cancel_from_callback, loop), 0);
    id_to_cancel = ask(resolver, loop, "many.test", &answer);
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(answer.told, 1);
    assert_int_equal(answer.error, -ECANCELED);
    resolver_close(resolver);
    end(loop);
}

struct next {
    struct answer answer;
    struct answer *follower;
    struct resolver *resolver;
    int rounds;
};

static void ask_again(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct next *next = arg;

    assert_int_equal(error, 0);
    if (--next->rounds > 0)
        assert_true(resolver_resolve(next->resolver, ioloop_current(), next->rounds % 2 ? "many.test" : "::1", 80,
                                     AF_UNSPEC, 0, ask_again, next) != 0);
    else
        on_resolved(error, addresses, count, &next->answer);
}

static void queries_may_start_from_their_callbacks(void **state)
{
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct next next = { .resolver = resolver, .rounds = 50 };

    assert_true(resolver_resolve(resolver, loop, "::1", 80, AF_UNSPEC, 0, ask_again, &next) != 0);
    testing_run_until(loop, &next.answer.done);
    resolver_close(resolver);
    end(loop);
}

/* Ends. */

static void close_resolver_and_note(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct next *next = arg;

    resolver_close(next->resolver);
    on_resolved(error, addresses, count, &next->answer);
}

static void closing_a_resolver_ends_its_queries_only(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor), *other = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, others = { .error = 1 };
    struct next closing = { .resolver = resolver };

    override(resolver, "host.test", 0, AF_UNSPEC, "127.0.0.1", 0);
    ask(resolver, loop, "blocked.test", &running);
    ask(other, loop, "many.test", &others);
    ask(resolver, loop, "many.test", &waiting);
    assert_true(resolver_resolve(resolver, loop, "host.test", 1, AF_UNSPEC, 0, close_resolver_and_note, &closing) != 0);
    await_entered(1);
    testing_spin(loop, 2);
    assert_int_equal(closing.answer.error, 0);
    assert_int_equal(closing.answer.told, 1);
    assert_int_equal(running.error, -ECANCELED);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(others.told, 0);
    open_gate();
    testing_run_until(loop, &others.done);
    assert_int_equal(others.error, 0);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    resolver_close(other);
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void closing_the_executor_ends_what_waits_there(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer running = { .error = 1 }, waiting = { .error = 1 };
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);

    ask(resolver, loop, "blocked.test", &running);
    ask(resolver, loop, "many.test", &waiting);
    await_entered(1);
    ioexecutor_close(executor, false);
    testing_run_until(loop, &waiting.done);
    assert_int_equal(waiting.error, -ECANCELED);
    open_gate();
    testing_run_until(loop, &running.done);
    assert_int_equal(running.error, 0);
    resolver_close(resolver);
    end(loop);
}

/* Of each kind one: told or not, running or waiting or answered. */
static void closing_the_loop_ends_all_queries(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, literal = { .error = 1 };
    struct answer gave_up_waiting = { .error = 1 }, cancelled = { .error = 1 };

    ask(resolver, loop, "blocked.test", &running);
    uint64_t id = ask(resolver, loop, "many.test", &gave_up_waiting);
    await_entered(1);
    resolver_cancel(loop, id);
    testing_spin(loop, 1);
    ask(resolver, loop, "many.test", &waiting);
    ask(resolver, loop, "::1", &literal);
    resolver_cancel(loop, ask(resolver, loop, "::1", &cancelled));
    ioloop_close(loop, false);
    assert_int_equal(running.error, -ECANCELED);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(literal.error, -ECANCELED);
    assert_int_equal(cancelled.error, -ECANCELED);
    open_gate();
    ioexecutor_close(executor, true);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(literal.told, 1);
    assert_int_equal(cancelled.told, 1);
    assert_int_equal(gave_up_waiting.told, 1);
    assert_int_equal(asked, 1);
    assert_int_equal(lists_out, 0);
    resolver_close(resolver);
    assert_int_equal(faults_allocated(), before);
}

static void what_a_query_gave_up_may_come_after_the_loop(void **state)
{
    long before = faults_allocated();

    for (int opened_first = 0; opened_first < 2; opened_first++) {
        struct ioloop *loop = new_loop_with_clock();
        struct ioexecutor *executor = new_executor(1, 0);
        struct resolver *resolver = new_resolver(executor);
        struct answer answer = { .error = 1 };

        ask(resolver, loop, "blocked.test", &answer);
        await_entered(1);
        now += 11;
        testing_spin(loop, 2);
        assert_int_equal(answer.error, -ETIMEDOUT);
        if (opened_first) {
            open_gate();
            ioexecutor_close(executor, true); /* the job has ended, and its report is on the way */
        }
        ioloop_close(loop, false);
        if (!opened_first) {
            open_gate();
            ioexecutor_close(executor, true);
        }
        resolver_close(resolver);
        ioexecutor_close(ioexecutor_default(), true); /* takes what the loop has dropped */
        assert_int_equal(answer.told, 1);
        assert_int_equal(lists_out, 0);
        assert_int_equal(faults_allocated(), before);
    }
}

static void try_in_vain(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct next *next = arg;

    assert_int_equal(error, -ECANCELED);
    errno = 0;
    assert_int_equal(resolver_resolve(NULL, next->answer.loop, "127.0.0.1", 80, AF_UNSPEC, 0, try_in_vain, next), 0);
    assert_int_equal(errno, EBADF);
    next->answer.told++;
}

static void a_loop_that_closes_takes_no_more_queries(void **state)
{
    struct ioloop *loop = new_loop();
    struct next next = { .answer.loop = loop };

    assert_true(resolver_resolve(NULL, loop, "127.0.0.1", 80, AF_UNSPEC, 0, try_in_vain, &next) != 0);
    end(loop);
    assert_int_equal(next.answer.told, 1);
}

static void close_loop_and_cancel(void *arg)
{
    struct ioloop *loop = arg;

    ioloop_close(loop, false);
    resolver_cancel(loop, id_to_cancel);
}

/* The executor cannot report to such a loop any more that the job was cancelled. */
static void a_query_may_be_cancelled_while_the_loop_closes(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 };

    ask(resolver, loop, "blocked.test", &running);
    await_entered(1);
    id_to_cancel = ask(resolver, loop, "many.test", &waiting);
    assert_int_equal(ioloop_add_callback(loop, close_loop_and_cancel, loop), 0);
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    resolver_close(resolver);
    open_gate();
    ioexecutor_close(executor, true);
    assert_int_equal(lists_out, 0);
    assert_int_equal(faults_allocated(), before);
}

/* Many, executors, threads, processes. */

static int many_told;
static bool all_told;

static void count_resolved(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    int *told = arg;

    ++*told;
    all_told = ++many_told == 700;
    assert_int_equal(error, 0);
    if (all_told)
        ioloop_stop(ioloop_current_if_any());
}

static void many_queries_are_each_told_once(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    int told[700] = { 0 };

    many_told = 0;
    all_told = false;
    for (int i = 0; i < 700; i++)
        assert_true(resolver_resolve(NULL, loop, i < 200 ? "many.test" : "127.0.0.1", 80, AF_UNSPEC, 0, count_resolved,
                                     &told[i]) != 0);
    testing_run_until(loop, &all_told);
    testing_spin(loop, 3);
    for (int i = 0; i < 700; i++)
        assert_int_equal(told[i], 1);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

/* ioloop_test:test_set_default_executor: here the resolver is told which one to use. */
static void the_executor_that_was_given_is_used_and_its_queue_is_the_limit(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop_with_clock();
    struct ioexecutor *executor = new_executor(1, 1);
    struct resolver *resolver = new_resolver(executor);
    struct answer answers[4] = { { .error = 1 } };

    ask(resolver, loop, "blocked.test", &answers[0]);
    ask(resolver, loop, "many.test", &answers[1]);
    assert_int_equal(resolver_resolve(resolver, loop, "many.test", 80, AF_UNSPEC, 0, on_resolved, &answers[2]), 0);
    assert_int_equal(errno, EAGAIN);
    ask(resolver, loop, "127.0.0.1", &answers[3]);
    testing_run_until(loop, &answers[3].done);
    assert_int_equal(answers[1].told, 0);
    open_gate();
    testing_run_until(loop, &answers[1].done);
    assert_int_equal(answers[0].told, 1);
    now += 11;
    testing_spin(loop, 2);
    assert_int_equal(answers[2].told, 0); /* its deadline is not there either */
    resolver_close(resolver);
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void *resolve_on_a_thread(void *arg)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct resolver *resolver = resolver_new(arg);

    for (int i = 0; i < 300; i++) {
        struct answer answer = { .error = 1 };
        uint64_t id =
            resolver_resolve(resolver, loop, i % 2 ? "many.test" : "127.0.0.1", 80, AF_UNSPEC, 0, on_resolved, &answer);

        if (i % 5 == 0)
            resolver_cancel(loop, id);
        while (id != 0 && !answer.done)
            ioloop_run_once(loop, 0.1);
    }
    resolver_close(resolver);
    ioloop_close(loop, false);
    return NULL;
}

static void loops_of_several_threads_resolve_at_the_same_time(void **state)
{
    long before = faults_allocated();
    struct ioexecutor *executor = new_executor(2, 0);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_on_a_thread, executor), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ioexecutor_close(executor, true);
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(lists_out, 0);
    assert_int_equal(faults_allocated(), before);
}

/* Under ThreadSanitizer the child of a process with threads cannot start one. */
void __tsan_init(void) __attribute__((weak));

static int resolve_in_child(struct ioloop *loop, struct answer *parents, long before)
{
    struct answer answer = { .error = 1 };

    if (ioloop_reopen(loop) != 0)
        return 1;
    if (resolver_resolve(NULL, loop, "many.test", 80, AF_UNSPEC, 0, on_resolved, &answer) == 0)
        return 2;
    for (int i = 0; i < 500 && !answer.done; i++)
        ioloop_run_once(loop, 0.01);
    if (answer.error != 0 || answer.count != 2)
        return 3;
    if (parents->told != 0)
        return 4;
    now += 11; /* its thread is not here */
    ioloop_run_once(loop, 0);
    ioloop_run_once(loop, 0);
    if (parents->told != 1 || parents->error != -ETIMEDOUT)
        return 5;
    ioloop_close(loop, false);
    ioexecutor_close(ioexecutor_default(), true);
    return faults_allocated() == before ? 0 : 6;
}

static void a_child_resolves_anew_and_the_parents_query_ends_by_its_deadline(void **state)
{
    if (__tsan_init != NULL)
        skip();
    long before = faults_allocated();
    struct ioloop *loop = new_loop_with_clock();
    struct answer answer = { .error = 1 };
    int status;

    ask(NULL, loop, "blocked.test", &answer);
    await_entered(1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(10);
        _exit(resolve_in_child(loop, &answer, before));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    open_gate();
    testing_run_until(loop, &answer.done);
    assert_int_equal(answer.error, 0);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static atomic_bool forking_done;

static void *resolve_literals(void *arg)
{
    struct ioloop *loop = ioloop_new(NULL);

    while (!forking_done) {
        struct answer answer = { .error = 1 };

        for (int i = 0; i < 10; i++)
            resolver_cancel(loop, 0);
        resolver_resolve(NULL, loop, "127.0.0.1", 80, AF_UNSPEC, 0, on_resolved, &answer);
        while (!answer.done)
            ioloop_run_once(loop, 0);
    }
    ioloop_close(loop, false);
    return NULL;
}

static void forks_in_the_middle_find_no_lock_taken(void **state)
{
    struct ioloop *loop = new_loop();
    pthread_t threads[2];
    int status;

    forking_done = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_literals, NULL), 0);
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(5);
            resolver_cancel(loop, 0);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    forking_done = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    end(loop);
}

/* Shortages. */

/* A name, a literal, an override and one that is cancelled: what was accepted is told once, whatever fails. */
static void scenario(void)
{
    static const char *const hosts[] = { "many.test", "127.0.0.1", "host.test", "many.test" };
    struct answer answers[4] = { { .told = 0 } };
    bool accepted[4] = { false };
    struct ioloop *loop = ioloop_new(NULL);
    struct resolver *resolver = resolver_new(NULL);

    if (loop != NULL && resolver != NULL &&
        resolver_add_override(resolver, "host.test", 80, AF_UNSPEC, "many.test", 0) == 0) {
        for (int i = 0; i < 4; i++) {
            uint64_t id = resolver_resolve(resolver, loop, hosts[i], 80, AF_UNSPEC, 0, on_resolved, &answers[i]);

            accepted[i] = id != 0;
            assert_true(accepted[i] || errno == ENOMEM || errno == EAGAIN);
            if (i == 3)
                resolver_cancel(loop, id);
        }
    }
    for (int i = 0; i < 4; i++) {
        if (accepted[i])
            testing_run_until(loop, &answers[i].done);
    }
    if (resolver != NULL)
        resolver_close(resolver);
    if (loop != NULL)
        ioloop_close(loop, false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(answers[i].told, accepted[i]);
    struct ioexecutor *executor = ioexecutor_default();
    if (executor != NULL)
        ioexecutor_close(executor, true);
    assert_int_equal(lists_out, 0);
}

/* Of the last round only what a loop may have dropped can be there still; a close takes it. */
static void check_nothing_is_left(long before)
{
    faults_end();
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(faults_allocated(), before);
}

static void survives_any_allocation_that_fails(void **state)
{
    long before = faults_allocated();
    int nth = 1;

    for (bool hit = true; hit; nth++) {
        faults_allocation(nth, false);
        scenario();
        hit = faults_hit();
        check_nothing_is_left(before);
    }
    assert_in_range(nth, 15, 200);
}

static void survives_any_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } calls[] = { { "pthread_create", EAGAIN }, { "getaddrinfo", EAI_AGAIN }, { "getaddrinfo", EAI_MEMORY },
                  { "epoll_create1", EMFILE },  { "eventfd", EMFILE },        { "epoll_ctl", ENOMEM } };
    long before = faults_allocated();
    int fds = testing_count_fds();

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bool hit = true;

        for (int nth = 1; hit; nth++) {
            faults_system_call(calls[i].name, calls[i].error, nth);
            scenario();
            hit = faults_hit();
            check_nothing_is_left(before);
            assert_int_equal(testing_count_fds(), fds);
        }
        faults_system_call_sticky(calls[i].name, calls[i].error, 1);
        scenario();
        check_nothing_is_left(before);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(localhost_is_a_loopback_address),
    cmocka_unit_test(a_bad_host_is_an_error),
    cmocka_unit_test(each_address_comes_once_and_in_order),
    cmocka_unit_test(what_has_been_told_is_freed),
    cmocka_unit_test(errors_of_the_system_become_ours),
    cmocka_unit_test(what_cannot_be_asked_is_not_accepted),
    cmocka_unit_test(literals_are_answered_in_the_next_iteration),
    cmocka_unit_test(literals_of_the_other_family_are_no_host),
    cmocka_unit_test(literals_may_have_a_scope),
    cmocka_unit_test(overrides_may_differ_by_family),
    cmocka_unit_test(the_most_specific_override_wins),
    cmocka_unit_test(an_override_leads_to_a_name_but_to_no_other_override),
    cmocka_unit_test(overrides_are_checked),
    cmocka_unit_test(a_deadline_ends_a_query_whose_answer_does_not_come),
    cmocka_unit_test(cancelled_queries_say_so_from_the_loop),
    cmocka_unit_test(cancelling_what_is_not_there_is_fine),
    cmocka_unit_test(cancelling_beats_an_answer_that_is_on_its_way),
    cmocka_unit_test(queries_may_start_from_their_callbacks),
    cmocka_unit_test(closing_a_resolver_ends_its_queries_only),
    cmocka_unit_test(closing_the_executor_ends_what_waits_there),
    cmocka_unit_test(closing_the_loop_ends_all_queries),
    cmocka_unit_test(what_a_query_gave_up_may_come_after_the_loop),
    cmocka_unit_test(a_loop_that_closes_takes_no_more_queries),
    cmocka_unit_test(a_query_may_be_cancelled_while_the_loop_closes),
    cmocka_unit_test(many_queries_are_each_told_once),
    cmocka_unit_test(the_executor_that_was_given_is_used_and_its_queue_is_the_limit),
    cmocka_unit_test(loops_of_several_threads_resolve_at_the_same_time),
    cmocka_unit_test(a_child_resolves_anew_and_the_parents_query_ends_by_its_deadline),
    cmocka_unit_test(forks_in_the_middle_find_no_lock_taken),
    cmocka_unit_test(survives_any_allocation_that_fails),
    cmocka_unit_test(survives_any_call_that_fails),
};

int main(void)
{
    find_real_functions();
    faults_allocated(); /* counts from here on */
    return testing_run(__FILE__, tests, sizeof tests / sizeof *tests);
}
