"""Enrollments move to another service: every key the same afterwards, whatever goes wrong on the way.

One server stands in for the cloud's service, another is the new home. A proxy before each answers some
calls 429 and breaks some connections, before or after the server carried them out. Devices then register at
the new home with the keys and certificates that they always had. Nothing but the public service API is used.
"""

import base64
import json
import os
import pathlib
import secrets
import signal
import subprocess
import time

from addresses import borrow
from device import Client, derive, token
from faults import Faults
from server import Server

MANY = 230
WITHIN_SECONDS = 120
VERSION = "api-version=2021-10-01"
READ_ONLY = {"etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState"}

work = pathlib.Path.cwd()
binary = os.environ["LANDFALL"]
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
addresses = [borrow(), borrow()]


def start(name, address):
    official = bool(os.environ["OFFICIAL_PORTS"])
    return Server(binary, work / name, address, official_ports=official, log="warn").start()


spoken = []


def landfall(*words, code=0, stdin=None):
    """Runs a command, holds it to its exit code and gives what it said."""
    done = subprocess.run(
        [binary, *map(str, words)], capture_output=True, text=True, env=environment, cwd=work,
        input=stdin or "", timeout=WITHIN_SECONDS,
    )
    said = done.stdout + done.stderr
    spoken.append(said)
    assert done.returncode == code, f"{words} left with {done.returncode}:\n{said}"
    return said


def service(server, method, path, body=None, headers=None):
    owner = server.connection_string("serviceConnectionString")
    if not hasattr(server, "client"):
        server.client = Client(server)
    authorization = token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"])
    return server.client.call(method, f"{path}?{VERSION}", body, authorization, headers)


def everything(server, keys=True):
    """Every record by path, without what only its own service knows."""
    found = {}
    for collection, member in (("enrollments", "registrationId"), ("enrollmentGroups", "enrollmentGroupId")):
        mark = None
        while True:
            page = service(
                server, "POST", f"/{collection}/query", {"query": "SELECT *"},
                {"x-ms-max-item-count": "500", **({"x-ms-continuation": mark} if mark else {})},
            )
            assert page.status == 200, page.text
            for record in page.body:
                path = f"/{collection}/{record[member]}"
                if keys:
                    record["attestation"] = service(server, "POST", f"{path}/attestationmechanism").body
                found[path] = {name: value for name, value in record.items() if name not in READ_ONLY}
            mark = page.headers.get("x-ms-continuation")
            if not mark:
                break
    return found


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=work)


def certificate(name, issuer=None, authority=False):
    """A certificate for CN=name in name.pem, by itself or by an issuer."""
    kind = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n" if authority else \
        "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n"
    (work / f"{name}.ext").write_text(kind)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
    openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
    signer = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else ["-signkey", f"{name}.key"]
    openssl(
        "x509", "-req", "-in", f"{name}.csr", *signer, "-set_serial", "0x" + secrets.token_hex(8), "-days", "30",
        "-sha256", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )
    return (work / f"{name}.pem").read_text()


def verified(server, name, path):
    """Adds a CA certificate and proves that its key is ours."""
    server.command("ca", "create", "--name", name, "--path", str(path))
    code = server.json("ca", "generate-verification-code", name)["properties"]["verificationCode"]
    openssl("req", "-new", "-key", "root.key", "-subj", f"/CN={code}", "-out", "proof.csr")
    openssl(
        "x509", "-req", "-in", "proof.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial", "7", "-days", "3",
        "-sha256", "-out", "proof.pem",
    )
    server.command("ca", "verify", name, "--path", str(work / "proof.pem"))


def key():
    return base64.b64encode(secrets.token_bytes(64)).decode()


def symmetric(primary):
    return {"type": "symmetricKey", "symmetricKey": {"primaryKey": primary, "secondaryKey": key()}}


