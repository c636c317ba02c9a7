#include "ioloop/iolog.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static void to_stderr(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
    static const char *const channels[] = { "access", "application", "general" };
    struct timespec now;
    struct tm local;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    fprintf(stderr, "[%c %04d-%02d-%02d %02d:%02d:%02d %s] %s\n", "DIWE"[level], local.tm_year + 1900, local.tm_mon + 1,
            local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, channels[channel], text);
}

static iolog_fn *log_function = to_stderr;
static void *log_arg;
static enum iolog_level log_level = IOLOG_WARNING;

/* How often each message was said in this second. Two that fall on one slot push each other out, and are then said more
 * often. */
struct message {
    const char *format;
    time_t second;
    unsigned said, left_out;
};

#define MESSAGES 64
static struct message messages[MESSAGES];
static unsigned log_rate = 10;
static pthread_mutex_t messages_mutex = PTHREAD_MUTEX_INITIALIZER;

void iolog_set_function(iolog_fn *function, void *arg)
{
    log_function = function != NULL ? function : to_stderr;
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
    log_rate = lines_per_second != 0 ? lines_per_second : 10;
}

/* May it be said once more? left_out: how many of it were not, since it last was. */
static bool count_message(const char *format, unsigned *left_out)
{
    struct message *message = &messages[((uintptr_t)format >> 3) % MESSAGES];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&messages_mutex);
    if (message->format != format)
        *message = (struct message){ .format = format, .second = now.tv_sec };
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
    char text[1024];
    unsigned left_out = 0;
    va_list arguments;

    if (level < log_level)
        return;
    if ((channel != IOLOG_ACCESS || log_level > IOLOG_INFO) && !count_message(format, &left_out))
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (left_out > 0 && length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, " (%u more of these were left out)", left_out);
    log_function(channel, level, text, log_arg);
}
