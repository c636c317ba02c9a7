/* Internal: httpaddresses.h, whose the connections of a server are, by descriptor, so that the kernel is asked once for
 * each connection, or not at all. A server that nobody asks has none of it.
 *
 * Lifetime: begins zeroed; httpaddresses_free. */
#ifndef HTTPSERVER_HTTPADDRESSES_H
#define HTTPSERVER_HTTPADDRESSES_H

#include <stdint.h>
#include <sys/socket.h>

struct httpaddresses {
    struct httpaddresses_entry *entries;
    int count; /* of descriptors that there is room for; 0: nobody has asked yet */
};

/* From here on the descriptor is this one's. An address of length 0 is not known yet. Without memory nothing is kept,
 * and not what was said of that descriptor before either. */
void httpaddresses_keep(struct httpaddresses *addresses, int fd, const struct sockaddr *address, socklen_t length);

/* What is kept, with its length; 0: not known. Paths of Unix sockets are not kept. */
socklen_t httpaddresses_find(const struct httpaddresses *addresses, int fd, struct sockaddr_storage *address);

void httpaddresses_free(struct httpaddresses *addresses);

#endif
