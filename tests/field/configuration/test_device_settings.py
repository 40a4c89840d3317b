"""Settings that devices keep: written once, proven, put back where one is refused, and kept as configured."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.errors import ConfigurationRejected, StoreError
from gateway.field.children.child_configuration import NOTHING_CONFIGURED, ChildConfiguration
from gateway.field.configuration.device_settings import CHECK_EVERY, MOST_CORRECTIONS
from gateway.models import Reach

KEY = "sn:synthetic/1"
HOUR = CHECK_EVERY.total_seconds() + 60


def configured(**settings):
    return ChildConfiguration(settings=settings)


async def test_a_configuration_writes_what_differs_once_and_is_in_effect_then(site):
    await site.settings.apply(KEY, configured(level=20.0, limit=50.0))
    assert site.device.written == [("level", 20.0)]
    assert site.field.in_effect.of(KEY) == configured(level=20.0, limit=50.0)
    assert site.originals.of(KEY) == {"level": 10.0, "limit": 50.0}
    await site.settings.apply(KEY, configured(level=20.0, limit=50.0))
    assert len(site.device.written) == 1, "applying what is in effect already changes nothing"


async def test_a_refused_setting_puts_back_what_was_already_written(site):
    site.device.refused_settings = {"limit"}
    with pytest.raises(ConfigurationRejected) as refused:
        await site.settings.apply(KEY, configured(level=20.0, limit=60.0))
    (problem,) = refused.value.problems
    assert problem.where == "settings.limit"
    assert "refuses limit = 60.0" in problem.wrong
    assert "former values are back" in problem.right
    assert site.device.settings == {"level": 10.0, "limit": 50.0}
    assert site.field.in_effect.of(KEY) is NOTHING_CONFIGURED


async def test_a_device_that_forgets_a_setting_is_told_and_nothing_is_half_applied(site):
    site.device.forgotten_settings = {"limit"}
    with pytest.raises(ConfigurationRejected, match=r"limit was to be 60\.0, and reads back as 50.0"):
        await site.settings.apply(KEY, configured(level=20.0, limit=60.0))
    assert site.device.settings == {"level": 10.0, "limit": 50.0}


async def test_what_is_not_configured_any_more_gets_the_value_that_the_device_had(site):
    await site.settings.apply(KEY, configured(level=20.0, limit=60.0))
    await site.settings.apply(KEY, configured(limit=70.0))
    assert site.device.settings == {"level": 10.0, "limit": 70.0}
    assert site.originals.of(KEY) == {"limit": 50.0}
    await site.settings.apply(KEY, NOTHING_CONFIGURED)
    assert site.device.settings == {"level": 10.0, "limit": 50.0}
    assert site.originals.children == []


async def test_a_device_with_other_values_is_corrected_when_it_answers_again_and_that_is_told(site, caplog):
    await site.settings.apply(KEY, configured(level=20.0))
    site.device.silent = True
    await site.field.until(lambda: site.field.availability.of(KEY).reach is Reach.SILENT)
    site.device.settings["level"] = 5.0  # somebody has exchanged or reset it
    site.device.silent = False
    await site.field.until(lambda: site.device.settings["level"] == 20.0, seconds=200)
    assert site.events == [(KEY, "settings_corrected", "level was 5.0 instead of 20.0; written again")]
    assert "level was 5.0 instead of 20.0; written again" in caplog.text


async def test_a_device_is_compared_at_intervals_without_writing(site):
    await site.settings.apply(KEY, configured(level=20.0))
    await asyncio.sleep(HOUR)
    assert len(site.device.written) == 1
    site.device.settings["level"] = 5.0
    await asyncio.sleep(HOUR)
    assert site.device.settings["level"] == 20.0


async def test_what_a_configuration_that_is_being_tried_has_set_is_not_taken_back_after_a_restart(site):
    await site.settings.apply(KEY, configured(level=20.0))
    site.tried.add(KEY)  # an earlier run was killed in the middle, and this one has not resumed the trial yet
    site.device.settings["level"] = 30.0
    await asyncio.sleep(HOUR)
    assert (site.device.settings["level"], site.events) == (30.0, [])
    site.tried.clear()
    await asyncio.sleep(HOUR)
    assert site.device.settings["level"] == 20.0


async def test_a_setting_that_is_changed_again_and_again_is_left_after_a_few_corrections_and_told_once(site):
    await site.settings.apply(KEY, configured(level=20.0))
    for number in range(MOST_CORRECTIONS + 3):
        site.device.settings["level"] = float(number)
        await asyncio.sleep(HOUR)
    assert len(site.device.written) == 1 + MOST_CORRECTIONS
    told = [text for _, name, text in site.events if name == "settings_differ"]
    assert told[0] == "level is 3.0 instead of 20.0: it was written 3 times and changed again; it stays"
    assert any("it stays" in remark for remark in site.field.in_effect.remarks(KEY))
    site.device.settings["level"] = 20.0
    await asyncio.sleep(HOUR)
    assert site.field.in_effect.remarks(KEY) == []


async def test_a_new_configuration_is_corrected_anew(site):
    await site.settings.apply(KEY, configured(level=20.0))
    for _ in range(MOST_CORRECTIONS + 1):
        site.device.settings["level"] = 1.0
        await asyncio.sleep(HOUR)
    await site.settings.apply(KEY, configured(level=30.0))
    site.device.settings["level"] = 1.0
    await asyncio.sleep(HOUR)
    assert site.device.settings["level"] == 30.0


async def test_a_device_that_does_not_answer_gets_its_settings_as_soon_as_it_does(site, caplog):
    caplog.set_level(logging.INFO)
    site.device.silent = True
    await site.field.until(lambda: site.field.availability.of(KEY).reach is Reach.SILENT)
    applying = asyncio.create_task(site.settings.apply(KEY, configured(level=20.0)))
    await asyncio.sleep(300)
    assert not applying.done()
    assert caplog.text.count("its settings wait until it answers") == 1
    site.device.silent = False
    await applying
    assert site.device.settings["level"] == 20.0


async def test_a_child_that_is_removed_meanwhile_ends_the_wait(site):
    site.device.silent = True
    await site.field.until(lambda: site.field.availability.of(KEY).reach is Reach.SILENT)
    applying = asyncio.create_task(site.settings.apply(KEY, configured(level=20.0)))
    await asyncio.sleep(5)
    site.field.registry._children.pop(KEY)
    with pytest.raises(ConfigurationRejected, match="not a child of the gateway any more"):
        await asyncio.wait_for(applying, 200)


async def test_a_bus_that_is_unplugged_in_mid_write_leaves_nothing_half_done(site):
    """The write was sent, the device has taken it, and nobody heard the answer."""
    bus, device = site.bus, site.device

    class Breaking(dict):
        def __setitem__(self, name, value):
            super().__setitem__(name, value)
            if value == 20.0 and not bus.unplugged and bus.opened == 1:
                bus.unplugged = True

    device.settings = Breaking(device.settings)
    applying = asyncio.create_task(site.settings.apply(KEY, configured(level=20.0, limit=60.0)))
    await site.field.until(lambda: bus.unplugged)
    await asyncio.sleep(30)
    bus.unplugged = False
    await applying
    assert device.settings == {"level": 20.0, "limit": 60.0}
    assert device.written.count(("level", 20.0)) == 1, "it was compared first, and not written again"


async def test_a_cancelled_configuration_is_undone_when_the_device_is_next_compared(site):
    started = asyncio.Event()
    write, originals = site.settings._access.run, site.originals

    async def slow(child, name, work, *, within):
        result = await write(child, name, work, within=within)
        if name == "setting level":
            started.set()
            await asyncio.sleep(3600)
        return result

    object.__setattr__(site.settings._access, "run", slow)
    applying = asyncio.create_task(site.settings.apply(KEY, configured(level=20.0, limit=60.0)))
    await started.wait()
    applying.cancel()
    await asyncio.gather(applying, return_exceptions=True)
    await site.field.until(lambda: site.device.settings == {"level": 10.0, "limit": 50.0} and not originals.children)
    assert site.field.in_effect.of(KEY) is NOTHING_CONFIGURED


async def test_after_a_kill_in_mid_write_the_former_values_come_back(site):
    await site.originals.add(KEY, {"level": 10.0})
    site.device.settings["level"] = 20.0  # written by a run that was killed before the configuration was in effect
    site.device.silent = True
    await site.field.until(lambda: site.field.availability.of(KEY).reach is Reach.SILENT)
    site.device.silent = False
    await site.field.until(lambda: site.device.settings["level"] == 10.0 and not site.originals.children, seconds=200)


async def test_a_ceiling_of_the_gateway_keeps_devices_from_being_corrected(site):
    await site.settings.apply(KEY, configured(level=20.0))
    site.forbidden.add(KEY)
    site.device.settings["level"] = 5.0
    await asyncio.sleep(HOUR)
    assert site.device.settings["level"] == 5.0


async def test_a_full_disk_is_waited_for_before_anything_is_written(site, monkeypatch):
    stored, is_full = site.originals.add, [True]

    async def add(*args):
        if is_full[0]:
            raise StoreError("disk full")
        await stored(*args)

    monkeypatch.setattr(site.originals, "add", add)
    applying = asyncio.create_task(site.settings.apply(KEY, configured(level=20.0)))
    await asyncio.sleep(10)
    assert site.device.written == []
    is_full[0] = False
    await applying
    assert site.device.written == [("level", 20.0)]


async def test_a_bug_in_an_adapter_costs_its_configuration_and_no_check_ends(site, monkeypatch):
    await site.settings.apply(KEY, configured(level=20.0))

    async def broken(self, child, config):
        raise ZeroDivisionError("broken by its author")

    monkeypatch.setattr(type(site.supervisor.adapter.unchecked), "differing_settings", broken, raising=False)
    await asyncio.sleep(HOUR)
    with pytest.raises(ConfigurationRejected, match="its adapter failed"):
        await site.settings.apply(KEY, configured(level=30.0))
    monkeypatch.undo()
    assert not site.running.done()
    site.device.settings["level"] = 5.0
    await asyncio.sleep(HOUR)
    assert site.device.settings["level"] == 20.0
