"""Where frames begin and end on a line, as data: the `[framing]` table of a profile. Nothing here waits.

What framing knows of, it takes away: the *payload* of a frame is what is left without start, sync bytes, length, checksum and
end. `wrap` puts them around a payload again, so that requests and answers need not speak of them. What makes frames of the bytes
that come is in `framer.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from adapters.serial.framing.checksums import Checksum, Written, named
from adapters.serial.framing.notation import HexBytes, Part, SomeTextBytes, TextBytes

LONGEST = 1024
"""A frame has no more bytes, where a profile does not say otherwise: what goes on longer is cut, so that a line that never ends
does not fill the memory."""

PAUSE = 0.5
"""Seconds after which a binary frame that does not go on is given up, where a profile does not say otherwise: noise that looks
like the beginning of a long frame would hold back the frames behind it."""


class ChecksumRule(Part):
    """A checksum: which one, how it is written, and of which bytes."""

    name: str = Field(description="`sum8`, `lrc`, `xor`, `crc16-arc`, ...")
    written: Written | None = Field(
        default=None, description="`little` or `big` end first, or `hex` digits; may be left out for one byte"
    )
    with_start: bool = Field(default=False, description="true: the start or the sync bytes are summed up, too")
    skip: int = Field(default=0, ge=0, le=64, description="bytes at the beginning that are not summed up")

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return named(name).name

    @model_validator(mode="after")
    def _says_how_it_is_written(self) -> Self:
        if self.written is None and self.checksum.size > 1:
            raise ValueError(f"say how the {self.checksum.size} bytes of {self.name} are `written`: little, big or hex")
        return self

    @property
    def checksum(self) -> Checksum:
        """What computes it."""
        return named(self.name)

    @property
    def length(self) -> int:
        """How many characters it takes in a frame."""
        return self.checksum.length(self._written)

    def write(self, start: bytes, covered: bytes) -> bytes:
        """Return what stands in a frame that begins with `start` and goes on with these bytes."""
        return self.checksum.write(self._summed(start, covered), self._written)

    def agrees(self, start: bytes, covered: bytes, told: bytes) -> bool:
        """Say whether `told` is the checksum of a frame that begins with `start` and goes on with these bytes."""
        return self.checksum.agrees(self._summed(start, covered), told, self._written)

    def _summed(self, start: bytes, covered: bytes) -> bytes:
        return ((start if self.with_start else b"") + covered)[self.skip :]

    @property
    def _written(self) -> Written:
        return self.written or "big"


class EnclosedChecksum(ChecksumRule):
    """A checksum of a frame that has an end of its own: before the end, or behind it."""

    place: Literal["before-end", "after-end"] = "before-end"
    with_end: bool = Field(default=False, description="true: the end is summed up, too")
    separator: TextBytes = Field(
        default=b"", description="what stands before the checksum and is not summed up: `*` in NMEA 0183"
    )
    optional: bool = Field(default=False, description="true: some devices send none, and that is no mistake")

    @model_validator(mode="after")
    def _can_be_missed(self) -> Self:
        if self.optional and self.place == "before-end" and not self.separator:
            raise ValueError("whether an `optional` checksum before the end is there is told by its `separator`: say which")
        return self


class _Framing(Part):
    longest: int = Field(default=LONGEST, ge=1, le=65536, description="bytes of a frame at most; what goes on longer is cut")
    pause: float | None = Field(
        default=None, gt=0, le=60, description="seconds after which a frame that does not go on is given up; left out: never"
    )


class Enclosed(_Framing):
    """Frames with an end, and maybe a start: lines, blocks, telegrams."""

    start: TextBytes = Field(default=b"", description="what a frame begins with; left out: with what follows the end of another")
    end: SomeTextBytes = Field(description="what a frame ends with; of several, any")
    escape: TextBytes = Field(
        default=b"", max_length=1, description="the byte that says that the next one is meant literally (DLE)"
    )
    escape_xor: int = Field(default=0, ge=0, le=255, description="what an escaped byte was changed by: 32 in HDLC-like framing")
    checksum: EnclosedChecksum | None = None
    tail: TextBytes = Field(default=b"", description="what is sent behind the end and the checksum, and is expected from nobody")
    restarts: bool = Field(default=True, description="false: the start may also stand in the middle of a frame")

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        for one in self.end:
            if any(one != other and other.startswith(one) for other in self.end):
                raise ValueError("of two ends one begins like the other; the shorter one is enough, empty frames do not count")
            if self.start and (one in self.start or self.start in one):
                raise ValueError(
                    "start and end must not be a part of each other; of frames with one mark in between, say the `end`"
                )
        marks = [mark for mark in (self.start, *self.end) if mark]
        if self.escape and any(len(mark) > 2 or mark.endswith(self.escape) for mark in marks):
            raise ValueError("with an `escape`, start and end have one or two bytes, and the escape is not the last of them")
        rule = self.checksum
        if rule is not None and rule.optional and rule.place == "after-end" and not (self.tail or self.start):
            raise ValueError("whether an `optional` checksum behind the end is there is told by the `tail`: say which")
        return self

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload, tail included.

        Raises:
            ValueError: the payload holds a start or an end, so it would be cut.
        """
        end, rule = self.end[0], self.checksum
        if not self.escape and any(mark in payload for mark in (*self.end, self.start if self.restarts else b"") if mark):
            raise ValueError("the payload holds what a frame begins or ends with")
        body, behind = payload, self.tail
        if rule is not None:
            told = rule.separator + rule.write(self.start, payload + (end if rule.with_end else b""))
            body, behind = (payload + told, self.tail) if rule.place == "before-end" else (payload, told + self.tail)
        return self.start + self._escaped(body) + end + behind

    def unescape(self, body: bytes) -> bytes:
        """Return what stood between start and end before it was escaped."""
        if not self.escape or self.escape not in body:
            return body
        return re.sub(re.escape(self.escape) + b"(.)", lambda pair: bytes([pair[1][0] ^ self.escape_xor]), body, flags=re.DOTALL)

    def _escaped(self, body: bytes) -> bytes:
        if not self.escape:
            return body
        special = {mark[-1:] if mark[:1] != self.escape else self.escape for mark in (self.start, *self.end, self.escape) if mark}
        pattern = b"|".join(re.escape(one) for one in sorted(special))
        return re.sub(pattern, lambda one: self.escape + bytes([one[0][0] ^ self.escape_xor]), body)


