/* generator: the same chain twice, with callbacks and as a generator: fetches a page, then the one that it refers to,
 * and so on. Both print the same. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ioloop/iogen.h>

/* The pages, and what takes a moment to fetch them. */

static const struct page {
    const char *name, *text, *next;
} pages[] = {
    { "/", "a page about news", "/news" },
    { "/news", "a page about today", "/today" },
    { "/today", "a page about what is gone", "/gone" },
};

struct fetch {
    struct iofuture *future;
    const struct page *page; /* NULL: there is none */
};

static void end_fetch(void *arg)
{
    struct fetch *fetch = arg;

    if (fetch->page != NULL)
        iofuture_set_result(fetch->future, (void *)(uintptr_t)fetch->page, NULL);
    else
        iofuture_set_error(fetch->future, -ENOENT);
    free(fetch);
}

/* The future's value is a page. */
static struct iofuture *fetch_page(struct ioloop *loop, const char *name)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);

    if (fetch == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(pages[i].name, name) == 0)
            fetch->page = &pages[i];
    }
    fetch->future = iofuture_new(loop);
    if (fetch->future == NULL)
        return free(fetch), NULL;
    struct iofuture *future = fetch->future;
    if (ioloop_call_later(loop, 0.01, end_fetch, fetch) == 0) {
        fetch->page = NULL;
        end_fetch(fetch);
    }
    return future;
}

/* With callbacks. */

struct visit {
    struct iofuture *finished; /* its value: how many pages there were */
    const char *name;
    size_t count;
};

static void visit_next(struct visit *visit);

static void on_page(struct iofuture *future, void *arg)
{
    struct visit *visit = arg;
    const struct page *page = iofuture_result(future);

    if (iofuture_error(future) < 0) {
        printf("%s: %s\n", visit->name, ioloop_strerror(iofuture_error(future)));
        iofuture_set_result(visit->finished, (void *)visit->count, NULL);
        free(visit);
        return;
    }
    printf("%s: %s\n", visit->name, page->text);
    visit->count++;
    visit->name = page->next;
    visit_next(visit);
}

static void visit_next(struct visit *visit)
{
    struct iofuture *page = fetch_page(iofuture_loop(visit->finished), visit->name);

    if (page != NULL && iofuture_add_callback(page, on_page, visit) == 0)
        return;
    iofuture_set_error(visit->finished, -ENOMEM);
    free(visit);
}

static struct iofuture *visit_with_callbacks(void *loop)
{
    struct visit *visit = malloc(sizeof *visit);
    struct iofuture *finished = visit != NULL ? iofuture_new(loop) : NULL;

    if (finished == NULL)
        return free(visit), NULL;
    *visit = (struct visit){ .finished = finished, .name = "/" };
    visit_next(visit);
    return finished;
}

/* As a generator. */

struct generated_visit {
    const char *name;
    size_t count;
};

static void visit_all(struct iogen *gen, void *state)
{
    struct generated_visit *my = state;

    IOGEN_BEGIN(gen);
    for (;; my->count++) {
        IOGEN_YIELD(gen, fetch_page(iogen_loop(gen), my->name));
        if (gen->error < 0)
            break;
        const struct page *page = gen->value;
        printf("%s: %s\n", my->name, page->text);
        my->name = page->next;
    }
    printf("%s: %s\n", my->name, ioloop_strerror(gen->error));
    iogen_set_result(gen, (void *)my->count, NULL);
    IOGEN_END(gen);
}

static struct iofuture *visit_with_generator(void *loop)
{
    struct generated_visit visit = { .name = "/" };

    return iogen_start(loop, visit_all, &visit, sizeof visit);
}

int main(void)
{
    iofuture_function_fn *const both[] = { visit_with_callbacks, visit_with_generator };
    struct ioloop *loop = ioloop_current();
    int error = loop != NULL ? 0 : -errno;

    for (int i = 0; i < 2 && error == 0; i++) {
        void *count = NULL;

        error = iofuture_run_sync(loop, both[i], loop, 5, &count);
        if (error == 0)
            printf("%zu pages\n", (size_t)count);
    }
    if (error < 0)
        fprintf(stderr, "generator: %s\n", ioloop_strerror(error));
    if (loop != NULL)
        ioloop_close(loop, false);
    return error < 0;
}
