"""The text of a configuration without its secrets: masks come back as secrets only where a secret belongs."""

import pytest

from gateway.config.masked_text import mask_secrets, misplaced_masks
from gateway.config.text_difference import text_difference

TEXT = """\
hardware_key = "the key"  # remark
webhook = "https://hooks.example/abc"
url = "https://me:word@host.example/path"
keys = { password = 'p', n = 1 }
other_key = \"\"\"
a
b\"\"\"
"""
NAMES = frozenset({"webhook"})


def test_masks_that_stay_in_their_place_come_back_as_their_secrets():
    masked = mask_secrets(TEXT, NAMES)
    for secret in ("the key", "hooks.example", "me:word", "'p'", "\na\n"):
        assert secret not in masked.text
    assert masked.text.count("\n") == TEXT.count("\n")
    assert masked.restored(masked.text) == TEXT
    assert masked.restored("# first\n" + masked.text.replace("n = 1", "n = 2")) == "# first\n" + TEXT.replace("n = 1", "n = 2")


@pytest.mark.parametrize(
    "moved",
    [
        lambda text: text.replace("hardware_key =", "name ="),
        lambda text: text.replace("@host.example", "@attacker.example"),
        lambda text: text + 'name = "its ******** (secret 1)"\n',
        lambda text: text.replace("webhook =", "label ="),
    ],
    ids=["key that is shown", "other host", "inside a text", "typed by its model"],
)
def test_a_mask_that_was_moved_to_where_it_would_be_seen_gives_nothing_away_and_is_found(moved):
    masked = mask_secrets(TEXT, NAMES)
    back = masked.restored(moved(masked.text))
    shown = mask_secrets(back, NAMES).text
    for secret in ("the key", "hooks.example/abc", "me:word"):
        assert secret not in shown
    assert "attacker.example" not in back or "me:word" not in back
    assert misplaced_masks(back)


def test_a_difference_shows_that_a_secret_is_another_one_and_neither_of_them():
    lines = text_difference(TEXT, TEXT.replace("the key", "new key"), NAMES)
    changed = [line for line in lines if line[0] in "+-"]
    assert changed == [
        ("-", 'hardware_key = "********"  # remark'),
        ("+", 'hardware_key = "******** (another one)"  # remark'),
    ]
    moved = text_difference(TEXT, "a = 1\n" + TEXT, NAMES)
    assert [line for line in moved if line[0] in "+-"] == [("+", "a = 1")], "masks with other numbers are no difference"
