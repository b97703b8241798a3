"""Devices that register at one node and poll at another, and an operator who writes groups, for as long as it is let;
all that they were told is written down, and asked for at the end. A node that is gone is one more reason to ask another;
503 is one to come back, as long as it says when.
"""

import collections
import http.client
import threading
import time

from node import SERVICE_API, Named

ASSIGNED_WITHIN_SECONDS = 90
GOES_ON_WITHIN_SECONDS = 90
PAUSE_SECONDS = 0.05
# Between two devices of a worker: many kills need no more devices than can be asked for afterwards.
BREATH_SECONDS = 0.05
CUT_OFF = (OSError, http.client.HTTPException)


class Load:
    """See the module. Runs between `with` and its end."""

    def __init__(self, fleet, nodes, prefix, chance, workers=4, breath=BREATH_SECONDS):
        self.fleet, self.nodes, self.prefix, self.chance = fleet, nodes, prefix, chance
        self.breath = breath
        self.promised = {}
        self.unanswered = set()
        self.groups = set()
        self.done = collections.Counter()
        self.wrong = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._devices, args=(worker,)) for worker in range(workers)]
        self._threads.append(threading.Thread(target=self._operator))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until(self, what, many):
        """Waits until so many more are done of what it counts."""
        wanted, deadline = self.done[what] + many, time.monotonic() + GOES_ON_WITHIN_SECONDS
        while self.done[what] < wanted and not self.wrong:
            assert time.monotonic() < deadline, f"{what}: {many} more not within {GOES_ON_WITHIN_SECONDS} s: {dict(self.done)}"
            time.sleep(0.01)

    def _say(self, clients, node, call):
        """Its answer; nothing when there is none, or one that says to come back."""
        try:
            if node not in clients:
                clients[node] = Named(node)
            answer = call(clients[node])
        except CUT_OFF:
            clients.pop(node, None)
            self.done["cut off"] += 1
            time.sleep(PAUSE_SECONDS)
            return None
        if answer.status == 503:
            self.done["put off"] += 1
            if not answer.headers.get("Retry-After"):
                self.wrong.append(f"503 without Retry-After: {answer.text}")
            time.sleep(PAUSE_SECONDS)
            return None
        return answer

    def _devices(self, worker):
        clients = {}
        for number in range(1_000_000):
            device = f"{self.prefix}-{worker}-{number}"
            self.unanswered.add(device)
            if self._over.is_set() or self.wrong:
                self.unanswered.discard(device)
                return
            here, there = self.chance.choice(self.nodes), self.chance.choice(self.nodes)
            answer = self._say(clients, here, lambda client: self.fleet.register(client, device))
            if answer is None:
                continue
            if answer.status != 202:
                self.wrong.append(f"register {device}: {answer.status} {answer.text}")
                return
            operation = self.promised[device] = answer.body["operationId"]
            self.unanswered.discard(device)
            self.done["registered"] += 1
            answer = self._say(clients, there, lambda client: self.fleet.poll(client, device, operation))
            if answer is not None and answer.status not in (200, 202):
                self.wrong.append(f"poll {device}: {answer.status} {answer.text}")
            elif answer is not None and here is not there:
                self.done["polled elsewhere"] += 1
            time.sleep(self.breath)

    def _operator(self):
        clients = {}
        for number in range(1_000_000):
            if self._over.is_set() or self.wrong:
                return
            group = f"{self.prefix}-{number}"
            node = self.chance.choice(self.nodes)
            answer = self._say(clients, node, lambda client: self.fleet.enroll(client, group))
            if answer is not None and answer.status == 200:
                self.groups.add(group)
            elif answer is not None:
                self.wrong.append(f"write {group}: {answer.status} {answer.text}")
            time.sleep(PAUSE_SECONDS)

    def settle(self):
        """Asks for everything that was acknowledged; who got no answer asks again. Gives each device's hub."""
        clients, hubs = {}, {}
        assert not self.wrong, self.wrong[:5]
        for device in sorted(self.unanswered):
            answer = self._answered(clients, lambda client: self.fleet.register(client, device))
            assert answer.status == 202, f"register again {device}: {answer.status} {answer.text}"
            self.promised[device] = answer.body["operationId"]
        for device, operation in self.promised.items():
            hubs[device] = self.assigned(clients, device, operation)
        for group in self.groups:
            path = f"/enrollmentGroups/{group}?{SERVICE_API}"
            answer = self._answered(clients, lambda client: client.call("GET", path, None, self.fleet.owner))
            assert answer.status == 200, f"LOST: group {group}: {answer.status} {answer.text}"
        assert not self.wrong, self.wrong[:5]
        return hubs

    def assigned(self, clients, device, operation):
        """Polls an operation to its end; gives the hub."""
        deadline = time.monotonic() + ASSIGNED_WITHIN_SECONDS
        while True:
            answer = self._answered(clients, lambda client: self.fleet.poll(client, device, operation))
            if answer.status == 200:
                state = answer.body["registrationState"]
                assert (answer.body["status"], state["deviceId"]) == ("assigned", device), answer.text
                return state["assignedHub"]
            assert answer.status == 202 and answer.body["status"] == "assigning", f"LOST: {device}: {answer.status} {answer.text}"
            assert time.monotonic() < deadline, f"{device} is not assigned within {ASSIGNED_WITHIN_SECONDS} s"
            time.sleep(PAUSE_SECONDS)

    def _answered(self, clients, call):
        """Asks nodes until one answers and does not say to come back."""
        deadline = time.monotonic() + ASSIGNED_WITHIN_SECONDS
        while (answer := self._say(clients, self.chance.choice(self.nodes), call)) is None:
            assert time.monotonic() < deadline, f"no answer within {ASSIGNED_WITHIN_SECONDS} s"
        return answer


def each_on_its_hub(fleet, node, hubs):
    """Holds every device to be on the hub that it was told, and on no other."""
    on = fleet.devices(node)
    for device, hub in hubs.items():
        assert on.get(device) == [hub], f"{device} was told {hub}, and is on {on.get(device)}"
