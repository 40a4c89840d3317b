"""Define frame formats, the `[framing]` table of a profile, and wrap payloads into frames. Pure.

The *payload* of a frame is what is left without start, sync bytes, length, checksum and end. `wrap` puts them around a payload,
so that the templates of requests and answers need not contain them. `framer.py` finds frames in received bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from adapters.serial.framing.checksums import Checksum, ChecksumFormat, checksum_named
from adapters.serial.framing.notation import HexBytes, ProfileTable, TextBytes, TextBytesOptions
from gateway.adapter import table_check

DEFAULT_LONGEST = 1024
"""Default maximum bytes of a frame: a longer one is discarded, so that an endless line does not fill the memory."""

DEFAULT_PAUSE = 0.5
"""Default for the seconds after which an incomplete binary frame is given up: noise that looks like the beginning of a long frame
would hold back the frames behind it."""


class ChecksumRule(ProfileTable):
    """Checksum of a frame: its algorithm, its encoding and the bytes that it covers."""

    name: str = Field(description="`sum8`, `lrc`, `xor`, `crc16-arc`, ...")
    written: ChecksumFormat | None = Field(
        default=None, description="`little` or `big` end first, or `hex` digits; may be left out for one byte"
    )
    with_start: bool = Field(default=False, description="true: it covers the start or the sync bytes, too")
    skip: int = Field(default=0, ge=0, le=64, description="bytes at the beginning that it does not cover")

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return checksum_named(name).name

    @table_check
    def _has_an_encoding(self) -> None:
        if self.written is None and self.checksum.size > 1:
            raise ValueError(f"{self.name} has {self.checksum.size} bytes, so `written` is needed: little, big or hex")

    @cached_property
    def checksum(self) -> Checksum:
        """The checksum algorithm."""
        return checksum_named(self.name)

    @cached_property
    def length(self) -> int:
        """Its length in a frame, in bytes."""
        return self.checksum.length(self._written)

    def write(self, start: bytes, covered: bytes) -> bytes:
        """Return the encoded checksum of a frame with this start and these following bytes."""
        return self.checksum.write(self._covered(start, covered), self._written)

    def matches(self, start: bytes, covered: bytes, received: bytes) -> bool:
        """Return whether `received` is the checksum of a frame with this start and these following bytes."""
        return self.checksum.matches(self._covered(start, covered), received, self._written)

    def _covered(self, start: bytes, covered: bytes) -> bytes:
        return ((start if self.with_start else b"") + covered)[self.skip :]

    @property
    def _written(self) -> ChecksumFormat:
        return self.written or "big"


class DelimitedChecksum(ChecksumRule):
    """Checksum of a delimited frame: before its end mark or after it."""

    place: Literal["before-end", "after-end"] = "before-end"
    with_end: bool = Field(default=False, description="true: it covers the end mark, too")
    separator: TextBytes = Field(
        default=b"", description="the bytes before the checksum that it does not cover: `*` in NMEA 0183"
    )
    optional: bool = Field(
        default=False, description="true: some devices send no checksum; required on a line as soon as a frame has one"
    )

    @table_check
    def _can_recognize_its_absence(self) -> None:
        if self.optional and self.place == "before-end" and not self.separator:
            raise ValueError("an `optional` checksum before the end is recognized by its `separator`: add one")


class _BaseFraming(ProfileTable):
    longest: int = Field(
        default=DEFAULT_LONGEST, ge=1, le=65536, description="maximum bytes of a frame; a longer one is discarded"
    )
    pause: float | None = Field(
        default=None, gt=0, le=60, description="seconds after which an incomplete frame is given up; left out: never"
    )


class DelimitedFraming(_BaseFraming):
    """Base class for frames with an end mark, and maybe a start mark: lines, blocks, telegrams."""

    start: TextBytes = Field(default=b"", description="start mark; left out: a frame begins after the end of the previous one")
    end: TextBytesOptions = Field(description="end mark, or several alternatives")
    escape: TextBytes = Field(default=b"", max_length=1, description="the byte that makes the next byte literal (DLE)")
    escape_xor: int = Field(
        default=0, ge=0, le=255, description="value that an escaped byte is XORed with: 32 in HDLC-like framing"
    )
    counted: bool = Field(
        default=False, description="true: the first byte behind the start is the number of bytes of the payload, without escapes"
    )
    checksum: DelimitedChecksum | None = None
    tail: TextBytes = Field(
        default=b"", description="bytes sent after the end and the checksum, but not required in received frames"
    )
    between: TextBytes = Field(
        default=b"", description="bytes that some devices send behind the end, which are ignored: `\\r\\n` behind an `x`"
    )
    restarts: bool = Field(default=True, description="false: the start mark may also occur in the middle of a frame")

    @table_check
    def _has_distinct_marks(self) -> Iterator[str]:
        for one in self.end:
            if any(one != other and other.startswith(one) for other in self.end):
                yield "one end is the beginning of another: the shorter one is enough, empty frames do not count"
            if self.start and (one in self.start or self.start in one):
                yield ("start and end must not contain each other; for frames separated by one mark, give only the `end`")
        marks = [mark for mark in (self.start, *self.end) if mark]
        if self.escape and any(len(mark) > 2 or mark.endswith(self.escape) for mark in marks):
            yield "with an `escape`, start and end have one or two bytes and do not end with the escape"
        rule = self.checksum
        if rule is not None and rule.optional and rule.place == "after-end" and not (self.tail or self.start):
            yield "an `optional` checksum after the end is recognized by the `tail`: add one"

    @property
    def received_ends(self) -> tuple[bytes, ...]:
        """The marks that end a received frame: for plain lines any line end, since devices of one protocol differ in theirs."""
        is_plain_line = not self.start and not self.escape and self.checksum is None
        return (b"\r", b"\n") if is_plain_line and all(not one.strip(b"\r\n") for one in self.end) else self.end

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload, tail included.

        Raises:
            ValueError: the payload contains a start or end mark, so the frame would be split, or is too long.
        """
        end, rule = self.end[0], self.checksum
        if self.counted:
            payload = self._counted(payload)
        if not self.escape and any(mark in payload for mark in (*self.end, self.start if self.restarts else b"") if mark):
            raise ValueError("the payload contains a start or end mark")
        body, behind = payload, self.tail
        if rule is not None:
            received = rule.separator + rule.write(self.start, payload + (end if rule.with_end else b""))
            body, behind = (payload + received, self.tail) if rule.place == "before-end" else (payload, received + self.tail)
        return self.start + self._escaped(body) + end + behind

    def _counted(self, payload: bytes) -> bytes:
        if len(payload) > 0xFF:
            raise ValueError(f"the payload has {len(payload)} bytes: its length byte can express 255")
        return bytes([len(payload)]) + payload

    def unescape(self, body: bytes) -> bytes:
        """Return the bytes between start and end with escapes removed."""
        if not self.escape or self.escape not in body:
            return body
        return re.sub(re.escape(self.escape) + b"(.)", lambda pair: bytes([pair[1][0] ^ self.escape_xor]), body, flags=re.DOTALL)

    def _escaped(self, body: bytes) -> bytes:
        if not self.escape:
            return body
        special = {mark[-1:] if mark[:1] != self.escape else self.escape for mark in (self.start, *self.end, self.escape) if mark}
        pattern = b"|".join(re.escape(one) for one in sorted(special))
        return re.sub(pattern, lambda one: self.escape + bytes([one[0][0] ^ self.escape_xor]), body)


