/* Looks for devices in a child process, where the system has such: a damaged driver can end the process that loads
 * it. */
#ifndef DCNV4I_PROBE_H
#define DCNV4I_PROBE_H

#include "../../../core/fork.h"

#include <stdbool.h>

enum { DCNV4I_MAX_DEVICES = 64 };

/* The devices that were found. */
typedef struct dcnv4i_view {
    int count;          /* devices; 0 with a reason */
    char reason[256];   /* why there is none */
    bool gpu;           /* one of them is a GPU */
    bool probe_crashed; /* the child crashed or hung: other processes that load the driver may, too */
    dcnv4_device_info info[DCNV4I_MAX_DEVICES];
} dcnv4i_view;

/* How to look for one API's devices, and the result. Static; DCNV4I_PROBE_INIT initialises the fields from lock on. */
typedef struct dcnv4i_probe {
    const char *what; /* "OpenCL", … */
    /* Whether this process has loaded the driver already: then this process looks, since the driver evidently loads,
     * and may not survive the fork that starts a child. */
    bool (*in_use)(void);
    void (*look)(dcnv4i_view *view); /* fills in the zeroed view */
    dcnv4i_fork_lock lock;
    bool looked, refused;
    dcnv4i_view view; /* valid if looked */
    dcnv4i_view none; /* valid if refused: no child could be started, and why; it is tried again */
} dcnv4i_probe;

#define DCNV4I_PROBE_INIT .lock = {0}, .looked = false

/* The result of this process's first look that succeeded. */
const dcnv4i_view *dcnv4i_probe_look(dcnv4i_probe *probe);

/* For look: reports that there is no device, and why. */
void dcnv4i_view_none(dcnv4i_view *view, const char *reason);

#endif
