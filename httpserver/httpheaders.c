#include "httpserver/httpheaders.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "httpserver/httpetag.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpheaderslayer.h"
#include "ioloop/ioalloc.h"

/* Bytes of a header that are neither name nor value; as many in the text as on the wire. */
enum { HEADER_PUNCTUATION = sizeof ": \r\n" - 1 };

enum { HEADERS_FIRST_COUNT = 8, HEADERS_FIRST_LENGTH = 448 };

static size_t header_size(size_t name_length, size_t value_length)
{
    return name_length + value_length + HEADER_PUNCTUATION;
}

static char *name_of(const struct httpheaders *headers, uint32_t index)
{
    return headers->text + headers->entries[index].offset;
}

static char *value_of(const struct httpheaders *headers, uint32_t index)
{
    return name_of(headers, index) + headers->entries[index].name_length + sizeof "\0 " - 1;
}

static size_t size_of(const struct httpheaders *headers, uint32_t index)
{
    return header_size(headers->entries[index].name_length, headers->entries[index].value_length);
}

static inline bool is_named(const struct httpheaders *headers, uint32_t index, const char *name, size_t length)
{
    return headers->entries[index].name_length == length &&
           httpfield_is_likely_same(name_of(headers, index), name, length);
}

/* Most of the time the answer is no, and found without a look at the names. */
static bool may_have(const struct httpheaders *headers, const char *name, size_t length)
{
    return length > 0 && httpheaderslayer_may_have(headers, length, name[0]);
}

/* The index of the first one of that name from `from` on; the count when there is none. */
static uint32_t find_header(const struct httpheaders *headers, uint32_t from, const char *name, size_t length)
{
    if (!may_have(headers, name, length))
        return headers->count;
    while (from < headers->count && !is_named(headers, from, name, length))
        from++;
    return from;
}

void httpheaders_free(struct httpheaders *headers)
{
    ioalloc_free(headers->entries);
    *headers = (struct httpheaders){ 0 };
}

void httpheaders_clear(struct httpheaders *headers)
{
    httpheaderslayer_clear(headers);
}

/* Memory. */

static bool has_room_for(const struct httpheaders *headers, uint32_t count, size_t length)
{
    return count <= headers->entry_capacity && length <= headers->capacity;
}

/* Empty headers in one piece of memory, entries and then text, of which there is at least so much. */
static int make_headers(struct httpheaders *headers, uint32_t count, size_t length)
{
    uint32_t entry_capacity = HEADERS_FIRST_COUNT, capacity = HEADERS_FIRST_LENGTH;

    while (entry_capacity < count)
        entry_capacity *= 2;
    while (capacity < length)
        capacity *= 2;
    char *memory = ioalloc(entry_capacity * sizeof(struct httpheaders_entry) + capacity);
    if (memory == NULL)
        return -ENOMEM;
    headers->entries = (struct httpheaders_entry *)(void *)memory;
    headers->text = memory + entry_capacity * sizeof(struct httpheaders_entry);
    headers->entry_capacity = entry_capacity;
    headers->capacity = capacity;
    httpheaders_clear(headers);
    return 0;
}

/* There is room. */
static void copy_headers(struct httpheaders *to, const struct httpheaders *from)
{
    to->length = from->length;
    to->count = from->count;
    to->kinds = from->kinds;
    if (from->count == 0)
        return;
    memcpy(to->text, from->text, from->length);
    memcpy(to->entries, from->entries, from->count * sizeof *from->entries);
}

int httpheaders_copy(struct httpheaders *to, const struct httpheaders *from)
{
    if (to == from)
        return 0;
    if (!has_room_for(to, from->count, from->length)) {
        struct httpheaders larger;
        if (make_headers(&larger, from->count, from->length) < 0)
            return -ENOMEM;
        ioalloc_free(to->entries);
        *to = larger;
    }
    copy_headers(to, from);
    return 0;
}

/* Adding and setting. */

/* There is room. -EINVAL for what is no name or no value; it is then as if nothing had been written. */
static inline int put_header(struct httpheaders *headers, const struct httpfield *field)
{
    char *place = headers->text + headers->length;

    if (!httpfield_copy(place, field))
        return -EINVAL;
    headers->entries[headers->count++] = (struct httpheaders_entry){
        .offset = headers->length,
        .name_length = (uint16_t)field->name_length,
        .value_length = (uint16_t)field->value_length,
    };
    headers->length += (uint32_t)header_size(field->name_length, field->value_length);
    headers->kinds |= HTTPHEADERS_KIND(field->name_length, place[0]);
    return 0;
}

