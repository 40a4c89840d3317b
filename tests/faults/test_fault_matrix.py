"""For each fault on each kind of bus the gateway tells the right cause, with what was seen and the next step."""

import pytest
from fault_cells import as_markdown
from fault_matrix import CELLS

from gateway.adapter import Cause
from gateway.causes import Reason

WRONG = {
    # a unit that refuses everything is not offline, since some devices do so by night; its page says what it refuses
    ("an exception for everything", "Modbus RTU"),
    ("an exception for everything", "Modbus TCP"),
    ("an exception for everything", "RTU over TCP"),
    ("an exception for everything", "Modbus UDP"),
    # bluetoothd that pairs again and again never answers either, so a silent device that is not paired is told to need that
    ("one device stops answering", "Bluetooth LE"),
    # text in place of binary frames looks like another speed
    ("another device answers", "serial port"),
    # told as TLS, although the sentence says that the host wants a certificate of the gateway
    ("login refused", "Modbus TCP with TLS"),
}
"""The cells, by fault and bus, in which another cause is told than the right one."""


@pytest.mark.enable_socket
@pytest.mark.parametrize("cell", CELLS, ids=[f"{cell.fault} - {cell.bus}" for cell in CELLS])
def test_the_cause_that_is_told_is_the_right_one(cell):
    told = cell.run()
    is_right = cell.is_right(told)
    assert is_right is ((cell.fault, cell.bus) not in WRONG), f"{told.cause}: {told.text} - {told.next_step}"


def test_at_least_nine_of_ten_cells_are_right():
    assert len(WRONG) <= len(CELLS) / 10


def test_a_wrong_cell_is_shown_in_the_table():
    told = {at: Reason("x", Cause.HELD) for at in range(len(CELLS))}
    table = as_markdown(CELLS, told)
    assert "**wrong: held**" in table
    assert f"0 of {len(CELLS)} cells are right" in table
