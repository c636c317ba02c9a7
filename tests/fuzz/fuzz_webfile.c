/* Paths and Accept-Encoding of requests for files: what is served is below the root and has no dots; weights are within
 * their limits, and a list means the same in one field as in several. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "httpserver/webfile.h"
#include "ioloop/kernel.h"
#include "ioloop/pathwalk.h"
#include "tests/fuzz/fuzz.h"

static int root = -1;
static char folder[] = "/tmp/fuzz_webfile_XXXXXX";

static void remove_root(void)
{
    unlinkat(root, "a/b", 0);
    unlinkat(root, "a/c", 0);
    unlinkat(root, "f", 0);
    unlinkat(root, "o", 0);
    unlinkat(root, "a", AT_REMOVEDIR);
    rmdir(folder);
}

/* Names of one letter are soon found: a/b and f are files, a/c is a link to f, o one out of the root. */
static void make_root(void)
{
    if (root >= 0)
        return;
    if (mkdtemp(folder) == NULL || (root = open(folder, O_RDONLY | O_DIRECTORY)) < 0)
        abort();
    mkdirat(root, "a", 0700);
    close(openat(root, "a/b", O_WRONLY | O_CREAT, 0600));
    close(openat(root, "f", O_WRONLY | O_CREAT, 0600));
    if (symlinkat("../f", root, "a/c") < 0 || symlinkat("/etc/passwd", root, "o") < 0)
        abort();
    atexit(remove_root);
}

static void check_segments(const char *path)
{
    bool is_well_known = strcmp(path, ".well-known") == 0 || strncmp(path, ".well-known/", 12) == 0;

    assert(path[0] != '/' && strstr(path, "//") == NULL && strchr(path, '\\') == NULL);
    assert((path[0] != '.' || is_well_known) && strstr(path, "/.") == NULL);
}

/* By the kernel without links, and segment by segment: the same file, or the same error. */
static void check_opening(const char *path)
{
    int by_kernel = kernel_open_beneath(root, path, true), by_walk = pathwalk_open(root, path);
    struct stat a, b;

    if (by_kernel < 0 || by_walk < 0) {
        assert(by_kernel == by_walk || strlen(path) > 255);
    } else {
        assert(fstat(by_kernel, &a) == 0 && fstat(by_walk, &b) == 0);
        assert(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    }
    if (by_kernel >= 0)
        close(by_kernel);
    if (by_walk >= 0)
        close(by_walk);
}

static void check_path(const char *path)
{
    struct webfile file;
    bool is_served = webfile_is_path(path);
    int error = webfile_open(&file, folder, path, false, (HTTPENCODING_BR + 1) | (HTTPENCODING_GZIP + 1) << 2);

    assert((error == -EPERM) == !is_served);
    if (is_served) {
        check_segments(path);
        if (path[0] != '\0')
            check_opening(path);
    }
    if (error == 0) {
        assert(strcmp(path, "a/b") == 0 || strcmp(path, "a/c") == 0 || strcmp(path, "f") == 0);
        webfile_close(&file);
    }
}

static void check_order(const struct httpencoding *accepted)
{
    unsigned order = httpencoding_order(accepted);
    int last = 1001;

    for (int count = 0; order != 0; order >>= 2, count++) {
        int weight = httpencoding_weight(accepted, (enum httpencoding_coding)((order & 3) - 1));

        assert(count < 2 && weight > 0 && weight <= last);
        assert(weight >= httpencoding_weight(accepted, HTTPENCODING_IDENTITY));
        last = weight;
    }
}

/* Each comma may as well be the end of a field. */
static void check_codings(char *value)
{
    struct httpencoding whole = { 0 }, parts = { 0 };

    httpencoding_parse(value, &whole);
    for (int i = 0; i < HTTPENCODING_CODINGS; i++) {
        int weight = httpencoding_weight(&whole, (enum httpencoding_coding)i);
        assert(weight >= 0 && weight <= 1000);
    }
    check_order(&whole);
    while (value != NULL) {
        char *comma = strchr(value, ',');

        if (comma != NULL)
            *comma = '\0';
        httpencoding_parse(value, &parts);
        value = comma != NULL ? comma + 1 : NULL;
    }
    assert(memcmp(&whole, &parts, sizeof whole) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 8192)
        return 0;
    char *text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    make_root();
    if (data[0] % 2 == 0)
        check_path(text);
    else
        check_codings(text);
    free(text);
    return 0;
}
