import pytest

from gateway.models import NAME_LENGTH, parse_name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Boiler house", "Boiler house"),
        ("  Boiler \t house\n", "Boiler house"),
        ("Kühlraum 3 · 冷蔵庫", "Kühlraum 3 · 冷蔵庫"),
        ("x" * NAME_LENGTH, "x" * NAME_LENGTH),
    ],
)
def test_a_name_is_readable_text_with_its_spaces_tidied(typed, name):
    assert parse_name(typed) == name


@pytest.mark.parametrize(
    "typed", ["", "  \n", "x" * (NAME_LENGTH + 1), "a\x1b[2J", "a\x00", "\u202egpj.exe", "\ud800", "a\u200b"]
)
def test_what_nobody_can_read_is_no_name(typed):
    with pytest.raises(ValueError, match="a name has"):
        parse_name(typed)
