"""Bluetooth adapters of this machine: scanning, connecting, and watching BlueZ."""