class Delimited(Enclosed):
    """Lines: text up to a carriage return, or whatever ends it."""

    kind: Literal["delimiter"]


class StxEtx(Enclosed):
    """Blocks between STX and ETX."""

    kind: Literal["stx-etx"]
    start: TextBytes = b"\x02"
    end: SomeTextBytes = (b"\x03",)


class Telegram(Enclosed):
    """Telegrams of many lines, from `/` to `!` and a CRC, as a meter's P1 port tells them (DSMR 4 and later)."""

    kind: Literal["telegram"]
    start: TextBytes = b"/"
    end: SomeTextBytes = (b"!",)
    checksum: EnclosedChecksum | None = EnclosedChecksum(
        name="crc16-arc", written="hex", with_start=True, with_end=True, place="after-end", optional=True
    )
    tail: TextBytes = b"\r\n"
    restarts: bool = False
    longest: int = Field(default=8192, ge=1, le=65536, description="bytes of a frame at most; what goes on longer is cut")


class JsonLines(Enclosed):
    """A JSON object a line; lines that are none are thrown away."""

    kind: Literal["json-lines"]
    end: SomeTextBytes = (b"\n", b"\r")
    longest: int = Field(default=8192, ge=1, le=65536, description="bytes of a frame at most; what goes on longer is cut")


