/* ioapi.h: the marks that public declarations carry; no functions.
 *
 *     IOAPI_BEGIN
 *     int thing_start(struct thing *thing) IOAPI_MUST_USE;
 *     IOAPI_END
 *
 * What stands between IOAPI_BEGIN and IOAPI_END is exported by the shared library and has C linkage when it is
 * included from C++. Everything else in the library is hidden. */
#ifndef IOLOOP_IOAPI_H
#define IOLOOP_IOAPI_H

#ifdef __cplusplus
#define IOAPI_BEGIN                                                                                                    \
    extern "C" {                                                                                                       \
    _Pragma("GCC visibility push(default)")
#define IOAPI_END                                                                                                      \
    _Pragma("GCC visibility pop")                                                                                      \
    }
#else
#define IOAPI_BEGIN _Pragma("GCC visibility push(default)")
#define IOAPI_END   _Pragma("GCC visibility pop")
#endif

/* The result tells of a failure that is told in no other way. */
#define IOAPI_MUST_USE __attribute__((warn_unused_result))

#define IOAPI_PRINTF(text, first) __attribute__((format(printf, text, first)))

#endif