class LineFraming(DelimitedFraming):
    """Lines: text up to a carriage return or another end mark."""

    kind: Literal["delimiter"]


class BlockFraming(DelimitedFraming):
    """Blocks of several lines, each ended by an empty line, as a Videohub sends them."""

    kind: Literal["block"]
    end: TextBytesOptions = (b"\n\n",)
    between: TextBytes = b"\r\n"
    longest: int = Field(default=16384, ge=1, le=65536, description="maximum bytes of a frame; a longer one is discarded")

    @property
    def received_ends(self) -> tuple[bytes, ...]:
        """The marks that end a block: a single line end does not."""
        return self.end


class StxEtxFraming(DelimitedFraming):
    """Blocks between STX and ETX."""

    kind: Literal["stx-etx"]
    start: TextBytes = b"\x02"
    end: TextBytesOptions = (b"\x03",)


class TelegramFraming(DelimitedFraming):
    """Telegrams of many lines, from `/` to `!` and a CRC, as a meter's P1 port sends them (DSMR 4 and later)."""

    kind: Literal["telegram"]
    start: TextBytes = b"/"
    end: TextBytesOptions = (b"!",)
    checksum: DelimitedChecksum | None = DelimitedChecksum(
        name="crc16-arc", written="hex", with_start=True, with_end=True, place="after-end", optional=True
    )
    tail: TextBytes = b"\r\n"
    restarts: bool = False
    ciphered: bool = Field(
        default=False, description="true: the line may also have encrypted telegrams, in frames of DLMS general global ciphering"
    )
    longest: int = Field(default=8192, ge=1, le=65536, description="maximum bytes of a frame; a longer one is discarded")


class JsonLinesFraming(DelimitedFraming):
    """One JSON object per line; other lines are discarded."""

    kind: Literal["json-lines"]
    end: TextBytesOptions = (b"\n", b"\r")
    longest: int = Field(default=8192, ge=1, le=65536, description="maximum bytes of a frame; a longer one is discarded")


