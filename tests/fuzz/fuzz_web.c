/* Applications in this process, and a client that sends the input in pieces. The first bytes say how: the sizes of
 * pieces, which application, what fails, how the client ends, and from where the program draws what it does. In the
 * rest, bytes from 0x80 on stand for words that make up requests.
 *
 * The program does anything that a handler may do, in any function of it, in callbacks of flushes, and later; with
 * texts that would begin headers if they could. What has to hold: each request that began ends once, and nothing of it
 * is called behind that but flushes; each flush that was accepted is told of once; nobody is sent to another host, and
 * no header is there that was not set; after a while nothing is left, and the next client is served. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpserver/web.h"
#include "httpserver/webstatic.h"
#include "tests/fuzz/fuzzclient.h"

enum { SETTINGS = 10, MOST_LIVE = 64 };

static struct web_application *apps[SERVERS];
static struct webstatic files;
static char folder[] = "/tmp/fuzz_web_XXXXXX", path[64]; /* of a file in it */

struct live {
    bool began, paused;
};

static struct web_request *live[MOST_LIVE];
static int live_count, accepted, told;
static unsigned busy; /* how much the program does */
static char output[8 << 20];
static size_t output_length;

/* What the program does. */

static const char *draw_text(void)
{
    static const char *const texts[] = { "a",    "",        "x y",    "a\r\nX-Injected: 1", "\n", "<b>\"'&", "/a",
                                         "\xff", "\t/evil", "//evil", "text/plain",         "5",  "close",   "a;b=c",
                                         "%s",   "\"tag\"" };

    return texts[draw(sizeof texts / sizeof *texts)];
}

/* For bodies, in which anything may be. */
static const char *draw_line(void)
{
    const char *text = draw_text();

    return strchr(text, '\r') == NULL ? text : "b";
}

static void flushed(struct web_request *request, int error, void *arg);

static void flush(struct web_request *request)
{
    bool is_told = draw(2) == 0;
    int error = web_flush(request, is_told ? flushed : NULL, &accepted);

    accepted += is_told && error == 0;
}

static void say_something(struct web_request *request)
{
    static const char *const names[] = {
        "X-A", "Content-Type",      "Content-Length", "Connection", "Etag", "Vary", "Content-Encoding",
        "a b", "Transfer-Encoding", "X\r\nX-Injected"
    };

    switch (draw(12)) {
    case 0:
        (void)web_set_header(request, names[draw(10)], draw_text());
        break;
    case 1:
        (void)web_add_header(request, names[draw(10)], draw_text());
        break;
    case 2:
        web_clear_header(request, names[draw(6)]);
        break;
    case 3:
        web_set_status(request, (int)draw(700), draw(2) == 0 ? NULL : draw_text());
        break;
    case 4:
        (void)web_printf_html(request, "<a href='%s'>%s</a>%d", draw_line(), draw_line(), live_count);
        break;
    case 5:
        (void)web_write_json(request, "{}");
        break;
    case 6:
        (void)web_set_cookie(request, draw(2) == 0 ? "c" : draw_text(), draw_text(),
                             &(struct httpcookie_options){ .path = draw(4) == 0 ? draw_text() : NULL });
        break;
    case 7:
        (void)web_set_signed_cookie(request, "user", "u", 1, NULL);
        break;
    case 8:
        (void)web_set_etag(request, draw(2) == 0 ? NULL : draw_text());
        break;
    case 9:
        for (unsigned i = draw(200); i > 0; i--)
            (void)web_write(request, "some text that is long enough to be compressed when there is much of it. ");
        break;
    default:
        (void)web_write(request, draw_line());
    }
}

static void ask_something(struct web_request *request)
{
    const struct httpform_file *file;

    switch (draw(8)) {
    case 0:
        (void)web_get_argument(request, "a", draw(4) == 0 ? NULL : "");
        break;
    case 1:
        (void)web_get_argument_unstripped(request, "a", "");
        break;
    case 2:
        file = web_get_file(request, NULL, 0);
        require(file == NULL || strlen(file->filename) > 0);
        break;
    case 3:
        (void)web_get_signed_cookie(request, "user", 0, NULL);
        break;
    case 4:
        (void)web_xsrf_form_html(request);
        break;
    case 5:
        (void)web_static_url(request, "a.txt", draw(2) == 0, true);
        break;
    case 6:
        (void)web_full_url(request);
        break;
    default:
        require(web_path_argument(request, 99) == NULL);
    }
}

static void end_somehow(struct web_request *request)
{
    const char *url = web_get_arguments(request, "next", 0);
    struct iostream *stream;

    switch (draw(10)) {
    case 0:
        web_send_error_because(request, 400 + (int)draw(200), draw(2) == 0 ? NULL : draw_text(), draw_text());
        break;
    case 1:
        (void)web_redirect(request, web_is_local_url(url) ? url : "/", false);
        break;
    case 2:
        web_abort(request);
        break;
    case 3:
        (void)web_authenticated(request);
        break;
    case 4:
        (void)!(web_addslash(request) && web_removeslash(request));
        break;
    case 5:
        webstatic_serve(request, &files, draw(2) == 0 ? "a.txt" : draw_text());
        break;
    case 6:
        stream = draw(8) == 0 ? web_detach(request) : NULL;
        if (stream != NULL)
            iostream_close(stream);
        break;
    case 7:
        web_clear(request);
        break;
    default:
        (void)web_finish(request);
    }
}

