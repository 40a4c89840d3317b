"""Try the buses that a draft adds or changes, before it is saved: open each, and look whether a device answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from gateway.adapter import Adapter, AdapterSettings, Found
from gateway.config.entries import entry_from
from gateway.config.settings import Configuration
from gateway.errors import GatewayError, SettingsError
from gateway.field.adapter_data.checked_adapter import CheckedAdapter
from gateway.field.fleet import Fleet
from gateway.field.open_buses import list_present_buses
from gateway.plain_numbers import seconds_text
from gateway.plain_text import named_error, text_of_error
from gateway.runtime.configuration.file_plan import changed_entries
from gateway.status.configuration_view import BusTrial, TrialState
from gateway.tasks import closed_after, end_tasks, loop_time

TRY_SECONDS: Final = 15.0
"""The longest time that one bus is tried."""
AFTER_FIRST_SECONDS: Final = 2.0
"""A device that answers shows that the bus works; others have so long."""
AT_A_TIME: Final = 8
MOST_TRIED: Final = 64
MOST_TOLD: Final = 8
SHOWN_DEVICES: Final = 5
STOP_SECONDS: Final = 3.0

CountDevices = Callable[[tuple[str, str]], tuple[int, int]]
"""Returns how many devices of a bus answer, and how many it has."""


class BusTrials:
    """The try of one draft. A bus that the gateway has open itself is not opened twice: what the gateway knows is told.

    Args:
        adapters: the adapter classes, by `type`.
        fleet: the buses that run.
        count: counts the devices of a bus.
    """

    def __init__(self, adapters: Mapping[str, type[Adapter[Any]]], fleet: Fleet, count: CountDevices) -> None:
        self._adapters = adapters
        self._fleet = fleet
        self._count = count
        self._shown: dict[tuple[str, str], BusTrial] = {}
        self._task: asyncio.Task[None] | None = None
        self._places = asyncio.Semaphore(AT_A_TIME)

    @property
    def shown(self) -> Sequence[BusTrial]:
        """What was seen so far."""
        return tuple(self._shown.values())

    @property
    def is_running(self) -> bool:
        """Whether a bus is still being tried."""
        return self._task is not None and not self._task.done()

    def begin(self, old: Configuration, new: Configuration) -> None:
        """Begin to try the buses of the entries that differ."""
        if not self.is_running:
            self._shown = {}
            self._task = asyncio.create_task(self._run(old, new))

    async def end(self) -> None:
        """End what runs."""
        if self._task is not None:
            await end_tasks({self._task}, within_seconds=STOP_SECONDS)

    async def _run(self, old: Configuration, new: Configuration) -> None:
        tables = dict(zip((entry.entry for entry in new.entries), new.settings.adapter, strict=False))
        claimed = {claim for entry in old.entries for claim in entry.claims()}
        await asyncio.gather(
            *(self._try_entry(entry, tables.get(entry.entry, {}), claimed) for entry in changed_entries(old, new))
        )

    async def _try_entry(self, entry: AdapterSettings, table: Mapping[str, Any], claimed: set[str]) -> None:
        try:
            buses = await list_present_buses(self._adapters[entry.type], entry)
            fresh = await self._fresh_labels(entry, table, claimed)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug is what the try shows
            self._show(entry, "", TrialState.FAILS, _why(error))
            return
        if not buses:
            self._show(entry, "", TrialState.FAILS, "None of its ports, hosts or radios is there right now.")
        users = {label: (key, label) for key, label in self._fleet.supervisors}
        tried = [bus for bus in buses if bus.bus in fresh or bus.bus not in users]
        used = [bus.bus for bus in buses if bus.bus not in fresh and bus.bus in users]
        for label in used[:MOST_TOLD]:
            self._tell(entry, label, users[label])
        if len(used) > MOST_TOLD:
            self._show(entry, f"{len(used) - MOST_TOLD} others", TrialState.IN_USE, "The gateway serves them already.")
        if len(tried) > MOST_TRIED:
            others = f"{len(tried) - MOST_TRIED} others"
            self._show(entry, others, TrialState.QUIET, f"Not tried: {MOST_TRIED} buses of an entry are tried at most.")
        await asyncio.gather(*(self._try_in_turn(entry, bus) for bus in tried[:MOST_TRIED]))

    async def _fresh_labels(self, entry: AdapterSettings, table: Mapping[str, Any], claimed: set[str]) -> set[str]:
        """Return the labels of the buses with a host or port that no running entry has."""
        claims = entry.claims()
        places = [place for claim, place in claims.items() if claim not in claimed] if isinstance(claims, Mapping) else []
        keys = {place[0] for place in claims.values()} if isinstance(claims, Mapping) else set()
        if not places:
            return set()
        rest = {key: value for key, value in table.items() if key not in keys and not isinstance(value, list)}
        for key, index in (place[:2] for place in places):
            rest.setdefault(key, []).append(table[key][index])
        with suppress(SettingsError):
            part = entry_from({**rest, "type": entry.type}, self._adapters)
            return {bus.bus for bus in await list_present_buses(self._adapters[entry.type], part)}
        return set()

    def _tell(self, entry: AdapterSettings, label: str, user: tuple[str, str]) -> None:
        """Tell what the gateway knows of a bus that it serves itself."""
        if (problem := self._fleet.supervisors[user].problem) is not None:
            self._show(entry, label, TrialState.FAILS, f"The gateway tries to open it itself: {_sentence(problem)}")
            return
        answering, known = self._count(user)
        seen = f"{answering} of {known} devices answer" if known else "it has no device yet"
        text = f"The gateway has it open itself, so it is not opened a second time: {seen}. It is watched once this is saved."
        self._show(entry, label, TrialState.IN_USE, text)

    async def _try_in_turn(self, entry: AdapterSettings, bus: CheckedAdapter) -> None:
        self._show(entry, bus.bus, TrialState.RUNS, "Waits for its turn.")
        async with self._places:
            await self._try(entry, bus)

    async def _try(self, entry: AdapterSettings, bus: CheckedAdapter) -> None:
        self._show(entry, bus.bus, TrialState.RUNS, "Is being opened.")
        devices: list[str] = []
        asked, to_ask, began_at, problem = 0, None, loop_time(), None
        try:
            async with asyncio.timeout(TRY_SECONDS) as limit, bus, closed_after(bus.discover()) as discovery:
                self._show(entry, bus.bus, TrialState.RUNS, "Is open; no device has answered yet.")
                async for step in discovery:
                    if isinstance(step, Found):
                        devices.append(step.name)
                        limit.reschedule(min(limit.when() or 0.0, loop_time() + AFTER_FIRST_SECONDS))
                    else:
                        asked, to_ask = step.done, step.total
                        self._progress(entry, bus.bus, asked, to_ask)
        except Exception as error:  # noqa: BLE001 - as above
            if not (isinstance(error, TimeoutError) and limit.expired()):
                problem = _why(error).removeprefix(f"{bus.bus}: ")
        lasted = seconds_text(max(1, round(loop_time() - began_at)))
        if devices:
            more = f" and {len(devices) - SHOWN_DEVICES} more" if len(devices) > SHOWN_DEVICES else ""
            text = f"Answers: {', '.join(devices[:SHOWN_DEVICES])}{more}."
            self._show(entry, bus.bus, TrialState.ANSWERS, text, devices=devices)
        elif problem is not None:
            self._show(entry, bus.bus, TrialState.FAILS, f"It fails: {_sentence(problem)}")
        else:
            numbers = f", {asked} of {to_ask} addresses were asked" if to_ask else ""
            text = f"It opens, and no device has answered within {lasted}{numbers}. The search goes on once this is saved."
            self._show(entry, bus.bus, TrialState.QUIET, text)

    def _progress(self, entry: AdapterSettings, bus: str, asked: int, to_ask: int | None) -> None:
        shown = self._shown[entry.entry, bus]
        self._shown[entry.entry, bus] = replace(shown, asked=asked, to_ask=to_ask)

    def _show(self, entry: AdapterSettings, bus: str, state: TrialState, text: str, *, devices: Sequence[str] = ()) -> None:
        self._shown[entry.entry, bus] = BusTrial(entry=entry.entry, bus=bus, state=state, text=text, devices=tuple(devices))


def _why(error: Exception) -> str:
    if not isinstance(error, GatewayError):
        return f"a bug in the adapter: {named_error(error)}"
    cause = getattr(error, "cause", None)
    text = text_of_error(error)
    return text if cause is None else f"{_sentence(text)} {cause.next_step}"


def _sentence(text: str) -> str:
    """Return a text with the full stop that it lacks."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
