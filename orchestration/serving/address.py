"""Who can reach an address of this machine."""

from __future__ import annotations

import ipaddress

LOOPBACK = ["127.0.0.1", "localhost"]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone; a name other than localhost may be
    anybody's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
