"""Incidents are open in the cloud while their cause holds, one for each, whatever the hub does."""

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import GatewayRegistration
from gateway.state.child_states import ChildState
from gateway.state.incidents import Incidents, OpenIncident, Priority
from gateway.testing.hub import LOST_ANSWER

AWAY = HubUnreachable("no route", maybe_done=False)
NOT_FOUND = HubRejected("no", status=404, error="Incident not found")


def titles(device):
    return [incident.title for incident in device.incidents.values()]


def test_an_incident_is_open_with_its_text_until_its_cause_is_over(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("bus_lost:rtu/ttyUSB0", None, "The bus is lost", "Check its cable", Priority.HIGH)
        await asyncio.sleep(1)
        (incident,) = told.device().incidents.values()
        assert (incident.title, incident.description) == ("The bus is lost", "Check its cable")
        assert incident.issue.startswith("bus_lost_")
        told.incidents.close("bus_lost:rtu/ttyUSB0")
        await asyncio.sleep(65)
        assert titles(told.device()) == []
        assert await told.incidents.in_cloud() == []

    run(test)


def test_an_incident_of_a_child_is_the_child_s_own(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "child 1 does not answer", "Look at it")
        await asyncio.sleep(1)
        assert (titles(told.device()), titles(told.device(1))) == ([], ["child 1 does not answer"])

    run(test)


def test_the_gateway_opens_the_incident_of_a_child_whose_key_was_lost_and_names_it(run):
    async def test(told):
        await told.registry.save_child(replace(told.registry.children["c1"], access_key=None))
        await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "it does not answer", "Look at it")
        await asyncio.sleep(1)
        assert titles(told.device()) == ["child 1: it does not answer"]

    run(test)


