/* The end of dcnv4i_child_call that runs in the child, for its program alone, windows_child_program.c. */
#ifndef DCNV4I_WINDOWS_CHILD_H
#define DCNV4I_WINDOWS_CHILD_H

#include <dcnv4/runtime.h>

/* Does what the parent wants done, and ends the process; returns only if no parent started it. */
DCNV4_API int dcnv4i_child_main(void);

#endif
