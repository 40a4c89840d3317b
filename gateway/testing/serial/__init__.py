"""Simulate serial devices on pseudo-terminals, which any program can open like a serial port. Linux and macOS only.

- `SerialLine` is the cable: it can be unplugged, plugged in again under another name, and echo sent bytes.
- `Display` answers queries (Samsung MDC), and so does `PowerSupply` (SCPI), with and without an overload. `Gps` sends unasked
  (NMEA 0183), with and without a fix, and so do `P1Meter` (telegrams of several countries, with connected meters, encrypted or
  not) and `TextSensor` (name=value pairs or JSON), whose sensor may fail. A `ScriptedDevice` calls functions of a test.
- `LgDisplay` is a display of another maker, `Switcher` an Extron switcher in any verbose mode, `Console` a computer's log-in.
- `Projector` answers PJLink, in standby, with a password, in class 1 or 2; a `DeviceServer` gives devices a TCP port,
  and a `SearchedProjector` answers the search by UDP.
- `SerialFaults` are the faults of a device.
"""

from __future__ import annotations

from gateway.testing.former_names import former_names
from gateway.testing.serial.console import Console
from gateway.testing.serial.device import HEALTHY, ScriptedDevice, SerialDevice, SerialFaults
from gateway.testing.serial.device_server import DeviceServer
from gateway.testing.serial.display import Display
from gateway.testing.serial.gps import Gps, NoFix
from gateway.testing.serial.instrument import PowerSupply
from gateway.testing.serial.lg_display import LgDisplay
from gateway.testing.serial.line import SerialLine
from gateway.testing.serial.meter import ChannelState, MeterChannel, P1Meter
from gateway.testing.serial.projector import Projector
from gateway.testing.serial.searched_projector import SearchedProjector
from gateway.testing.serial.switcher import Switcher
from gateway.testing.serial.text_sensor import TextSensor

__all__ = [
    "HEALTHY",
    "ChannelState",
    "Console",
    "DeviceServer",
    "Display",
    "Gps",
    "LgDisplay",
    "MeterChannel",
    "NoFix",
    "P1Meter",
    "PowerSupply",
    "Projector",
    "ScriptedDevice",
    "SearchedProjector",
    "SerialDevice",
    "SerialFaults",
    "SerialLine",
    "Switcher",
    "TextSensor",
]

__getattr__ = former_names(__name__, {"Faults": SerialFaults})
