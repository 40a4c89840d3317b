"""The conversation with the hub: telemetry up, and what the flags in its answers ask for."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

from gateway.cloud.children import ChildRegistrar
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.flags import Flags
from gateway.cloud.pace import Pace
from gateway.errors import EnrolmentRevoked, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import (
    CHILDREN_PER_CALL,
    MESSAGE_BYTES,
    CommandWaits,
    Credentials,
    Hub,
    HubEvent,
    Refusal,
    SpaceChanged,
    TelemetryAnswer,
    TelemetryMessage,
)
from gateway.models import Status, Value
from gateway.state.outbox import Kept, Outbox
from gateway.state.registry import ChildState, Registry
from gateway.tasks import ending_of

log = logging.getLogger(__name__)

NO_COMMANDS = "this version of the gateway does not carry out commands yet"

NOT_FOUND_FOR = timedelta(minutes=3)
"""A hub that says "not found" of the gateway's own telemetry for so long means that it is deleted (section 17.6)."""

ENTRY_FRAME_BYTES = 160
"""What a child's entry adds to a bulk body besides its values: id, status, timestamp, override."""

COMMANDS_AT_ONCE = 50
"""How many commands of one device are answered before others have their turn."""

_ABOUT_DATA = re.compile(r"telemetr|timestamp|status|override|must be|missing|blank|too l|valu|param", re.IGNORECASE)
_ABOUT_DEVICE = re.compile(r"not found|authori|access.token|deleted|unknown device", re.IGNORECASE)


