"""Command-line tools for serial devices, estimates of line load, and the checks of `doctor`."""
