"""Check the names of hosts in settings. Pure."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator


def checked_host_name(name: str) -> str:
    """Return a name that can be looked up; an address is one, too.

    Raises:
        ValueError: it cannot be a name (RFC 1035, section 2.3.4).
    """
    try:
        name.encode("idna")
    except UnicodeError:
        raise ValueError(f"{name[:80]!r} is not the name of a host: its parts have 1 to 63 characters") from None
    if not name.isprintable():
        raise ValueError(f"{name[:80]!r} is not the name of a host: it contains control characters")
    return name


HostName: TypeAlias = Annotated[str, AfterValidator(checked_host_name)]
