/* A client in this process, and a server that says what the input says, in the pieces that the input says. The first
 * bytes say how: what is asked, and what the program does. In the rest, bytes from 0x80 on stand for words that make up
 * responses, and a few below 0x08 for what a server can do besides: end a piece, hang up, wait.
 *
 * What has to hold: each fetch is answered exactly once, behind its head and body; one that succeeds has the body that
 * http1response.h and httpchunked.h find in the bytes that were sent since it was asked for, and finds it whole;
 * nothing leaks; the next client is served. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "httpclient/httpclient.h"
#include "httpserver/http1response.h"
#include "httpserver/httpchunked.h"
#include "httpserver/httpdeflate.h"
#include "httpserver/httpinflate.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "tests/fuzz/fuzzloop.h"
#include "tests/support/faults.h"

enum { SETTINGS = 8, MOST_SENT = 1 << 17, MOST_FETCHES = 6, ROUNDS = 200 };

static struct ioloop *loop;
static int listener = -1;
static struct sockaddr_un address;
static socklen_t address_length;

/* The server's one connection. */
static int peer = -1;
static char sent[MOST_SENT];
static size_t sent_length, asked_at; /* of these: bytes before the last request came */
static char asked[8];                /* the beginning of that */
static int accepted;

/* The program. */
static struct httpclient *client;
static uint64_t ids[MOST_FETCHES];
static int answers[MOST_FETCHES];
static int fetch_count, answered;
static uint8_t how[SETTINGS];
static char streamed[MOST_FETCHES][MOST_SENT];
static size_t streamed_length[MOST_FETCHES];
static int heads[MOST_FETCHES];
static bool failing;

/* The oracle. */

static struct httpinflate *inflate;

/* The body of the response at the beginning of the bytes, in the place; -1: that is not a whole one. ends: the
 * connection ended behind them. */
static long read_body(const struct http1response *head, const char *bytes, size_t length, bool ends, char *place)
{
    struct httpchunked chunked = { 0 };
    struct httpchunked_limits limits = { .body = UINT64_MAX };
    struct httpchunked_piece piece = { 0 };
    size_t total = 0;

    if (head->framing == HTTP1RESPONSE_NO_BODY)
        return 0;
    if (head->framing == HTTP1RESPONSE_LENGTH) {
        if (length < head->content_length)
            return -1;
        memcpy(place, bytes, head->content_length);
        return (long)head->content_length;
    }
    if (head->framing == HTTP1RESPONSE_UNTIL_CLOSE) {
        memcpy(place, bytes, length);
        return ends ? (long)length : -1;
    }
    do {
        ssize_t taken = httpchunked_decode(&chunked, &limits, bytes, length, &piece, NULL);
        if (taken <= 0)
            return -1;
        if (piece.length > 0)
            memcpy(place + total, piece.data, piece.length);
        total += piece.length;
        bytes += taken;
        length -= (size_t)taken;
    } while (!piece.done);
    return (long)total;
}

/* Undoes gzip where the client does so. Answers the length; -1: it is not whole. */
static long inflate_body(const struct http1response *head, const char *bytes, char *place, long length)
{
    static char inflated[MOST_SENT];
    struct httpinflate_piece piece;
    int codings = 0;
    bool is_gzip = false;
    long at = 0, total = 0, taken;

    for (uint32_t i = 0; i < head->header_count; i++) {
        const struct http1parser_header *header = &head->headers[i];
        if (header->name.length != 16 || strncasecmp(bytes + header->name.offset, "Content-Encoding", 16) != 0)
            continue;
        codings++;
        is_gzip = (header->value.length == 4 && strncasecmp(bytes + header->value.offset, "gzip", 4) == 0) ||
                  (header->value.length == 6 && strncasecmp(bytes + header->value.offset, "x-gzip", 6) == 0);
    }
    if (codings != 1 || !is_gzip || length <= 0 || head->status == 206)
        return length;
    httpinflate_reset(inflate);
    do {
        taken = httpinflate_decode(inflate, place + at, (size_t)(length - at), &piece);
        if (taken < 0 || total + (long)piece.length > MOST_SENT)
            break;
        memcpy(inflated + total, piece.data, piece.length);
        total += (long)piece.length;
        at += taken;
    } while (taken > 0 || piece.length > 0);
    bool is_whole = taken == 0 && httpinflate_done(inflate);
    memcpy(place, inflated, (size_t)total);
    return is_whole ? total : -1;
}

static bool has_been_sent(const struct httpclient_response *response, const char *body, size_t length)
{
    static char place[MOST_SENT];
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
    struct http1response head = { .headers = headers, .header_capacity = HTTP1PARSER_MAX_HEADERS };
    const char *bytes = sent + asked_at, *head_bytes;
    size_t left = sent_length - asked_at;

    do {
        struct http1parser_scan scan = { 0 };
        int size =
            http1response_parse(bytes, left, NULL, &scan,
                                memcmp(asked, "HEAD", 4) == 0 ? HTTP1RESPONSE_TO_HEAD : HTTP1RESPONSE_TO_OTHER, &head);
        if (size <= 0)
            return false;
        head_bytes = bytes;
        bytes += size;
        left -= (size_t)size;
    } while (head.status < 200);
    long whole = read_body(&head, bytes, left, true, place);
    if ((how[0] & 64) != 0)
        whole = inflate_body(&head, head_bytes, place, whole);
    return whole == (long)length && memcmp(place, body, length) == 0 && response->code == head.status;
}

