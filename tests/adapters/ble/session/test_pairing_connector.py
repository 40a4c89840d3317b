"""Test how often a device is paired, over simulated days; bluetoothd is replaced by its answers."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from adapters.ble.radio import pairing
from adapters.ble.radio.pairing import BROKEN_OFF, PairingFailed
from adapters.ble.session.pairing_connector import PairingConnector, PairingWish
from gateway.adapter import DeviceUnreachable
from gateway.testing.clock import simulated

ADDRESS = "C0:00:00:00:00:07"
PASSKEY = "004711"
POLL_SECONDS = 30.0
DAY_SECONDS = 86400.0


@dataclass
class Device:
    """What bluetoothd answers about one device, and how often it was asked."""

    refusal: str | None = None
    forgets: bool = False
    """It forgets each pairing at the end of its connection."""
    bluetoothd_forgets: bool = False
    """So does bluetoothd, as for a device that is not bondable."""
    accepts_connections: bool = True
    is_paired: bool = False
    knows_pairing: bool = False
    pairings: list[float] = field(default_factory=list)
    wants_pairing: None = None

    def bluez_path(self, address):
        return "/org/bluez/hci0/dev_C0_00_00_00_00_07"

    async def connect(self, address):
        if not (self.knows_pairing and self.accepts_connections):
            raise DeviceUnreachable("it broke the connection off")
        return self

    async def answer_pair(self, path, passkey):
        self.pairings.append(asyncio.get_running_loop().time())
        if self.refusal is not None:
            raise PairingFailed(self.refusal)
        self.is_paired = self.knows_pairing = True

    async def answer_is_paired(self, path):
        return self.is_paired

    async def answer_connect_error(self, path):
        return None if self.knows_pairing and self.accepts_connections else BROKEN_OFF

    async def answer_remove(self, path):
        self.is_paired = False

    async def answer_disconnect(self, path):
        pass


@pytest.fixture
def lived(monkeypatch):
    """Return a function that reads a device twice a minute for so many days, and returns how many reads succeeded."""

    def live(device, days=1.0):
        for name in ("pair", "is_paired", "connect_error", "remove", "disconnect"):
            monkeypatch.setattr(pairing, name, getattr(device, f"answer_{name}"))

        async def read_on():
            connector = PairingConnector(device, lambda address: PairingWish(key="a", label="Scale", passkey=SecretStr(PASSKEY)))
            loop, reads = asyncio.get_running_loop(), 0
            while loop.time() < days * DAY_SECONDS:
                try:
                    await connector.connect(ADDRESS)
                except DeviceUnreachable:
                    pass
                else:
                    reads += 1
                    connector.note_read(ADDRESS)
                device.knows_pairing = device.knows_pairing and not device.forgets
                device.is_paired = device.is_paired and not device.bluetoothd_forgets
                await asyncio.sleep(POLL_SECONDS)
            return reads

        return simulated(read_on())

    return live


def test_a_device_that_is_read_once_after_each_pairing_and_forgets_it_is_not_paired_each_minute(lived, caplog):
    reads = lived(device := Device(forgets=True))
    assert 20 <= len(device.pairings) <= 35
    assert reads == len(device.pairings)
    assert caplog.text.count("it does not know its pairing any more") == len(device.pairings) - 1
    assert device.pairings[-1] > DAY_SECONDS - 7200, "it is never given up"


def test_a_wrong_passkey_is_tried_each_hour_at_the_end_and_told_once(lived, caplog):
    assert lived(device := Device(refusal="the passkey is wrong or missing")) == 0
    assert 24 <= len(device.pairings) <= 32
    assert all(later - before > 50 for before, later in zip(device.pairings, device.pairings[1:], strict=False))
    assert caplog.text.count("cannot be paired") == 1
    assert PASSKEY not in caplog.text


def test_a_device_that_pairs_and_breaks_each_connection_off_is_paired_twice_and_told_with_what_to_do(lived, caplog):
    assert lived(device := Device(accepts_connections=False)) == 0
    assert len(device.pairings) == 2
    assert caplog.text.count("cannot be paired") == 1
    assert "bluetoothctl remove C0:00:00:00:00:07" in caplog.text


def test_a_device_that_is_paired_for_each_connection_is_read_each_time_and_told_once_a_day(lived, caplog):
    caplog.set_level(logging.INFO)
    reads = lived(device := Device(forgets=True, bluetoothd_forgets=True), days=2.0)
    assert reads == len(device.pairings) == 2 * DAY_SECONDS / POLL_SECONDS
    assert caplog.text.count("paired with this machine") <= 3


def test_a_pairing_that_failed_long_ago_is_told_anew_when_it_fails_again(lived, caplog, monkeypatch):
    device = Device(refusal="the passkey is wrong or missing")

    async def pair(path, passkey):
        now = asyncio.get_running_loop().time()
        device.refusal = "the passkey is wrong or missing" if not DAY_SECONDS < now < 2 * DAY_SECONDS else None
        await Device.answer_pair(device, path, passkey)

    device.answer_pair = pair
    device.bluetoothd_forgets = True
    assert lived(device, days=3.0) > 0
    assert caplog.text.count("cannot be paired") == 2
