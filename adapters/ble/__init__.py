"""Bluetooth Low Energy adapter: decodes advertisements, and reads devices over connections."""

from adapters.ble.adapter import BleAdapter

__all__ = ["BleAdapter"]
