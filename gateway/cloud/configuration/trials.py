"""Plan, apply and watch one configuration for each device at a time, and return to the former one where it does harm."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from gateway.cloud.configuration.form import check_form
from gateway.cloud.configuration.target import Configuring, Watch
from gateway.cloud.protocol.values import printable_line
from gateway.errors import ConfigurationRejected, StoreError
from gateway.models import PlannedChange
from gateway.state.configurations import Configurations, Refusal, RefusalKind, VersionedContent
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, start_in

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
"""A configuration that was being tried at as many kills in a row is set aside: it may be the reason."""

INNOCENT_AFTER_SECONDS = 300.0
"""A configuration that is being applied for so long, since its device does not answer, is not the reason of a kill."""

NEWER_WAITS_SECONDS = 60.0
"""How long a newer configuration waits for the one before it to be applied."""

LOOK_EVERY_SECONDS = 2.0

REASON_LENGTH = 1000
"""The longest reason, in characters: it may quote what the cloud has sent."""

LOGGED_CHANGES = 20

KILLED = f"the gateway was stopped {MOST_ATTEMPTS} times in a row while it was tried; it may be the reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a configuration that is being tried changes."""

    version: int
    changes: Sequence[PlannedChange]


@dataclass(slots=True)
class _Trial:
    """The trials of one device."""

    newest: VersionedContent | None = None
    """It waits for the one before it, and replaces it."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    watches: list[Watch] = field(default_factory=list)
    """Of all configurations since the applied one: only together they say what has become worse."""
    is_running: bool = False
    task: asyncio.Task[None] | None = None


class Trials:
    """The configurations that are being tried.

    Args:
        configurations: records each one before it is put into effect, and how it ended.
        configuring: the way to the devices, and the limits.
        name_of: returns what a person calls a device, by local key.
        on_end: is called with the device when no configuration of it is being tried any more.
    """

    def __init__(
        self,
        configurations: Configurations,
        configuring: Configuring,
        *,
        name_of: Callable[[str | None], str],
        on_end: Callable[[str | None], None],
    ) -> None:
        self._configurations = configurations
        self._target = configuring.target
        self._configuring = configuring
        self._name_of = name_of
        self._on_end = on_end
        self._trials: dict[str | None, _Trial] = {}
        self._plans: dict[str | None, Plan] = {}

    @property
    def plans(self) -> Mapping[str | None, Plan]:
        """The plans of the configurations that are being tried, by device."""
        return MappingProxyType(self._plans)

    def is_running(self, child: str | None) -> bool:
        """Return whether a configuration of this device is being tried."""
        return (trial := self._trials.get(child)) is not None and trial.is_running

    def offer(self, child: str | None, configuration: VersionedContent, group: asyncio.TaskGroup) -> None:
        """Try a configuration; of several that arrive while one is applied, the newest."""
        trial = self._trials.setdefault(child, _Trial())
        trial.newest = configuration
        trial.arrived.set()
        if not trial.is_running:
            trial.is_running = start_in(group, self._run(child, trial))

    async def end(self, child: str) -> None:
        """Try no configuration of a device any more: it is no child now."""
        trial = self._trials.pop(child, None)
        if trial is None:
            return
        trial.newest = None
        if trial.task is not None and not trial.task.done():
            trial.task.cancel()
            await asyncio.wait({trial.task})

    async def refuse(self, child: str | None, refusal: Refusal) -> None:
        """Record and tell that a version is not in effect, and is not tried again."""
        refusal = replace(refusal, why=printable_line(refusal.why, REASON_LENGTH))
        await retry_until_stored(lambda: self._configurations.refuse(child, refusal), what="a refused configuration")
        log.warning("%s: configuration version %d is not in effect: %s", self._name_of(child), refusal.version, refusal.why)
        text = f"configuration version {refusal.version}: {refusal.why}"
        event = "configuration_rolled_back" if refusal.kind is RefusalKind.HARM else "configuration_refused"
        self._configuring.report_event(child, event, "configuration", text)

    async def _run(self, child: str | None, trial: _Trial) -> None:
        trial.task = asyncio.current_task()
        try:
            while (configuration := trial.newest) is not None:
                trial.newest = None
                await self._try(child, configuration, trial)
        finally:
            trial.is_running = False
            self._plans.pop(child, None)
        if not trial.watches and self._trials.get(child) is trial:
            del self._trials[child]
        self._on_end(child)

    async def _try(self, child: str | None, configuration: VersionedContent, trial: _Trial) -> None:
        changes = await self._planned(child, configuration)
        if changes is None:
            return
        record = await retry_until_stored(lambda: self._configurations.begin(child, configuration), what="a configuration")
        if record.attempts > MOST_ATTEMPTS:
            await self.refuse(child, Refusal(version=configuration.version, why=KILLED))
            return
        self._log_plan(child, configuration.version, changes)
        try:
            refusal = await self._apply(child, configuration, changes, trial)
            if refusal is not None:
                await self._return_to_former(child, refusal, trial)
                return
            problem = await self._watched_problem(child, trial)
        except asyncio.CancelledError:
            with contextlib.suppress(StoreError):  # at worst it counts as one more attempt
                await self._configurations.suspend(child)
            raise
        if problem is not None:
            why = f"since it was applied, {problem}; the former configuration is back"
            refusal = Refusal(version=configuration.version, why=why, kind=RefusalKind.HARM)
            await self._return_to_former(child, refusal, trial)
        elif trial.newest is None:
            await self._accept(child, configuration, changes, trial)

    async def _apply(
        self, child: str | None, configuration: VersionedContent, changes: Sequence[PlannedChange], trial: _Trial
    ) -> Refusal | None:
        """Put a configuration into effect; return why that failed, `None` also when a newer one has to be put there instead."""
        try:
            watch = self._target.watch(child, changes)
            if not await self._is_applied(child, configuration, trial):
                return None
        except ConfigurationRejected as error:
            return Refusal(version=configuration.version, why=str(error))
        except Exception as error:  # code of an adapter: its bug costs this configuration, nothing else
            log.exception(
                "%s: a bug: its configuration version %d cannot be applied", self._name_of(child), configuration.version
            )
            return Refusal(version=configuration.version, why=f"a bug of the gateway: {type(error).__name__}")
        if watch is not None:
            watch.begin()
            trial.watches.append(watch)
        return None

    async def _is_applied(self, child: str | None, configuration: VersionedContent, trial: _Trial) -> bool:
        """Apply a configuration, and wait for a device that does not answer, until a newer one arrives; return whether it is."""
        began_at, newer_at = loop_time(), None
        is_suspected = True
        applying = asyncio.create_task(self._target.apply(child, configuration.content))
        try:
            while not applying.done():
                await asyncio.wait({applying}, timeout=LOOK_EVERY_SECONDS)
                now = loop_time()
                if is_suspected and now - began_at >= INNOCENT_AFTER_SECONDS:
                    is_suspected = False
                    await retry_until_stored(partial(self._configurations.suspend, child), what="a configuration")
                if newer_at is None and await self._has_newer(child, trial):
                    newer_at = now
                if newer_at is not None and now - newer_at >= NEWER_WAITS_SECONDS:
                    return False
            await applying
        finally:
            applying.cancel()
            await asyncio.wait({applying})
        return True

    async def _planned(self, child: str | None, configuration: VersionedContent) -> Sequence[PlannedChange] | None:
        """Return what a configuration changes; `None` when it was refused."""
        version = configuration.version
        if version > 0 and (why := self._configuring.refusal(child)) is not None:
            await self.refuse(child, Refusal(version=version, why=why, kind=RefusalKind.CEILING))
            return None
        try:
            check_form(configuration.content)
            return self._target.plan(child, configuration.content)
        except ConfigurationRejected as error:
            await self.refuse(child, Refusal(version=version, why=str(error)))
        except Exception as error:  # code of an adapter: as above
            log.exception("%s: a bug: its configuration version %d cannot be checked", self._name_of(child), version)
            await self.refuse(child, Refusal(version=version, why=f"a bug of the gateway: {type(error).__name__}"))
        return None

    def _log_plan(self, child: str | None, version: int, changes: Sequence[PlannedChange]) -> None:
        self._plans[child] = Plan(version=version, changes=tuple(changes))
        name = self._name_of(child)
        what = f"configuration version {version}" if version > 0 else "the cloud has no configuration for it any more"
        for change in changes[:LOGGED_CHANGES]:
            log.info("%s: %s: %s", name, what, printable_line(str(change), REASON_LENGTH))
        if len(changes) > LOGGED_CHANGES:
            log.info("%s: %s: %d more changes", name, what, len(changes) - LOGGED_CHANGES)

    async def _watched_problem(self, child: str | None, trial: _Trial) -> str | None:
        """Return what has become worse, as soon as something has; `None` at the end of the watch.

        It ends early when a newer configuration arrives that can be applied.
        """
        until = loop_time() + (self._configuring.watch_for.total_seconds() if trial.watches else 0)
        while (left := until - loop_time()) > 0:
            try:
                async with asyncio.timeout(min(left, LOOK_EVERY_SECONDS)):
                    await trial.arrived.wait()
            except TimeoutError:
                pass
            if await self._has_newer(child, trial):
                return None
            if (problem := _problem(trial.watches, at_end=False)) is not None:
                return problem
        return _problem(trial.watches, at_end=True)

    async def _has_newer(self, child: str | None, trial: _Trial) -> bool:
        """Return whether a newer configuration waits; one that is refused does not end the trial of the one before it."""
        trial.arrived.clear()
        newest = trial.newest
        if newest is None or await self._planned(child, newest) is not None:
            return newest is not None
        if trial.newest is newest:
            trial.newest = None
        return False

    async def _accept(
        self, child: str | None, configuration: VersionedContent, changes: Sequence[PlannedChange], trial: _Trial
    ) -> None:
        trial.watches.clear()
        await retry_until_stored(lambda: self._configurations.accept(child, configuration), what="an applied configuration")
        if configuration.version > 0 and changes:
            log.info("%s: configuration version %d is applied", self._name_of(child), configuration.version)
            text = f"configuration version {configuration.version} is applied: {'; '.join(map(str, changes))}"
            self._configuring.report_event(child, "configuration_applied", "configuration", printable_line(text, REASON_LENGTH))

    async def _return_to_former(self, child: str | None, refusal: Refusal, trial: _Trial) -> None:
        """Put the former configuration back; the refusal comes first, so that a kill in between does not repeat the trial."""
        trial.watches.clear()
        former = self._configurations.of(child).applied
        await self.refuse(child, refusal)
        try:
            await self._is_applied(child, former, trial)
        except ConfigurationRejected as error:
            log.error("%s: its former configuration cannot be put back: %s", self._name_of(child), error)  # noqa: TRY400 - no bug
        except Exception:  # code of an adapter: there is nothing left to return to, and the next start has the former one
            log.exception("%s: its former configuration cannot be put back", self._name_of(child))


def _problem(watches: Sequence[Watch], *, at_end: bool) -> str | None:
    return next((problem for watch in watches if (problem := watch.problem(at_end=at_end)) is not None), None)
