"""Licences, names and spaces come down from the emulated cloud to the gateway's children."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket


def bus_of(*devices):
    bus = SyntheticBus(devices)
    return bus, {"synthetic": SyntheticAdapter.on(bus)}


def device(number, **values):
    return SyntheticDevice(
        str(number), f"a{number}", values={"power": 1.0, **values}, poll_every=timedelta(milliseconds=100), urgent=True
    )


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


def parent_of(emulator):
    return next(one for one in emulator.cloud.devices.values() if one.parent_id is None)


def is_registered(emulator, *numbers):
    children = children_of(emulator)
    return all(str(number) in children and "power" in children[str(number)].state for number in numbers)


def states(device):
    return {licence.data: (licence.state, licence.error) for licence in device.licences}


async def test_the_four_flows_of_a_licence(emulator, running, until):
    """Section 18: assignment, renewal, removal, and expiry by the gateway's clock."""
    bus, adapters = bus_of(device(1, licence="none"), device(2))
    async with running(adapters, {"type": "synthetic"}):
        await until(lambda: is_registered(emulator, 1, 2))
        children, values = children_of(emulator), bus.devices["a1"].values
        offer = emulator.cloud.offer_licence
        licence = offer(children["1"].id, data="pro", action="add")
        refused = offer(children["2"].id, data="pro", action="add")
        own = offer(parent_of(emulator).id, data="pro", action="add")
        await until(lambda: licence.state == "inuse" and refused.state == own.state == "error")
        assert values["licence"] == "pro"
        assert refused.error == "device 2 takes no licences"
        assert own.error.startswith("the gateway itself uses no licences")

        licence = offer(children["1"].id, data="pro-2", action="update", licence_id=licence.id)
        await until(lambda: values["licence"] == "pro-2" and licence.state == "inuse")
        licence = offer(children["1"].id, data="pro-2", action="remove", licence_id=licence.id)
        await until(lambda: values["licence"] == "none" and licence.state == "removed")

        ends = datetime.now(UTC) + timedelta(seconds=2)
        short = offer(children["1"].id, data="trial", action="add", expires_at=ends.isoformat())
        await until(lambda: short.state == "inuse" and values["licence"] == "trial")
        await until(lambda: values["licence"] == "none", seconds=90)
        assert datetime.now(UTC) >= ends


async def test_a_licence_is_installed_once_and_kept_over_a_restart(emulator, running, until):
    bus, adapters = bus_of(device(1, licence="none"))
    async with running(adapters, {"type": "synthetic"}):
        await until(lambda: is_registered(emulator, 1))
        licence = emulator.cloud.offer_licence(children_of(emulator)["1"].id, data="pro", action="add")
        await until(lambda: licence.state == "inuse")
    async with running(adapters, {"type": "synthetic"}) as gateway:
        emulator.journal.clear()
        await until(lambda: emulator.journal.calls()["Send Child Telemetries"] > 1)
        (record,) = gateway.parts.state.licences.all
        assert record.state == "in use"
    assert len(bus.devices["a1"].executed) == 1


async def test_a_gateway_that_may_only_observe_takes_no_licence_and_says_so(emulator, running, until):
    bus, adapters = bus_of(device(1, licence="none"))
    async with running(adapters, {"type": "synthetic"}, child={"sn:synthetic/1": {"may": "observe"}}):
        await until(lambda: is_registered(emulator, 1))
        licence = emulator.cloud.offer_licence(children_of(emulator)["1"].id, data="pro", action="add")
        await until(lambda: licence.state == "error")
    assert licence.error.startswith('it takes no licences from the cloud: `may = "observe"` in [child."sn:synthetic/1"]')
    assert bus.devices["a1"].executed == []


async def test_a_claim_a_space_and_a_new_name_come_down(emulator, running, until):
    """Sections 8.1, 8.2 and 8.5."""
    emulator.cloud.quirks = emulator.cloud.quirks.model_copy(update={"info_version": "counts"})
    _bus, adapters = bus_of(device(1))
    async with running(adapters, {"type": "synthetic"}) as gateway:
        await until(lambda: is_registered(emulator, 1))
        parent, child = parent_of(emulator), children_of(emulator)["1"]
        emulator.cloud.claim(parent.id, "Example Ltd")
        records = gateway.parts.state.cloud_records
        await until(lambda: records.of(parent.id).claimed_by == "Example Ltd")
        await until(lambda: records.of(parent.id).confirmed_space_version == parent.space_data_version > 0)
        await until(lambda: records.of(child.id).confirmed_space_version == child.space_data_version > 0)
        child.name = "Boiler"
        child.info_changes += 1
        await until(lambda: next(iter(gateway.parts.state.registry.children.values())).child.name == "Boiler")
