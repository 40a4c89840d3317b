"""Emulate the Xyte cloud over HTTP, for tests, demos and integrators without an account."""

from gateway.emulator.addresses import ServerAddress
from gateway.emulator.quirks import Quirks
from gateway.emulator.server import Emulator

__all__ = ["Emulator", "Quirks", "ServerAddress"]