/* Callbacks. */

static void on_response(struct httpclient_response *response, void *arg)
{
    int which = (int)((int *)arg - answers);
    bool is_streamed = (how[0] & 4) != 0;

    require(++answers[which] == 1);
    answered++;
    require((response->error == 0) == (response->detail == NULL));
    if ((how[0] & 128) != 0 && (response->error == 0 || response->error == -ENOMSG))
        require(heads[which] == 1);
    require(strlen(response->body) <= response->length);
    /* One that was paused may be told of when the next has been asked for. */
    if (response->error == 0 && (accepted < 2 || (how[5] & 3) == 0 || ((how[5] & 3) == 3 && !(how[0] & 128))))
        require(has_been_sent(response, is_streamed ? streamed[which] : response->body,
                              is_streamed ? streamed_length[which] : response->length));
}

static void on_line(const char *line, size_t length, void *arg)
{
    require(length >= 2 && memcmp(line + length - 2, "\r\n", 2) == 0);
    if ((how[5] & 3) == 1)
        httpclient_pause(client, ids[fetch_count - 1]);
}

static void on_head(const struct httpclient_response *response, void *arg)
{
    int which = (int)((int *)arg - answers);

    require(++heads[which] == 1 && streamed_length[which] == 0 && answers[which] == 0);
    require(response->code >= 200 && response->reason != NULL && response->error == 0 && response->length == 0);
    if ((how[5] & 3) == 3)
        httpclient_pause(client, ids[fetch_count - 1]);
}

static void on_piece(const void *data, size_t length, void *arg)
{
    int which = (int)((int *)arg - answers);

    require(length > 0 && streamed_length[which] + length <= sizeof streamed[which]);
    memcpy(streamed[which] + streamed_length[which], data, length);
    streamed_length[which] += length;
    if ((how[5] & 3) == 2)
        httpclient_pause(client, ids[fetch_count - 1]);
}

static void produce(struct httpclient *from, uint64_t fetch, void *arg)
{
    static const char bytes[20000];

    if (how[6] & 0x80)
        httpclient_upload_fail(from, fetch, -EIO);
    else if (++how[7] % 4 != 0)
        (void)!httpclient_upload_write(from, fetch, bytes, how[6] * 70u);
    else
        httpclient_upload_finish(from, fetch);
}

static void fetch_next(void)
{
    if (fetch_count == MOST_FETCHES)
        return;
    static const char *const methods[] = { "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "POST", "GET" };
    const char *method = methods[how[1] & 7];
    bool has_body = method[0] == 'P';
    struct httpclient_request request = {
        .url = "http://localhost/a",
        .unix_path = address.sun_path + 1,
        .method = method,
        .body = has_body && !(how[0] & 1) ? "body" : NULL,
        .body_length = has_body && !(how[0] & 1) ? 4 : 0,
        .body_producer = has_body && (how[0] & 1) ? produce : NULL,
        .expect_100_continue = (how[0] & 2) != 0,
        .streaming_callback = how[0] & 4 ? on_piece : NULL,
        .header_callback = how[0] & 8 ? on_line : NULL,
        .on_head = how[0] & 128 ? on_head : NULL,
        .callback_arg = &answers[fetch_count],
        .no_follow_redirects = (how[0] & 16) != 0,
        .raise_error = (how[0] & 32) != 0,
        .decompress_response = (how[0] & 64) != 0,
        .max_body = how[2] >= 128        ? how[2]
                    : (how[0] & 64) != 0 ? 100000
                                         : 0, /* a member of gzip may come often */
        .max_redirects = 2,
    };
    char path[sizeof address.sun_path + 1] = "@";

    strcpy(path + 1, address.sun_path + 1);
    request.unix_path = path;
    ids[fetch_count] = httpclient_fetch(client, &request, on_response, &answers[fetch_count]);
    require(ids[fetch_count] != 0 || failing);
    answered += ids[fetch_count] == 0;
    fetch_count++;
}

/* The server. */

static void hang_up(void)
{
    if (peer >= 0)
        close(peer);
    peer = -1;
}

/* Where a request begins, perhaps behind what is left of a body, which has nothing like it; NULL: nowhere. */
static const char *find_request(const char *bytes, size_t length)
{
    static const char *const beginnings[] = { "GET /", "HEAD /", "POST /", "PUT /", "DELETE /" };
    const char *found = NULL;

    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings && found == NULL; i++)
        found = memmem(bytes, length, beginnings[i], strlen(beginnings[i]));
    return found;
}

/* Sees new connections and requests, and drops what comes. */
static void look(void)
{
    char bytes[4096];
    int fd = accept(listener, NULL, NULL);
    ssize_t count;

    if (fd >= 0) {
        hang_up();
        peer = fd;
        sent_length = asked_at = 0;
        accepted++;
    }
    while (peer >= 0 && (count = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        const char *request = find_request(bytes, (size_t)count);
        if (request == NULL)
            continue;
        asked_at = sent_length;
        memcpy(asked, request, sizeof asked);
    }
}

static void turn(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        ioloop_run_once(loop, 0);
        look();
    }
}

