# The tier of each test, as a CTest label: short, medium or long. `ci/test short` runs the short ones, in less than two
# minutes on two cores: for use while editing. A test is short if no pattern here matches its name.

# Minutes: each golden case's kernels through the host's compiler, every program for every GPU, another build of the library.
set(dcnv4_long_tests
  "^resources\\."
  "^python\\.(example_)?hosts$"
  "^cpu_emulation\\."
  "^(windows|macos|linux|wheels)\\."
  "^golden\\.(attention\\.)?(fake_|opencl)"
  "^opencl\\.(self_check\\.gpu$|drivers\\.)"
  "^python\\.(libtorch|onnx_export)$")

# Seconds to a minute: other kernels that run on the host, simulators, Python, other projects' builds, scripts, many threads.
set(dcnv4_medium_tests
  "^(contract|gradients)\\..*\\.(fake_|opencl)"
  "^fakes\\.(callers|deploy|atomic|refused|kernels)"
  "^opencl\\.(oclgrind|members|self_check|adopt)"
  "^races\\."
  "^gpu\\.(ahead|compile_ahead|tune)"
  "^cuda\\.portable"
  "^command\\.(results|scan|tune|msda_golden.opencl)"
  "^contract\\.(threads|environment|guards)\\."
  "^instructions\\."
  "^locale\\.(opencl|cuda|hip)"
  "^consumers\\."
  "^api\\.abidiff_catches$"
  "^docs\\.readme\\.sh$"
  "^ci\\."
  "^(jax|onnxruntime)\\.fake"
  "^python\\.")

# Wraps add_test to add the label, so that every test has one without the folders knowing tiers. Where no times are recorded
# yet, CTest starts tests in the order of their costs: long ones first, so that no processor waits for one at the end.
set(dcnv4_cost_long 1000)
set(dcnv4_cost_medium 100)
set(dcnv4_cost_short 0)
function(add_test)
  _add_test(${ARGV})
  list(FIND ARGV NAME at)
  math(EXPR at "${at} + 1")
  list(GET ARGV ${at} name)
  set(tier short)
  foreach(each IN ITEMS medium long)
    foreach(pattern IN LISTS dcnv4_${each}_tests)
      if(name MATCHES "${pattern}")
        set(tier ${each})
      endif()
    endforeach()
  endforeach()
  set_tests_properties(${name} PROPERTIES LABELS ${tier} COST ${dcnv4_cost_${tier}})
endfunction()
