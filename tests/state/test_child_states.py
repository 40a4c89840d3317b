from dataclasses import replace

import pytest

from gateway.models import ChildDevice
from gateway.state.child_states import CHILD_TRANSITIONS, ChildEvent, ChildState, next_child_state
from gateway.state.records import ChildRecord
from gateway.state.transitions import as_markdown

CHILD = ChildDevice(
    key="sn:1", adapter="a", bus="b", address="1", profile=None, family=None, model_id="m", sub_model=None, firmware_version=None,
    name="One",
)  # fmt: skip


def test_every_state_can_be_reached_and_left_and_every_event_is_used():
    assert {row.next_state for row in CHILD_TRANSITIONS} == set(ChildState)
    assert {row.state for row in CHILD_TRANSITIONS} == {None, *ChildState}
    assert {row.event for row in CHILD_TRANSITIONS} == set(ChildEvent)


def test_a_state_and_an_event_lead_to_one_state():
    assert len({(row.state, row.event) for row in CHILD_TRANSITIONS}) == len(CHILD_TRANSITIONS)


@pytest.mark.parametrize("state", [ChildState.REGISTERING, ChildState.REGISTERED])
def test_a_child_that_may_be_in_the_cloud_cannot_be_registered_a_second_time(state):
    with pytest.raises(ValueError, match=f"no transition from {state} with call started"):
        next_child_state(state, ChildEvent.CALL_STARTED)


def test_a_refused_child_is_admitted_again_only_with_another_model():
    refused = replace(ChildRecord.new(CHILD), state=ChildState.REFUSED)
    assert refused.found_again(replace(CHILD, bus="other")).state is ChildState.REFUSED
    assert refused.found_again(replace(CHILD, model_id="other")).state is ChildState.ADMITTED


def test_the_table_is_rendered_as_a_diagram_and_a_table():
    lines = as_markdown(CHILD_TRANSITIONS).splitlines()
    assert lines[:3] == ["```mermaid", "stateDiagram-v2", "    [*] --> admitted: found"]
    assert "    registering --> registered: key received" in lines
    assert "| registering | key received | registered | the hub returned id and key |" in lines
