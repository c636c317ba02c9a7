#!/bin/sh
# What this library costs, beside the kernel alone (limit) and beside libevent, libuv and libev, measured in one run: the
# rounds of all of them take turns. Prints tables; every single value is in $BUILD/bench/results.
#   bench.sh            all of it but exact, in less than four minutes
#   bench.sh NAME...    calls timers touch wakeups pipes echo memory: some of it
#   bench.sh exact      instructions and system calls a message, which do not depend on the machine and its load
# Environment: BUILD (build), ROUNDS (5), SECONDS_EACH (1: a round of echo), COUNT (1000000: of callbacks, of timers, of
# posts), CONNECTIONS (10000, which is the most: of memory), CC, MAKE.
# A machine that has other things to do shows it: see how far the least and the greatest are apart.

BUILD=${BUILD:-build} ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-1} COUNT=${COUNT:-1000000}
CONNECTIONS=${CONNECTIONS:-10000} CC=${CC:-cc} MAKE=${MAKE:-make}
cd "$(dirname "$0")/../.." || exit 1
bench=$BUILD/bench
work=$bench/work.$$
results=$bench/results
columns='limit ioloop echo_server libevent libuv libev'
examples="$BUILD/examples"
server=
failed=0
tab=$(printf '\t')

complain()
{
    echo "bench: $*" >&2
    failed=1
}

# Programs.

# build PROGRAM FILE... [-lLIBRARY...]: when a file is newer than the program.
build()
{
    program=$bench/$1
    shift
    files=
    for word; do
        case $word in -*) ;; *) files="$files $word" ;; esac
    done
    # shellcheck disable=SC2086
    if [ -x "$program" ] && [ -z "$(find $files tests/bench/*.h -newer "$program")" ]; then
        return 0
    fi
    $CC -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -I. -pthread -o "$program" "$@" && return 0
    rm -f "$program"
    return 1
}

# build_peer LOOP HEADER LIBRARY...
build_peer()
{
    peer=$1 header=$2
    shift 2
    if ! echo "#include <$header>" | $CC -E -x c - > "$work/header" 2>&1; then
        echo "$peer is left out: no $header"
    elif build "bench_$peer" tests/bench/bench.c "tests/bench/bench_$peer.c" "$@" &&
        build "echo_$peer" "tests/bench/echo_$peer.c" "$@"; then
        loops="$loops $peer"
    else
        complain "$peer is left out: it does not build"
    fi
}

