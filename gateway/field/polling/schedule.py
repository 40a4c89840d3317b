"""Decide what a bus does next, and when: identify, read or discover devices. Pure.

Children that answer come first, the most overdue of them before the others. Background work concerns silent children, children
far slower than the others, and the discovery of new devices. It has a share of the bus's time and uses the gaps between reads, so
that dead devices delay the working ones as little as possible, whatever their number.
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

BUG_FIRST_SECONDS = 2.0
BUG_MOST_SECONDS = 300.0

RECHECK_SECONDS = 1.0
"""The wait before a child that missed an answer is identified again; its shortest period if that is shorter."""

SLOW_SECONDS = 0.2
"""No child is called slow while its transactions take less."""

SLOW_FACTOR = 4
"""A slow child's transactions take more than this many times the median of the other children."""

FRESH_SECONDS = 0.005
"""How long after a read a gap counts as having just begun."""

ROUNDING_SECONDS = 1e-6

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class IdentifyTask:
    """Identify the device at a child's address: before its first read, and while it is silent."""

    child: str


@dataclass(frozen=True, slots=True)
class PollGroupsTask:
    """Get the poll groups of a child that has just been identified."""

    child: str


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Read the poll groups of a child that are due, or continue a read that was paused."""

    child: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class DiscoverTask:
    """Take one step of the discovery of new devices."""


ChildTask: TypeAlias = IdentifyTask | PollGroupsTask | ReadTask
Task: TypeAlias = ChildTask | DiscoverTask


@dataclass(slots=True)
class _Entry:
    """One child in the schedule."""

    step: type[ChildTask]
    step_at: float
    every: Mapping[str, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    number: int = 0
    """Counts the children whose poll groups were set; it decides in which rounds the child's slow groups are read."""
    paused: ReadTask | None = None
    paused_at: float = 0.0
    read_began_at: float = 0.0
    seconds: float | None = None
    """How long a transaction with the child takes on average."""
    is_silent: bool = False
    is_slow: bool = False
    is_running: bool = False
    """Its task was handed out and is not finished."""
    queue: _Queue | None = None
    queued_for: float = NEVER
    probe_backoff: Backoff = field(default_factory=lambda: Backoff(PROBE_FIRST_SECONDS, PROBE_MOST_SECONDS))
    bug_backoff: Backoff = field(default_factory=lambda: Backoff(BUG_FIRST_SECONDS, BUG_MOST_SECONDS))
    bug_wait_seconds: float = 0.0
    """The wait after the last bug; reads have to succeed for as long before it is over."""
    works_since: float | None = None
    """Since when reads succeed after a bug."""

    @property
    def is_background(self) -> bool:
        return self.is_silent or self.is_slow

    def next_at(self) -> float:
        if self.step is not ReadTask:
            return self.step_at
        return self.paused_at if self.paused is not None else min(self.due.values(), default=NEVER)

    def next_task(self, key: str, now: float) -> ChildTask:
        if self.step is IdentifyTask:
            return IdentifyTask(key)
        if self.step is PollGroupsTask:
            return PollGroupsTask(key)
        return self.paused or ReadTask(key, frozenset(group for group, due in self.due.items() if due <= now))


