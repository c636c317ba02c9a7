/* Opening below a folder, by the kernel's call and segment by segment: nothing else is ever opened. */
#include "ioloop/pathwalk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioloop/kernel.h"
#include "tests/support/faults.h"
#include "tests/support/folder.h"
#include "tests/support/testing.h"

static int open_root(const struct folder *folder, const char *path)
{
    int fd = open(folder_place(folder, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* "secret" is beside the root, with a name that begins like it too. */
static int open_scene(struct folder *folder)
{
    folder_open(folder);
    folder_write(folder, "secret", "secret");
    folder_write(folder, "root_secret/file", "secret");
    folder_write(folder, "root/file", "file");
    folder_write(folder, "root/a/b/c", "deep");
    folder_write(folder, "root/.hidden", "hidden");
    folder_make(folder, "root/empty");
    folder_make_fifo(folder, "root/fifo");
    folder_link(folder, "root/inside", "file");
    folder_link(folder, "root/folder", "a/b");
    folder_link(folder, "root/a/up", "../file");
    folder_link(folder, "root/outside", "../secret");
    folder_link(folder, "root/out_folder", "..");
    folder_link(folder, "root/absolute", "/etc/passwd");
    folder_link(folder, "root/a/absolute_folder", "/etc");
    folder_link(folder, "root/dangling", "nothing");
    folder_link(folder, "root/loop", "loop");
    folder_link(folder, "root/magic", "/proc/self/exe");
    return open_root(folder, "root");
}

static const char link_only[] = "";

/* What the file says, or which error it is; by the call, by the call without links, and by the walk. */
static const struct {
    const char *path, *text;
    int error;
    int without_links; /* if it is another one */
} cases[] = {
    { "file", "file", 0, 0 },
    { ".hidden", "hidden", 0, 0 },
    { "a/b/c", "deep", 0, 0 },
    { "inside", "file", 0, ELOOP },
    { "folder/c", "deep", 0, ELOOP },
    { "a/up", "file", 0, ELOOP },
    { "outside", NULL, EXDEV, ELOOP },
    { "out_folder/secret", NULL, EXDEV, ELOOP },
    { "out_folder/root/file", NULL, EXDEV, ELOOP },
    { "absolute", NULL, EXDEV, ELOOP },
    { "a/absolute_folder/passwd", NULL, EXDEV, ELOOP },
    { "magic", NULL, EXDEV, ELOOP },
    { "loop", NULL, ELOOP, 0 },
    { "dangling", NULL, ENOENT, ELOOP },
    { "../secret", NULL, EXDEV, 0 },
    { "../root_secret/file", NULL, EXDEV, 0 },
    { "..", NULL, EXDEV, 0 },
    { "a/../../secret", NULL, EXDEV, 0 },
    { "/etc/passwd", NULL, EXDEV, 0 },
    { "/", NULL, EXDEV, 0 },
    { "nothing", NULL, ENOENT, 0 },
    { "nothing/file", NULL, ENOENT, 0 },
    { "a/nothing/c", NULL, ENOENT, 0 },
    { "file/file", NULL, ENOTDIR, 0 },
    { "file/", NULL, ENOTDIR, 0 },
    { "a", link_only, 0, 0 },
    { "a/", link_only, 0, 0 },
    { ".", link_only, 0, 0 },
    { "fifo", link_only, 0, 0 },
};

static void check_opened(int fd, const char *path, const char *text, int error)
{
    char bytes[64] = { 0 };

    if (fd < 0 || text == NULL) {
        if (fd != -error || text != NULL)
            fail_msg("%s: %d, not %d", path, fd, -error);
        return;
    }
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_RDONLY));
    if (text != link_only) {
        assert_true(read(fd, bytes, sizeof bytes - 1) >= 0);
        assert_string_equal(bytes, text);
    }
    close(fd);
}

static void nothing_outside_is_opened(void **state)
{
    bool follows_links = folder_follows_links();
    struct folder folder;
    int root = open_scene(&folder);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int error = cases[i].without_links != 0 ? cases[i].without_links : cases[i].error;
        const char *text = error == 0 ? cases[i].text : NULL;

        if (follows_links)
            check_opened(kernel_open_beneath(root, cases[i].path, false), cases[i].path, cases[i].text, cases[i].error);
        else
            check_opened(kernel_open_beneath(root, cases[i].path, false), cases[i].path, text, error);
        check_opened(kernel_open_beneath(root, cases[i].path, true), cases[i].path, text, error);
        check_opened(pathwalk_open(root, cases[i].path), cases[i].path, text, error);
    }
    close(root);
    folder_close(&folder);
}

