"""Bluetooth Low Energy: devices that are listened to, and devices that are connected to."""

from adapters.ble.adapter import BleAdapter

__all__ = ["BleAdapter"]