build_all()
{
    $MAKE BUILD="$BUILD" "$BUILD/libioloop.a" "$examples/tcp_echo" "$examples/echo_server" > "$work/make" 2>&1 || {
        cat "$work/make" >&2
        exit 1
    }
    build on_cpu tests/bench/on_cpu.c || exit 1
    build load_echo tests/bench/load_echo.c || exit 1
    build idle_ioloop tests/bench/idle_ioloop.c "$BUILD/libioloop.a" || exit 1
    build bench_ioloop tests/bench/bench.c tests/bench/bench_ioloop.c "$BUILD/libioloop.a" || exit 1
    build bench_limit tests/bench/bench.c tests/bench/bench_limit.c || exit 1
    build echo_limit tests/bench/echo_limit.c || exit 1
    loops='limit ioloop'
    build_peer libevent event2/event.h -levent_core -levent_pthreads
    build_peer libuv uv.h -luv
    build_peer libev ev.h -lev
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

# Servers. One at a time; what it prints is read from descriptor 3.

start_server()
{
    rm -f "$work/traced"
    mkfifo "$work/printed" || exit 1
    "$@" > "$work/printed" 2> "$work/server" &
    server=$!
    exec 3< "$work/printed"
    rm -f "$work/printed"
    read -r line <&3 || line=
    port=${line##*:}
    [ -n "$port" ] && return 0
    complain "$* does not start: $(tail -n 3 "$work/server")"
    stop_server
    return 1
}

# What traces a server ends with it.
stop_server()
{
    [ -n "$server" ] || return 0
    kill "$(cat "$work/traced" 2> /dev/null || echo "$server")" 2> /dev/null
    wait "$server" 2> /dev/null
    server=
    exec 3<&-
}

# shellcheck disable=SC2317
clean_up()
{
    stop_server
    rm -rf "$work"
}

# Results: section, figure, unit, loop and value, with tabs between.

# keep SECTION LOOP [PREFIX]: what a program has printed in $work/figures.
keep()
{
    awk -F "$tab" -v OFS="$tab" -v section="$1" -v loop="$2" -v prefix="$3" \
        '{ print section, prefix $1, $2, loop, $3 }' "$work/figures" >> "$results"
}

table()
{
    grep -q "^$1$tab" "$results" || return 0
    printf '\n%s\n' "$2"
    awk -v section="$1" -v loops="$columns" -f tests/bench/table.awk "$results"
}

progress()
{
    [ -t 2 ] && printf '\r%-40s\r' "$*" >&2
}

# Measuring.

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
        # shellcheck disable=SC2046
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
    # shellcheck disable=SC3045
    files=$(ulimit -Hn)
    if [ "$files" != unlimited ] && [ "$files" -lt $((CONNECTIONS + 100)) ]; then
        CONNECTIONS=$((files - 100))
    fi
    measure_memory_of idle_ioloop "$bench/idle_ioloop" "$CONNECTIONS"
    for loop in $loops; do
        # shellcheck disable=SC2046
        measure_memory_of "$loop" $(server_of "$loop")
    done
}

# Exact figures. What a server does for many messages less what it does for few: starting and stopping drop out.

FEW=2000
MANY=12000

# run_server MESSAGES COMMAND...: an echo server, for so many messages of 64 B on one connection.
run_server()
{
    messages=$1
    shift
    start_server "$@" || return 1
    "$bench/load_echo" -c 1 -s 64 -n "$messages" "$port" > "$work/figures"
    status=$?
    stop_server
    return $status
}

# libc is kept from instructions that repeat themselves: callgrind counts each time.
count_instructions()
{
    # shellcheck disable=SC2086
    run_server "$1" env GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000 \
        valgrind --tool=callgrind --callgrind-out-file="$work/callgrind" $2 || return 1
    sed -n 's/^summary: *//p' "$work/callgrind" | head -n 1
}

# Leaves a line for each system call: its name and how often it was called.
count_calls()
{
    run_server "$1" strace -c -f -o "$work/calls" sh -c "echo \$\$ > '$work/traced'; exec $2" || return 1
    awk '$NF != "total" && $4 ~ /^[0-9]+$/ { print $NF, $4 }' "$work/calls"
}

measure_instructions()
{
    for loop in $loops echo_server; do
        progress "instructions of $loop"
        if few=$(count_instructions $FEW "$(server_of "$loop")") &&
            many=$(count_instructions $MANY "$(server_of "$loop")"); then
            awk -v few="$few" -v many="$many" -v messages=$((MANY - FEW)) -v OFS="$tab" \
                'BEGIN { print "user instructions", "a message", (many - few) / messages }' > "$work/figures"
            keep exact "$loop"
        else
            complain "instructions of $loop failed"
        fi
    done
}

measure_calls()
{
    for loop in $loops echo_server; do
        progress "system calls of $loop"
        if count_calls $FEW "$(server_of "$loop")" > "$work/few" &&
            count_calls $MANY "$(server_of "$loop")" > "$work/many"; then
            awk -v messages=$((MANY - FEW)) -v OFS="$tab" '
                FNR == NR { few[$1] = $2; next }
                { sum += rate = ($2 - few[$1]) / messages
                  if (rate >= 0.005)
                      which = which sprintf(", %s %.2f", $1, rate) }
                END { print "system calls", "a message", sum
                      print substr(which, 3) > "/dev/stderr" }' "$work/few" "$work/many" \
                > "$work/figures" 2> "$work/which"
            keep exact "$loop"
            printf '%-12s %s\n' "$loop" "$(cat "$work/which")" >> "$work/calls_of_all"
        else
            complain "system calls of $loop failed"
        fi
    done
}

measure_exact()
{
    if command -v valgrind > /dev/null; then
        measure_instructions
    else
        echo "no instructions: there is no valgrind"
    fi
    if command -v strace > /dev/null; then
        measure_calls
    else
        echo "no system calls: there is no strace"
    fi
}

# All of it.

describe()
{
    echo "$(uname -sr) $(uname -m), $(getconf _NPROCESSORS_ONLN) processors, load $(cut -d' ' -f1-3 /proc/loadavg)"
    for loop in $loops; do
        "$bench/bench_$loop" version
    done
    echo "Medians of $ROUNDS rounds, below them the least and the greatest. /limit, /best peer: ioloop's figure by theirs."
}

measure()
{
    for round in $(seq "$ROUNDS"); do
        for name in $names; do
            progress "round $round of $ROUNDS: $name"
            case $name in
            echo) measure_echo ;;
            memory) [ "$round" = 1 ] && measure_memory ;;
            exact) [ "$round" = 1 ] && measure_exact ;;
            *) measure_loops "$name" ;;
            esac
        done
    done
    progress
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
    [ -s "$work/calls_of_all" ] && cat "$work/calls_of_all"
}

names=$*
for name in ${names:=calls timers touch wakeups pipes echo memory}; do
    case $name in
    calls | timers | touch | wakeups | pipes | echo | memory | exact) ;;
    *)
        sed -n '2,/^$/p' "$0" >&2
        exit 2
        ;;
    esac
done
if [ "$(uname -s)" != Linux ]; then
    echo "bench: it measures by epoll and /proc, so on Linux alone" >&2
    exit 1
fi
mkdir -p "$work" || exit 1
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
build_all
describe
: > "$results"
measure
show
exit $failed
