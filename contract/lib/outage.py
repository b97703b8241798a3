"""A `landfall serve` that devices register at while something is taken from it, and what must hold afterwards.

Whatever was acknowledged is there, whatever was put off left nothing behind, and whoever is put off is told when to
come back. Nothing here knows what is taken.
"""

import base64
import collections
import json
import os
import secrets
import subprocess
import time

from device import Client, derive, token
from serving import SEEN_WITHIN_SECONDS, Authority, Serving

HOST, HUB = "dps.landfall.test", "hub.landfall.test"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}


class Fleet(Serving):
    """A server with one service and one group of devices with keys; remembers what each device was told."""

    def __init__(self, binary, folder, address, database=None, data=None):
        super().__init__(binary, folder, address)
        self.data = data or self.data
        authority = Authority(self.folder / "tls")
        pair = authority.issue("server", [f"DNS:{HOST}", f"DNS:{HUB}", f"IP:{address}"])
        self.configure([pair], [("factory", HOST, HUB)])
        if database:
            self.config.write_text(self.config.read_text() + f'[database]\npath = "{database}"\n')
        self.database = database or self.data / "landfall.db"
        self.dev = {"host": address, "httpsPort": self.port, "caFile": str(authority.root)}
        self.group_key = base64.b64encode(secrets.token_bytes(64)).decode()
        # Each device's operation, as it was acknowledged; and the devices that never were.
        self.acknowledged, self.put_off = {}, set()
        self._made = 0

    def command(self, *words, **options):
        """Runs a client command against it, where the server runs."""
        return subprocess.run(
            [*self.before, self.binary, *map(str, words), "--data", str(self.data)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, env=CLEAN, **options,
        )

    def found(self):
        """Reads the owners' keys and makes the group; after the first start."""
        def owner(*words):
            done = self.command("connection-string", *words)
            assert done.returncode == 0, done.stderr
            return dict(part.split("=", 1) for part in done.stdout.strip().split(";"))
        self.until("server.json", (self.data / "server.json").exists)
        self._service, self._hub = owner(), owner("--hub")
        self.scope = json.loads(self.command("service", "list", "--json").stdout)["value"][0]["idScope"]
        keys = {"primaryKey": self.group_key, "secondaryKey": self.group_key}
        made = self.service("PUT", "/enrollmentGroups/fleet", {
            "enrollmentGroupId": "fleet", "attestation": {"type": "symmetricKey", "symmetricKey": keys}})
        assert made.status == 200, made.text
        return self

    def service(self, method, path, body=None):
        """One call of the service API, as its owner."""
        client = Client(self)
        authorization = token(HOST, self._service["SharedAccessKey"], self._service["SharedAccessKeyName"])
        answer = client.call(method, f"{path}?api-version=2021-10-01", body, authorization)
        client.close()
        return answer

    def authorization(self, device):
        return token(f"{self.scope}/registrations/{device}", derive(self.group_key, device), "registration")

    def register(self, client=None, payload=None):
        """A new device registers; gives the answer, which is either an operation or a time to come back."""
        own = client or Client(self)
        self._made += 1
        device = f"device-{self._made:05}"
        answer = own.register(self.scope, device, self.authorization(device), payload)
        if not client:
            own.close()
        if answer.status == 202:
            self.acknowledged[device] = answer.body["operationId"]
        else:
            assert answer.status == 503, f"{answer.status} {answer.text}"
            assert int(answer.headers["Retry-After"]) >= 1, answer.headers
            assert answer.body["errorCode"] == 503001 and answer.body["trackingId"], answer.text
            self.put_off.add(device)
        return answer

    def register_many(self, count, payload=None):
        """New devices register over one connection; they are all acknowledged."""
        client = Client(self)
        for _ in range(count):
            answer = self.register(client, payload)
            assert answer.status == 202, answer.text
        client.close()

    def unready(self, reason):
        """Holds it to saying that it cannot serve, and why, while it lives."""
        def said():
            status, _, text = self.ask("/readyz")
            return status == 503 and text
        text = self.until("not ready", said)
        assert reason in text, f"{reason!r} is not in {text!r}"
        assert self.ask("/healthz")[0] == 200
        return text

    def ready_again(self):
        """Waits until it can serve; the same process still."""
        self.until("ready again", lambda: self.ask("/readyz")[0] == 200)
        assert self.process.poll() is None

    def kept(self):
        """Polls everything that was acknowledged, looks for everything that was not; gives how many there are."""
        client = Client(self)
        for device, operation in self.acknowledged.items():
            deadline = time.monotonic() + SEEN_WITHIN_SECONDS
            while True:
                answer = client.operation(self.scope, device, operation, self.authorization(device))
                if answer.status != 202 or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            assert answer.status == 200, f"{device} was acknowledged: {answer.status} {answer.text}"
            state = answer.body["registrationState"]
            assert (state["status"], state["assignedHub"], state["deviceId"]) == ("assigned", HUB, device), answer.text
        for device in self.put_off - self.acknowledged.keys():
            found = self.service("GET", f"/registrations/{device}").status
            assert found == 404, f"{device} was put off and is half there: {found}"
        client.close()
        assert self._devices() == collections.Counter(self.acknowledged.keys()), "the hub holds others"
        return len(self.acknowledged)

    def _devices(self):
        """The ids on the hub, each as often as it lists them."""
        client = Client(self)
        found, mark = collections.Counter(), None
        while True:
            answer = client.call(
                "POST", "/devices/query?api-version=2021-04-12", {"query": "SELECT * FROM devices"},
                token(HUB, self._hub["SharedAccessKey"], self._hub["SharedAccessKeyName"]),
                {"x-ms-max-item-count": "1000", **({"x-ms-continuation": mark} if mark else {})},
            )
            assert answer.status == 200, answer.text
            found.update(item["deviceId"] for item in answer.body)
            mark = answer.headers.get("x-ms-continuation")
            if not mark:
                client.close()
                return found
