"""sbom.py VERSION FOLDER: writes FOLDER/dcnv4-VERSION.spdx.json, a list in SPDX 2.3 of the archives and wheels in FOLDER and
of what is in them, with licences, by spdx-tools, which checks it too."""
import hashlib
import os
import pathlib
import sys
from datetime import datetime, timezone

from license_expression import get_spdx_licensing
from spdx_tools.spdx.model import (
    Actor, ActorType, Checksum, ChecksumAlgorithm, CreationInfo, Document, Package, Relationship, RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.write_anything import write_file

MIT = "MIT"
# What zig links into a library of its target, beside our own code: (part of the file's name, name, licence).
LINKED = (
    (".whl", "compiler-rt, as zig ships it", "MIT"),
    ("win_amd64", "mingw-w64 start-up code and import libraries", "ZPL-2.1"),
)

version, folder = sys.argv[1], pathlib.Path(sys.argv[2])
created = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc).replace(tzinfo=None)
licence = get_spdx_licensing().parse
files = sorted(path for path in folder.iterdir() if path.suffix in (".gz", ".whl"))
packages, relationships, linked = [], [], {}
for number, path in enumerate(files):
    identity = f"SPDXRef-File-{number}"
    packages.append(
        Package(
            spdx_id=identity, name=path.name, version=version, download_location=SpdxNoAssertion(), files_analyzed=False,
            checksums=[Checksum(ChecksumAlgorithm.SHA256, hashlib.sha256(path.read_bytes()).hexdigest())],
            license_concluded=licence(MIT), license_declared=licence(MIT), copyright_text="The dcnv4 authors",
        )
    )  # fmt: skip
    relationships.append(Relationship("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, identity))
    for part, name, terms in LINKED:
        if part in path.name:
            inside = linked.setdefault(name, f"SPDXRef-Linked-{len(linked)}")
            relationships.append(Relationship(identity, RelationshipType.STATIC_LINK, inside))
for part, name, terms in LINKED:
    if name in linked:
        packages.append(
            Package(
                spdx_id=linked[name], name=name, download_location=SpdxNoAssertion(), files_analyzed=False,
                license_concluded=licence(terms), license_declared=licence(terms), copyright_text=SpdxNoAssertion(),
            )
        )  # fmt: skip

digest = hashlib.sha256("".join(package.checksums[0].value for package in packages if package.checksums).encode())
document = Document(
    CreationInfo(
        spdx_version="SPDX-2.3", spdx_id="SPDXRef-DOCUMENT", name=f"dcnv4-{version}", data_license="CC0-1.0",
        document_namespace=f"https://spdx.org/spdxdocs/dcnv4-{version}-{digest.hexdigest()[:32]}",
        creators=[Actor(ActorType.TOOL, "ci/sbom.py")], created=created,
    ),
    packages=packages,
    relationships=relationships,
)  # fmt: skip
faults = validate_full_spdx_document(document)
if faults:
    sys.exit("\n".join(fault.validation_message for fault in faults))
write_file(document, str(folder / f"dcnv4-{version}.spdx.json"), validate=False)
