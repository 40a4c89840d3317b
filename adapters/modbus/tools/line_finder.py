"""Find the settings of a serial line: yield the steps to try, and receive their results. Pure.

Listening comes first: where another master is active, frames with a correct checksum prove the settings without any traffic. Then
one register of a few units is read at each setting, the likeliest first; an exception is an answer, too. The search ends at the
first setting at which the same unit answers three times.

Modbus ASCII is recognised while listening, from its colons and checksums, and its usual settings are tried after those of RTU.

Some settings cannot be distinguished, which the result states: a receiver checks the first stop bit only, so 8N1 mostly works on
an 8N2 line and the other way round.
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
"""The settings in the order in which they are tried: the usual factory setting first, the default of the specification (19200
8E1) second."""

LIKELY_ASCII: Sequence[tuple[int, str, int]] = (
    *((9600, "E", 1), (9600, "N", 1), (19200, "E", 1), (9600, "N", 2), (19200, "N", 1)),
    *((4800, "E", 1), (2400, "E", 1), (38400, "E", 1), (115200, "E", 1), (9600, "O", 1)),
)
"""The same for Modbus ASCII; the number of data bits follows from the parity and the stop bits, as in the settings of a line."""

LISTENED_SETTINGS = 6
"""How many of the likeliest settings are tried by listening first."""

LIKELY_UNITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
"""The unit ids that are tried, unless others are given."""

CONFIRMATIONS = 2
"""How often a unit that has answered must answer again: noise may look like a frame once."""


@dataclass(frozen=True, slots=True)
class ListenStep:
    """Listen to other masters with these settings; the result is what was heard."""

    line: SerialLine

    def __str__(self) -> str:
        return f"listening at {settings_text(self.line)}"


@dataclass(frozen=True, slots=True)
class AskStep:
    """Read one register of a unit with these settings; the result is its answer, `None` without a valid one."""

    line: SerialLine
    unit: int

    def __str__(self) -> str:
        return f"reading unit {self.unit} at {settings_text(self.line)}"


@dataclass(frozen=True, slots=True)
class Heard:
    """The frames of others with a correct checksum."""

    rtu_frames: int = 0
    ascii_frames: int = 0
    ascii_line: SerialLine | None = None
    """The settings with which the ASCII frames were sent, which may differ from those at which they were heard."""


Step: TypeAlias = ListenStep | AskStep
StepResult: TypeAlias = Heard | str | None


def find_line_settings(port: SerialLine, units: Sequence[int] = LIKELY_UNITS) -> Generator[Step, StepResult, LineSettings | None]:
    """Yield the steps, receive their results, and return the settings; `None` when no unit answers at any of them.

    Args:
        port: the line as it is configured; its own settings are tried first, if they are none of the likely ones.
        units: the unit ids to try.
    """
    tried = [_with(port, "rtu", *likely) for likely in LIKELY], [_with(port, "ascii", *likely) for likely in LIKELY_ASCII]
    lines = [line for framing in (reversed(tried) if port.framing == "ascii" else tried) for line in framing]
    if "baudrate" in port.model_fields_set:  # the config sets them, so they are probably right
        lines = [port, *(line for line in lines if settings_text(line) != settings_text(port))]
    for line in [line for line in lines if line.framing == "rtu"][:LISTENED_SETTINGS]:
        heard = yield ListenStep(line)
        if isinstance(heard, Heard) and (found := _overheard(line, heard)) is not None:
            return found
    for line in lines:
        for unit in units:
            answer = yield AskStep(line, unit)
            if answer is not None and (again := (yield from _confirmed(line, unit))) is not None:
                return _settings(line, Confidence.CERTAIN, {f"unit {unit}: {FIRST_REGISTER}": f"{answer}; again {again}"})
    return None


def most_steps(units: Sequence[int]) -> int:
    """Return the most steps that are tried, not counting confirmations."""
    return LISTENED_SETTINGS + (len(LIKELY) + len(LIKELY_ASCII)) * len(units)


def settings_text(line: SerialLine) -> str:
    """Return settings in the usual notation: `9600 8N1`, `9600 7E1 ASCII`."""
    return line.notation


def _with(port: SerialLine, framing: str, baudrate: int, parity: str, stopbits: int) -> SerialLine:
    """Return the line with other settings, and the data bits that are usual with them."""
    other = {"framing": framing, "baudrate": baudrate, "parity": parity, "stopbits": stopbits, "bytesize": None}
    return port.model_copy(update=other)


def _overheard(line: SerialLine, heard: Heard) -> LineSettings | None:
    """Return the settings that the frames of another master prove; a single one may be noise."""
    where = f"heard at {settings_text(line)}"
    if heard.rtu_frames > 1:
        return _settings(line, Confidence.CERTAIN, {where: f"{heard.rtu_frames} frames of another master"})
    if heard.ascii_frames > 1 and heard.ascii_line is not None:
        told = f"{heard.ascii_frames} ASCII frames of another master"
        return _settings(heard.ascii_line, Confidence.CERTAIN, {where: told})
    return None


def _confirmed(line: SerialLine, unit: int) -> Generator[Step, StepResult, StepResult]:
    answer: StepResult = None
    for _ in range(CONFIRMATIONS):
        answer = yield AskStep(line, unit)
        if answer is None:
            return None
    return answer


def _settings(line: SerialLine, confidence: Confidence, evidence: dict[str, str]) -> LineSettings:
    doubt = {"stop bits": "8N1 and 8N2 mostly work on each other's lines; this is the one that answered first"}
    is_ascii = line.framing == "ascii"
    keys = f'port = "{line.port}", baudrate = {line.baudrate}, parity = "{line.parity}", stopbits = {line.stopbits}'
    ascii_keys = f', bytesize = {line.data_bits}, framing = "ascii"' if is_ascii else ""
    return LineSettings(
        baudrate=line.baudrate,
        parity=line.parity,
        stopbits=line.stopbits,
        confidence=confidence,
        toml=f"{{ {keys}{ascii_keys} }}",
        evidence=evidence | (doubt if line.parity == "N" and line.data_bits == 8 and not is_ascii else {}),
        bytesize=line.data_bits,
        framing=line.framing,
    )
