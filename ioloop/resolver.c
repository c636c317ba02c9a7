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

#define DEFAULT_TIMEOUT  10.0
#define LONGEST_HOST     253
#define NOT_A_LITERAL    1
#define BUCKETS          64
#define MOST_OF_ONE_NAME 4096u /* queries that wait for one lookup */

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

struct found {
    struct resolver_address *addresses; /* their ports: of the query that was told last */
    size_t count;
};

/* Who frees a lookup when its loop closes: of the loop and the thread, whoever is done with it last. */
enum lookup_state { LOOKUP_UNDER_WAY, LOOKUP_DONE, LOOKUP_ABANDONED };

/* What a thread finds out, once for all queries of its loop that want the same meanwhile. */
struct lookup {
    struct lookup *next; /* in its bucket */
    bool is_listed;
    bool is_telling;
    struct loopmember member;
    struct ioloop *loop;
    struct ioexecutor *executor;
    uint64_t job;                /* 0: it has reported */
    unsigned forks;              /* the process whose thread it is: how many forks deep */
    struct query *first, **last; /* who wants it, in their order; what points to the end of that list */
    unsigned count;              /* of these */
    atomic_int state;
    /* From here on the thread's, until it is done. */
    int error;
    struct found found;
    int family;
    char host[];
};

struct query {
    struct query *next;                    /* in its bucket */
    struct query *sibling, **sibling_link; /* of the same resolver. link NULL: not in that list */
    struct loopmember member;
    struct looptask task; /* tells error */
    struct ioloop *loop;
    uint64_t id;
    uint64_t timeout;
    resolver_fn *callback;
    void *arg;
    int error;
    int port;
    struct lookup *lookup;         /* NULL: a literal, or it has left it */
    struct query *after, **before; /* in that one's list */
    struct found found;            /* of a literal */
};

/* The queries that can be cancelled, by id, of all loops. Each is used on its loop's thread only, but the chains are
 * walked by all: that is what the lock is for. */
static pthread_mutex_t buckets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct query *buckets[BUCKETS];
static uint64_t last_query;

/* The lookups that others may join, by host, in the same way. */
static struct lookup *lookups[BUCKETS];

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

static void free_query(struct query *query)
{
    ioalloc_free(query->found.addresses);
    ioalloc_free(query);
}

static void leave_lookup(struct query *query);

/* From here on it is neither found nor timed out, and nobody looks up anything for it. */
static void stop_query(struct query *query)
{
    leave_bucket(query->loop, query->id);
    ioloop_remove_timeout(query->loop, query->timeout);
    query->timeout = 0;
    leave_lookup(query);
    if (query->sibling_link == NULL)
        return;
    *query->sibling_link = query->sibling;
    if (query->sibling != NULL)
        query->sibling->sibling_link = query->sibling_link;
    query->sibling_link = NULL;
}

/* All who ask for a name get the same addresses, each with its own port. */
static void set_ports(const struct found *found, int port)
{
    for (size_t i = 0; i < found->count; i++) {
        struct sockaddr_storage *address = &found->addresses[i].address;

        if (address->ss_family == AF_INET)
            ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
        else
            ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    }
}

/* The way into user code. found: not used with an error. The query is free then. */
static void tell_resolved(struct query *query, int error, const struct found *found)
{
    stop_query(query);
    loopmember_remove(&query->member);
    if (error == 0) {
        set_ports(found, query->port);
        query->callback(0, found->addresses, found->count, query->arg);
    } else {
        query->callback(error, NULL, 0, query->arg);
    }
    free_query(query);
}

static void tell_from_task(struct looptask *task)
{
    struct query *query = query_of_task(task);

    tell_resolved(query, query->error, &query->found);
}

static void tell_soon(struct query *query, int error)
{
    query->error = error;
    looptask_add(query->loop, &query->task);
}

static void cancel_query(struct query *query)
{
    stop_query(query);
    tell_soon(query, -ECANCELED);
}

static void on_query_timeout(void *arg)
{
    tell_resolved(arg, -ETIMEDOUT, NULL);
}

static void close_query_with_loop(struct loopmember *member)
{
    struct query *query = query_of_member(member);

    loopmember_remove(member);
    cancel_query(query);
}

/* Lookups. */

static struct lookup *lookup_of_member(struct loopmember *member)
{
    return (struct lookup *)((char *)member - offsetof(struct lookup, member));
}

static struct lookup **bucket_of_host(const char *host)
{
    unsigned hash = 0;

    for (; *host != '\0'; host++)
        hash = hash * 31 + (unsigned char)lower_ascii(*host);
    return &lookups[hash % BUCKETS];
}

