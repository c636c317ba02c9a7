/* Files below a folder as a request has them: which paths are served, what is opened, and what errors mean. */
#include "httpserver/webfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/folder.h"
#include "tests/support/testing.h"

enum { NONE = 0, BR = HTTPENCODING_BR + 1, GZIP = HTTPENCODING_GZIP + 1 };

/* Also at the end of a page, so that a byte behind it faults. */
static bool is_path(const char *path)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = strlen(path) + 1;
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(pages != MAP_FAILED && size <= page);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    bool is = webfile_is_path(memcpy(pages + page - size, path, size));
    munmap(pages, 2 * page);
    return is;
}

static void paths_with_dots_backslashes_or_empty_segments_are_not_served(void **state)
{
    static const struct {
        const char *path;
        bool is_served;
    } cases[] = {
        { "", true },
        { "a", true },
        { "a/", true },
        { "a/b", true },
        { "a/b/", true },
        { "a.b/c.d", true },
        { "a..b", true },
        { "a.", true },
        { "a../b", true },
        { "~", true },
        { " ", true },
        { "a:b", true },
        { "\xc0\xae\xc0\xae/x", true }, /* bytes like any other */
        { "%2e%2e/x", true },           /* decoded once, and no more */
        { "\xef\xbc\x8e\xef\xbc\x8e/x", true },
        { "/", false },
        { "//", false },
        { "/a", false },
        { "//a", false },
        { "a//", false },
        { "a//b", false },
        { "a///b", false },
        { ".", false },
        { "./", false },
        { "./a", false },
        { "..", false },
        { "../", false },
        { "../a", false },
        { "...", false },
        { "..;/a", false },
        { "a/.", false },
        { "a/./b", false },
        { "a/..", false },
        { "a/../", false },
        { "a/../b", false },
        { "a/..;/b", false },
        { ".well-known", true },
        { ".well-known/", true },
        { ".well-known/acme-challenge/x", true },
        { ".well-known/.hidden", false },
        { ".well-known/../a", false },
        { ".well-known//a", false },
        { ".well-known\\a", false },
        { ".well-knowns/a", false },
        { ".well-know/a", false },
        { ".Well-known/a", false },
        { "a/.well-known/b", false },
        { ".well-known/.well-known", false },
        { ".hidden", false },
        { "a/.hidden", false },
        { ".git/config", false },
        { "a/.git/config", false },
        { "\\", false },
        { "a\\", false },
        { "\\a", false },
        { "a\\b", false },
        { "..\\a", false },
        { "a/..\\b", false },
        { "a/b\\..\\c", false },
        { "a/\\", false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (is_path(cases[i].path) != cases[i].is_served)
            fail_msg("\"%s\"", cases[i].path);
    }
}

static int open_file(const struct folder *folder, const char *path, unsigned codings, struct webfile *file)
{
    char root[80];

    strcpy(root, folder->path);
    return webfile_open(file, root, path, false, codings);
}

static void check_content(struct webfile *file, const char *text)
{
    char bytes[256] = { 0 };

    assert_int_equal(file->size, strlen(text));
    assert_int_equal(webfile_read(file, bytes), 0);
    assert_string_equal(bytes, text);
    webfile_close(file);
    webfile_close(file); /* again is fine */
}

static void a_file_has_all_that_is_said_of_it(void **state)
{
    struct folder folder;
    struct webfile file, other;

    folder_open(&folder);
    folder_write(&folder, "a/page.html", "page");
    folder_set_time(&folder, "a/page.html", 784111777, 5);
    assert_int_equal(open_file(&folder, "a/page.html", NONE, &file), 0);
    assert_int_equal(file.coding, HTTPENCODING_IDENTITY);
    assert_int_equal(file.seconds, 784111777);
    assert_int_equal(file.nanoseconds, 5);
    assert_string_equal(file.last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_true(strncmp(file.type, "text/html", 9) == 0);
    assert_int_equal(strlen(file.etag), 18);
    check_content(&file, "page");

    assert_int_equal(open_file(&folder, "a/page.html", NONE, &other), 0);
    assert_true(webfile_is_same(&other, &file));
    assert_string_equal(other.etag, file.etag);
    webfile_close(&other);
    folder_close(&folder);
}

static void a_change_of_any_kind_makes_another_tag(void **state)
{
    struct folder folder;
    struct webfile first, second;

    folder_open(&folder);
    folder_write(&folder, "a", "1234");
    folder_set_time(&folder, "a", 1000, 0);
    assert_int_equal(open_file(&folder, "a", NONE, &first), 0);
    webfile_close(&first);
    for (int change = 0; change < 4; change++) {
        if (change == 3) { /* another file with the same size and time */
            folder_write(&folder, "b", "4321");
            assert_int_equal(rename(folder_place(&folder, "b"), folder_place(&folder, "a")), 0);
        }
        folder_write(&folder, "a", change == 0 ? "12345" : "1234");
        folder_set_time(&folder, "a", change == 1 ? 1001 : 1000, change == 2);
        assert_int_equal(open_file(&folder, "a", NONE, &second), 0);
        webfile_close(&second);
        assert_false(webfile_is_same(&second, &first));
        assert_string_not_equal(second.etag, first.etag);
    }
    folder_close(&folder);
}

static void only_regular_files_are_served(void **state)
{
    struct folder folder;
    struct webfile file;
    char longer[WEBFILE_LONGEST_PATH + 2];

    if (!folder_follows_links())
        skip();
    folder_open(&folder);
    folder_write(&folder, "file", "file");
    folder_make(&folder, "folder");
    folder_make_fifo(&folder, "fifo");
    folder_link(&folder, "out", "../..");
    folder_link(&folder, "device", "/dev/zero");
    assert_int_equal(open_file(&folder, "", NONE, &file), -EISDIR);
    assert_int_equal(open_file(&folder, "folder", NONE, &file), -EISDIR);
    assert_int_equal(open_file(&folder, "folder/", NONE, &file), -EISDIR);
    assert_int_equal(open_file(&folder, "fifo", NONE, &file), -ENOTSUP);
    assert_int_equal(open_file(&folder, "device", NONE, &file), -EXDEV);
    assert_int_equal(open_file(&folder, "out", NONE, &file), -EXDEV);
    assert_int_equal(open_file(&folder, "file/", NONE, &file), -ENOTDIR);
    assert_int_equal(open_file(&folder, "nothing", NONE, &file), -ENOENT);
    assert_int_equal(open_file(&folder, ".file", NONE, &file), -EPERM);
    assert_int_equal(open_file(&folder, "../file", NONE, &file), -EPERM);
    assert_int_equal(webfile_open(&file, "/dev", "null", false, NONE), -ENOTSUP);
    assert_int_equal(webfile_open(&file, "/dev/null", "null", false, NONE), -ENOTDIR);
    assert_int_equal(webfile_open(&file, folder_place(&folder, "none"), "file", false, NONE), -ENOENT);
    for (size_t i = 0; i + 1 < sizeof longer; i += 2)
        memcpy(longer + i, "a/", 2);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(open_file(&folder, longer, BR, &file), -ENAMETOOLONG);
    longer[sizeof longer - 2] = '\0';
    assert_int_equal(open_file(&folder, longer, BR, &file), -ENOENT);
    assert_int_equal(file.fd, -1);
    folder_close(&folder);
}

static void links_inside_are_followed_if_wanted(void **state)
{
    struct folder folder;
    struct webfile file;

    if (!folder_follows_links())
        skip();
    folder_open(&folder);
    folder_write(&folder, "file", "file");
    folder_write(&folder, "plain", "plain");
    folder_write(&folder, "real.br", "real.br");
    folder_link(&folder, "link", "file");
    folder_link(&folder, "plain.br", "real.br");
    assert_int_equal(open_file(&folder, "link", NONE, &file), 0);
    check_content(&file, "file");
    assert_int_equal(open_file(&folder, "plain", BR, &file), 0);
    check_content(&file, "real.br");
    assert_int_equal(webfile_open(&file, folder.path, "link", true, NONE), -ELOOP);
    assert_int_equal(webfile_open(&file, folder.path, "plain", true, BR), 0);
    check_content(&file, "plain");
    folder_close(&folder);
}

static void the_neighbour_with_the_best_coding_that_there_is_stands_in(void **state)
{
    static const struct {
        const char *path;
        unsigned codings;
        const char *text;
    } cases[] = {
        { "both.js", NONE, "both" },
        { "both.js", BR, "both br" },
        { "both.js", GZIP, "both gz" },
        { "both.js", BR | GZIP << 2, "both br" },
        { "both.js", GZIP | BR << 2, "both gz" },
        { "one.js", BR, "one" },
        { "one.js", BR | GZIP << 2, "one gz" },
        { "none.js", GZIP | BR << 2, "none" },
        { "folders.js", BR | GZIP << 2, "folders" },
        { "out.js", BR | GZIP << 2, "out" },
        { "old.js", BR, "old" }, /* the neighbour is of an older file */
        { "old.js", BR | GZIP << 2, "old gz" },
        { "both.js.gz", BR | GZIP << 2, "both gz" },
    };
    struct folder folder;

    folder_open(&folder);
    folder_write(&folder, "both.js", "both");
    folder_write(&folder, "both.js.br", "both br");
    folder_write(&folder, "both.js.gz", "both gz");
    folder_write(&folder, "one.js", "one");
    folder_write(&folder, "one.js.gz", "one gz");
    folder_write(&folder, "none.js", "none");
    folder_write(&folder, "folders.js", "folders");
    folder_make(&folder, "folders.js.br");
    folder_make_fifo(&folder, "folders.js.gz");
    folder_write(&folder, "out.js", "out");
    folder_link(&folder, "out.js.br", "/etc/passwd");
    folder_link(&folder, "out.js.gz", "nothing");
    folder_write(&folder, "old.js", "old");
    folder_write(&folder, "old.js.br", "old br");
    folder_write(&folder, "old.js.gz", "old gz");
    folder_set_time(&folder, "old.js", 1000, 999999999);
    folder_set_time(&folder, "old.js.br", 999, 999999999);
    folder_set_time(&folder, "old.js.gz", 1000, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct webfile file;

        assert_int_equal(open_file(&folder, cases[i].path, cases[i].codings, &file), 0);
        bool is_type = strstr(cases[i].path, ".gz") != NULL || strstr(file.type, "javascript") != NULL;
        assert_true(is_type);
        check_content(&file, cases[i].text);
    }
    struct webfile file;
    folder_write(&folder, "lonely.js.br", "lonely"); /* of no file */
    assert_int_equal(open_file(&folder, "lonely.js", BR, &file), -ENOENT);
    folder_close(&folder);
}

static void a_file_that_has_shrunk_cannot_be_read_one_that_grew_can(void **state)
{
    struct folder folder;
    struct webfile file;
    char bytes[64];

    folder_open(&folder);
    folder_write(&folder, "file", "0123456789");
    assert_int_equal(open_file(&folder, "file", NONE, &file), 0);
    folder_truncate(&folder, "file", 9);
    assert_int_equal(webfile_read(&file, bytes), -EIO);
    folder_write(&folder, "file", "0123456789abcdef");
    memset(bytes, '#', sizeof bytes);
    assert_int_equal(webfile_read(&file, bytes), 0);
    assert_memory_equal(bytes, "0123456789#", 11);
    faults_short_io(3);
    assert_int_equal(webfile_read(&file, bytes), 0);
    assert_memory_equal(bytes, "0123456789#", 11);
    faults_short_io(0);
    faults_system_call("pread", EINTR, 1);
    assert_int_equal(webfile_read(&file, bytes), 0);
    faults_system_call("pread", ENOMEM, 1);
    assert_int_equal(webfile_read(&file, bytes), -ENOMEM);
    faults_end();
    webfile_close(&file);
    folder_close(&folder);
}

/* Each of the calls, with a neighbour too: the file is served, or the error answered; nothing stays open. */
static void each_failure_of_opening_is_answered_or_means_no_neighbour(void **state)
{
    static const char *const calls[] = { "open", "openat2", "fstat" };
    struct folder folder;

    folder_open(&folder);
    folder_write(&folder, "file", "file");
    folder_write(&folder, "file.br", "file br");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1, hit = 1; hit; nth++) {
            struct webfile file;

            faults_system_call(calls[i], EMFILE, nth);
            int error = open_file(&folder, "file", BR, &file);
            hit = faults_hit();
            assert_true(error == 0 || (hit && nth == 1 && error == -EMFILE));
            if (error == 0)
                check_content(&file, hit ? "file" : "file br");
            assert_int_equal(file.fd, -1);
        }
    }
    struct webfile file;
    faults_system_call("open", EINTR, 1);
    assert_int_equal(open_file(&folder, "file", NONE, &file), 0);
    faults_end();
    webfile_close(&file);
    folder_close(&folder);
}

