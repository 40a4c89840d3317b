import pytest
from pydantic import SecretStr

from gateway.cloud.enrolment_states import (
    ENROLMENT_TRANSITIONS,
    EnrolmentEvent,
    EnrolmentState,
    enrolment_state,
    registered,
    restored,
    revoked,
)
from gateway.hub import Credentials
from gateway.state.records import GatewayRecord

NEW = GatewayRecord(serial_number="S", mac=None, cloud_id=None)


def credentials(key):
    return Credentials(device_id="d", access_key=SecretStr(key), hub_url="https://hub.example")


def test_every_state_can_be_reached_and_every_event_is_used():
    assert {row.next_state for row in ENROLMENT_TRANSITIONS} | {EnrolmentState.UNREGISTERED} == set(EnrolmentState)
    assert {row.event for row in ENROLMENT_TRANSITIONS} == set(EnrolmentEvent)


def test_the_former_key_is_kept_until_there_is_a_new_one():
    first = registered(NEW, credentials("first"), sent_info="i")
    gone = revoked(first)
    assert (enrolment_state(gone), gone.credentials, gone.former_credentials) == (
        EnrolmentState.REVOKED,
        None,
        credentials("first"),
    )
    assert gone.serial_number == "S"
    again = registered(gone, credentials("second"), sent_info="i")
    assert (again.credentials, again.former_credentials, again.sent_info) == (credentials("second"), None, "i")
    back = restored(gone)
    assert (back.credentials, back.former_credentials) == (credentials("first"), None)


def test_what_was_never_registered_is_neither_revoked_nor_restored():
    for event in (revoked, restored):
        with pytest.raises(ValueError, match="no transition from unregistered"):
            event(NEW)


def test_a_registered_gateway_does_not_register_a_second_time():
    with pytest.raises(ValueError, match="no transition from registered"):
        registered(registered(NEW, credentials("first"), sent_info="i"), credentials("second"), sent_info="i")
