"""How a serial line is set, found out by listening and asking. Nothing here waits: it yields what to try and is told what came.

Listening comes first: where another master talks, frames with a right checksum settle the matter and nobody was disturbed. Then
a few unit ids are asked for one register at each setting, the likeliest first; an exception is an answer, too. It ends with the
first setting at which the same unit answers three times.

What cannot be told apart is said: a receiver looks at the first stop bit only, so 8N1 mostly works on an 8N2 line and the other
way round.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.pdu import FIRST_REGISTER
from gateway.adapter import Confidence, LineSettings

LIKELY: Sequence[tuple[int, str, int]] = (
    *((9600, "N", 1), (19200, "E", 1), (9600, "E", 1), (19200, "N", 1)),
    *((115200, "N", 1), (38400, "N", 1), (4800, "N", 1), (2400, "N", 1), (57600, "N", 1)),
    *((9600, "N", 2), (19200, "N", 2), (115200, "N", 2), (38400, "N", 2)),
    *((38400, "E", 1), (115200, "E", 1), (57600, "E", 1), (4800, "E", 1), (2400, "E", 1)),
    *((9600, "O", 1), (19200, "O", 1), (38400, "O", 1), (115200, "O", 1)),
    *((1200, "N", 1), (1200, "E", 1), (57600, "N", 2), (4800, "N", 2), (2400, "N", 2), (4800, "O", 1), (2400, "O", 1)),
)
"""Settings in the order in which they are tried: what makers deliver first, the specification's default (19200 8E1) second."""

LISTENED_TO = 6
"""So many of the likeliest settings are listened at, each for a while, before anybody is asked."""

LIKELY_UNITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
"""The unit ids that are asked, unless others are given."""

CONFIRMATIONS = 2
"""So often a unit that has answered must answer again: noise may look like a frame once."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Open the port like this and hear what others say; answered with how many frames had a right checksum."""

    line: SerialLine

    def __str__(self) -> str:
        return f"listening at {told(self.line)}"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a unit for one register; answered with what it said, `None` for silence or what nobody can read."""

    line: SerialLine
    unit: int

    def __str__(self) -> str:
        return f"asking unit {self.unit} at {told(self.line)}"


Try: TypeAlias = Listen | Ask
Outcome: TypeAlias = int | str | None


def detect(port: SerialLine, units: Sequence[int] = LIKELY_UNITS) -> Generator[Try, Outcome, LineSettings | None]:
    """Yield what to try, be sent what came, and return the settings; `None` when nobody answers at any of them.

    Args:
        port: the line as it is configured; its own settings are tried first, if they are none of the likely ones.
        units: the unit ids to ask.
    """
    lines = [port.model_copy(update={"baudrate": baud, "parity": parity, "stopbits": stop}) for baud, parity, stop in LIKELY]
    if "baudrate" in port.model_fields_set:  # somebody meant something by it
        lines = [port, *(line for line in lines if told(line) != told(port))]
    for line in lines[:LISTENED_TO]:
        frames = yield Listen(line)
        if isinstance(frames, int) and frames > 1:
            return _settings(line, Confidence.CERTAIN, {f"heard at {told(line)}": f"{frames} frames of another master"})
    for line in lines:
        for unit in units:
            answer = yield Ask(line, unit)
            if answer is not None and (again := (yield from _confirmed(line, unit))) is not None:
                return _settings(line, Confidence.CERTAIN, {f"unit {unit}: {FIRST_REGISTER}": f"{answer}; again {again}"})
    return None


def tries(units: Sequence[int]) -> int:
    """Return how many things are tried at most, not counting confirmations."""
    return LISTENED_TO + len(LIKELY) * len(units)


def told(line: SerialLine) -> str:
    """Return settings as people write them: `9600 8N1`."""
    return f"{line.baudrate} 8{line.parity}{line.stopbits}"


def _confirmed(line: SerialLine, unit: int) -> Generator[Try, Outcome, Outcome]:
    answer: Outcome = None
    for _ in range(CONFIRMATIONS):
        answer = yield Ask(line, unit)
        if answer is None:
            return None
    return answer


def _settings(line: SerialLine, confidence: Confidence, evidence: dict[str, str]) -> LineSettings:
    doubt = {"stop bits": "8N1 and 8N2 mostly work on each other's lines; this is the one that answered first"}
    return LineSettings(
        baudrate=line.baudrate,
        parity=line.parity,
        stopbits=line.stopbits,
        confidence=confidence,
        toml=f'{{ port = "{line.port}", baudrate = {line.baudrate}, parity = "{line.parity}", stopbits = {line.stopbits} }}',
        evidence=evidence | (doubt if line.parity == "N" else {}),
    )
