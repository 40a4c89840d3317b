"""Keep the children with something to register, move or update, each with the earliest time of its next step."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

from gateway.hub import Credentials
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.records import ChildRecord
from gateway.state.registry import Registry
from gateway.tasks import loop_time

MAX_WAIT = timedelta(minutes=1)
"""The queue is checked at least this often."""

_SAFE_STATES = (ChildState.REGISTERING, ChildState.REGISTERED, ChildState.UNMOVED)
"""Children that are worked on while the response to a registration is missing: no key of theirs can be lost."""

DeletedChildren: TypeAlias = Literal["register_again", "leave"]
"""The setting for a child that was deleted in the cloud."""


class RegistrationQueue:
    """Follows the registry, in the order in which children changed.

    Waits use the loop's clock and start over with the process: a wall clock that jumps registers no child twice.
    """

    def __init__(self, registry: Registry, *, deleted_children: DeletedChildren, settle: timedelta) -> None:
        self._registry = registry
        self._deleted_children = deleted_children
        self._settle = settle
        self._parent_id: str | None = None
        self._revision = -1
        self._open: dict[str, None] = {}  # in the order in which they came
        self._not_before: dict[str, float] = {}  # child -> loop time of its next step, when that is not now
        self._refused_models: dict[str, str] = {}  # child -> the model id under which the hub refused it
        self._unanswered: set[str] = set()  # lost a response in this run: until it is resolved, no other key is put at risk

    def follow_registry(self, parent: Credentials) -> None:
        """Add the children that have something to do under this parent, and remove those that are done."""
        if parent.device_id != self._parent_id:
            self._parent_id, self._revision = parent.device_id, -1
            self._not_before.clear()
        changed = self._registry.changed_since(self._revision)
        self._revision = self._registry.revision
        for key in reversed(changed):
            record = self._registry.children.get(key)
            if record is not None and self._is_open(parent, record):
                self._open[key] = None
            else:
                self._open.pop(key, None)
            if record is None or record.state is not ChildState.REGISTERING:
                self._unanswered.discard(key)

    def next_due(self, *, registers_after: timedelta = timedelta(0)) -> tuple[ChildRecord | None, timedelta]:
        """Return the next child to work on, or `None` and the time after which there may be one.

        Children that are not registered yet have to wait until the former time is over; the others do not.
        """
        now, wait = loop_time(), MAX_WAIT
        may_register = not self._unanswered and registers_after <= timedelta(0)
        for key in self._open:
            record = self._registry.children[key]
            left = self._left(record, now)
            if left > timedelta(0):
                wait = min(wait, left)
            elif may_register or record.state in _SAFE_STATES:
                return record, timedelta(0)
        return None, min(wait, registers_after) if registers_after > timedelta(0) else wait

    def waiting_to_register(self) -> int:
        """Return how many children would be registered now."""
        now = loop_time()
        records = (self._registry.children[key] for key in self._open)
        return sum(one.state not in _SAFE_STATES and self._left(one, now) <= timedelta(0) for one in records)

    def unresolved(self) -> list[ChildRecord]:
        """Return the children with an unknown outcome whose time to settle is over."""
        now = loop_time()
        registering = [one for one in self._registry.children.values() if one.state is ChildState.REGISTERING]
        return [record for record in registering if self._left(record, now) <= timedelta(0)]

    def postpone(self, key: str, delay: timedelta) -> None:
        """Let a child wait."""
        self._not_before[key] = loop_time() + delay.total_seconds()

    def postpone_until(self, key: str, at: float) -> None:
        """Let a child wait until a loop time."""
        self._not_before[key] = at

    def postpone_refused(self, child: ChildDevice, delay: timedelta) -> None:
        """Let a refused child wait, unless its model id changes."""
        self.postpone(child.key, delay)
        self._refused_models[child.key] = child.model_id

    def response_lost(self, key: str) -> None:
        """Let a child wait until the hub had time to settle, and all unregistered children until it is resolved."""
        self._unanswered.add(key)
        self.postpone(key, self._settle)

    def resolved(self, key: str) -> None:
        """End the wait of a child whose outcome is known now, or that a person wants registered."""
        self._not_before.pop(key, None)

    def retry_refused(self) -> None:
        """End the wait of all children that were refused or not moved: the reason may be gone."""
        for key, record in self._registry.children.items():
            if record.state in (ChildState.REFUSED, ChildState.UNMOVED):
                self._not_before.pop(key, None)

    def _is_open(self, parent: Credentials, record: ChildRecord) -> bool:
        match record.state:
            case ChildState.REGISTERED:
                needs_update = record.needs_update and record.access_key is not None
                return record.parent_id != parent.device_id or needs_update or record.unanswered_at is not None
            case ChildState.HELD:
                return False
            case ChildState.DELETED:
                return self._deleted_children == "register_again"
            case _:
                return True

    def _left(self, record: ChildRecord, now: float) -> timedelta:
        """Return how long a child still waits, to the microsecond: a shorter wait is none, whoever asks."""
        return timedelta(seconds=self._due_at(record, now) - now)

    def _due_at(self, record: ChildRecord, now: float) -> float:
        key = record.child.key
        if record.state is ChildState.REGISTERING:  # left by an earlier run at an unknown time
            return self._not_before.setdefault(key, now + self._settle.total_seconds())
        if self._refused_models.get(key, record.child.model_id) != record.child.model_id:
            del self._refused_models[key]  # the configuration was corrected
            self._not_before.pop(key, None)
        return self._not_before.get(key, 0.0)
