/* What a program asks for: checked, completed, and copied for as long as the fetch needs it. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpclient/httprequesthead.h"
#include "httpserver/httpfield.h"
#include "ioloop/ioalloc.h"
#include "ioloop/netutil.h"

#define CONNECT_TIMEOUT INT64_C(10000000000) /* nanoseconds */
#define IDLE_TIMEOUT    INT64_C(20000000000)
#define REQUEST_TIMEOUT INT64_C(60000000000)
#define MAX_REDIRECTS   5
#define MAX_BODY        (16u << 20)
#define MOST_SECONDS    1e9
#define MOST_LIMIT      (1u << 30)
#define MOST_OF_HOST    253
#define FORM_TYPE       "application/x-www-form-urlencoded"

/* Defaults. */

#define TAKE_DEFAULT(field)                                                                                            \
    do {                                                                                                               \
        if (request->field == 0)                                                                                       \
            request->field = defaults->field;                                                                          \
    } while (0)

/* What belongs together comes from one of the two. */
static void merge_groups(struct httpclient_request *request, const struct httpclient_request *defaults)
{
    if (request->auth_username == NULL) {
        request->auth_username = defaults->auth_username;
        request->auth_password = defaults->auth_password;
    }
    if (request->proxy_host == NULL) {
        request->proxy_host = defaults->proxy_host;
        request->proxy_port = defaults->proxy_port;
        request->proxy_username = defaults->proxy_username;
        request->proxy_password = defaults->proxy_password;
        TAKE_DEFAULT(proxy_tunnel);
    }
    if (request->unix_path == NULL && request->connect_host == NULL && request->connect_port == 0) {
        request->unix_path = defaults->unix_path;
        request->connect_host = defaults->connect_host;
        request->connect_port = defaults->connect_port;
    }
    if (request->header_callback == NULL && request->on_head == NULL && request->streaming_callback == NULL &&
        request->callback_arg == NULL) {
        request->header_callback = defaults->header_callback;
        request->on_head = defaults->on_head;
        request->streaming_callback = defaults->streaming_callback;
        request->callback_arg = defaults->callback_arg;
    }
}

void httpfetch_merge_defaults(struct httpclient_request *request, const struct httpclient_request *defaults)
{
    merge_groups(request, defaults);
    TAKE_DEFAULT(url);
    TAKE_DEFAULT(method);
    TAKE_DEFAULT(headers);
    TAKE_DEFAULT(private_headers);
    TAKE_DEFAULT(allow_nonstandard_methods);
    TAKE_DEFAULT(expect_100_continue);
    TAKE_DEFAULT(resend);
    TAKE_DEFAULT(user_agent);
    TAKE_DEFAULT(if_modified_since);
    TAKE_DEFAULT(decompress_response);
    TAKE_DEFAULT(no_follow_redirects);
    TAKE_DEFAULT(max_redirects);
    TAKE_DEFAULT(raise_error);
    TAKE_DEFAULT(connect_timeout);
    TAKE_DEFAULT(idle_timeout);
    TAKE_DEFAULT(request_timeout);
    TAKE_DEFAULT(total_timeout);
    TAKE_DEFAULT(queue_timeout);
    TAKE_DEFAULT(max_body);
    TAKE_DEFAULT(max_header);
    TAKE_DEFAULT(network_interface);
    TAKE_DEFAULT(family);
}

/* Limits. */

static int64_t nanoseconds_of(double seconds, int64_t when_zero)
{
    if (seconds == 0)
        return when_zero;
    return seconds < 0 || seconds > MOST_SECONDS ? HTTPFETCH_NEVER : (int64_t)(seconds * 1e9);
}

static bool has_nan(const struct httpclient_request *request)
{
    return isnan(request->connect_timeout) || isnan(request->idle_timeout) || isnan(request->request_timeout) ||
           isnan(request->total_timeout) || isnan(request->queue_timeout);
}