cloud = start("cloud", os.environ["BIND_ADDRESS"])
home = start("home", addresses[0].address)
root = certificate("root", authority=True)
intermediate = certificate("intermediate", "root", authority=True)
leaf = certificate("leaf-1")
verified(cloud, "our-root", work / "root.pem")
cloud_hub = cloud.connection_string("hubConnectionString")["HostName"].split(":")[0]
home_hub = home.connection_string("hubConnectionString")["HostName"].split(":")[0]
assert cloud_hub != home_hub

device_key, group_key = key(), key()
odd = [
    {
        "registrationId": "edge-1", "deviceId": "Edge#1", "attestation": symmetric(device_key),
        "capabilities": {"iotEdge": True}, "provisioningStatus": "enabled",
        "reprovisionPolicy": {"updateHubAssignment": False, "migrateDeviceData": False},
        "initialTwin": {"tags": {"site": {"floor": 3}}, "properties": {"desired": {"rate": 1.5}}},
        "optionalDeviceInformation": {"note": "zürich"}, "allocationPolicy": "static", "iotHubs": [cloud_hub],
    },
    {"registrationId": "off-1", "attestation": symmetric(key()), "provisioningStatus": "disabled"},
    {
        "registrationId": "tpm-1",
        "attestation": {"type": "tpm", "tpm": {"endorsementKey": key(), "storageRootKey": key()}},
    },
    {"registrationId": "leaf-1", "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": leaf}}}}},
    {
        "registrationId": "custom-1", "attestation": symmetric(key()), "allocationPolicy": "custom",
        "customAllocationDefinition": {"webhookUrl": "https://f.example/api?code=hush", "apiVersion": "2019-03-31"},
    },
]
for record in odd:
    made = service(cloud, "PUT", f"/enrollments/{record['registrationId']}", record)
    assert made.status == 200, made.text
