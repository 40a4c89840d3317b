import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from gateway.models import Reach
from gateway.state.records import ChildState
from gateway.status import snapshot
from gateway.status.snapshot import Shown, Standing, id_of, names_of, readable, standing_of

ANY_TEXT = st.text(st.characters(), max_size=400)  # surrogates too


@given(st.text(st.characters(exclude_characters="\x1f")), st.text(st.characters(exclude_characters="\x1f")))
def test_an_id_says_whose_it_is_and_fits_into_an_address(first, second):
    word = id_of(first, second)
    assert names_of(word) == (first, second)
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in word)


@given(st.text())
def test_a_word_that_is_no_id_names_nothing_or_what_it_came_from(word):
    names = names_of(word)
    assert names == () or names_of(id_of(*names)) == names


@given(ANY_TEXT)
def test_whatever_a_device_says_becomes_one_line_that_can_be_written(said):
    shown = readable(said)
    shown.encode()
    assert shown.isprintable()
    assert len(shown) <= snapshot.TEXT_LENGTH


def test_reading_direction_and_line_breaks_cannot_be_smuggled_in():
    assert readable("a\u202egnp.exe\nb") == "a\ufffdgnp.exe b"
    assert readable("Zähler №1 °C 你好 🌡") == "Zähler №1 °C 你好 🌡"


@pytest.mark.parametrize(
    ("state", "reach", "standing"),
    [
        (ChildState.REGISTERED, Reach.REACHABLE, Standing.FINE),
        (ChildState.REGISTERED, Reach.SILENT, Standing.SILENT),
        (ChildState.REGISTERED, Reach.UNKNOWN, Standing.UNASKED),
        (ChildState.ADMITTED, Reach.REACHABLE, Standing.UNREGISTERED),
        (ChildState.REGISTERING, Reach.SILENT, Standing.SILENT),
        (ChildState.REFUSED, Reach.REACHABLE, Standing.REFUSED),
        (ChildState.REFUSED, Reach.SILENT, Standing.REFUSED),
        (ChildState.DELETED, Reach.SILENT, Standing.DELETED),
    ],
)
def test_a_child_stands_as_badly_as_the_worst_that_is_true_of_it(state, reach, standing):
    assert standing_of(state, reach) is standing


def test_no_model_that_is_shown_has_room_for_a_secret():
    models = [model for model in vars(snapshot).values() if isinstance(model, type) and issubclass(model, Shown)]
    assert len(models) > 15
    for model in models:
        for name, field in model.model_fields.items():
            assert not any(word in name for word in ("access_key", "hardware_key", "token", "secret", "credentials")), name
            assert "SecretStr" not in str(field.annotation)
    with pytest.raises(ValidationError):
        snapshot.HubContact(is_reachable=True, access_key=SecretStr("x"))
