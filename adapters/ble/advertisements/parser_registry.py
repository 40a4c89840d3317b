"""From an advertisement to values: which parser understands a device, and what it says. Nothing here waits.

Parsers remember things of their device (packet numbers, counters), so each device has its own `DeviceDecoder`.
"""

from __future__ import annotations

import importlib
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from typing import TypeAlias

from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser import Advertiser, Match, load
from adapters.ble.advertisements.library_parser import LibraryParser
from adapters.ble.advertisements.metrics import Measured, family_of, text
from adapters.ble.advertisements.parser import NotUnderstood, Parser, Said
from gateway.adapter import Metric, MetricRow, Value

PATIENCE = 5
"""How often a device that no parser understands is tried before that becomes rare: some tell who they are not each time."""

STRANGERS = 4096
"""How many such devices are remembered; phones make new addresses all day."""

Clock: TypeAlias = Callable[[], float]
"""Seconds that only run forward."""

_Maker: TypeAlias = Callable[[bytes | None], Parser]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a device says in one advertisement, ready for a `Block`. How strongly it was heard is not in it."""

    parser: str
    """Which advertiser it is: `ruuvi`."""
    family: str
    model: str
    name: str
    manufacturer: str | None = None
    sub_model: str | None = None
    """The maker's model number, where the device tells it; else the model."""
    serial_number: str | None = None
    firmware_version: str | None = None
    """As the device tells it."""
    hardware_version: str | None = None
    row: MetricRow
    values: tuple[Value, ...]
    """One for each metric of the row, of this advertisement only."""
    needs: tuple[str, ...] = ()
    """What keeps it from telling more, for a person: `a bind key`, `a connection`."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was looked at -> what was found, for a person who doubts."""
    is_event: bool = False
    """Something happened, like a press of a button: the values are worth telling although they may be the same as before."""


class DeviceDecoder:
    """What understands one device."""

    def __init__(self, advertiser: Advertiser, parser: Parser, evidence: Mapping[str, str], clock: Clock) -> None:
        self._advertiser = advertiser
        self._parser = parser
        self._evidence = evidence
        self._clock = clock
        self._measures: set[str] = set()
        self._firmware: str | None = None
        self._heard: Advertisement | None = None
        self._again: Decoded | None = None
        self.problems = 0
        """How many advertisements could not be read."""
        self.last_problem: str | None = None
        """Why the last of them could not, for a person."""

    @property
    def parser(self) -> str:
        """Which advertiser the device is: `ruuvi`."""
        return self._advertiser.name

    def take(self, advertisement: Advertisement) -> Decoded | None:
        """Return what the advertisement says; `None` when it says nothing that can be read. Never raises.

        One that was just heard is not decoded again: its values are the same, and what happened has been told.
        """
        before = self._heard
        if before is not None and advertisement.says_the_same_as(before):
            return self._again
        said = self._parse(advertisement)
        self._heard = advertisement
        if said is None:
            self._again = None
            return None
        self._again = decoded = self._decoded(said, advertisement, said.measured)
        if not said.events or (before is not None and advertisement.has_the_data_of(before)):
            return decoded
        return self._decoded(said, advertisement, [*said.measured, *said.events], is_event=True)

    def _parse(self, advertisement: Advertisement) -> Said | None:
        try:
            return self._parser.parse(advertisement, self._clock())
        except NotUnderstood as error:
            self._note(str(error))
        except Exception as error:  # noqa: BLE001 - a stranger's library meets bytes that anybody can send; this device alone loses by it
            self._note(f"{self._advertiser.package or self.parser} stumbled over it: {type(error).__name__}: {error}")
        return None

    def _note(self, problem: str) -> None:
        self.problems += 1
        self.last_problem = text(problem)

    def _decoded(self, said: Said, heard: Advertisement, told: Iterable[Measured], *, is_event: bool = False) -> Decoded:
        values = dict(told)
        self._measures.update(metric.name for metric in values)
        model = self._advertiser.model_of(said.model)
        name = text(said.name or "") or f"{model} {heard.address.replace(':', '')[-4:]}"
        return Decoded(
            parser=self.parser,
            family=self._family(f"{model} {name}".lower()),
            manufacturer=said.manufacturer,
            model=model,
            sub_model=self._sub_model(heard.name) or model,
            name=name,
            serial_number=said.serial_number,
            firmware_version=self._firmware_of(said.firmware_version),
            hardware_version=said.hardware_version,
            row=_row(tuple(values)),
            values=tuple(values.values()),
            needs=said.needs,
            evidence=self._evidence,
            is_event=is_event,
        )

    def _family(self, called: str) -> str:
        advertiser = self._advertiser
        by_name = next((family for word, family in advertiser.families.items() if word in called), None)
        by_measure = family_of(self._measures) if advertiser.by_measure and by_name is None else None
        return by_name or by_measure or advertiser.family

    def _sub_model(self, name: str | None) -> str | None:
        models = self._advertiser.model_names
        return name if models is not None and name is not None and models.fullmatch(name) else None

    def _firmware_of(self, told: str | None) -> str | None:
        """Return the firmware, as far as it was ever told: not every advertisement does."""
        protocol = self._advertiser.protocol
        if told is not None and not (protocol is not None and protocol.fullmatch(told)):
            self._firmware = told
        return self._firmware