static void list_lookup(struct lookup *lookup)
{
    struct lookup **bucket = bucket_of_host(lookup->host);

    lock_buckets();
    lookup->next = *bucket;
    *bucket = lookup;
    lookup->is_listed = true;
    unlock_buckets();
}

/* Nobody joins it any more. */
static void unlist_lookup(struct lookup *lookup)
{
    struct lookup **link = bucket_of_host(lookup->host);

    if (!lookup->is_listed)
        return;
    lookup->is_listed = false;
    lock_buckets();
    while (*link != lookup)
        link = &(*link)->next;
    *link = lookup->next;
    unlock_buckets();
}

/* One that is under way on this loop, and in this process. */
static struct lookup *find_lookup(struct ioloop *loop, struct ioexecutor *executor, const char *host, int family)
{
    lock_buckets();
    struct lookup *lookup = *bucket_of_host(host);
    while (lookup != NULL && (lookup->loop != loop || lookup->executor != executor || lookup->family != family ||
                              lookup->forks != loopmember_forks() || !is_same_name(lookup->host, host)))
        lookup = lookup->next;
    unlock_buckets();
    return lookup;
}

static void join_lookup(struct query *query, struct lookup *lookup)
{
    query->lookup = lookup;
    query->after = NULL;
    query->before = lookup->last;
    *lookup->last = query;
    lookup->last = &query->after;
    lookup->count++;
}

/* Takes it out of the list. */
static void part_from_lookup(struct query *query)
{
    struct lookup *lookup = query->lookup;

    *query->before = query->after;
    if (query->after != NULL)
        query->after->before = query->before;
    else
        lookup->last = query->before;
    lookup->count--;
    query->lookup = NULL;
}

/* From the loop, or, when that has abandoned it, from the thread. */
static void free_lookup(struct lookup *lookup)
{
    ioalloc_free(lookup->found.addresses);
    ioalloc_free(lookup);
}

/* What nobody wants is not begun; its job reports all the same. What a thread is at goes on, and who wants it now gets
 * it: a server of names that does not answer takes one thread a name, however often it is asked. */
static void leave_lookup(struct query *query)
{
    struct lookup *lookup = query->lookup;

    if (lookup == NULL)
        return;
    part_from_lookup(query);
    if (lookup->count > 0 || lookup->is_telling)
        return;
    if (lookup->job == 0)
        free_lookup(lookup);
    else if (ioexecutor_cancel(lookup->executor, lookup->job) == 0)
        unlist_lookup(lookup);
}

/* In a child of fork() that a callback has called the rest are the parent's, as the thread was: they time out. */
static void on_looked_up(int error, void *arg)
{
    struct lookup *lookup = arg;

    lookup->job = 0;
    loopmember_remove(&lookup->member);
    unlist_lookup(lookup);
    lookup->is_telling = true;
    while (lookup->first != NULL && !loopmember_is_stale(lookup->loop))
        tell_resolved(lookup->first, error != 0 ? error : lookup->error, &lookup->found);
    lookup->is_telling = false;
    if (lookup->count == 0)
        free_lookup(lookup);
}

/* Nothing reports to the loop any more. All who wanted it are newer members, and have left. */
static void abandon_lookup(struct loopmember *member)
{
    struct lookup *lookup = lookup_of_member(member);

    loopmember_remove(member);
    unlist_lookup(lookup);
    bool running = ioexecutor_cancel(lookup->executor, lookup->job) == -EBUSY;
    if (!running || atomic_exchange(&lookup->state, LOOKUP_ABANDONED) == LOOKUP_DONE)
        free_lookup(lookup);
}

/* Addresses. */

static bool has_address(const struct found *found, const struct resolver_address *wanted)
{
    for (size_t i = 0; i < found->count; i++) {
        if (memcmp(&found->addresses[i], wanted, sizeof *wanted) == 0)
            return true;
    }
    return false;
}

/* Into the array, which has room for it; each address once: /etc/hosts may name it twice. */
static void add_address(struct found *found, const struct sockaddr *address, socklen_t length)
{
    struct resolver_address entry;

    memset(&entry, 0, sizeof entry);
    memcpy(&entry.address, address, length);
    entry.length = length;
    if (!has_address(found, &entry))
        found->addresses[found->count++] = entry;
}

static bool is_usable(const struct addrinfo *info)
{
    return info->ai_family == AF_INET || info->ai_family == AF_INET6;
}

