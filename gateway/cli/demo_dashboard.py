"""Show what arrives in the cloud of the demo: a line for each device, each command and each configuration; fits 80 by 24."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gateway.demo import BusAddress, Demo
from gateway.emulator.device import Device
from gateway.plain_numbers import seconds_text
from gateway.status.render.metric_texts import headline_order, metric_title
from gateway.status.render.shown_values import shown_value
from gateway.status.snapshot import LatestValue

WIDE: Final = 120
"""From so many columns on, the addresses and sub-models are shown as well."""

MOST_COLUMNS: Final = 200
"""The table is no wider: output that is piped has no width of its own, and a meter has a hundred values."""

MOST_CALLS: Final = 3


def dashboard(running: Demo, *, width: int) -> Group:
    """Return the state of the demo for a terminal of this width."""
    return Group(
        _gateway_line(running),
        _devices(running, width=min(width, MOST_COLUMNS)),
        *_commands(running),
        *_configurations(running),
        Text(_calls(running), style="dim", no_wrap=True, overflow="ellipsis"),
    )


def configuration_state(device: Device, version: int) -> str:
    """Return whether a device has reported that a configuration is in effect."""
    return "in effect" if (device.config.applied_version or 0) >= version else "waits for its device"


def _gateway_line(running: Demo) -> Text:
    parent = running.parent
    if parent is None:
        return Text("The gateway is not registered yet.", style="bold")
    state = parent.state
    up_seconds = state.get("uptime_seconds")
    up = f", up {seconds_text(up_seconds)}" if isinstance(up_seconds, int | float) else ""
    text = f"{parent.name}: {state.get('status', 'registered')}{up}"
    used = [f"{bus.bus} {100 * sum(bus.load.values()):.0f} %" for bus in running.gateway.bus_statuses() if bus.load]
    line = Text(text, style="bold", no_wrap=True, overflow="ellipsis")
    return line.append(f"  used: {', '.join(used)}" if used else "", style="dim not bold")


def _devices(running: Demo, *, width: int) -> Table:
    is_wide = width >= WIDE
    headings = ("device", "values in the cloud", "status", "samples")
    table = Table(*(("bus", "address", *headings, "sub-model") if is_wide else headings), box=None, padding=(0, 1, 0, 0))
    units = _known_metrics(running)
    for (bus, address), device in sorted(running.children.items(), reverse=True):
        cells = (
            Text(device.name or "-", no_wrap=True, overflow="ellipsis"),
            Text(_values(device.state, units.get((bus, address), {})), no_wrap=True, overflow="ellipsis"),
            Text(str(device.state.get("status", "registered"))),
            Text(str(len(running.emulator.journal.telemetry(device.id))), justify="right"),
        )
        if is_wide:
            where = (Text(bus, style="dim", no_wrap=True), Text(address, style="dim", no_wrap=True))
            table.add_row(*where, *cells, Text(device.sub_model or "-", style="dim", no_wrap=True))
        else:
            table.add_row(*cells)
    of_device = table.columns[2 if is_wide else 0]
    of_values = table.columns[3 if is_wide else 1]
    of_device.max_width, of_values.ratio = 24, 1
    table.width = width
    return table


def _known_metrics(running: Demo) -> Mapping[BusAddress, Mapping[str, LatestValue]]:
    """Return what the gateway knows of the metrics of each device: their units and titles."""
    page = running.gateway.page
    if page is None:
        return {}
    children = [record.child for record in running.gateway.state.registry.children.values()]
    return {(child.bus, child.address): {one.metric: one for one in page.history.latest_values(child.key)} for child in children}


def _values(state: Mapping[str, object], known: Mapping[str, LatestValue]) -> str:
    arrived = [known[metric] for metric in state if metric in known]
    texts = []
    for one in headline_order(arrived):
        value = state[one.metric]
        if isinstance(value, bool | int | float | str):
            shown = shown_value(value, one.unit, one.decimals)
            texts.append(f"{metric_title(one.metric, one.title)} {shown.text}{f' {shown.unit}' if shown.unit else ''}")
    return " · ".join(texts) or "no values yet"


def _commands(running: Demo) -> Iterator[Text]:
    for device, command in running.commands:
        outcome = f"{command.status}{f', {command.message}' if command.message else ''}"
        yield Text(f"command {command.name}: {outcome} · {device.name}", no_wrap=True, overflow="ellipsis")


def _configurations(running: Demo) -> Iterator[Text]:
    for device, version in running.configurations:
        state = configuration_state(device, version)
        yield Text(f"configuration {version}: {state} · {device.name}", no_wrap=True, overflow="ellipsis")


def _calls(running: Demo) -> str:
    calls = sorted(running.emulator.journal.calls().items(), key=lambda call: -call[1])
    if not calls:
        return "The cloud has received no call yet."
    shown = ", ".join(f"{name} {count}" for name, count in calls[:MOST_CALLS])
    rest = sum(count for _, count in calls[MOST_CALLS:])
    return f"calls to the cloud: {shown}" + (f", others {rest}" if rest else "")
