/* httprequest.h: a request that a server has received, and its answer; tornado.httputil.HTTPServerRequest and
 * HTTPConnection.
 *
 *     static void on_request(struct httprequest *request, void *arg)
 *     {
 *         httprequest_reply(request, 200, "text/plain", "Hello, world", 12);
 *     }
 *
 * Lifetime: from on_head or on_request until it has been answered whole, also when its client has left meanwhile: then
 *     what is sent is dropped, and the end of the answer only ends the request. One whose client leaves before
 *     on_request ends by itself, after its close callback. Texts are the request's, terminated by NUL, and valid as
 *     long as it is. They hold no NUL themselves.
 * Errors: of a call that sends: -EBADF the client has left, or what the kernel says when it is just going (-EPIPE,
 *     -ECONNRESET); -EINVAL what it is given cannot be sent in HTTP, and nothing was; -EALREADY the head of the answer
 *     has gone. The connection is closed by -EMSGSIZE, the body is not as long as its Content-Length said, -ENOBUFS,
 *     the client does not read, and max_unsent bytes wait, -EIO, a file of write_file cannot be read or is too short
 *     (also from the call behind it), and -ENOMEM. The first bytes of an answer are taken however many they are, and so
 *     is its end; behind a piece of more than max_unsent the next has to wait for its callback.
 * Threads: the loop's. */
#ifndef HTTPSERVER_HTTPREQUEST_H
#define HTTPSERVER_HTTPREQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "httpserver/httpheaders.h"
#include "ioloop/ioapi.h"
#include "ioloop/iostream.h"

IOAPI_BEGIN

struct httprequest;
struct httpserver;

typedef void httprequest_close_fn(struct httprequest *request, void *arg);
typedef void httprequest_data_fn(struct httprequest *request, const void *data, size_t length, void *arg);

/* What was asked. */

/* As they came: nothing is decoded. path and query are parts of the target, not terminated; the query is what follows
 * the first "?", NULL without one; the path of OPTIONS * is empty. CONNECT never comes here: it is answered with
 * 501. */
const char *httprequest_method(const struct httprequest *request);
const char *httprequest_target(const struct httprequest *request);
const char *httprequest_path(const struct httprequest *request, size_t *length);
const char *httprequest_query(const struct httprequest *request, size_t *length);
bool httprequest_path_is(const struct httprequest *request, const char *path);

/* 0 or 1: of HTTP/1. */
int httprequest_minor_version(const struct httprequest *request);

/* The value of the first header of that name, in whatever case; NULL without one. header_at goes through all, in order:
 * false behind the last. */
const char *httprequest_header(const struct httprequest *request, const char *name);
bool httprequest_header_at(const struct httprequest *request, size_t index, const char **name, const char **value);

/* The Host header, with its port; "" without one, as only HTTP/1.0 may be. */
const char *httprequest_host(const struct httprequest *request);

/* In on_request: the body, unless it was streamed, which no NUL follows, and which may be NULL where there is none; and
 * the trailers of one that came in chunks (NULL: none). */
const void *httprequest_body(const struct httprequest *request, size_t *length);
const struct httpheaders *httprequest_trailers(const struct httprequest *request);

/* Who asks. The address is that of the connection, or of the PROXY header; AF_UNSPEC when it is not known. remote_ip
 * is that as text, or what a proxy says with xheaders: "0.0.0.0" over a Unix socket, "" when it is not known. protocol
 * is "http" or "https". The kernel is asked once a connection at most; a server that has been asked for one keeps them,
 * in 24 to 36 bytes for each connection. */
socklen_t httprequest_remote_address(const struct httprequest *request, struct sockaddr_storage *address);
const char *httprequest_remote_ip(const struct httprequest *request);
const char *httprequest_protocol(const struct httprequest *request);

/* Seconds since its head was there. */
double httprequest_time(const struct httprequest *request);

struct httpserver *httprequest_server(const struct httprequest *request);
struct ioloop *httprequest_loop(const struct httprequest *request);

/* The program's own. */
void httprequest_set_arg(struct httprequest *request, void *arg);
void *httprequest_arg(const struct httprequest *request);

/* Told once when the client leaves before the answer is whole. Before on_request that is the end of the request: it is
 * gone when the callback returns. From on_request on it is still the program that ends it. One that only stops sending
 * is told as having left too while it waits for the answer, as the two cannot be told apart; what is sent may still
 * reach it, unless httprequest_left says that nothing can be sent any more. Told too when the server refuses a body
 * that is on its way (400, 408, 413): the client gets to know why unless the callback ends the request. */
