"""No sentence of the page is outside of the catalogues, and each catalogue is complete."""

from __future__ import annotations

import re
from collections import Counter

import polib
import pytest
from extraction import PAGE, Message, all_messages
from outside import outside_in_source, outside_in_template
from update import updated

from gateway.status.languages.catalogue import catalogue_files
from gateway.status.languages.language import DEFAULT, NAMES

ROOMS = ("auth", "render", "routes")
"""The rooms whose source says something to people."""

ENGLISH = {
    "auth/access_control.py": "what it says goes to the log and the timeline",
    "auth/token_command.py": "a command line",
    "auth/token_file.py": "what it says goes to the log",
    "auth/wrong_tokens.py": "what it says goes to the log",
    "render/metric_texts.py": "words of names of metrics, which are data",
    "render/history_csv.py": "a file of the API, for programs",
    "routes/api_operations.py": "the API is English",
    "routes/commands_api.py": "the API is English",
    "routes/several_api.py": "the API is English",
    "routes/events_api.py": "the API is English",
    "routes/history_api.py": "the API is English",
    "routes/configuration_api.py": "the API is English",
    "routes/maintenance_api.py": "the API is English",
    "routes/restore_api.py": "the API is English",
    "routes/setup_api.py": "the API is English",
    "routes/metrics.py": "metrics are English",
    "render/sign_in_help.py": "the name of the product and a command",
}
"""Files whose texts are not for the readers of the page, and why."""

NO_SENTENCES = {
    *(
        "Strict",
        "Decision",
        "Server",
        "Forwarded",
        "Via",
        "Host",
        "Origin",
        "Vary",
        "Allow",
        "Cookie",
        "Location",
        "Authorization",
    ),
    *("Accept-Language, Cookie", "public, max-age=31536000, immutable", "camera=(), geolocation=(), microphone=()"),
    '<span lang="en">{}</span>',
    "in use",  # the word of a state of a licence
    "whole number",  # the word of a kind of field
    " with the token ",  # within the name by which the pages of a client are counted
    *('Bearer realm="xyte-gateway"', "Token required", "the token is wrong"),  # for programs
    "a token is required: Authorization: Bearer <token>",
    "it needs a confirmation: `confirmed` set to true",
    *("the one that was sent is wrong", "Authorization: Bearer <token>"),
}
"""Names and values of headers, and words of programs, that look like sentences."""

PLACEHOLDER = re.compile(r"%\([a-z_]+\)[a-z]|\{[a-z_]*\}|%%")
TAG = re.compile(r"</?[a-z]+(?: [a-z-]+=\"[^\"]*\")*>")
CODE = re.compile(r"`[^`]+`")

templates = {
    f"templates/{file.name}": outside_in_template(file.read_text()) for file in sorted((PAGE / "templates").glob("*.html"))
}


def sources():
    files = [file for room in ROOMS for file in sorted((PAGE / room).glob("*.py"))]
    named = {file.relative_to(PAGE).as_posix(): file for file in files}
    return {name: _sentences(file) for name, file in named.items() if name not in ENGLISH}


def _sentences(file):
    return [text for text in outside_in_source(file.read_text()) if text not in NO_SENTENCES and "default-src" not in text]


def catalogues():
    return {file.stem: polib.pofile(str(file), wrapwidth=130) for file in catalogue_files()}


@pytest.mark.parametrize("name", templates)
def test_every_text_of_a_template_is_marked(name):
    assert templates[name] == [], "put it into {% trans %} or _(), and run tests/status/languages/update.py"


@pytest.mark.parametrize(("name", "outside"), sources().items())
def test_every_sentence_in_the_source_of_the_page_is_marked(name, outside):
    assert outside == [], "put it into _() or gettext_noop(), and run tests/status/languages/update.py"


def test_there_is_a_catalogue_for_each_language_and_no_other():
    assert set(catalogues()) | {DEFAULT} == set(NAMES)


@pytest.mark.parametrize(("code", "catalogue"), catalogues().items())
def test_a_catalogue_has_every_text_and_no_other_in_order(code, catalogue):
    has = [Message(one.msgid, one.msgid_plural, one.msgctxt or "") for one in catalogue]
    assert has == sorted(all_messages()), "run tests/status/languages/update.py"


@pytest.mark.parametrize(("code", "catalogue"), catalogues().items())
def test_every_text_is_translated(code, catalogue):
    assert [one.msgid for one in catalogue if one.fuzzy or not all(translations(one))] == []


@pytest.mark.parametrize(("code", "catalogue"), catalogues().items())
def test_a_translation_has_the_placeholders_the_tags_and_the_commands_of_its_text(code, catalogue):
    for one in catalogue:
        for translation in translations(one):
            for marks in (PLACEHOLDER, TAG, CODE):
                wanted = {*marks.findall(one.msgid), *marks.findall(one.msgid_plural)}
                may_lack = {"%(n)s"} if one.msgid_plural else set()  # `its only child`
                has = set(marks.findall(translation))
                assert wanted - may_lack <= has <= wanted, one.msgid


@pytest.mark.parametrize(("code", "catalogue"), catalogues().items())
def test_no_text_is_in_a_catalogue_twice(code, catalogue):
    times = Counter((one.msgctxt, one.msgid) for one in catalogue)
    assert [text for text, number in times.items() if number > 1] == []


def test_the_update_takes_in_new_texts_and_drops_dead_ones():
    old = polib.POFile()
    old.append(polib.POEntry(msgid="dead", msgstr="tot"))
    old.append(polib.POEntry(msgid="kept", msgstr="behalten"))
    fresh = updated(old, {Message("new"), Message("kept")})
    assert [(one.msgid, one.msgstr) for one in fresh] == [("kept", "behalten"), ("new", "")]


@pytest.mark.parametrize(
    ("template", "outside"),
    [
        ("<p>Text</p>", ["Text"]),
        ("<p>{% trans %}Text{% endtrans %}</p>", []),
        ("<p>{{ value }} · 7 %</p>", []),
        ('<p title="Why">{{ _("Text") }}</p>', ["Why"]),
        ('<p class="some class" data-how="ago"></p>', []),
        ('{{ "was" if one else "the others were" }}', ["the others were"]),
        ('{% for word in ("All", _("Fine")) %}{{ word }}{% endfor %}', ["All"]),
        ("<code>gateway.toml</code>", []),
    ],
)
def test_a_sentence_outside_of_a_template_is_found(template, outside):
    assert outside_in_template(template) == outside


@pytest.mark.parametrize(
    ("source", "outside"),
    [
        ('x = "It works"', ["It works"]),
        ('x = _("It works")', []),
        ('x = f"{a} of it works"', [" of it works"]),
        ('"""It works"""\ndef f():\n    "It works"', []),
        ('log.info("it works now")', []),
        ('raise ValueError("it works not")', []),
        ('x = {"by_name": "Back"}', ["Back"]),
    ],
)
def test_a_sentence_outside_of_the_source_is_found(source, outside):
    assert outside_in_source(source) == outside


def translations(entry):
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
