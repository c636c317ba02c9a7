/* upload: files from a browser into a folder, as they come and of any size; none is ever in memory as a whole.
 *
 *     upload [--port=N] [--directory=DIR]                              port 8888; the present folder
 *     curl -F file=@movie.mkv 127.0.0.1:8888/ */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include <httpserver/httpescape.h>
#include <ioloop/ioalloc.h>

static const char page[] = "<!doctype html>\n<title>upload</title>\n"
                           "<form method=post enctype=multipart/form-data>\n"
                           "<input type=file name=file multiple> <input type=submit value=Send>\n</form>\n";

/* A request: the form that is being read, and the file of it that is being written. */
struct upload {
    struct httpform *form;
    int file; /* -1: what comes is of a field, and not kept */
    uint64_t bytes;
    int files;
};

static const char *directory = ".";

/* The name is the client's: only its last component is looked at, and never an existing file written over. */
static int create_file(const char *filename)
{
    char *name = httpform_basename(filename);
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = -1;

    if (name != NULL && folder >= 0)
        file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    int error = file < 0 ? -errno : 0;
    if (folder >= 0)
        close(folder);
    ioalloc_free(name);
    return error < 0 ? error : file;
}

static int begin_part(const struct httpform_part *part, void *arg)
{
    struct upload *upload = arg;

    upload->file = -1;
    if (part->filename == NULL || part->filename[0] == '\0')
        return 0;
    upload->file = create_file(part->filename);
    upload->files++;
    return upload->file < 0 ? upload->file : 0;
}

static int take_data(const char *data, size_t length, void *arg)
{
    struct upload *upload = arg;

    upload->bytes += length;
    while (upload->file >= 0 && length > 0) {
        ssize_t count = write(upload->file, data, length);
        if (count < 0)
            return -errno;
        data += count;
        length -= (size_t)count;
    }
    return 0;
}

static int end_part(void *arg)
{
    struct upload *upload = arg;
    int file = upload->file;

    upload->file = -1;
    return file >= 0 && close(file) < 0 ? -errno : 0;
}

static const struct httpform_functions functions = { .part_begin = begin_part,
                                                     .part_data = take_data,
                                                     .part_end = end_part };

static void prepare(struct web_request *request)
{
    struct upload *upload = web_state(request);
    const char *type = httprequest_header(web_http(request), "Content-Type");

    upload->file = -1;
    if (strcmp(httprequest_method(web_http(request)), "POST") != 0)
        return;
    upload->form = httpform_new(type != NULL ? type : "", NULL, &functions, upload);
    if (upload->form == NULL)
        web_send_error(request, errno == ENOMEM ? 503 : 415);
}

static void refuse(struct web_request *request, int error)
{
    int status = error == -EINVAL ? 400 : error == -EEXIST ? 409 : error == -ENOSPC ? 507 : 500;

    web_send_error_because(request, status, NULL, ioloop_strerror(error));
}

static void data_received(struct web_request *request, const void *data, size_t length)
{
    struct upload *upload = web_state(request);
    int error = upload->form != NULL ? httpform_feed(upload->form, data, length) : 0;

    if (error < 0)
        refuse(request, error);
}

static void post(struct web_request *request)
{
    struct upload *upload = web_state(request);
    int error = httpform_finish(upload->form);

    if (error < 0)
        refuse(request, error);
    else
        web_printf(request, "<p>%d files, %" PRIu64 " bytes.\n%s", upload->files, upload->bytes, page);
}

static void get(struct web_request *request)
{
    web_write(request, page);
}

static void on_finish(struct web_request *request)
{
    struct upload *upload = web_state(request);

    if (upload->file >= 0)
        close(upload->file);
    httpform_free(upload->form);
}

static const struct web_handler handler = {
    .get = get,
    .post = post,
    .prepare = prepare,
    .data_received = data_received,
    .on_finish = on_finish,
    .size = sizeof(struct upload),
    .max_body = UINT64_C(1) << 40,
};

int main(int argc, char **argv)
{
    static const struct web_route routes[] = { { "/", &handler, NULL, NULL }, { NULL, NULL, NULL, NULL } };
    static const struct iooption options[] = {
        SERVE_PORT, { .name = "directory", .string = &directory, .metavar = "DIR", .help = "where files go" }, { 0 }
    };
    struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &settings), argv[0]);
}
