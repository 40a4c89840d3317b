"""Open and close the incidents of the gateway and its children in the cloud, one for each cause, also over a restart.

What an earlier run left open goes on where its cause still holds, and is closed where it does not. The response to an Open can be
lost, and a device that is not claimed gets the id of nothing. So what may be open is stored before the call, and Get Incidents
shows what is open where that is not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.incidents.owner import Owner, owner_of
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import Credentials, Hub
from gateway.state.incidents import CloudIncident, Incidents, OpenIncident
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

STEADY_SECONDS = 60.0
"""An incident is closed when its cause has been over for so long, and opened again no sooner after that: a loose contact is one
incident, and not one in each minute."""

SETTLE_SECONDS = 180.0
"""The time in which an incident of an earlier run has to be seen again, unless it is known to be over: a bus counts as
lost after half a minute, and one that is missing after a minute."""

TRY_AGAIN_SECONDS = 60.0
"""Between two tries for a child that is not registered, or whose key is being checked."""

PACE_SECONDS = 0.2
"""Between two steps: every request counts, and a thousand children may fall silent together."""

TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 1000

_CLOSE_RANK = 10
_LEFT_OVER_RANK = 20
"""Behind all priorities: what is wrong now is told first."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A call or two that are to be made for one cause."""

    at: float
    """Loop time; not before."""
    rank: int
    """The lowest goes first."""
    cause: str
    device_id: str
    work: Callable[[], Awaitable[None]]


