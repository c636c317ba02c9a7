#include "ioloop/pathwalk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WALK_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW)

static bool leads_elsewhere(const char *segment)
{
    return segment[0] == '\0' || strcmp(segment, "..") == 0 || strcmp(segment, ".") == 0;
}

/* A link that is not to be followed is ELOOP, EMLINK, EFTYPE or, where a folder was wanted, ENOTDIR, as the system and
 * the flags have it. */
static int walk_error(int folder, const char *segment, int error)
{
    struct stat status;

    if (fstatat(folder, segment, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
        return -ELOOP;
    return -error;
}

static int open_segment(int folder, const char *segment, bool is_folder)
{
    int fd;

    do
        fd = openat(folder, segment, WALK_FLAGS | (is_folder ? O_DIRECTORY : 0));
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? walk_error(folder, segment, errno) : fd;
}

/* The next segment, which ends at a slash or at the end. Answers its length, or an error. */
static int take_segment(const char *path, char segment[NAME_MAX + 1])
{
    size_t length = strcspn(path, "/");

    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(segment, path, length);
    segment[length] = '\0';
    return leads_elsewhere(segment) ? -EXDEV : (int)length;
}

int pathwalk_open(int root, const char *path)
{
    char segment[NAME_MAX + 1];
    int folder = root;

    if (strcmp(path, ".") == 0)
        return open_segment(root, path, true);
    for (;;) {
        int length = take_segment(path, segment);
        int fd = length < 0 ? length : open_segment(folder, segment, path[length] == '/');
        if (folder != root)
            close(folder);
        if (fd < 0 || path[length] == '\0' || path[length + 1] == '\0')
            return fd;
        folder = fd;
        path += length + 1;
    }
}
