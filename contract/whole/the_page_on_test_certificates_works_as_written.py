"""The page on test certificates works as written: every `sh` block, in order, in one shell session."""

import os
import pathlib
import re

from document import blocks, prove_that_it_fails, session

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "test-certificates.md"

# What its blocks print, in their order.
PROMISED = [
    [r"^Certificate +dpsTestRoot_cert\.pem", r"^Key +dpsTestIntermediate_key\.pem", r"^Full chain +dpsTestDevice01_fullchain\.pem",
     r"^Certificate +verification_cert\.pem", r"^Subject +CN=07F9332E108C7D24283FB6B8A05284E6B873D43686940ACE",
     r"^warning: for tests only: the key lies unprotected in dpsTestRoot_key\.pem", r"^dpsTestDevice01_cert\.pem: OK"],
    [r"^Certificate 3: CN=dps-test-root$", r"^  Extended key usages +clientAuth$", r"(?s)Nothing wrong with it.*Nothing wrong with it"],
    [r"^dpsTestDevice01_cert\.pem: OK"],
]

work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
(work / "folder").mkdir()
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
environment["PATH"] = f"{work / 'bin'}:{environment['PATH']}"
prove_that_it_fails(work, environment)

parts = blocks(PAGE.read_text())
said, failure = session(PAGE.name, parts, work / "folder", environment)
assert failure is None, failure
assert len(parts) == len(PROMISED), f"{len(parts)} sh blocks, {len(PROMISED)} promises"
for text, patterns in zip(said, PROMISED):
    for pattern in patterns:
        assert re.search(pattern, text, re.MULTILINE), f"nothing matches /{pattern}/:\n{text}"
print(f"{len(parts)} blocks of {PAGE.name} passed in one session")
