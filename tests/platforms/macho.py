"""macho.py LIBRARY PROCESSOR HEADER...: checks a library for macOS, which nothing here can run: the processor, the oldest
macOS (11.0), its name (@rpath), the only library that it needs (libSystem), a signature where one is obligatory (arm64),
and that it exports exactly what the headers declare."""
import pathlib
import re
import struct
import sys

PROCESSORS = {"x86_64": 0x01000007, "aarch64": 0x0100000C}
MAGIC, EXTERNAL, TYPE, PRIVATE, UNDEFINED, STAB = 0xFEEDFACF, 0x01, 0x0E, 0x10, 0x0, 0xE0
SYMTAB, LOAD_DYLIB, ID_DYLIB, CODE_SIGNATURE, BUILD_VERSION = 0x2, 0xC, 0xD, 0x1D, 0x32


def text(data, at):
    return data[at:data.index(b"\0", at)].decode()


def commands(data):
    """The load commands, as (number, offset)."""
    magic, _, _, _, count, _, _, _ = struct.unpack_from("<8I", data)
    assert magic == MAGIC, f"not a 64-bit Mach-O file: {magic:#x}"
    at = 32
    for _ in range(count):
        number, size = struct.unpack_from("<2I", data, at)
        yield number & 0x7FFFFFFF, at
        at += size


def exports(data, at):
    own = {"___dso_handle", "__mh_dylib_header"}  # the linker's
    symbols, count, strings, _ = struct.unpack_from("<4I", data, at + 8)
    for i in range(count):
        name, kind, _, _, _ = struct.unpack_from("<IBBHQ", data, symbols + 16 * i)
        if kind & EXTERNAL and not kind & PRIVATE and kind & TYPE != UNDEFINED and not kind & STAB:
            if text(data, strings + name) not in own:
                yield text(data, strings + name)


def declared(headers):
    pattern = re.compile(r"^DCNV4_API .*[ *](dcnv4_[a-z0-9_]+)\(", re.MULTILINE)
    return {"_" + name for header in headers for name in pattern.findall(pathlib.Path(header).read_text())}


library, processor, *headers = sys.argv[1:]
data = pathlib.Path(library).read_bytes()
found = {}
for number, at in commands(data):
    found.setdefault(number, []).append(at)
assert struct.unpack_from("<I", data, 4)[0] == PROCESSORS[processor], "another processor's"
needed = [text(data, at + struct.unpack_from("<I", data, at + 8)[0]) for at in found[LOAD_DYLIB]]
assert needed == ["/usr/lib/libSystem.B.dylib"], f"it needs {needed}"
name = text(data, found[ID_DYLIB][0] + struct.unpack_from("<I", data, found[ID_DYLIB][0] + 8)[0])
assert re.fullmatch(r"@rpath/libdcnv4[.0-9]*\.dylib", name), f"its name is {name}"
platform, oldest = struct.unpack_from("<2I", data, found[BUILD_VERSION][0] + 8)
assert (platform, oldest) == (1, 11 << 16), f"platform {platform}, oldest version {oldest:#x}"
assert processor != "aarch64" or CODE_SIGNATURE in found, "it is not signed"
names, wanted = set(exports(data, found[SYMTAB][0])), declared(headers)
assert len(wanted) >= 20 and names == wanted, f"exported or declared alone: {sorted(names ^ wanted)}"
print(f"{library}: {len(names)} exports")
