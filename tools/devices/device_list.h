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

/* The devices of a list of names with commas, "all" among them or alone: all that the library lists. A device that a name
 * asks for must be there; one that only "all" brings in may be missing. Names become those that the library gives, each
 * once. standard is taken for an empty list. After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_devices_open(const dcnv4i_list *names, const char *standard, dcnv4i_devices *devices);

void dcnv4i_devices_free(dcnv4i_devices *devices);

#endif
