"""The words of which profile files and service files are made. Nothing here waits."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from adapters.ble.advertisements.advertisement import full_uuid


class Part(BaseModel):
    """A table of a file: unknown keys are errors, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def hex_bytes(written: object) -> object:
    """Return the bytes that a text of hexadecimal digits stands for; anything else as it is.

    Raises:
        ValueError: the text is none of hexadecimal digits.
    """
    if not isinstance(written, str):
        return written
    try:
        return bytes.fromhex(written)
    except ValueError as error:
        raise ValueError(f"{written!r} is no sequence of bytes: they are written as pairs of hexadecimal digits") from error


def short_uuid(uuid: str) -> str:
    """Return the four digits of a uuid that the Bluetooth SIG has assigned, and any other as it is."""
    return uuid[4:8] if uuid == full_uuid(uuid[4:8]) else uuid


def _as_tuple(written: object) -> object:
    return (written,) if isinstance(written, str) else written


Uuid: TypeAlias = Annotated[str, AfterValidator(full_uuid)]
"""Written with 4, 8 or 32 digits; kept in full."""

Services: TypeAlias = Annotated[tuple[Uuid, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
"""One service, or several of which the device has one: firmware versions name the same thing differently."""

Bytes: TypeAlias = Annotated[bytes, BeforeValidator(hex_bytes)]
"""Written as hexadecimal digits."""

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
