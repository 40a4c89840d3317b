"""The answers that the units of a line still owe, so that none is taken for the answer to another question. Nothing here waits.

On RTU an answer does not say what it answers (Modbus over Serial Line V1.02, section 2.5.1): only its unit, its function and its
length do. Whoever has given up on a question therefore reckons with its answer until none can come any more, and keeps from the
unit what could be confused with it.

A question that was asked twice is owed two answers. Which of them comes is told by the unit's usual turnaround: one that takes as
long as ever after the second request answers that, and the first was lost; any other is taken for the answer to the first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from adapters.modbus.client.pdu import Question, Read, Write

OWED_BOUND = 32
"""So many answers of one unit are reckoned with. Each costs a time-out, so no more can be late at once."""

USUAL_ROOM_SECONDS = 0.01
"""By so much a turnaround differs from one time to the next, or by half of itself, whichever is more."""

REFUSAL = 0x80
"""Set in the function code of an answer that is an exception (Modbus Application Protocol V1.1b3, section 7)."""


@dataclass(slots=True, eq=False)
class Debt:
    """One question that was sent and not answered."""

    question: Question
    since: float
    """When its last character was sent."""
    until: float
    """From then on no answer is late any more."""
    may_be_refused: bool = True
    """Nothing is known to the contrary: the unit has not given a value to this question since."""


class Owed:
    """What the units of one line owe. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._debts: dict[int, deque[Debt]] = {}
        self._usual_seconds: dict[int, float] = {}

    def asked(self, unit: int, debt: Debt) -> None:
        """Take in a question that is sent to this unit."""
        self._debts.setdefault(unit, deque(maxlen=OWED_BOUND)).append(debt)

    def forgive(self, unit: int, debt: Debt) -> None:
        """Take in that no answer to this question can come: it never arrived."""
        if debt in self._debts.get(unit, ()):
            self._debts[unit].remove(debt)

    def answered(self, unit: int, question: Question, *, began: float, with_value: bool) -> float:
        """Take in an answer to this question, which is owed, that began then; return how many seconds the unit took for it."""
        same = [debt for debt in self._debts[unit] if debt.question == question]
        for debt in same:
            debt.may_be_refused &= not with_value  # what is answered with a value now was not refused a moment ago
        is_own = len(same) > 1 and self._is_usual(unit, began - same[-1].since)
        paid = same[-1] if is_own else same[0]
        self._debts[unit].remove(paid)
        if len(same) == 1:
            self._usual_seconds[unit] = began - paid.since
        return began - paid.since

    def came(self, unit: int, pdu: bytes, *, began: float) -> bool:
        """Take in a frame that was not awaited, from its function code on; return whether it was owed."""
        late = next((debt for debt in self._debts.get(unit, ()) if fits(debt.question, pdu)), None)
        if late is not None:
            self._debts[unit].remove(late)
            self._usual_seconds[unit] = began - late.since
        return late is not None

    def _is_usual(self, unit: int, seconds: float) -> bool:
        usual = self._usual_seconds.get(unit)
        return usual is not None and abs(seconds - usual) <= max(usual / 2, USUAL_ROOM_SECONDS)

    def only(self, unit: int, question: Question) -> bool:
        """Whether the unit owes no answer to anything but this question."""
        return all(debt.question == question for debt in self._debts.get(unit, ()))

    def held_until(self, unit: int, question: Question, now: float) -> float:
        """Return when the unit can be asked this without taking a late answer for its own; 0 when it can be now."""
        debts = self._debts.get(unit)
        if not debts:
            return 0.0
        for debt in [debt for debt in debts if debt.until <= now]:
            debts.remove(debt)
        return max((debt.until for debt in debts if _confuses(debt, question)), default=0.0)


def fits(question: Question, pdu: bytes) -> bool:
    """Return whether a frame, from its function code on, can be an answer to this question: a value of its size, or a refusal."""
    if pdu[0] == question.function | REFUSAL:
        return True
    if pdu[0] != question.function:
        return False
    match question:
        case Read():
            return pdu[1:2] == bytes([question.payload_bytes]) and len(pdu) == 2 + question.payload_bytes
        case Write():
            return pdu[1:] == question.confirmation
        case _:
            return True


def _confuses(debt: Debt, question: Question) -> bool:
    """Whether a late answer would look like one to this question, and is not just as true an answer to it."""
    owed = debt.question
    if question == owed or question.function != owed.function:
        return False
    return debt.may_be_refused or _shape(question) == _shape(owed)


def _shape(question: Question) -> object:
    """Return what answers to two questions of one function have in common that cannot be told apart."""
    match question:
        case Read():
            return question.payload_bytes
        case Write():
            return question.confirmation
        case _:
            return None
