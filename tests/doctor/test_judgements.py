"""What was seen, and what it means: each without a machine, a server or a disk."""

import errno
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config.settings import CloudSection
from gateway.doctor import clock, disk, http_responses
from gateway.doctor.certificates import Certificate, why_not_trusted
from gateway.doctor.clock import Told
from gateway.doctor.cloud import _address
from gateway.doctor.disk import Room
from gateway.doctor.http_responses import Answer
from gateway.doctor.server_check import Server, _why_no_way
from gateway.hub import Credentials

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


def told(**off):
    return [Told("entry.xyte.io", NOW - timedelta(**off), NOW)]


@pytest.mark.parametrize(("now", "said", "state", "words"), [
    (NOW, told(seconds=2), "fine", "as entry.xyte.io does"),
    (NOW, told(seconds=-90), "warning", "90 s behind entry.xyte.io"),
    (NOW, told(hours=3), "fault", "3 h ahead of entry.xyte.io"),
    (NOW, told(days=-400), "fault", "400 days behind"),
    (NOW, [], "not looked at", "2026-12-01 12:00:00"),
    (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), [], "fault", "before this gateway was made"),
])  # fmt: skip
def test_a_clock_is_judged_by_what_servers_say(now, said, state, words):
    found = clock.judged(now, said)
    assert found.state == state
    assert words in found.meaning
    assert (found.fix or "").startswith("sudo timedatectl set-ntp true" if state in ("warning", "fault") else "")


def room(free, whole, *, inodes=10_000, all_inodes=100_000, is_read_only=False):
    return Room(free_bytes=free, all_bytes=whole, free_inodes=inodes, all_inodes=all_inodes, is_read_only=is_read_only)


@pytest.mark.parametrize(("seen", "state", "words"), [
    (room(50e9, 100e9), "fine", "50.0 GB (50 %) free"),
    (room(5e9, 1000e9), "fine", "(0 %)"),  # a small share of a large disk is plenty
    (room(1e9, 30e9), "warning", "1.0 GB (3 %)"),
    (room(300e6, 1e9), "warning", "300 MB (30 %)"),
    (room(10e6, 1e9), "fault", "nothing more can be kept"),
    (room(50e9, 100e9, inodes=3), "fault", "3 inodes"),
    (room(50e9, 100e9, inodes=300), "warning", "300 inodes"),
    (room(50e9, 100e9, inodes=0, all_inodes=0), "fine", "free"),  # btrfs counts none
    (room(50e9, 100e9, is_read_only=True), "fault", "read-only"),
])  # fmt: skip
def test_a_disk_is_judged_by_bytes_share_and_inodes(seen, state, words):
    found = disk.judged(Path("/"), seen)
    assert found.state == state
    assert words in found.meaning


@pytest.mark.parametrize(("url", "raw", "state", "words"), [
    ("https://h", b"HTTP/1.1 404 Not Found\r\nDate: Tue, 01 Dec 2026 12:00:00 GMT\r\n\r\n{}", "fine", "answers, in 20 ms"),
    ("https://h", b"HTTP/1.1 302 Found\r\nLocation: https://www.xyte.io/\r\n\r\n", "fine", "answers"),
    ("https://h", b"HTTP/1.1 503 Service Unavailable\r\n\r\n<html>", "warning", "answers 503"),
    ("https://h", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "fault", "a proxy that wants a password"),
    ("https://h", b"HTTP/1.1 511 Network Authentication Required\r\n\r\n", "fault", "sign in first"),
    ("http://h", b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", "fault", "sign in first, at http://portal/"),
    ("http://h", b"HTTP/1.1 302 Found\r\nLocation: /v1\r\n\r\n", "fine", "answers"),
    ("http://h", b"HTTP/1.1 200 OK\r\n\r\n <!doctype html>", "fault", "a page for people"),
    ("http://h", b"SSH-2.0-OpenSSH_9.2\r\n", "fault", "not in HTTP"),
])  # fmt: skip
def test_an_answer_is_xytes_or_that_of_something_before_it(url, raw, state, words):
    found = http_responses.judged("entry", url, Answer.of(raw), 20)
    assert found.state == state
    assert words in found.meaning


def test_a_date_that_is_none_is_none():
    assert Answer.of(b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n").date is None
    assert Answer.of(b"HTTP/1.1 200 OK\r\n\r\n").date is None


SHOWN = Certificate(issuer="Acme Proxy CA", names=["other.example"], not_before=NOW, not_after=NOW)


@pytest.mark.parametrize(("code", "shown", "is_public", "meaning", "fix"), [
    (10, SHOWN, True, "expired on 2026-12-01", "set the clock right"),
    (10, SHOWN, False, "expired on 2026-12-01", "renew the certificate of h"),
    (9, SHOWN, False, "not valid before 2026-12-01", "timedatectl"),
    (20, SHOWN, True, 'signed by "Acme Proxy CA", an authority that this machine does not know: something on the way', "ca_file"),
    (18, SHOWN, False, "Acme Proxy CA", "ca_file"),
    (20, None, False, "an authority that this machine does not know", "ca_file"),
    (62, SHOWN, False, "a certificate for other.example", 'entry_url = "https://other.example"'),
    (62, SHOWN, True, "something else answers in its place", "DNS"),
    (64, None, False, "another host", "reached directly"),
    (99, SHOWN, False, "odd", "ask"),
])  # fmt: skip
def test_a_certificate_that_is_not_trusted(code, shown, is_public, meaning, fix):
    said = why_not_trusted("h", code, "odd", shown, NOW, is_public=is_public)
    assert meaning in said[0]
    assert fix in said[1]


V4, V6 = (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")
REFUSED, NO_NET, NO_HOST = (OSError(number, "") for number in (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH))


@pytest.mark.parametrize(("addresses", "failures", "meaning", "fix"), [
    ([V4], [REFUSED], "refuses the connection", "firewall"),
    ([V4, V6], [TimeoutError(), NO_NET], "does not take a connection within 3 s", "allow outgoing TCP to h.example port 443"),
    ([V6], [NO_NET], "has IPv6 addresses only", "IPv4"),
    ([V4, V6], [NO_NET, NO_NET], "no way to h.example", "default via"),
    ([V4], [NO_HOST], "a router on the way says so", "firewall"),
])  # fmt: skip
def test_why_a_server_takes_no_connection(monkeypatch, addresses, failures, meaning, fix):
    server = Server(what="entry", url="https://h.example", key=None, tls=None)
    said = _why_no_way(server, addresses, failures)
    assert meaning in said[0]
    assert fix in said[1]
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@proxy")
    assert "pass" not in _why_no_way(server, [V4], [REFUSED])[0]
    assert "HTTPS_PROXY is set here" in _why_no_way(server, [V4], [REFUSED])[0]


def test_the_hub_of_the_registration_is_believed_as_the_gateway_believes_it():
    stored = Credentials(device_id="d", access_key=SecretStr("k-1"), hub_url="https://hub.evil.example")
    found = _address(stored, CloudSection())
    assert found.state == "fault"
    assert found.fix == 'in [cloud]: hub_hosts = ["hub.evil.example"]'
    assert _address(stored, CloudSection(hub_hosts=("hub.evil.example",))) == "https://hub.evil.example"
    assert _address(stored, CloudSection(hub="hub_url_static_cert")).fix == 'in [cloud]: hub = "hub_url"'
