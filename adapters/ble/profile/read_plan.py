"""What is read over a connection and what it means: for one profile, on one device with the services it has. Nothing here waits.

A visit is planned when the device has told its services: each characteristic is read once, however many points stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.profile.formats import decode
from adapters.ble.profile.match_rules import Match
from adapters.ble.profile.profile import Origin, Point, Preparation, Profile
from adapters.ble.profile.special_formats import NotInPayload, PayloadTooShort
from adapters.ble.profile.standard_services import device_information
from adapters.ble.profile.toml_types import short_uuid
from gateway.adapter import Block, MetricRow, Value

Tree: TypeAlias = Mapping[str, Mapping[str, frozenset[str]]]
"""Service uuid -> characteristic uuid -> what can be done with it: `read`, `write`, `notify`, ..."""

NOTIFYING = frozenset({"notify", "indicate"})

PLACEHOLDERS = re.compile(
    r"""[0.\-_:?\sx]*"""
    r"""|n\.?/?a\.?|none|null|nil|unknown|undefined|default|test|to be filled.*|not set"""
    r"""|(my )?(company|manufacturer)( name)?|(model|part|serial) ?(number|no\.?|name)?"""
    r"""|(firmware|hardware|software) ?(revision|version)?""",
    re.IGNORECASE,
)
"""What devices say that were never told who they are: examples of chip makers, and zeros."""

SERIAL_PLACEHOLDERS = re.compile(r"(.)\1*|0?123456(7(8(9(0(abcdef)?)?)?)?)?", re.IGNORECASE)
"""What is no serial number either: one character over and over, digits in a row."""


class Place(NamedTuple):
    """A characteristic of a service."""

    service: str
    characteristic: str

    def __str__(self) -> str:
        """Return it as people say it: `180f/2a19`."""
        return f"{short_uuid(self.service)}/{short_uuid(self.characteristic)}"


class Reader:
    """One characteristic, and the points that stand in what it gives."""

    def __init__(self, place: Place, points: Iterable[Point]) -> None:
        self.place = place
        self.points = tuple(points)
        self._rows: dict[tuple[int, ...], MetricRow] = {}

    @property
    def is_event(self) -> bool:
        """Whether its values are told only when something happens, so that a first one may never come."""
        return all(point.event for point in self.points)

    def __repr__(self) -> str:
        return f"Reader({self.place}: {', '.join(point.metric for point in self.points)})"

    def decode(self, payload: bytes, child: str, at: datetime) -> Block:
        """Return the readings of this payload; points that it does not hold have none.

        Raises:
            PayloadTooShort: it holds not even one of them.
        """
        present: list[int] = []
        values: list[Value] = []
        short: PayloadTooShort | None = None
        for number, point in enumerate(self.points):
            try:
                values.append(decode(point.decoded_by, payload))
            except PayloadTooShort as error:
                short = short or error
            except NotInPayload:
                continue
            else:
                present.append(number)
        if short is not None and not values:
            raise PayloadTooShort(f"{self.place} gave {payload.hex() or 'nothing'}: {short}") from short
        return Block(child, self._row(tuple(present)), values, at)

    def _row(self, present: tuple[int, ...]) -> MetricRow:
        if present not in self._rows:
            self._rows[present] = MetricRow(self.points[number].measured for number in present)
        return self._rows[present]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is done on a connection, in this order."""

    writes: tuple[Preparation, ...] = ()
    """What has to be written first."""
    subscriptions: tuple[Reader, ...] = ()
    """What is notified: the first value of each that is no event is waited for, or all of them while the connection lasts."""
    reads: tuple[Reader, ...] = ()
    remarks: tuple[str, ...] = ()
    """What the device lacks, as the operator should know."""


def profile_fitting(advertisement: Advertisement, profiles: Iterable[Profile]) -> Profile | None:
    """Return the profile that fits what the device advertises; of several, the one that asks for most. `None`: none does."""
    fits = [(match.weight, profile) for profile in profiles if (match := match_of(advertisement, profile)) is not None]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def match_of(advertisement: Advertisement, profile: Profile) -> Match | None:
    """Return by which of its matches a profile fits a device; of several, the one that asks for most."""
    fits = (match for match in profile.match if match.fits(advertisement))
    return max(fits, key=lambda match: match.weight, default=None)


def plan(profile: Profile, groups: Iterable[str], tree: Tree) -> Visit:
    """Return what has to be done to read these poll groups on a device with these services."""
    readers, remarks = _readers(profile, frozenset(groups), tree)
    subscriptions = tuple(reader for reader in readers if _is_subscribed(reader, tree))
    reads = tuple(reader for reader in readers if reader not in subscriptions)
    if not readers:
        return Visit(remarks=tuple(remarks))
    writes = [one for one in profile.prepare if one.characteristic in tree.get(one.service, {})]
    remarks += [
        f"it has no characteristic {Place(one.service, one.characteristic)}, which has to be written first"
        for one in profile.prepare
        if one not in writes and not one.optional
    ]
    return Visit(writes=tuple(writes), subscriptions=subscriptions, reads=reads, remarks=tuple(remarks))


