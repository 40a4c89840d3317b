import pytest

from gateway.status.auth.wrong_tokens import (
    FORGET_SECONDS,
    FREE_ATTEMPTS,
    LOG_SECONDS,
    MAX_CLIENTS,
    MOST_LINES,
    WAIT_SECONDS,
    WrongTokens,
)


@pytest.fixture
def clock():
    class Clock:
        now = 1_000_000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def wrong(clock, told):
    return WrongTokens(told.append, clock)


def send(wrong, client, times=1):
    for _ in range(times):
        wrong.record(client)


def test_a_client_waits_after_some_wrong_tokens_and_no_other_one_does(wrong, clock):
    for _ in range(FREE_ATTEMPTS):
        assert wrong.seconds_to_wait("a") == 0
        send(wrong, "a")
    assert wrong.seconds_to_wait("a") == WAIT_SECONDS
    assert wrong.seconds_to_wait("b") == 0


def test_who_goes_on_is_told_once_a_minute_again_that_the_token_is_wrong(wrong, clock):
    send(wrong, "a", FREE_ATTEMPTS)
    told_as_wrong = 0
    for _ in range(240):
        clock.now += 1
        told_as_wrong += wrong.seconds_to_wait("a") == 0
        send(wrong, "a")
    assert told_as_wrong == 240 / WAIT_SECONDS


def test_wrong_tokens_are_forgotten_in_time_and_take_bounded_room(wrong, clock):
    for number in range(MAX_CLIENTS + 500):
        send(wrong, f"10.0.{number >> 8}.{number & 255}")
    assert len(wrong._clients) == MAX_CLIENTS
    send(wrong, "a", FREE_ATTEMPTS)
    assert wrong.seconds_to_wait("a") > 0
    clock.now += FORGET_SECONDS
    send(wrong, "a")
    assert wrong.seconds_to_wait("a") == 0


def test_the_client_with_the_oldest_wrong_token_is_forgotten_first(wrong):
    send(wrong, "old", FREE_ATTEMPTS)
    for number in range(MAX_CLIENTS - 1):
        send(wrong, f"address {number}")
    send(wrong, "old")
    send(wrong, "one more", FREE_ATTEMPTS)
    assert wrong.seconds_to_wait("old") == WAIT_SECONDS
    assert wrong.seconds_to_wait("one more") == WAIT_SECONDS, "the newest one is never the one that is forgotten"


def test_each_client_is_told_once_a_minute_with_its_address_and_count(wrong, clock, told, caplog):
    for _ in range(3 * 60):  # a scraper that asks each second
        send(wrong, "192.0.2.7")
        clock.now += 1
    send(wrong, "192.0.2.8")
    assert told == [
        "192.0.2.7 has sent a wrong token to the status page",
        "192.0.2.7 has sent 60 wrong tokens to the status page in the last 1 min",
        "192.0.2.7 has sent 60 wrong tokens to the status page in the last 1 min",
        "192.0.2.8 has sent a wrong token to the status page",
    ]
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == told


def test_a_thousand_addresses_do_not_flood_the_log(wrong, clock, told, caplog):
    for minute in range(2):
        for number in range(1000):
            send(wrong, f"address {number}")
        assert len(told) == MOST_LINES * (minute + 1)
        clock.now += LOG_SECONDS
    assert caplog.text.count("further addresses send wrong tokens") == 2
