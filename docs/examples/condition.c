/* condition: one function waits for news, another has it after a while; both are generators.
 *
 *     condition [--seconds=S]        60 */
#include <stdio.h>

#include <ioloop/iogen.h>
#include <ioloop/iolocks.h>
#include <ioloop/iooptions.h>

static struct iolocks_condition *condition;
static double seconds = 60;

static void waiter(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    puts("I'll wait right here");
    IOGEN_TRY(gen, iolocks_condition_wait(condition, -1));
    puts("Received notification now doing my things");
    IOGEN_END(gen);
}

static void notifier(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_TRY(gen, iofuture_sleep(iogen_loop(gen), seconds));
    puts("About to notify");
    iolocks_condition_notify(condition, 1);
    puts("Done notifying");
    IOGEN_END(gen);
}

static struct iofuture *run(void *loop)
{
    struct iofuture *both[2] = { iogen_start(loop, waiter, NULL, 0), iogen_start(loop, notifier, NULL, 0) };

    return iofuture_multi(loop, both, 2);
}

int main(int argc, char **argv)
{
    static const struct iooption options[] = {
        { .name = "seconds", .duration = &seconds, .maximum = 86400, .help = "of sleep before the notification" }, { 0 }
    };
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest < argc)
        return fprintf(stderr, "condition: what is %s?\n", argv[rest]), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct ioloop *loop = ioloop_current();
    condition = loop != NULL ? iolocks_condition_new(loop) : NULL;
    if (condition == NULL)
        return perror("condition"), 1;
    int error = iofuture_run_sync(loop, run, loop, -1, NULL);
    if (error < 0)
        fprintf(stderr, "condition: %s\n", ioloop_strerror(error));
    ioloop_close(loop, false);
    return error < 0;
}
