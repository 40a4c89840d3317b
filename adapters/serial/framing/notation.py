"""Parse and print the notation of bytes in profiles: escaped text and hexadecimal digits. Pure."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\", "e": "\x1b", "0": "\0"}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)


class ProfileTable(BaseModel):
    """Base class for the tables of a profile file: unknown keys are errors, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def text_bytes(written: str) -> bytes:
    r"""Return the bytes of a text: one byte per character up to ÿ, UTF-8 for others.

    TOML itself decodes `"\r"` and `"\u0002"`. Where TOML leaves a backslash, as between single quotes, this decodes `\r`, `\n`,
    `\t`, `\e`, `\0`, `\\` and `\x02`.

    Raises:
        ValueError: a backslash is followed by anything else.
    """
    text = _ESCAPE.sub(_unescaped, written)
    return b"".join(character.encode("latin-1" if character <= "\xff" else "utf-8") for character in text)


def hex_bytes(written: str) -> bytes:
    """Return the bytes of hexadecimal digits, with or without blanks between pairs.

    Raises:
        ValueError: the text is not made of pairs of hexadecimal digits.
    """
    try:
        return bytes.fromhex(written)
    except ValueError as error:
        raise ValueError(f"{written!r} is not a sequence of bytes: write pairs of hexadecimal digits") from error


def escaped_text(raw: bytes) -> str:
    r"""Return bytes as readable text that `text_bytes` can parse: `OK\r`, `\x02`."""
    checksum_named = {ord(character): rf"\{letter}" for letter, character in _ESCAPES.items() if letter != "0"}
    return "".join(checksum_named.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else rf"\x{byte:02x}") for byte in raw)


def _unescaped(found: re.Match[str]) -> str:
    digits, letter = found.groups()
    if digits is not None:
        return chr(int(digits, 16))
    if letter not in _ESCAPES:
        raise ValueError(rf"`\{letter}` is unknown; use \r, \n, \t, \e, \0, \\ or \x with two hexadecimal digits")
    return _ESCAPES[letter]


def _text(written: object) -> object:
    if not isinstance(written, str):
        return written
    if re.fullmatch(r"([0-9A-F]{2} ?)+", written):
        escaped = "".join(rf"\x{byte:02x}" for byte in bytes.fromhex(written))
        raise ValueError(rf"{written!r} is read as text here; for the bytes of these hexadecimal digits write '{escaped}'")
    return text_bytes(written)


def _texts(written: object) -> object:
    return [written] if isinstance(written, str) else written


def _hex(written: object) -> object:
    return hex_bytes(written) if isinstance(written, str) else written


TextBytes: TypeAlias = Annotated[bytes, BeforeValidator(_text), PlainSerializer(escaped_text)]
r"""Written as a text: `"\r\n"`, `'\x02'`."""

TextBytesOptions: TypeAlias = Annotated[
    tuple[Annotated[TextBytes, Field(min_length=1)], ...],
    BeforeValidator(_texts, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]
"""Written as a text, or as a list of alternative texts."""

HexBytes: TypeAlias = Annotated[bytes, BeforeValidator(_hex), PlainSerializer(bytes.hex)]
"""Written as hexadecimal digits: `"AA 55"`."""