class Session:
    """Speaks for the gateway and all its children, for as long as it runs."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        enrolment: Enrolment,
        registrar: ChildRegistrar,
        *,
        vitals: Callable[[], Mapping[str, Value]],
        telemetry_every: timedelta,
        on_event: Callable[[HubEvent], None] = lambda event: None,
        pace: Pace | None = None,
        confirm_after: timedelta = timedelta(seconds=5),
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._enrolment = enrolment
        self._registrar = registrar
        self._vitals = vitals
        self._every = telemetry_every.total_seconds()
        self._on_event = on_event
        self._pace = pace if pace is not None else Pace()
        self._confirm_after = confirm_after
        self._flags = Flags()
        self._introduced: set[str] = set()
        self._held: set[str] = set()
        self._commands: set[str] = set()
        self._suspects: set[str] = set()
        self._errand = asyncio.Event()
        self._not_found_since: float | None = None
        self._refusals_said: set[tuple[str, str]] = set()

    @property
    def pace(self) -> Pace:
        """How the hub answers: since when it does or does not, and when it is asked next."""
        return self._pace

    @property
    def is_claimed(self) -> bool | None:
        """A customer has claimed the gateway; `None` before the hub has said."""
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None:
            return None
        version = self._flags.space_version(gateway.credentials.device_id)
        return None if version is None else version > 0

    async def run(self) -> None:
        """Enrol and speak until cancelled; enrol anew whenever the gateway was deleted in the cloud."""
        await self._registrar.forgive()
        while True:
            parent = await self._enrolment.credentials()
            error = await ending_of(self._speak(parent))
            if not _is_revoked(error):
                raise error if error is not None else RuntimeError("the session ended")
            for known_of_old in (self._introduced, self._held, self._suspects, self._commands):
                known_of_old.clear()
            self._not_found_since = None
            await self._enrolment.revoke()

    async def flush(self) -> None:
        """Send what can be sent right now, once, for a gateway that is about to stop."""
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None or not self._pace.is_open:
            return
        try:
            await self._drain(gateway.credentials)
        except (HubUnreachable, HubRejected, StoreError) as error:
            log.info("not everything could be sent before the end, the rest is kept: %s", error)

    async def _speak(self, parent: Credentials) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._telemeter(parent))
            group.create_task(self._register_children(parent))
            group.create_task(self._run_errands(parent))

    # telemetry up -----------------------------------------------------------------------------------------------------

    async def _telemeter(self, parent: Credentials) -> None:
        own_at = monotonic()
        while True:
            self._outbox.arrived.clear()
            if monotonic() >= own_at:
                own_at = max(own_at + self._every, monotonic())
                self._held.clear()
                await self._careful(parent, lambda: self._send_own(parent))
            if await self._careful(parent, lambda: self._drain(parent)):
                await self._wait_until(own_at)

    async def _wait_until(self, own_at: float) -> None:
        try:
            async with asyncio.timeout(max(own_at - monotonic(), 0)):
                await self._outbox.arrived.wait()
        except TimeoutError:
            pass

    async def _send_own(self, parent: Credentials) -> None:
        message = TelemetryMessage(
            status=Status.ONLINE,
            values=self._vitals(),
            at=datetime.now(UTC),
            override=parent.device_id not in self._introduced,
        )
        try:
            answer = await self._hub.send_telemetry(parent, message)
        except HubRejected as error:
            self._doubt_or_raise(error)
            return
        self._not_found_since = None
        self._accepted(parent.device_id, answer)
        await self._enrolment.tell_changes(parent)

    def _doubt_or_raise(self, error: HubRejected) -> None:
        """Take "not found" for a deletion when it lasts; what else the hub has against our own telemetry is only logged."""
        if isinstance(error, HubUnauthorised):
            raise error
        self._say_refusal("the gateway itself", error.error)
        if error.status != 404 and "not found" not in error.error.lower():
            return
        now = monotonic()
        if self._not_found_since is None:
            self._not_found_since = now
        elif now - self._not_found_since > NOT_FOUND_FOR.total_seconds():
            raise EnrolmentRevoked(str(error)) from error

    async def _drain(self, parent: Credentials) -> None:
        """Send samples until none is left that can be sent: one for each child and call, the oldest first."""
        while kept := await self._outbox.oldest(CHILDREN_PER_CALL, parent_id=parent.device_id, without=self._held):
            await self._send(parent, _that_fit(kept))

    async def _send(self, parent: Credentials, batch: Sequence[Kept]) -> None:
        known = [(one, device_id) for one in batch if (device_id := self._device_id(one)) is not None]
        self._held.update(one.sample.child for one in batch if self._device_id(one) is None)
        if not known:
            return
        try:
            answers = await self._hub.send_child_telemetries(parent, {id_: self._message(id_, one) for one, id_ in known})
        except HubUnauthorised:
            raise
        except HubRejected as error:
            await self._send_apart(parent, batch, error)
            return
        await self._settle([(one, device_id, answers.get(device_id)) for one, device_id in known])

    async def _send_apart(self, parent: Credentials, batch: Sequence[Kept], error: HubRejected) -> None:
        """The hub refused a whole call: halve it until the one that it has something against stands alone."""
        if error.status not in (400, 413, 422):
            raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error
        if len(batch) == 1:
            await self._drop(batch[0], error.error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            await self._send(parent, half)

    async def _settle(self, answered: Sequence[tuple[Kept, str, TelemetryAnswer | Refusal | None]]) -> None:
        await self._outbox.confirm(one for one, _, answer in answered if isinstance(answer, TelemetryAnswer))
        for one, device_id, answer in answered:
            if isinstance(answer, TelemetryAnswer):
                self._accepted(device_id, answer)
            elif answer is None:
                self._held.add(one.sample.child)  # neither accepted nor refused: once more in the next round
            elif _is_about_device(answer.error):
                self._held.add(one.sample.child)
                self._suspects.add(one.sample.child)
                self._errand.set()
            else:
                await self._drop(one, answer.error)

    async def _drop(self, kept: Kept, why: str) -> None:
        self._say_refusal(kept.sample.child, why)
        await self._outbox.drop([kept], f"the hub refused it: {why}")

    def _say_refusal(self, who: str, why: str) -> None:
        if (who, why) not in self._refusals_said:
            self._refusals_said.add((who, why))
            log.warning("%s: the hub refuses its telemetry: %s", who, why)

    def _device_id(self, kept: Kept) -> str | None:
        record = self._registry.children.get(kept.sample.child)
        return record.device_id if record is not None else None

    def _message(self, device_id: str, kept: Kept) -> TelemetryMessage:
        sample = kept.sample
        override = device_id not in self._introduced
        return TelemetryMessage(status=sample.status, values=sample.values, at=sample.at, override=override)

    def _accepted(self, device_id: str, answer: TelemetryAnswer) -> None:
        self._introduced.add(device_id)
        for event in self._flags.heard(device_id, answer):
            self._on_event(event)
            if isinstance(event, CommandWaits):
                self._commands.add(device_id)
                self._errand.set()
            elif isinstance(event, SpaceChanged):
                log.debug("%s: space data version %d", device_id, event.version)

    # children ---------------------------------------------------------------------------------------------------------

    async def _register_children(self, parent: Credentials) -> None:
        while True:
            revision = self._registry.revision
            wait: timedelta | None = timedelta(0)  # after a failure: at once, that is, as soon as the pace allows

            async def catch_up() -> None:
                nonlocal wait
                wait = await self._registrar.catch_up(parent)

            await self._careful(parent, catch_up)
            if revision != self._registry.revision:
                self._outbox.arrived.set()  # samples may have waited for a registration
            elif wait is None or wait > timedelta(0):
                await self._wait_for_change(revision, wait)

    async def _wait_for_change(self, revision: int, most: timedelta | None) -> None:
        try:
            async with asyncio.timeout(most.total_seconds() if most is not None else None), self._registry.changed:
                await self._registry.changed.wait_for(lambda: self._registry.revision != revision)
        except TimeoutError:
            pass

    # errands ----------------------------------------------------------------------------------------------------------

    async def _run_errands(self, parent: Credentials) -> None:
        """Do what the answers asked for beside the telemetry, so that it waits for nobody."""
        while True:
            await self._errand.wait()
            self._errand.clear()
            while self._suspects:
                await self._careful(parent, partial(self._look_into, parent, self._suspects.pop()))
            while self._commands:
                await self._careful(parent, partial(self._refuse_commands, parent, self._commands.pop()))

    async def _look_into(self, parent: Credentials, key: str) -> None:
        record = self._registry.children[key]
        if record.state is not ChildState.REGISTERED or record.parent_id != parent.device_id:
            return
        if not await self._registrar.suspect(parent, key):
            self._say_refusal(key, "it does not know the child in a bulk call, but knows its key")

    async def _refuse_commands(self, parent: Credentials, device_id: str) -> None:
        device = self._credentials_of(parent, device_id)
        if device is None:
            self._say_refusal(device_id, "a command waits, but its access key was lost, so it cannot be answered")
            return
        try:
            for _ in range(COMMANDS_AT_ONCE):
                command = await self._hub.get_command(device)
                if command is None:
                    return
                log.warning("%s: the command %r is answered as failed: %s", device_id, command.name, NO_COMMANDS)
                await self._hub.update_command(device, command.id, "failed", NO_COMMANDS)
        except HubUnauthorised:
            if device_id == parent.device_id:
                raise
            record = self._registry.by_device_id(device_id)
            if record is not None:
                self._suspects.add(record.child.key)
                self._errand.set()
        except HubRejected as error:
            log.info("%s: the command could not be answered: %s", device_id, error)

    def _credentials_of(self, parent: Credentials, device_id: str) -> Credentials | None:
        if device_id == parent.device_id:
            return parent
        record = self._registry.by_device_id(device_id)
        return record.credentials(parent) if record is not None else None

    # when the hub does not answer as hoped ----------------------------------------------------------------------------

    async def _careful(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work when the hub may be asked, and return whether it was done.

        It is borne that the hub is away, and made sure of before it is believed that the gateway was deleted.
        """
        await self._pace.wait()
        try:
            await work()
        except HubUnreachable as error:
            self._pace.failed(error)
        except HubUnauthorised as error:
            await self._confirm_revoked(parent, error)
        except StoreError as error:
            self._pace.failed(HubUnreachable(f"the store fails, so nothing is sent: {error}", maybe_done=False))
        else:
            self._pace.answered()
            return True
        return False

    async def _confirm_revoked(self, parent: Credentials, first: HubUnauthorised) -> None:
        """Ask once more after a pause; more patiently in the first minute of a registration (sections 13.2 and 17.20)."""
        registered_at = self._enrolment.registered_at
        is_new = registered_at is not None and monotonic() - registered_at < 60
        await asyncio.sleep(self._confirm_after.total_seconds() * (4 if is_new else 1))
        try:
            await self._hub.send_telemetry(parent, TelemetryMessage(status=Status.ONLINE, values=self._vitals()))
        except HubUnauthorised as again:
            raise EnrolmentRevoked(str(again)) from first
        except HubUnreachable as error:
            self._pace.failed(error)
        except HubRejected:
            log.info("the hub refused the gateway's key once, and accepts it again: %s", first)


def _that_fit(kept: Sequence[Kept]) -> list[Kept]:
    """Return the first samples that fit into one body, at least one."""
    room = MESSAGE_BYTES - 1024
    fitting: list[Kept] = []
    for one in kept:
        room -= one.size_bytes + ENTRY_FRAME_BYTES
        if fitting and room < 0:
            break
        fitting.append(one)
    return fitting


def _is_about_device(error: str) -> bool:
    """Whether the hub's words for one child are about the child itself rather than about what was said of it."""
    return bool(_ABOUT_DEVICE.search(error)) or not _ABOUT_DATA.search(error)


def _is_revoked(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_revoked(inner) for inner in error.exceptions)
    return isinstance(error, EnrolmentRevoked)
