"""Keep what is known about one device: its last advertisement, its decoder or profile, and its device information. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from adapters.ble.advertisements.advertisement import RSSI, Advertisement, address_kind
from adapters.ble.advertisements.device_decoder import DecodedAdvertisement, DeviceDecoder
from adapters.ble.advertisements.plausibility import plausible
from adapters.ble.discovery.configured_devices import KnownDevice
from adapters.ble.profile.device_information import DeviceInformation
from adapters.ble.profile.match_rules import MatchRule
from adapters.ble.profile.profile import Profile
from gateway.adapter import Block, Confidence, DeviceUnreachable, Found, Identity, IdentityKind, Metric, MetricRow, Value

ONLY_RSSI = MetricRow([RSSI])

BATTERY_LEVEL = ("battery", "%")
"""The metric and the unit in which devices report how full their battery is."""

MOST_RECEIVED = 10
"""Advertisements of a device that are kept for a person who looks for a fault."""

MAX_FAILED_CONNECTIONS = 3
"""After so many failed connections, an unidentified device is not connected to again."""


@dataclass(slots=True)
class ReceivedAdvertisement:
    """An advertisement, and how often it was received with this content without another one in between."""

    advertisement: Advertisement
    """The last of them."""
    at: float
    """When it was received, in seconds of the loop's clock."""
    times: int = 1


