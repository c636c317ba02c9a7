#include "httpclient/httpclient.h"

#include <errno.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpserver/httpinflate.h"
#include "ioloop/ioalloc.h"

#define MAX_CLIENTS    64
#define MAX_PER_ORIGIN 6
#define MAX_QUEUE      100000
#define KEEP_TIME      15.0
#define MOST_KEEP_TIME 1e8
#define MOST_SPARES    64
#define FIRST_SLOTS    16
#define MOST_SLOTS     ((1u << HTTPFETCH_SLOT_BITS) - 1)

/* Options. */

static void set_client_defaults(struct httpclient_options *options)
{
    if (options->max_clients == 0)
        options->max_clients = MAX_CLIENTS;
    if (options->max_per_origin == 0)
        options->max_per_origin = MAX_PER_ORIGIN;
    if (options->max_queue == 0)
        options->max_queue = MAX_QUEUE;
    if (options->keep_time == 0)
        options->keep_time = KEEP_TIME;
    if (!(options->keep_time < MOST_KEEP_TIME))
        options->keep_time = MOST_KEEP_TIME;
}

/* The texts of a request. */
#define TEXTS 11
static void list_texts(struct httpclient_request *request, const char **texts[TEXTS])
{
    const char **all[TEXTS] = {
        &request->url,
        &request->method,
        &request->auth_username,
        &request->auth_password,
        &request->user_agent,
        &request->network_interface,
        &request->unix_path,
        &request->connect_host,
        &request->proxy_host,
        &request->proxy_username,
        &request->proxy_password,
    };

    memcpy(texts, all, sizeof all);
}

static char *copy_text(char *place, const char **text)
{
    size_t size = *text != NULL ? strlen(*text) + 1 : 0;

    if (size > 0)
        *text = memcpy(place, *text, size);
    return place + size;
}

static size_t count_names(const char *const *names)
{
    size_t count = 0;

    while (names != NULL && names[count] != NULL)
        count++;
    return count;
}

/* The table to place, the names to texts. Answers where they end. */
static char *copy_names(const char **place, char *texts, const char *const *names)
{
    for (; *names != NULL; names++) {
        *place = *names;
        texts = copy_text(texts, place++);
    }
    *place = NULL;
    return texts;
}

/* In one piece of memory with its private_headers and its texts. */
static int copy_defaults(struct httpclient *client, const struct httpclient_request *from)
{
    struct httpclient_request request = *from;
    const char **texts[TEXTS];
    size_t names = count_names(request.private_headers);
    size_t size = sizeof request + (names + 1) * sizeof *request.private_headers;

    if (request.body != NULL || request.body_producer != NULL || request.body_release != NULL)
        return -EINVAL;
    for (size_t i = 0; i < names; i++)
        size += strlen(request.private_headers[i]) + 1;
    list_texts(&request, texts);
    for (int i = 0; i < TEXTS; i++)
        size += *texts[i] != NULL ? strlen(*texts[i]) + 1 : 0;
    client->defaults = ioalloc(size);
    if (client->defaults == NULL)
        return -ENOMEM;
    *client->defaults = request;
    list_texts(client->defaults, texts);
    const char **table = (const char **)(void *)(client->defaults + 1);
    char *place = (char *)(table + names + 1);
    for (int i = 0; i < TEXTS; i++)
        place = copy_text(place, texts[i]);
    if (request.private_headers != NULL) {
        client->defaults->private_headers = table;
        copy_names(table, place, request.private_headers);
    }
    if (request.headers == NULL)
        return 0;
    client->defaults->headers = &client->default_headers;
    return httpheaders_copy(&client->default_headers, request.headers);
}

static int copy_mappings(struct httpclient *client, const struct httpclient_mapping *from)
{
    size_t count = 0, size = 0;

    for (; from[count].from != NULL; count++) {
        if (from[count].host == NULL || from[count].port < 0 || from[count].port > 65535)
            return -EINVAL;
        size += strlen(from[count].from) + strlen(from[count].host) + 2;
    }
    struct httpclient_mapping *mappings = ioalloc((count + 1) * sizeof *mappings + size);
    if (mappings == NULL)
        return -ENOMEM;
    char *place = (char *)(mappings + count + 1);
    for (size_t i = 0; i < count; i++) {
        mappings[i].port = from[i].port;
        mappings[i].from = place;
        place = stpcpy(place, from[i].from) + 1;
        mappings[i].host = place;
        place = stpcpy(place, from[i].host) + 1;
    }
    mappings[count] = (struct httpclient_mapping){ .from = NULL };
    client->options.mappings = mappings;
    return 0;
}

/* Life. */

