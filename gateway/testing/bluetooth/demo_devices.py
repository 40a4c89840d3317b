"""The demo's Bluetooth devices: one that advertises what it measures, one that has to be connected to. Both as sold.

Each remembers what it has sent, so that whoever received it can be checked.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from gateway.testing.bluetooth.gatt import Characteristic, Payload, Service
from gateway.testing.bluetooth.peripheral import Clock, Peripheral

RSSI_NEAR, RSSI_FAR = -58, -71


class Gadget:
    """A simulated device and what it has sent so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: defaultdict[str, set[float]] = defaultdict(set)
        """Metric -> every value that went over the air."""
        self.peripheral: Peripheral

    def says(self, metric: str, value: float) -> float:
        """Remember a value that is being sent, and return it."""
        self.sent[metric].add(value)
        return value


def shelly_blu_ht(clock: Clock = time.monotonic) -> Gadget:
    """Return a thermometer that advertises by BTHome (Shelly BLU H&T, bthome.io/format, version 2, not encrypted)."""
    gadget = Gadget("Shelly BLU H&T")

    def bthome(seconds: float) -> bytes:
        tenths = round(10 * _swinging(21.5, 0.8, 61, seconds))
        humidity = round(_swinging(48, 6, 83, seconds))
        gadget.says("temperature", tenths / 10)
        gadget.says("humidity", humidity)
        gadget.says("battery", 93)
        packet = int(seconds / 2) % 256
        return b"\x44" + b"\x00%c\x01%c\x2e%c\x45" % (packet, 93, humidity) + tenths.to_bytes(2, "little", signed=True)

    gadget.says("rssi", RSSI_NEAR)
    gadget.peripheral = Peripheral(
        "54:48:E6:8F:80:A5", name="SBHT-003C", service_data={"fcd2": bthome}, rssi=RSSI_NEAR, advertises_every=0.5, clock=clock
    )
    return gadget


def thunderboard_sense(clock: Clock = time.monotonic) -> Gadget:
    """Return a development kit with standard services (Silicon Labs Thunderboard Sense 2, UG309: 180A, 180F, 181A)."""
    gadget = Gadget("Thunderboard Sense 2")

    def number(metric: str, scale: float, size: int, value: Callable[[float], float]) -> Payload:
        def payload(seconds: float) -> bytes:
            raw = round(value(seconds) / scale)
            gadget.says(metric, raw * scale)
            return raw.to_bytes(size, "little", signed=metric == "temperature")

        return payload

    facts: Mapping[str, bytes] = {
        "2a29": b"Silicon Labs",
        "2a24": b"BRD4166A",
        "2a25": b"14:84:23:17:5C:40",
        "2a26": b"2.0.1",
    }
    measured = {
        "2a6e": number("temperature", 0.01, 2, lambda seconds: _swinging(24, 0.5, 71, seconds)),
        "2a6f": number("humidity", 0.01, 2, lambda seconds: _swinging(41, 3, 97, seconds)),
        "2a6d": number("pressure", 0.001, 4, lambda seconds: _swinging(992, 0.3, 113, seconds)),  # tenths of a pascal
    }
    battery = number("battery", 1, 1, lambda _: 87)
    gadget.says("rssi", RSSI_FAR)
    gadget.peripheral = Peripheral(
        "00:0B:57:64:8B:49",
        name="Thunder Sense #35657",
        service_uuids=["181a"],
        services=[
            Service("180a", [Characteristic(uuid, ["read"], value) for uuid, value in facts.items()]),
            Service("180f", [Characteristic("2a19", ["read"], battery)]),
            Service("181a", [Characteristic(uuid, ["read"], value) for uuid, value in measured.items()]),
        ],
        rssi=RSSI_FAR,
        advertises_every=0.5,
        clock=clock,
    )
    return gadget


def _swinging(mean: float, amplitude: float, period_seconds: float, seconds: float) -> float:
    return mean + amplitude * math.sin(math.tau * seconds / period_seconds)
