"""A command goes to the bus of its child, or fails with the reason; a store that cannot record it keeps it from the device."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, model_validator

from gateway.errors import CommandRejected, DeviceUnreachable, OutcomeUnknown, StoreError
from gateway.field.child_buses import ChildBuses
from gateway.field.dispatcher import FOUND_DONE, CommandDispatcher
from gateway.field.fleet import Fleet
from gateway.models import Command, CommandResult, CommandSpec, KnownCommand
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings
from gateway.url_secrets import MASK

MINUTE = timedelta(minutes=1)
KEY = "sn:synthetic/1"


class Own:
    """The commands of the gateway itself."""

    def __init__(self):
        self.executed = []

    def commands(self):
        return (CommandSpec(name="rescan", title="Search"),)

    async def execute(self, command, checkpoint):
        self.executed.append(command.name)
        return "it is done"

    async def read_back(self, command):
        return CommandResult(is_proven=True) if self.executed else None


def command(child=KEY, name="set"):
    return Command(1, child, name, {"power": 5.0})


@pytest.fixture
async def site(field):
    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    fleet = Fleet((), {}, lambda adapter, entry: None)
    own = Own()
    dispatcher = CommandDispatcher(ChildBuses(field.registry, fleet), own)
    supervisor = field.serve(bus)
    await field.until(lambda: KEY in field.registry.children)
    fleet.supervisors["entry", bus.label] = supervisor
    return dispatcher, bus, fleet, own


async def recorded():
    pass


RECORDED = {"before_start": recorded, "checkpoint": print}


async def test_a_command_reaches_the_bus_of_its_child(site):
    dispatcher, bus, _, _ = site
    result = await dispatcher.execute(command(), within=MINUTE, **RECORDED)
    assert result == CommandResult(is_proven=True, before={"power": 1.0}, after={"power": 5.0})
    assert len(bus.devices["a1"].executed) == 1


async def test_a_command_for_the_gateway_itself_is_recorded_and_executed_there(site):
    dispatcher, bus, _, own = site
    steps = []

    async def record():
        steps.append(list(own.executed))

    done = await dispatcher.execute(Command(1, None, "rescan", {}), within=MINUTE, before_start=record, checkpoint=print)
    assert done == CommandResult(message="it is done", is_proven=True)
    assert (steps, own.executed, bus.devices["a1"].executed) == ([[]], ["rescan"], []), "recorded before it was executed"


@pytest.mark.parametrize("error", [StoreError("disk full"), CommandRejected("cancelled")])
async def test_a_command_that_cannot_be_recorded_does_not_reach_its_device(site, error):
    dispatcher, bus, _, _ = site

    async def record():
        raise error

    with pytest.raises(CommandRejected, match=f"it was not executed: {error}"):
        await dispatcher.execute(command(), within=MINUTE, before_start=record, checkpoint=print)
    assert bus.devices["a1"].executed == []


async def test_a_device_without_a_bus_or_that_is_no_child_fails_with_the_reason(site):
    dispatcher, _, fleet, _ = site
    with pytest.raises(CommandRejected, match="not a child of the gateway any more"):
        await dispatcher.execute(command("sn:nobody/1"), within=MINUTE, **RECORDED)
    fleet.supervisors.clear()
    with pytest.raises(CommandRejected, match=r"the bus bus of device 1 does not exist \(any more\)"):
        await dispatcher.execute(command(), within=MINUTE, **RECORDED)


class Untidy(SyntheticAdapter):
    """An adapter whose declarations are what a test sets."""

    declared: object = ()

    def commands(self, child):
        if isinstance(self.declared, Exception):
            raise self.declared
        return self.declared


@pytest.fixture
async def untidy(field):
    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    fleet = Fleet((), {}, lambda adapter, entry: None)
    supervisor = field.serve(bus, Untidy)
    fleet.supervisors["entry", bus.label] = supervisor
    await field.until(lambda: KEY in field.registry.children)
    return CommandDispatcher(ChildBuses(field.registry, fleet), Own()), supervisor.adapter.unchecked, bus


class Broken(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def check(cls, given):
        raise ZeroDivisionError(given)

    power: float


@pytest.mark.parametrize(
    "declared", [ZeroDivisionError("hunter2"), None, [{"name": "set"}], (CommandSpec(name="set", title="", parameters=Broken),)]
)
async def test_a_bug_in_what_an_adapter_declares_costs_this_command_alone(untidy, caplog, declared):
    dispatcher, adapter, bus = untidy
    adapter.declared = declared
    with pytest.raises(CommandRejected, match="its adapter failed while checking the command, so nothing was sent"):
        await dispatcher.execute(Command(1, KEY, "set", {"power": "hunter2"}), within=MINUTE, **RECORDED)
    assert bus.devices["a1"].executed == []
    assert "hunter2" not in caplog.text
    adapter.declared = SyntheticAdapter.commands(adapter, SimpleNamespace(address="a1"))
    await dispatcher.execute(command(), within=MINUTE, **RECORDED)
    assert len(bus.devices["a1"].executed) == 1


async def test_what_is_recorded_of_a_command_contains_no_secret_of_its_declaration(site):
    dispatcher, _, _, _ = site
    described = dispatcher.describe(KEY, "set_password", {"password": "hunter2"})
    assert described.spec.name == "set_password"
    assert described.recorded_parameters == {"password": MASK}
    assert dispatcher.describe(KEY, "set", {"power": 5.0}).recorded_parameters == {"power": 5.0}


async def test_nothing_is_recorded_in_clear_while_the_declarations_are_not_known(site, untidy):
    dispatcher, _, fleet, _ = site
    fleet.supervisors.clear()
    assert dispatcher.describe(KEY, "set_code", {"code": "hunter2"}) == KnownCommand(None, {"code": MASK})
    dispatcher, adapter, _ = untidy
    adapter.declared = ZeroDivisionError("oops")
    assert dispatcher.describe(KEY, "set_code", {"code": "hunter2"}) == KnownCommand(None, {"code": MASK})


async def test_a_bug_of_an_adapter_that_executes_a_secret_does_not_show_it(site, monkeypatch, caplog):
    dispatcher, _, _, _ = site

    async def fail(_self, _child, command):
        raise KeyError(command.parameters["password"].get_secret_value())

    monkeypatch.setattr(SyntheticAdapter, "execute", fail)
    with pytest.raises(OutcomeUnknown) as failed:
        await dispatcher.execute(Command(1, KEY, "set_password", {"password": "hunter2"}), within=MINUTE, **RECORDED)
    assert "hunter2" not in f"{failed.value} {caplog.text}"


@pytest.mark.parametrize(
    ("returned", "kept"),
    [
        ("got hunter2", CommandResult(message=f"got {MASK}")),
        (CommandResult(message="x" * 5000, is_proven=True), CommandResult(message="x" * 999 + "…", is_proven=True)),
        (CommandResult(before={"a": b"\xff", "b": 10**9999}), CommandResult(before={"a": "b'\\xff'", "b": None})),
        (CommandResult(after={"code": "hunter2", 5: [1]}), CommandResult(after={"code": MASK, "5": "[1]"})),
        (CommandResult(after=None, before=5), CommandResult()),
        (True, CommandResult(message="True")),
    ],
)
async def test_whatever_an_adapter_returns_becomes_a_result_without_secrets(site, monkeypatch, returned, kept):
    dispatcher, _, _, _ = site

    async def answer(_self, _child, _command):
        return returned

    monkeypatch.setattr(SyntheticAdapter, "execute", answer)
    given = Command(1, KEY, "set_password", {"password": "hunter2"})
    assert await dispatcher.execute(given, within=MINUTE, **RECORDED) == kept


class Sites:
    """Two buses, and a child that may move from one to the other."""

    def __init__(self, field, fleet):
        self.buses = [SyntheticBus([SyntheticDevice("1", "a1")], label="left"), SyntheticBus([], label="right")]
        self.supervisors = [field.serve(bus) for bus in self.buses]
        self.registry, self.fleet = field.registry, fleet
        for supervisor in self.supervisors:
            fleet.supervisors["entry", supervisor.bus] = supervisor

    async def move(self):
        left, right = self.buses
        right.devices["a1"] = left.devices.pop("a1")
        await self.registry.admit(replace(self.registry.children[KEY].child, bus="right"))


@pytest.fixture
async def sites(field):
    fleet = Fleet((), {}, lambda adapter, entry: None)
    made = Sites(field, fleet)
    await field.until(lambda: KEY in field.registry.children)
    return CommandDispatcher(ChildBuses(field.registry, fleet), Own()), made


async def test_a_waiting_command_follows_its_child_to_another_bus(sites):
    dispatcher, site = sites
    site.buses[0].unplugged = True
    await asyncio.sleep(5)
    executing = asyncio.create_task(dispatcher.execute(command(), within=MINUTE, **RECORDED))
    await asyncio.sleep(1)
    assert site.supervisors[0].status().waiting_commands == 1
    await site.move()
    assert (await executing).after == {"power": 5.0}
    assert [one.parameters for one in site.buses[1].devices["a1"].executed] == [{"power": 5.0}]


async def test_a_command_that_has_begun_stays_on_its_bus_and_is_executed_once(sites):
    dispatcher, site = sites
    device = site.buses[0].devices["a1"]
    device.command_seconds = 5
    starts = []

    async def record():
        starts.append(1)

    executing = asyncio.create_task(dispatcher.execute(command(), within=MINUTE, before_start=record, checkpoint=print))
    await asyncio.sleep(1)
    await site.registry.admit(replace(site.registry.children[KEY].child, bus="right"))
    assert (await executing).is_proven
    assert (len(device.executed), len(starts)) == (1, 1)


async def test_a_waiting_command_of_a_child_that_is_removed_fails_with_the_reason(sites, monkeypatch):
    dispatcher, site = sites
    site.buses[0].unplugged = True
    await asyncio.sleep(5)
    executing = asyncio.create_task(dispatcher.execute(command(), within=MINUTE, **RECORDED))
    await asyncio.sleep(1)
    monkeypatch.setattr(site.registry, "_children", {})
    async with site.registry.changed:
        site.registry.changed.notify_all()
    with pytest.raises(CommandRejected, match="not a child of the gateway any more"):
        await executing


async def test_a_command_waits_for_a_bus_that_appears_later(field):
    class Late(SyntheticAdapter):
        @classmethod
        async def buses(cls, settings):
            await asyncio.sleep(5)
            yield cls(settings, bus)

    class Served:
        """Serves the bus that appears as the supervisor that is running already."""

        def __init__(self):
            self.adapter, self.execute = supervisor.adapter, supervisor.execute

        async def run(self):
            pass

    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    supervisor = field.serve(bus)
    await field.until(lambda: KEY in field.registry.children)
    settings = SyntheticSettings(type="synthetic", name="entry")
    fleet = Fleet((settings,), {"synthetic": Late}, lambda adapter, entry: Served())
    field.tasks.append(asyncio.create_task(fleet.run()))
    executing = asyncio.create_task(
        CommandDispatcher(ChildBuses(field.registry, fleet), Own()).execute(command(), within=MINUTE, **RECORDED)
    )
    await asyncio.sleep(4)
    assert not executing.done()
    assert (await executing).is_proven


async def test_a_waiting_command_goes_to_the_supervisor_that_serves_its_bus_with_new_settings(sites, field):
    dispatcher, site = sites
    site.buses[0].unplugged = True
    await asyncio.sleep(5)
    executing = asyncio.create_task(dispatcher.execute(command(), within=MINUTE, **RECORDED))
    await asyncio.sleep(1)
    supervisors = site.fleet.supervisors
    del supervisors["entry", "left"]
    field.tasks[0].cancel()
    await asyncio.sleep(1)
    site.buses[0].unplugged = False
    supervisors["entry", "left"] = field.serve(site.buses[0])
    assert not executing.done()
    site.fleet._appeared.set()
    assert (await executing).is_proven


async def test_an_interrupted_command_is_read_back_ahead_of_polling_and_sends_nothing(site):
    dispatcher, bus, _, _ = site
    device = bus.devices["a1"]
    finish = dispatcher.finish_interrupted
    assert await finish(command(), within=MINUTE, checkpoint=print) is None, "the device has another value"
    device.values["power"] = 5.0
    found = await finish(command(), within=MINUTE, checkpoint=print)
    assert found == CommandResult(message=FOUND_DONE, is_proven=True, after={"power": 5.0})
    assert await finish(Command(1, KEY, "identify", {}), within=MINUTE, checkpoint=print) is None
    assert device.executed == []


async def test_an_interrupted_command_waits_for_a_device_that_starts_at_the_same_time(site):
    dispatcher, bus, _, _ = site
    device = bus.devices["a1"]
    device.values["power"], device.silent = 5.0, True
    finishing = asyncio.create_task(dispatcher.finish_interrupted(command(), within=MINUTE, checkpoint=print))
    await asyncio.sleep(25)
    device.silent = False
    assert (await finishing).is_proven
    device.silent = True
    with pytest.raises(DeviceUnreachable):
        await dispatcher.finish_interrupted(command(), within=MINUTE, checkpoint=print)


async def test_an_interrupted_command_that_cannot_be_read_back_is_unknown_with_the_reason(site):
    dispatcher, bus, _, own = site
    finish = dispatcher.finish_interrupted
    bus.unplugged = True
    await asyncio.sleep(5)
    with pytest.raises(OutcomeUnknown, match="it could not be read back: the bus was not free in time"):
        await finish(command(), within=MINUTE, checkpoint=print)
    with pytest.raises(OutcomeUnknown, match="it could not be read back: this device is not a child"):
        await finish(command("sn:nobody/1"), within=MINUTE, checkpoint=print)
    with pytest.raises(OutcomeUnknown, match="it could not be read back: the gateway has no command 'explode'"):
        await finish(Command(1, None, "explode", {}), within=MINUTE, checkpoint=print)
    rescan = Command(1, None, "rescan", {})
    assert await finish(rescan, within=MINUTE, checkpoint=print) is None
    own.executed.append("rescan")
    assert (await finish(rescan, within=MINUTE, checkpoint=print)).is_proven