static void put(const char *bytes, size_t length)
{
    if (peer < 0 || length == 0 || sent_length + length > sizeof sent)
        return;
    memcpy(sent + sent_length, bytes, length);
    if (send(peer, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length)
        sent_length += length;
}

/* The last words: "hello" and 60,000 "x", in gzip. */
static char packed[2][512];
static size_t packed_length[2];

static void pack(int which, const char *bytes, size_t length)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_GZIP, 6, 15);
    struct httpdeflate_piece piece;
    size_t at = 0;

    do {
        at += httpdeflate_encode(deflate, bytes + at, length - at, HTTPDEFLATE_FINISH, &piece);
        require(packed_length[which] + piece.length <= sizeof packed[which]);
        memcpy(packed[which] + packed_length[which], piece.data, piece.length);
        packed_length[which] += piece.length;
    } while (piece.more);
    httpdeflate_free(deflate);
}

static void pack_words(void)
{
    static char many[60000];

    memset(many, 'x', sizeof many);
    pack(0, "hello", 5);
    pack(1, many, sizeof many);
}

static const char *const words[] = {
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 302 Found\r\n",
    "HTTP/1.1 307 Again\r\n",
    "HTTP/1.1 204 \r\n",
    "HTTP/1.1 304 Same\r\n",
    "HTTP/1.1 404 No\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 70000\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Location: /b\r\n",
    "Location: http://localhost/c\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "1\r\nx\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /d\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n",
    "X: y\r\n",
    "Content-Encoding: gzip\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
    NULL,
    NULL,
};
enum { WORDS = sizeof words / sizeof *words };

/* Answers its length. */
static size_t find_word(uint8_t byte, const char **word)
{
    int at = byte % WORDS, behind = at - (WORDS - 2);

    *word = behind < 0 ? words[at] : packed[behind];
    return behind < 0 ? strlen(words[at]) : packed_length[behind];
}

static void follow_script(const uint8_t *data, size_t size)
{
    char piece[2048];
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        const char *word = NULL;
        size_t more = data[i] >= 0x80 ? find_word(data[i], &word) : 1;
        if (length + more > sizeof piece || data[i] < 8) {
            put(piece, length);
            length = 0;
        }
        if (word != NULL)
            memcpy(piece + length, word, more), length += more;
        else if (data[i] >= 8)
            piece[length++] = (char)data[i];
        else if (data[i] == 1)
            turn(3), hang_up();
        else if (data[i] == 2)
            now += 0.5, turn(2);
        else if (data[i] == 3)
            fetch_next(), look();
        else if (data[i] == 4)
            httpclient_cancel(client, ids[fetch_count - 1]);
        else if (data[i] == 5)
            httpclient_resume(client, ids[fetch_count - 1]);
        else if (data[i] == 6 && peer >= 0)
            shutdown(peer, SHUT_WR);
        else
            turn(4);
    }
    put(piece, length);
}

static void settle(void)
{
    turn(4);
    hang_up();
    for (int i = 0; i < ROUNDS && answered < fetch_count; i++) {
        for (int k = 0; k < fetch_count; k++)
            httpclient_resume(client, ids[k]);
        turn(2);
        now += 1;
        hang_up();
    }
    require(answered == fetch_count);
}

static void begin_once(void)
{
    if (loop != NULL)
        return;
    iolog_set_function(say_nothing, NULL);
    pack_words();
    inflate = httpinflate_new(HTTPINFLATE_GZIP, 15);
    require(inflate != NULL);
    loop = ioloop_new(&(struct ioloop_options){ .clock = read_clock });
    address.sun_family = AF_UNIX;
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "fuzz_httpclient.%d", (int)getpid());
    address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    require(bind(listener, (struct sockaddr *)&address, address_length) == 0 && listen(listener, 64) == 0);
    faults_allocated();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS)
        return 0;
    begin_once();
    long allocated = faults_allocated();
    memcpy(how, data, SETTINGS);
    memset(answers, 0, sizeof answers);
    fetch_count = answered = 0;
    memset(streamed_length, 0, sizeof streamed_length);
    memset(heads, 0, sizeof heads);
    sent_length = asked_at = 0;
    accepted = 0;
    client = httpclient_new(loop, &(struct httpclient_options){ .max_clients = 1 });
    require(client != NULL);
    failing = how[3] != 0;
    if (failing)
        faults_allocation(how[3], (how[4] & 1) != 0);
    fetch_next();
    turn(4);
    follow_script(data + SETTINGS, size - SETTINGS);
    faults_allocation(0, false);
    settle();
    httpclient_close(client);
    turn(6);
    hang_up();
    ioloop_run_once(loop, 0);
    /* What the loop keeps for next time is not lost. */
    static long kept = -1;
    long left = faults_allocated() - allocated;
    if (kept >= 0)
        require(left <= 70);
    kept = left;
    return 0;
}