class TrackedDevice:
    """A device whose advertisements are received.

    Args:
        advertisement: its first advertisement.
        known: the entry of the config for it.
        dead_bands: the dead bands of the config, by metric.
    """

    def __init__(self, advertisement: Advertisement, known: KnownDevice | None, dead_bands: Mapping[str, float]) -> None:
        self.advertisement = advertisement
        """The last one."""
        self.received: deque[ReceivedAdvertisement] = deque(maxlen=MOST_RECEIVED)
        """The last advertisements with different content, the oldest first."""
        self.heard_at = 0.0
        """When it was received, in seconds of the loop's clock."""
        self.heard_since: float | None = None
        """When it was received first."""
        self.known = known
        self.identity = _identity(advertisement, known)
        self.is_allowed = True
        """The `allow` and `deny` lists of the config permit it."""
        self.is_duplicate = False
        """An entry of the config fits it as well as another device that was received earlier: it is ignored."""
        self.problem: str | None = None
        """Why it cannot be decoded or identified, for a person."""
        self.decoder: DeviceDecoder | None = None
        """The decoder of its advertisements; a generic one is replaced as soon as a better source is found."""
        self.compared_shapes: set[object] = set()
        """The kinds of frames of it that were compared with the profiles."""
        self.rejected_sources: set[str] = set()
        """The parsers that need something for its values that a connection offers, and the profiles that it did not confirm."""
        self.decoded: DecodedAdvertisement | None = None
        """The last advertisement, decoded; `None` when it could not be decoded."""
        self.last_decoded: DecodedAdvertisement | None = None
        """The last advertisement that could be decoded: it identifies the device."""
        self.profile: Profile | None = None
        """The profile of a device that is read over a connection; `None` for one that only advertises."""
        self.match: MatchRule | None = None
        """The match rule by which the profile was found; `None` when the config names the profile, or there is none."""
        self.offers_standard_services = False
        """It advertises standard services by which it can be read although no profile fits."""
        self.information: DeviceInformation | None = None
        """The result of the first connection; `None` before."""
        self.reported: Found | None = None
        """The description that was reported last."""
        self.may_have_changed = True
        """Something was learned since then that may change its description."""
        self.needs: str | None = None
        """The step that a person has to take before it can be read, as a sentence."""
        self.failed_connections = 0
        self.failure: DeviceUnreachable | None = None
        """The error for a device whose last connection failed, where it was to identify it."""
        self.is_in_doubt = False
        """Its last connection failed: that it advertises does not show that it can be read."""
        self._dead_bands = dead_bands
        self._row_source: MetricRow | None = None
        self._row = ONLY_RSSI

    def use_decoder(self, decoder: DeviceDecoder, decoded: DecodedAdvertisement | None) -> None:
        """Decode it from now on with this decoder, instead of a more generic one or a profile.

        Args:
            decoder: the decoder.
            decoded: its last advertisement, decoded by it.
        """
        if self.decoder is not None or self.profile is not None:
            self._forget_source()
        self.decoder = decoder
        self.set_decoded(decoded)

    def use_profile(self, profile: Profile, match: MatchRule | None) -> None:
        """Read it over a connection from now on, instead of decoding a generic format."""
        if self.decoder is not None:
            self._forget_source()
        self.profile, self.match = profile, match

    def _forget_source(self) -> None:
        self.decoder = self.decoded = self.last_decoded = self.profile = self.match = self.information = None
        self.offers_standard_services, self.problem, self.may_have_changed = False, None, True

    @property
    def is_generic(self) -> bool:
        """Whether only a format is known of it that devices of any maker send along with their own."""
        return self.decoder is not None and self.decoder.rank < 0

    @property
    def has_final_source(self) -> bool:
        """Whether no advertisement can show a better way to get its values."""
        is_named = self.known is not None and self.known.device.profile is not None and self.profile is not None
        return is_named or (self.decoder is not None and not self.is_generic)

    def set_decoded(self, decoded: DecodedAdvertisement | None) -> None:
        """Store the decoded advertisement; `None` when it could not be decoded."""
        self.decoded = decoded
        if decoded is not None:
            before = self.last_decoded
            self.may_have_changed = self.may_have_changed or before is None or not decoded.has_same_identity(before)
            self.last_decoded = decoded

    def assign(self, known: KnownDevice) -> None:
        """Note that it is this device of the config."""
        self.known, self.decoder, self.decoded, self.last_decoded = known, None, None, None
        self.may_have_changed = True
        self.identity = _identity(self.advertisement, known)

    def copy_from(self, before: TrackedDevice) -> None:
        """Take over what is known about the same device under its earlier address."""
        self.decoder, self.decoded, self.last_decoded = before.decoder, before.decoded, before.last_decoded
        self.profile, self.match, self.information = before.profile, before.match, before.information
        self.offers_standard_services, self.reported = before.offers_standard_services, before.reported
        self.rejected_sources, self.heard_since = before.rejected_sources, before.heard_since

    @property
    def address(self) -> str:
        """Its present Bluetooth address."""
        return self.advertisement.address

    @property
    def child_address(self) -> str:
        """The address under which the gateway knows it: stays the same when its Bluetooth address changes."""
        return self.address if self.known is None or self.known.stable_address is None else self.known.stable_address

    @property
    def key(self) -> str:
        """The key of the child that it is, or would be."""
        return self.identity.key

    @property
    def needs_connection(self) -> bool:
        """Whether only a connection to it shows what it is."""
        if (
            self.information is not None
            or self.decoder is not None
            or not (self.known is not None or self._has_permanent_address)
        ):
            return False
        is_readable = self.profile is not None or self.offers_standard_services
        waits_for_pairing = self.known is not None and self.known.device.pair
        return is_readable and (waits_for_pairing or self.failed_connections < MAX_FAILED_CONNECTIONS)

    def set_information(self, information: DeviceInformation) -> None:
        """Store what a connection to it has shown."""
        self.information, self.problem, self.may_have_changed = information, None, True

    def note_failed_connection(self, reason: DeviceUnreachable) -> None:
        """Note that it could not be identified; after some failures it is not connected to again."""
        self.failed_connections += 1
        self.problem = f"it could not be identified: {reason}"
        self.failure = DeviceUnreachable(self.problem, cause=reason.cause, next_step=reason.next_step)

    @property
    def is_reportable(self) -> bool:
        """Whether a person wants to know of it, and nothing more has to be learned first."""
        return self.is_relevant and not self.needs_connection

    @property
    def is_relevant(self) -> bool:
        """Whether a person wants to know of it: it is decoded, configured, or has a name and a permanent address."""
        if self.known is not None:
            return True
        if not self._has_permanent_address:
            return False
        return self.last_decoded is not None or self.profile is not None or self.advertisement.name is not None

    @property
    def _has_permanent_address(self) -> bool:
        return address_kind(self.address, self.advertisement.is_random).is_permanent

    def block(self, at: datetime) -> Block:
        """Return the values of its last advertisement and the signal strength."""
        decoded, rssi = self.decoded, plausible(RSSI, self.advertisement.rssi)
        if decoded is None:
            return Block(self.key, ONLY_RSSI, (rssi,), at)
        if self._row_source is not decoded.row:
            self._row_source = decoded.row
            self._row = MetricRow([*map(self._with_dead_band, decoded.row.metrics), RSSI])
        return Block(self.key, self._row, (*decoded.values, rssi), at)

    @property
    def battery_percent(self) -> float | None:
        """The level of its battery that it advertised last, in percent; `None` where it advertised none."""
        if self.last_decoded is None:
            return None
        pairs = zip(self.last_decoded.row.metrics, self.last_decoded.values, strict=True)
        level = next((value for metric, value in pairs if (metric.name, metric.unit) == BATTERY_LEVEL), None)
        return None if level is None or isinstance(level, str | bool) else float(level)

    def remarks(self, now: float) -> list[str]:
        """Return what a person should know about its reception, for a time of the loop's clock."""
        strength = "" if self.advertisement.rssi is None else f" at {self.advertisement.rssi} dBm"
        remarks = [f"received {now - self.heard_at:.0f} s ago{strength}, address {self.address}"]
        if self.last_decoded is not None and self.last_decoded.needs:
            remarks.append(f"for more values it needs {', '.join(self.last_decoded.needs)}")
        return remarks if self.problem is None else [*remarks, self.problem]

    def found(self) -> Found:
        """Return the description of the device, with the evidence for it."""
        decoded, information, profile = self.last_decoded, self.information or DeviceInformation(), self.profile
        maker = (
            (profile.maker if profile is not None else None)
            or information.manufacturer
            or (decoded.manufacturer if decoded else None)
        )
        model = information.model or (decoded.model if decoded else None) or (profile.title if profile is not None else None)
        return Found(
            address=self.child_address,
            identity=self.identity,
            name=self._name(model),
            profile=self._profile_name(),
            family=profile.family if profile is not None else (decoded.family if decoded else None),
            sub_model=self._sub_model(),
            manufacturer=maker,
            model=model,
            serial_number=information.serial_number or (decoded.serial_number if decoded else None),
            mac=self.address.lower() if self.identity.kind is IdentityKind.MAC else None,
            firmware_version=information.firmware_version or (decoded.firmware_version if decoded else None),
            evidence=self._evidence(),
            says=self._advertised_values(),
            confidence=self._confidence(),
            is_generic=self.is_generic,
            needs=self.needs,
        )

    def new_report(self) -> Found | None:
        """Return its description if that differs from the reported one, evidence aside, and count it as reported."""
        if not self.may_have_changed:
            return None
        found, before = self.found(), self.reported
        self.reported, self.may_have_changed = found, False
        return None if before is not None and replace(found, evidence=before.evidence) == before else found

    def _with_dead_band(self, metric: Metric) -> Metric:
        dead_band = self._dead_bands.get(metric.name)
        return metric if dead_band is None else replace(metric, dead_band=dead_band)

    def _profile_name(self) -> str | None:
        if self.profile is not None:
            return self.profile.name
        return None if self.last_decoded is None else self.last_decoded.parser

    def _sub_model(self) -> str | None:
        if self.profile is not None and isinstance(self.profile.sub_model, str):
            return self.profile.sub_model
        by_information = self.information.model if self.information else None
        return by_information or (self.last_decoded.sub_model if self.last_decoded else None)

    def _name(self, model: str | None) -> str:
        if self.known is not None and self.known.device.name:
            return self.known.device.name
        if self.known is not None and (mark := self.known.mark) is not None:
            return f"{model or 'Bluetooth device'} {mark}"
        if self.last_decoded is not None and self.profile is None:
            return self.last_decoded.name
        return f"{self.advertisement.name or model or 'Bluetooth device'} {self.address.replace(':', '')[-4:]}"

    def _confidence(self) -> Confidence:
        if self.last_decoded is not None and self.profile is None:
            return Confidence.CERTAIN
        if self.information is not None and self.information.model is not None:
            return Confidence.CERTAIN
        if self.match is not None and self.match.is_certain:
            return Confidence.CERTAIN
        return Confidence.LIKELY if self.profile is not None else Confidence.POSSIBLE

    def _evidence(self) -> dict[str, str]:
        evidence = dict(self.last_decoded.evidence) if self.last_decoded is not None else _content(self.advertisement)
        if self.match is not None:
            evidence |= self.match.evidence(self.advertisement)
        if self.information is not None:
            evidence |= self.information.evidence
        if (problem := self.problem or (self.decoder.last_problem if self.decoder is not None else None)) is not None:
            evidence["problem"] = problem
        evidence["address"] = f"{self.address}, {address_kind(self.address, self.advertisement.is_random)}"
        return evidence

    def _advertised_values(self) -> dict[str, str]:
        rssi = self.advertisement.rssi
        texts = {} if rssi is None else {RSSI.name: f"{rssi} {RSSI.unit}"}
        if self.last_decoded is None:
            return texts
        if self.last_decoded.needs:
            texts["needs"] = ", ".join(self.last_decoded.needs)
        values = zip(self.last_decoded.row.metrics, self.last_decoded.values, strict=True)
        return texts | {metric.name: _value_text(metric, value) for metric, value in values}


def _identity(advertisement: Advertisement, known: KnownDevice | None) -> Identity:
    if known is not None and known.stable_address is not None:
        return Identity(IdentityKind.FINGERPRINT, f"ble/{known.stable_address}")
    return Identity(IdentityKind.MAC, advertisement.address.lower())


def _content(advertisement: Advertisement) -> dict[str, str]:
    """Return the content of an advertisement that no parser knows."""
    content = {"advertised name": advertisement.name} if advertisement.name else {}
    content |= {f"manufacturer data 0x{company:04X}": data.hex(" ") for company, data in advertisement.manufacturer_data.items()}
    content |= {f"service data {uuid}": data.hex(" ") for uuid, data in advertisement.service_data.items()}
    if advertisement.service_uuids:
        content["services"] = ", ".join(advertisement.service_uuids)
    return content


def _value_text(metric: Metric, value: Value) -> str:
    if value is None:
        return "not available"
    text = ("yes" if value else "no") if isinstance(value, bool) else f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{text} {metric.unit}" if metric.unit else text
