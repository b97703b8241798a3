"""`GET /metrics`: a scrape holds what the reference tells and nothing else, every counter moves by what was done,
and nothing in it is a secret, an id of a device, or a word that a stranger chose.
"""

import atexit
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time

from device import Client, token
from scrape import scrape, settled
from server import Server

LANDFALL = os.environ["LANDFALL"]
work = pathlib.Path.cwd()
server = Server(LANDFALL, work / "data", os.environ["BIND_ADDRESS"], official_ports=bool(os.environ["OFFICIAL_PORTS"])).start()
# A test that fails leaves no server behind.
atexit.register(lambda: server.process.poll() is None and server.kill())
dev, admin = server.dev, server.dev["adminUrl"]
scope, service = dev["idScope"], dev["controlPlane"]["name"]
hub_string = server.connection_string("hubConnectionString")
hub = hub_string["HostName"].split(":")[0]
seen = set()


def told():
    """The reference: kind and labels by family, and the known values of each label."""
    page = subprocess.run([LANDFALL, "reference", "metrics"], capture_output=True, text=True, check=True).stdout
    families, values = {}, {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if re.match(r"\| `(landfall|process)_\w+` \| (counter|gauge|histogram) ", line):
            families[cells[0].strip("`")] = (cells[1], re.findall(r"`(\w+)`", cells[3]), cells[4])
        of = re.match(r"\| `(\w+)` of (.*) \| (.*) \|", line)
        if of:
            known = re.fullmatch(r"(`[^`]+`(, )?)+", of[3])
            for family in re.findall(r"`(\w+)`", of[2]):
                values[family, of[1]] = set(re.findall(r"`([^`]+)`", of[3])) if known else None
    checks = subprocess.run([LANDFALL, "reference", "checks"], capture_output=True, text=True, check=True).stdout
    values["landfall_refusals_total", "check"] = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", checks, re.M)) | {"(other)"}
    return families, values


def agrees_with_the_reference(one):
    """Holds a scrape to the reference, both ways."""
    families, values = told()
    assert set(one.kinds) == set(families), set(one.kinds) ^ set(families)
    for family, (kind, labels, meaning) in families.items():
        assert one.kinds[family] == kind, family
        assert one.help[family] == meaning, family
        found = one.labels(family)
        # Before there is a hub with devices, or an answer, nothing has these labels.
        assert found in (labels, None), f"{family}: {found} {labels}"
        for label in labels:
            known = values[family, label]
            if known is not None:
                have = one.values(family, label)
                # Every value is there from the beginning, so that the first event is seen as one; but of the
                # many combinations with a status of HTTP only those that were met.
                met = have <= known if family == "landfall_http_requests_total" else have in (known, set())
                assert met, f"{family} {label}: {have} {known}"
    return len(families)


def moved(what, expected, among):
    """Holds what moved since the last time, of the metrics that begin with `among`, to what is expected."""
    global before

    def plain(one):
        return {
            (name, *(f"{label}={text}" for label, text in labels)): value
            for (name, labels), value in one.since(before).items()
            if name.startswith(tuple(among)) and not name.endswith(("_bucket", "_sum"))
        }

    wanted = {key: float(value) for key, value in expected.items()}
    # What a client does not wait for is counted a moment later.
    late = time.monotonic() + 10
    after = settled(admin, what, lambda one: plain(one) == wanted or time.monotonic() > late)
    assert plain(after) == wanted, f"{what}:\n  moved {plain(after)}\n  not   {wanted}"
    seen.update(key[0] for key in wanted)
    before = after


def attempt(status, at=""):
    return ("landfall_registration_attempts_total", f"service={service}", f"hub={at}", "protocol=https", f"status={status}")


def judged(status, of=None):
    return ("landfall_attestation_attempts_total", f"service={of or service}", "protocol=https", f"status={status}")


def assigned(substatus):
    return ("landfall_device_assignments_total", f"service={service}", f"hub={hub}", f"substatus={substatus}")


def http(face, method, status):
    return ("landfall_http_requests_total", f"face={face}", f"method={method}", f"status={status}")


def check(name):
    return ("landfall_refusals_total", f"check={name}")


def stages(*names):
    return {("landfall_registration_stage_duration_seconds_count", f"stage={name}"): 1 for name in names}


def asked(action):
    return ("landfall_device_request_duration_seconds_count", f"action={action}")


ON_THE_WAY = ("request", "service", "enrollment", "attestation", "allocation", "hub", "record", "answer")
DEVICES = ["landfall_registration", "landfall_attestation", "landfall_device", "landfall_refusals", "landfall_http"]

families = agrees_with_the_reference(scrape(admin))
ids = ["dev-metered-1", "dev-metered-2", "dev-stranger"]
primary = server.json("enrollment", "create", "--eid", ids[0], "--at", "symmetricKey", "--keys")["attestation"]["symmetricKey"]["primaryKey"]
server.command("enrollment", "create", "--eid", ids[1], "--at", "symmetricKey", "--pk", primary, "--sk", primary, "--provisioning-status", "disabled")
client = Client(server)
secrets = [primary, hub_string["SharedAccessKey"], dev["controlPlane"]["token"]]


def device_token(registration_id, key=primary, expiry=3600):
    made = token(f"{scope}/registrations/{registration_id}", key, "registration", expiry)
    secrets.append(made.split("sig=")[1].split("&")[0])
    return made


before = scrape(admin)

# A device that comes for the first time, polls, comes again, and is moved to another name on its hub.
first = client.register(scope, ids[0], device_token(ids[0]))
assert first.status == 202, first.text
moved("assigned", {attempt("assigned", hub): 1, judged("accepted"): 1, assigned("initialAssignment"): 1,
      http("device", "write", 202): 1, asked("register"): 1, **stages(*ON_THE_WAY[1:])}, DEVICES)
polled = client.operation(scope, ids[0], first.body["operationId"], device_token(ids[0]))
assert polled.body["status"] == "assigned", polled.text
moved("polled", {http("device", "read", 200): 1, asked("operation_status"): 1}, DEVICES)
state = client.call("POST", f"/{scope}/registrations/{ids[0]}?api-version=2021-06-01", {"registrationId": ids[0]}, device_token(ids[0]))
assert state.status == 200, state.text
moved("looked up", {http("device", "write", 200): 1, asked("status_lookup"): 1}, DEVICES)
assert client.register(scope, ids[0], device_token(ids[0])).status == 202
moved("returned", {attempt("assigned", hub): 1, judged("accepted"): 1, assigned("reprovisionedToInitialAssignment"): 1,
      http("device", "write", 202): 1, asked("register"): 1, **stages(*ON_THE_WAY[1:])}, DEVICES)
server.command("enrollment", "update", ids[0], "--device-id", "another-name")
before = scrape(admin)
assert client.register(scope, ids[0], device_token(ids[0])).status == 202
moved("migrated", {attempt("assigned", hub): 1, judged("accepted"): 1, assigned("deviceDataMigrated"): 1,
      http("device", "write", 202): 1, asked("register"): 1, **stages(*ON_THE_WAY[1:])}, DEVICES)

# Refusals, each with its check; what names no service of this server is counted in one place.
assert client.register(scope, ids[1], device_token(ids[1])).status == 202
moved("disabled", {attempt("disabled"): 1, judged("accepted"): 1, check("enrollment.disabled"): 1,
      http("device", "write", 202): 1, asked("register"): 1,
      **stages("service", "enrollment", "attestation", "record", "answer")}, DEVICES)
assert client.register(scope, ids[0], device_token(ids[0], expiry=-7200)).status == 401
moved("expired", {attempt("refused"): 1, judged("refused"): 1, check("sas.expired"): 1,
      http("device", "write", 401): 1, asked("register"): 1, **stages("service", "request", "answer")}, DEVICES)
assert client.register("0neStranger1", ids[2], device_token(ids[2])).status == 401
unknown = ("landfall_registration_attempts_total", "service=(unknown)", "hub=", "protocol=https", "status=refused")
moved("unknown", {unknown: 1, check("service.scope"): 1, http("device", "write", 401): 1, asked("register"): 1,
      **stages("service", "answer")}, DEVICES)
late = client.call("PUT", f"/{scope}/registrations/{ids[0]}/register", {"registrationId": ids[0]}, device_token(ids[0]))
assert late.status == 400, late.text
malformed = ("landfall_registration_attempts_total", "service=(unknown)", "hub=", "protocol=https", "status=malformed")
moved("malformed", {malformed: 1, check("request.api_version"): 1, http("device", "write", 400): 1,
      asked("register"): 1, **stages("request", "answer")}, DEVICES)
# Which wrong key it was is found out after the answer, and counted as that.
server.command("group", "create", "--gid", "fleet", "--pk", primary, "--sk", primary)
before = scrape(admin)
assert client.register(scope, ids[2], device_token(ids[2])).status == 401
moved("the group's key itself", {attempt("refused"): 1, judged("refused"): 1, check("sas.group_key_itself"): 1,
      http("device", "write", 401): 1, asked("register"): 1,
      **stages("service", "enrollment", "attestation", "answer")}, DEVICES)

# Each other face.
strings = server.connection_string("serviceConnectionString")
owner = token(strings["HostName"].split(":")[0], strings["SharedAccessKey"], strings["SharedAccessKeyName"])
of_hub = token(hub, hub_string["SharedAccessKey"], hub_string["SharedAccessKeyName"])
bearer = f"Bearer {dev['controlPlane']['token']}"
control = dev["controlPlane"]
at_control = f"/subscriptions/{control['subscription']}/resourceGroups/{control['resourceGroup']}/providers/Microsoft.Devices/provisioningServices"
for path, authorization, method, face, status in (
    (f"/enrollments/{ids[0]}", owner, "GET", "service", 200),
    (f"/enrollments/{ids[0]}", None, "GET", "service", 401),
    (f"/twins/{ids[0]}", of_hub, "GET", "hub", 404),
    (at_control, bearer, "GET", "control", 200),
    ("/landfall/services", bearer, "GET", "own", 200),
    ("/landfall/enrollments/import", bearer, "POST", "own", 200),
    ("/nothing", None, "GET", "none", 404),
):
    answer = client.call(method, f"{path}?api-version=2021-10-01", {} if method == "POST" else None, authorization)
    assert answer.status == status, f"{path}: {answer.status} {answer.text}"
    moved(path, {http(face, "read" if method == "GET" else "write", status): 1}, ["landfall_http", "landfall_registration_attempts"])
client.close()

# A head that cannot be read names no face.
with socket.create_connection((dev["host"], dev["httpsPort"])) as plain, ssl.create_default_context(
        cafile=dev["caFile"]).wrap_socket(plain, server_hostname=dev["host"]) as garbled:
    garbled.sendall(b"GE\x01T / HTTP/1.1\r\n\r\n")
    assert garbled.recv(4096).startswith(b"HTTP/1.1 400 ")
moved("a head that cannot be read", {http("none", "other", 400): 1}, ["landfall_http"])

# Handshakes, by kind; and each way in which one fails.
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
     "-subj", "/CN=metered", "-keyout", "metered.key", "-out", "metered.pem"], check=True, capture_output=True, cwd=work,
)
address, port = dev["host"], dev["httpsPort"]
TLS = ["landfall_tls_handshakes", "landfall_tls_handshake_failures", "landfall_connections_accepted"]
accepted = ("landfall_connections_accepted_total",)


