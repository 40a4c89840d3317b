"""Tell a host that closes every connection from one that closes an idle one. Pure."""

from __future__ import annotations

from typing import Final

LEAST_CLOSED: Final = 3
"""So many connections in a row, none of them with an answer, are no coincidence: hosts close idle connections, one at a time."""


class ClosedConnections:
    """The connections that a host has closed one after the other without sending anything."""

    def __init__(self) -> None:
        self.in_a_row = 0
        """The number of them since something was received."""

    @property
    def are_all(self) -> bool:
        """Whether the host closes every connection."""
        return self.in_a_row >= LEAST_CLOSED

    def closed(self) -> None:
        """Record that a connection was closed before anything was received on it."""
        self.in_a_row += 1

    def heard(self) -> None:
        """Record that something was received."""
        self.in_a_row = 0
