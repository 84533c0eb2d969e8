/* Whether a device computes what the reference does, asked once before it is used. */
#ifndef DCNV4I_SELF_CHECK_H
#define DCNV4I_SELF_CHECK_H

#include "context.h"

/* Compares one small layer, forward and backward, with the reference, if the backend asks for it and nothing is remembered of
 * an earlier comparison.
 *
 * DCNV4_DEVICE_UNAVAILABLE, which is remembered, if a result differs. What else fails, such as a kernel's build, is reported as
 * what it is and not remembered. Where there is no compiler, the device stays unchecked, and this is a success. */
dcnv4_status dcnv4i_self_check(dcnv4_context *context);

#endif
