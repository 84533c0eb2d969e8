/* In place of opencl_vendors.c on Windows, where the loader finds drivers in the registry. */
#include "opencl_devices.h"

void dcnv4i_opencl_vendors_complain(char *text, size_t room) {
    (void)room;
    text[0] = '\0';
}
