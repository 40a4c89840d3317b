"""Record in the timeline what is reported to the cloud, how commands ended, and what becomes of firmware and licences. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.state.command_ledger import LedgerEntry, Outcome
from gateway.state.events import ReportEvent
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.licences import LicenceRecord, LicenceState

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

_RECORDED_ELSEWHERE: Final = frozenset({"device_admitted", "device_retired", "command_failed", "incident_over"})
"""What the timeline has from the registry, the ledger of commands and the incidents: those know the device, and every outcome."""


def recording_reports(timeline: Timeline) -> ReportEvent:
    """Return a function that records a report, with the arguments of `EventQueue.report`."""

    def record(child: str | None, name: str, category: str, text: str) -> None:
        if name not in _RECORDED_ELSEWHERE:
            kind = _KINDS.get(name) or _KINDS_OF_CATEGORIES.get(category, EventKind.OTHER)
            timeline.record(kind, text, child=child)

    return record


UPDATE_FIRMWARE: Final = "update_firmware"

_OF_LICENCES: Final[Mapping[LicenceState, str]] = {
    LicenceState.PENDING: "the change ({what}) waits for the device",
    LicenceState.IN_USE: "is in use",
    LicenceState.REMOVED: "was removed",
    LicenceState.ERROR: "the change ({what}) failed",
    LicenceState.EXPIRED: "has expired, and is not in use any more",
}

_OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.DONE: "was carried out",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "may have been carried out",
}


def recording_outcomes(timeline: Timeline) -> Callable[[LedgerEntry], None]:
    """Return a function that records how a command ended."""

    def record(entry: LedgerEntry) -> None:
        if entry.outcome is not None:
            said = f": {entry.message}" if entry.message else ""
            if entry.name == UPDATE_FIRMWARE:
                what = {Outcome.DONE: "was installed", Outcome.FAILED: "was not installed"}.get(entry.outcome, "may be installed")
                timeline.record(EventKind.FIRMWARE, f"firmware {what}{said}", child=entry.child)
                return
            text = f"command {entry.name.replace('_', ' ')} {_giver(entry)} {_OUTCOMES[entry.outcome]}{said}"
            timeline.record(EventKind.COMMAND, text, child=entry.child)

    return record


def recording_starts(timeline: Timeline) -> Callable[[LedgerEntry], None]:
    """Return a function that records that an installation of firmware begins; other commands are told when they have ended."""

    def record(entry: LedgerEntry) -> None:
        if entry.name == UPDATE_FIRMWARE:
            version = entry.parameters.get("version")
            which = f" of version {version}" if isinstance(version, str) else ""
            timeline.record(EventKind.FIRMWARE, f"an installation of firmware{which}, {_giver(entry)}, begins", child=entry.child)

    return record


def recording_licences(timeline: Timeline) -> Callable[[LicenceRecord], None]:
    """Return a function that records what becomes of a licence; its content is not told."""

    def record(licence: LicenceRecord) -> None:
        done = _OF_LICENCES[licence.state]
        what = licence.change.value if licence.state in (LicenceState.PENDING, LicenceState.ERROR) else ""
        why = f": {licence.problem}" if licence.problem else ""
        text = f"licence {licence.licence_id}: {done.format(what=what)}{why}"
        timeline.record(EventKind.LICENCE, text, child=licence.child, subject=f"licence:{licence.licence_id}")

    return record


def _giver(entry: LedgerEntry) -> str:
    if not entry.is_local:
        return "of the cloud"
    return f"given here ({entry.asked_by})" if entry.asked_by else "given here"