static void errors_are_statuses(void **state)
{
    static const struct {
        int error, status;
    } cases[] = {
        { ENOENT, 404 },  { ENOTDIR, 404 }, { ENAMETOOLONG, 404 }, { EPERM, 403 },  { EACCES, 403 }, { EISDIR, 403 },
        { ENOTSUP, 403 }, { ELOOP, 403 },   { EXDEV, 403 },        { ENXIO, 403 },  { EMFILE, 503 }, { ENFILE, 503 },
        { ENOMEM, 503 },  { EAGAIN, 503 },  { EIO, 500 },          { EFAULT, 500 }, { ESTALE, 500 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(webfile_status(-cases[i].error), cases[i].status);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(paths_with_dots_backslashes_or_empty_segments_are_not_served),
    cmocka_unit_test(a_file_has_all_that_is_said_of_it),
    cmocka_unit_test(a_change_of_any_kind_makes_another_tag),
    cmocka_unit_test(only_regular_files_are_served),
    cmocka_unit_test(links_inside_are_followed_if_wanted),
    cmocka_unit_test(the_neighbour_with_the_best_coding_that_there_is_stands_in),
    cmocka_unit_test(a_file_that_has_shrunk_cannot_be_read_one_that_grew_can),
    cmocka_unit_test(each_failure_of_opening_is_answered_or_means_no_neighbour),
    cmocka_unit_test(errors_are_statuses),
};

TESTING_MAIN(tests)
