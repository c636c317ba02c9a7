#include "httpserver/webfilecache.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"

#define FRESH_SECONDS   1.0
#define SETTLED_SECONDS 2 /* the clocks of some file systems do not go finer */

struct webfilecache_entry {
    struct webfilecache_entry *next;
    struct webfile file;
    struct webfilecache_headers headers;
    double looked_at;
    bool is_settled; /* what is changed from now on has another time */
    bool no_links;
    bool is_dropped; /* and freed when nobody holds it any more */
    unsigned holders;
    unsigned codings;
    size_t size; /* of all this */
    size_t path_length;
    char bytes[]; /* path, root, content: the first two are strings */
};

struct webfilecache {
    struct webfilecache_entry *first; /* the one served last */
    unsigned count;
    size_t size;
};

struct webfilecache *webfilecache_new(void)
{
    return ioalloc_zeroed(sizeof(struct webfilecache));
}

/* Takes it out of the list, of which *link is the pointer to it. */
static struct webfilecache_entry *take_entry(struct webfilecache *cache, struct webfilecache_entry **link)
{
    struct webfilecache_entry *entry = *link;

    *link = entry->next;
    cache->count--;
    cache->size -= entry->size;
    return entry;
}

static void put_entry_first(struct webfilecache *cache, struct webfilecache_entry *entry)
{
    entry->next = cache->first;
    cache->first = entry;
    cache->count++;
    cache->size += entry->size;
}

static void free_entry(struct webfilecache_entry *entry)
{
    if (entry == NULL)
        return;
    entry->is_dropped = true;
    if (entry->holders > 0)
        return;
    httpheaders_free(&entry->headers.list);
    ioalloc_free(entry);
}

void webfilecache_release(void *content, void *hold)
{
    struct webfilecache_entry *entry = hold;

    entry->holders--;
    if (entry->is_dropped)
        free_entry(entry);
}

void webfilecache_free(struct webfilecache *cache)
{
    while (cache != NULL && cache->first != NULL)
        free_entry(take_entry(cache, &cache->first));
    ioalloc_free(cache);
}

static const char *root_of(const struct webfilecache_entry *entry)
{
    return entry->bytes + entry->path_length + 1;
}

static const char *content_of(const struct webfilecache_entry *entry)
{
    return entry->bytes + entry->size - sizeof *entry - entry->file.size;
}

static bool is_of_key(const struct webfilecache_entry *entry, const struct webfilecache_key *key, size_t length)
{
    return entry->path_length == length && memcmp(entry->bytes, key->path, length) == 0 &&
           entry->codings == key->codings && entry->no_links == key->no_links && strcmp(root_of(entry), key->root) == 0;
}

/* Where the list has it; NULL: nowhere. */
static struct webfilecache_entry **find_entry(struct webfilecache *cache, const struct webfilecache_key *key)
{
    size_t length = strlen(key->path);

    for (struct webfilecache_entry **link = &cache->first; *link != NULL; link = &(*link)->next) {
        if (is_of_key(*link, key, length))
            return link;
    }
    return NULL;
}

const char *webfilecache_find(struct webfilecache *cache, const struct webfilecache_key *key, double now,
                              struct webfile *file)
{
    struct webfilecache_entry **link = find_entry(cache, key);

    if (link == NULL || now - (*link)->looked_at >= FRESH_SECONDS)
        return NULL;
    if (link != &cache->first)
        put_entry_first(cache, take_entry(cache, link));
    *file = cache->first->file;
    return content_of(cache->first);
}

const char *webfilecache_hold(struct webfilecache *cache, const void *owner, const char *path, size_t length,
                              double now, size_t *size, const struct httpheaders **headers, void **hold)
{
    struct webfilecache_entry **link = &cache->first, *entry;

    for (; (entry = *link) != NULL; link = &entry->next) {
        if (entry->headers.owner == owner && entry->path_length == length && memcmp(entry->bytes, path, length) == 0)
            break;
    }
    if (entry == NULL || now - entry->looked_at >= FRESH_SECONDS)
        return NULL;
    if (link != &cache->first)
        put_entry_first(cache, take_entry(cache, link));
    entry->holders++;
    *size = (size_t)entry->file.size;
    *headers = &entry->headers.list;
    *hold = entry;
    return content_of(entry);
}

static struct webfilecache_entry *read_entry(const struct webfilecache_key *key, const struct webfile *file)
{
    size_t path_length = strlen(key->path), root_size = strlen(key->root) + 1;
    size_t size = sizeof(struct webfilecache_entry) + path_length + 1 + root_size + (size_t)file->size;
    struct webfilecache_entry *entry = ioalloc(size);

    if (entry == NULL)
        return errno = ENOMEM, NULL;
    *entry = (struct webfilecache_entry){
        .file = *file,
        .no_links = key->no_links,
        .codings = key->codings,
        .size = size,
        .path_length = path_length,
    };
    entry->file.fd = -1;
    memcpy(entry->bytes, key->path, path_length + 1);
    memcpy(entry->bytes + path_length + 1, key->root, root_size);
    int error = webfile_read(file, entry->bytes + path_length + 1 + root_size);
    if (error == 0)
        return entry;
    ioalloc_free(entry);
    return errno = -error, NULL;
}

/* Not the time of modification: those who unpack files set it, and so it may be old, and that of the version before.
 * One in the future is not what is said of the file, until it has come. */
static bool is_settled(const struct webfile *file, int64_t wall_now)
{
    return file->changed_seconds <= wall_now - SETTLED_SECONDS && file->seconds <= wall_now;
}

static void drop_last(struct webfilecache *cache)
{
    struct webfilecache_entry **link = &cache->first;

    while ((*link)->next != NULL)
        link = &(*link)->next;
    free_entry(take_entry(cache, link));
}

static void make_room_in_cache(struct webfilecache *cache, size_t size)
{
    while (cache->count >= WEBFILECACHE_MAX_FILES || (cache->count > 0 && cache->size + size > WEBFILECACHE_MAX_SIZE))
        drop_last(cache);
}

const char *webfilecache_load(struct webfilecache *cache, const struct webfilecache_key *key, double now,
                              int64_t wall_now, const struct webfile *file)
{
    struct webfilecache_entry **link = find_entry(cache, key);
    struct webfilecache_entry *entry = link != NULL ? take_entry(cache, link) : NULL;

    if (entry != NULL && !(entry->is_settled && webfile_is_same(file, &entry->file))) {
        free_entry(entry);
        entry = NULL;
    }
    if (entry == NULL) {
        entry = read_entry(key, file);
        if (entry == NULL)
            return NULL;
        entry->is_settled = is_settled(file, wall_now);
        make_room_in_cache(cache, entry->size);
    }
    entry->looked_at = now;
    put_entry_first(cache, entry);
    return content_of(entry);
}

struct webfilecache_headers *webfilecache_headers(struct webfilecache *cache)
{
    return &cache->first->headers;
}

size_t webfilecache_size(const struct webfilecache *cache)
{
    return cache->size;
}
