#include "websocket/websocketdeflate.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpdeflate.h"
#include "httpserver/httpinflate.h"
#include "httpserver/httpparameters.h"
#include "ioloop/ioalloc.h"

enum { LARGEST_WINDOW = 15 };

/* What is agreed on. */

/* The parameters of one offer, or of an answer: RFC 7692 7.1. */
struct deflate_parameters {
    bool server_anew, client_anew;
    bool has_server_window, has_client_window;
    int server_window, client_window; /* 0: named without a value */
};

/* 8 to 15, without leading zeroes; 0: neither. */
static int window_of(struct httpparameters_part value)
{
    const char *text = value.text;

    if (value.length == 1 && (text[0] == '8' || text[0] == '9'))
        return text[0] - '0';
    return value.length == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5' ? 10 + text[1] - '0' : 0;
}

static bool add_flag(bool *flag, const struct httpparameters_parameter *parameter)
{
    if (*flag || parameter->value.text != NULL)
        return false;
    return *flag = true;
}

static bool add_window(bool *has, int *window, const struct httpparameters_parameter *parameter, bool needs_value)
{
    if (*has || (needs_value && parameter->value.text == NULL))
        return false;
    *has = true;
    *window = parameter->value.text != NULL ? window_of(parameter->value) : 0;
    return parameter->value.text == NULL || *window != 0;
}

/* False: it is unknown, comes twice, or has a value that it may not have. */
static bool add_parameter(struct deflate_parameters *parameters, const struct httpparameters_parameter *parameter,
                          bool is_offer)
{
    if (httpparameters_is(parameter->name, "server_no_context_takeover"))
        return add_flag(&parameters->server_anew, parameter);
    if (httpparameters_is(parameter->name, "client_no_context_takeover"))
        return add_flag(&parameters->client_anew, parameter);
    if (httpparameters_is(parameter->name, "server_max_window_bits"))
        return add_window(&parameters->has_server_window, &parameters->server_window, parameter, true);
    if (httpparameters_is(parameter->name, "client_max_window_bits"))
        return add_window(&parameters->has_client_window, &parameters->client_window, parameter, !is_offer);
    return false;
}

/* The next extension of the list: 1 permessage-deflate as it may be; 0 there are no more; -ENOTSUP another one, or one
 * that may not be; -EINVAL malformed. */
static int next_extension(struct httpparameters *walk, struct deflate_parameters *parameters, bool is_offer)
{
    struct httpparameters_part name;
    struct httpparameters_parameter parameter;
    int more = httpparameters_value(walk, &name);

    if (more <= 0)
        return more;
    bool is_ours = httpparameters_is(name, "permessage-deflate");
    *parameters = (struct deflate_parameters){ 0 };
    while ((more = httpparameters_next(walk, &parameter)) > 0)
        is_ours = is_ours && add_parameter(parameters, &parameter, is_offer);
    if (more < 0)
        return more;
    return is_ours ? 1 : -ENOTSUP;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static void agree(const struct deflate_parameters *offer, const struct websocketdeflate_terms *wanted,
                  struct websocketdeflate_terms *agreed)
{
    *agreed = *wanted;
    agreed->names_server_window = offer->has_server_window;
    if (offer->has_server_window)
        agreed->server_window = smaller(wanted->server_window, offer->server_window);
    if (!offer->has_client_window)
        agreed->client_window = LARGEST_WINDOW; /* it cannot be told otherwise */
    else if (offer->client_window != 0)
        agreed->client_window = smaller(wanted->client_window, offer->client_window);
    agreed->server_anew = wanted->server_anew || offer->server_anew;
    agreed->client_anew = wanted->client_anew || offer->client_anew;
}

int websocketdeflate_accept(char *text, const struct websocketdeflate_terms *wanted,
                            struct websocketdeflate_terms *agreed)
{
    struct httpparameters walk;
    struct deflate_parameters offer;
    int found = 0, next;

    if (text == NULL)
        return 0;
    httpparameters_begin_list(&walk, text, strlen(text), text);
    while ((next = next_extension(&walk, &offer, true)) != 0) {
        if (next == -EINVAL)
            return -400;
        if (next > 0 && !found)
            agree(&offer, wanted, agreed);
        found = found || next > 0;
    }
    return found;
}

static char *put_extension_text(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length + 1);
    return at + length;
}