class Schedule:
    """The children of one bus and when each is due. Times are seconds of one clock, passed in.

    Args:
        silent_share: how much of the bus's time its silent and slow children may take together.
        discover_share: how much of it discovery may take.
        offset_seconds: shifts all rounds of this bus, so that not all buses of a gateway are read at the same moment.
    """

    def __init__(self, *, silent_share: float = 0.05, discover_share: float = 0.2, offset_seconds: float = 0.0) -> None:
        self.stretch = 1.0
        """All periods are longer by this factor, since the bus cannot do everything that is configured."""
        self._entries: dict[str, _Entry] = {}
        self._normal = _Queue(self._entries)
        self._background = _Queue(self._entries)
        self._background_share = TimeShare(silent_share, expected_seconds=0.5)
        self._discovery_share = TimeShare(discover_share, expected_seconds=0.3)
        self._discover_at = NEVER
        self._normal_ended_at = -NEVER
        self._numbered = 0
        self._offset = offset_seconds

    def __contains__(self, child: object) -> bool:
        return child in self._entries

    # what is scheduled ------------------------------------------------------------------------------------------------

    def add(self, child: str, now: float) -> None:
        """Add a child; it is identified before it is read."""
        self._entries[child] = entry = _Entry(IdentifyTask, now)
        self._enqueue(child, entry)

    def remove(self, child: str) -> None:
        """Remove a child."""
        self._entries.pop(child, None)

    def discover_at(self, when: float) -> None:
        """Start or continue discovery at this time; at infinity, never."""
        self._discover_at = when

    def next_task(self, now: float) -> Task | None:
        """Return what the bus does now; `None` when nothing is due.

        A child gets no other task until one of `identified`, `set_poll_groups`, `read_paused`, `read_done`, `recheck_soon`,
        `probe_later` and `hold_back` is called for it; discovery gets none until `discover_at` is called.
        """
        normal_at = self._normal.next_at()
        if self._background_may_run(now, normal_at):
            return self._hand_out(self._background, now)
        if self._discovery_may_run(now, normal_at):
            self._discover_at = NEVER
            return DiscoverTask()
        return self._hand_out(self._normal, now) if normal_at <= now else None

    def next_task_at(self, now: float) -> float | None:
        """Return when to call `next_task` again after it returned nothing; `None` when only a change can make something due."""
        normal_at = self._normal.next_at()
        moments = [
            normal_at,
            _look_again_at(self._background_share, self._background.next_at(), normal_at, now),
            _look_again_at(self._discovery_share, self._discover_at, normal_at, now),
        ]
        return None if min(moments) == NEVER else min(moments)

    def has_waiting_child(self, now: float) -> bool:
        """Return whether a child that answers is due."""
        return self._normal.next_at() <= now

    def has_gap_for(self, seconds: float, now: float) -> bool:
        """Return whether no child that answers is due for so long."""
        return now + seconds <= self._normal.next_at()

    def _background_may_run(self, now: float, normal_at: float) -> bool:
        wanted_at = self._background.next_at()
        if wanted_at > now:
            return False
        entry = self._entries[self._background.first]
        if not entry.is_silent and entry.seconds is not None and now + entry.seconds <= normal_at:
            return True  # slow, but it answers, and the gap is long enough for it
        return self._is_permitted(self._background_share, wanted_at, normal_at, now)

    def _discovery_may_run(self, now: float, normal_at: float) -> bool:
        return self._discover_at <= now and self._is_permitted(self._discovery_share, self._discover_at, normal_at, now)

    def _is_permitted(self, share: TimeShare, wanted_at: float, normal_at: float, now: float) -> bool:
        if normal_at == NEVER:
            return True
        gap_is_fresh = now - self._normal_ended_at < FRESH_SECONDS
        return share.permits(now, wanted_at=wanted_at, others_at=normal_at, gap_is_fresh=gap_is_fresh)

    def _hand_out(self, queue: _Queue, now: float) -> Task:
        key = queue.pop()
        entry = self._entries[key]
        entry.is_running = True
        if entry.paused is None:
            entry.read_began_at = now
        return entry.next_task(key, now)

    # how tasks ended --------------------------------------------------------------------------------------------------

    def charge(self, task: Task, seconds: float, now: float) -> None:
        """Charge a task for the time that one transaction of it took."""
        if isinstance(task, DiscoverTask):
            self._discovery_share.charge(seconds, now)
            return
        entry = self._entries.get(task.child)
        if entry is None:
            return
        if entry.is_background:
            self._background_share.charge(seconds, now)
        else:
            self._normal_ended_at = now
        if isinstance(task, ReadTask):
            entry.seconds = seconds if entry.seconds is None else 0.8 * entry.seconds + 0.2 * seconds
            entry.is_slow = entry.seconds > SLOW_SECONDS and self._is_far_slower(entry)

    def identified(self, child: str, now: float) -> None:
        """Record that the child's own device answered at its address: its poll groups are needed next."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.step_at, entry.is_silent, entry.paused = PollGroupsTask, now, False, None
            entry.probe_backoff.reset()
            self._enqueue(child, entry)

    def set_poll_groups(self, child: str, every: Mapping[str, timedelta], now: float) -> None:
        """Set the child's poll groups and their periods; all of them are due now."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.every, entry.due = ReadTask, _in_seconds(every), dict.fromkeys(every, now)
            entry.number, self._numbered = self._numbered, self._numbered + 1
            self._enqueue(child, entry)

    def poll_groups_changed(self, child: str, now: float) -> None:
        """Get the child's poll groups anew before its next read: they were configured. A read that runs is completed."""
        entry = self._entries.get(child)
        if entry is not None and entry.step is ReadTask:
            entry.step, entry.step_at = PollGroupsTask, now
            if not entry.is_running:
                self._enqueue(child, entry)

    def read_paused(self, read: ReadTask, now: float) -> None:
        """Record that a read was paused for other children; it continues after those that are waiting now."""
        if (entry := self._entries.get(read.child)) is not None:
            entry.paused, entry.paused_at = read, now
            self._enqueue(read.child, entry)

    def read_done(self, read: ReadTask, now: float) -> None:
        """Record that a read is complete: its groups are due in the next round of their period.

        At most one missed round is made up for, half a period after the read began or later. So a bus with too much to do reads
        without a pause, and a bus that was held up for a while does not read everything twice.

        All children of a bus are read in the same rounds, one right after the other, and the machine sleeps in between: spread
        over the period, the same reads need nearly twice the CPU time. Slow groups are staggered over the rounds, so that not
        all of them are read in the same one.
        """
        if (entry := self._entries.get(read.child)) is not None:
            entry.paused = None
            self._trust_again(entry, now)
            shortest = min(entry.every.values(), default=NEVER)  # none if the child was added anew while it was read
            for group in read.groups & entry.due.keys():
                rounds = max(1, round(entry.every[group] / shortest))
                phase = self._offset + entry.number % rounds * shortest * self.stretch
                period = entry.every[group] * self.stretch
                next_round = ((now - phase) // period + 1) * period + phase
                if next_round - now < ROUNDING_SECONDS:
                    next_round += period  # else a round could be read twice at the same moment
                if next_round - period > entry.due[group] + ROUNDING_SECONDS:
                    next_round = min(next_round, max(next_round - period, entry.read_began_at + period / 2))
                entry.due[group] = next_round
            self._enqueue(read.child, entry)

    def recheck_soon(self, child: str, now: float) -> None:
        """Identify the child soon: it missed an answer, perhaps by chance. If it answers then, it is read at once."""
        if (entry := self._entries.get(child)) is not None:
            entry.step = IdentifyTask
            entry.step_at = now + min([RECHECK_SECONDS, *entry.every.values()])
            self._enqueue(child, entry)

    def probe_later(self, child: str, now: float) -> None:
        """Record that the child is silent: it is identified before it is read again, after a wait that grows each time."""
        if (entry := self._entries.get(child)) is not None:
            entry.step, entry.is_silent = IdentifyTask, True
            entry.step_at = now + entry.probe_backoff.next_wait_seconds()
            self._enqueue(child, entry)

    def hold_back(self, child: str, now: float) -> None:
        """Record that a bug prevents reading the child: as `probe_later`, but the waits grow until reads succeed for a while."""
        if (entry := self._entries.get(child)) is not None:
            entry.bug_wait_seconds, entry.works_since = entry.bug_backoff.next_wait_seconds(), None
            entry.step, entry.is_silent, entry.step_at = IdentifyTask, True, now + entry.bug_wait_seconds
            self._enqueue(child, entry)

    def identify_all(self, now: float) -> None:
        """Identify every child again before it is read: the bus was reopened, and devices may have changed addresses."""
        for child, entry in self._entries.items():
            entry.step, entry.step_at = IdentifyTask, now
            self._enqueue(child, entry)

    # what is known of a child -----------------------------------------------------------------------------------------

    def every(self, child: str) -> Mapping[str, float]:
        """Return the periods of a child's poll groups in seconds, not stretched; the same mapping until they are set again."""
        entry = self._entries.get(child)
        return {} if entry is None else entry.every

    def probe_at(self, child: str) -> float | None:
        """Return the earliest time at which a silent child is identified again; `None` for one that answers."""
        entry = self._entries.get(child)
        return max(entry.step_at, self._background_share.free_at) if entry is not None and entry.is_silent else None

    def is_slow(self, child: str) -> bool:
        """Return whether the child is so much slower than the others that it is read in the background."""
        entry = self._entries.get(child)
        return entry is not None and entry.is_slow

    def _trust_again(self, entry: _Entry, now: float) -> None:
        """End the time after a bug when reads have succeeded for as long as the last wait."""
        if entry.bug_wait_seconds:
            entry.works_since = now if entry.works_since is None else entry.works_since
            if now - entry.works_since >= entry.bug_wait_seconds:
                entry.bug_backoff.reset()
                entry.bug_wait_seconds = 0.0

    def _is_far_slower(self, entry: _Entry) -> bool:
        others = [other.seconds for other in self._entries.values() if other is not entry and other.seconds is not None]
        return bool(others) and entry.seconds is not None and entry.seconds > SLOW_FACTOR * median(others)

    def _enqueue(self, child: str, entry: _Entry) -> None:
        entry.is_running = False
        entry.queued_for = entry.next_at()
        entry.queue = self._background if entry.is_background else self._normal
        entry.queue.put(child, entry.queued_for)


class _Queue:
    """Children in the order of their due times: a heap whose outdated items are skipped."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = entries
        self._heap: list[tuple[float, str]] = []

    @property
    def first(self) -> str:
        """The first child; valid only after `next_at` returned a finite time."""
        return self._heap[0][1]

    def put(self, child: str, when: float) -> None:
        """Add a child with its due time."""
        if when != NEVER:
            heappush(self._heap, (when, child))

    def next_at(self) -> float:
        """Return the due time of the first child; infinity when the queue is empty."""
        while self._heap:
            when, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and not entry.is_running and (entry.queue, entry.queued_for) == (self, when):
                return when
            heappop(self._heap)
        return NEVER

    def pop(self) -> str:
        """Remove the first child and return it."""
        return heappop(self._heap)[1]


def _look_again_at(share: TimeShare, wanted_at: float, normal_at: float, now: float) -> float:
    """Return when background work may be permitted that is not permitted now."""
    if NEVER in (wanted_at, normal_at):
        return wanted_at
    at = max(wanted_at, share.free_at)
    return at if at > now else min(normal_at, share.overdue_at(wanted_at))


def _in_seconds(every: Mapping[str, timedelta]) -> dict[str, float]:
    return {group: period.total_seconds() for group, period in every.items()}
