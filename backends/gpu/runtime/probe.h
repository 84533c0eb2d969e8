/* Looking for devices from a child process: a damaged driver can end the process that loads it. */
#ifndef DCNV4I_PROBE_H
#define DCNV4I_PROBE_H

#include "../../../core/fork.h"

#include <stdbool.h>

enum { DCNV4I_MAX_DEVICES = 64 };

/* What was seen. */
typedef struct dcnv4i_view {
    int count;          /* devices; 0 with a reason */
    char reason[256];   /* why there is none */
    bool gpu;           /* one of them is a GPU */
    bool probe_crashed; /* the child did not come back: whoever loads the driver may not either */
    dcnv4_device_info info[DCNV4I_MAX_DEVICES];
} dcnv4i_view;

/* How to look at one API's devices, and what was seen; static, with the fields from lock on left to DCNV4I_PROBE_INIT. */
typedef struct dcnv4i_probe {
    const char *what; /* "OpenCL", … */
    /* Whether this process has the driver already: then it is asked here, since it has shown that it loads, and may not
     * survive the fork that starts a child. */
    bool (*in_use)(void);
    void (*look)(dcnv4i_view *view); /* fills in the zeroed view */
    dcnv4i_fork_lock lock;
    bool looked, refused;
    dcnv4i_view view; /* once looked */
    dcnv4i_view none; /* once refused: no child could be had, and why; it is tried again */
} dcnv4i_probe;

#define DCNV4I_PROBE_INIT .lock = {0}, .looked = false

/* What was seen when this process first could look. */
const dcnv4i_view *dcnv4i_probe_look(dcnv4i_probe *probe);

/* For look: there is no device, and why. */
void dcnv4i_view_none(dcnv4i_view *view, const char *reason);

#endif
