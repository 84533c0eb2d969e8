"""test_command.py RUN PREFIX BUILD COMPILE GOLDEN WORK: the dcnv4 command for Windows, run by wine. RUN runs a program, PREFIX is
wine's folder, BUILD has dcnv4.exe and the stand-ins, COMPILE is compile_kernel, GOLDEN is a golden case, and WORK is emptied."""
import array
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

RUN, PREFIX, BUILD, COMPILE, GOLDEN, WORK = (pathlib.Path(each).resolve() for each in sys.argv[1:])
STANDINS = BUILD / "tests" / "platforms" / "windows"
FOLDER = WORK / "Ordner \u00fc \u6570\u636e"
LAYER = ["--value", "value \u00fc.npy", "--offset-mask", "offset_mask.npy", "--groups", "2"]
FORWARD = ["forward", *LAYER, "--device", "cpu", "--output"]
BACKWARD = ["backward", *LAYER, "--grad-output", "grad_output.npy", "--device", "cpu", "--grad-value"]


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


def command(*arguments, status=0, says="", program=BUILD / "dcnv4.exe", **environment):
    ran = subprocess.run([RUN, program, *arguments], cwd=FOLDER, capture_output=True, timeout=300,
                         env={**os.environ, **environment})
    out, err = ran.stdout.decode(), ran.stderr.decode()
    assert ran.returncode == status and says in out + err, f"{arguments}: {ran.returncode}, not {status}: {out}{err}"
    assert "\r" not in out + err, f"{arguments}: lines end in \\r\\n"
    assert status == 0 or (out == "" and err.startswith("dcnv4: ") and err.count("\n") == 1), f"{arguments}: {out}{err}"
    return out


def floats(path):
    data = path.read_bytes()
    start = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:start].decode()
    return list(array.array("d" if "<f8" in header else "f", data[start:]))


def assert_close(name, expected):
    got, wanted = floats(FOLDER / name), floats(GOLDEN / expected)
    assert len(got) == len(wanted) and max(map(abs, wanted)) > 0.1
    worst = max(abs(a - b) for a, b in zip(got, wanted))
    assert worst < 1e-4, f"{name}: {worst} from {expected}"


def files():
    return sorted(each.name for each in FOLDER.iterdir())


def the_processor_is_used():
    features = pathlib.Path("/proc/cpuinfo").read_text()
    widest = "avx512" if "avx512f" in features else "avx2" if "avx2" in features else "portable"
    command("info", says=f"with {widest} instructions")


def results_are_golden():
    (FOLDER / "out \u6570.npy").write_text("an old file")
    command(*FORWARD, "out \u6570.npy")
    assert_close("out \u6570.npy", "output.npy")
    command(*FORWARD, "../" + FOLDER.name + "/out.npy")
    assert (FOLDER / "out.npy").read_bytes() == (FOLDER / "out \u6570.npy").read_bytes()
    command(*BACKWARD, "gv.npy", "--grad-offset-mask", "gom.npy")
    assert_close("gv.npy", "grad_value.npy")
    assert_close("gom.npy", "grad_offset_mask.npy")


