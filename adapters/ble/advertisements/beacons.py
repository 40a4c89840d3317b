"""Parse the advertisements of beacons: Apple's iBeacon and Google's Eddystone. Pure.

iBeacon: Apple, Proximity Beacon Specification, R1. Eddystone: Google, Eddystone Protocol Specification (2016), with its frames
UID, URL and unencrypted TLM. All numbers in both are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.metrics import Measured, measured
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement

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
"""The texts that the bytes below 14 stand for in an Eddystone URL (specification of the URL frame)."""


class IBeacon:
    """The parser of an iBeacon: its identity and its transmission power."""

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the identity of the beacon."""
        sent = advertisement.manufacturer_data.get(APPLE, b"")
        if not sent.startswith(_IBEACON_START) or len(sent) < _IBEACON.size:
            return None
        uuid, major, minor, power = _IBEACON.unpack_from(sent)
        identity = {"beacon_uuid": str(UUID(bytes=uuid)), "major": major, "minor": minor}
        return ParsedAdvertisement(
            model="iBeacon", name=advertisement.name, measured=[*_all(identity), *_all({"measured_power": power}, "dBm")]
        )


class Eddystone:
    """The parser of an Eddystone beacon, which sends frames of several types in turn."""

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the content of this frame: nothing but the model, where the frame is encrypted or of an unknown type."""
        if (sent := advertisement.service_data.get(EDDYSTONE)) is None:
            return None
        if not sent:
            raise MalformedAdvertisement("an empty Eddystone frame")
        parse_frame = _FRAMES.get(sent[0])
        try:
            values = [] if parse_frame is None else parse_frame(sent)
        except struct.error as error:
            raise MalformedAdvertisement(f"an Eddystone frame of type 0x{sent[0]:02X} is too short: {len(sent)} bytes") from error
        return ParsedAdvertisement(model="Eddystone", name=advertisement.name, measured=values)


def _uid(frame: bytes) -> list[Measured]:
    power, namespace, instance = struct.unpack_from(">xb10s6s", frame)
    identity = _all({"namespace": namespace.hex(), "instance": instance.hex()})
    return [*identity, *_all({"power_at_0_m": power}, "dBm")]


def _url(frame: bytes) -> list[Measured]:
    power, scheme = struct.unpack_from(">xbB", frame)
    if scheme >= len(_SCHEMES):
        raise MalformedAdvertisement(f"an Eddystone URL with an unknown scheme: {scheme}")
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
"""The frame type, which is a frame's first byte -> its parser."""


def _all(values: Mapping[str, object], unit: str | None = None) -> Iterable[Measured]:
    return filter(None, (measured(name, unit, value) for name, value in values.items()))
