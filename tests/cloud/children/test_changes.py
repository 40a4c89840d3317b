"""What changes about a child reaches the cloud, with few calls of Update Device."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.retry_times import clock_time, in_words
from gateway.errors import UpdateLimitReached

MINUTES = 60


def updates(house):
    return house.listed()[0].updates


def test_a_child_that_is_renamed_reprofiled_and_updated_at_once_takes_one_call(house, child):
    async def test(house):
        await house.registry.admit(child(1, sub_model="A2", firmware_version="2.0.0"))
        await house.registry.rename("sn:acme/1", "Boiler house")
        await house.live(MINUTES)
        (sent,) = updates(house)
        assert (sent["name"], sent["sub_model"], sent["firmware_version"]) == ("Boiler house", "A2", "2.0.0")

    house(test, 1)


def test_a_child_that_moves_costs_no_call_and_its_new_place_goes_with_the_next_one(house, child):
    async def test(house):
        await house.registry.admit(child(1, bus="cellar", address="7"))
        await house.live(MINUTES)
        assert not updates(house)
        await house.registry.rename("sn:acme/1", "Boiler house")
        await house.live(MINUTES)
        (sent,) = updates(house)
        assert (sent["details"]["bus"], sent["details"]["address"]) == ("cellar", "7")
        assert sent["details"]["gateway_marker"] == house.record().marker, "the hub may replace all details"

    house(test, 1)


def test_13_2_a_serial_number_that_becomes_known_later_is_sent_in_the_details_since_sn_cannot_be_changed(house, child):
    async def test(house):
        await house.registry.admit(child(1, serial_number=None))
        await house.live(MINUTES)
        assert house.listed()[-1].registration.serial_number is None
        await house.registry.admit(child(1, serial_number="4711"))
        await house.live(MINUTES)
        (sent,) = updates(house)
        assert sent["details"]["serial_number"] == "4711"
        assert "sn" not in sent

    house(test)


def test_changes_beyond_the_limit_of_update_device_wait_for_it_and_go_together(house, child):
    async def test(house):
        house.hub.fail("update_device", UpdateLimitReached("nine within the hour", retry_after_seconds=1800.0))
        for number in range(20):
            await house.registry.rename("sn:acme/1", f"Name {number}")
            await house.live(10)
        assert house.hub.calls["update_device"] == 1
        await house.live(40 * MINUTES)
        assert [sent["name"] for sent in updates(house)] == ["Name 19"]

    house(test, 1)


def test_a_registered_child_whose_model_changes_keeps_it(house, child):
    async def test(house):
        record = await house.registry.admit(child(1, model_id="m-2"))
        assert record.child.model_id == "m-1"
        await house.live(MINUTES)
        assert not updates(house)

    house(test, 1)


def test_13_2_deleted_on_purpose_says_when_the_child_is_registered_again(house, caplog):
    async def test(house):
        del house.hub.devices[house.record().device_id]
        for _ in range(2):
            await house.registrar.check_child(house.parent, "sn:acme/1")
            await house.live(6)
        assert "was deleted in the cloud; it is registered again in 15 min, at " in caplog.text
        assert "it is registered again at " in house.record().problem
        await house.live(14 * MINUTES)
        assert not house.listed()
        await house.live(2 * MINUTES)
        assert len(house.listed()) == 1
        assert house.record().problem is None

    house(test, 1)


def test_13_2_last_row_a_child_whose_key_is_lost_is_told_what_to_do(house, child):
    async def test(house):
        await house.registry.save_child(replace(house.record(), access_key=None))
        await house.live(MINUTES)
        assert house.hub.calls["register_child"] == 1, "it is in the cloud, so it is not registered blindly"

    house(test, 1)


@pytest.mark.parametrize(
    ("wait", "words", "short"),
    [
        (timedelta(0), "at once", "at once"),
        (timedelta(seconds=40), "in 40 s", "at 12:00"),
        (timedelta(minutes=15), "in 15 min, at 12:15", "at 12:15"),
        (timedelta(hours=20), "in 20 h, at 2026-01-02 08:00", "at 2026-01-02 08:00"),
    ],
)
def test_a_wait_is_told_in_words(wait, words, short):
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (in_words(wait, now=now), clock_time(wait, now=now)) == (words, short)
