import asyncio
import logging
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from gateway.cloud.child_registrar import ChildRegistrar, RegistrationPolicy
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.configuration.target import Configuring
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.licences.device_changes import Licences
from gateway.cloud.rate_control import RateControl
from gateway.cloud.revocation import GatewayRevocation, KeyCheck, RevocationTiming
from gateway.cloud.session import CloudServices, Session
from gateway.cloud.telemetry_loop import OwnTelemetry
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings
from gateway.errors import CommandRejected, HubBusy, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import ConfigurationChanged, SpaceChanged, TelemetryResponse, WaitingCommand
from gateway.models import ChildDevice, CommandResult, KnownCommand, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import Outbox
from gateway.state.parts import StateParts
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.configuration import FakeConfigurationTarget
from gateway.testing.hub import LOST_ANSWER, FakeHub

SHORT = timedelta(milliseconds=50)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


def sample(number, minute, **values):
    return Sample(f"c{number}", BEGIN + timedelta(minutes=minute), Status.ONLINE, values or {"minute": minute})


class Devices:
    """Carry out every command, and read back that they have."""

    def describe(self, _child, _name, parameters):
        return KnownCommand(None, parameters)

    async def execute(self, command, *, within, before_start, checkpoint):
        await before_start()
        return CommandResult(message=f"{command.name} was read back", is_proven=True)


async def no_licence(child, licence):
    raise CommandRejected("it takes no licences")


@pytest.fixture
async def house(tmp_path):
    """A session between a real store and a fake hub, with short waits; `start()` runs it."""
    async with Store(tmp_path / "s.sqlite3") as store:
        hub, registry, outbox = FakeHub(), Registry(store), Outbox(store, most_samples=10_000)
        await registry.load()
        configuration = Configuration(
            None, Settings(gateway=GatewaySection(mac="02:00:00:00:00:01"), cloud=CloudSection(hardware_key=SecretStr("hk"))), ()
        )

        async def back():
            return True

        enrolment = Enrolment(hub, registry, configuration, firmware_version="1.0.0", network_is_back=back, retry_every=SHORT)
        await enrolment.prepare()
        state = replace(StateParts.on(store, most_samples=1), registry=registry, outbox=outbox)

        made = SimpleNamespace(hub=hub, registry=registry, outbox=outbox, enrolment=enrolment, events=[], tasks=[])

        def start(every=timedelta(seconds=60), deleted_children="register_again", not_found_for=timedelta(minutes=3)):
            timing = RevocationTiming(confirm_after=timedelta(milliseconds=10), not_found_for=not_found_for)
            rate_control = RateControl(first_seconds=0.01, most_seconds=0.02, busy_seconds=0.05)
            registrar = ChildRegistrar(
                hub, registry, outbox, KeyCheck(hub, timing), status_of=lambda key: Status.ONLINE,
                policy=RegistrationPolicy(deleted_children=deleted_children, settle=SHORT),
            )  # fmt: skip
            revocation = GatewayRevocation(hub, rate_control, registered_at=lambda: enrolment.registered_at, timing=timing)
            made.session = Session(
                hub, state, enrolment, registrar, calls=GuardedCalls(rate_control, revocation),
                services=CloudServices(
                    commands=Commands(target=Devices(), policy=CommandPolicy(every=timedelta(0))),
                    licences=Licences(apply=no_licence),
                    configuring=Configuring(target=FakeConfigurationTarget()),
                ),
                own_telemetry=OwnTelemetry(read=lambda: {"uptime_seconds": 1}, every=every), on_event=made.events.append,
            )  # fmt: skip
            made.tasks.append(asyncio.create_task(made.session.run()))

        async def until(claim, seconds=60.0):  # far more than it takes, also on a busy machine
            async with asyncio.timeout(seconds):
                while not claim():
                    for task in made.tasks:
                        if task.done():
                            await task
                    await asyncio.sleep(0.005)

        async def children(*numbers):
            for number in numbers:
                await registry.admit(child(number))
            await until(lambda: all(registry.children[f"c{n}"].state is ChildState.REGISTERED for n in numbers))

        made.start, made.until, made.children = start, until, children
        made.parent = lambda: hub.devices[registry.gateway.credentials.device_id]
        made.device = lambda number: hub.devices[registry.children[f"c{number}"].device_id]
        yield made
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_the_gateway_enrols_and_sends_its_own_telemetry_every_interval(house):
    house.start(every=SHORT)
    await house.until(lambda: house.registry.gateway.credentials and len(house.parent().messages) >= 3)
    first, second = house.parent().messages[:2]
    assert first.override
    assert not second.override
    assert first.values == {"uptime_seconds": 1}
    assert first.status is Status.ONLINE


