#include "httpserver/webfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "httpserver/httpmimetype.h"
#include "ioloop/kernel.h"

/* RFC 8615: certificates are asked for there, and security.txt. */
static bool is_well_known(const char *segment, size_t length)
{
    return length == 11 && memcmp(segment, ".well-known", 11) == 0;
}

bool webfile_is_path(const char *path)
{
    const char *first = path;

    if (*path == '\0')
        return true;
    for (;;) {
        size_t length = strcspn(path, "/\\");

        if (length == 0 || path[length] == '\\')
            return false;
        if (path[0] == '.' && !(path == first && is_well_known(path, length)))
            return false;
        if (path[length] == '\0' || path[length + 1] == '\0')
            return true;
        path += length + 1;
    }
}

/* Looks at what was opened: answers 0 for a regular file. */
static int examine(struct webfile *file)
{
    struct stat status;

    if (fstat(file->fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -ENOTSUP;
    file->inode = status.st_ino;
    file->size = (uint64_t)status.st_size;
    file->seconds = kernel_modified(&status).tv_sec;
    file->nanoseconds = kernel_modified(&status).tv_nsec;
    file->changed_seconds = kernel_changed(&status).tv_sec;
    file->changed_nanoseconds = kernel_changed(&status).tv_nsec;
    return 0;
}

static int open_at(struct webfile *file, int root, const char *path, bool no_links)
{
    int fd = kernel_open_beneath(root, *path != '\0' ? path : ".", no_links);

    if (fd < 0)
        return fd;
    file->fd = fd;
    file->coding = HTTPENCODING_IDENTITY;
    int error = examine(file);
    if (error < 0)
        webfile_close(file);
    return error;
}

/* Instead of the file, when there is one and it is of the same content as far as times tell. Only whole seconds count:
 * who copies files often loses the rest. */
static bool replace_with(struct webfile *file, int root, const char *path, bool no_links,
                         enum httpencoding_coding coding)
{
    char neighbour_path[WEBFILE_LONGEST_PATH + 8];
    struct webfile neighbour = { .fd = -1 };
    size_t length = strlen(path);

    memcpy(neighbour_path, path, length);
    memcpy(neighbour_path + length, httpencoding_suffix(coding), strlen(httpencoding_suffix(coding)) + 1);
    if (open_at(&neighbour, root, neighbour_path, no_links) < 0)
        return false;
    if (neighbour.seconds < file->seconds)
        return webfile_close(&neighbour), false;
    webfile_close(file);
    *file = neighbour;
    file->coding = coding;
    return true;
}

static int open_folder(const char *path)
{
    int fd;

    do
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* RFC 9110 8.8.2.1: of a time in the future, that of the answer. Its Date may be of a second ago. */
static int64_t said_seconds(const struct webfile *file)
{
    int64_t now = time(NULL);

    return file->seconds <= now ? file->seconds : now - 1;
}

static void describe(struct webfile *file, const char *path)
{
    file->type = httpmimetype_of(path, strlen(path));
    httpetag_of_file(file->inode, file->size, file->seconds, file->nanoseconds, file->etag);
    httpdate_format(said_seconds(file), file->last_modified);
}

int webfile_open(struct webfile *file, const char *root, const char *path, bool no_links, unsigned codings)
{
    file->fd = -1;
    if (!webfile_is_path(path))
        return -EPERM;
    if (strlen(path) > WEBFILE_LONGEST_PATH)
        return -ENAMETOOLONG;
    int folder = open_folder(root);
    if (folder < 0)
        return folder;
    int error = open_at(file, folder, path, no_links);
    for (; error == 0 && codings != 0; codings >>= 2) {
        if (replace_with(file, folder, path, no_links, (enum httpencoding_coding)((codings & 3) - 1)))
            break;
    }
    close(folder);
    if (error == 0)
        describe(file, path);
    return error;
}

void webfile_close(struct webfile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

int webfile_read(const struct webfile *file, char *place)
{
    uint64_t done = 0;

    while (done < file->size) {
        ssize_t count = pread(file->fd, place + done, (size_t)(file->size - done), (off_t)done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : -EIO;
        done += (uint64_t)count;
    }
    return 0;
}

bool webfile_is_same(const struct webfile *file, const struct webfile *before)
{
    return file->inode == before->inode && file->size == before->size && file->seconds == before->seconds &&
           file->nanoseconds == before->nanoseconds && file->coding == before->coding &&
           file->changed_seconds == before->changed_seconds && file->changed_nanoseconds == before->changed_nanoseconds;
}

int webfile_status(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return 404;
    case EPERM:
    case EACCES:
    case EISDIR:
    case ENOTSUP:
    case ELOOP:
    case EXDEV:
    case ENXIO: /* a socket, or a device without a driver */
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return 503;
    default:
        return 500;
    }
}
