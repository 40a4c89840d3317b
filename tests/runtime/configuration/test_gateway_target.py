"""The gateway's own configuration is planned against what is in effect, and cannot take away the last bus."""

import asyncio
import logging

import pytest

from gateway.config.entries import entry_from
from gateway.config.settings import CloudSection, Configuration, Settings
from gateway.errors import ConfigurationRejected
from gateway.runtime.configuration.bus_preview import buses_of
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticSettings


class PortSettings(SyntheticSettings):
    port_prefix: str = ""
    rate: int = 1


class Ports(SyntheticAdapter):
    """Has the buses whose label begins with the prefix."""

    settings_model = PortSettings
    all_buses = (SyntheticBus(label="usb0"), SyntheticBus(label="usb1"))

    @classmethod
    async def buses(cls, settings):
        for wire in cls.all_buses:
            if wire.label.startswith(settings.port_prefix):
                yield cls(settings, wire)
        await asyncio.sleep(3600)  # for those that are plugged in later


ADAPTERS = {"ports": Ports}


class Site:
    def __init__(self, *entries, cloud=None):
        self.used = []
        self.failure = None
        base = Configuration(
            None,
            Settings(cloud=CloudSection(**(cloud or {})), models={"meter": "m-1"}),
            tuple(entry_from(entry, ADAPTERS) for entry in entries),
        )
        self.live = {(entry["name"], "usb0") for entry in entries}
        self.own = GatewayConfiguration(base, ADAPTERS, use=self.use, live_buses=lambda: self.live)

    async def use(self, before, after):
        if self.failure is not None:
            raise self.failure
        self.used.append((before, after))


ONE = {"type": "ports", "name": "one"}
TWO = {"type": "ports", "name": "two"}


async def test_the_plan_names_each_value_that_changes_and_the_buses_that_it_touches():
    site = Site(ONE, TWO)
    content = {"cloud": {"commands_every": 60}, "adapter": {"one": {"rate": 3}, "two": {"rate": 1}}, "models": {"x": "m-2"}}
    changes = {change.key: (change.before, change.after, change.buses) for change in site.own.plan(content)}
    assert changes == {
        "cloud.commands_every": (10, 60, frozenset()),
        "models.x": (None, "m-2", frozenset()),
        "adapter.one.rate": (1, 3, frozenset({("one", "usb0")})),
    }
    await site.own.apply(content)
    assert list(site.own.plan(content)) == []
    assert {change.key for change in site.own.plan({})} == changes.keys(), "without it, all is as in the file"


async def test_it_is_told_which_keys_have_no_effect_since_the_file_has_them(caplog):
    caplog.set_level(logging.INFO)
    site = Site({**ONE, "rate": 2}, cloud={"commands_every": 20})
    await site.own.apply({"cloud": {"commands_every": 60, "telemetry_every": 60}, "adapter": {"one": {"rate": 3}}})
    (told,) = caplog.messages
    assert told.startswith("the gateway: cloud.commands_every stays 20, adapter.one.rate stays 2: the configuration on site")
    caplog.clear()
    await site.own.apply({"cloud": {"commands_every": 20, "telemetry_every": 60}})
    assert caplog.messages == []


async def test_the_last_bus_cannot_be_taken_away_and_nothing_is_changed():
    site = Site(ONE)
    with pytest.raises(ConfigurationRejected, match=r"adapter\.one: it would take away the last bus of the gateway"):
        await site.own.apply({"adapter": {"one": {"port_prefix": "nothing"}}, "cloud": {"commands_every": 60}})
    assert site.used == []
    assert list(site.own.plan({})) == []


async def test_a_bus_may_go_while_another_stays():
    site = Site(ONE, TWO)
    await site.own.apply({"adapter": {"one": {"port_prefix": "nothing"}}})
    site = Site(ONE)
    await site.own.apply({"adapter": {"one": {"port_prefix": "usb1"}}})
    assert len(site.used) == 1


async def test_a_gateway_without_any_bus_loses_none():
    site = Site(ONE)
    site.live = set()
    await site.own.apply({"adapter": {"one": {"port_prefix": "nothing"}}})
    assert len(site.used) == 1


async def test_what_cannot_be_put_into_effect_leaves_the_former_configuration():
    site = Site(ONE)
    await site.own.apply({"adapter": {"one": {"rate": 2}}})
    site.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await site.own.apply({"adapter": {"one": {"rate": 3}}})
    assert site.own.effective.configuration.entries[0].rate == 2


async def test_a_bug_while_buses_are_listed_counts_as_no_bus():
    class Broken(Ports):
        @classmethod
        async def buses(cls, settings):
            yield cls(settings, cls.all_buses[0])
            raise ZeroDivisionError

    assert await buses_of(entry_from(ONE, ADAPTERS), Broken) == ["usb0"]
