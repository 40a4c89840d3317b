"""The page is in the language that its reader chose, or that the browser asks for; programs get English."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.status.languages.catalogue import read_language
from gateway.status.languages.language import wanted_code
from gateway.status.languages.texts import gettext, in_language, ngettext

pytestmark = pytest.mark.enable_socket

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.mark.parametrize(
    ("chosen", "header", "code"),
    [
        (None, "", "en"),
        (None, "de", "de"),
        (None, "DE-ch", "de"),
        (None, "fr, de;q=0.3, en;q=0.2", "de"),
        (None, "en, de;q=0.9", "en"),
        (None, "de;q=0, en", "en"),
        (None, "fr", "en"),
        (None, "*", "en"),
        (None, "de;q=much, en;q=0.1", "en"),
        (None, ";;;,,,=\x00;q=nan", "en"),
        (None, "fr," * 5000 + "de", "en"),
        ("en", "de", "en"),
        ("de", "en", "de"),
        ("xx", "de", "de"),
        ("", "de", "de"),
    ],
)
def test_the_choice_counts_before_what_the_browser_asks_for(chosen, header, code):
    assert wanted_code(chosen, header) == code


async def test_a_page_says_in_which_language_it_is(page):
    for headers, code, word in (({}, "en", "Overview"), (GERMAN, "de", "Übersicht")):
        async with page.http.get("/", headers=headers | page.bearer) as answer:
            html = await answer.text()
        assert (answer.status, answer.headers["Content-Language"]) == (200, code)
        assert {"Accept-Language", "Cookie"} <= set(re.split(", ?", answer.headers["Vary"]))
        assert f'<html lang="{code}">' in html
        assert f">{word}</a>" in html


async def test_a_reader_chooses_a_language_and_returns_to_the_page(page):
    here = {"Origin": page.address}
    form = {"language": "de", "then": "/waiting?search=x"}
    async with page.http.post("/language", data=form, headers=here, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/waiting?search=x")
        assert "HttpOnly" in answer.headers["Set-Cookie"]
    async with page.http.get("/login", headers={"Accept-Language": "en"}) as answer:
        assert "Anmelden" in await answer.text()


@pytest.mark.parametrize("code", ["", "xx", "de; Path=/", "../de"])
async def test_a_language_that_there_is_not_is_refused(page, code):
    async with page.http.post("/language", data={"language": code}, headers={"Origin": page.address}) as answer:
        assert answer.status == 400
        assert "Set-Cookie" not in answer.headers


async def test_a_choice_from_a_foreign_page_changes_nothing(page):
    async with page.http.post("/language", data={"language": "de"}, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers


async def test_a_choice_leads_to_no_other_site(page):
    form = {"language": "de", "then": "//evil.example"}
    async with page.http.post("/language", data=form, headers={"Origin": page.address}, allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/"


async def test_programs_get_english_also_on_the_connection_of_a_german_reader(page):
    headers = GERMAN | page.bearer
    async with page.http.get("/", headers=headers) as answer:
        assert "Übersicht" in await answer.text()
    async with page.http.get("/api/v1/status", headers=headers) as answer:
        assert "The cloud is reachable." in await answer.text()
        assert "Content-Language" not in answer.headers
    async with page.http.get("/api/v1/none", headers=headers) as answer:
        assert "no such page" in await answer.text()


async def test_errors_are_in_the_language_of_the_reader(page):
    async with page.http.get("/none", headers=GERMAN | page.bearer) as answer:
        assert answer.status == 404
        assert "Nicht gefunden" in await answer.text()


async def test_an_open_page_is_kept_up_to_date_in_its_own_language(page, view):
    async def regions(headers):
        async with page.http.get("/live", params={"at": "/", "seen": ""}, headers=headers | page.bearer) as answer:
            text = ""
            async for line in answer.content:
                text += line.decode()
                if line.startswith(b"data: {"):
                    return text
        return text

    async with asyncio.timeout(20):
        german, english = await asyncio.gather(regions(GERMAN), regions({}))
    assert "in Ordnung" in german
    assert "in Ordnung" not in english
    assert re.search(r"event: edition\ndata: \w+-de\n", german)
    assert re.search(r"event: edition\ndata: \w+-en\n", english)


async def test_a_catalogue_is_read_for_the_first_reader_of_its_language_alone(page):
    languages = page.server._middleware.languages
    async with page.http.get("/", headers=page.bearer):
        assert set(languages._loaded) == {"en"}
    async with page.http.get("/", headers=GERMAN | page.bearer):
        assert set(languages._loaded) == {"en", "de"}


def test_values_and_numbers_are_filled_in():
    assert ngettext("%(n)s child", "%(n)s children", 12345) == "12\u202f345 children"
    with in_language(read_language("de")):
        assert ngettext("%(n)s child", "%(n)s children", 1) == "1 Gerät"
        assert ngettext("%(n)s child", "%(n)s children", 2) == "2 Geräte"
        assert gettext("Rename %(name)s", name="100 % <b>") == "100 % <b> umbenennen"
    assert gettext("Overview") == "Overview"
