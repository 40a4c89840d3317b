"""What the try of a bus says: whole sentences, whatever the adapter says."""

import pytest

from gateway.adapter import BusUnavailable, Cause
from gateway.runtime.configuration import bus_trials


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("is it the right port?", "is it the right port? The machine is there, "),
        ("permission denied.", "permission denied. The machine is there, "),
        ("it refuses", "it refuses. The machine is there, "),
    ],
)
def test_what_is_wrong_and_what_to_do_are_sentences_one_after_the_other(said, shown):
    text = bus_trials._sentence(bus_trials._why(BusUnavailable(said, cause=Cause.HOST_REFUSES)))
    assert text.startswith(shown)
    assert text.endswith(" admits the address of this gateway.")
