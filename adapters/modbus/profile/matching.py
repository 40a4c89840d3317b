"""How a device is known and who it is, as data: the part of a profile that an interview goes by. Nothing here waits."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from adapters.modbus.client.pdu import ADDRESSES, MAX_REGISTERS, Table
from adapters.modbus.profile.points import NUMBER_FORMATS, TEXTS, UNSIGNED, Encoding, ValueType, number_words


class Part(BaseModel):
    """A part of a profile: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern: TypeAlias = Annotated[str, Field(min_length=1)]
"""A regular expression that must match the whole text, ignoring case."""


class ValueRule(Part):
    """How a value lies in registers."""

    type: ValueType = ValueType.UINT16
    length: int | None = Field(default=None, ge=1, le=MAX_REGISTERS, description="registers of a text, bcd or hex value")
    word_order: Literal["high-first", "low-first"] = "high-first"
    byte_order: Literal["high-first", "low-first"] = "high-first"
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        default=None, description="[first bit, how many] of an unsigned number; bit 0 is the lowest"
    )
    values: dict[int, str] = Field(default_factory=dict, description="what the numbers mean")
    not_available: frozenset[int] = Field(default=frozenset(), description="raw numbers that say that there is no value")

    @property
    def words(self) -> int:
        """How many registers the value takes, or bits in a bit table."""
        return number_words(self.type) if self.type in NUMBER_FORMATS else self.length or 1

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.type in TEXTS or self.type is ValueType.BCD) != (self.length is not None):
            raise ValueError("`length` belongs to string, hex, dotted and bcd values, and only to them")
        if self.bits is not None and self.type not in UNSIGNED:
            raise ValueError(f"bits are taken from an unsigned number, not from {self.type}")
        if self.bits is not None and sum(self.bits) > 16 * self.words:
            raise ValueError(f"bits {list(self.bits)} go beyond the {16 * self.words} bits of {self.type}")
        return self

    def encoding(self, *, scale: float = 1.0, offset: float = 0.0, not_available: frozenset[int] = frozenset()) -> Encoding:
        """Return what `registers` decodes by."""
        return Encoding(
            type=self.type,
            words=self.words,
            low_word_first=self.word_order == "low-first",
            low_byte_first=self.byte_order == "low-first",
            bits=self.bits,
            scale=scale,
            offset=offset,
            values=self.values,
            not_available=self.not_available | not_available,
        )


class RegisterOrigin(ValueRule):
    """A value at an address, read once to learn who the device is."""

    table: Literal[Table.HOLDING, Table.INPUT] = Table.HOLDING
    address: int = Field(ge=0, lt=ADDRESSES)

    @model_validator(mode="after")
    def _ends_in_the_table(self) -> Self:
        check_end(self.address, self.words)
        return self


class ObjectOrigin(Part):
    """An object of the device identification (function 43/14)."""

    object: int = Field(ge=0, le=255)
    values: dict[str, str] = Field(default_factory=dict, description="what the texts mean; others stay as they are")


def _origin_kind(origin: object) -> str:
    keys = origin if isinstance(origin, dict) else type(origin).model_fields if isinstance(origin, BaseModel) else ()
    return "object" if "object" in keys else "register"


Origin: TypeAlias = Annotated[
    Annotated[ObjectOrigin, Tag("object")] | Annotated[RegisterOrigin, Tag("register")], Discriminator(_origin_kind)
]
"""Where one fact about the device is asked for."""


class RegisterCondition(RegisterOrigin):
    """What a register must hold. Exactly one of `equals`, `between` and `matches`."""

    equals: int | str | None = None
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    matches: Pattern | None = None

    _valid_pattern = field_validator("matches")(lambda pattern: pattern if pattern is None else _regex(pattern))

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(said is not None for said in (self.equals, self.between, self.matches)) != 1:
            raise ValueError("a register condition says exactly one of `equals`, `between` and `matches`")
        return self


class IdentificationCondition(Part):
    """What the device identification must say."""

    vendor: Pattern
    product: Pattern = ".*"

    _valid_patterns = field_validator("vendor", "product")(_regex)


class SunSpecCondition(Part):
    """What the SunSpec common model must say, and which models must be there."""

    manufacturer: Pattern = ".*"
    model: Pattern = ".*"
    any_model: frozenset[int] = Field(min_length=1, description="at least one of these models is in the device")

    _valid_patterns = field_validator("manufacturer", "model")(_regex)


class Match(Part):
    """One way to know the device: all that is said must be true."""

    identification: IdentificationCondition | None = None
    server_id: Pattern | None = Field(default=None, description="found somewhere in the answer to function 17")
    registers: tuple[RegisterCondition, ...] = ()
    sunspec: SunSpecCondition | None = None

    _valid_pattern = field_validator("server_id")(lambda pattern: pattern if pattern is None else _regex(pattern))

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.identification or self.server_id or self.registers or self.sunspec):
            raise ValueError("a match without a condition would match every device")
        return self


class WhoItIs(Part):
    """Where the device tells which one it is. A SunSpec device tells by itself, in its common model."""

    serial_number: Origin | None = None
    mac: Origin | None = Field(default=None, description="12 hexadecimal digits, with or without separators")
    firmware_version: Origin | None = None


def check_end(start: int, words: int) -> None:
    """Raise `ValueError` when a value goes beyond the last address of its table."""
    if start + words > ADDRESSES:
        raise ValueError(f"address {start} and length {words} go beyond the last address, {ADDRESSES - 1}")
