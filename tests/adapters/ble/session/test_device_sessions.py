"""Test identification, reads and commands over a connection in memory."""

from contextlib import asynccontextmanager

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.profile import Profile
from adapters.ble.radio.connection import AttributeRefused
from adapters.ble.session.device_sessions import DeviceSessions
from gateway.adapter import ChildDevice, Command, DeviceUnreachable

SENSOR, INFORMATION = full_uuid("ff01"), full_uuid("180a")
VALUE, SWITCH, BUTTON, REPLY = (full_uuid(f"ffa{number}") for number in range(1, 5))
MODEL, SERIAL = full_uuid("2a24"), full_uuid("2a25")

PROFILE = Profile.model_validate(
    {
        "name": "test",
        "title": "Test",
        "family": "sensor",
        "source": {"document": "made up for a test", "edition": "1", "section": "all"},
        "connection": {"mode": "stay"},
        "prepare": [{"service": "ff01", "characteristic": "ffa2", "payload": "01"}],
        "points": [
            {"metric": "level", "service": "ff01", "characteristic": "ffa1"},
            {"metric": "button", "service": "ff01", "characteristic": "ffa3", "notify": True, "event": True},
        ],
        "commands": [
            {
                "name": "press",
                "service": "ff01",
                "characteristic": "ffa2",
                "payload": "57",
                "answer": {"characteristic": "ffa4", "done": ["01"]},
            }
        ],
    }
)
ALL = frozenset(PROFILE.intervals)


class FakeConnection:
    """A connected device in memory; a value that is an error is raised."""

    def __init__(self):
        self.services = {
            SENSOR: {
                VALUE: frozenset({"read"}), SWITCH: frozenset({"write"}),
                BUTTON: frozenset({"notify"}), REPLY: frozenset({"notify"}),
            },
            INFORMATION: {MODEL: frozenset({"read"}), SERIAL: frozenset({"read"})},
        }  # fmt: skip
        self.values = {VALUE: b"\x07", MODEL: b"H10", SERIAL: b"4711"}
        self.initialized, self.subscribed, self.writes, self.callbacks = set(), set(), [], {}
        self.subscriptions = []

    async def read(self, service, characteristic):
        value = self.values[characteristic]
        if isinstance(value, Exception):
            raise value
        return value

    async def write(self, service, characteristic, value, *, with_response):
        self.writes.append(value)
        if REPLY in self.callbacks:
            self.callbacks[REPLY](b"\x01")

    async def subscribe(self, service, characteristic, callback):
        self.subscriptions.append(characteristic)
        self.callbacks[characteristic] = callback
        return lambda: self.callbacks.pop(characteristic)


class FakePool:
    slots, used_slots = 3, 1

    def __init__(self):
        self.connection, self.error = FakeConnection(), None

    @asynccontextmanager
    async def acquire(self, address, *, keep=False):
        if self.error is not None:
            raise self.error
        yield self.connection


class FakeUplink:
    def __init__(self):
        self.readings = []

    def heard(self, readings):
        self.readings += [(reading.metric.name, reading.value) for reading in readings]


@pytest.fixture
def pool():
    return FakePool()


@pytest.fixture
def sessions(pool):
    return DeviceSessions(pool)


@pytest.fixture
def device():
    tracked = TrackedDevice(Advertisement(address="A4:C1:38:00:00:01", is_random=False), None, {})
    tracked.profile = PROFILE
    return tracked


def child(device):
    return ChildDevice(
        key=device.key, adapter="radio", bus="radio", address=device.child_address, profile="test", family="sensor",
        model_id="m", sub_model=None, firmware_version=None, name="Test",
    )  # fmt: skip


async def values_of(sessions, device):
    readings = []
    await sessions.read(child(device), device, PROFILE, ALL, readings)
    return {reading.metric.name: reading.value for reading in readings}


async def test_a_kept_connection_is_initialized_and_subscribed_to_once(sessions, pool, device):
    for _ in range(2):
        assert await values_of(sessions, device) == {"level": 7}
    assert pool.connection.writes == [b"\x01"]
    assert pool.connection.subscriptions == [BUTTON]


async def test_an_event_is_reported_unrequested_from_the_first_one_on(sessions, pool, device):
    sessions.uplink = FakeUplink()
    await values_of(sessions, device)
    pool.connection.callbacks[BUTTON](b"\x02")
    assert sessions.uplink.readings == [("button", 2)]


async def test_a_failed_connection_puts_the_device_in_doubt_until_one_succeeds(sessions, pool, device):
    pool.error = DeviceUnreachable("it accepts no connection")
    with pytest.raises(DeviceUnreachable):
        await values_of(sessions, device)
    assert device.is_in_doubt
    pool.error = None
    await values_of(sessions, device)
    assert not device.is_in_doubt


async def test_a_read_shows_that_the_device_is_in_range(sessions, device):
    assert device.heard_at == 0
    await values_of(sessions, device)
    assert device.heard_at > 0


async def test_a_refused_characteristic_leaves_the_rest_of_the_device_information(sessions, pool, device):
    pool.connection.values[MODEL] = AttributeRefused("reading it: not permitted")
    await sessions.identify(device)
    assert (device.information.model, device.information.serial_number) == (None, "4711")
    assert device.profile is PROFILE, "a profile that is known is kept"


async def test_the_subscription_for_a_reply_ends_with_the_command(sessions, pool, device):
    result = await sessions.execute(child(device), device, PROFILE, Command(1, device.key, "press", {}))
    assert result == "Test executed press"
    assert pool.connection.writes == [b"\x57"]
    assert REPLY not in pool.connection.callbacks
