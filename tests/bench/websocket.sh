#!/bin/sh
# What WebSockets cost a server, beside the kernel alone (limit) and beside libraries, which are left out where they are
# not installed. One thread each; no compression; no logs. The part of bench.sh that is for WebSockets, and started by
# it.
#   bench.sh websocket           all of it but exact
#   bench.sh websocket NAME...   echo64 echo1 pipelined echo16k echo1m broadcast memory: some
#   bench.sh websocket exact     instructions and system calls a message, which do not depend on the machine and its load

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/bench/bench.inc
. tests/bench/bench.inc
# shellcheck source=tests/bench/load.inc
. tests/bench/load.inc
results=$bench/results_websocket
columns='limit ioloop libwebsockets node tornado websockets'
# Where Debian has the modules.
NODE_PATH=${NODE_PATH:-/usr/share/nodejs:/usr/lib/nodejs}
export NODE_PATH

# Programs.

build_all()
{
    make_ours "$BUILD/libioloop.a"
    build on_cpu tests/bench/on_cpu.c || exit 1
    build load_ws tests/bench/load_ws.c tests/bench/load.c || exit 1
    build ws_limit tests/bench/ws_limit.c || exit 1
    build ws_ioloop tests/bench/ws_ioloop.c "$BUILD/libioloop.a" || exit 1
    peers='limit ioloop'
    build_peer libwebsockets libwebsockets.h ws_libwebsockets tests/bench/ws_libwebsockets.c -lwebsockets
    if node -e 'require("ws")' > "$work/node" 2>&1; then
        peers="$peers node"
    else
        echo "node is left out: it has no ws"
    fi
    for peer in tornado websockets; do
        if python_with $peer > "$work/python_of_$peer"; then
            peers="$peers $peer"
        else
            echo "$peer is left out: no Python has it"
        fi
    done
}

server_of()
{
    case $1 in
    node) echo "node tests/bench/ws_node.js" ;;
    tornado | websockets) echo "$(cat "$work/python_of_$1") tests/bench/ws_$1.py" ;;
    *) echo "$bench/ws_$1" ;;
    esac
}

# Rows: title, and what is sent. What is large is told in MiB a second.

choose_row()
{
    row=$1 large='' few_messages=2000 many_messages=12000
    case $row in
    echo64) title='64 B, 64 connections' load='-c 64' ;;
    echo1) title='64 B, 1 connection' load='-c 1' ;;
    pipelined) title='64 B, 64 connections, 16 pipelined' load='-c 64 -w 16' ;;
    echo16k) title='16 KiB, 64 connections' load='-c 64 -s 16384' ;;
    echo1m) title='1 MiB, 8 connections' load='-c 8 -s 1048576' large=1 ;;
    broadcast) title='64 B to 1,000' load='-b -c 1000' ;;
    memory) title='' load="-i -c $CONNECTIONS" ;;
    one) title='64 B' load='-c 1' ;;
    sixteen) title='64 B, 16 pipelined' load='-c 1 -w 16' ;;
    one16k) title='16 KiB' load='-c 1 -s 16384' ;;
    hundred) title='64 B to 100' load='-b -c 100' few_messages=20 many_messages=120 ;;
    *) return 1 ;;
    esac
}

# Measuring.

section_of()
{
    case $1 in
    broadcast) echo broadcast ;;
    *) echo echo ;;
    esac
}

# What the load has printed, less what no table has.
shorten_figures()
{
    awk -F "$tab" -v OFS="$tab" -v large="$large" -v row="$row" '
        $1 == (row == "broadcast" ? "broadcasts" : "p50") { next }
        $2 == "k/s" && large { $1 = "each way"; $2 = "MiB/s"; $3 *= large * 1000 }
        { print }'
}

# load_row OPTION...
load_row()
{
    "$bench/load_ws" $load "$@" "$port"
}

measure_memory()
{
    measure_memory_beside "$bench/ws_ioloop"
}

# Of what is compiled while it runs only the system calls say something.
measure_exact()
{
    say_what_is_not_exact
    for exact in one sixteen one16k hundred; do
        choose_row $exact
        for peer in $peers; do
            command=$(server_of "$peer")
            case $peer in
            node | tornado | websockets) measure_calls_alone exact "$peer" "$command" message "$title, " ;;
            *) measure_exactly exact "$peer" "$command" message "$title, " ;;
            esac
        done
    done
}

# All of it.

versions()
{
    for peer in $peers; do
        case $peer in
        libwebsockets) echo "$peer $(pkg-config --modversion "$peer" 2> /dev/null)" ;;
        node) echo "node $(node --version), ws $(node -p 'require("ws/package.json").version')" ;;
        tornado | websockets) echo "$peer $(version_of_module "$peer")" ;;
        esac
    done
}

show()
{
    table echo 'WebSocket, a message comes back. Server on one processor, load on another'
    table broadcast 'WebSocket, a message of one connection to all: the times are until the last has it'
    table memory "Memory of a connection that has had a message and is silent, with $CONNECTIONS of them: heap is all that
the library holds"
    table exact 'WebSocket, one connection, or a hundred: what the server does for a message'
}

names=$*
for name in ${names:=echo64 echo1 pipelined echo16k echo1m broadcast memory}; do
    case $name in
    one | sixteen | one16k | hundred) false ;;
    *) [ "$name" = exact ] || choose_row "$name" ;;
    esac || say_usage
done
begin "$@"
build_all
run
exit $failed
