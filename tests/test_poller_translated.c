/* The tests of test_poller_faults.c where the kernel's events are not laid out as ours, and are translated, 128 at a
 * time. */
#ifdef __linux__

#define EVENTS_TRANSLATED 128
#include "ioloop/poller_epoll.c"
#include "tests/test_poller_faults.c"

#else

int main(void)
{
    return 0;
}

#endif
