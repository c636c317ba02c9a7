/* The addresses of netutil.h: their ports, and as texts. */
#include "ioloop/netutil.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

int netutil_port(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    default:
        return 0;
    }
}

int netutil_bound_port(int fd)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return 0;
    return netutil_port((struct sockaddr *)&address);
}

const char *netutil_format_ip(const struct sockaddr *address, char text[NETUTIL_IP_SIZE])
{
    text[0] = '\0';
    if (address->sa_family == AF_UNIX)
        memcpy(text, "0.0.0.0", sizeof "0.0.0.0");
    else if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, NETUTIL_IP_SIZE);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, NETUTIL_IP_SIZE);
    return text;
}

bool netutil_is_valid_ip(const char *text)
{
    struct in6_addr address;

    return text != NULL && (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1);
}

static void format_ipv4(const struct sockaddr_in *address, char *text, size_t size)
{
    char host[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
    snprintf(text, size, "%s:%u", host, (unsigned)ntohs(address->sin_port));
}

static void format_ipv6(const struct sockaddr_in6 *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = ntohs(address->sin6_port);

    inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof host);
    if (address->sin6_scope_id != 0)
        snprintf(text, size, "[%s%%%u]:%u", host, (unsigned)address->sin6_scope_id, port);
    else
        snprintf(text, size, "[%s]:%u", host, port);
}

/* The kernel need not end a path with NUL. The path of a client is whatever that chose. */
static void format_unix(const struct sockaddr_un *address, socklen_t length, char *text, size_t size)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t path_length = length > start ? length - start : 0;
    bool is_abstract = path_length > 1 && address->sun_path[0] == '\0';

    if (is_abstract)
        snprintf(text, size, "unix:@%.*s", (int)path_length - 1, address->sun_path + 1);
    else
        snprintf(text, size, "unix:%.*s", (int)path_length, address->sun_path);
    for (char *byte = text; *byte != '\0'; byte++) {
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    }
}

size_t netutil_format_address(const struct sockaddr *address, socklen_t length, char *text, size_t size)
{
    if (size == 0)
        return 0;
    text[0] = '\0';
    if (length < (socklen_t)sizeof(sa_family_t))
        return 0;
    if (address->sa_family == AF_INET)
        format_ipv4((const struct sockaddr_in *)address, text, size);
    else if (address->sa_family == AF_INET6)
        format_ipv6((const struct sockaddr_in6 *)address, text, size);
    else if (address->sa_family == AF_UNIX)
        format_unix((const struct sockaddr_un *)address, length, text, size);
    return strlen(text);
}
