"""Check the host names of settings, and bring them into the one form in which two of them can be compared. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

SHOWN_LENGTH = 80

_NUMBERS_AND_DOTS = re.compile(r"[0-9]+(\.[0-9]+)+")
_THIS_MACHINE = "127.0.0.1"
_OWN_ADDRESSES = frozenset({_THIS_MACHINE, "::1"})


def checked_host_name(name: str) -> str:
    """Return a name that can be looked up; an address is one, too.

    Raises:
        ValueError: it cannot be a name (RFC 1035, section 2.3.4), or looks like an IPv4 address and is none.
    """
    shown = repr(name[:SHOWN_LENGTH])
    if "://" in name:
        raise ValueError(f"{shown} is a URL: write the host alone, without {name[: name.index('://') + 3]}")
    if not name.isprintable():
        raise ValueError(f"{shown} is not the name of a host: it contains control characters")
    if re.search(r"\s", name):
        raise ValueError(f"{shown} is not the name of a host: it contains a space")
    if ":" in name and not _is_address(name):
        raise ValueError(f"{shown} is not the name of a host: write a port as `port`")
    if _NUMBERS_AND_DOTS.fullmatch(name) and not _is_address(name):
        raise ValueError(f"{shown} is not an IPv4 address: it has four numbers from 0 to 255 without leading zeros")
    try:
        name.encode("idna")
    except UnicodeError:
        raise ValueError(f"{shown} is not the name of a host: its parts have 1 to 63 characters") from None
    return name


HostName: TypeAlias = Annotated[str, AfterValidator(checked_host_name)]
"""The name or the address of a host, in settings."""


def canonical_host(name: str) -> str:
    """Return the form of a host's name that two ways of writing it share: `LOCALHOST`, `::1` and `127.0.0.1` are one host.

    Other addresses of the loopback network, such as 127.0.0.2, are others: different programs may listen there.
    """
    bare = name.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(bare)
    except ValueError:
        return _THIS_MACHINE if bare == "localhost" or bare.endswith(".localhost") else bare
    return _THIS_MACHINE if str(address) in _OWN_ADDRESSES else str(address)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