def shakes(version, certificate):
    """One handshake with these."""
    context = ssl.create_default_context(cafile=dev["caFile"])
    context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(work / "metered.pem", work / "metered.key")
    with socket.create_connection((address, port)) as plain, context.wrap_socket(plain, server_hostname=address):
        pass


def shook(version, kind, certificate):
    return ("landfall_tls_handshakes_total", f"version={version}", f"kind={kind}", f"client_certificate={certificate}")


def failed(reason):
    return ("landfall_tls_handshake_failures_total", f"reason={reason}")


def says(*pieces):
    """Writes these to the port and reads until it is closed."""
    with socket.create_connection((address, port), timeout=20) as plain:
        for piece in pieces:
            plain.sendall(piece)
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(4096):
            pass


before = scrape(admin)
for version, name in ((ssl.TLSVersion.TLSv1_2, "1.2"), (ssl.TLSVersion.TLSv1_3, "1.3")):
    for certificate in (False, True):
        shakes(version, certificate)
        moved(f"TLS {name}", {shook(name, "full", "shown" if certificate else "none"): 1, accepted: 1}, TLS)
subprocess.run(
    ["openssl", "s_client", "-connect", f"{address}:{port}", "-tls1_3", "-curves", "P-521:P-256"],
    stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
)
moved("another curve first", {shook("1.3", "retried", "none"): 1, accepted: 1}, TLS)
try:
    with socket.create_connection((address, port)) as plain:
        ssl.create_default_context().wrap_socket(plain, server_hostname=address)
    raise AssertionError("a client without the authority came in")