static void the_walk_takes_no_segments_that_are_empty_or_dots(void **state)
{
    static const char *const paths[] = { "", "a//b/c", "a/./b/c", "./file", "a/b/..", "a/b/../b/c", "//", "a//" };
    struct folder folder;
    int root = open_scene(&folder);

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(pathwalk_open(root, paths[i]), -EXDEV);
    close(root);
    folder_close(&folder);
}

static void names_and_paths_may_be_long_but_not_longer(void **state)
{
    char path[5000] = { 0 };
    struct folder folder;
    int root = open_scene(&folder);

    memset(path, 'n', 255);
    folder_write(&folder, "root/x", "long");
    assert_int_equal(pathwalk_open(root, path), -ENOENT);
    assert_int_equal(kernel_open_beneath(root, path, false), -ENOENT);
    assert_int_equal(renameat(root, "x", root, path), 0);
    check_opened(pathwalk_open(root, path), path, "long", 0);
    path[255] = 'n';
    assert_int_equal(pathwalk_open(root, path), -ENAMETOOLONG);
    assert_int_equal(kernel_open_beneath(root, path, false), -ENAMETOOLONG);
    for (size_t i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "a/", 2);
    assert_int_equal(kernel_open_beneath(root, path, false), folder_follows_links() ? -ENAMETOOLONG : -ENOENT);
    assert_int_equal(pathwalk_open(root, path), -ENOENT);
    close(root);
    folder_close(&folder);
}

static void a_socket_is_not_opened(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct folder folder;
    int root = open_scene(&folder);

    strcpy(address.sun_path, folder_place(&folder, "root/socket"));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(kernel_open_beneath(root, "socket", false), -ENXIO);
    assert_int_equal(pathwalk_open(root, "socket"), -ENXIO);
    close(listener);
    close(root);
    folder_close(&folder);
}

static void each_failure_of_opening_is_answered_and_leaves_nothing_open(void **state)
{
    struct folder folder;
    int root = open_scene(&folder);

    for (int nth = 1, hit = 1; hit; nth++) {
        faults_system_call("openat", EMFILE, nth);
        int fd = pathwalk_open(root, "a/b/c");
        hit = faults_hit();
        assert_true(hit ? fd == -EMFILE : nth == 4 && fd >= 0);
        if (fd >= 0)
            close(fd);
        faults_system_call("openat", EINTR, nth);
        check_opened(pathwalk_open(root, "a/b/c"), "a/b/c", "deep", 0);
        faults_end();
    }
    close(root);
    folder_close(&folder);
}

static void without_the_kernels_call_the_walk_does_it(void **state)
{
    static const int errors[] = { ENOSYS, EPERM };
    struct folder folder;
    int root = open_scene(&folder);

    for (int i = 0; i < 2; i++) {
        faults_system_call_sticky("openat2", errors[i], 1);
        faults_count_reset();
        check_opened(kernel_open_beneath(root, "a/b/c", false), "a/b/c", "deep", 0);
        assert_int_equal(faults_count("openat"), 3);
        assert_int_equal(kernel_open_beneath(root, "inside", false), -ELOOP);
        assert_int_equal(kernel_open_beneath(root, "outside", false), -ELOOP);
        assert_int_equal(kernel_open_beneath(root, "../secret", false), -EXDEV);
        faults_end();
    }
    close(root);
    folder_close(&folder);
}

static void the_kernels_call_is_repeated_but_not_for_ever(void **state)
{
    struct folder folder;
    int root = open_scene(&folder);

    faults_system_call("openat2", EINTR, 1);
    check_opened(kernel_open_beneath(root, "file", false), "file", "file", 0);
    assert_true(faults_hit());
    faults_system_call("openat2", EAGAIN, 1);
    check_opened(kernel_open_beneath(root, "file", false), "file", "file", 0);
    assert_true(faults_hit());
    faults_system_call_sticky("openat2", EAGAIN, 1);
    assert_int_equal(kernel_open_beneath(root, "file", false), -EAGAIN);
    faults_system_call("openat2", EMFILE, 1);
    assert_int_equal(kernel_open_beneath(root, "file", false), -EMFILE);
    faults_end();
    close(root);
    folder_close(&folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_outside_is_opened),
    cmocka_unit_test(the_walk_takes_no_segments_that_are_empty_or_dots),
    cmocka_unit_test(names_and_paths_may_be_long_but_not_longer),
    cmocka_unit_test(a_socket_is_not_opened),
    cmocka_unit_test(each_failure_of_opening_is_answered_and_leaves_nothing_open),
    cmocka_unit_test(without_the_kernels_call_the_walk_does_it),
    cmocka_unit_test(the_kernels_call_is_repeated_but_not_for_ever),
};

TESTING_MAIN(tests)
