"""Keep the cloud's record of each device: its name, its customer, its space, and the files of its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, TypeAdapter

from gateway.state.database.columns import text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRecord:
    """The space of a device in the cloud (device API reference, section 8.5)."""

    name: str | None = None
    location: str | None = None
    utc_offset_minutes: int | None = None
    maintenance: bool = False
    """Somebody works on the space, so alarms are expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file of the device's model, such as firmware (section 10.3)."""

    id: str
    name: str | None = None
    file_type: str | None = None
    version: str | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRecord:
    """What the cloud has on record about one device, and which versions of it were fetched."""

    device_id: str
    info_version: Annotated[int, Field(ge=0)] = 0
    """The `info_version` for which name and customer were fetched."""
    space_version: Annotated[int, Field(ge=0)] | None = None
    """The `space_data_version` for which the space was fetched; 0 is unclaimed, `None` not known yet."""
    confirmed_space_version: Annotated[int, Field(ge=0)] = 0
    """The space version that the cloud was told last to be in use (section 8.2)."""
    name: str | None = None
    claimed_by: str | None = None
    """The customer's name; `None` while it is unclaimed."""
    space: SpaceRecord | None = None
    moved_for: Annotated[int, Field(ge=0)] = 0
    """The space version of the gateway for which this child was moved to the space of the gateway."""
    files: Sequence[FileRecord] = field(default_factory=tuple)


_RECORD = TypeAdapter(CloudRecord)


def _record(content: object) -> CloudRecord:
    return _RECORD.validate_json(text(content, "content"))


class CloudRecords:
    """All records, in memory and written through."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[str, CloudRecord] = {}

    async def load(self) -> None:
        """Read everything from the store; a record that cannot be read is fetched again."""
        records = await self._store.transact(lambda db: read_rows(db, "cloud_records", "content", _record))
        self._records = {record.device_id: record for record in records}

    def of(self, device_id: str) -> CloudRecord:
        """Return the record of a device; an empty one where nothing was fetched yet."""
        return self._records.get(device_id) or CloudRecord(device_id=device_id)

    @runs_to_completion
    async def save(self, record: CloudRecord) -> None:
        """Store the record of one device."""
        content = _RECORD.dump_json(record).decode()

        def write(db: Transaction) -> None:
            db.execute("INSERT OR REPLACE INTO cloud_records (device_id, content) VALUES (?, ?)", (record.device_id, content))

        await self._store.transact(write)
        self._records[record.device_id] = record

    @runs_to_completion
    async def keep_only(self, device_ids: frozenset[str]) -> None:
        """Forget the devices that are not among these: they were deleted in the cloud, or registered anew under another id."""
        gone = self._records.keys() - device_ids
        if gone:
            await self._store.transact(
                lambda db: db.executemany("DELETE FROM cloud_records WHERE device_id = ?", [(one,) for one in gone])
            )
            for device_id in gone:
                del self._records[device_id]
