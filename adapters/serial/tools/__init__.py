"""Command line tools for serial devices, and the checks of `doctor`."""
