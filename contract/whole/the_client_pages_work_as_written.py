"""The pages of `docs/clients` work as written: each page's `sh` blocks in one shell session, beside a running `dev`.

What the text says of a block is looked for in what it printed; a page with blocks that nothing here holds to a promise
is a failure, and so is a line that does not say how it is known. Clients that follow a port in a name are run a second time against a server that is not on port 443.
"""

import os
import pathlib
import re

from document import blocks, prove_that_it_fails, session
from server import Server

CLIENTS = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "clients"

# What the blocks of a page must print, in this order, each on lines of its own.
PROMISED = {
    "curl.md": [
        r'^\{"operationId":"[^"]+","status":"assigning"\}$',
        r"^with --cacert: 404$\n^with CURL_CA_BUNDLE: 404$\n^with SSL_CERT_FILE: 404$",
        r"^told nothing, curl ends with 60$",
    ],
    "node.md": [
        r"^assigned to \d+\.\d+\.\d+\.\d+ as env-\w+$",
        r"^enrolled: env-\w+$",
        r"^refused: Error: self-signed certificate in certificate chain$",
        r"^assigned to ",
        r"^refused: Error: getaddrinfo (ENOTFOUND|EAI_AGAIN) \S+:443$",
        r'^refused: UnauthorizedError: Error: \{"errorCode":401\d{3},"trackingId":"[^"]+","message":"Unauthorized"',
    ],
    "python.md": [
        r"^on the hub: \['env-\w+'",
        r"^enrolled: \['env-\w+'\]$",
        r"CERTIFICATE_VERIFY_FAILED",
        r"^enrolled: \['env-\w+'\]$",
    ],
}

FOLLOW_A_PORT = {"curl.md", "python.md"}
# How a line of a page's table is known, at the head of its last cell.
MARKS = ("tested", "tried", "read: ")


def hold_to_marks(page):
    """Every line of a page says how it is known, and only a page with blocks that are run calls one tested."""
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ") and "known by" not in line]
    assert rows, f"{page.name} has no table"
    for row in rows:
        mark = row.rstrip("| ").rsplit(" | ", 1)[-1]
        assert mark.startswith(MARKS), f"{page.name}: nothing says how this is known: {row}"
        assert page.name in PROMISED or "tested" not in mark, f"{page.name}: no block is run, and a line is called tested: {row}"


def hold_to_promises(name, text):
    """Each promise of a page is found after the one before it."""
    position = 0
    for pattern in PROMISED[name]:
        found = re.compile(pattern, re.MULTILINE).search(text, position)
        assert found, f"{name}: nothing matches /{pattern}/ in what follows\n{text[position:]}"
        position = found.end()


def run(name, parts, official_port, folder):
    """A page's blocks beside a server of their own."""
    folder.mkdir()
    server = Server(os.environ["LANDFALL"], folder / "data", os.environ["BIND_ADDRESS"], official_port).start()
    try:
        said, failure = session(name, parts, folder, {**environment, "LANDFALL_DATA": str(server.data)})
    finally:
        server.stop()
    assert failure is None, failure
    hold_to_promises(name, "\n".join(said))


work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
# The clients that were installed for the tests, in place of the page's `npm install` and `pip install`.
environment["PATH"] = f"{work / 'bin'}:{os.environ['CLIENTS']}/venv/bin:{environment['PATH']}"
# One page looks up a name that cannot be: a machine without a resolver shall say so soon.
environment["RES_OPTIONS"] = "timeout:1 attempts:1"
prove_that_it_fails(work, environment)

assert os.environ["OFFICIAL_PORTS"], (
    "the Node SDK speaks to port 443 only, and this user may not listen there:\n"
    "run as root, or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443"
)
with_blocks = {page.name: blocks(page.read_text()) for page in sorted(CLIENTS.glob("*.md")) if "```sh\n" in page.read_text()}
assert with_blocks.keys() == PROMISED.keys(), f"pages with sh blocks: {sorted(with_blocks)}; held to a promise: {sorted(PROMISED)}"

for page in CLIENTS.glob("*.md"):
    if page.name != "README.md":
        hold_to_marks(page)

for name, parts in with_blocks.items():
    run(name, parts, True, work / name)
    if name in FOLLOW_A_PORT:
        run(name, parts, False, work / f"{name}-on-another-port")
print(f"{sum(len(parts) for parts in with_blocks.values())} blocks of {len(with_blocks)} pages passed, {len(FOLLOW_A_PORT)} pages also on another port")
