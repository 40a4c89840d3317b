"""The parser libraries of the Bluetooth-Devices family: asked with our words, answered in our words. Nothing here waits.

They share one shape (`bluetooth_sensor_state_data.BluetoothData`), but carry what earlier advertisements said along with what
this one says. Here only the latter counts: an old value under a new time would be a lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser import Advertiser
from adapters.ble.advertisements.metrics import Measured, event, measured, plain, state, text
from adapters.ble.advertisements.parser import NotUnderstood, Said


class LibraryParser:
    """One device's parser from a library."""

    def __init__(self, advertiser: Advertiser, make: Callable[..., _Library], bind_key: bytes | None = None) -> None:
        self._advertiser = advertiser
        self._library = make(bindkey=bind_key) if advertiser.bind_key_bytes else make()
        self._has_key = bind_key is not None
        self._told: dict[object, object] = {}

    def parse(self, advertisement: Advertisement, at: float) -> Said | None:
        """Return what the advertisement says; raises whatever the library raises."""
        update = self._library.update(_Heard(advertisement, at))
        if getattr(self._library, "downgrade_detected", False):
            raise NotUnderstood("it sends unencrypted values although a bind key is configured: they could be anybody's")
        facts = _Facts(update.devices)
        if facts.model is None:
            return None
        return Said(
            model=facts.model,
            manufacturer=facts.manufacturer,
            name=facts.name,
            firmware_version=facts.firmware,
            hardware_version=facts.hardware,
            measured=list(self._new_values(update)),
            events=[told for key, happened in update.events.items() for told in _event(key, happened)],
            needs=tuple(self._needs(facts.model)),
        )

    def _new_values(self, update: _Update) -> Iterator[Measured]:
        """Yield what was not there before this advertisement: the library makes a new object for each value that it hears."""
        for key, number in update.entity_values.items():
            if self._is_new((False, key), number):
                unit = update.entity_descriptions[key].native_unit_of_measurement
                if (told := measured(self._key(key), unit, number.native_value, key.device_id)) is not None:
                    yield told
        for key, yes_no in update.binary_entity_values.items():
            if self._is_new((True, key), yes_no):
                yield state(self._key(key), yes_no.native_value, key.device_id)

    def _is_new(self, key: object, told: object) -> bool:
        known = self._told.get(key)
        self._told[key] = told
        return known is not told

    def _key(self, key: _Key) -> object:
        return self._advertiser.rename.get(str(key.key), key.key)

    def _needs(self, model: str) -> Iterator[str]:
        scheme = getattr(self._library, "encryption_scheme", None)
        if scheme is not None and scheme.name != "NONE" and not getattr(self._library, "bindkey_verified", False):
            yield "the right bind key: the one that is configured does not fit" if self._has_key else "a bind key"
        connects = self._advertiser.needs_connection
        if connects is not None and connects.fullmatch(model):
            yield "a connection"


class _Key(Protocol):
    """What a library calls a value."""

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
    """What a library says of a device or a part of it."""

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
    """What a library answers."""

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

    def update(self, heard: _Heard) -> _Update: ...


class _Heard:
    """An advertisement in the words of the libraries, whose own class would bring bleak along."""

    __slots__ = (
        "address", "connectable", "device", "manufacturer_data", "name", "raw", "rssi", "service_data", "service_uuids", "source",
        "time", "tx_power",
    )  # fmt: skip

    def __init__(self, advertisement: Advertisement, at: float) -> None:
        self.address = advertisement.address
        self.name = advertisement.name or advertisement.address  # that is how they know a nameless device
        self.rssi = 0 if advertisement.rssi is None else advertisement.rssi
        self.tx_power = advertisement.tx_power
        self.manufacturer_data = dict(advertisement.manufacturer_data)
        self.service_data = dict(advertisement.service_data)
        self.service_uuids = list(advertisement.service_uuids)
        self.source = ""
        self.time = at
        self.device = None
        self.connectable = False
        self.raw = None


class _Facts:
    """Who a device is, put together from its parts: the device itself goes before its parts."""

    def __init__(self, devices: Mapping[str | None, _Device]) -> None:
        parts = sorted(devices.items(), key=lambda part: (part[0] is not None, part[0] != "primary"))
        known = [device for _, device in parts]
        self.model = _first(device.model for device in known)
        self.manufacturer = _first(device.manufacturer for device in known)
        self.name = _first(device.name for device in known)
        self.firmware = _first(device.sw_version for device in known)
        self.hardware = _first(device.hw_version for device in known)


def _first(told: Iterator[object]) -> str | None:
    return next((written for fact in told if fact is not None and (written := text(str(fact)))), None)


def _event(key: _Key, happened: _Event) -> Iterator[Measured]:
    """Yield what happened and, as values of their own, how: `dimmer` and `dimmer_steps`."""
    metric, what = event(key.key, happened.event_type, key.device_id)
    yield metric, what
    for detail, value in (happened.event_properties or {}).items():
        if value is not None and (told := measured(f"{metric.name}_{detail}", None, plain(value))) is not None:
            yield told
