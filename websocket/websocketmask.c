#include "websocket/websocketmask.h"

#include <pthread.h>
#include <string.h>

#include "ioloop/kernel.h"

static unsigned forks_of_pools;

static void count_fork_of_pools(void)
{
    forks_of_pools++;
}

static void watch_forks_of_pools(void)
{
    pthread_atfork(NULL, NULL, count_fork_of_pools);
}

static int fill_pool(struct websocketmask *pool)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks_of_pools);
    pool->left = 0;
    int error = kernel_random(pool->bytes, sizeof pool->bytes);
    if (error < 0)
        return error;
    pool->left = sizeof pool->bytes;
    pool->forks = forks_of_pools;
    return 0;
}

int websocketmask_take(struct websocketmask *pool, void *bytes, size_t size)
{
    if (pool->left < size || pool->forks != forks_of_pools) {
        int error = fill_pool(pool);
        if (error < 0)
            return error;
    }
    unsigned char *next = pool->bytes + sizeof pool->bytes - pool->left;
    memcpy(bytes, next, size);
    memset(next, 0, size);
    pool->left -= size;
    return 0;
}
