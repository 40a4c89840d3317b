"""What a bus is to be asked next, and when. Nothing here waits.

Children that answer come first: whoever is due, the one that has waited longest before the others. Children that are silent, or
far slower than their neighbours, and the search for new devices are asides: each kind has a share of the bus's time and takes it
in the gaps, so that dead devices cost the living ones next to nothing, whatever their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush
from statistics import median
from typing import TypeAlias

from gateway.backoff import Backoff
from gateway.field.polling.time_share import TimeShare

PROBE_FIRST_SECONDS = 2.0
PROBE_MOST_SECONDS = 60.0

SUSPECT_SECONDS = 1.0
"""A child that has just missed an answer is asked again so soon, or after its shortest period if that is sooner."""

SLOW_SECONDS = 0.2
"""A transaction may take so long before anybody calls its child slow."""

SLOW_FACTOR = 4
"""A slow child takes more than so many times as long as its neighbours do."""

FRESH_SECONDS = 0.005
"""A gap is at its beginning for so long."""

ROUNDING_SECONDS = 1e-6

NEVER = float("inf")


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
    """Read the poll groups of a child that are due, or go on where the reading was interrupted."""

    child: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Discover:
    """Take one step of the search for new devices."""


Task: TypeAlias = Identify | Plan | Read | Discover


@dataclass(slots=True)
class _Entry:
    step: type[Identify | Plan | Read]
    step_at: float
    every: Mapping[str, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    place: int = 0
    """Which of the rounds of its slow groups it takes part in, so that not all children read theirs at once."""
    interrupted: Read | None = None
    served_at: float = 0.0
    begun_at: float = 0.0
    """When its last reading was begun."""
    seconds: float | None = None
    """What a transaction of it takes."""
    is_silent: bool = False
    is_slow: bool = False
    taken: bool = False
    booked_in: _Queue | None = None
    booked_for: float = NEVER
    probing: Backoff = field(default_factory=lambda: Backoff(PROBE_FIRST_SECONDS, PROBE_MOST_SECONDS))

    @property
    def is_aside(self) -> bool:
        return self.is_silent or self.is_slow

    def next_at(self) -> float:
        if self.step is not Read:
            return self.step_at
        return self.served_at if self.interrupted is not None else min(self.due.values(), default=NEVER)

    def next_task(self, key: str, now: float) -> Identify | Plan | Read:
        if self.step is Identify:
            return Identify(key)
        if self.step is Plan:
            return Plan(key)
        return self.interrupted or Read(key, frozenset(group for group, due in self.due.items() if due <= now))


class Schedule:
    """The children of one bus and what each is due for. Times are seconds of one clock, passed in.

    Args:
        silent_share: how much of the bus its silent and slow children may take together.
        discover_share: how much of it the search for new devices may take.
        offset_seconds: shifts all rounds of this bus, so that not all buses of a gateway are read at the same moment.
    """

    def __init__(self, *, silent_share: float = 0.05, discover_share: float = 0.2, offset_seconds: float = 0.0) -> None:
        self.stretch = 1.0
        """All periods are longer by this factor: the plan asks for more than the bus can give."""
        self._entries: dict[str, _Entry] = {}
        self._polled = _Queue(self._entries)
        self._aside = _Queue(self._entries)
        self._probing = TimeShare(silent_share, expected_cost=0.5)
        self._searching = TimeShare(discover_share, expected_cost=0.3)
        self._search_at = NEVER
        self._served_at = -NEVER
        self._places = 0
        self._offset = offset_seconds

    def __contains__(self, child: object) -> bool:
        return child in self._entries

    # what there is to do ----------------------------------------------------------------------------------------------

    def add(self, child: str, now: float) -> None:
        """Take a child on: it is identified before anything of it is read."""
        self._entries[child] = entry = _Entry(Identify, now)
        self._book(child, entry)

    def remove(self, child: str) -> None:
        """Drop a child."""
        self._entries.pop(child, None)

    def search_at(self, when: float) -> None:
        """Begin, or go on with, the search for new devices then; at infinity, never."""
        self._search_at = when

    def take(self, now: float) -> Task | None:
        """Return what the bus is to do now, or `None` when that is nothing.

        Its child is held back until the task is answered by `confirmed`, `planned`, `interrupted`, `done`, `suspected` or
        `probe_later`; the search until `search_at`.
        """
        others_at = self._polled.next_at()
        if self._may_step_aside(now, others_at):
            return self._hand_out(self._aside, now)
        if self._may_search(now, others_at):
            self._search_at = NEVER
            return Discover()
        return self._hand_out(self._polled, now) if others_at <= now else None

    def next_at(self, now: float) -> float | None:
        """Return when `take` is worth asking again after it had nothing; `None` when only a change can bring something."""
        others_at = self._polled.next_at()
        moments = [
            others_at,
            _when(self._probing, self._aside.next_at(), others_at, now),
            _when(self._searching, self._search_at, others_at, now),
        ]
        return None if min(moments) == NEVER else min(moments)

    def somebody_waits(self, now: float) -> bool:
        """Whether a child that answers is due."""
        return self._polled.next_at() <= now

    def _may_step_aside(self, now: float, others_at: float) -> bool:
        wanted_at = self._aside.next_at()
        if wanted_at > now:
            return False
        entry = self._entries[self._aside.first]
        if not entry.is_silent and entry.seconds is not None and now + entry.seconds <= others_at:
            return True
        return self._is_permitted(self._probing, wanted_at, others_at, now)

    def _may_search(self, now: float, others_at: float) -> bool:
        return self._search_at <= now and self._is_permitted(self._searching, self._search_at, others_at, now)

    def _is_permitted(self, allowance: TimeShare, wanted_at: float, others_at: float, now: float) -> bool:
        if others_at == NEVER:
            return True
        gap_is_fresh = now - self._served_at < FRESH_SECONDS
        return allowance.permits(now, wanted_at=wanted_at, others_at=others_at, gap_is_fresh=gap_is_fresh)

    def _hand_out(self, queue: _Queue, now: float) -> Task:
        key = queue.pop()
        entry = self._entries[key]
        entry.taken = True
        if entry.interrupted is None:
            entry.begun_at = now
        return entry.next_task(key, now)

    # what became of it ------------------------------------------------------------------------------------------------

    def took(self, task: Task, seconds: float, now: float) -> None:
        """A transaction of this task took so long."""
        if isinstance(task, Discover):
            self._searching.spent(seconds, now)
            return
        entry = self._entries.get(task.child)
        if entry is None:
            return
        if entry.is_aside:
            self._probing.spent(seconds, now)
        else:
            self._served_at = now
        if isinstance(task, Read):
            entry.seconds = seconds if entry.seconds is None else 0.8 * entry.seconds + 0.2 * seconds
            entry.is_slow = entry.seconds > SLOW_SECONDS and self._is_slowest(entry)

    def confirmed(self, child: str, now: float) -> None:
        """The child answered as itself."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.step_at, entry.is_silent, entry.interrupted = Plan, now, False, None
            entry.probing.reset()
            self._book(child, entry)

    def planned(self, child: str, every: Mapping[str, timedelta], now: float) -> None:
        """The child has these poll groups, and all are due now."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.every, entry.due = Read, _in_seconds(every), dict.fromkeys(every, now)
            entry.place, self._places = self._places, self._places + 1
            self._book(child, entry)

    def interrupted(self, read: Read, now: float) -> None:
        """Others were waiting in the middle of a reading; it goes on when they have had their turn."""
        if (entry := self._entries.get(read.child)) is not None:
            entry.interrupted, entry.served_at = read, now
            self._book(read.child, entry)

    def done(self, read: Read, now: float) -> None:
        """A reading ended: its groups are due in the next round of their period.

        Of missed rounds at most one is made up for, half a period after the reading was begun or later: so a bus with too much to
        do reads on without a pause, and one that was held up for a while does not read everything twice.

        All children of a bus are read in the same rounds, one right after the other, and the machine sleeps in between: spread
        over the period, the same reads cost nearly twice the CPU time. Groups that are read seldom are staggered over those
        rounds, so that they do not all fall into one.
        """
        if (entry := self._entries.get(read.child)) is not None:
            entry.interrupted = None
            shortest = min(entry.every.values())
            for group in read.groups & entry.due.keys():
                rounds = max(1, round(entry.every[group] / shortest))
                phase = self._offset + entry.place % rounds * shortest * self.stretch
                period = entry.every[group] * self.stretch
                next_round = ((now - phase) // period + 1) * period + phase
                if next_round - period > entry.due[group] + ROUNDING_SECONDS:
                    next_round = min(next_round, max(next_round - period, entry.begun_at + period / 2))
                entry.due[group] = next_round
            self._book(read.child, entry)

    def suspected(self, child: str, now: float) -> None:
        """The child did not answer, which may be chance: it is soon asked who it is, and read at once if it answers."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.interrupted = Identify, None
            entry.step_at = now + min([SUSPECT_SECONDS, *entry.every.values()])
            self._book(child, entry)

    def probe_later(self, child: str, now: float) -> None:
        """The child is silent: identify it again before anything is read, each time after a longer wait."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.is_silent, entry.interrupted = Identify, True, None
            entry.step_at = now + entry.probing.next_wait_seconds()
            self._book(child, entry)

    def confirm_all_again(self, now: float) -> None:
        """The bus was opened anew: who sits where is not known any more."""
        for child, entry in self._entries.items():
            entry.step, entry.step_at, entry.interrupted = Identify, now, None
            self._book(child, entry)

    def probe_at(self, child: str) -> float | None:
        """Return when a silent child is to be asked again, at the earliest; `None` for one that answers."""
        entry = self._entries.get(child)
        return max(entry.step_at, self._probing.free_at) if entry is not None and entry.is_silent else None

    def is_slow(self, child: str) -> bool:
        """Whether the child is so much slower than its neighbours that it is read in the gaps they leave."""
        entry = self._entries.get(child)
        return entry is not None and entry.is_slow

    def _is_slowest(self, entry: _Entry) -> bool:
        others = [other.seconds for other in self._entries.values() if other is not entry and other.seconds is not None]
        return bool(others) and entry.seconds is not None and entry.seconds > SLOW_FACTOR * median(others)

    def _book(self, child: str, entry: _Entry) -> None:
        entry.taken = False
        entry.booked_for = entry.next_at()
        entry.booked_in = self._aside if entry.is_aside else self._polled
        entry.booked_in.put(child, entry.booked_for)


class _Queue:
    """Children in the order of what they are booked for: a heap in which a place that its child holds no more is void."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = entries
        self._heap: list[tuple[float, str]] = []

    @property
    def first(self) -> str:
        """The child at the front; there is one if `next_at` is not infinite, and has been asked."""
        return self._heap[0][1]

    def put(self, child: str, when: float) -> None:
        """Book a child for this moment."""
        if when != NEVER:
            heappush(self._heap, (when, child))

    def next_at(self) -> float:
        """Return what the first child is booked for; infinity when there is none."""
        while self._heap:
            when, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and not entry.taken and (entry.booked_in, entry.booked_for) == (self, when):
                return when
            heappop(self._heap)
        return NEVER

    def pop(self) -> str:
        """Take the first child out."""
        return heappop(self._heap)[1]


def _when(allowance: TimeShare, wanted_at: float, others_at: float, now: float) -> float:
    """Return when an aside is worth looking at again."""
    if NEVER in (wanted_at, others_at):
        return wanted_at
    at = max(wanted_at, allowance.free_at)
    return at if at > now else min(others_at, allowance.owed_at(wanted_at))


def _in_seconds(every: Mapping[str, timedelta]) -> dict[str, float]:
    return {group: period.total_seconds() for group, period in every.items()}
