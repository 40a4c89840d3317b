"""Read a device's maker, model, serial number and versions from its characteristics. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adapters.ble.advertisements.formats import decode
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.profile.grammar import InformationSource
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import CharacteristicPath, ServiceTable, find_characteristic
from adapters.ble.profile.standard_services import standard_information_sources

PLACEHOLDERS = re.compile(
    r"""[0.\-_:?\sx]*"""
    r"""|n\.?/?a\.?|none|null|nil|unknown|undefined|default|test|to be filled.*|not set"""
    r"""|(my )?(company|manufacturer)( name)?|(model|part|serial) ?(number|no\.?|name)?"""
    r"""|(firmware|hardware|software) ?(revision|version)?""",
    re.IGNORECASE,
)
"""Texts of devices whose maker has not set them: examples of chip makers, and zeros."""

SERIAL_PLACEHOLDERS = re.compile(r"(.)\1*|0?123456(7(8(9(0(abcdef)?)?)?)?)?", re.IGNORECASE)
"""Further placeholders for serial numbers: one character over and over, digits in a row."""


NO_ANSWERS: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInformation:
    """A device's description of itself. A field is `None` when the device does not have it, or only a placeholder."""

    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    """The software version, where the device has no firmware version."""
    hardware_version: str | None = None
    software_version: str | None = None
    sub_model: str | None = None
    """From the profile: a text, or the value of a characteristic."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was read -> what the device returned, placeholders too."""


def information_paths(profile: Profile | None, services: ServiceTable) -> list[CharacteristicPath]:
    """Return the characteristics to read for the device information, each once."""
    origins = (origin for _, origin in _origins(profile) if origin.request is None)
    paths = (find_characteristic(origin.service, origin.characteristic, services) for origin in origins)
    return list(
        dict.fromkeys(path for path in paths if path is not None and "read" in services[path.service][path.characteristic])
    )


def information_requests(profile: Profile | None) -> list[str]:
    """Return the names of the requests whose answers tell what the device is, each once."""
    return list(dict.fromkeys(origin.request for _, origin in _origins(profile) if origin.request is not None))


def parse_information(
    profile: Profile | None, payloads: Mapping[CharacteristicPath, bytes], answers: Mapping[str, bytes] = NO_ANSWERS
) -> DeviceInformation:
    """Return the device information in the values of `information_paths` and the answers to `information_requests`.

    Refused characteristics and unanswered requests are missing there.
    """
    texts: dict[str, str] = {}
    evidence: dict[str, str] = {}
    for name, origin in _origins(profile):
        place, payload = _found_payload(origin, payloads, answers)
        text = None if payload is None else _text(origin, payload)
        if text is not None:
            evidence[f"{name.replace('_', ' ')} ({place})"] = text
            texts |= {} if _is_placeholder(name, text) else {name: text}
    if profile is not None and isinstance(profile.sub_model, str):
        texts["sub_model"] = profile.sub_model
    if "firmware_version" not in texts and "software_version" in texts:
        texts["firmware_version"] = texts["software_version"]
    return DeviceInformation(**texts, evidence=evidence)


def _found_payload(
    origin: InformationSource, payloads: Mapping[CharacteristicPath, bytes], answers: Mapping[str, bytes]
) -> tuple[str, bytes | None]:
    """Return where a field was looked for, and what the device said there; `None` for nothing."""
    if origin.request is not None:
        return f"answer to {origin.request}", answers.get(origin.request)
    path = next(
        (path for path in payloads if path.characteristic == origin.characteristic and path.service in origin.service), None
    )
    return str(path), None if path is None else payloads[path]


def _origins(profile: Profile | None) -> Iterator[tuple[str, InformationSource]]:
    """Yield the characteristic of each field: in the Device Information service, unless the profile specifies another."""
    own = {} if profile is None else {name: getattr(profile.identity, name) for name in type(profile.identity).model_fields}
    for name, standard in standard_information_sources().items():
        origin = own.get(name)
        if origin is not False:
            yield name, origin or standard
    if profile is not None and isinstance(profile.sub_model, InformationSource):
        yield "sub_model", profile.sub_model


def _text(origin: InformationSource, payload: bytes) -> str | None:
    try:
        value = decode(origin.encoding, payload)
    except NotInPayload:
        return None
    return None if value is None else str(value).strip() or None


def _is_placeholder(name: str, text: str) -> bool:
    return bool(PLACEHOLDERS.fullmatch(text) or (name == "serial_number" and SERIAL_PLACEHOLDERS.fullmatch(text)))
