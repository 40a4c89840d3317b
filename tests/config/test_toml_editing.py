"""Single values are changed in the text of a configuration: all else of it stays as it was written."""

import pytest

from gateway.config.toml_editing import EditedToml, NotEditable, toml_of, value_of
from gateway.toml_text import read_toml

TEXT = """\
# top
[cloud]
telemetry_every = 5 # five
# end of cloud

[[adapter]]
type = "modbus"
hosts = [
  "1.2.3.4",  # first
  { host = "b", port = 3 },
]
devices = [{ unit = 1, profile = "p" }]

[[adapter]]
type = "ble"
"""


@pytest.mark.parametrize(
    ("place", "value", "changed"),
    [
        (("cloud", "telemetry_every"), 7, {"telemetry_every = 5 # five": "telemetry_every = 7 # five"}),
        (("cloud", "may"), "observe", {"# end of cloud\n": '# end of cloud\nmay = "observe"\n'}),
        (("adapter", 0, "hosts", 1, "port"), 4, {"port = 3": "port = 4"}),
        (("adapter", 0, "hosts", 0), {"host": "1.2.3.4", "port": 5}, {'"1.2.3.4",': '{host = "1.2.3.4", port = 5},'}),
        (("notify", "smtp_host"), 'a"b\\n', None),
        (("adapter", 0, "hosts", 2), {"host": "c"}, None),
        (("adapter", 1, "devices", 0), {"address": "c", "pair": True}, None),
        (("adapter", 2), {"type": "serial", "ports": ["*"]}, None),
        (("child", "sn:a/b c", "may"), "observe", None),
        (("adapter", 0, "hosts", 1, "tls", "ca_file"), "f", None),
    ],
)
def test_one_value_changes_and_every_other_line_stays(place, value, changed):
    edited = EditedToml(TEXT)
    edited.set(place, value)
    text = edited.text
    if changed is not None:
        assert text == TEXT.replace(*next(iter(changed.items())))
    assert EditedToml(text).value(place) == value
    kept = [line for line in TEXT.splitlines() if line in text.splitlines()]
    assert len(kept) >= len(TEXT.splitlines()) - 2
    edited.remove(place)
    assert EditedToml(edited.text).value(place) is None or isinstance(place[-1], int)


def test_what_is_no_toml_and_what_cannot_be_written_is_refused_with_what_to_do():
    with pytest.raises(NotEditable, match="Correct it as text first"):
        EditedToml("[cloud\n")
    with pytest.raises(NotEditable, match="Edit it as text"):
        EditedToml(TEXT).set(("adapter", 0, "hosts", 0, "tls", "ca_file"), "f")
    for text in ("", "1\nother = 2", "'a", "[1, 2"):
        with pytest.raises(ValueError, match="value"):
            value_of(text)
    for value in (["a", 1, {"b": [True]}], {"a b": "c"}, "x"):
        assert value_of(toml_of(value)) == value


def test_removing_what_is_not_there_changes_nothing():
    edited = EditedToml(TEXT)
    edited.remove(("cloud", "may"))
    assert edited.text == TEXT
    edited.remove(("adapter", 0, "hosts", 1))
    edited.remove(("adapter", 1))
    assert read_toml(edited.text)["adapter"][0]["hosts"] == ["1.2.3.4"]
    assert len(read_toml(edited.text)["adapter"]) == 1
