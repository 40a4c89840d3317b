"""Read the fields of data in which each stands behind the one before: fields that flags announce, and fields with a tag. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from adapters.ble.advertisements.layout_values import LayoutValue
from adapters.ble.advertisements.special_formats import first_bytes
from adapters.ble.advertisements.toml_types import FrozenTable


class SequenceField(FrozenTable):
    """A field: what announces it, its length, and the values in it, whose offsets count from its first byte."""

    flag: int | None = Field(default=None, ge=0, le=63, description="the bit of the flags that says that the field is there")
    tag: int | None = Field(default=None, ge=0, le=255, description="the byte before the field that says which one it is")
    length: int | None = Field(default=None, ge=1, le=255, description="its number of bytes, where the data does not say it")
    values: tuple[LayoutValue, ...] = Field(default=(), description="none: the field is skipped")


class Sequence(FrozenTable):
    """Fields that stand one behind the other."""

    at: int = Field(ge=0, le=255, description="the offset of the first one")
    flags_at: int | None = Field(default=None, ge=0, le=255, description="the offset of the flags that announce the fields")
    flags_bytes: int = Field(default=1, ge=1, le=8, description="the number of bytes of the flags, the lowest first")
    tags: Literal["tag", "length, tag"] | None = Field(
        default=None, description="what stands before each field: its tag, or the number of bytes that follow and its tag"
    )
    lengths_by_tag: tuple[Annotated[int, Field(ge=1, le=255)], ...] = Field(
        default=(), max_length=4, description="the two highest bits of a tag choose the length of its field among these"
    )
    behind: int = Field(default=0, ge=0, le=255, description="the number of bytes behind the last field: a signature, a checksum")
    fields: tuple[SequenceField, ...] = Field(min_length=1)

    _by_tag: Mapping[int, SequenceField] = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Index the fields once."""
        self._by_tag = {field.tag: field for field in self.fields if field.tag is not None}

    @model_validator(mode="after")
    def _announces_its_fields_in_one_way(self) -> Self:
        if (self.flags_at is None) == (self.tags is None):
            raise ValueError("a sequence has either `flags_at`, where its flags are, or `tags`")
        for field in self.fields:
            if (field.flag is None) != (self.flags_at is None) or (field.tag is None) != (self.tags is None):
                raise ValueError("each field has a `flag` where the sequence has `flags_at`, and a `tag` where it has `tags`")
            if (field.length is None) != (self.tags == "length, tag" or bool(self.lengths_by_tag)):
                raise ValueError("a field has a `length` where the data does not say it, and only there")
        if self.lengths_by_tag and self.tags != "tag":
            raise ValueError('`lengths_by_tag` is for tags = "tag"')
        return self

    def found(self, payload: bytes) -> Iterator[tuple[SequenceField, bytes]]:
        """Yield each known field of a payload and its bytes; nothing behind a field of unknown length.

        Raises:
            PayloadTooShort: the payload ends before a field does.
        """
        return self._flagged(payload) if self.tags is None else self._tagged(payload)

    def _flagged(self, payload: bytes) -> Iterator[tuple[SequenceField, bytes]]:
        flags = int.from_bytes(first_bytes(payload[self.flags_at or 0 :], self.flags_bytes), "little")
        at = self.at
        for field in self.fields:
            if flags >> (field.flag or 0) & 1:
                yield field, first_bytes(payload[at:], field.length)
                at += field.length or 0

    def _tagged(self, payload: bytes) -> Iterator[tuple[SequenceField, bytes]]:
        left = payload[self.at : len(payload) - self.behind]
        while left:
            length: int | None = None
            if self.tags == "length, tag":
                length, left = left[0] - 1, left[1:]
            tag, left = first_bytes(left, 1)[0], left[1:]
            field = self._by_tag.get(tag)
            if length is None:
                length = self._length_of(tag, field)
            if length is None or length < 0:
                return
            if field is not None:
                yield field, first_bytes(left, length)
            left = left[length:]

    def _length_of(self, tag: int, field: SequenceField | None) -> int | None:
        if not self.lengths_by_tag:
            return None if field is None else field.length
        size = tag >> 6
        return self.lengths_by_tag[size] if size < len(self.lengths_by_tag) else None
