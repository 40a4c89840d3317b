"""The line finder: the settings of a line, by listening and by reading; in simulated time and on a pseudo-terminal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest

from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.rtu_search import frames_in
from adapters.modbus.tools.line_finder import (
    LIKELY,
    LIKELY_ASCII,
    LISTENED_SETTINGS,
    AskStep,
    Heard,
    ListenStep,
    find_line_settings,
    settings_text,
)
from adapters.modbus.tools.workbench import ModbusWorkbench
from gateway.adapter import BusUnavailable, LineSettings
from gateway.testing.clock import simulated
from gateway.testing.modbus import Ascii, Frame, ModbusRtuBus, Rtu, SimulatedUnit, Table, VirtualLine

PORT = SerialLine(port="/dev/ttyUSB0")


def line_finder_on(line, settings, **given):
    made = settings(lines=[{"port": "virtual"}], **given)

    def link_to(tried):
        form = {"parity": tried.parity, "stopbits": tried.stopbits, "bytesize": tried.data_bits}
        dial = partial(line.dial, baudrate=tried.baudrate, **form)
        return Link(tried, dial=dial)

    return ModbusWorkbench(made, made.lines[0], None, link_to)


async def detected(bench, **how):
    return [step async for step in bench.detect_line(**how)]


@pytest.mark.parametrize(
    ("baudrate", "parity", "stopbits"),
    [(9600, "N", 1), (19200, "E", 1), (115200, "N", 2), (2400, "E", 1), (38400, "O", 1), (1200, "N", 1)],
)
@pytest.mark.parametrize("unit", [1, 10])
def test_the_settings_of_a_line_are_found_within_a_minute(settings, baudrate, parity, stopbits, unit):
    async def main():
        units = [SimulatedUnit(unit, registers={Table.HOLDING_REGISTERS: {0: 1}})]
        line = VirtualLine(units, baudrate=baudrate, parity=parity, stopbits=stopbits)
        steps = await detected(line_finder_on(line, settings))
        return steps, asyncio.get_running_loop().time()

    steps, seconds = simulated(main())
    assert isinstance(steps[-1], LineSettings)
    assert (steps[-1].baudrate, steps[-1].parity, steps[-1].stopbits) == (baudrate, parity, stopbits)
    assert str(steps[-1]) == f"{baudrate} 8{parity}{stopbits}"
    assert any(f"unit {unit}" in asked for asked in steps[-1].evidence)
    assert seconds < 60
    assert all(step.done <= step.total for step in steps[:-1])


def test_a_line_with_another_master_is_not_disturbed(settings):
    async def main():
        units = [SimulatedUnit(5, registers={Table.HOLDING_REGISTERS: dict.fromkeys(range(10), 7)})]
        line = VirtualLine(units, baudrate=19200, parity="E")

        async def chat():
            while True:
                line.send_as_other_master(Rtu().bytes_of(Frame(5, bytes.fromhex("03 0000 000a"))))
                await asyncio.sleep(0.2)

        chatting = asyncio.create_task(chat())
        steps = await detected(line_finder_on(line, settings))
        chatting.cancel()
        return steps, line

    steps, line = simulated(main())
    assert str(steps[-1]) == "19200 8E1"
    assert "frames of another master" in next(iter(steps[-1].evidence.values()))
    assert {exchange.request[:2] for exchange in line.exchanges} == {b"\x05\x03"}, "nobody was asked"


def test_a_line_where_no_unit_answers_ends_without_settings(settings):
    async def main():
        return await detected(line_finder_on(VirtualLine(), settings))

    assert not any(isinstance(step, LineSettings) for step in simulated(main()))


def test_an_exception_is_an_answer(settings):
    async def main():
        line = VirtualLine([SimulatedUnit(3)], baudrate=9600, parity="N")
        return await detected(line_finder_on(line, settings))

    assert "illegal data address" in next(iter(simulated(main())[-1].evidence.values()))


@pytest.mark.enable_socket
async def test_the_speed_of_a_pseudo_terminal_is_found(settings):
    async with ModbusRtuBus([SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: {0: 1}})], baudrate=19200) as bus:
        made = settings(lines=[{"port": bus.port}], units="1")
        steps = await detected(ModbusWorkbench(made, made.lines[0], None))
    assert steps[-1].baudrate == 19200, "a pseudo-terminal knows no parity"


@pytest.mark.enable_socket
async def test_a_port_that_is_not_there_is_reported(settings):
    made = settings(lines=[{"port": "/dev/no-such-port"}], units="1")
    with pytest.raises(BusUnavailable, match="/dev/no-such-port"):
        await detected(ModbusWorkbench(made, made.lines[0], None))


def test_what_is_tried_is_the_likeliest_first_and_each_setting_once():
    assert LIKELY[:2] == ((9600, "N", 1), (19200, "E", 1))
    assert len(set(LIKELY)) == len(LIKELY)
    steps = find_line_settings(PORT, [1])
    step, tried = next(steps), []
    with suppress(StopIteration):
        while True:
            tried.append(step)
            step = steps.send(Heard() if isinstance(step, ListenStep) else None)
    assert all(isinstance(step, ListenStep) for step in tried[:LISTENED_SETTINGS])
    asked = [settings_text(step.line) for step in tried if isinstance(step, AskStep)]
    assert asked[: len(LIKELY)] == [f"{b} 8{p}{s}" for b, p, s in LIKELY]
    assert asked[len(LIKELY) :][:2] == ["9600 7E1 ASCII", "9600 8N1 ASCII"]
    assert len(asked) == len(LIKELY) + len(LIKELY_ASCII) == len(set(asked))


def test_settings_that_somebody_has_written_down_are_tried_first():
    given = SerialLine(port="/dev/ttyUSB0", baudrate=31250, parity="O")
    assert settings_text(next(find_line_settings(given, [1])).line) == "31250 8O1"


def test_one_answer_that_is_not_confirmed_settles_nothing():
    steps = find_line_settings(PORT, [1])
    step = next(steps)
    answers = iter([*[Heard()] * LISTENED_SETTINGS, "0001", None])
    for answer in answers:
        step = steps.send(answer)
    assert settings_text(step.line) == "19200 8E1"


def test_frames_are_reported_from_noise():
    request = Rtu().bytes_of(Frame(5, bytes.fromhex("03 0000 000a")))
    answer = Rtu().bytes_of(Frame(5, b"\x03\x14" + bytes(20)))
    refusal = Rtu().bytes_of(Frame(5, b"\x83\x02"))
    assert frames_in(request + answer) == 2
    assert frames_in(b"\xff\x00" + request + b"\x13" + refusal) == 2
    assert frames_in(bytes(range(256)) * 16) == 0
    assert frames_in(b"") == frames_in(b"\x01\x03") == 0


FORMS = [("E", 1, 7), ("O", 1, 7), ("N", 2, 7), ("N", 1, 8)]


@pytest.mark.parametrize(("parity", "stopbits", "bytesize"), FORMS)
def test_ascii_of_another_master_is_recognised_with_the_form_of_its_characters(settings, parity, stopbits, bytesize):
    async def main():
        units = [SimulatedUnit(5, registers={Table.HOLDING_REGISTERS: dict.fromkeys(range(10), 7)})]
        line = VirtualLine(units, baudrate=9600, parity=parity, stopbits=stopbits, bytesize=bytesize, framing="ascii")

        async def chat():
            while True:
                line.send_as_other_master(Ascii().bytes_of(Frame(5, bytes.fromhex("03 0000 000a"))))
                await asyncio.sleep(0.3)

        chatting = asyncio.create_task(chat())
        steps = await detected(line_finder_on(line, settings))
        chatting.cancel()
        return steps, line

    steps, line = simulated(main())
    assert str(steps[-1]) == f"9600 {bytesize}{parity}{stopbits} ASCII"
    assert f'parity = "{parity}", stopbits = {stopbits}, bytesize = {bytesize}, framing = "ascii"' in steps[-1].toml
    assert "ASCII frames of another master" in next(iter(steps[-1].evidence.values()))
    assert {exchange.request[:5] for exchange in line.exchanges} == {b":0503"}, "nobody was asked"


@pytest.mark.parametrize(("parity", "stopbits", "bytesize"), FORMS)
def test_ascii_units_are_found_by_asking(settings, parity, stopbits, bytesize):
    async def main():
        units = [SimulatedUnit(3, registers={Table.HOLDING_REGISTERS: {0: 1}})]
        line = VirtualLine(units, baudrate=9600, parity=parity, stopbits=stopbits, bytesize=bytesize, framing="ascii")
        steps = await detected(line_finder_on(line, settings))
        return steps, asyncio.get_running_loop().time()

    steps, seconds = simulated(main())
    assert str(steps[-1]) == f"9600 {bytesize}{parity}{stopbits} ASCII"
    assert (steps[-1].framing, steps[-1].bytesize) == ("ascii", bytesize)
    assert seconds < 90


def test_ascii_is_tried_first_where_the_line_is_configured_for_it():
    given = SerialLine(port="/dev/ttyUSB0", framing="ascii")
    steps = find_line_settings(given, [1])
    step = next(steps)
    while isinstance(step, ListenStep):
        step = steps.send(Heard())
    assert settings_text(step.line) == "9600 7E1 ASCII"
