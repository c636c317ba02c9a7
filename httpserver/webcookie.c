/* Cookies, the signed ones, the token against forged requests, and users. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "httpserver/httpurl.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"

#define SHORT_COOKIE        1024
#define SIGNED_EXPIRES_DAYS 30

/* Cookies of the client. */

static const struct httpcookies *request_cookies(struct web_request *request)
{
    if (request->has_cookies || request->http == NULL)
        return &request->cookies;
    request->has_cookies = true;
    int error = httpcookies_parse(&request->cookies, httprequest_header(request->http, "Cookie"));
    if (error == -ENOMEM)
        request->failed = error; /* what follows from there being none is not what would have followed */
    else if (error < 0)
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "not all cookies are read: %s", ioloop_strerror(error));
    return &request->cookies;
}

const char *web_get_cookie(struct web_request *request, const char *name, const char *otherwise)
{
    const char *value = httpcookies_get(request_cookies(request), name);

    return value != NULL ? value : otherwise;
}

/* Cookies for the client. They are kept apart from the headers, as an error page has them too. */

static bool is_cookie_of(const char *value, const char *name)
{
    size_t length = strlen(name);

    return strncmp(value, name, length) == 0 && value[length] == '=';
}

static bool has_new_cookie(const struct web_request *request, const char *name)
{
    const char *value;

    for (size_t i = 0; httpheaders_at(&request->new_cookies, i, NULL, &value); i++) {
        if (is_cookie_of(value, name))
            return true;
    }
    return false;
}

/* All but the one of that name, which it is the turn of. */
static int replace_cookie(struct web_request *request, const char *name, const char *cookie)
{
    struct httpheaders others = { 0 };
    const char *value;
    int error = 0;

    for (size_t i = 0; error == 0 && httpheaders_at(&request->new_cookies, i, NULL, &value); i++) {
        if (!is_cookie_of(value, name))
            error = httpheaders_add(&others, "Set-Cookie", value);
    }
    if (error == 0)
        error = httpheaders_add(&others, "Set-Cookie", cookie);
    if (error < 0) {
        httpheaders_free(&others);
        return error;
    }
    httpheaders_free(&request->new_cookies);
    request->new_cookies = others;
    return 0;
}

static int add_new_cookie(struct web_request *request, const char *name, const char *cookie)
{
    if (has_new_cookie(request, name))
        return replace_cookie(request, name, cookie);
    return httpheaders_add(&request->new_cookies, "Set-Cookie", cookie);
}

