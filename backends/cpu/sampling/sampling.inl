/* Sampling an image bilinearly, D channels at a time, and its gradient. Points come in as a chunk: positions and
 * weights, from wherever an operator has them. It is included after a vector_*.h, which says on what reals and with
 * which instructions. An operator whose points have gradients includes derivatives.inl as well. */
#include "image.h"
#include "../../../core/checked_math.h"

#include <stdbool.h>
#include <string.h>

#include "chunk.inl"
#include "softmax.inl"
#include "cells.inl"
#include "exact.inl"
#include "gather.inl"
#include "scatter.inl"
