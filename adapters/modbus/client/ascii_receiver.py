"""Sort the frames that arrive as Modbus ASCII: the answer, late answers, echoes, and what another master sends. Pure.

An ASCII frame has the content of an RTU frame, so each is put into that form, and sorted as on an RTU line.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.modbus.client.ascii_frames import AsciiFrame, characters_of, frame_of, frames_in, length_used, noise_in
from adapters.modbus.client.rtu_frames import CHECKSUM_BYTES, with_checksum
from adapters.modbus.client.rtu_receiver import Reception, RtuReceiver
from adapters.modbus.client.rtu_search import Awaited, LineFrame

_END_OF_LINE = b"\r\n"
_NOTHING = Reception(0, None, 0.0, None, b"", late=(), has_echo=False)


class AsciiReceiver(RtuReceiver):
    """The receiver of one line or connection that carries ASCII."""

    def sent(self, packet: bytes) -> None:
        """Record the frame that is sent: the line may return it."""
        super().sent(b"".join(map(_as_rtu, frames_in(packet))))

    def receive(self, data: bytes, awaited: Awaited | None, now: float, *, echo_is_due: bool) -> Reception:
        """Return what is in the received characters, and count it. An answer has begun where a frame has, whoever sends it."""
        used, total = length_used(data), _NOTHING
        noise = noise_in(data[:used])
        unexplained = noise + data[used:] if noise.strip(_END_OF_LINE) else data[used:]
        for frame in frames_in(data):
            part = super().receive(_as_rtu(frame), awaited, now, echo_is_due=echo_is_due and not total.has_echo)
            if part.answer is not None:
                total, awaited = replace(total, answer=part.answer, seconds=part.seconds), None
            elif part.unexplained:
                unexplained = frame_of(frame.unit, frame.pdu)
            total = replace(total, late=(*total.late, *part.late), has_echo=total.has_echo or part.has_echo)
        self.traffic.stray_bytes += len(noise.strip(_END_OF_LINE))
        return replace(total, used=used, begun_at=len(data) if used < len(data) else None, unexplained=unexplained)

    def _began_at(self, frame: LineFrame, now: float) -> float:
        characters = characters_of(1 + len(frame.pdu) + CHECKSUM_BYTES)
        return now - characters * self._character_seconds - self._silence_seconds


def _as_rtu(frame: AsciiFrame) -> bytes:
    return with_checksum(bytes([frame.unit]) + frame.pdu)
