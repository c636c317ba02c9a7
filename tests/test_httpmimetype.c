#include "httpserver/httpmimetype.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

/* The same source once more, for a look at its table. */
const char *type_by_table(const char *path, size_t length);
#define httpmimetype_of type_by_table
#include "httpserver/httpmimetype.c"
#undef httpmimetype_of

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_type(const char *path, const char *wanted)
{
    const char *type = httpmimetype_of(guardpage_text(path, strlen(path)), strlen(path));

    if (strcmp(type, wanted) != 0)
        fail_msg("%s: %s", path, type);
}

static void knows_what_a_web_site_is_made_of(void **state)
{
    assert_type("index.html", "text/html; charset=utf-8");
    assert_type("index.htm", "text/html; charset=utf-8");
    assert_type("robots.txt", "text/plain; charset=utf-8");
    assert_type("style.css", "text/css; charset=utf-8");
    assert_type("main.js", "text/javascript; charset=utf-8");
    assert_type("main.mjs", "text/javascript; charset=utf-8");
    assert_type("data.json", "application/json");
    assert_type("main.js.map", "application/json");
    assert_type("app.wasm", "application/wasm");
    assert_type("app.webmanifest", "application/manifest+json");
    assert_type("favicon.ico", "image/vnd.microsoft.icon");
    assert_type("logo.svg", "image/svg+xml");
    assert_type("logo.png", "image/png");
    assert_type("photo.jpg", "image/jpeg");
    assert_type("photo.jpeg", "image/jpeg");
    assert_type("photo.webp", "image/webp");
    assert_type("photo.avif", "image/avif");
    assert_type("film.mp4", "video/mp4");
    assert_type("film.webm", "video/webm");
    assert_type("film.m3u8", "application/vnd.apple.mpegurl");
    assert_type("song.mp3", "audio/mpeg");
    assert_type("text.woff2", "font/woff2");
    assert_type("paper.pdf", "application/pdf");
    assert_type("feed.xml", "application/xml");
    assert_type("all.zip", "application/zip");
    assert_type("a.7z", "application/x-7z-compressed");
}

/* Tornado's test_static_compressed_files */
static void knows_gzip_and_no_other_compression(void **state)
{
    assert_type("sample.xml.gz", "application/gzip");
    assert_type("sample.tar.gz", "application/gzip");
    assert_type("sample.tgz", "application/gzip");
    assert_type("sample.xml.bz2", "application/octet-stream");
    assert_type("sample.xml.xz", "application/octet-stream");
    assert_type("sample.xml.br", "application/octet-stream");
    assert_type("sample.xml", "application/xml");
}

static void looks_at_the_extension_of_the_last_segment(void **state)
{
    assert_type("/a/b.css/c.html", "text/html; charset=utf-8");
    assert_type("/a/b.html/c", "application/octet-stream");
    assert_type("/a/b.html/", "application/octet-stream");
    assert_type("a.html.txt", "text/plain; charset=utf-8");
    assert_type("a..txt", "text/plain; charset=utf-8");
    assert_type(".a.txt", "text/plain; charset=utf-8");
    assert_type("/x.txt", "text/plain; charset=utf-8");
}

static void ignores_case(void **state)
{
    assert_type("INDEX.HTML", "text/html; charset=utf-8");
    assert_type("Index.hTmL", "text/html; charset=utf-8");
    assert_type("LOGO.PNG", "image/png");
    assert_type("A.7Z", "application/x-7z-compressed");
    assert_type("A.AAC", "audio/aac");
    assert_type("A.ZIP", "application/zip");
    assert_type("A.WOFF2", "font/woff2");
}

static void calls_everything_else_bytes(void **state)
{
    static const char *const paths[] = {
        "",
        ".",
        "..",
        "/",
        "a",
        "a.",
        "html",
        "ahtml",
        ".html",
        "/.html",
        "a/.html",
        "a.htm1",
        "a.htmlx",
        "a.ht",
        "a.tml",
        "a.html ",
        "a.html.",
        "a.unknown",
        "a.h\xc3",
        "a.webmanifestx",
        "a.xwebmanifest",
        "a.@tml",
        "a.{html}",
        "a.\x08tml",
        "a.zzz",
        "a.0",
        "a.p\xeeg",
    };

    for (size_t i = 0; i < COUNT(paths); i++)
        assert_type(paths[i], "application/octet-stream");
    assert_string_equal(httpmimetype_of("a.html\0", 7), "application/octet-stream");
    assert_string_equal(httpmimetype_of("a.\0\0\0", 5), "application/octet-stream");
    assert_string_equal(httpmimetype_of(NULL, 0), "application/octet-stream");
}

static void reads_no_further_than_the_length(void **state)
{
    assert_string_equal(httpmimetype_of("a.html", 5), "text/html; charset=utf-8"); /* .htm */
    assert_string_equal(httpmimetype_of("a.html", 4), "application/octet-stream");
    assert_string_equal(httpmimetype_of("a.json", 4), "text/javascript; charset=utf-8");
}

static void has_its_table_in_order(void **state)
{
    for (size_t i = 1; i < COUNT(file_types); i++)
        if (strcmp(file_types[i - 1].extension, file_types[i].extension) >= 0)
            fail_msg("%s stands before %s", file_types[i - 1].extension, file_types[i].extension);
}

static void finds_every_entry_of_its_table(void **state)
{
    char path[32] = "name.";

    for (size_t i = 0; i < COUNT(file_types); i++) {
        assert_true(memchr(file_types[i].extension, '\0', sizeof file_types[i].extension) != NULL);
        memcpy(path + 5, file_types[i].extension, sizeof file_types[i].extension);
        assert_type(path, file_types[i].type);
    }
}

/* All texts, and nothing but texts, name a charset, and every type looks like one. */
static void has_a_media_type_in_every_entry(void **state)
{
    for (size_t i = 0; i < COUNT(file_types); i++) {
        const char *type = file_types[i].type;
        size_t length = strcspn(type, ";");
        assert_true(strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789/.+-") == length);
        assert_non_null(memchr(type, '/', length));
        if (strncmp(type, "text/", 5) == 0)
            assert_string_equal(type + length, "; charset=utf-8");
        else
            assert_string_equal(type + length, "");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(knows_what_a_web_site_is_made_of),
    cmocka_unit_test(knows_gzip_and_no_other_compression),
    cmocka_unit_test(looks_at_the_extension_of_the_last_segment),
    cmocka_unit_test(ignores_case),
    cmocka_unit_test(calls_everything_else_bytes),
    cmocka_unit_test(reads_no_further_than_the_length),
    cmocka_unit_test(has_its_table_in_order),
    cmocka_unit_test(finds_every_entry_of_its_table),
    cmocka_unit_test(has_a_media_type_in_every_entry),
};

TESTING_MAIN(tests)
