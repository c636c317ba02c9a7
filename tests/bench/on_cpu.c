/* on_cpu N PROGRAM [ARGUMENT...]: runs a program on the N-th processor alone (on any, if there are not so many), with
 * as many descriptors as it may have. */
#include <unistd.h>

#include "measure.h"

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s N PROGRAM [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    measure_on_cpu(atoi(argv[1]));
    measure_raise_files();
    execvp(argv[2], argv + 2);
    measure_fail(argv[2]);
}
