/* iostream.h: buffered non-blocking reading and writing, tornado.iostream.IOStream.
 *
 *     struct iostream *stream = iostream_new(loop, fd, NULL);
 *     iostream_read_until(stream, "\r\n", 1024, on_line, NULL);      // void on_line(stream, error, data, length, arg)
 *     iostream_write(stream, "hello\r\n", 7, NULL, NULL);
 *     iostream_set_close_callback(stream, on_close, NULL);
 *
 * Lifetime: owns its descriptor. Whoever closes first, you or the peer: operations that wait end with an error, in
 *     order, then the close callback runs, once, and when it returns the stream is gone. Without a close callback a
 *     stream that is closed by its peer is gone when its last operation has been told so; one with none waiting stays
 *     until iostream_close.
 * Callbacks: from the loop only, never inside the call that asks for them. Data is lent until they return.
 * Errors: -ESHUTDOWN the peer has finished sending (end of file) · -ECANCELED closed on this side · -EMSGSIZE no match
 *     within max_bytes · -ENOBUFS a buffer limit was hit · -ETIMEDOUT read timeout · else what the kernel said. They
 *     all close the stream. Calls that answer an error never call back: -EBADF the stream is closed, -EALREADY a read
 *     is waiting, -EPIPE after iostream_shutdown, -ENOBUFS a read of more than max_buffer_size, -EINVAL, -ENOMEM. They
 *     change nothing, but for writes: one that finds the peer gone, that is too much (max_write_buffer_size), or of
 *     which a part was sent and the rest cannot be kept, closes the stream.
 * Threads: the loop's. Units: bytes, seconds. */
#ifndef IOLOOP_IOSTREAM_H
#define IOLOOP_IOSTREAM_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

struct ioloop;
struct iostream;

