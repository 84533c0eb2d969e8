/* The check of a run's buffers. */
#ifndef DCNV4I_BUFFERS_H
#define DCNV4I_BUFFERS_H

#include "plan.h"

/* Checks that the pass's buffers are set, long enough and aligned to their elements, and that no written buffer
 * overlaps another. The buffers of tensors without elements are made empty. DCNV4_INVALID_ARGUMENT with a message. */
dcnv4_status dcnv4i_buffers_check(const dcnv4_plan *plan, dcnv4_pass pass, dcnv4i_buffers *buffers);

#endif
