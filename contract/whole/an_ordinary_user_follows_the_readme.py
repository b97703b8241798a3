"""An ordinary user follows the README word for word in an empty folder: a clone, `dev` without an option, every block.

Started as root, everything the README asks for is done as the user nobody, with a home folder, an environment and a
umask like those of an ordinary account; started by anybody else, as that user. The clone is made by `git clone`. The
build alone is taken from what was built before (it takes minutes): the binary lies where `cargo run --release` puts
it, and `cargo run --release --` is left out of the first command. Port 443 is taken where this user may, else the
port that `dev` falls back to; the last line says which it was.
"""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from addresses import borrow_fixed
from readme import first_command, follow
from server import Server

CHECKOUT = pathlib.Path(os.environ["CONTRACT"]).parent
ORDINARY = "nobody"
FALLBACK_PORTS = {8443, 9443, 10443}


class AsWritten(Server):
    """`dev` as the README starts it: in the clone, by its relative name, with no option of ours."""

    def __init__(self, clone, words, environment, user):
        super().__init__("target/release/landfall", clone / "landfall-data", "127.0.0.1")
        self._clone, self._words, self._environment, self._user = clone, words, environment, user

    def command_line(self):
        return [self.binary, *self._words]

    def surroundings(self):
        return {"cwd": self._clone, "env": self._environment, **self._user}


def empty_folder(user):
    """A home folder that the user owns and can reach."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="landfall-ordinary-"))
    if user:
        os.chown(home, user["user"], user["group"])
    reached = subprocess.run(["/bin/sh", "-c", "cd -- \"$0\"", home], **user, check=False)
    assert reached.returncode == 0, f"{home} cannot be reached by the user {ORDINARY}: set TMPDIR to a folder that all may enter"
    return home


def clone_into(home, user):
    """The clone, with the binary where a build leaves it; an edit of the README that is not committed yet counts."""
    clone = home / "landfall"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", CHECKOUT, clone], check=True, stdin=subprocess.DEVNULL)
    shutil.copyfile(CHECKOUT / "README.md", clone / "README.md")
    built = clone / "target" / "release" / "landfall"
    built.parent.mkdir(parents=True)
    shutil.copyfile(os.environ["LANDFALL"], built)
    built.chmod(0o755)
    if user:
        for path in [clone, *clone.rglob("*")]:
            os.chown(path, user["user"], user["group"], follow_symlinks=False)
    return clone


user = {}
if os.geteuid() == 0:
    account = pwd.getpwnam(ORDINARY)
    user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "umask": 0o022}
home = empty_folder(user)
try:
    clone = clone_into(home, user)
    temporary = home / "tmp"
    temporary.mkdir()
    temporary.chmod(0o777)
    environment = {
        "HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": str(temporary),
    }
    readme = clone / "README.md"
    # Nothing of the machine's is shared with another run but the first loopback address.
    with borrow_fixed("127.0.0.1"):
        server = AsWritten(clone, first_command(readme), environment, user).start()
        try:
            port = server.dev["httpsPort"]
            said = follow(readme, clone, server, environment, **user)
        finally:
            server.stop()
    warned = server.log.read_text()
    assert port == 443 or port in FALLBACK_PORTS, f"dev took port {port}"
    assert port == 443 or f"serving on {port} instead" in warned, f"dev took port {port} and said\n{warned}"
    owner = (clone / "landfall-data" / "dev.json").parent.stat().st_uid
    assert owner == (user.get("user") or os.geteuid()), f"the data folder belongs to user {owner}"
finally:
    shutil.rmtree(home, ignore_errors=True)
print(f"{len(said)} blocks of README.md passed for user {user.get('user', os.geteuid())} on port {port}")