async def test_samples_go_in_bulk_one_a_child_and_call_the_oldest_first(house):
    house.start()
    await house.children(1, 2)
    before = house.hub.calls["send_child_telemetries"]
    await house.outbox.put([sample(1, 1), sample(1, 2), sample(2, 3), sample(1, 4)])
    await house.until(lambda: house.outbox.depth == 0)
    assert [message.values["minute"] for message in house.device(1).messages] == [1, 2, 4]
    assert [message.override for message in house.device(1).messages] == [True, False, False]
    assert house.device(1).messages[0].at == BEGIN + timedelta(minutes=1)
    assert house.hub.calls["send_child_telemetries"] - before == 3
    assert house.hub.calls["send_telemetry"] == 1, "the parent's own, none for a child"


async def test_a_gateway_without_samples_does_not_take_a_hub_that_is_away_for_one_that_answers(house, caplog):
    caplog.set_level(logging.INFO)
    house.start(every=SHORT)
    await house.until(lambda: house.registry.gateway.credentials and house.session.rate_control.is_reachable)
    house.hub.fail("send_telemetry", *[HubUnreachable("no route", maybe_done=False)] * 4)
    await house.until(lambda: house.session.rate_control.is_reachable is False)
    assert house.session.rate_control.problem == "no route"
    assert house.session.rate_control.next_try_seconds is not None
    await house.until(lambda: house.session.rate_control.is_reachable)
    assert house.session.rate_control.next_try_seconds is None
    told = [record.message for record in caplog.records if "the hub" in record.message]
    assert len([text for text in told if "not reachable" in text]) == 1
    assert len([text for text in told if "answers again" in text]) == 1


async def test_250_children_take_three_calls(house):
    house.start()
    await house.children(*range(250))
    await house.outbox.put([sample(number, 1) for number in range(250)])
    await house.until(lambda: house.outbox.depth == 0)
    assert house.hub.calls["send_child_telemetries"] == 3


async def test_a_body_stays_under_the_hubs_limit(house):
    house.start()
    await house.children(*range(10))
    sizes = []
    send = house.hub.send_child_telemetries

    async def spy(parent, messages):
        sizes.append(sum(len(str(message.values)) for message in messages.values()))
        return await send(parent, messages)

    house.hub.send_child_telemetries = spy
    await house.outbox.put([sample(number, 1, **{f"metric_{m}": m * 1.5 for m in range(2500)}) for number in range(10)])
    await house.until(lambda: house.outbox.depth == 0)
    assert len(sizes) > 2
    assert max(sizes) < 128 * 1024


async def test_a_rejected_entry_is_dropped_and_the_others_are_confirmed(house, caplog):
    house.start()
    await house.children(1, 2)
    bad = "Common telemetries.temp must be string, number or boolean"
    house.hub.refusals[house.registry.children["c1"].device_id] = deque([bad, bad])
    await house.outbox.put([sample(1, 1), sample(2, 1), sample(1, 2), sample(1, 3)])
    await house.until(lambda: house.outbox.depth == 0)
    assert [message.values["minute"] for message in house.device(2).messages] == [1]
    assert [message.values["minute"] for message in house.device(1).messages] == [3]
    assert [(loss.child, loss.samples) for loss in await house.outbox.losses()] == [("c1", 2)]
    assert caplog.text.count(bad) == 1


async def test_a_refused_call_is_halved_until_the_bad_sample_stands_alone(house):
    house.start()
    await house.children(*range(8))
    send = house.hub.send_child_telemetries
    bad_id = house.registry.children["c5"].device_id

    async def refuse(parent, messages):
        if bad_id in messages:
            raise HubRejected("no", status=422, error="invalid value")
        return await send(parent, messages)

    house.hub.send_child_telemetries = refuse
    send_one = house.hub.send_telemetry

    async def refuse_values(device, message):
        if device.device_id == bad_id and message.values:
            raise HubRejected("no", status=422, error="Common telemetries.x must be string, number or boolean")
        return await send_one(device, message)

    house.hub.send_telemetry = refuse_values
    await house.outbox.put([sample(number, 1) for number in range(8)])
    await house.until(lambda: house.outbox.depth == 0)
    assert [len(house.device(number).messages) for number in range(8) if number != 5] == [1] * 7
    assert [loss.child for loss in await house.outbox.losses()] == ["c5"]


