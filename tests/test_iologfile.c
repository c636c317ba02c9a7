/* Files of the log: when one ends, where old ones go, and what happens when that is not possible. The time is given. */
#include "ioloop/iologfile.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/folder.h"
#include "tests/support/testing.h"

static struct folder folder;
static struct iologfile *file;
static long allocated;

static void open_log(const struct iolog_file_options *options)
{
    allocated = faults_allocated();
    folder_open(&folder);
    assert_int_equal(iologfile_open(&file, folder_place(&folder, "log"), options), 0);
}

static void close_log(void)
{
    iologfile_close(file);
    assert_int_equal(faults_allocated(), allocated);
    folder_close(&folder);
}

static void reopen_log(const struct iolog_file_options *options)
{
    iologfile_close(file);
    assert_int_equal(iologfile_open(&file, folder_place(&folder, "log"), options), 0);
}

static void put(const char *line, time_t now)
{
    iologfile_write(file, line, strlen(line), now);
}

static const char *contents(const char *name)
{
    static char text[256 * 1024]; /* all that any test here writes */
    FILE *stream = fopen(folder_place(&folder, name), "r");

    if (stream == NULL)
        return "none";
    size_t length = fread(text, 1, sizeof text - 1, stream);
    text[length] = '\0';
    fclose(stream);
    return text;
}

#define assert_file(name, text) assert_string_equal(contents(name), text)

static void lines_are_added_to_what_is_there(void **state)
{
    open_log(NULL);
    put("one\n", 100);
    put("two\n", 100);
    assert_file("log", "one\ntwo\n");
    reopen_log(NULL);
    put("three\n", 101);
    assert_file("log", "one\ntwo\nthree\n");
    assert_file("log.1", "none");
    close_log();
}

static void a_file_that_would_be_too_large_becomes_an_old_one(void **state)
{
    open_log(&(struct iolog_file_options){ .max_size = 10, .backups = 3 });
    put("12345\n", 100);
    put("abc\n", 100); /* ten bytes */
    assert_file("log.1", "none");
    put("x\n", 100);
    assert_file("log", "x\n");
    assert_file("log.1", "12345\nabc\n");
    put("more than ten bytes\n", 100);
    assert_file("log", "more than ten bytes\n");
    assert_file("log.1", "x\n");
    assert_file("log.2", "12345\nabc\n");
    put("a\n", 100);
    put("1234567890\n", 100);
    assert_file("log", "1234567890\n");
    assert_file("log.1", "a\n");
    assert_file("log.2", "more than ten bytes\n");
    assert_file("log.3", "x\n");
    assert_file("log.4", "none");
    close_log();
}

static void a_line_larger_than_a_file_may_be_does_not_end_an_empty_one(void **state)
{
    open_log(&(struct iolog_file_options){ .max_size = 1 });
    put("line\n", 100);
    assert_file("log", "line\n");
    assert_file("log.1", "none");
    close_log();
}

static void the_default_is_a_hundred_million_bytes_and_ten_files(void **state)
{
    open_log(&(struct iolog_file_options){ 0 });
    for (int i = 0; i < 12; i++) {
        folder_truncate(&folder, "log", 100000000 - 5);
        put("1234\n", 100);
        struct stat status;
        assert_int_equal(stat(folder_place(&folder, "log"), &status), 0);
        assert_int_equal(status.st_size, 100000000);
        put("x\n", 100);
        assert_file("log", "x\n");
    }
    assert_int_equal(access(folder_place(&folder, "log.10"), F_OK), 0);
    assert_int_equal(access(folder_place(&folder, "log.11"), F_OK), -1);
    close_log();
}

/* The zone is one of 5:30 h east, without the data of zones. */
static void use_zone(const char *zone)
{
    if (zone != NULL)
        setenv("TZ", zone, 1);
    else
        unsetenv("TZ");
    tzset();
}

static time_t at(int year, int month, int day, int hour, int minute, int second)
{
    struct tm local = { .tm_year = year - 1900,
                        .tm_mon = month - 1,
                        .tm_mday = day,
                        .tm_hour = hour,
                        .tm_min = minute,
                        .tm_sec = second,
                        .tm_isdst = -1 };

    return mktime(&local);
}

/* The first and the second time are of one file or not. */
static void assert_ended(enum iolog_when when, unsigned interval, time_t first, time_t second, bool is_ended)
{
    open_log(&(struct iolog_file_options){ .when = when, .interval = interval, .max_size = 1 });
    put("first\n", first);
    put("second\n", second);
    if ((strcmp(contents("log.1"), "none") != 0) != is_ended)
        fail_msg("%d, %u: from %lld to %lld", (int)when, interval, (long long)first, (long long)second);
    close_log();
}

