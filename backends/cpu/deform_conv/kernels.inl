/* One set of kernels. The file that includes this has included a vector_*.h, which says in what arithmetic and with which
 * instructions; all that is made here is static. */
#include "../kernels.h"

#include <fenv.h>
#include <string.h>

#include "../sampling/cells.inl"
#include "../sampling/careful.inl"
#include "forward.inl"
#include "../sampling/spread.inl"
#include "backward.inl"
