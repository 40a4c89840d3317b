import stat

import pytest

from gateway.errors import StoreError
from gateway.status.auth.tokens import (
    ADDRESSES_KEPT,
    SIGNED_IN_SECONDS,
    TRIES,
    WAIT_SECONDS,
    Doors,
    Rights,
    Tries,
    Visit,
    digest_of,
    is_loopback,
    is_same_origin,
    keep_token,
    new_token,
)


@pytest.fixture
def clock():
    class Clock:
        now = 1_000_000.0

        def __call__(self):
            return self.now

    return Clock()


def test_a_token_is_made_once_and_only_its_hash_is_kept(tmp_path):
    file = tmp_path / "status-token"
    digest, token = keep_token(file)
    assert len(token) >= 43
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keep_token(file) == (digest, None)
    assert Doors(digest, host="0.0.0.0").knows(token)
    assert not Doors(digest, host="0.0.0.0").knows(token[:-1])


def test_two_tokens_are_never_the_same():
    assert len({new_token() for _ in range(100)}) == 100


def test_a_token_that_cannot_be_kept_is_told_with_its_file(tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        keep_token(tmp_path / "nowhere" / "token")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="cannot be read"):
        keep_token(tmp_path / "bytes")


@pytest.mark.parametrize(
    ("bound", "visit", "rights"),
    [
        ("127.0.0.1", Visit(host="localhost:8080"), Rights.LOOK),
        ("127.0.0.1", Visit(host="127.0.0.1:8080"), Rights.LOOK),
        ("::1", Visit(host="[::1]:8080"), Rights.LOOK),
        ("127.0.0.1", Visit(host="rebound.example:8080"), Rights.NONE),
        ("127.0.0.1", Visit(host=""), Rights.NONE),
        ("127.0.0.1", Visit(host="127.0.0.1:8080", is_forwarded=True), Rights.NONE),
        ("0.0.0.0", Visit(host="127.0.0.1:8080"), Rights.NONE),
        ("0.0.0.0", Visit(host="127.0.0.1:8080", is_from_here=True), Rights.PROBE),
        ("0.0.0.0", Visit(host="127.0.0.1:8080", is_from_here=True, is_forwarded=True), Rights.NONE),
        ("0.0.0.0", Visit(host="127.0.0.1:8080", is_from_here=True, bearer="wrong"), Rights.NONE),
        ("127.0.0.1", Visit(host="rebound.example:8080", is_from_here=True), Rights.PROBE),
        ("192.0.2.7", Visit(host="localhost"), Rights.NONE),
        ("0.0.0.0", Visit(host="gateway.local", bearer="right"), Rights.ACT),
        ("127.0.0.1", Visit(host="localhost", bearer="wrong"), Rights.NONE),
        ("127.0.0.1", Visit(host="localhost", bearer="wröng"), Rights.NONE),
        ("0.0.0.0", Visit(host="gateway.local", cookie="99999999999.feed"), Rights.NONE),
        ("0.0.0.0", Visit(host="gateway.local", cookie="\udcff.é"), Rights.NONE),
    ],
)
def test_a_visitor_may_do_what_its_way_in_allows(bound, visit, rights):
    assert Doors(digest_of("right"), host=bound).rights_of(visit) is rights


def test_who_signed_in_may_act_until_it_is_over(clock):
    doors = Doors(digest_of("right"), host="0.0.0.0", now=clock)
    visit = Visit(host="gateway.local", cookie=doors.sign_in())
    assert doors.rights_of(visit) is Rights.ACT
    clock.now += SIGNED_IN_SECONDS + 1
    assert doors.rights_of(visit) is Rights.NONE


def test_what_a_browser_carries_can_be_neither_prolonged_nor_used_elsewhere(clock):
    doors = Doors(digest_of("right"), host="0.0.0.0", now=clock)
    until, _, seal = doors.sign_in().partition(".")
    assert "right" not in seal
    assert doors.rights_of(Visit(host="x", cookie=f"{int(until) + 1}.{seal}")) is Rights.NONE
    other = Doors(digest_of("right"), host="0.0.0.0", now=clock)
    assert other.rights_of(Visit(host="x", cookie=f"{until}.{seal}")) is Rights.NONE


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_this_machine_is_loopback(host, answer):
    assert is_loopback(host) is answer


def test_wrong_tokens_have_to_wait_and_a_right_one_clears_them(clock):
    tries = Tries(clock)
    for _ in range(TRIES):
        assert tries.seconds_left("a") == 0
        tries.was_wrong("a")
    assert tries.seconds_left("a") == WAIT_SECONDS
    assert tries.seconds_left("b") == 0
    clock.now += WAIT_SECONDS
    assert tries.seconds_left("a") == 0
    tries.was_wrong("a")
    assert tries.seconds_left("a") == WAIT_SECONDS
    tries.was_right("a")
    assert tries.seconds_left("a") == 0


def test_wrong_tries_are_forgotten_in_time_and_take_bounded_room(clock):
    tries = Tries(clock)
    for number in range(ADDRESSES_KEPT + 500):
        tries.was_wrong(f"10.0.{number >> 8}.{number & 255}")
    assert len(tries._wrong) == ADDRESSES_KEPT
    for _ in range(TRIES):
        tries.was_wrong("a")
    clock.now += WAIT_SECONDS * TRIES
    tries.was_wrong("a")
    assert tries.seconds_left("a") == 0


@pytest.mark.parametrize(
    ("headers", "carries_token", "answer"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, False, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://gw:8080", "Host": "gw:8080"}, True, False),
        ({"Sec-Fetch-Site": "none"}, False, False),
        ({"Origin": "http://gw:8080", "Host": "gw:8080"}, False, True),
        ({"Origin": "http://evil.example", "Host": "gw:8080"}, False, False),
        ({"Origin": "http://gw:9090", "Host": "gw:8080"}, False, False),
        ({"Origin": "null", "Host": "gw:8080"}, False, False),
        ({"Host": "gw:8080"}, False, False),
        ({"Host": "gw:8080"}, True, True),
    ],
)
def test_only_our_own_pages_and_programs_with_the_token_may_act(headers, carries_token, answer):
    assert is_same_origin(headers, carries_token=carries_token) is answer
