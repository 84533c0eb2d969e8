#!/bin/sh
# check_includes.sh must find each of these mistakes in a copy of the tree.
#   check_includes_catches.sh ROOT WORK
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$2"
mkdir -p "$2"
work=$(cd "$2" && pwd)
cd "$1"
find include core tools backends tests -name '*.[ch]' -o -name '*.inl' -o -name '*.def' | tar -cf - -T - | tar -xf - -C "$work"
cd "$work"
mkdir -p tools/some
if ! sh "$here/check_includes.sh" .; then
    echo "the tree itself is not clean"
    exit 1
fi

tried=0 missed=0
# plant FILE LINE: the check must fail with LINE at the end of FILE.
plant() {
    existed=no
    [ ! -f "$1" ] || existed=yes
    [ $existed = no ] || cp "$1" "$1.kept"
    printf '%s\n' "$2" >>"$1"
    tried=$((tried + 1))
    if sh "$here/check_includes.sh" . >/dev/null; then
        echo "not found: $2 in $1"
        missed=$((missed + 1))
    fi
    if [ $existed = yes ]; then mv "$1.kept" "$1"; else rm "$1"; fi
}

plant include/dcnv4/dcnv4.h '#include "../../core/status.h"'
plant core/plan.c '#include "../backends/cpu/pool.h"'
plant core/plan.c '#include "../tools/tensors/npy.h"'
plant core/plan.c '#include "missing.h"'
plant core/plan.c '#include "platform/windows_text.h"'
plant core/platform/posix_files.c '#include "../plan.h"'
plant tools/tensors/npy.c '#include "../../core/element.h"'
plant tools/tensors/npy.c '#  include  "../../core/element.h"'
plant tools/tensors/npy.c '#include <dcnv4/backend.h>'
plant tools/tensors/npy.c '#include "../check/oracle.h"'
plant tools/output/verdict.h '#include "../cli/options.h"'
plant tools/some.c '#include "tensors/npy.h"'
plant tools/some/some.c '#include "../output/verdict.h"'
plant backends/reference/reference.c '#include "../../core/plan.h"'
plant backends/reference/reference.c '#include "../cpu/pool.h"'
plant backends/kernels/some.inl '#include <stddef.h>'
plant backends/kernels/some.inl '#include "../../core/status.h"'
plant backends/gpu/some.c '#include "../cpu/pool.h"'
plant backends/gpu/some.c '#include "../kernels/language/dialect_cuda.h"'
plant backends/gpu/runtime/some.c '#include "../deform_conv/geometry.h"'
plant backends/gpu/runtime/some.c '#include "../gpu.h"'
plant backends/cpu/simd/some.h '#include "../sampling/cells.inl"'
plant backends/cpu/sampling/some.inl '#include "../deform_conv/partition.h"'
plant backends/cpu/sampling/some.inl 'int64_t x = p->stride_h;'
plant backends/kernels/sampling/some.inl 'float x = DCN_STRIDE_W;'
plant backends/cuda_hip/some.c '#include "../cuda/cuda_api.h"'
plant backends/opencl/some.c '#include "../cuda_hip/cuda_hip_api.h"'
plant backends/opencl/some.c '#include "../cpu/pool.h"'
plant tools/status.h 'int x;'
cd /
rm -rf "$work"
echo "$tried mistakes tried, $missed not found"
[ "$missed" = 0 ]
