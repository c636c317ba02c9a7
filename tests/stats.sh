#!/bin/sh
# Facts about the code that change before anybody notices. Prints, never fails: what a number calls for is for people
# to decide.
cd "$(dirname "$0")/.." || exit 0
mkdir -p build
code=$(ls ioloop/*.c httpserver/*.c httpclient/*.c websocket/*.c)
headers=$(ls ioloop/*.h httpserver/*.h httpclient/*.h websocket/*.h)
sources="$code $headers"

echo "lines: $(cat $sources | wc -l) in the library, $(cat tests/*.[ch] tests/*/*.[ch] | wc -l) in tests"
echo "files over 600 lines:"
wc -l $sources tests/*.c tests/*/*.c | awk '$1 > 600 && $2 != "total" { print "    " $2, $1 }'
echo "functions: length of the middle one, and those over 60 lines:"
for file in $code; do
    awk -v file="$file" '/^[a-z].*\)$/ { start = FNR; name = $0 }
        /^}$/ && start { print FNR - start - 1, file ":" start; start = 0 }' "$file"
done | sort -n > build/stats.tmp
awk '{ length_of[NR] = $1 } END { if (NR) print "    median " length_of[int((NR + 1) / 2)] " of " NR }' build/stats.tmp
awk '$1 > 60 { print "    " $2, $1 }' build/stats.tmp
rm -f build/stats.tmp
echo "includes that go up (ioloop < httpserver < httpclient < websocket):"
awk 'BEGIN { split("ioloop httpserver httpclient websocket", o); for (i in o) rank[o[i]] = +i }
    /^#include ["<](ioloop|httpserver|httpclient|websocket)\// {
        split($2, to, /["<\/>]/); split(FILENAME, from, "/")
        if (rank[to[2]] > rank[from[1]]) print "    " FILENAME ": " $2 }' $sources
echo "public functions that no test and no example calls:"
grep -L '^/\* Internal' $headers | xargs grep -ohE '\b[a-z0-9]+_[a-z0-9_]+\(' | tr -d '(' | sort -u |
while read -r name; do
    grep -hE "^[a-z].*\b$name\(" $headers | grep -qv '^typedef' || continue
    grep -rqw "$name" tests docs/examples --include='*.c' || echo "    $name"
done
# But for those of Tornado's tests, such as web_test.
echo "names with a prefix of ours that comments and documents have, and no code:"
sed -E 's|/\*.*||; /^ *\* /d' $sources tests/*.c tests/*/*.[ch] docs/examples/*.c |
    grep -oE '[a-z0-9]+_[a-z0-9_]+' | sort -u > build/stats.tmp
prefixes=$(basename -s .h $headers | paste -s -d '|')
grep -oE "\b($prefixes)_[a-z0-9_]*[a-z0-9]\b" README.md docs/*.md docs/decisions/*.md $sources tests/*.c tests/*/*.[ch] |
    grep -v '_test$' | sort -u | while IFS=: read -r file name; do
    grep -qx "$name" build/stats.tmp || [ -e "ioloop/$name.c" ] || echo "    $file: $name"
done
rm -f build/stats.tmp
