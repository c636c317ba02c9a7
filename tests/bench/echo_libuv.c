/* An echo server on libuv's streams: uv_try_write, and uv_write for what it leaves. */
#include <string.h>
#include <uv.h>

#include "server.h"

struct rest {
    uv_write_t write;
    char bytes[];
};

static char buffer[SERVER_BUFFER];

static void on_closed(uv_handle_t *stream)
{
    free(stream);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void lend_buffer(uv_handle_t *stream, size_t size, uv_buf_t *result)
{
    (void)stream, (void)size;
    *result = uv_buf_init(buffer, sizeof buffer);
}

static void write_rest(uv_stream_t *stream, const char *data, size_t length)
{
    struct rest *rest = malloc(sizeof *rest + length);

    if (rest == NULL)
        server_fail("malloc");
    memcpy(rest->bytes, data, length);
    uv_buf_t bytes = uv_buf_init(rest->bytes, (unsigned)length);
    uv_write(&rest->write, stream, &bytes, 1, on_written);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *data)
{
    if (length < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    uv_buf_t bytes = uv_buf_init(data->base, (unsigned)length);
    int written = uv_try_write(stream, &bytes, 1);
    if (written < 0)
        written = 0;
    if (written < length)
        write_rest(stream, data->base + written, (size_t)(length - written));
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *stream = malloc(sizeof *stream);

    if (status < 0 || stream == NULL)
        server_fail("accept");
    uv_tcp_init(listener->loop, stream);
    if (uv_accept(listener, (uv_stream_t *)stream) < 0 ||
        uv_read_start((uv_stream_t *)stream, lend_buffer, on_read) < 0)
        uv_close((uv_handle_t *)stream, on_closed);
}

int main(void)
{
    uv_tcp_t listener;

    uv_tcp_init(uv_default_loop(), &listener);
    if (uv_tcp_open(&listener, server_listen()) < 0 ||
        uv_listen((uv_stream_t *)&listener, SERVER_BACKLOG, on_connection) < 0)
        server_fail("uv_listen");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
