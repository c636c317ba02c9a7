#include "ioloop/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

#define DEFAULT_TIMEOUT 10.0
#define LONGEST_HOST    253
#define NOT_A_LITERAL   1
#define BUCKETS         64

struct override {
    struct override *next;
    int port, family, to_port;
    const char *to_host; /* behind host */
    char host[];
};

struct resolver {
    struct ioexecutor *executor;
    struct override *overrides; /* newest first */
    struct query *queries;
};

/* Who frees a query when its loop closes: of the loop and the thread, whoever is done with it last. */
enum lookup { LOOKUP_UNDER_WAY, LOOKUP_DONE, LOOKUP_ABANDONED };

struct query {
    struct query *next;                    /* in its bucket */
    struct query *sibling, **sibling_link; /* of the same resolver. link NULL: not in that list */
    struct loopmember member;
    struct looptask task; /* tells error */
    struct ioloop *loop;
    uint64_t id;
    uint64_t timeout;
    resolver_fn *callback; /* NULL: told. Then the query only waits for its job */
    void *arg;
    int error;
    struct ioexecutor *executor;
    uint64_t job; /* 0: none that has not reported */
    atomic_int lookup;
    /* From here on the thread's, until the lookup is done. */
    int lookup_error;
    struct resolver_address *addresses;
    size_t count;
    int port, family;
    char host[];
};

/* The queries that can be cancelled, by id, of all loops. Each is used on its loop's thread only, but the chains are
 * walked by all: that is what the lock is for. */
static pthread_mutex_t buckets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct query *buckets[BUCKETS];
static uint64_t last_query;

static void lock_buckets(void)
{
    pthread_mutex_lock(&buckets_lock);
}

static void unlock_buckets(void)
{
    pthread_mutex_unlock(&buckets_lock);
}

static void keep_buckets_whole_in_forks(void)
{
    pthread_atfork(lock_buckets, unlock_buckets, unlock_buckets);
}

static void enter_bucket(struct query *query)
{
    lock_buckets();
    query->id = ++last_query;
    query->next = buckets[query->id % BUCKETS];
    buckets[query->id % BUCKETS] = query;
    unlock_buckets();
}

/* Takes out and answers the query of that loop and id, if it is there. */
static struct query *leave_bucket(struct ioloop *loop, uint64_t id)
{
    struct query **link = &buckets[id % BUCKETS];

    lock_buckets();
    while (*link != NULL && ((*link)->id != id || (*link)->loop != loop))
        link = &(*link)->next;
    struct query *query = *link;
    if (query != NULL)
        *link = query->next;
    unlock_buckets();
    return query;
}

/* Overrides. */

static bool is_valid_name(const char *host, int port, int family)
{
    return host != NULL && host[0] != '\0' && strlen(host) <= LONGEST_HOST && port >= 0 && port <= 65535 &&
           (family == AF_UNSPEC || family == AF_INET || family == AF_INET6);
}

struct resolver *resolver_new(struct ioexecutor *executor)
{
    struct resolver *resolver = ioalloc(sizeof *resolver);

    if (resolver == NULL)
        return errno = ENOMEM, NULL;
    *resolver = (struct resolver){ .executor = executor };
    return resolver;
}

int resolver_add_override(struct resolver *resolver, const char *host, int port, int family, const char *to_host,
                          int to_port)
{
    if (!is_valid_name(host, port, family) || !is_valid_name(to_host, to_port, AF_UNSPEC))
        return -EINVAL;
    size_t size = strlen(host) + 1, to_size = strlen(to_host) + 1;
    struct override *override = ioalloc(sizeof *override + size + to_size);
    if (override == NULL)
        return -ENOMEM;
    *override = (struct override){ resolver->overrides, port, family, to_port, override->host + size };
    memcpy(override->host, host, size);
    memcpy(override->host + size, to_host, to_size);
    resolver->overrides = override;
    return 0;
}