class _Synced(_Framing):
    """Binary frames that begin with known bytes and tell by length where they end."""

    sync: HexBytes = Field(default=b"", max_length=8, description="the bytes that each frame begins with, as `AA 55`")
    checksum: ChecksumRule | None = Field(default=None, description="the last bytes of the frame, before its `end`")
    end: HexBytes = Field(default=b"", max_length=8, description="the bytes that each frame ends with, as `16` in M-Bus")
    pause: float | None = Field(
        default=PAUSE, gt=0, le=60, description="seconds after which a frame that does not go on is given up"
    )

    @property
    def around(self) -> int:
        """How many bytes sync, checksum and end have together."""
        return len(self.sync) + (self.checksum.length if self.checksum is not None else 0) + len(self.end)

    def _closed(self, body: bytes) -> bytes:
        return self.sync + body + (self.checksum.write(self.sync, body) if self.checksum is not None else b"") + self.end


class Fixed(_Synced):
    """Frames that all have the same length."""

    kind: Literal["fixed"]
    length: int = Field(ge=1, le=65536, description="bytes of the whole frame")

    @model_validator(mode="after")
    def _has_a_payload(self) -> Self:
        if not self.around < self.length <= self.longest:
            raise ValueError(f"`length` is that of the whole frame: more than {self.around}, at most `longest`, {self.longest}")
        return self

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload.

        Raises:
            ValueError: the payload is not as long as it has to be.
        """
        if len(payload) != self.length - self.around:
            raise ValueError(f"its payload has {self.length - self.around} bytes, not {len(payload)}")
        return self._closed(payload)


class LengthPrefixed(_Synced):
    """Frames that say how long they are."""

    kind: Literal["length"]
    at: int = Field(ge=0, le=64, description="where the length stands; the first byte of the frame is 0")
    width: Literal[1, 2, 3, 4] = 1
    byte_order: Literal["little", "big"] = "big"
    uncounted: int = Field(
        ge=-8, le=255, description="bytes of the whole frame that the length does not count: sync, itself, checksum, ..."
    )

    @model_validator(mode="after")
    def _comes_behind_the_sync(self) -> Self:
        if self.at < len(self.sync):
            raise ValueError(f"the length at byte {self.at} would be within the {len(self.sync)} sync bytes")
        return self

    @property
    def head(self) -> int:
        """How many bytes a frame has up to its length."""
        return self.at + self.width

    @property
    def shortest(self) -> int:
        """How many bytes a frame has at least."""
        return self.at - len(self.sync) + self.width + self.around

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload, its length put in where it belongs.

        Raises:
            ValueError: the payload does not reach up to the length, or is longer than can be told.
        """
        before = self.at - len(self.sync)
        total = len(payload) + self.width + self.around
        if len(payload) < before:
            raise ValueError(f"its payload has at least {before} bytes, which stand before the length")
        if total > self.longest or not 0 <= total - self.uncounted < 256**self.width:
            raise ValueError(f"a frame of {total} bytes is longer than the frame can tell or may be")
        told = (total - self.uncounted).to_bytes(self.width, self.byte_order)
        return self._closed(payload[:before] + told + payload[before:])


class Silence(_Framing):
    """Frames with a silence between them, and nothing else to tell where they end."""

    kind: Literal["silence"]
    characters: float = Field(default=3.5, gt=0, le=1000, description="how long the silence is, in characters of the line")
    at_least: float = Field(
        default=0.03, ge=0, le=60, description="but no shorter than this, in seconds: adapters hold bytes back for up to 16 ms"
    )
    checksum: ChecksumRule | None = Field(default=None, description="the last bytes of the frame")

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload."""
        return payload + (self.checksum.write(b"", payload) if self.checksum is not None else b"")


Framing: TypeAlias = Annotated[
    Delimited | StxEtx | Telegram | JsonLines | Fixed | LengthPrefixed | Silence, Field(discriminator="kind")
]
"""How the bytes of a line are cut into frames."""
