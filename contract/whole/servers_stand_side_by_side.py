"""Several `landfall dev` on one machine at once, each with all its fixed ports: on addresses that were chosen for them,
or that they find themselves; their further services stay apart too.
"""

import concurrent.futures
import contextlib
import os

from addresses import borrow
from short_run import Stays, run

first = os.environ["BIND_ADDRESS"]
with contextlib.ExitStack() as all_of_them:
    second = all_of_them.enter_context(borrow())
    servers = [all_of_them.enter_context(Stays("--ephemeral", "--bind", address)) for address in (first, second)]
    ports = {server.dev["httpsPort"] for server in servers}
    assert ports == ({443} if os.environ["OFFICIAL_PORTS"] else {8443}), ports
    assert [server.dev["adminUrl"] for server in servers] == [f"http://{address}:9765" for address in (first, second)]
    scopes = {server.dev["idScope"] for server in servers}
    further = [server.landfall("service", "create", "further")["serviceHostName"] for server in servers]
    for address, host in zip((first, second), further):
        _, _, third, last = address.split(".")
        assert host == f"127.{last}.{third}.2", f"{address} took {host}"
    for server in servers:
        server.landfall("env", "--service", "further")
        assert len(server.landfall("enrollment", "list", "--service", "further")) == 1

    # The port is taken, and said to be; the others do not notice.
    _, said = run("--ephemeral", "--bind", first, "--https-port", str(servers[0].dev["httpsPort"]), status=125)
    assert "--bind auto" in said, said

    # Those that do not care start at the same moment and find a place each.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        carefree = list(pool.map(lambda _: all_of_them.enter_context(Stays("--ephemeral", "--bind", "auto")), range(3)))
    places = {(server.dev["address"], server.dev["httpsPort"]) for server in servers + carefree}
    assert len(places) == 5, places
    assert {server.dev["httpsPort"] for server in carefree} == ports, places
    for server in carefree:
        assert server.landfall("env")["PROVISIONING_IDSCOPE"] == server.dev["idScope"]
    scopes |= {server.dev["idScope"] for server in carefree}
    assert len(scopes) == 5, scopes
print("five servers stood side by side on port", *ports)