# Windows replaces no file that a program has open.
def both_files_are_written_or_none():
    (FOLDER / "gv.npy").write_text("before")
    before = files()
    holder = subprocess.Popen([RUN, STANDINS / "hold_open.exe", "gom.npy"], cwd=FOLDER, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"open"
    command(*BACKWARD, "gv.npy", "--grad-offset-mask", "gom.npy", status=1, says="gom.npy was not written: Permission denied")
    holder.communicate()
    assert holder.returncode == 0
    assert (FOLDER / "gv.npy").read_text() == "before" and files() == before, files()
    assert_close("gom.npy", "grad_offset_mask.npy")
    command(*BACKWARD, "gv.npy", "--grad-offset-mask", "gom.npy")
    assert_close("gv.npy", "grad_value.npy")


def bad_paths_are_refused():
    before = files()
    for name, why in {"NUL": "is a device", ".": "is a directory", "no/x.npy": "the folder is missing",
                      "value \u00fc.npy": "inputs are not written over", "": ""}.items():
        command(*FORWARD, name, status=2, says=why)
    command("forward", "--value", ".", *LAYER[2:], "--output", "x.npy", status=2, says=". is a directory")
    command("forward", "--value", "no.npy", *LAYER[2:], "--output", "x.npy", status=2, says="no.npy: No such file")
    assert files() == before, files()


def numbers_have_points():
    out = json.loads(command("bench", "--size", "1x8x8", "--groups", "1", "--group-channels", "16", "--device", "cpu",
                             "--pass", "forward", "--spread", "0.5", "--runs", "3", "--format", "json", LC_ALL="de_DE.UTF-8"))
    assert out["machine"]["system"] == "Windows" and out["results"][0]["error"] < 1e-5, out
    command("check", "--cases", "5", "--device", "cpu", says="ok", LC_ALL="de_DE.UTF-8")


def pictures_want_libpng():
    command("plot", *LAYER, "--at", "2,2", "--output", "\u00fc.png", status=3, says="without libpng")
    command("bench", "--size", "1x4x4", "--groups", "1", "--group-channels", "8", "--device", "cpu", "--runs", "3",
            "--pass", "forward", "--plot", "\u00fc.svg")
    assert (FOLDER / "\u00fc.svg").read_text(encoding="utf-8").startswith("<svg")
    (FOLDER / "\u00fc.svg").unlink()


CUDA = {"WINEPATH": windows_path(STANDINS / "cuda")}
OPENCL = {"WINEPATH": windows_path(STANDINS / "opencl"), "WINEDLLOVERRIDES": "opencl=n"}  # n: not wine's own


@contextlib.contextmanager
def in_the_system(name):
    """A library without any driver's functions, in the system's folder under this name."""
    path = PREFIX / "drive_c" / "windows" / "system32" / name
    same = [each for each in path.parent.iterdir() if each.name.lower() == name.lower()]
    for each in same:
        each.rename(each.with_name(each.name + ".kept"))
    shutil.copy(STANDINS / "found" / "nvcuda.dll", path)
    try:
        yield
    finally:
        path.unlink()
        for each in same:
            each.with_name(each.name + ".kept").rename(each)


# The stand-ins for drivers are in a folder of PATH, and libraries that leave a file behind in the current folder.
def drivers_come_from_the_system_first():
    names = ["nvcuda", "nvrtc64_120_0", "OpenCL", "amdhip64", "amdhip64_6", "hiprtc0604"]
    for name in names:
        shutil.copy(STANDINS / "planted.dll", FOLDER / f"{name}.dll")
    command("info", says="nvcuda.dll: not found, error 126")
    command("info", says="cuda:0", **CUDA)
    command("info", says="(error 100 from cuInit)", FAKE_CUDA="no_device", **CUDA)
    command("info", says="is the driver of CUDA 10.2", FAKE_CUDA="old_driver", **CUDA)
    with in_the_system("nvcuda.dll"):
        command("info", says="is too old: it has no cu", **CUDA)
    command("info", says="OpenCL.dll: not found", WINEDLLOVERRIDES="opencl=n")
    command("info", says="opencl:0", **OPENCL)
    command("info", says="1 OpenCL platform is installed, with 0 devices", FAKE_OPENCL="no_device", **OPENCL)
    with in_the_system("OpenCL.dll"):
        command("info", says="has no clGetPlatformIDs", **OPENCL)
    assert not (FOLDER / "planted.txt").exists(), "a library of the current folder was loaded"
    for name in names:
        (FOLDER / f"{name}.dll").unlink()


# dcnv4-probe.exe looks for devices. Without it the program does, and ends with the driver.
def a_driver_may_end_the_process():
    ended = "driver ended the process that loaded it"
    illegal_instruction = f" (exception {0xC000001D - (1 << 32)})"
    for variant, how in {"abort": "", "exit": "", "trap": illegal_instruction}.items():
        command("info", says=f"the OpenCL {ended}{how}", FAKE_OPENCL=variant, **OPENCL)
    command("info", says=f"the CUDA {ended}", FAKE_CUDA="abort", **CUDA)
    command("forward", *LAYER, "--device", "opencl:0", "--output", "x.npy", status=3, says=ended, FAKE_OPENCL="abort", **OPENCL)
    out = command("info", FAKE_OPENCL="prints", **OPENCL)
    assert "opencl:0" in out and "what a driver prints" not in out, out
    alone = WORK / "alone"
    alone.mkdir()
    for name in ("dcnv4.exe", "dcnv4.dll"):
        shutil.copy(BUILD / name, alone)
    command("info", says="opencl:0", program=alone / "dcnv4.exe", **OPENCL)
    ran = subprocess.run([RUN, alone / "dcnv4.exe", "info"], cwd=FOLDER, capture_output=True, timeout=300,
                         env={**os.environ, **OPENCL, "FAKE_OPENCL": "abort"})
    assert ran.returncode != 0 and ended not in ran.stdout.decode(), ran


# The folder of the program counts, which is another one than dcnv4-probe.exe's where dcnv4.dll is found by PATH.
def drivers_may_lie_beside_the_program():
    beside = WORK / "beside"
    beside.mkdir()
    shutil.copy(BUILD / "dcnv4.exe", beside)
    shutil.copy(STANDINS / "cuda" / "nvcuda.dll", beside)
    command("info", says="cuda:0", program=beside / "dcnv4.exe", WINEPATH=windows_path(BUILD))


# What compiles for the stand-in, outside of wine: it is handed the kernels' texts in a folder.
class Compiler(threading.Thread):
    def __init__(self):
        super().__init__()
        self.folder = WORK / "texts"
        self.folder.mkdir()
        self.ended = threading.Event()
        self.compiled = 0

    def run(self):
        while not self.ended.wait(0.02):
            for text in sorted(self.folder.glob("*.text")):
                if not text.with_suffix(".done").exists():
                    subprocess.run([COMPILE, text.with_suffix("")], check=True)
                    self.compiled += 1


# Kernels are kept below %LOCALAPPDATA%, which wine sets itself, so that a second program compiles none.
def kernels_run_and_are_kept():
    compiler = Compiler()
    device = {**CUDA, "FAKE_COMPILER_FOLDER": windows_path(compiler.folder), "DCNV4_SELF_CHECK": "off"}
    cache = PREFIX / "drive_c" / "users"
    for kept in cache.glob("*/AppData/Local/dcnv4"):
        shutil.rmtree(kept)
    compiler.start()
    try:
        command("forward", *LAYER, "--device", "cuda:0", "--output", "cuda.npy", **device)
    finally:
        compiler.ended.set()
        compiler.join()
    assert_close("cuda.npy", "output.npy")
    assert compiler.compiled > 0 and list(cache.glob("*/AppData/Local/dcnv4/*.kernel"))
    command("forward", *LAYER, "--device", "cuda:0", "--output", "again.npy", **device, DCNV4_COMPILER="off")
    assert (FOLDER / "again.npy").read_bytes() == (FOLDER / "cuda.npy").read_bytes()


shutil.rmtree(WORK, ignore_errors=True)
FOLDER.mkdir(parents=True)
for tensor in ("value", "offset_mask", "grad_output"):
    shutil.copy(GOLDEN / f"{tensor}.npy", FOLDER / ("value \u00fc.npy" if tensor == "value" else f"{tensor}.npy"))
os.environ.pop("WINEPATH", None)
for test in (the_processor_is_used, results_are_golden, both_files_are_written_or_none, bad_paths_are_refused,
             numbers_have_points, pictures_want_libpng, drivers_come_from_the_system_first, a_driver_may_end_the_process,
             drivers_may_lie_beside_the_program, kernels_run_and_are_kept):
    test()
    print(test.__name__)
