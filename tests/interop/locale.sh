#!/bin/sh
# The tests of parsers, headers, numbers and dates in a process whose locale is Turkish, where "I" and "i" are letters
# of their own and a number has a comma: nothing of HTTP depends on that.
[ "${1:-}" != --needs ] || {
    command -v localedef > /dev/null || { echo localedef; exit 1; }
    [ -e /usr/share/i18n/locales/tr_TR ] || { echo "the locale tr_TR"; exit 1; }
    exit 0
}
. "$(dirname "$0")/server.inc"

# Programs that do not ask for it have no locale.
cat > "$folder/ask.c" <<'C'
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void ask(void)
{
    char number[8];

    if (setlocale(LC_ALL, "") == NULL || snprintf(number, sizeof number, "%.1f", 0.5) < 0 || number[1] != ',')
        _Exit(99);
}
C
${CC:-cc} -shared -fPIC -o "$folder/ask.so" "$folder/ask.c" || fail "no library to ask for a locale"
localedef -i tr_TR -f UTF-8 "$folder/tr_TR.UTF-8" || fail localedef

count=0
for test in build/tests/test_http* build/tests/test_web* build/tests/test_iolog build/tests/test_netutil; do
    case $test in *.o | *.d | *hostile*) continue ;; esac
    # These compare dates with what strftime makes of them.
    case $test in *date | *server) time=C ;; *) time=tr_TR.UTF-8 ;; esac
    env -i LOCPATH="$folder" LANG=tr_TR.UTF-8 LC_TIME=$time LD_PRELOAD="$folder/ask.so" $test > "$folder/log" 2>&1 ||
        fail "$test: status $?: $(tail -n 20 "$folder/log")"
    count=$((count + 1))
done
[ $count -gt 20 ] || fail "only $count programs of tests were there"
