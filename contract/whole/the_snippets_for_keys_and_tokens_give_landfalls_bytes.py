"""The page on keys and tokens: each snippet prints what `landfall` prints.

First with the page's own values, then with others, so that none of them only repeats an answer.
PowerShell's are run where there is a PowerShell; else they are only looked for.
"""

import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "keys-and-tokens.md"
LANDFALL = os.environ["LANDFALL"]
OTHERS = [
    {"KEY": base64.b64encode(bytes(range(191, 255))).decode(), "SCOPE": "0ne0000FFFF", "ID": "Line_4:cell.7-B", "EXPIRY": "4102444800"},
    {"KEY": base64.b64encode(os.urandom(64)).decode(), "SCOPE": "0ne00000001", "ID": "a" * 64, "EXPIRY": "1767225600"},
]


def with_values(code, values):
    """A snippet with other values in the assignments that it begins with."""
    for name, value in values.items():
        code = re.sub(rf"(?im)^(\$?{name} ?= ?)('[^']*'|\d+)$", lambda line: line[1] + (value if line[2].isdigit() else f"'{value}'"), code)
    return code


def printed(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, f"{command} left with {done.returncode}\n{done.stdout}"
    return done.stdout.strip()


def landfall(what, values):
    if what == "key":
        return printed([LANDFALL, "key", "derive", "--key", values["KEY"], "--registration-id", values["ID"]])
    return printed([
        LANDFALL, "sas", "--id-scope", values["SCOPE"], "--registration-id", values["ID"], "--key", values["KEY"],
        "--expires-at", values["EXPIRY"],
    ])


os.environ["PATH"] = f"{pathlib.Path(LANDFALL).parent}:{os.environ['PATH']}"
RUN = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
if shutil.which("pwsh"):
    RUN["powershell"] = ["pwsh", "-NoProfile", "-Command"]

compared = 0
sections = re.split(r"(?m)^## ", PAGE.read_text())[1:]
for what, section in zip(("key", "token"), sections, strict=True):
    snippets = dict(re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", section))
    assert list(snippets) == ["sh", "bash", "python", "powershell"], f"the section on a {what} has {list(snippets)}"
    wanted = printed(["bash", "-euo", "pipefail", "-c", snippets["sh"]])
    for language, run in RUN.items():
        seen = printed(run + [snippets[language]])
        assert seen == wanted, f"{language}, the {what}: {seen!r} is not {wanted!r}"
        for values in OTHERS:
            changed = with_values(snippets[language], values)
            names = ["KEY", "ID"] if what == "key" else list(values)
            assert all(values[name] in changed for name in names), f"{language}, the {what} does not begin with its values"
            wanted_now, seen = landfall(what, values), printed(run + [changed])
            assert seen == wanted_now, f"{language}, the {what} with {values}: {seen!r} is not {wanted_now!r}"
            compared += 1
assert "sn-007-a1-b2" in wanted and len(wanted) > 100, wanted
print(f"{compared} results of {', '.join(RUN)} were landfall's own, to the byte")
