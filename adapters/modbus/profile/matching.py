"""Define the match rules and identity origins of a profile, by which a probe recognizes a device. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from adapters.modbus.client.pdu import ADDRESSES, MAX_REGISTERS, Table
from adapters.modbus.profile.points import NUMBER_FORMATS, TEXTS, UNSIGNED, Encoding, ValueType, decoded_numbers, number_words
from gateway.adapter import table_check


class StrictModel(BaseModel):
    """A table of a profile; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern: TypeAlias = Annotated[str, Field(min_length=1)]
"""A regular expression that must match the whole text, ignoring case."""


class ValueRule(StrictModel):
    """The type and order of a value in registers."""

    type: ValueType = ValueType.UINT16
    length: int | None = Field(default=None, ge=1, le=MAX_REGISTERS, description="registers of a text, bcd or hex value")
    word_order: Literal["high-first", "low-first"] = "high-first"
    byte_order: Literal["high-first", "low-first"] = "high-first"
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        default=None, description="[first bit, how many] of an unsigned number; bit 0 is the lowest"
    )
    values: dict[int, str] = Field(default_factory=dict, description="what the numbers mean")
    not_available: frozenset[int] | None = Field(
        default=None,
        description="raw numbers that say that there is no value, instead of those of its type; `[]`: all numbers are values",
    )

    @property
    def words(self) -> int:
        """The number of registers of the value; in a bit table, the number of bits."""
        return number_words(self.type) if self.type in NUMBER_FORMATS else self.length or 1

    @table_check
    def _fits_its_type(self) -> Iterator[str]:
        if (self.type in TEXTS or self.type is ValueType.BCD) != (self.length is not None):
            yield "`length` belongs to string, hex, dotted and bcd values, and only to them"
        if self.bits is not None and self.type not in UNSIGNED:
            yield f"bits are taken from an unsigned number, not from {self.type}"
        if self.bits is not None and sum(self.bits) > 16 * self.words:
            yield f"bits {list(self.bits)} go beyond the {16 * self.words} bits of {self.type}"
        if self.not_available:
            decoded_numbers(self.type, self.not_available)

    def encoding(self, *, scale: float = 1.0, offset: float = 0.0, not_available: frozenset[int] = frozenset()) -> Encoding:
        """Return the encoding for the decoder; `not_available` are the numbers of its type, where it has none of its own."""
        missing = not_available if self.not_available is None else self.not_available
        return Encoding(
            type=self.type,
            words=self.words,
            low_word_first=self.word_order == "low-first",
            low_byte_first=self.byte_order == "low-first",
            bits=self.bits,
            scale=scale,
            offset=offset,
            values=self.values,
            not_available=decoded_numbers(self.type, missing) if missing else frozenset(),
        )


class RegisterOrigin(ValueRule):
    """A value at an address that is read once to identify the device."""

    table: Literal[Table.HOLDING, Table.INPUT] = Table.HOLDING
    address: int = Field(ge=0, lt=ADDRESSES)

    @table_check
    def _ends_in_the_table(self) -> None:
        check_end(self.address, self.words)


class ObjectOrigin(StrictModel):
    """An object of the device identification (function 43/14)."""

    object: int = Field(ge=0, le=255)
    values: dict[str, str] = Field(default_factory=dict, description="what the texts mean; others stay as they are")


def _origin_kind(origin: object) -> str:
    keys = origin if isinstance(origin, dict) else type(origin).model_fields if isinstance(origin, BaseModel) else ()
    return "object" if "object" in keys else "register"


Origin: TypeAlias = Annotated[
    Annotated[ObjectOrigin, Tag("object")] | Annotated[RegisterOrigin, Tag("register")], Discriminator(_origin_kind)
]
"""The source of one identity value of the device."""


class RegisterCondition(RegisterOrigin):
    """A condition on a register: exactly one of `equals`, `between` and `matches`."""

    equals: int | str | None = None
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    matches: Pattern | None = None

    _valid_pattern = field_validator("matches")(lambda pattern: pattern if pattern is None else _regex(pattern))

    @table_check
    def _has_one_condition(self) -> None:
        if sum(condition is not None for condition in (self.equals, self.between, self.matches)) != 1:
            raise ValueError("a register condition has exactly one of `equals`, `between` and `matches`")


class IdentificationCondition(StrictModel):
    """A condition on the device identification."""

    vendor: Pattern
    product: Pattern = ".*"

    _valid_patterns = field_validator("vendor", "product")(_regex)


class SunSpecCondition(StrictModel):
    """A condition on the SunSpec common model, and on the models of the device."""

    manufacturer: Pattern = ".*"
    model: Pattern = ".*"
    any_model: frozenset[int] = Field(min_length=1, description="at least one of these models is in the device")

    _valid_patterns = field_validator("manufacturer", "model")(_regex)


class MatchRule(StrictModel):
    """One rule that recognizes the device: all its conditions must be met."""

    identification: IdentificationCondition | None = None
    server_id: Pattern | None = Field(default=None, description="found somewhere in the answer to function 17")
    registers: tuple[RegisterCondition, ...] = ()
    sunspec: SunSpecCondition | None = None

    _valid_pattern = field_validator("server_id")(lambda pattern: pattern if pattern is None else _regex(pattern))

    @table_check
    def _has_a_condition(self) -> None:
        if not (self.identification or self.server_id or self.registers or self.sunspec):
            raise ValueError("a match without a condition would match every device")


class IdentityOrigins(StrictModel):
    """The origins of serial number, MAC and firmware version. A SunSpec device has them in its common model."""

    serial_number: Origin | None = None
    mac: Origin | None = Field(default=None, description="12 hexadecimal digits, with or without separators")
    firmware_version: Origin | None = None


def check_end(start: int, words: int) -> None:
    """Raise `ValueError` when a value extends beyond the last address of its table."""
    if start + words > ADDRESSES:
        raise ValueError(f"address {start} and length {words} go beyond the last address, {ADDRESSES - 1}")
