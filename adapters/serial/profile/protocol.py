"""Build requests for devices with a profile, and interpret their answers and messages. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from adapters.serial.codec import Codec, DecodedFrame, DecryptionKeys
from adapters.serial.profile.digest import Digest
from adapters.serial.profile.grammar import FactSource, Message, Query
from adapters.serial.profile.points import Point, plain_text
from adapters.serial.profile.profile import Profile, tagged_answers
from adapters.serial.profile.refusals import is_refusal
from adapters.serial.profile.template import Template
from gateway.adapter import Metric, Reading, Value

Address: TypeAlias = int | str | None
"""Address of a device on its line; `None` for a protocol without addresses."""

KeysFor: TypeAlias = Callable[[Profile], DecryptionKeys | None]
"""Returns the decryption keys for a device with this profile, `None` if there are none."""

MAX_OPEN_METRICS = 100
"""Number of metric names that a device may choose itself: noise that looks like a name must not create more and more metrics."""

PLACEHOLDER_FACT = re.compile(r"[xX?*\ufffd\s._-]+|n/?a|none|null|unknown|undefined", re.IGNORECASE)
"""Values that devices send in place of a name or a version that they do not tell."""

PLACEHOLDER_SERIAL_NUMBER = re.compile(r"[0\s.-]*|[Ff\s]+|[xX?*\ufffd-]+|n/?a|none|unknown", re.IGNORECASE)
"""Values that devices without a serial number send in its place."""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """Answer of a device to a request."""

    values: Mapping[str, Value]
    refusal: str | None = None
    """Why the device refuses the request; `None` if it accepts it."""
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A query or a command, ready to be sent to one device."""

    name: str
    """Name of the query or of the command."""
    raw: bytes
    """The bytes to send, framing included."""
    protocol: DeviceProtocol
    values: Mapping[str, Value]
    """The field values in the request, including the address."""
    answer_templates: Sequence[Template]
    expects_answer: bool = True
    is_to_everyone: bool = False
    """Whether the answer of any device counts, whatever its address."""

    def read(self, payload: bytes) -> QueryAnswer | None:
        """Interpret a received frame; return `None` if it does not answer this request.

        A refusal comes first: nothing that a device says in the form of one is ever a value, however well a template fits.
        """
        if (refusal := self._refusal(payload)) is not None:
            return refusal
        if self.protocol.codec is not None and not self.answer_templates:
            decoded = self.protocol.codec.read(payload)
            return None if decoded is None or decoded.name != self.name else QueryAnswer(decoded.values, units=decoded.units)
        for template in self.answer_templates:
            values = template.match(payload)
            if values is not None and self._is_from_addressee(values):
                missing = {name: None for other in self.answer_templates for name in other.single_fields}
                return QueryAnswer({**missing, **values}, refusal=self._refusal_in(values))
        return None

    def _refusal_in(self, values: Mapping[str, Value]) -> str | None:
        """Return why a value is a refusal in words that the profile does not know; `None` if it is a value."""
        for value in values.values():
            if isinstance(value, str) and is_refusal(value) and value not in self.protocol.known_words:
                return f"it answers `{plain_text(value)}`"
        return None

    def _refusal(self, payload: bytes) -> QueryAnswer | None:
        for rule, template in self.protocol.refusals:
            values = template.match(payload)
            if values is not None and self._is_from_addressee(values):
                code = str(values.get(rule.field)) if rule.field is not None else ""
                reason = rule.reasons.get(code) or (f"{rule.reason} ({code})" if code else rule.reason)
                return QueryAnswer(values, refusal=reason)
        return None

    def _is_from_addressee(self, values: Mapping[str, Value]) -> bool:
        """Return whether the answer comes from the addressed device, as far as the answer contains an address."""
        field = self.protocol.address_field
        return self.is_to_everyone or field is None or field not in values or values[field] == self.values.get(field)


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """A message that a device sent without being asked."""

    name: str
    """Name of the message in the profile."""
    values: Mapping[str, Value]
    address: Address = None
    units: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    """Why it cannot be decoded before a person does something: it is encrypted, and there is no key."""