async def test_a_child_missing_from_the_answer_is_neither_confirmed_nor_dropped(house):
    house.start(every=SHORT)
    await house.children(1, 2)
    send, calls = house.hub.send_child_telemetries, []

    async def forget_one(parent, messages):
        calls.append(1)
        answers = await send(parent, messages)
        if len(calls) == 1:
            answers.pop(house.registry.children["c1"].device_id, None)
        return answers

    house.hub.send_child_telemetries = forget_one
    await house.outbox.put([sample(1, 1), sample(2, 1)])
    await house.until(lambda: house.outbox.depth == 0)
    assert [message.values["minute"] for message in house.device(1).messages] == [1, 1], "at least once"
    assert house.outbox.lost == 0


async def test_nothing_is_lost_while_the_hub_is_away_and_it_is_logged_once(house, caplog):
    caplog.set_level(logging.INFO)
    house.start()
    await house.children(1)
    house.hub.fail("send_child_telemetries", *[HubUnreachable("no route", maybe_done=False)] * 4, LOST_ANSWER)
    for minute in range(5):
        await house.outbox.put([sample(1, minute)])
    await house.until(lambda: house.outbox.depth == 0 and house.session.rate_control.problem is None)
    minutes = [message.values["minute"] for message in house.device(1).messages]
    assert sorted(set(minutes)) == [0, 1, 2, 3, 4]
    assert minutes == sorted(minutes), "in order"
    assert caplog.text.count("the hub is not reachable") == 1
    assert caplog.text.count("the hub answers again") == 1


async def test_a_hub_that_wants_quiet_gets_it(house):
    house.start()
    await house.children(1)
    house.hub.fail("send_child_telemetries", HubBusy("429", retry_after_seconds=0.2), HubBusy("429", retry_after_seconds=None))
    begun = asyncio.get_running_loop().time()
    await house.outbox.put([sample(1, 1)])
    await house.until(lambda: house.outbox.depth == 0)
    assert asyncio.get_running_loop().time() - begun >= 0.25
    assert house.hub.calls["send_child_telemetries"] == 3


async def test_one_401_is_confirmed_and_forgiven(house):
    house.start(every=SHORT)
    await house.until(lambda: house.registry.gateway.credentials)
    before = house.registry.gateway.credentials
    house.hub.fail("send_telemetry", HubUnauthorised("once", status=401, error="Not authorized"))
    count = len(house.parent().messages)
    await house.until(lambda: len(house.parent().messages) > count + 1)
    assert house.registry.gateway.credentials == before
    assert house.hub.calls["register_device"] == 1


async def test_a_deleted_gateway_registers_again_with_its_children_and_loses_nothing(house):
    house.start(every=SHORT)
    await house.children(1, 2)
    old = house.registry.gateway.credentials.device_id
    house.hub.devices.clear()
    await house.outbox.put([sample(1, 1), sample(2, 1)])
    await house.until(lambda: house.registry.gateway.credentials and house.registry.gateway.credentials.device_id != old)
    await house.until(lambda: house.outbox.depth == 0)
    assert len(house.hub.children_of(house.registry.gateway.credentials.device_id)) == 2
    assert [message.values["minute"] for message in house.device(1).messages] == [1]
    assert house.device(1).messages[0].override


async def test_a_hub_that_does_not_find_us_for_minutes_has_deleted_us(house):
    house.start(every=timedelta(milliseconds=30), not_found_for=timedelta(milliseconds=100))
    await house.until(lambda: house.registry.gateway.credentials)
    house.hub.fail("send_telemetry", *[HubRejected("no", status=404, error="Not found")] * 8)
    await house.until(lambda: house.hub.calls["register_device"] == 2)


async def test_a_deleted_child_is_registered_again_and_its_sample_arrives(house):
    house.start(every=SHORT)
    await house.children(1, 2)
    record = house.registry.children["c1"]
    await house.registry.save_child(replace(record, since=record.since - timedelta(hours=1)))
    del house.hub.devices[record.device_id]
    await house.outbox.put([sample(1, 1), sample(2, 1)])
    await house.until(lambda: house.outbox.depth == 0)
    assert house.registry.children["c1"].device_id != record.device_id
    assert [message.values["minute"] for message in house.device(1).messages] == [1]
    assert house.hub.calls["register_device"] == 1


@pytest.mark.parametrize("number", [None, 1])
async def test_a_command_that_a_flag_announces_is_executed(house, number):
    house.start(every=SHORT)
    await house.children(1)
    device = house.parent() if number is None else house.device(number)
    for command_id in (7, "uuid"):
        device.commands.append(
            WaitingCommand(id=command_id, name="reboot", parameters={}, in_progress=False, device_id=device.credentials.device_id)
        )
    await house.outbox.put([sample(1, 1)])
    await house.until(lambda: len(device.outcomes) == 2)
    assert device.outcomes == [(7, "done", "reboot was read back"), ("uuid", "done", "reboot was read back")]


