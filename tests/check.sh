#!/bin/sh
# The whole check: tests/check.sh [PATTERN]. With a pattern only the test programs whose names match it are run, in one
# build. Prints what failed in full, a line for each step, once more the end of what failed (a log that is cut has that),
# and last "N passed, N failed".
#
# Each step builds below build/ in a folder of its own; logs are in build/check/. The test programs of a variant are gone
# again when all have passed: they take a gigabyte.
set -u
cd "$(dirname "$0")/.." || exit 1
MAKE=${MAKE:-make} CC=${CC:-cc} pattern=${1:-}
logs=build/check
mkdir -p $logs && rm -f $logs/*
passed=0 failed=0 skipped=
export CMOCKA_MESSAGE_OUTPUT=stdout

say() { printf '%-34s %s\n' "$1" "$2"; }
fail() { say "$1" "${3:-FAILED}"; tail -n 40 "$2"; { echo "--- $1"; tail -n 12 "$2"; } >> $logs/failures; }
skip() { skipped="$skipped
skipped: $1"; say "$1" "skipped: $2"; }

# count NAME COMMAND...: one check, passed or failed.
count() {
    name=$1; shift
    if "$@" > "$logs/$name.log" 2>&1; then
        passed=$((passed + 1)); say "$name" ok
    else
        failed=$((failed + 1)); fail "$name" "$logs/$name.log"
    fi
}

# fuzz TARGET...: as count, two of them at a time.
fuzz() {
    printf '%s\n' "$@" | xargs -P 2 -I{} sh -c \
        "tests/fuzz/fuzz.sh 3 {} > $logs/{}.log 2>&1; echo \$? > $logs/{}.ended"
    for name; do
        if [ "$(cat "$logs/$name.ended")" = 0 ]; then
            passed=$((passed + 1)); say "$name" ok
        else
            failed=$((failed + 1)); fail "$name" "$logs/$name.log"
        fi
    done
}

# build NAME FLAGS...: the library, the examples, the tests and their programs, with warnings as errors.
build() {
    name=$1; shift
    start=$(date +%s)
    if "$MAKE" -s -j2 WERROR=1 "$@" tests > "$logs/$name.log" 2>&1; then
        say "$name" "built in $(($(date +%s) - start)) s"
        return 0
    fi
    failed=$((failed + 1)); fail "$name" "$logs/$name.log" "FAILED to build"
    return 1
}

# run STEP FOLDER [PATTERN]: the cmocka programs of a build, two at a time; their tests are counted one by one.
run() {
    step=$1 folder=$2 only=${3:-$pattern} start=$(date +%s) step_passed=0 step_failed=0
    for test in "$folder"/tests/test_*; do
        case $test in *.o|*.d) continue ;; esac
        case $(basename "$test") in *$only*) echo "$test" ;; esac
    done | xargs -P 2 -I{} sh -c \
        't=$(basename {}); {} > '"$logs/$step"'.$t.log 2>&1; echo $? > '"$logs/$step"'.$t.status'
    for status in $logs/"$step".*.status; do
        [ -e "$status" ] || continue
        log=${status%.status}.log
        ok=$(grep -c '^\[       OK \]' "$log")
        bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s).*/\1/p' "$log" | tail -n 1)
        # A crash, or a descriptor left open, fails the program without failing a test by name.
        [ "$(cat "$status")" = 0 ] || [ "${bad:-0}" -gt 0 ] || bad=1
        if [ "${bad:-0}" -gt 0 ]; then
            grep -v "^\[ RUN\|^\[       OK\|^\[  PASSED\|^\[===" "$log" > "$log.failed"
            fail "$(basename "$log" .log)" "$log.failed" "FAILED, status $(cat "$status")"
        fi
        step_passed=$((step_passed + ok)) step_failed=$((step_failed + ${bad:-0}))
    done
    passed=$((passed + step_passed)) failed=$((failed + step_failed))
    say "$step" "$step_passed passed, $step_failed failed, $(($(date +%s) - start)) s"
    grep -h '^skipped: \|^\[  SKIPPED \] [a-z]' $logs/"$step".*.log 2> /dev/null | sed 's/^\[  SKIPPED \]/skipped:/' |
        sort -u | sed 's/^/    /'
}

