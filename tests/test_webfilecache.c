/* Small files kept in memory: for how long, how many, and that a change is seen. */
#include "httpserver/webfilecache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/support/faults.h"
#include "tests/support/folder.h"
#include "tests/support/testing.h"

#define LONG_AGO 1000000000

struct scene {
    struct folder folder;
    struct webfilecache *cache;
    double now;
    int64_t wall; /* the time of files */
    long allocated;
    int reads; /* of the last find_or_load */
};

static void open_scene(struct scene *scene)
{
    scene->allocated = faults_allocated();
    folder_open(&scene->folder);
    scene->cache = webfilecache_new();
    assert_non_null(scene->cache);
    scene->now = 5;
    scene->wall = time(NULL) + 100;
}

static void close_scene(struct scene *scene)
{
    webfilecache_free(scene->cache);
    folder_close(&scene->folder);
    assert_int_equal(faults_allocated(), scene->allocated);
}

static void write_old(struct scene *scene, const char *path, const char *text)
{
    folder_write(&scene->folder, path, text);
    folder_set_time(&scene->folder, path, LONG_AGO, 0);
}

static struct webfilecache_key key_of(const struct scene *scene, const char *path)
{
    return (struct webfilecache_key){ .root = scene->folder.path, .path = path };
}

/* As the handler does it. Counts how often it was read. */
static const char *find_or_load(struct scene *scene, struct webfilecache_key key, struct webfile *file)
{
    const char *content = webfilecache_find(scene->cache, &key, scene->now, file);

    scene->reads = 0;
    if (content != NULL)
        return content;
    faults_count_reset();
    assert_int_equal(webfile_open(file, key.root, key.path, key.no_links, key.codings), 0);
    content = webfilecache_load(scene->cache, &key, scene->now, scene->wall, file);
    scene->reads = faults_count("pread");
    webfile_close(file);
    return content;
}

static void check(struct scene *scene, const char *path, const char *text, int reads)
{
    struct webfile file;
    const char *content = find_or_load(scene, key_of(scene, path), &file);

    assert_non_null(content);
    assert_int_equal(file.size, strlen(text));
    assert_memory_equal(content, text, strlen(text));
    assert_int_equal(scene->reads, reads);
}

static bool is_kept(struct scene *scene, const char *path)
{
    struct webfilecache_key key = key_of(scene, path);
    struct webfile file;

    return webfilecache_find(scene->cache, &key, scene->now, &file) != NULL;
}

static void a_file_is_read_once_and_looked_at_once_a_second(void **state)
{
    struct scene scene;

    open_scene(&scene);
    write_old(&scene, "a", "content");
    assert_false(is_kept(&scene, "a"));
    check(&scene, "a", "content", 1);
    scene.now += 0.5;
    check(&scene, "a", "content", 0);
    scene.now += 0.49;
    assert_true(is_kept(&scene, "a"));
    scene.now += 0.01;
    assert_false(is_kept(&scene, "a"));
    check(&scene, "a", "content", 0); /* opened, and found to be the same */
    scene.now += 0.9;
    assert_true(is_kept(&scene, "a"));
    close_scene(&scene);
}

static void a_change_is_seen_within_a_second(void **state)
{
    struct scene scene;

    open_scene(&scene);
    write_old(&scene, "a", "before");
    check(&scene, "a", "before", 1);
    folder_write(&scene.folder, "a", "after it");
    folder_set_time(&scene.folder, "a", LONG_AGO + 1, 0);
    check(&scene, "a", "before", 0);
    scene.now += 1;
    check(&scene, "a", "after it", 1);
    close_scene(&scene);
}

static int64_t time_of_change(const struct scene *scene, const char *path)
{
    struct stat status;

    assert_int_equal(stat(folder_place(&scene->folder, path), &status), 0);
    return status.st_ctime;
}

/* It may change again with the same size and, as the clock of the file system is coarse, the same time. */
static void a_file_that_has_just_changed_is_read_again(void **state)
{
    struct scene scene;

    open_scene(&scene);
    write_old(&scene, "a", "content");
    scene.wall = time_of_change(&scene, "a") + 1;
    check(&scene, "a", "content", 1);
    scene.now += 1;
    check(&scene, "a", "content", 1);
    scene.wall++;
    scene.now += 1;
    check(&scene, "a", "content", 1);
    scene.now += 1;
    check(&scene, "a", "content", 0);
    close_scene(&scene);
}

/* As when a version is unpacked over the one before, and all files have the time that the archive says. */
static void a_change_without_a_new_time_of_modification_is_seen(void **state)
{
    struct scene scene;
    struct webfile before, after;
    struct webfilecache_key key;

    open_scene(&scene);
    key = key_of(&scene, "a");
    write_old(&scene, "a", "version 1");
    assert_memory_equal(find_or_load(&scene, key, &before), "version 1", 9);
    do {
        write_old(&scene, "a", "version 2");
        assert_int_equal(webfile_open(&after, key.root, key.path, false, 0), 0);
        webfile_close(&after);
    } while (after.changed_seconds == before.changed_seconds &&
             after.changed_nanoseconds == before.changed_nanoseconds); /* the kernel's clock ticks */
    assert_string_equal(after.etag, before.etag);
    scene.now += 1;
    check(&scene, "a", "version 2", 1);
    scene.now += 1;
    check(&scene, "a", "version 2", 0);
    close_scene(&scene);
}