async def test_the_flags_come_out_as_events(house):
    house.hub.answer = TelemetryResponse(config_version=3, space_data_version=2)
    house.start(every=SHORT)
    await house.until(lambda: len(house.parent().messages if house.registry.gateway.credentials else []) > 2)
    parent = house.registry.gateway.credentials.device_id
    assert house.events == [ConfigurationChanged(parent, 3), SpaceChanged(parent, 2)], "each once"
    assert house.session.is_claimed


async def test_a_failing_store_stops_nothing_for_good(house, monkeypatch):
    house.start()
    await house.children(1)
    confirm, failures = Outbox.confirm, []

    async def full(self, kept):
        if len(failures) < 2:
            failures.append(1)
            raise StoreError("disk full")
        await confirm(self, kept)

    monkeypatch.setattr(Outbox, "confirm", full)
    await house.outbox.put([sample(1, 1)])
    await house.until(lambda: house.outbox.depth == 0)
    assert len(house.device(1).messages) == 3


async def test_a_flush_sends_what_is_left(house):
    house.start()
    await house.children(1)
    house.tasks.pop().cancel()
    await house.outbox.put([sample(1, 1), sample(1, 2)])
    await house.session.flush()
    assert house.outbox.depth == 0


async def test_a_refusal_of_any_call_ends_nothing(house):
    house.start(every=SHORT)
    await house.children(1)
    await house.registry.save_child(replace(house.registry.children["c1"], state=ChildState.REGISTERING, device_id=None))
    house.hub.fail("get_children", HubRejected("no", status=404, error="Not found"), HubRejected("no", status=403, error="no"))
    await house.until(lambda: house.registry.children["c1"].state is ChildState.REGISTERED)
    assert house.hub.calls["register_device"] == 1


async def test_a_server_that_accepts_no_registrations_delays_no_telemetry_and_is_logged_once(house, caplog):
    caplog.set_level(logging.INFO)
    house.start(every=SHORT)
    await house.children(1)
    house.hub.fail("register_child", *[HubUnreachable("entry is away", maybe_done=False)] * 11)
    await house.registry.admit(child(2))
    await house.outbox.put([sample(1, minute) for minute in range(20)])
    await house.until(lambda: house.outbox.depth == 0)
    assert house.session.rate_control.problem == "entry is away"
    await house.until(lambda: house.registry.children["c2"].state is ChildState.REGISTERED)
    await house.until(lambda: house.session.rate_control.problem is None)
    assert caplog.text.count("the hub is not reachable") == caplog.text.count("the hub answers again") == 1


async def test_a_key_that_only_the_bulk_call_refuses_is_confirmed_before_each_retry(house):
    """Section 13.2, row 3: 401 on the bulk call is about the parent."""
    house.start()
    await house.children(1)
    refusals = 30
    house.hub.fail("send_child_telemetries", *[HubUnauthorised("no", status=401, error="Not authorized")] * refusals)
    await house.outbox.put([sample(1, 1)])
    begun = asyncio.get_running_loop().time()
    await house.until(lambda: house.outbox.depth == 0)
    assert asyncio.get_running_loop().time() - begun > refusals * 0.02, "it is confirmed and waited each time"
    assert house.hub.calls["register_device"] == 1


async def test_the_gateway_sends_its_own_telemetry_in_the_middle_of_a_long_drain(house):
    house.start(every=SHORT)
    await house.children(1)
    send = house.hub.send_child_telemetries

    async def slowly(parent, messages):
        await asyncio.sleep(0.01)
        return await send(parent, messages)

    house.hub.send_child_telemetries = slowly
    before = house.hub.calls["send_telemetry"]
    await house.outbox.put([sample(1, minute) for minute in range(60)])
    await house.until(lambda: house.outbox.depth == 0)
    assert house.hub.calls["send_telemetry"] - before >= 5


async def test_what_a_bulk_call_rejects_goes_with_the_childs_own_key(house):
    house.start(every=SHORT)
    await house.children(1, 2)
    device_id = house.registry.children["c1"].device_id
    house.hub.refusals[device_id] = deque(["Not found"] * 10_000)
    await house.outbox.put([sample(number, minute) for minute in range(5) for number in (1, 2)])
    await house.until(lambda: house.outbox.depth == 0)
    assert [message.values["minute"] for message in house.device(1).messages if message.values] == [0, 1, 2, 3, 4]
    assert house.outbox.lost == 0


