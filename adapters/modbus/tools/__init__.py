"""Command line tools for Modbus devices, and the checks of `doctor`."""