/* What is said of its time is that of the answer, and true only when it is over. */
static void a_file_of_the_future_is_read_again(void **state)
{
    struct scene scene;

    open_scene(&scene);
    folder_write(&scene.folder, "a", "content");
    folder_set_time(&scene.folder, "a", scene.wall + 1, 0);
    check(&scene, "a", "content", 1);
    scene.now += 1;
    scene.wall += 1;
    check(&scene, "a", "content", 1);
    scene.now += 1;
    check(&scene, "a", "content", 0);
    close_scene(&scene);
}

static void empty_files_and_the_largest_are_kept(void **state)
{
    char *bytes = malloc(WEBFILECACHE_MAX_FILE + 1);
    struct scene scene;

    open_scene(&scene);
    assert_non_null(bytes);
    memset(bytes, 'x', WEBFILECACHE_MAX_FILE);
    bytes[WEBFILECACHE_MAX_FILE] = '\0';
    write_old(&scene, "empty", "");
    write_old(&scene, "large", bytes);
    check(&scene, "empty", "", 0);
    check(&scene, "large", bytes, 1);
    check(&scene, "large", bytes, 0);
    assert_true(is_kept(&scene, "empty"));
    free(bytes);
    close_scene(&scene);
}

static void each_part_of_the_key_counts(void **state)
{
    struct scene scene;
    struct webfile file;

    open_scene(&scene);
    write_old(&scene, "a", "a");
    write_old(&scene, "a.gz", "a gz");
    write_old(&scene, "b", "b");
    write_old(&scene, "folder/a", "folder");
    check(&scene, "a", "a", 1);
    assert_false(is_kept(&scene, "b"));
    assert_false(is_kept(&scene, ""));
    assert_false(is_kept(&scene, "aa"));
    struct webfilecache_key key = key_of(&scene, "a");
    key.codings = HTTPENCODING_GZIP + 1;
    assert_memory_equal(find_or_load(&scene, key, &file), "a gz", 4);
    assert_int_equal(scene.reads, 1);
    assert_int_equal(file.coding, HTTPENCODING_GZIP);
    key.no_links = true;
    assert_memory_equal(find_or_load(&scene, key, &file), "a gz", 4);
    assert_int_equal(scene.reads, 1);
    char root[128];
    snprintf(root, sizeof root, "%s/folder", scene.folder.path);
    key = (struct webfilecache_key){ .root = root, .path = "a" };
    assert_memory_equal(find_or_load(&scene, key, &file), "folder", 6);
    assert_int_equal(scene.reads, 1);
    check(&scene, "a", "a", 0);
    close_scene(&scene);
}

static void the_key_is_copied(void **state)
{
    char root[64], path[] = "a";
    struct webfile file;
    struct scene scene;

    open_scene(&scene);
    write_old(&scene, "a", "a");
    strcpy(root, scene.folder.path);
    find_or_load(&scene, (struct webfilecache_key){ .root = root, .path = path }, &file);
    memset(root, 'x', 5);
    memset(path, 'x', 1);
    assert_true(is_kept(&scene, "a"));
    close_scene(&scene);
}

/* Held or copied: it is served. */
static void check_which_file_goes(bool is_held)
{
    const struct httpheaders *headers;
    struct scene scene;
    char path[16];
    void *hold;
    size_t size;

    open_scene(&scene);
    for (int i = 0; i <= WEBFILECACHE_MAX_FILES; i++) {
        snprintf(path, sizeof path, "%d", i);
        write_old(&scene, path, path);
    }
    for (int i = 0; i < WEBFILECACHE_MAX_FILES; i++) {
        snprintf(path, sizeof path, "%d", i);
        check(&scene, path, path, 1);
        webfilecache_headers(scene.cache)->owner = &scene;
    }
    if (is_held) { /* which makes it the first again */
        const char *content = webfilecache_hold(scene.cache, &scene, "0", 1, scene.now, &size, &headers, &hold);
        assert_non_null(content);
        webfilecache_release((char *)content, hold);
    } else {
        check(&scene, "0", "0", 0);
    }
    snprintf(path, sizeof path, "%d", WEBFILECACHE_MAX_FILES);
    check(&scene, path, path, 1);
    for (int i = WEBFILECACHE_MAX_FILES; i >= 0; i--) {
        snprintf(path, sizeof path, "%d", i);
        assert_int_equal(is_kept(&scene, path), i != 1);
    }
    close_scene(&scene);
}

static void no_more_than_so_many_files_are_kept_and_the_one_served_longest_ago_goes(void **state)
{
    check_which_file_goes(false);
    check_which_file_goes(true);
}