async def test_a_child_that_is_missing_from_every_response_is_checked_and_found_deleted(house):
    house.start(every=SHORT)
    await house.children(1, 2)
    record = house.registry.children["c1"]
    await house.registry.save_child(replace(record, since=record.since - timedelta(hours=1)))
    send = house.hub.send_child_telemetries

    async def omit(parent, messages):
        return {id_: one for id_, one in (await send(parent, messages)).items() if id_ != record.device_id}

    house.hub.send_child_telemetries = omit
    del house.hub.devices[record.device_id]
    await house.outbox.put([sample(1, 1), sample(2, 1)])
    await house.until(lambda: house.outbox.depth == 0)
    assert house.registry.children["c1"].device_id != record.device_id


async def test_an_unknown_error_text_costs_no_sample_and_holds_up_no_other_one(house):
    house.start(every=SHORT)
    await house.children(1)
    device_id = house.registry.children["c1"].device_id
    house.hub.refusals[device_id] = deque(["Computer says no"] * 10_000)
    send_one = house.hub.send_telemetry

    async def refuse_the_first(device, message):
        if message.values.get("minute") == 0:
            raise HubRejected("no", status=422, error="Computer says no")
        return await send_one(device, message)

    house.hub.send_telemetry = refuse_the_first
    await house.outbox.put([sample(1, 0), sample(1, 1)])
    await house.until(lambda: house.outbox.depth == 1)
    assert [message.values["minute"] for message in house.device(1).messages if message.values] == [1]
    assert house.outbox.lost == 0


async def test_a_hub_that_refuses_every_call_is_waited_for_and_nothing_is_dropped(house):
    house.start(every=SHORT)
    await house.children(*range(4))
    send, send_one, refusing = house.hub.send_child_telemetries, house.hub.send_telemetry, [True]

    async def refuse(parent, messages):
        if refusing:
            raise HubRejected("firewall", status=400, error="Bad request")
        return await send(parent, messages)

    async def refuse_one(device, message):
        if refusing:
            raise HubRejected("firewall", status=400, error="Bad request")
        return await send_one(device, message)

    house.hub.send_child_telemetries, house.hub.send_telemetry = refuse, refuse_one
    await house.outbox.put([sample(number, minute) for minute in range(3) for number in range(4)])
    await asyncio.sleep(0.3)
    assert house.outbox.depth == 12
    refusing.clear()
    await house.until(lambda: house.outbox.depth == 0)
    assert house.outbox.lost == 0


async def test_a_claim_brings_refused_children_another_try(house):
    house.start(every=SHORT)
    await house.until(lambda: house.registry.gateway.credentials)
    house.hub.fail("register_child", HubRejected("no", status=422, error="Parent must be claimed"))
    await house.registry.admit(child(1))
    await house.until(lambda: house.registry.children["c1"].state is ChildState.REFUSED)
    house.hub.answer = TelemetryResponse(space_data_version=1)
    await house.until(lambda: house.session.is_claimed)
    await house.registry.admit(child(2))  # a change, so that nobody waits a minute for the next look
    await house.until(lambda: house.registry.children["c1"].state is ChildState.REGISTERED)


async def test_the_cloud_is_called_at_once_on_request_although_nothing_is_due(house):
    house.start()
    await house.until(lambda: house.session.rate_control.is_reachable)
    sent = house.hub.calls["send_telemetry"]

    assert await asyncio.wait_for(house.session.try_now(), 60) is None
    assert house.hub.calls["send_telemetry"] > sent
    house.hub.fail("send_telemetry", HubUnreachable("hub is away", maybe_done=False))
    assert (await asyncio.wait_for(house.session.try_now(), 60)).text == "hub is away"


async def test_after_a_deletion_nothing_is_said_of_the_hub_that_was_true_for_the_former_key(house):
    house.start(every=SHORT)
    await house.until(lambda: house.session.rate_control.is_reachable)
    house.hub.fail("register_device", *[HubRejected("taken", status=422, error="already taken")] * 10_000)
    refusal = HubUnauthorised("no", status=401, error="Not authorized")
    house.hub.fail("send_telemetry", HubUnreachable("Connection refused", maybe_done=False), *[refusal] * 10_000)

    await house.until(lambda: house.enrolment.tries > 1)

    assert house.session.rate_control.problem is None
    assert "already" in house.enrolment.reason.text
    assert house.enrolment.reason.next_step.startswith("Delete this gateway in the portal")
