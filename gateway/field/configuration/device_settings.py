"""Write the settings that devices keep as the cloud has configured them, and keep them so.

Each device is compared with its configuration when it answers after a start, a silence or an exchange, and at long intervals.
Where it has other values, they are written again, a few times at most: who else changes them is for a person to find.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from gateway.errors import ConfigurationRejected, SettingsProblem
from gateway.field.children.availability import Availability, AvailabilityChange
from gateway.field.children.child_configuration import ChildConfiguration, ConfigurationsInEffect
from gateway.field.configuration.setting_writes import NotReached, RunOnBus, SettingRefused, SettingWrites
from gateway.models import Reach, SettingValue, Value
from gateway.state.original_settings import OriginalSettings
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

CHECK_EVERY = timedelta(hours=1)
"""How often a device that answers is compared with its configuration."""

MOST_CORRECTIONS = 3
"""How often a setting that another value was given is written again, until its configuration changes or the gateway restarts."""

MOST_ATTEMPTS = 3
"""How often a configuration is tried on a device that answers and then does not, before it is refused."""

AGAIN_AFTER_SECONDS = 10.0
"""The wait between two of these attempts."""

LOOK_EVERY_SECONDS = 60.0
"""How often a configuration that waits for its device looks whether the device is still a child."""

NO_CHILD = "the device is not a child of the gateway any more"


class ReportEvent(Protocol):
    """Tells the cloud of something that happened to a child; see `EventQueue.report`."""

    def __call__(self, child: str | None, name: str, category: str, text: str) -> None:
        """Neither waits nor fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsAccess:
    """The way of settings to the devices.

    Attributes:
        run: does something on the bus of a child, ahead of polling.
        run_in_gaps: does something on the bus of a child, in the gaps of polling.
        may_write: returns whether the settings of a child may be written at all, by its local key.
        is_tried: returns whether a configuration of a child is being tried, also one that an earlier run began: what that has
            set is not taken back before it ends.
        report_event: tells the cloud of a device that has other values.
    """

    run: RunOnBus
    run_in_gaps: RunOnBus
    may_write: Callable[[str], bool] = lambda child: True
    is_tried: Callable[[str], bool] = lambda child: False
    report_event: ReportEvent = lambda child, name, category, text: None
    check_every: timedelta = CHECK_EVERY


