"""Base class for codecs, which encode and decode protocols that templates cannot describe. Pure.

A profile names its codec as `codec = "module:Class"`. Framing, line settings, points and commands stay data; the class only
encodes requests and decodes frames. `codecs/nmea.py` is an example: sentences with comma-separated fields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from gateway.adapter import Value


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """Content of one frame."""

    name: str
    """The query of the profile that the frame answers, or the message that it is."""
    values: Mapping[str, Value]
    """Field -> value; `None` if the device reports that it has no value. The points of the profile refer to these fields."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Field -> unit, if the frame contains it."""


Said = DecodedFrame
"""Former name of `DecodedFrame`, which codecs written for an earlier release import."""


MOVED_CODECS: Mapping[str, str] = {
    "adapters.serial.loose:JsonCodec": "adapters.serial.codecs.free_text:JsonCodec",
    "adapters.serial.loose:KeyValueCodec": "adapters.serial.codecs.free_text:KeyValueCodec",
    "adapters.serial.nmea:NmeaCodec": "adapters.serial.codecs.nmea:NmeaCodec",
    "adapters.serial.obis:ObisCodec": "adapters.serial.codecs.obis:ObisCodec",
}
"""Former name of a codec -> its current name: profiles written for an earlier release use the former one."""


class Codec(ABC):
    """Encoder of requests and decoder of frames.

    One instance serves all devices with the profile, so it must not keep any state between two frames.
    """

    def ask(self, query: str, values: Mapping[str, Value]) -> bytes:
        """Return the payload of the query or command of this name; the framing of the profile is added to it.

        The default is for devices that send unasked only: it raises an error.
        """
        raise NotImplementedError(f"{type(self).__name__} only decodes frames: it cannot encode {query} with {dict(values)}")

    @abstractmethod
    def read(self, payload: bytes) -> DecodedFrame | None:
        """Decode the payload of a frame; return `None` if it is of no interest. Must not raise for any bytes."""


def load_codec(written: str) -> Codec:
    """Import the codec that a profile names as `module:Class`, and return an instance.

    Raises:
        ValueError: there is no such class, or it is not a codec; the message says which.
    """
    module_name, _, class_name = MOVED_CODECS.get(written, written).partition(":")
    try:
        found: object = getattr(import_module(module_name), class_name, None)
    except ImportError as error:
        raise ValueError(f"{module_name!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Codec)):
        raise ValueError(f"there is no class {class_name!r} in {module_name} that is a Codec")  # noqa: TRY004 - for pydantic
    return found()
