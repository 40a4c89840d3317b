"""Have licence changes applied by their devices, and end licences whose time is over, whether or not the cloud is reachable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway.cloud.devices import CloudDevices
from gateway.cloud.protocol.values import printable_line
from gateway.errors import AdapterError, BusLost, CommandRejected, OutcomeUnknown, StoreError
from gateway.hub import Credentials
from gateway.models import Licence, LicenceChange
from gateway.state.licences import REPORTED, LicenceKeeper, LicenceRecord, LicenceState
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

RETRY_DEVICE_EVERY = timedelta(minutes=1)
"""How often a licence change is tried again on a device that does not answer."""

RETRY_UNCLEAR_EVERY = timedelta(hours=1)
"""How often the end of a licence is sent again to a device that got it, and did not say what it did with it."""

RETRY_DEVICE_FOR = timedelta(minutes=15)
"""After this time a change whose device did not answer is reported as an error."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""A clock that is further away from that of the cloud is wrong."""

WORTH_INSTALLING = 2 * CLOCK_TOLERANCE
"""What a licence that has ended too early must have left to be installed again: a small step of the clock does nothing."""

PROBLEM_LENGTH = 1000
"""The longest error text for the operator, in characters."""


class ApplyLicence(Protocol):
    """Gives a licence change to its device; `None` is the gateway itself."""

    async def __call__(self, child: str | None, licence: Licence) -> None:
        """Return when the device has carried it out.

        Raises:
            CommandRejected: the device does not take it; the text says why.
            AdapterError: the device or its bus does not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Licences:
    """The way to the devices, and the clock."""

    apply: ApplyLicence
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The present moment, aware."""
    clock_ahead: Callable[[], timedelta | None] = lambda: None
    """How far that is ahead of the clock of the cloud; `None` while that is unknown."""


