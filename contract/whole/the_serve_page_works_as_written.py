"""The page on `landfall serve` works as written: its own certificate, its configuration, the first connection string.

The page's addresses and port 443 are fixed, so this test waits while another run has them, and nothing else
on the machine may use them.
"""

import os

from addresses import borrow_fixed
from page import Page

# What its blocks must print, in any place.
PROMISED = [
    r'"message":"ready"',
    r"^ready$",
    r"^factory +0ne\w+ +127\.0\.0\.201 +127\.0\.0\.201 +127\.0\.0\.202",
    r"^HostName=127\.0\.0\.201;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=",
    r"^HostName=127\.0\.0\.202;SharedAccessKeyName=iothubowner;SharedAccessKey=",
    r"^Assigned hub +127\.0\.0\.202",
    r'"message":"stopped"',
]

assert os.environ["OFFICIAL_PORTS"], (
    "the page's server listens on port 443, and this user may not:\n"
    "run as root, or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443"
)
page = Page("serve.md", at_least=6)
with borrow_fixed("127.0.0.201"), borrow_fixed("127.0.0.202"):
    page.run()
page.hold_anywhere(PROMISED)
print(page)
