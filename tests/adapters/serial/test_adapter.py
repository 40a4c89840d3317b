"""The adapter on real pseudo-terminals with simulated devices at their other end."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.device_search import profiles_for
from adapters.serial.discovery.probing import ProbeStep
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.session.active_protocol import ActiveProtocol
from gateway.adapter import (
    BusUnavailable,
    ChildDevice,
    Command,
    CommandRejected,
    Confidence,
    DeviceUnreachable,
    FactSource,
    Found,
    WrittenSetting,
)
from gateway.testing.serial import HEALTHY, Display, Gps, ScriptedDevice, SerialFaults, SerialLine

GENEROUS_SECONDS = 20.0
"""Nothing here takes so long but on a machine that is busy with something else."""


@pytest.fixture
def port(tmp_path):
    """Where the adapter of a port is found, as under /dev/serial/by-id."""
    return tmp_path / "usb-FTDI_FT232R_A10K3X9Q-if00-port0"


@pytest.fixture
def until():
    async def wait(claim):
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
                await asyncio.sleep(0.005)

    return wait


def adapter_on(line, **rule):
    settings = {"type": "serial", "name": "rack", **rule.pop("settings", {})}
    settings["ports"] = [{"port": line.port, "line": "9600 8N1", **rule}]
    return SerialAdapter(SerialAdapter.settings_model.model_validate(settings))


def child_of(found):
    return ChildDevice(
        key=found.identity.key, adapter="rack", bus="rack", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip


async def discovered(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def readings_of(adapter, child):
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


class Ear:
    """An uplink that remembers."""

    def __init__(self):
        self.values, self.words = {}, 0

    def found(self, found):
        raise AssertionError(f"{found} was told, though only a search tells")

    def heard(self, readings):
        self.words += 1
        for reading in readings:
            self.values.setdefault(reading.child, {})[reading.metric.name] = reading.value


async def test_a_display_is_found_with_its_own_identity(port):
    async with SerialLine(Display(), link=port) as line, adapter_on(line, profiles=["samsung-mdc", "nmea-0183"]) as adapter:
        (found,) = await discovered(adapter)
    assert (found.address, found.identity.key) == ("samsung-mdc/1", "sn:samsung/Z1ABH4CT300057")
    assert (found.family, found.sub_model, found.manufacturer) == ("display", "QM55R", "Samsung")
    assert any("aa ff 01" in came for came in found.evidence.values()), "the bytes are shown"


async def test_a_display_is_read_and_commanded(port):
    display = Display()
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        child = child_of(await adapter.identify("samsung-mdc/1"))
        assert (await readings_of(adapter, child))["volume"] == display.volume
        result = await adapter.execute(child, Command(1, child.key, "set_volume", {"volume": 12}))
        assert (result.message, result.is_proven) == ("volume is 12, was 30", True)
        assert display.volume == 12
        assert (await readings_of(adapter, child))["volume"] == 12
        assert await adapter.differing_settings(child, {"volume": 20.0, "input": "hdmi1"}) == {"volume": 12}
        written = await adapter.configure(child, {"volume": 20.0})
        assert written == [WrittenSetting(name="volume", before=12, after=20)]
        assert display.volume == 20
        assert await adapter.differing_settings(child, {"volume": 20.0}) == {}
        for command, parameters, why in (
            ("set_volume", {"volume": 101}, "from 0 to 100"),
            ("set_input", {"input": "hdmi9"}, "one of pc"),
            ("explode", {}, "no command 'explode'"),
        ):
            with pytest.raises(CommandRejected, match=why):
                await adapter.execute(child, Command(2, child.key, command, parameters))
        with pytest.raises(CommandRejected, match="no setting 'colour'"):
            await adapter.configure(child, {"colour": "red"})


async def test_a_device_that_sends_unasked_is_received_without_a_query(port, until):
    gps = Gps(sends_every_seconds=0.05)
    async with SerialLine(gps, link=port) as line:
        adapter, ear = adapter_on(line), Ear()
        async with adapter:
            (found,) = await discovered(adapter)
            child = child_of(found)
            assert (found.profile, found.identity.kind) == ("nmea-0183", "place")
            assert adapter.poll_groups(child) == {}
            assert adapter.may_be_quiet(child) > timedelta(0)
            listening = asyncio.create_task(adapter.listen(ear))
            await until(lambda: "latitude" in ear.values.get(child.key, {}))
            listening.cancel()
        assert line.received == b"", "nothing was sent to it"
    assert ear.values[child.key]["altitude"] in gps.sent["altitude"]


async def test_after_a_restart_messages_are_received_at_once(port, until):
    async with SerialLine(Gps(sends_every_seconds=0.05), link=port) as line:
        first = adapter_on(line)
        async with first:
            child = child_of((await discovered(first))[0])
        again, ear = adapter_on(line), Ear()
        again.memory = first.memory
        async with again:
            listening = asyncio.create_task(again.listen(ear))
            await until(lambda: child.key in ear.values)
            listening.cancel()


async def test_messages_of_a_child_are_received_even_with_its_memory_lost(port, until):
    async with SerialLine(Gps(sends_every_seconds=0.05), link=port) as line:
        first = adapter_on(line)
        async with first:
            child = child_of((await discovered(first))[0])
        again, ear = adapter_on(line), Ear()
        async with again:
            again.may_be_quiet(child)
            listening = asyncio.create_task(again.listen(ear))
            assert await discovered(again)
            await until(lambda: child.key in ear.values)
            listening.cancel()


async def test_a_port_that_is_only_listened_to_is_never_written_to(port):
    async with SerialLine(Display(), link=port) as line:
        async with adapter_on(line, probe=False, profiles=["samsung-mdc", "nmea-0183"]) as adapter:
            assert await discovered(adapter) == []
        assert line.received == b""


async def test_a_configured_device_has_its_configured_name_and_address(port):
    async with SerialLine(Display(display_id=9), link=port) as line:
        device = {"profile": "samsung-mdc", "address": "9", "name": "Lobby display"}
        async with adapter_on(line, settings={"devices": [device]}) as adapter:
            (found,) = await discovered(adapter)
    assert (found.name, found.address, found.sub_model) == ("Lobby display", "samsung-mdc/9", "QM55R")


async def test_a_silent_display_is_unreachable_and_read_again_when_it_is_back(port):
    display = Display()
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        child = child_of(await adapter.identify("samsung-mdc/1"))
        display.faults = SerialFaults(silent=True)
        with pytest.raises(DeviceUnreachable, match="no answer within"):
            await readings_of(adapter, child)
        with pytest.raises(DeviceUnreachable, match="no device answers like a Samsung"):
            await adapter.identify("samsung-mdc/1")
        display.faults = HEALTHY
        assert (await readings_of(adapter, child))["power"] == "on"


@pytest.mark.parametrize("faults", [{"one_byte_at_a_time": True}, {"noise": b"\x00\xff\xaa"}, {"late_seconds": 0.2}])
async def test_a_bad_line_costs_only_time(port, faults):
    display = Display()
    display.faults = SerialFaults(**faults)
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        child = child_of(await adapter.identify("samsung-mdc/1"))
        assert (await readings_of(adapter, child))["volume"] == 30


async def test_frames_with_wrong_checksums_are_discarded_and_reported(port):
    display = Display()
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        child = child_of(await adapter.identify("samsung-mdc/1"))
        display.faults = SerialFaults(wrong_checksum=True)
        with pytest.raises(DeviceUnreachable):
            await readings_of(adapter, child)
        assert any("discarded received bytes" in remark for remark in adapter.remarks(child))


async def test_a_line_that_echoes_is_tolerated(port):
    async with SerialLine(Display(), link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        line.echoes = True
        child = child_of(await adapter.identify("samsung-mdc/1"))
        assert (await readings_of(adapter, child))["power"] == "on"


async def test_an_unplugged_port_is_lost_and_comes_back_under_another_name(port, until):
    async with SerialLine(Display(), link=port) as line:
        adapter = adapter_on(line, profiles=["samsung-mdc"])
        async with adapter:
            child = child_of(await adapter.identify("samsung-mdc/1"))
            listening = asyncio.create_task(adapter.listen(Ear()))
            before = line.tty_name
            line.unplug()
            with pytest.raises(BusUnavailable):
                await asyncio.wait_for(listening, GENEROUS_SECONDS)
            with pytest.raises(BusUnavailable):
                await readings_of(adapter, child)
        with pytest.raises(BusUnavailable, match="does not exist: plug it in"):
            await adapter.__aenter__()
        back = asyncio.create_task(adapter.reappears())
        await asyncio.sleep(0.2)
        assert not back.done()
        line.replug()
        await asyncio.wait_for(back, GENEROUS_SECONDS)
        assert line.tty_name != before
        async with adapter:
            assert await adapter.identify("samsung-mdc/1")
            assert (await readings_of(adapter, child))["power"] == "on"


async def test_a_port_unplugged_during_a_command_is_a_lost_bus(port):
    display = Display()
    display.faults = SerialFaults(late_seconds=0.3)
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        child = child_of(await adapter.identify("samsung-mdc/1"))
        commanding = asyncio.create_task(adapter.execute(child, Command(1, child.key, "set_mute", {"mute": True})))
        await asyncio.sleep(0.1)
        line.unplug()
        with pytest.raises(BusUnavailable):
            await asyncio.wait_for(commanding, GENEROUS_SECONDS)


async def test_a_port_that_is_in_use_is_not_opened(port):
    async with SerialLine(Display(), link=port) as line, adapter_on(line, profiles=["samsung-mdc"]):
        with pytest.raises(BusUnavailable, match="this gateway"):
            await adapter_on(line).__aenter__()


async def test_a_device_with_metrics_of_its_own_is_read_with_a_generic_profile(port):
    sensor = ScriptedDevice("sensor", message=lambda: b"temp=21.5 hum=40\r\n", sends_every_seconds=0.05)
    devices = {"devices": [{"profile": "key-value-lines", "name": "Cellar"}]}
    async with SerialLine(sensor, link=port) as line, adapter_on(line, settings=devices) as adapter:
        (found,) = await discovered(adapter)
        readings = await readings_of(adapter, child_of(found))
    assert found.name == "Cellar"
    assert found.confidence in (Confidence.POSSIBLE, Confidence.LIKELY, Confidence.CERTAIN)
    assert readings["temp"] == 21.5


async def test_ports_are_served_as_they_appear_and_keep_their_identity(tmp_path):
    pattern = str(tmp_path / "usb-*")
    settings = SerialAdapter.settings_model.model_validate({"type": "serial", "name": "rack", "ports": [pattern]})
    buses = SerialAdapter.buses(settings)
    async with SerialLine(Display(), link=tmp_path / "usb-one") as one:
        first = await asyncio.wait_for(anext(buses), GENEROUS_SECONDS)
        following = asyncio.ensure_future(anext(buses))
        async with SerialLine(Display(), link=tmp_path / "usb-two"):
            second = await asyncio.wait_for(following, GENEROUS_SECONDS)
            assert (first.bus, second.bus) == (str(tmp_path / "usb-one"), str(tmp_path / "usb-two"))
            following = asyncio.ensure_future(anext(buses))
            one.unplug()
            one.replug()
            await asyncio.sleep(1)
            assert not following.done(), "it is the same port as before"
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    await buses.aclose()


async def test_a_corrupt_memory_of_a_port_is_ignored(port):
    async with SerialLine(Display(), link=port) as line:
        adapter = adapter_on(line, profiles=["samsung-mdc"])
        adapter.memory = {f"spoken on {adapter.bus}": "nonsense", f"speaks on {adapter.bus} as x": "y"}
        async with adapter:
            assert await discovered(adapter)
            assert "samsung-mdc" in adapter.memory[f"spoken on {adapter.bus}"]


async def test_a_child_whose_profile_is_missing_is_not_read(port):
    async with SerialLine(Display(), link=port) as line, adapter_on(line, profiles=["samsung-mdc"]) as adapter:
        child = replace(child_of(await adapter.identify("samsung-mdc/1")), profile="gone")
        assert adapter.poll_groups(child) == {}
        assert await readings_of(adapter, child) == {}
        with pytest.raises(CommandRejected):
            await adapter.execute(child, Command(1, child.key, "set_mute", {"mute": True}))


async def test_two_displays_on_one_line_are_read_and_commanded_each_by_its_own_address(port):
    first, second = Display(display_id=0, serial_number="Z1ABH4CT300001"), Display(display_id=2, serial_number="Z1ABH4CT300002")
    second.volume = 60
    devices = [{"profile": "samsung-mdc", "address": one, "name": f"Display {one}"} for one in ("0", "2")]
    async with SerialLine(first, second, link=port) as line, adapter_on(line, settings={"devices": devices}) as adapter:
        met = await discovered(adapter)
        assert [(one.address, one.name) for one in met] == [("samsung-mdc/0", "Display 0"), ("samsung-mdc/2", "Display 2")]
        assert (await adapter.identify("samsung-mdc/0")).name == "Display 0"
        assert [(await readings_of(adapter, child_of(one)))["volume"] for one in met] == [30, 60]
        await adapter.execute(child_of(met[1]), Command(1, met[1].identity.key, "set_volume", {"volume": 5}))
    assert (first.volume, second.volume) == (30, 5)


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        ([("samsung-mdc", "1"), ("nec-display", "2")], "a port can have one profile only.*nec-display, samsung-mdc"),
        ([("samsung-mdc", "1"), ("samsung-mdc", "1")], "have the address 1"),
        ([("samsung-mdc", "1"), ("samsung-mdc", "")], "add the `address` of each"),
    ],
)
def test_devices_that_cannot_share_a_port_are_a_config_error(devices, why):
    written = [{"profile": profile, "address": address} for profile, address in devices]
    with pytest.raises(ValueError, match=why):
        SerialAdapter.settings_model.model_validate({"type": "serial", "ports": ["/dev/ttyS0"], "devices": written})


async def test_a_device_that_is_busy_during_a_search_gets_its_own_query_only(port):
    display = Display()
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc", "lg-display"]) as adapter:
        assert await discovered(adapter)
        display.faults = SerialFaults(silent=True)
        line.received.clear()
        assert await discovered(adapter) == []
        assert line.received == bytes.fromhex("aa 11 01 00 12 aa 11 00 00 11"), (
            "its own harmless question, at its two usual addresses"
        )


async def test_messages_are_received_after_a_search_that_found_nothing(port, until):
    gps = Gps(sends_every_seconds=0.05)
    async with SerialLine(gps, link=port) as line:
        adapter, ear = adapter_on(line, settings={"devices": [{"profile": "nmea-0183"}]}), Ear()
        async with adapter:
            child = child_of((await discovered(adapter))[0])
            gps.faults = SerialFaults(silent=True)
            assert await discovered(adapter) == []
            listening = asyncio.create_task(adapter.listen(ear))
            gps.faults = HEALTHY
            await until(lambda: child.key in ear.values)
            listening.cancel()


async def test_messages_are_received_while_a_search_listens(port, until):
    async with SerialLine(Gps(sends_every_seconds=0.05), link=port) as line:
        adapter, ear = adapter_on(line, profiles=["nmea-0183"]), Ear()
        async with adapter:
            child = child_of((await discovered(adapter))[0])
            listening = asyncio.create_task(adapter.listen(ear))
            searching = adapter.discover()
            await anext(searching)
            assert child.key in ear.values
            await searching.aclose()
            listening.cancel()


@pytest.mark.parametrize("after_seconds", [0.0, 0.02, 0.1, 0.3])
async def test_a_cancelled_search_or_reading_leaves_the_line_usable(port, after_seconds):
    display = Display(clock=lambda: 0.0)
    async with SerialLine(display, link=port) as line, adapter_on(line, profiles=["samsung-mdc", "nmea-0183"]) as adapter:
        child = child_of(await adapter.identify("samsung-mdc/1"))
        before = await readings_of(adapter, child)
        display.faults = SerialFaults(late_seconds=0.15)
        for work in (discovered(adapter), readings_of(adapter, child)):
            task = asyncio.create_task(work)
            await asyncio.sleep(after_seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await readings_of(adapter, child) == before, "an answer that comes late is no answer to another query"


def open_files():
    return len([*Path("/proc/self/fd").iterdir()])


async def test_opening_and_closing_again_and_again_leaves_nothing_open(port):
    async with SerialLine(Display(), link=port) as line:
        adapter, counts = adapter_on(line, profiles=["samsung-mdc"]), []
        for turn in range(50):
            async with adapter:
                assert turn % 10 or await adapter.identify("samsung-mdc/1")
            counts.append((open_files(), len(asyncio.all_tasks()), len(adapter.memory)))
    assert counts[1] == counts[-1]


async def test_a_port_reappears_only_after_it_was_away_or_renamed(port):
    async with SerialLine(Display(), link=port) as line:
        adapter = adapter_on(line)
        async with adapter:
            pass
        back = asyncio.create_task(adapter.reappears())
        await asyncio.sleep(0.8)  # more than two looks
        assert not back.done(), "it failed where it is, so it is not opened at once"
        line.unplug()
        line.replug()
        await asyncio.wait_for(back, GENEROUS_SECONDS)


class StuckPort:
    """A port that takes nothing, as when flow control holds it back."""

    line, is_unused, first_bytes = LineSettings(), False, b""

    def attach(self, listener):
        pass

    async def write(self, data):
        raise DeviceUnreachable("it takes no more")


async def test_a_blocked_port_gives_no_answer():
    spoken = ActiveProtocol(StuckPort(), lambda protocol, frame: None, lambda profile: None)
    assert await spoken.run_step(ProbeStep(LineSettings(), b"?", 1.0, bool, "asking")) == b""


@pytest.mark.parametrize("name", [path.stem for path in sorted(PROFILE_FILES.folder.glob("*.toml"))])
def test_the_line_load_of_every_profile_can_be_estimated(name):
    checked = SerialAdapter.workbench().check_profile(PROFILE_FILES.folder / f"{name}.toml")
    load = sum(block.seconds / block.every_seconds for block in checked.blocks)
    assert checked.blocks
    assert 0 <= load < 0.1
    assert all(0 < block.every_seconds < 3600 for block in checked.blocks)


def test_the_line_is_told_as_it_was_found_or_configured_with_where_that_comes_from():
    line = SimpleNamespace(port="/dev/ttyS9")
    configured = adapter_on(line).bus_facts()
    settings = {"type": "serial", "name": "rack", "ports": [line.port]}
    adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(settings))
    assert {one.name: (one.value, one.source) for one in configured}["speed"] == ("9600 baud", FactSource.CONFIGURED)
    profile = next(iter(adapter.settings.library.values()))
    before = {one.name: (one.value, one.source) for one in adapter.bus_facts()}
    assert before["speed"][1] is FactSource.USUAL
    assert before["protocol"] == ("not known yet", None)
    adapter._remembered.remember_protocol(profile, LineSettings(baudrate=4800, parity="O"))
    facts = {one.name: (one.value, one.source) for one in adapter.bus_facts()}
    assert facts["speed"] == ("4800 baud", FactSource.FOUND)
    assert facts["parity"] == ("odd", FactSource.FOUND)
    assert facts["protocol"] == (profile.title, FactSource.FOUND)


def test_the_speed_of_a_device_server_is_set_there():
    settings = {"type": "serial", "name": "rack", "ports": ["socket://192.168.1.40:4001"]}
    facts = SerialAdapter(SerialAdapter.settings_model.model_validate(settings)).bus_facts()
    assert ("speed", "set on the device server") in [(one.name, one.value) for one in facts]


def entry_with(**settings):
    return SerialAdapter.settings_model.model_validate({"type": "serial", "name": "rack", **settings})


def test_a_device_is_named_by_its_host_alone_where_its_profile_has_the_usual_tcp_port():
    hall = {"port": "tcp://192.168.1.40", "name": "hall"}
    by_device = entry_with(ports=["tcp://192.168.1.40"], devices=[{"port": "tcp://192.168.1.40", "profile": "pjlink"}])
    by_name = entry_with(ports=[hall], devices=[{"port": "hall", "profile": "pjlink"}])
    by_rule = entry_with(ports=[{**hall, "profiles": ["pjlink"]}])
    for entry in (by_device, by_name, by_rule):
        assert [rule.port for rule in entry.ports] == ["tcp://192.168.1.40:4352"]
        assert list(entry.claims()) == ["host 192.168.1.40 port 4352"]
    assert by_device.devices[0].port == "tcp://192.168.1.40:4352"
    assert by_device.devices_on("tcp://192.168.1.40:4352") == by_device.devices
    assert entry_with(ports=[{"port": "tcp://[fe80::1]", "profiles": ["pjlink"]}]).ports[0].port == "tcp://[fe80::1]:4352"


@pytest.mark.parametrize(
    "rule",
    [
        {"port": "tcp://192.168.1.40"},
        {"port": "tcp://192.168.1.40", "profiles": ["pjlink", "sony-bravia"]},
        {"port": "tcp://192.168.1.40", "profiles": ["mt-sics"]},
    ],
)
def test_a_host_alone_is_refused_where_its_tcp_port_is_not_known(rule):
    with pytest.raises(ValueError, match="does not say at which TCP port its device listens"):
        entry_with(ports=[rule])


def test_only_a_device_with_a_network_port_of_its_own_may_lack_the_tcp_port():
    for port in ("socket://192.168.1.40", "rfc2217://192.168.1.40", "tcp://192.168.1.40:", "tcp://192.168.1.40/x"):
        with pytest.raises(ValueError, match="does not name a device server"):
            entry_with(ports=[{"port": port, "profiles": ["pjlink"]}])
    with pytest.raises(ValueError, match="excludes nothing without a TCP port"):
        entry_with(ports=["*"], exclude=["tcp://192.168.1.40"])


def test_only_protocols_that_may_be_spoken_on_a_port_are_tried_there():
    profiles = list(PROFILE_FILES.load().values())
    at = {port: {profile.name for profile in profiles_for(port, profiles)} for port in PORTS_OF_UNKNOWN_DEVICES}
    assert "pjlink" not in at["/dev/ttyUSB0"] | at["rfc2217://10.0.0.1:4001"]
    assert "mt-sics" in at["/dev/ttyUSB0"] & at["rfc2217://10.0.0.1:4001"]
    assert at["tcp://10.0.0.1:4352"] == {"pjlink"}
    assert at["socket://10.0.0.1:4352"] == at["tcp://10.0.0.1:4999"] == {profile.name for profile in profiles}


PORTS_OF_UNKNOWN_DEVICES = (
    "/dev/ttyUSB0",
    "rfc2217://10.0.0.1:4001",
    "tcp://10.0.0.1:4352",
    "socket://10.0.0.1:4352",
    "tcp://10.0.0.1:4999",
)


def test_a_device_by_tcp_has_no_line_settings():
    settings = {"type": "serial", "name": "rack", "ports": ["tcp://192.168.1.40:4352"]}
    entry = SerialAdapter.settings_model.model_validate(settings)
    assert {one.name for one in SerialAdapter(entry).bus_facts()} == {"port", "protocol"}
    settings["ports"] = [{"port": "tcp://192.168.1.40:4352", "line": "9600 8N1"}]
    with pytest.raises(ValueError, match="no line settings: leave `line` out"):
        SerialAdapter.settings_model.model_validate(settings)
