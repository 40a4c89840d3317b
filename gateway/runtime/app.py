"""Run the parts of a gateway in one task group, and stop them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway import __version__
from gateway.cloud.files.firmware_offers import FirmwareOfferRecorder
from gateway.config.settings import Configuration
from gateway.errors import BeginAnew, StoreDamaged, StoreError
from gateway.field.polling.bus_status import BusStatus
from gateway.models import Reach
from gateway.runtime.background_jobs import (
    follow_identity_decision,
    follow_store,
    forget_removed_children,
    guard_store,
    report_missing_buses,
    report_unknown_children,
    save_memory,
    store_token_uses,
)
from gateway.runtime.claiming import tell_how_to_claim
from gateway.runtime.clock_watch import watch_clock
from gateway.runtime.configuration.child_parts import ChildConfigurationParts
from gateway.runtime.configuration.file_editor import FileEditor
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.device_actions.build import DeviceActionParts
from gateway.runtime.file_watch import watch_file
from gateway.runtime.incidents.watch import IncidentWatch
from gateway.runtime.notify.notifier import Notifier
from gateway.runtime.parts import CloudParts, FieldParts, StatusPage, Timing
from gateway.runtime.process_state import keep_process_state
from gateway.runtime.restart import Restart
from gateway.runtime.timeline.recorder import TimelineRecorder
from gateway.runtime.view import GatewayView
from gateway.state.parts import StateParts
from gateway.status.render import formatting
from gateway.tasks import end_tasks, error_of, loop_time, run_until

log = logging.getLogger(__name__)

FIELD_STOP_SECONDS = 2.5
SESSION_STOP_SECONDS = 2.0
FLUSH_SECONDS = 3.0
STOP_SECONDS = 6.0
"""How long all of these take at most: what is left to be closed after them has to end before 8 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that has been built: its parts, and how they run and stop."""

    configuration: Configuration
    """That of the file and the environment."""
    own_configuration: GatewayConfiguration
    """The same with what the cloud has configured."""
    editor: FileEditor
    timing: Timing
    state: StateParts
    field: FieldParts
    cloud: CloudParts
    watch: IncidentWatch
    notifier: Notifier
    view: GatewayView
    page: StatusPage | None
    """`None` where the config disables the status page."""
    restart: Restart
    """A request to restart, which ends `run` like `stop` does."""
    offers: FirmwareOfferRecorder
    children: ChildConfigurationParts
    recorder: TimelineRecorder
    device_actions: DeviceActionParts

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then stop in order: the field, the last samples, the connection to the cloud.

        A request to restart sets `stop`.

        Raises:
            StoreDamaged: a damaged page was met in the store; built anew, the gateway goes on with what can be read of it.
            BeginAnew: a person decided that this machine is another gateway, or confirmed a backup; built anew, it is so.
        """
        damage: list[BaseException] = []
        try:
            await self._serve(stop)
        except* StoreDamaged as group:
            damage.extend(group.exceptions)
        if damage:
            raise StoreDamaged(str(damage[0])) from damage[0]

    async def _serve(self, stop: asyncio.Event) -> None:
        outbox = self.state.outbox
        known, waiting = len(self.state.registry.children), outbox.depth
        log.info("gateway %s starts: %d children known, %d samples waiting", __version__, known, waiting)
        text = f"version {__version__}, {known} children known, {waiting} samples waiting"
        self.state.events.report(None, "gateway_started", "gateway", text)
        async with asyncio.TaskGroup() as group:
            session = group.create_task(_part(self._speak(), end_seconds=SESSION_STOP_SECONDS))
            works = (keep_process_state(), self.field.fleet.run(), self.field.reporter.run(), *self._upkeep())
            others = [group.create_task(_part(work, end_seconds=FIELD_STOP_SECONDS)) for work in works]
            if self.page is not None:
                works = (self.page.server.run(), forget_removed_children(self.state.registry, self.page.history))
                others += [group.create_task(_part(work, end_seconds=FIELD_STOP_SECONDS)) for work in works]
            await run_until(stop, self._reason_to_end())
            why = self._why_it_ends(stop)
            log.info("stopping: %s", why)
            self.state.events.report(None, "gateway_stopped", "gateway", f"version {__version__}: {why}")
            if self.restart.requested.is_set():
                stop.set()
            ends_at = loop_time() + STOP_SECONDS
            await _end(*others)
            self.state.runs.stop()
            if self.page is not None:
                self.page.kept_values.writes_all = True
            await self.state.history.save_at_stop()
            await self._drain(session, ends_at)
        log.info("stopped; %d samples are kept for the next start", outbox.depth)
        if unstored := self.field.sampler.unstored:
            log.error("%d samples are lost with this stop, and in no account: the store did not take them", unstored)
        if not stop.is_set():
            self._demand_to_begin_anew()

    def _why_it_ends(self, stop: asyncio.Event) -> str:
        if self.restart.requested.is_set():
            return self.restart.why
        if self.restart.begins_anew.is_set():
            return self.restart.why_anew
        if self.state.hardware.becomes_new.is_set():
            return "it becomes another gateway"
        return "it was stopped" if stop.is_set() else "its store is damaged"

    def _demand_to_begin_anew(self) -> None:
        """Raise what has the gateway built anew, where anything does."""
        if self.state.store.is_damaged.is_set():
            raise StoreDamaged(f"{self.state.store.path} is damaged: {self.state.store.problem}")
        if self.restart.begins_anew.is_set():
            self.restart.begins_anew.clear()
            raise BeginAnew(self.restart.why_anew)
        if self.state.hardware.becomes_new.is_set():
            raise BeginAnew("a person decided that this machine is another gateway")

    async def _reason_to_end(self) -> None:
        """Return when a restart was requested, or when the gateway has to be built anew."""
        events = (self.restart.requested, self.restart.begins_anew, self.state.store.is_damaged, self.state.hardware.becomes_new)
        reasons = {asyncio.create_task(event.wait()) for event in events}
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()

    async def _speak(self) -> None:
        """Speak to the cloud once it is certain that no other machine does so as this gateway."""
        await self.state.hardware.wait_until_settled()
        await self.cloud.session.run()

    def _upkeep(self) -> tuple[Coroutine[Any, Any, None], ...]:
        timing, state, field = self.timing, self.state, self.field
        return (
            follow_store(state, field, every=timing.check_for_changes_every),
            guard_store(state, self.page, every=timing.check_store_file_every),
            follow_identity_decision(state, self.configuration.settings.gateway, every=timing.check_for_changes_every),
            store_token_uses(self.page, every=timing.save_memory_every),
            watch_file(
                self.configuration.file,
                self.view.set_notice,
                every=timing.check_for_changes_every,
                in_use=self.editor.in_use,
            ),
            self.editor.run(),
            state.events.run(),
            watch_clock(state, redate=self._redate),
            state.mirror.run(),
            state.flash.run(),
            state.history.run(),
            *self.recorder.works(),
            self.watch.run(),
            self.notifier.run(),
            save_memory(state.adapter_memory, every=timing.save_memory_every),
            report_missing_buses(state, field, after=timing.missing_bus_after),
            report_unknown_children(self.configuration.settings.child, state, after=timing.missing_bus_after),
            self.offers.run(),
            self.view.updates.run(cloud_every=timing.look_for_updates_every),
            self.children.settings.run(),
            self.children.map_trials.run(),
            self.device_actions.run(),
            tell_how_to_claim(
                self.cloud.session,
                state.registry,
                self.configuration.settings.cloud.claim_url,
                every=timing.check_for_changes_every,
            ),
        )

    def _redate(self, right: Callable[[datetime], datetime]) -> None:
        """Move what was observed before the clock was set to its right time."""
        self.field.monitor.redate(right)
        if self.page is not None:
            self.page.history.redate(right)

    async def _drain(self, session: asyncio.Task[None], ends_at: float) -> None:
        """End the session first, and send what is left afterwards: two senders would send the same samples."""
        await _end(session)
        with contextlib.suppress(StoreError):  # the reporter has logged it
            await self.field.reporter.report()
            await self.state.adapter_memory.save()
            await self.state.events.save()
            await self.state.mirror.update()
            await self.state.flash.save()
        if self.state.hardware.question is not None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(loop_time() + FLUSH_SECONDS, ends_at)):
                await self.cloud.session.flush(self._offline_children())

    def _offline_children(self) -> list[str] | None:
        """Return the children that the cloud is to show as offline from now on; `None` to leave them as they are."""
        if not self.configuration.settings.cloud.tell_stop:
            return None
        availability = self.field.availability
        return [key for key in self.state.registry.children if availability.of(key).reach is not Reach.SILENT]

    async def headline(self) -> str:
        """Return the state of the gateway in a sentence or two."""
        return formatting.headline(await self.view.snapshot())

    def bus_statuses(self) -> Sequence[BusStatus]:
        """Return the status of every bus right now."""
        return [supervisor.status() for supervisor in self.field.fleet.supervisors.values()]


async def _part(work: Coroutine[Any, Any, None], *, end_seconds: float) -> None:
    """Run one part of the gateway, so that it ends in time when it is cancelled: what hangs in it is left running."""
    task, name = asyncio.create_task(work), getattr(work, "__qualname__", "a part")
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        if await end_tasks({task}, within_seconds=end_seconds):
            log.warning("%s did not end within %.1f s; the stop goes on without it", name, end_seconds)
        raise
    if (error := error_of(task)) is not None:
        raise error


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
