"""Texts from outside are harmless where a person reads them: in the log, in a terminal, on a page."""

import logging

from hypothesis import given
from hypothesis import strategies as st

from gateway.plain_log import PlainFormatter
from gateway.plain_text import named_error, plain_text, replace_unprintable, text_of_error, type_name
from gateway.testing.bad_data import TERMINAL_TEXT, Unspeakable, UntouchableText

ANY_TEXT = st.text(st.characters(codec=None), max_size=200) | st.just(TERMINAL_TEXT)


@given(ANY_TEXT, st.integers(1, 50))
def test_a_plain_text_is_printable_and_not_too_long(text, most):
    plain = plain_text(text, most)
    assert plain.isprintable()
    assert len(plain) <= most


@given(ANY_TEXT)
def test_what_is_printable_stays_as_it_is_and_the_rest_keeps_its_length(text):
    replaced = replace_unprintable(text)
    assert len(replaced) == len(text)
    assert all(new == old for new, old in zip(replaced, text, strict=True) if old.isprintable())


@given(ANY_TEXT)
def test_no_text_forges_a_record_of_the_log(text):
    formatter = PlainFormatter("%(levelname)s %(message)s")
    error = ValueError(text)
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (text,), (ValueError, error, None))
    first, *others = formatter.format(record).split("\n")
    assert first.startswith("INFO ")
    assert all(line.startswith("    ") for line in others)
    assert all(line.isprintable() for line in (first, *others))


def test_an_error_without_a_text_still_has_a_name():
    assert named_error(Unspeakable()) == "Unspeakable: an error whose text cannot be had"
    assert named_error(ValueError()) == "ValueError"
    assert text_of_error(ValueError(UntouchableText("x"))) == "an error whose text cannot be had"
    assert text_of_error(ValueError(TERMINAL_TEXT)).isprintable()
    assert type_name(type("a\x1b[2J" + "b" * 100, (), {})).isprintable()
