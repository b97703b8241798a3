"""A scrape of the admin listener, read strictly: every line must be one that the text form allows.

Nothing here knows what is tested, nor which metrics there are.
"""

import math
import re
import time
import urllib.request

from server import ContractError

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
SETTLED_WITHIN_SECONDS = 30


class Scrape:
    """What one scrape said: `kinds` by family, and samples by name and labels."""

    def __init__(self, text):
        self.text = text
        self.kinds, self.help, self.samples, self.family_of = {}, {}, {}, {}
        assert text.endswith("\n"), "the last line has no end"
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family, told = line.removeprefix("# HELP ").split(" ", 1)
                assert family not in self.help, f"{family} stands twice"
                self.help[family] = told
            elif line.startswith("# TYPE "):
                name, kind = line.removeprefix("# TYPE ").split(" ")
                assert name == family, line
                self.kinds[name] = kind
            else:
                read = SAMPLE.fullmatch(line)
                assert read, f"no sample: {line!r}"
                name, labels, value = read.groups()
                assert name in [family + suffix for suffix in SUFFIXES[self.kinds[family]]], line
                labels = tuple(LABEL.findall(labels or ""))
                assert (name, labels) not in self.samples, f"{line!r} stands twice"
                self.samples[name, labels] = float(value)
                self.family_of[name] = family
        self._histograms_are_whole()

    def _histograms_are_whole(self):
        for (name, labels), count in self.samples.items():
            if not name.endswith("_count") or self.kinds[self.family_of[name]] != "histogram":
                continue
            family = self.family_of[name]
            buckets = [
                (math.inf if dict(at)["le"] == "+Inf" else float(dict(at)["le"]), value)
                for (one, at), value in self.samples.items()
                if one == f"{family}_bucket" and tuple(pair for pair in at if pair[0] != "le") == labels
            ]
            assert buckets == sorted(buckets), f"{family}: {buckets}"
            assert [value for _, value in buckets] == sorted(value for _, value in buckets), f"{family}: {buckets}"
            assert buckets[-1] == (math.inf, count), f"{family}: {buckets} {count}"
            assert (f"{family}_sum", labels) in self.samples, family

    def labels(self, family):
        """The label names of each of its samples but `le`, in order; None when there is no sample."""
        names = {
            tuple(label for label, _ in labels if label != "le")
            for (name, labels) in self.samples
            if self.family_of[name] == family
        }
        assert len(names) < 2, f"{family}: {names}"
        return list(names.pop()) if names else None

    def values(self, family, label):
        """Every value of a label of a family."""
        return {
            dict(labels)[label]
            for (name, labels) in self.samples
            if self.family_of[name] == family and label in dict(labels)
        }

    def sum(self, metric, **labels):
        """What all samples of that name and with these labels add up to."""
        return sum(
            value
            for (name, have), value in self.samples.items()
            if name == metric and labels.items() <= dict(have).items()
        )

    def since(self, before):
        """The samples that are no longer what they were, by how much they moved."""
        moved = {
            key: value - before.samples.get(key, 0.0)
            for key, value in self.samples.items()
            if value != before.samples.get(key, 0.0)
        }
        return moved


def scrape(admin):
    """Scrapes the admin listener at a URL or address."""
    url = admin if admin.startswith("http") else f"http://{admin}"
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        kind = answer.headers["Content-Type"]
        assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
        return Scrape(answer.read().decode())


def settled(admin, what, seen):
    """Scrapes until `seen` of the scrape holds, and gives that scrape."""
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while True:
        last = scrape(admin)
        if seen(last):
            return last
        if time.monotonic() > deadline:
            raise ContractError(f"{what}: not within {SETTLED_WITHIN_SECONDS} s\n{last.text}")
        time.sleep(0.05)
