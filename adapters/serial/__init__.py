"""Serial devices: RS-232 and RS-485 ports, local or behind a device server."""

from adapters.serial.adapter import SerialAdapter

__all__ = ["SerialAdapter"]
