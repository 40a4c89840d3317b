"""A registration that the hub carries out late makes no device that nobody hears of."""

from dataclasses import replace

import pytest

from gateway.errors import HubRejected, HubUnreachable
from gateway.state.child_states import ChildState
from gateway.state.records import UnusedDevice
from gateway.testing.hub import LOST_ANSWER, CarriedOutLater

MINUTES = 60


def warnings_about(caplog, text):
    return [record.message for record in caplog.records if text in record.message]


def test_17_16_a_registration_that_is_carried_out_45_s_late_is_found_and_told_with_both_ids(house, child, caplog):
    async def test(house):
        await house.registry.admit(child(1))
        house.hub.fail("register_child", CarriedOutLater(45))
        await house.live(20 * MINUTES)
        used = house.record().device_id
        (twin,) = [one.credentials.device_id for one in house.listed() if one.credentials.device_id != used]
        assert house.record().access_key is not None
        assert list(house.registry.unused_devices) == [twin]
        told = f"the cloud has it twice: {used} is in use, and {twin} was made by a registration whose response never arrived"
        assert warnings_about(caplog, "twice") == [f"Meter 1: {told}. Delete {twin} there"]
        assert house.events == [("sn:acme/1", "device_twice_in_cloud", "device", f"{told}. Delete {twin} there")]
        assert house.hub.calls["get_children"] == 4, "before it was registered again, at once after, and twice more"
        assert house.record().unanswered_at is None
        await house.live(30 * MINUTES)
        assert house.hub.calls["get_children"] == 4

    house(test)


def test_a_late_registration_is_looked_for_again_after_a_restart(house, child, caplog):
    async def test(house):
        await house.registry.admit(child(1))
        house.hub.fail("register_child", CarriedOutLater(200))
        await house.live(50)
        assert house.record().state is ChildState.REGISTERED
        await house.start()
        await house.live(20 * MINUTES)
        assert len(house.registry.unused_devices) == 1
        await house.start()
        await house.live(20 * MINUTES)
        assert len(house.registry.unused_devices) == len(warnings_about(caplog, "twice")) == 1, "told once"

    house(test)


def test_a_late_registration_is_found_right_before_the_next_one_if_that_had_to_wait(house, child):
    async def test(house):
        await house.registry.admit(child(1))
        away = [HubUnreachable("no route", maybe_done=False)] * 20
        house.hub.fail("register_child", CarriedOutLater(45), *away)
        await house.live(20 * MINUTES)
        assert len(house.listed()) == 1
        assert (house.record().device_id, house.record().access_key) == (house.listed()[0].credentials.device_id, None)

    house(test)


def test_a_lost_response_whose_call_is_listed_needs_no_more_looks(house, child):
    async def test(house):
        await house.registry.admit(child(1))
        house.hub.fail("register_child", LOST_ANSWER)
        await house.live(20 * MINUTES)
        assert house.hub.calls["get_children"] == 1
        assert house.record().unanswered_at is None

    house(test)


def test_where_the_hub_lists_no_markers_a_twin_is_found_by_its_serial_number(house, child):
    async def test(house):
        await house.registry.admit(child(1))
        await house.registry.admit(child(2))
        house.hub.fail("register_child", CarriedOutLater(45))
        await house.live(44)
        for _ in range(3):
            for one in house.listed():
                one.registration = replace(one.registration, details={})
            await house.live(60)
        assert [device.child for device in house.registry.unused_devices.values()] == ["sn:acme/1"]

    house(test)


def test_a_twin_that_a_person_has_deleted_is_forgotten(house, child):
    async def test(house):
        await house.registry.admit(child(1))
        house.hub.fail("register_child", CarriedOutLater(45))
        await house.live(20 * MINUTES)
        (twin,) = house.registry.unused_devices
        del house.hub.devices[twin]
        await house.live(7 * 60 * MINUTES)
        assert not house.registry.unused_devices
        assert house.record().state is ChildState.REGISTERED

    house(test)


def unused(house):
    record = house.record(1)
    return UnusedDevice(
        device_id=record.device_id, child="sn:acme/1", name="Meter 1", access_key=record.access_key, hub_url=None,
        why="is not used", at=record.since,
    )  # fmt: skip


def test_an_unused_device_is_deleted_with_its_own_key_also_when_the_response_is_lost(house):
    async def test(house):
        await house.registry.add_unused_device(unused(house))
        house.hub.fail("delete_device", HubRejected("no", status=403, error="no"), LOST_ANSWER)
        await house.live(3 * 60 * MINUTES)
        assert not house.listed()
        assert not house.registry.unused_devices
        assert house.hub.calls["delete_device"] == 3, "refused, lost, and repeated"

    house(test, 1)


async def forget(house, number=1):
    """Lose a child as a store does that comes from an older mirror or backup."""
    await house.store.transact(lambda db: db.execute("DELETE FROM children WHERE key = ?", (f"sn:acme/{number}",)))
    await house.start()


@pytest.mark.parametrize("place", [{}, {"serial_number": None}])
def test_a_child_that_was_registered_after_the_copy_of_the_store_was_made_is_found_in_the_cloud(house, child, caplog, place):
    async def test(house):
        await house.registry.admit(child(1, **place))
        await house.live()
        device_id, marker = house.record().device_id, house.record().marker
        await forget(house)
        house.may_lack_children = True
        await house.registry.admit(child(1, **place))
        await house.registry.admit(child(2))
        await house.live(60)
        assert (house.record().device_id, house.record().marker, house.record().access_key) == (device_id, marker, None)
        assert house.record(2).access_key is not None
        assert len(house.listed()) == 2
        assert "its access key was lost with the store" in caplog.text
        assert house.hub.calls["get_children"] == 1

    house(test)


def test_a_device_without_a_serial_number_is_not_taken_for_another_one_of_the_same_name(house, child):
    async def test(house):
        await house.registry.admit(child(1, serial_number=None, name="Meter"))
        await house.live()
        await forget(house)
        house.may_lack_children = True
        await house.registry.admit(child(2, serial_number=None, name="Meter"))
        await house.live()
        assert len(house.listed()) == 2

    house(test)


def test_without_a_loss_the_list_is_not_looked_through_before_a_registration(house, child):
    async def test(house):
        await house.registry.admit(child(1))
        await house.live()
        assert house.hub.calls["get_children"] == 0

    house(test)
