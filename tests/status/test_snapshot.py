import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from gateway.models import Reach
from gateway.state.child_states import ChildState
from gateway.status import cloud_activity, snapshot
from gateway.status import model as status_model
from gateway.status.model import StatusModel, decode_id, encode_id, printable_text
from gateway.status.snapshot import ChildStatus, child_status

ANY_TEXT = st.text(st.characters(), max_size=400)  # surrogates too


@given(st.text(st.characters(exclude_characters="\x1f")), st.text(st.characters(exclude_characters="\x1f")))
def test_an_id_says_whose_it_is_and_fits_into_an_address(first, second):
    word = encode_id(first, second)
    assert decode_id(word) == (first, second)
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in word)


@given(st.text())
def test_a_word_that_is_no_id_names_nothing_or_what_it_came_from(word):
    names = decode_id(word)
    assert names == () or decode_id(encode_id(*names)) == names


@given(ANY_TEXT)
def test_whatever_a_device_says_becomes_one_line_that_can_be_written(said):
    shown = printable_text(said)
    shown.encode()
    assert shown.isprintable()
    assert len(shown) <= status_model.MAX_TEXT_LENGTH


def test_reading_direction_and_line_breaks_cannot_be_smuggled_in():
    assert printable_text("a\u202egnp.exe\nb") == "a\ufffdgnp.exe b"
    assert printable_text("Zähler №1 °C 你好 🌡") == "Zähler №1 °C 你好 🌡"


@pytest.mark.parametrize(
    ("state", "reach", "standing"),
    [
        (ChildState.REGISTERED, Reach.REACHABLE, ChildStatus.FINE),
        (ChildState.REGISTERED, Reach.SILENT, ChildStatus.SILENT),
        (ChildState.REGISTERED, Reach.UNKNOWN, ChildStatus.UNASKED),
        (ChildState.ADMITTED, Reach.REACHABLE, ChildStatus.UNREGISTERED),
        (ChildState.REGISTERING, Reach.SILENT, ChildStatus.SILENT),
        (ChildState.REFUSED, Reach.REACHABLE, ChildStatus.REFUSED),
        (ChildState.REFUSED, Reach.SILENT, ChildStatus.REFUSED),
        (ChildState.DELETED, Reach.SILENT, ChildStatus.DELETED),
    ],
)
def test_a_child_stands_as_badly_as_the_worst_that_is_true_of_it(state, reach, standing):
    assert child_status(state, reach) is standing


def test_no_model_that_is_shown_has_room_for_a_secret():
    models = [
        model
        for model in (vars(snapshot) | vars(cloud_activity)).values()
        if isinstance(model, type) and issubclass(model, StatusModel)
    ]
    assert len(models) > 15
    for model in models:
        for name, field in model.model_fields.items():
            assert not any(word in name for word in ("access_key", "hardware_key", "token", "secret", "credentials")), name
            assert "SecretStr" not in str(field.annotation)
    with pytest.raises(ValidationError):
        snapshot.HubContact(is_reachable=True, access_key=SecretStr("x"))
