#include "tests/support/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

enum { MOST = 64 };

static struct ledger_entry entries[MOST];
static int count;
static ledger_hook_fn *hook;

void ledger_begin(ledger_hook_fn *new_hook)
{
    count = 0;
    hook = new_hook;
}

struct ledger_entry *ledger_add(const char *name)
{
    assert_in_range(count, 0, MOST - 1);
    struct ledger_entry *entry = &entries[count++];
    *entry = (struct ledger_entry){ .name = name };
    return entry;
}

struct ledger_entry *ledger_find(const char *name)
{
    for (int i = count - 1; i >= 0; i--) {
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    }
    return NULL;
}

void ledger_note(struct ledger_entry *entry, int result)
{
    entry->accepted = result == 0;
}

void ledger_tell(struct ledger_entry *entry, struct iostream *stream, int error)
{
    entry->told++;
    if (hook != NULL)
        hook(entry, stream, error);
}

void ledger_on_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    ledger_tell(arg, stream, error);
}

void ledger_on_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct ledger_entry *entry = arg;

    entry->told += length == 0;
    if (hook != NULL)
        hook(entry, stream, error);
}

void ledger_on_end(struct iostream *stream, int error, void *arg)
{
    ledger_tell(arg, stream, error);
}

void ledger_on_release(void *data, void *arg)
{
    free(data);
    ledger_tell(arg, NULL, 0);
}

bool ledger_is_told(void)
{
    for (int i = 0; i < count; i++) {
        if (entries[i].accepted && entries[i].told == 0)
            return false;
    }
    return true;
}

bool ledger_is_settled(void)
{
    bool settled = true;

    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = &entries[i];
        if (entry->told == entry->accepted || (entry->may_be_lost && entry->told == 0))
            continue;
        print_error("%s: %s, told %d times\n", entry->name, entry->accepted ? "accepted" : "refused", entry->told);
        settled = false;
    }
    return settled;
}
