"""Check that what is wrong is put together by cause: one line for each, however many buses and children it concerns."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.causes import Cause
from gateway.models import Reach
from gateway.state.child_states import ChildState
from gateway.status.open_causes import CauseScope, child_cause, open_causes
from gateway.status.render.templates import with_code
from gateway.status.snapshot import HubContact

SINCE = datetime(2026, 11, 29, 8, 11, tzinfo=UTC)


def lose(view, bus, children, *, cause=Cause.HOST_REFUSES, problem="192.168.1.3:502: Connection refused"):
    """Add a bus that does not work, with children that are silent because of it."""
    view.add_bus(bus, problem=problem, cause=cause, since=SINCE, tried_at=SINCE, tries=3)
    for number in range(children):
        child = view.add_child(f"{bus} meter {number}", bus, reach=Reach.SILENT, why=f"its bus {bus} does not work")
        line = child.line.model_copy(update={"cause": cause, "stems_from": view.buses[bus].id})
        view.children[line.key] = child.model_copy(update={"line": line})


async def causes_of(view):
    return open_causes(await view.snapshot())


async def test_a_lost_bus_with_250_children_is_one_line(fake):
    view = fake.FakeView()
    lose(view, "house 3", 250)

    (cause,) = await causes_of(view)

    assert cause.line == "house 3: refuses the connection, 250 children"
    assert (cause.since, cause.children, cause.scope) == (SINCE, 250, CauseScope.BUS)
    assert cause.evidence == "192.168.1.3:502: Connection refused"
    assert cause.next_step == Cause.HOST_REFUSES.next_step
    assert cause.try_path == f"/buses/{view.buses['house 3'].id}/try"


async def test_a_child_with_a_cause_of_its_own_is_a_line_of_its_own(fake):
    view = fake.FakeView()
    lose(view, "house 3", 4)
    view.add_child("Pump", "house 3", reach=Reach.SILENT, why="another device answers at its address 7")

    bus, pump = await causes_of(view)

    assert (bus.children, pump.subject, pump.path) == (4, "Pump", f"/children/{view.children['sn:acme/Pump'].line.id}")


async def test_buses_that_share_a_cause_above_them_are_one_line(fake):
    view = fake.FakeView()
    for radio in ("hci0", "hci1"):
        lose(view, radio, 3, cause=Cause.BLUETOOTH_DOWN, problem="bluetoothd does not run")

    (cause,) = await causes_of(view)

    assert cause.line == "2 buses (hci0, hci1): the Bluetooth service does not run, 6 children"


async def test_buses_with_causes_of_their_own_are_lines_of_their_own(fake):
    view = fake.FakeView()
    lose(view, "house 3", 1)
    lose(view, "house 4", 2)

    assert [one.subject for one in await causes_of(view)] == ["house 4", "house 3"]


async def test_many_silent_children_on_an_open_bus_are_one_line(fake):
    view = fake.FakeView()
    view.add_bus("rs485")
    for number in range(9):
        view.add_child(f"Meter {number}", "rs485", reach=Reach.SILENT, why="no answer within 0.5 s")

    (cause,) = await causes_of(view)

    assert cause.line == "rs485: is open, but nothing on it answers, 9 children"
    assert "termination" in cause.next_step


async def test_single_silent_children_are_lines_with_what_was_seen(fake):
    view = fake.FakeView()
    view.add_bus("rs485")
    for number in range(9):
        view.add_child(f"Meter {number}", "rs485")
    view.silence("sn:acme/Meter 3", "no answer within 0.5 s")

    (cause,) = await causes_of(view)

    assert (cause.line, cause.evidence) == ("Meter 3: no answer", "no answer within 0.5 s")


async def test_children_that_the_cloud_refuses_for_one_reason_are_one_line(fake):
    view = fake.FakeView()
    view.add_bus("rs485")
    for number in range(3):
        view.add_child(f"Meter {number}", "rs485", state=ChildState.REFUSED, why="model not found")

    (cause,) = await causes_of(view)

    assert (cause.cause, cause.children, cause.evidence) == (Cause.REFUSED_BY_CLOUD, 3, "model not found")


async def test_an_unreachable_cloud_is_one_line_and_not_one_for_each_child_that_waits_for_it(fake):
    view = fake.FakeView()
    view.add_bus("rs485")
    for number in range(3):
        view.add_child(f"Meter {number}", "rs485", state=ChildState.ADMITTED)
    view.gateway = view.gateway.model_copy(
        update={
            "hub": HubContact(
                is_reachable=False, since=SINCE, problem="hub.example does not resolve", cause=Cause.NAME_UNKNOWN, tries=4
            )
        }
    )

    (cause,) = await causes_of(view)

    assert (cause.id, cause.cause, cause.try_path) == ("hub", Cause.NAME_UNKNOWN, "/cloud/try")
    assert cause.since == SINCE


@pytest.mark.parametrize("problem", ["clock_problem", "store_problem"])
async def test_what_is_wrong_with_the_gateway_itself_comes_first(fake, problem):
    view = fake.FakeView()
    lose(view, "house 3", 200)
    view.gateway = view.gateway.model_copy(update={problem: "it is so"})

    assert (await causes_of(view))[0].scope is CauseScope.GATEWAY


async def test_nothing_is_wrong_where_nothing_is(fake):
    view = fake.FakeView()
    view.add_bus("rs485")
    view.add_child("Meter", "rs485")

    assert await causes_of(view) == ()
    assert child_cause(view.children["sn:acme/Meter"].line) is None


async def test_a_cause_that_a_strangers_adapter_does_not_name_is_told_in_its_words(fake):
    view = fake.FakeView()
    view.add_bus("rs485", problem="the flux is low", since=SINCE + timedelta(hours=1))

    (cause,) = await causes_of(view)

    assert (cause.line, cause.evidence) == ("rs485: the flux is low", None)


def test_commands_in_a_next_step_are_shown_as_code_and_nothing_in_it_becomes_markup():
    assert with_code("Set it: `timedatectl <x>` & wait.") == "Set it: <code>timedatectl &lt;x&gt;</code> &amp; wait."
    assert with_code("a ` alone <b>") == "a ` alone &lt;b&gt;"


async def test_a_child_that_answers_and_refuses_everything_tells_why_there_are_no_values_and_is_no_trouble(fake):
    view = fake.FakeView()
    view.add_bus("house 3")
    child = view.add_child("Inverter", "house 3")
    told = {"cause": Cause.DEVICE_REFUSES, "why": "it answers, and refuses all of its 10 metrics"}
    view.children[child.line.key] = child.model_copy(update={"line": child.line.model_copy(update=told)})

    cause = child_cause(view.children[child.line.key].line)

    assert (cause.cause, cause.phrase, cause.try_path) == (Cause.DEVICE_REFUSES, "refuses what it is asked", None)
    assert cause.evidence == told["why"]
    assert await causes_of(view) == (), "an inverter by night is nothing to be woken for"


@pytest.mark.parametrize(("state", "words"), [(ChildState.ADMITTED, "by itself"), (ChildState.DELETED, "register_again")])
async def test_a_child_that_was_deleted_in_the_cloud_says_so_and_what_comes_of_it(fake, state, words):
    view = fake.FakeView()
    view.add_bus("house 3")
    child = view.add_child("Meter", "house 3", state=state, why="deleted in the cloud")
    line = child.line.model_copy(update={"cause": Cause.DELETED_IN_CLOUD})

    cause = child_cause(line)

    assert cause.cause is Cause.DELETED_IN_CLOUD
    assert words in cause.next_step
