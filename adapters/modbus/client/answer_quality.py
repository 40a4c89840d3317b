"""Find out why a unit does not answer as it should, from what came of the last requests to it and to the others. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from adapters.modbus.client.buses import Bus, SerialLine
from adapters.modbus.client.pdu import ABSENT_UNIT_CODES, BEHIND_STEP, EXCEPTION_NAMES
from gateway.adapter import Cause, DeviceUnreachable

REMEMBERED: Final = 20
"""So many outcomes are kept of each unit."""

LEAST_DAMAGED: Final = 2
"""So many damaged answers in a row are no coincidence."""


class Outcome(NamedTuple):
    """The outcome of a request."""

    cause: Cause | None
    """The fault; `None` for an answer."""


class Verdict(NamedTuple):
    """The reason for which a unit does not answer as it should."""

    cause: Cause
    next_step: str | None = None


class AnswerQuality:
    """The outcomes of the last requests on one bus.

    Args:
        bus: the host or line.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._outcomes: defaultdict[int, deque[Outcome]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._was_heard = False
        """Anything has arrived since the start, if only something damaged."""

    def answered(self, unit: int) -> None:
        """Record an answer of this unit."""
        self._was_heard = True
        self._outcomes[unit].append(Outcome(None))

    def failed(self, unit: int, cause: Cause) -> None:
        """Record that a request to this unit was not answered as it should be."""
        self._was_heard |= cause is not Cause.NO_ANSWER
        self._outcomes[unit].append(Outcome(cause))

    def host_answered(self) -> None:
        """Record that a Modbus gateway answered in place of a unit."""
        self._was_heard = True

    def verdict(self, unit: int) -> Verdict:
        """Return why this unit does not answer as it should."""
        outcomes = self._outcomes[unit]
        cause = next((outcome.cause for outcome in reversed(outcomes) if outcome.cause is not None), Cause.NO_ANSWER)
        if cause is Cause.NO_ANSWER:
            return Verdict(cause) if self._was_heard else Verdict(Cause.SILENT_BUS, self._steps_of_silence())
        if cause is Cause.CHECKSUM_ERRORS:
            return self._damaged(unit, outcomes)
        return Verdict(cause)

    def _damaged(self, unit: int, outcomes: Sequence[Outcome]) -> Verdict:
        damaged = sum(outcome.cause is Cause.CHECKSUM_ERRORS for outcome in outcomes)
        came = damaged + sum(outcome.cause is None for outcome in outcomes)
        others_answer = any(
            outcome.cause is None for other, theirs in self._outcomes.items() if other != unit for outcome in theirs
        )
        count = f"{damaged} of its last {came} answers came damaged"
        if damaged < came:
            wiring = "check the termination at both ends of the line, the shield and the bias resistors"
            return Verdict(
                Cause.CHECKSUM_ERRORS, f"{count}, so the line settings are right: {wiring}; then whether two units have its id"
            )
        if others_answer and damaged >= LEAST_DAMAGED:
            step = (
                "disconnect one of them, or give it another id. If there is only one, check its cable and its own line settings"
            )
            return Verdict(Cause.SAME_ADDRESS, f"{count}, those of other units do not: two units may have the id {unit}: {step}")
        wiring = "then check the termination at both ends, and whether two units have this id"
        return Verdict(Cause.CHECKSUM_ERRORS, f"{count}. {self._settings_first()} {wiring}")

    def _steps_of_silence(self) -> str:
        if isinstance(self._bus, SerialLine):
            return (
                "Check that the devices have power, that the wires A and B are not swapped, and the unit ids. "
                f"{self._settings_first()} then the termination at both ends"
            )
        if self._bus.loses_requests:
            return "Check its address and port, that it is switched on, and that it speaks Modbus over UDP; then the unit ids"
        return (
            f"It accepts connections: check that port {self._bus.port} is the one for Modbus, and the unit ids. If it is a"
            " gateway, check the power, the wires A and B and the speed of the line behind it"
        )

    def _settings_first(self) -> str:
        if isinstance(self._bus, SerialLine):
            line = f"{self._bus.baudrate} {self._bus.data_bits}{self._bus.parity}{self._bus.stopbits}"
            tool = "`xyte-gateway scan --detect-line` tries them"
            return f"Compare speed, parity and stop bits (here {line}) with the devices: {tool};"
        return "Compare speed, parity and stop bits of the line behind this host with its devices;"


def unreachable(quality: AnswerQuality | None, unit: int, texts: Sequence[str]) -> DeviceUnreachable:
    """Return the error for a unit that does not answer as it should; `None` where the quality is not known."""
    verdict = Verdict(Cause.NO_ANSWER) if quality is None else quality.verdict(unit)
    is_behind = any(EXCEPTION_NAMES[code] in text for code in ABSENT_UNIT_CODES for text in texts)
    step = verdict.next_step or (BEHIND_STEP if is_behind else None)
    return DeviceUnreachable("; ".join(texts), cause=verdict.cause, next_step=step)
