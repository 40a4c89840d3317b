"""Define the types of values in profile and service files. Pure."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from adapters.ble.advertisements.advertisement import full_uuid


class FrozenTable(BaseModel):
    """A table of a file: unknown keys are errors, and it does not change after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def hex_bytes(value: object) -> object:
    """Return the bytes of a text of hexadecimal digits; anything else as it is.

    Raises:
        ValueError: the text does not consist of hexadecimal digits.
    """
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a sequence of bytes: write pairs of hexadecimal digits") from error


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Uuid: TypeAlias = Annotated[str, AfterValidator(full_uuid)]
"""Written with 4, 8 or 32 digits; stored in its full form."""

Services: TypeAlias = Annotated[
    tuple[Uuid, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]), Field(min_length=1)
]
"""One service, or several of which the device has one: they differ between firmware versions."""

Bytes: TypeAlias = Annotated[bytes, BeforeValidator(hex_bytes)]
"""Written as hexadecimal digits."""

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
