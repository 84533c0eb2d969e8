/* Files, for backends/hip/hip_clang.c. */
#ifndef DCNV4I_FILE_H
#define DCNV4I_FILE_H

#include "../../../core/platform.h"

#endif
