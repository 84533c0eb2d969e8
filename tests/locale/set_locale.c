/* Loaded into a command before it starts: calls setlocale, as libraries that drivers bring do. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void set_locale(void) {
    char text[8];
    setlocale(LC_ALL, "");
    snprintf(text, sizeof text, "%.1f", 1.5);
    if (text[1] != *localeconv()->decimal_point)
        abort();
}
