"""The whole gateway between devices on real pseudo-terminals, or behind a device server, and the emulated cloud."""

import asyncio
import logging
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import adapters.serial
from adapters.modbus import ModbusAdapter
from adapters.serial import SerialAdapter
from gateway.adapter import AdapterError, Command
from gateway.testing.demo_devices import moxa_iologik_e1210
from gateway.testing.modbus import Frame, Rtu
from gateway.testing.serial import (
    HEALTHY,
    Console,
    DeviceServer,
    Display,
    Gps,
    NoFix,
    P1Meter,
    Projector,
    ScriptedDevice,
    SerialDevice,
    SerialFaults,
    SerialLine,
)

pytestmark = pytest.mark.enable_socket

MODELS = {
    "display": "11111111-0a0b-4c0d-8e0f-112233445566",
    "gps": "22222222-0a0b-4c0d-8e0f-112233445566",
    "projector": "33333333-0a0b-4c0d-8e0f-112233445566",
    "sensor": "44444444-0a0b-4c0d-8e0f-112233445566",
    "*": "55555555-0a0b-4c0d-8e0f-112233445566",
}
ADAPTERS = {"serial": SerialAdapter, "modbus": ModbusAdapter}
PROFILES = Path(adapters.serial.__file__).parent / "profiles"
DISPLAY, GPS = "samsung-mdc/1", "nmea-0183"
MOST_SECONDS = 2.0
"""From the return of a port to its child's."""


@pytest.fixture
def rack(tmp_path, running):
    """Start a gateway that serves the ports in a folder: `async with rack(devices=[...]) as gateway`.

    Displays are read often, and nobody is listened for as long as usual.
    """
    folder = tmp_path / "profiles"
    folder.mkdir()
    for path in PROFILES.glob("*.toml"):
        often = "\n[groups]\nnormal = 0.3\nslow = 1\n" if path.stem == "samsung-mdc" else ""
        shortened = re.sub(r"\bwithin = [0-9.]+", "within = 0.6", path.read_text(encoding="utf-8"))
        shortened = re.sub(r"\bmay_be_quiet = [0-9.]+", "may_be_quiet = 1", shortened)
        (folder / path.name).write_text(shortened + often)

    def start(*rules, before=(), profiles=("samsung-mdc", "nmea-0183", "key-value-lines"), **rest):
        rules = rules or [{"port": str(tmp_path / "by-id" / "usb-*"), "line": "9600 8N1", "profiles": list(profiles)}]
        keys = {name: rest.pop(name) for name in ("devices", "exclude", "discover_every") if name in rest}
        entry = {"type": "serial", "name": "rack", "ports": list(rules), "profiles": [str(folder)], **keys}
        cloud = {"tell_stop": False, **rest.pop("cloud", {})}  # the status of children is looked at after the stop
        return running(ADAPTERS, *before, entry, models=MODELS, cloud=cloud, **rest)

    return start


@pytest.fixture
def plugged(tmp_path):
    """Plug devices in: `async with plugged("one", Display()) as line`."""
    return lambda name, *devices, **rest: SerialLine(*devices, link=tmp_path / "by-id" / f"usb-{name}", **rest)


@pytest.fixture
def impatient(monkeypatch):
    """Devices are told silent within a second, and asked again as soon."""
    monkeypatch.setattr("gateway.field.polling.schedule.PROBE_FIRST_SECONDS", 0.2)
    monkeypatch.setattr("gateway.field.polling.schedule.RECHECK_SECONDS", 0.2)
    monkeypatch.setattr("gateway.field.children.silence.SHORTEST_LIMIT_SECONDS", 0.6)
    monkeypatch.setattr("gateway.field.children.silence.BURST_SECONDS", 0.02)
    monkeypatch.setattr("gateway.field.telemetry.listening.CHECK_SECONDS", 0.02)


def children(emulator):
    return [device for device in emulator.cloud.devices.values() if device.parent_id is not None]


def child(emulator, address, port=""):
    """The child with that address, on the port that is called so; `None` before it is registered."""
    return next(
        (one for one in children(emulator) if one.details["address"] == address and one.details["bus"].endswith(port)), None
    )


def told(emulator, address, metric, port=""):
    device = child(emulator, address, port)
    return None if device is None else device.state.get(metric)


