/* Internal: sys/event.h, kqueue(2) on Linux, for tests of what is written for the BSDs. Names and values are FreeBSD's;
 * tests/kqueue/kqueue.c says what is missing. */
#ifndef TESTS_KQUEUE_SYS_EVENT_H
#define TESTS_KQUEUE_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    int64_t data;
    void *udata;
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_)                                     \
    (*(event) = (struct kevent){ .ident = (ident_), .filter = (filter_), .flags = (flags_),                 \
                                 .fflags = (fflags_), .data = (data_), .udata = (udata_) })

#define EVFILT_READ  (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_PROC  (-5)
#define EVFILT_TIMER (-7)
#define EVFILT_USER  (-11)

#define EV_ADD     0x0001
#define EV_DELETE  0x0002
#define EV_ENABLE  0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR   0x0020
#define EV_RECEIPT 0x0040
#define EV_ERROR   0x4000
#define EV_EOF     0x8000

/* EVFILT_READ, EVFILT_WRITE */
#define NOTE_LOWAT 0x0001u

/* EVFILT_PROC */
#define NOTE_EXIT 0x80000000u

/* EVFILT_TIMER; none of them: milliseconds */
#define NOTE_SECONDS  0x0001u
#define NOTE_MSECONDS 0x0002u
#define NOTE_USECONDS 0x0004u
#define NOTE_NSECONDS 0x0008u

/* EVFILT_USER */
#define NOTE_FFNOP      0x00000000u
#define NOTE_FFAND      0x40000000u
#define NOTE_FFOR       0x80000000u
#define NOTE_FFCOPY     0xc0000000u
#define NOTE_FFCTRLMASK 0xc0000000u
#define NOTE_FFLAGSMASK 0x00ffffffu
#define NOTE_TRIGGER    0x01000000u

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
           const struct timespec *timeout);

#endif
