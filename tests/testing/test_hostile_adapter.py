"""The adapters with bugs are bad in what they say of one device, and right in the rest."""

import asyncio
from contextlib import suppress

import pytest

from gateway.models import Found
from gateway.testing.bad_data import FOUND, VALUES, Untouchable, UntouchableText
from gateway.testing.devices import SyntheticDevice, SyntheticSettings, found_of
from gateway.testing.hostile_adapter import BAD_ADDRESS, KINDS, bus_with_bad_device, hostile_adapter


def opened(kind):
    bus = bus_with_bad_device(SyntheticDevice("1", "a1"))
    return hostile_adapter(kind, bus)(SyntheticSettings(type="hostile"), bus)


def child_of(adapter, address):
    return found_of(adapter.wire.devices[address]).as_child(adapter="hostile", bus=adapter.bus)


async def batches_of(adapter, address):
    return [batch async for batch in adapter.read(child_of(adapter, address), frozenset({"all"}))]


def test_there_are_hundreds_of_kinds():
    assert len(KINDS) > 300


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("read returns")])
async def test_every_kind_reads_its_healthy_device(kind):
    (batch,) = await batches_of(opened(kind), "a1")
    assert [(reading.child, reading.value) for reading in batch] == [("sn:synthetic/1", 1.0)]


@pytest.mark.parametrize("name", VALUES)
async def test_a_bad_value_comes_before_the_good_ones_of_its_device(name):
    bad, good = await batches_of(opened(f"value: {name}"), BAD_ADDRESS)
    assert not isinstance(bad[0].value, str) or bad[0].metric.name == "odd"
    assert good[0].value == 1.0


@pytest.mark.parametrize("name", FOUND)
async def test_a_search_finds_the_healthy_device_beside_the_bad_one(name):
    found = [step async for step in opened(f"discover: {name}").discover()]
    assert found_of(SyntheticDevice("1", "a1")) in [step for step in found if type(step) is Found and type(step.address) is str]


async def test_what_devices_send_is_reported_until_it_is_cancelled():
    heard = []

    class Uplink:
        def heard(self, readings):
            heard.append(readings)

    with suppress(TimeoutError):
        await asyncio.wait_for(opened("heard: none").listen(Uplink()), 0.01)
    assert heard == [None]


def test_objects_that_raise_do_so_in_each_use():
    for use in (str, repr, hash, bool, iter):
        with pytest.raises(Exception):  # noqa: B017, PT011 - any
            use(Untouchable())
    with pytest.raises(Exception):  # noqa: B017, PT011 - any
        hash(UntouchableText("x"))
