"""What the emulator received, in order and bounded, without any secret; for tests and for people who watch."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Literal, TypeAlias

ServerName: TypeAlias = Literal["entry", "hub"]

ENTRIES = 1000
MESSAGES_PER_DEVICE = 1000
SECRETS = frozenset({"access_key", "hardware_key", "access_token", "password"})
MASK = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One call that came in."""

    number: int
    """Counts up for the life of the emulator, 1 is the first."""
    time: datetime
    server: ServerName
    call: str
    """As the reference names it, `Register Child Device`; `Unknown path` for what Xyte does not have."""
    method: str
    path: str
    device: str | None
    """The device of the path; for Register Device the new one."""
    device_name: str | None = None
    """What that device is called."""
    status: int | None
    """`None` when the connection was dropped instead of answered."""
    error: str | None
    """The `error` text of the answer."""
    body: object
    """The parsed request with its secrets masked; `None` when it was empty or no JSON."""
    fault: str | None = None
    """The fault that was played on this call."""


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
    """The last calls, a count of all, and the last telemetry messages of each device."""

    def __init__(self, listener: Callable[[JournalEntry], None] | None = None) -> None:
        self._listener = listener
        self._numbers = count(1)
        self._entries: deque[JournalEntry] = deque(maxlen=ENTRIES)
        self._calls: Counter[str] = Counter()
        self._telemetry: dict[str, deque[AcceptedTelemetry]] = {}

    def record(
        self,
        *,
        time: datetime,
        server: ServerName,
        call: str,
        method: str,
        path: str,
        device: str | None,
        device_name: str | None,
        status: int | None,
        error: str | None,
        body: object,
        fault: str | None,
    ) -> None:
        """Write one call down, its body masked, and tell the listener."""
        entry = JournalEntry(
            number=next(self._numbers),
            time=time,
            server=server,
            call=call,
            method=method,
            path=path,
            device=device,
            device_name=device_name,
            status=status,
            error=error,
            body=masked(body),
            fault=fault,
        )
        self._entries.append(entry)
        self._calls[call] += 1
        if self._listener is not None:
            self._listener(entry)

    def record_telemetry(self, device_id: str, message: AcceptedTelemetry) -> None:
        """Write down that a device's message was accepted."""
        self._telemetry.setdefault(device_id, deque(maxlen=MESSAGES_PER_DEVICE)).append(message)

    def entries(self, since: int = 0) -> list[JournalEntry]:
        """Return the kept entries with a number above `since`, oldest first."""
        return [entry for entry in self._entries if entry.number > since]

    def calls(self) -> Counter[str]:
        """Return how often each call came in since the start or the last `clear`; dropped entries still count."""
        return Counter(self._calls)

    def telemetry(self, device_id: str) -> list[AcceptedTelemetry]:
        """Return the kept telemetry messages of a device, deleted ones too, in the order of their arrival."""
        return list(self._telemetry.get(device_id, ()))

    def clear(self) -> None:
        """Forget entries, counts and messages; the numbers go on."""
        self._entries.clear()
        self._calls.clear()
        self._telemetry.clear()


def masked(body: object) -> object:
    """Return a copy of parsed JSON in which every secret is replaced by a mask."""
    if isinstance(body, dict):
        return {key: MASK if key.lower() in SECRETS else masked(value) for key, value in body.items()}
    if isinstance(body, list):
        return [masked(value) for value in body]
    return body