except ssl.SSLCertVerificationError:
    pass
moved("a client that does not trust the server", {failed("client_alert"): 1, accepted: 1}, TLS)
says(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
moved("plain HTTP", {failed("plain_http"): 1, accepted: 1}, TLS)
says(b"\x16\x03\x01")
moved("a client that leaves", {failed("client_left"): 1, accepted: 1}, TLS)
says(bytes(range(200, 256)) * 20)
moved("no TLS at all", {failed("malformed"): 1, accepted: 1}, TLS)
subprocess.run(
    ["openssl", "s_client", "-connect", f"{address}:{port}", "-tls1_2", "-cipher", "AES128-SHA"],
    stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
)
moved("nothing in common", {failed("incompatible"): 1, accepted: 1}, TLS)

# What the server is now.
open_before = scrape(admin).sum("landfall_connections_open")
held = ssl.create_default_context(cafile=dev["caFile"]).wrap_socket(
    socket.create_connection((address, port)), server_hostname=address)
settled(admin, "an open connection", lambda one: one.sum("landfall_connections_open") == open_before + 1)
held.close()

# What is spoken on them: devices on their hub, straight and in WebSockets.
for words, protocol in (([], "mqtt"), (["--websockets"], "mqtt-ws")):
    def speaking(one, name="open"):
        return one.sum(f"landfall_protocol_connections_{name}", protocol=protocol)

    before = speaking(scrape(admin), "total")
    devices = subprocess.Popen(
        [server.binary, "bench", "connect", "--count", "5", "--hold", "600", "--data", str(server.data), *words], stdout=subprocess.DEVNULL)
    settled(admin, f"held over {protocol}", lambda one: speaking(one) == 5 and speaking(one, "total") == before + 5)
    devices.send_signal(signal.SIGINT)
    assert devices.wait(60) == 0
    settled(admin, f"gone from {protocol}", lambda one: speaking(one) == 0)
last = settled(admin, "a closed connection", lambda one: one.sum("landfall_connections_open") <= open_before)
assert last.sum("landfall_store_waiting_requests") == 0, last.text
assert last.sum("landfall_store_commits_total") > 0 and last.sum("landfall_store_write_failures_total") == 0
assert last.sum("landfall_traces_written_total") > 0 and last.sum("landfall_traces_dropped_total") == 0
assert last.sum("process_resident_memory_bytes") > 1e6 and last.sum("process_open_fds") > 5
assert abs(time.time() - last.sum("process_start_time_seconds")) < 3600
assert last.sum("process_cpu_seconds_total") > 0
(end,) = re.findall(r"notAfter=(.*)", subprocess.run(
    ["openssl", "x509", "-noout", "-enddate", "-in", str(server.data / "server.pem")], capture_output=True, text=True, check=True).stdout)
assert last.sum("landfall_server_certificate_end_timestamp_seconds") == ssl.cert_time_to_seconds(end), end
version = subprocess.run([LANDFALL, "--version"], capture_output=True, text=True, check=True).stdout
((name, labels),) = [key for key in last.samples if key[0] == "landfall_build_info"]
assert all(text in version for _, text in labels), (labels, version)

# Nothing in it is a secret or a stranger's word, and the table still holds.
agrees_with_the_reference(last)
for word in [*ids, *secrets, "0neStranger1", "another-name", first.body["operationId"], "metered"]:
    assert word not in last.text, f"{word} stands in the scrape"
server.stop()
print(f"{families} metrics as the reference tells them, {len(seen)} of them moved by exactly what was done")
