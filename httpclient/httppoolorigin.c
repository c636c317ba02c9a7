/* The origins of a pool: found by all that makes two connections different. */
#include <string.h>

#include "httpclient/httppool.h"
#include "ioloop/ioalloc.h"

/* Who chooses the names of hosts is not to choose their chains: without the secret no two are known to meet. */
static uint64_t mix_host_hash(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t hash_host(uint64_t secret, const char *bytes, size_t length)
{
    uint64_t hash = secret, word = 0;

    for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = mix_host_hash(hash, word ^ secret >> 32);
    }
    word = 0;
    memcpy(&word, bytes, length);
    return mix_host_hash(mix_host_hash(hash, word), secret);
}

static uint64_t hash_key(const struct httppool *pool, const struct httppool_key *key)
{
    char lower[256];
    size_t length = key->host.length < sizeof lower ? key->host.length : sizeof lower;

    for (size_t i = 0; i < length; i++) {
        char c = key->host.text[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    uint64_t hash = hash_host(pool->secret ^ (uint64_t)key->port ^ (uint64_t)key->connect_port << 16, lower, length);
    const char *const options[] = { key->network_interface, key->unix_path, key->proxy_host, key->proxy_authorization,
                                    key->connect_host };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i] != NULL)
            hash = hash_host(hash + i, options[i], strlen(options[i]));
    return hash;
}

static bool is_same_host(const struct httpurl_part *a, const struct httpurl_part *lower)
{
    if (a->length != lower->length)
        return false;
    if (memcmp(a->text, lower->text, a->length) == 0)
        return true;
    for (size_t i = 0; i < a->length; i++) {
        char c = a->text[i];
        if (c != lower->text[i] && !(c >= 'A' && c <= 'Z' && (c | 0x20) == lower->text[i]))
            return false;
    }
    return true;
}

static inline __attribute__((always_inline)) bool is_same_option(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_key_of(const struct httppool_key *key, const struct httppool_origin *origin)
{
    const struct httppool_key *other = &origin->key;

    return key->port == other->port && key->is_secure == other->is_secure && key->is_tunnel == other->is_tunnel &&
           key->family == other->family && key->proxy_port == other->proxy_port &&
           key->connect_port == other->connect_port && is_same_option(key->connect_host, other->connect_host) &&
           is_same_host(&key->host, &other->host) && is_same_option(key->network_interface, other->network_interface) &&
           is_same_option(key->unix_path, other->unix_path) && is_same_option(key->proxy_host, other->proxy_host) &&
           is_same_option(key->proxy_authorization, other->proxy_authorization);
}

static size_t option_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *copy_option(char **place, const char *text)
{
    char *copy = *place;
    size_t size = option_size(text);

    if (size == 0)
        return NULL;
    memcpy(copy, text, size);
    *place += size;
    return copy;
}

static struct httppool_origin *new_origin(const struct httppool_key *key)
{
    size_t size = key->host.length + 1 + option_size(key->network_interface) + option_size(key->unix_path) +
                  option_size(key->connect_host) + option_size(key->proxy_host) + option_size(key->proxy_authorization);
    struct httppool_origin *origin = ioalloc(sizeof *origin + size);

    if (origin == NULL)
        return NULL;
    memset(origin, 0, sizeof *origin);
    httppool_ring_clear(&origin->kept);
    httppool_ring_clear(&origin->parked);
    httppool_ring_clear(&origin->starved);
    origin->key = *key;
    char *place = origin->bytes;
    origin->key.host.text = place;
    for (size_t i = 0; i < key->host.length; i++) {
        char c = key->host.text[i];
        *place++ = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    *place++ = '\0';
    origin->key.network_interface = copy_option(&place, key->network_interface);
    origin->key.unix_path = copy_option(&place, key->unix_path);
    origin->key.connect_host = copy_option(&place, key->connect_host);
    origin->key.proxy_host = copy_option(&place, key->proxy_host);
    origin->key.proxy_authorization = copy_option(&place, key->proxy_authorization);
    return origin;
}

/* Twice as many chains, if there is memory for them. */
static void grow_chains(struct httppool *pool)
{
    size_t count = pool->chain_count * 2;
    struct httppool_origin **chains = ioalloc_array_resize(NULL, count, sizeof *chains);

    if (chains == NULL)
        return;
    memset(chains, 0, count * sizeof *chains);
    for (size_t i = 0; i < pool->chain_count; i++) {
        while (pool->chains[i] != NULL) {
            struct httppool_origin *origin = pool->chains[i];
            pool->chains[i] = origin->next;
            origin->next = chains[origin->hash & (count - 1)];
            chains[origin->hash & (count - 1)] = origin;
        }
    }
    ioalloc_free(pool->chains);
    pool->chains = chains;
    pool->chain_count = count;
}

static struct httppool_origin *find_or_add_origin(struct httppool *pool, const struct httppool_key *key)
{
    uint64_t hash = hash_key(pool, key);
    struct httppool_origin *origin = pool->chains[hash & (pool->chain_count - 1)];

    while (origin != NULL && !(origin->hash == hash && is_key_of(key, origin)))
        origin = origin->next;
    if (origin != NULL)
        return origin;
    origin = new_origin(key);
    if (origin == NULL)
        return NULL;
    if (pool->origin_count >= pool->chain_count)
        grow_chains(pool);
    struct httppool_origin **chain = &pool->chains[hash & (pool->chain_count - 1)];
    origin->hash = hash;
    origin->next = *chain;
    *chain = origin;
    pool->origin_count++;
    return origin;
}

struct httppool_origin *httppool_hold_origin(struct httppool *pool, const struct httppool_key *key)
{
    struct httppool_origin *origin = pool->last;

    if (origin == NULL || !is_key_of(key, origin))
        origin = find_or_add_origin(pool, key);
    if (origin == NULL)
        return NULL;
    pool->last = origin;
    origin->users++;
    return origin;
}

void httppool_leave_origin(struct httppool *pool, struct httppool_origin *origin)
{
    struct httppool_origin **link = &pool->chains[origin->hash & (pool->chain_count - 1)];

    if (--origin->users > 0)
        return;
    while (*link != origin)
        link = &(*link)->next;
    *link = origin->next;
    httppool_ring_remove(&origin->starved);
    pool->origin_count--;
    if (pool->last == origin)
        pool->last = NULL;
    ioalloc_free(origin);
}
