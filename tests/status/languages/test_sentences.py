"""Sentences that the rest of the gateway made in English are shown in the language of the reader."""

from __future__ import annotations

import pytest
from extraction import key_descriptions, skeletons
from said import SAID

from gateway.causes import Cause
from gateway.status.languages.catalogue import read_language
from gateway.status.languages.sentences import PLACEHOLDER, Sentences
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
    assert Sentences(TEXTS, TEXTS).find(english) == german


def test_sentences_within_sentences_end():
    whole = "its bus b does not work: " * 50 + "silent"
    found = Sentences(TEXTS, TEXTS).find(whole)
    assert found is not None
    assert found.count("darum") == 3


def test_every_cause_is_told_in_german():
    with in_language(read_language("de")):
        for cause in Cause:
            assert localized(cause.phrase) != cause.phrase
            assert localized(cause.next_step) != cause.next_step


@pytest.mark.parametrize("path", SAID)
def test_a_sentence_that_is_listed_stands_in_its_file(path):
    there = skeletons(path)
    assert [one for one in SAID[path] if PLACEHOLDER.sub("{}", one) not in there] == []


def test_what_is_stored_in_english_is_shown_in_german():
    with in_language(read_language("de")):
        assert localized("does not answer: no answer within 0.5 s") == "antwortet nicht: keine Antwort innerhalb von 0.5 s"
        assert localized("refuses the connection: 125 children") == "lehnt die Verbindung ab: 125 Geräte"
        assert localized("its bus house 3 does not work: refuses the connection") == (
            "sein Bus house 3 funktioniert nicht: lehnt die Verbindung ab"
        )
        assert localized("adapter: what it says in its own words") == "adapter: what it says in its own words"


def test_a_sentence_that_stays_english_says_so():
    with in_language(read_language("de")):
        assert localized_html("refuses the connection") == "lehnt die Verbindung ab"
        assert localized_html("ERR 7 <b>") == '<span lang="en">ERR 7 &lt;b&gt;</span>'
    assert localized_html("ERR 7 <b>") == "ERR 7 &lt;b&gt;"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "it is 3 min behind hub: telemetry has wrong times",
            "sie geht gegenüber hub um 3 min nach: Messwerte haben falsche Zeiten",
        ),
        ("1.2 GB (2 %) free at /var: it will soon be full", "1.2 GB (2 %) frei in /var: bald voll"),
        ("is in service again after 4 min: 125 children", "arbeitet wieder nach 4 min: 125 Geräte"),
        ("Nothing was written: device busy", "Es wurde nichts geschrieben: Gerät beschäftigt"),
        ("2 problems keep the gateway from starting.", "2 Fehler verhindern den Start des Gateways."),
        ("version 1.0.0: it was stopped", "Version 1.0.0: es wurde gestoppt"),
    ],
)
def test_findings_events_and_answers_of_the_set_up_are_shown_in_german(english, german):
    with in_language(read_language("de")):
        assert localized(english) == german


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "Reopened: b, and 3 devices are read again after some seconds. Opened and searched for devices: 10.0.0.5:502.",
            (
                "Neu geöffnet: b; 3 Geräte werden nach einigen Sekunden wieder gelesen. "
                "Geöffnet und nach Geräten durchsucht: 10.0.0.5:502."
            ),
        ),
        ("has to be 'file' or 'cloud' (it says 'x')", "muss 'file' oder 'cloud' sein (dort steht 'x')"),
        ("has to be at most 2 minutes", "darf höchstens 2 Minuten sein"),
        (
            "It is for: identity of this gateway, as a table [gateway]",
            "Wofür es ist: Identität dieses Gateways, als Tabelle [gateway]",
        ),
        ("is not TOML: it is YAML", "ist kein TOML: es ist YAML"),
        ("one step back: cloud.timeout_seconds", "ein Schritt zurück: cloud.timeout_seconds"),
        (
            "It fails: it refuses the connection: is Modbus TCP switched on there, and is it the right port?",
            "Es geht nicht: lehnt die Verbindung ab: Ist Modbus TCP dort eingeschaltet, und stimmt der Port?",
        ),
        ("It fails: it is in use by another program.", "Es geht nicht: er wird von einem anderen Programm benutzt."),
    ],
)
def test_plans_and_mistakes_of_the_configuration_are_shown_in_german(english, german):
    with in_language(read_language("de")):
        assert localized(english) == german


def test_what_each_key_of_the_configuration_is_for_is_told_in_german():
    with in_language(read_language("de")):
        told = {text: localized(text) for text in key_descriptions()}
    assert len(told) > 150
    assert [text for text, german in told.items() if german == text] == []
