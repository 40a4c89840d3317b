"""Record in the timeline what is reported to the cloud, and how commands ended. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.state.command_ledger import LedgerEntry, Outcome
from gateway.state.events import ReportEvent
from gateway.state.history.timeline import EventKind, Timeline

_KINDS: Final[Mapping[str, EventKind]] = {
    "device_moved": EventKind.MOVED,
    "device_exchanged": EventKind.EXCHANGED,
    "device_replaced": EventKind.EXCHANGED,
    "identity_claimed_twice": EventKind.CONFLICT,
    "device_twice_in_cloud": EventKind.CONFLICT,
    "clock_jumped": EventKind.TIME_SET,
    "samples_dated_about": EventKind.TIME_SET,
    "samples_lost": EventKind.SAMPLES_LOST,
    "gateway_started": EventKind.STARTED,
    "gateway_stopped": EventKind.STOPPED,
    "store_put_back": EventKind.STORE,
    "rows_set_aside": EventKind.STORE,
    "store_recovered": EventKind.STORE,
    "mirror_replaced": EventKind.STORE,
    "history_set_aside": EventKind.STORE,
}
_KINDS_OF_CATEGORIES: Final[Mapping[str, EventKind]] = {"configuration": EventKind.CONFIGURATION, "command": EventKind.COMMAND}

_RECORDED_ELSEWHERE: Final = frozenset({"device_admitted", "device_retired", "command_failed"})
"""What the timeline has from the registry and from the ledger of commands: those know the device, and every outcome."""


def recording_reports(timeline: Timeline) -> ReportEvent:
    """Return a function that records a report, with the arguments of `EventQueue.report`."""

    def record(child: str | None, name: str, category: str, text: str) -> None:
        if name not in _RECORDED_ELSEWHERE:
            kind = _KINDS.get(name) or _KINDS_OF_CATEGORIES.get(category, EventKind.OTHER)
            timeline.record(kind, text, child=child)

    return record


_OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.DONE: "was carried out",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "may have been carried out",
}


def recording_outcomes(timeline: Timeline) -> Callable[[LedgerEntry], None]:
    """Return a function that records how a command ended."""

    def record(entry: LedgerEntry) -> None:
        if entry.outcome is not None:
            giver = "given on the page" if entry.is_local else "of the cloud"
            said = f": {entry.message}" if entry.message else ""
            text = f"command {entry.name.replace('_', ' ')} {giver} {_OUTCOMES[entry.outcome]}{said}"
            timeline.record(EventKind.COMMAND, text, child=entry.child)

    return record
