"""A child is moved under a new parent when the cloud allows it, and is never registered anew while its key may work."""

from dataclasses import replace

from gateway.cloud.children.moves import MOVE_AGAIN_AFTER
from gateway.errors import HubBusy, HubRejected
from gateway.state.child_states import ChildState

UNCLAIMED = HubRejected("no", status=422, error="Parent must be claimed by the same customer")
MINUTES = 60


def test_18_a_survivor_waits_for_the_claim_and_is_tried_again_at_slow_intervals(house, caplog):
    async def test(house):
        old = house.record().device_id
        await house.new_parent()
        house.hub.fail("update_device", *[UNCLAIMED] * 3)
        await house.live(40 * MINUTES)
        assert house.record().state is ChildState.UNMOVED
        assert house.hub.calls["update_device"] == 3, "at once, after 15 and after 30 minutes"
        (told,) = [one.message for one in caplog.records if "claim this gateway" in one.message]
        assert told.endswith("It is tried again when the gateway is claimed, and every 15 min")
        await house.live(MOVE_AGAIN_AFTER.total_seconds())
        assert (house.record().state, house.record().device_id) == (ChildState.REGISTERED, old)
        assert house.hub.calls["register_child"] == 1

    house(test, 1)


def test_18_a_survivor_that_the_cloud_never_moves_is_not_registered_a_second_time(house):
    async def test(house):
        await house.new_parent()
        house.hub.fail("update_device", *[HubRejected("no", status=400, error="Unknown field: parent_id")] * 100)
        await house.live(24 * 60 * MINUTES)
        assert house.record().state is ChildState.UNMOVED
        assert "Delete it in the portal, and it is registered again" in house.record().problem
        del house.hub.devices[house.record().device_id]
        await house.live(20 * MINUTES)
        assert (house.record().state, house.record().parent_id) == (ChildState.REGISTERED, house.parent.device_id)

    house(test, 1)


def test_the_claim_ends_the_wait(house):
    async def test(house):
        await house.new_parent()
        house.hub.fail("update_device", UNCLAIMED)
        await house.live(MINUTES)
        house.registrar.retry_refused()
        await house.live()
        assert house.record().state is ChildState.REGISTERED

    house(test, 1)


def test_too_many_updates_of_a_device_postpone_its_move(house):
    async def test(house):
        await house.new_parent()
        house.hub.fail("update_device", HubBusy("busy", retry_after_seconds=None))
        await house.live(MINUTES)
        assert house.hub.calls["update_device"] == 1
        await house.live(MOVE_AGAIN_AFTER.total_seconds())
        assert house.record().parent_id == house.parent.device_id

    house(test, 1)


def test_a_survivor_returns_when_the_former_registration_of_the_gateway_is_accepted_again(house):
    async def test(house):
        former = house.parent
        await house.new_parent()
        house.hub.fail("update_device", UNCLAIMED)
        await house.live(MINUTES)
        house.parent = former
        await house.live(MINUTES)
        assert (house.record().state, house.record().problem) == (ChildState.REGISTERED, None)

    house(test, 1)


def lose_key(house, number):
    return house.registry.save_child(replace(house.record(number), access_key=None))


def test_13_2_last_row_a_child_without_a_key_is_not_registered_blindly_under_a_new_parent(house):
    async def test(house):
        await lose_key(house, 2)
        await house.new_parent()
        await house.live(60 * MINUTES)
        assert (house.record(1).state, house.record(2).state) == (ChildState.REGISTERED, ChildState.UNMOVED)
        assert "children admit sn:acme/2" in house.record(2).problem
        assert house.hub.calls["register_child"] == 2

    house(test, 1, 2)


def test_13_2_last_row_a_child_without_a_key_whose_siblings_were_deleted_with_the_gateway_is_registered_again(house):
    async def test(house):
        await lose_key(house, 1)
        house.hub.devices.clear()
        await house.new_parent()
        await house.live(60 * MINUTES)
        assert [one.registration.serial_number for one in house.listed()] == ["2", "1"]
        assert house.record(1).access_key is not None

    house(test, 1, 2)


def test_13_2_last_row_a_child_without_a_key_that_is_listed_under_the_new_parent_goes_on(house):
    async def test(house):
        await lose_key(house, 1)
        await house.new_parent()
        await house.live(60 * MINUTES)
        house.hub.devices[house.record().device_id].parent_id = house.parent.device_id  # as a person did in the portal
        await house.live(60 * MINUTES)
        assert house.record().state is ChildState.REGISTERED
        assert "Delete it in the portal" in house.record().problem, "its key is still lost"

    house(test, 1)
