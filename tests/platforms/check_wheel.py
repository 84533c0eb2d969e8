"""check_wheel.py WHEEL: what a wheel holds, and whether its library fits the platform that the wheel's name says: its size,
what it needs, what it exports, and (Linux) the versions of the C library's symbols, by auditwheel."""
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS = sorted(map(str, (ROOT / "include" / "dcnv4").glob("*.h")))
LARGEST = 1_500_000  # bytes of a wheel
NEEDED = {  # the libraries that every system of this kind has
    "win": r"KERNEL32\.dll|ntdll\.dll|ADVAPI32\.dll|SHELL32\.dll|api-ms-win-crt-[a-z0-9-]+\.dll",
    "manylinux": r"lib(c|m|dl|pthread)\.so\.\d|ld-linux-(x86-64|aarch64)\.so\.\d",
    "musllinux": r"libc\.so",
}


def run(*command):
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert ran.returncode == 0, f"{command[0]}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def declared():
    pattern = re.compile(r"^DCNV4_API .*[ *](dcnv4_[a-z0-9_]+)\(", re.MULTILINE)
    return {name for header in HEADERS for name in pattern.findall(pathlib.Path(header).read_text())}


def check_library(library, platform):
    if platform.startswith("macosx"):
        processor = "aarch64" if platform.endswith("arm64") else "x86_64"
        return run(sys.executable, ROOT / "tests" / "platforms" / "macho.py", library, processor, *HEADERS)
    if platform.startswith("win"):
        listing = run("objdump", "-p", library)
        needed = re.findall(r"DLL Name: (\S+)", listing)
        exported = set(re.findall(r"(dcnv4_\w+)$", listing, re.MULTILINE))
    else:
        listing = run("readelf", "--wide", "--dynamic", "--dyn-syms", library)
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", listing)
        exported = set(re.findall(r"FUNC +GLOBAL +DEFAULT +\d+ (\w+)$", listing, re.MULTILINE)) - {"_init", "_fini"}
    kind = re.match("[a-z]+", platform).group()
    others = [name for name in needed if not re.fullmatch(NEEDED[kind], name)]
    assert needed and not others, f"{library.name} needs {others or 'nothing'}"
    assert exported == declared(), f"exported or declared alone: {sorted(exported ^ declared())}"


wheel = pathlib.Path(sys.argv[1])
platforms = wheel.stem.split("-")[4].split(".")
size = wheel.stat().st_size
assert size <= LARGEST, f"{wheel.name} has {size} bytes; {LARGEST} are the most"
with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder)
    names = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = ROOT / "bindings" / "python"
    modules = {str(path.relative_to(source)) for path in (source / "dcnv4").rglob("*.py")} | {"dcnv4/py.typed"}
    assert modules <= names, f"missing: {sorted(modules - names)}"
    programs = {"dcnv4/dcnv4-probe.exe"} if platforms[0].startswith("win") else set()
    assert programs <= names, f"missing: {sorted(programs - names)}"
    libraries = sorted(names - modules - programs)
    assert libraries and all(re.fullmatch(r"dcnv4/(lib)?dcnv4\w*\.(so|dylib|dll)", name) for name in libraries), libraries
    own = [name for name in libraries if re.fullmatch(r"dcnv4/(lib)?dcnv4\.\w+", name)]
    assert len(own) == 1, libraries
    check_library(pathlib.Path(folder) / own[0], platforms[0])
    # The folder of a build is another one each time, and nowhere else: where libraries look for others, and in what a
    # debugger needs.
    contents = {name: (pathlib.Path(folder) / name).read_bytes() for name in libraries}
    named = [name for name, data in contents.items() if re.search(rb"[._]debug_info|/build/", data)]
    assert not named, f"the build's folder is in {named}"
    lost = [name for name, data in contents.items() if name not in own and b"@loader_path" not in data]
    assert not (lost and platforms[0].startswith("macosx")), f"does not look beside it: {lost}"
    # With musl the library needs no version of a symbol; and auditwheel stops at glibc's libc.so, which is a text.
    if platforms[0].startswith("manylinux"):
        shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
        lowest = re.search(r'"(manylinux_\d+_\d+_\w+)"', shown.replace("\n", " "))
        assert lowest, shown
        reached = [int(part) for part in lowest.group(1).split("_")[1:3]]
        wanted = [int(part) for part in platforms[-1].split("_")[1:3]]
        assert reached <= wanted, f"{wheel.name} needs {lowest.group(1)}"
print(f"{wheel.name}: {size} bytes, {', '.join(libraries)}")
