"""Define the states of a child's registration in the cloud and the transitions between them. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gateway.state.transitions import Transition, next_state


class ChildState(StrEnum):
    """How far a child's registration has come."""

    ADMITTED = "admitted"
    """To be registered."""
    HELD = "held"
    """It answers at the address of another child, which is gone. It is read, and not registered until a person decides."""
    REGISTERING = "registering"
    """Register Child Device was about to be called; whether it was carried out is unknown until an answer is stored."""
    REGISTERED = "registered"
    UNMOVED = "unmoved"
    """It lives in the cloud under a former registration of the gateway, which does not move it yet: `problem` says why."""
    REFUSED = "refused"
    """The hub refused it: `problem` says why. Retried at each start and every now and then."""
    DELETED = "deleted"
    """Deleted in the cloud and, by setting, not registered again."""

    @property
    def is_in_cloud(self) -> bool:
        """Whether the cloud has the child under a known id."""
        return self in (ChildState.REGISTERED, ChildState.UNMOVED)


class ChildEvent(StrEnum):
    """An event that changes the state of a child's registration."""

    FOUND = "found"
    FOUND_IN_PLACE = "found in the place of another"
    IS_ANOTHER = "it is a device of its own"
    REQUESTED = "a person asks for it"
    CALL_STARTED = "call started"
    KEY_RECEIVED = "key received"
    NOT_CARRIED_OUT = "not carried out"
    REFUSED = "refused by the hub"
    LISTED = "listed by the hub"
    NOT_LISTED = "not listed by the hub"
    MODEL_CHANGED = "other model id"
    MOVE_REFUSED = "move refused"
    MOVED = "moved"
    GONE_WITH_PARENT = "deleted with the gateway"
    DELETED = "deleted in the cloud"
    LEFT_DELETED = "deleted and left so"


_STATE, _EVENT = ChildState, ChildEvent

CHILD_TRANSITIONS: Final[tuple[Transition[ChildState, ChildEvent], ...]] = (
    Transition(None, _EVENT.FOUND, _STATE.ADMITTED, "a search found a device that becomes a child"),
    Transition(None, _EVENT.FOUND_IN_PLACE, _STATE.HELD, "it may replace the child whose address it has"),
    Transition(_STATE.HELD, _EVENT.IS_ANOTHER, _STATE.ADMITTED, "a person says so, or the other child is found elsewhere"),
    Transition(_STATE.ADMITTED, _EVENT.CALL_STARTED, _STATE.REGISTERING, "the intention is stored before the call"),
    Transition(_STATE.REFUSED, _EVENT.CALL_STARTED, _STATE.REGISTERING, "a refused child is retried at intervals"),
    Transition(_STATE.DELETED, _EVENT.CALL_STARTED, _STATE.REGISTERING, "the setting `deleted_children` was changed"),
    Transition(_STATE.REGISTERING, _EVENT.KEY_RECEIVED, _STATE.REGISTERED, "the hub returned id and key"),
    Transition(_STATE.REGISTERING, _EVENT.NOT_CARRIED_OUT, _STATE.ADMITTED, "the call certainly registered nothing"),
    Transition(_STATE.REGISTERING, _EVENT.REFUSED, _STATE.REFUSED, "the hub does not accept this child"),
    Transition(_STATE.REGISTERING, _EVENT.LISTED, _STATE.REGISTERED, "the response was lost, but the marker is in the list"),
    Transition(_STATE.ADMITTED, _EVENT.LISTED, _STATE.REGISTERED, "the same, carried out after it was looked for"),
    Transition(_STATE.REFUSED, _EVENT.LISTED, _STATE.REGISTERED, "likewise"),
    Transition(_STATE.REGISTERING, _EVENT.NOT_LISTED, _STATE.ADMITTED, "the response was lost, and so was the call"),
    Transition(_STATE.REFUSED, _EVENT.MODEL_CHANGED, _STATE.ADMITTED, "the configuration was corrected"),
    Transition(_STATE.REGISTERED, _EVENT.GONE_WITH_PARENT, _STATE.ADMITTED, "it is registered again under the new parent"),
    Transition(_STATE.REGISTERED, _EVENT.MOVE_REFUSED, _STATE.UNMOVED, "the gateway registered again, and its key still works"),
    Transition(_STATE.UNMOVED, _EVENT.MOVED, _STATE.REGISTERED, "the gateway was claimed, so the cloud moves the child"),
    Transition(_STATE.UNMOVED, _EVENT.GONE_WITH_PARENT, _STATE.ADMITTED, "its key does not work any more"),
    Transition(_STATE.UNMOVED, _EVENT.REQUESTED, _STATE.ADMITTED, "its key is lost, and a person wants it registered again"),
    Transition(_STATE.UNMOVED, _EVENT.DELETED, _STATE.ADMITTED, "it is registered again, as set"),
    Transition(_STATE.UNMOVED, _EVENT.LEFT_DELETED, _STATE.DELETED, "it stays deleted, as set"),
    Transition(_STATE.REGISTERED, _EVENT.DELETED, _STATE.ADMITTED, "it is registered again, as set"),
    Transition(_STATE.REGISTERED, _EVENT.LEFT_DELETED, _STATE.DELETED, "it stays deleted, as set"),
)


def next_child_state(state: ChildState | None, event: ChildEvent) -> ChildState:
    """Return the state of a child after an event; raise `ValueError` for an event that is impossible in its state."""
    return next_state(CHILD_TRANSITIONS, state, event)
