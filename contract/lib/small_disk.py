"""A small file system in memory, at a folder that only its own processes see, for whoever needs a full or read-only disk.

A process of its own holds it, so that it outlives the programs that are run in it; it goes with that process. Whoever
may make a user namespace may do this: root, and ordinary users unless the machine forbids it to them.
"""

import os
import pathlib
import subprocess


class SmallDisk:
    """A disk of `megabytes` at `folder`, as programs see it that are started with `inside` before their words."""

    def __init__(self, folder, megabytes):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        mounted = 'mount -t tmpfs -o "size=$1m,mode=700" none "$0" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, str(self.folder), str(megabytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if self._holder.stdout.readline() != "mounted\n":
            raise OSError(f"no file system of its own can be mounted here: {self._holder.communicate()[1]}")
        # The disk itself, whatever is laid over it.
        self._root = os.open(self.seen, os.O_RDONLY | os.O_DIRECTORY)
        self.inside = ["nsenter", "--target", str(self._holder.pid), "--user", "--preserve-credentials", "--mount"]

    @property
    def seen(self):
        """The disk's folder, as this program reaches it."""
        return pathlib.Path(f"/proc/{self._holder.pid}/root{self.folder}")

    def fill(self, but=0):
        """Takes what room is left, to the last byte, or but for some megabytes."""
        opened = os.open("ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600, dir_fd=self._root)
        with open(opened, "ab", buffering=0) as ballast:
            if but:
                room = os.fstatvfs(self._root)
                ballast.write(b"\0" * (room.f_bavail * room.f_frsize - (but << 20)))
                return
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        ballast.write(b"\0" * size)
                except OSError:
                    continue

    def free(self):
        """Gives back what `fill` took."""
        os.unlink("ballast", dir_fd=self._root)

    def remount(self, manner):
        """Lets nothing be written any more (`ro`), or again (`rw`)."""
        subprocess.run(
            [*self.inside, "mount", "-o", f"remount,{manner}", str(self.folder)], check=True, timeout=60,
        )

    def cover(self):
        """Lets the folder be seen as read-only by who opens anything in it from now on."""
        for words in (["--bind", str(self.folder), str(self.folder)], ["-o", "remount,bind,ro", str(self.folder)]):
            subprocess.run([*self.inside, "mount", *words], check=True, timeout=60)

    def uncover(self):
        """Takes back `cover`; who opened a file under it keeps that."""
        subprocess.run([*self.inside, "umount", "--lazy", str(self.folder)], check=True, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._root)
        self._holder.communicate(timeout=60)