static char *put_window(char *at, const char *name, int window)
{
    at = put_extension_text(at, name);
    *at++ = '=';
    if (window >= 10)
        *at++ = '1';
    *at++ = (char)('0' + window % 10);
    *at = '\0';
    return at;
}

/* Up to the window of the client. */
static char *put_terms(char *at, const struct websocketdeflate_terms *terms, bool names_server_window)
{
    at = put_extension_text(at, "permessage-deflate");
    if (terms->server_anew)
        at = put_extension_text(at, "; server_no_context_takeover");
    if (terms->client_anew)
        at = put_extension_text(at, "; client_no_context_takeover");
    if (names_server_window || terms->server_window < LARGEST_WINDOW)
        at = put_window(at, "; server_max_window_bits", terms->server_window);
    return at;
}

void websocketdeflate_format_answer(const struct websocketdeflate_terms *agreed, char place[WEBSOCKETDEFLATE_LONGEST])
{
    char *at = put_terms(place, agreed, agreed->names_server_window);

    if (agreed->client_window < LARGEST_WINDOW)
        put_window(at, "; client_max_window_bits", agreed->client_window);
}

/* The window that we send with can always be made smaller. */
void websocketdeflate_format_offer(const struct websocketdeflate_terms *wanted, char place[WEBSOCKETDEFLATE_LONGEST])
{
    char *at = put_terms(place, wanted, false);

    if (wanted->client_window < LARGEST_WINDOW)
        put_window(at, "; client_max_window_bits", wanted->client_window);
    else
        put_extension_text(at, "; client_max_window_bits");
}

/* What was offered as a condition has to be in the answer, RFC 7692 7.1.1.1 and 7.1.2.1. */
static bool is_answer_to(const struct deflate_parameters *answer, const struct websocketdeflate_terms *wanted)
{
    if (wanted->server_anew && !answer->server_anew)
        return false;
    if (wanted->server_window < LARGEST_WINDOW && !answer->has_server_window)
        return false;
    return (!answer->has_server_window || answer->server_window <= wanted->server_window) &&
           (!answer->has_client_window || answer->client_window <= wanted->client_window);
}

int websocketdeflate_check_answer(char *text, const struct websocketdeflate_terms *wanted,
                                  struct websocketdeflate_terms *agreed)
{
    struct httpparameters walk;
    struct deflate_parameters answer, other;

    if (text == NULL || *text == '\0')
        return 0;
    httpparameters_begin_list(&walk, text, strlen(text), text);
    if (next_extension(&walk, &answer, false) != 1 || next_extension(&walk, &other, false) != 0 ||
        !is_answer_to(&answer, wanted))
        return -EPROTO;
    *agreed = *wanted;
    agreed->names_server_window = answer.has_server_window;
    if (answer.has_server_window)
        agreed->server_window = answer.server_window;
    if (answer.has_client_window)
        agreed->client_window = answer.client_window;
    agreed->server_anew = answer.server_anew;
    agreed->client_anew = wanted->client_anew || answer.client_anew;
    return 1;
}

/* Messages. */

struct websocketdeflate {
    struct httpdeflate *deflate; /* NULL: nothing has been sent yet */
    struct httpinflate *inflate; /* the same, received */
    struct websocketdeflate_spare *spare;
    uint64_t inflated; /* bytes of the present message */
    uint8_t level, send_window, receive_window;
    bool sends_anew, receives_anew;
};

struct websocketdeflate *websocketdeflate_new(const struct websocketdeflate_terms *agreed, bool is_client, int level)
{
    struct websocketdeflate *deflate = ioalloc_zeroed(sizeof *deflate);

    if (deflate == NULL)
        return NULL;
    deflate->level = (uint8_t)level;
    deflate->send_window = (uint8_t)(is_client ? agreed->client_window : agreed->server_window);
    deflate->receive_window = (uint8_t)(is_client ? agreed->server_window : agreed->client_window);
    deflate->sends_anew = is_client ? agreed->client_anew : agreed->server_anew;
    deflate->receives_anew = is_client ? agreed->server_anew : agreed->client_anew;
    return deflate;
}

void websocketdeflate_free(struct websocketdeflate *deflate)
{
    if (deflate == NULL)
        return;
    httpdeflate_free(deflate->deflate);
    httpinflate_free(deflate->inflate);
    ioalloc_free(deflate);
}

void websocketdeflate_share(struct websocketdeflate *deflate, struct websocketdeflate_spare *spare)
{
    deflate->spare = spare;
}

