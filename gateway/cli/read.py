"""`xyte-gateway read`: identify one device and read it once, without the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.adapter import Adapter, Found, Reading, Value
from gateway.cli.buses import Address, BusName, Entry, With, adapter_bugs_reported, address_first, bus_of_device, entries
from gateway.cli.common import EXIT_FAILED, AsJson, ConfigFile, err, errors_shown, out, print_json
from gateway.config.settings import DEFAULT_FILE
from gateway.tasks import closed_after

NOT_AVAILABLE = "not available"
"""What is shown in the place of a value that a device does not have."""


def read(
    address: Address,
    entry: Entry = None,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    bus: BusName = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Identify one device and read all points of its profile once. Read-only; nothing is sent to the cloud.

    Exit code 1 if it does not answer, or has no value that could be read.
    """
    with errors_shown(as_json=as_json):
        address, entry = address_first(address, entry, with_, config)
        found, readings, remarks = asyncio.run(_read(address, entry, with_, config, bus))
    if as_json:
        values = {reading.metric.name: {"value": reading.value, "unit": reading.metric.unit} for reading in readings}
        content: dict[str, Any] = {"readings": values, "says": dict(found.says), "remarks": remarks}
        problem = {"problem": NOTHING_READ, "evidence": dict(found.evidence)} if found.profile is None else {}
        print_json({"address": found.address, "name": found.name, "profile": found.profile, **content, **problem})
    else:
        _show_device(found, readings, remarks)
    if found.profile is None:
        raise typer.Exit(EXIT_FAILED)


NOTHING_READ = "no profile matches, so nothing could be read"


def _show_device(found: Found, readings: Sequence[Reading], remarks: Sequence[str]) -> None:
    """Show what was read from the device, or what it answered."""
    out.print(f"[bold]{escape(found.name)}[/] at {escape(found.address)}, profile {escape(found.profile or 'none')}")
    if found.profile is None:
        out.print(f"{NOTHING_READ.capitalize()}. Its answers:")
        for asked, answered in found.evidence.items():
            out.print(f"  {asked}: {answered}", markup=False)
        _show(remarks)
        return
    table = Table("metric", "value", "unit", box=None, padding=(0, 2, 0, 0))
    for reading in readings:
        table.add_row(reading.metric.name, escape(value_text(reading.value)), escape(reading.metric.unit or ""))
    if not readings:  # it sends values unasked, and is never read
        for metric, text in found.says.items():
            table.add_row(metric, *map(escape, [text] if text == NOT_AVAILABLE else text.split(" ", maxsplit=1)))
    out.print(table)
    _show(remarks)


def _show(remarks: Sequence[str]) -> None:
    """Show what the adapter says about how the device is read."""
    for remark in remarks:
        err.print(f"[yellow]{escape(remark)}[/]", soft_wrap=True)


def value_text(value: Value) -> str:
    """Return a value for people to read."""
    if value is None:
        return NOT_AVAILABLE
    return f"{value:.7g}" if isinstance(value, float) else str(value)  # a 32-bit float has no more digits


async def _read(
    address: str,
    entry: str | None,
    with_settings: list[str] | None,
    config: Path,
    bus: str | None,
) -> tuple[Found, list[Reading], list[str]]:
    adapter = await bus_of_device(entries(entry, with_settings, config), bus, address)
    with adapter_bugs_reported(adapter):
        return await _read_once(adapter, address)


async def _read_once(adapter: Adapter[Any], address: str) -> tuple[Found, list[Reading], list[str]]:
    async with adapter:
        found = await adapter.identify(address)
        child = found.as_child(adapter=adapter.settings.name, bus=adapter.bus)
        readings: list[Reading] = []
        async with closed_after(adapter.read(child, frozenset(adapter.poll_groups(child)))) as blocks:
            async for block in blocks:
                readings.extend(block)
        of_bus = adapter.bus_remarks()
        remarks = [*of_bus, *(remark for remark in adapter.remarks(child) if not any(remark in other for other in of_bus))]
    return found, readings, remarks