static int set_request_limits(struct httpfetch *fetch, const struct httpclient_request *request)
{
    if (has_nan(request) || request->max_header > MOST_LIMIT)
        return -EINVAL;
    fetch->connect_timeout = nanoseconds_of(request->connect_timeout, CONNECT_TIMEOUT);
    fetch->request_timeout = nanoseconds_of(request->request_timeout, REQUEST_TIMEOUT);
    int64_t idle = request->request_timeout != 0 ? fetch->request_timeout : IDLE_TIMEOUT;
    fetch->idle_timeout = nanoseconds_of(request->idle_timeout, idle);
    fetch->total_timeout = nanoseconds_of(request->total_timeout, fetch->request_timeout);
    int64_t lesser = fetch->connect_timeout < fetch->request_timeout ? fetch->connect_timeout : fetch->request_timeout;
    fetch->queue_timeout = nanoseconds_of(request->queue_timeout, lesser);
    fetch->max_redirects = request->max_redirects != 0 ? request->max_redirects : MAX_REDIRECTS;
    fetch->max_body = request->max_body;
    if (fetch->max_body == 0)
        fetch->max_body = request->streaming_callback != NULL ? UINT64_MAX : MAX_BODY;
    fetch->limits.head = request->max_header < HTTP1PARSER_MOST ? request->max_header : HTTP1PARSER_MOST;
    return 0;
}

/* Texts. */

/* A copy among the texts, with its NUL; the room has been made. */
static char *keep_text(struct httpfetch *fetch, const char *text, size_t length)
{
    char *place = fetch->texts.bytes + fetch->texts.length;

    memcpy(place, text, length);
    place[length] = '\0';
    fetch->texts.length += length + 1;
    return place;
}

static const char *keep_string(struct httpfetch *fetch, const char *text)
{
    return text != NULL ? keep_text(fetch, text, strlen(text)) : NULL;
}

static size_t string_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* One string behind the other, and an empty one behind the last. */
static size_t size_of_names(const char *const *names)
{
    size_t size = 1;

    for (; names != NULL && *names != NULL; names++)
        size += string_size(*names);
    return size;
}

static const char *keep_names(struct httpfetch *fetch, const char *const *names)
{
    const char *first = fetch->texts.bytes + fetch->texts.length;

    for (; names != NULL && *names != NULL; names++) {
        if (**names != '\0')
            keep_string(fetch, *names);
    }
    keep_text(fetch, "", 0);
    return first;
}

/* 8 at a time: nearly all URLs are ASCII. */
static bool is_ascii(const char *text, size_t length)
{
    uint64_t word = 0, bits = 0;

    for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
        memcpy(&word, text, sizeof word);
        bits |= word;
    }
    word = 0;
    memcpy(&word, text, length);
    return ((bits | word) & UINT64_C(0x8080808080808080)) == 0;
}

/* Bytes from 0x80 on are escaped: whatever they were meant to be, they are not made into something else. In a host they
 * are refused with their escapes. Answers the length. */
static size_t escape_url(const char *url, char *place)
{
    size_t length = strlen(url);

    if (is_ascii(url, length))
        memcpy(place, url, length);
    else
        length = httpurl_encode_iri(url, length, place);
    place[length] = '\0';
    return length;
}

/* User and password are for the server, and for nobody else who sees the URL. 0, or an error. */
static int take_userinfo(struct httpfetch *fetch, char *text, size_t length)
{
    struct httpurl_part info = fetch->url.userinfo;
    char *user = (char *)info.text;
    char *colon = memchr(user, ':', info.length);
    size_t user_length = colon != NULL ? (size_t)(colon - user) : info.length;
    char *password = colon != NULL ? colon + 1 : user + info.length;
    ssize_t name = httpurl_decode(user, user_length, user, 0);
    ssize_t secret = httpurl_decode(password, info.length - (size_t)(password - user), password, 0);

    if (name < 0 || secret < 0)
        return -EINVAL;
    if (info.length > 0) {
        fetch->authorization = httprequesthead_basic(user, (size_t)name, password, (size_t)secret);
        if (fetch->authorization == NULL)
            return -errno;
    }
    size_t behind = (size_t)(user - text) + info.length + 1;
    memmove(user, text + behind, length - behind + 1);
    return httpurl_parse(text, length - info.length - 1, &fetch->url);
}

