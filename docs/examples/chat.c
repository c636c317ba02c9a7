/* chat: a page with a chat over WebSocket, for as many browsers as like to come.
 *
 *     chat [--port=N]                                                  port 8888
 *
 * A browser connects to /chat?name=NAME&after=ID, sends texts, and is sent, as JSON, what it has missed since the
 * message of that number, then all that comes:
 *
 *     {"id":7,"time":1700000000,"from":"Ann","text":"hello"}
 *     {"text":"Ann has come","people":3} */
#include "serve.h"

#include <inttypes.h>
#include <time.h>

#include <httpserver/httpescape.h>
#include <websocket/websocket.h>

#include "chat_page.h"

#define LONGEST_NAME 32u   /* characters, as the page has it; 4 bytes each at most */
#define LONGEST_TEXT 8000u /* bytes */
#define HISTORY      100u

struct member {
    char name[4 * LONGEST_NAME + 1];
};

/* The last messages, as they were sent. Their numbers begin with the time of the start, in milliseconds: browsers that
 * come back after a restart are not sent again what they have, and take what is new for new. */
static struct websocket_message *history[HISTORY];
static uint64_t last_id;
static unsigned people;

static char line[6 * (LONGEST_TEXT + 4 * LONGEST_NAME) + 256];

/* To everybody. Who cannot be reached is about to leave. */
static void tell_all(const char *text, size_t length)
{
    websocket_publish(ioloop_current(), "chat", text, length, false, NULL);
}

static void tell_news(const char *name, const char *what)
{
    char escaped[6 * 4 * LONGEST_NAME];
    int name_length = (int)httpescape_json(name, strlen(name), escaped);
    int length =
        snprintf(line, sizeof line, "{\"text\":\"%.*s has %s\",\"people\":%u}", name_length, escaped, what, people);

    tell_all(line, (size_t)length);
}

/* The line of a message; its length. */
static size_t write_message(const char *name, const char *text, size_t length)
{
    int begun =
        snprintf(line, sizeof line, "{\"id\":%" PRIu64 ",\"time\":%lld,\"from\":\"", last_id, (long long)time(NULL));
    size_t at = (size_t)begun;

    at += httpescape_json(name, strlen(name), line + at);
    at += (size_t)snprintf(line + at, sizeof line - at, "\",\"text\":\"");
    at += httpescape_json(text, length, line + at);
    return at + (size_t)snprintf(line + at, sizeof line - at, "\"}");
}

static void on_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    const struct member *member = websocket_arg(socket);

    if (member == NULL) /* on_open has closed it, and it has not heard of that yet */
        return;
    if (is_binary) {
        websocket_close(socket, WEBSOCKET_UNSUPPORTED, "texts only");
        return;
    }
    last_id++;
    size_t size = write_message(member->name, data, length);
    websocket_message_release(history[last_id % HISTORY]);
    history[last_id % HISTORY] = websocket_message_new(line, size, false); /* NULL: nobody will hear of it later */
    tell_all(line, size);
}

static void send_history(struct websocket *socket, uint64_t after)
{
    uint64_t seen = last_id - HISTORY;

    if (after > seen)
        seen = after;
    for (; seen < last_id; seen++) {
        if (history[(seen + 1) % HISTORY] != NULL)
            websocket_send(socket, history[(seen + 1) % HISTORY]);
    }
}

/* A name that is not there, or cannot be, is refused before there is a WebSocket. */
static void prepare(struct web_request *request)
{
    const char *name = web_get_query_argument(request, "name", "");

    if (name == NULL || web_get_query_argument(request, "after", "") == NULL)
        return; /* no UTF-8: that has been answered */
    if (*name == '\0' || strlen(name) >= sizeof(struct member))
        web_send_error(request, 400);
}

static void on_open(struct websocket *socket, struct web_request *request)
{
    struct member *member = malloc(sizeof *member);
    const char *name = web_get_query_argument(request, "name", "");
    const char *after = web_get_query_argument(request, "after", "");

    if (member == NULL || name == NULL || after == NULL || websocket_subscribe(socket, "chat") < 0) {
        free(member);
        websocket_close(socket, WEBSOCKET_INTERNAL, "no memory");
        return;
    }
    strcpy(member->name, name); /* prepare has seen to its length */
    websocket_set_arg(socket, member);
    people++;
    send_history(socket, strtoull(after, NULL, 10)); /* 0 if it is no number */
    tell_news(member->name, "come");
}

static void on_close(struct websocket *socket, int code, const char *reason)
{
    struct member *member = websocket_arg(socket);

    if (member == NULL)
        return;
    people--;
    tell_news(member->name, "left");
    free(member);
}

static void get_page(struct web_request *request)
{
    web_write(request, chat_page);
}

static const struct web_handler page_handler = { .get = get_page };
static const struct websocket_handler chat_handler = {
    .prepare = prepare,
    .open = on_open,
    .on_message = on_message,
    .on_close = on_close,
    .max_message = LONGEST_TEXT,
};

int main(int argc, char **argv)
{
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    static const struct web_route routes[] = {
        { .pattern = "/", .handler = &page_handler },
        { .pattern = "/chat", .handler = &websocket_route, .arg = &chat_handler },
        { 0 },
    };

    serve_parse(options, argc, argv);
    last_id = (uint64_t)time(NULL) * 1000;
    int status = serve(web_application_new(routes, &(struct web_settings){ .server.on_close = serve_closed }), argv[0]);
    for (unsigned i = 0; i < HISTORY; i++)
        websocket_message_release(history[i]);
    return status;
}
