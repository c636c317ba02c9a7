/* The headers, against a model that is nothing but a list of strings. The input is a program: a byte says what is done,
 * those behind it are names, values or text.
 *
 * What has to hold: the answers of the two are the same, and after each step so is what they hold; what is written is
 * read again as the same; what is refused changes nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpheaders.h"
#include "ioloop/ioalloc.h"
#include "tests/fuzz/fuzz.h"

struct text {
    const char *bytes;
    size_t length;
};

struct model {
    size_t count, size;
    struct {
        struct text name, value;
    } entries[HTTPHEADERS_MAX_COUNT + 1];
};

static int folded(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + 0x20 : byte;
}

static bool is_same_name(struct text a, struct text b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (folded(a.bytes[i]) != folded(b.bytes[i]))
            return false;
    return true;
}

static bool is_name_in_model(struct text name)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < name.length; i++)
        if (name.bytes[i] == '\0' || strchr(token, name.bytes[i]) == NULL)
            return false;
    return name.length > 0;
}

static bool is_value_in_model(struct text value)
{
    for (size_t i = 0; i < value.length; i++)
        if (((uint8_t)value.bytes[i] < 0x20 && value.bytes[i] != '\t') || value.bytes[i] == 0x7f)
            return false;
    return true;
}

static struct text trimmed(struct text value)
{
    while (value.length > 0 && strchr(" \t", value.bytes[0]) != NULL && value.bytes[0] != '\0')
        value = (struct text){ value.bytes + 1, value.length - 1 };
    while (value.length > 0 && (value.bytes[value.length - 1] == ' ' || value.bytes[value.length - 1] == '\t'))
        value.length--;
    return value;
}

static void remove_in_model(struct model *model, struct text name)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->count; i++) {
        if (is_same_name(model->entries[i].name, name))
            model->size -= model->entries[i].name.length + model->entries[i].value.length + 4;
        else
            model->entries[kept++] = model->entries[i];
    }
    model->count = kept;
}

static int add_in_model(struct model *model, struct text name, struct text value)
{
    value = trimmed(value);
    if (!is_name_in_model(name) || !is_value_in_model(value))
        return -EINVAL;
    if (model->count == HTTPHEADERS_MAX_COUNT || model->size + name.length + value.length + 4 > HTTPHEADERS_MAX_SIZE)
        return -ENOBUFS;
    model->entries[model->count].name = name;
    model->entries[model->count++].value = value;
    model->size += name.length + value.length + 4;
    return 0;
}

static int set_in_model(struct model *model, struct text name, struct text value)
{
    static struct model before;

    before = *model;
    remove_in_model(model, name);
    int error = add_in_model(model, name, value);
    if (error < 0)
        *model = before;
    return error;
}

static int parse_in_model(struct model *model, struct text text)
{
    static struct model before;
    int error = 0;

    before = *model;
    while (text.length > 0 && error == 0) {
        const char *end = memchr(text.bytes, '\n', text.length);
        size_t length = end == NULL ? 0 : (size_t)(end - text.bytes);
        const char *colon = memchr(text.bytes, ':', length);
        if (length == 0 || text.bytes[length - 1] != '\r' || colon == NULL) {
            error = -EINVAL;
            break;
        }
        struct text name = { text.bytes, (size_t)(colon - text.bytes) };
        error = add_in_model(model, name, (struct text){ colon + 1, length - name.length - 2 });
        text = (struct text){ text.bytes + length + 1, text.length - length - 1 };
    }
    if (error < 0)
        *model = before;
    return error;
}

/* Limits are looked at in another order than by the model. */
static void require_same_answer(int answer, int wanted)
{
    require(answer == wanted || (answer < 0 && wanted < 0 && (answer == -ENOBUFS || wanted == -ENOBUFS)));
}

static void require_entry(const struct httpheaders *headers, size_t index, struct text name, struct text value)
{
    const char *name_there, *value_there;

    require(httpheaders_at(headers, index, &name_there, &value_there));
    require(strlen(name_there) == name.length && memcmp(name_there, name.bytes, name.length) == 0);
    require(strlen(value_there) == value.length && memcmp(value_there, value.bytes, value.length) == 0);
}

static void require_same(const struct httpheaders *headers, const struct model *model)
{
    require(httpheaders_count(headers) == model->count && httpheaders_size(headers) == model->size);
    for (size_t i = 0; i < model->count; i++)
        require_entry(headers, i, model->entries[i].name, model->entries[i].value);
    require(!httpheaders_at(headers, model->count, NULL, NULL));
}