def messages(emulator, address, port=""):
    return emulator.journal.telemetry(child(emulator, address, port).id)


def statuses(emulator, address, port=""):
    """Every change of status that the cloud was told of, in order."""
    said = [message.status for message in messages(emulator, address, port)]
    return [status for before, status in zip([None, *said], said, strict=False) if status != before]


def remarks(gateway, port):
    """What the page says of the child on that port; nothing before there is one."""
    supervisor = supervisor_of(gateway, port)
    keys = [one.child.key for one in gateway.parts.state.registry.children.values() if one.child.bus.endswith(port)]
    return " ".join(remark for key in keys if (status := supervisor.child_status(key)) for remark in status.remarks)


def supervisor_of(gateway, port):
    return next(one for (_, bus), one in gateway.parts.field.fleet.supervisors.items() if bus.endswith(port))


def resident_of(gateway, port):
    return next(one.child for one in gateway.parts.state.registry.children.values() if one.child.bus.endswith(port))


async def outcome_of(supervisor, key, name, parameters):
    """How a command ended, as one text."""
    try:
        result = await supervisor.execute(key, Command(1, key, name, parameters), within=timedelta(seconds=5))
    except AdapterError as error:
        return f"{type(error).__name__}: {error}"
    return result.message


async def test_a_display_and_a_receiver_become_children_with_their_values(emulator, rack, plugged, until):
    display, gps = Display(), Gps(sends_every_seconds=0.1)
    async with plugged("one", display), plugged("two", gps) as talking, rack():
        await until(lambda: told(emulator, DISPLAY, "temperature") and told(emulator, GPS, "speed") is not None)
        assert told(emulator, GPS, "altitude") in gps.sent["altitude"]
        assert told(emulator, DISPLAY, "volume") == 30
        display.volume = 41
        await until(lambda: told(emulator, DISPLAY, "volume") == 41)
        assert talking.received == b"", "who talks is not asked"
    screen, receiver = child(emulator, DISPLAY), child(emulator, GPS)
    assert (screen.model_id, screen.sub_model, screen.sn) == (MODELS["display"], "QM55R", "Z1ABH4CT300057")
    assert screen.firmware_version == "2114.3.0", "the cloud takes semantic versions"
    assert (receiver.model_id, receiver.state["fix"]) == (MODELS["gps"], "gps")
    assert (receiver.sn, receiver.mac) == (None, None), "none is invented from its port (section 18)"
    assert len(children(emulator)) == 2


@pytest.mark.parametrize("no_fix", list(NoFix))
async def test_the_cloud_has_no_position_of_a_receiver_that_lost_its_fix(emulator, rack, plugged, until, no_fix):
    gps = Gps(sends_every_seconds=0.1)
    async with plugged("one", gps), rack():
        await until(lambda: told(emulator, GPS, "latitude") and told(emulator, GPS, "speed") is not None)
        gps.no_fix = no_fix
        await until(lambda: told(emulator, GPS, "fix") == "none" and told(emulator, GPS, "latitude") is None)
        await until(lambda: told(emulator, GPS, "speed") is None and told(emulator, GPS, "altitude") is None)
        assert told(emulator, GPS, "satellites") == 0
        gps.no_fix = None
        await until(lambda: told(emulator, GPS, "latitude") is not None and told(emulator, GPS, "fix") == "gps")


