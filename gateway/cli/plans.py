"""Compute and show the planned load of the buses of a configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from gateway.cli.buses import adapter_bugs_reported, present_buses
from gateway.cli.common import out
from gateway.config.settings import Configuration
from gateway.errors import SettingsError, SettingsProblem
from gateway.field.polling.budget import Budget, over_budget
from gateway.models import ChildDevice, PlannedRead
from gateway.plain_numbers import seconds_text
from gateway.state.child_states import ChildState
from gateway.state.registry import Registry
from gateway.state.store import Store


@dataclass(frozen=True, slots=True)
class PlannedBus:
    """One bus of the configuration with its planned load."""

    entry: str
    bus: str
    refuses_overload: bool
    """Whether its entry refuses a plan over the limit, instead of stretching the intervals."""
    budget: Budget

    @property
    def is_over(self) -> bool:
        """Whether the plan exceeds the limit."""
        return self.budget.stretch > 1


async def planned_buses(configuration: Configuration) -> list[PlannedBus]:
    """Return every bus that exists, with the planned load of its configured and known devices; opens none.

    Raises:
        StoreError: the store exists and cannot be read.
        CommandFailed: an adapter has a bug.
    """
    children = await _known_children(configuration.settings.store.path)
    buses: list[PlannedBus] = []
    for settings in configuration.entries:
        for adapter in await present_buses(settings):
            here = [child for child in children if (child.adapter, child.bus) == (settings.name, adapter.bus)]
            with adapter_bugs_reported(adapter):
                budget = Budget(tuple(adapter.planned_reads(here)), settings.load_limit)
            buses.append(PlannedBus(settings.name, adapter.bus, settings.overload == "refuse", budget))
    return buses


async def _known_children(store_path: Path) -> list[ChildDevice]:
    if not await asyncio.to_thread(store_path.exists):
        return []
    async with Store(store_path) as store:
        registry = Registry(store)
        await registry.load()
        return [record.child for record in registry.children.values() if record.state is not ChildState.DELETED]


def refuse_overloads(file: Path | None, buses: Sequence[PlannedBus]) -> None:
    """Raise `SettingsError` when a plan exceeds its limit and its entry refuses that."""
    right = 'Or allow longer intervals: overload = "stretch"'
    over = [one for one in buses if one.is_over and one.refuses_overload]
    wrong = [SettingsProblem(f"adapter {one.entry}", over_budget(one.bus, one.budget), right) for one in over]
    if wrong:
        raise SettingsError(file, wrong)


def plan_facts(one: PlannedBus) -> dict[str, object]:
    """Return the plan of one bus for a program."""
    return {
        "adapter": one.entry,
        "bus": one.bus,
        "load": round(one.budget.load, 4),
        "limit": one.budget.limit,
        "stretch": round(one.budget.stretch, 3),
        "by_device": {name: round(load, 4) for name, load in one.budget.by_device.items()},
        "by_group": {group: round(load, 4) for group, load in one.budget.by_group.items()},
        "reads": [
            {
                "address": read.address,
                "name": read.name,
                "group": read.group,
                "every_seconds": read.every.total_seconds(),
                "seconds": round(read.seconds, 5),
                "transactions": read.transactions,
            }
            for read in one.budget.reads
        ],
    }


def show_plans(buses: Sequence[PlannedBus], *, is_whole: bool) -> None:
    """Show the plan of every bus as text: a line each, and with `is_whole` a line for each poll group of each device."""
    for one in buses:
        colon = "" if one.budget.reads else ":"
        devices = len({read.address for read in one.budget.reads})
        count = f", {devices} device{'s' if devices > 1 else ''}" if devices else ""
        out.print(f"{'bus':10} {one.bus}{colon} {one.budget}{count}", markup=False, soft_wrap=True)
        if one.is_over:
            text = f"{over_budget(one.bus, one.budget)}. All its intervals will be {one.budget.stretch:.1f} times as long."
            out.print(f"[yellow]{escape(text)}[/]", soft_wrap=True)
    reads = [(one.bus, read) for one in buses for read in one.budget.reads]
    if reads and is_whole:
        out.print()
        out.print(_table(reads))


def _table(reads: Sequence[tuple[str, PlannedRead]]) -> Table:
    table = Table(*("bus", "address", "device", "poll group", "every", "takes", "blocks", "load"), box=None, padding=(0, 2, 0, 0))
    for bus, read in reads:
        every, takes = seconds_text(read.every.total_seconds()), f"{1000 * read.seconds:.1f} ms"
        cells = (bus, read.address, read.name, read.group, every, takes, str(read.transactions), f"{100 * read.load:.1f} %")
        table.add_row(*map(escape, cells))
    return table
