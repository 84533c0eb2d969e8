/* Checks once, before a device is used, that it computes what the reference does. */
#ifndef DCNV4I_SELF_CHECK_H
#define DCNV4I_SELF_CHECK_H

#include "context.h"

/* Compares one small layer, forward and backward, with the reference, if the backend wants it and no earlier outcome is
 * stored.
 *
 * DCNV4_DEVICE_UNAVAILABLE, which is stored, if a result differs. Other failures, such as of a kernel's build, are
 * returned as they are and not stored. Without a compiler the device stays unchecked, and this succeeds. */
dcnv4_status dcnv4i_self_check(dcnv4_context *context);

#endif
