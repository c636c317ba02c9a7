/* Internal: fakenames.h, a name service for one test program: a file that includes this resolves names from its own
 * table, and nothing else.
 *
 *     #include "tests/support/fakenames.h"
 *     const struct fakename fakenames[] = { { "dual.test", { "::1", "127.0.0.1" } }, { NULL } };
 *
 * Literal addresses are themselves; no name at all is all interfaces; names that begin with "slow" wait until
 * fakenames_gate[0], a pipe of the test, is readable. The order is that of the table, an address may come twice, "%7"
 * at its end is its scope. */
#ifndef TESTS_SUPPORT_FAKENAMES_H
#define TESTS_SUPPORT_FAKENAMES_H

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct fakename {
    const char *name;
    const char *addresses[5];
};

/* The test's; ends with a NULL name. */
extern const struct fakename fakenames[];

struct fakename_entry {
    struct addrinfo info;
    struct sockaddr_storage address;
};

static int fakenames_gate[2] = { -1, -1 };

static bool fakenames_parse(const char *text, struct fakename_entry *entry)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&entry->address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&entry->address;
    char copy[64];

    strncpy(copy, text, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    char *scope = strchr(copy, '%');
    if (scope != NULL)
        *scope++ = '\0';
    if (inet_pton(AF_INET, copy, &ipv4->sin_addr) == 1) {
        entry->info.ai_family = ipv4->sin_family = AF_INET;
        entry->info.ai_addrlen = sizeof *ipv4;
        return true;
    }
    if (inet_pton(AF_INET6, copy, &ipv6->sin6_addr) != 1)
        return false;
    entry->info.ai_family = ipv6->sin6_family = AF_INET6;
    entry->info.ai_addrlen = sizeof *ipv6;
    ipv6->sin6_scope_id = scope != NULL ? (uint32_t)atoi(scope) : 0;
    return true;
}

static bool fakenames_add(const char *text, int family, struct addrinfo ***end)
{
    struct fakename_entry *entry = calloc(1, sizeof *entry);

    if (!fakenames_parse(text, entry) || (family != AF_UNSPEC && family != entry->info.ai_family)) {
        free(entry);
        return false;
    }
    entry->info.ai_addr = (struct sockaddr *)&entry->address;
    **end = &entry->info;
    *end = &entry->info.ai_next;
    return true;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;
        free(info);
        info = next;
    }
}

/* In the place of libc's. */
int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict result)
{
    static const char *const all[] = { "::", "0.0.0.0", NULL };
    const char *const *addresses = host == NULL ? all : NULL;
    struct addrinfo *list = NULL, **end = &list;

    if (host != NULL && fakenames_add(host, hints->ai_family, &end))
        return *result = list, 0;
    for (size_t i = 0; addresses == NULL && fakenames[i].name != NULL; i++) {
        if (strcmp(fakenames[i].name, host) == 0)
            addresses = fakenames[i].addresses;
    }
    if (addresses == NULL)
        return EAI_NONAME;
    if (host != NULL && strncmp(host, "slow", 4) == 0)
        poll(&(struct pollfd){ fakenames_gate[0], POLLIN, 0 }, 1, 20000);
    while (*addresses != NULL)
        fakenames_add(*addresses++, hints->ai_family, &end);
    return *result = list, list != NULL ? 0 : EAI_NONAME;
}

#endif
