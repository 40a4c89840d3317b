"""Sentences that the rest of the gateway made in English are shown in the language of the reader."""

from __future__ import annotations

import pytest

from gateway.causes import Cause
from gateway.status.languages.catalogue import read_language
from gateway.status.languages.sentences import Sentences
from gateway.status.languages.texts import in_language, localized
from gateway.status.render.templates import localized_html

TEXTS = {
    "silent": "stumm",
    "no answer within {limit} s": "keine Antwort in {limit} s",
    "its bus {bus} does not work: {why}": "{why}, darum ist {bus} gestört",
    "{name} waits": "{name} wartet",
    "100 %": "ganz",
}


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("silent", "stumm"),
        ("no answer within 1.0 s", "keine Antwort in 1.0 s"),
        ("its bus silent does not work: no answer within 2 s", "keine Antwort in 2 s, darum ist silent gestört"),
        ("its bus b does not work: (?P<x>a+)+$", "(?P<x>a+)+$, darum ist b gestört"),
        ("meter {name} waits", "meter {name} wartet"),
        ("line\nbreak waits", "line\nbreak wartet"),
        ("100 %", "ganz"),
        ("no answer within  s", None),
        ("something else", None),
        ("", None),
        ("x" * 100_000 + " waits", None),
    ],
)
def test_a_sentence_is_found_as_it_is_or_by_its_pattern(english, german):
    assert Sentences(TEXTS).find(english) == german


def test_sentences_within_sentences_end():
    whole = "its bus b does not work: " * 50 + "silent"
    found = Sentences(TEXTS).find(whole)
    assert found is not None
    assert found.count("darum") == 3


def test_every_cause_is_told_in_german():
    with in_language(read_language("de")):
        for cause in Cause:
            assert localized(cause.phrase) != cause.phrase
            assert localized(cause.next_step) != cause.next_step


def test_a_sentence_that_stays_english_says_so():
    with in_language(read_language("de")):
        assert localized_html("refuses the connection") == "lehnt die Verbindung ab"
        assert localized_html("ERR 7 <b>") == '<span lang="en">ERR 7 &lt;b&gt;</span>'
    assert localized_html("ERR 7 <b>") == "ERR 7 &lt;b&gt;"
