"""How long the line detective takes to find out how a serial line is set, with one unit on it, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import stage
from comparison import Comparison

from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.unit_ids import LAST_UNIT
from adapters.modbus.settings import ModbusSettings
from adapters.modbus.tools.line_finder import LIKELY
from adapters.modbus.tools.workbench import ASK_SECONDS, ModbusWorkbench
from gateway.adapter import LineSettings
from gateway.testing.clock import simulated
from gateway.testing.modbus import VirtualLine

LINES = ((9600, "N", 1), (19200, "E", 1), (115200, "N", 2))
UNITS = (1, 10)
MOST_SECONDS = 60


def compare() -> Iterator[Comparison]:
    """Three lines, with the unit at the first and at the last unit id that is asked."""
    for setting in LINES:
        for unit in UNITS:
            found, seconds = simulated(detected(setting, unit))
            yield Comparison(
                what=f"{setting[0]} 8{setting[1]}{setting[2]} with a unit at id {unit}: found {found}",
                unit="s",
                figure=seconds,
                baseline=(LIKELY.index(setting) + 1) * LAST_UNIT * ASK_SECONDS,
                baseline_is="all unit ids at each setting, in the same order",
                more_is_better=False,
                goal=f"found, under {MOST_SECONDS} s",
                holds=found == f"{setting[0]} 8{setting[1]}{setting[2]}" and seconds < MOST_SECONDS,
            )


async def detected(setting: tuple[int, str, int], unit: int) -> tuple[str, float]:
    """Return the settings that were found and the simulated seconds that it took."""
    baudrate, parity, stopbits = setting
    line = VirtualLine(stage.units((unit,)), baudrate=baudrate, parity=parity, stopbits=stopbits)
    settings = ModbusSettings.model_validate({"type": "modbus", "lines": [{"port": "virtual"}]})

    def link_to(tried: SerialLine) -> Link:
        dial = partial(line.dial, baudrate=tried.baudrate, parity=tried.parity, stopbits=tried.stopbits)
        return Link(tried, dial=dial)

    found = [step async for step in ModbusWorkbench(settings, settings.lines[0], None, link_to).detect_line()]
    return str(found[-1]) if isinstance(found[-1], LineSettings) else "nothing", asyncio.get_running_loop().time()
