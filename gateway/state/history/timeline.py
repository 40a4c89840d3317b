"""Keep one timeline of what happened on this gateway: devices, buses, commands, configuration, people, starts and stops.

`Timeline.record` may be called from anywhere. The events are in the history file within a minute, and read with filters, page
by page, the latest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias

from gateway.errors import StoreError
from gateway.models import ChildDevice
from gateway.state.database.columns import Unusable, number, optional_text, text
from gateway.state.database.set_aside import UNREADABLE
from gateway.state.database.sqlite import Transaction
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.recent_requesters import RecentRequesters

TEXT_LENGTH: Final = 500
MOST_EVENTS: Final = 50_000
LEAST_EVENTS: Final = 500
"""So many are kept however full the file is."""
MOST_OF_ONE_DEVICE: Final = 2_000
"""One device that comes and goes all the time must not push out the events of the others."""
MOST_IN_MEMORY: Final = 2_000
"""So many are kept in memory, which is all there is while the disk takes nothing."""

AT_ONCE: Final = 20
"""So many events of one kind about one device or bus are told one by one; then one in each `THEN_EVERY`, with their number."""
THEN_EVERY: Final = timedelta(minutes=3)
MOST_FLOODS: Final = 10_000


class EventKind(StrEnum):
    """The kind of an event, in one word."""

    STARTED = "started"
    STOPPED = "stopped"
    KILLED = "killed"
    """The gateway ended without a stop: it was killed, or the power went."""
    FOUND = "found"
    """A device was found that is no child."""
    ADMITTED = "admitted"
    LOOKED = "looked"
    """A person had a device asked who it is, or read once."""
    IGNORED = "ignored"
    RENAMED = "renamed"
    MOVED = "moved"
    EXCHANGED = "exchanged"
    RETIRED = "retired"
    CONFLICT = "conflict"
    """Two devices claim one identity."""
    CAME = "came"
    """A device answers again."""
    WENT = "went"
    """A device does not answer any more."""
    BUS_LOST = "bus_lost"
    BUS_BACK = "bus_back"
    COMMAND = "command"
    CONFIGURATION = "configuration"
    SIGNED_IN = "signed_in"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a word
    ACCESS = "access"
    """A token was made or withdrawn."""
    RESTART = "restart"
    """A restart was asked for, on the page or by its API."""
    BACKUP_MADE = "backup_made"
    BACKUP_RESTORED = "backup_restored"
    """A backup took the place of the store."""
    INCIDENT_OPENED = "incident_opened"
    INCIDENT_CLOSED = "incident_closed"
    NOTIFIED = "notified"
    """A person was told by webhook or e-mail that an incident is open, or over."""
    CLOUD = "cloud"
    """The hub stopped answering or answers again, or the gateway was registered or claimed."""
    SAMPLES_LOST = "samples_lost"
    TIME_SET = "time_set"
    STORE = "store"
    """Something happened to the store or to the history."""
    FIRMWARE = "firmware"
    LICENCE = "licence"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """Something that happened."""

    seq: int
    """Its place in the timeline: later ones have higher numbers, also over restarts."""
    at: datetime
    """Aware; the right time as far as it was known."""
    kind: EventKind
    text: str
    """What happened, as a sentence for a person, without the name of the device."""
    child: str | None = None
    """The local key of the device that it is about, child or not."""
    device: str | None = None
    """The name of that device at the time."""
    entry: str | None = None
    """The [[adapter]] entry of the bus that it is about, or on which the device was."""
    bus: str | None = None
    times: int = 1
    """How many of the kind it stands for: a flood of them is told as one."""
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFilter:
    """Which events are wanted: those for which all of these hold."""

    child: str | None = None
    entry: str | None = None
    """With `bus` alone: those of the bus itself and of its devices."""
    bus: str | None = None
    kinds: frozenset[EventKind] = frozenset()
    """Any of these; empty for all."""
    before: int | None = None
    """Only events with a lower `seq`."""
    after: int | None = None
    """Only events with a higher `seq`."""

    def holds_for(self, event: TimelineEvent) -> bool:
        """Return whether the event is wanted."""
        return (
            (self.child is None or event.child == self.child)
            and (self.bus is None or event.bus == self.bus)
            and (self.entry is None or event.entry == self.entry)
            and (not self.kinds or event.kind in self.kinds)
            and (self.before is None or event.seq < self.before)
            and (self.after is None or event.seq > self.after)
        )


FindDevice: TypeAlias = Callable[[str], ChildDevice | None]


class Timeline:
    """The events of this and earlier runs: a part of the history file.

    Args:
        file: keeps them.
        find_device: returns the device with a local key, for its name and its bus.
        now: returns the right time, aware.
    """

    def __init__(
        self,
        file: HistoryFile,
        *,
        find_device: FindDevice = lambda key: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._file = file
        self._find_device = find_device
        self._now = now
        self._next_seq = 1
        self._recent: deque[TimelineEvent] = deque(maxlen=MOST_IN_MEMORY)
        self._unsaved: list[TimelineEvent] = []
        self._handed_over = 0
        self._is_all_in_memory = True
        self.askers = RecentRequesters(now)
        self._floods: dict[tuple[str, str | None, str | None], _Flood] = {}
        file.add_part(self)

    @property
    def last_seq(self) -> int:
        """The number of the latest event: it grows with each."""
        return self._next_seq - 1

    async def load(self) -> None:
        """Go on after the latest event of the earlier runs."""
        try:
            latest = await self._file.transact(lambda db: db.execute("SELECT MAX(seq) FROM timeline").fetchone()[0])
        except StoreError:  # perhaps the disk works later, and the file has events then: these numbers are above theirs
            latest = 0 if self._file.is_off else int(self._now().timestamp() * 1000)
        if isinstance(latest, int) and 0 < latest < 2**62:
            self._is_all_in_memory = self._file.is_off
            self._next_seq += latest
            self._recent = deque((replace(one, seq=one.seq + latest) for one in self._recent), maxlen=MOST_IN_MEMORY)
            self._unsaved = list(self._recent)

    def redate(self, right: Callable[[datetime], datetime]) -> None:
        """Move the events of this run to their right time, after the clock was set.

        Args:
            right: returns the right time for what the clock showed, and any other time as it is.
        """
        moved = {one.seq: replace(one, at=at) for one in self._recent if (at := right(one.at)) != one.at}
        if not moved:
            return
        self._recent = deque((moved.get(one.seq, one) for one in self._recent), maxlen=MOST_IN_MEMORY)
        waiting = {one.seq: one for one in self._unsaved} | moved
        self._unsaved, self._handed_over = sorted(waiting.values(), key=lambda one: one.seq), 0
        self._file.save_soon()

    def record(
        self,
        kind: EventKind,
        what: str,
        *,
        child: str | None = None,
        bus: tuple[str, str] | None = None,
        device: str | None = None,
        at: datetime | None = None,
        subject: str | None = None,
    ) -> None:
        """Add an event. It neither waits nor fails; of a flood, some are told with their number.

        Args:
            kind: its kind.
            what: what happened, as a sentence for a person, without the name of the device; it is cut to 500 characters.
            child: the local key of the device that it is about; its name and bus are added.
            bus: the [[adapter]] entry and the bus that it is about, for an event about a bus or about a device that is gone.
            device: the name of the device, where it is gone or not known yet.
            at: when it happened; by default now.
            subject: of an incident, its cause.
        """
        times = self._told_times(kind, child, None if bus is None else bus[1], subject)
        if not times:
            return
        found = None if child is None else self._find_device(child)
        entry, bus_name = bus if bus is not None else (None, None) if found is None else (found.adapter, found.bus)
        event = TimelineEvent(
            seq=self._next_seq,
            at=at if at is not None else self._now(),
            kind=kind,
            text=what if len(what) <= TEXT_LENGTH else f"{what[: TEXT_LENGTH - 1]}…",
            child=child,
            device=device if device is not None or found is None else found.name,
            entry=entry,
            bus=bus_name,
            times=times,
            subject=subject,
        )
        self._next_seq += 1
        if len(self._recent) == MOST_IN_MEMORY:
            self._is_all_in_memory = False
        self._recent.append(event)
        self._unsaved.append(event)
        if len(self._unsaved) > MOST_IN_MEMORY:  # the disk takes nothing
            del self._unsaved[0]
            self._handed_over = max(self._handed_over - 1, 0)
        self._file.save_soon()

    async def events(self, wanted: TimelineFilter, *, most: int) -> Sequence[TimelineEvent]:
        """Return so many events, the latest first; with `after` and without `before`, the next ones, the earliest first."""
        is_forward = wanted.after is not None and wanted.before is None
        recent = [one for one in self._recent if wanted.holds_for(one)]
        if not is_forward:
            recent.reverse()
        first = self._recent[0].seq if self._recent else self._next_seq
        is_enough = (wanted.after is not None and wanted.after >= first - 1) or (not is_forward and len(recent) >= most)
        if self._is_all_in_memory or is_enough:
            return recent[:most]
        try:
            older = await self._file.transact(
                lambda db: read_events(
                    db, replace(wanted, before=min(wanted.before or first, first)), most=most, is_forward=is_forward
                )
            )
        except StoreError:
            older = []
        return ([*older, *recent] if is_forward else [*recent, *older])[:most]

    async def latest_of_subjects(self, kinds: Iterable[EventKind]) -> dict[str, TimelineEvent]:
        """Return the latest event of these kinds about each subject, of the earlier runs."""
        try:
            events = await self._file.transact(lambda db: _with_subject(db, frozenset(kinds)))
        except StoreError:
            return {}
        return {event.subject: event for event in events if event.subject is not None}

    # the part of the file ---------------------------------------------------------------------------------------------

    async def unsaved(self, *, is_full: bool) -> Callable[[Transaction], None] | None:
        """Return what writes the new events."""
        events = tuple(self._unsaved)
        self._handed_over = len(events)
        if not events and not is_full:
            return None
        return (lambda db: _write(db, events)) if events else None

    def saved(self) -> None:
        """Keep what was handed over in memory only as long as it is among the latest."""
        del self._unsaved[: self._handed_over]
        self._handed_over = 0

    def begin_anew(self) -> None:
        """Write what is still in memory into the new file."""
        self._unsaved, self._handed_over = list(self._recent), 0

    def thin(self, db: Transaction) -> bool:
        """Remove the oldest tenth."""
        (count,) = db.execute("SELECT COUNT(*) FROM timeline").fetchone()
        if count < LEAST_EVENTS:
            return False
        _remove_oldest(db, count // 10)
        return True

    def _told_times(self, *about: str | None) -> int:
        """Return how many events the one that happens now stands for; 0: it is told with a later one."""
        kind, child, bus, subject = about
        key = (str(kind), child or subject, bus)
        now = self._now()
        flood = self._floods.get(key)
        if flood is None:
            if len(self._floods) >= MOST_FLOODS:
                self._floods.clear()
            flood = self._floods[key] = _Flood(now)
        return flood.told(now)


class _Flood:
    """The events of one kind about one device."""

    __slots__ = ("_at", "_left", "_untold")

    def __init__(self, now: datetime) -> None:
        self._left, self._at, self._untold = float(AT_ONCE), now, 0

    def told(self, now: datetime) -> int:
        self._left = min(self._left + max((now - self._at) / THEN_EVERY, 0.0), float(AT_ONCE))
        self._at = now
        self._untold += 1
        if self._left < 1:
            return 0
        times, self._untold = self._untold, 0
        self._left -= 1
        return times


_COLUMNS: Final = "seq, at, kind, child, device, entry, bus, text, times, subject"


def read_events(db: Transaction, wanted: TimelineFilter, *, most: int, is_forward: bool = False) -> list[TimelineEvent]:
    """Return so many events of the file: the latest first, or the earliest first. Rows that cannot be read are left out."""
    conditions: list[tuple[str, Sequence[object]]] = [
        (f"{column} {comparison} ?", (value,))
        for column, comparison, value in (
            ("child", "=", wanted.child), ("entry", "=", wanted.entry), ("bus", "=", wanted.bus),
            ("seq", "<", wanted.before), ("seq", ">", wanted.after),
        )
        if value is not None
    ]  # fmt: skip
    if wanted.kinds:
        kinds = sorted(wanted.kinds)
        conditions.append((f"kind IN ({', '.join('?' * len(kinds))})", kinds))
    where = f"WHERE {' AND '.join(words for words, _ in conditions)}" if conditions else ""
    values = [value for _, given in conditions for value in given]
    order = "ASC" if is_forward else "DESC"
    query = f"SELECT {_COLUMNS} FROM timeline {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - our own text
    return [event for row in db.execute(query, (*values, most)) if (event := _event(row)) is not None]


def _with_subject(db: Transaction, kinds: frozenset[EventKind]) -> list[TimelineEvent]:
    places = ", ".join("?" * len(kinds))
    query = f"SELECT {_COLUMNS} FROM timeline WHERE subject IS NOT NULL AND kind IN ({places}) ORDER BY seq"  # noqa: S608 - our own text
    return [event for row in db.execute(query, sorted(kinds)) if (event := _event(row)) is not None]


def _event(row: Sequence[Any]) -> TimelineEvent | None:
    """Return the event of a row, `None` where it is damaged."""
    seq, at, kind, child, device, entry, bus, words, times, subject = row
    try:
        if not isinstance(at, float):
            raise Unusable("at is no time")
        return TimelineEvent(
            seq=number(seq, "seq"),
            at=datetime.fromtimestamp(at, UTC),
            kind=_kind(text(kind, "kind")),
            text=text(words, "text"),
            child=optional_text(child, "child"),
            device=optional_text(device, "device"),
            entry=optional_text(entry, "entry"),
            bus=optional_text(bus, "bus"),
            times=number(times, "times"),
            subject=optional_text(subject, "subject"),
        )
    except (*UNREADABLE, OSError):
        return None


def _kind(word: str) -> EventKind:
    try:
        return EventKind(word)
    except ValueError:  # of another version
        return EventKind.OTHER


def _write(db: Transaction, events: Iterable[TimelineEvent]) -> None:
    db.executemany(
        f"INSERT OR REPLACE INTO timeline ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own text
        [
            (
                one.seq, one.at.timestamp(), one.kind.value, one.child, one.device, one.entry, one.bus, one.text, one.times,
                one.subject,
            )
            for one in events
        ],
    )  # fmt: skip
    (count,) = db.execute("SELECT COUNT(*) FROM timeline").fetchone()
    if count > MOST_EVENTS:
        db.execute(
            "DELETE FROM timeline WHERE seq IN (SELECT seq FROM (SELECT seq, ROW_NUMBER() OVER"
            " (PARTITION BY child ORDER BY seq DESC) AS place FROM timeline WHERE child IS NOT NULL) WHERE place > ?)",
            (MOST_OF_ONE_DEVICE,),
        )
        (count,) = db.execute("SELECT COUNT(*) FROM timeline").fetchone()
        _remove_oldest(db, count - MOST_EVENTS * 9 // 10)


def _remove_oldest(db: Transaction, how_many: int) -> None:
    if how_many > 0:
        db.execute("DELETE FROM timeline WHERE seq IN (SELECT seq FROM timeline ORDER BY seq LIMIT ?)", (how_many,))
