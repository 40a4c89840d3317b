"""Sentences that the rest of the gateway made in English are shown in the language of the reader."""

from __future__ import annotations

import pytest
from extraction import key_descriptions, skeletons
from said import SAID

from gateway.causes import Cause
from gateway.status.languages.catalogue import read_language
from gateway.status.languages.sentences import PLACEHOLDER, Sentences
from gateway.status.languages.texts import in_language, localized
from gateway.status.render.shown_values import shown_value
from gateway.status.render.templates import localized_html, shown_title

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
        assert localized("does not answer: no answer within 0.5 s") == "antwortet nicht: keine Antwort innerhalb von 0,5 s"
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
        ("1.2 GB (2 %) free at /var: it will soon be full", "1,2 GB (2 %) frei in /var: bald voll"),
        ("is in service again after 4 min: 125 children", "arbeitet wieder nach 4 min: 125 Geräte"),
        ("Nothing was written: device busy", "Es wurde nichts geschrieben: Gerät beschäftigt"),
        ("2 problems keep the gateway from starting.", "2 Fehler verhindern den Start des Gateways."),
        ("takes 12 ms to answer", "braucht 12 ms für eine Antwort"),
        ("left out, as configured in the cloud: energy_export", "ausgelassen, wie in der Cloud konfiguriert: energy_export"),
        (
            "read as configured in the cloud: slow every 20 s",
            "gelesen, wie in der Cloud konfiguriert: slow every 20 s",
        ),
        ("0 of 3 in use", "0 von 3 belegt"),
        (
            "command press of the cloud was carried out: Bot replied that it has executed press",
            "Befehl press aus der Cloud ausgeführt: Bot hat geantwortet, dass press ausgeführt ist",
        ),
        (
            "configuration version 2 is applied: cloud.commands_every: 10 becomes 5",
            "Konfiguration Version 2 gilt: cloud.commands_every: 10 becomes 5",
        ),
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


def test_a_quantity_has_the_decimal_point_of_the_language_and_a_name_or_version_keeps_its_own():
    texts = {"{name} waits {time}": "{name} wartet {time}"}
    find = Sentences(texts, texts, ",").find
    assert find("v1.5 waits 0.5 s") == "v1.5 wartet 0,5 s"
    assert find("1.5 waits 2.25") == "1.5 wartet 2,25"
    assert find("a waits 10.0.0.5") == "a wartet 10.0.0.5"
    assert find("a waits 0.5 s or 0.7 s") == "a wartet 0.5 s or 0.7 s"


def test_a_sentence_is_found_with_another_first_letter_and_without_its_last_mark():
    texts = {
        "is it on?": "ist sie an?",
        "{problem}. {advice}; it goes on": "{problem}. {advice}; es geht weiter",
        "Look.": "Schauen.",
    }
    find = Sentences(texts, texts).find
    assert find("Is it on?") == "Ist sie an?"
    assert find("is it on. Look; it goes on") == "ist sie an. Schauen; es geht weiter"
    assert find("Not known") is None


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("was asked who it is, by the token office", "wurde nach seiner Identität gefragt, durch das Token office"),
        (
            "is to be replaced by Meter 2 (sn:acme/2), by the token office",
            "soll durch Meter 2 (sn:acme/2) ersetzt werden, durch das Token office",
        ),
        (
            "unit 1: exception 02, illegal data address, to read holding registers; checksum right",
            "Unit 1: Exception 02 (unzulässige Datenadresse) auf „Holding-Register lesen“; Prüfsumme richtig",
        ),
        ("unit 7: holding registers 0 to 1 = 5, 6; transaction 9", "Unit 7: Holding-Register 0 bis 1 = 5, 6; Transaktion 9"),
        (
            (
                "It has not answered for 15 min at 10.0.0.5:502, address 3 (no answer within 1.0 s). Check its power supply and "
                "its cable."
            ),
            (
                "Es antwortet seit 15 min nicht, an 10.0.0.5:502, Adresse 3 (keine Antwort innerhalb von 1,0 s). Prüfen Sie "
                "Stromversorgung und Kabel."
            ),
        ),
        (
            (
                "it refuses the connection: is Modbus TCP switched on there, and is it the right port. 2 devices on it cannot be "
                "read: A, B. Check its cable and its power supply, and the entry plant of the configuration; the gateway keeps "
                "trying to open it."
            ),
            (
                "lehnt die Verbindung ab: Ist Modbus TCP dort eingeschaltet, und stimmt der Port. 2 Geräte daran sind nicht "
                "lesbar: A, B. Prüfen Sie Kabel und Stromversorgung und den Eintrag plant der Konfiguration; das Gateway "
                "versucht weiter, ihn zu öffnen."
            ),
        ),
        ("a number from 0.5 to 32", "eine Zahl von 0,5 bis 32"),
        ("has to be a text of 4 to 8 characters, not 'x'", "muss ein Text mit 4 bis 8 Zeichen sein, nicht 'x'"),
        (
            "version 2: since it was applied, Meter 1 does not answer; the former configuration is back",
            "Version 2: seit sie gilt: Meter 1 antwortet nicht; die vorherige Konfiguration gilt wieder",
        ),
        ("acted, outcome unknown: device busy", "ausgeführt, Ergebnis unbekannt: Gerät beschäftigt"),
    ],
)
def test_incidents_frames_and_what_a_person_asked_for_are_shown_in_german(english, german):
    with in_language(read_language("de")):
        assert localized(english) == german


def test_power_without_a_unit_is_no_quantity():
    with in_language(read_language("de")):
        assert shown_title("power", None, "W") == "Leistung"
        assert shown_title("power", None, None) == "Betrieb"
        assert shown_title("power") == "Leistung"
    assert shown_title("power", None, None) == "Power"


def test_usual_states_of_devices_are_told_in_german_and_others_as_their_profile_has_them():
    with in_language(read_language("de")):
        assert [shown_value(one).text for one in ("warming_up", "off", "mppt", "IN1606")] == [
            "wärmt auf",
            "aus",
            "mppt",
            "IN1606",
        ]
    assert shown_value("warming_up").text == "warming up"
