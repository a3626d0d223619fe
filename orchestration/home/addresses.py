"""Who can reach an address, and who can read what is sent to it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

LOOPBACK = ["127.0.0.1", "localhost"]
#: Schemes of addresses behind which everything is encrypted.
ENCRYPTED = ("https", "tryton+https", "mqtts", "tls", "wss")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone; a name other than localhost may be
    anybody's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(url: str) -> bool:
    """Whether nobody on the way reads what is sent to an address: it is encrypted, or stays on this
    machine."""
    parts = urlsplit(url)
    return parts.scheme in ENCRYPTED or is_loopback(parts.hostname or "")