int websocketdeflate_send_window(const struct websocketdeflate *deflate)
{
    return deflate->send_window;
}

void websocketdeflate_free_spare(struct websocketdeflate_spare *spare)
{
    httpdeflate_free(spare->deflate);
    httpinflate_free(spare->inflate);
    *spare = (struct websocketdeflate_spare){ 0 };
}

/* Coders. NULL: no memory. */

static struct httpdeflate *take_deflate(const struct websocketdeflate *deflate)
{
    struct websocketdeflate_spare *spare = deflate->spare;
    struct httpdeflate *taken = NULL;

    if (spare != NULL && spare->deflate_window == deflate->send_window) {
        taken = spare->deflate;
        spare->deflate = NULL;
    }
    return taken != NULL ? taken : httpdeflate_new(HTTPDEFLATE_RAW, deflate->level, deflate->send_window);
}

static struct httpinflate *take_inflate(const struct websocketdeflate *deflate)
{
    struct websocketdeflate_spare *spare = deflate->spare;
    struct httpinflate *taken = NULL;

    if (spare != NULL && spare->inflate_window == deflate->receive_window) {
        taken = spare->inflate;
        spare->inflate = NULL;
    }
    return taken != NULL ? taken : httpinflate_new(HTTPINFLATE_MESSAGES, deflate->receive_window);
}

static void forget_deflated(struct websocketdeflate *deflate)
{
    struct websocketdeflate_spare *spare = deflate->spare;

    httpdeflate_reset(deflate->deflate);
    if (spare == NULL || !deflate->sends_anew)
        return;
    httpdeflate_free(spare->deflate);
    spare->deflate = deflate->deflate;
    spare->deflate_window = deflate->send_window;
    deflate->deflate = NULL;
}

static void forget_inflated(struct websocketdeflate *deflate)
{
    struct websocketdeflate_spare *spare = deflate->spare;

    httpinflate_reset(deflate->inflate);
    if (spare == NULL)
        return;
    httpinflate_free(spare->inflate);
    spare->inflate = deflate->inflate;
    spare->inflate_window = deflate->receive_window;
    deflate->inflate = NULL;
}

/* The message is through. */
static int end_inflated(struct websocketdeflate *deflate)
{
    if (httpinflate_end_message(deflate->inflate) < 0)
        return -1007;
    if (deflate->receives_anew)
        forget_inflated(deflate);
    deflate->inflated = 0;
    return 0;
}

ssize_t websocketdeflate_decompress(struct websocketdeflate *deflate, const void *bytes, size_t length, bool is_last,
                                    uint64_t most, struct websocketdeflate_piece *piece)
{
    struct httpinflate_piece part;

    *piece = (struct websocketdeflate_piece){ 0 };
    if (deflate->inflate == NULL)
        deflate->inflate = take_inflate(deflate);
    if (deflate->inflate == NULL)
        return -1011;
    ssize_t taken = httpinflate_decode(deflate->inflate, bytes, length, &part);
    deflate->inflated += part.length;
    if (taken < 0)
        return -1007;
    if (deflate->inflated > most)
        return -1009;
    bool more = part.length > 0 || (size_t)taken < length;
    if (!more && is_last) {
        int code = end_inflated(deflate);
        if (code < 0)
            return code;
    }
    *piece = (struct websocketdeflate_piece){ part.data, part.length, more };
    return taken;
}

ssize_t websocketdeflate_compress(struct websocketdeflate *deflate, const void *bytes, size_t length, bool is_last,
                                  struct websocketdeflate_piece *piece)
{
    struct httpdeflate_piece part;

    *piece = (struct websocketdeflate_piece){ 0 };
    if (deflate->deflate == NULL)
        deflate->deflate = take_deflate(deflate);
    if (deflate->deflate == NULL)
        return -ENOMEM;
    size_t taken =
        httpdeflate_encode(deflate->deflate, bytes, length, is_last ? HTTPDEFLATE_MESSAGE : HTTPDEFLATE_MORE, &part);
    if (is_last && !part.more && deflate->sends_anew)
        forget_deflated(deflate);
    *piece = (struct websocketdeflate_piece){ part.data, part.length, part.more };
    return (ssize_t)taken;
}

void websocketdeflate_forget(struct websocketdeflate *deflate)
{
    if (deflate->deflate != NULL)
        forget_deflated(deflate);
}
