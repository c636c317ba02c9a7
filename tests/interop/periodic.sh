#!/bin/sh
# periodic: what it prints, and that the runs do not overlap: each is done before the next is begun, in a later period.
[ "${1:-}" != --needs ] || exit 0
set -eu
cd "$(dirname "$0")/../.."

fail() { echo "FAILED: $*" >&2; exit 1; }

check() { # check OPTIONS PERIODS: a run begins so many periods after the last one at the earliest
    output=$(timeout 10 build/examples/periodic --runs=4 $1) || fail "status $?"
    echo "$output" | awk -v least="$2" '
        NR == 1 && $0 != "callback" || NR == 2 && $0 != "later" { exit 1 }
        NR <= 2 { next }
        NR % 2 == 1 { if ($3 != "begun" || $2 + 0 < last + (NR > 3 ? least : 1)) exit 1; last = $2 + 0 }
        NR % 2 == 0 { if ($3 != "done" || $2 + 0 != last) exit 1 }
        END { if (NR != 10) exit 1 }' || fail "periodic $1: $output"
}

check "--period=0.1 --work=0.25" 3
check "--period=0.1 --work=0.01" 1
check "--period=0.05 --work=0.22" 5
