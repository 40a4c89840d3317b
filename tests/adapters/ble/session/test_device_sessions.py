"""Test identification, reads and commands over a connection in memory."""

import re
from contextlib import asynccontextmanager

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.commands import prepare_command
from adapters.ble.profile.grammar import SettingRule
from adapters.ble.profile.profile import Profile
from adapters.ble.radio.connection import AttributeRefused
from adapters.ble.session import command_execution
from adapters.ble.session.device_sessions import DeviceSessions
from gateway.adapter import (
    ChildDevice,
    Command,
    CommandRejected,
    CommandResult,
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
            {"metric": "level", "service": "ff01", "characteristic": "ffa1", "unit": "%"},
            {"metric": "button", "service": "ff01", "characteristic": "ffa3", "notify": True, "event": True},
        ],
        "commands": [
            {
                "name": "press",
                "service": "ff01",
                "characteristic": "ffa2",
                "payload": "57",
                "answer": {"characteristic": "ffa4", "done": ["01"]},
            },
            {
                "name": "set_level",
                "service": "ff01",
                "characteristic": "ffa1",
                "payload": "{level}",
                "parameters": {"level": {"between": [0, 100]}},
            },
            {
                "name": "switch",
                "service": "ff01",
                "characteristic": "ffa2",
                "payload": "01",
                "read_back": "level",
                "shows": 9,
            },
            {"name": "blink", "service": "ff01", "characteristic": "ffa2", "payload": "02", "read_back": False},
            {
                "name": "unlock",
                "service": "ff01",
                "characteristic": "ffa2",
                "payload": "03 {code}",
                "parameters": {"code": {"format": "utf8", "characters": [4, 6], "length": 6, "secret": True}},
                "read_back": False,
            },
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
        self.after_write, self.replies = None, True
        self.is_blocked = False

    async def is_paired(self):
        return False

    async def read(self, service, characteristic):
        value = self.values[characteristic]
        if isinstance(value, Exception):
            raise value
        return value

    async def write(self, service, characteristic, value, *, with_response, is_secret=False):
        if isinstance(self.refuses_writes, Exception):
            raise self.refuses_writes
        self.writes.append(value)
        if self.keeps_writes:
            self.values[characteristic] = value
        if self.after_write is not None:
            self.values[characteristic] = self.after_write
        if REPLY in self.callbacks and self.replies:
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


async def execute(sessions, device, name, **parameters):
    prepared = prepare_command(PROFILE, Command(1, device.key, name, parameters))
    return await sessions.execute(child(device), device, PROFILE, prepared)


async def read_back(sessions, device, name, **parameters):
    prepared = prepare_command(PROFILE, Command(1, device.key, name, parameters))
    return await sessions.read_back(child(device), device, PROFILE, prepared)


async def test_a_written_characteristic_is_read_before_and_after(sessions, pool, device):
    pool.connection.keeps_writes = True
    assert await execute(sessions, device, "set_level", level=40) == CommandResult(
        message="level is 40 %, was 7 %", is_proven=True, before={"level": 7}, after={"level": 40}
    )
    assert pool.connection.writes == [b"\x28"]


async def test_a_metric_that_shows_the_effect_is_read_before_and_after(sessions, pool, device):
    with pytest.raises(CommandRejected, match="Test did not execute switch: level should be 9, and reads back as 7"):
        await execute(sessions, device, "switch")
    pool.connection.values[VALUE] = b"\x09"
    result = await execute(sessions, device, "switch")
    assert (result.message, result.is_proven, result.before) == ("level is 9 %, was 9 %", True, {"level": 9})


async def test_a_command_that_nothing_shows_is_accepted_and_not_proven(sessions, device):
    assert await execute(sessions, device, "blink") == CommandResult(message="Test accepted blink")


async def test_a_characteristic_that_cannot_be_read_is_not_written(sessions, pool, device):
    pool.connection.values[VALUE] = AttributeRefused("not permitted")
    with pytest.raises(CommandRejected, match="level cannot be read: not permitted; nothing was written"):
        await execute(sessions, device, "set_level", level=40)
    assert pool.connection.writes == []


async def test_a_device_that_is_lost_before_the_write_is_unreachable_and_after_it_unknown(sessions, pool, device):
    pool.connection.values[VALUE] = DeviceUnreachable("gone")
    with pytest.raises(DeviceUnreachable):
        await execute(sessions, device, "set_level", level=40)
    assert pool.connection.writes == []
    pool.connection.values[VALUE] = b"\x07"
    for name, parameters in (("set_level", {"level": 40}), ("blink", {}), ("press", {})):
        pool.connection.refuses_writes = DeviceUnreachable("gone")
        with pytest.raises(OutcomeUnknown, match=f"{name} was sent, and Test was lost: gone"):
            await execute(sessions, device, name, **parameters)
        assert device.is_in_doubt


async def test_an_effect_that_cannot_be_read_after_the_write_is_unknown(sessions, pool, device):
    for error in (DeviceUnreachable("gone"), AttributeRefused("busy")):
        pool.connection.values = {VALUE: b"\x07"}
        pool.connection.after_write = error
        with pytest.raises(OutcomeUnknown, match="set_level was written to Test; its effect could not be read back"):
            await execute(sessions, device, "set_level", level=40)
    assert pool.connection.writes == [b"\x28", b"\x28"]


async def test_a_reply_that_does_not_come_leaves_the_outcome_unknown(sessions, pool, device, monkeypatch):
    monkeypatch.setattr(command_execution, "REPLY_SECONDS", 0.01)
    pool.connection.replies = False
    with pytest.raises(OutcomeUnknown, match="press was written, and Test did not reply"):
        await execute(sessions, device, "press")
    assert REPLY not in pool.connection.callbacks


async def test_a_refused_write_is_rejected(sessions, pool, device):
    pool.connection.refuses_writes = AttributeRefused("not permitted")
    with pytest.raises(CommandRejected, match="Test refuses set_level: not permitted"):
        await execute(sessions, device, "set_level", level=40)


async def test_an_interrupted_command_is_proven_by_what_the_device_shows(sessions, pool, device):
    result = await read_back(sessions, device, "set_level", level=7)
    assert (result.message, result.is_proven, result.before, result.after) == ("level is 7 %", True, {}, {"level": 7})
    assert await read_back(sessions, device, "set_level", level=8) is None
    pool.connection.values[VALUE] = AttributeRefused("busy")
    assert await read_back(sessions, device, "set_level", level=7) is None
    assert await read_back(sessions, device, "blink") is None
    assert await read_back(sessions, device, "press") is None
    assert pool.connection.writes == []


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("set_level", {"level": 40}, "A4: write 28 to characteristic ffa1 of service ff01, then read level"),
        (
            "switch",
            {},
            "A4: write 01 to characteristic ffa2 of service ff01, then read level, which has to be 9 %",
        ),
        ("press", {}, "A4: write 57 to characteristic ffa2 of service ff01, then wait for the reply of ffa4"),
        ("blink", {}, "A4: write 02 to characteristic ffa2 of service ff01"),
        (
            "unlock",
            {"code": "sesame"},
            "A4: write bytes that contain a secret to characteristic ffa2 of service ff01",
        ),
    ],
)
def test_what_would_be_written_is_told_in_words(name, parameters, sentence):
    prepared = prepare_command(PROFILE, Command(1, "x", name, parameters))
    assert command_execution.write_sentence("A4", prepared) == sentence