typedef void iostream_read_fn(struct iostream *stream, int error, const char *data, size_t length, void *arg);
typedef void iostream_write_fn(struct iostream *stream, int error, void *arg);
typedef void iostream_connect_fn(struct iostream *stream, int error, void *arg);
typedef void iostream_close_fn(struct iostream *stream, int error, void *arg);
typedef void iostream_drain_fn(struct iostream *stream, void *arg);
typedef void iostream_release_fn(void *data, void *arg);
typedef size_t iostream_consumer_fn(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* How a stream reaches its descriptor; TLS comes in here. read and write answer a count or a negative errno value,
 * -EAGAIN when they have to wait; read 0 at the end of file. */
struct iostream_transport {
    ssize_t (*read)(void *context, int fd, void *buffer, size_t size);
    ssize_t (*write)(void *context, int fd, const struct iovec *vector, int count);
    /* -EAGAIN until done; called before the first read or write. NULL: there is none. */
    int (*handshake)(void *context, int fd);
    /* What to wait for on the descriptor (IOLOOP_READ, IOLOOP_WRITE) so that what is wanted can go on. NULL: that. */
    unsigned (*events)(void *context, unsigned wanted);
    /* Tells the peer that nothing more will be sent; -EAGAIN: asks to be called again. NULL: iostream_shutdown only
     * waits for what is pending. */
    int (*shutdown)(void *context, int fd);
    /* Frees the context; the descriptor is closed by the stream after it. NULL: nothing to free. */
    void (*close)(void *context, int fd);
    /* Bytes may wait inside the transport, where the kernel does not see them: read until -EAGAIN. */
    bool buffers;
};

struct iostream_options {
    size_t max_buffer_size;       /* of unread bytes. 0: 16 MiB */
    size_t max_write_buffer_size; /* a write on top of this much that is pending fails and closes; not an empty one, and
                                     none while nothing is pending. 0: 16 MiB */
    size_t user_size;             /* of memory that each stream has for the program: iostream_user */
    bool half_close;              /* the peer's end of file ends reading only; the stream stays open for writing, and
                                     closes (-ESHUTDOWN) when iostream_shutdown has told the peer */
    bool hold_back; /* no read callback while more than 256 KiB wait to be sent: for echoes and other servers */
    const struct iostream_transport *transport; /* NULL: plain */
    void *transport_context;
};

/* Life. */

/* Takes over a socket, connected or not; new_pipe one end of a pipe or a terminal. NULL with errno on failure: the
 * descriptor is then still the caller's, but does not block any more. The options are copied. */
struct iostream *iostream_new(struct ioloop *loop, int fd, const struct iostream_options *options);
struct iostream *iostream_new_pipe(struct ioloop *loop, int fd, const struct iostream_options *options);

/* Of a new stream, before the loop runs again. A failure to connect is told to the callback. Reads and writes may be
 * asked for meanwhile. */
int iostream_connect(struct iostream *stream, const struct sockaddr *address, socklen_t length,
                     iostream_connect_fn *callback, void *arg) IOAPI_MUST_USE;

/* The descriptor is closed before this returns; what could not be sent at once is dropped. Any number of times. */
void iostream_close(struct iostream *stream);

/* The same; what the kernel has not sent yet is dropped, too, and the peer told by a reset. For a peer that does not
 * read: after a close the kernel would hold on to such bytes for minutes. */
void iostream_reset(struct iostream *stream);

/* Called last, with why: 0 for iostream_close. A stream that has one notices its peer's close when nobody reads,
 * unless it has unread bytes: they are read first. */
void iostream_set_close_callback(struct iostream *stream, iostream_close_fn *callback, void *arg);

/* Reading: one at a time. Unread bytes stay for the next. */

/* Up to and including the delimiter (at most 256 bytes of it; copied). No match in max_bytes: -EMSGSIZE. 0: 64 KiB. */
int iostream_read_until(struct iostream *stream, const char *delimiter, size_t max_bytes, iostream_read_fn *callback,
                        void *arg) IOAPI_MUST_USE;
int iostream_read_until_bytes(struct iostream *stream, const void *delimiter, size_t delimiter_length, size_t max_bytes,
                              iostream_read_fn *callback, void *arg) IOAPI_MUST_USE;

/* Up to the end of the first match of an expression, compiled without REG_NOSUB and lent until the callback. NUL is a
 * byte like any other (with musl nothing matches one: its regexec has no REG_STARTEND). The whole buffer is searched
 * each time bytes arrive, so keep max_bytes small. 0: 64 KiB. */
int iostream_read_until_regex(struct iostream *stream, const regex_t *regex, size_t max_bytes,
                              iostream_read_fn *callback, void *arg) IOAPI_MUST_USE;

/* Exactly length bytes; partial: any number from 1 to max_bytes. 0 bytes complete at once. */
int iostream_read_bytes(struct iostream *stream, size_t length, iostream_read_fn *callback, void *arg) IOAPI_MUST_USE;
int iostream_read_bytes_partial(struct iostream *stream, size_t max_bytes, iostream_read_fn *callback,
                                void *arg) IOAPI_MUST_USE;

/* The same straight into the caller's memory, lent until the callback, which gets it as data. */
int iostream_read_into(struct iostream *stream, void *buffer, size_t length, iostream_read_fn *callback,
                       void *arg) IOAPI_MUST_USE;
int iostream_read_into_partial(struct iostream *stream, void *buffer, size_t length, iostream_read_fn *callback,
                               void *arg) IOAPI_MUST_USE;

/* All until the end of file, up to max_bytes (0: max_buffer_size): beyond, -ENOBUFS. A connection that broke gives
 * its error with the bytes that came. */
int iostream_read_until_close(struct iostream *stream, size_t max_bytes, iostream_read_fn *callback,
                              void *arg) IOAPI_MUST_USE;

/* Streaming: the callback gets pieces as they come until length bytes (or the end of file) are through, then, once,
 * length 0 with how it ended. */
int iostream_read_bytes_streaming(struct iostream *stream, uint64_t length, iostream_read_fn *callback,
                                  void *arg) IOAPI_MUST_USE;
int iostream_read_until_close_streaming(struct iostream *stream, iostream_read_fn *callback, void *arg) IOAPI_MUST_USE;

/* What all of these are made of. Until it is replaced, the consumer is shown all unread bytes whenever there are new
 * ones, and answers how many it took; 0 asks for more to come. After the last byte it is called once with an error
 * and what is left unread. NULL stops reading: the peer is then held back by the kernel's window. */
int iostream_set_consumer(struct iostream *stream, iostream_consumer_fn *consumer, void *arg);

/* The read that waits ends with -ECANCELED, from the loop, and its bytes stay for the next: which is -EALREADY before
 * that callback, and may be asked for in it. */
void iostream_cancel_read(struct iostream *stream);

/* Closes with -ETIMEDOUT when a read waits and nothing has come for so long. Coarse: up to 0.14 s late. 0: never. */
int iostream_set_read_timeout(struct iostream *stream, double seconds);

/* Writing. Any number at a time. callback may be NULL; it comes when these bytes have gone to the kernel. */

/* Sends at once what the kernel takes and copies the rest. */
int iostream_write(struct iostream *stream, const void *data, size_t length, iostream_write_fn *callback, void *arg);
int iostream_writev(struct iostream *stream, const struct iovec *vector, int count, iostream_write_fn *callback,
                    void *arg);

/* Nothing is copied: the bytes belong to the stream, and release(data, release_arg) is called when they are sent or
 * dropped, from the loop. On an error they are still the caller's. write_static: bytes that live as long as the
 * program. */
int iostream_write_owned(struct iostream *stream, void *data, size_t length, iostream_release_fn *release,
                         void *release_arg, iostream_write_fn *callback, void *arg);
int iostream_write_static(struct iostream *stream, const void *data, size_t length, iostream_write_fn *callback,
                          void *arg);

/* length bytes of a file from offset, which does not move. The file stays the caller's and open until the callback.
 * A file that ends sooner, or cannot be read, closes the stream with -EIO, and the log says so. */
int iostream_sendfile(struct iostream *stream, int file, int64_t offset, uint64_t length, iostream_write_fn *callback,
                      void *arg);

/* No more writes: when all is sent the peer is told (FIN). Reading goes on. */
int iostream_shutdown(struct iostream *stream);

/* Between them writes only collect; uncork sends all in one call. The loop does this by itself around each read
 * callback of the stream. They nest. A child of fork() that closes the stream sends nothing of what its parent has
 * corked. */
void iostream_cork(struct iostream *stream);
void iostream_uncork(struct iostream *stream);

/* TLS begins on an open stream (start_tls): from here on all goes through the transport, its handshake first. What is
 * read or written meanwhile waits; a handshake that fails closes the stream with its error, which all of them are told.
 * An empty write calls back when the handshake is through. In a read callback, too: bytes behind what that took were
 * sent too soon, and close the stream with -EPROTO. -EBUSY: a read waits, bytes are unread or not sent, a transport is
 * there or the stream still connects; also the end of file, if it has come. On an error the context is the caller's. */
int iostream_set_transport(struct iostream *stream, const struct iostream_transport *transport,
                           void *context) IOAPI_MUST_USE;

/* Bytes not sent yet. */
uint64_t iostream_pending(const struct iostream *stream);

/* Closes with -ETIMEDOUT, by a reset, when bytes wait and the peer has taken none for so long; a cork's do not count.
 * Coarse: up to 0.14 s late. 0: never. */
int iostream_set_write_timeout(struct iostream *stream, double seconds);

/* Calls back, until replaced by NULL, each time that pending bytes have fallen to a quarter of high_water after they
 * were over it. iostream_pending tells a writer that it is time to pause. */
int iostream_set_drain_callback(struct iostream *stream, uint64_t high_water, iostream_drain_fn *callback, void *arg);

/* Asking. */
bool iostream_reading(const struct iostream *stream);
bool iostream_writing(const struct iostream *stream);
bool iostream_closed(const struct iostream *stream);
int iostream_error(const struct iostream *stream); /* why it closed; 0 while open and after iostream_close */
int iostream_fd(const struct iostream *stream);    /* -1 when closed */
struct ioloop *iostream_loop(const struct iostream *stream);

/* Memory for what the program knows of the stream, so that it need not allocate any: the user_size bytes of the
 * options, zeroed at first, aligned for every type, and gone with the stream when its close callback has returned. */
void *iostream_user(const struct iostream *stream);

/* The option half_close from here on, for streams that somebody else has made. Also when the peer has ended already: on
 * in the callback that is given the stream, it stays; off closes it when all is read. */
int iostream_set_half_close(struct iostream *stream, bool on);

/* TCP_NODELAY; 0 and nothing done for what is not TCP. It is on for streams of tcpserver and tcpclient. */
int iostream_set_nodelay(struct iostream *stream, bool on);

IOAPI_END
#endif
