"""Configurations from the emulated cloud take effect in a running gateway, and one that does harm comes back."""

import asyncio
import logging
from datetime import timedelta
from functools import reduce

import pytest

from gateway.state.configurations import RefusalKind
from gateway.testing.devices import SyntheticBus, SyntheticDevice
from gateway.testing.line_with_speed import LineAdapter

pytestmark = pytest.mark.enable_socket

ENTRIES = ({"type": "line", "name": "first"}, {"type": "other", "name": "second"})
WATCH = {"configuration_watch": timedelta(seconds=1), "commands_every": timedelta(seconds=0.2)}


def parent_of(emulator):
    return next((one for one in emulator.cloud.devices.values() if one.parent_id is None), None)


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


@pytest.fixture
def site():
    buses = [
        SyntheticBus([SyntheticDevice(name, name, poll_every=timedelta(milliseconds=100))], label=name) for name in ("1", "2")
    ]
    return buses, {"line": LineAdapter.on(buses[0]), "other": LineAdapter.on(buses[1])}


@pytest.fixture
def registered(emulator, until):
    async def wait():
        await until(lambda: {"1", "2"} <= children_of(emulator).keys())
        await until(lambda: all("gain" in child.state for child in children_of(emulator).values()))
        parent = parent_of(emulator)
        emulator.cloud.claim(parent.id)
        return parent

    return wait


@pytest.fixture(autouse=True)
def log_level():
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


async def reports(gateway, parent, name):
    """Wait until an event is in the cloud or waits for its turn: those of one device go up once a minute."""
    async with asyncio.timeout(60):
        while name not in [event.name for event in parent.events]:
            rows = await gateway.parts.state.store.transact(lambda db: db.execute("SELECT name FROM events").fetchall())
            if (name,) in rows:
                return
            await asyncio.sleep(0.05)


async def test_settings_take_effect_while_the_gateway_runs_and_another_bus_has_no_gap(emulator, running, until, site, registered):
    buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH) as gateway:
        parent = await registered()
        reads, opened = buses[1].devices["2"].reads, buses[1].opened
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}}, "log": {"level": "warning"}})
        await until(lambda: children_of(emulator)["1"].state.get("gain") == 7)
        await until(lambda: parent.config.applied_version == 1)
        assert logging.getLogger().level == logging.WARNING
        assert buses[0].opened == buses[0].closed + 1 == 2
        assert (buses[1].opened, buses[1].closed) == (opened, 0), "the other bus went on"
        assert buses[1].devices["2"].reads > reads
        values = gateway.parts.own_configuration.effective.values
        assert values["adapter", "first", "gain"].origin == "cloud"
        await reports(gateway, parent, "configuration_applied")


async def test_a_device_that_waited_becomes_a_child_as_soon_as_the_cloud_admits_it(emulator, running, until, site):
    _buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH, models={}) as gateway:
        registry = gateway.parts.state.registry
        await until(lambda: len(registry.found_devices) == 2 and parent_of(emulator) is not None)
        parent = parent_of(emulator)
        emulator.cloud.set_config(parent.id, {"models": {"meter": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"}})
        await until(lambda: {"1", "2"} <= children_of(emulator).keys())
        assert not registry.found_devices
        await until(lambda: parent.config.applied_version == 1)


async def test_the_page_shows_the_plan_before_it_is_applied_and_then_the_origin_of_each_value(
    emulator, running, until, site, registered
):
    _buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH) as gateway:
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}}})
        await until(lambda: gateway.parts.cloud.session.configuration.plans)
        (shown,) = (await gateway.parts.view.snapshot()).cloud.configurations
        assert (shown.tried_version, shown.changes) == (1, ("adapter.first.gain: 1 becomes 7",))
        await until(lambda: parent.config.applied_version == 1)
        cloud = (await gateway.parts.view.snapshot()).cloud
        (shown,) = cloud.configurations
        assert (shown.version, shown.tried_version, shown.problem) == (1, None, None)
        settings = {one.key: (one.value, one.origin) for one in cloud.settings}
        assert settings["adapter.first.gain"] == ("7", "cloud")
        assert settings["adapter.second.gain"] == ("1", "default")
        assert settings["models.*"][1] == "file"


async def test_a_configuration_that_silences_a_bus_comes_back_and_the_cloud_is_told(emulator, running, until, site, registered):
    buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH) as gateway:
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"speed": 300}}})
        configurations = gateway.parts.state.configurations
        await until(lambda: configurations.of(None).problem is not None)
        assert configurations.of(None).problem.kind is RefusalKind.HARM
        reads = buses[0].devices["1"].reads
        await until(lambda: buses[0].devices["1"].reads > reads)
        await until(lambda: "device 1 " in str(parent.state.get("configuration_problem")))
        await reports(gateway, parent, "configuration_rolled_back")
        await until(lambda: any("taken back" in incident.title for incident in parent.incidents))
        assert parent.config.applied_version is None
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 2}}})
        await until(lambda: parent.config.applied_version == 2)
        await until(lambda: parent.state.get("configuration_problem") is None)