async def test_a_secret_text_is_written_and_never_told(sessions, pool, device):
    assert "open" not in str(await execute(sessions, device, "unlock", code="open"))
    assert pool.connection.writes == [b"\x03open\0\0"]
    for wrong in ("opensesame", "öööööö", ["open"]):
        with pytest.raises(CommandRejected) as refused:
            await execute(sessions, device, "unlock", code=wrong)
        assert not {"open", "ö"} & set(re.findall(r"open|ö", str(refused.value)))


async def test_the_subscription_for_a_reply_ends_with_the_command(sessions, pool, device):
    result = await execute(sessions, device, "press")
    assert (result.message, result.is_proven) == ("Test replied that it has executed press", False)
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
    assert [metric.name for metric in PROFILE.metrics_by_group["normal"]] == ["level", "button"]


@pytest.mark.parametrize(
    "wrong",
    [{"at": 1}, {"format": "utf8"}, {"between": None}, {"between": [5, 1]}, {"bits": [0, 2]}, {"secret": True}, {"default": 5}],
)
def test_a_setting_that_cannot_work_is_a_mistake_of_the_profile(wrong):
    (rule,) = PROFILE.settings
    with pytest.raises(ValueError, match=r"a setting is|a parameter is|between|characters"):
        SettingRule.model_validate({**rule.model_dump(exclude_unset=True), **wrong})