/* The field may lie in the memory that is replaced, so that goes last. */
static __attribute__((noinline)) int put_in_larger(struct httpheaders *headers, const struct httpfield *field)
{
    struct httpheaders larger;
    size_t length = headers->length + header_size(field->name_length, field->value_length);

    if (make_headers(&larger, headers->count + 1, length) < 0)
        return -ENOMEM;
    copy_headers(&larger, headers);
    int error = put_header(&larger, field);
    ioalloc_free(headers->entries);
    *headers = larger;
    return error;
}

/* Are the limits kept with the field, and without so many others of so many bytes? */
static inline bool is_within_limits(const struct httpheaders *headers, const struct httpfield *field, uint32_t count,
                                    size_t size)
{
    return headers->count - count < HTTPHEADERS_MAX_COUNT &&
           headers->length - size + header_size(field->name_length, field->value_length) <= HTTPHEADERS_MAX_SIZE;
}

static inline int append_header(struct httpheaders *headers, const struct httpfield *field)
{
    size_t length = headers->length + header_size(field->name_length, field->value_length);

    if (!has_room_for(headers, headers->count + 1, length))
        return put_in_larger(headers, field);
    return put_header(headers, field);
}

static int add_field(struct httpheaders *headers, struct httpfield *field)
{
    httpfield_trim(field);
    return is_within_limits(headers, field, 0, 0) ? append_header(headers, field) : -ENOBUFS;
}

int httpheaders_add_bytes(struct httpheaders *headers, const char *name, size_t name_length, const char *value,
                          size_t value_length)
{
    return add_field(headers, &(struct httpfield){ name, name_length, value, value_length });
}

int httpheaders_add(struct httpheaders *headers, const char *name, const char *value)
{
    return add_field(headers, &(struct httpfield){ name, strlen(name), value, strlen(value) });
}

int httpheaders_set_default(struct httpheaders *headers, const char *name, const char *value)
{
    return httpheaders_get(headers, name) != NULL ? 0 : httpheaders_add(headers, name, value);
}

/* From a head that was parsed. */

/* Of what comes as nearly everybody writes it, "Name: value\r\n" without gaps, the text is the head's but for two bytes
 * of each line. Answers how many bytes that are; 0: it is not so. There is room. */
static size_t put_usual_lines(struct httpheaders *headers, const char *head, const struct http1parser_header *fields,
                              uint32_t count)
{
    size_t begin = fields[0].name.offset, at = begin;
    uint32_t kinds = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct http1parser_slice name = fields[i].name, value = fields[i].value;
        size_t end = value.offset + value.length;
        if (name.offset != at || value.offset != at + name.length + 2)
            return 0;
        char *line = headers->text + (at - begin);
        headers->entries[i] = (struct httpheaders_entry){
            .offset = (uint32_t)(at - begin),
            .name_length = (uint16_t)name.length,
            .value_length = (uint16_t)value.length,
        };
        kinds |= HTTPHEADERS_KIND(name.length, head[at]);
        memcpy(line + name.length, "\0 ", 2); /* it may have been a tab */
        memcpy(line + (end - at), "\0\n", 2);
        at = end + 2;
    }
    headers->kinds = kinds;
    return at - begin;
}

static int take_one_by_one(struct httpheaders *headers, const char *head, const struct http1parser_header *fields,
                           uint32_t count)
{
    int error = 0;

    for (uint32_t i = 0; i < count && error == 0; i++)
        error = httpheaders_add_bytes(headers, head + fields[i].name.offset, fields[i].name.length,
                                      head + fields[i].value.offset, fields[i].value.length);
    if (error < 0)
        httpheaders_clear(headers);
    return error;
}

int httpheaderslayer_take_parsed(struct httpheaders *headers, const char *head, const struct http1parser_header *fields,
                                 uint32_t count)
{
    if (count == 0)
        return 0;
    const struct http1parser_header *last = &fields[count - 1];
    size_t begin = fields[0].name.offset, length = last->value.offset + last->value.length + 2 - begin;
    if (count > HTTPHEADERS_MAX_COUNT || length > HTTPHEADERS_MAX_SIZE)
        return take_one_by_one(headers, head, fields, count);
    if (!has_room_for(headers, count, length)) {
        struct httpheaders larger;
        if (make_headers(&larger, count, length) < 0)
            return -ENOMEM;
        ioalloc_free(headers->entries);
        *headers = larger;
    }
    memcpy(headers->text, head + begin, length);
    if (put_usual_lines(headers, head, fields, count) != length)
        return take_one_by_one(headers, head, fields, count);
    headers->count = count;
    headers->length = (uint32_t)length;
    return 0;
}

/* Removing: first the entries are marked, with a name of no length, then the gaps are closed. The name may be one that
 * goes. */

