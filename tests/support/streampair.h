/* Internal: streampair.h, for tests of streams: a stream with a hand-driven peer, and what its callbacks were told.
 *
 *     struct streampair pair;
 *     struct outcome line = { 0 };
 *     streampair_open(&pair, STREAMPAIR_UNIX, NULL);
 *     assert_int_equal(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line), 0);
 *     streampair_put(&pair, "hello\n");
 *     streampair_run(&pair, &line);
 *     assert_outcome(line, 0, "hello\n");
 *     streampair_close(&pair); */
#ifndef TESTS_SUPPORT_STREAMPAIR_H
#define TESTS_SUPPORT_STREAMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/iostream.h"

/* What one operation came to. All zero before. */
struct outcome {
    bool done;
    int calls;
    int error;       /* of the last call */
    int order;       /* its place among all outcomes of the pair, from 1 */
    int pieces;      /* of outcome_piece: calls with data, which calls does not count */
    size_t length;   /* bytes of all calls */
    char data[1024]; /* the first of them, as a string */
    bool in_pattern; /* set before: the bytes are to be those of streampair_pattern, */
    uint64_t place;  /* which continue here */
};

/* The callbacks. arg: the outcome. Each fails the test when it is called from anywhere but the loop. outcome_end is for
 * writing, connecting and closing; outcome_piece for the streaming reads. */
iostream_read_fn outcome_read, outcome_piece;
iostream_write_fn outcome_end;
iostream_drain_fn outcome_drain;
iostream_release_fn outcome_release;

/* For operations that begin. */
#define accepted(call) assert_int_equal(call, 0)

#define assert_outcome(outcome, wanted_error, wanted_text)                                                             \
    do {                                                                                                               \
        assert_int_equal((outcome).calls, 1);                                                                          \
        assert_int_equal((outcome).error, wanted_error);                                                               \
        assert_string_equal((outcome).data, wanted_text);                                                              \
        assert_int_equal((outcome).length, sizeof(wanted_text "") - 1);                                                \
    } while (0)

#define assert_ended(outcome, wanted_error)                                                                            \
    do {                                                                                                               \
        assert_int_equal((outcome).calls, 1);                                                                          \
        assert_int_equal((outcome).error, wanted_error);                                                               \
    } while (0)

/* PIPE_IN: the stream reads, PIPE_OUT: it writes. TERMINAL: it has the master's side, the peer a raw terminal. */
enum streampair_kind { STREAMPAIR_UNIX, STREAMPAIR_TCP, STREAMPAIR_PIPE_IN, STREAMPAIR_PIPE_OUT, STREAMPAIR_TERMINAL };

struct streampair {
    struct ioloop *loop;
    struct iostream *stream; /* NULL when it is gone without having told of it */
    int peer;                /* -1: closed, or the other stream's */
    struct iostream *other;
    struct outcome closed, other_closed; /* the close callbacks */
    double now;                          /* the loop's clock, which stands still */
    long allocated;
};

void streampair_open(struct streampair *pair, enum streampair_kind kind, const struct iostream_options *options);

/* The same without a close callback. */
void streampair_open_unwatched(struct streampair *pair, enum streampair_kind kind,
                               const struct iostream_options *options);

/* Makes the peer a stream too. */
void streampair_open_other(struct streampair *pair, const struct iostream_options *options);

/* Ends the loop with its streams in it. */
void streampair_close_loop(struct streampair *pair);

/* Ends the streams that are left and the loop; fails the test when the library has not freed all of its memory. */
void streampair_close(struct streampair *pair);

/* Running the loop. run fails the test when the outcome does not come. */
void streampair_run(struct streampair *pair, const struct outcome *outcome);
void streampair_spin(struct streampair *pair, int iterations);

/* The peer sends, all at once. */
void streampair_put(struct streampair *pair, const char *text);
void streampair_put_bytes(struct streampair *pair, const void *bytes, size_t length);

/* The stream reads so many bytes, and they are these. */
void streampair_read(struct streampair *pair, const char *text);

/* The peer takes what is there now, at most so much. Answers how much; -1: end of file, or an error. */
long streampair_take(struct streampair *pair, void *bytes, size_t size);

/* Runs the loop until the peer has got exactly this. */
void streampair_expect(struct streampair *pair, const char *text);
void streampair_expect_pattern(struct streampair *pair, uint64_t place, uint64_t length);

/* Runs the loop until the peer has seen the end of file (or a reset), with nothing before it. */
void streampair_expect_end(struct streampair *pair);

void streampair_hang_up(struct streampair *pair);

/* A TCP peer goes with a reset. */
void streampair_reset(struct streampair *pair);

/* narrow gives the socket small buffers; fill writes until writes wait, and answers how many bytes of the pattern it
 * took. */
void streampair_narrow(struct streampair *pair);
uint64_t streampair_fill(struct streampair *pair);

/* Bytes that tell where they belong: those of a stream of bytes from place on. */
void streampair_pattern(void *bytes, uint64_t place, size_t length);
bool streampair_is_pattern(const void *bytes, uint64_t place, size_t length);

/* A file without a name, with the pattern in it. */
int streampair_file(uint64_t length);

/* The main of a program of tests: the first list runs three times, with reads and writes of any size, of 1 and of 3
 * bytes a call from streampair_open to streampair_close; the second once. */
#define STREAMPAIR_MAIN(at_all_sizes, once)                                                                            \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return streampair_main(__FILE__, at_all_sizes, sizeof at_all_sizes / sizeof *at_all_sizes, once,               \
                               sizeof once / sizeof *once);                                                            \
    }

struct CMUnitTest;
int streampair_main(const char *group, const struct CMUnitTest *at_all_sizes, size_t all_count,
                    const struct CMUnitTest *once, size_t once_count);

#endif