class IncidentLoop:
    """Runs beside the telemetry until it is cancelled.

    Args:
        hub: the cloud.
        registry: knows the children.
        devices: is told of a child whose key was refused.
        incidents: what is to be open, and what may be open in the cloud.
        calls: the guarded calls of the session.
        space_version: returns a device's space version: 0 unclaimed, `None` not known yet.
    """

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        devices: CloudDevices,
        incidents: Incidents,
        *,
        calls: GuardedCalls,
        space_version: Callable[[str], int | None],
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._devices = devices
        self._incidents = incidents
        self._calls = calls
        self._space_version = space_version
        self._in_cloud: dict[str, CloudIncident] = {}  # cause -> what is open there, or may be
        self._from_before: set[str] = set()  # causes of earlier runs that this one has not seen yet
        self._left_over: set[str] | None = None  # devices that may have some without a record; `None` before the start
        self._over_since: dict[str, float] = {}  # cause -> loop time
        self._not_before: dict[str, float] = {}  # cause -> loop time of its next call
        self._perhaps_unclaimed: set[str] = set()  # devices of which nothing may have been stored
        self._refused: set[str] = set()  # causes of which the cloud takes no incident
        self._is_store_failing = False

    def claimed(self, device_id: str | None) -> None:
        """Look whether the incidents of a device that was claimed just now are open: before, the cloud stored none.

        Args:
            device_id: the device; `None` for the gateway, and with it all its children: a silent one does not hear of its claim.
        """
        devices = {one for one in self._perhaps_unclaimed if device_id in (None, one)}
        self._perhaps_unclaimed -= devices
        for cause, incident in self._in_cloud.items():
            if incident.device_id in devices:
                self._in_cloud[cause] = replace(incident, incident_id=None)
        self._incidents.changed.set()

    async def run(self, parent: Credentials) -> None:
        """Open and close until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        if self._left_over is None:
            for incident in await retry_until_stored(self._incidents.in_cloud, what="the list of open incidents"):
                self._in_cloud[incident.cause] = replace(incident, incident_id=None)  # somebody may have closed it meanwhile
                self._from_before.add(incident.cause)
            self._left_over = {parent.device_id}  # what no record is left of
        while True:
            await self._calls.rate_control.wait(CallKind.INCIDENTS)  # so that the steps are those of the moment of the call
            self._incidents.changed.clear()
            steps = list(self._steps(parent))
            due = [step for step in steps if step.at <= loop_time()]
            if due:
                await self._call(parent, min(due, key=lambda step: (step.rank, step.at)))
                await asyncio.sleep(PACE_SECONDS)
            else:
                look_again_at = [loop_time() + TRY_AGAIN_SECONDS] if self._incidents.wanted else []  # a child may have a new id
                await self._wait(min([*look_again_at, *(step.at for step in steps)], default=None))

    async def _wait(self, until: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if until is None else max(until - loop_time(), 0)):
                await self._incidents.changed.wait()

    async def _call(self, parent: Credentials, step: _Step) -> None:
        async def do() -> bool:
            try:
                await step.work()
            except HubUnauthorised:
                self._not_before[step.cause] = loop_time() + TRY_AGAIN_SECONDS
                self._devices.key_refused(parent, step.device_id)
            return True

        await self._calls.run(parent, CallKind.INCIDENTS, do, otherwise=False)

    # what is to be done -----------------------------------------------------------------------------------------------

    def _steps(self, parent: Credentials) -> Iterator[_Step]:
        """Yield one step for each cause that is not in the cloud as it should be."""
        now, wanted = loop_time(), self._incidents.wanted
        devices_with_some = {known.device_id for known in self._in_cloud.values()}
        left_over = (self._left_over or set()) - devices_with_some  # Close Incidents would close those that go on, too
        self._from_before -= wanted.keys()
        self._refused &= wanted.keys()
        self._not_before = {cause: at for cause, at in self._not_before.items() if at > now}
        self._over_since = {cause: at for cause, at in self._over_since.items() if cause not in wanted}
        for cause, known in list(self._in_cloud.items()):
            if cause not in wanted:
                since = self._over_since.setdefault(cause, now)
                at = since + self._seconds_until_over(cause)
                yield from self._close_step(parent, known, max(at, self._not_before.get(cause, now)))
        for cause, incident in wanted.items():
            yield from self._open_step(parent, incident, self._not_before.get(cause, now), left_over)
        for device_id in left_over:
            at = self._not_before.get(device_id, now)
            yield _Step(at, _LEFT_OVER_RANK, device_id, device_id, partial(self._close_left_over, parent, device_id))

    def _seconds_until_over(self, cause: str) -> float:
        """Return for how long a cause has to be unseen until its incident is closed."""
        if cause not in self._from_before:
            return STEADY_SECONDS
        return 0.0 if cause in self._incidents.over or not self._incidents.are_wanted else SETTLE_SECONDS

    def _open_step(self, parent: Credentials, incident: OpenIncident, at: float, left_over: Collection[str]) -> Iterator[_Step]:
        cause, known = incident.cause, self._in_cloud.get(incident.cause)
        owner = owner_of(self._registry, parent, incident.child)
        if owner is None:
            yield _Step(loop_time() + TRY_AGAIN_SECONDS, 0, cause, "", _do_nothing)  # its child is not registered yet
            return
        device_id = owner.device.device_id
        if known is not None and known.device_id != device_id:  # the child was registered again, or the gateway speaks for it now
            yield from self._close_step(parent, known, at)
        elif device_id in left_over:
            yield _Step(at, incident.priority, device_id, device_id, partial(self._close_left_over, parent, device_id))
        elif cause not in self._refused and (known is None or known.incident_id is None):
            yield _Step(at, incident.priority, cause, device_id, partial(self._open, owner, incident, known))

    def _close_step(self, parent: Credentials, known: CloudIncident, at: float) -> Iterator[_Step]:
        yield _Step(at, _CLOSE_RANK, known.cause, known.device_id, partial(self._close, parent, known))

    # opening ----------------------------------------------------------------------------------------------------------

    async def _open(self, owner: Owner, incident: OpenIncident, known: CloudIncident | None) -> None:
        """Open an incident; where it may be open already, look first."""
        cause, device = incident.cause, owner.device
        attempt = CloudIncident(
            cause=cause, child=incident.child, device_id=device.device_id, issue=incident.issue, incident_id=None
        )  # fmt: skip
        incident_id = None if known is None else await self._find(device, incident.issue)
        if incident_id is None:
            await self._save(attempt)
            try:
                incident_id = await self._send(owner, incident)
            except HubUnreachable as error:
                if not error.maybe_done:
                    await self._remove(cause)
                raise
        if incident_id is None:
            await self._remove(cause)
            self._refused.add(cause)
            return
        log.info("an incident is open in the cloud: %s", owner.named(incident.title))
        if not self._space_version(device.device_id):
            self._perhaps_unclaimed.add(device.device_id)
        await self._save(replace(attempt, incident_id=incident_id))

    async def _send(self, owner: Owner, incident: OpenIncident) -> str | None:
        """Open an incident and return its id; `None` when the cloud does not take it."""
        title = printable_line(owner.named(incident.title), TITLE_LENGTH)
        try:
            return await self._hub.open_incident(
                owner.device,
                title,
                description=printable_line(incident.what_to_do, DESCRIPTION_LENGTH),
                priority=int(incident.priority),
                issue=incident.issue,
            )
        except HubUnauthorised:
            await self._remove(incident.cause)
            raise
        except HubRejected as error:
            found = await self._find(owner.device, incident.issue)  # perhaps one is open with this issue
            if found is None:
                log.warning("the cloud does not take the incident %s: %s", title, error)
            return found

    async def _find(self, device: Credentials, issue: str) -> str | None:
        """Return the id of the incident that is open with this issue, if any."""
        incidents = await self._hub.get_incidents(device)
        return next((one.id for one in incidents if one.issue == issue and one.status != "closed"), None)

    # closing ----------------------------------------------------------------------------------------------------------

    async def _close(self, parent: Credentials, known: CloudIncident) -> None:
        device = self._credentials(parent, known.device_id)
        if device is not None:
            incident_id = known.incident_id or await self._find(device, known.issue)
            if incident_id is not None and not await self._is_closed(device, incident_id):
                found = await self._find(device, known.issue)  # it was opened under another id, or somebody has closed it
                if found is not None:
                    await self._is_closed(device, found)
            log.info("an incident is closed in the cloud: %s", known.cause)
        await self._remove(known.cause)
        self._over_since.pop(known.cause, None)
        if known.cause not in self._incidents.wanted:
            self._not_before[known.cause] = loop_time() + STEADY_SECONDS

    async def _is_closed(self, device: Credentials, incident_id: str) -> bool:
        """Close an incident; `False` when the cloud does not know it."""
        try:
            await self._hub.close_incident(device, incident_id)
        except HubUnauthorised:
            raise
        except HubRejected as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            log.info("an incident cannot be closed: %s", error)
        return True

    async def _close_left_over(self, parent: Credentials, device_id: str) -> None:
        """Close what is open for a device without a record, in one call; a device that is gone has taken it along."""
        device = self._credentials(parent, device_id)
        if device is not None:
            try:
                await self._hub.close_incidents(device)
            except HubUnauthorised:
                raise
            except HubRejected as error:
                log.info("the incidents of the last run cannot be closed: %s", error)
        if self._left_over is not None:
            self._left_over.discard(device_id)

    def _credentials(self, parent: Credentials, device_id: str) -> Credentials | None:
        """Return the credentials of a device; `None` for one that is not in the cloud any more, or has no key."""
        if device_id == parent.device_id:
            return parent
        record = self._registry.by_device_id(device_id)
        return None if record is None else record.credentials(parent)

    # the record -------------------------------------------------------------------------------------------------------

    async def _save(self, incident: CloudIncident) -> None:
        self._in_cloud[incident.cause] = incident
        await self._store(self._incidents.save(incident))

    async def _remove(self, cause: str) -> None:
        self._in_cloud.pop(cause, None)
        self._from_before.discard(cause)
        await self._store(self._incidents.remove(cause))

    async def _store(self, write: Awaitable[None]) -> None:
        """Write a record; one that cannot be written costs an incident that the next start does not close, and not this one."""
        try:
            await write
        except StoreError as error:
            if not self._is_store_failing:
                log.error("open incidents cannot be recorded: %s", error)  # noqa: TRY400 - a full disk is no bug
            self._is_store_failing = True
        else:
            self._is_store_failing = False


async def _do_nothing() -> None:
    """Make no call."""
