/* tls_openssl: https with OpenSSL, which ioloop itself does not know: a transport, given to a server or to a client.
 *
 *     tls_openssl --cert=FILE --key=FILE [--port=N] [--root=FOLDER]         serves; port 8888, 0: any
 *     tls_openssl [--ca=FILE] [--send=FILE] https://localhost:8888/ ...     fetches one after the other, to stdout
 *
 * --ca: who is trusted, instead of what the system trusts. --send: the file is posted. --proxy=HOST, --proxy-port=N: by
 * CONNECT through that.
 * The server answers / with a greeting, a POST to /upload with the length of its body, /files/PATH with files of
 * --root. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <httpclient/httpclient.h>
#include <httpserver/webstatic.h>

/* The transport. */

#define RECORD 16384 /* bytes that TLS sends as one */

/* A connection. For what it has to wait until it can read, or write: either may need the other first. */
struct session {
    SSL *ssl;
    unsigned read_waits_for, write_waits_for;
    bool is_ready;  /* the handshake is through */
    bool is_broken; /* nothing more can be said */
};

/* The words of iostream.h for what OpenSSL answered. An end without a proper goodbye may be somebody else's, who cuts
 * the connection. */
static int translate(struct session *session, int result, unsigned *waits_for)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *waits_for = IOLOOP_READ;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *waits_for = IOLOOP_WRITE;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        session->is_broken = true;
        return errno != 0 ? -errno : -ECONNRESET;
    default:
        session->is_broken = true;
        return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? -ECONNRESET : -EPROTO;
    }
}

/* OpenSSL looks at both before it says what went wrong. */
static void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

static int shake_hands(void *context, int fd)
{
    struct session *session = context;

    forget_errors();
    if (SSL_get_fd(session->ssl) != fd && SSL_set_fd(session->ssl, fd) != 1)
        return -ENOMEM;
    int result = SSL_do_handshake(session->ssl);
    if (result == 1) {
        session->is_ready = true;
        session->read_waits_for = IOLOOP_READ;
        return 0;
    }
    int error = translate(session, result, &session->read_waits_for);
    if (error == -EAGAIN)
        return error;
    long verified = SSL_get_verify_result(session->ssl);
    if (verified != X509_V_OK)
        fprintf(stderr, "certificate: %s\n", X509_verify_cert_error_string(verified));
    else if (error == -EPROTO)
        fprintf(stderr, "TLS: %s\n", ERR_reason_error_string(ERR_peek_error()));
    return error != 0 ? error : -ECONNRESET;
}

static ssize_t read_some(void *context, int fd, void *buffer, size_t size)
{
    struct session *session = context;

    forget_errors();
    int count = SSL_read(session->ssl, buffer, size < INT32_MAX ? (int)size : INT32_MAX);
    session->read_waits_for = IOLOOP_READ;
    return count > 0 ? count : translate(session, count, &session->read_waits_for);
}

/* One record, so that many small pieces become one. OpenSSL wants the same bytes again after -EAGAIN, or more. */
static ssize_t write_some(void *context, int fd, const struct iovec *vector, int count)
{
    struct session *session = context;
    char record[RECORD];
    const void *bytes = record;
    size_t length = 0;

    if (vector[0].iov_len >= sizeof record) {
        bytes = vector[0].iov_base;
        length = sizeof record;
    }
    for (int i = 0; i < count && length < sizeof record; i++) {
        size_t room = sizeof record - length;
        size_t part = vector[i].iov_len < room ? vector[i].iov_len : room;
        memcpy(record + length, vector[i].iov_base, part);
        length += part;
    }
    if (length == 0)
        return 0;
    forget_errors();
    int sent = SSL_write(session->ssl, bytes, (int)length);
    session->write_waits_for = IOLOOP_WRITE;
    if (sent > 0)
        return sent;
    int error = translate(session, sent, &session->write_waits_for);
    return error != 0 ? error : -EPIPE;
}

static unsigned what_to_wait_for(void *context, unsigned wanted)
{
    const struct session *session = context;

    return ((wanted & IOLOOP_READ) != 0 ? session->read_waits_for : 0) |
           ((wanted & IOLOOP_WRITE) != 0 ? session->write_waits_for : 0);
}

