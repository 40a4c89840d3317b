"""Bluetooth LE devices that need no hardware, behind an emulated BlueZ or behind bleak itself.

- `Peripheral`, `Service`, `Characteristic` and `Faults` say what is around; `Air` holds what one adapter can hear.
- `gateway.testing.bluetooth.bluez` puts it behind `org.bluez` on a private D-Bus (`daemon`), for bleak's own backend: Linux only.
- `simulated_backend` hands it to bleak's public classes, on any machine.
"""

from __future__ import annotations

from gateway.testing.bluetooth.advertisement import Advertisement
from gateway.testing.bluetooth.bleak_backend import SimulatedClient, SimulatedScanner, simulated_backend
from gateway.testing.bluetooth.dbus_errors import Refusal, Refused, att_error
from gateway.testing.bluetooth.gatt import Characteristic, Descriptor, Flag, Payload, Service, Write, full_uuid
from gateway.testing.bluetooth.peripheral import Changes, Faults, Peripheral
from gateway.testing.bluetooth.radio_environment import Air, Vary

__all__ = [
    "Advertisement",
    "Air",
    "Changes",
    "Characteristic",
    "Descriptor",
    "Faults",
    "Flag",
    "Payload",
    "Peripheral",
    "Refusal",
    "Refused",
    "Service",
    "SimulatedClient",
    "SimulatedScanner",
    "Vary",
    "Write",
    "att_error",
    "full_uuid",
    "simulated_backend",
]
