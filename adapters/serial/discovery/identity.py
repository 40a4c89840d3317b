"""Who hangs on a port: from the verdict of an interview to a device, and how it is addressed. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.serial.discovery.probing import Verdict
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address
from gateway.adapter import Found, Identity, IdentityKind, slug


@dataclass(frozen=True, slots=True)
class Place:
    """Where devices are met: part of the identity of one that has nothing of its own."""

    entry: str
    """The name of the `[[adapter]]` entry."""
    bus: str


def written_address(profile: str, address: Address) -> str:
    """Return how the gateway addresses a device: `samsung-mdc/1`, `nmea-gps`."""
    return profile if address is None else f"{profile}/{address}"


def read_address(written: str) -> tuple[str, Address]:
    """Return the profile and the device's own address in what `written_address` wrote."""
    profile, separator, address = written.partition("/")
    if not separator:
        return profile, None
    return profile, int(address) if address.isdecimal() else address


def found(place: Place, profile: Profile, verdict: Verdict, name: str = "") -> Found:
    """Return the device that a verdict describes, which has this profile."""
    facts = verdict.facts
    maker, serial_number = facts.get("manufacturer"), facts.get("serial_number")
    model = facts.get("model") or profile.title
    address = written_address(profile.name, verdict.address)
    return Found(
        address=address,
        identity=identity(place, profile, address, facts),
        name=name or f"{_called(maker, model)} {serial_number or place.bus.rpartition('/')[2]}",
        profile=profile.name,
        family=profile.family,
        sub_model=facts.get("sub_model") or facts.get("model"),
        manufacturer=maker,
        model=model,
        serial_number=serial_number,
        firmware_version=facts.get("firmware_version"),
        evidence={**verdict.evidence, **({} if verdict.line is None else {"line": str(verdict.line)})},
        confidence=verdict.confidence,
    )


def identity(place: Place, profile: Profile, address: str, facts: Mapping[str, str]) -> Identity:
    """Return who a device is: by its own serial number, else by the port that it hangs on, which keeps its name."""
    serial_number = facts.get("serial_number")
    if serial_number is None:
        return Identity(IdentityKind.PLACE, f"{place.entry}/{place.bus}/{address}")
    maker = facts.get("manufacturer") or profile.name
    return Identity(IdentityKind.SERIAL_NUMBER, f"{slug(maker)}/{serial_number}")


def _called(maker: str | None, model: str) -> str:
    return model if maker is None or model.lower().startswith(maker.lower()) else f"{maker} {model}"