class DeviceProtocol:
    """Encodes requests and interprets frames according to a profile: one instance serves all devices with that profile.

    Args:
        profile: the profile.
        keys: the keys of the device, if the config gives any.
    """

    def __init__(self, profile: Profile, keys: DecryptionKeys | None = None) -> None:
        self.profile = profile
        codec = profile.codec_instance
        self.codec: Codec | None = codec if codec is None or keys is None else codec.with_keys(keys)
        self.address_field = profile.addresses.field if profile.addresses is not None else None
        self.digest = Digest(profile) if profile.talk.digest is not None else None
        self.refusals = [(rule, profile.template(rule.answer)) for rule in profile.refusals]
        self.known_words = profile.known_words
        """Words that are values of the profile, though they look like a refusal."""
        self._queries = {query.name: query for query in profile.queries}
        self._messages = {message.name: message for message in profile.messages}
        self._sources = {part.name: [(point, point.source) for point in part.points] for part in profile.parts}
        self._heard: list[Message | Query] = [*profile.messages, *(query for query in profile.queries if query.unasked)]
        self._open_metrics: dict[tuple[str, str | None], Metric] = {}

    def query_request(self, query: str, address: Address = None) -> Request:
        """Return the request of a query of the profile, to the device with this address."""
        rule = self._queries[query]
        answers = (*rule.answer, *tagged_answers(rule), *rule.unasked)
        return self.build_request(rule.name, rule.ask, answers, self._address_values(address))

    def build_request(self, name: str, ask: str | None, answers: Iterable[str], values: Mapping[str, Value]) -> Request:
        """Return a request that is encoded and answered by these templates, or by the codec.

        Raises:
            ValueError: a value cannot be encoded; the message says why.
        """
        if ask is not None:
            payload = self.profile.template(ask).encode(values)
        elif self.codec is not None:
            payload = self.codec.ask(name, values)
        else:
            raise ValueError(f"{name}: the profile does not say how to ask")
        answer_templates = [self.profile.template(written) for written in answers]
        return Request(name, self._framed(payload), self, values, answer_templates)

    def with_address(self, address: Address, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return these values together with the address."""
        return {**self._address_values(address), **values}

    def read_message(self, payload: bytes) -> DeviceMessage | None:
        """Return the message of the profile that a frame contains; `None` if it is not a message, or a refusal."""
        if self.refusals and self._is_refusal(payload) and not self._is_greeting(payload):
            return None
        if self.codec is not None and (decoded := self.codec.read(payload)) is not None and decoded.name in self._messages:
            return self._message(decoded)
        for message in self._heard:
            for written in message.unasked if isinstance(message, Query) else message.says:
                if (values := self.profile.template(written).match(payload)) is not None:
                    return self._message(DecodedFrame(message.name, values))
        return None

    def _is_refusal(self, payload: bytes) -> bool:
        return any(template.match(payload) is not None for _, template in self.refusals)

    def _is_greeting(self, payload: bytes) -> bool:
        """Return whether this is the greeting of a device with a password, which also refuses whatever was asked."""
        return self.digest is not None and self.digest.is_greeting(payload)

    def readings_of(self, name: str, content: QueryAnswer | DeviceMessage, child: str, at: datetime) -> list[Reading]:
        """Return the readings of an answer to a query, or of a message. A field that is missing gives no reading."""
        rule: Query | Message = self._queries.get(name) or self._messages[name]
        values = content.values
        readings = [
            Reading(child, self._metric(point, source, content), point.value_of(values[source]), at)
            for point, source in self._sources[name]
            if source in values
        ]
        if isinstance(rule, Message) and rule.open:
            readings.extend(Reading(child, metric, value, at) for metric, value in self._open_values(rule, content))
        return readings

    def _metric(self, point: Point, source: str, content: QueryAnswer | DeviceMessage) -> Metric:
        if point.unit_field is None:
            return point.metric_in(point.unit or content.units.get(source))
        unit = content.values.get(point.unit_field)
        return point.metric_in(plain_text(str(unit)) if unit is not None else None)

    def _open_values(self, message: Message, content: QueryAnswer | DeviceMessage) -> Iterator[tuple[Metric, Value]]:
        """Yield the fields of an open message that are not points of the profile."""
        known = {point.source for point in message.points}
        for name, value in content.values.items():
            metric = self._open_metric(name, content.units.get(name)) if name not in known else None
            if metric is not None:
                yield metric, plain_text(value) if isinstance(value, str) else value

    def _open_metric(self, name: str, unit: str | None) -> Metric | None:
        """Return the metric for a name chosen by the device; `None` if the name is unusable, or one too many."""
        key = (metric_name(name), unit)
        if key not in self._open_metrics:
            if not key[0] or len(self._open_metrics) >= MAX_OPEN_METRICS:
                return None
            self._open_metrics[key] = Metric(*key)
        return self._open_metrics[key]

    def _message(self, decoded: DecodedFrame) -> DeviceMessage:
        address = decoded.values.get(self.address_field) if self.address_field is not None else None
        own_address = address if isinstance(address, int | str) else None
        return DeviceMessage(decoded.name, decoded.values, own_address, decoded.units, decoded.problem)

    def _address_values(self, address: Address) -> dict[str, Value]:
        if self.profile.addresses is None or self.address_field is None:
            return {}
        return {self.address_field: self.profile.addresses.usual[0] if address is None else address}

    def _framed(self, payload: bytes) -> bytes:
        ends_with = self.profile.ends_with
        return self.profile.framing.wrap(payload) if ends_with is None else payload + ends_with


def without_keys(_profile: Profile) -> DecryptionKeys | None:
    """Return no keys."""
    return None


def read_fact(source: FactSource, values: Mapping[str, Value]) -> str | None:
    """Return the fact that an answer contains; `None` if the answer contains nothing usable."""
    raw = values.get(source.field_name)
    text = "" if raw is None else str(raw)
    if source.hex and re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text):
        decoded = bytes.fromhex(text).split(b"\0", 1)[0].decode("latin-1")
        text = decoded if decoded.isascii() and decoded.isprintable() else text
    text = plain_text(text).strip('"')
    fact = source.values.get(text, "" if source.only_values else text)
    return None if not fact or is_refusal(fact) or PLACEHOLDER_FACT.fullmatch(fact) else fact


def plausible_serial_number(serial_number: str | None) -> str | None:
    """Return the serial number, unless it is a placeholder of a device without one: empty, zeros, all bits set."""
    return None if serial_number is None or PLACEHOLDER_SERIAL_NUMBER.fullmatch(serial_number) else serial_number


def metric_name(written: str) -> str:
    """Return the metric for a name chosen by the device: `Temp (out)` -> `temp_out`; `status` is reserved by the cloud."""
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", written).lower()).strip("_")
    return "device_status" if name == "status" else name
