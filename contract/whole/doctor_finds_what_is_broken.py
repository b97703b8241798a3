"""`landfall doctor` on a server that is well, running and stopped; then each thing broken for real, found, and told
with its remedy: a taken port, a wrong and an expired certificate, a readable key, a foreign authority, few open files,
a full disk, a damaged database, a wrong key, a newer schema, a clock of another year, a killed server.
"""

import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess

from serving import Authority, Serving

LANDFALL = os.environ["LANDFALL"]
work = pathlib.Path.cwd()
address = os.environ["BIND_ADDRESS"]
ca = Authority(work / "tls")
good = ca.issue("good", ["DNS:dps.landfall.test", "DNS:hub.landfall.test"], days=90)
SERVICES = [("factory", "dps.landfall.test", "hub.landfall.test")]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}


def doctor(server, *words, before=()):
    """Its status, and what it found that is not well: (subject, result) to what was seen."""
    done = subprocess.run(
        [*before, LANDFALL, "doctor", "--config", str(server.config), "--json", *words],
        capture_output=True, text=True, env=CLEAN, timeout=60, cwd=work,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    amiss = {}
    for found in report["findings"]:
        if found["result"] != "ok":
            assert found["fix"], found
            amiss.setdefault((found["subject"], found["result"]), []).append(found["what"])
    assert report["failures"] == sum(found["result"] == "failure" for found in report["findings"]), report
    assert done.returncode == (1 if report["failures"] else 0), (done.returncode, report)
    seen.update(amiss)
    return done.returncode, amiss


def finds(server, subject, text, *words, result="failure", before=(), alone=True):
    """Holds it to finding this, and nothing else that is amiss when it is `alone`."""
    _, amiss = doctor(server, *words, before=before)
    assert (subject, result) in amiss, f"{subject} {result}: {amiss}"
    assert any(text in what for what in amiss[subject, result]), f"{text}: {amiss}"
    assert not alone or len(amiss) == 1, amiss


seen = set()
with Serving(LANDFALL, work / "serve", address) as server:
    server.configure([good], SERVICES, more=f'ca_file = "{ca.root}"')
    _, amiss = doctor(server)
    assert set(amiss) == {("folder", "warning")}, f"before the first start: {amiss}"
    server.start()
    before = {path: path.stat().st_mtime_ns for path in server.data.iterdir() if "landfall.db" not in path.name}
    assert doctor(server) == (0, {}), doctor(server)
    assert server.ask("/readyz")[0] == 200, "it still serves"
    said = subprocess.run([LANDFALL, "doctor", "-c", str(server.config)], capture_output=True, text=True, env=CLEAN).stdout
    assert f"is the running server's (process {server.process.pid})" in said and said.endswith("Nothing is amiss.\n"), said

    # A clock that differs: from this program's age, and from the running server's.
    finds(server, "clock", "before this program", before=["faketime", "2020-01-01"], alone=False)
    finds(server, "clock", "many years after", before=["faketime", "2090-01-01"], alone=False)
    finds(server, "clock", "s apart", before=["faketime", "-f", "+90s"])

    server.process.kill()
    server.process.wait()
    finds(server, "server", "nobody answers", result="warning")
    server.start().stop()
    assert doctor(server) == (0, {}), "after a stop"
    after = {path: path.stat().st_mtime_ns for path in server.data.iterdir()}
    assert all(after[path] == time for path, time in before.items() if path.name in ("sealing.key", "control.token"))

    # Ports.
    with socket.create_server((address, server.port)):
        finds(server, "port", f"(process {os.getpid()})")
    if os.geteuid() == 0:
        lowest = pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip()
        if int(lowest) > 443:
            without_the_right = ["setpriv", "--bounding-set=-net_bind_service"]
            finds(server, "port", "Permission denied", "--listen", f"{address}:443", before=without_the_right)

    # Certificates.
    other = ca.issue("other", ["DNS:elsewhere.landfall.test"], days=90)
    ended = ca.issue("ended", ["DNS:dps.landfall.test", "DNS:hub.landfall.test"], days=-1)
    soon = ca.issue("soon", ["DNS:dps.landfall.test", "DNS:hub.landfall.test"], days=3)
    stranger = Authority(work / "stranger")
    server.configure([other], SERVICES)
    finds(server, "names", "no certificate holds")
    server.configure([ended], SERVICES)
    finds(server, "certificate", "expired on")
    server.configure([soon], SERVICES)
    finds(server, "certificate", "ends on", result="warning")
    server.configure([(good[0], other[1])], SERVICES)
    finds(server, "certificate", "does not go with")
    server.configure([good], SERVICES, more=f'ca_file = "{stranger.root}"')
    finds(server, "authority", "did not sign")
    server.configure([(work / "nowhere.pem", good[1])], SERVICES)
    finds(server, "configuration", "nowhere.pem")
    server.configure([good], SERVICES)

    # Who may read what.
    for path in [good[1], server.data / "sealing.key", server.data / "landfall.db"]:
        mode = path.stat().st_mode
        path.chmod(0o644)
        finds(server, "secret", "everybody on this machine may read it")
        path.chmod(mode)
    server.data.chmod(0o755)
    finds(server, "folder", "may look into it", result="warning")
    server.data.chmod(0o700)

    # Limits and disk.
    few = ["prlimit", "--nofile=64:64"]
    finds(server, "files", "64 files", before=few)
    finds(server, "files", "and not the 10000", before=["prlimit", "--nofile=1024:1024"], result="warning")
    small = work / "small"
    small.mkdir()
    # A file system of its own, which nobody else sees and which goes with the command.
    mounted = f'mount -t tmpfs -o size=20m none {small} && cp -a {server.data}/. {small} && exec "$@"'
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"]
    finds(server, "disk", "MB are free", "--data", str(small), before=inside, alone=False)
    full = mounted.replace("exec", f"cat /dev/zero >{small}/fill 2>{work}/cat; exec")
    finds(server, "disk", "cannot write", "--data", str(small), before=[*inside[:-2], full, "sh"], alone=False)
    assert list(server.data.glob(".landfall-doctor-*")) == [], "it cleans up"

    # The database and its key.
    kept = work / "kept"
    shutil.copytree(server.data, kept)
    (server.data / "sealing.key").write_text("x")
    finds(server, "sealing key", "holds no key")
    (server.data / "sealing.key").write_text("A" * 43 + "=")
    finds(server, "sealing key", "not the key that this database")
    (server.data / "sealing.key").unlink()
    finds(server, "sealing key", "cannot be read")
    shutil.copy2(kept / "sealing.key", server.data)
    with sqlite3.connect(server.data / "landfall.db") as database:
        newest = database.execute("SELECT max(version) FROM schema_versions").fetchone()[0]
        database.execute("INSERT INTO schema_versions (version, applied) VALUES (?, 0)", (newest + 7,))
    database.close()
    finds(server, "database", f"schema version {newest + 7}")
    for leftover in server.data.glob("landfall.db*"):
        leftover.unlink()
    shutil.copy2(kept / "landfall.db", server.data)
    with open(server.data / "landfall.db", "r+b") as file:
        file.seek(5 * 8192)
        file.write(b"\xff" * 8192 * 3)
    finds(server, "database", "is damaged")
    (server.data / "landfall.db").write_bytes(b"no database" * 1000)
    finds(server, "database", "not a database")
    shutil.copy2(kept / "landfall.db", server.data)
    assert doctor(server) == (0, {}), "everything is put right again"

print(f"{len(seen)} kinds of findings, each with its remedy")
