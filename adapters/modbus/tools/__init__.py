"""Tools for commissioning Modbus devices, and the checks of `doctor`."""
