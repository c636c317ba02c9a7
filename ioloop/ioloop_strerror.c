#include "ioloop/ioloop.h"

#include <errno.h>
#include <stddef.h>

/* docs/conventions.md says more of those that mean something of this library's own. */
static const struct {
    int error;
    const char *text;
} ours[] = {
    { 0, "no error" },
    { ESHUTDOWN, "end of file: the peer has finished sending" },
    { ECANCELED, "cancelled" },
    { EMSGSIZE, "larger than a limit allows" },
    { ENOBUFS, "a buffer limit was hit" },
    { ETIMEDOUT, "timed out" },
    { EALREADY, "already waiting for that" },
    { EBADF, "closed" },
    { ESTALE, "used after fork without ioloop_reopen" },
    { ENXIO, "no such host" },
    { EPIPE, "nothing more can be sent" },
    { ENOMEM, "out of memory" },
    { EINVAL, "invalid argument" },
    { EAGAIN, "try again" },
    { EBUSY, "busy" },
    { EEXIST, "exists already" },
    { ENOENT, "not there" },
    { EPERM, "not permitted" },
    { EACCES, "permission denied" },
    { EIO, "input or output error" },
    { EMFILE, "too many open descriptors in this process" },
    { ENFILE, "too many open descriptors in the system" },
    { ECONNREFUSED, "connection refused" },
    { ECONNRESET, "connection reset by peer" },
    { ECONNABORTED, "connection aborted" },
    { ENOTCONN, "not connected" },
    { EISCONN, "already connected" },
    { EHOSTUNREACH, "no route to host" },
    { ENETUNREACH, "network is unreachable" },
    { ENETDOWN, "network is down" },
    { EADDRINUSE, "address already in use" },
    { EADDRNOTAVAIL, "address not available" },
    { EAFNOSUPPORT, "address family not supported" },
    { EPROTO, "protocol error" },
    { ENOTSOCK, "not a socket" },
    { ENOSPC, "no space left" },
    { EINTR, "interrupted" },
    { ENOTSUP, "not supported" },
    { EBADMSG, "not signed by us" },
    { ECHILD, "the child failed, or its status is not known" },
    { ESRCH, "no such process" },
    { ENOEXEC, "not a program" },
    { ENOTDIR, "not a folder" },
    { E2BIG, "too long a list of arguments" },
    { ENOMSG, "the status of the answer is not the one that was wanted" },
    { EPROTONOSUPPORT, "protocol not supported" },
    { ELOOP, "too many redirects, or links" },
    { EISDIR, "a folder" },
    { EFBIG, "file too large" },
    { ENAMETOOLONG, "name too long" },
    { ERANGE, "out of range" },
    { EXDEV, "on another file system" },
    { EROFS, "read-only file system" },
    { ENOSYS, "not there on this system" },
};

const char *ioloop_strerror(int error)
{
    unsigned positive = error < 0 ? 0u - (unsigned)error : (unsigned)error;

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if ((unsigned)ours[i].error == positive)
            return ours[i].text;
    }
    return "unknown error";
}