static void a_file_ends_with_its_span_of_time(void **state)
{
    use_zone("XXX-5:30");
    time_t monday = at(2026, 11, 23, 0, 0, 0), day = 86400, utc = monday - monday % day;

    for (int interval = 0; interval < 2; interval++) {
        unsigned every = (unsigned)interval;
        assert_ended(IOLOG_EVERY_SECOND, every, 1000, 1000, false);
        assert_ended(IOLOG_EVERY_SECOND, every, 1000, 1001, true);
        assert_ended(IOLOG_EVERY_MINUTE, every, 600, 659, false);
        assert_ended(IOLOG_EVERY_MINUTE, every, 659, 660, true);
        assert_ended(IOLOG_EVERY_HOUR, every, 7200, 10799, false);
        assert_ended(IOLOG_EVERY_HOUR, every, 10799, 10800, true);
        assert_ended(IOLOG_EVERY_DAY, every, utc, utc + day - 1, false);
        assert_ended(IOLOG_EVERY_DAY, every, utc + day - 1, utc + day, true);
        assert_ended(IOLOG_AT_MIDNIGHT, every, monday, monday + day - 1, false);
        assert_ended(IOLOG_AT_MIDNIGHT, every, monday + day - 1, monday + day, true);
        assert_ended(IOLOG_AT_MIDNIGHT, every, monday - 1, monday, true);
        for (int weekday = 0; weekday < 7; weekday++) {
            enum iolog_when when = (enum iolog_when)(IOLOG_ON_MONDAY + weekday);
            time_t begin = monday + weekday * day;
            assert_ended(when, every, begin - 1, begin, true);
            assert_ended(when, every, begin, begin + 7 * day - 1, false);
            assert_ended(when, every, begin + 7 * day - 1, begin + 7 * day, true);
        }
    }
    use_zone(NULL);
}

static void a_file_may_end_after_several_spans_of_time(void **state)
{
    use_zone("XXX-5:30");
    time_t monday = at(2026, 11, 23, 0, 0, 0), day = 86400;
    int changes = 0, weeks = 0;

    assert_ended(IOLOG_EVERY_MINUTE, 10, 600, 1199, false);
    assert_ended(IOLOG_EVERY_MINUTE, 10, 1199, 1200, true);
    assert_ended(IOLOG_EVERY_HOUR, 6, 6 * 3600 - 1, 6 * 3600, true);
    assert_ended(IOLOG_EVERY_SECOND, 5, 10, 14, false);
    open_log(&(struct iolog_file_options){ .when = IOLOG_AT_MIDNIGHT, .interval = 3 });
    for (int i = 0; i <= 30; i++) {
        put("line\n", monday + i * day);
        changes += strcmp(contents("log"), "line\n") == 0;
    }
    assert_in_range(changes, 10, 12);
    close_log();
    open_log(&(struct iolog_file_options){ .when = IOLOG_ON_SUNDAY, .interval = 2 });
    for (int i = 0; i <= 10 * 7; i++) {
        put("line\n", monday + i * day);
        weeks += strcmp(contents("log"), "line\n") == 0;
    }
    assert_in_range(weeks, 5, 7);
    close_log();
    use_zone(NULL);
}

/* Over the end of a year, of a leap year, and of a century: days follow each other. */
static void midnight_comes_once_a_day(void **state)
{
    use_zone("XXX-5:30");
    static const int years[] = { 1999, 2000, 2023, 2024, 2099, 2100 };

    for (size_t i = 0; i < sizeof years / sizeof *years; i++) {
        time_t begin = at(years[i], 12, 25, 12, 0, 0);
        open_log(&(struct iolog_file_options){ .when = IOLOG_AT_MIDNIGHT, .interval = 7, .backups = 20 });
        int changes = 0;
        for (int day = 0; day < 70; day++) {
            put("line\n", begin + day * 86400);
            changes += strcmp(contents("log"), "line\n") == 0;
        }
        assert_in_range(changes, 10, 11);
        close_log();
    }
    use_zone(NULL);
}

