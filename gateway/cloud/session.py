"""The conversation with the hub: telemetry up, and what the flags in its answers ask for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import TypeVar

from gateway.cloud.child_registrar import ChildRegistrar
from gateway.cloud.delivery import Delivery
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.protocol.telemetry_flags import in_words
from gateway.cloud.rate_control import Pace, Strand
from gateway.cloud.revocation import NOT_FOUND_FOR, Standing, is_not_found
from gateway.errors import EnrolmentRevoked, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import CommandWaits, Credentials, Hub, HubEvent, SpaceChanged, TelemetryMessage
from gateway.models import Status, Value
from gateway.state.outbox import Outbox
from gateway.state.records import ChildState
from gateway.state.registry import Registry
from gateway.tasks import run_in_own_task

log = logging.getLogger(__name__)

T = TypeVar("T")

NO_COMMANDS = "this version of the gateway does not carry out commands yet"

COMMANDS_AT_ONCE = 50
"""How many commands of one device are answered before others have their turn."""


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
        self._delivery = Delivery(hub, registry, outbox, on_event=self._heard, on_doubt=self._doubted)
        self._commands: set[str] = set()
        self._suspects: dict[str, float] = {}  # child -> monotonic moment at which it is looked into
        self._errand = asyncio.Event()
        self._not_found_since: float | None = None

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
        version = self._delivery.space_version(gateway.credentials.device_id)
        return None if version is None else version > 0

    async def run(self) -> None:
        """Enrol and speak until cancelled; enrol anew whenever the gateway was deleted in the cloud."""
        while True:
            parent = await self._enrolment.credentials()
            error = await run_in_own_task(self._speak(parent))
            if not _is_revoked(error):
                raise error if error is not None else RuntimeError("the session ended")
            self._forget()
            await self._enrolment.revoke()

    def _forget(self) -> None:
        """Start with the next registration of the gateway as after a start."""
        self._delivery.forget()
        self._suspects.clear()
        self._commands.clear()
        self._not_found_since = None

    async def flush(self) -> None:
        """Send what can be sent right now, once, for a gateway that is about to stop."""
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None or self._pace.seconds_left(Strand.TELEMETRY) > 0:
            return
        try:
            while await self._delivery.send_oldest(gateway.credentials):
                pass
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
            if (now := monotonic()) >= own_at:
                own_at = max(own_at, now - self._every) + self._every
                self._delivery.begin_round()
                await self._careful(parent, Strand.TELEMETRY, lambda: self._send_own(parent), otherwise=None)
            if not await self._careful(parent, Strand.TELEMETRY, lambda: self._delivery.send_oldest(parent), otherwise=True):
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
            override=not self._delivery.is_introduced(parent.device_id),
        )
        try:
            answer = await self._hub.send_telemetry(parent, message)
        except HubRejected as error:
            self._doubt_or_raise(error)
            return
        self._not_found_since = None
        self._delivery.accepted(parent.device_id, answer)
        await self._enrolment.tell_changes(parent)

    def _doubt_or_raise(self, error: HubRejected) -> None:
        """Take "not found" for a deletion when it lasts; what else the hub has against our own telemetry is only logged."""
        if isinstance(error, HubUnauthorised):
            raise error
        self._delivery.say_refusal("the gateway itself", error.error)
        if not is_not_found(error):
            self._not_found_since = None
            return
        now = monotonic()
        if self._not_found_since is None:
            self._not_found_since = now
        elif now - self._not_found_since > NOT_FOUND_FOR.total_seconds():
            raise EnrolmentRevoked(str(error)) from error

    # children ---------------------------------------------------------------------------------------------------------

    async def _register_children(self, parent: Credentials) -> None:
        told_of = self._registry.revision
        while True:
            revision = self._registry.revision
            wait = await self._careful(
                parent, Strand.CHILDREN, lambda: self._registrar.step(parent), otherwise=timedelta(0)
            )  # fmt: skip
            if wait > timedelta(0):
                if told_of != revision:
                    told_of = revision
                    self._outbox.arrived.set()  # samples may have waited for the registrations: now they go in few calls
                await self._wait_for_change(revision, wait)

    async def _wait_for_change(self, revision: int, most: timedelta) -> None:
        try:
            async with asyncio.timeout(most.total_seconds()), self._registry.changed:
                await self._registry.changed.wait_for(lambda: self._registry.revision != revision)
        except TimeoutError:
            pass

    def _heard(self, event: HubEvent) -> None:
        self._on_event(event)
        if (sentence := in_words(event)) is not None:
            child = self._registry.by_device_id(event.device_id)
            log.log(logging.DEBUG if child else logging.INFO, "%s: %s", child.child.name if child else "the gateway", sentence)
        if isinstance(event, CommandWaits):
            self._commands.add(event.device_id)
            self._errand.set()
        elif isinstance(event, SpaceChanged) and self._registry.by_device_id(event.device_id) is None:
            self._registrar.forgive()  # some clouds take children only of a parent that is claimed (section 17.18)

    def _doubted(self, child: str) -> None:
        self._suspects.setdefault(child, 0.0)
        self._errand.set()

    # errands ----------------------------------------------------------------------------------------------------------

    async def _run_errands(self, parent: Credentials) -> None:
        """Do what the answers asked for beside the telemetry, so that it waits for nobody; what fails is done again."""
        while True:
            self._errand.clear()
            suspect = self._suspect_due()
            if suspect is not None and not await self._errand_done(parent, partial(self._look_into, parent, suspect)):
                self._suspects.setdefault(suspect, 0.0)
            device_id = self._commands.pop() if self._commands else None
            if device_id is not None and not await self._errand_done(parent, partial(self._refuse_commands, parent, device_id)):
                self._commands.add(device_id)
            if suspect is None and device_id is None:
                await self._wait_for_errand()

    async def _errand_done(self, parent: Credentials, errand: Callable[[], Awaitable[None]]) -> bool:
        async def do() -> bool:
            await errand()
            return True

        return await self._careful(parent, Strand.ERRANDS, do, otherwise=False)

    def _suspect_due(self) -> str | None:
        """Take the next child out that is to be looked into right now."""
        now = monotonic()
        due = next((child for child, at in self._suspects.items() if at <= now), None)
        if due is not None:
            del self._suspects[due]
        return due

    async def _wait_for_errand(self) -> None:
        next_at = min(self._suspects.values(), default=None)
        try:
            async with asyncio.timeout(None if next_at is None else max(next_at - monotonic(), 0)):
                await self._errand.wait()
        except TimeoutError:
            pass

    async def _look_into(self, parent: Credentials, key: str) -> None:
        record = self._registry.children[key]
        if record.state is not ChildState.REGISTERED or record.parent_id != parent.device_id:
            return
        standing = await self._registrar.suspect(parent, key)
        credentials = record.credentials(parent)
        if standing is Standing.DOUBTED:
            self._suspects[key] = self._registrar.suspect_again_at(key)
        elif standing is Standing.ACCEPTED and credentials is not None:
            self._delivery.say_refusal(key, "it does not take it in a bulk call, but with the child's own key")
            await self._delivery.send_singly(credentials, key)
        elif standing is Standing.UNCLEAR:
            self._delivery.say_refusal(key, "it does not take it in a bulk call, and does not say that the child is deleted")

    async def _refuse_commands(self, parent: Credentials, device_id: str) -> None:
        device = self._credentials_of(parent, device_id)
        if device is None:
            self._delivery.say_refusal(device_id, "a command waits, but its access key was lost, so it cannot be answered")
            return
        try:
            answered: set[int | str] = set()
            for _ in range(COMMANDS_AT_ONCE):
                command = await self._hub.get_command(device)
                if command is None or command.id in answered:
                    return
                answered.add(command.id)
                log.warning("%s: the command %r is answered as failed: %s", device_id, command.name, NO_COMMANDS)
                await self._hub.update_command(device, command.id, "failed", NO_COMMANDS)
        except HubUnauthorised:
            if device_id == parent.device_id:
                raise
            record = self._registry.by_device_id(device_id)
            if record is not None:
                self._suspects.setdefault(record.child.key, 0.0)
        except HubRejected as error:
            log.info("%s: the command could not be answered: %s", device_id, error)

    def _credentials_of(self, parent: Credentials, device_id: str) -> Credentials | None:
        if device_id == parent.device_id:
            return parent
        record = self._registry.by_device_id(device_id)
        return record.credentials(parent) if record is not None else None

    # when the hub does not answer as hoped ----------------------------------------------------------------------------

    async def _careful(self, parent: Credentials, strand: Strand, work: Callable[[], Awaitable[T]], *, otherwise: T) -> T:
        """Do the work when the hub may be asked, and return what came of it, or `otherwise` when it was not done.

        Work that returns `False` had nothing to ask the hub, so the hub has not answered either.
        It is borne that the hub or the store is away, and made sure of before it is believed that the gateway was deleted.
        """
        await self._pace.wait(strand)
        try:
            done = await work()
        except HubUnreachable as error:
            self._pace.failed(strand, error)
        except HubUnauthorised as error:
            await self._confirm_revoked(parent, strand, error)
        except HubRejected as error:
            self._pace.failed(strand, HubUnreachable(str(error), maybe_done=False, status=error.status))
        except StoreError as error:
            self._pace.failed(strand, HubUnreachable(f"the store fails, so nothing is sent: {error}", maybe_done=False))
        else:
            if done is not False:
                self._pace.answered(strand)
            return done
        return otherwise

    async def _confirm_revoked(self, parent: Credentials, strand: Strand, first: HubUnauthorised) -> None:
        """Ask once more after a pause; more patiently in the first minute of a registration (sections 13.2 and 17.20)."""
        registered_at = self._enrolment.registered_at
        is_new = registered_at is not None and monotonic() - registered_at < 60
        await asyncio.sleep(self._confirm_after.total_seconds() * (4 if is_new else 1))
        await self._pace.wait(strand)
        try:
            await self._hub.send_telemetry(parent, TelemetryMessage(status=Status.ONLINE, values=self._vitals()))
        except HubUnauthorised as again:
            raise EnrolmentRevoked(str(again)) from first
        except HubUnreachable as error:
            self._pace.failed(strand, error)
        except HubRejected as error:
            self._pace.failed(strand, HubUnreachable(str(error), maybe_done=False, status=error.status))
        else:
            contradiction = f"{first}; the same key is accepted elsewhere"
            self._pace.failed(strand, HubUnreachable(contradiction, maybe_done=False, status=first.status))


def _is_revoked(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_revoked(inner) for inner in error.exceptions)
    return isinstance(error, EnrolmentRevoked)
