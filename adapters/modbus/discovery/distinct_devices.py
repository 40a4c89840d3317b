"""Decide which of the units that answered are separate devices, and what identifies each of them. Pure.

Many TCP hosts ignore the unit id: they answer all 247 of them, and a scan would find one meter 247 times. Two things reveal that:

- a serial number: the unit ids of one bus with the same serial number are one device, reported at the lowest id that was probed;
- the reserved unit id 250, which no device can have (Modbus over Serial Line V1.02, section 2.2): the answers of a TCP host to it
  are its answers for units that do not exist. Where another unit id has the same answers, and only exceptions, there is no
  device; with data, it is the host itself, and all such ids are one device at the lowest of them.

Two cases stay undecided: two equal devices without a serial number, on a host that answers for all unit ids, are taken for one;
and a unit that answers only exceptions, on a host that does so for every id, is not reported. For both, the config names the unit
under `devices`: a configured unit is a device as soon as it answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from adapters.modbus.client.unit_ids import RESERVED_UNIT
from adapters.modbus.discovery.identify import ProbeResult
from adapters.modbus.profile.sunspec_models import own_name
from gateway.adapter import Found, Identity, IdentityKind, slug


@dataclass(frozen=True, slots=True)
class BusId:
    """The name of a bus: part of the identity of a device that has no serial number and no MAC."""

    entry: str
    """The name of the `[[adapter]]` entry."""
    bus: str


@dataclass(slots=True)
class Roster:
    """The devices of one bus, added in the order in which their units were probed."""

    bus_id: BusId
    _reserved: ProbeResult | None = None
    """The result of the reserved unit id; `None` until it is added, and on a serial line."""
    _devices: dict[str, Found] = field(default_factory=dict)
    _other_units: dict[str, list[int]] = field(default_factory=dict)
    has_answers: bool = False
    """Any unit answered, the reserved one included."""

    def add(
        self, unit: int, result: ProbeResult, configured_name: str | None = None, *, configured: bool = False
    ) -> Found | None:
        """Return the device at this unit id, `None` when there is none or it was found at another id before."""
        self.has_answers |= result.alive
        if unit == RESERVED_UNIT:
            self._reserved = result
        if unit == RESERVED_UNIT or not result.alive:
            return None
        device = found_device(self.bus_id, unit, result, configured_name)
        if configured:
            return device
        is_the_host = self._reserved is not None and result.signature == self._reserved.signature
        if is_the_host and not result.has_data:
            return None
        key = "host" if is_the_host else device.identity.key
        if key in self._devices:
            self._other_units.setdefault(key, []).append(unit)
            return None
        self._devices[key] = device
        return device

    @property
    def host_answers_all_units(self) -> bool:
        """Whether the host answers for unit ids that no device has."""
        return self._reserved is not None and self._reserved.alive

    def at_several_units(self) -> Iterable[Found]:
        """Return the devices that answered at more than one unit id once more, with these ids in their evidence."""
        for key, units in self._other_units.items():
            device = self._devices[key]
            same = "the same serial number" if device.serial_number else "the same answers"
            note = f"{same}: taken for one device at its lowest unit id"
            yield replace(device, evidence={**device.evidence, f"units {ranges(units)}": note})


def found_device(bus_id: BusId, unit: int, result: ProbeResult, configured_name: str | None = None) -> Found:
    """Return the device that a probe result describes."""
    profile = result.profile
    maker = (profile.maker if profile is not None else None) or result.vendor
    reported = " ".join(filter(None, [result.vendor, result.product])) or "Modbus device"
    title = profile.title if profile is not None and profile.maker is not None else reported
    return Found(
        address=str(unit),
        identity=_identity(bus_id, unit, result, maker),
        name=configured_name or f"{title} {result.serial_number or f'unit {unit}'}",
        profile=profile.name if profile is not None else None,
        family=profile.family if profile is not None else None,
        sub_model=result.sub_model,
        manufacturer=maker,
        model=profile.title if profile is not None and profile.maker is not None else result.product,
        serial_number=result.serial_number,
        mac=result.mac,
        firmware_version=result.firmware_version,
        evidence=result.evidence,
        confidence=result.confidence,
    )


def ranges(units: Iterable[int]) -> str:
    """Return unit ids as ranges: `2-5, 9`."""
    runs: list[list[int]] = []
    for unit in sorted(units):
        if runs and unit == runs[-1][-1] + 1:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _identity(bus_id: BusId, unit: int, result: ProbeResult, maker: str | None) -> Identity:
    if result.serial_number is not None and maker is not None:
        return Identity(IdentityKind.SERIAL_NUMBER, f"{slug(maker)}/{result.serial_number}")
    if result.mac is not None:
        return Identity(IdentityKind.MAC, result.mac)
    profile = own_name(result.profile) if result.profile is not None else "unknown"
    return Identity(IdentityKind.PLACE, f"{bus_id.entry}/{bus_id.bus}/unit-{unit}/{profile}")
