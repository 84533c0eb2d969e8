#!/bin/sh
# ci/gpu's report, from programs that print what the real ones do: with every tool, with none, and of a GPU whose results are wrong.
#   gpu_report.sh ROOT WORK
set -eu
rm -rf "$2"
mkdir -p "$2/tree/ci" "$2/base" "$2/tools"
work=$(cd "$2" && pwd)
cp "$1"/ci/gpu "$1"/ci/gpu_* "$work/tree/ci"

# ---- Programs ---------------------------------------------------------------------------------------------------------

for program in awk bash cat cp cut date dirname env find grep head ls mkdir mv paste rm sed sh sleep sort tail timeout tr uname; do
    ln -s "$(command -v $program)" "$work/base/$program"
done
# program FOLDER NAME: makes one from its text in bash.
program() {
    { echo "#!/bin/bash" && cat; } >"$work/$1/$2"
    chmod +x "$work/$1/$2"
}
program base cc </dev/null
program base nproc <<'END'
echo 1
END
program base cmake <<'END'
mkdir -p build-gpu/tests/golden
cp "$WORK/dcnv4" build-gpu
for test in golden golden_attention; do cp "$WORK/dcnv4" build-gpu/tests/golden/test_$test; done
END
program base ctest <<'END'
[ -n "${WRONG-}" ] || { echo "100% tests passed, 0 tests failed out of 5"; exit 0; }
cat <<'OUTPUT'
1/5 Test  #5: golden.cuda ......................***Failed   30.67 sec
devices: cuda:0
cuda:0, float32, /somewhere/tests/golden/cases/batch_prime, output: element 0 is -5.07, expected -6.59; the error 1.53 is over 0.000187

The following tests FAILED:
	  5 - golden.cuda (Failed)
OUTPUT
exit 8
END
program . dcnv4 <<'END'
case "$*" in
*--json*)
    echo '{"dcnv4": "0.1.0", "devices": [{"name": "cpu", "backend": "cpu", "description": "processors", "features": "avx2", "reason": "", "available": true, "units": 2, "memory": 0}, {"name": "opencl:0", "backend": "opencl", "description": "NVIDIA H200, OpenCL 3.0 CUDA", "features": "", "reason": "", "available": true, "units": 132, "memory": 1}, {"name": "cuda:0", "backend": "cuda", "description": "NVIDIA H200, CUDA 13.0", "features": "sm_90", "reason": "", "available": true, "units": 132, "memory": 1}]}'
    ;;
check*)
    if [ -n "${WRONG-}" ]; then
        echo "failed: dcnv4 check --device cuda:0 --dtype f16 --seed 5 --cases 1  # grad_value[0, 0, 10, 17] is -0.002, right is -0.016 ± 7.6e-06"
        echo "cuda:0              4    0.0312         1.32         0.000823  1 FAILED"
        exit 1
    fi
    echo "device          cases    output  grad_value grad_offset_mask"
    echo "cuda:0              4    0.0312       0.132         0.000823  ok"
    ;;
bench*--list*) echo '{"problems": []}' ;;
bench*)
    echo "problem                  pass      device        threads    min ms median ms    max ms    GB/s  floor ms by      of it    error"
    echo "64×56×56 · 4×32          forward   cuda:0              -    0.0800    0.0870    0.0900 1655.00    0.0550 loads   0.632  2.1e-04"
    echo "64×56×56 · 4×32          backward  cuda:0              -    0.2800    0.2920    0.3000  500.00    0.0570 memory  0.195  2.1e-04"
    ;;
esac
END
program tools nvidia-smi <<'END'
echo "NVIDIA H200, 580.159.04, 143771 MiB, 1980 MHz"
END
program tools python3 <<'END'
case "$*" in
*models.py*) echo "| forward, batch 64 | FlashInternImage-T | 20 | 19 | 3200.00 | 1.000 |" ;;
*compare.py*) echo "| 64×56×56 · 4×32 | f16 | forward | 87.0 | 173.0 | 1.99 | 2.0e-05 |" ;;
*modules.py*) echo "| the library through ctypes | 2.1 |" ;;
esac
END
program tools ncu <<'END'
[[ "$*" == *" --kernel-id ::regex:"*":3 "* ]] || exit 1
cat <<'OUTPUT'
==PROF== Connected to process 4242 (/somewhere/dcnv4)
==PROF== Profiling "dcn_forward" - 0: 0%....50%....100% - 7 passes
"ID","Process ID","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value","Rule Description"
"0","4242","dcn_forward(const void *, long)","Command line profiler metrics","smsp__inst_executed.sum","inst","22,735,104",""
"0","4242","dcn_forward(const void *, long)","Occupancy","","","","Calculated, and measured ""achieved"" occupancy"
"1","4242","void dcn_points(const void *, long)","Command line profiler metrics","smsp__inst_executed.sum","inst","30,000,000",""
OUTPUT
END
program tools compute-sanitizer <<'END'
case ${SANITIZER-} in
unsupported) echo "========= Error: Device not supported." && exit 1 ;;
*) echo "========= ERROR SUMMARY: 0 errors" ;;
esac
END

