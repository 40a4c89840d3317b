"""Devices that were found, admitted, ignored, renamed and retired are in the timeline, by whatever process that was done."""

import asyncio
from types import SimpleNamespace

from gateway.models import Found, Identity, IdentityKind
from gateway.runtime.device_actions.child_life import ChildLife
from gateway.runtime.device_actions.looks import DeviceLooks
from gateway.runtime.timeline.devices import DeviceEvents
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.timeline import Timeline, TimelineFilter
from gateway.state.records import Decision
from gateway.state.registry import Registry
from gateway.status.device_actions import LookKind
from gateway.status.requester_context import acting_for

FOUND = Found(
    address="7", identity=Identity(IdentityKind.SERIAL_NUMBER, "4711"), name="Meter", profile=None, family="meter",
    sub_model=None, firmware_version=None,
)  # fmt: skip
KEY = FOUND.identity.key


async def test_each_step_of_the_life_of_a_device_is_told_with_its_name_and_bus(store, tmp_path):
    registry, other = Registry(store), Registry(store)
    await registry.load()
    await other.load()
    timeline = Timeline(HistoryFile(tmp_path / "x.sqlite3", most_bytes=0), find_device=registry.device_of)
    events = DeviceEvents(timeline, registry)

    async def new():
        await registry.load()  # as after a change by another process
        events.look()
        shown = [(one.kind.value, one.device, one.bus, one.text) for one in await timeline.events(TimelineFilter(), most=9)]
        new.seen, count = len(shown), len(shown) - new.seen
        return shown[:count]

    new.seen = 0
    await other.add_found("rs485", "/dev/ttyUSB0", FOUND, "its family has no model")
    assert await new() == [
        ("found", "Meter", "/dev/ttyUSB0", "was found at /dev/ttyUSB0, address 7. It is no child: its family has no model")
    ]
    assert await new() == []
    await other.load()
    await other.decide(KEY, Decision.IGNORE)
    assert await new() == [("ignored", "Meter", "/dev/ttyUSB0", "is ignored from now on")]
    await other.rename(KEY, "Boiler")
    assert await new() == [("renamed", "Boiler", "/dev/ttyUSB0", "was called Meter before")]
    await other.admit(FOUND.as_child(adapter="rs485", bus="/dev/ttyUSB0", model_id="m"))
    assert await new() == [("admitted", "Boiler", "/dev/ttyUSB0", "is a child of this gateway now, at /dev/ttyUSB0, address 7")]
    await other.retire(KEY, why="gone", unused=None)
    assert "retired" in [kind for kind, *_ in await new()]


async def test_what_is_known_at_the_start_is_no_news(store, tmp_path):
    registry = Registry(store)
    await registry.load()
    await registry.admit(FOUND.as_child(adapter="rs485", bus="/dev/ttyUSB0", model_id="m"))
    timeline = Timeline(HistoryFile(tmp_path / "x.sqlite3", most_bytes=0))
    DeviceEvents(timeline, registry).look()
    assert await timeline.events(TimelineFilter(), most=9) == []


async def test_who_asks_on_the_page_is_named_with_what_was_done(store, tmp_path):
    registry = Registry(store)
    await registry.load()
    await registry.add_found("rs485", "/dev/ttyUSB0", FOUND, "its family has no model")
    timeline = Timeline(HistoryFile(tmp_path / "x.sqlite3", most_bytes=0), find_device=registry.device_of)
    events = DeviceEvents(timeline, registry)
    life = ChildLife(registry, SimpleNamespace(), timeline)
    with acting_for("office"):
        assert await life.ignore(KEY) is None
    events.look()
    (ignored,) = await timeline.events(TimelineFilter(), most=9)
    assert ignored.text == "is ignored from now on, by the token office"
    await registry.admit(FOUND.as_child(adapter="rs485", bus="/dev/ttyUSB0", model_id="m"))
    with acting_for("cellar"):
        assert await life.retire(KEY, keep_in_cloud=True) is None
    latest = (await timeline.events(TimelineFilter(), most=9))[0]
    assert (latest.kind.value, latest.text) == ("retired", "is to be retired, by the token cellar")


async def test_a_look_is_told_with_who_asked_for_it(store, tmp_path):
    registry = Registry(store)
    await registry.load()
    await registry.add_found("rs485", "/dev/ttyUSB0", FOUND, "its family has no model")
    timeline = Timeline(HistoryFile(tmp_path / "x.sqlite3", most_bytes=0), find_device=registry.device_of)
    looks = DeviceLooks(registry, SimpleNamespace(supervisors={}), timeline)
    runs = asyncio.create_task(looks.run())
    await asyncio.sleep(0)
    with acting_for("office"):
        assert looks.start(KEY, LookKind.READ) is None
    await looks.wait_for(KEY, within_seconds=10)
    runs.cancel()
    (look,) = await timeline.events(TimelineFilter(), most=9)
    assert (look.kind.value, look.device, look.text) == (
        "looked",
        "Meter",
        "was asked who it is, and read once, by the token office",
    )
