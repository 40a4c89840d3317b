"""What a unit refuses for a moment, and what it does not do at all: over time, on a bus in memory with a simulated clock."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.modbus.client.pdu import ExceptionResponse, NoSuchUnit, ReadRequest, Table
from adapters.modbus.polling.refusals import ASKED_AGAIN_AFTER, CONFIRMED_BY_ONE, TEMPORARY_CODES
from gateway.adapter import DeviceUnreachable
from gateway.testing.clock import simulated

FREQUENCY = ReadRequest(Table.INPUT, 0x46, 2)
DAY = 86400


@dataclass
class FaultyUnit:
    """A unit that answers as another one, but for the reads of which a rule says something: a code, `None` for silence."""

    device: object
    rule: Callable[[ReadRequest], int | str | None] = lambda read: "answer"
    asked: list[ReadRequest] = field(default_factory=list)

    def answer(self, request):
        if isinstance(request, ReadRequest):
            self.asked.append(request)
            outcome = self.rule(request)
            if outcome is None:
                raise DeviceUnreachable("no answer")
            if outcome == "absent":
                raise NoSuchUnit("gateway path unavailable")
            if outcome == "target":
                raise NoSuchUnit("gateway target did not respond", was_forwarded=True)
            if outcome != "answer":
                raise ExceptionResponse(outcome)
        return self.device.answer(request)


def refuses(read: ReadRequest, code: int | None):
    """A rule: each read that touches this one fails."""

    def rule(request: ReadRequest):
        overlaps = request.table is read.table and request.address < read.address + read.count
        return code if overlaps and read.address < request.address + request.count else "answer"

    return rule


def at_most(registers: int, outcome: int | str | None):
    """A rule: each read of more registers fails."""
    return lambda read: outcome if read.count > registers else "answer"


@pytest.fixture
def meter(read_case):
    return read_case(Path(__file__).parents[1] / "cases/eastron-sdm630/three-phases")


@pytest.fixture
def plant(memory_transport, meter, adapter_on, admitted):
    """Make an adapter with some units like one meter; each is found while it is healthy."""

    class Plant:
        def __init__(self, units=1, memory=None):
            self.units = {number: FaultyUnit(meter.device) for number in range(1, units + 1)}
            self.transport = memory_transport(self.units)
            self.adapter = adapter_on(self.transport, units=f"1-{units}")
            if memory is not None:
                self.adapter.memory = memory
            self.children = {}

        async def find(self):
            for number in self.units:
                self.children[number] = admitted(await self.adapter.identify(str(number)))
            return self

        async def read(self, number=1):
            """Return the metrics that were read once, and how many requests that took."""
            self.transport.asked.clear()
            groups = frozenset(self.adapter.poll_groups(self.children[number]))
            blocks = [block async for block in self.adapter.read(self.children[number], groups)]
            names = [reading.metric.name for block in blocks for reading in block]
            assert len(names) == len(set(names)), "each once"
            return set(names), len(self.transport.asked)

        async def read_for(self, seconds, number=1, every=5.0):
            """Read again and again; return at which times each of the missing metrics was read, and the requests in all."""
            seen, requests, begun = {}, 0, asyncio.get_running_loop().time()
            while (at := asyncio.get_running_loop().time() - begun) <= seconds:
                names, count = await self.read(number)
                requests += count
                for name in names:
                    seen.setdefault(name, []).append(at)
                await asyncio.sleep(every)
            return seen, requests

        def remarks(self, number=1):
            return " ".join(self.adapter.remarks(self.children[number]))

    return Plant


ALL_CODES = [0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x08, 0x09, 0x0C, 0x20, 0x7F, 0xFF]


@pytest.mark.parametrize("code", ALL_CODES, ids="{:02X}".format)
def test_a_block_is_halved_for_each_code_that_can_be_about_addresses(plant, meter, code):
    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, code)
        names, _ = await on.read()
        assert names == meter.readings.keys() - {"frequency"}
        assert "refuses input 70-71: frequency left out since" in on.remarks()
        assert f"exception {code:02X}" in on.remarks()

    simulated(main())


@pytest.mark.parametrize("code", [0x05, 0x06], ids="{:02X}".format)
def test_a_block_is_not_halved_for_a_code_that_has_nothing_to_do_with_addresses(plant, code):
    async def main():
        on = await plant().find()
        _, healthy = await on.read()
        on.units[1].rule = lambda read: code
        names, requests = await on.read()
        assert (names, requests) == (set(), healthy)
        assert "refuses" not in on.remarks()

    simulated(main())


@pytest.mark.parametrize("code", ALL_CODES, ids="{:02X}".format)
def test_a_point_that_is_refused_once_is_missing_for_some_seconds_only(plant, meter, code):
    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, code)
        assert "frequency" not in (await on.read())[0]
        on.units[1].rule = lambda read: "answer"
        seen, _ = await on.read_for(60)
        assert seen["frequency"][0] <= ASKED_AGAIN_AFTER[0] + 5
        assert "left out" not in on.remarks()
        _, requests = await on.read()
        fresh = await plant().find()
        assert requests == (await fresh.read())[1], "the blocks are as before"

    simulated(main())


def test_a_refused_point_is_asked_for_again_alone_after_growing_intervals(plant):
    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, 2)
        await on.read()
        on.units[1].asked.clear()
        times = []
        for _ in range(2 * DAY // 60):
            before = len(on.units[1].asked)
            await on.read()
            if FREQUENCY in on.units[1].asked[before:]:
                times.append(asyncio.get_running_loop().time())
            await asyncio.sleep(60)
        assert len(times) == len([read for read in on.units[1].asked if read == FREQUENCY]) <= 8
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps == sorted(gaps)
        assert gaps[-1] >= DAY

    simulated(main())


@pytest.mark.parametrize("code", sorted(TEMPORARY_CODES - {0x05, 0x06, 0x0A, 0x0B}), ids="{:02X}".format)
def test_a_temporary_code_never_leaves_a_point_out_for_long_nor_becomes_a_fact(plant, code):
    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, code)
        for _ in range(DAY // 300):
            await on.read()
            await asyncio.sleep(300)
        assert not [key for key in on.adapter.memory if key.startswith("refused by")]
        on.units[1].rule = lambda read: "answer"
        seen, _ = await on.read_for(620)
        assert seen["frequency"][0] <= 610

    simulated(main())


def test_a_refusal_is_a_fact_for_the_model_and_the_next_start_only_after_it_was_repeated_over_minutes(plant, meter):
    async def main():
        on = await plant(units=2).find()
        for unit in on.units.values():
            unit.rule = refuses(FREQUENCY, 2)
        await on.read(1)
        assert FREQUENCY in [*on.units[2].asked, *await asked_by(on, 2)], "one refusal of another unit says nothing"
        restarted = await plant(units=2, memory=on.adapter.memory).find()
        assert "frequency" in (await restarted.read(2))[0], "nor after a restart"
        await on.read_for(sum(ASKED_AGAIN_AFTER[:CONFIRMED_BY_ONE]))
        restarted = await plant(units=2, memory=on.adapter.memory).find()
        for unit in restarted.units.values():
            unit.rule = refuses(FREQUENCY, 2)
        for number in (1, 2):
            names, requests = await restarted.read(number)
            assert names == meter.readings.keys() - {"frequency"}
            assert FREQUENCY not in restarted.units[number].asked
            assert requests <= 5

    async def asked_by(on, number):
        await on.read(number)
        return on.units[number].asked

    simulated(main())


def test_two_units_that_refuse_the_same_make_a_fact_sooner(plant):
    async def main():
        on = await plant(units=2).find()
        for unit in on.units.values():
            unit.rule = refuses(FREQUENCY, 2)
        for _ in range(5):
            await on.read(1)
            assert not [key for key in on.adapter.memory if key.startswith("refused by")]
            await asyncio.sleep(5)
        for _ in range(5):
            await on.read(2)
            await asyncio.sleep(5)
        assert [key for key in on.adapter.memory if key.startswith("refused by")]

    simulated(main())


def test_a_unit_that_has_what_others_of_its_model_lack_is_asked_itself(plant, meter):
    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, 2)
        await on.read_for(400)
        restarted = await plant(memory=on.adapter.memory).find()
        seen, _ = await restarted.read_for(700)
        assert 0 < seen["frequency"][0] <= 610
        assert seen.keys() == meter.readings.keys()

    simulated(main())


def test_another_firmware_version_is_asked_anew(plant):
    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, 2)
        await on.read_for(400)
        on.units[1].rule = lambda read: "answer"
        on.children[1] = replace(on.children[1], firmware_version="9.9")
        assert "frequency" in (await on.read())[0]

    simulated(main())


def test_a_device_that_is_starting_costs_few_requests_and_is_read_soon_after(plant, meter):
    async def main():
        on = await plant().find()
        _, healthy = await on.read()
        on.units[1].rule = lambda read: 0x02
        begun = asyncio.get_running_loop().time()
        _, requests = await on.read()
        assert requests <= 7 * healthy
        _, while_starting = await on.read_for(30)
        assert while_starting <= 12 * healthy
        on.units[1].rule = lambda read: "answer"
        seen, _ = await on.read_for(120)
        assert seen.keys() == meter.readings.keys()
        assert max(times[0] for times in seen.values()) <= 65
        assert asyncio.get_running_loop().time() > begun

    simulated(main())


def test_what_is_repeated_is_logged_once_and_so_is_its_end(plant, caplog):
    caplog.set_level(logging.INFO, logger="adapters.modbus")

    async def main():
        on = await plant().find()
        on.units[1].rule = refuses(FREQUENCY, 2)
        await on.read()
        assert not caplog.records, "a single refusal is nothing to act on"
        await on.read_for(3 * 3600, every=15)
        (warning,) = caplog.records
        assert warning.getMessage().startswith(f"bus: {on.children[1].name} refuses input 70-71: frequency left out since")
        caplog.clear()
        on.units[1].rule = lambda read: "answer"
        await on.read_for(DAY, every=600)
        (over,) = caplog.records
        assert over.getMessage() == f"bus: {on.children[1].name} answers again: frequency"

    simulated(main())


LIMITED = {"silent": None, "exception 03": 3, "silent behind a gateway": "target"}


@pytest.mark.parametrize("outcome", LIMITED.values(), ids=LIMITED)
@pytest.mark.parametrize("registers", [1, 2, 3, 10, 20])
def test_a_device_that_returns_few_registers_at_once_is_read_completely(plant, meter, registers, outcome):
    async def main():
        on = await plant().find()
        on.units[1].rule = at_most(registers, outcome)
        first, _ = await on.read()
        assert first == meter.readings.keys()
        on.units[1].asked.clear()
        second, _ = await on.read()
        assert second == meter.readings.keys()
        assert all(read.count <= registers for read in on.units[1].asked), "the limit is learned"
        assert "answers at most" in on.remarks()
        assert "left out" not in on.remarks()

    simulated(main())


def test_values_read_in_parts_are_the_same_as_those_read_at_once(plant, meter):
    async def main():
        on = await plant().find()
        on.units[1].rule = at_most(1, None)
        groups = frozenset(on.adapter.poll_groups(on.children[1]))
        for _ in range(2):
            blocks = [block async for block in on.adapter.read(on.children[1], groups)]
            assert {reading.metric.name: reading.value for block in blocks for reading in block} == meter.readings

    simulated(main())


def test_the_limit_of_a_device_is_found_exactly_and_grows_again_when_the_device_returns_more(plant):
    async def main():
        on = await plant().find()
        on.units[1].rule = at_most(13, None)
        await on.read_for(3 * 3600, every=60)
        assert "answers at most 1" in on.remarks()
        longest = max(read.count for read in on.units[1].asked[-10:])
        assert longest <= 13
        on.units[1].rule = lambda read: "answer"
        await on.read_for(3 * DAY, every=1800)
        assert "answers at most" not in on.remarks()

    simulated(main())


def test_a_limit_is_remembered_for_the_model_and_forgotten_with_the_firmware(plant):
    async def main():
        on = await plant().find()
        on.units[1].rule = at_most(2, None)
        await on.read_for(3600)
        restarted = await plant(memory=on.adapter.memory).find()
        restarted.units[1].rule = at_most(2, None)
        restarted.units[1].asked.clear()
        await restarted.read()
        assert max(read.count for read in restarted.units[1].asked) == 2
        restarted.children[1] = replace(restarted.children[1], firmware_version="9.9")
        restarted.units[1].asked.clear()
        await restarted.read()
        assert max(read.count for read in restarted.units[1].asked) > 2

    simulated(main())


def test_a_unit_that_falls_silent_is_not_halved(plant):
    async def main():
        on = await plant().find()
        await on.read()
        del on.units[1]
        on.transport.asked.clear()
        for _ in range(3):
            with pytest.raises(DeviceUnreachable):
                await on.read()
        assert len(on.transport.asked) <= 4, "no halves, and once whether it is there"

    simulated(main())


def test_a_unit_that_is_silent_from_the_start_costs_one_more_request(plant):
    async def main():
        on = await plant().find()
        del on.units[1]
        on.transport.asked.clear()
        with pytest.raises(DeviceUnreachable):
            await on.read()
        assert len(on.transport.asked) == 2

    simulated(main())


def test_a_lost_answer_to_a_block_that_was_read_before_halves_nothing(plant):
    async def main():
        on = await plant().find()
        await on.read()
        on.units[1].asked.clear()
        lost = iter([None])
        on.units[1].rule = lambda read: next(lost, "answer")
        with pytest.raises(DeviceUnreachable):
            await on.read()
        assert len(on.units[1].asked) == 1
        assert "answers at most" not in on.remarks()

    simulated(main())


def test_a_block_that_a_unit_does_not_answer_any_more_while_it_answers_others_is_halved_in_the_end(plant, meter):
    async def main():
        on = await plant().find()
        await on.read()
        on.units[1].rule = refuses(FREQUENCY, None)
        for _ in range(2):
            with pytest.raises(DeviceUnreachable):
                await on.read()
        names, _ = await on.read()
        assert names == meter.readings.keys() - {"frequency"}
        assert "does not answer input 70-71: frequency left out since" in on.remarks()

    simulated(main())


def test_a_unit_that_a_gateway_has_no_way_to_is_not_halved(plant):
    async def main():
        on = await plant().find()
        on.units[1].rule = at_most(0, "absent")
        with pytest.raises(DeviceUnreachable):
            await on.read()
        assert len(on.transport.asked) == 1

    simulated(main())


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"refused": ["frequency"], "places": [], "seams": [], "until": null}']
)
def test_what_was_stored_in_another_way_is_ignored(plant, meter, text):
    async def main():
        on = await plant().find()
        child = on.children[1]
        key = f"refused by {child.profile} {child.sub_model} firmware {child.firmware_version or '-'}"
        restarted = await plant(memory={key: text}).find()
        assert (await restarted.read())[0] == meter.readings.keys()

    simulated(main())


def test_a_metric_that_another_map_has_elsewhere_is_not_left_out(plant, meter):
    async def main():
        on = await plant().find()
        child = on.children[1]
        on.units[1].rule = refuses(FREQUENCY, 2)
        assert "frequency" not in (await on.read())[0]
        new = json.loads(on.adapter.point_map(child))
        one, other = (next(point for point in new["points"] if point["metric"] == name) for name in ("frequency", "energy_total"))
        one["address"], other["address"] = other["address"], one["address"]
        on.adapter.use_map(child.key, json.dumps(new))
        assert "frequency" in (await on.read())[0]

    simulated(main())


def test_a_device_that_answers_fewer_registers_than_asked_is_read(plant, meter):
    """ant0nkr/luxpower-ha-integration issue 52 (80 of 125 registers) and evcc-io/evcc issue 12925 (1 of 2)."""

    async def main():
        for registers in (1, 8):
            on = await plant().find()

            def short(read, most=registers):
                if read.count > most:
                    raise DeviceUnreachable(f"unit 1 answered {read} with {2 * most} bytes and announced {2 * most}")
                return "answer"

            on.units[1].rule = short
            assert (await on.read())[0] == meter.readings.keys()
            on.units[1].asked.clear()
            assert (await on.read())[0] == meter.readings.keys()
            assert max(read.count for read in on.units[1].asked) <= registers

    simulated(main())


def test_a_module_that_comes_and_goes_with_the_gateways_of_a_plant_is_read_when_it_is_there(plant, meter):
    """ioBroker/ioBroker.modbus issue 376: exceptions 02 and 0A for a module that is found ten minutes earlier and later."""

    async def main():
        on = await plant().find()
        assert (await on.read())[0] == meter.readings.keys()
        on.units[1].rule = lambda read: 0x02
        for _ in range(60):
            assert not (await on.read())[0]
            await asyncio.sleep(10)
        on.units[1].rule = at_most(0, "absent")
        with pytest.raises(DeviceUnreachable):
            await on.read()
        on.units[1].rule = lambda read: "answer"
        seen, _ = await on.read_for(120, every=10)
        assert seen.keys() == meter.readings.keys()
        assert max(times[0] for times in seen.values()) <= 20

    simulated(main())


@pytest.mark.parametrize("code", [0x01, 0x02, 0x04, 0x20], ids="{:02X}".format)
def test_a_device_that_refuses_everything_by_night_is_read_as_soon_as_it_is_awake(plant, meter, code):
    async def main():
        on = await plant().find()
        _, healthy = await on.read()
        on.units[1].rule = lambda read: code
        requests = 0
        for _ in range(10 * 60):
            names, count = await on.read()
            requests += count
            assert not names
            await asyncio.sleep(60)
        assert requests <= 1.2 * healthy * 10 * 60, "hardly more than by day: learning which blocks to leave out is the rest"
        assert not [key for key in on.adapter.memory if key.startswith("refused by")], "it says nothing about the model"
        on.units[1].rule = lambda read: "answer"
        seen, _ = await on.read_for(30)
        assert seen.keys() == meter.readings.keys()
        assert max(times[0] for times in seen.values()) <= 10

    simulated(main())


def test_a_unit_that_refuses_everything_is_missed_when_it_is_gone(plant):
    async def main():
        on = await plant().find()
        on.units[1].rule = lambda read: 0x02
        for _ in range(60):
            await on.read()
            await asyncio.sleep(60)
        del on.units[1]
        with pytest.raises(DeviceUnreachable):
            await on.read()

    simulated(main())


def test_an_address_read_while_a_device_starts_is_read_when_it_has_started(plant, meter):
    """evcc-io/evcc issue 8178: a dongle answers 02 to everything until its inverter is there."""

    async def main():
        on = await plant().find()
        on.units[1].rule = lambda read: 0x02
        await on.read_for(45)
        on.units[1].rule = lambda read: "answer"
        seen, _ = await on.read_for(300)
        assert seen.keys() == meter.readings.keys()
        assert max(times[0] for times in seen.values()) <= 60

    simulated(main())


def test_registers_that_are_illegal_for_good_cost_little_while_the_rest_is_read_at_each_poll(plant, meter):
    """softwarecrash/Solar2MQTT issue 14 and influxdata/telegraf issue 13630: 02 for the same register, every time."""

    async def main():
        on = await plant().find()
        _, healthy = await on.read_for(3600)
        on.units[1].rule = refuses(FREQUENCY, 2)
        seen, with_faults = await on.read_for(3600)
        assert {len(times) for times in seen.values()} == {721}
        assert seen.keys() == meter.readings.keys() - {"frequency"}
        assert with_faults <= 1.5 * healthy

    simulated(main())
