"""Serial devices that need no hardware, on real ports: pseudo-terminals that any program can open. Linux and macOS only.

- `SerialLine` is the cable: it can be pulled, put back under another name, and echo what is sent.
- `Display` answers (Samsung MDC), `Gps` talks unasked (NMEA 0183), a `ScriptedDevice` does what its author's functions say.
- `Faults` say what is wrong with a device.
"""

from __future__ import annotations

from gateway.testing.serial.device import HEALTHY, Faults, ScriptedDevice, SerialDevice
from gateway.testing.serial.display import Display
from gateway.testing.serial.gps import Gps
from gateway.testing.serial.line import SerialLine

__all__ = ["HEALTHY", "Display", "Faults", "Gps", "ScriptedDevice", "SerialDevice", "SerialLine"]
