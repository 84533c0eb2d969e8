"""Makes the folder that the package `kernels` loads, from a wheel.

    python make_kernel.py dcnv4-X.Y.Z-py3-none-linux_x86_64.whl OUTPUT [--backend cpu]

kernels.get_local_kernel(pathlib.Path(OUTPUT)) is then this package. The folder needs PyTorch 2.9 or newer, as its name says.
"""

import argparse
import hashlib
import json
import pathlib
import re
import zipfile

ABI = "29"  # of PyTorch's stable interface, the oldest that kernels names; the package does not use it


def variant_of(wheel: pathlib.Path, backend: str) -> str:
    """The folder's name for a wheel's platform: torch-stable-abi29-cpu-x86_64-linux."""
    platform = wheel.stem.split("-")[-1]
    found = re.search(r"(linux|macosx|win)\w*?_(x86_64|aarch64|arm64|amd64)", platform)
    if not found:
        raise SystemExit(f"make_kernel: {wheel.name} is for {platform}, which kernels does not know")
    system = {"linux": "linux", "macosx": "darwin", "win": "windows"}[found.group(1)]
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(found.group(2), found.group(2))
    return f"torch-stable-abi{ABI}-{backend}-{machine}-{system}"


def make(wheel: pathlib.Path, output: pathlib.Path, backend: str) -> pathlib.Path:
    folder = output / "build" / variant_of(wheel, backend)
    folder.mkdir(parents=True)
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        if name.startswith("dcnv4/") and not name.endswith("/"):
            target = folder / name.split("/", 1)[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    kind = re.sub(r"[^a-z]", "", backend.rstrip("0123456789")) or "cpu"
    metadata = {
        "name": "dcnv4",
        # Also the module's name: one for each content, so that two versions may be loaded beside each other.
        "id": f"_dcnv4_{backend}_{hashlib.sha256(wheel.read_bytes()).hexdigest()[:8]}",
        "version": 1,
        "license": "MIT",
        "python-depends": [],
        "backend": {"type": {"cu": "cuda"}.get(kind, kind)},
    }
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--backend", default="cpu", help="as kernels writes it: cpu, cu128, rocm71, …")
    given = parser.parse_args()
    print(make(given.wheel, given.output, given.backend))
