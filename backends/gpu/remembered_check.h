/* Stores the outcome of a device's comparison with the reference (core/self_check.h): in the cache folder of the
 * kernels, or, where that is not writable, in this process. */
#ifndef DCNV4I_REMEMBERED_CHECK_H
#define DCNV4I_REMEMBERED_CHECK_H

#include "gpu.h"

/* The stored outcome for a device, which need not be open: `machine` is that of its dcnv4i_identity. *message is set if
 * the outcome is DCNV4I_CHECKED_WRONG. With DCNV4_SELF_CHECK=again, earlier outcomes are ignored. */
dcnv4i_checked dcnv4i_check_look_up(const char *machine, const dcnv4i_limits *limits,
                                    char message[DCNV4I_CHECK_MESSAGE]);

/* The functions of core/backend.h, for a backend whose devices are checked. */
dcnv4i_checked dcnv4i_gpu_check_recall(const void *gpu, char message[DCNV4I_CHECK_MESSAGE]);
void dcnv4i_gpu_check_remember(const void *gpu, dcnv4i_checked outcome, const char *message);

#endif
