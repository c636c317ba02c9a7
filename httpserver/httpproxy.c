#include "httpserver/httpproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

/* The PROXY protocol: chapters 2.1 and 2.2 of its specification. */

static const char signature_v1[] = "PROXY";
static const uint8_t signature_v2[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

enum {
    FIXED_PART = 16, /* of version 2: signature, version and command, family, length */
    IPV4_PART = 4 + 4 + 2 + 2,
    IPV6_PART = 16 + 16 + 2 + 2,
    UNIX_PART = 108 + 108,
};

static void keep_address(struct httpproxy_address *address)
{
    memset(address, 0, sizeof *address);
    address->remote.ss_family = AF_UNSPEC;
}

/* ip and port as they go over the wire. */
static void set_ipv4(struct httpproxy_address *address, const void *ip, const void *port)
{
    struct sockaddr_in in = { .sin_family = AF_INET };

    memcpy(&in.sin_addr, ip, 4);
    memcpy(&in.sin_port, port, 2);
    memcpy(&address->remote, &in, sizeof in);
    address->length = sizeof in;
}

static void set_ipv6(struct httpproxy_address *address, const void *ip, const void *port)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    memcpy(&in6.sin6_addr, ip, 16);
    memcpy(&in6.sin6_port, port, 2);
    memcpy(&address->remote, &in6, sizeof in6);
    address->length = sizeof in6;
}

