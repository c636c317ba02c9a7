#include "ioloop/iolog.h"

#include <stdarg.h>
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

void iolog_set_function(iolog_fn *function, void *arg)
{
    log_function = function != NULL ? function : to_stderr;
    log_arg = arg;
}

void iolog_set_level(enum iolog_level level)
{
    log_level = level;
}

void iolog_write(enum iolog_channel channel, enum iolog_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    if (level < log_level)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_function(channel, level, text, log_arg);
}
