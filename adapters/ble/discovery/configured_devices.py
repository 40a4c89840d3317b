"""Devices of which the config says something, and how each is known again. Nothing here waits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement, IdentityKey
from adapters.ble.settings import ConfiguredDevice, key_of, parse_hex


class KnownDevice:
    """A configured device with its keys, which it never shows.

    Raises:
        ValueError: a key cannot be read or used.
    """

    def __init__(self, device: ConfiguredDevice) -> None:
        self.device = device
        self.bind_key: SecretStr | None = key_of(device, "bind_key")
        irk = key_of(device, "irk")
        self._irk = None if irk is None else IdentityKey(irk)
        self.place = _place(device, irk)
        """How a device is addressed that changes its address; `None` for one that keeps it."""
        self.goes_by_words = device.called is not None or device.payload is not None
        """It is known by what it says, which it may not say each time, and another device may say as well."""

    def is_sender_of(self, heard: Advertisement) -> bool:
        """Whether this device has sent that."""
        device = self.device
        if device.address is not None:
            return heard.address == device.address
        if device.called is not None:
            return heard.name is not None and fnmatchcase(heard.name.lower(), device.called.lower())
        if device.payload is not None:
            return any(sent.startswith(device.payload) for sent in _payloads(heard))
        return self._irk is not None and self._irk.resolves(heard.address)


def sender_of(heard: Advertisement, known: Iterable[KnownDevice]) -> KnownDevice | None:
    """Return the configured device that has sent this; `None` when none has."""
    return next((device for device in known if device.is_sender_of(heard)), None)


def _place(device: ConfiguredDevice, irk: SecretStr | None) -> str | None:
    if device.address is not None:
        return None
    if irk is not None:  # a digest: it names the key without giving it away
        return f"irk {hashlib.sha256(str(parse_hex(irk.get_secret_value())).encode()).hexdigest()[:12]}"
    return f"name {device.called}" if device.called is not None else f"payload {device.payload}"


def _payloads(heard: Advertisement) -> Iterator[str]:
    """Yield what the device sends as hexadecimal digits, as it is on the air: company ids low byte first."""
    yield from (company.to_bytes(2, "little").hex() + sent.hex() for company, sent in heard.manufacturer_data.items())
    yield from (sent.hex() for sent in heard.service_data.values())
