"""Define what a search of a bus finds: devices, their identities, and how far the search has come. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.models.children import ChildDevice


class IdentityKind(StrEnum):
    """The basis of an identity, the strongest first."""

    SERIAL_NUMBER = "sn"
    MAC = "mac"
    FINGERPRINT = "fingerprint"
    """A constant in its registers or advertisements that no other device on the site has."""
    PLACE = "place"
    """Bus and address, because nothing in the device distinguishes it from an identical one; does not survive a move."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a device, independent of the port, address or host at which it is found."""

    kind: IdentityKind
    value: str
    """Unique within its kind on the site. A serial number is prefixed with its maker: `schneider-electric/123456`."""

    @property
    def key(self) -> str:
        """The stable local key of the child with this identity."""
        return f"{self.kind}:{self.value}"


class Confidence(StrEnum):
    """How certain the profile is that an adapter has chosen for a device."""

    CERTAIN = "certain"
    """The device identifies itself, in words or numbers that its maker reserves for that."""
    LIKELY = "likely"
    """Its answers fit this profile and no other one."""
    POSSIBLE = "possible"
    """It answers, and a person has named the profile, or has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that an adapter found on a bus."""

    address: str
    """Its address on this bus for its adapter: a unit id, a MAC. Opaque to all other parts."""
    identity: Identity
    name: str
    """A name for people, until a person gives it one."""
    profile: str | None = None
    """The profile that fits; `None` when none does."""
    family: str | None = None
    """The profile's family, which the `[models]` table of the config maps to a Xyte model id."""
    sub_model: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    mac: str | None = None
    firmware_version: str | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was asked -> what the device answered, so that a person can check the identification."""
    says: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Values that it sends unprompted right now, for a person: `temperature` -> `21.5 °C`. No part of its identity."""
    confidence: Confidence = Confidence.POSSIBLE
    """How certain it is that the profile fits."""
    is_generic: bool = field(default=False, compare=False)
    """The profile is only a format that devices of any maker send along with their own: a known child with another profile keeps
    it, its family, model and metrics."""
    needs: str | None = field(default=None, compare=False)
    """The step that a person has to take before it can be read: `It needs a password: ...`. No part of its identity."""

    @classmethod
    def of_child(cls, child: ChildDevice) -> Found:
        """Return a child as the device that it was found as."""
        kind, _, value = child.key.partition(":")
        return cls(
            address=child.address,
            identity=Identity(IdentityKind(kind), value),
            name=child.name if child.found_as is None else child.found_as,
            profile=child.profile,
            family=child.family,
            sub_model=child.sub_model,
            manufacturer=child.manufacturer,
            model=child.model,
            serial_number=child.serial_number,
            mac=child.mac,
            firmware_version=child.firmware_version,
        )

    def as_child(self, *, adapter: str, bus: str, model_id: str = "") -> ChildDevice:
        """Return the device as a child; without a model id, it is read and never registered.

        Args:
            adapter: the name of the `[[adapter]]` entry that found it.
            bus: the label of the bus on which it was found.
            model_id: the Xyte model that it is registered under.
        """
        return ChildDevice(
            key=self.identity.key,
            adapter=adapter,
            bus=bus,
            address=self.address,
            profile=self.profile,
            family=self.family,
            model_id=model_id,
            sub_model=self.sub_model,
            firmware_version=self.firmware_version,
            name=self.name,
            serial_number=self.serial_number,
            mac=self.mac,
            manufacturer=self.manufacturer,
            model=self.model,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a search."""

    done: int
    total: int | None
    """`None` when it is unknown."""
    note: str
    """The address that was just tried, for a person: `unit 17`."""


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """What a search of a bus asked, and what came of it."""

    asked: int
    """How many addresses or questions were tried; on a bus that is only listened to, how many senders were heard."""
    answered: int
    text: str
    """The same in words, with what was asked: `asked 5 unit ids: 1 answered, 4 stayed quiet`."""
    advice: str | None = None
    """What to do where less was found than there is; `None` where nothing stayed quiet."""

    @property
    def quiet(self) -> int:
        """How many did not answer."""
        return self.asked - self.answered