static inline bool is_scheme(const struct httpurl *url, const char *name)
{
    size_t length = strlen(name);

    if (url->scheme.length != length)
        return false;
    if (memcmp(url->scheme.text, name, length) == 0)
        return true;
    for (size_t i = 0; i < length; i++) {
        if ((url->scheme.text[i] | 0x20) != name[i])
            return false;
    }
    return true;
}

/* connect_host and connect_port are for the origin of the first URL, which stays among the texts. */
static void set_detour(struct httpfetch *fetch)
{
    struct httpfetch_detour *detour = &fetch->detour;
    const struct httppool_key *key = &fetch->key;

    if (fetch->redirected == NULL) {
        detour->from = key->host;
        detour->from_port = key->port;
        detour->from_secure = key->is_secure;
    }
    bool counts = detour->from_port == key->port && detour->from_secure == key->is_secure &&
                  detour->from.length == key->host.length &&
                  httpfield_is_same(detour->from.text, key->host.text, key->host.length);
    fetch->key.connect_host = counts ? detour->host : NULL;
    fetch->key.connect_port = counts ? detour->port : 0;
}

/* A proxy that gets the whole URL connects to its host. */
static bool needs_tunnel(const struct httpfetch *fetch)
{
    return fetch->key.is_secure || fetch->upgrades || fetch->wants_tunnel || fetch->key.connect_host != NULL ||
           fetch->key.connect_port != 0;
}

/* Sets what of the key the URL says. */
static int check_url(struct httpfetch *fetch)
{
    const struct httpurl *url = &fetch->url;
    bool is_secure = is_scheme(url, "https") || (fetch->upgrades && is_scheme(url, "wss"));
    bool is_plain = is_scheme(url, "http") || (fetch->upgrades && is_scheme(url, "ws"));

    if (url->scheme.text == NULL)
        return -EINVAL;
    if (!is_secure && !is_plain)
        return -EPROTONOSUPPORT;
    if (url->host.length == 0 || url->host.length > MOST_OF_HOST || url->port <= 0)
        return -EINVAL;
    if (is_secure && fetch->client->options.tls.start == NULL)
        return -EPROTONOSUPPORT;
    fetch->key.host = url->host;
    fetch->key.port = url->port;
    fetch->key.is_secure = is_secure;
    if (fetch->detour.is_set)
        set_detour(fetch);
    fetch->key.is_tunnel = fetch->key.proxy_host != NULL && needs_tunnel(fetch);
    return 0;
}

int httpfetch_set_url(struct httpfetch *fetch, char *text, size_t length)
{
    int error = httpurl_parse(text, length, &fetch->url);

    if (error == 0 && fetch->url.userinfo.text != NULL)
        error = take_userinfo(fetch, text, length);
    if (error < 0)
        return error;
    fetch->url_text = text;
    return check_url(fetch);
}

static int set_url(struct httpfetch *fetch, const char *url)
{
    char *place = fetch->texts.bytes + fetch->texts.length;
    size_t length = escape_url(url, place);

    fetch->texts.length += length + 1;
    return httpfetch_set_url(fetch, place, length);
}

/* Method and body. */

static int check_method(const struct httpclient_request *request, const char *method)
{
    bool has_body = request->body != NULL || request->body_producer != NULL;

    if (request->body != NULL && request->body_producer != NULL)
        return -EINVAL;
    if (request->allow_nonstandard_methods)
        return 0;
    if (request->method == NULL)
        return has_body ? -EINVAL : 0; /* it is GET */
    return httprequesthead_is_standard(method) && has_body == httprequesthead_wants_body(method) ? 0 : -EINVAL;
}

/* 1 to 19 digits. */
static int parse_length(const char *text, uint64_t *length)
{
    size_t digits = strlen(text);

    *length = 0;
    if (digits == 0 || digits > 19)
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        *length = *length * 10 + (uint64_t)(*text - '0');
    }
    return 0;
}

static int set_producer(struct httpfetch *fetch, const struct httpclient_request *request)
{
    const char *length = request->headers != NULL ? httpheaders_get(request->headers, "Content-Length") : NULL;

    fetch->producer = request->body_producer;
    fetch->producer_arg = request->body_producer_arg;
    if (fetch->producer == NULL || length == NULL)
        return 0;
    fetch->has_length = true;
    return parse_length(length, &fetch->producer_length);
}

