/* Internal: folder.h, a folder of files for one test, gone with all that is in it when closed.
 *
 *     struct folder folder;
 *     folder_open(&folder);
 *     folder_write(&folder, "a/b.txt", "text");
 *     folder_close(&folder); */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct folder {
    char path[64];
};

void folder_open(struct folder *folder);
void folder_close(struct folder *folder);

/* path's place in the file system; valid until the next call but one, of the other functions here too. */
const char *folder_place(const struct folder *folder, const char *path);

/* With the folders that it needs. */
void folder_write(const struct folder *folder, const char *path, const char *text);
void folder_write_bytes(const struct folder *folder, const char *path, const void *bytes, size_t length);
void folder_make(const struct folder *folder, const char *path);
void folder_link(const struct folder *folder, const char *path, const char *to);

/* Whether the kernel follows links that stay inside of a folder (kernel_open_beneath). Older ones do not, nor do
 * emulators: tests about such links are skipped there. */
bool folder_follows_links(void);

void folder_make_fifo(const struct folder *folder, const char *path);
void folder_remove(const struct folder *folder, const char *path);

/* Bytes 0 1 2 ... 250 0 1 ... */
void folder_write_pattern(const struct folder *folder, const char *path, size_t size);
void folder_truncate(const struct folder *folder, const char *path, size_t size);

/* When it was modified, in seconds since 1970. */
void folder_set_time(const struct folder *folder, const char *path, int64_t seconds, long nanoseconds);

#endif
