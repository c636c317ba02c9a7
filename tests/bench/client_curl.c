/* client_curl (client.h): an HTTP client on libcurl: its multi interface, with epoll for its sockets. */
#include <curl/curl.h>
#include <sys/epoll.h>

#include "client.h"

#define EVENTS 512

static CURLM *multi;
static int queue;
static long timeout = -1; /* milliseconds */

/* Any pointer marks a socket that is watched. */
static int watch(CURL *easy, curl_socket_t fd, int wanted, void *arg, void *is_watched)
{
    struct epoll_event event = { .data.fd = fd };

    (void)easy, (void)arg;
    if (wanted == CURL_POLL_REMOVE) {
        epoll_ctl(queue, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (wanted & CURL_POLL_IN ? EPOLLIN : 0) | (wanted & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (epoll_ctl(queue, is_watched != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
        measure_fail("epoll_ctl");
    if (is_watched == NULL)
        curl_multi_assign(multi, fd, &queue);
    return 0;
}

static int set_timeout(CURLM *same, long milliseconds, void *arg)
{
    (void)same, (void)arg;
    timeout = milliseconds;
    return 0;
}

static size_t take(char *bytes, size_t size, size_t count, void *length)
{
    (void)bytes;
    *(size_t *)length += size * count;
    return size * count;
}

static void begin(void)
{
    static struct curl_slist *headers;
    static size_t lengths[CLIENT_AT_ONCE];
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%d/plain", client.port);
    if (client.closes)
        headers = curl_slist_append(NULL, "Connection: close");
    for (int i = 0; i < client.at_once && client_next(); i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &lengths[i]);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, &lengths[i]);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, client.closes ? 1L : 0L);
        curl_multi_add_handle(multi, easy);
    }
}

static void finish(CURL *easy, CURLcode result)
{
    char *private;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    size_t *length = (size_t *)(void *)private;
    client_answered(result == CURLE_OK ? (int)status : 0, *length);
    *length = 0;
    curl_multi_remove_handle(multi, easy);
    if (client_next())
        curl_multi_add_handle(multi, easy);
}

static void finish_all(void)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            finish(message->easy_handle, message->data.result);
    }
}

static void expire(void)
{
    int running;

    timeout = -1;
    curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_all();
}

static void turn(void)
{
    struct epoll_event events[EVENTS];
    int running, count = epoll_wait(queue, events, EVENTS, (int)timeout);

    for (int i = 0; i < count; i++) {
        int ready = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                    (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(multi, events[i].data.fd, ready, &running);
    }
    finish_all();
    if (count == 0)
        expire();
}

int main(int argc, char **argv)
{
    client_begin(argc, argv);
    curl_global_init(CURL_GLOBAL_ALL);
    multi = curl_multi_init();
    queue = epoll_create1(EPOLL_CLOEXEC);
    if (multi == NULL || queue < 0)
        measure_fail("curl_multi_init");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timeout);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)client.at_once);
    begin();
    for (;;) {
        while (timeout == 0) /* of requests that have just been added */
            expire();
        turn();
    }
}
