import pytest

from gateway.doctor.http_responses import HttpResponse, response_finding
from gateway.emulator.raw_answers import RAW_ANSWERS


@pytest.mark.parametrize(("url", "raw", "state", "words"), [
    ("https://h", b"HTTP/1.1 404 Not Found\r\nDate: Tue, 01 Dec 2026 12:00:00 GMT\r\n\r\n{}", "fine", "answers, in 20 ms"),
    ("https://h", b"HTTP/1.1 302 Found\r\nLocation: https://www.xyte.io/\r\n\r\n", "fine", "answers"),
    ("https://h", b"HTTP/1.1 503 Service Unavailable\r\n\r\n<html>", "warning", "answers 503"),
    ("https://h", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "fault", "a proxy that requires a password"),
    ("https://h", b"HTTP/1.1 511 Network Authentication Required\r\n\r\n", "fault", "sign in first"),
    ("http://h", b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", "fault", "sign in first, at http://portal/"),
    ("http://h", b"HTTP/1.1 302 Found\r\nLocation: /v1\r\n\r\n", "fine", "answers"),
    ("http://h", b"HTTP/1.1 200 OK\r\n\r\n <!doctype html>", "fault", "a page for people"),
    ("http://h", b"SSH-2.0-OpenSSH_9.2\r\n", "fault", "not in HTTP"),
])  # fmt: skip
def test_an_answer_is_xytes_or_that_of_something_before_it(url, raw, state, words):
    found = response_finding("entry", url, HttpResponse.parse(raw), 20)
    assert found.state == state
    assert words in found.meaning


def test_a_date_that_is_none_is_none():
    assert HttpResponse.parse(b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n").date is None
    assert HttpResponse.parse(b"HTTP/1.1 200 OK\r\n\r\n").date is None


@pytest.mark.parametrize("name", [name for name, answer in RAW_ANSWERS.items() if not answer.is_endless and "mb" not in name])
def test_any_answer_becomes_one_finding_in_printable_text_without_a_password(name):
    response = HttpResponse.parse(b"".join(RAW_ANSWERS[name].make())[:100_000])
    found = response_finding("entry", "http://entry.example", response, 20)
    assert f"{found.meaning}{found.fix or ''}".isprintable()
    assert len(found.meaning) < 500
    assert "secret-word" not in found.meaning
    assert response is None or response.date is None or response.date.tzinfo is not None
