"""Turn the result of a probe into a found device: its identity, address and name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.serial.discovery.probing import ProbeResult
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address
from gateway.adapter import Found, Identity, IdentityKind, slug


@dataclass(frozen=True, slots=True)
class BusLocation:
    """The config entry and the bus: part of the identity of a device without a serial number."""

    entry: str
    """The name of the `[[adapter]]` entry."""
    bus: str


def format_address(profile: str, address: Address) -> str:
    """Return the address of a device in the gateway: `samsung-mdc/1`, `nmea-gps`."""
    return profile if address is None else f"{profile}/{address}"


def parse_address(written: str) -> tuple[str, Address]:
    """Return the profile name and the device's own address in the result of `format_address`."""
    profile, separator, address = written.partition("/")
    if not separator:
        return profile, None
    return profile, int(address) if address.isdecimal() else address


def found_device(
    location: BusLocation, profile: Profile, result: ProbeResult, name: str = "", *, needs: str | None = None
) -> Found:
    """Return the device with this profile that a probe has found.

    Args:
        location: entry and bus.
        profile: its profile.
        result: what the probe has learned of it.
        name: its name in the config; empty if it has none there.
        needs: what a person has to do before it can be read.
    """
    facts = result.facts
    maker, serial_number = facts.get("manufacturer"), facts.get("serial_number")
    model = facts.get("model") or profile.title
    address = format_address(profile.name, result.address)
    return Found(
        address=address,
        identity=device_identity(location, profile, address, facts, is_maker_missing="manufacturer" in result.missing),
        name=name or f"{_maker_and_model(maker, model)} {serial_number or location.bus.rpartition('/')[2]}",
        profile=profile.name,
        family=profile.family,
        sub_model=facts.get("sub_model") or facts.get("model"),
        manufacturer=maker,
        model=model,
        serial_number=serial_number,
        firmware_version=facts.get("firmware_version"),
        evidence={**result.evidence, **({} if result.line is None else {"line": str(result.line)})},
        confidence=result.confidence,
        needs=needs,
    )


def device_identity(
    location: BusLocation, profile: Profile, address: str, facts: Mapping[str, str], *, is_maker_missing: bool = False
) -> Identity:
    """Return the identity of a device: its serial number, else the stable name of its port.

    A device that does not tell its maker now, and may do so later, gets the identity with its serial number then.
    """
    serial_number = facts.get("serial_number")
    if serial_number is None or (is_maker_missing and "manufacturer" not in facts):
        return Identity(IdentityKind.PLACE, f"{location.entry}/{location.bus}/{address}")
    maker = facts.get("manufacturer") or profile.name
    return Identity(IdentityKind.SERIAL_NUMBER, f"{slug(maker)}/{serial_number}")


def _maker_and_model(maker: str | None, model: str) -> str:
    return model if maker is None or model.lower().startswith(maker.lower()) else f"{maker} {model}"
