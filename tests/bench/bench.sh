#!/bin/sh
# What this library costs, beside the kernel alone (limit) and beside other libraries and servers, measured in one run:
# the rounds of all of them take turns. Prints tables; every single value is in $BUILD/bench/results*.
#   bench.sh                      all of it but exact, in about twenty minutes
#   bench.sh NAME...              calls timers touch wakeups pipes echo memory: some of what the loop and its streams
#                                 cost
#   bench.sh http [NAME...]       HTTP servers, see http.sh
#   bench.sh client [NAME...]     HTTP clients, see client.sh
#   bench.sh websocket [NAME...]  WebSocket servers, see websocket.sh
#   bench.sh futures              futures, queues and executors
#   bench.sh exact                instructions and system calls a message, which do not depend on the machine and its
#                                 load
# Environment: BUILD (build), ROUNDS (5), SECONDS_EACH (1: a round of echo, HTTP or WebSocket), COUNT (1000000: of
# callbacks, of timers, of posts), CONNECTIONS (10000, which is the most: of memory), CC, MAKE,
# CONGESTION (cubic: of TCP; where the system's is another, all runs in a network of its own).
# A machine that has other things to do shows it: see how far the least and the greatest are apart.

cd "$(dirname "$0")/../.." || exit 1
case $1 in
http | client | websocket)
    script=tests/bench/$1.sh
    shift
    exec "$script" "$@"
    ;;
futures) exec tests/bench/futures.sh ;;
esac
# shellcheck source=tests/bench/bench.inc
. tests/bench/bench.inc
COUNT=${COUNT:-1000000}
results=$bench/results
columns='limit ioloop echo_server libevent libuv libev'

# build_loop LOOP HEADER LIBRARY...
build_loop()
{
    loop=$1
    has_header "$1" "$2" || return 0
    shift 2
    if build "bench_$loop" tests/bench/bench.c "tests/bench/bench_$loop.c" "$@" &&
        build "echo_$loop" "tests/bench/echo_$loop.c" "$@"; then
        loops="$loops $loop"
    else
        complain "$loop is left out: it does not build"
    fi
}

build_all()
{
    make_ours "$BUILD/libioloop.a" "$examples/tcp_echo" "$examples/echo_server"
    build on_cpu tests/bench/on_cpu.c || exit 1
    build load_echo tests/bench/load_echo.c tests/bench/load.c || exit 1
    build idle_ioloop tests/bench/idle_ioloop.c "$BUILD/libioloop.a" || exit 1
    build bench_ioloop tests/bench/bench.c tests/bench/bench_ioloop.c "$BUILD/libioloop.a" || exit 1
    build bench_limit tests/bench/bench.c tests/bench/bench_limit.c || exit 1
    build echo_limit tests/bench/echo_limit.c || exit 1
    loops='limit ioloop'
    build_loop libevent event2/event.h -levent_core -levent_pthreads
    build_loop libuv uv.h -luv
    build_loop libev ev.h -lev
}

# The echo server of a loop: the programs as they are shipped are this library's.
server_of()
{
    case $1 in
    ioloop) echo "$examples/tcp_echo --port=0" ;;
    echo_server) echo "$examples/echo_server --port=0" ;;
    *) echo "$bench/echo_$1" ;;
    esac
}

# Measuring.

# measure_loops NAME
measure_loops()
{
    for loop in $loops; do
        if "$bench/bench_$loop" -n "$COUNT" "$1" > "$work/figures"; then
            keep "$1" "$loop"
        else
            complain "bench_$loop $1 failed"
        fi
    done
}

measure_echo()
{
    for loop in $loops echo_server; do
        start_server "$bench/on_cpu" 0 $(server_of "$loop") || continue
        for size in 64 16384; do
            if "$bench/load_echo" -c 64 -s $size -d "$SECONDS_EACH" -p "$server" "$port" > "$work/figures"; then
                keep echo "$loop" "$size B, "
            else
                complain "echo of $loop, $size B, failed"
            fi
        done
        stop_server
    done
}

measure_row()
{
    case $1 in
    echo) measure_echo ;;
    *) measure_loops "$1" ;;
    esac
}

measure_memory_of()
{
    name=$1
    shift
    start_server "$bench/on_cpu" 0 "$@" || return 0
    if "$bench/load_echo" -i -c "$CONNECTIONS" -s 64 -p "$server" "$port" > "$work/figures"; then
        if [ "$name" = idle_ioloop ]; then
            head -n 2 <&3 > "$work/figures"
            keep memory ioloop
        else
            keep memory "$name"
        fi
    else
        complain "memory of $name failed"
    fi
    stop_server
}

measure_memory()
{
    limit_connections
    measure_memory_of idle_ioloop "$bench/idle_ioloop" "$CONNECTIONS"
    for loop in $loops; do
        measure_memory_of "$loop" $(server_of "$loop")
    done
}

load_exactly()
{
    "$bench/load_echo" -c 1 -s 64 -n "$1" "$port"
}

measure_exact()
{
    say_what_is_not_exact
    for loop in $loops echo_server; do
        measure_exactly exact "$loop" "$(server_of "$loop")" message
    done
}

# All of it.

versions()
{
    for loop in $loops; do
        "$bench/bench_$loop" version
    done
}

show()
{
    table calls 'Callbacks that ask for the next, processor time of one'
    table timers "Timers, $COUNT of them, processor time of one"
    table touch 'Something comes from one of 10,000 connections that have a timeout'
    table wakeups 'Callbacks from another thread'
    table pipes 'Rings of N socket pairs, A bytes under way, W writes (N/A/W), processor time of one'
    table echo "TCP echo, 64 connections, a message at a time on each: ioloop is examples/tcp_echo (streams), echo_server is
examples/echo_server (handlers alone). Server on one processor, load on another"
    table memory "Memory of a connection that is silent, with $CONNECTIONS of them: heap is all that the library holds"
    table exact "TCP echo of 64 B, one connection: what the server does for a message"
}

names=$*
for name in ${names:=calls timers touch wakeups pipes echo memory}; do
    case $name in
    calls | timers | touch | wakeups | pipes | echo | memory | exact) ;;
    *) say_usage ;;
    esac
done
begin "$@"
build_all
run
case "$*" in
'')
    tests/bench/futures.sh || failed=1
    tests/bench/http.sh || failed=1
    tests/bench/client.sh || failed=1
    tests/bench/websocket.sh || failed=1
    ;;
exact)
    tests/bench/http.sh exact || failed=1
    tests/bench/client.sh exact || failed=1
    tests/bench/websocket.sh exact || failed=1
    ;;
esac
exit $failed
