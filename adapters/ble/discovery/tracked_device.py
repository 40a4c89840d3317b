"""One device that is heard: who it is, what it says, and what was learned by connecting to it. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from adapters.ble.advertisements.advertisement import RSSI, Advertisement, address_kind
from adapters.ble.advertisements.parser_registry import Decoded, DeviceDecoder
from adapters.ble.discovery.configured_devices import KnownDevice
from adapters.ble.profile.match_rules import Match
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import Facts
from gateway.adapter import Block, Confidence, Found, Identity, IdentityKind, Metric, MetricRow, Value

ONLY_RSSI = MetricRow([RSSI])

VISITS_TRIED = 3
"""So often a stranger that takes no connection is asked who it is."""


class Neighbour:
    """A device around, as it was heard last.

    Args:
        heard: its first advertisement.
        known: what the config says of it.
        bands: dead bands that the config wants for metrics.
    """

    def __init__(self, heard: Advertisement, known: KnownDevice | None, bands: Mapping[str, float]) -> None:
        self.heard = heard
        self.heard_at = 0.0
        """In seconds of the loop's clock."""
        self.known = known
        self.identity = _identity(heard, known)
        self.is_welcome = True
        """It is listened to, as the config wants it."""
        self.is_twin = False
        """What the config says of a device fits it, and fits another one that was there before: it is left out."""
        self.trouble: str | None = None
        """Why it is not understood, for a person."""
        self.decoder: DeviceDecoder | None = None
        self.said: Decoded | None = None
        """What its last advertisement said; `None` where that could not be read."""
        self.decoded: Decoded | None = None
        """The last that could be read: it tells who the device is."""
        self.profile: Profile | None = None
        """By which it is connected to; `None` for one that is only listened to."""
        self.match: Match | None = None
        """Why the profile is believed to fit; `None` where a person named it, or there is none."""
        self.offers_standard_services = False
        """It advertises services by which it can be read although no profile fits."""
        self.is_visited = False
        """It was connected to, so that its services and facts are known, as far as it tells them."""
        self.facts: Facts | None = None
        self.told: Found | None = None
        """As whom it was told last."""
        self.may_be_news = True
        """Something was learned since then that may make it somebody else."""
        self.failed_visits = 0
        self.is_in_doubt = False
        """Its last visit failed: that it is heard does not show that it can be read."""
        self._bands = bands
        self._row_of: MetricRow | None = None
        self._row = ONLY_RSSI

    def hear(self, said: Decoded | None) -> None:
        """Take in what its parser made of its advertisement."""
        self.said = said
        if said is not None:
            self.may_be_news = self.may_be_news or self.decoded is None or _facts(said) != _facts(self.decoded)
            self.decoded = said

    def becomes(self, known: KnownDevice) -> None:
        """Take in that it is one that the config says something of."""
        self.known, self.decoder, self.decoded, self.said = known, None, None, None
        self.may_be_news = True
        self.identity = _identity(self.heard, known)

    def takes_over_from(self, before: Neighbour) -> None:
        """Take in what is known of the same device under its earlier address."""
        self.decoder, self.decoded, self.profile, self.match = before.decoder, before.decoded, before.profile, before.match
        self.said = before.said
        self.is_visited, self.facts, self.told = before.is_visited, before.facts, before.told
        self.offers_standard_services = before.offers_standard_services

    @property
    def address(self) -> str:
        """Where it was heard last."""
        return self.heard.address

    @property
    def place(self) -> str:
        """How the gateway addresses it: what stays when its address does not."""
        return self.heard.address if self.known is None or self.known.place is None else self.known.place

    @property
    def key(self) -> str:
        """The key of the child that it is, or would be."""
        return self.identity.key

    @property
    def wants_a_visit(self) -> bool:
        """Whether only connecting to it shows who it is."""
        if self.is_visited or self.decoder is not None or not (self.known is not None or self._address_lasts):
            return False
        return (self.profile is not None or self.offers_standard_services) and self.failed_visits < VISITS_TRIED

    def was_visited(self, facts: Facts) -> None:
        """Take in what it said of itself."""
        self.facts, self.is_visited, self.trouble, self.may_be_news = facts, True, None, True

    def could_not_be_visited(self, why: str) -> None:
        """Take in that it took no connection; one that never does is not asked for ever."""
        self.failed_visits += 1
        self.trouble = f"who it is could not be asked: {why}"

    @property
    def _address_lasts(self) -> bool:
        return address_kind(self.heard.address, self.heard.is_random).lasts

    @property
    def speaks_for_itself(self) -> bool:
        """Whether what is known of it is all there is to learn before it is told."""
        return self.is_worth_telling and not self.wants_a_visit

    @property
    def is_worth_telling(self) -> bool:
        """Whether a person wants to hear of it: it is understood, configured, or has a name and an address that stays."""
        if self.known is not None:
            return True
        if not self._address_lasts:
            return False
        return self.decoded is not None or self.profile is not None or self.heard.name is not None

    def block(self, at: datetime) -> Block:
        """Return what it says, and how strongly it was heard."""
        said = self.said
        if said is None:
            return Block(self.key, ONLY_RSSI, (self.heard.rssi,), at)
        if self._row_of is not said.row:
            self._row_of, self._row = said.row, MetricRow([*map(self._with_band, said.row.metrics), RSSI])
        return Block(self.key, self._row, (*said.values, self.heard.rssi), at)

    def remarks(self, now: float) -> list[str]:
        """Return what a person should know of how it is heard, for a time of the loop's clock."""
        strength = "" if self.heard.rssi is None else f" at {self.heard.rssi} dBm"
        told = [f"heard {now - self.heard_at:.0f} s ago{strength}, address {self.heard.address}"]
        if self.decoded is not None and self.decoded.needs:
            told.append(f"to tell more it needs {', '.join(self.decoded.needs)}")
        return told if self.trouble is None else [*told, self.trouble]

    def found(self) -> Found:
        """Return who it is, and why that is believed."""
        decoded, facts, profile = self.decoded, self.facts or Facts(), self.profile
        maker = (
            (profile.maker if profile is not None else None) or facts.manufacturer or (decoded.manufacturer if decoded else None)
        )
        model = facts.model or (decoded.model if decoded else None) or (profile.title if profile is not None else None)
        return Found(
            address=self.place,
            identity=self.identity,
            name=self._name(model),
            profile=self._profile_name(),
            family=profile.family if profile is not None else (decoded.family if decoded else None),
            sub_model=self._sub_model(),
            manufacturer=maker,
            model=model,
            serial_number=facts.serial_number or (decoded.serial_number if decoded else None),
            mac=self.heard.address.lower() if self.identity.kind is IdentityKind.MAC else None,
            firmware_version=facts.firmware_version or (decoded.firmware_version if decoded else None),
            evidence=self._evidence(),
            says=self._says(),
            confidence=self._confidence(),
        )

    def is_news(self) -> bool:
        """Whether it is somebody else than it was told to be, evidence aside; from now on it counts as told."""
        if not self.may_be_news:
            return False
        found, before = self.found(), self.told
        self.told, self.may_be_news = found, False
        return before is None or replace(found, evidence=before.evidence) != before

    def _with_band(self, metric: Metric) -> Metric:
        band = self._bands.get(metric.name)
        return metric if band is None else replace(metric, dead_band=band)

    def _profile_name(self) -> str | None:
        if self.profile is not None:
            return self.profile.name
        return None if self.decoded is None else self.decoded.parser

    def _sub_model(self) -> str | None:
        if self.profile is not None and isinstance(self.profile.sub_model, str):
            return self.profile.sub_model
        return (self.facts.model if self.facts else None) or (self.decoded.sub_model if self.decoded else None)

    def _name(self, model: str | None) -> str:
        if self.known is not None and self.known.device.name:
            return self.known.device.name
        if self.decoded is not None and self.profile is None:
            return self.decoded.name
        called = self.heard.name or model
        return f"{called or 'Bluetooth device'} {self.heard.address.replace(':', '')[-4:]}"

    def _confidence(self) -> Confidence:
        if self.decoded is not None and self.profile is None:
            return Confidence.CERTAIN
        if self.facts is not None and self.facts.model is not None:
            return Confidence.CERTAIN
        if self.match is not None and self.match.is_certain:
            return Confidence.CERTAIN
        return Confidence.LIKELY if self.profile is not None else Confidence.POSSIBLE

    def _evidence(self) -> dict[str, str]:
        evidence = dict(self.decoded.evidence) if self.decoded is not None else _shown(self.heard)
        if self.match is not None:
            evidence |= self.match.evidence(self.heard)
        if self.facts is not None:
            evidence |= self.facts.evidence
        if (trouble := self.trouble or (self.decoder.last_problem if self.decoder is not None else None)) is not None:
            evidence["trouble"] = trouble
        evidence["address"] = f"{self.heard.address}, {address_kind(self.heard.address, self.heard.is_random)}"
        return evidence

    def _says(self) -> dict[str, str]:
        told = {} if self.heard.rssi is None else {RSSI.name: f"{self.heard.rssi} {RSSI.unit}"}
        if self.decoded is not None and self.decoded.needs:
            told["needs"] = ", ".join(self.decoded.needs)
        if self.decoded is not None:
            values = zip(self.decoded.row.metrics, self.decoded.values, strict=True)
            told |= {metric.name: _in_words(metric, value) for metric, value in values}
        return told


def _facts(said: Decoded) -> tuple[object, ...]:
    """Return what an advertisement says of who its device is."""
    return (
        said.manufacturer,
        said.model,
        said.sub_model,
        said.name,
        said.family,
        said.firmware_version,
        said.serial_number,
        said.needs,
    )


def _identity(heard: Advertisement, known: KnownDevice | None) -> Identity:
    if known is not None and known.place is not None:
        return Identity(IdentityKind.FINGERPRINT, f"ble/{known.place}")
    return Identity(IdentityKind.MAC, heard.address.lower())


def _shown(heard: Advertisement) -> dict[str, str]:
    """Return what an advertisement that nothing understands has in it."""
    shown = {"advertised name": heard.name} if heard.name else {}
    shown |= {f"manufacturer data 0x{company:04X}": sent.hex(" ") for company, sent in heard.manufacturer_data.items()}
    shown |= {f"service data {uuid}": sent.hex(" ") for uuid, sent in heard.service_data.items()}
    if heard.service_uuids:
        shown["services"] = ", ".join(heard.service_uuids)
    return shown


def _in_words(metric: Metric, value: Value) -> str:
    if value is None:
        return "not available"
    told = ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{told} {metric.unit}" if metric.unit else told
