"""The real Prometheus scrapes a real server with the page's own configuration: the form is what `promtool` wants, every
expression of dashboard and alerts is evaluated, those that should show something do, and what the rules say of made-up
servers is what is expected. Then the database cannot be written, which a scrape tells without asking it.
"""

import atexit
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from device import Client, token
from scrape import scrape, settled
from server import ContractError, Server, free_port

LANDFALL = os.environ["LANDFALL"]
REPOSITORY = pathlib.Path(os.environ["CONTRACT"]).parent
PAGES = REPOSITORY / "docs" / "operating"
SEEN_WITHIN_SECONDS = 60
work = pathlib.Path.cwd()


def promtool(*words, **options):
    """Runs promtool, which must find nothing wrong, and gives what it said."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, **options)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"promtool {' '.join(words)}:\n{said}"
    return said


class Prometheus:
    """A Prometheus of this test's own, stopped by its pid."""

    def __init__(self, config):
        self.address = f"127.0.0.1:{free_port()}"
        self.log = open(work / "prometheus.log", "ab")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work / 'series'}",
             f"--web.listen-address={self.address}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=work,
        )

    def ask(self, path, **parameters):
        """The data of one of its answers."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None
        assert told["status"] == "success", told
        return told["data"]

    def value(self, expression):
        """What an expression is now: a list of (labels, value)."""
        return [(one["metric"], one["value"][1]) for one in self.ask("query", query=expression)["result"]]

    def until(self, what, seen):
        """Waits until `seen` gives something, which it gives."""
        deadline = time.monotonic() + SEEN_WITHIN_SECONDS
        while True:
            assert self.process.poll() is None, (work / "prometheus.log").read_text()
            try:
                found = seen()
            except OSError:
                found = None
            if found:
                return found
            if time.monotonic() > deadline:
                raise ContractError(f"{what}: not within {SEEN_WITHIN_SECONDS} s\n{(work / 'prometheus.log').read_text()}")
            time.sleep(0.2)

    def _is_ready(self):
        with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=20) as answer:
            return answer.status == 200

    def __enter__(self):
        try:
            self.until("Prometheus is ready", self._is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def of_dashboard():
    """Every expression of the dashboard, with the panel it is from."""
    board = json.loads((PAGES / "grafana-dashboard.json").read_text())
    variables = {one["name"] for one in board["templating"]["list"]}
    ids, used, expressions = set(), set(), []
    for panel in board["panels"]:
        assert panel["id"] not in ids, f"two panels have the id {panel['id']}"
        ids.add(panel["id"])
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & used, f"{panel['title']} lies over another panel"
        used |= cells
        if panel["type"] != "row":
            assert panel["description"] and panel["targets"], panel["title"]
            expressions += [(panel["title"], target["expr"]) for target in panel["targets"]]
    expressions += [(f"annotation {one['name']}", one["expr"]) for one in board["annotations"]["list"]]
    for title, expression in expressions:
        assert set(re.findall(r"\$(\w+)", expression)) - {"__rate_interval"} <= variables, f"{title}: {expression}"
    return [
        (title, expression.replace("$__rate_interval", "20s").replace("$instance", ".*").replace("$service", ".*"))
        for title, expression in expressions
    ]


# The files alone.
assert "SUCCESS" in promtool("check", "rules", str(PAGES / "alerts.yml"))
assert "SUCCESS" in promtool("test", "rules", str(REPOSITORY / "contract" / "prometheus" / "alerts.test.yml"))
page = (PAGES / "metrics.md").read_text()
(configuration,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
headings = {"#" + heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.M)}

# A server with a device that comes, returns and polls, one that is refused, and some load.
server = Server(LANDFALL, work / "data", os.environ["BIND_ADDRESS"], official_ports=bool(os.environ["OFFICIAL_PORTS"])).start()
# A test that fails leaves no server behind.
atexit.register(lambda: server.process.poll() is None and server.kill())
admin = server.dev["adminUrl"]
key = server.json("enrollment", "create", "--eid", "dev-1", "--at", "symmetricKey", "--keys")["attestation"]["symmetricKey"]["primaryKey"]
scope = server.dev["idScope"]
client = Client(server)


def register(registration_id="dev-1", expiry=3600):
    shown = token(f"{scope}/registrations/{registration_id}", key, "registration", expiry)
    return client.register(scope, registration_id, shown).status


assert promtool("check", "metrics", input=scrape(admin).text) == "", "promtool has something against the form"

configured = configuration.replace("127.0.0.1:9080", urllib.parse.urlsplit(admin).netloc)
assert configured != configuration, "the page's configuration names another address"
configured = configured.replace("15s", "1s").replace("- alerts.yml", f"- {PAGES / 'alerts.yml'}")
(work / "prometheus.yml").write_text("global:\n  evaluation_interval: 1s\n" + configured)
promtool("check", "config", str(work / "prometheus.yml"))

with Prometheus(work / "prometheus.yml") as prometheus:
    prometheus.until("the first scrape", lambda: prometheus.value('up{job="landfall"} == 1'))

    def load():
        """Some of everything that a healthy day has."""
        server.command("bench", "--count", "50", "--in-flight", "4", "--poll", "--json")
        assert (register(), register(), register(expiry=-7200)) == (202, 202, 401)
        return prometheus.value("sum(rate(landfall_device_assignments_total[20s])) > 0")

    prometheus.until("rates", load)
    load()
    time.sleep(2)

    # Every expression of the dashboard.
    expressions = of_dashboard()
    empty = {title for title, expression in expressions if not prometheus.value(expression)}
    # A server that was started once has not changed its start.
    assert empty == {"annotation Starts"}, empty
    for metric, label in (("landfall_build_info", "instance"), ("landfall_registration_attempts_total", "service")):
        assert prometheus.ask(f"label/{label}/values", **{"match[]": metric}), metric

    # Every rule is evaluated without an error; what it compares is there; none holds of this server but what was done to it.
    (group,) = prometheus.until(
        "the rules", lambda: [one for one in prometheus.ask("rules")["groups"] if all(rule["health"] == "ok" for rule in one["rules"])]
    )
    for rule in group["rules"]:
        assert not rule.get("lastError"), rule
        compared = re.fullmatch(r"(.*) (?:>|<|==) [\d.e+]+", rule["query"], re.S)
        assert compared, rule["query"]
        assert prometheus.value(compared[1]), f"{rule['name']} compares nothing: {compared[1]}"
        runbook = rule["annotations"]["runbook"]
        assert runbook.startswith("docs/operating/metrics.md#") and runbook.removeprefix("docs/operating/metrics.md") in headings, runbook
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
    assert headings <= {rule["annotations"]["runbook"].removeprefix("docs/operating/metrics.md") for rule in group["rules"]}, "a runbook without its alert"
    holding = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
    # How quick this machine is, is not asked.
    assert holding <= {"LandfallSlow", "LandfallCommitsSlowly"}, holding

    # The database takes no writes: a scrape tells it at once, and the alerts begin to hold.
    before = scrape(admin)
    with sqlite3.connect(server.data / "landfall.db", isolation_level=None) as database:
        database.execute("BEGIN IMMEDIATE")
        assert register() == 503
        away = scrape(admin)
        assert away.sum("landfall_registration_attempts_total", status="unavailable") > before.sum("landfall_registration_attempts_total", status="unavailable")
        assert away.sum("landfall_store_write_failures_total") > before.sum("landfall_store_write_failures_total")
        assert away.sum("landfall_refusals_total", check="store.unavailable") > 0
        assert set(away.kinds) == set(before.kinds)
        wanted = {"LandfallUnavailable", "LandfallCannotWrite"}
        prometheus.until(
            "the alerts", lambda: wanted <= {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
        )
        database.execute("ROLLBACK")
    database.close()
    settled(admin, "devices again", lambda _: register() == 202)

    # The server goes away.
    client.close()
    server.stop()
    prometheus.until("the target is down", lambda: prometheus.value('up{job="landfall"} == 0'))
    prometheus.until(
        "the alert of a server that is down",
        lambda: "LandfallDown" in {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]},
    )

print(f"{len(expressions)} expressions of the dashboard and {len(group['rules'])} rules, each evaluated on a real server")
