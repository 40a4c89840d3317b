"""Decide when something that a unit refused is asked for again, and when it is taken for a fact. Pure.

A refusal can hold for a moment only: a unit that is starting, measuring or asleep refuses what it answers a minute later. It is
left out for a short time first, then asked for again alone, after growing intervals. It is taken for a fact, which the other
units of the model and the next start of the gateway need not find out again, when one unit has repeated it `CONFIRMED_BY_ONE`
times, or two units `CONFIRMED_BY_TWO` times each. Codes that say "not now" never become a fact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from adapters.modbus.client.pdu import EXCEPTION_NAMES, ReadRequest

NOT_ABOUT_ADDRESSES: Final = frozenset({0x05, 0x06, 0x0A, 0x0B})
"""Codes that do not depend on the address (Modbus Application Protocol V1.1b3, section 7): acknowledge, busy, those of a Modbus
gateway. With each other code there are units that refuse addresses: 02 is meant for it, 00 and 07 to FF are not specified."""

TEMPORARY_CODES: Final = NOT_ABOUT_ADDRESSES | {0x04}
"""Codes that say "not now": 04 is a failure "while attempting to perform the requested action" (section 7)."""

ASKED_AGAIN_AFTER: Final = (15.0, 60.0, 300.0, 1800.0, 7200.0, 21600.0, 86400.0)
"""Seconds until something is asked for again after its first refusal, its second, and so on; the last for all further ones."""

MOST_TEMPORARY_SECONDS: Final = 600.0
"""The longest such time after a code that says "not now"."""

CONFIRMED_BY_ONE: Final = 4
"""Refusals of one unit that make a fact: by the intervals above they are spread over at least six minutes."""

CONFIRMED_BY_TWO: Final = 2
"""Refusals of each of two units that make a fact."""


NO_ANSWER: Final = "no answer, while other requests are answered"


def is_about_addresses(code: int) -> bool:
    """Return whether a block that is refused with this code is halved."""
    return code not in NOT_ABOUT_ADDRESSES


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that a unit refused each time that it was asked for."""

    read: ReadRequest
    code: int | None
    """The exception code of the last refusal; `None` where the unit did not answer, and answered other requests."""
    since: datetime
    """When it was refused first; an aware time."""
    next_at: float
    """When it is asked for again, by the clock of the event loop."""
    times: int = 1
    is_alone: bool = True
    """It was refused by itself; else as a part of a block of which nothing could be read."""

    @classmethod
    def first(cls, read: ReadRequest, code: int | None, *, now: float, today: datetime, is_alone: bool = True) -> Refusal:
        """Return a first refusal."""
        return cls(read, code, today, now + seconds_until_asked_again(1, code), 1, is_alone)

    def again(self, code: int | None, now: float, *, is_alone: bool = True) -> Refusal:
        """Return it after one more refusal."""
        times = self.times + 1
        next_at = now + seconds_until_asked_again(times, code)
        return replace(self, code=code, times=times, next_at=next_at, is_alone=is_alone)

    @property
    def can_be_fact(self) -> bool:
        """Whether it may be taken for a fact once it is confirmed."""
        return self.code not in TEMPORARY_CODES and self.is_alone

    @property
    def is_confirmed(self) -> bool:
        """Whether one unit has refused it often enough."""
        return self.can_be_fact and self.times >= CONFIRMED_BY_ONE

    @property
    def is_confirmed_with_another(self) -> bool:
        """Whether one unit has refused it often enough, if another one has as well."""
        return self.can_be_fact and self.times >= CONFIRMED_BY_TWO


def seconds_until_asked_again(times: int, code: int | None) -> float:
    """Return how long something is left out after it was refused so many times, the last time with this code."""
    seconds = ASKED_AGAIN_AFTER[min(times, len(ASKED_AGAIN_AFTER)) - 1]
    return min(seconds, MOST_TEMPORARY_SECONDS) if code in TEMPORARY_CODES else seconds


def describe_code(code: int | None) -> str:
    """Return what the unit did, for a person."""
    return NO_ANSWER if code is None else f"exception {code:02X} {EXCEPTION_NAMES.get(code, 'defined by the maker')}"
