/*
 * What Debian's static GMP asks of the C library that it was built with, and musl lacks: the checked fprintf() of its
 * messages about running out of memory. It says nothing: the program then ends by abort() all the same.
 */
#include <stdio.h>

int __fprintf_chk(FILE *out, int flag, const char *format, ...);

int __fprintf_chk(FILE *out, int flag, const char *format, ...)
{
    (void)out;
    (void)flag;
    (void)format;
    return 0;
}
