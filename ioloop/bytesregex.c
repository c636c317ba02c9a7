#include "ioloop/bytesregex.h"

#include <string.h>

/* What is between two NULs is neither the beginning nor the end of all: ^ and $ do not match there. */
size_t bytesregex_find_in_strings(const regex_t *regex, const char *bytes, size_t length)
{
    for (size_t begin = 0, end; begin <= length; begin = end + 1) {
        regmatch_t match;

        end = begin + strlen(bytes + begin);
        int flags = (begin > 0 ? REG_NOTBOL : 0) | (end < length ? REG_NOTEOL : 0);
        if (regexec(regex, bytes + begin, 1, &match, flags) == 0)
            return begin + (size_t)match.rm_eo;
    }
    return 0;
}

size_t bytesregex_find(const regex_t *regex, const char *bytes, size_t length)
{
#ifdef REG_STARTEND
    regmatch_t match = { .rm_so = 0, .rm_eo = (regoff_t)length };

    return regexec(regex, bytes, 1, &match, REG_STARTEND) == 0 ? (size_t)match.rm_eo : 0;
#else
    return bytesregex_find_in_strings(regex, bytes, length);
#endif
}