/* Marks those of the first `end`. Answers how many. */
static uint32_t mark_removed(struct httpheaders *headers, uint32_t end, const char *name, size_t length)
{
    uint32_t removed = 0;

    for (uint32_t i = 0; i < end; i++)
        if (is_named(headers, i, name, length)) {
            headers->entries[i].name_length = 0;
            removed++;
        }
    return removed;
}

static void close_gaps(struct httpheaders *headers)
{
    uint32_t kept = 0, length = 0;

    for (uint32_t i = 0; i < headers->count; i++) {
        if (headers->entries[i].name_length == 0)
            continue;
        size_t size = size_of(headers, i);
        memmove(headers->text + length, name_of(headers, i), size);
        headers->entries[kept] = headers->entries[i];
        headers->entries[kept++].offset = length;
        length += (uint32_t)size;
    }
    headers->count = kept;
    headers->length = length;
}

void httpheaders_remove(struct httpheaders *headers, const char *name)
{
    size_t length = strlen(name);

    if (may_have(headers, name, length) && mark_removed(headers, headers->count, name, length) > 0)
        close_gaps(headers);
}

/* Adds the field when there is no room but that of those of its name, which are to go. */
static int add_instead(struct httpheaders *headers, const struct httpfield *field)
{
    uint32_t count = 0;
    size_t size = 0;

    for (uint32_t i = 0; i < headers->count; i++)
        if (is_named(headers, i, field->name, field->name_length)) {
            size += size_of(headers, i);
            count++;
        }
    return is_within_limits(headers, field, count, size) ? append_header(headers, field) : -ENOBUFS;
}

static void remove_earlier(struct httpheaders *headers, uint32_t last)
{
    if (mark_removed(headers, last, name_of(headers, last), headers->entries[last].name_length) > 0)
        close_gaps(headers);
}

/* The new one comes first, as it may fail, and be made of parts of those that go. */
static int set_field(struct httpheaders *headers, struct httpfield *field)
{
    uint32_t before = may_have(headers, field->name, field->name_length) ? headers->count : 0;
    int error = add_field(headers, field);

    if (error == -ENOBUFS)
        error = add_instead(headers, field);
    if (error == 0 && before > 0)
        remove_earlier(headers, before);
    return error;
}

int httpheaders_set_bytes(struct httpheaders *headers, const char *name, size_t name_length, const char *value,
                          size_t value_length)
{
    return set_field(headers, &(struct httpfield){ name, name_length, value, value_length });
}

int httpheaders_set(struct httpheaders *headers, const char *name, const char *value)
{
    return set_field(headers, &(struct httpfield){ name, strlen(name), value, strlen(value) });
}

/* Another list with one set. What it takes the place of is not copied in the first place. */

static __attribute__((noinline)) void append_copy(struct httpheaders *to, const char *text,
                                                  const struct httpheaders_entry *entry)
{
    size_t size = header_size(entry->name_length, entry->value_length);

    memcpy(to->text + to->length, text + entry->offset, size);
    to->entries[to->count] = *entry;
    to->entries[to->count++].offset = to->length;
    to->length += (uint32_t)size;
}

/* There is room for all of them. */
static inline void copy_others(struct httpheaders *to, const struct httpheaders *from, const struct httpfield *field)
{
    if (!may_have(from, field->name, field->name_length)) {
        copy_headers(to, from);
        return;
    }
    to->kinds = from->kinds;
    for (const struct httpheaders_entry *entry = from->entries, *end = entry + from->count; entry < end; entry++) {
        if (entry->name_length != field->name_length ||
            !httpfield_is_likely_same(from->text + entry->offset, field->name, field->name_length))
            append_copy(to, from->text, entry);
    }
}

static __attribute__((noinline)) int copy_then_set(struct httpheaders *to, const struct httpheaders *from,
                                                   struct httpfield *field)
{
    int error = httpheaders_copy(to, from);

    if (error == 0)
        error = set_field(to, field);
    if (error < 0)
        httpheaders_clear(to);
    return error;
}

int httpheaderslayer_copy_with(struct httpheaders *to, const struct httpheaders *from, const char *name,
                               const char *value)
{
    struct httpfield field = { name, strlen(name), value, strlen(value) };

    httpfield_trim(&field);
    if (!is_within_limits(from, &field, 0, 0) ||
        !has_room_for(to, from->count + 1, from->length + header_size(field.name_length, field.value_length)))
        return copy_then_set(to, from, &field);
    copy_others(to, from, &field);
    int error = put_header(to, &field);
    if (error < 0)
        httpheaders_clear(to);
    return error;
}

/* Nothing but its quotes until the tag is written. */
static const char blank_etag[] = "Etag\0 \"----------------\"\0\n";

enum { ETAG_LENGTH = sizeof "Etag" - 1, ETAG_SIZE = sizeof blank_etag - 1 };

