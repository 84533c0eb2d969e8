/* Windows cannot copy a process as fork() does. A new one would need a program to run, and this is a library: in Python
 * that program would be Python's own. So drivers are looked for in this process. */
#include "../platform.h"

int dcnv4i_call_after_fork(void (*in_child)(void)) {
    (void)in_child;
    return 0;
}

bool dcnv4i_has_children(void) {
    return false;
}

dcnv4i_child dcnv4i_child_call(void (*work)(void *argument, void *result), void *argument, void *result, size_t size,
                               int milliseconds) {
    (void)work, (void)argument, (void)result, (void)size, (void)milliseconds;
    return (dcnv4i_child){DCNV4I_CHILD_NONE, 0, "process"};
}
