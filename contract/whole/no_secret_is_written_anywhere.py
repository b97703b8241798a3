"""A full run with known keys and tokens; then every place that must not hold them is searched.

Searched: all that the server logs at its most talkative, decision traces, error bodies, the audit trail, a scrape, and every
file of the data folder but those that exist to keep a key; the database must keep keys sealed.
Each secret is looked for as text, percent-encoded, in hex, and as bytes.
"""

import base64
import json
import os
import pathlib
import secrets
import stat
import subprocess
import sys
import urllib.parse

from device import Client, derive, token
from scrape import scrape
from server import Server

KEY_FILES = {"ca-key.pem", "server-key.pem", "sealing.key", "control.token"}
# What a user pastes stands here on purpose: the owner's connection strings, the control token.
PASTED = {"dev.json"}

server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]), log="trace",
).start()
scope = server.dev["idScope"]
known = {}  # what it is -> the base64 or plain text of it
answers = []  # every error body and trace


def new_key(name, size=64):
    known[name] = base64.b64encode(secrets.token_bytes(size)).decode()
    return known[name]


def device_token(name, registration_id, key, expiry=3600):
    made = token(f"{scope}/registrations/{registration_id}", key, "registration", expiry)
    known[f"signature of {name}"] = urllib.parse.unquote(made.split("sig=")[1].split("&")[0])
    return made


def attempt(registration_id, authorization, status, payload=None):
    """Registers and polls; keeps every error body."""
    answer = client.register(scope, registration_id, authorization, payload)
    assert answer.status == status, answer.text
    if status == 202:
        for _ in range(50):
            answer = client.operation(scope, registration_id, answer.body["operationId"], authorization)
            if answer.status == 200:
                break
        assert answer.body["status"] in ("assigned", "disabled"), answer.text
    else:
        answers.append(answer.text)
        answers.append(server.command("explain", answer.body["trackingId"], "--json", succeed=False).stdout)
    answers.append(server.command("explain", registration_id, "--json", succeed=False).stdout)


client = Client(server)
for name in ("serviceConnectionString", "hubConnectionString"):
    known[f"policy key of {name}"] = server.connection_string(name)["SharedAccessKey"]
known["control token"] = server.dev["controlPlane"]["token"]

# Symmetric keys: individual, group, derived; right and wrong, expired, the group key itself.
primary, secondary = new_key("individual primary"), new_key("individual secondary", 32)
server.command(
    "enrollment", "create", "--eid", "individual", "--at", "symmetricKey", "--pk", primary, "--sk", secondary
)
group_primary, group_secondary = new_key("group primary"), new_key("group secondary")
server.command("group", "create", "--gid", "fleet", "--pk", group_primary, "--sk", group_secondary)
known["derived"] = derive(group_primary, "in-fleet")
known["derived secondary"] = derive(group_secondary, "in-fleet")
known["payload"] = "payload-" + secrets.token_hex(16)

attempt("individual", device_token("individual", "individual", primary), 202, {"word": known["payload"]})
attempt("individual", device_token("individual again", "individual", secondary), 202)
attempt("in-fleet", device_token("derived", "in-fleet", known["derived"]), 202)
attempt("in-fleet-2", device_token("group key itself", "in-fleet-2", group_primary), 401)
attempt("individual", device_token("wrong key", "individual", new_key("wrong")), 401)
attempt("individual", device_token("expired", "individual", primary, -7200), 401)
undecoded = base64.b64encode(primary.encode()).decode()
attempt("individual", device_token("undecoded", "individual", undecoded), 401)
attempt("nobody", device_token("nobody", "nobody", new_key("of nobody")), 401)

# Malformed requests that carry secrets where no one expects them.
for path in (
    f"/{scope}/registrations/individual/register?api-version=2021-06-01&sig={urllib.parse.quote(primary, safe='')}",
    f"/{scope}/registrations/individual/register?key={urllib.parse.quote(primary, safe='')}",
):
    answers.append(client.call("PUT", path, {"registrationId": "other", "key": primary}, device_token(path[-9:], "other", primary)).text)
