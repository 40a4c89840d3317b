"""Recognize the devices of the config by their advertisements. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement, IdentityKey
from adapters.ble.settings import ConfiguredDevice


class KnownDevice:
    """A device of the config, with its keys, which it never shows.

    Raises:
        ValueError: a key cannot be read or used.
    """

    def __init__(self, device: ConfiguredDevice) -> None:
        self.device = device
        self.bind_key: SecretStr | None = device.read_key("bind_key")
        self.passkey: SecretStr | None = device.read_key("passkey")
        irk = device.read_key("irk")
        self._irk = None if irk is None else IdentityKey(irk)
        self.stable_address = _stable_address(device, self._irk)
        """The child address of a device that changes its Bluetooth address; `None` for one that keeps it."""
        self.mark = None if self.stable_address is None else _mark(device, self.stable_address)
        """The words that distinguish it in a name; `None` where the last digits of its constant address do that."""
        self.is_ambiguous = device.called is not None or device.payload is not None
        """It is recognized by name or payload, which some advertisements may lack, and which another device may send as well."""

    def is_sender_of(self, advertisement: Advertisement) -> bool:
        """Return whether this device sent the advertisement."""
        device = self.device
        if device.address is not None:
            return advertisement.address == device.address
        if device.called is not None:
            return advertisement.name is not None and fnmatchcase(advertisement.name.lower(), device.called.lower())
        if device.payload is not None:
            return any(payload.startswith(device.payload) for payload in _payloads(advertisement))
        return self._irk is not None and self._irk.resolves(advertisement.address)


def find_sender(advertisement: Advertisement, known: Iterable[KnownDevice]) -> KnownDevice | None:
    """Return the configured device that sent the advertisement; `None` when none did."""
    return next((device for device in known if device.is_sender_of(advertisement)), None)


def _stable_address(device: ConfiguredDevice, irk: IdentityKey | None) -> str | None:
    if device.address is not None:
        return None
    if irk is not None:
        return f"irk {irk.digest}"
    return f"name {device.called}" if device.called is not None else f"payload {device.payload}"


def _mark(device: ConfiguredDevice, stable_address: str) -> str:
    return stable_address[-4:].upper() if device.called is None else device.called


def _payloads(advertisement: Advertisement) -> Iterator[str]:
    """Yield the data of an advertisement as hexadecimal digits, as it is transmitted: company ids little-endian."""
    yield from (company.to_bytes(2, "little").hex() + data.hex() for company, data in advertisement.manufacturer_data.items())
    yield from (data.hex() for data in advertisement.service_data.values())