static int copy_addresses(struct found *found, const struct addrinfo *list)
{
    size_t count = 0;

    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next)
        count += is_usable(info);
    if (count == 0)
        return -ENXIO;
    found->addresses = ioalloc_array_resize(NULL, count, sizeof *found->addresses);
    if (found->addresses == NULL)
        return -ENOMEM;
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        if (is_usable(info))
            add_address(found, info->ai_addr, info->ai_addrlen);
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
static int ask_system(const char *host, int family, int flags, struct found *found)
{
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags };
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);

    if (error != 0)
        return to_errno(error, errno);
    error = copy_addresses(found, list);
    freeaddrinfo(list);
    return error;
}

/* On a thread. */
static void look_up(void *arg)
{
    struct lookup *lookup = arg;

    lookup->error = ask_system(lookup->host, lookup->family, 0, &lookup->found);
    if (atomic_exchange(&lookup->state, LOOKUP_DONE) == LOOKUP_ABANDONED)
        free_lookup(lookup);
}

static int add_literal(struct found *found, int family, const struct sockaddr *address, socklen_t length)
{
    if (family != AF_UNSPEC && family != address->sa_family)
        return -ENXIO;
    found->addresses = ioalloc(sizeof *found->addresses);
    if (found->addresses == NULL)
        return -ENOMEM;
    add_address(found, address, length);
    return 0;
}

/* Only a scope ("fe80::1%eth0") has to be looked for, and that among the interfaces of this machine. */
static int read_literal(const char *host, int family, struct found *found)
{
    struct sockaddr_in ipv4 = { .sin_family = AF_INET };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1)
        return add_literal(found, family, (struct sockaddr *)&ipv4, sizeof ipv4);
    if (inet_pton(AF_INET6, host, &ipv6.sin6_addr) == 1)
        return add_literal(found, family, (struct sockaddr *)&ipv6, sizeof ipv6);
    if (strchr(host, ':') != NULL)
        return ask_system(host, family, AI_NUMERICHOST, found);
    return NOT_A_LITERAL;
}

/* Asking. */

static struct query *new_query(struct ioloop *loop, int port, resolver_fn *callback, void *arg)
{
    struct query *query = ioalloc_zeroed(sizeof *query);

    if (query == NULL)
        return NULL;
    query->loop = loop;
    query->member.close = close_query_with_loop;
    query->task.run = tell_from_task;
    query->port = port;
    query->callback = callback;
    query->arg = arg;
    return query;
}

/* NULL with errno. */
static struct lookup *begin_lookup(struct ioloop *loop, struct ioexecutor *executor, const char *host, int family)
{
    size_t size = strlen(host) + 1;
    struct lookup *lookup = ioalloc_zeroed(sizeof *lookup + size);

    if (lookup == NULL)
        return errno = ENOMEM, NULL;
    lookup->loop = loop;
    lookup->executor = executor;
    lookup->member.close = abandon_lookup;
    lookup->forks = loopmember_forks();
    lookup->last = &lookup->first;
    lookup->family = family;
    memcpy(lookup->host, host, size);
    atomic_init(&lookup->state, LOOKUP_UNDER_WAY);
    lookup->job = ioexecutor_submit(executor, loop, look_up, on_looked_up, lookup);
    if (lookup->job == 0) {
        ioalloc_free(lookup);
        return NULL;
    }
    loopmember_add(loop, &lookup->member);
    list_lookup(lookup);
    return lookup;
}

static int look_up_for(struct query *query, struct ioexecutor *executor, const char *host, int family)
{
    if (executor == NULL && (executor = ioexecutor_default()) == NULL)
        return -errno;
    struct lookup *lookup = find_lookup(query->loop, executor, host, family);
    if (lookup != NULL && lookup->count >= MOST_OF_ONE_NAME)
        return -EAGAIN;
    if (lookup == NULL && (lookup = begin_lookup(query->loop, executor, host, family)) == NULL)
        return -errno;
    join_lookup(query, lookup);
    return 0;
}

/* A literal needs no timeout, its task comes first; but asking for one shows whether the loop is closing. */
static int start_query(struct query *query, const struct resolver *resolver, const char *host, int family,
                       double timeout)
{
    query->timeout = ioloop_call_later(query->loop, timeout, on_query_timeout, query);
    if (query->timeout == 0)
        return -errno;
    int error = read_literal(host, family, &query->found);
    if (error == NOT_A_LITERAL)
        return look_up_for(query, resolver != NULL ? resolver->executor : NULL, host, family);
    tell_soon(query, error);
    return 0;
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
    struct query *query = new_query(loop, port, callback, arg);
    if (query == NULL)
        return errno = ENOMEM, 0;
    int error = start_query(query, resolver, host, family, timeout != 0 ? timeout : DEFAULT_TIMEOUT);
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
