"""Define the keys that say where a value is in a payload and how it is encoded, in files of profiles and advertisers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from adapters.ble.advertisements.formats import INTEGERS, NUMBERS, TEXTS, Encoding, Flags, Format, size_of
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable
from gateway.adapter import table_check


class OtherUnit(FrozenTable):
    """The unit in which a value is when a bit of the flags is set, converted to that of the point."""

    bit: int = Field(ge=0, le=7)
    scale: float = Field(description="the value is raw x scale + offset")
    offset: float = 0.0

    @table_check
    def _has_a_scale(self) -> None:
        if self.scale == 0:
            raise ValueError("`scale` cannot be 0")


class FlagRules(FrozenTable):
    """The byte of flags in a payload: they say which fields follow, and in which unit."""

    at: int = Field(default=0, ge=0, le=511, description="the offset of the flags")
    present: int | None = Field(
        default=None,
        ge=0,
        le=63,
        description="the value is there when this bit is set; bit 8 is in the next byte; left out: always",
    )
    at_least: int | None = Field(
        default=None, ge=1, le=255, description="the byte counts the values of a list: this one is there when it is at least this"
    )
    before: dict[Annotated[int, Field(ge=0, le=7)], Annotated[int, Field(ge=1, le=64)]] = Field(
        default_factory=dict, description="bit -> bytes that stand before the value when it is set: `{ 1 = 7 }`"
    )
    other_unit: OtherUnit | None = Field(default=None, description="the value is in another unit when a bit is set")

    @table_check
    def _says_one_thing(self) -> None:
        if self.at_least is not None and (self.present is not None or self.before or self.other_unit is not None):
            raise ValueError("the byte of `at_least` is a number: it has no `present`, `before` or `other_unit`")

    @property
    def flags(self) -> Flags:
        """The rules for `formats`."""
        other = self.other_unit or OtherUnit(bit=0, scale=1.0)
        return Flags(
            at=self.at,
            present=self.present,
            at_least=self.at_least,
            before=self.before,
            other_unit=None if self.other_unit is None else other.bit,
            other_scale=other.scale,
            other_offset=other.offset,
        )


class ValueLayout(FrozenTable):
    """The encoding of a value in a payload: that of a characteristic, or a part of an advertisement."""

    format: Format = Format.UINT8
    at: int = Field(default=0, ge=0, le=511, description="the offset of its first byte; 0 is the first")
    length: int | None = Field(default=None, ge=1, le=512, description="bytes of a text; left out: to the end of the payload")
    byte_order: Literal["little", "big"] = "little"
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        default=None,
        description="[first bit, number of bits] of a whole number; bit 0 is the lowest; in a sint format, the last is the sign",
    )
    scale: float = 1.0
    offset: float = 0.0
    values: dict[int, str] = Field(default_factory=dict, description="the meanings of numbers")
    not_available: frozenset[int] = Field(default=frozenset(), description="raw numbers that mean that there is no value")
    valid: tuple[float, float] | None = Field(
        default=None,
        description="[lowest, highest] raw number that is a value; others mean that there is none; left out: by unit",
    )
    starts_with: Bytes = Field(default=b"", description="only payloads with these first bytes contain the value: `01ff`")

    flags: FlagRules | None = Field(default=None, description="the flags in the payload that move the value or change its unit")

    @property
    def encoding(self) -> Encoding:
        """The encoding for `formats`."""
        return Encoding(
            format=self.format,
            at=self.at,
            length=self.length,
            big_endian=self.byte_order == "big",
            bits=self.bits,
            scale=self.scale,
            offset=self.offset,
            values=self.values,
            not_available=self.not_available,
            valid=self.valid,
            starts_with=self.starts_with,
            flags=None if self.flags is None else self.flags.flags,
        )

    @property
    def _is_one_bit(self) -> bool:
        return self.bits is not None and self.bits[1] == 1

    @table_check
    def _suits_its_format(self) -> Iterator[str]:
        if self.length is not None and self.format not in TEXTS:
            yield f"`length` is for texts (utf8, hex, dotted), not for {self.format}"
        if self.bits is not None and self.format not in INTEGERS:
            yield f"`bits` is for whole numbers, not for {self.format}"
        if self.bits is not None and sum(self.bits) > 8 * (size_of(self.format) or 0):
            yield f"bits {list(self.bits)} exceed the {8 * (size_of(self.format) or 0)} bits of {self.format}"
        if self.valid is not None and (self.format not in NUMBERS or self.valid[0] > self.valid[1]):
            yield "`valid` is [lowest, highest], for numbers only"
        if (self.values or self.not_available) and self.format not in INTEGERS:
            yield f"`values` and `not_available` are for whole numbers, not for {self.format}"

    @table_check
    def _scales_numbers_only(self) -> Iterator[str]:
        is_scaled = self.scale != 1 or self.offset != 0
        if is_scaled and (self.values or self._is_one_bit or self.format not in NUMBERS):
            yield "`scale` and `offset` are for numbers, not for values, single bits, texts or special formats"
        if self.flags is not None and self.flags.other_unit is not None and self.format not in NUMBERS:
            yield "`other_unit` is for numbers"
        if self.scale == 0:
            yield "`scale` cannot be 0"
