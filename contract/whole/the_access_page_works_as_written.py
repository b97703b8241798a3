"""The page on access policies works as written: a program's own policy, and its key rotated without stopping it."""

import os
import pathlib

from page import Page
from server import Server

# What its blocks must print, in this order.
PROMISED = [
    r"^dashboard +EnrollmentRead, RegistrationStatusRead$",
    r"^No enrollments\.$",
    r"lacks the right 'EnrollmentWrite'",
    r"^refused, as it should be$",
    r"^Valid now: the new primary, and the former primary as the secondary",
    r"^HostName=.*;SharedAccessKeyName=dashboard;SharedAccessKey=",
    r"^No enrollments\.$",
    r"^the old string is dead$",
    r"^Deleted policy dashboard\.$",
]

page = Page("access.md", at_least=5)
server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]),
).start()
try:
    page.run(LANDFALL_DATA=str(server.data))
finally:
    server.stop()
page.hold_in_order(PROMISED)
print(page)
