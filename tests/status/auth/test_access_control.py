import pytest

from gateway.status.auth.access_control import (
    FREE_ATTEMPTS,
    MAX_CLIENTS,
    SIGNED_IN_SECONDS,
    WAIT_SECONDS,
    AccessRequest,
    AttemptLimiter,
    TokenAuth,
    is_same_origin,
)
from gateway.status.auth.token_file import digest_of
from gateway.status.rights import Rights


@pytest.fixture
def clock():
    class Clock:
        now = 1_000_000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.mark.parametrize(
    ("bound", "access", "rights"),
    [
        ("127.0.0.1", AccessRequest(host="localhost:8080"), Rights.LOOK),
        ("127.0.0.1", AccessRequest(host="127.0.0.1:8080"), Rights.LOOK),
        ("::1", AccessRequest(host="[::1]:8080"), Rights.LOOK),
        ("127.0.0.1", AccessRequest(host="rebound.example:8080"), Rights.NONE),
        ("127.0.0.1", AccessRequest(host=""), Rights.NONE),
        ("127.0.0.1", AccessRequest(host="127.0.0.1:8080", is_forwarded=True), Rights.NONE),
        ("0.0.0.0", AccessRequest(host="127.0.0.1:8080"), Rights.NONE),
        ("0.0.0.0", AccessRequest(host="127.0.0.1:8080", is_from_here=True), Rights.PROBE),
        ("0.0.0.0", AccessRequest(host="127.0.0.1:8080", is_from_here=True, is_forwarded=True), Rights.NONE),
        ("0.0.0.0", AccessRequest(host="127.0.0.1:8080", is_from_here=True, bearer="wrong"), Rights.NONE),
        ("127.0.0.1", AccessRequest(host="rebound.example:8080", is_from_here=True), Rights.PROBE),
        ("192.0.2.7", AccessRequest(host="localhost"), Rights.NONE),
        ("0.0.0.0", AccessRequest(host="gateway.local", bearer="right"), Rights.ADMINISTER),
        ("127.0.0.1", AccessRequest(host="localhost", bearer="wrong"), Rights.NONE),
        ("127.0.0.1", AccessRequest(host="localhost", bearer="wröng"), Rights.NONE),
        ("0.0.0.0", AccessRequest(host="gateway.local", cookie="99999999999.feed"), Rights.NONE),
        ("0.0.0.0", AccessRequest(host="gateway.local", cookie="\udcff.é"), Rights.NONE),
    ],
)
def test_a_visitor_may_do_what_its_way_in_allows(bound, access, rights):
    assert TokenAuth(lambda: digest_of("right"), host=bound).rights_of(access) is rights


def test_who_signed_in_may_act_until_it_is_over(clock):
    auth = TokenAuth(lambda: digest_of("right"), host="0.0.0.0", now=clock)
    access = AccessRequest(host="gateway.local", cookie=auth.new_cookie())
    assert auth.rights_of(access) is Rights.ADMINISTER
    clock.now += SIGNED_IN_SECONDS + 1
    assert auth.rights_of(access) is Rights.NONE


def test_what_a_browser_carries_can_be_neither_prolonged_nor_used_elsewhere(clock):
    auth = TokenAuth(lambda: digest_of("right"), host="0.0.0.0", now=clock)
    until, _, seal = auth.new_cookie().partition(".")
    assert "right" not in seal
    assert auth.rights_of(AccessRequest(host="x", cookie=f"{int(until) + 1}.{seal}")) is Rights.NONE
    other = TokenAuth(lambda: digest_of("right"), host="0.0.0.0", now=clock)
    assert other.rights_of(AccessRequest(host="x", cookie=f"{until}.{seal}")) is Rights.NONE


