"""Runs side by side borrow different loopback addresses, and one that was killed keeps none."""

import socket
import subprocess
import sys

from addresses import LENT, Borrowed, borrow

BORROWER = "from addresses import borrow\nheld = borrow()\nprint(held.address, flush=True)\ninput()"


def refused(address):
    """Whether another borrower has the address."""
    try:
        Borrowed(address).give_back()
    except OSError:
        return True
    return False


# Their standard input stays open, so they hold what they borrowed until they are killed.
others = [
    subprocess.Popen([sys.executable, "-c", BORROWER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(4)
]
try:
    held = [other.stdout.readline().strip() for other in others]
    with borrow() as mine:
        assert len({mine, *held}) == 5 and {mine, *held} <= set(LENT), f"borrowed {mine} beside {held}"
    assert all(refused(address) for address in held), held
finally:
    for other in others:
        other.kill()
        other.wait()
# Some of them may be lent again by now, to another run; not all of four.
assert not all(refused(address) for address in held), "addresses of killed processes are still taken"

# A server that outlived its run is walked around.
given_back = borrow()
left_over = socket.create_server((given_back.address, 8443))
given_back.give_back()
with left_over, borrow() as mine:
    assert mine != given_back.address, f"{mine} was lent although something listens there"
print("addresses are lent once, and come back from killed processes")