static char lower_ascii(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Whatever the locale takes for a letter. */
static bool is_same_name(const char *a, const char *b)
{
    while (*a != '\0' && lower_ascii(*a) == lower_ascii(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

static const struct override *find_override(const struct resolver *resolver, const char *host, int port, int family)
{
    const struct override *best = NULL;
    int best_rank = -1;

    for (const struct override *entry = resolver->overrides; entry != NULL; entry = entry->next) {
        int rank = 2 * (entry->port != 0) + (entry->family != AF_UNSPEC);

        if (rank > best_rank && is_same_name(entry->host, host) && (entry->port == 0 || entry->port == port) &&
            (entry->family == AF_UNSPEC || entry->family == family)) {
            best = entry;
            best_rank = rank;
        }
    }
    return best;
}

/* Queries. */

static struct query *query_of_member(struct loopmember *member)
{
    return (struct query *)((char *)member - offsetof(struct query, member));
}

static struct query *query_of_task(struct looptask *task)
{
    return (struct query *)((char *)task - offsetof(struct query, task));
}

/* From the loop, or, when that has abandoned it, from the thread. */
static void free_query(struct query *query)
{
    ioalloc_free(query->addresses);
    ioalloc_free(query);
}

/* From here on it is neither found nor timed out. */
static void stop_query(struct query *query)
{
    leave_bucket(query->loop, query->id);
    ioloop_remove_timeout(query->loop, query->timeout);
    query->timeout = 0;
    if (query->sibling_link == NULL)
        return;
    *query->sibling_link = query->sibling;
    if (query->sibling != NULL)
        query->sibling->sibling_link = query->sibling_link;
    query->sibling_link = NULL;
}

/* When nothing reports to the loop any more. */
static void abandon_query(struct query *query)
{
    bool running = query->job != 0 && ioexecutor_cancel(query->executor, query->job) == -EBUSY;

    if (!running || atomic_exchange(&query->lookup, LOOKUP_ABANDONED) == LOOKUP_DONE)
        free_query(query);
}

static bool is_member(const struct query *query)
{
    return query->member.link != NULL;
}

/* The way into user code. The query then is free, or waits for its job, or is the thread's to free. */
static void tell_resolved(struct query *query, int error)
{
    resolver_fn *callback = query->callback;

    stop_query(query);
    query->callback = NULL;
    callback(error, error == 0 ? query->addresses : NULL, error == 0 ? query->count : 0, query->arg);
    if (query->job == 0) {
        loopmember_remove(&query->member);
        free_query(query);
    } else if (!is_member(query)) {
        abandon_query(query);
    }
}

static void tell_from_task(struct looptask *task)
{
    struct query *query = query_of_task(task);

    tell_resolved(query, query->error);
}

static void tell_soon(struct query *query, int error)
{
    query->error = error;
    looptask_add(query->loop, &query->task);
}

/* Also a job that never starts reports. */
static void cancel_job(struct query *query)
{
    if (query->job != 0)
        ioexecutor_cancel(query->executor, query->job);
}

static void cancel_query(struct query *query)
{
    stop_query(query);
    cancel_job(query);
    tell_soon(query, -ECANCELED);
}

static void on_query_timeout(void *arg)
{
    struct query *query = arg;

    cancel_job(query);
    tell_resolved(query, -ETIMEDOUT);
}

static void on_loop_close(struct loopmember *member)
{
    struct query *query = query_of_member(member);

    loopmember_remove(member);
    if (query->callback != NULL)
        cancel_query(query);
    else
        abandon_query(query);
}

static void on_looked_up(int error, void *arg)
{
    struct query *query = arg;

    query->job = 0;
    if (query->callback == NULL) {
        loopmember_remove(&query->member);
        free_query(query);
    } else if (!looptask_waits(&query->task)) {
        tell_resolved(query, error != 0 ? error : query->lookup_error);
    }
}

/* Addresses. */

static bool has_address(const struct query *query, const struct resolver_address *wanted)
{
    for (size_t i = 0; i < query->count; i++) {
        if (memcmp(&query->addresses[i], wanted, sizeof *wanted) == 0)
            return true;
    }
    return false;
}

/* Into the array, which has room for it; each address once: /etc/hosts may name it twice. */
static void add_address(struct query *query, const struct sockaddr *address, socklen_t length)
{
    struct resolver_address entry;

    memset(&entry, 0, sizeof entry);
    memcpy(&entry.address, address, length);
    entry.length = length;
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)&entry.address)->sin_port = htons((uint16_t)query->port);
    else
        ((struct sockaddr_in6 *)&entry.address)->sin6_port = htons((uint16_t)query->port);
    if (!has_address(query, &entry))
        query->addresses[query->count++] = entry;
}

static bool is_usable(const struct addrinfo *info)
{
    return info->ai_family == AF_INET || info->ai_family == AF_INET6;
}

static int copy_addresses(struct query *query, const struct addrinfo *list)
{
    size_t count = 0;

    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next)
        count += is_usable(info);
    if (count == 0)
        return -ENXIO;
    query->addresses = ioalloc_array_resize(NULL, count, sizeof *query->addresses);
    if (query->addresses == NULL)
        return -ENOMEM;
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        if (is_usable(info))
            add_address(query, info->ai_addr, info->ai_addrlen);
    }
    return 0;
}

static int to_errno(int error, int system_error)
{
    switch (error) {
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return system_error > 0 ? -system_error : -ENXIO;
    default:
        return -ENXIO;
    }
}