async def test_a_meter_without_its_key_is_a_child_that_says_what_it_needs(emulator, rack, plugged, until, caplog):
    meter = P1Meter(country="lu", decryption_key=bytes(16), sends_every_seconds=0.05)
    async with plugged("one", meter), rack(profiles=("dsmr-p1",)) as gateway:
        await until(lambda: child(emulator, "dsmr-p1"))
        await until(lambda: "its telegrams are encrypted" in remarks(gateway, "one"))
        assert "decryption_key_file" in remarks(gateway, "one")
    assert child(emulator, "dsmr-p1").sn == "SAG677000A1B2"
    assert sum("cannot be decoded" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("outage_seconds", [0, 1, 3])
async def test_children_are_back_within_two_seconds_after_replugging(emulator, rack, plugged, until, outage_seconds):
    display, gps = Display(), Gps(sends_every_seconds=0.1)
    async with plugged("one", display) as asked, plugged("two", gps) as talking, rack() as gateway:
        await until(lambda: told(emulator, DISPLAY, "volume") and told(emulator, GPS, "speed") is not None)
        for line in (asked, talking):
            line.unplug()
        await asyncio.sleep(outage_seconds)
        display.sent.clear()
        gps.sent.clear()
        display.volume = 55
        began, names = time.monotonic(), (asked.tty_name, talking.tty_name)
        for line in (asked, talking):
            line.replug()
        latest = taken_in(gateway)
        await until(lambda: latest.get("volume") == 55)
        seconds = time.monotonic() - began
        await until(lambda: latest.get("satellites") in gps.sent["satellites"])
        until_heard = time.monotonic() - began
        await until(lambda: told(emulator, DISPLAY, "volume") == 55 and told(emulator, GPS, "status") == "online")
        assert all(before != line.tty_name for before, line in zip(names, (asked, talking), strict=True))
    print(f"after {outage_seconds} s: read {seconds:.2f} s, heard {until_heard:.2f} s after the port was back")  # noqa: T201 - a figure
    assert max(seconds, until_heard) < MOST_SECONDS
    assert emulator.journal.calls()["Register Child Device"] == 2


def taken_in(gateway):
    """The latest value of each metric that the gateway takes in from now on."""
    latest, take = {}, gateway.parts.field.sampler.take

    def note(readings):
        latest.update({reading.metric.name: reading.value for reading in readings})
        take(readings)

    gateway.parts.field.sampler.take = note
    return latest


async def test_a_command_has_one_outcome_if_the_port_is_unplugged_meanwhile(emulator, rack, plugged, until):
    display = Display()
    async with plugged("one", display) as line, rack() as gateway:
        await until(lambda: told(emulator, DISPLAY, "volume"))
        supervisor, (key,) = supervisor_of(gateway, "one"), gateway.parts.state.registry.children
        assert await outcome_of(supervisor, key, "set_volume", {"volume": 31}) == "volume is 31, was 30"
        display.faults = SerialFaults(late_seconds=0.4)
        commanding = asyncio.create_task(outcome_of(supervisor, key, "set_volume", {"volume": 77}))
        await until(lambda: len(display.commands) == 2)
        line.unplug()
        assert await asyncio.wait_for(commanding, 20) == "BusLost: the bus was lost while it was carried out"
        display.faults = HEALTHY
        began = time.monotonic()
        line.replug()
        assert await outcome_of(supervisor, key, "set_mute", {"mute": "on"}) == "mute is on, was off"
        seconds = time.monotonic() - began
        assert [value for _, value in display.commands] == [b"\x1f", b"\x4d", b"\x01"], "none was sent twice"
    print(f"a command is obeyed {seconds:.2f} s after the port was back")  # noqa: T201 - a figure
    assert seconds < MOST_SECONDS


async def test_a_new_port_is_noticed_within_two_seconds_and_its_device_registered(emulator, rack, plugged, until):
    async with plugged("one", Display()), rack() as gateway:
        await until(lambda: told(emulator, DISPLAY, "volume"))
        began = time.monotonic()
        async with plugged("two", Gps(sends_every_seconds=0.1)) as line:
            await until(lambda: line.is_open)
            seconds = time.monotonic() - began
            await until(lambda: told(emulator, GPS, "altitude"))
            assert len(gateway.parts.field.fleet.supervisors) == 2
    print(f"a new port is open after {seconds:.2f} s")  # noqa: T201 - a figure
    assert seconds < MOST_SECONDS
    assert statuses(emulator, DISPLAY) == ["online"]


@pytest.mark.parametrize("loses_notes", [False, True])
async def test_a_child_of_an_earlier_run_is_neither_registered_anew_nor_offline_at_the_start(
    emulator, rack, plugged, until, loses_notes, tmp_path
):
    async with plugged("one", Display()), plugged("two", Gps(sends_every_seconds=0.1)):
        async with rack():
            await until(lambda: told(emulator, DISPLAY, "volume") and told(emulator, GPS, "altitude"))
        if loses_notes:
            await forget_notes(tmp_path / "gateway.sqlite3")
        known = {device.id for device in children(emulator)}
        emulator.journal.clear()
        async with rack() as gateway:
            await until(lambda: len(messages(emulator, DISPLAY)) > 2 and len(messages(emulator, GPS)) > 2)
            assert len(gateway.parts.state.registry.children) == 2
    assert {device.id for device in children(emulator)} == known
    assert emulator.journal.calls()["Register Child Device"] == 0
    assert statuses(emulator, DISPLAY) == statuses(emulator, GPS) == ["online"]


async def forget_notes(path):
    async with opened_notes(path) as notes:
        assert notes.for_entry("rack"), "there was something to forget"
        notes.for_entry("rack").clear()
        await notes.save()
    async with opened_notes(path) as notes:
        assert not notes.for_entry("rack")


@asynccontextmanager
async def opened_notes(path):
    from gateway.state.adapter_memory import AdapterMemory
    from gateway.state.store import Store

    async with Store(path) as store:
        notes = AdapterMemory(store)
        await notes.load()
        yield notes


@pytest.mark.usefixtures("impatient")
async def test_a_silent_display_is_offline_once_and_online_when_it_is_back(emulator, rack, plugged, until):
    display, neighbour = Display(), Display(serial_number="Z1ABH4CT300058")
    async with plugged("one", display), plugged("two", neighbour), rack():
        await until(lambda: told(emulator, DISPLAY, "volume", "one") and told(emulator, DISPLAY, "volume", "two"))
        display.faults = SerialFaults(silent=True)
        await until(lambda: told(emulator, DISPLAY, "status", "one") == "offline")
        await asyncio.sleep(1)
        assert [one.status for one in messages(emulator, DISPLAY, "one")].count("offline") == 1
        display.faults = HEALTHY
        await until(lambda: told(emulator, DISPLAY, "status", "one") == "online")
    assert statuses(emulator, DISPLAY, "one") == ["online", "offline", "online"]
    assert statuses(emulator, DISPLAY, "two") == ["online"]


@pytest.mark.usefixtures("impatient")
async def test_a_search_does_not_disturb_children_or_send_other_queries(emulator, rack, plugged, until):
    display, gps = Display(), Gps(sends_every_seconds=0.1)
    everything = [path.stem for path in PROFILES.glob("*.toml")]
    async with plugged("one", display) as asked, plugged("two", gps) as talking, rack(profiles=everything, discover_every=1):
        await until(lambda: told(emulator, DISPLAY, "volume") and told(emulator, GPS, "altitude"))
        asked.received.clear()
        talking.received.clear()
        await asyncio.sleep(2.5)
        assert talking.received == b""
        assert asked.received.count(0xAA) == len(asked.received) / 5, "nothing but the display's own questions"
    assert statuses(emulator, DISPLAY) == statuses(emulator, GPS) == ["online"]


@pytest.mark.usefixtures("impatient")
async def test_a_silent_receiver_is_offline_once_and_online_when_it_sends_again(emulator, rack, plugged, until):
    gps = Gps(sends_every_seconds=0.1)
    async with plugged("one", gps), rack():
        await until(lambda: told(emulator, GPS, "altitude"))
        gps.faults = SerialFaults(silent=True)
        await until(lambda: told(emulator, GPS, "status") == "offline")
        await asyncio.sleep(1)
        gps.faults = HEALTHY
        await until(lambda: told(emulator, GPS, "status") == "online")
    assert statuses(emulator, GPS) == ["online", "offline", "online"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("rubbish", "told_as"),
    [
        (b"\x00\xff\xfe\x80" * 500, "not part of a frame"),
        (b"$GPGGA,1,2*00\r\n" * 100, "wrong checksum"),
        (b"$" + b"A" * 4000, "longer than a frame"),
    ],
)
async def test_garbage_on_one_line_is_bounded_and_reported_and_harms_no_other_line(
    emulator, rack, plugged, until, rubbish, told_as
):
    display, gps = Display(), Gps(sends_every_seconds=0.1)
    async with plugged("one", display), plugged("two", gps) as bad, rack() as gateway:
        await until(lambda: told(emulator, DISPLAY, "volume") and told(emulator, GPS, "altitude"))
        adapter = supervisor_of(gateway, "two").adapter.unchecked
        for _ in range(50):
            bad.send(rubbish)
            await asyncio.sleep(0.01)
            assert len(adapter._open_line._conversation.framer.pending) <= 130
        display.volume = 44
        await until(lambda: told(emulator, DISPLAY, "volume") == 44)
        gps.sent.clear()
        latest = taken_in(gateway)
        await until(lambda: latest.get("satellites") in gps.sent["satellites"])
        assert told_as in " ".join(adapter.remarks(resident_of(gateway, "two")))
    assert statuses(emulator, DISPLAY) == ["online"]


class RtuUnit(SerialDevice):
    """A Modbus unit at the end of a serial line."""

    def __init__(self, unit):
        super().__init__(unit.name)
        self._unit, self._buffer = unit, bytearray()

    def receive(self, data):
        self._buffer += data
        asked = [frame for frame in Rtu().take(self._buffer) if frame.unit_id == self._unit.unit_id]
        return [Rtu().bytes_of(Frame(frame.unit_id, self._unit.answer(frame.pdu))) for frame in asked]


async def test_a_port_of_modbus_is_not_opened_by_a_matching_pattern(emulator, rack, plugged, until):
    async with plugged("modbus", RtuUnit(moxa_iologik_e1210(1))) as line, plugged("display", Display()):
        hall = {"type": "modbus", "name": "hall", "lines": [{"port": line.port, "baudrate": 19200, "parity": "N"}], "units": "1"}
        async with rack(before=[hall]) as gateway:
            await until(lambda: told(emulator, DISPLAY, "volume") and child(emulator, "1"))
            await until(lambda: any("this gateway" in (bus.problem or "") for bus in gateway.parts.bus_statuses()))
            await asyncio.sleep(1.2)  # another try to open it
        requests = list(Rtu().take(bytearray(line.received)))
        assert sum(len(Rtu().bytes_of(request)) for request in requests) == len(line.received), "nobody else wrote to it"
    assert len(children(emulator)) == 2


async def test_an_excluded_port_is_never_touched(emulator, rack, plugged, until, tmp_path):
    async with plugged("one", Display()), plugged("two", Display(serial_number="Z1ABH4CT300058")) as excluded:
        async with rack(exclude=[str(tmp_path / "by-id" / "*two")]) as gateway:
            await until(lambda: told(emulator, DISPLAY, "volume"))
            await asyncio.sleep(0.7)  # two looks at the ports
            assert len(gateway.parts.field.fleet.supervisors) == 1
        assert not excluded.is_open
        assert excluded.received == b""
    assert [one.sn for one in children(emulator)] == ["Z1ABH4CT300057"]


PJLINK = {
    b"%1CLSS ?": b"1", b"%1POWR ?": b"1", b"%1INPT ?": b"31", b"%1AVMT ?": b"30", b"%1ERST ?": b"000000", b"%1LAMP ?": b"1200 1",
    b"%1INF1 ?": b"Panasonic", b"%1INF2 ?": b"PT-EZ580", b"%1INFO ?": b"1.02",
}  # fmt: skip


@asynccontextmanager
async def projector_server():
    """A projector on the network; `hangs_up`: whoever connects is sent away."""
    server = SimpleNamespace(hangs_up=False, calls=0)

    async def converse(reader, writer):
        server.calls += 1
        try:
            writer.write(b"PJLINK 0\r")
            while not server.hangs_up and (question := (await reader.readuntil(b"\r"))[:-1]):
                writer.write(question[:6] + b"=" + PJLINK.get(question, b"ERR1") + b"\r")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(converse, "127.0.0.1", 0)
    server.url = f"socket://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


async def test_a_projector_behind_a_device_server_is_a_child(emulator, rack, until):
    async with projector_server() as server, rack({"port": server.url, "name": "hall", "profiles": ["pjlink"]}):
        await until(lambda: told(emulator, "pjlink", "lamp_hours") == 1200)
    projector = child(emulator, "pjlink")
    assert (projector.model_id, projector.sub_model) == (MODELS["projector"], "PT-EZ580")
    assert (projector.state["power"], projector.state["input_kind"]) == ("on", "digital")


async def test_a_projector_that_slept_when_it_was_found_is_known_by_its_name_once_it_wakes(emulator, rack, until, tmp_path):
    (tmp_path / "profiles" / "pjlink.toml").write_text(
        (PROFILES / "pjlink.toml").read_text().replace("normal = 15", "normal = 0.3"), encoding="utf-8"
    )
    projector = Projector()
    projector.power = 0
    async with DeviceServer(projector) as server, rack({"port": server.port, "name": "hall", "profiles": ["pjlink"]}) as gateway:
        await until(lambda: told(emulator, "pjlink", "power") == "standby")
        before = child(emulator, "pjlink")
        assert (before.sub_model, "ERR" in before.name) == (None, False)
        resident = resident_of(gateway, "")
        await gateway.parts.state.registry.admit(replace(resident, sub_model="ERR3", name="ERR3"))  # as earlier versions did
        projector.power = 1
        await until(lambda: child(emulator, "pjlink").sub_model == "P506QL")
        await until(lambda: child(emulator, "pjlink").name == "NEC P506QL hall")
    assert child(emulator, "pjlink").id == before.id, "it is the same child"
    assert len(children(emulator)) == 1


async def test_a_device_server_that_hangs_up_each_time_is_called_less_and_less_often(emulator, rack, until):
    async with projector_server() as server, rack({"port": server.url, "profiles": ["pjlink"]}) as gateway:
        await until(lambda: told(emulator, "pjlink", "power"))
        server.hangs_up, server.calls = True, 0
        await outcome_of(supervisor_of(gateway, ""), resident_of(gateway, "").key, "set_mute", {"mute": "on"})  # its last answer
        await asyncio.sleep(5)
        assert 1 < server.calls <= 5, "after 1, 2 and 4 seconds, each at the earliest after half of it"
        server.hangs_up = False
        await until(lambda: told(emulator, "pjlink", "status") == "online")


async def test_the_console_of_a_computer_is_shown_at_its_bus_told_once_and_typed_into_once(rack, plugged, until, caplog):
    console = Console()
    async with plugged("one", console) as line:
        rule = {"port": line.port, "name": "desk", "profiles": ["lg-display", "scpi-power-supply"]}
        async with rack(rule, discover_every=1) as gateway:
            await until(
                lambda: any("a log-in prompt" in remark for one in gateway.parts.bus_statuses() for remark in one.remarks)
            )
            await asyncio.sleep(2.5)
    assert console.typed == [b"ka 01 FF"], "later searches only listen"
    assert caplog.text.count("a log-in prompt of a computer answers on this port") == 1


GATED = """
name = "gated"
title = "Gate"
family = "sensor"
source = { document = "this test", edition = "1", section = "1", checked_against = ["this test"] }
framing = { kind = "delimiter", end = "\\r" }
talk = { echo = false, timeout = 0.5, login = [{ expect = "Password:", send = "{password}\\r" }], login_refused = "NO" }
queries = [{ name = "level", ask = "LVL?", answer = "LVL={level:d}", points = [{ metric = "level" }] }]
"""


def guarded(password):
    """A device that tells its level to who knows the password."""
    is_open = False

    def answer(line):
        nonlocal is_open
        if is_open:
            return b"LVL=7\r" if line == b"LVL?" else None
        is_open = line == password.encode()
        return b"" if is_open else b"Password:" if not line else b"NO\r"

    return ScriptedDevice(answer, end=b"\r")


async def test_a_password_appears_neither_in_the_log_nor_in_the_store(emulator, rack, plugged, until, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    secret = "Xy7-open-sesame"
    (tmp_path / "password").write_text(secret + "\n")
    (tmp_path / "profiles" / "gated.toml").write_text(GATED)
    device, other = guarded(secret), guarded(secret)
    configured = {"profile": "gated", "name": "Gate house", "password_file": str(tmp_path / "password")}
    wrong = {"profile": "gated", "name": "Side gate", "password": secret[::-1]}
    async with plugged("one", device) as one, plugged("two", other) as two:
        rules = [{"port": one.port, "name": "front"}, {"port": two.port, "name": "side"}]
        devices = [configured | {"port": "front"}, wrong | {"port": "side"}]
        async with rack(*rules, devices=devices) as gateway:
            await until(lambda: told(emulator, "gated", "level") == 7 and secret[::-1].encode() in other.requests)
            await asyncio.sleep(0.5)
            shown = repr(gateway.parts.configuration) + repr(gateway.parts.bus_statuses())
    assert secret.encode() in device.requests
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.sqlite3*"))
    for hidden in (secret, secret[::-1]):
        assert hidden not in shown + caplog.text + str(emulator.journal.entries())
        assert hidden.encode() not in stored
