#!/bin/sh
# make install into an empty folder; then a program outside the tree is built with what pkg-config says, in C and in
# C++, against the shared and the static library, and runs. The shared library exports public functions only.
[ "${1:-}" != --needs ] || { command -v pkg-config > /dev/null || { echo pkg-config; exit 1; }; exit 0; }
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

"${MAKE:-make}" -s install PREFIX=/usr DESTDIR="$folder" > /dev/null
export PKG_CONFIG_PATH="$folder/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$folder"
cat > "$folder/program.c" <<'PROGRAM'
#include <httpserver/httpserver.h>
#include <ioloop/ioloop.h>
#include <ioloop/iostream.h>
#include <ioloop/tcpserver.h>
static void stop(void *loop) { ioloop_stop((struct ioloop *)loop); }
int main(void)
{
    struct ioloop *loop = ioloop_current();
    if (loop == NULL || ioloop_call_later(loop, 0.001, stop, loop) == 0)
        return 1;
    return ioloop_start(loop);
}
PROGRAM
cp "$folder/program.c" "$folder/program.cc"
cd "$folder"
${CC:-cc} -Wall -Wextra -Werror program.c -o shared $(pkg-config --cflags --libs ioloop)
LD_LIBRARY_PATH="$folder/usr/lib" ./shared || fail "the program on the shared library: $?"
${CC:-cc} program.c -o static $(pkg-config --cflags ioloop) "$folder/usr/lib/libioloop.a" -pthread
./static || fail "the program on the static library: $?"
if command -v g++ > /dev/null; then
    g++ -Wall -Wextra -Werror program.cc -o cplusplus $(pkg-config --cflags --libs ioloop)
    LD_LIBRARY_PATH="$folder/usr/lib" ./cplusplus || fail "the program in C++: $?"
fi

# A program whose plugins use the library may close the last of them while a name is looked up.
cat > "$folder/host.c" <<'PROGRAM'
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
#include <ioloop/ioloop.h>
#include <ioloop/tcpclient.h>
#define FIND(library, name) (*(__typeof__(name) **)&(void *){ dlsym(library, #name) })
static void on_connect(int error, struct iostream *stream, void *arg) {}
int main(int argc, char **argv)
{
    for (int i = 0; i < 20; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            return fprintf(stderr, "%s\n", dlerror()), 1;
        struct ioloop *loop = FIND(library, ioloop_new)(NULL);
        for (int lookups = 0; lookups < 4; lookups++)
            FIND(library, tcpclient_connect)(loop, lookups % 2 == 0 ? "localhost" : "name.invalid", 1, NULL, on_connect, NULL);
        FIND(library, ioloop_close)(loop, false);
        dlclose(library);
        usleep(10000);
    }
    return 0;
}
PROGRAM
${CC:-cc} host.c -o host $(pkg-config --cflags ioloop) -ldl
./host "$folder/usr/lib/libioloop.so" || fail "a plugin that is closed while a name is looked up: $?"

# The program in the README is one.
sed -n '/^    #include/,/^## /p' "$OLDPWD/README.md" | sed -n 's/^    //p; s/^$//p' > readme.c
[ "$(grep -c . readme.c)" -ge 10 ] || fail "no program in the README"
${CC:-cc} -Wall -Wextra -Wno-unused-parameter -Werror readme.c -o readme $(pkg-config --cflags --libs ioloop) ||
    fail "the program in the README does not build"

# Exported are the functions of the installed headers, all of them and no other.
nm -D --defined-only "$folder"/usr/lib/libioloop.so | awk '$2 == "T" { print $3 }' | sort > exported
find usr/include -name '*.h' -exec cat {} + | grep -v '^ \*\|^/\*\|typedef' | grep -oE '\b[a-z0-9]+(_[a-z0-9]+)*\(' |
    tr -d '(' | sort -u > named
missing=$(grep -v -x -F -f named exported || true)
[ -z "$missing" ] || fail "exported but in no public header:" $missing
[ "$(wc -l < exported)" -gt 80 ] || fail "only $(wc -l < exported) functions are exported"

cd - > /dev/null
"${MAKE:-make}" -s uninstall PREFIX=/usr DESTDIR="$folder" > /dev/null
left=$(find "$folder/usr" -name '*ioloop*')
[ -z "$left" ] || fail "left behind by uninstall:" $left
