"""A child is retired or replaced exactly once, whatever happens to the calls, and nothing is registered twice."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.errors import HubUnreachable
from gateway.models import Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.records import ChildRequest, Decision, Request
from gateway.testing.hub import LOST_ANSWER

AT = datetime(2026, 1, 1, tzinfo=UTC)


async def ask(house, request, number=1, new_key=None):
    await house.registry.request(ChildRequest(key=f"sn:acme/{number}", request=request, new_key=new_key, at=AT))


async def put_sample(house, number=1, **values):
    await house.outbox.put([Sample(f"sn:acme/{number}", AT, Status.ONLINE, values)])


def serials(house):
    return [one.registration.serial_number for one in house.listed()]


@pytest.mark.parametrize("failure", [None, LOST_ANSWER, HubUnreachable("no route", maybe_done=False)])
def test_13_2_gone_from_the_site_a_retired_child_is_deleted_in_the_cloud_with_its_own_key(house, failure):
    async def test(house):
        await put_sample(house, power=1)
        if failure is not None:
            house.hub.fail("delete_device", failure)
        await ask(house, Request.RETIRE)
        await house.start()
        await house.live(60)
        assert serials(house) == ["2"]
        assert "sn:acme/1" not in house.registry.children
        retired = house.registry.found_devices["sn:acme/1"]
        assert (retired.decision, retired.is_retired, retired.name) == (Decision.IGNORE, True, "Meter 1")
        assert (house.outbox.depth, house.outbox.lost) == (0, 1)
        assert not house.registry.requests
        assert not house.registry.unused_devices
        await put_sample(house, power=2)
        assert house.outbox.depth == 0, "a late sample of it is not kept for ever"

    house(test, 1, 2)


def test_a_child_that_is_retired_here_says_goodbye_and_stays_in_the_cloud(house):
    async def test(house):
        await put_sample(house, power=1)
        device = house.listed()[0]
        await ask(house, Request.RETIRE_HERE)
        await house.live(60)
        assert serials(house) == ["1"]
        assert [(one.status, dict(one.values)) for one in device.messages][-2:] == [
            (Status.ONLINE, {"power": 1}),
            (Status.OFFLINE, {}),
        ]
        assert house.outbox.lost == 0
        assert "sn:acme/1" not in house.registry.children

    house(test, 1)


def test_a_child_is_retired_only_after_its_open_registration_is_known(house, child):
    async def test(house):
        await house.registry.admit(child(1))
        house.hub.fail("register_child", LOST_ANSWER)
        await ask(house, Request.RETIRE)
        await house.start()
        house.registry._requests.clear()  # the registration begins before the request is seen
        await house.live(5)
        await house.start()
        await house.live(20)
        assert house.record().state is ChildState.REGISTERING
        await house.live(60)
        assert "sn:acme/1" not in house.registry.children
        (unused,) = house.registry.unused_devices.values()
        assert unused.device_id == house.listed()[0].credentials.device_id, "without its key, a person has to delete it"
        assert unused.device_id in house.registry.found_devices["sn:acme/1"].why

    house(test)


def test_a_retired_child_comes_back_when_it_is_admitted(house, child):
    async def test(house):
        await ask(house, Request.RETIRE)
        await house.live(10)
        assert await house.registry.decide("sn:acme/1", Decision.ADMIT)
        await house.registry.admit(child(1))
        await house.live(10)
        assert serials(house) == ["1"]
        assert house.record().state is ChildState.REGISTERED

    house(test, 1)


def test_replaced_hardware_keeps_the_device_in_the_cloud_and_gets_its_facts(house, child):
    async def test(house):
        before = house.record()
        await house.registry.rename("sn:acme/1", "Boiler house")
        await house.live(10)
        await put_sample(house, power=1)
        new = child(9, address="1", firmware_version="2.0.0", sub_model="A2")
        await house.registry.admit(new, displaced=before.child)
        await house.live(60)
        assert house.record(9).state is ChildState.HELD
        assert serials(house) == ["1"], "it is not registered meanwhile"
        await ask(house, Request.REPLACE, new_key="sn:acme/9")
        await house.live(60)
        await house.start()
        await house.live(60)
        record = house.record(9)
        assert (record.device_id, record.access_key, record.state) == (before.device_id, before.access_key, ChildState.REGISTERED)
        assert record.child.name == "Boiler house"
        assert "sn:acme/1" not in house.registry.children
        sent = house.listed()[0].updates[-1]
        assert (sent["firmware_version"], sent["sub_model"], sent["name"]) == ("2.0.0", "A2", "Boiler house")
        assert (sent["details"]["serial_number"], sent["details"]["gateway_marker"]) == ("9", before.marker)
        assert [queued.sample.child for queued in await house.outbox.oldest_of("sn:acme/9", 10)] == ["sn:acme/9"]
        assert serials(house) == ["1"]

    house(test, 1)


def test_hardware_that_was_registered_by_itself_before_it_replaced_another_is_deleted_there(house):
    async def test(house):
        kept, given_up = house.record(1).device_id, house.record(2).device_id
        await ask(house, Request.REPLACE, new_key="sn:acme/2")
        house.hub.fail("delete_device", LOST_ANSWER)
        await house.live(60)
        assert [one.credentials.device_id for one in house.listed()] == [kept]
        assert house.record(2).device_id == kept
        assert house.registry.by_device_id(given_up) is None
        assert not house.registry.unused_devices

    house(test, 1, 2)


def test_a_replacement_that_is_not_possible_changes_nothing_and_says_why(house, child, caplog):
    async def test(house):
        await house.registry.admit(child(9, address="1", model_id="m-2"), displaced=house.record().child)
        await ask(house, Request.REPLACE, new_key="sn:acme/9")
        await house.live(60)
        assert (house.record(1).state, house.record(9).state) == (ChildState.REGISTERED, ChildState.HELD)
        assert "cannot change the model of a device" in caplog.text
        assert not house.registry.requests

    house(test, 1)


def test_a_held_child_is_registered_as_one_of_its_own_when_a_person_says_so(house, child):
    async def test(house):
        await house.registry.admit(child(9, address="1"), displaced=house.record().child)
        await house.live(60)
        assert await house.registry.decide("sn:acme/9", Decision.ADMIT)
        await house.live(60)
        assert serials(house) == ["1", "9"]
        assert house.record(9).replaces is None

    house(test, 1)


def test_13_2_last_row_a_person_can_have_a_child_without_a_key_registered_again(house):
    async def test(house):
        await house.registry.save_child(replace(house.record(), access_key=None))
        await house.new_parent()
        await house.live(60)
        assert house.record().state is ChildState.UNMOVED
        assert await house.registry.decide("sn:acme/1", Decision.ADMIT)
        await house.live(60)
        assert (house.record().state, house.record().access_key is None) == (ChildState.REGISTERED, False)

    house(test, 1)
