"""A trace of each request reaches a collector of OpenTelemetry, read by the vendor's own schema, and holds no secret.

The collector is away at first, takes, hangs, is busy and refuses: nobody waits for it, and what waited is sent. A device's
trace has its stages, and its id is the tracking id of the answer. What was asked just before a stop arrives. The program
must be built with the feature `opentelemetry`, as `cargo xtask test` does.
"""

import json
import os
import pathlib
import signal
import subprocess
import threading

from device import Client, derive
from outage import Fleet
from server import free_port
from serving import Authority

HUSH = "hush-collector-token"
DEVICES = 20

work = pathlib.Path.cwd()
python = pathlib.Path(os.environ["CLIENTS"]) / "venv" / "bin" / "python"


class Collector:
    """The collector's process, and what it was told."""

    def __init__(self):
        self.port, self.status, self.calls = free_port(), work / "status", []
        self.answers(200)
        self.process = None

    def answers(self, status):
        # In one step: the collector may read at any moment.
        draft = self.status.with_suffix(".new")
        draft.write_text(str(status))
        draft.rename(self.status)

    def start(self, *certificate):
        script = pathlib.Path(os.environ["CONTRACT"]) / "lib" / "otlp_collector.py"
        self.process = subprocess.Popen([python, script, self.status, str(self.port), *certificate], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", self.process.wait()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.calls.append(json.loads(line))

    def spans(self):
        assert not [call["error"] for call in self.calls if "error" in call], self.calls
        return [span for call in self.calls for span in call.get("spans", [])]

    def trace(self, tracking_id):
        return [span for span in self.spans() if span["trace"] == tracking_id.replace("-", "").lower()]

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def of_a_device(spans, device, scope):
    """One whole span, and one inside it for each stage, one after the other."""
    (whole,) = [span for span in spans if not span["parent"]]
    stages = [span for span in spans if span["parent"]]
    assert (whole["name"], whole["kind"], whole["failed"]) == ("register", 2, False), whole
    assert whole["resource"]["service.name"] == "plant-7" and whole["resource"]["service.version"], whole
    said = whole["attributes"]
    assert (said["landfall.registration_id"], said["landfall.id_scope"]) == (device, scope), said
    assert (said["http.response.status_code"], said["client.address"]) == (202, "127.0.0.1"), said
    assert said["landfall.operation_id"] == server.acknowledged[device], said
    names = [span["name"] for span in stages]
    for name in ("service", "enrollment", "attestation", "allocation", "hub", "record", "answer"):
        assert name in names, names
    assert all(span["parent"] == whole["span"] and span["kind"] == 1 for span in stages), stages
    assert len({span["span"] for span in spans}) == len(spans), spans
    assert whole["start"] == stages[0]["start"] and stages[-1]["end"] <= whole["end"], spans
    assert all(one["end"] == other["start"] for one, other in zip(stages, stages[1:])), stages


collector = Collector()
with Fleet(os.environ["LANDFALL"], work / "serve", os.environ["BIND_ADDRESS"]) as server:
    headers = work / "headers"
    headers.write_text(f"Authorization: Bearer {HUSH}\n")
    server.config.write_text(server.config.read_text() + (
        f'[telemetry]\notlp_endpoint = "http://127.0.0.1:{collector.port}"\n'
        f'otlp_headers_file = "{headers}"\nservice_name = "plant-7"\n'))
    try:
        # Nobody is there: devices do not notice, the log says it once.
        server.start().found()
        client = Client(server)
        answers = [server.register(client) for _ in range(DEVICES)]
        assert all(answer.status == 202 for answer in answers), answers
        away = server.until("a word", lambda: [text for text in server.messages("WARN") if "collector of spans" in text])
        assert len(away) == 1 and "cannot connect" in away[0] and "served all the same" in away[0], away

        # It comes: what waited is sent.
        collector.start()
        tracked = [answer.headers["x-ms-request-id"] for answer in answers]
        server.until("the traces", lambda: all(map(collector.trace, tracked)))
        for device, tracking_id in zip(server.acknowledged, tracked):
            of_a_device(collector.trace(tracking_id), device, server.scope)
        assert any("takes them again" in text for text in server.messages()), server.text()
        assert all(call["path"] == "/v1/traces" and call["headers"]["authorization"] == f"Bearer {HUSH}" for call in collector.calls)

        # A refusal has its check; operators' requests are there too, without their query.
        authorization = server.authorization("nobody").replace("sig=", "sig=A")
        refused = client.register(server.scope, "nobody", authorization)
        assert refused.status == 401, refused.text
        asked = server.service("GET", "/enrollmentGroups/fleet")
        ids = [refused.body["trackingId"], asked.headers["x-ms-request-id"]]
        server.until("both", lambda: all(map(collector.trace, ids)))
        (whole,) = [span for span in collector.trace(ids[0]) if not span["parent"]]
        assert whole["attributes"]["landfall.check"].startswith("sas."), whole
        (whole,) = collector.trace(ids[1])
        assert whole["name"] == "GET service API" and whole["attributes"]["http.response.status_code"] == 200, whole
        assert whole["attributes"]["url.path"] == "/enrollmentGroups/fleet", whole

        # One that hangs holds up nobody.
        collector.process.send_signal(signal.SIGSTOP)
        tracked = [server.register(client).headers["x-ms-request-id"] for _ in range(DEVICES)]
        assert len(server.acknowledged) == 2 * DEVICES
        collector.process.send_signal(signal.SIGCONT)
        server.until("the traces", lambda: all(map(collector.trace, tracked)))

        # A collector that is busy is asked again, one that refuses is not.
        collector.answers(503)
        busy = server.register(client).headers["x-ms-request-id"]
        server.until("a call in vain", lambda: any(busy.replace("-", "") in call["text"] for call in collector.calls))
        assert not collector.trace(busy)
        collector.answers(401)
        server.until("a refusal", lambda: any("refused" in text and "401" in text for text in server.messages("WARN")))
        collector.answers(200)
        last = server.register(client).headers["x-ms-request-id"]
        server.stop()
        assert collector.trace(last), "the last request before the stop"
        assert not collector.trace(busy), "refused spans are not sent again"

        # Over TLS, with a certificate of an authority that the settings name and no other.
        collector.stop()
        collector.start(*Authority(work / "collector").issue("collector", ["IP:127.0.0.1"]))
        plain = server.config.read_text()
        server.config.write_text(plain.replace("http://", "https://"))
        server.start()
        stranger = server.register().headers["x-ms-request-id"]
        server.until("a refusal", lambda: any("authority that is not trusted" in text for text in server.messages("WARN")))
        server.stop()
        server.config.write_text(plain.replace("http://", "https://") + f'otlp_ca_file = "{work}/collector/root.pem"\n')
        server.start()
        trusted = server.register().headers["x-ms-request-id"]
        server.until("the trace", lambda: collector.trace(trusted))
        assert not collector.trace(stranger)
        server.stop()
    finally:
        collector.stop()

# Neither keys nor tokens nor what the collector is shown.
secrets = [server.group_key, server._service["SharedAccessKey"], server._hub["SharedAccessKey"], "SharedAccessSignature"]
secrets += [derive(server.group_key, device) for device in server.acknowledged]
told = "".join(call["text"] for call in collector.calls)
for secret in secrets + [HUSH]:
    assert secret not in told, "a secret was sent to the collector"
    assert secret not in server.text(), "a secret is in the log"
print(f"{len(collector.spans())} spans in {len(collector.calls)} calls")
