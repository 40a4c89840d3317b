"""An honest small Xyte, for tests, demos and integrators without an account."""

from gateway.emulator.quirks import Quirks
from gateway.emulator.server import Emulator

__all__ = ["Emulator", "Quirks"]
