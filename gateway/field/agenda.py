"""What a bus is to be asked next, and when. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush

from gateway.field.backoff import Backoff

PROBE_FIRST_SECONDS = 2.0
PROBE_MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Identify:
    """Ask who answers at a child's address: before its first reading, and while it is silent."""

    child: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Learn the poll groups of a child that has just answered as itself."""

    child: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read the poll groups of a child that are due."""

    child: str
    groups: frozenset[str]


@dataclass(slots=True)
class _Entry:
    next_step: type[Identify | Plan | Read]
    step_at: float
    every: Mapping[str, timedelta] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    taken: bool = False
    booked_for: float = float("inf")
    probing: Backoff = field(default_factory=lambda: Backoff(PROBE_FIRST_SECONDS, PROBE_MOST_SECONDS))

    def next_at(self) -> float:
        return min(self.due.values(), default=float("inf")) if self.next_step is Read else self.step_at


class Agenda:
    """The children of one bus and what each is due for. Times are seconds of one monotonic clock, passed in."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._queue: list[tuple[float, str]] = []  # a heap; a place that is not its child's `booked_for` is void

    def __contains__(self, child: object) -> bool:
        return child in self._entries

    def add(self, child: str, now: float) -> None:
        """Take a child on: it is identified before anything of it is read."""
        self._entries[child] = entry = _Entry(Identify, now)
        self._book(child, entry)

    def remove(self, child: str) -> None:
        """Drop a child."""
        self._entries.pop(child, None)

    def take(self, now: float) -> Identify | Plan | Read | None:
        """Return the most overdue task, or `None` when nothing is due.

        Its child is held back until the task is answered by `confirmed`, `planned`, `done` or `probe_later`.
        """
        when = self.next_at()
        if when is None or when > now:
            return None
        _, key = heappop(self._queue)
        entry = self._entries[key]
        entry.taken = True
        if entry.next_step is Identify:
            return Identify(key)
        if entry.next_step is Plan:
            return Plan(key)
        return Read(key, frozenset(group for group, due in entry.due.items() if due <= now))

    def next_at(self) -> float | None:
        """Return when the next task falls due; `None` when there is none at all."""
        while self._queue:
            when, key = self._queue[0]
            entry = self._entries.get(key)
            if entry is not None and not entry.taken and entry.booked_for == when:
                return when
            heappop(self._queue)
        return None

    def confirmed(self, child: str, now: float) -> None:
        """The child answered as itself."""
        if (entry := self._entries.get(child)) is not None:
            entry.next_step, entry.step_at = Plan, now
            entry.probing.succeeded()
            self._book(child, entry)

    def planned(self, child: str, every: Mapping[str, timedelta], now: float) -> None:
        """The child has these poll groups, and all are due now."""
        if (entry := self._entries.get(child)) is not None:
            entry.next_step, entry.every, entry.due = Read, every, dict.fromkeys(every, now)
            self._book(child, entry)

    def done(self, read: Read, now: float) -> None:
        """A reading ended, well or not: its groups are due at the next whole multiple of their period.

        Missed rounds are not made up for. All children of a bus that are read equally often are so read one right after the
        other, and the machine sleeps in between: spread over the period, the same reads cost nearly twice the CPU time.
        """
        if (entry := self._entries.get(read.child)) is not None:
            for group in read.groups & entry.due.keys():
                period = entry.every[group].total_seconds()
                entry.due[group] = (now // period + 1) * period
            self._book(read.child, entry)

    def probe_later(self, child: str, now: float) -> None:
        """The child is silent: identify it again before anything is read, each time after a longer wait."""
        if (entry := self._entries.get(child)) is not None:
            entry.next_step, entry.step_at = Identify, now + entry.probing.failed()
            self._book(child, entry)

    def confirm_all_again(self, now: float) -> None:
        """The bus was opened anew: who sits where is not known any more."""
        for child, entry in self._entries.items():
            entry.next_step, entry.step_at = Identify, now
            self._book(child, entry)

    def _book(self, child: str, entry: _Entry) -> None:
        entry.taken = False
        entry.booked_for = entry.next_at()
        if entry.booked_for != float("inf"):
            heappush(self._queue, (entry.booked_for, child))
