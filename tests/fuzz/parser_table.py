"""List every parser of what comes from outside: the tests and `make fuzz` run the same table."""

from __future__ import annotations

import bluetooth_parsers
import cloud_parsers
import file_parsers
import modbus_parsers
import page_parsers
import serial_parsers
import store_parsers

PARSERS = (
    *modbus_parsers.PARSERS,
    *bluetooth_parsers.PARSERS,
    *serial_parsers.PARSERS,
    *cloud_parsers.PARSERS,
    *file_parsers.PARSERS,
    *page_parsers.PARSERS,
    *store_parsers.PARSERS,
)