/* From where, to where, and as whom. */

/* As it stands in a URL, but for the brackets. */
static bool is_connect_host(const char *text)
{
    struct httpurl_part host;
    int port;
    size_t length = strlen(text);

    return netutil_is_valid_ip(text) ||
           (length <= MOST_OF_HOST && httpurl_split_host_and_port(text, length, &host, &port) == 0 &&
            host.length == length);
}

static bool has_detour(const struct httpclient_request *request)
{
    return request->connect_host != NULL || request->connect_port != 0;
}

static int check_detour(const struct httpclient_request *request)
{
    if (request->unix_path != NULL || request->connect_port < 0 || request->connect_port > 65535)
        return -EINVAL;
    return request->connect_host == NULL || is_connect_host(request->connect_host) ? 0 : -EINVAL;
}

static int check_route(const struct httpclient_request *request)
{
    bool proxied = request->proxy_host != NULL;

    if (request->unix_path != NULL && !httpconnect_is_unix_path(request->unix_path))
        return -EINVAL;
    if (request->network_interface != NULL && !netutil_is_valid_ip(request->network_interface))
        return -EINVAL;
    if (request->family != AF_UNSPEC && request->family != AF_INET && request->family != AF_INET6)
        return -EINVAL;
    if (proxied && (request->proxy_host[0] == '\0' || request->proxy_port < 1 || request->proxy_port > 65535))
        return -EINVAL;
    return has_detour(request) ? check_detour(request) : 0;
}

static int set_credentials(char **place, const char *user, const char *password)
{
    if (user == NULL || *place != NULL)
        return 0;
    if (password == NULL)
        password = "";
    *place = httprequesthead_basic(user, strlen(user), password, strlen(password));
    return *place != NULL ? 0 : -errno;
}

static void set_route(struct httpfetch *fetch, const struct httpclient_request *request)
{
    fetch->key.network_interface = keep_string(fetch, request->network_interface);
    fetch->key.unix_path = keep_string(fetch, request->unix_path);
    fetch->key.proxy_host = keep_string(fetch, request->proxy_host);
    fetch->key.proxy_port = fetch->key.proxy_host != NULL ? request->proxy_port : 0;
    fetch->key.family = request->family;
    fetch->wants_tunnel = request->proxy_tunnel;
    fetch->detour.is_set = has_detour(request);
    if (!fetch->detour.is_set)
        return;
    fetch->detour.host = keep_string(fetch, request->connect_host);
    fetch->detour.port = request->connect_port;
}

static bool make_room_for_texts(struct httpfetch *fetch, const struct httpclient_request *request)
{
    size_t size = 3 * strlen(request->url) + 1 + string_size(request->method) + string_size(request->user_agent) +
                  string_size(request->network_interface) + string_size(request->unix_path) +
                  string_size(request->connect_host) + string_size(request->proxy_host) +
                  size_of_names(request->private_headers) + HTTPDATE_LENGTH + 1;

    fetch->texts.length = 0;
    return httpfetch_make_room(&fetch->texts, size);
}

static void set_texts(struct httpfetch *fetch, const struct httpclient_request *request)
{
    fetch->method = request->method != NULL ? keep_string(fetch, request->method) : "GET";
    fetch->user_agent = request->user_agent != NULL ? keep_string(fetch, request->user_agent) : "ioloop";
    if (fetch->user_agent[0] == '\0')
        fetch->user_agent = NULL;
    fetch->private_headers = keep_names(fetch, request->private_headers);
    fetch->if_modified_since = NULL;
    if (request->if_modified_since != 0) {
        char date[HTTPDATE_LENGTH + 1];
        httpdate_format(request->if_modified_since, date);
        fetch->if_modified_since = keep_text(fetch, date, HTTPDATE_LENGTH);
    }
    set_route(fetch, request);
}

static void set_request_flags(struct httpfetch *fetch, const struct httpclient_request *request)
{
    fetch->on_line = request->header_callback;
    fetch->on_head = request->on_head;
    fetch->on_data = request->streaming_callback;
    fetch->callback_arg = request->callback_arg;
    fetch->resend = (uint8_t)request->resend;
    fetch->follows = !request->no_follow_redirects;
    fetch->raises = request->raise_error;
    fetch->expects_100 = request->expect_100_continue && (request->body != NULL || request->body_producer != NULL);
    fetch->upgrades = fetch->on_upgrade != NULL;
    fetch->decompresses = request->decompress_response;
}

