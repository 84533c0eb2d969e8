/* Random problems on several devices, each against the reference. */
#ifndef DCNV4I_CHECK_RANDOM_H
#define DCNV4I_CHECK_RANDOM_H

#include "../devices/device_list.h"

/* Runs the cases, and prints a table and, for each failure, a command that repeats it. */
dcnv4i_exit dcnv4i_check_random(const dcnv4i_settings *settings, const dcnv4i_devices *devices);

#endif
