"""Sort the frames that arrive on an RTU line: the answer, late answers, echoes, and what another master sends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.modbus.client.late_answers import LateAnswer, LateAnswers, is_absence
from adapters.modbus.client.line_traffic import LineTraffic
from adapters.modbus.client.pdu import EXCEPTION_BIT
from adapters.modbus.client.rtu_frames import CHECKSUM_BYTES, with_checksum
from adapters.modbus.client.rtu_search import Awaited, FrameKind, Heard, LineFrame, RtuSearch


@dataclass(frozen=True, slots=True)
class Reception:
    """What the bytes contain that have arrived."""

    used: int
    """How many bytes are done with."""
    answer: LineFrame | None
    """The answer to the current request."""
    seconds: float
    """How long the unit took for it."""
    begun_at: int | None
    """Where an answer begins that is not complete yet, in bytes since the start."""
    unexplained: bytes
    """What explains a missing answer: bytes in no frame, or an answer of somebody else."""
    late: Sequence[LateAnswer]
    """The answers to abandoned requests."""
    has_echo: bool
    """Our own request came back."""


class RtuReceiver:
    """The receiver of one line; the link sends, and does what follows from a reception. All times are seconds of one clock.

    Args:
        late_answers: the unanswered requests of the line.
        character_seconds: the time of one character.
        silence_seconds: the pause between two frames.
    """

    def __init__(self, late_answers: LateAnswers, character_seconds: float, silence_seconds: float) -> None:
        self.traffic = LineTraffic()
        self._late_answers = late_answers
        self._character_seconds = character_seconds
        self._silence_seconds = silence_seconds
        self._search = RtuSearch()
        self._done_bytes = 0

    def sent(self, packet: bytes) -> None:
        """Record the frame that is sent: the line may return it."""
        self._search.sent = packet

    def is_foreign_answer_due(self, now: float) -> bool:
        """Return whether another master waits for an answer now."""
        return self._search.is_foreign_answer_due(now)

    def receive(self, data: bytes, awaited: Awaited | None, now: float, *, echo_is_due: bool) -> Reception:
        """Return what is in the received bytes, and count it.

        Args:
            data: everything that arrived and was not used before.
            awaited: what is waited for, if anything.
            now: the time.
            echo_is_due: the line echoes, and the echo of the current request has not arrived.
        """
        self._search.echo_is_due = echo_is_due
        heard = self._search.search(data, awaited, now)
        begun_at = None if heard.begun_at is None else self._done_bytes + heard.begun_at
        self._done_bytes += heard.used
        if not heard.used:  # most often, since a serial port delivers an answer in pieces
            self.traffic.count(heard, now)
            return Reception(0, None, 0.0, begun_at, data, late=(), has_echo=False)
        answer = self._answer_among(heard.frames, awaited)
        others = [frame for frame in heard.frames if frame is not answer]
        seconds = 0.0 if answer is None or awaited is None else self._accept(answer, awaited, now)
        answers = (frame for frame in others if frame.kind is FrameKind.ANSWER)
        late = [late for frame in answers if (late := self._take_late(frame, now)) is not None]
        self.traffic.count(heard, now)
        has_echo = any(frame.kind is FrameKind.ECHO for frame in others)
        return Reception(heard.used, answer, seconds, begun_at, _unexplained(heard, data), late, has_echo)

    def _answer_among(self, frames: Sequence[LineFrame], awaited: Awaited | None) -> LineFrame | None:
        """Return the frame that answers the request: it fits or, where nothing else can explain it, it is a wrong answer."""
        if awaited is None:
            return None
        fitting = next((frame for frame in frames if frame.kind is FrameKind.AWAITED), None)
        is_explained = not self._late_answers.only(awaited.unit, awaited.request) or self.traffic.has_other_master
        if fitting is not None or is_explained:
            return fitting
        return next((frame for frame in frames if _is_wrong_answer(frame, awaited)), None)

    def _accept(self, answer: LineFrame, awaited: Awaited, now: float) -> float:
        began = self._began_at(answer, now)
        with_value = not answer.pdu[0] & EXCEPTION_BIT
        return max(self._late_answers.answered(answer.unit, awaited.request, began=began, with_value=with_value), 0.0)

    def _take_late(self, frame: LineFrame, now: float) -> LateAnswer | None:
        late = self._late_answers.take_late(frame.unit, frame.pdu, began=self._began_at(frame, now))
        return None if late is None else LateAnswer(frame.unit, late.since, now, is_absence(frame.pdu))

    def _began_at(self, frame: LineFrame, now: float) -> float:
        """Return when the unit was ready to send the frame that has just arrived."""
        characters = 1 + len(frame.pdu) + CHECKSUM_BYTES
        return now - characters * self._character_seconds - self._silence_seconds


def _is_wrong_answer(frame: LineFrame, awaited: Awaited) -> bool:
    is_from_unit = frame.kind is FrameKind.ANSWER and frame.unit == awaited.unit
    return is_from_unit and frame.pdu[0] & ~EXCEPTION_BIT == awaited.request.function


def _unexplained(heard: Heard, data: bytes) -> bytes:
    rest = heard.noise + data[heard.used :]
    answers = [frame for frame in heard.frames if frame.kind is FrameKind.ANSWER]
    return rest if rest or not answers else with_checksum(bytes([answers[-1].unit]) + answers[-1].pdu)