/* The path ends with a NUL or the field. Clients of a Unix socket seldom have one. */
static void set_unix(struct httpproxy_address *address, const void *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t length = strnlen(path, sizeof un.sun_path);

    memcpy(un.sun_path, path, length);
    memcpy(&address->remote, &un, sizeof un);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

struct ip {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
};

/* A literal address and nothing else, not even a NUL in the middle. */
static bool read_ip(const char *text, size_t length, struct ip *ip)
{
    char copy[INET6_ADDRSTRLEN];

    if (length >= sizeof copy || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    memset(ip->bytes, 0, sizeof ip->bytes);
    ip->family = memchr(copy, ':', length) != NULL ? AF_INET6 : AF_INET;
    return inet_pton(ip->family, copy, ip->bytes) == 1;
}

/* What is left of a line of version 1, without its CRLF. */
struct proxy_line {
    const char *at;
    const char *end;
};

/* One blank, which the CR at the end is not, and what comes up to the next one. */
static bool read_word(struct proxy_line *line, const char **word, size_t *length)
{
    if (*line->at != ' ')
        return false;
    *word = ++line->at;
    while (line->at < line->end && *line->at != ' ')
        line->at++;
    *length = (size_t)(line->at - *word);
    return true;
}

static bool read_ip_word(struct proxy_line *line, int family, struct ip *ip)
{
    const char *word;
    size_t length;

    return read_word(line, &word, &length) && read_ip(word, length, ip) && ip->family == family;
}

/* 0 to 65535 without leading zeros, to network order. */
static bool read_port_word(struct proxy_line *line, uint8_t port[2])
{
    const char *word;
    size_t length;
    unsigned value = 0;

    if (!read_word(line, &word, &length) || length == 0 || length > 5 || (length > 1 && word[0] == '0'))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9')
            return false;
        value = value * 10 + (unsigned)(word[i] - '0');
    }
    port[0] = (uint8_t)(value >> 8);
    port[1] = (uint8_t)value;
    return value <= UINT16_MAX;
}

/* "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port, or "PROXY UNKNOWN" and anything. */
static int parse_proxy_line(struct proxy_line line, struct httpproxy_address *address)
{
    struct ip source, destination;
    uint8_t source_port[2], destination_port[2];
    const char *word;
    size_t length;

    if (!read_word(&line, &word, &length))
        return -EINVAL;
    if (length == 7 && memcmp(word, "UNKNOWN", 7) == 0)
        return 0;
    if (length != 4 || (memcmp(word, "TCP4", 4) != 0 && memcmp(word, "TCP6", 4) != 0))
        return -EINVAL;
    int family = word[3] == '4' ? AF_INET : AF_INET6;
    if (!read_ip_word(&line, family, &source) || !read_ip_word(&line, family, &destination) ||
        !read_port_word(&line, source_port) || !read_port_word(&line, destination_port) || line.at != line.end)
        return -EINVAL;
    if (family == AF_INET)
        set_ipv4(address, source.bytes, source_port);
    else
        set_ipv6(address, source.bytes, source_port);
    return 0;
}

/* The size of the line; 0 when its end has not come, -EINVAL when it has another end than CRLF, or too late. */
static int find_proxy_line(const char *bytes, size_t length)
{
    size_t at = 0;

    if (length > HTTPPROXY_MAX_LINE)
        length = HTTPPROXY_MAX_LINE;
    while (at < length && bytes[at] != '\r' && bytes[at] != '\n')
        at++;
    if (at + 1 < length)
        return memcmp(bytes + at, "\r\n", 2) == 0 ? (int)at + 2 : -EINVAL;
    if (length == HTTPPROXY_MAX_LINE || (at < length && bytes[at] == '\n'))
        return -EINVAL;
    return 0;
}

static int parse_version_1(const char *bytes, size_t length, struct httpproxy_address *address)
{
    int size = find_proxy_line(bytes, length);

    if (size <= 0)
        return size;
    int error = parse_proxy_line((struct proxy_line){ bytes + sizeof signature_v1 - 1, bytes + size - 2 }, address);
    return error != 0 ? error : size;
}

/* How many bytes the addresses of that family and transport have; -EINVAL for what must be refused. A server of streams
 * has no use for datagrams, but who sent them is no secret either. */
static int address_part(uint8_t family)
{
    switch (family) {
    case 0x00:
        return 0;
    case 0x11:
    case 0x12:
        return IPV4_PART;
    case 0x21:
    case 0x22:
        return IPV6_PART;
    case 0x31:
    case 0x32:
        return UNIX_PART;
    default:
        return -EINVAL;
    }
}

/* All are [source][destination][source port][destination port]. */
static void read_addresses(const uint8_t *bytes, int part, struct httpproxy_address *address)
{
    if (part == IPV4_PART)
        set_ipv4(address, bytes, bytes + 8);
    else if (part == IPV6_PART)
        set_ipv6(address, bytes, bytes + 32);
    else if (part == UNIX_PART)
        set_unix(address, bytes);
}

/* LOCAL, a proxy that checks whether we live, may say any family, which means nothing. */
static int parse_version_2(const uint8_t *bytes, size_t length, struct httpproxy_address *address)
{
    if (length < FIXED_PART)
        return 0;
    bool is_local = bytes[12] == 0x20;
    int part = is_local ? 0 : address_part(bytes[13]);
    int size = FIXED_PART + (bytes[14] << 8 | bytes[15]);

    if ((!is_local && bytes[12] != 0x21) || part < 0 || size < FIXED_PART + part || size > HTTPPROXY_MAX_HEADER)
        return -EINVAL;
    if (length < (size_t)size)
        return 0;
    read_addresses(bytes + FIXED_PART, part, address);
    return size;
}

/* Does it begin with the signature, as far as there is any of it? */
static bool may_begin_with(const void *bytes, size_t length, const void *signature, size_t size)
{
    return memcmp(bytes, signature, length < size ? length : size) == 0;
}

int httpproxy_parse(const void *bytes, size_t length, struct httpproxy_address *address)
{
    keep_address(address);
    if (may_begin_with(bytes, length, signature_v1, sizeof signature_v1 - 1))
        return parse_version_1(bytes, length, address);
    if (may_begin_with(bytes, length, signature_v2, sizeof signature_v2))
        return parse_version_2(bytes, length, address);
    return -EINVAL;
}

/* Tornado's xheaders. */

/* The last member of a list, without blanks around it: the one that the proxy next to us has added. */
static const char *last_member(const char *list, const char *end, size_t *length)
{
    const char *begin = end;

    while (begin > list && begin[-1] != ',')
        begin--;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *length = (size_t)(end - begin);
    return begin;
}

/* As addresses, not as texts: there is more than one way to write most. */
static bool is_trusted(const struct ip *ip, const char *const *trusted, size_t trusted_count)
{
    for (size_t i = 0; i < trusted_count; i++) {
        struct ip other;
        if (read_ip(trusted[i], strlen(trusted[i]), &other) && other.family == ip->family &&
            memcmp(other.bytes, ip->bytes, sizeof ip->bytes) == 0)
            return true;
    }
    return false;
}

/* What stands left of the first entry that we do not trust was written by whoever that is. An entry that is no address
 * ends the search, too: nobody is to choose which one counts by spoiling others. */
static bool find_client(const char *list, const char *const *trusted, size_t trusted_count, struct ip *ip)
{
    const char *end = list + strlen(list);

    for (int hop = 0; hop < HTTPPROXY_MAX_HOPS; hop++) {
        size_t length;
        const char *entry = last_member(list, end, &length);
        if (!read_ip(entry, length, ip))
            return false;
        if (!is_trusted(ip, trusted, trusted_count))
            return true;
        while (entry > list && entry[-1] != ',')
            entry--;
        if (entry == list)
            return true;
        end = entry - 1;
    }
    return false;
}

bool httpproxy_forwarded_ip(const char *forwarded_for, const char *real_ip, const char *const *trusted,
                            size_t trusted_count, char place[INET6_ADDRSTRLEN])
{
    struct ip ip;

    if (real_ip == NULL && forwarded_for == NULL)
        return false;
    if (real_ip != NULL && !read_ip(real_ip, strlen(real_ip), &ip))
        return false;
    if (real_ip == NULL && !find_client(forwarded_for, trusted, trusted_count, &ip))
        return false;
    return inet_ntop(ip.family, ip.bytes, place, INET6_ADDRSTRLEN) != NULL;
}

const char *httpproxy_scheme(const char *x_scheme, const char *x_forwarded_proto)
{
    const char *list = x_scheme != NULL ? x_scheme : x_forwarded_proto;
    size_t length;

    if (list == NULL)
        return NULL;
    const char *scheme = last_member(list, list + strlen(list), &length);
    if (length == 4 && memcmp(scheme, "http", 4) == 0)
        return "http";
    return length == 5 && memcmp(scheme, "https", 5) == 0 ? "https" : NULL;
}
