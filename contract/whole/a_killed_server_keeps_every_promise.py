"""kill -9 at random moments under load: a device that holds an operation id is never forgotten.

Twenty times: devices register as fast as they can, the server is killed, and started again on the
same folder. Every operation id that any device ever received must then answer `assigning` or
`assigned`, end as `assigned`, and never be 404; every device is on its hub exactly once.
"""

import base64
import collections
import http.client
import os
import pathlib
import random
import secrets
import sys
import threading
import time

from device import Client, derive, token
from server import Server

KILLS = 20
WORKERS = 4
LONGEST_LOAD_SECONDS = 0.8
ASSIGNED_WITHIN_SECONDS = 20

seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
chance = random.Random(seed)
print(f"KILL_SEED={seed}")
server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]), log="warn",
).start()
scope = server.dev["idScope"]
group_key = base64.b64encode(secrets.token_bytes(64)).decode()
owner = server.connection_string("serviceConnectionString")
made = Client(server).call(
    "PUT", "/enrollmentGroups/fleet?api-version=2021-10-01",
    {
        "enrollmentGroupId": "fleet",
        "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": group_key, "secondaryKey": group_key}},
    },
    token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"]),
)
assert made.status == 200, made.text


def authorization(registration_id):
    return token(f"{scope}/registrations/{registration_id}", derive(group_key, registration_id), "registration")


def load(kill, worker, promised, unanswered, wrong):
    """Registers new devices until the server is gone; writes down what each was told."""
    client = Client(server)
    for number in range(1_000_000):
        registration_id = f"kill{kill:02}-{worker}-{number}"
        unanswered.add(registration_id)
        try:
            answer = client.register(scope, registration_id, authorization(registration_id))
            if answer.status != 202 or answer.body["status"] != "assigning":
                wrong.append(f"register {registration_id}: {answer.status} {answer.text}")
                return
            promised[registration_id] = answer.body["operationId"]
            unanswered.discard(registration_id)
            # Some poll at once, so that the kill also falls between the two.
            if number % 2:
                polled = client.operation(scope, registration_id, promised[registration_id], authorization(registration_id))
                if polled.status not in (200, 202):
                    wrong.append(f"poll {registration_id}: {polled.status} {polled.text}")
        except (OSError, http.client.HTTPException):
            return


def finish(client, registration_id, operation_id):
    """Polls one operation to its end. Gives what is wrong with it, or nothing."""
    deadline = time.monotonic() + ASSIGNED_WITHIN_SECONDS
    while True:
        answer = client.operation(scope, registration_id, operation_id, authorization(registration_id))
        if answer.status == 200:
            break
        if answer.status != 202 or answer.body["status"] != "assigning":
            return f"{registration_id}: {answer.status} {answer.text}"
        if time.monotonic() > deadline:
            return f"{registration_id}: still assigning after {ASSIGNED_WITHIN_SECONDS} s"
        time.sleep(0.1)
    state = answer.body["registrationState"]
    if (answer.body["status"], state["status"], state["deviceId"]) != ("assigned", "assigned", registration_id):
        return f"{registration_id}: {answer.text}"
    hubs[registration_id].add(state["assignedHub"])
    return None


def devices_of_the_hub():
    """The ids on the embedded hub, each as often as the hub lists it."""
    parts = server.connection_string("hubConnectionString")
    host = parts["HostName"].split(":")[0]
    client = Client(server, host=host)
    found, mark = collections.Counter(), None
    while True:
        answer = client.call(
            "POST", "/devices/query?api-version=2021-04-12", {"query": "SELECT * FROM devices"},
            token(parts["HostName"], parts["SharedAccessKey"], parts["SharedAccessKeyName"]),
            {"x-ms-max-item-count": "1000", **({"x-ms-continuation": mark} if mark else {})},
        )
        assert answer.status == 200, answer.text
        found.update(item["deviceId"] for item in answer.body)
        mark = answer.headers.get("x-ms-continuation")
        if not mark:
            return found


hubs = collections.defaultdict(set)
everything = {}
cut_off = 0
wrong = []
for kill in range(KILLS):
    promised, unanswered = {}, set()
    threads = [
        threading.Thread(target=load, args=(kill, worker, promised, unanswered, wrong)) for worker in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.05, LONGEST_LOAD_SECONDS))
    server.kill()
    for thread in threads:
        thread.join()
    everything.update(promised)
    server.start()

    client = Client(server)
    wrong += filter(None, (finish(client, *pair) for pair in promised.items()))
    # A device that got no answer asks again, and ends up somewhere once.
    for registration_id in unanswered:
        cut_off += 1
        answer = client.register(scope, registration_id, authorization(registration_id))
        if answer.status != 202:
            wrong.append(f"register again {registration_id}: {answer.status} {answer.text}")
            continue
        everything[registration_id] = answer.body["operationId"]
        wrong += filter(None, [finish(client, registration_id, answer.body["operationId"])])
    if wrong:
        break

if not wrong:
    on_the_hub = devices_of_the_hub()
    for registration_id in everything:
        if len(hubs[registration_id]) != 1:
            wrong.append(f"{registration_id} was told these hubs: {sorted(hubs[registration_id])}")
        if on_the_hub[registration_id] != 1:
            wrong.append(f"{registration_id} is on its hub {on_the_hub[registration_id]} times")
server.stop()
if wrong:
    print("\n".join(wrong[:20]))
    print(server.log.read_text(errors="replace")[-3000:])
    sys.exit(1)
assert len(everything) >= KILLS, f"only {len(everything)} devices registered: the load was no load"
print(f"{KILLS} kills, {len(everything)} devices assigned, {cut_off} of them asked again, none lost, none twice")
