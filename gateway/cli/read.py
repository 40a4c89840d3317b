"""`xyte-gateway read`: one device, decoded, without the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import Adapter, AdapterSettings, Found, Reading, Value
from gateway.cli.buses import Entry, With, bugs_told, entries, present_buses
from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, ConfigFile, errors_shown, out, print_json
from gateway.config.settings import DEFAULT_FILE
from gateway.tasks import closed_after


def read(
    address: Annotated[str, typer.Argument(help="The device's address on its bus, as `scan` shows it: a unit id, for Modbus.")],
    entry: Entry = None,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    bus: Annotated[str | None, typer.Option("--bus", help="Which bus, as `scan` names it, when the entry has several.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Identify one device and read everything that its profile knows, once. Read-only, and nothing is sent to the cloud."""
    with errors_shown(as_json=as_json):
        found, readings = asyncio.run(_read(address, entry, with_, config, bus))
    if as_json:
        values = {reading.metric.name: {"value": reading.value, "unit": reading.metric.unit} for reading in readings}
        told = {"readings": values, "says": dict(found.says)}
        print_json({"address": found.address, "name": found.name, "profile": found.profile, **told})
        return
    out.print(f"[bold]{escape(found.name)}[/] at {escape(found.address)}, profile {escape(found.profile or 'none')}")
    if found.profile is None:
        out.print("No profile fits, so nothing could be read. What it answered:")
        for asked, answered in found.evidence.items():
            out.print(f"  {asked}: {answered}", markup=False)
        return
    table = Table("metric", "value", "unit", box=None, padding=(0, 2, 0, 0))
    for reading in readings:
        table.add_row(reading.metric.name, escape(shown(reading.value)), escape(reading.metric.unit or ""))
    if not readings:  # it is only listened to
        for metric, said in found.says.items():
            table.add_row(metric, *map(escape, said.split(" ", maxsplit=1)))
    out.print(table)


def shown(value: Value) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return "not available"
    return f"{value:.7g}" if isinstance(value, float) else str(value)  # a 32-bit float holds no more


async def _read(
    address: str,
    entry: str | None,
    with_settings: list[str] | None,
    config: Path,
    bus: str | None,
) -> tuple[Found, list[Reading]]:
    adapter = await _bus(entries(entry, with_settings, config), bus, address)
    with bugs_told(adapter):
        return await _read_once(adapter, address)


async def _read_once(adapter: Adapter[Any], address: str) -> tuple[Found, list[Reading]]:
    async with adapter:
        found = await adapter.identify(address)
        child = found.as_child(adapter=adapter.settings.name, bus=adapter.bus)
        readings: list[Reading] = []
        async with closed_after(adapter.read(child, frozenset(adapter.poll_groups(child)))) as blocks:
            async for block in blocks:
                readings.extend(block)
    return found, readings


async def _bus(entries: Sequence[AdapterSettings], named: str | None, address: str) -> Adapter[Any]:
    """Return the one bus that is meant."""
    present = [bus for settings in entries for bus in await present_buses(settings)]
    meant = [bus for bus in present if named in (None, bus.bus)]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(bus.bus for bus in present) or "none"
    if meant:
        raise CommandFailed(f"say on which bus {address} is, with --bus; there are: {names}", EXIT_WRONG)
    raise CommandFailed(f"no bus is called {named!r}; there are: {names}" if named else "there is no bus", EXIT_WRONG)
