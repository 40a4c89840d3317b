"""Count what adapters returned and could not be used, by reason, and tell each reason once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.errors import GatewayError

log = logging.getLogger(__name__)


class WrongAdapterData(GatewayError):
    """A method of an adapter returned what its contract does not allow: a bug of that adapter. The text says what."""


class Refusal(StrEnum):
    """Why something that an adapter returned is not used, or only in part."""

    FORM = "not readings"
    DEVICE = "readings of an unknown device"
    TIME = "implausible time"
    VALUE = "unusable value"
    METRIC = "unusable metric"
    SIZE = "too much data"
    KIND = "changed type of value"
    TEXT = "unprintable text"
    FOUND = "unusable device"
    RESULT = "wrong result"
    HURRY = "more than could be taken in"


_TOLD: Final[Mapping[Refusal, tuple[str, str]]] = MappingProxyType(
    {
        Refusal.FORM: ("it is dropped", "Let it yield lists of Reading, or a Block"),
        Refusal.DEVICE: ("those readings are dropped", "Let it give each reading the key of the child that it was asked to read"),
        Refusal.TIME: (
            "those readings are dropped",
            "Let it use datetime.now(UTC), or a time of the device that is right: at most a year old, at most a day ahead",
        ),
        Refusal.VALUE: (
            "those readings are dropped",
            "Let it yield a bool, an int of at most 64 bits, a finite float, a short text, or None for `not available`",
        ),
        Refusal.METRIC: (
            "its readings are dropped",
            "Let it have 1 to 128 printable characters, and let its fields have the types that Metric declares",
        ),
        Refusal.SIZE: ("what is too much is dropped", "Let it report less of a device, or under fewer names"),
        Refusal.KIND: ("the new value is used", "Let a metric always have values of one type, and None when there is none"),
        Refusal.TEXT: ("unprintable characters are replaced", "Let it decode and clean what devices send"),
        Refusal.FOUND: ("that device is ignored", "Let it report a Found with texts, an address, and an identity"),
        Refusal.RESULT: ("that result is not used", "Let it return what gateway.adapter.Adapter declares"),
        Refusal.HURRY: ("the oldest are dropped", "Let it report a device when it has sent something, and not more often"),
    }
)
"""What happens to what is refused, and what its author should do."""


class ToldReasons(set[tuple[str, Refusal]]):
    """The reasons that were told since the start, by entry: an entry with thirty buses tells each once."""


class Refusals:
    """What was refused of one bus.

    Args:
        entry: the name of the `[[adapter]]` entry.
        bus: the label of the bus.
        told: the reasons that were told, shared by the buses of all entries.
    """

    def __init__(self, entry: str, bus: str, told: ToldReasons | None = None) -> None:
        self._entry = entry
        self._bus = bus
        self._told = told if told is not None else ToldReasons()
        self._counts: Counter[Refusal] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each reason applied since the start."""
        return {str(reason): count for reason, count in self._counts.items()}

    def note(self, reason: Refusal, what: str, times: int = 1) -> None:
        """Count a refusal; log it if it is the first one of this entry for this reason.

        Args:
            reason: the reason.
            what: what the adapter did, to follow its name: `yields None for a value of power`. Printable.
            times: how many readings or other things it concerns.
        """
        self._counts[reason] += times
        if (self._entry, reason) in self._told:
            return
        self._told.add((self._entry, reason))
        happens, advice = _TOLD[reason]
        log.warning(
            "%s: the adapter %s %s; %s, and counted from now on. To its author: %s",
            *(self._bus, self._entry, what, happens, advice),
        )
