import pytest

from gateway.state.history.timeline import EventKind
from gateway.status.auth.access_control import SIGNED_IN_SECONDS, AccessRequest, TokenAuth, is_same_origin
from gateway.status.auth.tokens import Role, Token, digest_of
from gateway.status.rights import Rights

RIGHT = (Token(name="administrator", role=Role.ADMINISTER, digest=digest_of("right")),)


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
    assert TokenAuth(lambda: RIGHT, host=bound).visitor_of(access).rights is rights


def test_who_signed_in_may_act_until_it_is_over(clock):
    auth = TokenAuth(lambda: RIGHT, host="0.0.0.0", now=clock)
    access = AccessRequest(host="gateway.local", cookie=auth.new_cookie(RIGHT[0]))
    assert auth.visitor_of(access).rights is Rights.ADMINISTER
    clock.now += SIGNED_IN_SECONDS + 1
    assert auth.visitor_of(access).rights is Rights.NONE


def test_what_a_browser_carries_can_be_neither_prolonged_nor_used_elsewhere(clock, monkeypatch):
    auth = TokenAuth(lambda: RIGHT, host="0.0.0.0", now=clock)
    name, until, seal = auth.new_cookie(RIGHT[0]).split(".")
    assert "right" not in seal
    assert auth.visitor_of(AccessRequest(host="x", cookie=f"{name}.{int(until) + 1}.{seal}")).rights is Rights.NONE
    monkeypatch.setattr("gateway.status.auth.access_control._COOKIE_KEY", b"that of another process")
    other = TokenAuth(lambda: RIGHT, host="0.0.0.0", now=clock)
    assert other.visitor_of(AccessRequest(host="x", cookie=f"{name}.{until}.{seal}")).rights is Rights.NONE


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
    auth = TokenAuth(lambda: RIGHT, host="0.0.0.0", now=clock)
    access = AccessRequest(host="gateway.local", cookie=auth.new_cookie(RIGHT[0]))
    clock.now += SIGNED_IN_SECONDS - 1
    assert auth.visitor_of(access).rights is Rights.ADMINISTER
    clock.now += 1
    assert auth.visitor_of(access).rights is Rights.NONE


def test_a_wrong_token_is_not_replaced_by_a_valid_cookie(clock):
    auth = TokenAuth(lambda: RIGHT, host="127.0.0.1", now=clock)
    access = AccessRequest(host="localhost", bearer="wrong", cookie=auth.new_cookie(RIGHT[0]))
    assert auth.visitor_of(access).rights is Rights.NONE


def cookie_of(auth, token):
    return AccessRequest(host="gateway.local", cookie=auth.new_cookie(token))


def test_each_role_may_what_it_is_named_for_by_token_and_by_cookie(clock):
    tokens = tuple(Token(name=role.value, role=role, digest=digest_of(role)) for role in Role)
    auth = TokenAuth(lambda: tokens, host="0.0.0.0", now=clock)
    expected = {"look": Rights.LOOK, "operate": Rights.OPERATE, "administer": Rights.ADMINISTER}
    for token in tokens:
        by_token = auth.visitor_of(AccessRequest(host="gateway.local", bearer=token.name))
        by_cookie = auth.visitor_of(cookie_of(auth, token))
        assert by_token == by_cookie
        assert (by_token.rights, by_token.token_name, by_token.has_token) == (expected[token.name], token.name, True)


def test_a_withdrawn_token_ends_its_own_sessions_and_no_others(clock):
    anna, ben = (Token(name=name, role=Role.OPERATE, digest=digest_of(name)) for name in ("anna", "ben"))
    tokens = [anna, ben]
    auth = TokenAuth(lambda: tuple(tokens), host="0.0.0.0", now=clock)
    of_anna, of_ben = cookie_of(auth, anna), cookie_of(auth, ben)
    tokens.remove(anna)
    assert auth.visitor_of(of_anna).rights is Rights.NONE
    assert auth.visitor_of(of_ben).rights is Rights.OPERATE
    tokens.append(Token(name="anna", role=Role.OPERATE, digest=digest_of("another of that name")))
    assert auth.visitor_of(of_anna).rights is Rights.NONE


def test_a_cookie_with_another_token_in_it_is_worth_nothing(clock):
    look, administer = (Token(name=role.value, role=role, digest=digest_of(role)) for role in (Role.LOOK, Role.ADMINISTER))
    auth = TokenAuth(lambda: (look, administer), host="0.0.0.0", now=clock)
    _, until, seal = auth.new_cookie(look).split(".")
    for cookie in (f"{administer.digest[:16]}.{until}.{seal}", f".{until}.{seal}", "..", f"{look.digest[:16]}", "é.1.\udcff"):
        assert auth.visitor_of(AccessRequest(host="x", cookie=cookie)).rights is Rights.NONE


async def test_sign_ins_and_wrong_tokens_are_told_for_the_timeline(clock):
    auth, told = TokenAuth(lambda: RIGHT, host="0.0.0.0", now=clock), []
    auth.on_event = lambda kind, text: told.append((kind, text))
    auth.note_sign_in(RIGHT[0], "192.0.2.7")
    auth.wrong_tokens.record("192.0.2.8")
    assert told == [
        (
            EventKind.SIGNED_IN,
            "somebody at 192.0.2.7 has signed in to the status page with the token administrator, which may administer",
        ),
        (EventKind.WRONG_TOKEN, "192.0.2.8 has sent a wrong token to the status page"),
    ]
