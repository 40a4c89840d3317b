"""How bytes are written in a profile. Nothing here waits."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\", "e": "\x1b", "0": "\0"}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)


class Part(BaseModel):
    """A table of a profile: unknown keys are errors, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def text_bytes(written: str) -> bytes:
    r"""Return the bytes that a text stands for, one for each character up to ÿ, and UTF-8 for others.

    TOML's own `"\r"` and `"\u0002"` are characters already. Where TOML leaves a backslash, as between single quotes, `\r`, `\n`,
    `\t`, `\e`, `\0`, `\\` and `\x02` are known.

    Raises:
        ValueError: there is something else behind a backslash.
    """
    text = _ESCAPE.sub(_unescaped, written)
    return b"".join(character.encode("latin-1" if character <= "\xff" else "utf-8") for character in text)


def hex_bytes(written: str) -> bytes:
    """Return the bytes that hexadecimal digits stand for, with blanks between them or not.

    Raises:
        ValueError: they are none.
    """
    try:
        return bytes.fromhex(written)
    except ValueError as error:
        raise ValueError(f"{written!r} is no sequence of bytes: they are written as pairs of hexadecimal digits") from error


def readable(raw: bytes) -> str:
    r"""Return bytes as `text_bytes` takes them, for a person: `OK\r`, `\x02`."""
    named = {ord(character): rf"\{letter}" for letter, character in _ESCAPES.items() if letter != "0"}
    return "".join(named.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else rf"\x{byte:02x}") for byte in raw)


def _unescaped(found: re.Match[str]) -> str:
    digits, letter = found.groups()
    if digits is not None:
        return chr(int(digits, 16))
    if letter not in _ESCAPES:
        raise ValueError(rf"`\{letter}` means nothing; known are \r, \n, \t, \e, \0, \\ and \x with two hexadecimal digits")
    return _ESCAPES[letter]


def _text(written: object) -> object:
    if not isinstance(written, str):
        return written
    if re.fullmatch(r"([0-9A-F]{2} ?)+", written):
        escaped = "".join(rf"\x{byte:02x}" for byte in bytes.fromhex(written))
        raise ValueError(rf"{written!r} is a text here; for the bytes of these hexadecimal digits write '{escaped}'")
    return text_bytes(written)


def _texts(written: object) -> object:
    return [written] if isinstance(written, str) else written


def _hex(written: object) -> object:
    return hex_bytes(written) if isinstance(written, str) else written


TextBytes: TypeAlias = Annotated[bytes, BeforeValidator(_text), PlainSerializer(readable)]
r"""Written as a text: `"\r\n"`, `'\x02'`."""

SomeTextBytes: TypeAlias = Annotated[
    tuple[Annotated[TextBytes, Field(min_length=1)], ...], BeforeValidator(_texts), Field(min_length=1)
]
"""Written as a text, or as a list of texts of which any will do."""

HexBytes: TypeAlias = Annotated[bytes, BeforeValidator(_hex), PlainSerializer(bytes.hex)]
"""Written as hexadecimal digits: `"AA 55"`."""