/* The body comes last: when the fetch is refused it is still the program's. */
int httpfetch_set_request(struct httpfetch *fetch, const struct httpclient_request *request)
{
    int error = request->url == NULL ? -EINVAL : check_route(request);

    if (error == 0)
        error = set_request_limits(fetch, request);
    if (error < 0)
        return error;
    if (!make_room_for_texts(fetch, request))
        return -ENOMEM;
    set_request_flags(fetch, request);
    set_texts(fetch, request);
    error = check_method(request, fetch->method);
    if (error == 0)
        error = set_url(fetch, request->url);
    if (error == 0)
        error = set_credentials(&fetch->authorization, request->auth_username, request->auth_password);
    if (error == 0)
        error = set_credentials(&fetch->proxy_authorization, request->proxy_username, request->proxy_password);
    if (error == 0 && request->headers != NULL)
        error = httpheaders_copy(&fetch->headers, request->headers);
    if (error == 0)
        error = set_producer(fetch, request);
    if (error < 0 || request->body == NULL)
        return error;
    fetch->body = httpupload_new_body(request);
    return fetch->body != NULL ? 0 : -ENOMEM;
}

/* The head. */

static void set_framing(const struct httpfetch *fetch, struct httprequesthead *head)
{
    if (fetch->body != NULL) {
        head->body = HTTPREQUESTHEAD_LENGTH;
        head->content_length = fetch->body->length;
    } else if (fetch->producer != NULL) {
        head->body = fetch->has_length ? HTTPREQUESTHEAD_LENGTH : HTTPREQUESTHEAD_CHUNKED;
        head->content_length = fetch->producer_length;
    } else if (httprequesthead_wants_body(fetch->method)) {
        head->body = HTTPREQUESTHEAD_LENGTH;
    }
}

/* What the proxy of this hop is told: user and password, or what the program's headers have for it. */
static const char *find_proxy_authorization(const struct httpfetch *fetch)
{
    if (fetch->key.proxy_host == NULL)
        return NULL;
    if (fetch->proxy_authorization != NULL)
        return fetch->proxy_authorization;
    return httpheaders_get(&fetch->headers, "Proxy-Authorization");
}

int httpfetch_format_head(struct httpfetch *fetch)
{
    const char *proxy_authorization = find_proxy_authorization(fetch);
    bool to_proxy = fetch->key.proxy_host != NULL && !fetch->key.is_tunnel;
    struct httprequesthead head = {
        .method = fetch->method,
        .url = &fetch->url,
        .target = to_proxy ? HTTPREQUESTHEAD_ABSOLUTE : HTTPREQUESTHEAD_ORIGIN,
        .headers = fetch->headers.count > 0 ? &fetch->headers : NULL,
        .user_agent = fetch->user_agent,
        .authorization = fetch->authorization,
        .proxy_authorization = to_proxy ? proxy_authorization : NULL,
        .if_modified_since = fetch->if_modified_since,
        .close = fetch->client->options.keep_time < 0 && !fetch->upgrades,
        .expect_continue = fetch->expects_100,
        .accept_gzip = fetch->decompresses,
        .upgrade = fetch->upgrades,
    };

    fetch->key.proxy_authorization = proxy_authorization;
    set_framing(fetch, &head);
    if (fetch->body != NULL && strcmp(fetch->method, "POST") == 0)
        head.content_type = FORM_TYPE;
    ssize_t length = httprequesthead_format(&head, fetch->head.bytes, fetch->head.capacity);
    if (length < 0)
        return (int)length;
    if ((size_t)length > fetch->head.capacity) {
        if (!httpfetch_make_room(&fetch->head, (size_t)length))
            return -ENOMEM;
        length = httprequesthead_format(&head, fetch->head.bytes, fetch->head.capacity);
    }
    fetch->head.length = (size_t)length;
    fetch->closes = head.closes;
    return 0;
}
