/* httpsigned.h: values that a client keeps and cannot change, tornado.web.create_signed_value and decode_signed_value;
 * format version 2 of Tornado, which reads them and whose values are read here.
 *
 *     static const struct httpsigned_key keys[] = { { 0, "tVLyv1Mxbs1Z5CjHGvOYnZVkLAbuzhJI" }, { 0, NULL } };
 *     ssize_t length = httpsigned_create(keys, 0, "user", "ben", 3, time(NULL), text, sizeof text);
 *     length = httpsigned_decode(keys, "user", text, 0, time(NULL), value, sizeof value);
 *
 * They are signed (HMAC with SHA-256), not encrypted: who has one can read it. A value holds for the name it was signed
 * for alone. Threads: any. Units: now is in seconds since 1970. */
#ifndef HTTPSERVER_HTTPSIGNED_H
#define HTTPSERVER_HTTPSIGNED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

#define HTTPSIGNED_MAX_AGE_DAYS 31 /* the default */

/* No signed value is longer than that, its NUL counted; name_length and length: of name and value. */
#define HTTPSIGNED_ROOM(name_length, length) (192 + (size_t)(name_length) + ((size_t)(length) + 2) / 3 * 4)

/* A table of these ends with a secret of NULL. To change the secret add one with another version and sign with that;
 * values of the old one hold until it is removed. Take 32 random characters: any secret but "" is accepted, and with
 * a guessed one anybody can sign. Versions are not negative. */
struct httpsigned_key {
    int version;
    const char *secret;
};

/* Signs a value of any bytes with the key of that version. Terminated by NUL, without '"', ';', ',' and blanks if the
 * name is. Answers the length. -EINVAL: no such key, or now is negative. -ENOBUFS: it does not fit into size bytes. */
ssize_t httpsigned_create(const struct httpsigned_key *keys, int key_version, const char *name, const void *value,
                          size_t length, int64_t now, char *place, size_t size) IOAPI_MUST_USE;

/* The value that was signed; its length, no NUL is added. It is shorter than text. max_age_days 0:
 * HTTPSIGNED_MAX_AGE_DAYS. -EBADMSG: not signed with any of the keys for this name, whatever is wrong with it.
 * -ETIMEDOUT: it was, longer ago than max_age_days. -ENOBUFS: it was, and does not fit into size bytes. */
ssize_t httpsigned_decode(const struct httpsigned_key *keys, const char *name, const char *text, double max_age_days,
                          int64_t now, void *place, size_t size) IOAPI_MUST_USE;

/* The version of the key that text claims to be signed with; nothing is verified. -EINVAL: it is no signed value. */
int httpsigned_key_version(const char *text) IOAPI_MUST_USE;

IOAPI_END
#endif