/* close_notify, then the end of the connection's one half. */
static int say_goodbye(void *context, int fd)
{
    struct session *session = context;

    if (!session->is_ready || session->is_broken)
        return 0;
    forget_errors();
    int result = SSL_shutdown(session->ssl);
    if (result < 0) {
        int error = translate(session, result, &session->write_waits_for);
        if (error == -EAGAIN && session->write_waits_for == IOLOOP_WRITE)
            return error;
    }
    session->is_ready = false; /* said */
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static void free_session(void *context, int fd)
{
    struct session *session = context;

    (void)say_goodbye(session, fd);
    SSL_free(session->ssl);
    free(session);
}

static const struct iostream_transport tls_transport = {
    .read = read_some,
    .write = write_some,
    .handshake = shake_hands,
    .events = what_to_wait_for,
    .shutdown = say_goodbye,
    .close = free_session,
    .buffers = true,
};

/* Sessions, of either side. */

static int start_session(SSL_CTX *tls, const struct iostream_transport **transport, void **context)
{
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return -ENOMEM;
    session->ssl = SSL_new(tls);
    if (session->ssl == NULL)
        return free(session), -ENOMEM;
    session->read_waits_for = IOLOOP_READ;
    session->write_waits_for = IOLOOP_WRITE;
    *transport = &tls_transport;
    *context = session;
    return 0;
}

/* The certificate has to be for this host, whose name is sent along (SNI) so that a server with many can choose. */
static int expect_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/* httpclient_options.tls.start. */
static int start_client_session(void *tls, const char *host, const struct iostream_transport **transport,
                                void **context)
{
    int error = start_session(tls, transport, context);

    if (error < 0)
        return error;
    struct session *session = *context;
    SSL_set_connect_state(session->ssl);
    if (expect_host(session->ssl, host) == 1)
        return 0;
    SSL_free(session->ssl);
    free(session);
    return -EINVAL;
}

/* httpserver_options.start_transport. */
static int start_server_session(void *tls, const struct iostream_transport **transport, void **context)
{
    int error = start_session(tls, transport, context);

    if (error == 0)
        SSL_set_accept_state(((struct session *)*context)->ssl);
    return error;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *tls = SSL_CTX_new(method);

    if (tls == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(tls, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

static SSL_CTX *new_client_context(const char *ca)
{
    SSL_CTX *tls = new_context(TLS_client_method());

    if (tls == NULL)
        return NULL;
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL); /* without it anybody could answer */
    if ((ca != NULL ? SSL_CTX_load_verify_locations(tls, ca, NULL) : SSL_CTX_set_default_verify_paths(tls)) == 1)
        return tls;
    SSL_CTX_free(tls);
    return NULL;
}

static SSL_CTX *new_server_context(const char *certificate, const char *key)
{
    SSL_CTX *tls = new_context(TLS_server_method());

    if (tls == NULL)
        return NULL;
    if (SSL_CTX_use_certificate_chain_file(tls, certificate) == 1 &&
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(tls) == 1)
        return tls;
    SSL_CTX_free(tls);
    return NULL;
}

/* The server: nothing in it knows of TLS. */

static void get_greeting(struct web_request *request)
{
    web_printf(request, "Hello over %s\n", httprequest_protocol(web_http(request)));
}

static void count_bytes(struct web_request *request, const void *data, size_t length)
{
    *(uint64_t *)web_state(request) += length;
}

static void post_bytes(struct web_request *request)
{
    web_printf(request, "%" PRIu64 " bytes\n", *(uint64_t *)web_state(request));
}

static const struct web_handler greeting_handler = { .get = get_greeting };
static const struct web_handler upload_handler = {
    .post = post_bytes, .data_received = count_bytes, .max_body = UINT64_C(1) << 40, .size = sizeof(uint64_t)
};

static int serve_tls(SSL_CTX *tls, const char *root, const char *program)
{
    const struct webstatic files = { .root = root };
    const struct web_route routes[] = {
        { "/", &greeting_handler, NULL, NULL },
        { "/upload", &upload_handler, NULL, NULL },
        { "/files/(.*)", &webstatic_handler, &files, NULL },
        { NULL, NULL, NULL, NULL },
    };
    const struct web_settings settings = {
        .server.on_close = serve_closed,
        .server.start_transport = start_server_session,
        .server.start_transport_arg = tls,
    };

    return serve(web_application_new(routes, &settings), program);
}

/* The client: fetches one URL after the other. */
struct fetching {
    struct httpclient *client;
    const char *proxy; /* NULL: none */
    int proxy_port;
    char **urls;
    FILE *file; /* to be sent, or NULL */
    int failed;
};

static void print_data(const void *data, size_t length, void *arg)
{
    fwrite(data, 1, length, stdout);
}

static void send_file(struct httpclient *client, uint64_t fetch, void *arg)
{
    struct fetching *fetching = arg;
    char bytes[RECORD];
    size_t length = fread(bytes, 1, sizeof bytes, fetching->file);

    if (ferror(fetching->file))
        httpclient_upload_fail(client, fetch, -EIO);
    else if (length == 0)
        httpclient_upload_finish(client, fetch);
    else if (httpclient_upload_write(client, fetch, bytes, length) < 0)
        httpclient_upload_fail(client, fetch, -EPIPE);
}

static void fetch_next(struct fetching *fetching);

static void on_response(struct httpclient_response *response, void *arg)
{
    struct fetching *fetching = arg;

    if (response->error < 0)
        fprintf(stderr, "%s: %s\n", response->effective_url, response->detail);
    else
        fprintf(stderr, "%s: %d %s%s\n", response->effective_url, response->code, response->reason,
                response->is_reused ? ", the connection was there" : "");
    if (response->error < 0 || response->code >= 400)
        fetching->failed = 1;
    fetch_next(fetching);
}

static void fetch_next(struct fetching *fetching)
{
    struct httpclient_request request = {
        .url = *fetching->urls,
        .streaming_callback = print_data,
        .callback_arg = fetching,
        .proxy_host = fetching->proxy,
        .proxy_port = fetching->proxy_port,
    };

    if (request.url == NULL) {
        ioloop_stop(httpclient_loop(fetching->client));
        return;
    }
    fetching->urls++;
    if (fetching->file != NULL) {
        rewind(fetching->file);
        request.method = "POST";
        request.body_producer = send_file;
        request.body_producer_arg = fetching;
    }
    if (httpclient_fetch(fetching->client, &request, on_response, fetching) == 0) {
        perror(request.url);
        fetching->failed = 1;
        ioloop_stop(httpclient_loop(fetching->client));
    }
}

static int fetch_tls(SSL_CTX *tls, struct fetching *fetching)
{
    struct ioloop *loop = ioloop_current();
    const struct httpclient_options options = { .tls = { start_client_session, tls } };

    fetching->client = loop != NULL ? httpclient_new(loop, &options) : NULL;
    if (fetching->client == NULL)
        return perror("tls_openssl"), 1;
    fetch_next(fetching);
    int error = ioloop_start(loop);
    ioloop_close(loop, false);
    return error < 0 || fetching->failed;
}

int main(int argc, char **argv)
{
    static const char *ca, *certificate, *key, *send, *root = ".";
    static struct fetching fetching;
    static const struct iooption options[] = {
        SERVE_PORT,
        { .name = "cert", .string = &certificate, .metavar = "FILE", .help = "ours, with those that lead to its CA" },
        { .name = "key", .string = &key, .metavar = "FILE", .help = "the certificate's" },
        { .name = "root", .string = &root, .metavar = "FOLDER", .help = "what is below /files/" },
        { .name = "ca", .string = &ca, .metavar = "FILE", .help = "trust these" },
        { .name = "send", .string = &send, .metavar = "FILE", .help = "post this" },
        { .name = "proxy", .string = &fetching.proxy, .metavar = "HOST", .help = "fetch through this" },
        { .name = "proxy-port", .integer = &fetching.proxy_port, .maximum = 65535 },
        { 0 },
    };
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if ((rest < argc) == (certificate != NULL && key != NULL))
        return fprintf(stderr, "tls_openssl: either --cert and --key, or what to fetch\n"), 2;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that have ended */
    fetching.urls = argv + rest;
    fetching.file = send != NULL ? fopen(send, "rb") : NULL;
    if (send != NULL && fetching.file == NULL)
        return perror(send), 1;
    SSL_CTX *tls = rest < argc ? new_client_context(ca) : new_server_context(certificate, key);
    if (tls == NULL)
        return ERR_print_errors_fp(stderr), 1;
    int status = rest < argc ? fetch_tls(tls, &fetching) : serve_tls(tls, root, argv[0]);
    SSL_CTX_free(tls);
    if (fetching.file != NULL)
        fclose(fetching.file);
    return status;
}
