"""Record the calls that the emulator received, bounded and without secrets, for tests and for people who watch. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Literal, TypeAlias

ServerName: TypeAlias = Literal["entry", "hub", "static", "files", "elsewhere"]
"""`static` is the hub with the static certificate, `elsewhere` the other host of the file server."""

ENTRIES = 1000
MESSAGES_PER_DEVICE = 1000
SECRETS = frozenset({"access_key", "hardware_key", "access_token", "password"})
MASK = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One received call."""

    number: int = 0
    """Assigned by the journal, counting from 1."""
    time: datetime
    server: ServerName
    call: str
    """As the reference names it, `Register Child Device`; `Unknown path` for a path that Xyte does not have."""
    method: str
    path: str
    device: str | None
    """The device of the path; for Register Device the new one."""
    device_name: str | None = None
    """The name of that device."""
    status: int | None
    """`None` when the connection was dropped instead of answered."""
    error: str | None
    """The `error` text of the answer."""
    body: object
    """The parsed request with its secrets masked; `None` when it was empty or no JSON."""
    fault: str | None = None
    """The fault that was applied to this call."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of a download only, with all keys masked."""
    leaked_keys_of: tuple[str, ...] = ()
    """The devices whose access key was sent with a download."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTelemetry:
    """One telemetry message that changed a device's state."""

    received_at: datetime
    at: datetime
    """The message's own timestamp; `received_at` when it had none."""
    status: str
    values: Mapping[str, bool | int | float | str | None]
    override: bool


class Journal:
    """Keeps the last calls, a count of all calls, and the last telemetry messages of each device."""

    def __init__(self, listener: Callable[[JournalEntry], None] | None = None) -> None:
        self._listener = listener
        self._numbers = count(1)
        self._entries: deque[JournalEntry] = deque(maxlen=ENTRIES)
        self._calls: Counter[str] = Counter()
        self._telemetry: dict[str, deque[AcceptedTelemetry]] = {}

    def record(self, entry: JournalEntry) -> None:
        """Number one call, mask the secrets in its body, keep it and pass it to the listener."""
        entry = replace(entry, number=next(self._numbers), body=mask_secrets(entry.body))
        self._entries.append(entry)
        self._calls[entry.call] += 1
        if self._listener is not None:
            self._listener(entry)

    def record_telemetry(self, device_id: str, message: AcceptedTelemetry) -> None:
        """Record an accepted telemetry message of a device."""
        self._telemetry.setdefault(device_id, deque(maxlen=MESSAGES_PER_DEVICE)).append(message)

    def entries(self, since: int = 0) -> list[JournalEntry]:
        """Return the kept entries with a number above `since`, oldest first."""
        return [entry for entry in self._entries if entry.number > since]

    def calls(self) -> Counter[str]:
        """Return how often each call was received since the start or the last `clear`; dropped entries still count."""
        return Counter(self._calls)

    def telemetry(self, device_id: str) -> list[AcceptedTelemetry]:
        """Return the kept telemetry messages of a device, deleted ones too, in the order of arrival."""
        return list(self._telemetry.get(device_id, ()))

    def clear(self) -> None:
        """Remove entries, counts and messages; the numbering continues."""
        self._entries.clear()
        self._calls.clear()
        self._telemetry.clear()


def mask_secrets(body: object) -> object:
    """Return a copy of parsed JSON in which every secret is replaced by a mask."""
    if isinstance(body, dict):
        return {key: MASK if key.lower() in SECRETS else mask_secrets(value) for key, value in body.items()}
    if isinstance(body, list):
        return [mask_secrets(value) for value in body]
    return body
