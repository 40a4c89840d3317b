"""Keep what was observed of the children over a restart: whether they answer, since when, and what they said last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.causes import Cause, Reason
from gateway.errors import StoreError
from gateway.field.children.availability import AvailabilityChange as Change
from gateway.field.children.availability import ChildAvailability
from gateway.models import Reach, Reading
from gateway.runtime.parts import FieldParts
from gateway.state.database.sqlite import Transaction
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.observed_children import (
    ObservedChange,
    ObservedFailures,
    ObservedState,
    ObservedValues,
    read_states,
    read_values,
    remove_children,
    write_state,
    write_values,
)
from gateway.state.registry import Registry
from gateway.status.history import History
from gateway.status.snapshot import AvailabilityChange, FailureCount

AT_ONCE: Final = 100
"""So many children are looked at before other work has its turn."""


@dataclass(slots=True)
class _Unsaved:
    """What one save writes."""

    states: dict[str, ObservedState] = field(default_factory=dict)
    values: dict[str, ObservedValues] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def write(self, db: Transaction) -> None:
        """Write all of it."""
        remove_children(db, self.removed)
        for child, state in self.states.items():
            write_state(db, child, state)
        for child, values in self.values.items():
            write_values(db, child, values)


class ObservationKeeper:
    """What is known of the children: a part of the history file.

    Args:
        file: keeps it.
        registry: which children there are.
        field: which of them answer.
        history: what they said; `None` where there is no status page, and so no values are kept.
    """

    def __init__(self, file: HistoryFile, registry: Registry, field: FieldParts, history: History | None) -> None:
        self._file = file
        self._registry = registry
        self._field = field
        self._history = history
        self._stored = set[str]()
        self._states: dict[str, ObservedState] = {}
        self._values: dict[str, object] = {}
        self._changed = set[str]()
        self._handed_over = _Unsaved()
        field.monitor.add_listener(self._note)
        file.add_part(self)

    async def load(self) -> None:
        """Know what was known of the children before the start."""
        try:
            states, values = await self._file.transact(lambda db: (read_states(db), read_values(db)))
        except StoreError:
            return
        self._stored = states.keys() | values.keys()
        for child, state in states.items():
            if child in self._registry.children:
                self._states[child] = state
                self._field.availability.restore(child, _availability_of(state))
                self._field.intake.restore_evidence(child, state.evidence)
                self._restore_page(child, (), state.changes)
        for child, said in values.items():
            if child in self._registry.children:
                self._values[child] = _mark_of(said)
                if said.answered_at is not None:
                    self._field.monitor.restore_last_answer(child, said.answered_at)
                self._restore_page(child, said.values, ())
                if self._history is not None:
                    self._history.restore_failures(child, [_failure_count(one) for one in said.failures])

    async def unsaved(self, *, is_full: bool) -> Callable[[Transaction], None] | None:
        """Return what writes whatever has changed since the last save; otherwise than in a full one, changes of availability."""
        unsaved, children = _Unsaved(), self._registry.children
        keys = list(children) if is_full else [key for key in self._changed if key in children]
        for number, key in enumerate(keys):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            if (state := self._state_of(key)) is not None and state != self._states.get(key):
                unsaved.states[key] = state
            if is_full and (values := self._values_of(key)) is not None and _mark_of(values) != self._values.get(key):
                unsaved.values[key] = values
        unsaved.removed = {key for key in self._stored if key not in children}
        self._handed_over = unsaved
        self._changed.clear()
        return unsaved.write if unsaved.states or unsaved.values or unsaved.removed else None

    def saved(self) -> None:
        """Note what is in the file now."""
        done, self._handed_over = self._handed_over, _Unsaved()
        self._states |= done.states
        self._values |= {key: _mark_of(values) for key, values in done.values.items()}
        self._stored |= done.states.keys() | done.values.keys()
        self._stored -= done.removed
        for key in done.removed:
            self._states.pop(key, None)
            self._values.pop(key, None)

    def begin_anew(self) -> None:
        """Write everything the next time."""
        self._stored, self._states, self._values = set(), {}, {}

    def thin(self, db: Transaction) -> bool:
        """Remove nothing: it has as many rows as there are children."""
        del db
        return False

    def _note(self, change: Change) -> None:
        self._changed.add(change.child)
        if not change.is_continued:
            self._file.save_soon()

    def _state_of(self, key: str) -> ObservedState | None:
        availability: ChildAvailability = self._field.availability.of(key)
        if availability.last_reach is Reach.UNKNOWN:
            return None
        changes = () if self._history is None else self._history.changes(key)
        return ObservedState(
            reach=availability.last_reach,
            since=availability.since,
            why=availability.why,
            cause=None if availability.reason is None else availability.reason.cause.value,
            special_step=None if availability.reason is None else availability.reason.special_step,
            is_of_bus=availability.is_of_bus,
            changes=tuple(ObservedChange(at=one.at, reach=one.reach, why=one.why) for one in changes),
            evidence=dict(self._field.intake.evidence_of(key)),
        )

    def _values_of(self, key: str) -> ObservedValues | None:
        values = () if self._history is None else self._history.last_readings(key)
        failures = () if self._history is None else self._history.failures(key)
        answered_at = self._field.monitor.last_answer(key)
        if not values and answered_at is None:
            return None
        return ObservedValues(
            answered_at=answered_at,
            values=tuple(values),
            failures=tuple(
                ObservedFailures(
                    kind=one.kind, cause=one.cause.value, times=one.times, last_at=one.last_at, last_text=one.last_text
                )
                for one in failures
            ),
        )

    def _restore_page(self, child: str, values: Iterable[Reading], changes: Iterable[ObservedChange]) -> None:
        if self._history is not None:
            self._history.restore_last(
                child,
                values,
                [AvailabilityChange(at=one.at, reach=one.reach, why=one.why) for one in changes],
            )


def _mark_of(values: ObservedValues) -> object:
    """Return something that is another when the values are others."""
    return values.answered_at, values.failures, len(values.values), max((one.at for one in values.values), default=None)


def _availability_of(state: ObservedState) -> ChildAvailability:
    reason = None if state.why is None else Reason(state.why, _cause(state.cause), state.special_step)
    return ChildAvailability(state.reach, state.since, reason, 0, is_of_bus=state.is_of_bus)


def _cause(word: str | None) -> Cause:
    try:
        return Cause(word or Cause.UNKNOWN)
    except ValueError:  # of another version
        return Cause.UNKNOWN


def _failure_count(one: ObservedFailures) -> FailureCount:
    return FailureCount(kind=one.kind, cause=_cause(one.cause), times=one.times, last_at=one.last_at, last_text=one.last_text)