void httprequest_set_close_callback(struct httprequest *request, httprequest_close_fn *callback, void *arg);

/* The body on its way; in on_head. */

/* Pieces go to the callback as they come, and are not kept; on_request follows the last. */
void httprequest_stream_body(struct httprequest *request, httprequest_data_fn *callback, void *arg);

/* Instead of the server's, for this request; 0 (or seconds below 0): the server's. */
void httprequest_set_max_body(struct httprequest *request, uint64_t bytes);
void httprequest_set_body_timeout(struct httprequest *request, double seconds);

/* Until resume, later or inside the callback too, no piece is handed over and the client is held back by the kernel's
 * window. */
void httprequest_pause(struct httprequest *request);
void httprequest_resume(struct httprequest *request);

/* Answers. In on_head, or before the body is through, they are early, and the connection is closed behind them. What is
 * still to come of the body when the answer is finished is dropped; until then it goes on coming, and on_request too:
 * an answer may begin, and be written, while its request is read. The body of an answer to HEAD, and of 204, 205 and
 * 304, is left out, whatever is given. The server adds Date, Server, Connection and Transfer-Encoding; headers may have
 * the first two and Connection: close, but not the last; 426 has to have Upgrade. reason NULL: the usual one;
 * content_type or headers NULL: none. */

/* A whole answer, which ends the request, whatever is returned but -EALREADY. After -EINVAL (the status is not in 200
 * to 999; content_type, reason or a header cannot be sent, or one of the first two has over 256 bytes) the client gets
 * a 500. */
int httprequest_reply(struct httprequest *request, int status, const char *content_type, const void *body,
                      size_t length);
int httprequest_answer(struct httprequest *request, int status, const char *reason, const struct httpheaders *headers,
                       const void *body, size_t length);

/* An answer by and by: a head, perhaps with the beginning of the body, then pieces, then finish, which ends the request
 * (also on an error). With a Content-Length among the headers that many bytes have to follow; without one they go in
 * chunks, or to a client of HTTP/1.0 until the connection closes. The callback (NULL: none) comes when these bytes are
 * with the kernel, even after finish; its stream is not the program's. */
int httprequest_write_head(struct httprequest *request, int status, const char *reason,
                           const struct httpheaders *headers, const void *body, size_t length,
                           iostream_write_fn *callback, void *arg);
int httprequest_write(struct httprequest *request, const void *data, size_t length, iostream_write_fn *callback,
                      void *arg);
int httprequest_finish(struct httprequest *request);

/* Gives up: the connection is closed without the rest of the answer, by which the client can tell that it is not whole.
 * Ends the request, whose status is 0 in the log if no head was sent. The way out of a close callback, and when what an
 * answer is made of fails in the middle. */
void httprequest_abort(struct httprequest *request);

/* From cork to uncork what is written of the answer only collects; uncork sends it, in one call as a rule, and so does
 * the end of the request, behind which there is nothing to uncork. In the server's callbacks writes leave together
 * anyway: this is for those who answer later. They nest. What is collected counts for max_unsent, not for
 * write_timeout; a 100 (Continue) is not held back. */
void httprequest_cork(struct httprequest *request);
void httprequest_uncork(struct httprequest *request);

/* Bytes of a file, which stays the caller's and open until the callback. One that ends sooner, or cannot be read,
 * closes the connection with -EIO, which is answered or told to the callback; the log says more. */
int httprequest_write_file(struct httprequest *request, int file, int64_t offset, uint64_t length,
                           iostream_write_fn *callback, void *arg);

/* Bytes of answers on this connection that are not sent yet. */
uint64_t httprequest_pending(const struct httprequest *request);

/* Has the head of the answer gone, and can anything still be sent? */
bool httprequest_head_sent(const struct httprequest *request);
bool httprequest_left(const struct httprequest *request);

/* Leaves HTTP: the connection becomes the caller's, with what the client has sent behind the request unread, and the
 * request ends. Only in or after on_request, with no head sent. NULL with errno: EBADF the client has left, EALREADY,
 * and then the request goes on. The stream has the default options, but for max_write_buffer_size, which is the
 * server's max_unsent, and the transport; iostream_user is not the program's. So it closes at its client's end: a
 * tunnel calls iostream_set_half_close at once. */
struct iostream *httprequest_detach(struct httprequest *request);

IOAPI_END
#endif
