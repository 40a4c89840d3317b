"""Adapt the parser libraries of the Bluetooth-Devices family to the parser interface. Pure.

The libraries share one interface (`bluetooth_sensor_state_data.BluetoothData`), but repeat values of earlier advertisements. Only
values of the present one are returned here: an old value with a new time would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser_files import Advertiser
from adapters.ble.advertisements.metrics import Measured, event, measured, plain_value, printable, state
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement


class LibraryParser:
    """The parser of one device, from a library."""

    def __init__(self, advertiser: Advertiser, make: Callable[..., _Library], bind_key: bytes | None = None) -> None:
        self._advertiser = advertiser
        self._library = make(**_key_argument(advertiser, bind_key)) if advertiser.bind_key_bytes else make()
        self._has_key = bind_key is not None
        self._earlier_values: dict[object, object] = {}

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the content of the advertisement; raises whatever the library raises."""
        update = self._library.update(_ServiceInfo(advertisement, received_at))
        if getattr(self._library, "downgrade_detected", False):
            raise MalformedAdvertisement("it is not encrypted although a bind key is configured: any device could have sent it")
        device = _DeviceDescription(update.devices)
        if device.model is None:
            return None
        measured = list(self._new_values(update))
        return ParsedAdvertisement(
            model=device.model,
            manufacturer=device.manufacturer,
            name=None if device.name == advertisement.address else device.name,
            firmware_version=device.firmware,
            hardware_version=device.hardware,
            measured=measured,
            events=[value for key, happened in update.events.items() for value in _event_values(key, happened)],
            needs=tuple(self._needs(device.model, has_values=bool(measured))),
        )

    def _new_values(self, update: _Update) -> Iterator[Measured]:
        """Yield the values of this advertisement: the library creates a new object for each value that it receives."""
        for key, number in update.entity_values.items():
            if self._is_new((False, key), number):
                unit, name = update.entity_descriptions[key].native_unit_of_measurement, self._name(key)
                sent = None if number.native_value in self._not_available(name) else number.native_value
                if (value := measured(name, unit, sent, key.device_id)) is not None:
                    yield value
        for key, yes_no in update.binary_entity_values.items():
            if self._is_new((True, key), yes_no):
                yield state(self._name(key), yes_no.native_value, key.device_id)

    def _is_new(self, key: object, value: object) -> bool:
        earlier = self._earlier_values.get(key)
        self._earlier_values[key] = value
        return earlier is not value

    def _name(self, key: _Key) -> object:
        return self._advertiser.rename.get(str(key.key), key.key)

    def _not_available(self, name: object) -> frozenset[float]:
        return self._advertiser.not_available.get(str(name), frozenset())

    def _needs(self, model: str, *, has_values: bool) -> Iterator[str]:
        scheme = getattr(self._library, "encryption_scheme", None)
        is_unreadable = self._advertiser.always_encrypted and not has_values
        if scheme is not None and scheme.name != "NONE":
            is_unreadable = not getattr(self._library, "bindkey_verified", False)
        if is_unreadable:
            yield "the right bind key: the configured one does not fit" if self._has_key else "a bind key"
        connectable = self._advertiser.needs_connection
        if connectable is not None and connectable.fullmatch(model):
            yield "a connection"


class _Key(Protocol):
    """A library's name of a value."""

    @property
    def key(self) -> object: ...
    @property
    def device_id(self) -> str | None: ...


class _Value(Protocol):
    @property
    def native_value(self) -> object: ...


class _Description(Protocol):
    @property
    def native_unit_of_measurement(self) -> str | None: ...


class _Event(Protocol):
    @property
    def event_type(self) -> str: ...
    @property
    def event_properties(self) -> Mapping[str, object] | None: ...


class _Device(Protocol):
    """A library's description of a device or of a part of it."""

    @property
    def name(self) -> object: ...
    @property
    def model(self) -> object: ...
    @property
    def manufacturer(self) -> object: ...
    @property
    def sw_version(self) -> object: ...
    @property
    def hw_version(self) -> object: ...


class _Update(Protocol):
    """A library's result for one advertisement."""

    @property
    def devices(self) -> Mapping[str | None, _Device]: ...
    @property
    def entity_descriptions(self) -> Mapping[_Key, _Description]: ...
    @property
    def entity_values(self) -> Mapping[_Key, _Value]: ...
    @property
    def binary_entity_values(self) -> Mapping[_Key, _Value]: ...
    @property
    def events(self) -> Mapping[_Key, _Event]: ...


class _Library(Protocol):
    """A library's parser, as far as it is used here."""

    def update(self, service_info: _ServiceInfo) -> _Update: ...


class _ServiceInfo:
    """An advertisement as the libraries expect it; their own class would import bleak."""

    __slots__ = (
        "address", "connectable", "device", "manufacturer", "manufacturer_data", "name", "raw", "rssi", "service_data",
        "service_uuids", "source", "time", "tx_power",
    )  # fmt: skip

    def __init__(self, advertisement: Advertisement, received_at: float) -> None:
        self.address = advertisement.address
        self.name = advertisement.name or advertisement.address  # the libraries expect the address for a device without a name
        self.rssi = 0 if advertisement.rssi is None else advertisement.rssi
        self.tx_power = advertisement.tx_power
        self.manufacturer = None
        self.manufacturer_data = dict(advertisement.manufacturer_data)
        self.service_data = dict(advertisement.service_data)
        self.service_uuids = list(advertisement.service_uuids)
        self.source = ""
        self.time = received_at
        self.device = None
        self.connectable = False
        self.raw = None


class _DeviceDescription:
    """The description of a device, combined from those of its parts: the device itself has precedence over its parts."""

    def __init__(self, devices: Mapping[str | None, _Device]) -> None:
        parts = sorted(devices.items(), key=lambda part: (part[0] is not None, part[0] != "primary"))
        descriptions = [device for _, device in parts]
        self.model = _first_text(device.model for device in descriptions)
        self.manufacturer = _first_text(device.manufacturer for device in descriptions)
        self.name = _first_text(device.name for device in descriptions)
        self.firmware = _first_text(device.sw_version for device in descriptions)
        self.hardware = _first_text(device.hw_version for device in descriptions)


def _key_argument(advertiser: Advertiser, bind_key: bytes | None) -> Mapping[str, object]:
    """Return the argument with the key, as the library wants it: most take bytes as `bindkey`, others hexadecimal digits."""
    if advertiser.hex_key_argument is None:
        return {"bindkey": bind_key}
    return {advertiser.hex_key_argument: None if bind_key is None else bind_key.hex()}


def _first_text(values: Iterator[object]) -> str | None:
    return next((text for value in values if value is not None and (text := printable(str(value)))), None)


def _event_values(key: _Key, happened: _Event) -> Iterator[Measured]:
    """Yield the event and, as values of their own, its properties: `dimmer` and `dimmer_steps`."""
    metric, event_type = event(key.key, happened.event_type, key.device_id)
    yield metric, event_type
    for name, raw in (happened.event_properties or {}).items():
        if raw is not None and (value := measured(f"{metric.name}_{name}", None, plain_value(raw))) is not None:
            yield value