parts = server.connection_string("serviceConnectionString")
service_token = token(parts["HostName"], parts["SharedAccessKey"], parts["SharedAccessKeyName"])
known["signature of the service token"] = urllib.parse.unquote(service_token.split("sig=")[1].split("&")[0])
for method, path, body in (
    ("PUT", "/enrollments/short?api-version=2021-10-01", {"registrationId": "short", "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": new_key("too short", 8), "secondaryKey": primary}}}),
    ("PUT", "/enrollments/other?api-version=2021-10-01", {"registrationId": "another", "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": new_key("in a refused body")}}}),
    ("POST", "/enrollments/query?api-version=2021-10-01", {"query": f"SELECT * FROM enrollments WHERE '{primary}'"}),
    ("GET", "/enrollments/individual?api-version=2021-10-01", None),
    ("GET", "/enrollmentGroups/fleet?api-version=2021-10-01", None),
    ("POST", "/enrollments/query?api-version=2021-10-01", {"query": "SELECT *"}),
):
    answer = client.call(method, path, body, service_token)
    if answer.status == 200:
        answers.append(answer.text)  # an ordinary read shows no key either
    else:
        assert answer.status == 400, answer.text
        # The refusal of a query may name the offending text that its own author sent.
        answers.append(answer.text if "query" not in path else "")
answers.append(client.call("GET", "/enrollments/individual?api-version=2021-10-01", None, service_token.replace("sig=", "sig=AAAA")).text)

# Hub keys: given and made.
hub = server.connection_string("hubConnectionString")
hub_token = token(hub["HostName"], hub["SharedAccessKey"], hub["SharedAccessKeyName"])
known["signature of the hub token"] = urllib.parse.unquote(hub_token.split("sig=")[1].split("&")[0])
hub_client = Client(server, host=hub["HostName"].split(":")[0])
given = new_key("hub device", 32)
made = hub_client.call(
    "PUT", "/devices/on-the-hub?api-version=2021-04-12",
    {"deviceId": "on-the-hub", "authentication": {"type": "sas", "symmetricKey": {"primaryKey": given, "secondaryKey": new_key("hub device secondary", 32)}}},
    hub_token,
)
assert made.status == 200, made.text
made = hub_client.call("PUT", "/devices/made-on-the-hub?api-version=2021-04-12", {"deviceId": "made-on-the-hub"}, hub_token)
known["key that the hub made"] = made.body["authentication"]["symmetricKey"]["primaryKey"]
answers.append(hub_client.call("GET", "/devices/nobody?api-version=2021-04-12", None, hub_token).text)

# Keys of policies: given, drawn, rotated; and refused, with what is wrong and without the key.
bearer = f"Bearer {known['control token']}"
for holder in ("services/dev", f"hubs/{hub['HostName'].split(':')[0]}"):
    path = f"/landfall/{holder}/policies/by-hand"
    right = "EnrollmentRead" if holder.startswith("services") else "RegistryRead"
    body = {"rights": right, "primaryKey": new_key(f"policy of {holder}"), "secondaryKey": new_key(f"second of {holder}", 32)}
    answer = client.call("PUT", path, body, bearer)
    assert answer.status == 201, answer.text
    answers.append(answer.text)
    answers.append(client.call("PUT", path, body, bearer).text)
    for member in ("primaryKey", "secondaryKey"):
        answer = client.call("POST", f"{path}/rotate", {member: body[member]}, bearer, {"If-Match": "*"})
        assert answer.status == 400, answer.text
        answers.append(answer.text)
    answer = client.call("PUT", f"{path}-2", {"rights": right, "primaryKey": new_key(f"short of {holder}", 8)}, bearer)
    assert answer.status == 400, answer.text
    answers.append(answer.text)
    answers.append(client.call("POST", f"{path}/rotate", {"primaryKey": new_key(f"new of {holder}")}, bearer, {"If-Match": "*"}).text)
    answer = client.call("POST", f"{path}/rotate?keys=true", {"rotation": "both"}, bearer, {"If-Match": "*"})
    known[f"drawn of {holder}"] = answer.body["primaryKey"]
    answers.append(client.call("GET", f"/landfall/{holder}/policies", None, bearer).text)
    answers.append(client.call("DELETE", path, None, bearer).text)