static __attribute__((noinline)) char *add_etag_in_larger(struct httpheaders *headers)
{
    const char *value = blank_etag + ETAG_LENGTH + sizeof "\0 " - 1;

    if (httpheaders_add_bytes(headers, blank_etag, ETAG_LENGTH, value, HTTPETAG_SIZE - 1) < 0)
        return NULL;
    return value_of(headers, headers->count - 1);
}

char *httpheaderslayer_add_etag(struct httpheaders *headers)
{
    uint32_t index = headers->count, length = headers->length;

    if (index >= HTTPHEADERS_MAX_COUNT || length + ETAG_SIZE > HTTPHEADERS_MAX_SIZE ||
        !has_room_for(headers, index + 1, length + ETAG_SIZE))
        return add_etag_in_larger(headers);
    memcpy(headers->text + length, blank_etag, ETAG_SIZE);
    headers->entries[index] = (struct httpheaders_entry){ length, ETAG_LENGTH, HTTPETAG_SIZE - 1 };
    headers->count = index + 1;
    headers->length = length + ETAG_SIZE;
    headers->kinds |= HTTPHEADERS_KIND(ETAG_LENGTH, 'e');
    return headers->text + length + ETAG_LENGTH + sizeof "\0 " - 1;
}

/* Looking. */

/* Members that are empty count for nothing. */
bool httpheaders_list_has(const char *list, const char *token)
{
    size_t length = strlen(token);

    while (length > 0 && list != NULL && *list != '\0') {
        struct httpfield field = { .value = list, .value_length = strcspn(list, ",") };

        list += field.value_length + (list[field.value_length] == ',');
        httpfield_trim(&field);
        if (field.value_length == length && httpfield_is_same(field.value, token, length))
            return true;
    }
    return false;
}

size_t httpheaders_count(const struct httpheaders *headers)
{
    return headers->count;
}

bool httpheaders_at(const struct httpheaders *headers, size_t index, const char **name, const char **value)
{
    if (index >= headers->count)
        return false;
    if (name != NULL)
        *name = name_of(headers, (uint32_t)index);
    if (value != NULL)
        *value = value_of(headers, (uint32_t)index);
    return true;
}

static const char *get_from(const struct httpheaders *headers, uint32_t index, const char *name)
{
    index = find_header(headers, index, name, strlen(name));
    return index < headers->count ? value_of(headers, index) : NULL;
}

const char *httpheaders_get(const struct httpheaders *headers, const char *name)
{
    return get_from(headers, 0, name);
}

/* The index of the first header behind the value; the count for what is no value of these. */
static uint32_t index_behind(const struct httpheaders *headers, const char *value)
{
    uintptr_t offset = (uintptr_t)value - (uintptr_t)headers->text;
    uint32_t low = 0, high = headers->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (headers->entries[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const char *httpheaders_get_next(const struct httpheaders *headers, const char *name, const char *after)
{
    return get_from(headers, index_behind(headers, after), name);
}

/* Writes the values with commas between, and a zero; answers how many bytes. place NULL: only counts. */
static size_t join_values(const struct httpheaders *headers, const char *name, char *place)
{
    size_t name_length = strlen(name), length = 0;

    for (uint32_t i = find_header(headers, 0, name, name_length); i < headers->count;
         i = find_header(headers, i + 1, name, name_length)) {
        size_t value_length = headers->entries[i].value_length;
        if (place != NULL) {
            memcpy(place + length, value_of(headers, i), value_length);
            place[length + value_length] = ',';
        }
        length += value_length + 1;
    }
    if (place != NULL)
        place[length - 1] = '\0';
    return length;
}

char *httpheaders_join(const struct httpheaders *headers, const char *name)
{
    size_t size = join_values(headers, name, NULL);

    if (size == 0)
        return errno = ENOENT, NULL;
    char *joined = ioalloc(size);
    if (joined == NULL)
        return errno = ENOMEM, NULL;
    join_values(headers, name, joined);
    return joined;
}

/* To and from text. */

int httpheaders_parse(struct httpheaders *headers, const char *text, size_t length)
{
    uint32_t count_before = headers->count, length_before = headers->length;
    struct httpfield field;

    for (size_t at = 0; at < length;) {
        ssize_t size = httpfield_read_line(text + at, length - at, &field);
        int error = size < 0 ? (int)size : add_field(headers, &field);
        if (error < 0) {
            headers->count = count_before;
            headers->length = length_before;
            return error;
        }
        at += (size_t)size;
    }
    return 0;
}

size_t httpheaders_size(const struct httpheaders *headers)
{
    return headers->length;
}

size_t httpheaders_serialize(const struct httpheaders *headers, char *place)
{
    return httpheaderslayer_serialize(headers, place);
}
