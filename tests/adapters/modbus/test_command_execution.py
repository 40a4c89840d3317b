"""Commands on a line: what is written, what is read before and after, and what is told when an answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.link import Link
from adapters.modbus.discovery.distinct_devices import BusId, found_device
from adapters.modbus.discovery.identify import ProbeResult
from gateway.adapter import BusUnavailable, Command, CommandRejected, CommandResult, OutcomeUnknown
from gateway.testing.clock import simulated
from gateway.testing.modbus import ScriptedUnit, SimulatedUnit, VirtualLine
from gateway.testing.modbus import Table as Tables

OVEN = """
name = "oven"
title = "Oven"
family = "oven"
source = { document = "this test", edition = "1", section = "1" }
[[points]]
metric = "set_point"
address = 4001
type = "int16"
scale = 0.1
unit = "°C"
[[points]]
metric = "start"
address = 5
[[points]]
metric = "energy"
address = 6
type = "uint32"
[[points]]
metric = "fan"
table = "coil"
type = "bool"
address = 3
[[commands]]
name = "set_temperature"
metric = "set_point"
parameter = "celsius"
between = [0, 250]
[[commands]]
name = "press_start"
metric = "start"
value = 1
read_back = false
[[commands]]
name = "set_energy"
metric = "energy"
between = [0, 100000]
[[commands]]
name = "blow"
metric = "fan"
parameter = "on"
[[commands]]
name = "unlock"
metric = "start"
parameter = "pin"
between = [0, 99999]
secret = true
read_back = false
"""

READ, WRITE = 3, 6


@dataclass
class Oven:
    """A unit with a few registers, whose answers to some functions can be replaced."""

    registers: dict[int, int] = field(default_factory=lambda: {4001: 180, 5: 0})
    answers: dict[int, Callable[[int], bytes | None]] = field(default_factory=dict)
    """Function -> how often it was called -> the answer that is given instead; `None` for silence."""
    executes: bool = True
    calls: list[int] = field(default_factory=list)
    line: VirtualLine | None = None

    def answer(self, request: bytes) -> bytes | None:
        function, address = request[0], int.from_bytes(request[1:3])
        self.calls.append(function)
        if function == WRITE and self.executes:
            self.registers[address] = int.from_bytes(request[3:5])
        if function in self.answers:
            return self.answers[function](self.calls.count(function))
        return request[:5] if function == WRITE else bytes([READ, 2]) + self.registers[address].to_bytes(2)


def exception(function: int, code: int) -> Callable[[int], bytes]:
    return lambda _count: bytes([0x80 | function, code])


def silence(_count: int) -> None:
    return None


@pytest.fixture
def on_the_line(settings, tmp_path):
    """Run a test with an adapter on a line with this oven, and with the child that it is."""
    (tmp_path / "oven.toml").write_text(OVEN)
    given = settings(lines=[{"port": "virtual"}], timeout=0.2, retries=0, profiles=[str(tmp_path)])

    def run(oven, test):
        async def main():
            oven.line = VirtualLine([ScriptedUnit(3, oven.answer)])
            adapter = ModbusAdapter(given, given.lines[0], Link(given.lines[0], dial=oven.line.dial))
            async with adapter:
                child = adapter.unregistered_child(address="3", name="Oven 3", key="oven", profile="oven")
                return await test(adapter, child)

        return simulated(main())

    return run


def heat(celsius: float = 20.0) -> Command:
    return Command(1, "oven", "set_temperature", {"celsius": celsius})


@pytest.fixture
def execute(on_the_line):
    def run(oven: Oven, command: Command | None = None) -> CommandResult:
        return on_the_line(oven, lambda adapter, child: adapter.execute(child, command or heat()))

    return run


def test_the_value_is_read_written_once_and_read_back(execute):
    oven = Oven()
    result = execute(oven)
    assert oven.calls == [READ, WRITE, READ]
    assert oven.registers[4001] == 200
    assert result == CommandResult(
        message="set_point is 20 °C, was 18 °C", is_proven=True, before={"set_point": 18.0}, after={"set_point": 20.0}
    )


def test_a_button_is_only_written_and_its_effect_not_proven(execute):
    oven = Oven()
    result = execute(oven, Command(1, "oven", "press_start", {}))
    assert oven.calls == [WRITE]
    assert result == CommandResult(message="Oven 3 accepted press_start")


def test_a_unit_that_confirms_and_keeps_its_value_did_not_do_it(execute):
    with pytest.raises(CommandRejected, match=r"Oven 3 accepted it, but set_point is 18 °C, not 20 °C"):
        execute(Oven(executes=False))


@pytest.mark.parametrize("code", [0x01, 0x02, 0x03, 0x06, 0x20])
def test_a_refusal_changes_nothing_and_is_told(execute, code):
    oven = Oven(answers={WRITE: exception(WRITE, code)}, executes=False)
    with pytest.raises(CommandRejected, match=f"Oven 3 refuses it: exception {code:02X}"):
        execute(oven)
    assert oven.calls == [READ, WRITE]


def test_nothing_is_written_to_a_unit_that_does_not_answer(execute):
    oven = Oven(answers={READ: silence})
    with pytest.raises(CommandRejected, match=r"Oven 3 does not answer: .*; nothing was written"):
        execute(oven)
    assert WRITE not in oven.calls


def test_nothing_is_written_to_a_register_that_cannot_be_read(execute):
    oven = Oven(answers={READ: exception(READ, 0x02)})
    with pytest.raises(CommandRejected, match=r"refuses to read holding 4001: exception 02 .*; nothing was written"):
        execute(oven)
    assert WRITE not in oven.calls


@pytest.mark.parametrize(
    "lost",
    [silence, exception(WRITE, 0x04), exception(WRITE, 0x05), exception(WRITE, 0x0B), lambda _count: bytes([WRITE, 0, 1, 0, 1])],
    ids=["silence", "device failure", "still executing", "behind a gateway", "another confirmation"],
)
def test_a_lost_confirmation_is_replaced_by_reading_back(execute, lost):
    oven = Oven(answers={WRITE: lost})
    assert execute(oven).is_proven
    assert oven.calls == [READ, WRITE, READ], "never written twice"
    with pytest.raises(OutcomeUnknown, match="set_point is 18 °C, not 20 °C"):
        execute(Oven(answers={WRITE: lost}, executes=False))
    with pytest.raises(OutcomeUnknown):
        execute(Oven(answers={WRITE: lost}), Command(1, "oven", "press_start", {}))


def test_a_modbus_gateway_without_a_path_to_the_unit_has_written_nothing(execute):
    with pytest.raises(CommandRejected, match="gateway path unavailable; nothing was written"):
        execute(Oven(answers={WRITE: exception(WRITE, 0x0A)}, executes=False))


@pytest.mark.parametrize("answer", [None, bytes([0x83, 0x06])], ids=["silence", "busy"])
def test_a_write_whose_effect_cannot_be_read_is_neither_done_nor_failed(execute, answer):
    oven = Oven()
    oven.answers[READ] = lambda count: bytes([READ, 2, 0, 180]) if count == 1 else answer
    with pytest.raises(OutcomeUnknown, match="Oven 3 confirmed the write; set_point could not be read back"):
        execute(oven)
    assert oven.calls == [READ, WRITE, READ]


def test_a_bus_that_is_lost_in_mid_write_is_lost(on_the_line):
    oven = Oven(answers={WRITE: lambda _count: oven.line.unplug()})
    with pytest.raises(BusUnavailable):
        on_the_line(oven, lambda adapter, child: adapter.execute(child, heat()))
    assert oven.calls == [READ, WRITE]


@pytest.mark.parametrize(
    ("command", "registers", "proven"),
    [
        (heat(20), {4001: 200}, "set_point is 20 °C"),
        (heat(20), {4001: 180}, None),
        (Command(1, "oven", "press_start", {}), {5: 1}, None),
    ],
)
def test_an_interrupted_command_is_proven_by_the_value_of_the_unit(on_the_line, command, registers, proven):
    oven = Oven(registers=registers)
    result = on_the_line(oven, lambda adapter, child: adapter.read_back(child, command))
    assert (None if result is None else result.message) == proven
    assert result is None or result.is_proven
    assert WRITE not in oven.calls


def test_reading_back_a_register_that_is_refused_proves_nothing(on_the_line):
    oven = Oven(answers={READ: exception(READ, 0x06)})
    assert on_the_line(oven, lambda adapter, child: adapter.read_back(child, heat())) is None


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("set_temperature", {"celsius": 20}, "unit 3: write holding register 4001 = 0x00C8 (set_point 20 °C), then read it back"),
        ("set_energy", {"value": 70000}, "unit 3: write holding registers 6-7 = 0x0001 0x1170 (energy 70000), then read it back"),
        ("blow", {"on": True}, "unit 3: write coil 3 = on (fan), then read it back"),
        ("press_start", {}, "unit 3: write holding register 5 = 0x0001 (start 1)"),
        ("unlock", {"pin": "4711"}, "unit 3: write holding register 5 = the secret start"),
    ],
)
def test_what_would_be_written_is_told_and_nothing_sent(on_the_line, name, parameters, sentence):
    oven = Oven()

    async def test(adapter, child):
        return adapter.planned_writes(child, Command(1, "oven", name, parameters))

    assert on_the_line(oven, test) == [sentence]
    assert oven.calls == []


def test_a_secret_is_written_and_never_told(execute):
    oven = Oven()
    result = execute(oven, Command(1, "oven", "unlock", {"pin": "4711"}))
    assert oven.registers[5] == 4711
    assert "4711" not in str(result)
    for pin in ("99999", 99999, ["4711"]):
        with pytest.raises(CommandRejected) as refused:
            execute(Oven(), Command(1, "oven", "unlock", {"pin": pin}))
        assert "999" not in str(refused.value).replace("65535", "")
        assert "4711" not in str(refused.value)


def test_the_limits_of_a_parameter_are_those_of_its_register(on_the_line):
    async def test(adapter, child):
        return {spec.name: spec for spec in adapter.commands(child)}

    specs = on_the_line(Oven(), test)
    pin = specs["unlock"].parameters.model_json_schema()["properties"]["pin"]
    assert (pin["minimum"], pin["maximum"]) == (0, 65535)
    assert [specs[name].is_proven for name in ("set_temperature", "press_start", "blow")] == [True, False, True]


def test_a_relay_is_switched_once_and_read_back(settings, admitted):
    given = settings(lines=[{"port": "virtual"}], devices=[{"unit": 1, "profile": "waveshare-relay-b"}])

    def switch(coils):
        async def main():
            line = VirtualLine([SimulatedUnit(1, registers={Tables.COILS: coils})])
            adapter = ModbusAdapter(given, given.lines[0], Link(given.lines[0], dial=line.dial))
            result = ProbeResult(alive=True, profile=given.library["waveshare-relay-b"])
            child = admitted(found_device(BusId("plant", "virtual"), 1, result))
            async with adapter:
                told = await adapter.execute(child, Command(1, child.key, "switch_relay_3", {"on": True}))
            return told.message, [exchange.request[1] for exchange in line.exchanges]

        return simulated(main())

    assert switch(dict.fromkeys(range(8), 0)) == ("relay_3 is true, was false", [1, 5, 1])
    with pytest.raises(CommandRejected, match="refuses to read coil 2: exception 02 illegal data address; nothing was written"):
        switch({0: 0})
