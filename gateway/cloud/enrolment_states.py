"""Define the states of the gateway's own registration, and the record after each event. Pure."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final

from gateway.hub import Credentials
from gateway.state.records import GatewayRecord
from gateway.state.transitions import Transition, next_state


class EnrolmentState(StrEnum):
    """The state of the gateway's registration in the cloud."""

    UNREGISTERED = "unregistered"
    REGISTERED = "registered"
    REVOKED = "revoked"
    """Deleted in the cloud; the former credentials are kept until there are new ones."""


class EnrolmentEvent(StrEnum):
    """An event that changes the registration of the gateway."""

    REGISTERED = "registered"
    REVOKED = "key refused twice"
    FORMER_KEY_ACCEPTED = "former key accepted"


_STATE, _EVENT = EnrolmentState, EnrolmentEvent

ENROLMENT_TRANSITIONS: Final[tuple[Transition[EnrolmentState, EnrolmentEvent], ...]] = (
    Transition(_STATE.UNREGISTERED, _EVENT.REGISTERED, _STATE.REGISTERED, "the first registration succeeded"),
    Transition(_STATE.REGISTERED, _EVENT.REVOKED, _STATE.REVOKED, "the gateway was deleted in the cloud"),
    Transition(_STATE.REVOKED, _EVENT.REGISTERED, _STATE.REGISTERED, "it registered again under its old identity"),
    Transition(_STATE.REVOKED, _EVENT.FORMER_KEY_ACCEPTED, _STATE.REGISTERED, "the cloud had refused the key by mistake"),
)


def enrolment_state(record: GatewayRecord) -> EnrolmentState:
    """Return the state of the gateway's registration."""
    if record.credentials is not None:
        return EnrolmentState.REGISTERED
    return EnrolmentState.UNREGISTERED if record.former_credentials is None else EnrolmentState.REVOKED


def registered(record: GatewayRecord, credentials: Credentials, *, sent_info: str) -> GatewayRecord:
    """Return the record after a registration."""
    after = replace(record, credentials=credentials, former_credentials=None, sent_info=sent_info)
    return _checked(record, EnrolmentEvent.REGISTERED, after)


def revoked(record: GatewayRecord) -> GatewayRecord:
    """Return the record after the gateway was deleted in the cloud."""
    after = replace(record, credentials=None, former_credentials=record.credentials)
    return _checked(record, EnrolmentEvent.REVOKED, after)


def restored(record: GatewayRecord) -> GatewayRecord:
    """Return the record after the cloud accepted the former key again."""
    after = replace(record, credentials=record.former_credentials, former_credentials=None)
    return _checked(record, EnrolmentEvent.FORMER_KEY_ACCEPTED, after)


def _checked(before: GatewayRecord, event: EnrolmentEvent, after: GatewayRecord) -> GatewayRecord:
    expected = next_state(ENROLMENT_TRANSITIONS, enrolment_state(before), event)
    if enrolment_state(after) is not expected:
        raise ValueError(f"{event} must lead to {expected}, not to {enrolment_state(after)}")
    return after
