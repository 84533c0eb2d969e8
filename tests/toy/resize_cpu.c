/* On the cpu. */
#include "resize.h"
