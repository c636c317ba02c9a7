#include "websocket/websockettopics.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "websocket/websocketconnection.h"

#define FIRST_TOPIC_BUCKETS 16u

struct topic {
    struct topic *next; /* in its bucket */
    uint64_t hash;
    struct websockettopics_membership *members;
    size_t count;
    size_t length;
    char name[];
};

/* One socket in one topic. */
struct websockettopics_membership {
    struct websocket *socket;
    struct topic *topic;
    struct websockettopics_membership *next, **link; /* of the topic */
    struct websockettopics_membership *next_of_socket;
};

/* Who chooses the names does not know the seed, so they are spread. */
struct websockettopics {
    struct topic **buckets;
    size_t bucket_count; /* a power of 2 */
    size_t count;
    uint64_t seed;
};

static uint64_t hash_topic(const struct websockettopics *topics, const char *name, size_t length)
{
    uint64_t hash = topics->seed;

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Life. */

void websockettopics_free(struct websockettopics *topics)
{
    if (topics == NULL)
        return;
    ioalloc_free(topics->buckets);
    ioalloc_free(topics);
}

static struct websockettopics *new_topics(struct ioloop *loop)
{
    struct websockettopics *topics = ioalloc_zeroed(sizeof *topics);

    if (topics == NULL)
        return NULL;
    topics->bucket_count = FIRST_TOPIC_BUCKETS;
    topics->buckets = ioalloc_zeroed(FIRST_TOPIC_BUCKETS * sizeof *topics->buckets);
    if (topics->buckets == NULL || websocketloop_random(loop, &topics->seed, sizeof topics->seed) < 0) {
        websockettopics_free(topics);
        return NULL;
    }
    return topics;
}

static struct websockettopics *topics_of(struct ioloop *loop)
{
    struct websocketloop *shared = websocketloop_of(loop);

    if (shared == NULL)
        return NULL;
    if (shared->topics == NULL)
        shared->topics = new_topics(loop);
    return shared->topics;
}

static struct topic *find_topic(const struct websockettopics *topics, const char *name, size_t length)
{
    uint64_t hash = hash_topic(topics, name, length);
    struct topic *topic = topics->buckets[hash & (topics->bucket_count - 1)];

    while (topic != NULL && (topic->hash != hash || topic->length != length || memcmp(topic->name, name, length) != 0))
        topic = topic->next;
    return topic;
}

static struct topic *find_topic_of(struct ioloop *loop, const char *name)
{
    struct websocketloop *shared = websocketloop_find(loop);

    return shared != NULL && shared->topics != NULL ? find_topic(shared->topics, name, strlen(name)) : NULL;
}

static void put_topic(struct websockettopics *topics, struct topic *topic)
{
    struct topic **bucket = &topics->buckets[topic->hash & (topics->bucket_count - 1)];

    topic->next = *bucket;
    *bucket = topic;
}

/* Without memory the buckets stay as long as they are. */
static void spread_topics(struct websockettopics *topics)
{
    struct topic **old = topics->buckets;
    size_t old_count = topics->bucket_count;
    struct topic **buckets = ioalloc_zeroed(2 * old_count * sizeof *buckets);

    if (buckets == NULL)
        return;
    topics->buckets = buckets;
    topics->bucket_count = 2 * old_count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct topic *topic = old[i];
            old[i] = topic->next;
            put_topic(topics, topic);
        }
    }
    ioalloc_free(old);
}

static struct topic *add_topic(struct websockettopics *topics, const char *name, size_t length)
{
    struct topic *topic = ioalloc(sizeof *topic + length);

    if (topic == NULL)
        return NULL;
    if (topics->count >= topics->bucket_count)
        spread_topics(topics);
    *topic = (struct topic){ .hash = hash_topic(topics, name, length), .length = length };
    memcpy(topic->name, name, length);
    put_topic(topics, topic);
    topics->count++;
    return topic;
}

static void drop_topic_if_empty(struct websockettopics *topics, struct topic *topic)
{
    struct topic **link = &topics->buckets[topic->hash & (topics->bucket_count - 1)];

    if (topic->count > 0)
        return;
    while (*link != topic)
        link = &(*link)->next;
    *link = topic->next;
    topics->count--;
    ioalloc_free(topic);
}

