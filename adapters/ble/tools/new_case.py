"""Write the first case folder of a new Bluetooth profile: characteristics with their bytes, and what is made of them. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

from adapters.ble.advertisements.advertisement import short_uuid
from adapters.ble.advertisements.formats import FLOATS, TEXTS, Format, size_of
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.profile.device_information import information_paths, parse_information
from adapters.ble.profile.grammar import Point
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import CharacteristicPath, expected_services, plan_reads
from gateway.adapter import MADE_ORIGIN, Value, toml_text, toml_value

FIRST_NUMBER = 21
"""The raw number of the first point; that of the next one is one larger."""

SPECIAL_BYTES = 10
"""The bytes of a format whose size depends on the payload."""


def new_case(profile: Profile) -> dict[str, str]:
    """Return the files of the case folder, name -> text; each point gets a made value, unless its format has flags.

    Args:
        profile: each point in a characteristic of one service, without requests.
    """
    services = expected_services(profile)
    plan = plan_reads(profile, profile.intervals, services)
    readers = (*plan.subscriptions, *plan.reads)
    numbers = {point.metric: number for number, point in enumerate(profile.points, start=FIRST_NUMBER)}
    payloads: dict[CharacteristicPath, bytes] = {}
    readings: dict[str, Value] = {}
    for reader in readers:
        payload = _payload(reader.points, numbers)
        with suppress(NotInPayload):  # a format with flags: a person has to write its bytes
            block = reader.decode(payload, "case", datetime.now(UTC))
            readings |= {reading.metric.name: reading.value for reading in block}
            payloads[reader.path] = payload
    told = {path: payloads[path] for path in information_paths(profile, services) if path in payloads}
    facts = {name: text for name, text in asdict(parse_information(profile, told)).items() if text is not None}
    device = [
        f"origin = {toml_text(MADE_ORIGIN)}",
        "configured = true   # delete this when the profile has a `match`, and write `advertisement`: then a scan has to find it",
    ]
    for service, characteristics in services.items():
        device += ["", f"[services.{short_uuid(service)}]"]
        for characteristic, uses in characteristics.items():
            made = payloads.get(CharacteristicPath(service, characteristic))
            told_as = "" if made is None else f', payload = "{made.hex()}"'
            allowed = ", ".join(map(toml_text, sorted(uses)))
            device.append(f"{short_uuid(characteristic)} = {{ uses = [{allowed}]{told_as} }}")
    expected = [
        *_subscribed([short_uuid(reader.path.characteristic) for reader in plan.subscriptions]),
        "[facts]",
        *(f"{name} = {toml_value(text)}" for name, text in facts.items() if name != "evidence"),
        "",
        "[readings]",
        *(f"{metric} = {toml_value(value)}" for metric, value in readings.items()),
    ]
    return {"device.toml": "\n".join(device) + "\n", "expected.toml": "\n".join(expected) + "\n"}


def _subscribed(characteristics: list[str]) -> list[str]:
    return [f"subscribed = [{', '.join(map(toml_text, characteristics))}]", ""] if characteristics else []


def _payload(points: Iterable[Point], numbers: dict[str, int]) -> bytes:
    """Return bytes with the values of these points at their places, and 0 between them."""
    payload = bytearray()
    for point in points:
        content = _content(point, numbers[point.metric])
        payload.extend(bytes(max(0, point.at + len(content) - len(payload))))
        payload[point.at : point.at + len(content)] = content
    return bytes(payload)


def _content(point: Point, number: int) -> bytes:
    size = size_of(point.format)
    if point.format in FLOATS:
        content = struct.pack(f"<{FLOATS[point.format][-1]}", number + 0.5)
        return content if point.byte_order == "little" else content[::-1]
    if size is not None:
        return number.to_bytes(size, point.byte_order)
    if point.format is Format.BOOL:
        return b"\1"
    if point.format in TEXTS:
        made = f"X{number}".encode() if point.format is Format.UTF8 else b"\1\2\3\4"
        return made if point.length is None else made[: point.length].ljust(point.length, b"\0")
    return b"\1" * SPECIAL_BYTES
