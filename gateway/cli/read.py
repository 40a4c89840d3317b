"""`xyte-gateway read`: one device, decoded, without the cloud."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.adapter import Adapter, ChildDevice, Found, Reading
from gateway.cli.buses import Entry, With, entries, present_buses
from gateway.cli.common import AsJson, ConfigFile, errors_shown, fail, out, print_json
from gateway.settings import DEFAULT_FILE
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
    with errors_shown():
        found, readings = asyncio.run(_read(address, entry, with_, config, bus))
    if as_json:
        values = {reading.metric.name: {"value": reading.value, "unit": reading.metric.unit} for reading in readings}
        print_json({"address": found.address, "name": found.name, "profile": found.profile, "readings": values})
        return
    out.print(f"[bold]{found.name}[/] at {found.address}, profile {found.profile or 'none'}")
    if found.profile is None:
        out.print("No profile fits, so nothing could be read. What it answered:")
        for asked, answered in found.evidence.items():
            out.print(f"  {asked}: {answered}", markup=False)
        return
    table = Table("metric", "value", "unit", box=None, padding=(0, 2, 0, 0))
    for reading in readings:
        table.add_row(reading.metric.name, "not available" if reading.value is None else str(reading.value), reading.metric.unit)
    out.print(table)


async def _read(
    address: str,
    entry: str | None,
    with_settings: list[str] | None,
    config: Path,
    bus: str | None,
) -> tuple[Found, list[Reading]]:
    buses = [
        one
        for settings in entries(entry, with_settings, config)
        for one in await present_buses(settings)
        if bus in (None, one.bus)
    ]
    if len(buses) != 1:
        names = ", ".join(one.bus for one in buses) or "none"
        fail(f"say on which bus {address} is, with --bus; there are: {names}" if buses else f"there is no bus {bus!r}", 2)
    adapter: Adapter[Any] = buses[0]
    async with adapter:
        found = await adapter.identify(address)
        child = as_child(found, entry=adapter.settings.name, bus=adapter.bus)
        readings: list[Reading] = []
        async with closed_after(adapter.read(child, frozenset(adapter.poll_groups(child)))) as blocks:
            async for block in blocks:
                readings.extend(block)
    return found, readings


def as_child(found: Found, *, entry: str, bus: str) -> ChildDevice:
    """Return the child that a device would be, for reading it without admitting it."""
    return ChildDevice(
        key=found.identity.key,
        adapter=entry,
        bus=bus,
        address=found.address,
        profile=found.profile,
        family=found.family,
        model_id="",
        sub_model=found.sub_model,
        firmware_version=found.firmware_version,
        name=found.name,
        serial_number=found.serial_number,
    )
