"""Fetch licence changes, have each applied by its device, answer it, and end licences whose time is over.

The four flows are assignment, renewal, removal and expiry (device API reference, sections 9 and 18). A change is written to the
store before its device gets it. Its application may be repeated after a restart: to install or to remove the same licence twice
has the effect of once. The answer is repeated until the cloud has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, Protocol

from pydantic import SecretStr

from gateway.backoff import Backoff
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import AdapterError, CommandRejected, HubRejected, HubUnauthorised, StoreError
from gateway.hub import Credentials, Hub
from gateway.hub_records import License, LicenseAction
from gateway.models import Licence, LicenceChange
from gateway.state.licences import LicenceKeeper, LicenceRecord, LicenceState
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

RETRY_DEVICE_EVERY = timedelta(minutes=1)
"""How often a licence change is tried again on a device that does not answer."""

RETRY_DEVICE_FOR = timedelta(minutes=15)
"""After this time a change whose device did not answer is reported as an error."""

ASK_AGAIN_SECONDS = (5.0, 300.0)
"""A device whose flag is set although there is no new change is asked again after the first time, doubling to the last."""

ANSWER_AGAIN_AFTER_SECONDS = 60.0
"""A change that the cloud offers although it was answered is answered again after this time, and not in a loop."""

PROBLEM_LENGTH = 1000
"""The longest error text for the operator, in characters."""

_CHANGES = {
    LicenseAction.ADD: LicenceChange.INSTALL,
    LicenseAction.UPDATE: LicenceChange.RENEW,
    LicenseAction.REMOVE: LicenceChange.REMOVE,
}

ReportedState = Literal["inuse", "removed", "error"]

_REPORTED: dict[LicenceState, ReportedState] = {
    LicenceState.IN_USE: "inuse",
    LicenceState.REMOVED: "removed",
    LicenceState.ERROR: "error",
}
"""The states that the cloud is told; it knows by itself when a licence has expired (section 18)."""


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


class LicenceLoop:
    """Runs beside the telemetry until it is cancelled.

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        keeper: stores the licences.
        calls: the guarded calls of the session.
        licences: the way to the devices.
    """

    def __init__(
        self, hub: Hub, devices: CloudDevices, keeper: LicenceKeeper, *, calls: GuardedCalls, licences: Licences
    ) -> None:
        self._hub = hub
        self._devices = devices
        self._keeper = keeper
        self._calls = calls
        self._apply = licences.apply
        self._now = licences.now
        self._to_ask: dict[str, bool] = {}  # device -> whether a flag asked for it; the one that waits longest first
        self._waits: dict[str, Backoff] = {}
        self._ask_at: dict[str, float] = {}  # device -> loop time before which its flag says nothing new
        self._running: set[str] = set()  # the devices to which a change is being applied
        self._retry_at: dict[tuple[str, str], float] = {}
        self._asked_again_at: dict[tuple[str, str], float] = {}
        self._has_work = asyncio.Event()

    def fetch_soon(self, device_id: str) -> None:
        """Fetch the licence changes of a device: a telemetry response says that there are some."""
        if loop_time() >= self._ask_at.get(device_id, 0.0):
            self._to_ask[device_id] = True
            self._has_work.set()

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._to_ask.clear()
        self._ask_at.clear()
        self._waits.clear()

    async def run(self, parent: Credentials) -> None:
        """Fetch, apply and answer until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        self._running.clear()
        self._retry_at.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._has_work.clear()
                await self._end_expired()
                self._start_pending(group)
                await self._answer_all(parent)
                device_id = next(iter(self._to_ask), None)
                if device_id is None:
                    await self._wait()
                else:
                    is_flagged = self._to_ask.pop(device_id)
                    if not await self._call(parent, partial(self._fetch, parent, device_id, is_flagged=is_flagged)):
                        self._to_ask[device_id] = is_flagged

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(RETRY_DEVICE_EVERY.total_seconds()):
                await self._has_work.wait()
        except TimeoutError:
            pass

    async def _call(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        async def do() -> bool:
            await work()
            return True

        return await self._calls.run(parent, CallKind.LICENCES, do, otherwise=False)

    # fetching ---------------------------------------------------------------------------------------------------------

    async def _fetch(self, parent: Credentials, device_id: str, *, is_flagged: bool) -> None:
        """Fetch the next change of one device; the one behind it is fetched when the cloud has the answer."""
        device = self._devices.credentials_of(parent, device_id)
        if device is None or device_id in self._running:
            return
        try:
            offered = await self._next_change(device)
        except HubUnauthorised:
            self._devices.key_refused(parent, device_id)
        except HubRejected as error:
            log.info(
                "%s: its licences cannot be fetched: %s", self._devices.name_of(self._devices.child_of(parent, device_id)), error
            )
        else:
            is_new = offered is not None and await self._take(self._offered(parent, device_id, offered))
            if is_new:
                self._waits.pop(device_id, None)
            elif is_flagged:
                wait = self._waits.setdefault(device_id, Backoff(*ASK_AGAIN_SECONDS, jitter=0))
                self._ask_at[device_id] = loop_time() + wait.next_wait_seconds()

    async def _next_change(self, device: Credentials) -> License | None:
        """Return the next change, from the older call where the hub does not have the newer one (section 9.2)."""
        try:
            return await self._hub.get_license(device)
        except HubUnauthorised:
            raise
        except HubRejected as error:
            if error.status != 404:
                raise
        pending = await self._hub.get_licenses(device)
        return next(iter(pending), None)

    def _offered(self, parent: Credentials, device_id: str, offered: License) -> LicenceRecord:
        now = self._now()
        record = LicenceRecord(
            device_id=device_id,
            licence_id=offered.id,
            child=self._devices.child_of(parent, device_id),
            change=LicenceChange.INSTALL if offered.action is None else _CHANGES[offered.action],
            payload=None if offered.payload is None else SecretStr(offered.payload),
            signature=offered.signature,
            expires_at=None,
            state=LicenceState.PENDING,
            offered_at=now,
            changed_at=now,
        )
        if offered.action is None:
            return _failed(record, "the cloud does not say whether the licence is to be added, renewed or removed")
        try:
            return replace(record, expires_at=_moment(offered.expires_at))
        except ValueError:
            return _failed(record, f"its end is no time: {printable_line(str(offered.expires_at), 60)}")

    async def _take(self, offered: LicenceRecord) -> bool:
        """Store a change that the cloud offers and return `True`; one that is known already is at most answered again."""
        known = self._keeper.get(offered.key)
        if known is not None and known.is_same_offer(offered):
            if known.state in _REPORTED:
                await self._save(replace(known, is_delivered=False))
            return False
        was_in_use = known is not None and (known.state is LicenceState.IN_USE or known.was_in_use)
        self._retry_at.pop(offered.key, None)
        await self._save(replace(offered, was_in_use=was_in_use))
        return True

    # applying ---------------------------------------------------------------------------------------------------------

    async def _end_expired(self) -> None:
        """Let the licences expire whose time is over, by the gateway's own clock (section 18)."""
        now = self._now()
        for record in self._keeper.all:
            is_in_use = record.state is LicenceState.IN_USE or (record.was_in_use and record.change is not LicenceChange.EXPIRE)
            if is_in_use and record.expires_at is not None and record.expires_at <= now:
                await self._save(
                    replace(
                        record,
                        change=LicenceChange.EXPIRE,
                        state=LicenceState.PENDING,
                        problem=None,
                        offered_at=now,
                        changed_at=now,
                    )
                )

    def _start_pending(self, group: asyncio.TaskGroup) -> None:
        """Have the pending changes applied, one of each device at a time; no device delays another one."""
        for record in self._keeper.all:
            is_due = record.device_id not in self._running and loop_time() >= self._retry_at.get(record.key, 0.0)
            if record.state is LicenceState.PENDING and is_due:
                self._running.add(record.device_id)
                group.create_task(self._carry_out(record))

    async def _carry_out(self, record: LicenceRecord) -> None:
        try:
            ended = await self._outcome_of(record)
            known = self._keeper.get(record.key)
            if ended is not None and known is not None and known.is_same_offer(record):
                await self._end(ended)
        finally:
            self._running.discard(record.device_id)
            self._has_work.set()

    async def _outcome_of(self, record: LicenceRecord) -> LicenceRecord | None:
        """Apply a change and return what became of it; `None` when it is tried again."""
        now = self._now()
        is_for_use = record.change in (LicenceChange.INSTALL, LicenceChange.RENEW)
        if is_for_use and record.expires_at is not None and record.expires_at <= now:
            return _failed(record, f"it ended at {record.expires_at:%Y-%m-%d %H:%M} UTC, before it was installed")
        try:
            await self._apply(record.child, record.licence)
        except CommandRejected as error:
            return _failed(record, str(error))
        except (AdapterError, StoreError) as error:
            return await self._wait_for_device(record, error)
        states = {LicenceChange.REMOVE: LicenceState.REMOVED, LicenceChange.EXPIRE: LicenceState.EXPIRED}
        return replace(record, state=states.get(record.change, LicenceState.IN_USE), problem=None, was_in_use=False)

    async def _wait_for_device(self, record: LicenceRecord, error: Exception) -> LicenceRecord | None:
        """Try a change again later; after a while it has failed. An expired licence is disabled however long that takes."""
        self._retry_at[record.key] = loop_time() + RETRY_DEVICE_EVERY.total_seconds()
        if record.change is not LicenceChange.EXPIRE and abs(self._now() - record.offered_at) >= RETRY_DEVICE_FOR:
            return _failed(record, f"the device did not answer for {RETRY_DEVICE_FOR.total_seconds() / 60:.0f} minutes: {error}")
        if record.problem is None:
            log.warning("%s: the licence %s waits for its device: %s", *self._names(record), error)
            await self._save(replace(record, problem=printable_line(str(error), PROBLEM_LENGTH)))
        return None

    async def _end(self, record: LicenceRecord) -> None:
        """Store what became of a change; the cloud does not know it yet."""
        await self._save(replace(record, changed_at=self._now(), is_delivered=record.state not in _REPORTED))
        if record.problem is not None:
            log.warning("%s: the licence %s: to %s it failed: %s", *self._names(record), record.change, record.problem)
        else:
            log.info("%s: the licence %s is %s", *self._names(record), record.state)

    # answering --------------------------------------------------------------------------------------------------------

    async def _answer_all(self, parent: Credentials) -> None:
        """Tell the cloud what it does not know yet."""
        for record in self._keeper.all:
            state = _REPORTED.get(record.state)
            if (
                state is not None
                and not record.is_delivered
                and not await self._call(parent, partial(self._answer, parent, record, state))
            ):
                self._has_work.set()  # the call is repeated when its kind is allowed again
                return

    async def _answer(self, parent: Credentials, record: LicenceRecord, state: ReportedState) -> None:
        device = self._devices.credentials_of(parent, record.device_id)
        if device is not None:
            try:
                await self._report(device, record, state)
            except HubUnauthorised:
                self._devices.key_refused(parent, record.device_id)
                device = None
            except HubRejected as error:  # 404: the licence was deleted meanwhile (section 9.3)
                log.info("%s: the cloud does not take the state of the licence %s: %s", *self._names(record), error)
        await self._keeper.deliver(record)
        if device is not None and loop_time() >= self._asked_again_at.get(record.key, 0.0):
            self._asked_again_at[record.key] = loop_time() + ANSWER_AGAIN_AFTER_SECONDS
            self._to_ask.setdefault(record.device_id, False)  # the next change, section 9.1

    async def _report(self, device: Credentials, record: LicenceRecord, state: ReportedState) -> None:
        try:
            await self._hub.update_license(device, record.licence_id, state, record.problem)
        except HubRejected as error:
            # `State can't switch to error from inuse`: the device still uses the former licence, and the text says what failed
            if error.status != 422 or state != "error" or not record.was_in_use:
                raise
            await self._hub.update_license(device, record.licence_id, "inuse", record.problem)

    async def _save(self, record: LicenceRecord) -> None:
        await retry_until_stored(lambda: self._keeper.save(record), what="the state of a licence")

    def _names(self, record: LicenceRecord) -> tuple[str, str]:
        return self._devices.name_of(record.child), printable_line(str(record.licence_id), 60)


def _failed(record: LicenceRecord, problem: str) -> LicenceRecord:
    return replace(record, state=LicenceState.ERROR, problem=printable_line(problem, PROBLEM_LENGTH))


def _moment(text: str | None) -> datetime | None:
    """Return a time of the hub; one without a zone is UTC.

    Raises:
        ValueError: it is no time.
    """
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error
