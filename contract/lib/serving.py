"""One `landfall serve` of its own: its certificates by openssl, its configuration, its log, stopped by pid.

For tests of `serve` itself; everything else runs against `landfall dev`. Nothing here knows what is tested.
"""

import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

from server import READY_WITHIN_SECONDS, STOPPED_WITHIN_SECONDS, ContractError, free_port

SEEN_WITHIN_SECONDS = 30
KEYS = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["-newkey", "rsa:2048"]}


def openssl(*words, **options):
    """Runs openssl and gives what it printed."""
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, **options)
    if done.returncode != 0:
        raise ContractError(f"openssl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Authority:
    """A root whose files lie in `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root = self.folder / "root.pem"
        openssl("req", "-x509", *KEYS["ecdsa"], "-nodes", "-days", "30", "-subj", "/CN=Contract root",
                "-keyout", str(self.folder / "root-key.pem"), "-out", str(self.root))

    def issue(self, stem, names, kind="ecdsa", days=20, subject=None):
        """Makes `stem`.pem and `stem`-key.pem for `names`, written as subjectAltName writes them."""
        request, extensions = self.folder / f"{stem}.csr", self.folder / f"{stem}.ext"
        chain, key = self.folder / f"{stem}.pem", self.folder / f"{stem}-key.pem"
        openssl("req", *KEYS[kind], "-nodes", "-subj", f"/CN={subject or stem}", "-keyout", str(key), "-out", str(request))
        extensions.write_text(f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", str(request), "-CA", str(self.root), "-CAkey", str(self.folder / "root-key.pem"),
                "-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(chain))
        return chain, key


class Serving:
    """A `landfall serve` in `folder`, on `address`; its configuration is `settings` and what it needs."""

    def __init__(self, binary, folder, address):
        self.binary = str(binary)
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.config = self.folder / "landfall.toml"
        self.address = address
        self.port = free_port(address)
        self.admin = f"127.0.0.1:{free_port()}"
        self.log = self.folder / "serve.log"
        self.process = None
        # What the server is started by, for those that are to run elsewhere than here.
        self.before = []

    def configure(self, certificates, services=(), more=""):
        """Writes the configuration: (chain, key) pairs, (name, host, hub) triples, lines below [https]."""
        text = [f'data_dir = "{self.data}"', "[https]", f'listen = ["{self.address}:{self.port}"]', more]
        for chain, key in certificates:
            text += ["[[https.certificates]]", f'chain = "{chain}"', f'key = "{key}"']
        text += ["[admin]", f'listen = "{self.admin}"', "[log]", 'format = "json"']
        for name, host, hub in services:
            text += ["[[services]]", f'name = "{name}"', f'host_name = "{host}"', f'hub_host_name = "{hub}"']
        self.config.write_text("\n".join(text) + "\n")
        return self

    def launch(self, *words, environment=(), **options):
        """Starts it; whoever calls waits."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LANDFALL_", "LISTEN_", "NOTIFY_"))}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.before, self.binary, "serve", "--config", str(self.config), *words], cwd=self.folder,
                env={**clean, **dict(environment)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options,
            )
        return self

    def start(self, *words, **options):
        """Starts it and waits until it is ready."""
        self.launch(*words, **options)
        return self.wait_until_ready()

    def wait_until_ready(self):
        """Waits until it says that it can serve."""
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while self.ask("/readyz")[0] != 200:
            if self.process.poll() is not None:
                raise ContractError(f"the server left with {self.process.returncode}:\n{self.text()}")
            if time.monotonic() > deadline:
                raise ContractError(f"not ready within {READY_WITHIN_SECONDS} s:\n{self.text()}")
            time.sleep(0.02)
        return self

    def refused(self, *words, **options):
        """Starts what must not start, and gives its status and what it said."""
        self.log.unlink(missing_ok=True)
        self.launch(*words, **options)
        try:
            status = self.process.wait(READY_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise ContractError(f"it started although it must not:\n{self.text()}") from None
        return status, self.text()

    def ask(self, path):
        """Status, content type and body of a path of the admin listener."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()
        except OSError:
            return None, None, None

    def shown(self, *words, name=None):
        """The subject that openssl is shown when it connects with `words`; None when there is no session."""
        called = ["-servername", name] if name else ["-noservername"]
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{self.address}:{self.port}", *called, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        if "BEGIN CERTIFICATE" not in done.stdout:
            return None
        begin, end = done.stdout.index("-----BEGIN"), done.stdout.index("-----END CERTIFICATE-----")
        pem = done.stdout[begin:end] + "-----END CERTIFICATE-----\n"
        return openssl("x509", "-noout", "-subject", input=pem).strip().removeprefix("subject=CN = ")

    def text(self):
        """All that it logged."""
        return self.log.read_text(errors="replace")

    def messages(self, level=None):
        """What it logged, line by line, of one level or of all."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line["fields"]["message"] for line in lines if level in (None, line["level"])]

    def until(self, what, seen):
        """Waits until `seen` gives something, which it gives."""
        deadline = time.monotonic() + SEEN_WITHIN_SECONDS
        while not (found := seen()):
            if time.monotonic() > deadline:
                raise ContractError(f"{what}: not within {SEEN_WITHIN_SECONDS} s:\n{self.text()}")
            time.sleep(0.05)
        return found

    def stop(self):
        """Asks it to leave, and holds it to leaving in peace."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOPPED_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise ContractError(f"it did not leave within {STOPPED_WITHIN_SECONDS} s of SIGTERM") from None
        if status != 0:
            raise ContractError(f"it left with {status}:\n{self.text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