static void no_more_than_so_many_bytes_are_kept(void **state)
{
    char *bytes = malloc(WEBFILECACHE_MAX_FILE + 1);
    struct scene scene;
    char path[16];
    int kept = 0;

    open_scene(&scene);
    assert_non_null(bytes);
    memset(bytes, 'x', WEBFILECACHE_MAX_FILE);
    bytes[WEBFILECACHE_MAX_FILE] = '\0';
    for (int i = 0; i < WEBFILECACHE_MAX_FILES; i++) {
        snprintf(path, sizeof path, "%d", i);
        write_old(&scene, path, bytes);
        check(&scene, path, bytes, 1);
        assert_true(webfilecache_size(scene.cache) <= WEBFILECACHE_MAX_SIZE);
    }
    assert_true(webfilecache_size(scene.cache) > WEBFILECACHE_MAX_SIZE - WEBFILECACHE_MAX_FILE - 1000);
    for (int i = 0; i < WEBFILECACHE_MAX_FILES; i++) {
        snprintf(path, sizeof path, "%d", i);
        kept += is_kept(&scene, path);
    }
    assert_int_equal(kept, WEBFILECACHE_MAX_FILES - 1); /* 64 of 64 KiB, and what is said of them, are over it */
    free(bytes);
    close_scene(&scene);
}

static void failures_leave_the_cache_as_it_is(void **state)
{
    struct scene scene;
    struct webfile file;

    open_scene(&scene);
    write_old(&scene, "a", "a");
    write_old(&scene, "b", "b");
    check(&scene, "b", "b", 1);
    faults_allocation(1, false);
    assert_null(find_or_load(&scene, key_of(&scene, "a"), &file));
    assert_int_equal(errno, ENOMEM);
    faults_end();
    faults_system_call("pread", EIO, 1);
    assert_null(find_or_load(&scene, key_of(&scene, "a"), &file));
    assert_int_equal(errno, EIO);
    faults_end();
    check(&scene, "b", "b", 0);
    check(&scene, "a", "a", 1);
    webfilecache_free(NULL);
    faults_allocation(1, false);
    assert_null(webfilecache_new());
    faults_end();
    close_scene(&scene);
}

/* Who put the headers there asks by the path alone. */
static void what_is_held_stays_although_it_is_dropped(void **state)
{
    const struct httpheaders *headers;
    struct scene scene;
    struct webfile file;
    size_t size;
    void *hold, *other;
    int owner, stranger;

    open_scene(&scene);
    write_old(&scene, "a", "content");
    check(&scene, "a", "content", 1);
    assert_null(webfilecache_hold(scene.cache, &owner, "a", 1, scene.now, &size, &headers, &hold));
    webfilecache_headers(scene.cache)->owner = &owner;
    assert_int_equal(httpheaders_set(&webfilecache_headers(scene.cache)->list, "A", "1"), 0);
    assert_null(webfilecache_hold(scene.cache, &stranger, "a", 1, scene.now, &size, &headers, &hold));
    assert_null(webfilecache_hold(scene.cache, &owner, "a/", 2, scene.now, &size, &headers, &hold));
    assert_null(webfilecache_hold(scene.cache, &owner, "a", 1, scene.now + 1, &size, &headers, &hold));
    write_old(&scene, "b", "b");
    check(&scene, "b", "b", 1);
    const char *content = webfilecache_hold(scene.cache, &owner, "a", 1, scene.now, &size, &headers, &hold);
    assert_non_null(content);
    assert_ptr_equal(webfilecache_hold(scene.cache, &owner, "a", 1, scene.now, &size, &headers, &other), content);
    folder_write(&scene.folder, "a", "another");
    folder_set_time(&scene.folder, "a", LONG_AGO + 1, 0);
    scene.now += 1;
    assert_memory_equal(find_or_load(&scene, key_of(&scene, "b"), &file), "b", 1);
    check(&scene, "a", "another", 1);
    assert_null(webfilecache_hold(scene.cache, &owner, "a", 1, scene.now, &size, &headers, &other));
    assert_int_equal(size, 7);
    assert_memory_equal(content, "content", size);
    assert_string_equal(httpheaders_get(headers, "A"), "1");
    webfilecache_release((char *)content, hold);
    assert_memory_equal(content, "content", size);
    webfilecache_release((char *)content, hold);
    check(&scene, "a", "another", 0);
    close_scene(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_file_is_read_once_and_looked_at_once_a_second),
    cmocka_unit_test(a_change_is_seen_within_a_second),
    cmocka_unit_test(a_file_that_has_just_changed_is_read_again),
    cmocka_unit_test(a_change_without_a_new_time_of_modification_is_seen),
    cmocka_unit_test(a_file_of_the_future_is_read_again),
    cmocka_unit_test(empty_files_and_the_largest_are_kept),
    cmocka_unit_test(each_part_of_the_key_counts),
    cmocka_unit_test(the_key_is_copied),
    cmocka_unit_test(no_more_than_so_many_files_are_kept_and_the_one_served_longest_ago_goes),
    cmocka_unit_test(no_more_than_so_many_bytes_are_kept),
    cmocka_unit_test(failures_leave_the_cache_as_it_is),
    cmocka_unit_test(what_is_held_stays_although_it_is_dropped),
};

TESTING_MAIN(tests)
