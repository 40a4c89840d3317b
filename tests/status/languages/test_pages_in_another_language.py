"""Each page says every word in the language of its reader: in a language whose texts stand in brackets, none stands outside."""

from __future__ import annotations

import re
from gettext import NullTranslations
from html.parser import HTMLParser

import pytest
from outside import LETTER, SILENT_ELEMENTS, SPOKEN_ATTRIBUTES, UNTRANSLATED

from gateway.status.languages.language import Language
from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

METER, SILENT = "sn:acme/Meter 1", "sn:acme/Chiller 2"
BUS = ("meters", "10.20.30.40:502")
LOST = ("meters", "10.20.30.41:502")
DATA = SILENT_ELEMENTS | {"bdi", "time", "svg", "option", "textarea", "noscript"}
"""Elements whose content is data by what they are, such as a name; `option` is looked at for brackets or a value of its own."""
BRACKETS = re.compile(r"⟦[^⟦⟧]*⟧")
VOID = frozenset({"area", "br", "hr", "img", "input", "link", "meta", "source", "wbr"})


class Brackets(NullTranslations):
    """Texts of a language that nobody speaks."""

    def gettext(self, message):
        return f"⟦{message}⟧"

    def ngettext(self, msgid1, msgid2, n):
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"

    def pgettext(self, context, message):
        return f"⟦{message}⟧"


class EverySentence:
    """Knows each sentence that comes as data."""

    def find(self, sentence):
        return f"⟦{sentence}⟧"


class Words(HTMLParser):
    """Collects what stands outside of brackets and of elements with data."""

    def __init__(self):
        super().__init__()
        self.text, self.attributes, self._inside = "", [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID and (self._inside or tag in DATA):
            self._inside.append(tag)
        self.attributes += [
            value for name, value in attrs if value and name in SPOKEN_ATTRIBUTES and tag not in ("circle", "path")
        ]

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        self.text += " " if self._inside else data


def outside(html):
    words = Words()
    words.feed(html[html.index("<body") :])
    return [word for text in (words.text, *words.attributes) for word in _unbracketed(text)]


def _unbracketed(text):
    has_brackets = "⟦" in text
    while (shorter := BRACKETS.sub(" ", text)) != text:
        text = shorter
    words = [word.strip(".,:;·()!?“”") for word in text.split()]
    return [] if has_brackets and len(text) < 3 else [one for one in words if _is_word(one)]


def _is_word(word):
    return LETTER.search(word) is not None and re.search(r"[\d_=&/]|\w\.\w", word) is None and word not in UNTRANSLATED


PAGES = (
    *("/", "/?group=family", "/?search=nothing", "/waiting", "/waiting?show=ignored", "/events", "/cloud", "/doctor", "/logs"),
    *("/topology", "/maintenance", "/login", "/none", "/maintenance/notifications", "/several/children", "/several/waiting"),
    *("/configuration", "/configuration/text", "/configuration/form?at=cloud", "/configuration/form?at=adapter/%230"),
    *(f"/children/{encode_id(key)}{part}" for key in (METER, SILENT) for part in ("", "/values", "/retire", "/replace")),
    *(f"/devices/{encode_id(METER)}/{part}" for part in ("look", "frames")),
    *(f"/buses/{encode_id(*bus)}" for bus in (BUS, LOST)),
)


@pytest.mark.parametrize("path", PAGES)
async def test_no_word_of_a_page_stands_outside_of_its_language(page, path):
    page.server._middleware.languages._loaded["de"] = Language("de", Brackets(), EverySentence())
    async with page.http.get(path, headers={"Accept-Language": "de"} | page.bearer) as answer:
        assert answer.status == (404 if path == "/none" else 200)
        html = await answer.text()
    assert [one for one in outside(html) if one not in NAMES] == []


NAMES = frozenset(
    {"live", "Plant", "room", "north", "Deutsch", "English", "anna", "Neighbour's", "watch", "Meter", "Chiller", "unit"}
)
"""Names of things in the plant that is shown, and of languages."""
