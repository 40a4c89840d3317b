"""Keep how far each firmware installation is, so that it is resumed after a restart, and which firmware the cloud offers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway import strict_json
from gateway.state.database.columns import cloud_id, number, optional_number, optional_text, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareJob:
    """One installation on a child. The file is kept in the staging folder of its name."""

    child: str
    """The child's local key."""
    command_id: int | str
    folder: str
    file_name: str
    size: int
    sha256: str
    version: str | None
    signature: str | None
    position: int | None = None
    """What the device has got so far, as its adapter counts; `None` before the first step."""

    @property
    def key(self) -> tuple[str, str]:
        """The child and the command, by which the job is known."""
        return self.child, strict_json.dumps(self.command_id)


@dataclass(frozen=True, slots=True)
class FirmwareOffer:
    """A firmware that the cloud has for a device."""

    version: str
    file_id: str | None


class FirmwareJobs:
    """The installations that have begun and not ended."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[FirmwareJob]:
        """Return every job."""
        return await self._store.transact(lambda db: read_rows(db, "firmware_jobs", _COLUMNS, _job))

    async def find(self, child: str, command_id: int | str) -> FirmwareJob | None:
        """Return the job of a command; `None` when there is none."""
        return next((job for job in await self.all() if job.key == (child, strict_json.dumps(command_id))), None)

    @runs_to_completion
    async def begin(self, job: FirmwareJob) -> None:
        """Record a job: its file is whole, and nothing was sent to the device."""
        row = (*job.key, job.folder, job.file_name, job.size, job.sha256, job.version, job.signature, job.position)
        places = ", ".join("?" * len(row))
        await self._store.transact(
            lambda db: db.execute(f"INSERT OR REPLACE INTO firmware_jobs ({_COLUMNS}) VALUES ({places})", row)  # noqa: S608 - our columns
        )

    @runs_to_completion
    async def advance(self, job: FirmwareJob, position: int) -> None:
        """Record how far a job is."""
        await self._store.transact(
            lambda db: db.execute("UPDATE firmware_jobs SET position = ? WHERE child = ? AND command = ?", (position, *job.key))
        )

    @runs_to_completion
    async def end(self, job: FirmwareJob) -> None:
        """Remove a job that has ended."""
        await self._store.transact(lambda db: db.execute("DELETE FROM firmware_jobs WHERE child = ? AND command = ?", job.key))


class FirmwareOffers:
    """The newest firmware that the cloud has offered to each device, by its id in the cloud."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, device_id: str) -> FirmwareOffer | None:
        """Return the firmware that a device was offered last."""
        return await self._store.transact(lambda db: read_offer(db, device_id))

    @runs_to_completion
    async def put(self, device_id: str, offer: FirmwareOffer, at: datetime) -> bool:
        """Record an offer; return whether it is a new one."""

        def work(db: Transaction) -> bool:
            if read_offer(db, device_id) == offer:
                return False
            db.execute(
                "INSERT OR REPLACE INTO firmware_offers (device_id, version, file_id, at) VALUES (?, ?, ?, ?)",
                (device_id, offer.version, offer.file_id, at.isoformat()),
            )
            return True

        return await self._store.transact(work)


_COLUMNS = "child, command, folder, file_name, size, sha256, version, signature, position"


def _job(child: object, command: object, folder: object, file_name: object, *row: object) -> FirmwareJob:
    size, sha256, version, signature, position = row
    return FirmwareJob(
        child=text(child, "child"),
        command_id=cloud_id(command, "command"),
        folder=text(folder, "folder"),
        file_name=text(file_name, "file_name"),
        size=number(size, "size"),
        sha256=text(sha256, "sha256"),
        version=optional_text(version, "version"),
        signature=optional_text(signature, "signature"),
        position=optional_number(position, "position"),
    )


def read_offer(db: Transaction, device_id: str) -> FirmwareOffer | None:
    """Return the firmware that a device was offered last."""
    offers = read_rows(db, "firmware_offers", "version, file_id", _offer, "WHERE device_id = ?", (device_id,))
    return offers[0] if offers else None


def _offer(version: object, file_id: object) -> FirmwareOffer:
    return FirmwareOffer(text(version, "version"), optional_text(file_id, "file_id"))
