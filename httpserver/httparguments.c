#include "httpserver/httparguments.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"

enum {
    MAX_ARGUMENTS = 256,
    FIRST_ARGUMENTS = 16, /* room in a new list */
    KEPT_ARGUMENTS = 128, /* a list, and text, that httparguments_clear keeps: 4 KiB each */
    KEPT_TEXT = 4096,
    FIRST_TEXT = 1024,
};

/* Names and values. Blocks do not move, so that what points into them stays valid. */
struct httparguments_block {
    struct httparguments_block *next; /* an older one */
    size_t size, used;
    char text[];
};

static void free_blocks(struct httparguments_block *block)
{
    while (block != NULL) {
        struct httparguments_block *next = block->next;
        ioalloc_free(block);
        block = next;
    }
}

void httparguments_free(struct httparguments *arguments)
{
    free_blocks(arguments->blocks);
    ioalloc_free(arguments->list);
    *arguments = (struct httparguments){ 0 };
}

void httparguments_clear(struct httparguments *arguments)
{
    struct httparguments_block *kept = arguments->blocks;

    if (arguments->capacity > KEPT_ARGUMENTS || kept == NULL || kept->size > KEPT_TEXT) {
        httparguments_free(arguments);
        return;
    }
    free_blocks(kept->next);
    kept->next = NULL;
    kept->used = 0;
    arguments->count = 0;
}

/* Room for so many more. It may be more than a caller needs, so that one by one they are moved a few times only. */
static int reserve_list(struct httparguments *arguments, size_t more)
{
    size_t wanted = arguments->count + more;
    size_t capacity = arguments->capacity > 0 ? 2 * arguments->capacity : FIRST_ARGUMENTS;

    if (wanted <= arguments->capacity)
        return 0;
    if (capacity < wanted)
        capacity = wanted;
    struct httpargument *list = ioalloc_array_resize(arguments->list, capacity, sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    arguments->list = list;
    arguments->capacity = capacity;
    return 0;
}

/* A block with so much room; NULL without memory. */
static struct httparguments_block *reserve_text(struct httparguments *arguments, size_t length)
{
    struct httparguments_block *block = arguments->blocks;
    size_t size = length > FIRST_TEXT ? length : FIRST_TEXT;

    if (block != NULL && block->size - block->used >= length)
        return block;
    block = ioalloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    *block = (struct httparguments_block){ .next = arguments->blocks, .size = size };
    arguments->blocks = block;
    return block;
}

/* What comes before the next "&", or all, when that is not empty: then it is gone from the rest. */
static bool take_member(struct httpurl_part *rest, struct httpurl_part *member)
{
    do {
        if (rest->length == 0)
            return false;
        const char *ampersand = memchr(rest->text, '&', rest->length);
        *member =
            (struct httpurl_part){ rest->text, ampersand != NULL ? (size_t)(ampersand - rest->text) : rest->length };
        size_t taken = member->length + (ampersand != NULL);
        rest->text += taken;
        rest->length -= taken;
    } while (member->length == 0);
    return true;
}

/* Up to one more than the most. */
static size_t count_members(struct httpurl_part rest, size_t most)
{
    struct httpurl_part member;
    size_t count = 0;

    while (count <= most && take_member(&rest, &member))
        count++;
    return count;
}

/* Decoded, with a NUL behind. */
static const char *put_decoded(struct httparguments_block *block, const char *text, size_t length, size_t *decoded)
{
    char *place = block->text + block->used;

    *decoded = (size_t)httpurl_decode(text, length, place, HTTPURL_PLUS | HTTPURL_LENIENT);
    place[*decoded] = '\0';
    block->used += *decoded + 1;
    return place;
}

/* name ["=" value]. What is decoded is never longer than the text, and the NULs stand where "=" and "&" stood; without
 * a "=" the NUL of the name is the blank value. */
static void put_member(struct httparguments_block *block, struct httpurl_part member, struct httpargument *argument)
{
    const char *equals = memchr(member.text, '=', member.length);
    size_t name_length = equals != NULL ? (size_t)(equals - member.text) : member.length;

    argument->name = put_decoded(block, member.text, name_length, &argument->name_length);
    argument->value = argument->name + argument->name_length;
    argument->value_length = 0;
    if (equals != NULL)
        argument->value = put_decoded(block, equals + 1, member.length - name_length - 1, &argument->value_length);
}

int httparguments_parse(struct httparguments *arguments, const char *text, size_t length, size_t max_count)
{
    size_t most = max_count > 0 ? max_count : MAX_ARGUMENTS;
    size_t left = most > arguments->count ? most - arguments->count : 0;
    struct httpurl_part rest = { text, length }, member;
    size_t count = count_members(rest, left);

    if (count == 0)
        return 0;
    if (count > left)
        return -ENOBUFS;
    if (reserve_list(arguments, count) < 0)
        return -ENOMEM;
    struct httparguments_block *block = reserve_text(arguments, length + 1);
    if (block == NULL)
        return -ENOMEM;
    while (take_member(&rest, &member))
        put_member(block, member, &arguments->list[arguments->count++]);
    return 0;
}

static const char *put_copy(struct httparguments_block *block, const char *text, size_t length)
{
    char *place = block->text + block->used;

    if (length > 0)
        memcpy(place, text, length);
    place[length] = '\0';
    block->used += length + 1;
    return place;
}

int httparguments_add(struct httparguments *arguments, const char *name, size_t name_length, const char *value,
                      size_t value_length)
{
    if (reserve_list(arguments, 1) < 0)
        return -ENOMEM;
    struct httparguments_block *block = reserve_text(arguments, name_length + value_length + 2);
    if (block == NULL)
        return -ENOMEM;
    arguments->list[arguments->count++] = (struct httpargument){
        .name = put_copy(block, name, name_length),
        .value = put_copy(block, value, value_length),
        .name_length = name_length,
        .value_length = value_length,
    };
    return 0;
}

size_t httparguments_count(const struct httparguments *arguments)
{
    return arguments->count;
}

const struct httpargument *httparguments_at(const struct httparguments *arguments, size_t index)
{
    return index < arguments->count ? &arguments->list[index] : NULL;
}

static bool has_name(const struct httpargument *argument, const char *name, size_t length)
{
    return argument->name_length == length && memcmp(argument->name, name, length) == 0;
}

const struct httpargument *httparguments_last(const struct httparguments *arguments, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = arguments->count; i > 0; i--)
        if (has_name(&arguments->list[i - 1], name, length))
            return &arguments->list[i - 1];
    return NULL;
}

const struct httpargument *httparguments_next(const struct httparguments *arguments, const char *name,
                                              const struct httpargument *after)
{
    size_t length = strlen(name);
    size_t i = after != NULL ? (size_t)(after - arguments->list) + 1 : 0;

    for (; i < arguments->count; i++)
        if (has_name(&arguments->list[i], name, length))
            return &arguments->list[i];
    return NULL;
}
