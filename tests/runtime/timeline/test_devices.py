"""Devices that were found, admitted, ignored, renamed and retired are in the timeline, by whatever process that was done."""

from gateway.models import Found, Identity, IdentityKind
from gateway.runtime.timeline.devices import DeviceEvents
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.timeline import Timeline, TimelineFilter
from gateway.state.records import Decision
from gateway.state.registry import Registry

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
