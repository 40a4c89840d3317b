"""Airthings Wave sensors, which send around who they are and tell their values to who connects. Nothing here waits.

The serial number in the advertisement is that of Airthings' published reader (github.com/Airthings/waveplus-reader): company
0x0334, four bytes, the lowest first. Its first four digits are the model.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.parser import Said

COMPANY = 0x0334

_MODELS: Mapping[str, str] = {"2900": "Wave", "2920": "Wave Mini", "2930": "Wave Plus", "2950": "Wave Radon"}
"""The first digits of the serial number -> the model."""


class Airthings:
    """An Airthings sensor."""

    def parse(self, advertisement: Advertisement, at: float) -> Said | None:
        """Return who the sensor is."""
        serial = str(int.from_bytes(advertisement.manufacturer_data.get(COMPANY, b"")[:4], "little"))
        if len(serial) != 10 or (model := _MODELS.get(serial[:4])) is None:
            return None
        return Said(model=model, manufacturer="Airthings", serial_number=serial, needs=("a connection",))
