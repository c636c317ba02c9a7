#!/bin/sh
# fuzz.sh SECONDS [TARGET...]: each libFuzzer target, with ASan and UBSan, for so long. Its corpus grows in
# build/fuzz/corpus/TARGET; what it crashes on is left in build/fuzz/.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1; shift
MAKE=${MAKE:-make} build=${FUZZ_BUILD:-build/fuzz}
flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
"$MAKE" -s -j2 CC=clang BUILD=$build CFLAGS="-O1 -g $flags -fsanitize=fuzzer-no-link" $build/libioloop.a \
    $build/tests/support/faults.o $build/tests/support/faults_linux.o
wraps=$(awk '/^WRAP/ { exit } !/^#/ { for (i = 1; i <= NF; i++) if ($i ~ /^[a-z]/) print "-Wl,--wrap=" $i }' \
    tests/support/faults.mk)
[ $# -gt 0 ] || set -- $(basename -s .c tests/fuzz/fuzz_*.c)
for target; do
    mkdir -p $build/corpus/"$target"
    libraries=
    ! grep -q 'zlib\.h' tests/fuzz/"$target".c || libraries=$(pkg-config --libs zlib 2> /dev/null) ||
        echo "$target: no zlib (Debian: zlib1g-dev), and no comparison with it"
    clang -std=c11 -D_GNU_SOURCE -I. -O1 -g $flags -fsanitize=fuzzer -pthread $wraps tests/fuzz/"$target".c \
        $build/tests/support/faults.o $build/tests/support/faults_linux.o $build/libioloop.a $libraries -o $build/"$target"
    dictionary=
    [ ! -e tests/fuzz/"${target#fuzz_}".dict ] || dictionary=-dict=tests/fuzz/"${target#fuzz_}".dict
    $build/"$target" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
        $dictionary -artifact_prefix=$build/ $build/corpus/"$target"
done
