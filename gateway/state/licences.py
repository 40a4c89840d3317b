"""Keep the licences of the gateway and its children, and what the cloud has not been told about them yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import SecretStr

from gateway import strict_json
from gateway.models import Licence, LicenceChange
from gateway.state.database.columns import cloud_id, moment, number, optional_moment, optional_secret, optional_text, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion

KEPT_FOR = timedelta(days=90)
"""How long a licence that is not in use any more is kept, for people."""


class LicenceState(StrEnum):
    """What has become of a licence."""

    PENDING = "pending"
    """A change of it waits for its device."""
    IN_USE = "in use"
    REMOVED = "removed"
    ERROR = "error"
    """The device does not have it; `problem` says why."""
    EXPIRED = "expired"


ReportedState = Literal["inuse", "removed", "error"]

REPORTED: Mapping[LicenceState, ReportedState] = {
    LicenceState.IN_USE: "inuse",
    LicenceState.REMOVED: "removed",
    LicenceState.ERROR: "error",
}
"""The states that the cloud is told; it knows by itself when a licence has expired (device API reference, section 18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceRecord:
    """One licence of one device. All times are aware and UTC."""

    device_id: str
    """The cloud's id of the device."""
    licence_id: int | str
    """Opaque: returned to the cloud exactly as it came."""
    child: str | None
    """The child's local key; `None` for the gateway itself."""
    change: LicenceChange
    """The last change of the licence that the cloud or its end asked for."""
    payload: SecretStr | None
    signature: str | None
    expires_at: datetime | None
    state: LicenceState
    problem: str | None = None
    """For the operator in the cloud: why the change could not be made."""
    was_in_use: bool = False
    """It was in use before the change that is pending or has failed, so the device still has the former one."""
    former_payload: SecretStr | None = None
    """The content of the former one."""
    former_expires_at: datetime | None = None
    """The end of the former one."""
    is_delivered: bool = False
    """The cloud knows the state."""
    offered_at: datetime
    """When the cloud first offered this change."""
    changed_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """The device and the id, by which the licence is known."""
        return self.device_id, strict_json.dumps(self.licence_id)

    @property
    def licence(self) -> Licence:
        """The licence as its device gets it."""
        return Licence(
            id=str(self.licence_id),
            change=self.change,
            payload=self.payload,
            signature=self.signature,
            expires_at=self.expires_at,
        )

    @property
    def has_to_end(self) -> bool:
        """Whether the device has it, or the former one, or is still to be made to stop using it."""
        is_ending = self.state is LicenceState.PENDING and self.change in (LicenceChange.REMOVE, LicenceChange.EXPIRE)
        return is_ending or self.state is LicenceState.IN_USE or self.was_in_use

    @property
    def in_use_until(self) -> datetime | None:
        """When the licence that the device has ends; `None` for never, and while a change of it is pending."""
        if self.state is LicenceState.ERROR and self.was_in_use and self.change is not LicenceChange.EXPIRE:
            return self.former_expires_at
        return self.expires_at if self.state is LicenceState.IN_USE else None

    def after(self, known: LicenceRecord) -> LicenceRecord:
        """Return the record of a new change of a known licence."""
        if known.state is LicenceState.IN_USE:
            return replace(self, was_in_use=True, former_payload=known.payload, former_expires_at=known.expires_at)
        return replace(
            self,
            was_in_use=known.was_in_use,
            former_payload=known.former_payload,
            former_expires_at=known.former_expires_at,
        )

    def expired(self, now: datetime) -> LicenceRecord:
        """Return the record of a licence whose time is over, and whose device has yet to stop using it."""
        is_former = self.state is not LicenceState.IN_USE
        return replace(
            self,
            change=LicenceChange.EXPIRE,
            payload=self.former_payload if is_former else self.payload,
            expires_at=self.in_use_until,
            state=LicenceState.PENDING,
            problem=None,
            was_in_use=True,
            offered_at=now,
            changed_at=now,
        )

    def has_ended_before(self, now: datetime) -> bool:
        """Return whether it was ended although its time is not over at this moment."""
        return self.change is LicenceChange.EXPIRE and self.expires_at is not None and self.expires_at > now

    def installed_again(self, now: datetime) -> LicenceRecord:
        """Return the record of a licence that was ended too early."""
        return replace(
            self,
            change=LicenceChange.INSTALL,
            state=LicenceState.PENDING,
            problem=None,
            was_in_use=False,
            former_payload=None,
            former_expires_at=None,
            is_delivered=False,
            offered_at=now,
            changed_at=now,
        )

    def is_same_offer(self, other: LicenceRecord) -> bool:
        """Whether both ask for the same change of the same licence."""
        return (self.key, self.change, self.payload, self.signature, self.expires_at) == (
            other.key,
            other.change,
            other.payload,
            other.signature,
            other.expires_at,
        )


class LicenceKeeper:
    """All licences, in memory and written through."""

    def __init__(self, store: Store, *, on_change: Callable[[LicenceRecord], None] = lambda record: None) -> None:
        self._store = store
        self._on_change = on_change
        self._records: dict[tuple[str, str], LicenceRecord] = {}

    async def load(self) -> None:
        """Read everything from the store."""
        records = await self._store.transact(lambda db: read_rows(db, "licences", _COLUMNS, _record))
        self._records = {record.key: record for record in records}

    @property
    def all(self) -> list[LicenceRecord]:
        """All licences, those of one device together."""
        return [self._records[key] for key in sorted(self._records)]

    def get(self, key: tuple[str, str]) -> LicenceRecord | None:
        """Return the licence with this `LicenceRecord.key`."""
        return self._records.get(key)

    @runs_to_completion
    async def save(self, record: LicenceRecord) -> LicenceRecord:
        """Store a licence as it is now, and forget those that have not been in use for long."""
        oldest = record.changed_at - KEPT_FOR
        outdated = [
            key
            for key, one in self._records.items()
            if one.is_delivered and one.changed_at < oldest and one.state not in (LicenceState.IN_USE, LicenceState.PENDING)
        ]
        await self._store.transact(lambda db: _write(db, record, outdated))
        known, self._records[record.key] = self._records.get(record.key), record
        if known is None or (known.state, known.change, known.problem) != (record.state, record.change, record.problem):
            self._on_change(record)
        for key in outdated:
            self._records.pop(key, None)
        return record

    @runs_to_completion
    async def forget(self, records: Sequence[LicenceRecord]) -> None:
        """Remove licences."""
        keys = [record.key for record in records]
        await self._store.transact(lambda db: db.executemany("DELETE FROM licences WHERE device_id = ? AND id = ?", keys))
        for key in keys:
            self._records.pop(key, None)

    @runs_to_completion
    async def deliver(self, record: LicenceRecord) -> None:
        """Store that the cloud knows the state of a licence, unless it has changed meanwhile."""
        known = self._records.get(record.key)
        if known == record:
            await self.save(replace(record, is_delivered=True))


_COLUMNS = (
    "device_id, id, child, change, payload, signature, expires_at, state, problem, was_in_use,"
    " former_payload, former_expires_at, delivered, offered_at, changed_at"
)


def _record(*row: object) -> LicenceRecord:
    device_id, licence_id, child, change, payload, signature, expires, state, problem, was_in_use, *rest = row
    former_payload, former_expires, delivered, offered, changed = rest
    return LicenceRecord(
        device_id=text(device_id, "device_id"),
        licence_id=cloud_id(licence_id, "id"),
        child=optional_text(child, "child"),
        change=LicenceChange(text(change, "change")),
        payload=optional_secret(payload, "payload"),
        signature=optional_text(signature, "signature"),
        expires_at=optional_moment(expires, "expires_at"),
        state=LicenceState(text(state, "state")),
        problem=optional_text(problem, "problem"),
        was_in_use=bool(number(was_in_use, "was_in_use")),
        former_payload=optional_secret(former_payload, "former_payload"),
        former_expires_at=optional_moment(former_expires, "former_expires_at"),
        is_delivered=bool(number(delivered, "delivered")),
        offered_at=moment(offered, "offered_at"),
        changed_at=moment(changed, "changed_at"),
    )


def _write(db: Transaction, record: LicenceRecord, outdated: list[tuple[str, str]]) -> None:
    db.execute(
        f"INSERT OR REPLACE INTO licences ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our columns
        (
            *record.key,
            record.child,
            record.change,
            None if record.payload is None else record.payload.get_secret_value(),
            record.signature,
            None if record.expires_at is None else record.expires_at.isoformat(),
            record.state,
            record.problem,
            int(record.was_in_use),
            None if record.former_payload is None else record.former_payload.get_secret_value(),
            None if record.former_expires_at is None else record.former_expires_at.isoformat(),
            int(record.is_delivered),
            record.offered_at.isoformat(),
            record.changed_at.isoformat(),
        ),
    )
    db.executemany("DELETE FROM licences WHERE device_id = ? AND id = ?", outdated)
