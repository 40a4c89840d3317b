"""The contract of the status wing: what it asks of the gateway. `gateway.runtime.app` fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.models import Finding
from gateway.status.snapshot import Child, Snapshot


class View(Protocol):
    """The gateway as it is shown, and the few things that a person may do from the page.

    An action returns `None` when it is done, else why it is not, in words for the person who asked.
    """

    async def snapshot(self) -> Snapshot:
        """Return how everything stands right now. Asked at most once a second, however many look at it."""

    def child(self, key: str) -> Child | None:
        """Return everything that is known of one child, `None` when there is no such child."""

    async def store_problem(self) -> str | None:
        """Try whether something can be stored, and return why not; `None` when it can."""

    async def examine(self) -> Sequence[Finding]:
        """Look at what can keep the gateway from working on this machine, in ten seconds at most. Asked when somebody looks."""

    async def admit(self, key: str) -> str | None:
        """Take a found device on as a child, whatever the policy says."""

    async def ignore(self, key: str) -> str | None:
        """Leave a found device alone from now on."""

    async def rename(self, key: str, name: str | None) -> str | None:
        """Call a device so from now on, child or not; `None` for what it was found as. The name is one of `parse_name`."""

    async def rescan(self, entry: str, bus: str) -> str | None:
        """Look for new devices on this bus now."""