/* Walks the values of one name, and joins them. */
static void require_same_values(const struct httpheaders *headers, const struct model *model, const char *name)
{
    struct text text = { name, strlen(name) };
    const char *value = httpheaders_get(headers, name);
    char *joined = httpheaders_join(headers, name), *at = joined;

    for (size_t i = 0; i < model->count; i++) {
        if (!is_same_name(model->entries[i].name, text))
            continue;
        size_t length = model->entries[i].value.length;
        require(value != NULL && strlen(value) == length);
        require(memcmp(value, model->entries[i].value.bytes, length) == 0);
        require(memcmp(at, value, length) == 0);
        at += length + 1;
        value = httpheaders_get_next(headers, name, value);
    }
    require(value == NULL && (joined == NULL || at == joined + strlen(joined) + 1));
    ioalloc_free(joined);
}

static void require_same_when_written(const struct httpheaders *headers, const struct model *model)
{
    size_t size = httpheaders_size(headers);
    char *text = malloc(size + (size == 0));
    struct httpheaders again = { 0 };

    require(text != NULL && httpheaders_serialize(headers, text) == size);
    require(httpheaders_parse(&again, text, size) == 0);
    require_same(&again, model);
    httpheaders_free(&again);
    free(text);
}

struct input {
    const char *at, *end;
};

/* Up to a byte that the grammar has no use for. */
static struct text take_text(struct input *input)
{
    const char *begin = input->at;

    while (input->at < input->end && *input->at != '\0')
        input->at++;
    struct text text = { begin, (size_t)(input->at - begin) };
    if (input->at < input->end)
        input->at++;
    return text;
}

enum { MOST_BIG = 16 };

/* A text of a size that is seldom found by chance. The model goes on using it. */
static struct text repeated(struct text text, uint8_t times, unsigned index)
{
    static char memory[MOST_BIG][HTTPHEADERS_MAX_SIZE + 512];
    size_t length = 0;

    for (unsigned i = 0; i < times * 8u && length + text.length <= sizeof memory[0]; i++, length += text.length)
        memcpy(memory[index] + length, text.bytes, text.length);
    return (struct text){ memory[index], length };
}

/* A name and a value that lie in the headers are given back to them. */
static void set_from_itself(struct httpheaders *headers, struct model *model, size_t of_name, size_t of_value)
{
    const char *name, *value;

    if (model->count == 0)
        return;
    of_name %= model->count;
    of_value %= model->count;
    require(httpheaders_at(headers, of_name, &name, NULL) && httpheaders_at(headers, of_value, NULL, &value));
    require_same_answer(httpheaders_set(headers, name, value),
                        set_in_model(model, model->entries[of_name].name, model->entries[of_value].value));
}

static void run_step(struct httpheaders *headers, struct model *model, struct input *input, uint8_t step)
{
    char name_text[64];
    struct text name = take_text(input);
    struct text value = take_text(input);

    size_t length = name.length < sizeof name_text ? name.length : sizeof name_text - 1;
    memcpy(name_text, name.bytes, length);
    name_text[length] = '\0';
    switch (step % 8) {
    case 0:
    case 1:
        require_same_answer(httpheaders_add_bytes(headers, name.bytes, name.length, value.bytes, value.length),
                            add_in_model(model, name, value));
        break;
    case 2:
        require_same_answer(httpheaders_set_bytes(headers, name.bytes, name.length, value.bytes, value.length),
                            set_in_model(model, name, value));
        break;
    case 3:
        httpheaders_remove(headers, name_text);
        remove_in_model(model, (struct text){ name_text, length });
        break;
    case 4:
        require_same_answer(httpheaders_parse(headers, name.bytes, name.length), parse_in_model(model, name));
        break;
    case 5:
        require_same_values(headers, model, name_text);
        break;
    case 6:
        if (value.length > 0)
            break;
        httpheaders_clear(headers);
        model->count = model->size = 0;
        break;
    case 7:
        set_from_itself(headers, model, step / 8, name.length);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct httpheaders headers = { 0 }, copy = { 0 };
    struct input input = { (const char *)data, (const char *)data + size };
    static struct model model;
    unsigned bigs = 0;

    model.count = model.size = 0;
    while (input.at < input.end) {
        uint8_t step = (uint8_t)*input.at++;
        if (step == 0xff && input.at < input.end && bigs < MOST_BIG) {
            uint8_t times = (uint8_t)*input.at++;
            struct text value = repeated(take_text(&input), times, bigs++);
            require_same_answer(httpheaders_set_bytes(&headers, "Big", 3, value.bytes, value.length),
                                set_in_model(&model, (struct text){ "Big", 3 }, value));
        } else {
            run_step(&headers, &model, &input, step);
        }
        require_same(&headers, &model);
    }
    require_same_when_written(&headers, &model);
    require(httpheaders_copy(&copy, &headers) == 0);
    require_same(&copy, &model);
    httpheaders_free(&headers);
    require_same(&copy, &model);
    httpheaders_free(&copy);
    return 0;
}
