"""Parse the advertisements of Airthings Wave sensors, which contain their identity; values need a connection. Pure.

The serial number in the advertisement is described by Airthings' published reader (github.com/Airthings/waveplus-reader):
company 0x0334, four bytes, little-endian. Its first four digits are the model.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.parser import ParsedAdvertisement

COMPANY = 0x0334

_MODELS: Mapping[str, str] = {"2900": "Wave", "2920": "Wave Mini", "2930": "Wave Plus", "2950": "Wave Radon"}
"""The first digits of the serial number -> the model."""


class Airthings:
    """The parser of an Airthings sensor."""

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the model and the serial number of the sensor."""
        serial = str(int.from_bytes(advertisement.manufacturer_data.get(COMPANY, b"")[:4], "little"))
        if len(serial) != 10 or (model := _MODELS.get(serial[:4])) is None:
            return None
        return ParsedAdvertisement(model=model, manufacturer="Airthings", serial_number=serial, needs=("a connection",))
