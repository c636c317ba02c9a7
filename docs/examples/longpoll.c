/* longpoll: a chat by long polling: who asks for news waits until there are some.
 *
 *     longpoll [--port=N]                                              port 8888; 0: any
 *
 *     curl -d 'hello' 127.0.0.1:8888/messages
 *     curl '127.0.0.1:8888/messages?after=1'                           waits for the second one */
#include "serve.h"

#include <httpserver/httpescape.h>

#define KEPT    64
#define LONGEST 1000

static const char page[] =
    "<!doctype html>\n<meta charset=utf-8><title>longpoll</title>\n"
    "<form id=form><input id=text autofocus> <input type=submit value=Say></form><pre id=log></pre>\n"
    "<script>\n"
    "const log = document.getElementById('log'), text = document.getElementById('text');\n"
    "document.getElementById('form').onsubmit = event => {\n"
    "    event.preventDefault();\n"
    "    fetch('/messages', { method: 'POST', body: text.value });\n"
    "    text.value = '';\n"
    "};\n"
    "async function follow(after) {\n"
    "    for (;;) {\n"
    "        try {\n"
    "            const answer = await fetch('/messages?after=' + after);\n"
    "            const news = await answer.json();\n"
    "            after = news.last;\n"
    "            for (const message of news.messages) log.append(message + '\\n');\n"
    "        } catch {\n"
    "            await new Promise(awake => setTimeout(awake, 1000));\n"
    "        }\n"
    "    }\n"
    "}\n"
    "follow(0);\n"
    "</script>\n";

/* Message n is in slot n % KEPT, as long as there are not KEPT newer ones. */
static char messages[KEPT][LONGEST + 1];
static unsigned last;

/* Requests that wait for the next message: their states make a list. */
struct waiting {
    struct web_request *request;
    struct waiting *next, **link;
    unsigned after;
};

static struct waiting *all_waiting;

static void take_out(struct waiting *waiting)
{
    if (waiting->link == NULL)
        return;
    *waiting->link = waiting->next;
    if (waiting->next != NULL)
        waiting->next->link = waiting->link;
    waiting->link = NULL;
}

static void answer(struct web_request *request, unsigned after)
{
    unsigned first = after < last ? after + 1 : last + 1;

    if (last - first >= KEPT && first <= last)
        first = last - KEPT + 1;
    web_set_header(request, "Content-Type", "application/json");
    web_set_header(request, "Cache-Control", "no-store");
    web_printf(request, "{\"last\":%u,\"messages\":[", last);
    for (unsigned i = first; i <= last; i++) {
        web_write(request, i > first ? "," : "");
        web_write_json_string(request, messages[i % KEPT]);
    }
    web_write(request, "]}");
    web_finish(request);
}

static void get_messages(struct web_request *request)
{
    struct waiting *waiting = web_state(request);
    const char *after = web_get_argument(request, "after", "0");

    web_asynchronous(request);
    if (after == NULL)
        return; /* it is no text, and the request has been answered */
    waiting->request = request;
    waiting->after = (unsigned)strtoul(after, NULL, 10);
    if (waiting->after < last) {
        answer(request, waiting->after);
        return;
    }
    waiting->next = all_waiting;
    waiting->link = &all_waiting;
    if (waiting->next != NULL)
        waiting->next->link = &waiting->next;
    all_waiting = waiting;
}

/* Nobody is there any more to be told. */
static void client_left(struct web_request *request)
{
    take_out(web_state(request));
    web_abort(request);
}

static void post_message(struct web_request *request)
{
    size_t length;
    const char *body = httprequest_body(web_http(request), &length);

    if (length == 0 || length > LONGEST || !httpescape_is_utf8(body, length) || memchr(body, '\0', length) != NULL) {
        web_send_error(request, 400);
        return;
    }
    last++;
    memcpy(messages[last % KEPT], body, length);
    messages[last % KEPT][length] = '\0';
    web_set_status(request, 204, NULL);
    while (all_waiting != NULL) {
        struct waiting *waiting = all_waiting;

        take_out(waiting);
        answer(waiting->request, waiting->after); /* which ends it: its state is gone */
    }
}

static void get_page(struct web_request *request)
{
    web_write(request, page);
}

static const struct web_handler page_handler = { .get = get_page };
static const struct web_handler messages_handler = {
    .get = get_messages,
    .post = post_message,
    .on_connection_close = client_left,
    .size = sizeof(struct waiting),
};

int main(int argc, char **argv)
{
    static const struct web_route routes[] = {
        { "/", &page_handler, NULL, NULL },
        { "/messages", &messages_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &settings), argv[0]);
}
