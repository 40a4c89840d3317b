"""ARCHITECTURE.md shows the state machines as the code has them."""

from pathlib import Path

import pytest

from gateway.cloud.enrolment_states import ENROLMENT_TRANSITIONS
from gateway.state.child_states import CHILD_TRANSITIONS
from gateway.state.transitions import as_markdown

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"


@pytest.mark.parametrize(
    ("name", "transitions"), [("child states", CHILD_TRANSITIONS), ("enrolment states", ENROLMENT_TRANSITIONS)]
)
def test_the_diagram_is_the_one_that_the_table_makes(name, transitions):
    _, begin, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    shown, end, _ = rest.partition(f"<!-- /{name} -->")
    assert begin
    assert end
    assert shown == as_markdown(transitions), f"put the text of as_markdown() between the markers <!-- {name} -->"