def test_an_incident_follows_a_child_that_was_registered_again(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(1)
        before = told.registry.children["c1"]
        del told.hub.devices[before.device_id]
        await told.registry.save_child(replace(before, state=ChildState.ADMITTED, device_id=None, access_key=None))
        await told.register(1)
        await asyncio.sleep(120)
        assert told.registry.children["c1"].device_id != before.device_id
        assert titles(told.device(1)) == ["silent"]

    run(test)


def test_a_cause_that_comes_and_goes_is_one_incident(run):
    async def test(told):
        await told.tell_incidents()
        calls = told.hub.calls
        for _ in range(40):
            told.incidents.open("bus_lost:x", None, "lost", "Check it")
            await asyncio.sleep(10)
            told.incidents.close("bus_lost:x")
            await asyncio.sleep(20)
        assert (calls["open_incident"], calls["close_incident"]) == (1, 0)
        await asyncio.sleep(70)
        assert (calls["open_incident"], calls["close_incident"]) == (1, 1)

    run(test)


def test_a_closed_incident_is_not_opened_again_within_a_minute(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(1)
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(61)
        assert titles(told.device()) == []
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(50)
        assert titles(told.device()) == []
        await asyncio.sleep(20)
        assert titles(told.device()) == ["lost"]

    run(test)


@pytest.mark.parametrize("failure", [AWAY, LOST_ANSWER, HubBusy("429", retry_after_seconds=None)])
def test_an_outage_while_an_incident_opens_ends_with_one_incident(run, failure):
    async def test(told):
        await told.tell_incidents()
        told.hub.fail("open_incident", failure, failure)
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(120)
        assert titles(told.device()) == ["lost"]
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(70)
        assert titles(told.device()) == []

    run(test)


def test_an_incident_whose_response_was_lost_is_looked_for_and_not_opened_twice(run):
    async def test(told):
        await told.tell_incidents()
        told.hub.fail("open_incident", LOST_ANSWER)
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(30)
        assert told.hub.calls["open_incident"] == 1
        assert told.hub.calls["get_incidents"] == 1

    run(test)


def test_an_incident_whose_response_was_lost_is_closed_when_its_cause_ends_meanwhile(run):
    async def test(told):
        await told.tell_incidents()
        told.hub.fail("open_incident", LOST_ANSWER)
        told.hub.fail("get_incidents", AWAY)
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(1)
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(120)
        assert titles(told.device()) == []
        assert await told.incidents.in_cloud() == []

    run(test)


def test_a_close_that_the_cloud_does_not_know_closes_what_is_open_for_the_issue(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(1)
        told.hub.fail("close_incident", NOT_FOUND)
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(70)
        assert titles(told.device()) == []
        assert told.hub.calls["get_incidents"] == 1

    run(test)


def test_a_lost_response_to_a_close_ends_without_an_error(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(1)
        told.hub.fail("close_incident", LOST_ANSWER)
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(120)
        assert (titles(told.device()), await told.incidents.in_cloud()) == ([], [])

    run(test)


def test_what_an_earlier_run_left_open_is_closed_once_it_is_known_to_be_over(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("bus_lost:x", None, "bus_lost:x", "Check it")
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(5)
        await told.restart()
        await told.tell_incidents()
        told.incidents.end_earlier("child_silent:c1")
        await asyncio.sleep(60)
        assert (titles(told.device()), titles(told.device(1))) == (["bus_lost:x"], [])
        await asyncio.sleep(130)
        assert titles(told.device()) == [], "nobody has seen it for three minutes"
        assert await told.incidents.in_cloud() == []

    run(test)


def test_what_has_no_record_is_closed_once_nothing_of_the_gateway_goes_on(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("bus_lost:x", None, "bus_lost:x", "Check it")
        await asyncio.sleep(5)
        await told.hub.open_incident(told.parent, "of a store that was lost", issue="other")
        await told.restart()
        told.incidents.open("bus_lost:x", None, "bus_lost:x", "Check it")
        await told.tell_incidents()
        assert titles(told.device()) == ["bus_lost:x", "of a store that was lost"]
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(70)
        assert titles(told.device()) == []

    run(test)


def test_a_start_without_left_overs_makes_one_call_however_many_children_there_are(run):
    async def test(told):
        await told.tell_incidents()
        await asyncio.sleep(100)
        assert told.hub.calls["close_incidents"] == 1

    run(test)


def test_an_incident_whose_cause_holds_over_a_restart_stays_the_one_that_it_is(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(5)
        before = dict(told.device(1).incidents)
        await told.restart()
        await told.tell_incidents()
        told.hub.fail("get_incidents", AWAY, AWAY)
        await asyncio.sleep(100)  # so long it takes to see it again
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(300)
        assert told.device(1).incidents == before
        assert len(await told.incidents.in_cloud()) == 1
        told.incidents.close("child_silent:c1")
        await asyncio.sleep(70)
        assert titles(told.device(1)) == []

    run(test)


def test_an_incident_that_somebody_closed_while_the_gateway_did_not_run_is_opened_where_its_cause_holds(run):
    async def test(told):
        await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(5)
        await told.restart()
        told.device(1).incidents.clear()
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await told.tell_incidents()
        await asyncio.sleep(5)
        assert titles(told.device(1)) == ["silent"]

    run(test)


def test_an_incident_of_an_unclaimed_device_is_opened_again_when_it_is_claimed(run):
    async def test(told):
        told.space_version = 0
        loop = await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(1)
        told.device(1).incidents.clear()  # the cloud answered with an id and stored nothing
        loop.claimed(None)
        await asyncio.sleep(5)
        assert titles(told.device(1)) == ["silent"]
        told.space_version = 2
        loop.claimed(told.device(1).credentials.device_id)
        await asyncio.sleep(5)
        assert titles(told.device(1)) == ["silent"]
        calls = told.hub.calls.copy()
        loop.claimed(None)
        await asyncio.sleep(5)
        assert told.hub.calls == calls

    run(test)


def test_a_gateway_that_was_deleted_in_the_cloud_opens_its_incidents_under_its_new_registration(run):
    async def test(told):
        loop = await told.tell_incidents()
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(1)
        told.tasks.pop().cancel()
        del told.hub.devices[told.parent.device_id]
        told.parent = await told.hub.register_device(
            GatewayRegistration(hardware_key=SecretStr("hk"), serial_number="S", firmware_version="1.0.0")
        )
        told.tasks.append(asyncio.create_task(loop.run(told.parent)))
        await asyncio.sleep(5)
        assert titles(told.device()) == ["lost"]
        assert titles(told.device(1)) == ["silent"]
        assert told.hub.calls["open_incident"] == 3, "that of the child stays open"

    run(test)


def test_a_child_under_a_former_registration_of_the_gateway_opens_its_incident_itself(run):
    async def test(told):
        await told.registry.save_child(replace(told.registry.children["c1"], state=ChildState.UNMOVED, parent_id="former"))
        await told.tell_incidents()
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(1)
        assert titles(told.device(1)) == ["silent"]

    run(test)


def test_a_refused_key_of_a_child_has_it_checked_and_the_incident_opened_later(run):
    async def test(told):
        await told.tell_incidents()
        told.hub.fail("open_incident", HubUnauthorised("401", status=401, error="Not authorized"))
        told.incidents.open("child_silent:c1", "c1", "silent", "Look at it")
        await asyncio.sleep(1)
        assert told.checked == ["c1"]
        await asyncio.sleep(70)
        assert titles(told.device(1)) == ["silent"]

    run(test)


def test_an_incident_that_the_cloud_refuses_is_not_sent_again_while_its_cause_holds(run, caplog):
    async def test(told):
        await told.tell_incidents()
        told.hub.fail("open_incident", HubRejected("no", status=422, error="Priority must be between 1 and 5"))
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(600)
        assert told.hub.calls["open_incident"] == 1
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(1)
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(100)
        assert titles(told.device()) == ["lost"]

    run(test)
    assert caplog.text.count("does not take the incident") == 1


def test_an_incident_that_is_open_already_is_taken_over(run):
    async def test(told):
        incident = OpenIncident(cause="bus_lost:x", child=None, title="lost", what_to_do="Check it")
        await told.tell_incidents()
        await told.hub.open_incident(told.parent, "lost", issue=incident.issue)
        told.hub.fail("open_incident", HubRejected("no", status=422, error="Issue has already been taken"))
        told.incidents.open("bus_lost:x", None, "lost", "Check it")
        await asyncio.sleep(5)
        told.incidents.close("bus_lost:x")
        await asyncio.sleep(70)
        assert titles(told.device()) == []

    run(test)


def test_a_failing_store_does_not_keep_its_own_incident_from_the_cloud(run, monkeypatch):
    async def test(told):
        await told.tell_incidents()

        async def fail(work):
            raise StoreError("disk full")

        monkeypatch.setattr(told.made.state.store, "transact", fail)
        told.incidents.open("store_failing", None, "The store fails", "Free some space", Priority.CRITICAL)
        await asyncio.sleep(2)
        assert titles(told.device()) == ["The store fails"]
        monkeypatch.undo()
        told.incidents.close("store_failing")
        await asyncio.sleep(70)
        assert titles(told.device()) == []

    run(test)


def test_the_most_urgent_incident_goes_first(run):
    async def test(told):
        told.incidents.open("clock_wrong", None, "clock", "Set it")
        told.incidents.open("store_failing", None, "store", "Free some space", Priority.CRITICAL)
        await told.tell_incidents()
        assert titles(told.device()) == ["store", "clock"]

    run(test)


def test_the_issue_of_a_cause_is_the_same_in_each_run_and_differs_between_places():
    def issue(cause):
        return OpenIncident(cause=cause, child=None, title="t", what_to_do="w").issue

    assert issue("bus_lost:rtu//dev/ttyUSB0") == issue("bus_lost:rtu//dev/ttyUSB0")
    assert issue("bus_lost:rtu//dev/ttyUSB0") != issue("bus_lost:rtu//dev/ttyUSB1")
    assert issue("store_failing") == "store_failing"
    assert len(issue("x" * 500 + ":y")) < 64


async def test_opening_one_cause_twice_keeps_the_first(tmp_path):
    incidents = Incidents(store=None)
    incidents.open("clock_wrong", None, "first", "a")
    incidents.open("clock_wrong", None, "second", "b")
    assert [one.title for one in incidents.wanted.values()] == ["first"]


async def test_nothing_is_opened_where_incidents_are_off():
    incidents = Incidents(store=None, are_wanted=False)
    incidents.open("clock_wrong", None, "first", "a")
    assert not incidents.wanted
