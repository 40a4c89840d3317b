"""Test identification, reads and commands over a connection in memory."""

from contextlib import asynccontextmanager

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.profile import Profile, SettingRule
from adapters.ble.radio.connection import AttributeRefused
from adapters.ble.session.device_sessions import DeviceSessions
from gateway.adapter import (
    ChildDevice,
    Command,
    CommandRejected,
    DeviceUnreachable,
    OutcomeUnknown,
    ParameterKind,
    WrittenSetting,
)

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
        "settings": [
            {
                "name": "interval",
                "title": "Interval",
                "service": "ff01",
                "characteristic": "ffa1",
                "format": "uint16",
                "unit": "s",
                "between": [1, 3600],
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
        self.keeps_writes, self.refuses_writes = False, None

    async def read(self, service, characteristic):
        value = self.values[characteristic]
        if isinstance(value, Exception):
            raise value
        return value

    async def write(self, service, characteristic, value, *, with_response):
        if isinstance(self.refuses_writes, Exception):
            raise self.refuses_writes
        self.writes.append(value)
        if self.keeps_writes:
            self.values[characteristic] = value
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


@pytest.fixture
def configurable(sessions, pool):
    pool.connection.values[VALUE] = (60).to_bytes(2, "little")
    pool.connection.keeps_writes = True
    return pool.connection


async def test_a_setting_is_written_once_and_read_back(configurable, sessions, device):
    assert await sessions.differing_settings(device, PROFILE, {"interval": 60}) == {}
    assert await sessions.differing_settings(device, PROFILE, {"interval": 300}) == {"interval": 60}
    written = await sessions.configure(device, PROFILE, {"interval": 300})
    assert written == [WrittenSetting(name="interval", before=60, after=300)]
    assert configurable.writes == [(300).to_bytes(2, "little")]


async def test_a_setting_that_is_not_kept_or_refused_is_refused_with_the_reason(configurable, sessions, device):
    configurable.keeps_writes = False
    with pytest.raises(CommandRejected, match="interval was to be 300, and reads back as 60"):
        await sessions.configure(device, PROFILE, {"interval": 300})
    configurable.refuses_writes = AttributeRefused("write not permitted")
    with pytest.raises(CommandRejected, match="refuses interval = 300: write not permitted"):
        await sessions.configure(device, PROFILE, {"interval": 300})
    with pytest.raises(CommandRejected, match="no setting 'colour'; there are interval"):
        await sessions.configure(device, PROFILE, {"colour": 1})


async def test_a_device_that_is_lost_during_a_write_leaves_the_setting_unknown(configurable, sessions, device):
    configurable.refuses_writes = DeviceUnreachable("gone")
    with pytest.raises(OutcomeUnknown, match="interval was sent, and the device was lost: gone"):
        await sessions.configure(device, PROFILE, {"interval": 300})


def test_a_setting_is_declared_with_its_range_and_unit():
    (spec,) = [rule.spec for rule in PROFILE.settings]
    assert (spec.kind, spec.between, spec.unit) == (ParameterKind.WHOLE_NUMBER, (1, 3600), "s")
    assert [metric.name for metric in PROFILE.metrics["normal"]] == ["level", "button"]


@pytest.mark.parametrize(
    "wrong",
    [{"at": 1}, {"format": "utf8"}, {"between": None}, {"between": [5, 1]}, {"bits": [0, 2]}, {"secret": True}, {"default": 5}],
)
def test_a_setting_that_cannot_work_is_a_mistake_of_the_profile(wrong):
    (rule,) = PROFILE.settings
    with pytest.raises(ValueError, match=r"a setting is|a parameter is|between|characters"):
        SettingRule.model_validate({**rule.model_dump(exclude_unset=True), **wrong})
