#include "httpserver/httpmimetype.h"

#include <string.h>

#define UNKNOWN_TYPE "application/octet-stream"

enum { MAX_EXTENSION = 11 };

struct file_type {
    char extension[MAX_EXTENSION + 1]; /* in lower case */
    const char *type;
};

/* In the order of strcmp. Texts are said to be UTF-8, as without that a browser takes them for what is usual where it
 * was sold, and text/plain has no other way to say so; XML, JSON and YAML tell themselves. What is compressed and goes
 * by another name than .gz stays unknown, as in Tornado. */
static const struct file_type file_types[] = {
    { "7z", "application/x-7z-compressed" },
    { "aac", "audio/aac" },
    { "apng", "image/apng" },
    { "atom", "application/atom+xml" },
    { "avi", "video/x-msvideo" },
    { "avif", "image/avif" },
    { "bmp", "image/bmp" },
    { "css", "text/css; charset=utf-8" },
    { "csv", "text/csv; charset=utf-8" },
    { "doc", "application/msword" },
    { "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
    { "eot", "application/vnd.ms-fontobject" },
    { "epub", "application/epub+zip" },
    { "flac", "audio/flac" },
    { "geojson", "application/geo+json" },
    { "gif", "image/gif" },
    { "glb", "model/gltf-binary" },
    { "gltf", "model/gltf+json" },
    { "gz", "application/gzip" },
    { "heic", "image/heic" },
    { "htm", "text/html; charset=utf-8" },
    { "html", "text/html; charset=utf-8" },
    { "ico", "image/vnd.microsoft.icon" },
    { "ics", "text/calendar; charset=utf-8" },
    { "jar", "application/java-archive" },
    { "jpeg", "image/jpeg" },
    { "jpg", "image/jpeg" },
    { "js", "text/javascript; charset=utf-8" },
    { "json", "application/json" },
    { "jsonld", "application/ld+json" },
    { "jxl", "image/jxl" },
    { "log", "text/plain; charset=utf-8" },
    { "m3u8", "application/vnd.apple.mpegurl" },
    { "m4a", "audio/mp4" },
    { "m4v", "video/mp4" },
    { "map", "application/json" },
    { "md", "text/markdown; charset=utf-8" },
    { "mid", "audio/midi" },
    { "mjs", "text/javascript; charset=utf-8" },
    { "mkv", "video/matroska" },
    { "mov", "video/quicktime" },
    { "mp3", "audio/mpeg" },
    { "mp4", "video/mp4" },
    { "mpd", "application/dash+xml" },
    { "mpeg", "video/mpeg" },
    { "mpg", "video/mpeg" },
    { "odp", "application/vnd.oasis.opendocument.presentation" },
    { "ods", "application/vnd.oasis.opendocument.spreadsheet" },
    { "odt", "application/vnd.oasis.opendocument.text" },
    { "oga", "audio/ogg" },
    { "ogg", "audio/ogg" },
    { "ogv", "video/ogg" },
    { "opus", "audio/ogg" },
    { "otf", "font/otf" },
    { "pdf", "application/pdf" },
    { "png", "image/png" },
    { "ppt", "application/vnd.ms-powerpoint" },
    { "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
    { "ps", "application/postscript" },
    { "rar", "application/vnd.rar" },
    { "rss", "application/rss+xml" },
    { "rtf", "application/rtf" },
    { "svg", "image/svg+xml" },
    { "tar", "application/x-tar" },
    { "tgz", "application/gzip" },
    { "tif", "image/tiff" },
    { "tiff", "image/tiff" },
    { "ts", "video/mp2t" },
    { "ttf", "font/ttf" },
    { "txt", "text/plain; charset=utf-8" },
    { "vcf", "text/vcard; charset=utf-8" },
    { "vtt", "text/vtt; charset=utf-8" },
    { "wasm", "application/wasm" },
    { "wav", "audio/wav" },
    { "weba", "audio/webm" },
    { "webm", "video/webm" },
    { "webmanifest", "application/manifest+json" },
    { "webp", "image/webp" },
    { "woff", "font/woff" },
    { "woff2", "font/woff2" },
    { "xhtml", "application/xhtml+xml" },
    { "xls", "application/vnd.ms-excel" },
    { "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
    { "xml", "application/xml" },
    { "xsl", "application/xml" },
    { "yaml", "application/yaml" },
    { "yml", "application/yaml" },
    { "zip", "application/zip" },
};

/* How the extension, of length bytes, compares to that of the entry; its upper case counts as lower case. */
static int compare_extension(const char *extension, size_t length, const char *entry)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)extension[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (unsigned char)(byte - 'A' + 'a');
        if (byte != (unsigned char)entry[i] || byte == '\0')
            return byte < (unsigned char)entry[i] ? -1 : 1;
    }
    return entry[length] == '\0' ? 0 : -1;
}

static const char *find_type(const char *extension, size_t length)
{
    size_t low = 0, high = sizeof file_types / sizeof *file_types;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_extension(extension, length, file_types[middle].extension);
        if (order == 0)
            return file_types[middle].type;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return UNKNOWN_TYPE;
}

/* Looks no further back than an extension can begin; none has a slash. */
const char *httpmimetype_of(const char *path, size_t length)
{
    for (size_t size = 0; size < length && size <= MAX_EXTENSION; size++) {
        const char *at = path + length - size - 1;
        if (*at == '.')
            return at > path && at[-1] != '/' ? find_type(at + 1, size) : UNKNOWN_TYPE;
    }
    return UNKNOWN_TYPE;
}