class DeviceSettings:
    """The settings of all devices.

    Args:
        registry: knows the children.
        availability: knows which of them answer.
        in_effect: the configurations of the children.
        originals: what the devices had before the cloud set their settings.
        access: the way to the devices.
    """

    def __init__(
        self,
        registry: Registry,
        availability: Availability,
        in_effect: ConfigurationsInEffect,
        originals: OriginalSettings,
        access: SettingsAccess,
    ) -> None:
        self._registry = registry
        self._availability = availability
        self._in_effect = in_effect
        self._originals = originals
        self._access = access
        self._locks: dict[str, asyncio.Lock] = {}
        self._check_at: dict[str, float] = {}
        self._has_checks = asyncio.Event()
        self._answered = asyncio.Event()  # set, and replaced, when any device answers again
        self._corrections: dict[str, Counter[str]] = {}

    def note_change(self, change: AvailabilityChange) -> None:
        """Compare a device with its configuration soon: it answers, after a start or a silence. It may be another one."""
        if change.reach is Reach.REACHABLE:
            self._check_soon(change.child)
            self._answered.set()
            self._answered = asyncio.Event()

    def forget_soon(self, child: str) -> None:
        """Forget what is kept of a device that is no child any more, and leave its settings as they are."""
        self._check_at[child] = 0.0
        self._has_checks.set()

    async def apply(self, child: str, configuration: ChildConfiguration) -> None:
        """Write the settings of a configuration, and put it into effect; wait for a device that does not answer.

        When it raises or is cancelled, the former configuration is in effect. What was written of the new one is put back, at
        once or when the device is next compared.

        Raises:
            ConfigurationRejected: the device does not take a setting, or is not a child any more.
        """
        async with self._lock(child):
            wanted = self._target(child, configuration.settings)
            try:
                if wanted != self._in_effect.of(child).settings:
                    await self._apply_settings(child, wanted)
            except BaseException:
                self._check_soon(child)
                raise
            self._in_effect.put(child, configuration)
            await self._forget_released(child, configuration.settings)
            self._corrections.pop(child, None)
            self._in_effect.problems.pop(child, None)
            self._check_at[child] = loop_time() + self._access.check_every.total_seconds()
            self._has_checks.set()

    async def run(self) -> None:
        """Compare devices with their configurations when they are due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            running: dict[str, asyncio.Task[None]] = {}
            while True:
                self._has_checks.clear()
                now = loop_time()
                for child in [child for child, at in self._check_at.items() if at <= now and child not in running]:
                    del self._check_at[child]
                    running[child] = group.create_task(self._check(child))
                    running[child].add_done_callback(lambda _, child=child: running.pop(child, None))  # type: ignore[misc]  # mypy knows no lambda with a default
                await wait_until(self._has_checks, min(self._check_at.values(), default=None))

    # applying ---------------------------------------------------------------------------------------------------------

    async def _apply_settings(self, child: str, wanted: Mapping[str, SettingValue]) -> None:
        attempts = 0
        while True:
            await self._answers(child)
            writes, differing = SettingWrites(child, self._access.run, self._originals), dict[str, Value]()
            try:
                differing = await writes.compare(wanted)
                await writes.write(wanted, differing)
            except SettingRefused as error:
                raise await self._refusal(error, writes, differing) from error
            except NotReached as error:
                attempts += 1
                if attempts >= MOST_ATTEMPTS and self._reach(child) is Reach.REACHABLE:
                    raise await self._refusal(error, writes, differing) from error
                await asyncio.sleep(AGAIN_AFTER_SECONDS)
            else:
                for one in writes.written:
                    log.info("%s: %s was %s and is %s", self._name(child), one.name, one.before, one.after)
                return

    async def _answers(self, child: str) -> None:
        """Return when the device answers.

        Raises:
            ConfigurationRejected: it is not a child any more.
        """
        has_told = False
        while self._reach(child) is not Reach.REACHABLE:
            if child not in self._registry.children:
                raise ConfigurationRejected([SettingsProblem("settings", NO_CHILD, "Nothing to do")])
            if not has_told and self._reach(child) is Reach.SILENT:
                log.info("%s: its settings wait until it answers", self._name(child))
                has_told = True
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._answered.wait()

    async def _refusal(
        self, error: SettingRefused | NotReached, writes: SettingWrites, differing: Mapping[str, Value]
    ) -> ConfigurationRejected:
        """Put back what was attempted, and return why the configuration is refused."""
        name = error.name if isinstance(error, SettingRefused) else None
        kept = await writes.put_back(differing)
        where = "settings" if name is None else f"settings.{name}"
        told = f"its former values are back, except {', '.join(kept)}" if kept else "its former values are back"
        return ConfigurationRejected([SettingsProblem(where, str(error), f"Choose a value that the device takes; {told}")])

    # checking ---------------------------------------------------------------------------------------------------------

    async def _check(self, child: str) -> None:
        async with self._lock(child):
            if child not in self._registry.children:
                await self._forget(child)
                return
            settings = self._in_effect.of(child).settings
            wanted = self._target(child, settings)
            if not wanted or self._reach(child) is not Reach.REACHABLE:
                return  # it is compared when it answers
            if self._access.is_tried(child):
                self._check_at[child] = loop_time() + LOOK_EVERY_SECONDS
                self._has_checks.set()
                return
            self._check_at[child] = loop_time() + self._access.check_every.total_seconds()
            self._has_checks.set()
            writes = SettingWrites(child, self._access.run_in_gaps, self._originals)
            try:
                differing = await writes.compare(wanted)
                if differing and self._access.may_write(child):
                    await self._correct(child, writes, wanted, differing)
                elif not differing:
                    self._tell_in_line(child)
            except SettingRefused as error:
                self._remark(child, f"does not take {error.name or 'its settings'} as configured: {error}")
            except NotReached as error:
                log.debug("%s: its settings cannot be compared now: %s", self._name(child), error)
                return
            await self._forget_released(child, settings)

    async def _correct(
        self, child: str, writes: SettingWrites, wanted: Mapping[str, SettingValue], differing: Mapping[str, Value]
    ) -> None:
        """Write again what differs, as far as it was not written too often, and tell."""
        counts = self._corrections.setdefault(child, Counter())
        again = {name: value for name, value in differing.items() if counts[name] < MOST_CORRECTIONS}
        if left := [f"{name} is {differing[name]} instead of {wanted[name]}" for name in differing if name not in again]:
            self._remark(child, f"{', '.join(left)}: it was written {MOST_CORRECTIONS} times and changed again; it stays")
        if not again:
            return
        counts.update(again.keys())
        await writes.write({name: wanted[name] for name in again}, again)
        text = ", ".join(f"{name} was {before} instead of {wanted[name]}" for name, before in again.items())
        log.warning("%s: %s; written again", self._name(child), text)
        self._access.report_event(child, "settings_corrected", "configuration", f"{text}; written again")

    def _tell_in_line(self, child: str) -> None:
        if self._in_effect.problems.pop(child, None) is not None:
            log.info("%s: its settings are as configured again", self._name(child))

    def _remark(self, child: str, text: str) -> None:
        if self._in_effect.problems.get(child) != text:
            self._in_effect.problems[child] = text
            log.warning("%s: %s", self._name(child), text)
            self._access.report_event(child, "settings_differ", "configuration", text)

    # helpers ----------------------------------------------------------------------------------------------------------

    def _target(self, child: str, settings: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
        """Return what the device is to have: what is configured, and the original value of what is not configured any more."""
        released = {name: value for name, value in self._originals.of(child).items() if name not in settings}
        return {**released, **settings}

    async def _forget_released(self, child: str, settings: Mapping[str, SettingValue]) -> None:
        released = [name for name in self._originals.of(child) if name not in settings]
        await retry_until_stored(partial(self._originals.forget, child, released), what="that settings were put back")

    async def _forget(self, child: str) -> None:
        self._corrections.pop(child, None)
        self._in_effect.problems.pop(child, None)
        self._locks.pop(child, None)
        await retry_until_stored(partial(self._originals.forget, child), what="that a device was removed")

    def _check_soon(self, child: str) -> None:
        if self._in_effect.of(child).settings or self._originals.of(child):
            self._check_at[child] = 0.0
            self._has_checks.set()

    def _lock(self, child: str) -> asyncio.Lock:
        return self._locks.setdefault(child, asyncio.Lock())

    def _reach(self, child: str) -> Reach:
        return self._availability.of(child).reach

    def _name(self, child: str) -> str:
        return self._registry.name_of(child) or child