class Parsers:
    """All parsers that there are, and which of them understands a device.

    Args:
        advertisers: what `advertiser.load` returns.
        clock: when advertisements are heard.
    """

    def __init__(self, advertisers: Iterable[Advertiser], clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._advertisers = {advertiser.name: advertiser for advertiser in advertisers}
        self._index = _Index(self._advertisers.values())
        self._makers: dict[str, _Maker | None] = {}
        self._versions: dict[str, str] = {}
        self._strangers: dict[object, int] = {}
        self.missing: dict[str, str] = {}
        """Advertisers whose parser cannot be loaded although such a device was met, and why, for a person."""

    @classmethod
    def ours(cls, clock: Clock = time.monotonic) -> Parsers:
        """Return the parsers that come with the gateway."""
        return cls(load(), clock)

    @property
    def advertisers(self) -> Mapping[str, Advertiser]:
        """All that is known, by name."""
        return self._advertisers

    def decoder_for(self, advertisement: Advertisement, bind_key: SecretStr | None = None) -> DeviceDecoder | None:
        """Return what understands the device that sent this; `None` when nothing does.

        The parser that knows most of the advertisement is asked first, and the first that knows the device has it. A device that
        nothing understands is soon asked about only the 8th, 16th, 32nd time, as long as its advertisements have the same shape.

        Raises:
            ValueError: the bind key is none that a device of this kind can have; the text does not show it.
        """
        candidates = self._index.candidates(advertisement)
        if not candidates:
            return None
        if self._is_passed_over(shape := _shape(advertisement)):
            return None
        for advertiser in candidates:
            if (decoder := self._decoder(advertiser, advertisement, bind_key)) is not None:
                self._strangers.pop(shape, None)
                return decoder
        return None

    def prepare(self, name: str) -> str | None:
        """Load this advertiser's parser before the first such device is met; return why it cannot be loaded, `None` when it can.

        Loading takes a tenth of a second and more, once.
        """
        return None if self._maker(self._advertisers[name]) is not None else self.missing[name]

    def _decoder(self, advertiser: Advertiser, heard: Advertisement, bind_key: SecretStr | None) -> DeviceDecoder | None:
        """Return a decoder if this parser knows the device; another parser is asked, so that the decoder's own misses nothing."""
        maker = self._maker(advertiser)
        if maker is None or DeviceDecoder(advertiser, maker(None), {}, self._clock).take(heard) is None:
            return None
        key = None if bind_key is None else bind_key_bytes(bind_key, advertiser)
        return DeviceDecoder(advertiser, maker(key), _evidence(heard, self._versions[advertiser.name]), self._clock)

    def _maker(self, advertiser: Advertiser) -> _Maker | None:
        if advertiser.name not in self._makers:
            try:
                self._makers[advertiser.name] = _load(advertiser)
                self._versions[advertiser.name] = _version(advertiser)
            except Exception as error:  # noqa: BLE001 - importing runs a stranger's module
                self._makers[advertiser.name] = None
                package = (
                    f"install {advertiser.package}, or xyte-gateway[ble-parsers]" if advertiser.package else "a mistake of ours"
                )
                self.missing[advertiser.name] = text(f"{advertiser.title} cannot be read: {error} ({package})")
        return self._makers[advertiser.name]

    def _is_passed_over(self, shape: object) -> bool:
        """Count how often such an advertisement was heard, and return whether asking the parsers again is a waste."""
        heard = self._strangers.pop(shape, 0) + 1
        self._strangers[shape] = heard
        if len(self._strangers) > STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        return heard > PATIENCE and heard.bit_count() > 1


def bind_key_bytes(key: SecretStr, advertiser: Advertiser) -> bytes | None:
    """Return the key of a device of this kind; `None` when such a device has none.

    Raises:
        ValueError: it is none; the text does not show it.
    """
    lengths = advertiser.bind_key_bytes
    if not lengths:
        return None
    digits = re.sub("[ :-]", "", key.get_secret_value())
    if not re.fullmatch("[0-9a-fA-F]*", digits) or len(digits) % 2 or len(digits) // 2 not in lengths:
        said = " or ".join(str(2 * length) for length in sorted(lengths))
        raise ValueError(f"the bind key of a {advertiser.title} is written as {said} hexadecimal digits")
    return bytes.fromhex(digits)


class _Index:
    """Finds the advertisers that may know a device by looking up what its advertisement has in it."""

    def __init__(self, advertisers: Iterable[Advertiser]) -> None:
        self._by: dict[object, list[tuple[Match, Advertiser]]] = defaultdict(list)
        for advertiser in advertisers:
            for match in advertiser.match:
                for key in _keys(match):
                    self._by[key].append((match, advertiser))
        self._name_lengths = sorted({len(key[1]) for key in self._by if isinstance(key, tuple) and key[0] == "name"})

    def candidates(self, heard: Advertisement) -> list[Advertiser]:
        """Return who may know the device, who is most likely to first."""
        found: dict[str, tuple[bool, int, Advertiser]] = {}
        for key in self._looked_up(heard):
            for match, advertiser in self._by.get(key, ()):
                if match.holds(heard):
                    known = found.get(advertiser.name)
                    if known is None or known[1] < match.weight:
                        found[advertiser.name] = (not advertiser.is_generic, match.weight, advertiser)
        ranked = sorted(found.values(), key=lambda candidate: candidate[:2], reverse=True) if len(found) > 1 else found.values()
        return [advertiser for _, _, advertiser in ranked]

    def _looked_up(self, heard: Advertisement) -> list[object]:
        keys: list[object] = [("company", company) for company in heard.manufacturer_data]
        keys += [("length", len(sent)) for sent in heard.manufacturer_data.values()]
        keys += [("service data", uuid) for uuid in heard.service_data]
        keys += [("service", uuid) for uuid in heard.service_uuids]
        if heard.name:
            name = heard.name.lower()
            keys += [("name", name[:length]) for length in self._name_lengths]
        return keys


def _keys(match: Match) -> list[tuple[str, object]]:
    """Return what an advertisement is looked up by for this match: the condition that the fewest devices fulfil."""
    if match.company:
        return [("company", company) for company in match.company]
    if match.service_data is not None:
        return [("service data", match.service_data)]
    if match.name:
        return [("name", match.name.lower())]
    return [("service", match.service)] if match.service is not None else [("length", match.length)]


def _load(advertiser: Advertiser) -> _Maker:
    made_by = getattr(importlib.import_module(advertiser.module), advertiser.parser)
    if advertiser.package is None:
        return lambda _: made_by()
    _quieten(advertiser.module)
    return lambda key: LibraryParser(advertiser, made_by, key)


def _version(advertiser: Advertiser) -> str:
    """Return who understands such devices, and in which version."""
    package = advertiser.package
    return "the gateway itself" if package is None else f"{package} {metadata.version(package)}"


def _quieten(module: str) -> None:
    """Keep a library from logging each damaged advertisement; who wants to see it sets the level of its logger."""
    logger = logging.getLogger(module)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def _shape(heard: Advertisement) -> object:
    """Return what is the same in all advertisements of a device that always sends the same things."""
    sent = frozenset((key, len(data)) for key, data in (*heard.manufacturer_data.items(), *heard.service_data.items()))
    return heard.address, heard.name, sent


def _evidence(heard: Advertisement, understood_by: str) -> dict[str, str]:
    """Return what was looked at, and what was found."""
    found = {"advertised name": text(heard.name)} if heard.name else {}
    found |= {f"manufacturer data 0x{company:04X}": sent.hex(" ") for company, sent in heard.manufacturer_data.items()}
    found |= {f"service data {uuid}": sent.hex(" ") for uuid, sent in heard.service_data.items()}
    return {**found, "understood by": understood_by}


@lru_cache(maxsize=1024)
def _row(metrics: tuple[Metric, ...]) -> MetricRow:
    return MetricRow(metrics)
