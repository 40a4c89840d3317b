"""The text of a configuration without its secrets: masks come back as secrets only where a secret belongs."""

import difflib

import pytest

from gateway.config.masked_text import mask_secrets, misplaced_masks
from gateway.config.text_difference import MOST_WORK, text_difference

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


REPEATED = """\
webhook_token = "tok-123456"  # my token tok-123456
webhook = "https://hooks.example/a/new"  # before: https://hooks.example/a/old
url = "http://me:word-12345@host.example/"
# tok-123456 and word-12345
name = "a"
password = "secret"
other = "tok-123456"
"""


def test_a_secret_that_stands_again_in_a_comment_is_masked_there_and_comes_back():
    masked = mask_secrets(REPEATED, NAMES)
    for secret in ("tok-123456", "a/new", "a/old", "word-12345"):
        assert secret not in masked.text
    assert masked.restored(masked.text) == REPEATED
    assert masked.restored(masked.text.replace('"a"', '"b"')) == REPEATED.replace('"a"', '"b"')


@pytest.mark.parametrize(
    "moved",
    [
        lambda text: text.replace('name = "a"', 'name = "' + text.split("my token ")[1].split("\n")[0] + '"'),
        lambda text: "\n".join(text.splitlines()[3:6]),
    ],
    ids=["into a value that is shown", "without the key whose secret it is"],
)
def test_a_mask_of_a_repeated_secret_does_not_come_back_where_it_would_be_seen(moved):
    masked = mask_secrets(REPEATED, NAMES)
    back = masked.restored(moved(masked.text))
    assert 'name = "tok-123456"' not in back
    assert "# tok-123456" not in back
    assert misplaced_masks(back)


def test_a_difference_shows_a_repeated_secret_in_neither_text():
    lines = text_difference(REPEATED, REPEATED.replace('"tok-123456"  #', '"tok-987654"  # not tok-987654,'), NAMES)
    shown = "\n".join(line for _, line in lines)
    assert "tok-" not in shown
    assert "(another one)" in shown


@pytest.mark.parametrize("line", ["# the same\n", "[[a]]\nb = 1\n"])
def test_a_difference_among_a_megabyte_of_equal_lines_is_found_without_comparing_each_with_each(line, monkeypatch):
    made = []

    class Counted(difflib.SequenceMatcher):
        def __init__(self, isjunk, a, b, *, autojunk):
            made.append(len(a) * len(b) * min(len(a), len(b)))
            super().__init__(isjunk, a, b, autojunk=autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", Counted)
    half = line * (500_000 // len(line))
    text = half + half
    assert [one for one in text_difference(text, half + "x = 1\n" + half) if one[0] in "+-"] == [("+", "x = 1")]
    lines = text_difference("x = 1\n" + text + "y = 1\n", "x = 2\n" + half + "x = 3\n" + text + "y = 2\n")
    assert lines[0] == ("-", "x = 1")
    assert sum(made) <= MOST_WORK


def test_lines_between_two_changes_that_both_texts_have_are_no_difference():
    before = "".join(f"k{n} = {n}\n" for n in range(1_000))
    lines = text_difference(before, before.replace("k3 = 3\n", "k3 = 4\n").replace("k900 = 900\n", ""))
    assert lines[2:6] == [("-", "k3 = 3"), ("+", "k3 = 4"), (" ", "k4 = 4"), (" ", "k5 = 5")]
    assert [line for line in lines if line[0] in "+-…"] == [("-", "k3 = 3"), ("+", "k3 = 4"), ("…", ""), ("-", "k900 = 900")]
