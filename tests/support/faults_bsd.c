/* Where the linker cannot put anything in the place of a system call: none fails, none is counted, and a test that
 * orders a failure sees that it did not come (faults_hit). Allocations fail everywhere. */
#include "tests/support/faultcalls.h"

size_t faultcalls_block_size(void *memory)
{
    return 0;
}
