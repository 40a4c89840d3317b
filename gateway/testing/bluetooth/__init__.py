"""Simulate Bluetooth LE devices without hardware, behind an emulated BlueZ or behind bleak itself.

- `Peripheral`, `Service`, `Characteristic` and `PeripheralFaults` describe devices; a `RadioEnvironment` contains those in range.
- `gateway.testing.bluetooth.bluez` serves them as `org.bluez` on a private D-Bus, for bleak's own backend: Linux only.
- `simulated_backend` passes them to bleak's public classes, on any machine.
"""

from __future__ import annotations

from gateway.testing.bluetooth.advertisement import Advertisement
from gateway.testing.bluetooth.bleak_backend import SimulatedClient, SimulatedScanner, simulated_backend
from gateway.testing.bluetooth.dbus_errors import ErrorReply, OperationFailed, att_error
from gateway.testing.bluetooth.gatt import Characteristic, Descriptor, Flag, Payload, Service, Write, full_uuid
from gateway.testing.bluetooth.pairing import Pairing, PairingMethod
from gateway.testing.bluetooth.peripheral import AdvertisedData, Peripheral, PeripheralFaults
from gateway.testing.bluetooth.radio_environment import RadioEnvironment, Vary
from gateway.testing.former_names import former_names

__all__ = [
    "AdvertisedData",
    "Advertisement",
    "Characteristic",
    "Descriptor",
    "ErrorReply",
    "Flag",
    "OperationFailed",
    "Pairing",
    "PairingMethod",
    "Payload",
    "Peripheral",
    "PeripheralFaults",
    "RadioEnvironment",
    "Service",
    "SimulatedClient",
    "SimulatedScanner",
    "Vary",
    "Write",
    "att_error",
    "full_uuid",
    "simulated_backend",
]

__getattr__ = former_names(
    __name__,
    {
        "Air": RadioEnvironment,
        "Changes": AdvertisedData,
        "Faults": PeripheralFaults,
        "Refusal": ErrorReply,
        "Refused": OperationFailed,
    },
)
