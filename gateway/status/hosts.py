"""Classify the hosts that the status page listens on and is addressed by. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""A `Host` header as browsers send it: a name or an address, and a port."""


def is_host(header: str) -> bool:
    """Whether this is a valid `Host` header."""
    return HOST.fullmatch(header) is not None


def is_loopback(host: str) -> bool:
    """Whether a server bound to this host can be reached from this machine only."""
    name = host.strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def local_host_for(host: str) -> str:
    """Return the host under which this machine itself reaches a server bound to `host`: `127.0.0.1` for `0.0.0.0`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else host


def without_port(host: str) -> str:
    """Return the name in a `Host` header, without the port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
