#!/bin/sh
# What futures, queues and executors get through in a second, beside libuv's work queue and Python's asyncio, which are
# left out where they are not installed.
# Environment: BUILD (build), ROUNDS (5), COUNT (1000000: of futures and items; a tenth of it: of jobs and of Python's).

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/bench/bench.inc
. tests/bench/bench.inc
COUNT=${COUNT:-1000000}
results=$bench/results_futures
columns='ioloop libuv asyncio'

# run COLUMN COMMAND...
run()
{
    column=$1
    shift
    if "$@" > "$work/figures"; then
        keep futures "$column"
    else
        complain "$* failed"
    fi
}

begin "$@"
make_ours "$BUILD/libioloop.a"
build futures_ioloop tests/bench/futures_ioloop.c "$BUILD/libioloop.a" || exit 1
libuv=
if has_header libuv uv.h && build futures_libuv tests/bench/futures_libuv.c -luv; then
    libuv=yes
fi
: > "$results"
for round in $(seq "$ROUNDS"); do
    progress "round $round of $ROUNDS"
    run ioloop "$bench/futures_ioloop" "$COUNT"
    [ -z "$libuv" ] || run libuv "$bench/futures_libuv" "$COUNT"
    ! command -v python3 > /dev/null || run asyncio python3 tests/bench/futures_asyncio.py $((COUNT / 10))
done
progress
table futures "Futures, queues (of 100) and executors (of one thread): thousands a second"
exit $failed
