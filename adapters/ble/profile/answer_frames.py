"""Put the answer to a request together from notifications, and check it. Pure.

Devices behind a serial bridge send a stream of bytes: one notification may hold a part of an answer, or the end of one and the
beginning of the next, with other bytes in between. An answer is searched for by its first bytes, and what is damaged is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from adapters.ble.advertisements.toml_types import Bytes, FrozenTable, hex_bytes
from gateway.adapter import table_check

MOST_BYTES = 4096
"""Bytes that are kept while an answer is not complete; the oldest are dropped."""

ByteOrder = Literal["little", "big"]


def _crc16_modbus(covered: bytes) -> int:
    crc = 0xFFFF
    for byte in covered:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


class Checksum(NamedTuple):
    """A checksum algorithm: its bytes, their order, and how it is computed."""

    size: int
    order: ByteOrder
    compute: Callable[[bytes], int]


CHECKSUMS: Mapping[str, Checksum] = {
    "sum8": Checksum(1, "big", lambda covered: sum(covered) & 0xFF),
    "negative-sum16": Checksum(2, "big", lambda covered: -sum(covered) & 0xFFFF),
    "crc16-modbus": Checksum(2, "little", _crc16_modbus),
}
"""All checksum algorithms by name; `negative-sum16` is the two's complement of the sum."""


class ChecksumRule(FrozenTable):
    """The checksum of an answer."""

    kind: str = Field(description="sum8, negative-sum16 or crc16-modbus")
    covers: tuple[int, int] = Field(
        default=(0, -1), description="[first, end]: the bytes that it covers; it stands at `end`, counted from the last byte: -2"
    )

    @table_check
    def _has_a_place(self) -> Iterator[str]:
        if self.kind not in CHECKSUMS:
            yield f"there is no checksum {self.kind!r}; there are {', '.join(CHECKSUMS)}"
        elif self.covers[0] < 0 or self.covers[1] > -CHECKSUMS[self.kind].size:
            yield f"`covers` is [first, end], with an end of {-CHECKSUMS[self.kind].size} or less, where the checksum begins"

    def is_right(self, frame: bytes) -> bool:
        """Return whether the checksum in this frame is the one of its bytes."""
        first, end = self.covers
        size, order, compute = CHECKSUMS[self.kind]
        at = len(frame) + end
        return at >= first and int.from_bytes(frame[at : at + size], order) == compute(frame[first:at])


class LengthField(FrozenTable):
    """The byte of an answer that says how long it is."""

    at: int = Field(ge=0, le=63, description="its offset")
    plus: int = Field(default=0, ge=0, le=63, description="the bytes of the answer beside those that it counts")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, or a refusal."""

    content: bytes
    """The answer from its first byte on, without its checksum."""
    refusal: str | None = None
    """The reason of the device for a refusal; `None` for an answer."""


class AnswerRule(FrozenTable):
    """The form of an answer: its beginning, its length and its checksum."""

    starts_with: Bytes = Field(default=b"", description="its first bytes: `dd03`")
    length: int | LengthField | None = Field(
        default=None, description="its bytes, or where it says them; left out: each notification is an answer"
    )
    checksum: ChecksumRule | None = Field(default=None, description="its checksum; what has another one is damaged")
    refused: dict[str, str] = Field(
        default_factory=dict, description="the first bytes of what the device sends instead, and their meanings"
    )

    @field_validator("refused")
    @classmethod
    def _are_bytes(cls, refused: dict[str, str]) -> dict[str, str]:
        for beginning in refused:
            hex_bytes(beginning)
        return refused

    @table_check
    def _can_be_found(self) -> Iterator[str]:
        if self.length is not None and not self.starts_with:
            yield "an answer with a `length` is found by its first bytes: `starts_with`"
        if isinstance(self.length, int) and not 1 <= self.length <= MOST_BYTES:
            yield f"`length` is a number of bytes from 1 to {MOST_BYTES}"

    @property
    def beginnings(self) -> Sequence[bytes]:
        """The first bytes of answers, and those of refusals."""
        return [self.starts_with, *map(bytes.fromhex, self.refused)]

    def refusal_in(self, payload: bytes) -> Answer | None:
        """Return the refusal at the beginning of a payload; `None` where there is none."""
        refusals = (meaning for beginning, meaning in self.refused.items() if payload.startswith(bytes.fromhex(beginning)))
        return next((Answer(payload, meaning) for meaning in refusals), None)

    def content_of(self, frame: bytes) -> bytes:
        """Return the part of an answer that has values: without its checksum and what follows it."""
        return frame if self.checksum is None else frame[: self.checksum.covers[1]]


class AnswerAssembler:
    """Finds one answer in the notifications that follow a request."""

    def __init__(self, rule: AnswerRule) -> None:
        self._rule = rule
        self._beginnings = rule.beginnings
        self._buffer = b""
        self.damaged = 0
        """The number of answers with a wrong checksum."""

    def feed(self, notification: bytes) -> Answer | None:
        """Take a notification, and return the answer or the refusal that it completes; `None` while there is none."""
        if self._rule.length is None:
            return self._whole(notification)
        self._buffer = (self._buffer + notification)[-MOST_BYTES:]
        while (at := self._next_beginning()) is not None:
            self._buffer = self._buffer[at:]
            refusal = self._rule.refusal_in(self._buffer)
            if refusal is not None:
                self._buffer = b""
                return refusal
            if not self._buffer.startswith(self._rule.starts_with) or (length := self._length()) is None:
                return None
            if len(self._buffer) < length:
                return None
            frame = self._buffer[:length]
            if self._rule.checksum is None or self._rule.checksum.is_right(frame):
                self._buffer = self._buffer[length:]
                return Answer(self._rule.content_of(frame))
            self.damaged += 1
            self._buffer = self._buffer[1:]
        return None

    def _whole(self, notification: bytes) -> Answer | None:
        """Return the answer that is one notification."""
        if (refusal := self._rule.refusal_in(notification)) is not None:
            return refusal
        if not notification.startswith(self._rule.starts_with):
            return None
        if self._rule.checksum is not None and not self._rule.checksum.is_right(notification):
            self.damaged += 1
            return None
        return Answer(self._rule.content_of(notification))

    def _next_beginning(self) -> int | None:
        """Return where an answer or a refusal begins, perhaps only with the last bytes so far; drop the rest where none does."""
        for at in range(len(self._buffer)):
            rest = self._buffer[at:]
            if any(rest.startswith(one) or one.startswith(rest) for one in self._beginnings):
                return at
        self._buffer = b""
        return None

    def _length(self) -> int | None:
        """Return the length of the answer at the beginning of the buffer; `None` while that is not received."""
        length = self._rule.length
        if isinstance(length, LengthField):
            return None if len(self._buffer) <= length.at else self._buffer[length.at] + length.plus
        return length
