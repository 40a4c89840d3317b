"""How an author teaches the adapter a protocol that needs more than templates: a class of a few lines. Nothing here waits.

A profile names it as `codec = "module:Class"`. Framing, line, points and commands stay data; the class only says which bytes ask
for something and what is in a frame. `nmea.py` is the example: sentences whose fields are counted by commas.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from gateway.adapter import Value


@dataclass(frozen=True, slots=True)
class Said:
    """What one frame says."""

    name: str
    """The query of the profile that it answers, or which of its messages it is."""
    values: Mapping[str, Value]
    """Field -> value; `None` where the device says that it has none. The points of the profile name these fields."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Field -> its unit, where the frame itself tells it."""


FORMER_NAMES: Mapping[str, str] = {
    "adapters.serial.loose:JsonCodec": "adapters.serial.codecs.free_text:JsonCodec",
    "adapters.serial.loose:KeyValueCodec": "adapters.serial.codecs.free_text:KeyValueCodec",
    "adapters.serial.nmea:NmeaCodec": "adapters.serial.codecs.nmea:NmeaCodec",
    "adapters.serial.obis:ObisCodec": "adapters.serial.codecs.obis:ObisCodec",
}
"""Codecs that moved: a profile that an integrator wrote for an earlier release still names them like this."""


class Codec(ABC):
    """How the questions of a protocol are written and its frames are read, in code.

    Made once for a profile and used for all its devices, so it remembers nothing between two frames.
    """

    def ask(self, query: str, values: Mapping[str, Value]) -> bytes:
        """Return the payload that asks for a query, or gives a command of this name; framing is put around it by the profile.

        Default: the protocol is only listened to.
        """
        raise NotImplementedError(f"{type(self).__name__} asks nothing: {query} has no question, and {dict(values)} no place")

    @abstractmethod
    def read(self, payload: bytes) -> Said | None:
        """Return what a frame says; `None` when that is nothing of interest. Raises nothing for any bytes."""


def codec_named(written: str) -> Codec:
    """Return the codec that a profile names.

    Raises:
        ValueError: there is no such class, or it is no codec; the text says what is missing.
    """
    module_name, _, class_name = FORMER_NAMES.get(written, written).partition(":")
    try:
        found: object = getattr(import_module(module_name), class_name, None)
    except ImportError as error:
        raise ValueError(f"{module_name!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Codec)):
        raise ValueError(f"there is no class {class_name!r} in {module_name} that is a Codec")  # noqa: TRY004 - pydantic takes it
    return found()
