#include "httpserver/httpaddresses.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "ioloop/ioalloc.h"

#define LEAST_ENTRIES 64

/* 24 bytes where a sockaddr_storage has 128: there is one for each connection. */
struct httpaddresses_entry {
    uint8_t ip[16];
    uint32_t scope;
    uint16_t port;      /* as it goes over the wire */
    sa_family_t family; /* AF_UNSPEC: not known */
};

/* Clients of a Unix socket have no path, but for those that have bound one. */
#define UNNAMED offsetof(struct sockaddr_un, sun_path)

static struct httpaddresses_entry pack(const struct sockaddr *address, socklen_t length)
{
    struct httpaddresses_entry entry = { .family = AF_UNSPEC };
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (length == sizeof in && address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        memcpy(entry.ip, &in.sin_addr, sizeof in.sin_addr);
        entry.port = in.sin_port;
        entry.family = AF_INET;
    } else if (length == sizeof in6 && address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        memcpy(entry.ip, &in6.sin6_addr, sizeof in6.sin6_addr);
        entry.scope = in6.sin6_scope_id;
        entry.port = in6.sin6_port;
        entry.family = AF_INET6;
    } else if (length == UNNAMED && address->sa_family == AF_UNIX) {
        entry.family = AF_UNIX;
    }
    return entry;
}

static socklen_t unpack(const struct httpaddresses_entry *entry, struct sockaddr_storage *address)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = entry->port };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = entry->port, .sin6_scope_id = entry->scope };

    switch (entry->family) {
    case AF_INET:
        memcpy(&in.sin_addr, entry->ip, sizeof in.sin_addr);
        memcpy(address, &in, sizeof in);
        return sizeof in;
    case AF_INET6:
        memcpy(&in6.sin6_addr, entry->ip, sizeof in6.sin6_addr);
        memcpy(address, &in6, sizeof in6);
        return sizeof in6;
    case AF_UNIX:
        address->ss_family = AF_UNIX;
        return UNNAMED;
    default:
        return 0;
    }
}

/* Descriptors are the lowest numbers that are free, so this has hardly more entries than there are. */
static int grow_entries(struct httpaddresses *addresses, int fd)
{
    int count = addresses->count + addresses->count / 2;

    if (count <= fd)
        count = fd < LEAST_ENTRIES ? LEAST_ENTRIES : fd + 1;
    struct httpaddresses_entry *entries =
        ioalloc_array_resize(addresses->entries, (size_t)count, sizeof *addresses->entries);
    if (entries == NULL)
        return -1;
    memset(entries + addresses->count, 0, (size_t)(count - addresses->count) * sizeof *entries);
    addresses->entries = entries;
    addresses->count = count;
    return 0;
}

void httpaddresses_keep(struct httpaddresses *addresses, int fd, const struct sockaddr *address, socklen_t length)
{
    if (fd < addresses->count || grow_entries(addresses, fd) == 0)
        addresses->entries[fd] = pack(address, length);
}

socklen_t httpaddresses_find(const struct httpaddresses *addresses, int fd, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    return fd >= 0 && fd < addresses->count ? unpack(&addresses->entries[fd], address) : 0;
}

void httpaddresses_free(struct httpaddresses *addresses)
{
    ioalloc_free(addresses->entries);
    *addresses = (struct httpaddresses){ 0 };
}
