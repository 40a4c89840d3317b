"""Units that do not return many registers at once are identified all the same, and cost others nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.modbus.client.pdu import ExceptionResponse, NoSuchUnit, ReadDeviceIdentification, ReadRequest, ReportServerId
from adapters.modbus.discovery.identify import NO_RESPONSE_BOUND
from adapters.modbus.discovery.long_reads import SILENCES_BOUND
from gateway.adapter import DeviceUnreachable, Found

CASES = Path(__file__).parents[1] / "cases"

FAILURES = {
    "silent": lambda: DeviceUnreachable("no answer"),
    "answered in part": lambda: DeviceUnreachable("answered with 2 bytes and announced 2, not 4"),
    "exception 03": lambda: ExceptionResponse(3),
    "silent behind a gateway": lambda: NoSuchUnit("target did not respond", was_forwarded=True),
}
KNOWN_BY_REGISTERS = ["eastron-sdm630/three-phases", "solaredge-inverter/model-103", "sunspec-inverter/two-trackers-and-a-meter"]


class Limited:
    """A unit that fails to return more registers than this, and counts what it was asked."""

    def __init__(self, device, registers, failure, *, lost=()):
        self.device, self.registers, self.failure = device, registers, failure
        self.lost = list(lost)
        self.asked = []

    def answer(self, request):
        self.asked.append(request)
        if isinstance(request, ReadRequest) and (request.count > self.registers or (self.lost and self.lost.pop(0))):
            raise self.failure()
        return self.device.answer(request)


@pytest.mark.parametrize(
    "failure", [one for name, one in FAILURES.items() if name != "silent behind a gateway"], ids=list(FAILURES)[:3]
)
@pytest.mark.parametrize("registers", [1, 2, 5])
@pytest.mark.parametrize("name", KNOWN_BY_REGISTERS)
async def test_a_unit_that_returns_few_registers_is_found_as_what_it_is_and_read(
    memory_transport, read_case, adapter_on, admitted, name, registers, failure
):
    case = read_case(CASES / name)
    without_limit = adapter_on(memory_transport({1: case.device}), units=1)
    expected = await without_limit.identify("1")
    adapter = adapter_on(memory_transport({1: Limited(case.device, registers, failure)}), units=1)
    (found,) = [step async for step in adapter.discover() if isinstance(step, Found)]
    assert (found.profile, found.identity, found.name) == (expected.profile, expected.identity, expected.name)
    child = admitted(found)
    blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
    values = {reading.metric.name: reading.value for block in blocks for reading in block}
    assert values.items() >= case.readings.items()


async def test_a_configured_device_is_found_although_it_returns_one_register_at_a_time(
    memory_transport, memory_unit, read_case, adapter_on
):
    case = read_case(CASES / "eastron-sdm630/three-phases")
    nameless = memory_unit(tables=case.device.tables)
    unit = Limited(nameless, 1, FAILURES["silent"])
    nameless.silent_to = frozenset({ReadDeviceIdentification, ReportServerId})
    devices = [{"unit": 1, "profile": "eastron-sdm630"}]
    found = await adapter_on(memory_transport({1: unit}), devices=devices).identify("1")
    assert found.profile == "eastron-sdm630"


async def test_a_lost_answer_does_not_limit_a_unit(memory_transport, read_case, adapter_on):
    case = read_case(CASES / "solaredge-inverter/model-103")
    without_limit = Limited(case.device, 125, FAILURES["silent"])
    await adapter_on(memory_transport({1: without_limit}), units=1).identify("1")
    first = [isinstance(request, ReadRequest) and request.count > 1 for request in without_limit.asked].index(True)
    reads_before = sum(isinstance(request, ReadRequest) for request in without_limit.asked[:first])
    unit = Limited(case.device, 125, FAILURES["silent"], lost=[False] * reads_before + [True])
    found = await adapter_on(memory_transport({1: unit}), units=1).identify("1")
    assert found.profile == "solaredge-inverter"
    assert len(unit.asked) == len(without_limit.asked) + 2, "a single register, and the read once more"


async def test_a_unit_without_a_limit_is_asked_nothing_more(memory_transport, read_case, adapter_on):
    case = read_case(CASES / "eastron-sdm630/three-phases")
    unit = Limited(case.device, 125, FAILURES["silent"])
    await adapter_on(memory_transport({1: unit}), units=1).identify("1")
    assert len(set(unit.asked)) == len(unit.asked)


async def test_a_unit_that_is_silent_to_registers_it_does_not_have_costs_few_time_outs_more(
    memory_transport, memory_unit, adapter_on
):
    class Silent(Limited):
        def answer(self, request):
            self.asked.append(request)
            if isinstance(request, ReadRequest):
                raise DeviceUnreachable("no answer")
            return self.device.answer(request)

    unit = Silent(memory_unit(identification={0: b"Acme", 1: b"X1", 2: b"1"}), 1, FAILURES["silent"])
    await adapter_on(memory_transport({1: unit}), units=1).identify("1")
    assert len(unit.asked) <= 2 + NO_RESPONSE_BOUND + SILENCES_BOUND
