/* prime_websocket: answers whether numbers are prime. A client connects to /chatsocket, sends integers as texts, and is
 * told of each "is a prime number", "is not a prime number" or "Invalid input".
 *
 *     prime_websocket [--port=N]                                       port 8888 */
#include "serve.h"

#include <websocket/websocket.h>

/* The clients that are there: the answer goes to one that is in this list. */
struct client {
    struct websocket *socket;
    struct client *next, **link;
};

static struct client *clients;

/* Miller and Rabin's test; with these bases it is right for all numbers below 2^64. */

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t modulus)
{
    uint64_t product = 0;

    for (; b > 0; b >>= 1) {
        if ((b & 1) != 0)
            product = product >= modulus - a ? product - (modulus - a) : product + a;
        a = a >= modulus - a ? a - (modulus - a) : a + a;
    }
    return product;
}

static uint64_t power(uint64_t base, uint64_t exponent, uint64_t modulus)
{
    uint64_t result = 1;

    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0)
            result = multiply(result, base, modulus);
        base = multiply(base, base, modulus);
    }
    return result;
}

/* Does the base show that the number, odd and greater than it, is no prime? */
static bool is_witness(uint64_t base, uint64_t number)
{
    uint64_t odd = number - 1;
    int twos = __builtin_ctzll(odd);
    uint64_t x = power(base, odd >> twos, number);

    if (x == 1 || x == number - 1)
        return false;
    for (int i = 1; i < twos; i++) {
        x = multiply(x, x, number);
        if (x == number - 1)
            return false;
    }
    return true;
}

static bool is_prime(uint64_t number)
{
    static const uint64_t bases[] = { 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37 };

    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (number % bases[i] == 0)
            return number == bases[i];
    }
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (number < 2 || is_witness(bases[i], number))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A decimal integer below 2^64, perhaps with a sign, and blanks around it. Negative: 0, which is no prime either. */
static bool parse_integer(const char *text, size_t length, uint64_t *number)
{
    const char *end = text + length;

    while (text < end && is_blank(*text))
        text++;
    while (text < end && is_blank(end[-1]))
        end--;
    bool is_negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    if (text == end)
        return false;
    for (*number = 0; text < end; text++) {
        uint64_t digit = (uint64_t)*text - '0';
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    if (is_negative)
        *number = 0;
    return true;
}

static const char *judge(const char *text, size_t length)
{
    uint64_t number;

    if (!parse_integer(text, length, &number))
        return "Invalid input";
    return is_prime(number) ? "is a prime number" : "is not a prime number";
}

static void on_open(struct websocket *socket, struct web_request *request)
{
    struct client *client = malloc(sizeof *client);

    if (client == NULL) {
        websocket_close(socket, WEBSOCKET_INTERNAL, "no memory");
        return;
    }
    *client = (struct client){ socket, clients, &clients };
    if (clients != NULL)
        clients->link = &client->next;
    clients = client;
    websocket_set_arg(socket, client);
}

static void on_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    const char *answer = is_binary ? "Invalid input" : judge(data, length);

    for (const struct client *client = clients; client != NULL; client = client->next) {
        if (client->socket == socket)
            websocket_write_text(client->socket, answer);
    }
}

static void on_close(struct websocket *socket, int code, const char *reason)
{
    struct client *client = websocket_arg(socket);

    if (client == NULL)
        return;
    *client->link = client->next;
    if (client->next != NULL)
        client->next->link = client->link;
    free(client);
}

static const struct websocket_handler prime_handler = {
    .open = on_open,
    .on_message = on_message,
    .on_close = on_close,
    .max_message = 1024,
};

int main(int argc, char **argv)
{
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    static const struct web_route routes[] = {
        { .pattern = "/chatsocket", .handler = &websocket_route, .arg = &prime_handler },
        { 0 },
    };

    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &(struct web_settings){ .server.on_close = serve_closed }), argv[0]);
}
