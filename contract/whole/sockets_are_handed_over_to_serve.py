"""`landfall serve` on sockets that a service manager opened, and what it tells that manager.

As systemd does it: descriptors from 3 on, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET. What was handed
over wrongly is refused by name; a port that is taken is refused when nothing was handed over.
"""

import os
import pathlib
import socket
import ssl
import urllib.request

from serving import Authority, Serving

work = pathlib.Path.cwd()
address = os.environ["BIND_ADDRESS"]
pair = Authority(work / "tls").issue("server", [f"IP:{address}", "DNS:hub.landfall.test"])
services = [("factory", address, "hub.landfall.test")]


def listener(address, backlog=16):
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((address, 0))
    if backlog:
        opened.listen(backlog)
    return opened


def handing(sockets, **variables):
    """Options that start a process with these sockets as its descriptors 3, 4, …"""

    def placed():
        # Out of the way first: a socket may lie where another is to be.
        spare = [os.dup(opened.fileno()) for opened in sockets]
        high = [os.dup2(descriptor, 100 + number, inheritable=False) for number, descriptor in enumerate(spare)]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, 3 + number, inheritable=True)

    return {"preexec_fn": placed, "close_fds": False, "environment": variables}


class Handed(Serving):
    """A server whose own pid stands in LISTEN_PID, as it does when a manager starts it."""

    def launch(self, *words, environment=(), **options):
        command = self.binary
        wrapper = self.folder / "start"
        wrapper.write_text('#!/bin/sh\nexport LISTEN_PID=$$\nexec "$BINARY" "$@"\n')
        wrapper.chmod(0o755)
        self.binary = str(wrapper)
        try:
            return super().launch(*words, environment={"BINARY": command, **dict(environment)}, **options)
        finally:
            self.binary = command


def healthy(opened):
    """Whether health answers behind this socket."""
    with urllib.request.urlopen(f"http://127.0.0.1:{opened.getsockname()[1]}/readyz", timeout=10) as answer:
        return answer.status == 200


def greeted(opened):
    """Whether TLS answers behind this socket."""
    context = ssl.create_default_context(cafile=str(work / "tls" / "root.pem"))
    with socket.create_connection(opened.getsockname(), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname=address) as session:
            return session.version() in ("TLSv1.2", "TLSv1.3")


# Two sockets for devices and one for health; what the configuration names is not bound.
with Handed(os.environ["LANDFALL"], work / "handed", address) as server:
    server.configure([pair], services)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(work / "notify"))
    manager.settimeout(60)
    sockets = [listener(address), listener("127.0.0.1"), listener(address)]
    # Whoever calls before the server is there waits in the socket.
    early = socket.create_connection(sockets[0].getsockname(), timeout=60)
    server.launch(**handing(
        sockets, LISTEN_FDS="3", LISTEN_FDNAMES="https:admin:landfall.socket", NOTIFY_SOCKET=str(work / "notify"),
    ))
    assert manager.recv(100) == b"READY=1", server.text()
    assert greeted(sockets[0]) and greeted(sockets[2]) and healthy(sockets[1])
    assert server.ask("/readyz")[0] is None, "the configured admin address is bound too"
    with socket.socket() as probe:
        assert probe.connect_ex((address, server.port)) != 0, "the configured address is bound too"
    early.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert early.recv(100), "the early caller was forgotten"
    server.stop()
    assert manager.recv(100) == b"STOPPING=1"
    # A socket outlives the server: the next one begins where it ended.
    server.launch(**handing(sockets[:1], LISTEN_FDS="1"))
    server.wait_until_ready()
    assert greeted(sockets[0])
    server.stop()

# What is handed over wrongly is refused by name.
with Handed(os.environ["LANDFALL"], work / "refused", address) as server:
    server.configure([pair], services)
    good, deaf, everywhere = listener(address), listener(address, backlog=0), listener("0.0.0.0")
    file = open(work / "a-file", "w")
    for sockets, variables, said in (
        ([good], {"LISTEN_FDS": "2"}, "socket 2 of LISTEN_FDS (descriptor 4, for https)"),
        ([good], {"LISTEN_FDS": "one"}, "'one'"),
        ([good], {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "htps"}, "'htps'"),
        ([good, good], {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "admin:admin"}, "2 sockets named admin"),
        ([everywhere], {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "admin"}, "no loopback address"),
        ([deaf], {"LISTEN_FDS": "1"}, "does not listen"),
        ([file], {"LISTEN_FDS": "1"}, "not a socket"),
    ):
        status, text = server.refused(**handing(sockets, **variables))
        assert status == 1 and said in text and "fix: " in text, (variables, status, text)

# Sockets of another process are nothing to it; then its own port must be free.
with Serving(os.environ["LANDFALL"], work / "taken", address) as server:
    server.configure([pair], services)
    server.start(**handing([], LISTEN_PID="1", LISTEN_FDS="1"))
    other = Serving(os.environ["LANDFALL"], work / "other", address)
    other.port = server.port
    with other:
        status, text = other.configure([pair], services).refused()
        assert status == 1 and "cannot listen on" in text and "ss -ltnp" in text, (status, text)
    server.stop()
print("handed over, refused, told")
