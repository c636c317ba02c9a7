#!/bin/sh
# The examples of futures, queues, locks and generators: what they print, line by line.
[ "${1:-}" != --needs ] || exit 0
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }

run() { # run NAME OPTIONS...
    name=$1; shift
    timeout 10 "build/examples/$name" "$@" > "$folder/$name" 2> "$folder/errors" || fail "$name: status $?"
    [ ! -s "$folder/errors" ] || fail "$name: $(cat "$folder/errors")"
}

line_of() { grep -nx "$1" "$folder/producer_consumer" | cut -d: -f1; }

run producer_consumer
[ "$(grep -c . "$folder/producer_consumer")" = 10 ] || fail "producer_consumer: not ten lines"
for verb in putting got:; do
    [ "$(grep "^$verb" "$folder/producer_consumer")" = "$(printf "$verb %d\n" 0 1 2 3 4)" ] || fail "the order of $verb"
done
for number in 0 1 2 3 4; do
    [ "$(line_of "putting $number")" -lt "$(line_of "got: $number")" ] || fail "$number is got before it is put"
done

run condition --seconds=0.05
cat > "$folder/wanted" <<'TEXT'
I'll wait right here
About to notify
Done notifying
Received notification now doing my things
TEXT
cmp "$folder/condition" "$folder/wanted" || fail "condition"
build/examples/condition --seconds=x 2> /dev/null && fail "condition takes x for a number"

run generator
cat > "$folder/wanted" <<'TEXT'
/: a page about news
/news: a page about today
/today: a page about what is gone
/gone: not there
3 pages
TEXT
head -n 5 "$folder/generator" | cmp - "$folder/wanted" || fail "generator, with callbacks"
tail -n +6 "$folder/generator" | cmp - "$folder/wanted" || fail "generator, as a generator"
