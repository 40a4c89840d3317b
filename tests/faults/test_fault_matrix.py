"""For each fault on each kind of bus the gateway tells the right cause, with what was seen and the next step."""

import pytest
from fault_cells import as_markdown, run_together, told_in
from fault_matrix import CELLS

from gateway.adapter import Cause
from gateway.causes import Reason

WRONG: set[tuple[str, str]] = set()
"""The cells, by fault and bus, in which another cause is told than the right one; each with why, as a comment."""


@pytest.fixture(scope="module")
def told(request):
    """What is told in those cells that this process tests and that mostly wait."""
    items = (item for item in request.session.items if item.path == request.path and "cell" in item.fixturenames)
    return run_together(item.callspec.params["cell"] for item in items)


@pytest.mark.enable_socket
@pytest.mark.parametrize("cell", CELLS, ids=[f"{cell.fault} - {cell.bus}" for cell in CELLS])
def test_the_cause_that_is_told_is_the_right_one(cell, told):
    reason = told_in(cell, told)
    is_right = cell.is_right(reason)
    assert is_right is ((cell.fault, cell.bus) not in WRONG), f"{reason.cause}: {reason.text} - {reason.next_step}"


def test_at_least_nine_of_ten_cells_are_right():
    assert len(WRONG) <= len(CELLS) / 10


def test_a_wrong_cell_is_shown_in_the_table():
    told = {at: Reason("x", Cause.HELD) for at in range(len(CELLS))}
    table = as_markdown(CELLS, told)
    assert "**wrong: held**" in table
    assert f"0 of {len(CELLS)} cells are right" in table