/* Memberships. */

static struct websockettopics_membership **find_membership(struct websocket *socket, const struct topic *topic)
{
    struct websockettopics_membership **link = &socket->rare->topics;

    while (*link != NULL && (*link)->topic != topic)
        link = &(*link)->next_of_socket;
    return link;
}

static int join_topic(struct websocket *socket, struct topic *topic)
{
    struct websockettopics_membership *membership = ioalloc(sizeof *membership);

    if (membership == NULL)
        return -ENOMEM;
    *membership = (struct websockettopics_membership){ .socket = socket,
                                                       .topic = topic,
                                                       .next = topic->members,
                                                       .link = &topic->members,
                                                       .next_of_socket = socket->rare->topics };
    if (membership->next != NULL)
        membership->next->link = &membership->next;
    topic->members = membership;
    topic->count++;
    socket->rare->topics = membership;
    socket->rare->topic_count++;
    return 0;
}

static void end_membership(struct websocket *socket, struct websockettopics_membership **link)
{
    struct websockettopics_membership *membership = *link;
    struct topic *topic = membership->topic;

    *link = membership->next_of_socket;
    *membership->link = membership->next;
    if (membership->next != NULL)
        membership->next->link = membership->link;
    topic->count--;
    socket->rare->topic_count--;
    ioalloc_free(membership);
    drop_topic_if_empty(websocketloop_find(websocketconnection_loop(socket))->topics, topic);
}

int websocket_subscribe(struct websocket *socket, const char *name)
{
    size_t length = strlen(name);

    if (!socket->is_open || iostream_closed(socket->stream))
        return -EBADF;
    if (length > WEBSOCKETTOPICS_LONGEST)
        return -EINVAL;
    struct websockettopics *topics = topics_of(socket->stream->loop);
    if (topics == NULL || websocketconnection_rare(socket) == NULL)
        return -ENOMEM;
    struct topic *topic = find_topic(topics, name, length);
    if (topic != NULL && *find_membership(socket, topic) != NULL)
        return 0;
    if (socket->rare->topic_count >= WEBSOCKETTOPICS_MOST)
        return -ENOBUFS;
    if (topic == NULL)
        topic = add_topic(topics, name, length);
    int error = topic != NULL ? join_topic(socket, topic) : -ENOMEM;
    if (error < 0 && topic != NULL)
        drop_topic_if_empty(topics, topic);
    if (error < 0)
        websocketconnection_drop_rare(socket);
    return error;
}

void websocket_unsubscribe(struct websocket *socket, const char *name)
{
    struct topic *topic = socket->rare != NULL ? find_topic_of(websocketconnection_loop(socket), name) : NULL;
    struct websockettopics_membership **link = topic != NULL ? find_membership(socket, topic) : NULL;

    if (link == NULL || *link == NULL)
        return;
    end_membership(socket, link);
    websocketconnection_drop_rare(socket);
}

void websockettopics_leave(struct websocket *socket)
{
    while (socket->rare != NULL && socket->rare->topics != NULL)
        end_membership(socket, &socket->rare->topics);
}

/* Publishing. */

size_t websocket_subscribers(struct ioloop *loop, const char *name)
{
    const struct topic *topic = find_topic_of(loop, name);

    return topic != NULL ? topic->count : 0;
}

/* Nothing that sending does changes the list: sockets that end leave it later, from the loop. */
static int send_to_members(const struct topic *topic, struct websocket_message *message, const struct websocket *except)
{
    int count = 0;

    for (struct websockettopics_membership *each = topic->members; each != NULL; each = each->next)
        count += each->socket != except && websocket_send(each->socket, message) == 0;
    return count;
}

int websocket_publish(struct ioloop *loop, const char *name, const void *data, size_t length, bool is_binary,
                      const struct websocket *except)
{
    const struct topic *topic = find_topic_of(loop, name);

    if (topic == NULL)
        return 0;
    struct websocket_message *message = websocket_message_new(data, length, is_binary);
    if (message == NULL)
        return -errno;
    int count = send_to_members(topic, message, except);
    websocket_message_release(message);
    return count;
}
