"""A document's `sh` blocks, run as written, in order, in one shell session.

Nothing in a block is changed. A session ends with the first command that fails; one that could not
fail would prove nothing, so `prove_that_it_fails` shows that it does. Nothing here knows the document.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile

SESSION_TIMEOUT_SECONDS = 120


def blocks(text):
    """Each `sh` block with the heading above it and the line on which it begins."""
    found, heading, block = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        if block is None:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            elif line == "```sh":
                block = (heading, number + 1, [])
        elif line == "```":
            found.append((block[0], block[1], "\n".join(block[2])))
            block = None
        else:
            block[2].append(line)
    assert block is None, f"the block that begins on line {block[1]} has no end"
    return found


def session(name, parts, folder, environment, **process):
    """Runs all blocks in one shell. Gives what each printed, and the failure, if there was one.

    `process` says how the shell is started, for instance by which user.
    """
    script = ["set -Eeuo pipefail", "trap 'echo \"$here: this failed: $BASH_COMMAND\"' ERR"]
    for index, (heading, line, block) in enumerate(parts):
        here = shlex.quote(f"{name}, from line {line} ({heading})")
        script += [f"printf '\\n<<block {index}>>\\n'", f"here={here}", block]
    script.append("printf '\\n<<end>>\\n'")
    with tempfile.TemporaryFile("w+", errors="replace") as printed:
        shell = subprocess.Popen(
            ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=printed, stderr=subprocess.STDOUT, start_new_session=True, **process,
        )
        try:
            status = shell.wait(SESSION_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            status = f"nothing within {SESSION_TIMEOUT_SECONDS} s"
        finally:
            # A block may leave something running behind it, and a session its shell.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        printed.seek(0)
        text = printed.read()
    said = re.split(r"^<<(?:block \d+|end)>>$", text, flags=re.MULTILINE)[1:]
    failure = None
    if status != 0 or "<<end>>" not in text:
        failure = f"the session left with {status} in block {len(said)} of {len(parts)}\n{said[-1] if said else text}"
    return said, failure


def prove_that_it_fails(folder, environment):
    """Runs blocks that fail in different ways; each must end its session."""
    for broken in ("false", "false | cat", "f() { false; }; f", "X=$(false)", "echo $UNSET"):
        parts = [("a heading", 1, "true"), ("another", 2, broken + "\ntrue")]
        _, failure = session("a document", parts, folder, environment)
        assert failure is not None, f"a session passed over {broken!r}"
