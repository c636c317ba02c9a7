/* Internal: ledger.h, what a test asked of streams and what came of it: each operation that was accepted is to be told
 * of once, each that was refused never.
 *
 *     struct ledger_entry *read = ledger_add("read");
 *     ledger_note(read, iostream_read_bytes(stream, 1, ledger_on_read, read));
 *     ...
 *     assert_true(ledger_is_settled()); */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include <stdbool.h>

#include "ioloop/iostream.h"

struct ledger_entry {
    const char *name;
    bool accepted;
    bool may_be_lost; /* nobody promises to tell of it: a timer of a loop that closes */
    bool acts;        /* for the test's own use */
    int told;
};

/* Called whenever a callback has been noted, also for a piece of a streaming read. stream: NULL where there is none. */
typedef void ledger_hook_fn(struct ledger_entry *entry, struct iostream *stream, int error);

/* Empties the ledger. */
void ledger_begin(ledger_hook_fn *hook);

struct ledger_entry *ledger_add(const char *name);
struct ledger_entry *ledger_find(const char *name); /* the last of this name; NULL: none */
void ledger_note(struct ledger_entry *entry, int result);

/* What callbacks of any other type call. */
void ledger_tell(struct ledger_entry *entry, struct iostream *stream, int error);

/* arg: the entry. release frees its memory. */
iostream_read_fn ledger_on_read, ledger_on_piece;
iostream_write_fn ledger_on_end;
iostream_release_fn ledger_on_release;

/* Has everything that was accepted been told of? And nothing twice, and nothing else? settled prints what is wrong. */
bool ledger_is_told(void);
bool ledger_is_settled(void);

#endif