static void act(struct web_request *request)
{
    struct live *state = web_state(request);

    require(state->began);
    for (unsigned i = draw(busy + 1); i > 0; i--) {
        switch (draw(8)) {
        case 0:
            ask_something(request);
            break;
        case 1:
            web_asynchronous(request);
            break;
        case 2:
            flush(request);
            break;
        case 3:
            if (draw(3) == 0)
                end_somehow(request);
            break;
        case 4:
            if (web_http(request) != NULL && draw(2) == 0)
                httprequest_cork(web_http(request));
            else if (web_http(request) != NULL)
                httprequest_uncork(web_http(request));
            break;
        default:
            say_something(request);
        }
    }
}

static void flushed(struct web_request *request, int error, void *arg)
{
    require(arg == &accepted);
    told++;
    if (!web_finished(request))
        act(request);
}

/* The handler's functions. */

static void begin(struct web_request *request)
{
    struct live *state = web_state(request);

    require(!state->began && live_count < MOST_LIVE);
    state->began = true;
    live[live_count++] = request;
}

static void pause_or_act(struct web_request *request)
{
    struct live *state = web_state(request);

    act(request);
    if (draw(8) != 0)
        return;
    state->paused = true;
    web_pause(request);
}

static void take_data(struct web_request *request, const void *data, size_t length)
{
    require(length > 0 && !web_finished(request));
    pause_or_act(request);
}

static void set_defaults(struct web_request *request)
{
    (void)web_set_header(request, "X-Default", "yes");
}

static void write_page(struct web_request *request, int status)
{
    require(status == web_get_status(request));
    if (draw(2) == 0)
        act(request);
}

static const char *find_user(struct web_request *request)
{
    return web_get_signed_cookie(request, "user", 0, NULL);
}

static void end(struct web_request *request)
{
    int i = 0;

    require(web_finished(request));
    while (i < live_count && live[i] != request)
        i++;
    require(i < live_count);
    live[i] = live[--live_count];
}

#define COMMON                                                                                                         \
    .initialize = begin, .on_finish = end, .set_default_headers = set_defaults, .get_current_user = find_user,         \
    .size = sizeof(struct live)

static const struct web_method all_methods[] = { { "*", act }, { NULL, NULL } };
static const struct web_handler plain = { COMMON, .get = act, .head = act, .post = act, .prepare = pause_or_act };
static const struct web_handler hears = { COMMON, .others = all_methods, .on_connection_close = act,
                                          .write_error = write_page, .lazy_form = true };
static const struct web_handler streams = { COMMON,
                                            .post = act,
                                            .prepare = pause_or_act,
                                            .data_received = take_data,
                                            .on_connection_close = act,
                                            .no_xsrf_check = true };
static const struct web_redirection target = { .url = "{0}", .is_temporary = true };
static const struct web_route routes[] = { { .pattern = "/a.*", .handler = &plain },
                                           { .pattern = "/h/(\\d+)?", .handler = &hears },
                                           { .pattern = "/s", .handler = &streams },
                                           { .pattern = "/r/(.*)", .handler = &web_redirect_handler, .arg = &target },
                                           { 0 } };

/* Something that the program does outside of callbacks. */
static void go_on(void)
{
    struct web_request *request = live_count > 0 ? live[draw((uint32_t)live_count)] : NULL;
    struct live *state = request != NULL ? web_state(request) : NULL;

    if (request == NULL)
        return;
    if (state->paused) {
        state->paused = false;
        web_resume(request);
    } else {
        act(request);
    }
}

static void finish_all(void)
{
    for (int i = live_count - 1; i >= 0; i = i > live_count ? live_count - 1 : i - 1) {
        struct live *state = web_state(live[i]);

        if (state->paused) {
            state->paused = false;
            web_resume(live[i]);
        }
        (void)web_finish(live[i]);
    }
}

/* Applications. */

