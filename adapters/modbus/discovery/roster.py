"""Which of the units that answered are devices, and who each of them is. Nothing here waits.

Many TCP hosts do not look at the unit id: they answer all 247 of them, and a scan would find one meter 247 times. Two things
tell:

- a serial number: the unit ids of one bus that tell the same one are one device, met at the lowest id that was asked;
- the reserved unit id 250, which no device can have (Modbus over Serial Line V1.02, section 2.2): what a TCP host answers to it
  is what it says of units that do not exist. A unit id that is answered just the same, with exceptions only, is therefore
  nobody; with data, it is the host itself, and all such ids are one device at the lowest of them.

What is left in doubt stays honest: two devices that are alike, without a serial number, on a host that answers for all unit ids
are taken for one, and a unit that only answers exceptions on a host that does so for every id is not seen. For both, the config
names the unit under `devices`: what is configured is a device as soon as it answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from adapters.modbus.client.unit_ids import RESERVED_UNIT
from adapters.modbus.discovery.identify import Verdict
from adapters.modbus.profile.sunspec_models import own_name
from gateway.adapter import Found, Identity, IdentityKind, slug


@dataclass(frozen=True, slots=True)
class Place:
    """Where units are met: part of the identity of a device that has nothing of its own."""

    entry: str
    """The name of the `[[adapter]]` entry."""
    bus: str


@dataclass(slots=True)
class RollCall:
    """The units of one bus, entered in the order they were asked."""

    place: Place
    _reserved: Verdict | None = None
    """What the reserved unit id was answered; `None` until it is entered, and on a serial line."""
    _devices: dict[str, Found] = field(default_factory=dict)
    _other_units: dict[str, list[int]] = field(default_factory=dict)

    def enter(self, unit: int, verdict: Verdict, configured_name: str | None = None, *, configured: bool = False) -> Found | None:
        """Return the device at this unit id, `None` when nobody is there or it was met before."""
        if unit == RESERVED_UNIT:
            self._reserved = verdict
        if unit == RESERVED_UNIT or not verdict.alive:
            return None
        device = found(self.place, unit, verdict, configured_name)
        if configured:
            return device
        is_the_host = self._reserved is not None and verdict.signature == self._reserved.signature
        if is_the_host and not verdict.told:
            return None
        key = "host" if is_the_host else device.identity.key
        if key in self._devices:
            self._other_units.setdefault(key, []).append(unit)
            return None
        self._devices[key] = device
        return device

    @property
    def is_answered_for_everybody(self) -> bool:
        """The host answers for unit ids that nobody has."""
        return self._reserved is not None and self._reserved.alive

    def close(self) -> Iterable[Found]:
        """Return the devices that were met at more than one unit id once more, with that among their evidence."""
        for key, units in self._other_units.items():
            device = self._devices[key]
            same = "the same serial number" if device.serial_number else "the same answers"
            note = f"{same}: taken for one device at its lowest unit id"
            yield replace(device, evidence={**device.evidence, f"units {ranges(units)}": note})


def found(place: Place, unit: int, verdict: Verdict, configured_name: str | None = None) -> Found:
    """Return the device that this verdict describes."""
    profile = verdict.profile
    maker = (profile.maker if profile is not None else None) or verdict.vendor
    told = " ".join(filter(None, [verdict.vendor, verdict.product])) or "Modbus device"
    title = profile.title if profile is not None and profile.maker is not None else told
    return Found(
        address=str(unit),
        identity=_identity(place, unit, verdict, maker),
        name=configured_name or f"{title} {verdict.serial_number or f'unit {unit}'}",
        profile=profile.name if profile is not None else None,
        family=profile.family if profile is not None else None,
        sub_model=verdict.sub_model,
        manufacturer=maker,
        model=profile.title if profile is not None and profile.maker is not None else verdict.product,
        serial_number=verdict.serial_number,
        mac=verdict.mac,
        firmware_version=verdict.firmware_version,
        evidence=verdict.evidence,
        confidence=verdict.confidence,
    )


def ranges(units: Iterable[int]) -> str:
    """Return unit ids as a person writes them: `2-5, 9`."""
    runs: list[list[int]] = []
    for unit in sorted(units):
        if runs and unit == runs[-1][-1] + 1:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _identity(place: Place, unit: int, verdict: Verdict, maker: str | None) -> Identity:
    if verdict.serial_number is not None and maker is not None:
        return Identity(IdentityKind.SERIAL_NUMBER, f"{slug(maker)}/{verdict.serial_number}")
    if verdict.mac is not None:
        return Identity(IdentityKind.MAC, verdict.mac)
    profile = own_name(verdict.profile) if verdict.profile is not None else "unknown"
    return Identity(IdentityKind.PLACE, f"{place.entry}/{place.bus}/unit-{unit}/{profile}")