/* log_test:test_log_file_with_timed_rotating is in test_iooptionslog.c. */
static void a_file_of_a_former_run_counts_from_its_last_line(void **state)
{
    time_t now = time(NULL);

    open_log(NULL);
    put("former\n", now);
    folder_set_time(&folder, "log", now - 90000, 0);
    reopen_log(&(struct iolog_file_options){ .when = IOLOG_EVERY_DAY });
    assert_file("log", "former\n"); /* with the first line, not when it is opened */
    put("new\n", now);
    assert_file("log", "new\n");
    assert_file("log.1", "former\n");
    folder_set_time(&folder, "log", 10 * 86400, 0);
    reopen_log(&(struct iolog_file_options){ .when = IOLOG_EVERY_DAY });
    put("same day\n", 11 * 86400 - 1);
    assert_file("log", "new\nsame day\n");
    close_log();
}

static void a_file_that_is_moved_away_is_made_anew_within_a_second(void **state)
{
    open_log(NULL);
    put("one\n", 100);
    assert_int_equal(rename(folder_place(&folder, "log"), folder_place(&folder, "moved")), 0);
    put("two\n", 100);
    put("three\n", 101);
    assert_file("moved", "one\ntwo\n");
    assert_file("log", "three\n");
    folder_remove(&folder, "log");
    put("four\n", 102);
    assert_file("log", "four\n");
    close_log();
}

/* Its first line may be written when the kernel's clock is still before midnight. */
static void a_file_that_another_process_has_begun_is_not_ended_again(void **state)
{
    open_log(&(struct iolog_file_options){ .when = IOLOG_EVERY_DAY });
    put("one\n", 86399);
    assert_int_equal(rename(folder_place(&folder, "log"), folder_place(&folder, "log.1")), 0);
    folder_write(&folder, "log", "other\n");
    put("two\n", 86400);
    assert_file("log", "other\ntwo\n");
    assert_file("log.1", "one\n");
    close_log();
}

/* Which is so when path is a device, as /dev/stdout. */
static void what_is_no_file_is_never_ended(void **state)
{
    allocated = faults_allocated();
    folder_open(&folder);
    folder_make_fifo(&folder, "log");
    int reader = open(folder_place(&folder, "log"), O_RDONLY | O_NONBLOCK);
    char text[32];
    assert_int_equal(iologfile_open(&file, folder_place(&folder, "log"), &(struct iolog_file_options){ .max_size = 1 }),
                     0);
    put("one\n", 100);
    put("two\n", 100);
    assert_int_equal(read(reader, text, sizeof text), 8);
    assert_int_equal(access(folder_place(&folder, "log.1"), F_OK), -1);
    close(reader);
    put("three\n", 101); /* no SIGPIPE */
    iologfile_close(file);
    assert_int_equal(iologfile_open(&file, folder_place(&folder, "log"), NULL), -ENXIO); /* and is not waited for */
    folder_close(&folder);
    assert_int_equal(faults_allocated(), allocated);
}

static void lines_that_could_not_be_written_are_counted(void **state)
{
    open_log(NULL);
    put("one\n", 100);
    faults_system_call_sticky("write", ENOSPC, 1);
    put("two\n", 100);
    put("three\n", 100);
    faults_end();
    put("four\n", 100);
    put("five\n", 100);
    assert_file("log", "one\n(2 lines could not be written)\nfour\nfive\n");
    close_log();
}

