/* Writes the manual page of the dcnv4 command to stdout, at build time. */
#include "options.h"

int main(void) {
    dcnv4i_options_manual(stdout);
    return fflush(stdout) != 0 || ferror(stdout);
}
