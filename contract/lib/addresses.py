"""Loopback addresses, each lent to one borrower at a time on the whole machine.

Several runs may go on side by side, so what vouches for an address is nothing of one run: it is an
abstract Unix socket of the address's name. The kernel lets one process bind it, in the network
namespace that the address belongs to, and takes it back however that process ends. `run.py` lends
each test its address; a test that needs more, or an address that a page fixes, borrows it here.
"""

import errno
import socket
import time

# None of the addresses that `landfall dev` takes for itself (127.0.0.1 and up).
LENT = [f"127.0.77.{last}" for last in range(1, 255)]
# Where a server that outlived its run would still answer.
ASKED_PORTS = [443, 8443]
HELD_WITHIN_SECONDS = 120


class AddressError(Exception):
    """No address is free, or a fixed one stays taken."""


class Borrowed:
    """An address that is this process's alone until `give_back`; as a context, until its end."""

    def __init__(self, address):
        """Raises OSError (EADDRINUSE) while another borrower has it."""
        self.address = address
        self._guard = socket.socket(socket.AF_UNIX)
        try:
            self._guard.bind(f"\0landfall-contract {address}")
        except OSError:
            self._guard.close()
            raise

    def give_back(self):
        self._guard.close()

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        self.give_back()


def answers(address):
    """Whether something listens on one of the ports that tests use."""
    for port in ASKED_PORTS:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((address, port)) == 0:
                return True
    return False


def borrow():
    """The first address that no borrower has and where nothing listens."""
    for address in LENT:
        borrowed = _borrowed_now(address)
        if borrowed is None:
            continue
        if not answers(address):
            return borrowed
        borrowed.give_back()
    raise AddressError(
        f"none of {LENT[0]} to {LENT[-1]} is free: something listens on port 443 or 8443 of all of them "
        "(a server on 0.0.0.0?), or other runs have them"
    )


def borrow_fixed(address):
    """An address that a page names: waits while another run has it."""
    deadline = time.monotonic() + HELD_WITHIN_SECONDS
    while (borrowed := _borrowed_now(address)) is None:
        if time.monotonic() > deadline:
            raise AddressError(f"another run has {address} for more than {HELD_WITHIN_SECONDS} s")
        time.sleep(0.2)
    return borrowed


def _borrowed_now(address):
    try:
        return Borrowed(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise
