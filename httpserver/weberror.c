/* Errors: what the client is told, and what the log. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httpescape.h"
#include "httpserver/httpserverlayer.h"
#include "httpserver/httpstatus.h"
#include "httpserver/weblayer.h"
#include "ioloop/iolog.h"

const char *web_get_reason(const struct web_request *request)
{
    const char *usual = request->reason[0] != '\0' ? request->reason : httpstatus_reason(request->status);

    return usual != NULL ? usual : "Unknown";
}

static void write_error_page(struct web_request *request)
{
    const char *reason = web_get_reason(request);
    char text[6 * WEBLAYER_REASON];
    size_t length = httpescape_html(reason, strlen(reason), text);

    (void)web_printf(request, "<html><title>%d: %.*s</title><body>%d: %.*s</body></html>", request->status, (int)length,
                     text, request->status, (int)length, text);
}

void weblayer_log(const struct web_request *request, int status, const char *why)
{
    enum iolog_level level = status >= 500 ? IOLOG_ERROR : status > 0 ? IOLOG_WARNING : IOLOG_INFO;
    const char *method = httprequest_method(request->http), *target = httprequest_target(request->http);
    const char *remote_ip = httpserverlayer_remote_ip(request->http);
    char method_text[64], target_text[512], ip_text[64], why_text[256];

    httpescape_log(method, strlen(method), method_text, sizeof method_text);
    httpescape_log(target, strlen(target), target_text, sizeof target_text);
    httpescape_log(remote_ip, strlen(remote_ip), ip_text, sizeof ip_text);
    httpescape_log(why, strlen(why), why_text, sizeof why_text);
    iolog_write(status >= 500 ? IOLOG_APPLICATION : IOLOG_GENERAL, level, "%d %s %s (%s): %s", status, method_text,
                target_text, ip_text[0] != '\0' ? ip_text : "-", why_text);
}

/* A page that could not be written to its end is not sent; the status is. */
static void give_up_page(struct web_request *request)
{
    request->body.length = 0;
    request->finished = true;
}

static void call_write_error(struct web_request *request)
{
    if (request->handler->write_error == NULL) {
        write_error_page(request);
        return;
    }
    request->entered++;
    request->handler->write_error(request, request->status);
    request->entered--;
}

#define LONGEST_ALLOW 256

static void add_name(char list[LONGEST_ALLOW], const char *name)
{
    size_t used = strlen(list), length = strlen(name);

    if (length + 3 > LONGEST_ALLOW - used)
        return;
    memcpy(list + used, ", ", 2);
    memcpy(list + used + 2, name, length + 1);
}

/* RFC 9110 15.5.6: who asks for what is not there is told what is. */
static void add_allow(struct web_request *request)
{
    const struct web_handler *handler = request->handler;
    const struct web_method usual[] = { { "GET", handler->get },        { "HEAD", handler->head },
                                        { "POST", handler->post },      { "PUT", handler->put },
                                        { "PATCH", handler->patch },    { "DELETE", handler->delete_ },
                                        { "OPTIONS", handler->options } };
    char list[LONGEST_ALLOW] = "";

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (usual[i].function != NULL)
            add_name(list, usual[i].name);
    }
    for (const struct web_method *other = handler->others; other != NULL && other->name != NULL; other++) {
        if (strcmp(other->name, "*") != 0)
            add_name(list, other->name);
    }
    (void)web_set_header(request, "Allow", list[0] != '\0' ? list + 2 : "");
}

/* set_default_headers may fail as well; the status is there before it is called. */
static void begin_error(struct web_request *request, int status, const char *reason)
{
    if (status < 200 || status > 999)
        status = 500;
    request->in_error = true;
    weblayer_clear(request);
    web_set_status(request, status, reason);
    weblayer_call(request, request->handler->set_default_headers);
    web_set_status(request, status, reason);
    if (request->status == 405)
        add_allow(request);
}

void web_send_error_because(struct web_request *request, int status, const char *reason, const char *why)
{
    if (request->finished)
        return;
    if (why != NULL)
        weblayer_log(request, status, why);
    if (request->in_error) {
        give_up_page(request);
        return;
    }
    if (request->flushed) {
        request->failed = -EALREADY; /* a page of two beginnings has no end */
    } else {
        begin_error(request, status, reason);
        if (!request->finished)
            call_write_error(request);
    }
    request->finished = true;
    (void)weblayer_end(request);
}

void web_send_error(struct web_request *request, int status)
{
    web_send_error_because(request, status, NULL, NULL);
}

void weblayer_refuse_method(struct web_request *request)
{
    web_send_error(request, 405);
}
