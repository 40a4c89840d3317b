"""Say which key or word of a profile was probably meant by one that there is not. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

LEAST_LIKENESS: Final = 0.7

SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "access": ("table",),
    "byteorder": ("byte_order", "word_order"),
    "choices": ("values", "choices"),
    "command": ("ask", "payload", "name"),
    "count": ("length",),
    "data_type": ("type", "format"),
    "datatype": ("type", "format"),
    "deadband": ("dead_band",),
    "endian": ("byte_order", "word_order"),
    "endianness": ("byte_order", "word_order"),
    "ending": ("end",),
    "enum": ("values",),
    "eol": ("end",),
    "factor": ("scale",),
    "float": ("float32",),
    "function": ("table",),
    "function_code": ("table",),
    "gain": ("scale",),
    "id": ("name", "metric"),
    "int": ("int16", "sint16"),
    "int16": ("sint16",),
    "int24": ("sint24",),
    "int32": ("sint32",),
    "int64": ("sint64",),
    "int8": ("sint8",),
    "interval": ("group",),
    "invalid": ("not_available",),
    "label": ("title",),
    "limits": ("between", "valid"),
    "manufacturer": ("maker",),
    "map": ("values",),
    "max": ("between", "valid"),
    "min": ("between", "valid"),
    "model": ("sub_model",),
    "multiplier": ("scale",),
    "name": ("metric", "title"),
    "offset": ("at",),
    "options": ("values",),
    "poll": ("group",),
    "precision": ("decimals",),
    "range": ("between", "valid"),
    "register": ("address", "at"),
    "register_type": ("table",),
    "reply": ("answer", "says"),
    "request": ("ask",),
    "response": ("answer",),
    "size": ("length",),
    "start": ("address", "at"),
    "state": ("values",),
    "states": ("values",),
    "double": ("float64",),
    "s16": ("int16", "sint16"),
    "s32": ("int32", "sint32"),
    "terminator": ("end",),
    "text": ("string", "utf8"),
    "u16": ("uint16",),
    "u32": ("uint32",),
    "u8": ("uint8",),
    "swap": ("word_order", "byte_order"),
    "uuid": ("characteristic", "service"),
    "vendor": ("maker",),
    "write": ("commands",),
}
"""What other programs and documents call a key or a type -> what it may be called here, the most likely first."""


def meant_word(written: str, known: Collection[str]) -> str | None:
    """Return the known key or word that is probably meant; `None` where none is alike."""
    plain = written.lower().replace("-", "_").replace(" ", "_")
    alike: Iterable[str] = (*((plain,) if plain != written else ()), *SYNONYMS.get(plain, ()))
    return next((one for one in alike if one in known), None) or next(
        iter(difflib.get_close_matches(plain, list(known), n=1, cutoff=LEAST_LIKENESS)), None
    )
