#!/bin/sh
# What an HTTP request costs a client, beside the kernel alone (limit) and beside libraries, which are left out where
# they are not installed. One thread each; the server is http_limit, and the same for all. The part of bench.sh that is
# for HTTP clients, and started by it.
#   bench.sh client           all of it but exact
#   bench.sh client NAME...   keep1 keep64 keep256 close1 close64 close256: some
#   bench.sh client exact     instructions and system calls a request, which do not depend on the machine and its load

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/bench/bench.inc
. tests/bench/bench.inc
results=$bench/results_client
columns='limit ioloop libcurl libevent tornado'

# Programs.

build_all()
{
    make_ours "$BUILD/libioloop.a"
    build on_cpu tests/bench/on_cpu.c || exit 1
    build http_limit tests/bench/http_limit.c || exit 1
    build client_limit tests/bench/client_limit.c || exit 1
    build client_ioloop tests/bench/client_ioloop.c "$BUILD/libioloop.a" || exit 1
    peers='limit ioloop'
    build_peer libcurl curl/curl.h client_libcurl tests/bench/client_curl.c -lcurl
    build_peer libevent event2/http.h client_libevent tests/bench/client_libevent.c -levent_core -levent_extra
    if python=$(python_with tornado); then
        peers="$peers tornado"
    else
        echo "tornado is left out: no Python has it"
    fi
}

# The client of a peer for the row; nothing, if it cannot do that.
client_of()
{
    case $1-$row in
    tornado-keep*) ;;
    tornado-*) echo "$python tests/bench/client_tornado.py $load" ;;
    *) echo "$bench/client_$1 $load" ;;
    esac
}

# Rows: title, and how is asked.

choose_row()
{
    row=$1 server_of_row="$bench/http_limit plain" few_messages=2000 many_messages=12000
    case $row in
    keep1) title='kept, 1 at a time' load='-c 1' ;;
    keep64) title='kept, 64 at once' load='-c 64' ;;
    keep256) title='kept, 256 at once' load='-c 256' ;;
    close1) title='a connection each, 1 at a time' load='-c 1 -k' ;;
    close64) title='a connection each, 64 at once' load='-c 64 -k' ;;
    close256) title='a connection each, 256 at once' load='-c 256 -k' ;;
    *) return 1 ;;
    esac
    case $row in
    close*) server_of_row="$bench/http_limit close" few_messages=500 many_messages=2500 ;;
    esac
}

# Measuring.

measure_row()
{
    choose_row "$1"
    start_server "$bench/on_cpu" 0 $server_of_row || return 0
    for peer in $peers; do
        command=$(client_of "$peer")
        [ -n "$command" ] || continue
        if $command -d "$SECONDS_EACH" "$port" > "$work/figures"; then
            keep client "$peer" "$title, "
        else
            complain "$row of $peer failed"
        fi
    done
    stop_server
}

# As bench.inc says: it is the client that is measured.
run_measured()
{
    messages=$1
    shift
    "$@" -n "$messages" "$port" > "$work/figures" 2> "$work/client" &
    process=$!
    wait "$process"
    status=$?
    [ $status = 0 ] || tail -n 3 "$work/client" >&2
    rm -f "$work/traced"
    return $status
}

# Of what is compiled while it runs only the system calls say something.
measure_exact()
{
    say_what_is_not_exact
    for exact in keep1 keep64 close1; do
        choose_row $exact
        start_server "$bench/on_cpu" 0 $server_of_row || continue
        for peer in $peers; do
            command=$(client_of "$peer")
            case $peer-$command in
            *-) ;;
            tornado-*) measure_calls_alone exact "$peer" "$command" request "$title, " ;;
            *) measure_exactly exact "$peer" "$command" request "$title, " ;;
            esac
        done
        stop_server
    done
}

# All of it.

versions()
{
    for peer in $peers; do
        case $peer in
        lib*) echo "$peer $(pkg-config --modversion "$peer" 2> /dev/null)" ;;
        tornado) echo "tornado $(version_of_module tornado)" ;;
        esac
    done
}

show()
{
    table client 'HTTP clients, an answer of 12 bytes. Client on one processor, server on another'
    table exact 'HTTP clients, an answer of 12 bytes: what the client does for a request'
}

names=$*
for name in ${names:=keep1 keep64 keep256 close1 close64 close256}; do
    [ "$name" = exact ] || choose_row "$name" || say_usage
done
begin "$@"
build_all
run
exit $failed