REFUSED = {
    "secret": ({"cloud": {"hardware_key": "abc"}}, "cloud.hardware_key"),
    "address": ({"cloud": {"entry_url": "https://evil.example"}}, "cloud.entry_url"),
    "type": ({"adapter": {"first": {"gain": "much"}}}, "adapter.first.gain"),
    "unknown": ({"adapter": {"first": {"gian": 3}}}, "adapter.first.gian"),
    "deep": ({"log": reduce(lambda inner, _: [inner], range(900), 1)}, "few levels"),
    "large": ({"models": {"x": "y" * 1_000_000}}, "characters"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_applied_is_told_with_the_key_and_nothing_changes(emulator, running, until, site, registered, case):
    buses, adapters = site
    content, told = REFUSED[case]
    async with running(adapters, *ENTRIES, cloud=WATCH) as gateway:
        parent = await registered()
        emulator.cloud.set_config(parent.id, content)
        await reports(gateway, parent, "configuration_refused")
        assert told in gateway.parts.state.configurations.of(None).problem.why
        assert buses[0].opened == buses[1].opened == 1
        assert not gateway.task.done()
    assert parent.config.applied_version is None


async def test_a_gateway_that_only_observes_takes_no_configuration(emulator, running, until, site, registered):
    _buses, adapters = site
    async with running(adapters, *ENTRIES, cloud={**WATCH, "may": "observe"}) as gateway:
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}}})
        await reports(gateway, parent, "configuration_refused")
        assert 'may = "observe"' in gateway.parts.state.configurations.of(None).problem.why


async def test_the_next_start_begins_with_what_the_cloud_has_applied(emulator, running, until, site, registered):
    buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH):
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}}, "cloud": {"command_expires_after": 60}})
        await until(lambda: parent.config.applied_version == 1)
    buses[0].devices["1"].values.pop("gain")
    async with running(adapters, *ENTRIES, cloud=WATCH) as gateway:
        assert gateway.parts.own_configuration.effective.configuration.settings.cloud.command_expires_after == timedelta(
            minutes=1
        )
        await until(lambda: "gain" in buses[0].devices["1"].values)
        assert buses[0].devices["1"].values["gain"] == 7, "from the first read on"


async def test_a_file_that_does_not_fit_any_more_leaves_the_cloud_out_and_says_so(emulator, running, until, site, registered):
    buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH):
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}}})
        await until(lambda: parent.config.applied_version == 1)
    renamed = ({"type": "line", "name": "renamed"}, ENTRIES[1])
    async with running(adapters, *renamed, cloud=WATCH) as gateway:
        await reports(gateway, parent, "configuration_refused")
        problem = gateway.parts.state.configurations.of(None).problem
        assert "adapter.first: there is no entry of this name" in problem.why
        reads = buses[0].devices["1"].reads
        await until(lambda: buses[0].devices["1"].reads > reads + 2)
        assert buses[0].devices["1"].values["gain"] == 1


@pytest.mark.parametrize("bumps", ["on-change", "always"])
async def test_a_value_that_the_file_has_goes_up_once(emulator, running, until, site, registered, bumps):
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"set_config_bumps": bumps})
    _buses, adapters = site
    entries = ({**ENTRIES[0], "gain": 3}, ENTRIES[1])
    async with running(adapters, *entries, cloud=WATCH) as gateway:
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}, "second": {"gain": 5}}})
        await until(lambda: parent.config.values["adapter"]["first"] == {"gain": 3})
        assert parent.config.values["adapter"]["second"] == {"gain": 5}
        assert parent.config.version == 2
        configurations = gateway.parts.state.configurations
        await until(lambda: configurations.of(None).applied.version == 2)
        await asyncio.sleep(1)  # a few rounds of telemetry
        assert parent.config.version == 2, "it is never an echo"


async def test_a_gateway_that_is_deleted_and_registered_again_begins_with_the_file(emulator, running, until, site, registered):
    buses, adapters = site
    async with running(adapters, *ENTRIES, cloud=WATCH):
        first = await registered()
        emulator.cloud.set_config(first.id, {"adapter": {"first": {"gain": 7}}})
        await until(lambda: first.config.applied_version == 1)
        emulator.cloud.delete(first.id)
        await until(lambda: (parent := parent_of(emulator)) is not None and parent.id != first.id)
        await until(lambda: buses[0].devices["1"].values["gain"] == 1)
        again = parent_of(emulator)
        emulator.cloud.set_config(again.id, {"adapter": {"first": {"gain": 8}}})
        await until(lambda: again.config.applied_version == 1)
        assert buses[0].devices["1"].values["gain"] == 8


@pytest.mark.parametrize("version", ["1.0.4", "1.0.7"])
async def test_the_flat_form_of_older_models_is_understood(emulator, running, until, site, registered, version):
    buses, adapters = site
    emulator.cloud.quirks = emulator.cloud.quirks.changed({"model_api_version": version})
    async with running(adapters, *ENTRIES, cloud=WATCH):
        parent = await registered()
        emulator.cloud.set_config(parent.id, {"adapter": {"first": {"gain": 7}}})
        await until(lambda: parent.config.applied_version == 1)
        assert buses[0].devices["1"].values["gain"] == 7
