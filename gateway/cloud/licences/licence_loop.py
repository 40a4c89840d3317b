"""Fetch licence changes from the cloud, and answer each when its device has made it.

The four flows are assignment, renewal, removal and expiry (device API reference, sections 9 and 18). A change is written to the
store before its device gets it (`device_changes.py`). Its application may be repeated after a restart: to install or to remove
the same licence twice has the effect of once. The answer is repeated until the cloud has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from pydantic import SecretStr

from gateway.backoff import Backoff
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.licences.device_changes import DeviceChanges, Licences, failed
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.hub_records import License, LicenseAction
from gateway.models import LicenceChange
from gateway.state.licences import REPORTED, LicenceKeeper, LicenceRecord, LicenceState, ReportedState
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = (5.0, 300.0)
"""A device whose flag is set although there is no new change is asked again after the first time, doubling to the last."""

ANSWER_AGAIN_AFTER_SECONDS = 60.0
"""A change that the cloud offers although it was answered is answered again after this time, and not in a loop."""

SECONDS_BETWEEN_DEVICES = 1.0
"""Between the calls for two devices: a thousand children may get a licence at once, and every request counts (section 18)."""

_CHANGES = {
    LicenseAction.ADD: LicenceChange.INSTALL,
    LicenseAction.UPDATE: LicenceChange.RENEW,
    LicenseAction.REMOVE: LicenceChange.REMOVE,
}


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
        self._to_ask: dict[str, bool] = {}  # device -> whether a flag asked for it; the one that waits longest first
        self._waits: dict[str, Backoff] = {}
        self._ask_at: dict[str, float] = {}  # device -> loop time before which its flag says nothing new
        self._refusals: dict[str, str] = {}  # device -> the refusal that was logged last
        self._failed_answers: Counter[tuple[str, str]] = Counter()
        self._answer_at: dict[tuple[str, str], float] = {}  # licence -> loop time before which it is not answered again
        self._asked_again_at: dict[tuple[str, str], float] = {}
        self._has_work = asyncio.Event()
        self._changes = DeviceChanges(devices, keeper, licences, on_outcome=self._has_work.set)

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
        self._answer_at.clear()

    async def serve_devices(self) -> None:
        """End licences until cancelled, in place of `run` while the gateway is not registered."""
        await self._changes.run(None)

    async def run(self, parent: Credentials) -> None:
        """Fetch, have applied and answer until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._changes.run(parent))  # beside the calls: a licence ends in time while the hub is away
            while True:
                self._has_work.clear()
                await self._answer_all(parent)
                device_id = self._next_to_ask()
                if device_id is None:
                    await wait_until(self._has_work, min(self._answer_at.values(), default=None))
                    continue
                is_flagged = self._to_ask.pop(device_id)
                if not await self._call(parent, partial(self._fetch, parent, device_id, is_flagged=is_flagged)):
                    self._to_ask.setdefault(device_id, is_flagged)
                if self._to_ask.keys() - {device_id}:
                    await asyncio.sleep(SECONDS_BETWEEN_DEVICES)

    def _next_to_ask(self) -> str | None:
        """Return the device that waits longest; those that had nothing new the last time come after the others."""
        return min(self._to_ask, key=lambda device_id: device_id in self._waits, default=None)

    async def _call(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        return await self._calls.succeeds(parent, CallKind.LICENCES, work)

    # fetching ---------------------------------------------------------------------------------------------------------

    async def _fetch(self, parent: Credentials, device_id: str, *, is_flagged: bool) -> None:
        """Fetch the next change of one device; the one behind it is fetched when the cloud has the answer."""
        device, child = self._credentials_of(parent, device_id), self._devices.child_of(parent, device_id)
        if device is None or self._changes.is_running(device_id):
            return
        is_new = False
        try:
            offered = await self._next_change(device)
        except HubUnauthorised:
            self._devices.key_refused(parent, device_id)
        except HubRejected as error:
            if self._refusals.get(device_id) != str(error):
                self._refusals[device_id] = str(error)
                log.info("%s: its licences cannot be fetched: %s", self._devices.name_of(child), error)
        else:
            self._refusals.pop(device_id, None)
            is_new = offered is not None and await self._take(self._offered(device_id, child, offered))
        if is_new:
            self._waits.pop(device_id, None)
        elif is_flagged:
            wait = self._waits.setdefault(device_id, Backoff(*ASK_AGAIN_SECONDS, jitter=0))
            self._ask_at[device_id] = loop_time() + wait.next_wait_seconds()

    def _credentials_of(self, parent: Credentials, device_id: str) -> Credentials | None:
        """Return the credentials of a device; `None` where its key was lost, and for one that is deleted in the cloud."""
        return self._devices.credentials_of(parent, device_id) if self._devices.is_known(parent, device_id) else None

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

    def _offered(self, device_id: str, child: str | None, offered: License) -> LicenceRecord:
        now = self._changes.now()
        record = LicenceRecord(
            device_id=device_id,
            licence_id=offered.id,
            child=child,
            change=LicenceChange.INSTALL if offered.action is None else _CHANGES[offered.action],
            payload=None if offered.payload is None else SecretStr(offered.payload),
            signature=offered.signature,
            expires_at=None,
            state=LicenceState.PENDING,
            offered_at=now,
            changed_at=now,
        )
        if offered.action is None:
            return failed(record, "the cloud does not say whether the licence is to be added, renewed or removed")
        try:
            return replace(record, expires_at=_moment(offered.expires_at))
        except ValueError:
            return failed(record, f"its end is no time: {printable_line(str(offered.expires_at), 60)}")

    async def _take(self, offered: LicenceRecord) -> bool:
        """Store a change that the cloud offers and return `True`; one that is known already is at most answered again."""
        known = self._keeper.get(offered.key)
        if known is not None and known.is_same_offer(offered):
            if known.state in REPORTED:
                await self._save(replace(known, is_delivered=False))
            return False
        await self._save(offered if known is None else offered.after(known))
        self._changes.wake()
        return True

    # answering --------------------------------------------------------------------------------------------------------

    async def _answer_all(self, parent: Credentials) -> None:
        """Tell the cloud what it does not know yet; an answer that fails keeps no other one waiting."""
        now = loop_time()
        self._answer_at = {key: at for key, at in self._answer_at.items() if at > now}
        due = [
            one for one in self._keeper.all
            if one.state in REPORTED and not one.is_delivered and one.key not in self._answer_at
        ]  # fmt: skip
        for record in sorted(due, key=lambda one: self._failed_answers[one.key]):
            if not await self._call(parent, partial(self._answer, parent, record)):
                self._failed_answers[record.key] += 1
                self._has_work.set()  # the call is repeated when its kind is allowed again
                return
            self._failed_answers.pop(record.key, None)

    async def _answer(self, parent: Credentials, record: LicenceRecord) -> None:
        device = self._credentials_of(parent, record.device_id)
        if device is not None:
            try:
                await self._report(device, record, REPORTED[record.state])
            except HubUnauthorised:
                self._devices.key_refused(parent, record.device_id)
                self._answer_at[record.key] = loop_time() + ANSWER_AGAIN_AFTER_SECONDS  # it may be accepted then (17.20)
                return
            except HubRejected as error:  # 404: the licence was deleted meanwhile (section 9.3)
                log.info("%s: the cloud does not take the state of the licence %s: %s", *self._changes.names(record), error)
        # without it, the answer would be repeated while the store fails
        await retry_until_stored(lambda: self._keeper.deliver(record), what="that the state of a licence is told")
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