static size_t length_or_0(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

int web_set_cookie(struct web_request *request, const char *name, const char *value,
                   const struct httpcookie_options *options)
{
    char small[SHORT_COOKIE], *place = small;
    int refused = weblayer_cannot_change(request);

    if (refused < 0 || value == NULL)
        return refused < 0 ? refused : weblayer_missing(request);
    size_t size = 256 + strlen(name) + 4 * strlen(value);
    if (options != NULL)
        size += length_or_0(options->domain) + length_or_0(options->path);
    if (size > sizeof small && (place = ioalloc(size)) == NULL)
        return weblayer_note_failure(request, -ENOMEM);
    ssize_t length = httpcookie_format(place, size, name, value, options, time(NULL));
    int error = length < 0 ? (int)length : add_new_cookie(request, name, place);
    if (place != small)
        ioalloc_free(place);
    return weblayer_note_failure(request, error);
}

int web_clear_cookie(struct web_request *request, const char *name, const struct httpcookie_options *options)
{
    struct httpcookie_options past = options != NULL ? *options : (struct httpcookie_options){ 0 };

    past.expires = 0;
    past.max_age = 0;
    past.expires_days = -365;
    return web_set_cookie(request, name, "", &past);
}

/* Those whose names cannot be set were not ours. */
int web_clear_all_cookies(struct web_request *request)
{
    const struct httpcookie *cookie;
    int error = 0;

    for (size_t i = 0; (cookie = httpcookies_at(request_cookies(request), i)) != NULL; i++) {
        int result = web_clear_cookie(request, cookie->name, NULL);
        if (result < 0 && result != -EINVAL)
            error = result;
    }
    return error;
}

/* Signed cookies. */

const char *web_get_signed_cookie(struct web_request *request, const char *name, double max_age_days, size_t *length)
{
    const char *text = web_get_cookie(request, name, NULL);
    size_t size = text != NULL ? strlen(text) + 1 : 0;

    if (length != NULL)
        *length = 0;
    if (text == NULL || request->app->keys == NULL)
        return NULL;
    char *value = weblayer_new_text(request, size);
    if (value == NULL)
        return NULL;
    ssize_t count = httpsigned_decode(request->app->keys, name, text, max_age_days, time(NULL), value, size);
    if (count < 0)
        return NULL;
    value[count] = '\0';
    if (length != NULL)
        *length = (size_t)count;
    return value;
}

static int set_signed_text(struct web_request *request, const char *name, const char *text,
                           const struct httpcookie_options *options)
{
    struct httpcookie_options lasting = options != NULL ? *options : (struct httpcookie_options){ 0 };

    if (lasting.expires == 0 && lasting.expires_days == 0 && lasting.max_age == 0)
        lasting.expires_days = SIGNED_EXPIRES_DAYS;
    return web_set_cookie(request, name, text, &lasting);
}

int web_set_signed_cookie(struct web_request *request, const char *name, const void *value, size_t length,
                          const struct httpcookie_options *options)
{
    const struct web_application *app = request->app;
    size_t size = HTTPSIGNED_ROOM(strlen(name), length);

    if (app->keys == NULL) {
        iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "a signed cookie needs cookie_secret in the settings");
        return -EINVAL;
    }
    char *text = ioalloc(size);
    if (text == NULL)
        return weblayer_note_failure(request, -ENOMEM);
    ssize_t count =
        httpsigned_create(app->keys, app->settings.key_version, name, value, length, time(NULL), text, size);
    int error = count < 0 ? (int)count : set_signed_text(request, name, text, options);
    ioalloc_free(text);
    return error;
}

int web_get_signed_cookie_key_version(struct web_request *request, const char *name)
{
    const char *text = web_get_cookie(request, name, NULL);

    return text != NULL ? httpsigned_key_version(text) : -ENOENT;
}

/* Forged requests. */

/* The token of the client's cookie. */
static bool read_token(struct web_request *request)
{
    const char *cookie = web_get_cookie(request, request->app->settings.xsrf_cookie_name, NULL);

    return httpxsrf_decode(&request->token, cookie, time(NULL)) == 0;
}

/* Where there is a user the cookie lasts as long as that one's. */
static void set_token_cookie(struct web_request *request, const char *text)
{
    const struct web_settings *settings = &request->app->settings;
    struct httpcookie_options options =
        settings->xsrf_cookie_options != NULL ? *settings->xsrf_cookie_options : (struct httpcookie_options){ 0 };

    if (options.expires == 0 && options.expires_days == 0 && options.max_age == 0 && web_current_user(request) != NULL)
        options.expires_days = SIGNED_EXPIRES_DAYS;
    (void)web_set_cookie(request, settings->xsrf_cookie_name, text, &options);
}

const char *web_xsrf_token(struct web_request *request)
{
    bool is_new = !request->has_token && !read_token(request);
    char *text = weblayer_new_text(request, HTTPXSRF_ROOM);

    if (text == NULL || (is_new && httpxsrf_init(&request->token, time(NULL)) < 0) ||
        httpxsrf_format(&request->token, text) < 0) {
        web_send_error_because(request, 500, NULL, "no random bytes or no memory for a token");
        return NULL;
    }
    request->has_token = true;
    if (is_new)
        set_token_cookie(request, text);
    return text;
}