/* On a disk with room for so many bytes. */
static void put_with_room_for(const char *line, rlim_t bytes)
{
    struct rlimit before, limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put(line, 100);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void behind_a_part_of_a_line_the_next_begins_anew(void **state)
{
    open_log(NULL);
    put("one\n", 100);
    put_with_room_for("two\n", 6);
    put_with_room_for("three\n", 6);
    assert_file("log", "one\ntw");
    put("four\n", 100);
    put("five\n", 100);
    assert_file("log", "one\ntw\n(2 lines could not be written)\nfour\nfive\n");
    close_log();
}

/* Room for the newline alone, then for a part of what tells of the lines, then for just that. */
static void a_line_is_ended_once(void **state)
{
    open_log(NULL);
    put_with_room_for("one\n", 3);
    put_with_room_for("two\n", 4);
    assert_file("log", "one\n");
    put_with_room_for("three\n", 9);
    assert_file("log", "one\n(2 li");
    put_with_room_for("four\n", 10 + 31);
    assert_file("log", "one\n(2 li\n(3 lines could not be written)\n");
    put("five\n", 100);
    assert_file("log", "one\n(2 li\n(3 lines could not be written)\n(1 lines could not be written)\nfive\n");
    close_log();
}

/* Which would else come behind one that was written later. */
static void nothing_goes_before_what_tells_of_them(void **state)
{
    open_log(NULL);
    for (int i = 0; i < 2; i++) {
        faults_system_call("write", ENOSPC, 1);
        put("lost\n", 100);
        assert_true(faults_hit());
    }
    put("three\n", 100);
    assert_file("log", "(2 lines could not be written)\nthree\n");
    close_log();
}

static void what_is_not_the_end_of_a_line_but_one_of_its_own_is_enough(void **state)
{
    open_log(NULL);
    put_with_room_for("first\n    second\n", 6);
    put("next\n", 100);
    assert_file("log", "first\n(1 lines could not be written)\nnext\n");
    close_log();
}

static void a_new_file_begins_with_a_line(void **state)
{
    open_log(NULL);
    put_with_room_for("one\n", 2);
    assert_int_equal(rename(folder_place(&folder, "log"), folder_place(&folder, "away")), 0);
    put("two\n", 101);
    assert_file("away", "on");
    assert_file("log", "(1 lines could not be written)\ntwo\n");
    close_log();
}

static void short_and_interrupted_writes_are_continued(void **state)
{
    open_log(NULL);
    faults_short_io(1);
    put("one\n", 100);
    faults_end();
    faults_system_call("write", EINTR, 1);
    put("two\n", 100);
    assert_file("log", "one\ntwo\n");
    faults_end();
    close_log();
}

/* It stays, and is tried again ten seconds later. */
static void a_file_that_cannot_be_moved_goes_on(void **state)
{
    open_log(&(struct iolog_file_options){ .max_size = 4, .backups = 1 });
    folder_make(&folder, "log.1");
    put("one\n", 100);
    put("two\n", 100);
    put("three\n", 109);
    assert_file("log", "one\ntwo\nthree\n");
    folder_remove(&folder, "log.1");
    put("four\n", 109);
    assert_file("log", "one\ntwo\nthree\nfour\n");
    put("five\n", 110);
    assert_file("log", "five\n");
    assert_file("log.1", "one\ntwo\nthree\nfour\n");
    close_log();
}

static void without_a_new_file_lines_go_to_the_old_one(void **state)
{
    for (int nth = 1; nth <= 2; nth++) {
        open_log(&(struct iolog_file_options){ .max_size = 4 });
        put("one\n", 100);
        faults_system_call("open", EMFILE, nth);
        put("two\n", 100);
        assert_true(faults_hit());
        put("three\n", 100);
        assert_file(nth == 1 ? "log" : "log.1", "one\ntwo\nthree\n");
        put("four\n", 111);
        assert_file("log", "four\n");
        assert_file("log.1", "one\ntwo\nthree\n");
        close_log();
    }
}

/* Whoever may read a log can lock it: nothing waits for that. */
static void a_lock_of_somebody_else_is_not_waited_for(void **state)
{
    open_log(&(struct iolog_file_options){ .max_size = 4 });
    put("one\n", 100);
    int other = open(folder_place(&folder, "log"), O_RDONLY);
    assert_int_equal(flock(other, LOCK_SH), 0);
    put("two\n", 100);
    assert_file("log", "one\ntwo\n");
    close(other);
    put("three\n", 100); /* at once: a lock is no reason to wait for ten seconds */
    assert_file("log", "three\n");
    assert_file("log.1", "one\ntwo\n");
    close_log();
}

static void options_that_cannot_be_are_refused(void **state)
{
    char path[PATH_MAX + 1];

    allocated = faults_allocated();
    folder_open(&folder);
    const char *place = folder_place(&folder, "log");
    assert_int_equal(iologfile_open(&file, "", NULL), -EINVAL);
    assert_int_equal(iologfile_open(&file, place, &(struct iolog_file_options){ .backups = 1001 }), -EINVAL);
    assert_int_equal(
        iologfile_open(&file, place, &(struct iolog_file_options){ .when = (enum iolog_when)(IOLOG_ON_SUNDAY + 1) }),
        -EINVAL);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    path[0] = '/';
    assert_int_equal(iologfile_open(&file, path, NULL), -ENAMETOOLONG);
    assert_int_equal(iologfile_open(&file, folder_place(&folder, "no/log"), NULL), -ENOENT);
    place = folder_place(&folder, "log");
    faults_allocation(1, false);
    assert_int_equal(iologfile_open(&file, place, NULL), -ENOMEM);
    faults_allocation(0, false);
    assert_int_equal(access(folder_place(&folder, "log"), F_OK), -1);
    place = folder_place(&folder, "log");
    assert_int_equal(iologfile_open(&file, place, &(struct iolog_file_options){ .backups = 1000 }), 0);
    close_log();
}

static void a_path_stays_what_it_was_when_the_program_moves(void **state)
{
    char before[PATH_MAX];

    allocated = faults_allocated();
    folder_open(&folder);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder.path), 0);
    assert_int_equal(iologfile_open(&file, "log", &(struct iolog_file_options){ .max_size = 4 }), 0);
    assert_int_equal(chdir("/"), 0);
    put("one\n", 100);
    put("two\n", 100);
    assert_file("log", "two\n");
    assert_file("log.1", "one\n");
    assert_int_equal(chdir(before), 0);
    close_log();
}

