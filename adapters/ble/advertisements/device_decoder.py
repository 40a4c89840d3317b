"""Decode the advertisements of one device into metrics and values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser_files import Advertiser
from adapters.ble.advertisements.metrics import Measured, family_of, printable
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement, Parser
from gateway.adapter import Metric, MetricRow, Value

Clock: TypeAlias = Callable[[], float]
"""Returns the seconds of a monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedAdvertisement:
    """The identity and the values in one advertisement, ready for a `Block`. The signal strength is not included."""

    parser: str
    """The name of the advertiser file: `ruuvi`."""
    family: str
    model: str
    name: str
    manufacturer: str | None = None
    sub_model: str | None = None
    """The maker's model number, where the device sends it; else the model."""
    serial_number: str | None = None
    firmware_version: str | None = None
    """As the device sends it."""
    hardware_version: str | None = None
    row: MetricRow
    values: tuple[Value, ...]
    """One for each metric of the row, of this advertisement only."""
    needs: tuple[str, ...] = ()
    """What is missing to learn more, for a person: `a bind key`, `a connection`."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was examined -> what was found, for a person in doubt."""
    is_event: bool = False
    """Something happened, like a press of a button: the values are worth reporting although they may be the same as before."""

    def has_same_identity(self, other: DecodedAdvertisement) -> bool:
        """Return whether both describe the same device, whatever its values."""
        return self._identity == other._identity

    @property
    def _identity(self) -> tuple[object, ...]:
        return (
            self.manufacturer,
            self.model,
            self.sub_model,
            self.name,
            self.family,
            self.firmware_version,
            self.serial_number,
            self.needs,
        )


class DeviceDecoder:
    """The decoder of one device: parsers remember packet numbers and counters, so each device has its own."""

    def __init__(self, advertiser: Advertiser, parser: Parser, evidence: Mapping[str, str], clock: Clock) -> None:
        self._advertiser = advertiser
        self._parser = parser
        self._evidence = evidence
        self._clock = clock
        self._metric_names: set[str] = set()
        self._firmware: str | None = None
        self._serial_number: str | None = None
        self._last_advertisement: Advertisement | None = None
        self._last_without_events: DecodedAdvertisement | None = None
        self.problems = 0
        """The number of advertisements that could not be decoded."""
        self.last_problem: str | None = None
        """Why the last of them could not be decoded, for a person."""

    @property
    def parser(self) -> str:
        """The name of the advertiser file: `ruuvi`."""
        return self._advertiser.name

    @property
    def rank(self) -> int:
        """The rank of its parser: below 0 for a format that devices of any maker send along."""
        return self._advertiser.rank

    def decode(self, advertisement: Advertisement) -> DecodedAdvertisement | None:
        """Return the decoded advertisement; `None` when it cannot be decoded. Never raises.

        A repetition is not decoded again: its values are the same, and its events have been reported.
        """
        before = self._last_advertisement
        if before is not None and advertisement.has_same_content(before):
            return self._last_without_events
        parsed = self._parse(advertisement)
        self._last_advertisement = advertisement
        if parsed is None:
            self._last_without_events = None
            return None
        self._last_without_events = decoded = self._decoded(parsed, advertisement, parsed.measured)
        if not parsed.events or (before is not None and advertisement.has_same_data(before)):
            return decoded
        return self._decoded(parsed, advertisement, [*parsed.measured, *parsed.events], is_event=True)

    def _parse(self, advertisement: Advertisement) -> ParsedAdvertisement | None:
        try:
            return self._parser.parse(advertisement, self._clock())
        except MalformedAdvertisement as error:
            self._note(str(error))
        except Exception as error:  # noqa: BLE001 - a third-party library parses bytes that anybody can send; only this device fails
            self._note(f"{self._advertiser.package or self.parser} failed to parse it: {type(error).__name__}: {error}")
        return None

    def _note(self, problem: str) -> None:
        self.problems += 1
        self.last_problem = printable(problem)

    def _decoded(
        self, parsed: ParsedAdvertisement, advertisement: Advertisement, measured: Iterable[Measured], *, is_event: bool = False
    ) -> DecodedAdvertisement:
        values = dict(measured)
        self._metric_names.update(metric.name for metric in values)
        model = self._advertiser.model_name(parsed.model)
        name = printable(parsed.name or "") or f"{model} {advertisement.address.replace(':', '')[-4:]}"
        return DecodedAdvertisement(
            parser=self.parser,
            family=self._family(f"{model} {name}".lower()),
            manufacturer=parsed.manufacturer,
            model=model,
            sub_model=self._sub_model(advertisement.name) or model,
            name=name,
            serial_number=self._last_serial_number(parsed.serial_number),
            firmware_version=self._firmware_version(parsed.firmware_version),
            hardware_version=parsed.hardware_version,
            row=_row(tuple(values)),
            values=tuple(values.values()),
            needs=parsed.needs,
            evidence=self._evidence,
            is_event=is_event,
        )

    def _family(self, model_and_name: str) -> str:
        advertiser = self._advertiser
        by_name = next((family for word, family in advertiser.families.items() if word in model_and_name), None)
        by_metrics = family_of(self._metric_names) if advertiser.by_measure and by_name is None else None
        return by_name or by_metrics or advertiser.family

    def _sub_model(self, name: str | None) -> str | None:
        model_names = self._advertiser.model_names
        return name if model_names is not None and name is not None and model_names.fullmatch(name) else None

    def _last_serial_number(self, parsed: str | None) -> str | None:
        """Return the last known serial number: not every advertisement contains it."""
        self._serial_number = parsed or self._serial_number
        return self._serial_number

    def _firmware_version(self, parsed: str | None) -> str | None:
        """Return the last known firmware version: not every advertisement contains it."""
        protocol = self._advertiser.protocol
        if parsed is not None and not (protocol is not None and protocol.fullmatch(parsed)):
            self._firmware = parsed
        return self._firmware


@lru_cache(maxsize=1024)
def _row(metrics: tuple[Metric, ...]) -> MetricRow:
    return MetricRow(metrics)
