#include "tests/support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ioloop/kernel.h"
#include "tests/support/testing.h"

void folder_open(struct folder *folder)
{
    strcpy(folder->path, "/tmp/ioloop_folder_XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static int remove_one(const char *path, const struct stat *status, int what, struct FTW *walk)
{
    return remove(path);
}

void folder_close(struct folder *folder)
{
    assert_int_equal(nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *folder_place(const struct folder *folder, const char *path)
{
    static char places[2][8192];
    static int next;
    char *place = places[next ^= 1];

    assert_true(snprintf(place, sizeof places[0], "%s/%s", folder->path, path) < (int)sizeof places[0]);
    return place;
}

static void make_parents(const struct folder *folder, const char *path)
{
    char copy[512];

    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);
        assert_true(length < sizeof copy);
        memcpy(copy, path, length);
        copy[length] = '\0';
        assert_true(mkdir(folder_place(folder, copy), 0777) == 0 || errno == EEXIST);
    }
}

void folder_write_bytes(const struct folder *folder, const char *path, const void *bytes, size_t length)
{
    make_parents(folder, path);
    int fd = open(folder_place(folder, path), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    for (size_t done = 0; done < length;) {
        ssize_t count = write(fd, (const char *)bytes + done, length - done);
        assert_true(count > 0);
        done += (size_t)count;
    }
    close(fd);
}

void folder_write(const struct folder *folder, const char *path, const char *text)
{
    folder_write_bytes(folder, path, text, strlen(text));
}

void folder_write_pattern(const struct folder *folder, const char *path, size_t size)
{
    char *bytes = malloc(size + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i % 251);
    folder_write_bytes(folder, path, bytes, size);
    free(bytes);
}

void folder_truncate(const struct folder *folder, const char *path, size_t size)
{
    assert_int_equal(truncate(folder_place(folder, path), (off_t)size), 0);
}

void folder_make(const struct folder *folder, const char *path)
{
    make_parents(folder, path);
    assert_int_equal(mkdir(folder_place(folder, path), 0777), 0);
}

void folder_link(const struct folder *folder, const char *path, const char *to)
{
    make_parents(folder, path);
    assert_int_equal(symlink(to, folder_place(folder, path)), 0);
}

bool folder_follows_links(void)
{
    struct folder folder;

    folder_open(&folder);
    folder_link(&folder, "self", ".");
    int root = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = kernel_open_beneath(root, "self", false);
    close(root);
    if (fd >= 0)
        close(fd);
    folder_close(&folder);
    return fd != -ELOOP;
}

void folder_make_fifo(const struct folder *folder, const char *path)
{
    assert_int_equal(mkfifo(folder_place(folder, path), 0666), 0);
}

void folder_remove(const struct folder *folder, const char *path)
{
    assert_int_equal(remove(folder_place(folder, path)), 0);
}

void folder_set_time(const struct folder *folder, const char *path, int64_t seconds, long nanoseconds)
{
    struct timespec time = { .tv_sec = (time_t)seconds, .tv_nsec = nanoseconds };
    struct timespec times[2] = { time, time };

    assert_int_equal(utimensat(AT_FDCWD, folder_place(folder, path), times, 0), 0);
}