def test_wrong_tokens_have_to_wait_and_a_right_one_clears_them(clock):
    limiter = AttemptLimiter(clock)
    for _ in range(FREE_ATTEMPTS):
        assert limiter.seconds_to_wait("a") == 0
        limiter.record_failure("a")
    assert limiter.seconds_to_wait("a") == WAIT_SECONDS
    assert limiter.seconds_to_wait("b") == 0
    clock.now += WAIT_SECONDS
    assert limiter.seconds_to_wait("a") == 0
    limiter.record_failure("a")
    assert limiter.seconds_to_wait("a") == WAIT_SECONDS
    limiter.record_success("a")
    assert limiter.seconds_to_wait("a") == 0


def test_wrong_tries_are_forgotten_in_time_and_take_bounded_room(clock):
    limiter = AttemptLimiter(clock)
    for number in range(MAX_CLIENTS + 500):
        limiter.record_failure(f"10.0.{number >> 8}.{number & 255}")
    assert len(limiter._failures) == MAX_CLIENTS
    for _ in range(FREE_ATTEMPTS):
        limiter.record_failure("a")
    clock.now += WAIT_SECONDS * FREE_ATTEMPTS
    limiter.record_failure("a")
    assert limiter.seconds_to_wait("a") == 0


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
        ({"Origin": "null", "Host": ""}, True, False),  # HTTP/1.0 knows no Host, and "null" has none either
        ({"Origin": "null"}, True, False),
        ({"Origin": "http://[", "Host": "gw:8080"}, True, False),
        ({"Origin": "http://[", "Host": ""}, False, False),
        ({"Origin": "HTTP://GW:8080", "Host": "gw:8080"}, False, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://gw:8080", "Host": "gw:8080"}, True, False),
        ({"Host": "gw:8080"}, False, False),
        ({"Host": "gw:8080"}, True, True),
    ],
)
def test_only_our_own_pages_and_programs_with_the_token_may_act(headers, carries_token, answer):
    assert is_same_origin(headers, carries_token=carries_token) is answer


def test_a_cookie_is_valid_up_to_its_last_second_and_carries_no_token(clock):
    auth = TokenAuth(lambda: digest_of("right"), host="0.0.0.0", now=clock)
    access = AccessRequest(host="gateway.local", cookie=auth.new_cookie())
    clock.now += SIGNED_IN_SECONDS - 1
    assert auth.rights_of(access) is Rights.ADMINISTER
    clock.now += 1
    assert auth.rights_of(access) is Rights.NONE


def test_a_wrong_token_is_not_replaced_by_a_valid_cookie(clock):
    auth = TokenAuth(lambda: digest_of("right"), host="127.0.0.1", now=clock)
    access = AccessRequest(host="localhost", bearer="wrong", cookie=auth.new_cookie())
    assert auth.rights_of(access) is Rights.NONE


def test_failures_further_apart_than_the_limit_start_a_new_count(clock):
    limiter = AttemptLimiter(clock)
    for _ in range(2 * FREE_ATTEMPTS):
        limiter.record_failure("a")
        assert limiter.seconds_to_wait("a") in (0, WAIT_SECONDS)
        clock.now += WAIT_SECONDS * FREE_ATTEMPTS
    assert limiter.seconds_to_wait("a") == 0
    limiter.record_failure("a")
    assert limiter.seconds_to_wait("a") == 0


def test_the_address_with_the_oldest_failure_is_forgotten_first(clock):
    limiter = AttemptLimiter(clock)
    for _ in range(FREE_ATTEMPTS):
        limiter.record_failure("old")
    for number in range(MAX_CLIENTS - 1):
        limiter.record_failure(f"address {number}")
    limiter.record_failure("old")
    for _ in range(FREE_ATTEMPTS):
        limiter.record_failure("one more")
    assert limiter.seconds_to_wait("old") == WAIT_SECONDS
    assert limiter.seconds_to_wait("one more") == WAIT_SECONDS, "the newest one is never the one that is forgotten"


def test_clients_that_send_wrong_tokens_are_logged_once_and_not_each(clock, caplog):
    limiter = AttemptLimiter(clock)
    for address in ("a", "b", "c"):
        for _ in range(3 * FREE_ATTEMPTS):
            limiter.record_failure(address)
    assert len(caplog.records) == 1
    assert "a has sent 5 wrong tokens" in caplog.text
