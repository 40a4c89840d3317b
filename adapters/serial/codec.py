"""Base class for codecs, which encode and decode protocols that templates cannot describe. Pure.

A profile names its codec as `codec = "module:Class"`. Framing, line settings, points and commands stay data; the class only
encodes requests and decodes frames. `codecs/nmea.py` is an example: sentences with comma-separated fields.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Self

from pydantic import SecretStr

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
    problem: str | None = None
    """Why a frame of this protocol cannot be decoded before a person does something, as a sentence: `its telegrams are encrypted:
    they need its decryption_key`."""


Said = DecodedFrame
"""Former name of `DecodedFrame`, which codecs written for an earlier release import."""


MOVED_CODECS: Mapping[str, str] = {
    "adapters.serial.loose:JsonCodec": "adapters.serial.codecs.free_text:JsonCodec",
    "adapters.serial.loose:KeyValueCodec": "adapters.serial.codecs.free_text:KeyValueCodec",
    "adapters.serial.nmea:NmeaCodec": "adapters.serial.codecs.nmea:NmeaCodec",
    "adapters.serial.obis:ObisCodec": "adapters.serial.codecs.obis:ObisCodec",
}
"""Former name of a codec -> its current name: profiles written for an earlier release use the former one."""


KEY_BYTES = 16
"""Length of a key of AES-128."""

AUTHENTICATION_KEY = "00112233445566778899AABBCCDDEEFF"
"""The authentication key that the specification of meters in Luxembourg publishes (E-Meter P1 Specification, 3.2.5)."""


@dataclass(frozen=True, slots=True)
class DecryptionKeys:
    """The keys of one device, of 16 bytes each."""

    decryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)

    @classmethod
    def parse(cls, decryption: SecretStr, authentication: SecretStr | None = None) -> Self:
        """Return the keys that are written as hexadecimal digits; the authentication key with or without its security byte 30.

        Raises:
            ValueError: one is not 32 hexadecimal digits; the message does not quote it.
        """
        written = AUTHENTICATION_KEY if authentication is None else authentication.get_secret_value().strip()
        if len(written) == 2 * KEY_BYTES + 2 and written.startswith("30"):
            written = written[2:]
        return cls(_key_of("decryption_key", decryption.get_secret_value().strip()), _key_of("authentication_key", written))


def _key_of(name: str, digits: str) -> bytes:
    if re.fullmatch(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}", digits) is None:
        raise ValueError(f"the {name} must have {2 * KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(digits)


class Codec(ABC):
    """Encoder of requests and decoder of frames.

    One instance serves all devices with the profile, so it must not keep any state between two frames.
    """

    @property
    def decrypts(self) -> bool:
        """Whether it has a use for decryption keys."""
        return type(self).with_keys is not Codec.with_keys

    def ask(self, query: str, values: Mapping[str, Value]) -> bytes:
        """Return the payload of the query or command of this name; the framing of the profile is added to it.

        The default is for devices that send unasked only: it raises an error.
        """
        raise NotImplementedError(f"{type(self).__name__} only decodes frames: it cannot encode {query} with {dict(values)}")

    def with_keys(self, keys: DecryptionKeys) -> Codec:
        """Return the codec that decrypts the frames of a device with these keys; the default needs none, and ignores them."""
        return self

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
