"""Simulate the demo's Bluetooth devices: one that advertises its values, one that is read over a connection. Both as sold.

Each records the values that it has sent, so that the receiver can be checked.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from gateway.testing.bluetooth.gatt import Characteristic, Payload, Service
from gateway.testing.bluetooth.peripheral import Clock, Peripheral

RSSI_NEAR, RSSI_FAR = -58, -71


class DemoDevice:
    """A simulated device and the values that it has sent so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: defaultdict[str, set[float]] = defaultdict(set)
        """Metric -> every value that was sent."""
        self.peripheral: Peripheral

    def record(self, metric: str, value: float) -> float:
        """Record a value that is being sent, and return it."""
        self.sent[metric].add(value)
        return value


def shelly_blu_ht(clock: Clock = time.monotonic) -> DemoDevice:
    """Return a thermometer that advertises in the BTHome format (Shelly BLU H&T, bthome.io/format, version 2, not encrypted)."""
    device = DemoDevice("Shelly BLU H&T")

    def bthome(seconds: float) -> bytes:
        tenths = round(10 * _oscillating(21.5, 0.8, 61, seconds))
        humidity = round(_oscillating(48, 6, 83, seconds))
        device.record("temperature", tenths / 10)
        device.record("humidity", humidity)
        device.record("battery", 93)
        packet = int(seconds / 2) % 256
        return b"\x44" + b"\x00%c\x01%c\x2e%c\x45" % (packet, 93, humidity) + tenths.to_bytes(2, "little", signed=True)

    device.record("rssi", RSSI_NEAR)
    device.peripheral = Peripheral(
        "54:48:E6:8F:80:A5", name="SBHT-003C", service_data={"fcd2": bthome}, rssi=RSSI_NEAR, advertises_every=0.5, clock=clock
    )
    return device


def thunderboard_sense(clock: Clock = time.monotonic) -> DemoDevice:
    """Return a development kit with standard services (Silicon Labs Thunderboard Sense 2, UG309: 180A, 180F, 181A)."""
    device = DemoDevice("Thunderboard Sense 2")

    def number(metric: str, scale: float, size: int, value: Callable[[float], float]) -> Payload:
        def payload(seconds: float) -> bytes:
            raw = round(value(seconds) / scale)
            device.record(metric, raw * scale)
            return raw.to_bytes(size, "little", signed=metric == "temperature")

        return payload

    information: Mapping[str, bytes] = {
        "2a29": b"Silicon Labs",
        "2a24": b"BRD4166A",
        "2a25": b"14:84:23:17:5C:40",
        "2a26": b"2.0.1",
    }
    measured = {
        "2a6e": number("temperature", 0.01, 2, lambda seconds: _oscillating(24, 0.5, 71, seconds)),
        "2a6f": number("humidity", 0.01, 2, lambda seconds: _oscillating(41, 3, 97, seconds)),
        "2a6d": number("pressure", 0.001, 4, lambda seconds: _oscillating(992, 0.3, 113, seconds)),  # tenths of a pascal
    }
    battery = number("battery", 1, 1, lambda _: 87)
    device.record("rssi", RSSI_FAR)
    device.peripheral = Peripheral(
        "00:0B:57:64:8B:49",
        name="Thunder Sense #35657",
        service_uuids=["181a"],
        services=[
            Service("180a", [Characteristic(uuid, ["read"], value) for uuid, value in information.items()]),
            Service("180f", [Characteristic("2a19", ["read"], battery)]),
            Service("181a", [Characteristic(uuid, ["read"], value) for uuid, value in measured.items()]),
        ],
        rssi=RSSI_FAR,
        advertises_every=0.5,
        clock=clock,
    )
    return device


def switchbot_bot(clock: Clock = time.monotonic) -> DemoDevice:
    """Return a button pusher that is commanded over a connection (SwitchBotAPI-BLE, devicetypes/bot.md)."""
    device = DemoDevice("SwitchBot Bot")
    answers = Characteristic("cba20003-224d-11e6-9fb8-0002a5d5c51b", ["notify"])
    requests = Characteristic("cba20002-224d-11e6-9fb8-0002a5d5c51b", ["write"], on_write=lambda _: answers.notify(b"\x01"))
    service = "cba20d00-224d-11e6-9fb8-0002a5d5c51b"
    device.record("rssi", RSSI_NEAR)
    device.peripheral = Peripheral(
        "C0:A4:31:7E:52:1B",
        address_type="random",
        service_data={"fd3d": b"\x48\x90\xe4"},
        service_uuids=[service],
        services=[Service(service, [requests, answers])],
        rssi=RSSI_NEAR,
        advertises_every=0.5,
        clock=clock,
    )
    return device


def _oscillating(mean: float, amplitude: float, period_seconds: float, seconds: float) -> float:
    return mean + amplitude * math.sin(math.tau * seconds / period_seconds)