enum { WRITERS = 4, LINES = 2000 };

/* Some share the file by fork, some have opened it. */
static void write_many(int writer)
{
    if (writer % 2 == 1 && iologfile_open(&file, folder_place(&folder, "log"),
                                          &(struct iolog_file_options){ .max_size = 4000, .backups = 100 }) < 0)
        _exit(1);
    for (int i = 0; i < LINES; i++) {
        char line[64];
        snprintf(line, sizeof line, "writer %d line %04d\n", writer, i);
        put(line, time(NULL));
    }
    _exit(0);
}

static void processes_share_a_file_and_no_line_is_lost(void **state)
{
    static bool seen[WRITERS][LINES];
    int files = 0, lines = 0, status;

    open_log(&(struct iolog_file_options){ .max_size = 4000, .backups = 100 });
    for (int writer = 0; writer < WRITERS; writer++) {
        if (fork() == 0)
            write_many(writer);
    }
    for (int writer = 0; writer < WRITERS; writer++)
        assert_true(wait(&status) > 0 && status == 0);
    memset(seen, 0, sizeof seen);
    for (; files < 100; files++) {
        char name[16], *text, *line;
        snprintf(name, sizeof name, files > 0 ? "log.%d" : "log", files);
        text = (char *)contents(name);
        if (strcmp(text, "none") == 0)
            break;
        while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
            int writer, number;
            assert_int_equal(sscanf(line, "writer %d line %4d", &writer, &number), 2);
            assert_int_equal(strlen(line), 18);
            assert_false(seen[writer][number]);
            seen[writer][number] = true;
            lines++;
        }
    }
    assert_int_equal(lines, WRITERS * LINES);
    assert_in_range(files, 3, WRITERS * LINES * 19 / 3000); /* they grow while one is being moved */
    close_log();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lines_are_added_to_what_is_there),
    cmocka_unit_test(a_file_that_would_be_too_large_becomes_an_old_one),
    cmocka_unit_test(a_line_larger_than_a_file_may_be_does_not_end_an_empty_one),
    cmocka_unit_test(the_default_is_a_hundred_million_bytes_and_ten_files),
    cmocka_unit_test(a_file_ends_with_its_span_of_time),
    cmocka_unit_test(a_file_may_end_after_several_spans_of_time),
    cmocka_unit_test(midnight_comes_once_a_day),
    cmocka_unit_test(a_file_of_a_former_run_counts_from_its_last_line),
    cmocka_unit_test(a_file_that_is_moved_away_is_made_anew_within_a_second),
    cmocka_unit_test(a_file_that_another_process_has_begun_is_not_ended_again),
    cmocka_unit_test(what_is_no_file_is_never_ended),
    cmocka_unit_test(lines_that_could_not_be_written_are_counted),
    cmocka_unit_test(behind_a_part_of_a_line_the_next_begins_anew),
    cmocka_unit_test(a_line_is_ended_once),
    cmocka_unit_test(nothing_goes_before_what_tells_of_them),
    cmocka_unit_test(what_is_not_the_end_of_a_line_but_one_of_its_own_is_enough),
    cmocka_unit_test(a_new_file_begins_with_a_line),
    cmocka_unit_test(short_and_interrupted_writes_are_continued),
    cmocka_unit_test(a_file_that_cannot_be_moved_goes_on),
    cmocka_unit_test(without_a_new_file_lines_go_to_the_old_one),
    cmocka_unit_test(a_lock_of_somebody_else_is_not_waited_for),
    cmocka_unit_test(options_that_cannot_be_are_refused),
    cmocka_unit_test(a_path_stays_what_it_was_when_the_program_moves),
    cmocka_unit_test(processes_share_a_file_and_no_line_is_lost),
};

TESTING_MAIN(tests)
