#!/bin/sh
# What HTTP costs, beside the kernel alone (limit) and beside libraries and servers, which are left out where they are
# not installed. One thread each; the same bodies; no logs. The part of bench.sh that is for HTTP, and started by it.
#   bench.sh http             all of it but exact
#   bench.sh http NAME...     keep64 keep256 pipelined close post1k post1m static1k static1m static100m memory: some
#   bench.sh http exact       instructions and system calls a request, which do not depend on the machine and its load
# ioloop is http_ioloop.c, on the server alone, which has its file open; web is tests/conformance_server, an application,
# which opens a file for each request, but for those of 1 KiB, which it keeps: these are in the column of ioloop.

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/bench/bench.inc
. tests/bench/bench.inc
# shellcheck source=tests/bench/load.inc
. tests/bench/load.inc
PATH=$PATH:/usr/sbin
results=$bench/results_http
application=$BUILD/tests/conformance_server
columns='limit limit_memory ioloop web libevent libmicrohttpd nginx h2o lighttpd'

# Programs.

build_all()
{
    make_ours "$BUILD/libioloop.a" "$application"
    build on_cpu tests/bench/on_cpu.c || exit 1
    build load_http tests/bench/load_http.c tests/bench/load.c || exit 1
    build http_limit tests/bench/http_limit.c || exit 1
    build http_ioloop tests/bench/http_ioloop.c "$BUILD/libioloop.a" || exit 1
    peers='limit limit_memory ioloop web'
    build_peer libevent event2/http.h http_libevent tests/bench/http_libevent.c -levent_core -levent_extra
    build_peer libmicrohttpd microhttpd.h http_libmicrohttpd tests/bench/http_libmicrohttpd.c -lmicrohttpd
    for peer in nginx h2o lighttpd; do
        if command -v $peer > /dev/null; then
            peers="$peers $peer"
        else
            echo "$peer is left out: it is not installed"
        fi
    done
}

# What is served. Servers that become another user can read it too.
make_pages()
{
    umask 022
    pages=$(cd "$work" && pwd)/pages
    mkdir -p "$pages/static"
    printf 'Hello, world' > "$pages/plain"
    head -c 1024 /dev/zero > "$pages/static/static1k"
    head -c 1048576 /dev/zero > "$pages/static/static1m"
    case $names in *static100m*) head -c 104857600 /dev/zero > "$pages/static/static100m" ;; esac
}

# Rows: title, what is asked for and how. What is large is told in MiB a second.

choose_row()
{
    row=$1 path=/plain large='' few_messages=2000 many_messages=12000
    case $row in
    keep64) title='keep-alive, 64 connections' load='-c 64' ;;
    keep256) title='keep-alive, 256 connections' load='-c 256' ;;
    pipelined) title='64 connections, 16 pipelined' load='-c 64 -w 16' ;;
    close) title='a connection a request, 64 at once' load='-c 64 -k' ;;
    post1k) title='POST 1 KiB, 64 connections' load='-c 64 -b 1024 -r 1024' path=/echo ;;
    post1m) title='POST 1 MiB, 8 connections' load='-c 8 -b 1048576 -r 1048576' path=/echo large=1 ;;
    static1k) title='file of 1 KiB, 64 connections' load='-c 64 -r 1024' path=/static/$row ;;
    static1m) title='file of 1 MiB, 16 connections' load='-c 16 -r 1048576' path=/static/$row large=1 ;;
    static100m) title='file of 100 MiB, 4 connections' load='-c 4 -n 40 -r 104857600' path=/static/$row large=100 ;;
    memory) title='' load="-i -c $CONNECTIONS" ;;
    one) title='one at a time' load='-c 1' ;;
    ten) title='ten pipelined' load='-c 1 -w 10' ;;
    once) title='a connection each' load='-c 1 -k -s 0.002' few_messages=200 many_messages=1200 ;;
    *) return 1 ;;
    esac
}

# The server of a peer for the row; nothing, if it cannot serve that.
server_of()
{
    case $1-$row in
    limit-post*) echo "$bench/http_limit post ${load##* }" ;;
    limit-static*) echo "$bench/http_limit sendfile $pages$path" ;;
    limit-close | limit-once) echo "$bench/http_limit close" ;;
    limit-*) echo "$bench/http_limit plain" ;;
    limit_memory-static*) echo "$bench/http_limit memory $pages$path" ;;
    limit_memory-*) ;;
    web-static1k) ;;
    ioloop-static1k | web-*)
        echo "$application --port=0 --max-body=2000000 --max-requests=4000000000 --static=$pages/static"
        ;;
    ioloop-static*) echo "$bench/http_ioloop $pages$path" ;;
    ioloop-*) echo "$bench/http_ioloop" ;;
    # It waits for ever when there are events for 128 descriptors, or 256, at once (0.9.75).
    libmicrohttpd-keep256) ;;
    lib*) echo "$bench/http_$1 $pages" ;;
    *-post*) ;;
    *) echo "tests/bench/http_foreign.sh $1 $pages $("$bench/load_http" -f)" ;;
    esac
}

# Measuring.

# section_of ROW: the table that it stands in.
section_of()
{
    case $1 in
    post*) echo post ;;
    static*) echo static ;;
    *) echo plain ;;
    esac
}

# What the load has printed, less what no table has.
shorten_figures()
{
    awk -F "$tab" -v OFS="$tab" -v large="$large" '
        $1 == "p50" { next }
        $2 == "k/s" && large { $1 = "body"; $2 = "MiB/s"; $3 *= large * 1000 }
        { print }'
}

# load_row OPTION...: on the server of $peer. The page of the application is another.
load_row()
{
    case $peer-$path in
    web-/plain) "$bench/load_http" $load -r 13 "$@" "$port" / ;;
    *) "$bench/load_http" $load "$@" "$port" "$path" ;;
    esac
}

measure_memory()
{
    measure_memory_beside "$bench/http_ioloop"
}

measure_exact()
{
    say_what_is_not_exact
    for exact in one ten once; do
        choose_row $exact
        for peer in $peers; do
            command=$(server_of "$peer")
            [ -z "$command" ] || measure_exactly exact "$peer" "$command" request "$title, "
        done
    done
}

# All of it.

versions()
{
    for peer in $peers; do
        case $peer in
        lib*) echo "$peer $(pkg-config --modversion "$peer" 2> /dev/null)" ;;
        nginx | h2o | lighttpd) $peer -v 2>&1 | head -n 1 ;;
        esac
    done
}

show()
{
    table plain 'HTTP, a body of 12 bytes. Server on one processor, load on another'
    table post 'HTTP, the body of the request comes back'
    table static 'HTTP, files: limit is sendfile behind the head, limit_memory a writev of head and content'
    table memory "Memory of a connection that has had an answer and is silent, with $CONNECTIONS of them: heap is all that
the library holds"
    table exact 'HTTP, one connection, a body of 12 bytes: what the server does for a request'
}

names=$*
for name in ${names:=keep64 keep256 pipelined close post1k post1m static1k static1m static100m memory}; do
    case $name in
    one | ten | once) false ;;
    *) [ "$name" = exact ] || choose_row "$name" ;;
    esac || say_usage
done
begin "$@"
build_all
make_pages
run
exit $failed
