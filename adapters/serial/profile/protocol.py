"""What is sent to a device with a profile, and what its frames tell: templates or codec, framing, points. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from adapters.serial.codec import Codec, Said
from adapters.serial.profile.grammar import Message, Query, Telling
from adapters.serial.profile.points import Point, plain_text
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.template import Template
from gateway.adapter import Metric, Reading, Value

Address: TypeAlias = int | str | None
"""A device's own address on its line; `None` where it has none."""

MOST_OPEN_METRICS = 100
"""So many names of its own choice a device may use: noise that looks like a name must not become ever more metrics."""

NO_SERIAL_NUMBER = re.compile(r"[0\s.-]*|[Ff\s]+|[xX?*\ufffd-]+|n/?a|none|unknown", re.IGNORECASE)
"""What a device without a serial number says for one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device answers to a question."""

    values: Mapping[str, Value]
    refused: str | None = None
    """Why it does not do or tell what it was asked; `None` when it does."""
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """One question, or one command, to one device."""

    name: str
    """Of the query, or of the command."""
    request: bytes
    """All that is sent."""
    speech: Speech
    values: Mapping[str, Value]
    """What was put into it, the address among it."""
    answers: Sequence[Template]
    is_answered: bool = True
    """False: nothing is waited for."""

    def read(self, payload: bytes) -> Answer | None:
        """Return what a frame is to this question; `None` when it does not answer it."""
        if self.speech.codec is not None and not self.answers:
            said = self.speech.codec.read(payload)
            return None if said is None or said.name != self.name else Answer(said.values, units=said.units)
        for template in self.answers:
            values = template.match(payload)
            if values is not None and self._is_meant(values):
                nothing = {name: None for other in self.answers for name in other.fields}
                return Answer({**nothing, **values})
        return self._refusal(payload)

    def _refusal(self, payload: bytes) -> Answer | None:
        for rule, template in self.speech.refusals:
            values = template.match(payload)
            if values is not None and self._is_meant(values):
                code = str(values.get(rule.field)) if rule.field is not None else ""
                reason = rule.reasons.get(code) or (f"{rule.reason} ({code})" if code else rule.reason)
                return Answer(values, refused=reason)
        return None

    def _is_meant(self, values: Mapping[str, Value]) -> bool:
        """Say whether the answer comes from the device that was asked, where it says so."""
        field = self.speech.address_field
        return field is None or field not in values or values[field] == self.values.get(field)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a device said unasked."""

    message: str
    values: Mapping[str, Value]
    address: Address = None
    units: Mapping[str, str] = field(default_factory=dict)


class Speech:
    """What a profile makes of bytes, and bytes of what is wanted: made once for a profile, used for all its devices."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.codec: Codec | None = profile.own_codec
        self.address_field = profile.addresses.field if profile.addresses is not None else None
        self.refusals = [(rule, profile.template(rule.answer)) for rule in profile.refusals]
        self._queries = {query.name: query for query in profile.queries}
        self._messages = {message.name: message for message in profile.messages}
        self._open: dict[tuple[str, str | None], Metric] = {}

    def question(self, query: str, address: Address = None) -> Question:
        """Return the question for a query of the profile, to the device with this address."""
        rule = self._queries[query]
        return self.asking(rule.name, rule.ask, rule.answer, self._to(address))

    def asking(self, name: str, ask: str | None, answers: Iterable[str], values: Mapping[str, Value]) -> Question:
        """Return a question that is asked and answered by these templates, or by the codec.

        Raises:
            ValueError: a value cannot be written; the text says why.
        """
        if ask is not None:
            payload = self.profile.template(ask).encode(values)
        elif self.codec is not None:
            payload = self.codec.ask(name, values)
        else:
            raise ValueError(f"{name}: the profile does not say how to ask")
        known = [self.profile.template(written) for written in answers]
        return Question(name, self._wire(payload), self, values, known)

    def told_to(self, address: Address, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return these values with the address among them."""
        return {**self._to(address), **values}

    def heard(self, payload: bytes) -> Heard | None:
        """Return which message of the profile a frame is; `None` when it is none."""
        if self.codec is not None and (said := self.codec.read(payload)) is not None and said.name in self._messages:
            return self._heard(said)
        for message in self._messages.values():
            for written in message.says:
                if (values := self.profile.template(written).match(payload)) is not None:
                    return self._heard(Said(message.name, values))
        return None

    def readings_of(self, name: str, said: Answer | Heard, child: str, at: datetime) -> list[Reading]:
        """Return the readings of an answer to a query, or of a message. A field that is not there gives none."""
        part: Query | Message = self._queries.get(name) or self._messages[name]
        readings = [
            Reading(child, self._metric(point, said), point.value_of(said.values[point.source]), at)
            for point in part.points
            if point.source in said.values
        ]
        if isinstance(part, Message) and part.open:
            readings.extend(Reading(child, metric, value, at) for metric, value in self._further(part, said))
        return readings

    def _metric(self, point: Point, said: Answer | Heard) -> Metric:
        if point.unit_field is None:
            return point.measured_in(point.unit or said.units.get(point.source))
        unit = said.values.get(point.unit_field)
        return point.measured_in(plain_text(str(unit)) if unit is not None else None)

    def _further(self, message: Message, said: Answer | Heard) -> Iterator[tuple[Metric, Value]]:
        """Yield what an open message tells beyond its points."""
        known = {point.source for point in message.points}
        for name, value in said.values.items():
            metric = self._open_metric(name, said.units.get(name)) if name not in known else None
            if metric is not None:
                yield metric, plain_text(value) if isinstance(value, str) else value

    def _open_metric(self, name: str, unit: str | None) -> Metric | None:
        """Return the metric of a name that the device has chosen; `None` for one that no metric can have, or one too many."""
        key = (metric_name(name), unit)
        if key not in self._open:
            if not key[0] or len(self._open) >= MOST_OPEN_METRICS:
                return None
            self._open[key] = Metric(*key)
        return self._open[key]

    def _heard(self, said: Said) -> Heard:
        address = said.values.get(self.address_field) if self.address_field is not None else None
        return Heard(said.name, said.values, address if isinstance(address, int | str) else None, said.units)

    def _to(self, address: Address) -> dict[str, Value]:
        if self.profile.addresses is None or self.address_field is None:
            return {}
        return {self.address_field: self.profile.addresses.usual[0] if address is None else address}

    def _wire(self, payload: bytes) -> bytes:
        ends_with = self.profile.ends_with
        return self.profile.framing.wrap(payload) if ends_with is None else payload + ends_with


def fact(telling: Telling, values: Mapping[str, Value]) -> str | None:
    """Return the fact that an answer tells; `None` when it says nothing that can be one."""
    raw = values.get(telling.told.partition(".")[2])
    text = "" if raw is None else str(raw)
    if telling.hex and re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text):
        decoded = bytes.fromhex(text).split(b"\0", 1)[0].decode("latin-1")
        text = decoded if decoded.isascii() and decoded.isprintable() else text
    text = plain_text(text).strip('"')
    return telling.values.get(text, text) or None


def plausible_serial_number(serial_number: str | None) -> str | None:
    """Return the serial number, unless it is what a device without one says: nothing, zeros, all bits set."""
    return None if serial_number is None or NO_SERIAL_NUMBER.fullmatch(serial_number) else serial_number


def metric_name(written: str) -> str:
    """Return what a metric is called that the device calls so: `Temp (out)` -> `temp_out`; `status` is the cloud's own word."""
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", written).lower()).strip("_")
    return "device_status" if name == "status" else name