def expected(profile: Profile) -> Tree:
    """Return the services that a device with this profile has by the profile, where nobody has asked one yet."""
    tree: dict[str, dict[str, frozenset[str]]] = {}
    for point in profile.points:
        uses = frozenset({"notify" if point.notify else "read"})
        tree.setdefault(point.service[0], {}).setdefault(point.characteristic, uses)
    for one in profile.prepare:
        tree.setdefault(one.service, {}).setdefault(one.characteristic, frozenset({"write"}))
    return tree


def find(services: Iterable[str], characteristic: str, tree: Tree) -> Place | None:
    """Return where this characteristic is, in the first of these services that has it; `None` when none has."""
    return next((Place(service, characteristic) for service in services if characteristic in tree.get(service, {})), None)


def _readers(profile: Profile, groups: frozenset[str], tree: Tree) -> tuple[list[Reader], list[str]]:
    """Return each characteristic that has a point of these groups, with all the points in it: they come for nothing."""
    points: dict[Place, list[Point]] = {}
    due: set[Place] = set()
    remarks = []
    for point in profile.points:
        place = find(point.service, point.characteristic, tree)
        if place is not None and tree[place.service][place.characteristic] & {"read", *NOTIFYING}:
            points.setdefault(place, []).append(point)
            due |= {place} if point.group in groups else set()
        elif point.group in groups and not point.optional:
            wanted = place or Place(point.service[0], point.characteristic)
            remarks.append(f"{point.metric} is not read: the device " + _lack(wanted, is_there=place is not None))
    return [Reader(place, points[place]) for place in points if place in due], remarks


def _lack(place: Place, *, is_there: bool) -> str:
    return f"lets {place} be neither read nor subscribed to" if is_there else f"has no characteristic {place}"


def _is_subscribed(reader: Reader, tree: Tree) -> bool:
    """Say whether its values are notified: where the profile says so, and where they cannot be read."""
    uses = tree[reader.place.service][reader.place.characteristic]
    return bool(uses & NOTIFYING) and ("read" not in uses or any(point.notify or point.event for point in reader.points))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Who a device says it is. What is `None`, it does not say, or says only what nobody has ever filled in."""

    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    """That of its software, where the device tells no other."""
    hardware_version: str | None = None
    software_version: str | None = None
    sub_model: str | None = None
    """By the profile: a text, or what the device says there."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was asked -> what the device answered, placeholders too."""


def questions(profile: Profile | None, tree: Tree) -> list[Place]:
    """Return the characteristics that tell who the device is, each once."""
    places = (find(origin.service, origin.characteristic, tree) for _, origin in _origins(profile))
    return list(
        dict.fromkeys(place for place in places if place is not None and "read" in tree[place.service][place.characteristic])
    )


def facts_of(profile: Profile | None, answers: Mapping[Place, bytes]) -> Facts:
    """Return what the answers to `questions` say; one that the device refused is left out of them."""
    told: dict[str, str] = {}
    evidence: dict[str, str] = {}
    for fact, origin in _origins(profile):
        place = next(
            (place for place in answers if place.characteristic == origin.characteristic and place.service in origin.service),
            None,
        )
        text = None if place is None else _text(origin, answers[place])
        if text is not None:
            evidence[f"{fact.replace('_', ' ')} ({place})"] = text
            told |= {} if _is_placeholder(fact, text) else {fact: text}
    if profile is not None and isinstance(profile.sub_model, str):
        told["sub_model"] = profile.sub_model
    if "firmware_version" not in told and "software_version" in told:
        told["firmware_version"] = told["software_version"]
    return Facts(**told, evidence=evidence)


def _origins(profile: Profile | None) -> Iterator[tuple[str, Origin]]:
    """Yield where each fact is told: by the Device Information service, unless the profile says otherwise."""
    own = {} if profile is None else {fact: getattr(profile.identity, fact) for fact in type(profile.identity).model_fields}
    for fact, standard in device_information().items():
        said = own.get(fact)
        if said is not False:
            yield fact, said or standard
    if profile is not None and isinstance(profile.sub_model, Origin):
        yield "sub_model", profile.sub_model


def _text(origin: Origin, answer: bytes) -> str | None:
    try:
        value = decode(origin.encoding, answer)
    except NotInPayload:
        return None
    return None if value is None else str(value).strip() or None


def _is_placeholder(fact: str, text: str) -> bool:
    return bool(PLACEHOLDERS.fullmatch(text) or (fact == "serial_number" and SERIAL_PLACEHOLDERS.fullmatch(text)))
