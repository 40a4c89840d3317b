"""Another device at the address of a child of the cloud: the child's commands are refused, and a person is asked."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from gateway.errors import CommandRejected
from gateway.field.child_buses import ChildBuses
from gateway.field.dispatcher import CommandDispatcher
from gateway.models import Command, Identity, IdentityKind, Reach
from gateway.state.child_alarms import alarms_of, all_alarms
from gateway.state.child_states import ChildState
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

SECOND = timedelta(seconds=1)
OLD, NEW = "sn:synthetic/1", "sn:synthetic/2"


def device(number, address="a1"):
    return SyntheticDevice(f"{number}", address, poll_every=SECOND, values={"power": float(number)})


async def register(field, key):
    record = field.registry.children[key]
    await field.registry.save_child(
        replace(record, state=ChildState.REGISTERED, device_id=f"id of {key}", access_key=SecretStr("k"), parent_id="p")
    )


@pytest.fixture
async def exchanged(field):
    """A bus on which the device of a registered child was exchanged for another one."""
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, discover_every=30)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    await register(field, OLD)
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(OLD).reach is Reach.SILENT)
    bus.devices["a1"] = device(2)
    await field.until(lambda: NEW in field.registry.children, seconds=100)
    return bus, supervisor


async def test_the_new_device_is_held_and_read_and_the_old_child_waits_for_a_person(field, exchanged, caplog):
    bus, _ = exchanged
    await field.until(lambda: bus.devices["a1"].reads > 1)
    held = field.registry.children[NEW]
    assert (held.state, held.replaces) == (ChildState.HELD, OLD)
    question = f"xyte-gateway children replace {OLD} {NEW}"
    assert question in held.problem
    (alarm,) = alarms_of(field.registry, OLD)
    assert all_alarms(field.registry) == {OLD: [alarm]}
    assert ("device 2 (serial number 2) answers at its address" in alarm, question in alarm) == (True, True)
    records = [*caplog.get_records("setup"), *caplog.records]
    told = [record for record in records if "Commands to it are refused" in record.message]
    assert [record.levelno for record in told] == [logging.WARNING]
    await field.registry.load()
    assert field.registry.children[NEW].replaces == OLD, "it survives a restart"


class Fleet:
    def __init__(self, supervisor):
        self.supervisors = {(supervisor.entry, supervisor.bus): supervisor}


async def nothing():
    pass


async def execute(field, supervisor, child):
    dispatcher = CommandDispatcher(ChildBuses(field.registry, Fleet(supervisor)), None)
    command = Command(id=1, child=child, name="set", parameters={"power": 5.0})
    return await dispatcher.execute(command, within=timedelta(seconds=60), before_start=nothing, checkpoint=None)


async def test_a_command_to_the_old_child_is_refused_with_the_new_serial_number_and_nothing_is_written(field, exchanged):
    bus, supervisor = exchanged
    with pytest.raises(CommandRejected, match=r"answers device 2 \(serial number 2\), so nothing was sent. If it replaces"):
        await execute(field, supervisor, OLD)
    assert bus.devices["a1"].values["power"] == 2.0


async def test_a_command_to_a_silent_child_goes_to_no_other_device_that_took_its_address_meanwhile(field):
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, discover_every=36000)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(OLD).reach is Reach.SILENT)
    bus.devices["a1"] = device(2)
    with pytest.raises(CommandRejected, match=r"answers another device, device 2 \(serial number 2\); nothing was sent"):
        await supervisor.execute(OLD, Command(id=1, child=OLD, name="set", parameters={"power": 5.0}), within=SECOND)
    assert bus.devices["a1"].values["power"] == 2.0


async def test_a_command_to_a_silent_child_that_is_back_reaches_it(field):
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, discover_every=36000)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    bus.devices["a1"].silent = True
    await field.until(lambda: field.availability.of(OLD).reach is Reach.SILENT)
    with pytest.raises(CommandRejected, match="does not answer, so nothing was sent"):
        await supervisor.execute(OLD, Command(id=1, child=OLD, name="set", parameters={}), within=SECOND)
    bus.devices["a1"].silent = False
    await supervisor.execute(OLD, Command(id=1, child=OLD, name="set", parameters={"power": 5.0}), within=SECOND)


async def test_the_old_device_back_at_its_address_ends_the_question_and_registers_nobody(field, exchanged):
    bus, _ = exchanged
    bus.devices["a1"] = device(1)
    await field.until(lambda: field.availability.of(OLD).reach is Reach.REACHABLE, seconds=3600)
    held = field.registry.children[NEW]
    assert (held.state, held.replaces) == (ChildState.HELD, None)
    assert not alarms_of(field.registry, OLD)
    assert not all_alarms(field.registry)


async def test_the_old_device_found_elsewhere_makes_the_new_one_a_device_of_its_own(field, exchanged):
    bus, _ = exchanged
    bus.devices["a7"] = device(1, "a7")
    await field.until(lambda: field.availability.of(OLD).reach is Reach.REACHABLE, seconds=3600)
    assert field.registry.children[NEW].state is ChildState.ADMITTED
    assert not alarms_of(field.registry, OLD)
    assert not all_alarms(field.registry)


async def test_a_child_that_took_the_address_of_another_is_an_alarm_too(field):
    bus = SyntheticBus([device(1), device(2, "a2")])
    field.serve(bus, discover_every=30)
    await field.until(lambda: bus.devices["a1"].reads > 1 and bus.devices["a2"].reads > 1)
    for key in (OLD, NEW):
        await register(field, key)
    del bus.devices["a2"]
    bus.devices["a1"] = device(2)
    await field.until(lambda: alarms_of(field.registry, OLD), seconds=3600)
    assert field.registry.children[NEW].state is ChildState.REGISTERED


async def test_a_child_known_by_its_place_goes_on_under_the_serial_number_that_its_device_reports_later(field):
    class Shy(SyntheticAdapter):
        knows_serial_number = False

        async def discover(self):
            async for one in super().discover():
                yield self._shy(one) if hasattr(one, "identity") else one

        async def identify(self, address):
            return self._shy(await super().identify(address))

        def _shy(self, found):
            place = Identity(IdentityKind.PLACE, f"entry/bus/{found.address}")
            return found if Shy.knows_serial_number else replace(found, identity=place, serial_number=None)

    bus = SyntheticBus([device(1)])
    field.serve(bus, Shy, discover_every=30)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    await register(field, "place:entry/bus/a1")
    Shy.knows_serial_number = True
    await field.until(lambda: OLD in field.registry.children, seconds=100)
    record = field.registry.children[OLD]
    assert list(field.registry.children) == [OLD]
    assert (record.device_id, record.state, record.needs_update) == ("id of place:entry/bus/a1", ChildState.REGISTERED, True)


async def test_13_2_two_devices_that_claim_one_identity_are_an_alarm_told_once(field, caplog):
    bus = SyntheticBus([device(1), device(1, "a2")])
    field.serve(bus, discover_every=30)
    await field.until(lambda: field.intake.alarms_of(OLD), seconds=100)
    (alarm,) = field.intake.alarms_of(OLD)
    assert "has the same identity and is ignored" in alarm
    await field.until(lambda: bus.devices["a1"].reads + bus.devices["a2"].reads > 100, seconds=1000)
    told = [record for record in caplog.records if "Give one of them another serial number" in record.message]
    assert len(told) == 1


async def test_a_registered_child_keeps_its_model_and_is_told_how_to_change_it(field, caplog):
    bus = SyntheticBus([device(1)])
    field.serve(bus, discover_every=30)
    await field.until(lambda: bus.devices["a1"].reads > 1)
    await register(field, OLD)
    field.intake._models = {"meter": "m-2"}
    await field.until(lambda: "cannot change the model" in caplog.text, seconds=100)
    assert field.registry.children[OLD].child.model_id == "m-1"
    assert f"xyte-gateway children retire {OLD}" in caplog.text
