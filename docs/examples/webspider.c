/* webspider: visits all pages of a site, ten at a time: what is found goes into a queue, from which workers take it.
 *
 *     webspider                                        a site of its own, with 100 pages
 *     webspider [--url=http://example.org/docs/] [--workers=N] [--most=N]
 *
 * Pages outside of the folder of the URL are not visited. */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <httpclient/httpclient.h>
#include <httpserver/httpurl.h>
#include <httpserver/web.h>
#include <ioloop/iogen.h>
#include <ioloop/iooptions.h>
#include <ioloop/ioqueue.h>

#define LONGEST_URL 2000
#define OWN_PAGES   100

struct spider {
    struct httpclient *client;
    struct ioqueue *queue; /* of URLs that are to be visited */
    const char *base;      /* the first one, */
    size_t folder_length;  /* of which so much is that of all of them */
    void *seen;            /* URLs that are or were in the queue: a tree */
    int found, visited, failed;
    bool shows_progress;
};

static int most = 1000, workers = 10;

/* What has been found. */

static int compare_urls(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void add_url(struct spider *spider, const char *url)
{
    if (strncmp(url, spider->base, spider->folder_length) != 0 || tfind(url, &spider->seen, compare_urls) != NULL ||
        spider->found == most)
        return;
    char *copy = strdup(url);
    if (copy == NULL || tsearch(copy, &spider->seen, compare_urls) == NULL) {
        free(copy);
        return;
    }
    spider->found++;
    if (ioqueue_put_nowait(spider->queue, copy) < 0)
        spider->failed++;
}

static void forget_urls(struct spider *spider)
{
    while (spider->seen != NULL) {
        char *url = *(char **)spider->seen; /* the root's */
        tdelete(url, &spider->seen, compare_urls);
        free(url);
    }
}

/* A reference as it stands in the page, seen from there, without its fragment. */
static void add_link(struct spider *spider, const struct httpurl *page, const char *text, size_t length)
{
    char url[LONGEST_URL];
    struct httpurl reference;

    if (httpurl_parse(text, length, &reference) < 0)
        return;
    reference.fragment.text = NULL;
    if (httpurl_resolve(page, &reference, url, sizeof url) > 0)
        add_url(spider, url);
}

/* What follows the next href=" wherever it stands; a browser would look closer. NULL: there is none. */
static const char *find_link(const char *text)
{
    static const char mark[] = "href=\"";

    while (*text != '\0' && strncasecmp(text, mark, sizeof mark - 1) != 0)
        text++;
    return *text != '\0' ? text + sizeof mark - 1 : NULL;
}

static void add_links(struct spider *spider, const struct httpclient_response *response)
{
    const char *place = response->body, *end;
    struct httpurl page;

    if (httpurl_parse(response->effective_url, strlen(response->effective_url), &page) < 0)
        return;
    while ((place = find_link(place)) != NULL) {
        end = strchr(place, '"');
        if (end == NULL)
            return;
        add_link(spider, &page, place, (size_t)(end - place));
    }
}

/* The workers. */

struct worker {
    struct spider *spider;
    const char *url;
};

static void report(struct spider *spider, const char *url, int error)
{
    if (error < 0) {
        spider->failed++;
        printf("%s%s: %s\n", spider->shows_progress ? "\r" : "", url, ioloop_strerror(error));
    }
    spider->visited++;
    if (spider->shows_progress)
        printf("\r%d of %d pages", spider->visited, spider->found);
    else
        printf("%d of %d: %s\n", spider->visited, spider->found, url);
    fflush(stdout);
}

static void visit_pages(struct iogen *gen, void *state)
{
    struct worker *my = state;

    IOGEN_BEGIN(gen);
    for (;;) {
        IOGEN_YIELD(gen, ioqueue_get(my->spider->queue, -1));
        if (gen->error < 0)
            return; /* the queue is closed: all have been visited */
        my->url = gen->value;
        IOGEN_YIELD(gen, httpclient_fetch_future(my->spider->client,
                                                 &(struct httpclient_request){ .url = my->url, .raise_error = true }));
        if (gen->error == 0)
            add_links(my->spider, gen->value);
        report(my->spider, my->url, gen->error);
        ioqueue_task_done(my->spider->queue);
    }
    IOGEN_END(gen);
}

/* Until everything that was put into the queue is done. */
static void crawl(struct iogen *gen, void *state)
{
    struct spider *spider = *(struct spider **)state;

    IOGEN_BEGIN(gen);
    add_url(spider, spider->base);
    for (int i = 0; i < workers; i++) {
        if (iogen_start(iogen_loop(gen), visit_pages, &(struct worker){ spider, NULL }, sizeof(struct worker)) == NULL)
            perror("webspider");
    }
    IOGEN_YIELD(gen, ioqueue_join(spider->queue, 300));
    ioqueue_close(spider->queue);
    if (gen->error < 0)
        iogen_set_error(gen, gen->error);
    IOGEN_END(gen);
}

static struct iofuture *start_crawl(void *spider)
{
    return iogen_start(ioloop_current(), crawl, &spider, sizeof(struct spider *));
}

/* The site of its own: page N leads to 2 N + 1 and 2 N + 2, and back. */

static void get_page(struct web_request *request)
{
    int number = atoi(web_path_argument(request, 0));

    if (number >= OWN_PAGES) {
        web_send_error(request, 404);
        return;
    }
    web_printf(request, "<!doctype html>\n<title>Page %d</title>\n<a href=\"0#top\">First</a>\n", number);
    web_write(request, "<a href=\"http://example.org/\">Elsewhere</a> <a href=\"mailto:a@example.org\">Mail</a>\n");
    for (int next = 2 * number + 1; next <= 2 * number + 2 && next < OWN_PAGES; next++)
        web_printf(request, "<a href=\"%d\">Page %d</a>\n", next, next);
}

static const struct web_handler page_handler = { .get = get_page };

/* Answers where it is; NULL: it is not. */
static const char *serve_own_site(void)
{
    static const struct web_route routes[] = { { "/site/([0-9]{1,6})", &page_handler, NULL, NULL },
                                               { NULL, NULL, NULL, NULL } };
    static char url[64];
    struct web_application *app = web_application_new(routes, NULL);
    int port =
        app != NULL ? web_application_listen(app, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;

    if (port < 0)
        return NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/site/0", port);
    return url;
}

/* "http://a/b/" of "http://a/b/c?d". */
static size_t length_of_folder(const char *text)
{
    struct httpurl url;
    size_t length;

    if (httpurl_parse(text, strlen(text), &url) < 0 || url.host.text == NULL || url.path.length == 0)
        return strlen(text);
    for (length = url.path.length; length > 1 && url.path.text[length - 1] != '/';)
        length--;
    return (size_t)(url.path.text - text) + length;
}

int main(int argc, char **argv)
{
    static const char *url;
    static const struct iooption options[] = {
        { .name = "url", .string = &url, .help = "a folder of a site; its own, if none is given" },
        { .name = "workers", .integer = &workers, .minimum = 1, .maximum = 100, .help = "pages at a time" },
        { .name = "most", .integer = &most, .minimum = 1, .maximum = 1000000, .help = "pages in all" },
        { 0 },
    };
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest < argc)
        return fprintf(stderr, "webspider: what is %s?\n", argv[rest]), 2;
    struct ioloop *loop = ioloop_current();
    if (loop == NULL)
        return perror("webspider"), 1;
    const struct httpclient_options many = { .max_clients = (size_t)workers, .max_per_origin = (size_t)workers };
    struct spider spider = {
        .client = httpclient_new(loop, &many),
        .queue = ioqueue_new(loop, 0),
        .base = url != NULL ? url : serve_own_site(),
        .shows_progress = isatty(STDOUT_FILENO),
    };
    if (spider.client == NULL || spider.queue == NULL || spider.base == NULL)
        return perror("webspider"), 1;
    spider.folder_length = length_of_folder(spider.base);
    double began = ioloop_time(loop);
    int error = iofuture_run_sync(loop, start_crawl, &spider, -1, NULL);
    printf("%s%d pages in %.1f s, %d failed\n", spider.shows_progress ? "\n" : "", spider.visited,
           ioloop_time(loop) - began, spider.failed);
    ioloop_close(loop, false);
    forget_urls(&spider);
    return error < 0 || spider.failed > 0;
}
