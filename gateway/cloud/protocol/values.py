"""Convert values, versions and times to the forms that the hub accepts, and bodies to JSON bytes. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.models import Value

STRING_BYTES = 1000
"""The most bytes in a string value (device API reference, section 5.1)."""

INT_RANGE = range(-(2**31), 2**31)
"""The integers that the hub accepts: signed 32 bits (section 5.1)."""

FLOAT_MAX = (2 - 2**-23) * 2.0**127
"""The largest float that the hub accepts: 32 bits (section 5.1; IEEE 754 binary32)."""

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE_RELEASE = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRE_RELEASE}(?:\.{_PRE_RELEASE})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
"""Semantic Versioning 2.0.0, "Backus-Naur Form Grammar for Valid SemVer Versions"."""

_DOTTED = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
_BARE = re.compile(r"[0-9]+")


def to_hub_value(value: Value) -> Value:
    """Return the value in a form that the hub accepts (section 5.1).

    An integer beyond 32 bits becomes a float, a number beyond a 32-bit float becomes null, and a long string is cut.
    """
    if isinstance(value, str):
        return _cut(value)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value in INT_RANGE):
        return value
    return float(value) if abs(value) <= FLOAT_MAX else None


def timestamp(at: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC with milliseconds: `2025-02-03T04:05:06.789Z`.

    Raises:
        ValueError: the time is naive, so its time zone is unknown.
    """
    if at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def semantic_version(text: str | None) -> str:
    """Return a device's own version text as a semantic version: `V1.2` -> `1.2.0`, `2.10.4b1` -> `2.10.4-b1`, none -> `0.0.0`.

    The hub accepts no other form from Model API version 1.0.4 on (section 0.2). A semantic version is returned unchanged; in any
    other text the first dotted number is the version and the rest the pre-release, so that a text always gives the same version.
    """
    own = re.sub(r"\s+", " ", text or "").strip()
    bare = re.sub(r"^[vV]\.? ?(?=[0-9])", "", own)
    if _SEMVER.fullmatch(bare):
        return bare
    found = _DOTTED.search(bare) or _BARE.search(bare)
    numbers = [_without_zeros(number) for number in found[0].split(".")] if found else []
    tail = bare[found.end() :] if found else bare
    suffix = ".".join(_without_zeros(part) for part in re.findall(r"[0-9A-Za-z]+", tail))
    return ".".join([*numbers, "0", "0", "0"][:3]) + (f"-{suffix}" if suffix else "")


def json_bytes(body: object) -> bytes:
    """Return a body as JSON bytes; NaN, lone surrogates and unknown types from a configuration or adapter are replaced."""
    try:
        return _to_json(body)
    except (TypeError, ValueError):  # the body contains one of those
        return _to_json(_to_plain(body))


def printable_line(text: str, most: int) -> str:
    """Return the text as one printable line of at most so many characters, for a log, the store and the cloud."""
    cut = text if len(text) <= most else f"{text[: most - 3]}..."
    return cut if cut.isprintable() else "".join(letter if letter.isprintable() else " " for letter in cut)


def _to_json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _to_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {_without_surrogates(str(key)): _to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else _without_surrogates(str(value))


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:STRING_BYTES].decode("utf-8", "ignore")


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _without_zeros(identifier: str) -> str:
    """Remove the leading zeros of a numeric identifier (Semantic Versioning 2.0.0, items 2 and 9)."""
    return identifier.lstrip("0") or "0" if identifier.isdigit() else identifier