for group, attestation in (
    ("keyed", symmetric(group_key)),
    ("by-intermediate", {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": intermediate}}}}),
    ("by-root", {"type": "x509", "x509": {"caReferences": {"primary": "our-root"}}}),
):
    made = service(cloud, "PUT", f"/enrollmentGroups/{group}", {"enrollmentGroupId": group, "attestation": attestation})
    assert made.status == 200, made.text
for start_at in range(0, MANY, 10):
    items = [
        {"registrationId": f"dev-{number}", "attestation": symmetric(key()), "initialTwin": {"tags": {"n": number}}}
        for number in range(start_at, min(start_at + 10, MANY))
    ]
    made = service(cloud, "POST", "/enrollments", {"enrollments": items, "mode": "create"})
    assert made.status == 200 and made.body["isSuccessful"], made.text
there = everything(cloud)
assert len(there) == MANY + len(odd) + 3

# Without --keys the export holds none, and says of each line what it lacks.
landfall("enrollment", "export", work / "keyless.jsonl", "--data", cloud.data)
keyless = (work / "keyless.jsonl").read_text()
assert group_key not in keyless and device_key not in keyless
said = landfall(
    "enrollment", "import", work / "keyless.jsonl", "--dry-run", "--report", work / "keyless.report", "--data", home.data,
    code=1,
)
reasons = [json.loads(line) for line in (work / "keyless.report").read_text().splitlines()]
assert sum("--keys" in reason["reason"] for reason in reasons) == MANY + 4, said
assert sum("--certificates" in reason["reason"] for reason in reasons) == 2, said
assert everything(home, keys=False) == {}, "a dry run wrote something"

# With keys, through a proxy that throttles and breaks connections.
export = work / "cloud.jsonl"
with Faults(cloud, throttled=40, lost=31, cut=37, page=50) as faults:
    said = landfall(
        "enrollment", "export", export, "--keys", "-l", faults.connection_string, "--ca", cloud.data / "ca.pem",
        "--data", work / "none",
    )
    assert faults.done["throttled"] and faults.done["lost"] and faults.done["cut"], faults.done
assert "our-root" in said and cloud_hub in said, said
assert export.stat().st_mode & 0o077 == 0
lines = [json.loads(line) for line in export.read_text().splitlines()]
assert len(lines) == len(there) + 1
assert lines[-1]["kind"] == "note" and lines[-1]["caCertificates"] == ["our-root"], lines[-1]
assert not any(READ_ONLY & set(line["record"]) for line in lines[:-1])

# Stopped on the way, an export leaves no file with keys behind.
with Faults(cloud, throttled=1, retry_after="60") as faults:
    running = subprocess.Popen(
        [binary, "enrollment", "export", "stopped.jsonl", "--keys", "-l", faults.connection_string, "--ca", cloud.data / "ca.pem"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=work,
    )
    deadline = time.monotonic() + WITHIN_SECONDS
    while not faults.done["throttled"]:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.01)
    assert (work / "stopped.jsonl.new").exists()
    running.send_signal(signal.SIGINT)
    assert running.wait(WITHIN_SECONDS) == 1
assert not list(work.glob("stopped.jsonl*"))

# Stopped half-way, an import says how far it came; the same command continues.
(work / "certificates").mkdir()
(work / "certificates" / "all.pem").write_text(leaf + intermediate)
words = [
    "enrollment", "import", str(export), "--map-hub", f"{cloud_hub}={home_hub}", "--certificates",
    str(work / "certificates"), "--data", str(work / "none"), "--ca", str(home.data / "ca.pem"),
]
with Faults(home, throttled=4) as faults:
    running = subprocess.Popen(
        [binary, *words, "-l", faults.connection_string], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment,
    )
    deadline = time.monotonic() + WITHIN_SECONDS
    while faults.done["passed"] < 8:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=WITHIN_SECONDS)
assert running.returncode == 1 and "the same command" in said, said
halfway = len(everything(home, keys=False))
assert 0 < halfway < len(there), halfway

with Faults(home, throttled=40, lost=23, cut=29) as faults:
    said = landfall(*words, "-l", faults.connection_string, code=1)
    assert faults.done["throttled"] and faults.done["lost"] and faults.done["cut"], faults.done
# One line waits for its CA certificate; then nothing but that line is new.
assert "1 of" in said and "(group by-root)" in said and "CA certificate" in said, said
verified(home, "our-root", work / "root.pem")
string = home.dev["serviceConnectionString"]
said = json.loads(landfall(*words, "-l", string, "--json"))
assert (said["created"], said["unchanged"], said["failed"]) == (1, len(there) - 1, []), said

# Every record says the same at home, keys and all.
moved = everything(home)
assert set(moved) == set(there)
for path, record in there.items():
    wanted = json.loads(json.dumps(record).replace(cloud_hub, home_hub))
    assert moved[path] == wanted, f"{path}: {moved[path]} is not {wanted}"


def assigned(registration_id, device=None, with_key=None, shown=None):
    """Registers a device at home and holds it to where it belongs."""
    scope = home.dev["idScope"]
    client = Client(home, certificate=shown)
    authorization = with_key and token(f"{scope}/registrations/{registration_id}", with_key, "registration")
    answer = client.register(scope, registration_id, authorization)
    deadline = time.monotonic() + WITHIN_SECONDS
    while answer.status == 202:
        assert time.monotonic() < deadline
        answer = client.operation(scope, registration_id, answer.body["operationId"], authorization)
    assert answer.status == 200, f"{registration_id}: {answer.status} {answer.text}"
    state = answer.body["registrationState"]
    assert (state["assignedHub"], state["deviceId"]) == (home_hub, device or registration_id), answer.text


some = there["/enrollments/dev-7"]["attestation"]["symmetricKey"]
assigned("edge-1", device="Edge#1", with_key=device_key)
assigned("dev-7", with_key=some["secondaryKey"])
assigned("of-the-group", with_key=derive(group_key, "of-the-group"))
assigned("leaf-1", shown=(work / "leaf-1.pem", work / "leaf-1.key"))
certificate("below-intermediate", "intermediate")
assigned("below-intermediate", shown=(work / "below-intermediate.pem", work / "below-intermediate.key"))
certificate("below-root", "root")
assigned("below-root", shown=(work / "below-root.pem", work / "below-root.key"))

# What was changed at home meanwhile is nobody's but by request.
changed = service(home, "GET", "/enrollments/dev-9").body
changed["provisioningStatus"] = "disabled"
assert service(home, "PUT", "/enrollments/dev-9", changed, {"If-Match": "*"}).status == 200
said = landfall(*words, "-l", string, code=1)
assert "(enrollment dev-9)" in said and "provisioningStatus" in said, said
said = landfall(*words, "-l", string, "--on-conflict", "skip")
assert "1 skipped" in said and service(home, "GET", "/enrollments/dev-9").body["provisioningStatus"] == "disabled"
said = landfall(*words, "-l", string, "--on-conflict", "replace", "--dry-run")
assert "1 would be replaced" in said and service(home, "GET", "/enrollments/dev-9").body["provisioningStatus"] == "disabled"
landfall(*words, "-l", string, "--on-conflict", "replace")
again = service(home, "GET", "/enrollments/dev-9").body
assert again["provisioningStatus"] == "enabled"
kept = service(home, "POST", "/enrollments/dev-9/attestationmechanism").body
assert kept == there["/enrollments/dev-9"]["attestation"]
home.client.close()
home.stop()

# Straight from one service into another, each behind an authority of its own; bad lines cost only themselves.
fresh = start("fresh", addresses[1].address)
with Faults(cloud, throttled=150) as faults:
    said = landfall(
        "enrollment", "import", "--from", faults.connection_string, "--from-ca", cloud.data / "ca.pem", "--drop-hubs",
        "--certificates", work / "certificates", "--data", fresh.data, code=1,
    )
assert "(group by-root)" in said and f"{len(there) - 1} created" in said, said
straight = everything(fresh)
assert straight["/enrollments/edge-1"]["attestation"]["symmetricKey"]["primaryKey"] == device_key
assert "iotHubs" not in straight["/enrollments/edge-1"] and "allocationPolicy" not in straight["/enrollments/edge-1"]
bad = "\n".join([
    '{"kind":"enrollment","record":{"registrationId":"hush', '{"kind":"device","record":{}}',
    '{"kind":"enrollment","record":{"registrationId":"no good","attestation":{"type":"tpm","tpm":{"endorsementKey":"a"}}}}',
    json.dumps({"kind": "enrollment", "record": {"registrationId": "good", "attestation": symmetric(device_key)}}),
    json.dumps({"kind": "enrollment", "record": {"registrationId": "elsewhere", "attestation": symmetric(key()), "iotHubs": ["far.example"]}}),
])
said = landfall("enrollment", "import", "-", "--report", work / "bad.report", "--data", fresh.data, code=1, stdin=bad)
assert "hush" not in said and "4 of 5 lines failed" in said and "--map-hub" in said, said
report = [json.loads(line) for line in (work / "bad.report").read_text().splitlines()]
assert [line["line"] for line in report] == [1, 2, 3, 5], report
assert service(fresh, "GET", "/enrollments/good").status == 200
# A report of an earlier run is replaced; nothing else is, least of all an export.
landfall("enrollment", "import", "-", "--report", work / "bad.report", "--data", fresh.data, stdin="")
assert (work / "bad.report").read_text() == ""
said = landfall("enrollment", "import", "-", "--report", export, "--data", fresh.data, code=4, stdin="")
assert "is there already" in said and len(export.read_text().splitlines()) == len(lines)
wrong = cloud.dev["serviceConnectionString"].split("SharedAccessKey=")[0] + "SharedAccessKey=" + key()
landfall("enrollment", "import", export, "-l", wrong, "--ca", cloud.data / "ca.pem", code=5)
fresh.client.close()
fresh.stop()
cloud.client.close()
cloud.stop()

# Nothing that was said, reported or logged holds a key.
spoken += [(work / name).read_text() for name in ("keyless.jsonl", "keyless.report")]
spoken += [path.read_text(errors="replace") for path in work.glob("*.log")]
text = "\n".join(spoken)
assert "dev-7" in text, "the search finds what is there"
for record in there.values():
    for kept in record["attestation"].get("symmetricKey", {}).values():
        assert kept not in text, "a key was said"
print(f"{len(there)} records moved, {halfway} of them before an interruption; every key the same")