static void begin_application(int which)
{
    struct web_settings settings = { .loop = loop,
                                     .server.max_body = 4096,
                                     .cookie_secret = "0123456789abcdef0123456789abcdef",
                                     .login_url = "/login",
                                     .static_path = folder,
                                     .finish_timeout = 5,
                                     .xsrf_cookies = which == 1,
                                     .compress_response = which == 1 };

    apps[which] = web_application_new(routes, &settings);
    require(apps[which] != NULL);
    require(httpserver_listen_unix(web_application_server(apps[which]), name_server("fuzz_web", which), 0) == 0);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void set_up(void)
{
    if (loop != NULL)
        return;
    faults_allocated();
    iolog_set_function(say_nothing, NULL);
    require(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/a.txt", folder);
    FILE *file = fopen(path, "w");
    require(file != NULL && fputs("0123456789", file) >= 0 && fclose(file) == 0);
    atexit(remove_folder);
    files.root = folder;
    loop = ioloop_new(&(struct ioloop_options){ .clock = read_clock });
    require(loop != NULL);
    begin_application(0);
    begin_application(1);
}

/* The client. */

/* Not by the calls that are made to fail. False: the server has ended the connection. */
static bool receive(int fd)
{
    struct iovec vector = { output + output_length, sizeof output - 1 - output_length };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    ssize_t count = vector.iov_len > 0 ? recvmsg(fd, &message, 0) : 0;

    if (count > 0)
        output_length += (size_t)count;
    return count > 0 || (count < 0 && errno == EAGAIN);
}

static void send_all(int fd, const uint8_t *data, size_t length, size_t piece)
{
    for (int tries = 0; length > 0 && tries < 1000; tries++) {
        ssize_t count = sendto(fd, data, length < piece ? length : piece, MSG_NOSIGNAL, NULL, 0);

        if (count < 0 && errno != EAGAIN)
            return;
        data += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
        spin(1);
        (void)receive(fd);
        if (tries % 4 == 3)
            go_on();
    }
}

static void wait_for_end(int fd)
{
    size_t before = output_length;

    for (int rounds = 0, last = 0; receive(fd); rounds++) {
        last = output_length > before ? rounds : last;
        before = output_length;
        require(rounds - last < 100000);
        spin(1);
        if (rounds % 3 == 2)
            go_on();
        if (rounds % 16 == 15)
            now += 1;
    }
}

/* No header that a text of the program's or the client's has begun, and no URL of another host. */
static void check_output(void)
{
    static const char field[] = "\r\nLocation: ";

    output[output_length] = '\0';
    for (const char *at = output;
         (at = memmem(at, output_length - (size_t)(at - output), "\r\nX-Injected", 12)) != NULL; at++)
        abort();
    for (char *at = output; (at = memmem(at, output_length - (size_t)(at - output), field, strlen(field))) != NULL;) {
        at += strlen(field);
        const char *end = strstr(at, "\r\n");
        size_t segment = strcspn(at, "/\r\n");

        require(end == NULL || (memchr(at, ':', segment) == NULL && strncmp(at, "//", 2) != 0 && at[0] != '\\'));
    }
}

static const char *const words[] = {
    "GET /a",
    "GET /h/1",
    "POST /s",
    "POST /h/",
    "GET /r/",
    "GET /static/a.txt",
    "?next=/",
    " HTTP/1.1\r\nHost: a\r\n",
    "\r\n\r\n",
    "Content-Length: 5\r\n\r\nhello",
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=1&_xsrf",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "Cookie: _xsrf=ab; user=2|1:0|x\r\nX-Xsrftoken: ab\r\n",
    "Accept-Encoding: gzip\r\nIf-None-Match: *\r\nRange: bytes=1-\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "PATCH /h/",
    "Expect: 100-continue\r\n",
};

static const struct failing_call failing_calls[] = {
    { "recv", ECONNRESET }, { "send", EPIPE }, { "send", EAGAIN }, { "sendmsg", ENOBUFS }, { "epoll_ctl", ENOMEM }
};

/* Time goes by until all deadlines are over; what is left then the program ends. */
static void end_run(int fd)
{
    close(fd);
    faults_end();
    for (int i = 0; i < 8; i++) {
        spin(2);
        go_on();
        now += 3;
    }
    busy = 0;
    for (int i = 0; i < 4 && (live_count > 0 || i < 2); i++) {
        finish_all();
        spin(3);
    }
    require(live_count == 0 && told == accepted);
}

static void check_next_client(int which)
{
    static const char get[] = "GET /static/a.txt HTTP/1.0\r\n\r\n";
    int fd = connect_client(which);

    output_length = 0;
    send_all(fd, (const uint8_t *)get, sizeof get - 1, sizeof get);
    wait_for_end(fd);
    close(fd);
    spin(3);
    require(output_length > 12 && memcmp(output + 8, " 200", 4) == 0);
    require(httpserver_connections(web_application_server(apps[which])) == 0 && faults_allocated() < 400);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[8192 * 80];

    if (size < SETTINGS || size > 8192)
        return 0;
    set_up();
    int which = data[0] & 1, ending = data[1] % ENDINGS;
    int fd = connect_client(which);

    output_length = 0;
    accepted = told = 0;
    seed = (uint32_t)data[2] << 8 | data[3];
    busy = data[4] % 8;
    spin(2);
    faults_short_io(data[5] < 160 ? 0 : data[5] - 159u);
    (void)order_failure(failing_calls, sizeof failing_calls / sizeof *failing_calls, data[6], data[7]);
    send_all(fd, text, expand(words, sizeof words / sizeof *words, data + SETTINGS, size - SETTINGS, text),
             1 + data[8] * 4u);
    if (ending == ENDS_BY_FIN)
        shutdown(fd, SHUT_WR);
    if (ending != ENDS_BY_CLOSING)
        wait_for_end(fd);
    end_run(fd);
    check_output();
    check_next_client(which);
    return 0;
}
