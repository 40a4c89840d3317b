"""What the hub takes: values, versions and moments made to fit, and the bytes of a JSON body. Nothing here waits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.models import Value

STRING_BYTES = 1000
"""A string value has at most so many bytes (device API reference, section 5.1)."""

INT_RANGE = range(-(2**31), 2**31)
"""An integer value is a signed one of 32 bits (section 5.1)."""

FLOAT_MAX = (2 - 2**-23) * 2.0**127
"""The largest number in a float of 32 bits (section 5.1; IEEE 754 binary32)."""

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE_RELEASE = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRE_RELEASE}(?:\.{_PRE_RELEASE})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
"""Semantic Versioning 2.0.0, "Backus-Naur Form Grammar for Valid SemVer Versions"."""

_DOTTED = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
_BARE = re.compile(r"[0-9]+")


def hub_value(value: Value) -> Value:
    """Return the value as the hub can take it (section 5.1).

    What 32 bits cannot hold becomes a float, what a float of 32 bits cannot hold becomes null, and a long string loses its end.
    """
    if isinstance(value, str):
        return _cut(value)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value in INT_RANGE):
        return value
    return float(value) if abs(value) <= FLOAT_MAX else None


def timestamp(at: datetime) -> str:
    """Return an aware moment as ISO 8601 in UTC with milliseconds: `2025-02-03T04:05:06.789Z`.

    Raises:
        ValueError: the moment is naive, so nobody can know when it was.
    """
    if at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} names no time zone")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def semantic_version(text: str | None) -> str:
    """Return a device's own version text as a semantic version: `V1.2` -> `1.2.0`, `2.10.4b1` -> `2.10.4-b1`, none -> `0.0.0`.

    The hub takes no other from Model API version 1.0.4 on (section 0.2). What is one already stays as it is; of all others the
    first dotted number is the version and what follows it the pre-release, so that the same text always gives the same version.
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
    """Return a body as JSON, whatever a configuration or an adapter put into it: no NaN, no lone surrogate, no foreign type."""
    try:
        return _dumped(body)
    except (TypeError, ValueError):  # one of those three is in it
        return _dumped(_plain(body))


def _dumped(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {_whole(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else _whole(str(value))


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:STRING_BYTES].decode("utf-8", "ignore")


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _without_zeros(identifier: str) -> str:
    """A numeric identifier has no leading zeros (Semantic Versioning 2.0.0, items 2 and 9)."""
    return identifier.lstrip("0") or "0" if identifier.isdigit() else identifier