static void free_client(struct httpclient *client)
{
    for (struct httpfetch *fetch; (fetch = client->spares) != NULL;) {
        client->spares = fetch->next_spare;
        httpfetch_free(fetch);
    }
    httpinflate_free(client->spare_inflate);
    ioalloc_free(client->slots);
    ioalloc_free(client->defaults);
    ioalloc_free((void *)client->options.mappings);
    httpheaders_free(&client->default_headers);
    httppool_free(&client->pool);
    ioalloc_free(client);
}

static void free_closed_client(struct looptask *task)
{
    free_client(HTTPPOOL_OWNER(task, struct httpclient, task));
}

/* The way into on_close. */
static void tell_client_closed(struct looptask *task)
{
    struct httpclient *client = HTTPPOOL_OWNER(task, struct httpclient, task);

    if (client->options.on_close != NULL)
        client->options.on_close(client, client->options.on_close_arg);
    looptask_end(client->loop, task, free_closed_client);
}

void httpclient_end_if_done(struct httpclient *client)
{
    if (client->closing && client->fetch_count == 0 && httppool_ring_is_empty(&client->pool.connections))
        looptask_add(client->loop, &client->task);
}

/* While the client is closing nobody gets what another leaves. */
static void end_all_fetches(struct httpclient *client, const char *detail)
{
    client->closing = true;
    for (uint32_t i = 0; i < client->slot_count; i++) {
        if (client->slots[i].fetch != NULL)
            httpfetch_fail(client->slots[i].fetch, -ECANCELED, detail);
    }
    httppool_drop_all(&client->pool);
}

void httpclient_close(struct httpclient *client)
{
    if (client->closing)
        return;
    loopmember_remove(&client->member);
    loopmember_remove(&client->reopened);
    if (*loopmember_room(client->loop, LOOPMEMBER_CLIENT) == client)
        *loopmember_room(client->loop, LOOPMEMBER_CLIENT) = NULL;
    end_all_fetches(client, "the client was closed");
    httpclient_end_if_done(client);
}

static void close_client_with_loop(struct loopmember *member)
{
    httpclient_close(HTTPPOOL_OWNER(member, struct httpclient, member));
}

/* Each connection is the parent's, too, and that of each other child: an answer over it might be anybody's. */
static void leave_fetches_to_parent(struct loopmember *member)
{
    struct httpclient *client = HTTPPOOL_OWNER(member, struct httpclient, reopened);

    end_all_fetches(client, "the process has forked");
    client->closing = false;
}

static int init_client(struct httpclient *client, const struct httpclient_options *options)
{
    int error = httppool_init(&client->pool, client);

    client->options.mappings = NULL;
    if (error == 0 && options != NULL && options->defaults != NULL)
        error = copy_defaults(client, options->defaults);
    if (error == 0 && options != NULL && options->mappings != NULL)
        error = copy_mappings(client, options->mappings);
    return error;
}

struct httpclient *httpclient_new(struct ioloop *loop, const struct httpclient_options *options)
{
    int error = loopmember_check(loop);
    struct httpclient *client = error == 0 ? ioalloc_zeroed(sizeof *client) : NULL;

    if (client == NULL)
        return errno = error != 0 ? -error : ENOMEM, NULL;
    if (options != NULL)
        client->options = *options;
    set_client_defaults(&client->options);
    client->loop = loop;
    client->task.run = tell_client_closed;
    client->member.close = close_client_with_loop;
    client->reopened.close = leave_fetches_to_parent;
    error = init_client(client, options);
    if (error < 0) {
        free_client(client);
        return errno = -error, NULL;
    }
    loopmember_add(loop, &client->member);
    loopmember_add_reopened(loop, &client->reopened);
    return client;
}

struct httpclient *httpclient_current(struct ioloop *loop)
{
    void **room = loopmember_room(loop, LOOPMEMBER_CLIENT);

    if (*room == NULL)
        *room = httpclient_new(loop, NULL);
    return *room;
}

/* Fetches by number. */

static uint32_t slot_number(uint64_t id)
{
    return (uint32_t)id & MOST_SLOTS;
}

struct httpfetch *httpclient_find_fetch(const struct httpclient *client, uint64_t id)
{
    uint32_t slot = slot_number(id);

    if (slot == 0 || slot > client->slot_count || client->slots[slot - 1].generation != id >> HTTPFETCH_SLOT_BITS)
        return NULL;
    return client->slots[slot - 1].fetch;
}