# A private key in an uploaded certificate file is refused, and not repeated.
work = pathlib.Path.cwd()
subprocess.run(
    ["bash", "-c", '. "$CONTRACT/lib/certificates.sh"; create_test_cert root leaky; cat leaky_cert.pem leaky_key.pem >both.pem'],
    check=True, cwd=work,
)
known["private key"] = "".join((work / "leaky_key.pem").read_text().splitlines()[1:-1])
pem = (work / "both.pem").read_text()
answer = client.call(
    "PUT", "/enrollments/leaky?api-version=2021-10-01",
    {"registrationId": "leaky", "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": pem}}}}},
    service_token,
)
assert answer.status == 400, answer.text
answers.append(answer.text)

found = [
    f"{name} may be read by others: {mode:o}"
    for name in sorted(KEY_FILES | PASTED)
    if (mode := stat.S_IMODE((server.data / name).stat().st_mode)) & 0o077
]
# The audit trail tells of all that, of a webhook whose address holds a code, and of keys that rotate.
known["webhook code"] = "code-" + secrets.token_hex(16)
hook = f"https://functions.example/api/allocate?code={known['webhook code']}"
for url in (hook, hook + "&again=1"):
    made = client.call(
        "PUT", "/enrollments/by-webhook?api-version=2021-10-01",
        {"registrationId": "by-webhook", "attestation": {"type": "symmetricKey"}, "allocationPolicy": "custom",
         "customAllocationDefinition": {"webhookUrl": url, "apiVersion": "2021-10-01"}},
        service_token, {"If-Match": "*"} if url != hook else None,
    )
    assert made.status == 200, made.text
server.command("policy", "create", "reader", "--rights", "EnrollmentRead")
for _ in range(2):
    rotated = server.json("policy", "rotate", "reader", "--keys")
    for which in ("primaryKey", "secondaryKey"):
        known[f"{which} of a policy, rotation {rotated['etag']}"] = rotated[which]
audit = server.command("audit", "--jsonl").stdout
entries = [json.loads(line) for line in audit.splitlines()]
kinds = {entry["kind"] for entry in entries}
assert kinds >= {"service", "hub", "policy", "enrollment", "group", "device"}, kinds
assert any("webhookUrl" in entry.get("changedSecrets", []) for entry in entries), "no entry names a changed secret"
assert any("primaryKey" in entry.get("changedSecrets", []) for entry in entries), "no entry names a changed secret"
answers.append(audit)
answers.append(server.command("audit", "--top", "1000").stdout)
answers.append(server.command("audit", "--top", "1000", "--json").stdout)

# Nor does what was counted.
counted = scrape(server.dev["adminUrl"])
assert counted.sum("landfall_registration_attempts_total") >= 8, counted.text
answers.append(counted.text)

client.close()
hub_client.close()
server.stop()


def forms(text):
    """The shapes in which a secret could stand somewhere."""
    shapes = {text.encode(), urllib.parse.quote(text, safe="").encode(), json.dumps(text).strip('"').encode()}
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return shapes
    if len(raw) >= 16:
        shapes |= {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.urlsafe_b64encode(raw).rstrip(b"=")}
    return shapes


def leaks(where, content, but=()):
    return [
        f"{name} stands in {where}"
        for name, text in known.items()
        if name not in but and any(shape in content for shape in forms(text))
    ]


found += leaks("the log", server.log.read_bytes())
# What is no secret is there: the right places are searched, and a search finds something.
assert b"in-fleet" in server.log.read_bytes(), "the log does not tell of the devices"
printed = {name for name in known if name.startswith("policy key") or name == "control token"}
found += leaks("what dev prints", server.printed.read_bytes(), but=printed)
found += leaks("an error body or a trace", "\n".join(answers).encode())
assert sum("stages" in text for text in answers) >= 8, "no traces were searched"
files, records = 0, 0
for path in sorted(server.data.rglob("*")):
    if not path.is_file():
        continue
    if path.name not in KEY_FILES | PASTED:
        files += 1
        records += path.read_bytes().count(b"in-fleet")
        # The payload of a registration is a device's own word, kept with its record, and not a key.
        found += leaks(path.name, path.read_bytes(), but={"payload"})
assert records > 0, "no file that was searched holds the records"
if found:
    print("\n".join(found))
    sys.exit(1)
print(f"{len(known)} secrets in none of {files} files, {len(answers)} answers and traces, {server.log.stat().st_size} bytes of log")
