#include "websocket/websocketmask.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/forkedchild.h"
#include "tests/support/testing.h"

#ifdef __linux__
/* Instead of libc's. */
static int random_error;
static int random_calls;
static size_t random_most;

ssize_t getrandom(void *bytes, size_t size, unsigned flags);

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    random_calls++;
    if (random_error != 0) {
        errno = random_error;
        if (random_error == EINTR)
            random_error = 0; /* once */
        return -1;
    }
    return syscall(SYS_getrandom, bytes, random_most > 0 && size > random_most ? random_most : size, flags);
}

static void without_random_bytes_there_is_no_key(void **state)
{
    static struct websocketmask pool;
    uint32_t key = 5;

    memset(&pool, 0, sizeof pool);
    random_error = ENOSYS;
    assert_int_equal(websocketmask_take(&pool, &key, sizeof key), -ENOSYS);
    assert_int_equal(websocketmask_take(&pool, &key, sizeof key), -ENOSYS);
    assert_int_equal(key, 5);
    random_error = 0;
    assert_int_equal(websocketmask_take(&pool, &key, sizeof key), 0);
    for (int i = 0; i < WEBSOCKETMASK_POOL / 4 - 1; i++)
        assert_int_equal(websocketmask_take(&pool, &key, sizeof key), 0);
    random_error = ENOSYS;
    assert_int_equal(websocketmask_take(&pool, &key, sizeof key), -ENOSYS); /* the pool is empty */
    random_error = 0;
}

static void random_bytes_may_come_by_and_by(void **state)
{
    static struct websocketmask pool;
    uint32_t key;

    memset(&pool, 0, sizeof pool);
    random_error = EINTR;
    random_most = 100;
    random_calls = 0;
    assert_int_equal(websocketmask_take(&pool, &key, sizeof key), 0);
    assert_int_equal(random_calls, 1 + (WEBSOCKETMASK_POOL + 99) / 100);
    random_most = 0;
    unsigned zeros = 0;
    for (size_t i = sizeof key; i < sizeof pool.bytes; i++)
        zeros += pool.bytes[i] == 0;
    assert_true(zeros < 50);
    random_calls = 0;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(websocketmask_take(&pool, &key, sizeof key), 0);
    assert_int_equal(random_calls, 0); /* one call for a thousand keys */
}
#endif

static bool is_wiped(const struct websocketmask *pool)
{
    for (size_t i = 0; i < sizeof pool->bytes - pool->left; i++) {
        if (pool->bytes[i] != 0)
            return false;
    }
    return true;
}

/* E5: a million keys, no pattern that repeats. */
static void keys_do_not_repeat(void **state)
{
    static struct websocketmask pool;
    static unsigned char seen[1 << 21]; /* of the low 24 bits, one each */
    unsigned ones = 0, again = 0;

    memset(&pool, 0, sizeof pool);
    for (int i = 0; i < 1000000; i++) {
        uint32_t key;

        assert_int_equal(websocketmask_take(&pool, &key, sizeof key), 0);
        ones += (unsigned)__builtin_popcount(key);
        uint32_t low = key & 0xffffff;
        again += seen[low / 8] >> low % 8 & 1;
        seen[low / 8] = (unsigned char)(seen[low / 8] | 1u << low % 8);
    }
    assert_in_range(ones, 15980000, 16020000);
    assert_in_range(again, 27000, 31000); /* of a million in 2^24, by chance: 29,200 */
}

static void what_was_taken_is_wiped(void **state)
{
    static struct websocketmask pool;
    unsigned char bytes[WEBSOCKETMASK_POOL];

    memset(&pool, 0, sizeof pool);
    for (size_t size = 1; size < 200; size++) {
        assert_int_equal(websocketmask_take(&pool, bytes, size), 0);
        assert_true(is_wiped(&pool));
    }
    assert_int_equal(websocketmask_take(&pool, bytes, sizeof bytes), 0);
    assert_true(is_wiped(&pool));
    assert_int_equal(pool.left, 0);
}

/* A child takes none of its parent's keys. */
static void a_child_has_other_keys(void **state)
{
    static struct websocketmask pool;
    uint32_t ours[8], theirs[8];
    int fds[2];

    memset(&pool, 0, sizeof pool);
    assert_int_equal(websocketmask_take(&pool, ours, sizeof ours), 0);
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork_child();
    if (child == 0) {
        CHECK(websocketmask_take(&pool, theirs, sizeof theirs) == 0);
        CHECK(write(fds[1], theirs, sizeof theirs) == sizeof theirs);
        _exit(0);
    }
    wait_for(child);
    assert_int_equal(read(fds[0], theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(websocketmask_take(&pool, ours, sizeof ours), 0);
    assert_memory_not_equal(ours, theirs, sizeof ours);
    close(fds[0]);
    close(fds[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(keys_do_not_repeat),
    cmocka_unit_test(what_was_taken_is_wiped),
    cmocka_unit_test(a_child_has_other_keys),
#ifdef __linux__
    cmocka_unit_test(without_random_bytes_there_is_no_key),
    cmocka_unit_test(random_bytes_may_come_by_and_by),
#endif
};

TESTING_MAIN(tests)