# ---- Runs ---------------------------------------------------------------------------------------------------------------

mkdir "$work/original"
: >"$work/original/ext.so"
# reported NAME STATUS PATH ARGUMENTS…: runs ci/gpu in the copied tree with an empty environment, and expects its exit status.
reported() {
    name=$1 status=$2 path=$3 code=0
    shift 3
    (cd "$work/tree" && env -i PATH="$path" HOME=/nowhere CUDA_PATH=/nowhere WORK="$work" WRONG="${WRONG-}" SANITIZER="${SANITIZER-}" \
        ci/gpu ${devices:+--devices $devices} --commit abc --cases 4 --attention d_fine --output "$work/$name" "$@") >"$work/$name.log" 2>&1 || code=$?
    report=$work/$name/NVIDIA-H200.md
    [ $code = "$status" ] || { cat "$work/$name.log"; echo "$name: exit status $code, not $status"; exit 1; }
}
# has TEXT: the report has this.
has() {
    grep -qF -- "$1" "$report" || { cat "$report"; echo "$name: the report lacks: $1"; exit 1; }
}
# lacks TEXT
lacks() {
    ! grep -qF -- "$1" "$report" || { cat "$report"; echo "$name: the report has: $1"; exit 1; }
}

devices=cuda:0
reported complete 0 "$work/tools:$work/base" --original "$work/original" --tune small
has "Nothing failed."
has "with version abc."
has "NVIDIA H200, 580"
has "4 cases ended; worst share of the bound: output 0.0312, grad_value 0.132, grad_offset_mask 0.000823"
has "| dcnv4 --preset paper --dtype f16 | cuda:0 | forward | 1 | 0.632 | 0.632 | 0.632 |"
has "| msda --preset d_fine --dtype bf16 --pass backward --deterministic | cuda:0 | backward | 1 |"
has "| forward, batch 64 | FlashInternImage-T"
has "| the library through ctypes"
has "| 64×56×56 · 4×32 | f16 | forward | 87.0"
has "| | dcn_forward | dcn_points |"
has "| smsp__inst_executed.sum (inst) | 22,735,104 | 30,000,000 |"
has "========= ERROR SUMMARY: 0 errors"
lacks "Not run"
lacks "Not finished"
[ "$(grep -c '| ok |$' "$report")" = 13 ] || { cat "$report"; echo "not all 13 steps are ok"; exit 1; }

# OpenCL's devices come after CUDA's, which alone has tools.
devices=
reported both 0 "$work/tools:$work/base" --steps golden,random,counters
has "^(golden(\.all|\.attention)?|contract\.(nan|shapes|attention))\.(cuda|opencl)\$"
has "msda, opencl:0, bf16, 4 problems by 1 processes: ok"
has "| smsp__inst_executed.sum (inst) | 22,735,104 |"
devices=cuda:0

# Without tools, one line for each; nothing else changes.
reported bare 0 "$work/base" --original "$work/original"
has "Nothing failed of what was run to its end."
has "Not shown: the GPU's clocks, since nvidia-smi is not installed."
for absent in "python3 has no PyTorch that finds a GPU" "ncu is not installed" "compute-sanitizer is not installed"; do
    has "Not run: $absent."
done
has "4 of 12 steps were left out or stopped, as the table says."
has "| msda --preset d_fine --dtype bf16 --pass backward --deterministic |"

# Tools that refuse this GPU are no failure of the library.
program tools ncu <<'END'
echo "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters"
exit 1
END
SANITIZER=unsupported reported refused 0 "$work/tools:$work/base" --steps counters,sanitizer
has "Nothing failed of what was run to its end."
has "| ncu failed with 1 |"
has "ERR_NVGPUCTRPERM"
has "| compute-sanitizer itself failed |"
[ "$(grep -c "Device not supported" "$report")" = 1 ] || { cat "$report"; echo "one refusal is not one line"; exit 1; }
lacks "Times"

# Wrong results stand before all else, with the case's name, or with what repeats a random one; times are left out.
WRONG=yes reported wrong 1 "$work/tools:$work/base"
[ "$(sed -n 3p "$report")" = "**Wrong results:**" ] || { cat "$report"; echo "the report does not begin with wrong results"; exit 1; }
[ "$(sed -n 5p "$report" | cut -c1-46)" = "- cuda:0, float32, cases/batch_prime, output: " ] ||
    { cat "$report"; echo "no golden case is named first"; exit 1; }
sed -n 6p "$report" | grep -qF "failed: dcnv4 check --device cuda:0 --dtype f16 --seed 5 --cases 1  # grad_value" ||
    { cat "$report"; echo "no random problem is named"; exit 1; }
has "Not run: the results are wrong, which comes first."
lacks "64×56×56 · 4×32"
has "========= ERROR SUMMARY: 0 errors"
echo "5 reports are as they should be"
