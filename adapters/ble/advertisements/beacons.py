"""Beacons, which tell only that they are there: Apple's iBeacon and Google's Eddystone. Nothing here waits.

iBeacon: Apple, Proximity Beacon Specification, R1. Eddystone: Google, Eddystone Protocol Specification (2016), with its frames
UID, URL and unencrypted TLM. All numbers in both have their highest byte first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.metrics import Measured, measured
from adapters.ble.advertisements.parser import NotUnderstood, Said

APPLE = 0x004C
_IBEACON = struct.Struct(">2x16sHHb")
_IBEACON_START = b"\x02\x15"

EDDYSTONE = full_uuid("feaa")
_TLM = struct.Struct(">xxHhII")
_NO_VOLTAGE = 0
_NO_TEMPERATURE = -0x8000

_SCHEMES = ("http://www.", "https://www.", "http://", "https://")
_ENDINGS = (
    ".com/", ".org/", ".edu/", ".net/", ".info/", ".biz/", ".gov/", ".com", ".org", ".edu", ".net", ".info", ".biz", ".gov",
)  # fmt: skip
"""What a byte below 14 stands for in an Eddystone URL (specification of the URL frame)."""


class IBeacon:
    """An iBeacon: which one it is, and how strongly it sends."""

    def parse(self, advertisement: Advertisement, at: float) -> Said | None:
        """Return what the beacon says."""
        sent = advertisement.manufacturer_data.get(APPLE, b"")
        if not sent.startswith(_IBEACON_START) or len(sent) < _IBEACON.size:
            return None
        uuid, major, minor, power = _IBEACON.unpack_from(sent)
        told = {"beacon_uuid": str(UUID(bytes=uuid)), "major": major, "minor": minor}
        return Said(model="iBeacon", name=advertisement.name, measured=[*_all(told), *_all({"measured_power": power}, "dBm")])


class Eddystone:
    """An Eddystone beacon, which sends frames of several kinds in turn."""

    def parse(self, advertisement: Advertisement, at: float) -> Said | None:
        """Return what this frame says; one that is encrypted or unknown says only that the beacon is there."""
        if (sent := advertisement.service_data.get(EDDYSTONE)) is None:
            return None
        if not sent:
            raise NotUnderstood("an Eddystone frame without a byte")
        read = _FRAMES.get(sent[0])
        try:
            told = [] if read is None else read(sent)
        except struct.error as error:
            raise NotUnderstood(f"an Eddystone frame of type 0x{sent[0]:02X} is too short: {len(sent)} bytes") from error
        return Said(model="Eddystone", name=advertisement.name, measured=told)


def _uid(frame: bytes) -> list[Measured]:
    power, namespace, instance = struct.unpack_from(">xb10s6s", frame)
    told = _all({"namespace": namespace.hex(), "instance": instance.hex()})
    return [*told, *_all({"power_at_0_m": power}, "dBm")]


def _url(frame: bytes) -> list[Measured]:
    power, scheme = struct.unpack_from(">xbB", frame)
    if scheme >= len(_SCHEMES):
        raise NotUnderstood(f"an Eddystone URL that starts in an unknown way: {scheme}")
    url = _SCHEMES[scheme] + "".join(_ENDINGS[byte] if byte < len(_ENDINGS) else chr(byte) for byte in frame[3:])
    return [*_all({"url": url}), *_all({"power_at_0_m": power}, "dBm")]


def _telemetry(frame: bytes) -> list[Measured]:
    if frame[1:2] != b"\0":
        return []
    millivolts, temperature, sent, tenths = _TLM.unpack_from(frame)
    return [
        *_all({"voltage": None if millivolts == _NO_VOLTAGE else millivolts}, "mV"),
        *_all({"temperature": None if temperature == _NO_TEMPERATURE else temperature / 256}, "°C"),
        *_all({"advertisements_sent": sent}),
        *_all({"uptime": tenths / 10}, "s"),
    ]


_FRAMES: Mapping[int, Callable[[bytes], list[Measured]]] = {0x00: _uid, 0x10: _url, 0x20: _telemetry}
"""The frame type, a frame's first byte -> what reads it."""


def _all(told: Mapping[str, object], unit: str | None = None) -> Iterable[Measured]:
    return filter(None, (measured(name, unit, value) for name, value in told.items()))
