/* The devices that --device names, for the commands that take several. */
#ifndef DCNV4I_DEVICE_LIST_H
#define DCNV4I_DEVICE_LIST_H

#include "../cli/options.h"

typedef struct dcnv4i_device {
    char name[64];
    char reason[256]; /* why it is missing; "" if it is there */
    bool named;       /* asked for by its name, not by "all" */
} dcnv4i_device;

typedef struct dcnv4i_devices {
    dcnv4i_device *items;
    int64_t count, room;
} dcnv4i_devices;

/* The devices of a comma-separated list of names, in which "all" stands for all that the library lists. A device that
 * is named must be available; one that only "all" includes may be missing. Names become the library's, each once. An
 * empty list stands for `standard`. After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_devices_open(const dcnv4i_list *names, const char *standard, dcnv4i_devices *devices);

void dcnv4i_devices_free(dcnv4i_devices *devices);

#endif
