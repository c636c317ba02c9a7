/* static_site: the files below a folder as a site.
 *
 *     static_site [--port=N] [--root=FOLDER]       port 8888; 0: any. The folder in which it was started
 *
 * A folder is its index.html. Next to style.css may lie style.css.br and style.css.gz, for clients that accept them;
 * what is asked for with "?v=" a version is kept by browsers for ten years: see web_static_url. */
#include "serve.h"

#include <httpserver/webstatic.h>

/* What a browser may make of the pages, whoever wrote them. */
static void add_policy(struct web_request *request, const char *path)
{
    web_set_header(request, "X-Content-Type-Options", "nosniff");
    web_set_header(request, "Referrer-Policy", "same-origin");
}

int main(int argc, char **argv)
{
    static const char *root = ".";
    static const struct iooption options[] = {
        SERVE_PORT, { .name = "root", .string = &root, .metavar = "FOLDER", .help = "the site" }, { 0 }
    };

    serve_parse(options, argc, argv);
    const struct webstatic site = {
        .root = root,
        .default_filename = "index.html",
        .cache_control = "no-cache", /* that is: may be kept, but has to be asked about each time */
        .precompressed = true,
        .set_extra_headers = add_policy,
    };
    const struct web_route routes[] = { { "/(.*)", &webstatic_handler, &site, "file" }, { 0 } };
    const struct web_settings settings = { .server.on_close = serve_closed };

    return serve(web_application_new(routes, &settings), argv[0]);
}
