"""Provide the command line tools for Bluetooth LE devices, and the checks of `doctor`."""