/* A token has no bytes that mean anything in HTML. */
const char *web_xsrf_form_html(struct web_request *request)
{
    static const char before[] = "<input type=\"hidden\" name=\"_xsrf\" value=\"", behind[] = "\"/>";
    const char *token = web_xsrf_token(request);
    char *html = token != NULL ? weblayer_new_text(request, sizeof before + strlen(token) + sizeof behind) : NULL;

    if (html == NULL)
        return NULL;
    strcpy(html, before);
    strcat(html, token);
    strcat(html, behind);
    return html;
}

static const char *sent_token(struct web_request *request)
{
    const char *token = web_get_argument(request, "_xsrf", "");

    if (token == NULL || token[0] != '\0')
        return token;
    token = httprequest_header(request->http, "X-Xsrftoken");
    return token != NULL && token[0] != '\0' ? token : httprequest_header(request->http, "X-Csrftoken");
}

static bool is_safe_method(const struct web_request *request)
{
    return weblayer_is_get_or_head(request) || strcmp(httprequest_method(request->http), "OPTIONS") == 0;
}

void weblayer_check_xsrf(struct web_request *request)
{
    struct httpxsrf token;

    if (!request->app->settings.xsrf_cookies || request->handler->no_xsrf_check || is_safe_method(request))
        return;
    const char *sent = sent_token(request);
    if (request->finished)
        return;
    request->has_token = false;
    if (sent == NULL)
        web_send_error_because(request, 403, NULL, "'_xsrf' argument missing");
    else if (httpxsrf_decode(&token, sent, time(NULL)) < 0)
        web_send_error_because(request, 403, NULL, "'_xsrf' argument has invalid format");
    else if (request_cookies(request)->count == 0 && request->failed != 0)
        web_send_error(request, 503);
    else if (!read_token(request) || !httpxsrf_is_same(&token, &request->token))
        web_send_error_because(request, 403, NULL, "XSRF cookie does not match '_xsrf' argument");
    else
        request->has_token = true;
}

/* Users. */

const char *web_current_user(struct web_request *request)
{
    web_user_fn *ask = request->handler->get_current_user;

    if (request->has_user || ask == NULL)
        return request->user;
    request->has_user = true;
    weblayer_enter(request);
    const char *user = ask(request);
    request->entered--;
    if (request->finished)
        (void)weblayer_end(request);
    request->user = user;
    return user;
}

void web_set_current_user(struct web_request *request, const char *user)
{
    char *copy = user != NULL ? weblayer_new_text(request, strlen(user)) : NULL;

    request->user = copy != NULL ? strcpy(copy, user) : NULL;
    request->has_user = true;
}

/* To a page of another server it has to say which page of ours it was. */
static bool redirect_to_login(struct web_request *request, const char *login_url)
{
    struct httpurl url;
    bool is_absolute = httpurl_parse(login_url, strlen(login_url), &url) == 0 && url.scheme.text != NULL;
    char *next = weblayer_uri(request, is_absolute);
    size_t length = strlen(login_url);
    char *to = next != NULL ? weblayer_new_text(request, length + sizeof "?next=" + 3 * strlen(next)) : NULL;

    if (to == NULL) {
        web_send_error(request, 503);
        return false;
    }
    if (!is_absolute)
        next = weblayer_use_one_slash(next); /* who is sent there behind the login stays here */
    memcpy(to, login_url, length + 1);
    if (strchr(login_url, '?') == NULL) {
        memcpy(to + length, "?next=", 6);
        length += 6;
        length += httpurl_encode(next, strlen(next), to + length, HTTPURL_PLUS);
        to[length] = '\0';
    }
    (void)web_redirect(request, to, false);
    return false;
}

bool web_authenticated(struct web_request *request)
{
    const char *login_url = request->app->settings.login_url;

    if (web_current_user(request) != NULL)
        return true;
    if (request->finished)
        return false;
    if (login_url != NULL && weblayer_is_get_or_head(request))
        return redirect_to_login(request, login_url);
    web_send_error(request, 403);
    return false;
}
