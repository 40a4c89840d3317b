"""Plan which characteristics to write, subscribe to and read for a profile, on a device with known services. Pure.

Each characteristic is read once, however many points it contains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, TypeAlias

from adapters.ble.advertisements.advertisement import short_uuid
from adapters.ble.advertisements.formats import decode
from adapters.ble.advertisements.plausibility import plausible
from adapters.ble.advertisements.special_formats import NotInPayload, PayloadTooShort
from adapters.ble.profile.grammar import InitialWrite, Point
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.requests import RequestRule
from gateway.adapter import Block, MetricRow, Value

ServiceTable: TypeAlias = Mapping[str, Mapping[str, frozenset[str]]]
"""Service uuid -> characteristic uuid -> its properties: `read`, `write`, `notify`, ..."""

NOTIFYING = frozenset({"notify", "indicate"})


class CharacteristicPath(NamedTuple):
    """A service and one of its characteristics."""

    service: str
    characteristic: str

    def __str__(self) -> str:
        """Return it in short: `180f/2a19`."""
        return f"{short_uuid(self.service)}/{short_uuid(self.characteristic)}"


class CharacteristicReader:
    """Decodes the points of one characteristic."""

    def __init__(self, path: CharacteristicPath, points: Iterable[Point]) -> None:
        self.path = path
        self.points = tuple(points)
        self._rows: dict[tuple[int, ...], MetricRow] = {}

    @property
    def is_event(self) -> bool:
        """Whether all its points are events, so that a first value may never arrive."""
        return all(point.event for point in self.points)

    def __repr__(self) -> str:
        return f"CharacteristicReader({self.path}: {', '.join(point.metric for point in self.points)})"

    def decode(self, payload: bytes, child: str, at: datetime) -> Block:
        """Return the readings in this payload; a point that it does not contain has none.

        Raises:
            PayloadTooShort: it contains none of the points.
        """
        present: list[int] = []
        values: list[Value] = []
        too_short: PayloadTooShort | None = None
        for number, point in enumerate(self.points):
            try:
                value = decode(point.decoded_by, payload)
                values.append(value if point.decoded_by.valid is not None else plausible(point.measured, value))
            except PayloadTooShort as error:
                too_short = too_short or error
            except NotInPayload:
                continue
            else:
                present.append(number)
        if too_short is not None and not values:
            raise PayloadTooShort(f"{self.path} returned {payload.hex() or 'nothing'}: {too_short}") from too_short
        return Block(child, self._row(tuple(present)), values, at)

    def _row(self, present: tuple[int, ...]) -> MetricRow:
        if present not in self._rows:
            self._rows[present] = MetricRow(self.points[number].measured for number in present)
        return self._rows[present]


class AnswerReader(CharacteristicReader):
    """Decodes the points of the answer to one request."""

    def __init__(self, path: CharacteristicPath, points: Iterable[Point], request: RequestRule) -> None:
        super().__init__(path, points)
        self.request = request

    def __repr__(self) -> str:
        return f"AnswerReader({self.request.name}: {', '.join(point.metric for point in self.points)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """The operations on one connection, in this order."""

    initial_writes: tuple[InitialWrite, ...] = ()
    subscriptions: tuple[CharacteristicReader, ...] = ()
    """The characteristics that notify: the first value of each is awaited, except for events."""
    reads: tuple[CharacteristicReader, ...] = ()
    answers: tuple[AnswerReader, ...] = ()
    """The requests, one after the other."""
    remarks: tuple[str, ...] = ()
    """What the device lacks, for the operator."""

    def without(self, paths: Collection[CharacteristicPath]) -> ReadPlan:
        """Return the plan without these characteristics."""
        if not paths:
            return self
        return replace(
            self,
            subscriptions=tuple(reader for reader in self.subscriptions if reader.path not in paths),
            reads=tuple(reader for reader in self.reads if reader.path not in paths),
            answers=tuple(reader for reader in self.answers if reader.path not in paths),
        )


def plan_reads(profile: Profile, groups: Iterable[str], services: ServiceTable) -> ReadPlan:
    """Return the operations that read these poll groups on a device with these services."""
    readers, remarks = _readers(profile, frozenset(groups), services)
    answers = tuple(reader for reader in readers if isinstance(reader, AnswerReader))
    subscriptions = tuple(reader for reader in readers if reader not in answers and _is_subscribed(reader, services))
    reads = tuple(reader for reader in readers if reader not in subscriptions and reader not in answers)
    if not readers:
        return ReadPlan(remarks=tuple(remarks))
    writes = [one for one in profile.prepare if one.characteristic in services.get(one.service, {})]
    remarks += [
        f"it has no characteristic {CharacteristicPath(one.service, one.characteristic)}, which has to be written first"
        for one in profile.prepare
        if one not in writes and not one.optional
    ]
    return ReadPlan(
        initial_writes=tuple(writes), subscriptions=subscriptions, reads=reads, answers=answers, remarks=tuple(remarks)
    )


def expected_services(profile: Profile) -> ServiceTable:
    """Return the services that the profile expects, for a device that has not been connected to yet."""
    services: dict[str, dict[str, frozenset[str]]] = {}
    for point in profile.points:
        properties = frozenset({"notify" if point.notify or point.request is not None else "read"})
        services.setdefault(point.service[0], {}).setdefault(point.characteristic, properties)
    for request in profile.requests:
        services.setdefault(request.service, {}).setdefault(request.write, frozenset({"write"}))
    for one in profile.prepare:
        services.setdefault(one.service, {}).setdefault(one.characteristic, frozenset({"write"}))
    return services


def find_characteristic(candidates: Iterable[str], characteristic: str, services: ServiceTable) -> CharacteristicPath | None:
    """Return the path of this characteristic in the first candidate service that contains it; `None` when none does."""
    return next(
        (CharacteristicPath(service, characteristic) for service in candidates if characteristic in services.get(service, {})),
        None,
    )


def _readers(profile: Profile, groups: frozenset[str], services: ServiceTable) -> tuple[list[CharacteristicReader], list[str]]:
    """Return a reader for each characteristic with a point of these groups, with all its points: the others cost nothing.

    A request has a reader of its own, although several may be answered by one characteristic.
    """
    points: dict[tuple[CharacteristicPath, str | None], list[Point]] = {}
    due: set[tuple[CharacteristicPath, str | None]] = set()
    remarks = []
    for point in profile.points:
        path, lack = _place_of(point, profile, services)
        if path is not None:
            points.setdefault((path, point.request), []).append(point)
            due |= {(path, point.request)} if point.group in groups else set()
        elif point.group in groups and not point.optional:
            remarks.append(f"{point.metric} is not read: the device {lack}")
    return [_reader(profile, path, request, points[path, request]) for path, request in points if (path, request) in due], remarks


def _reader(profile: Profile, path: CharacteristicPath, request: str | None, points: list[Point]) -> CharacteristicReader:
    return CharacteristicReader(path, points) if request is None else AnswerReader(path, points, profile.request_named(request))


def _place_of(point: Point, profile: Profile, services: ServiceTable) -> tuple[CharacteristicPath | None, str]:
    """Return the characteristic that tells a point; where the device cannot tell it, `None` and what it lacks."""
    path = find_characteristic(point.service, point.characteristic, services)
    uses = frozenset() if path is None else services[path.service][path.characteristic]
    if point.request is None:
        if uses & {"read", *NOTIFYING}:
            return path, ""
    elif uses & NOTIFYING:
        request = profile.request_named(point.request)
        if request.write in services.get(request.service, {}):
            return path, ""
        return None, _lack(CharacteristicPath(request.service, request.write), is_present=False)
    return None, _lack(path or CharacteristicPath(point.service[0], point.characteristic), is_present=path is not None)


def _lack(path: CharacteristicPath, *, is_present: bool) -> str:
    return f"allows neither to read {path} nor to subscribe to it" if is_present else f"has no characteristic {path}"


def _is_subscribed(reader: CharacteristicReader, services: ServiceTable) -> bool:
    """Return whether its values are notified: where the profile says so, and where they cannot be read."""
    properties = services[reader.path.service][reader.path.characteristic]
    if not properties & NOTIFYING:
        return False
    return "read" not in properties or any(point.notify or point.event for point in reader.points)
