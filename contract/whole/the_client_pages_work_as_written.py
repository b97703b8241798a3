"""The pages of `docs/clients` work as written: each page's `sh` blocks in one shell session, beside a running `dev`.

What the text says of a block is looked for in what it printed. A page whose lines are marked as tested has blocks;
a block that nothing here holds to a promise is a failure.
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
        r"^refused: Error: getaddrinfo ENOTFOUND \S+:443$",
        r'^refused: UnauthorizedError: Error: \{"errorCode":401\d{3},"trackingId":"[^"]+","message":"Unauthorized"',
    ],
    "python.md": [
        r"^on the hub: \['env-\w+'",
        r"^enrolled: \['env-\w+'\]$",
        r"CERTIFICATE_VERIFY_FAILED",
        r"^enrolled: \['env-\w+'\]$",
    ],
}

work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
# The clients that were installed for the tests, in place of the page's `npm install` and `pip install`.
environment["PATH"] = f"{work / 'bin'}:{os.environ['CLIENTS']}/venv/bin:{environment['PATH']}"
prove_that_it_fails(work, environment)

assert os.environ["OFFICIAL_PORTS"], (
    "the Node SDK speaks to port 443 only, and this user may not listen there:\n"
    "run as root, or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443"
)
with_blocks = {page.name: blocks(page.read_text()) for page in sorted(CLIENTS.glob("*.md")) if "```sh\n" in page.read_text()}
assert with_blocks.keys() == PROMISED.keys(), f"pages with sh blocks: {sorted(with_blocks)}; held to a promise: {sorted(PROMISED)}"

for name, parts in with_blocks.items():
    folder = work / name
    folder.mkdir()
    server = Server(os.environ["LANDFALL"], folder / "data", os.environ["BIND_ADDRESS"]).start()
    try:
        said, failure = session(name, parts, folder, {**environment, "LANDFALL_DATA": str(server.data)})
        assert failure is None, failure
    finally:
        server.stop()
    text, position = "\n".join(said), 0
    for pattern in PROMISED[name]:
        found = re.compile(pattern, re.MULTILINE).search(text, position)
        assert found, f"{name}: nothing matches /{pattern}/ in what follows\n{text[position:]}"
        position = found.end()
print(f"{sum(len(parts) for parts in with_blocks.values())} blocks of {len(with_blocks)} pages passed")
