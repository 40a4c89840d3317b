"""Record each command before anything is done about it, and the outcome of one of the cloud until the cloud has it.

The record makes a command run at most once: one that had started when the gateway stopped is never started again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from gateway import strict_json
from gateway.command_secrets import is_masked, mask_by_name
from gateway.models import Value
from gateway.state.database.columns import (
    Unusable,
    cloud_id,
    json_object,
    moment,
    number,
    optional_moment,
    optional_text,
    text,
)
from gateway.state.database.set_aside import Mending, read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion
from gateway.url_secrets import MASK

KEPT_COMMANDS = 1_000
"""How many delivered commands are kept at least; the cloud may offer one again after a lost response."""

KEPT_FOR = timedelta(hours=6)
"""How long each one is kept at least: a thousand children may have a thousand commands in a few seconds."""

KEPT_PARAMETERS = 16 * 1024
"""The most characters of a command's parameters, as JSON, that are kept: they are kept for people alone."""

MOST_TRIES = 2
"""In how many runs of the gateway a command may be begun or finished: one that ends the gateway each time is set aside."""


LOCAL = "local:"
"""Begins the `device_id` of a command that a person gave here; the rest says who: `page, operator, token office`."""

RECORDS_LOST = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the last contact where the record of commands was lost: whatever is offered first may have been begun already."""


class Outcome(StrEnum):
    """How a command ended."""

    DONE = "done"
    FAILED = "failed"
    """It was not carried out, or not completely."""
    UNKNOWN = "unknown"
    """The device may have acted, and whether it did cannot be said."""

    @property
    def status(self) -> str:
        """The word for it in Update Command, which knows no unknown outcome (device API reference, section 6.3)."""
        return Outcome.DONE if self is Outcome.DONE else Outcome.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One command. All times are aware and UTC."""

    device_id: str
    """The cloud's id of the device that the command is for; `LOCAL` and who asked, for one that a person gave here."""
    command_id: int | str
    """Opaque: returned to the cloud exactly as it came. For one that a person gave here, the id of that request."""
    child: str | None
    """The child's local key; `None` for the gateway itself."""
    name: str
    parameters: Mapping[str, object]
    """As received, but for secret ones."""
    received_at: datetime
    expires_at: datetime
    """A command that has not started by then does not start any more."""
    tries: int = 1
    """In how many runs of the gateway it was prepared, or since it has started, was running."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    message: str | None = None
    """For the operator in the cloud; always present when the command failed."""
    before: Mapping[str, Value] = field(default_factory=dict)
    """The values that the command was about to change, as far as the device was read."""
    after: Mapping[str, Value] = field(default_factory=dict)
    """The same values after it."""
    is_delivered: bool = False
    """The cloud has the outcome, or no longer waits for it."""

    @property
    def key(self) -> tuple[str, str]:
        """The device and the id, by which the ledger knows the command."""
        return self.device_id, strict_json.dumps(self.command_id)

    @property
    def is_local(self) -> bool:
        """Whether a person gave it here, and not in the cloud."""
        return self.device_id.startswith(LOCAL)

    @property
    def asked_by(self) -> str | None:
        """Who gave it here, in words; `None` for the cloud."""
        return self.device_id.removeprefix(LOCAL) if self.is_local else None

    @property
    def is_complete(self) -> bool:
        """Whether all parameters were recorded, so that it can be read back whether the command was carried out."""
        return not is_masked(self.parameters)


class CommandLedger:
    """The commands of the gateway and its children."""

    def __init__(
        self,
        store: Store,
        *,
        on_start: Callable[[LedgerEntry], None] = lambda entry: None,
        on_end: Callable[[LedgerEntry], None] = lambda entry: None,
    ) -> None:
        self._store = store
        self._on_start = on_start
        self._on_end = on_end
        self.revision = 0
        """Counts the changes, so that a reader can see whether there are new ones."""

    @runs_to_completion
    async def receive(self, entry: LedgerEntry) -> LedgerEntry:
        """Record a command that the cloud offers, and return the entry as it stands.

        One that is offered again, since an earlier run has not started it, counts as tried once more. Parameters whose name says
        that they are secret are masked; the caller masks those that the device declares as secret.
        """

        def work(db: Transaction) -> LedgerEntry:
            known = _read_one(db, entry.key)
            if known is None:
                masked = replace(entry, parameters=_kept(entry.parameters))
                _write(db, masked)
                _prune(db, entry.received_at)
                return masked
            if known.started_at is None and known.outcome is None:
                known = replace(known, tries=known.tries + 1)
                _write(db, known)
            return known

        received = await self._store.transact(work)
        self.revision += 1
        return received

    @runs_to_completion
    async def describe(self, entry: LedgerEntry, parameters: Mapping[str, object], expires_at: datetime) -> LedgerEntry:
        """Record what is known of a command since its device was asked what it declares."""
        described = replace(entry, parameters=_kept(parameters), expires_at=expires_at)
        return entry if described == entry else await self._update(described)

    @runs_to_completion
    async def start(self, entry: LedgerEntry, at: datetime) -> LedgerEntry:
        """Record that a command starts; on disk before the first byte goes to the device."""
        started = await self._update(replace(entry, started_at=at, tries=1))
        self._on_start(started)
        return started

    @runs_to_completion
    async def try_again(self, entry: LedgerEntry) -> LedgerEntry:
        """Record that one more run of the gateway is about to finish an interrupted command; on disk before it does anything."""
        return await self._update(replace(entry, tries=entry.tries + 1))

    @runs_to_completion
    async def finish(
        self,
        entry: LedgerEntry,
        outcome: Outcome,
        message: str | None,
        at: datetime,
        *,
        before: Mapping[str, Value] | None = None,
        after: Mapping[str, Value] | None = None,
    ) -> LedgerEntry:
        """Record how a command ended. The cloud does not have the outcome yet, and does not wait for that of a local one."""
        ended = replace(entry, outcome=outcome, message=message, ended_at=at, is_delivered=entry.is_local)
        stored = await self._update(replace(ended, before=before or {}, after=after or {}))
        self._on_end(stored)
        return stored

    @runs_to_completion
    async def deliver(self, entry: LedgerEntry, *, is_delivered: bool = True) -> LedgerEntry:
        """Record whether the cloud has the outcome."""
        return await self._update(replace(entry, is_delivered=is_delivered))

    async def given_here(self, request_id: str) -> LedgerEntry | None:
        """Return the command that a person gave here with this request; `None` when there was none."""
        known = await self._select(f"device_id >= '{LOCAL}' AND device_id < 'local;' AND id = ?", strict_json.dumps(request_id))
        return known[0] if known else None

    async def undelivered(self) -> list[LedgerEntry]:
        """Return the commands that have ended and whose outcome the cloud does not have, the first ended first."""
        return await self._select("outcome IS NOT NULL AND delivered = 0 ORDER BY ended_at")

    async def interrupted(self) -> list[LedgerEntry]:
        """Return what had started in an earlier run and has no outcome, the first started first."""
        return await self._select("started_at IS NOT NULL AND outcome IS NULL ORDER BY started_at")

    async def waiting(self) -> list[LedgerEntry]:
        """Return the commands that have neither started nor ended."""
        return await self._select("started_at IS NULL AND outcome IS NULL")

    async def latest(self, limit: int) -> list[LedgerEntry]:
        """Return the commands that were received last, the latest first."""
        return await self._select(f"1 ORDER BY received_at DESC LIMIT {int(limit)}")

    async def latest_of(self, child: str | None, limit: int) -> list[LedgerEntry]:
        """Return the latest commands of one child, by its local key, or of the gateway itself, the last received first."""
        return await self._select(f"child IS ? ORDER BY received_at DESC LIMIT {int(limit)}", child)

    async def last_contact(self) -> datetime | None:
        """Return when the cloud was last asked for commands, also by an earlier run; `None` for never."""
        moments = await self._store.transact(lambda db: read_rows(db, "command_contact", "at", lambda at: moment(at, "at")))
        return moments[0] if moments else None

    @runs_to_completion
    async def record_contact(self, at: datetime) -> None:
        """Record that the cloud was asked for commands."""
        await self._store.transact(
            lambda db: db.execute("INSERT OR REPLACE INTO command_contact (only_row, at) VALUES (1, ?)", (at.isoformat(),))
        )

    async def _update(self, entry: LedgerEntry) -> LedgerEntry:
        await self._store.transact(lambda db: _write(db, entry))
        self.revision += 1
        return entry

    async def _select(self, condition: str, *values: str | None) -> list[LedgerEntry]:
        return await self._store.transact(lambda db: _read(db, f"WHERE {condition}", *values))


def forget_contact(db: Transaction) -> None:
    """Record that commands may have been begun that are not in this ledger."""
    db.execute("INSERT OR REPLACE INTO command_contact (only_row, at) VALUES (1, ?)", (RECORDS_LOST.isoformat(),))


_COLUMNS = (
    "device_id, id, child, name, parameters, received_at, expires_at, started_at, ended_at, outcome, message, delivered,"
    " values_before, values_after, tries"
)
_PLACES = ", ".join("?" * len(_COLUMNS.split(",")))


def _kept(parameters: Mapping[str, object]) -> dict[str, object]:
    try:
        masked = mask_by_name(parameters)
        length = len(strict_json.dumps(masked))
    except RecursionError:
        return {MASK: "too deep to be kept"}
    return masked if length <= KEPT_PARAMETERS else {MASK: f"{length} characters, too long to be kept"}


def _read_one(db: Transaction, key: tuple[str, str]) -> LedgerEntry | None:
    return next(iter(_read(db, "WHERE device_id = ? AND id = ?", *key)), None)


def _read(db: Transaction, rest: str, *values: str | None) -> list[LedgerEntry]:
    return read_rows(db, "commands", _COLUMNS, _entry, rest, values, mending=Mending(_ended, _write))


def _entry(*row: object) -> LedgerEntry:
    device_id, command_id, child, name, parameters, received, expires, started, ended, outcome, message, delivered, *rest = row
    before, after, tries = rest
    return LedgerEntry(
        device_id=text(device_id, "device_id"),
        command_id=cloud_id(command_id, "id"),
        child=optional_text(child, "child"),
        name=text(name, "name"),
        parameters=json_object(parameters, "parameters"),
        received_at=moment(received, "received_at"),
        expires_at=moment(expires, "expires_at"),
        started_at=optional_moment(started, "started_at"),
        ended_at=optional_moment(ended, "ended_at"),
        outcome=None if outcome is None else Outcome(text(outcome, "outcome")),
        message=optional_text(message, "message"),
        before=_values(before, "values_before"),
        after=_values(after, "values_after"),
        tries=number(tries, "tries"),
        is_delivered=bool(number(delivered, "delivered")),
    )


def _ended(device_id: object, command_id: object, child: object, name: object, *row: object) -> LedgerEntry:
    """Return the entry of a damaged row: ended, so that the command is not carried out a second time when it is offered again."""
    now, delivered = datetime.now(UTC), row[7]
    return LedgerEntry(
        device_id=text(device_id, "device_id"),
        command_id=cloud_id(command_id, "id"),
        child=child if isinstance(child, str) else None,
        name=name if isinstance(name, str) else "unknown",
        parameters={MASK: "damaged in the store"},
        received_at=now,
        expires_at=now,
        ended_at=now,
        outcome=Outcome.UNKNOWN,
        message="its record in the gateway's store was damaged, so it is unknown whether the device has carried it out",
        is_delivered=delivered == 1,
    )


def _values(written: object, column: str) -> dict[str, Value]:
    read = {} if written is None else json_object(written, column)
    values: dict[str, Value] = {}
    for name, value in read.items():
        if not isinstance(value, bool | int | float | str | None):
            raise Unusable(f"{column} has a list or an object in it")
        values[name] = value
    return values


def _write(db: Transaction, entry: LedgerEntry) -> None:
    db.execute(
        f"INSERT OR REPLACE INTO commands ({_COLUMNS}) VALUES ({_PLACES})",  # noqa: S608 - our columns
        (
            *entry.key,
            entry.child,
            entry.name,
            strict_json.dumps(entry.parameters),
            entry.received_at.isoformat(),
            entry.expires_at.isoformat(),
            None if entry.started_at is None else entry.started_at.isoformat(),
            None if entry.ended_at is None else entry.ended_at.isoformat(),
            entry.outcome,
            entry.message,
            int(entry.is_delivered),
            strict_json.dumps(dict(entry.before)) if entry.before else None,
            strict_json.dumps(dict(entry.after)) if entry.after else None,
            entry.tries,
        ),
    )


def _prune(db: Transaction, now: datetime) -> None:
    db.execute(
        "DELETE FROM commands WHERE ended_at < ? AND delivered = 1 AND (device_id, id) NOT IN"
        " (SELECT device_id, id FROM commands ORDER BY received_at DESC LIMIT ?)",
        ((now - KEPT_FOR).isoformat(), KEPT_COMMANDS),
    )