static bool add_slots(struct httpclient *client)
{
    if (client->slot_count > MOST_SLOTS / 2)
        return false;
    uint32_t count = client->slot_count > 0 ? client->slot_count * 2 : FIRST_SLOTS;
    struct httpclient_slot *slots = ioalloc_array_resize(client->slots, count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = count; i > client->slot_count; i--) {
        slots[i - 1] = (struct httpclient_slot){ .next_free = client->free_slot };
        client->free_slot = i;
    }
    client->slots = slots;
    client->slot_count = count;
    return true;
}

static struct httpfetch *take_spare_fetch(struct httpclient *client)
{
    struct httpfetch *fetch = client->spares;

    if (fetch == NULL)
        return httpfetch_new(client);
    client->spares = fetch->next_spare;
    client->spare_count--;
    return fetch;
}

struct httpfetch *httpclient_take_fetch(struct httpclient *client)
{
    if (client->free_slot == 0 && !add_slots(client))
        return NULL;
    struct httpfetch *fetch = take_spare_fetch(client);
    if (fetch == NULL)
        return NULL;
    uint32_t number = client->free_slot;
    struct httpclient_slot *slot = &client->slots[number - 1];
    client->free_slot = slot->next_free;
    slot->fetch = fetch;
    fetch->id = slot->generation << HTTPFETCH_SLOT_BITS | number;
    client->fetch_count++;
    return fetch;
}

void httpclient_give_fetch(struct httpfetch *fetch)
{
    struct httpclient *client = fetch->client;
    uint32_t number = slot_number(fetch->id);
    struct httpclient_slot *slot = &client->slots[number - 1];

    slot->fetch = NULL;
    slot->generation++;
    slot->next_free = client->free_slot;
    client->free_slot = number;
    client->fetch_count--;
    if (fetch->is_taken)
        return;
    if (client->spare_count == MOST_SPARES || client->closing) {
        httpfetch_free(fetch);
        return;
    }
    httpfetch_clear(fetch);
    fetch->next_spare = client->spares;
    client->spares = fetch;
    client->spare_count++;
}

/* Fetching. */

/* 0 with errno. */
static uint64_t start_fetch(struct httpclient *client, const struct httpclient_request *request,
                            httpclient_response_fn *on_response, httpclientlayer_upgrade_fn *on_upgrade, void *arg)
{
    struct httpclient_request merged;
    int error = client->closing ? -EBADF : loopmember_check(client->loop);

    if (error == 0 && on_response == NULL && on_upgrade == NULL)
        error = -EINVAL;
    if (error < 0)
        return errno = -error, 0;
    struct httpfetch *fetch = httpclient_take_fetch(client);
    if (fetch == NULL)
        return errno = ENOMEM, 0;
    if (client->defaults != NULL) {
        merged = *request;
        httpfetch_merge_defaults(&merged, client->defaults);
        request = &merged;
    }
    fetch->on_response = on_response;
    fetch->on_upgrade = on_upgrade;
    fetch->arg = arg;
    error = httpfetch_set_request(fetch, request);
    if (error == 0)
        error = httpfetch_begin(fetch);
    if (error < 0) {
        if (fetch->body != NULL)
            fetch->body->release = NULL; /* it is still the program's */
        httpclient_give_fetch(fetch);
        return errno = -error, 0;
    }
    return fetch->id;
}

uint64_t httpclient_fetch(struct httpclient *client, const struct httpclient_request *request,
                          httpclient_response_fn *on_response, void *arg)
{
    return start_fetch(client, request, on_response, NULL, arg);
}

uint64_t httpclientlayer_upgrade(struct httpclient *client, const struct httpclient_request *request,
                                 httpclientlayer_upgrade_fn *on_response, void *arg)
{
    return start_fetch(client, request, NULL, on_response, arg);
}

void httpclient_cancel(struct httpclient *client, uint64_t fetch)
{
    struct httpfetch *found = httpclient_find_fetch(client, fetch);

    if (found != NULL)
        httpfetch_fail(found, -ECANCELED, NULL);
}

void httpclient_pause(struct httpclient *client, uint64_t fetch)
{
    struct httpfetch *found = httpclient_find_fetch(client, fetch);

    if (found != NULL && !found->is_over)
        http1exchange_pause(found);
}

void httpclient_resume(struct httpclient *client, uint64_t fetch)
{
    struct httpfetch *found = httpclient_find_fetch(client, fetch);

    if (found != NULL && !found->is_over)
        http1exchange_resume(found);
}

/* Asking. */

size_t httpclient_connections(const struct httpclient *client)
{
    return client->pool.connection_count;
}

size_t httpclient_kept(const struct httpclient *client)
{
    return client->pool.kept_count;
}

size_t httpclient_waiting(const struct httpclient *client)
{
    return client->pool.waiting_count;
}

struct ioloop *httpclient_loop(const struct httpclient *client)
{
    return client->loop;
}
