"""Test the radio with bleak's real BlueZ backend over a private D-Bus; only bluetoothd is emulated."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.radio import bluez as bluez_module
from adapters.ble.radio import connection as connection_module
from adapters.ble.radio import radio as radio_module
from adapters.ble.radio.bluez import BLUEZ, OBJECTS
from adapters.ble.radio.connection import AttributeRefused, GattConnection, PairingNeeded
from adapters.ble.radio.radio import Radio
from gateway.adapter import BusUnavailable, DeviceUnreachable
from gateway.testing.bluetooth import RadioEnvironment, dbus_errors, simulated_backend
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.gatt import Characteristic, Service
from gateway.testing.bluetooth.peripheral import Peripheral
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip

ADDRESS = "A4:C1:38:00:00:01"
PATIENCE_SECONDS = 30
"""More than a busy machine needs for anything here."""
BATTERY, LEVEL, CONTROL = full_uuid("180f"), full_uuid("2a19"), full_uuid("fff3")


def thermometer(**rest):
    characteristics = [
        Characteristic("2a19", ["read", "notify"], b"\x63"),
        Characteristic("fff3", ["write", "write-without-response"]),
    ]
    return Peripheral(
        ADDRESS,
        name="Thermo",
        manufacturer_data={0x0499: b"\x05\x01", 0x004C: b"\x02\x15"},
        service_data={"fcd2": b"\x40\x01"},
        service_uuids=["180f"],
        services=[Service("180f", characteristics)],
        advertises_every=0.05,
        **rest,
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """bluetoothd stops without a wait here."""
    monkeypatch.setattr(bluez_module, "STOP_SECONDS", 0.1)


@pytest.fixture
async def radio(bluez):
    made = Radio(None, "active")
    yield made
    await made.close()


@pytest.fixture
def checks(monkeypatch):
    """The results of each check whether the controller is ready."""
    results, is_ready = [], radio_module.ControllerWatch.is_ready

    async def recorded(self):
        results.append(await is_ready(self))
        return results[-1]

    monkeypatch.setattr(radio_module.ControllerWatch, "is_ready", recorded)
    return results


@pytest.fixture
async def near(bluez, radio, until):
    """A thermometer that has been heard."""
    bluez.environment.add(made := thermometer())
    heard = []
    await radio.open(heard.append)
    await until(lambda: heard)
    return made


@asynccontextmanager
async def connected(radio):
    connection = await radio.connect(ADDRESS)
    try:
        yield connection
    finally:
        await connection.close()


async def refused_words(radio):
    with pytest.raises(BusUnavailable) as refused:
        await radio.open(lambda heard: None)
    return str(refused.value)


@pytest.mark.parametrize("scanning", ["active", "passive"])
async def test_all_advertised_data_is_received(bluez, until, scanning):
    radio, heard = Radio("hci0", scanning), []
    bluez.environment.add(thermometer())
    await radio.open(heard.append)
    await until(lambda: heard and heard[-1].service_data)
    await radio.close()
    said = heard[-1]
    assert (said.address, said.name, said.is_random) == (ADDRESS, "Thermo", False)
    assert said.manufacturer_data == {0x0499: b"\x05\x01", 0x004C: b"\x02\x15"}
    assert said.service_data == {full_uuid("fcd2"): b"\x40\x01"}
    assert said.service_uuids == (BATTERY,)
    assert -100 < said.rssi < 0


async def test_repeated_advertisements_are_all_received(bluez, radio, until):
    bluez.environment.add(thermometer())
    heard = []
    await radio.open(heard.append)
    await until(lambda: len(heard) >= 10)
    assert all(one.reports_duplicates for one in bluez.controller._filters.values()), "BlueZ reports only changes otherwise"
    assert bluez.controller._filters


async def test_a_closed_radio_hears_nothing_and_can_be_opened_again(bluez, radio, until):
    bluez.environment.add(thermometer())
    heard = []
    for _ in range(3):
        await radio.open(heard.append)
        await until(lambda: heard)
        await radio.close()
        assert not bluez.controller.is_scanning
        heard.clear()
        await bluez.daemon.settle()
        assert not heard


async def test_values_are_read_written_and_notified(near, radio, until):
    level, control = near.characteristic("2a19"), near.characteristic("fff3")
    async with connected(radio) as connection:
        assert connection.services[BATTERY][LEVEL] == {"read", "notify"}
        assert await connection.read(BATTERY, LEVEL) == b"\x63"
        await connection.write(BATTERY, CONTROL, b"\x01\x02", with_response=True)
        await connection.write(BATTERY, CONTROL, b"\x03", with_response=False)
        heard = []
        await connection.subscribe(BATTERY, LEVEL, heard.append)
        level.notify(b"\x62")
        await until(lambda: heard == [b"\x62"])
        await until(lambda: len(control.writes) == 2)
    assert [(write.value, write.with_response) for write in control.writes] == [(b"\x01\x02", True), (b"\x03", False)]
    await until(lambda: not near.is_connected)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (dbus_errors.att_error(0x80), "0x80"),
        (dbus_errors.READ_NOT_PERMITTED, "(?i)read not permitted"),
        (dbus_errors.NOT_AUTHORIZED, "uthoriz"),
    ],
)
async def test_an_attribute_that_is_refused_costs_that_attribute_and_not_the_connection(near, radio, refusal, words):
    async with connected(radio) as connection:
        near.characteristic("2a19").error_reply = refusal
        with pytest.raises(AttributeRefused, match=words):
            await connection.read(BATTERY, LEVEL)
        near.characteristic("2a19").error_reply = None
        assert await connection.read(BATTERY, LEVEL) == b"\x63"
        with pytest.raises(AttributeRefused, match="has no characteristic"):
            await connection.read(BATTERY, full_uuid("2a6e"))


async def test_a_connection_lost_during_a_read_makes_the_device_unreachable(near, radio):
    async with connected(radio) as connection:
        near.faults.lost_reads = 1
        with pytest.raises(DeviceUnreachable):
            await connection.read(BATTERY, LEVEL)
        assert not connection.is_open
    async with connected(radio) as connection:
        assert await connection.read(BATTERY, LEVEL) == b"\x63"


async def test_a_device_that_answers_nothing_is_given_up(near, radio, monkeypatch):
    monkeypatch.setattr(connection_module, "ATTRIBUTE_SECONDS", 0.1)
    async with connected(radio) as connection:
        near.faults.is_silent = True
        with pytest.raises((DeviceUnreachable, PairingNeeded), match="took longer than"):  # BlueZ would pair an unpaired one
            await connection.read(BATTERY, LEVEL)
        near.faults.is_silent = False


async def test_a_connection_that_breaks_off_once_is_made_again(near, radio):
    near.faults.aborted_connects = 1
    async with connected(radio) as connection:
        assert await connection.read(BATTERY, LEVEL) == b"\x63"


async def test_a_device_out_of_range_is_unreachable(bluez, near, radio):
    bluez.controller.connect_timeout_seconds = 0.05
    near.go_out_of_range()
    with pytest.raises(DeviceUnreachable):
        await radio.connect(ADDRESS)
    with pytest.raises(DeviceUnreachable, match="was not received"):
        await radio.connect("00:00:00:00:00:09")


async def test_a_stopped_bluetoothd_is_noticed_and_so_is_its_return(bluez, near, radio, checks, until):
    await bluez.daemon.crash()
    assert await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS) == "bluetoothd stopped"
    await radio.close()
    assert "systemctl start bluetooth" in await refused_words(radio)
    checks.clear()
    back = asyncio.create_task(radio.wait_until_back())
    await until(lambda: checks == [False])
    assert not back.done()
    await bluez.daemon.start()
    await asyncio.wait_for(back, PATIENCE_SECONDS)
    heard = asyncio.Event()
    await radio.open(lambda advertisement: heard.set())
    await asyncio.wait_for(heard.wait(), PATIENCE_SECONDS)


async def test_a_bluetoothd_that_is_stopped_unplugs_no_controller(bluez, near, radio):
    await bluez.daemon.stop()  # it removes the controller before it leaves the bus, as a restart by systemctl does
    assert await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS) == "bluetoothd stopped"


async def test_an_unplugged_controller_is_noticed_and_so_is_its_return(bluez, near, radio, checks, until):
    await bluez.daemon.unplug(bluez.controller)
    assert "was unplugged" in await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS)
    await radio.close()
    assert "is missing; plug it in" in await refused_words(radio)
    checks.clear()
    back = asyncio.create_task(radio.wait_until_back())
    await until(lambda: checks == [False])
    assert not back.done()
    await bluez.daemon.plug_in(bluez.controller)
    await asyncio.wait_for(back, PATIENCE_SECONDS)
    await radio.open(lambda advertisement: None)


async def test_a_controller_that_is_switched_off_is_noticed_and_so_is_switching_it_on(bluez, near, radio):
    bluez.controller.power_off()
    assert "was switched off" in await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS)
    await radio.close()
    assert "bluetoothctl power on" in await refused_words(radio)
    back = asyncio.create_task(radio.wait_until_back())
    bluez.controller.power_on()
    await asyncio.wait_for(back, PATIENCE_SECONDS)
    await radio.open(lambda advertisement: None)


@pytest.mark.parametrize("scanning", ["active", "passive"])
async def test_a_bluetoothd_that_answers_nothing_is_told_as_such(monkeypatch, scanning):
    dbus_daemon_or_skip()
    monkeypatch.setattr(radio_module, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(bluez_module, "REPLY_SECONDS", 0.1)
    async with PrivateBus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        daemon = await MessageBus(bus_address=bus.address).connect()
        daemon.add_message_handler(lambda message: message.message_type is MessageType.METHOD_CALL)  # it is handled: no reply
        await daemon.request_name(BLUEZ)
        assert "bluetoothd does not answer; restart it with: systemctl" in await refused_words(Radio(None, scanning))
        daemon.disconnect()


async def test_a_system_bus_that_answers_nothing_is_told_as_such(monkeypatch, tmp_path):
    monkeypatch.setattr(radio_module, "CONNECT_SECONDS", 0.1)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bus"))
        listener.listen()
        assert "D-Bus or bluetoothd does not answer" in await refused_words(Radio(None, "active"))


async def test_a_bluetoothd_that_hung_is_back_without_a_signal(bluez, radio, monkeypatch, until):
    monkeypatch.setattr(bluez_module, "ASKED_AGAIN_SECONDS", 0.01)
    answers = []

    async def is_ready(watch):
        answers.append(len(answers) >= 3)
        return answers[-1]

    monkeypatch.setattr(bluez_module.ControllerWatch, "is_ready", is_ready)
    async with bluez_module.watch_controller(None) as watch:
        await asyncio.wait_for(watch.wait_until_ready(), PATIENCE_SECONDS)
    assert answers == [False, False, False, True]


async def test_a_controller_that_is_ready_again_during_the_question_is_back(bluez, radio, monkeypatch):
    answers = []

    async def is_ready(watch):
        if not answers:
            bluez.controller.power_off()
            bluez.controller.power_on()
            await bluez.daemon.settle()
            await watch.bus.call(Message(destination=BLUEZ, path="/", interface=OBJECTS, member="GetManagedObjects"))
        answers.append(bool(answers))
        return answers[-1]

    monkeypatch.setattr(bluez_module.ControllerWatch, "is_ready", is_ready)
    async with bluez_module.watch_controller(None) as watch:
        await asyncio.wait_for(watch.wait_until_ready(), PATIENCE_SECONDS)


async def test_a_radio_that_failed_with_its_controller_present_is_never_back(bluez, radio, monkeypatch):
    bluez.controller.discovery_error = dbus_errors.IN_PROGRESS
    assert "another program's scan" in await refused_words(radio)
    monkeypatch.setattr(radio_module, "watch_controller", None)  # a call would fail: there is nothing to watch for
    back = asyncio.create_task(radio.wait_until_back())
    for _ in range(10):  # without a watch, nothing but turns of the loop can end it
        await asyncio.sleep(0)
    assert not back.done()
    back.cancel()


async def test_each_open_error_contains_its_fix(bluez, monkeypatch, tmp_path):
    bluez.controller.discovery_error = dbus_errors.ACCESS_DENIED
    assert "usermod -aG bluetooth" in await refused_words(Radio(None, "active"))
    bluez.controller.discovery_error = dbus_errors.NOT_READY
    assert "bluetoothctl power on" in await refused_words(Radio(None, "active"))
    assert "hci7 is missing" in await refused_words(Radio("hci7", "active"))
    await bluez.daemon.unplug(bluez.controller)
    bluez.controller.has_passive_scanning = False
    await bluez.daemon.plug_in(bluez.controller)
    assert "--experimental" in await refused_words(Radio(None, "passive"))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nothing'}")
    assert "/run/dbus/system_bus_socket" in await refused_words(Radio(None, "active"))


async def test_two_subscribers_of_a_characteristic_receive_its_values_until_they_unsubscribe(near, radio, until):
    level, first, second = near.characteristic("2a19"), [], []
    async with connected(radio) as connection:
        await connection.subscribe(BATTERY, LEVEL, first.append)
        stop = await connection.subscribe(BATTERY, LEVEL, second.append)
        level.notify(b"\x01")
        await until(lambda: first == second == [b"\x01"])
        stop()
        level.notify(b"\x02")
        await until(lambda: first == [b"\x01", b"\x02"])
        assert second == [b"\x01"]


async def test_a_name_brings_nothing_into_logs_and_terminals_that_cannot_be_shown(bluez, radio, until):
    bluez.environment.add(Peripheral(ADDRESS, name="Fri\x1b[31mdge\nERROR \u202e3 \N{SNOWFLAKE}", advertises_every=0.05))
    bluez.environment.add(Peripheral("A4:C1:38:00:00:02", name="\n\x07", advertises_every=0.05))
    heard = {}
    await radio.open(lambda said: heard.update({said.address: said.name}))
    await until(lambda: len(heard) == 2)
    assert heard == {ADDRESS: "Fri[31mdgeERROR 3 \N{SNOWFLAKE}", "A4:C1:38:00:00:02": None}


async def test_a_radio_is_closed_when_its_failing_opening_is_cancelled(bluez, radio, monkeypatch):
    async def cancelled(_):
        raise asyncio.CancelledError

    monkeypatch.setattr(radio_module.ControllerWatch, "is_ready", cancelled)
    bluez.controller.discovery_error = dbus_errors.NOT_READY
    with pytest.raises(asyncio.CancelledError):
        await radio.open(lambda heard: None)
    assert radio._watch is None


async def test_closing_a_connection_never_raises():
    class Client:
        services = ()

        async def disconnect(self):
            raise AssertionError("as bleak's own, when its D-Bus connection is gone")

    await GattConnection(Client(), ADDRESS).close()


def simulated_radio(environment):
    backend = simulated_backend(environment)
    return Radio(None, "active", scanner_backend=backend.scanner, client_backend=backend.client)


async def test_what_bleak_reports_of_a_device_that_bluez_forgets_is_no_advertisement(until):
    gone, other = thermometer(), Peripheral("A4:C1:38:00:00:02", advertises_every=0.05)
    gone.rssi = -127
    radio, heard = simulated_radio(RadioEnvironment([gone, other])), []
    await radio.open(heard.append)
    gone.advertise()
    await until(lambda: len(heard) > 3)
    await radio.close()
    assert {advertisement.address for advertisement in heard} == {other.address}


async def test_a_radio_connects_only_to_devices_received_since_it_was_opened(until):
    device = thermometer()
    environment = RadioEnvironment([device])
    radio, heard = simulated_radio(environment), []
    await radio.open(heard.append)
    await until(lambda: heard)
    await radio.close()
    environment.remove(device)
    await radio.open(heard.append)
    with pytest.raises(DeviceUnreachable, match="was not received since the radio was opened"):
        await radio.connect(ADDRESS)
    await radio.close()


async def test_a_forgotten_device_cannot_be_connected_to(until):
    radio, heard = simulated_radio(RadioEnvironment([thermometer()])), []
    await radio.open(heard.append)
    await until(lambda: heard)
    await radio.close()
    radio.forget(ADDRESS)
    with pytest.raises(DeviceUnreachable, match="was not received since"):
        await radio.connect(ADDRESS)


async def test_a_radio_that_was_lost_and_opened_again_is_not_absent(bluez, near, radio):
    await bluez.daemon.crash()
    await asyncio.wait_for(radio.wait_until_lost(), PATIENCE_SECONDS)
    await radio.close()
    assert radio._is_absent
    await bluez.daemon.start()
    await radio.open(lambda advertisement: None)
    assert not radio._is_absent


async def test_a_closed_radio_leaves_no_task(bluez, radio):
    before = asyncio.all_tasks()
    await radio.open(lambda advertisement: None)
    await radio.close()
    assert not [task for task in asyncio.all_tasks() - before if "watch_bus" in repr(task)]


@pytest.mark.parametrize(("controller", "reason"), [("hci0", "hci0 was switched off"), (None, "the Bluetooth controller was")])
async def test_the_loss_of_another_controller_is_no_loss(bluez, until, controller, reason):
    second = Controller(RadioEnvironment(), name="hci1", address="00:1A:7D:DA:71:14")
    await bluez.daemon.plug_in(second)
    radio = Radio(controller, "active")
    await radio.open(lambda advertisement: None)
    lost = asyncio.create_task(radio.wait_until_lost())
    if controller is not None:
        await bluez.daemon.unplug(second)
        assert not lost.done()
    bluez.controller.power_off()
    assert reason in await asyncio.wait_for(lost, PATIENCE_SECONDS)
    await radio.close()