class DeviceChanges:
    """Applies the changes that are stored, one of each device at a time; no device delays another one.

    Args:
        devices: knows the children.
        keeper: stores the licences.
        licences: the way to the devices.
        on_outcome: is called whenever there is something new to tell the cloud.
    """

    def __init__(
        self, devices: CloudDevices, keeper: LicenceKeeper, licences: Licences, *, on_outcome: Callable[[], None]
    ) -> None:
        self._devices = devices
        self._keeper = keeper
        self._apply = licences.apply
        self._licences = licences
        self._on_outcome = on_outcome
        self._running: set[str] = set()  # the devices to which a change is being applied
        self._tries: dict[tuple[str, str], _Tries] = {}
        self._has_work = asyncio.Event()

    def now(self) -> datetime:
        """Return the present moment by the gateway's clock, put right where it differs much from the clock of the cloud."""
        now, ahead = self._licences.now(), self._licences.clock_ahead()
        return now if ahead is None or abs(ahead) <= CLOCK_TOLERANCE else now - ahead

    def is_running(self, device_id: str) -> bool:
        """Return whether a change is being applied to this device now."""
        return device_id in self._running

    def wake(self) -> None:
        """Look for work now: a change was stored."""
        self._has_work.set()

    async def run(self, parent: Credentials | None) -> None:
        """Apply changes and end licences until cancelled; only end them without a parent, while the gateway is not registered."""
        self._running.clear()
        self._tries.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._has_work.clear()
                if parent is not None:
                    await self._leave_former_devices(parent)
                await self._end_expired()
                self._start_pending(group, only_ends=parent is None)
                await self._wait()

    async def _wait(self) -> None:
        ends = [end for record in self._keeper.all if (end := record.in_use_until) is not None]
        until_end = min(ends, default=datetime.max.replace(tzinfo=UTC)) - self.now()
        seconds = min(max(until_end.total_seconds(), 0.0), RETRY_DEVICE_EVERY.total_seconds())  # the clock may be set meanwhile
        await wait_until(self._has_work, loop_time() + seconds)

    async def _leave_former_devices(self, parent: Credentials) -> None:
        """Forget what cannot be told to the cloud any more, of devices that were deleted or registered anew under another id.

        What their device still uses is kept until its end, or until the device gets the same licence again.
        """
        forgotten: list[LicenceRecord] = []
        for record in self._keeper.all:
            if record.device_id in self._running or self._devices.is_known(parent, record.device_id):
                continue
            is_there = record.child is not None and self._devices.is_child(record.child)
            if not (is_there and record.has_to_end) or self._is_replaced(record):
                forgotten.append(record)
            elif record.state is LicenceState.PENDING and record.change is LicenceChange.RENEW:
                await self._save(failed(record, "its device was deleted in the cloud"))
        if forgotten:
            await retry_until_stored(lambda: self._keeper.forget(forgotten), what="that former licences are forgotten")

    def _is_replaced(self, record: LicenceRecord) -> bool:
        """Return whether the same child has got the same licence under another id of the cloud."""
        return any(
            other.child == record.child
            and other.device_id != record.device_id
            and other.offered_at > record.offered_at
            and (other.licence_id == record.licence_id or (other.payload is not None and other.payload == record.payload))
            for other in self._keeper.all
        )

    async def _end_expired(self) -> None:
        """Let the licences expire whose time is over, by the gateway's own clock (section 18).

        One that has ended too early is installed again: the clock was ahead, and the clock of the cloud confirms the present one.
        """
        now = self.now()
        for record in self._keeper.all:
            end = record.in_use_until
            if end is not None and end <= now:
                await self._save(record.expired(now))
            elif record.has_ended_before(now + WORTH_INSTALLING) and self._licences.clock_ahead() is not None:
                log.warning("%s: the licence %s was ended too early, since the clock was wrong", *self.names(record))
                await self._save(record.installed_again(now))

    def _start_pending(self, group: asyncio.TaskGroup, *, only_ends: bool) -> None:
        for record in self._keeper.all:
            if only_ends and record.change is not LicenceChange.EXPIRE:
                continue
            tries = self._tries_of(record)
            if (
                record.state is LicenceState.PENDING
                and record.device_id not in self._running
                and (tries is None or loop_time() >= tries.again_at)
            ):
                self._running.add(record.device_id)
                group.create_task(self._carry_out(record))

    async def _carry_out(self, record: LicenceRecord) -> None:
        try:
            ended = await self._outcome_of(record)
            known = self._keeper.get(record.key)
            if ended is not None and known is not None and known.is_same_offer(record):
                self._tries.pop(record.key, None)
                await self._end(ended)
        finally:
            self._running.discard(record.device_id)
            self._has_work.set()

    async def _outcome_of(self, record: LicenceRecord) -> LicenceRecord | None:
        """Apply a change and return what became of it; `None` when it is tried again."""
        now = self.now()
        is_for_use = record.change in (LicenceChange.INSTALL, LicenceChange.RENEW)
        if is_for_use and record.expires_at is not None and record.expires_at <= now:
            return failed(record, f"it ended at {record.expires_at:%Y-%m-%d %H:%M} UTC, before it was installed")
        try:
            await self._apply(record.child, record.licence)
        except CommandRejected as error:
            return failed(record, str(error))
        except (AdapterError, StoreError) as error:
            return await self._wait_for_device(record, error)
        states = {LicenceChange.REMOVE: LicenceState.REMOVED, LicenceChange.EXPIRE: LicenceState.EXPIRED}
        return replace(
            record, state=states.get(record.change, LicenceState.IN_USE), problem=None, was_in_use=False,
            former_payload=None, former_expires_at=None,
        )  # fmt: skip

    async def _wait_for_device(self, record: LicenceRecord, error: Exception) -> LicenceRecord | None:
        """Try a change again later; after a while it has failed. An expired licence is disabled however long that takes.

        The time counts from the first try since the start: the clock may be set, and after a pause of the gateway its buses need
        a moment.
        """
        now, before = loop_time(), self._tries_of(record)
        since = now if before is None else before.since
        is_end = record.change is LicenceChange.EXPIRE
        is_unclear = isinstance(error, OutcomeUnknown) and not isinstance(error, BusLost)
        every = RETRY_UNCLEAR_EVERY if is_end and is_unclear else RETRY_DEVICE_EVERY
        self._tries[record.key] = _Tries(record.offered_at, since, now + every.total_seconds())
        if not is_end and now - since >= RETRY_DEVICE_FOR.total_seconds():
            return failed(record, f"the device did not answer for {RETRY_DEVICE_FOR.total_seconds() / 60:.0f} minutes: {error}")
        if record.problem is None:
            log.warning("%s: the licence %s waits for its device: %s", *self.names(record), error)
            await self._save(replace(record, problem=printable_line(str(error), PROBLEM_LENGTH)))
        return None

    def _tries_of(self, record: LicenceRecord) -> _Tries | None:
        tries = self._tries.get(record.key)
        return tries if tries is not None and tries.offered_at == record.offered_at else None

    async def _end(self, record: LicenceRecord) -> None:
        """Store what became of a change; the cloud does not know it yet."""
        await self._save(replace(record, changed_at=self.now(), is_delivered=record.state not in REPORTED))
        if record.problem is not None:
            log.warning("%s: the licence %s: to %s it failed: %s", *self.names(record), record.change, record.problem)
        else:
            log.info("%s: the licence %s is %s", *self.names(record), record.state)
        self._on_outcome()

    async def _save(self, record: LicenceRecord) -> None:
        await retry_until_stored(lambda: self._keeper.save(record), what="the state of a licence")

    def names(self, record: LicenceRecord) -> tuple[str, str]:
        """Return what a person calls the device and the licence."""
        return self._devices.name_of(record.child), printable_line(str(record.licence_id), 60)


@dataclass(frozen=True, slots=True)
class _Tries:
    """The tries of one change that its device has not answered."""

    offered_at: datetime
    """Of the change: the next one of the same licence begins anew."""
    since: float
    """The loop time of the first one since the start."""
    again_at: float
    """The loop time of the next one."""


def failed(record: LicenceRecord, problem: str) -> LicenceRecord:
    """Return the record of a change that the device does not have."""
    return replace(record, state=LicenceState.ERROR, problem=printable_line(problem, PROBLEM_LENGTH))
