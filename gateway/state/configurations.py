"""Keep the configuration of each device: the one that is applied, the one that is being tried, and the one that was refused.

A configuration is on disk as tried before any of it is put into effect, and becomes the applied one in one transaction after it
has proven itself. So a start always finds one whole configuration that works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from gateway import strict_json
from gateway.state.database.columns import json_object, number, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion

Content = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionedContent:
    """A configuration and the version that the cloud gave it; version 0 is a device that was never configured."""

    version: int = 0
    content: Content = field(default_factory=dict)


class RefusalKind(StrEnum):
    """What speaks against a version."""

    CONTENT = "content"
    """It cannot be applied."""
    CEILING = "ceiling"
    """The operator does not let the cloud configure this device: the version is tried when that changes."""
    HARM = "harm"
    """It was applied and did harm, so the former one is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A version that is not in effect, and why; it is not tried again."""

    version: int
    why: str
    kind: RefusalKind = RefusalKind.CONTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationRecord:
    """The configuration of one device."""

    device_id: str = ""
    """The cloud's id of the device, whose versions these are: a device that is registered again has new ones."""
    applied: VersionedContent = field(default_factory=VersionedContent)
    confirmed_version: int = 0
    """The cloud knows that this version is applied."""
    tried: VersionedContent | None = None
    """It is in effect, or about to be, and has not proven itself."""
    attempts: int = 0
    """How often `tried` was begun without an end: the gateway was killed meanwhile."""
    refusal: Refusal | None = None

    @property
    def problem(self) -> Refusal | None:
        """Why the newest version is not in effect; `None` when it is, or is being tried."""
        return self.refusal if self.refusal is not None and self.refusal.version > self.applied.version else None

    @property
    def needs_confirmation(self) -> bool:
        """Whether the cloud has to be told that the applied version is applied."""
        return self.applied.version > 0 and self.applied.version != self.confirmed_version


class Configurations:
    """The records of all devices, by local key; `None` is the gateway itself.

    Each change is on disk before it is visible here.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[str | None, ConfigurationRecord] = {}

    async def load(self) -> None:
        """Read everything from the store."""
        self._records = await self._store.transact(_read_all)

    @property
    def all(self) -> Mapping[str | None, ConfigurationRecord]:
        """The records of all devices that ever had a configuration."""
        return MappingProxyType(self._records)

    def of(self, child: str | None) -> ConfigurationRecord:
        """Return the record of a device; an empty one for a device without one."""
        return self._records.get(child, ConfigurationRecord())

    async def follow(self, child: str | None, device_id: str) -> ConfigurationRecord:
        """Return the record of a device under its present id in the cloud.

        A device that was registered again starts anew: the versions were those of its former registration. What was applied
        stays until the next configuration replaces it.
        """
        record = self.of(child)
        if record.device_id == device_id:
            return record
        applied = VersionedContent(content=record.applied.content)
        return await self._save(child, ConfigurationRecord(device_id=device_id, applied=applied))

    async def begin(self, child: str | None, tried: VersionedContent) -> ConfigurationRecord:
        """Record that a configuration is about to be put into effect."""
        record = self.of(child)
        attempts = record.attempts + 1 if record.tried == tried else 1
        return await self._save(child, replace(record, tried=tried, attempts=attempts))

    async def suspend(self, child: str | None) -> ConfigurationRecord:
        """Record that the gateway stops in an orderly way while a configuration is tried: that speaks not against it."""
        record = self.of(child)
        return await self._save(child, replace(record, attempts=max(record.attempts - 1, 0)))

    async def accept(self, child: str | None, applied: VersionedContent) -> ConfigurationRecord:
        """Record that a configuration is in effect and has proven itself, or that it is what the device has anyway."""
        record = self.of(child)
        refusal = record.refusal if record.refusal is not None and record.refusal.version > applied.version else None
        return await self._save(child, replace(record, applied=applied, tried=None, attempts=0, refusal=refusal))

    async def refuse(self, child: str | None, refusal: Refusal) -> ConfigurationRecord:
        """Record that a version is not in effect, and is not tried again; the applied one stays."""
        record = self.of(child)
        if record.tried is not None and record.tried.version == refusal.version:
            record = replace(record, tried=None, attempts=0)
        return await self._save(child, replace(record, refusal=refusal))

    async def forget(self, child: str | None) -> None:
        """Remove the record of a device that is no child any more."""
        await self._store.transact(lambda db: db.execute("DELETE FROM configurations WHERE device = ?", (child or "",)))
        self._records.pop(child, None)

    async def drop(self, child: str | None, refusal: Refusal) -> ConfigurationRecord:
        """Record that what was applied does not fit any more, so that the device is as it is without the cloud."""
        dropped = replace(self.of(child), applied=VersionedContent(), confirmed_version=0, refusal=refusal)
        return await self._save(child, dropped)

    async def confirm(self, child: str | None, version: int) -> ConfigurationRecord:
        """Record that the cloud knows which version is applied."""
        return await self._save(child, replace(self.of(child), confirmed_version=version))

    async def accept_sent(self, child: str | None, sent: VersionedContent) -> ConfigurationRecord:
        """Record that the cloud has a configuration from this device: the cloud knows that it is applied."""
        record = replace(self.of(child), applied=sent, confirmed_version=sent.version)
        return await self._save(child, record)

    @runs_to_completion
    async def _save(self, child: str | None, record: ConfigurationRecord) -> ConfigurationRecord:
        await self._store.transact(lambda db: _write(db, child, record))
        self._records[child] = record
        return record


_COLUMNS = (
    "device, device_id, applied_version, applied, confirmed_version, tried_version, tried, attempts, refused_version,"
    " refused_why, refused_for"
)


def _read_all(db: Transaction) -> dict[str | None, ConfigurationRecord]:
    return dict(read_rows(db, "configurations", _COLUMNS, _record))


def _record(device: object, device_id: object, *row: object) -> tuple[str | None, ConfigurationRecord]:
    applied_version, applied, confirmed_version, tried_version, tried, attempts, refused_version, why, kind = row
    record = ConfigurationRecord(
        device_id=text(device_id, "device_id"),
        applied=VersionedContent(version=number(applied_version, "applied_version"), content=json_object(applied, "applied")),
        confirmed_version=number(confirmed_version, "confirmed_version"),
        tried=None
        if tried_version is None
        else VersionedContent(version=number(tried_version, "tried_version"), content=json_object(tried or "{}", "tried")),
        attempts=number(attempts, "attempts"),
        refusal=None
        if refused_version is None
        else Refusal(
            version=number(refused_version, "refused_version"),
            why=text(why, "refused_why"),
            kind=RefusalKind(text(kind, "refused_for")),
        ),
    )
    return text(device, "device") or None, record


def _write(db: Transaction, child: str | None, record: ConfigurationRecord) -> None:
    tried, refusal = record.tried, record.refusal
    db.execute(
        f"INSERT OR REPLACE INTO configurations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our columns
        (
            child or "",
            record.device_id,
            record.applied.version,
            strict_json.dumps(dict(record.applied.content)),
            record.confirmed_version,
            None if tried is None else tried.version,
            None if tried is None else strict_json.dumps(dict(tried.content)),
            record.attempts,
            None if refusal is None else refusal.version,
            None if refusal is None else refusal.why,
            None if refusal is None else refusal.kind,
        ),
    )
