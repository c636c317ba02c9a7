#include "ioloop/iolog.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/iologfile.h"
#include "ioloop/iologline.h"
#include "ioloop/kernel.h"

#define TEXT_SIZE    1024
#define DEFAULT_RATE 10
#define MESSAGES     256
#define PLACES       4

/* How often each message was said in this second, in one of PLACES slots that its address leads to. It takes that of a
 * message of an earlier second; if there is none, both are counted as one. */
struct message {
    const char *format;
    time_t second;
    unsigned said, left_out;
};

static iolog_fn to_stderr_and_file;

/* What the program has set. */
static iolog_fn *log_function = to_stderr_and_file;
static void *log_arg;
static enum iolog_level log_level = IOLOG_WARNING;
static unsigned log_rate = DEFAULT_RATE;
static bool says_to_stderr = true;

static struct iologfile *log_file;
static pthread_mutex_t file_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct message messages[MESSAGES];
static pthread_mutex_t messages_mutex = PTHREAD_MUTEX_INITIALIZER;

/* To stderr, and to a file. */

/* https://no-color.org: set and not empty. A terminal that is dumb has none. */
static bool wants_colours(void)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return (no_color == NULL || no_color[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

/* In one piece, so that those of several processes do not mix, if it is not longer than a pipe takes at once; what is
 * left of it when the reader takes no more, or is gone, is dropped: nobody waits. */
static void write_stderr(const char *line, size_t length)
{
    while (length > 0) {
        struct pollfd stderr_fd = { .fd = STDERR_FILENO, .events = POLLOUT };
        struct iovec vector = { (char *)line, length < PIPE_BUF ? length : PIPE_BUF };
        ssize_t count = poll(&stderr_fd, 1, 0) > 0 ? kernel_write_pipe(STDERR_FILENO, &vector, 1) : 0;
        if (count <= 0)
            return;
        line += count;
        length -= (size_t)count;
    }
}

static void write_file(enum iolog_channel channel, enum iolog_level level, const struct tm *local, const char *text,
                       time_t now)
{
    char line[IOLOGLINE_SIZE(TEXT_SIZE)];

    pthread_mutex_lock(&file_mutex);
    if (log_file != NULL)
        iologfile_write(log_file, line, iologline_format(line, channel, level, local, text, false), now);
    pthread_mutex_unlock(&file_mutex);
}

/* localtime_r takes a lock of libc's, which a child that was forked meanwhile would find taken for ever. So not without
 * one that a fork waits for. */
static void find_local_time(time_t now, struct tm *local)
{
    pthread_mutex_lock(&file_mutex);
    localtime_r(&now, local);
    pthread_mutex_unlock(&file_mutex);
}

static void to_stderr_and_file(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
    char line[IOLOGLINE_SIZE(TEXT_SIZE)];
    time_t now = time(NULL);
    struct tm local;

    find_local_time(now, &local);
    if (says_to_stderr) {
        bool in_colours = wants_colours() && isatty(STDERR_FILENO);
        write_stderr(line, iologline_format(line, channel, level, &local, text, in_colours));
    }
    write_file(channel, level, &local, text, now);
}

/* Settings. */

void iolog_set_function(iolog_fn *function, void *arg)
{
    log_function = function != NULL ? function : to_stderr_and_file;
    log_arg = arg;
}

void iolog_set_level(enum iolog_level level)
{
    log_level = level;
}

bool iolog_says(enum iolog_level level)
{
    return level >= log_level;
}

void iolog_set_rate(unsigned lines_per_second)
{
    log_rate = lines_per_second != 0 ? lines_per_second : DEFAULT_RATE;
}

void iolog_set_stderr(bool on)
{
    says_to_stderr = on;
}

/* Forks, and the file. */

static void lock_for_fork(void)
{
    pthread_mutex_lock(&messages_mutex);
    pthread_mutex_lock(&file_mutex);
}

static void unlock_after_fork(void)
{
    pthread_mutex_unlock(&file_mutex);
    pthread_mutex_unlock(&messages_mutex);
}

static void register_log_for_forks(void)
{
    pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
}

/* A worker that is forked while another thread says something could never say anything. */
static void guard_log_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_log_for_forks);
}

static void replace_file(struct iologfile *file)
{
    pthread_mutex_lock(&file_mutex);
    struct iologfile *old = log_file;
    log_file = file;
    pthread_mutex_unlock(&file_mutex);
    iologfile_close(old);
}

int iolog_open_file(const char *path, const struct iolog_file_options *options)
{
    struct iologfile *file;
    int error = iologfile_open(&file, path, options);

    if (error < 0)
        return error;
    guard_log_forks();
    replace_file(file);
    return 0;
}

void iolog_close_file(void)
{
    replace_file(NULL);
}

/* Saying. */

static struct message *find_message(const char *format, time_t second)
{
    size_t place = (uintptr_t)format >> 3;
    struct message *oldest = &messages[place % MESSAGES];

    for (size_t i = 0; i < PLACES; i++) {
        struct message *message = &messages[(place + i) % MESSAGES];

        if (message->format == format)
            return message;
        if (message->second < oldest->second)
            oldest = message;
    }
    if (oldest->second < second)
        *oldest = (struct message){ .format = format, .second = second };
    return oldest;
}

/* May it be said once more? left_out: how many of it were not, since it last was. */
static bool count_message(const char *format, unsigned *left_out)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&messages_mutex);
    struct message *message = find_message(format, now.tv_sec);
    if (message->second != now.tv_sec) {
        message->second = now.tv_sec;
        message->said = 0;
    }
    bool may_say = message->said < log_rate;
    *left_out = message->left_out;
    message->said += may_say;
    message->left_out = may_say ? 0 : message->left_out + 1;
    pthread_mutex_unlock(&messages_mutex);
    return may_say;
}

void iolog_write(enum iolog_channel channel, enum iolog_level level, const char *format, ...)
{
    char text[TEXT_SIZE];
    unsigned left_out = 0;
    int error = errno; /* who reports an error may still need it */
    va_list arguments;

    if (level < log_level)
        return;
    guard_log_forks();
    if ((channel != IOLOG_ACCESS || log_level > IOLOG_INFO) && !count_message(format, &left_out))
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (left_out > 0 && length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, " (%u more of these were left out)", left_out);
    log_function(channel, level, text, log_arg);
    errno = error;
}
