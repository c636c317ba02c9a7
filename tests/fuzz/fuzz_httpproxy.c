/* PROXY headers, and the lists of X-Forwarded-For. The first byte chooses, the second is the place of a split.
 *
 * What has to hold: every way to take the bytes has the same outcome; a header is no larger than the limits; what is
 * read as an address is one. Of a list: what is said to be the client is in the list, as an address, and the trusted
 * ones are only when all are trusted. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpproxy.h"
#include "ioloop/netutil.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 2 };

/* A copy of its own, so that no byte behind it can be read unseen. */
static int parse_copy(const uint8_t *bytes, size_t length, struct httpproxy_address *address)
{
    uint8_t *copy = malloc(length + (length == 0));

    require(copy != NULL);
    memcpy(copy, bytes, length);
    int size = httpproxy_parse(copy, length, address);
    free(copy);
    return size;
}

static void require_sound(const uint8_t *bytes, int size, const struct httpproxy_address *address)
{
    char text[160];

    require(size >= 15 && size <= (bytes[0] == 'P' ? (int)HTTPPROXY_MAX_LINE : (int)HTTPPROXY_MAX_HEADER));
    require(bytes[0] != 'P' || memcmp(bytes + size - 2, "\r\n", 2) == 0);
    switch (address->remote.ss_family) {
    case AF_UNSPEC:
        require(address->length == 0);
        return;
    case AF_INET:
    case AF_INET6:
    case AF_UNIX:
        require(address->length > 0 && address->length <= sizeof address->remote);
        require(netutil_format_address((const struct sockaddr *)&address->remote, address->length, text, sizeof text) ==
                strlen(text));
        return;
    default:
        abort();
    }
}

static void check_header(const uint8_t *bytes, size_t length, size_t split)
{
    struct httpproxy_address whole, part;
    int size = parse_copy(bytes, length, &whole);
    int early = parse_copy(bytes, split, &part);

    require(size == -EINVAL || (size >= 0 && (size_t)size <= length));
    require(early == 0 || early == size);
    require(size != 0 || length < HTTPPROXY_MAX_HEADER);
    if (size <= 0)
        return;
    require_sound(bytes, size, &whole);
    require(parse_copy(bytes, (size_t)size, &part) == size && memcmp(&part, &whole, sizeof part) == 0);
    require(parse_copy(bytes, (size_t)size - 1, &part) == 0);
}

/* Is it among the first so many members of the list, apart from how it is written? */
static bool is_member(const char *list, const char *wanted, int limit)
{
    char *copy = strdup(list), *rest = copy, *entry;
    bool is_found = false;

    require(copy != NULL);
    while (!is_found && limit-- > 0 && (entry = strsep(&rest, ",")) != NULL) {
        char address[INET6_ADDRSTRLEN];
        entry += strspn(entry, " \t");
        entry[strcspn(entry, " \t")] = '\0';
        is_found = httpproxy_forwarded_ip(NULL, entry, NULL, 0, address) && strcmp(address, wanted) == 0;
    }
    free(copy);
    return is_found;
}

static bool is_among(const char *address, const char *const *addresses, size_t count)
{
    while (count-- > 0)
        if (strcmp(address, addresses[count]) == 0)
            return true;
    return false;
}

static void check_list(const char *list)
{
    static const char *const trusted[] = { "10.0.0.1", "::1", "no address" };
    char last[INET6_ADDRSTRLEN], client[INET6_ADDRSTRLEN], again[INET6_ADDRSTRLEN];
    bool has_last = httpproxy_forwarded_ip(list, NULL, NULL, 0, last);
    bool has_client = httpproxy_forwarded_ip(list, NULL, trusted, 3, client);
    const char *scheme = httpproxy_scheme(NULL, list);

    require(scheme == NULL || strstr(list, scheme) != NULL);
    require(has_last || !has_client);
    if (!has_client)
        return;
    require(netutil_is_valid_ip(client) && netutil_is_valid_ip(last));
    require(is_member(list, client, INT_MAX) && is_member(list, last, INT_MAX));
    require(httpproxy_forwarded_ip(NULL, client, NULL, 0, again) && strcmp(client, again) == 0);
    require(is_among(last, trusted, 3) || strcmp(client, last) == 0);
    require(!is_among(client, trusted, 3) || is_member(list, client, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS)
        return 0;
    const uint8_t *bytes = data + SETTINGS;
    size_t length = size - SETTINGS;
    if (data[0] % 2 == 0) {
        check_header(bytes, length, data[1] * (length + 1) / 256);
        return 0;
    }
    char *list = malloc(length + 1);
    require(list != NULL);
    memcpy(list, bytes, length);
    list[length] = '\0';
    check_list(list);
    free(list);
    return 0;
}
