"""Define the keys that say where a value is in a payload and how it is encoded, in files of profiles and advertisers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from adapters.ble.advertisements.formats import INTEGERS, NUMBERS, TEXTS, UNSIGNED, Encoding, Format, size_of
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable
from gateway.adapter import table_check


class ValueLayout(FrozenTable):
    """The encoding of a value in a payload: that of a characteristic, or a part of an advertisement."""

    format: Format = Format.UINT8
    at: int = Field(default=0, ge=0, le=511, description="the offset of its first byte; 0 is the first")
    length: int | None = Field(default=None, ge=1, le=512, description="bytes of a text; left out: to the end of the payload")
    byte_order: Literal["little", "big"] = "little"
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        default=None, description="[first bit, number of bits] of an unsigned number; bit 0 is the lowest"
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
        )

    @table_check
    def _suits_its_format(self) -> Iterator[str]:
        if self.length is not None and self.format not in TEXTS:
            yield f"`length` is for texts (utf8, hex, dotted), not for {self.format}"
        if self.bits is not None and self.format not in UNSIGNED:
            yield f"`bits` is for unsigned numbers, not for {self.format}"
        if self.bits is not None and sum(self.bits) > 8 * (size_of(self.format) or 0):
            yield f"bits {list(self.bits)} exceed the {8 * (size_of(self.format) or 0)} bits of {self.format}"
        if self.valid is not None and (self.format not in NUMBERS or self.valid[0] > self.valid[1]):
            yield "`valid` is [lowest, highest], for numbers only"
        if (self.values or self.not_available) and self.format not in INTEGERS:
            yield f"`values` and `not_available` are for whole numbers, not for {self.format}"

    @table_check
    def _scales_numbers_only(self) -> Iterator[str]:
        is_scaled = self.scale != 1 or self.offset != 0
        if is_scaled and (self.values or self.bits or self.format not in NUMBERS):
            yield "`scale` and `offset` are for plain numbers, not for values, bits, texts or special formats"
        if self.scale == 0:
            yield "`scale` cannot be 0"
