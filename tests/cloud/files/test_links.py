"""Which links a file may be fetched from, and which names it may have."""

import pytest

from gateway.cloud.files.links import LinkPolicy, file_name_of
from gateway.errors import FileRefused

SIGNED = "https://files.example.com/gw.bin?signature=s3cr3t-signature"
POLICY = LinkPolicy(hub_url="https://us-1.endpoints.xyte.io", file_hosts=("files.example.com", "*.blob.example.net"))


@pytest.mark.parametrize(
    "url",
    [
        "https://us-1.endpoints.xyte.io/files/gw.bin",
        "https://US-1.endpoints.xyte.io:443/files/gw.bin?a=1",
        SIGNED,
        "https://eu.blob.example.net/a/b/c",
    ],
)
def test_a_file_comes_from_the_hub_or_from_a_host_that_the_configuration_names(url):
    POLICY.check(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://evil.example.org/gw.bin", "no file is fetched from evil.example.org"),
        ("https://us-1.endpoints.xyte.io.evil.org/gw.bin", "no file is fetched"),
        ("https://blob.example.net.evil.org/gw.bin", "no file is fetched"),
        ("https://evilfiles.example.com/gw.bin", "no file is fetched"),
        ("https://us-1.endpoints.xyte.io@evil.example.org/gw.bin", "user name"),
        ("https://evil.example.org\\@us-1.endpoints.xyte.io/gw.bin", "no usable host"),
        ("https://us-1.endpoints.xyte.io\t.evil.org/gw.bin", "no usable host"),
        ("http://us-1.endpoints.xyte.io/gw.bin", "without TLS"),
        ("ftp://us-1.endpoints.xyte.io/gw.bin", "without TLS"),
        ("file:///etc/passwd", "no usable host"),
        ("//us-1.endpoints.xyte.io/gw.bin", "without TLS"),
        ("", "no usable host"),
        ("https://[::1/gw.bin", "not a valid URL"),
        ("https://127.0.0.1/gw.bin", "no file is fetched"),
    ],
)
def test_any_other_link_is_refused_with_the_reason(url, words):
    with pytest.raises(FileRefused, match="file") as caught:
        POLICY.check(url)
    assert words in str(caught.value)


def test_plain_http_is_a_matter_of_the_configuration():
    LinkPolicy(hub_url="http://127.0.0.1:9081", allow_plain_http=True).check("http://127.0.0.1:9090/gw.bin")


def test_a_redirect_is_held_to_the_same_rule():
    assert POLICY.redirected(SIGNED, "/other/gw.bin") == "https://files.example.com/other/gw.bin"
    assert POLICY.redirected(SIGNED, "https://eu.blob.example.net/x").startswith("https://eu.blob")
    for location in ("https://evil.example.org/gw.bin", "http://files.example.com/gw.bin", "//evil.example.org/x", "https://[x"):
        with pytest.raises(FileRefused):
            POLICY.redirected(SIGNED, location)


def test_no_text_quotes_the_signature_of_a_link():
    for url in (SIGNED.replace("files.", "other."), SIGNED.replace("https", "http")):
        with pytest.raises(FileRefused) as caught:
            POLICY.check(url)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        (SIGNED, None, "gw.bin"),
        (SIGNED, "Gateway firmware 2.bin", "Gateway firmware 2.bin"),
        ("https://h/a/gw%202.bin", None, "gw 2.bin"),
    ],
)
def test_the_name_of_a_file_is_a_plain_one(url, name, expected):
    assert file_name_of(url, name) == expected


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "../x", "/etc/passwd", "a/b", "a\\b", "..\\x", "-rf", "a\nb", "a\0b", "x" * 200, "é" * 100],
)
def test_a_name_that_leads_to_another_folder_is_refused(name):
    with pytest.raises(FileRefused, match="no plain name"):
        file_name_of(SIGNED, name)


@pytest.mark.parametrize("path", ["..", "%2e%2e", "..%2fx", "a/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "", "a%00b", "%5c..%5cx"])
def test_so_is_one_that_a_link_hides(path):
    with pytest.raises(FileRefused, match="no plain name"):
        file_name_of(f"https://files.example.com/{path}")
