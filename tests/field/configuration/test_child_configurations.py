"""Configurations of children: checked, planned, applied, and begun with after a start."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import ConfigurationRejected
from gateway.field.children.child_configuration import ChildConfiguration
from gateway.models import PlannedChange, Reach

KEY = "sn:synthetic/1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUS = frozenset({("entry", "bus")})


async def test_a_plan_has_each_value_that_changes_and_the_bus_that_it_touches(site):
    content = {
        "name": "Boiler",
        "poll_every": {"all": 60},
        "metrics_left_out": ["voltage"],
        "dead_bands": {"power": 2},
        "settings": {"level": 20},
    }
    plan = site.configurations.plan(KEY, content)
    assert plan == [
        PlannedChange(key="poll_every.all", before=5, after=60, buses=BUS),
        PlannedChange(key="metrics_left_out", before=[], after=["voltage"], buses=BUS),
        PlannedChange(key="name", before="device 1", after="Boiler"),
        PlannedChange(key="dead_bands.power", before=None, after=2),
        PlannedChange(key="settings.level", before=None, after=20, buses=BUS),
    ]
    assert str(plan[0]) == "poll_every.all: 5 becomes 60"
    assert site.device.written == []
    await site.configurations.apply(KEY, content)
    assert site.configurations.plan(KEY, content) == []
    assert site.configurations.plan(KEY, {"settings": {"level": 20}})[0] == PlannedChange(
        key="poll_every.all", before=60, after=5, buses=BUS
    )


async def test_everything_is_in_effect_after_it_was_applied_and_gone_with_an_empty_one(site):
    await site.configurations.apply(
        KEY, {"name": "Boiler", "poll_every": {"all": 3600}, "metrics_left_out": ["voltage"], "settings": {"level": 20}}
    )
    registry, reads = site.field.registry, site.device.reads
    assert registry.children[KEY].child.name == "Boiler"
    assert site.device.settings["level"] == 20
    await asyncio.sleep(600)
    assert site.device.reads <= reads + 2
    site.field.sampler.collect(NOW)
    await asyncio.sleep(3600)
    assert [sample.values for sample in site.field.sampler.collect(NOW)] == [{"power": 1.0}]
    await site.configurations.apply(KEY, {})
    assert registry.children[KEY].child.name == "device 1"
    assert site.device.settings["level"] == 10
    await site.field.until(lambda: site.device.reads > reads + 10, seconds=100)


async def test_a_bad_value_is_refused_with_its_key_and_the_right_form_and_nothing_changes(site):
    for content, told in (
        ({"settings": {"level": 101}}, "settings.level: 101 cannot be used. It has to be a number from 0 to 100"),
        ({"settings": {"colour": 1}}, "settings.colour: there is no such key. There are: level, limit"),
        ({"poll_every": {"all": 0}}, "poll_every.all: 0 cannot be used. It has to be a number from 0.5 to 86400"),
        ({"metrics_left_out": ["amps"]}, "metrics_left_out.0: 'amps' cannot be used. It has to be one of power, voltage"),
    ):
        with pytest.raises(ConfigurationRejected) as refused:
            site.configurations.plan(KEY, content)
        assert told in str(refused.value)
        with pytest.raises(ConfigurationRejected):
            await site.configurations.apply(KEY, content)
    assert site.device.written == []


async def test_a_name_that_a_person_gave_on_site_stays_and_goes_up(site):
    await site.field.registry.rename(KEY, "Given here")
    content = {"name": "Boiler"}
    assert site.configurations.plan(KEY, content) == []
    await site.configurations.apply(KEY, content)
    assert site.field.registry.children[KEY].child.name == "Given here"
    assert site.configurations.in_effect(KEY, content) == {"name": "Given here"}
    assert site.configurations.in_effect(KEY, {}) == {}


async def test_a_name_that_was_given_in_the_cloud_since_survives_the_end_of_a_configured_one(site):
    await site.configurations.apply(KEY, {"name": "Boiler"})
    await site.field.registry.save_child(site.replace(site.field.registry.children[KEY], needs_update=False))
    await site.field.registry.name_from_cloud(KEY, "Named in the portal")
    await site.configurations.apply(KEY, {})
    assert site.field.registry.children[KEY].child.name == "Named in the portal"


async def test_a_configuration_of_an_earlier_run_is_in_effect_before_its_bus_is_there(site):
    site.configurations.restore(KEY, {"poll_every": {"all": 60}, "metrics_left_out": ["voltage"], "settings": {"level": 20}})
    assert site.field.in_effect.of(KEY) == ChildConfiguration(
        poll_every={"all": timedelta(seconds=60)}, metrics_left_out=frozenset({"voltage"}), settings={"level": 20}
    )
    with pytest.raises(ConfigurationRejected):
        site.configurations.restore(KEY, {"interval": 5})


async def test_a_bus_that_is_not_there_yet_is_waited_for(site):
    supervisor = site.fleet.supervisors.pop(("entry", "bus"))
    content = {"poll_every": {"all": 60}}
    assert [change.key for change in site.configurations.plan(KEY, content)] == ["poll_every.all"]
    assert site.configurations.schema(KEY)["properties"]["poll_every"]
    applying = asyncio.create_task(site.configurations.apply(KEY, content))
    await asyncio.sleep(300)
    assert not applying.done()
    site.fleet.supervisors["entry", "bus"] = supervisor
    await applying
    assert site.field.in_effect.of(KEY).poll_every == {"all": timedelta(seconds=60)}


async def test_a_child_that_moves_to_another_bus_takes_its_configuration_along(site):
    await site.configurations.apply(KEY, {"poll_every": {"all": 3600}, "settings": {"level": 20}})
    there = type(site.bus)([], label="there")
    moved = type(site.device)("1", "z9", values=dict(site.device.values), settings={"level": 10.0, "limit": 50.0})
    there.devices["z9"] = moved
    await site.configurations.apply(KEY, {"poll_every": {"all": 1}, "settings": {"level": 20}})
    site.device.silent = True
    await site.field.until(lambda: site.field.availability.of(KEY).reach is Reach.SILENT)
    site.fleet.supervisors["entry", "there"] = site.field.serve(there)
    await site.field.until(lambda: moved.settings["level"] == 20, seconds=200)
    reads = moved.reads
    await asyncio.sleep(60)
    assert 55 <= moved.reads - reads <= 65


async def test_the_schema_of_a_child_has_its_own_settings(site):
    assert site.configurations.schema(KEY)["$defs"]["Settings"]["properties"].keys() == {"level", "limit"}


async def test_a_child_that_was_retired_and_is_admitted_again_begins_without_its_former_configuration(site):
    await site.configurations.apply(KEY, {"poll_every": {"all": 60}, "settings": {"level": 20}})
    site.bus.devices.clear()
    await site.field.registry.retire(KEY, why="a person said so", unused=None)
    site.configurations.forget(KEY)
    await site.field.until(lambda: not site.originals.of(KEY))
    assert site.field.in_effect.of(KEY) == ChildConfiguration()


async def test_a_child_that_is_gone_has_no_configuration(site):
    with pytest.raises(ConfigurationRejected, match="not a child of the gateway any more"):
        site.configurations.plan("sn:gone", {})


async def test_an_interval_of_a_silent_child_is_in_effect_at_once_where_its_settings_stay(site):
    await site.configurations.apply(KEY, {"settings": {"level": 20}})
    site.device.silent = True
    await site.field.until(lambda: site.field.availability.of(KEY).reach is Reach.SILENT)
    async with asyncio.timeout(60):
        await site.configurations.apply(KEY, {"poll_every": {"all": 60}, "settings": {"level": 20}})
    assert site.field.in_effect.of(KEY).poll_every == {"all": timedelta(seconds=60)}