class JsonFraming(_BaseFraming):
    """JSON objects without an end mark, one after the other, with anything or nothing between them."""

    kind: Literal["json"]
    end: TextBytes = Field(default=b"", description="bytes behind a request: a line feed, or a zero byte")
    longest: int = Field(default=8192, ge=1, le=65536, description="maximum bytes of a frame; a longer one is discarded")

    def wrap(self, payload: bytes) -> bytes:
        """Return the request with this payload."""
        return payload + self.end


class _SyncedFraming(_BaseFraming):
    """Base class for binary frames that begin with sync bytes and have a known length."""

    sync: HexBytes = Field(default=b"", max_length=8, description="the first bytes of each frame: `AA 55`")
    checksum: ChecksumRule | None = Field(default=None, description="the last bytes of the frame, before its `end`")
    end: HexBytes = Field(default=b"", max_length=8, description="the last bytes of each frame: `16` in M-Bus")
    pause: float | None = Field(
        default=DEFAULT_PAUSE, gt=0, le=60, description="seconds after which an incomplete frame is given up"
    )

    @property
    def overhead(self) -> int:
        """Bytes of sync, checksum and end together."""
        return len(self.sync) + (self.checksum.length if self.checksum is not None else 0) + len(self.end)

    def _with_checksum(self, body: bytes) -> bytes:
        return self.sync + body + (self.checksum.write(self.sync, body) if self.checksum is not None else b"") + self.end


class FixedLengthFraming(_SyncedFraming):
    """Frames of a fixed length."""

    kind: Literal["fixed"]
    length: int = Field(ge=1, le=65536, description="bytes of the whole frame")

    @table_check
    def _has_a_payload(self) -> None:
        if not self.overhead < self.length <= self.longest:
            raise ValueError(
                f"`length` is that of the whole frame: more than {self.overhead}, at most `longest` ({self.longest})"
            )

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload.

        Raises:
            ValueError: the payload has the wrong length.
        """
        if len(payload) != self.length - self.overhead:
            raise ValueError(f"the payload must have {self.length - self.overhead} bytes, not {len(payload)}")
        return self._with_checksum(payload)


class LengthPrefixedFraming(_SyncedFraming):
    """Frames with a length field."""

    kind: Literal["length"]
    at: int = Field(ge=0, le=64, description="position of the length field; the first byte of the frame is 0")
    width: Literal[1, 2, 3, 4] = 1
    byte_order: Literal["little", "big"] = "big"
    uncounted: int = Field(
        ge=-8, le=255, description="bytes of the whole frame that the length does not count: sync, itself, checksum, ..."
    )

    @table_check
    def _is_after_the_sync(self) -> None:
        if self.at < len(self.sync):
            raise ValueError(f"the length field at byte {self.at} would be within the {len(self.sync)} sync bytes")

    @property
    def head(self) -> int:
        """Bytes of a frame up to the end of its length field."""
        return self.at + self.width

    @property
    def shortest(self) -> int:
        """Minimum bytes of a frame."""
        return self.at - len(self.sync) + self.width + self.overhead

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload, with the length field inserted.

        Raises:
            ValueError: the payload is too short to reach the length field, or too long for it.
        """
        before = self.at - len(self.sync)
        total = len(payload) + self.width + self.overhead
        if len(payload) < before:
            raise ValueError(f"the payload must have at least {before} bytes, those before the length field")
        if total > self.longest or not 0 <= total - self.uncounted < 256**self.width:
            raise ValueError(f"a frame of {total} bytes is longer than `longest` or than its length field can express")
        received = (total - self.uncounted).to_bytes(self.width, self.byte_order)
        return self._with_checksum(payload[:before] + received + payload[before:])


class SilenceFraming(_BaseFraming):
    """Frames that are separated by silence only."""

    kind: Literal["silence"]
    characters: float = Field(default=3.5, gt=0, le=1000, description="length of the silence, in characters of the line")
    at_least: float = Field(
        default=0.03,
        ge=0,
        le=60,
        description="minimum length of the silence in seconds: USB adapters buffer bytes for up to 16 ms",
    )
    checksum: ChecksumRule | None = Field(default=None, description="the last bytes of the frame")

    def wrap(self, payload: bytes) -> bytes:
        """Return the frame with this payload."""
        return payload + (self.checksum.write(b"", payload) if self.checksum is not None else b"")


Framing: TypeAlias = Annotated[
    LineFraming
    | BlockFraming
    | StxEtxFraming
    | TelegramFraming
    | JsonLinesFraming
    | JsonFraming
    | FixedLengthFraming
    | LengthPrefixedFraming
    | SilenceFraming,
    Field(discriminator="kind"),
]
"""The frame format of a profile, by its `kind`."""
