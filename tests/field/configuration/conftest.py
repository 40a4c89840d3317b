"""A bus with configurable devices, and what configures them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from gateway.field.child_buses import ChildBuses
from gateway.field.configuration.child_configurations import ChildConfigurations
from gateway.field.configuration.device_settings import DeviceSettings, SettingsAccess
from gateway.field.fleet import Fleet
from gateway.state.original_settings import OriginalSettings
from gateway.testing.devices import SyntheticBus, SyntheticDevice

KEY = "sn:synthetic/1"


@pytest.fixture
async def site(field):
    """One child with two settings on a bus; `settings` keeps them as `configurations` has put them into effect."""
    device = SyntheticDevice(
        "1",
        "a1",
        values={"power": 1.0, "voltage": 230.0},
        settings={"level": 10.0, "limit": 50.0},
        poll_every=timedelta(seconds=5),
    )
    bus = SyntheticBus([device])
    fleet = Fleet((), {}, lambda adapter, entry: None)
    buses = ChildBuses(field.registry, fleet)
    originals = OriginalSettings(field.registry._store)
    events, forbidden, tried = [], set(), set()
    access = SettingsAccess(
        run=buses.do,
        run_in_gaps=buses.step,
        may_write=lambda child: child not in forbidden,
        is_tried=tried.__contains__,
        report_event=lambda child, name, category, text: events.append((child, name, text)),
    )

    def begin():
        """What a start of the gateway makes anew."""
        settings = DeviceSettings(field.registry, field.availability, field.in_effect, originals, access)
        field.monitor.add_listener(settings.note_change)
        running = asyncio.create_task(settings.run())
        field.tasks.append(running)
        return settings, running, ChildConfigurations(field.registry, fleet, field.in_effect, settings)

    settings, running, configurations = begin()
    supervisor = field.serve(bus)
    fleet.supervisors["entry", bus.label] = supervisor
    await field.until(lambda: KEY in field.registry.children and device.reads > 0)
    return SimpleNamespace(
        field=field, bus=bus, device=device, fleet=fleet, supervisor=supervisor, originals=originals, events=events,
        forbidden=forbidden, tried=tried, settings=settings, configurations=configurations, begin=begin, running=running,
        replace=replace,
    )  # fmt: skip