/* One kind of socket, or each address comes once for each. */
static int ask_system(struct query *query, int flags)
{
    struct addrinfo hints = { .ai_family = query->family, .ai_socktype = SOCK_STREAM, .ai_flags = flags };
    struct addrinfo *list = NULL;
    int error = getaddrinfo(query->host, NULL, &hints, &list);

    if (error != 0)
        return to_errno(error, errno);
    error = copy_addresses(query, list);
    freeaddrinfo(list);
    return error;
}

/* On a thread. */
static void look_up(void *arg)
{
    struct query *query = arg;

    query->lookup_error = ask_system(query, 0);
    if (atomic_exchange(&query->lookup, LOOKUP_DONE) == LOOKUP_ABANDONED)
        free_query(query);
}

static int add_literal(struct query *query, const struct sockaddr *address, socklen_t length)
{
    if (query->family != AF_UNSPEC && query->family != address->sa_family)
        return -ENXIO;
    query->addresses = ioalloc(sizeof *query->addresses);
    if (query->addresses == NULL)
        return -ENOMEM;
    add_address(query, address, length);
    return 0;
}

/* Only a scope ("fe80::1%eth0") has to be looked for, and that among the interfaces of this machine. */
static int read_literal(struct query *query)
{
    struct sockaddr_in ipv4 = { .sin_family = AF_INET };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, query->host, &ipv4.sin_addr) == 1)
        return add_literal(query, (struct sockaddr *)&ipv4, sizeof ipv4);
    if (inet_pton(AF_INET6, query->host, &ipv6.sin6_addr) == 1)
        return add_literal(query, (struct sockaddr *)&ipv6, sizeof ipv6);
    if (strchr(query->host, ':') != NULL)
        return ask_system(query, AI_NUMERICHOST);
    return NOT_A_LITERAL;
}

/* Asking. */

static struct query *new_query(struct ioloop *loop, const char *host, int port, int family)
{
    size_t size = strlen(host) + 1;
    struct query *query = ioalloc_zeroed(sizeof *query + size);

    if (query == NULL)
        return NULL;
    query->loop = loop;
    query->member.close = on_loop_close;
    query->task.run = tell_from_task;
    query->port = port;
    query->family = family;
    atomic_init(&query->lookup, LOOKUP_UNDER_WAY);
    memcpy(query->host, host, size);
    return query;
}

/* A literal needs no timeout, its task comes first; but asking for one shows whether the loop is closing. */
static int start_query(struct query *query, struct resolver *resolver, double timeout)
{
    query->timeout = ioloop_call_later(query->loop, timeout, on_query_timeout, query);
    if (query->timeout == 0)
        return -errno;
    int error = read_literal(query);
    if (error != NOT_A_LITERAL) {
        tell_soon(query, error);
        return 0;
    }
    query->executor = resolver != NULL && resolver->executor != NULL ? resolver->executor : ioexecutor_default();
    if (query->executor == NULL)
        return -errno;
    query->job = ioexecutor_submit(query->executor, query->loop, look_up, on_looked_up, query);
    return query->job != 0 ? 0 : -errno;
}

static void add_sibling(struct resolver *resolver, struct query *query)
{
    query->sibling = resolver->queries;
    query->sibling_link = &resolver->queries;
    if (query->sibling != NULL)
        query->sibling->sibling_link = &query->sibling;
    resolver->queries = query;
}

uint64_t resolver_resolve(struct resolver *resolver, struct ioloop *loop, const char *host, int port, int family,
                          double timeout, resolver_fn *callback, void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct override *override;

    if (!is_valid_name(host, port, family))
        return errno = EINVAL, 0;
    override = resolver != NULL ? find_override(resolver, host, port, family) : NULL;
    if (override != NULL) {
        host = override->to_host;
        port = override->to_port != 0 ? override->to_port : port;
    }
    pthread_once(&once, keep_buckets_whole_in_forks);
    struct query *query = new_query(loop, host, port, family);
    if (query == NULL)
        return errno = ENOMEM, 0;
    query->callback = callback;
    query->arg = arg;
    int error = start_query(query, resolver, timeout != 0 ? timeout : DEFAULT_TIMEOUT);
    if (error < 0) {
        ioloop_remove_timeout(loop, query->timeout);
        free_query(query);
        return errno = -error, 0;
    }
    loopmember_add(loop, &query->member);
    if (resolver != NULL)
        add_sibling(resolver, query);
    enter_bucket(query);
    return query->id;
}

void resolver_cancel(struct ioloop *loop, uint64_t id)
{
    struct query *query = leave_bucket(loop, id);

    if (query != NULL)
        cancel_query(query);
}

void resolver_close(struct resolver *resolver)
{
    while (resolver->queries != NULL)
        cancel_query(resolver->queries);
    while (resolver->overrides != NULL) {
        struct override *override = resolver->overrides;

        resolver->overrides = override->next;
        ioalloc_free(override);
    }
    ioalloc_free(resolver);
}