# variant STEP FOLDER FLAGS...: builds one with the line numbers that a report needs, no more, and runs its tests.
variant() {
    step=$1 folder=build/$2 before=$failed; shift 2
    build "$step" CFLAGS="-O1 -g1" BUILD="$folder" "$@" || return
    run "$step" "$folder"
    [ $failed != "$before" ] || find "$folder/tests" -name 'test_*' ! -name '*.[od]' -exec rm {} +
}

finish() {
    [ -z "$skipped" ] || echo "$skipped"
    [ ! -e $logs/failures ] || cat $logs/failures
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
}

build build && run tests build
[ -z "$pattern" ] || finish

TESTING_SECONDS=60; export TESTING_SECONDS
variant address+undefined address-undefined SANITIZE=address,undefined
# What has a loop in it; formats are the same on any poller.
with_loop="test_io* test_loop* test_poller* test_kqueue* test_kernel test_acceptor test_connector test_deadlines \
    test_lifetime test_netutil test_periodic* test_resolver* test_tcp* test_child* test_http1connection* \
    test_http1body* test_http1answer* test_httpserver* test_httprequest test_web test_web_* test_webstatic* \
    test_webcompress* test_httpclient* test_httppool* test_websocket test_websocket_* test_websocketc* \
    test_websocketserver* test_websockettopics test_websocketmessage"
variant kqueue kqueue POLLER=kqueue ONLY="$with_loop"
# What more than one thread takes part in.
with_threads="test_ioloop* test_iofuture* test_ioexecutor* test_resolver* test_iolog* test_loopsignals test_tcpclient* \
    test_iosubprocess* test_httppool* test_httpclient_future test_websocketclient test_websocketclient_handshake"
variant thread thread SANITIZE=thread ONLY="$with_threads"
unset TESTING_SECONDS

# Names of functions are unique, static ones too, so that all of it compiles as one file.
count amalgamation sh -c 'ls ioloop/*.c httpserver/*.c httpclient/*.c websocket/*.c | grep -v "_bsd\|_kqueue" |
    sed "s/.*/#include \"&\"/" | '"$CC"' -std=c11 -D_GNU_SOURCE -I. -fsyntax-only -x c -'

# What is written for the BSDs; where libc has their arc4random_buf.
if echo 'int main(void) { arc4random_buf(&(int){ 0 }, 1); }' |
    "$CC" -D_GNU_SOURCE -include stdlib.h -x c - -o $logs/arc4random 2> /dev/null; then
    count kernel_bsd "$MAKE" -s WERROR=1 KERNEL=bsd POLLER=kqueue BUILD=build/kqueue-bsd \
        build/kqueue-bsd/ioloop/kernel_bsd.o build/kqueue-bsd/tests/support/faults_bsd.o
else
    skip kernel_bsd "libc has no arc4random_buf"
fi

if command -v shellcheck > /dev/null; then
    count shellcheck shellcheck tests/*.sh tests/*/*.sh
fi
for test in tests/interop/*.sh; do
    [ -e "$test" ] || continue
    name=$(basename "$test" .sh)
    why=$("$test" --needs 2>/dev/null) || { skip "$name" "needs $why"; continue; }
    count "$name" "$test"
done

if command -v clang > /dev/null; then
    count clang "$MAKE" -s -j2 CC=clang WERROR=1 BUILD=build/clang all
    if echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=fuzzer -x c - -o build/check/fuzzer > /dev/null 2>&1; then
        targets=$(basename -s .c tests/fuzz/fuzz_*.c)
        first=${targets%%[!a-z0-9_]*}
        count "$first" tests/fuzz/fuzz.sh 3 "$first" # which makes the library that the others link
        fuzz $(echo "$targets" | tail -n +2)
    else
        skip fuzz "clang has no libFuzzer (Debian: libclang-rt-dev)"
    fi
else
    skip "clang, fuzz" "no clang"
fi
tests/stats.sh > $logs/stats.txt 2>&1 && say stats "$logs/stats.txt"
finish
