"""Keep which incidents are to be open, one for each cause, and on disk which of them may be open in the cloud.

Whoever sees a cause opens it, and closes it when it is over. An incident that an earlier run left open in the cloud goes on where
its cause is seen again, and is closed where it is over.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from zlib import crc32

from gateway.state.database.columns import optional_text, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store
from gateway.state.writes import runs_to_completion


class Priority(IntEnum):
    """The priorities of the cloud (device API reference, section 11), and what the gateway uses them for."""

    CRITICAL = 1
    """Data is lost now, or will be: the store fails."""
    HIGH = 2
    """Many devices are affected: a bus is lost, none of its devices answers, samples were lost."""
    MODERATE = 3
    """One device is affected, or the data is wrong: it is silent, the clock is wrong."""
    LOW = 4
    """A person should look at it, and nothing is lost until then."""
    PLANNING = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """Something that is wrong now, and that a person has to know."""

    cause: str
    """What is wrong where, as a stable text: `bus_lost:rs485//dev/ttyUSB0`."""
    child: str | None
    """The local key of the child that it is about; `None` for the gateway itself."""
    title: str
    what_to_do: str
    """What was seen, and what a person can do about it."""
    priority: Priority = Priority.MODERATE

    @property
    def issue(self) -> str:
        """A short stable code: the cloud keeps one open incident for each (section 11)."""
        kind, _, detail = self.cause.partition(":")
        plain = re.sub(r"[^a-z0-9_]+", "_", kind.lower())[:40]
        return f"{plain}_{crc32(detail.encode()):08x}" if detail else plain


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudIncident:
    """An incident that is open in the cloud, or may be: the response to Open Incident can be lost."""

    cause: str
    child: str | None
    device_id: str
    """The cloud's id of the device that it was opened for: the child's, or the gateway's where the child's key was lost."""
    issue: str
    incident_id: str | None
    """`None` while the response has not arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverIncident:
    """An incident of an earlier run that ended while the gateway did not run."""

    cause: str
    child: str | None
    title: str
    at: datetime
    """When this run first saw that it is over."""


class Incidents:
    """The incidents that are to be open. `open` and `close` may be called from anywhere: they neither wait nor fail.

    Args:
        store: where it is kept which of them may be open in the cloud.
        are_wanted: `False` where the configuration turns incidents off: then none is opened.
    """

    def __init__(self, store: Store, *, are_wanted: bool = True) -> None:
        self._store = store
        self.are_wanted = are_wanted
        self._open: dict[str, OpenIncident] = {}
        self._over: set[str] = set()
        self.changed = asyncio.Event()
        """Set whenever one was opened or closed; the reader clears it before it reads."""

    @property
    def wanted(self) -> Mapping[str, OpenIncident]:
        """The incidents that are to be open, by cause."""
        return MappingProxyType(self._open)

    def open(self, cause: str, child: str | None, title: str, what_to_do: str, priority: Priority = Priority.MODERATE) -> None:
        """Have an incident opened in the cloud; nothing happens while one is open for the same cause.

        Args:
            cause: what is wrong where, as `kind` or `kind:where`; the same text each time.
            child: the local key of the child that it is about; `None` for the gateway itself.
            title: what is wrong, in a few words.
            what_to_do: what was seen, and what a person can do about it.
            priority: how urgent it is.
        """
        if self.are_wanted and cause not in self._open:
            self._open[cause] = OpenIncident(
                cause=cause, child=child, title=title, what_to_do=what_to_do, priority=priority
            )  # fmt: skip
            self.changed.set()

    def close(self, cause: str) -> None:
        """Have the incident of this cause closed in the cloud; nothing happens when there is none."""
        if self._open.pop(cause, None) is not None:
            self.changed.set()

    @property
    def over(self) -> Collection[str]:
        """The causes of an earlier run of which this one knows that they are over."""
        return self._over

    def end_earlier(self, cause: str) -> None:
        """Note that a cause is over that an earlier run has seen, so that its incident is closed without a wait."""
        self._over.add(cause)
        self.changed.set()

    async def in_cloud(self) -> list[CloudIncident]:
        """Return the incidents that are open in the cloud, or may be, also from an earlier run."""
        return await self._store.transact(lambda db: read_rows(db, "incidents", _COLUMNS, _incident, "ORDER BY rowid"))

    @runs_to_completion
    async def save(self, incident: CloudIncident) -> None:
        """Record that an incident may be open in the cloud: before it is opened, and when its id has arrived."""
        await self._store.transact(
            lambda db: db.execute(
                f"INSERT OR REPLACE INTO incidents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - our columns
                (incident.cause, incident.child, incident.device_id, incident.issue, incident.incident_id),
            )
        )

    @runs_to_completion
    async def remove(self, cause: str) -> None:
        """Record that the incident of this cause is certainly not open in the cloud any more."""
        await self._store.transact(lambda db: db.execute("DELETE FROM incidents WHERE cause = ?", (cause,)))

    async def suspended_devices(self) -> set[str]:
        """Return the ids of the devices for which the cloud was told to open no incidents."""
        return set(
            await self._store.transact(
                lambda db: read_rows(db, "suspended_incidents", "device_id", lambda device_id: text(device_id, "device_id"))
            )
        )

    @runs_to_completion
    async def save_suspension(self, device_id: str, *, is_suspended: bool) -> None:
        """Record whether the cloud opens no incidents for a device."""
        change = "INSERT OR IGNORE INTO suspended_incidents (device_id) VALUES (?)"
        if not is_suspended:
            change = "DELETE FROM suspended_incidents WHERE device_id = ?"
        await self._store.transact(lambda db: db.execute(change, (device_id,)))


_COLUMNS = "cause, child, device_id, issue, incident_id"


def _incident(cause: object, child: object, device_id: object, issue: object, incident_id: object) -> CloudIncident:
    return CloudIncident(
        cause=text(cause, "cause"),
        child=optional_text(child, "child"),
        device_id=text(device_id, "device_id"),
        issue=text(issue, "issue"),
        incident_id=optional_text(incident_id, "incident_id"),
    )
