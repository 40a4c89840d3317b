"""Accepted samples are removed, clearly bad ones dropped, and everything unclear is kept and looked into."""

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.delivery import MAX_LOGGED_REJECTIONS, SINGLY_AT_ONCE, Delivery
from gateway.cloud.live_samples import ENTRY_FRAME_BYTES
from gateway.errors import HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import CHILDREN_PER_CALL, MESSAGE_BYTES, SpaceChanged
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


def rejected(status, error="no"):
    return HubRejected(error, status=status, error=error)


class Delivering:
    """A delivery for registered children, and what it hands on."""

    def __init__(self, made):
        self.made = made
        self.hub, self.registry, self.outbox = made.hub, made.registry, made.outbox
        self.events, self.doubted = [], []
        self.delivery = Delivery(made.hub, made.registry, made.outbox, on_event=self.events.append, on_doubt=self.doubted.append)

    async def register(self, *numbers):
        self.parent = await self.made.enrolment.credentials()
        for number in numbers:
            await self.registry.admit(child(number))
        while any(record.state is not ChildState.REGISTERED for record in self.registry.children.values()):
            await self.made.registrar.step(self.parent)

    async def put(self, *numbers, minutes=1, **values):
        for minute in range(minutes):
            at = BEGIN + timedelta(minutes=minute)
            await self.outbox.put([Sample(f"c{n}", at, Status.ONLINE, values or {"minute": minute}) for n in numbers])

    async def send(self):
        """Send what there is, in one round, as the telemetry loop does."""
        self.delivery.begin_round()
        while await self.delivery.send_oldest(self.parent):
            pass

    def id_of(self, number):
        return self.registry.children[f"c{number}"].device_id

    def minutes_of(self, number):
        return [message.values["minute"] for message in self.hub.devices[self.id_of(number)].messages]

    async def lost(self):
        return {loss.child: loss.samples for loss in await self.outbox.losses()}


def run(parts, test, *numbers):
    async def main():
        async with parts() as made:
            delivering = Delivering(made)
            await delivering.register(*(numbers or (1, 2)))
            await test(delivering)

    simulated(main())


def test_the_first_message_of_a_device_replaces_its_state_also_after_a_reset(parts):
    async def test(delivering):
        await delivering.put(1, minutes=2)
        await delivering.send()
        assert delivering.delivery.is_introduced(delivering.id_of(1))
        delivering.delivery.reset()
        assert not delivering.delivery.is_introduced(delivering.id_of(1))
        await delivering.put(1)
        await delivering.send()
        overrides = [message.override for message in delivering.hub.devices[delivering.id_of(1)].messages]
        assert overrides == [True, False, True]

    run(parts, test)


def test_an_entry_that_is_rejected_for_its_data_costs_that_sample_alone(parts):
    """Section 13.2, row 4: a validation text is about the data."""

    async def test(delivering):
        delivering.hub.refusals[delivering.id_of(1)] = deque(["Common telemetries.temp must be string, number or boolean"])
        await delivering.put(1, 2, minutes=2)
        await delivering.send()
        assert (delivering.minutes_of(1), delivering.minutes_of(2)) == ([1], [0, 1])
        assert (await delivering.lost(), delivering.doubted) == ({"c1": 1}, [])

    run(parts, test)


@pytest.mark.parametrize(
    "error",
    [
        "Not found",
        "Not authorized",
        "invalid access token: too long",
        "Computer says no",
        "HTTP 503 from upstream while writing telemetries",
        "Missing 'telemetries' object (503)",
        "timestamp is not a valid value",
        "Common telemetries.temp must be retried later",
        "not accepted, and no reason given",
    ],
)
def test_an_entry_that_is_rejected_for_any_other_reason_is_kept_and_its_child_doubted_once_a_round(parts, error):
    """Section 13.2, row 4: the child is probed with its own key."""

    async def test(delivering):
        delivering.hub.refusals[delivering.id_of(1)] = deque([error] * 100)
        await delivering.put(1, 2, minutes=2)
        await delivering.send()
        assert (delivering.doubted, delivering.outbox.depth, delivering.outbox.lost) == (["c1"], 2, 0)
        assert delivering.minutes_of(2) == [0, 1]
        await delivering.send()
        assert delivering.doubted == ["c1", "c1"]

    run(parts, test)


def test_a_child_that_is_missing_from_three_responses_in_a_row_is_doubted(parts):
    async def test(delivering):
        send, omit = delivering.hub.send_child_telemetries, [True, True, False, True, True, True]

        async def leave_out(parent, messages):
            responses = await send(parent, messages)
            if omit.pop(0):
                responses.pop(delivering.id_of(1))
            return responses

        delivering.hub.send_child_telemetries = leave_out
        doubted_after = []
        await delivering.put(1)
        while omit:
            if not delivering.outbox.depth:
                await delivering.put(1)
            delivering.delivery.begin_round()
            await delivering.delivery.send_oldest(delivering.parent)
            doubted_after.append(len(delivering.doubted))
        assert doubted_after == [0, 0, 0, 0, 0, 1], "an entry in between starts the count over"
        assert (delivering.outbox.depth, delivering.outbox.lost) == (1, 0)

    run(parts, test)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_call_that_is_rejected_for_its_body_is_halved_down_to_the_bad_sample(parts, status):
    async def test(delivering):
        send, sizes = delivering.hub.send_child_telemetries, []

        async def reject(parent, messages):
            sizes.append(len(messages))
            if delivering.id_of(3) in messages:
                raise rejected(status)
            return await send(parent, messages)

        delivering.hub.send_child_telemetries = reject
        await delivering.put(*range(8))
        await delivering.send()
        assert sizes == [8, 4, 2, 2, 1, 1, 4]
        assert (delivering.doubted, delivering.outbox.depth, delivering.outbox.lost) == (["c3"], 1, 0)

    run(parts, test, *range(8))


@pytest.mark.parametrize("status", [403, 404, 409])
def test_a_call_that_is_rejected_for_another_reason_is_a_failure_to_retry(parts, status):
    async def test(delivering):
        delivering.hub.fail("send_child_telemetries", rejected(status))
        await delivering.put(1, 2)
        with pytest.raises(HubUnreachable) as caught:
            await delivering.send()
        assert (caught.value.status, caught.value.maybe_done) == (status, False)
        assert (delivering.outbox.depth, delivering.doubted) == (2, [])

    run(parts, test)


def test_a_401_of_the_whole_call_is_the_gateways_own(parts):
    async def test(delivering):
        delivering.hub.fail("send_child_telemetries", HubUnauthorised("no", status=401, error="Not authorized"))
        await delivering.put(1, 2)
        with pytest.raises(HubUnauthorised):
            await delivering.send()
        assert (delivering.outbox.depth, delivering.doubted) == (2, [])

    run(parts, test)


@pytest.mark.parametrize("children", [2, 4])
def test_a_hub_that_rejects_every_sample_alone_is_retried_and_one_child_checked(parts, children):
    async def test(delivering):
        delivering.hub.fail("send_child_telemetries", *[rejected(400)] * 100)
        await delivering.put(*range(children))
        with pytest.raises(HubUnreachable) as caught:
            await delivering.send()
        assert caught.value.status == 400
        assert (delivering.doubted, delivering.outbox.depth, delivering.outbox.lost) == (["c0"], children, 0)

    run(parts, test, *range(children))


def test_a_single_sample_that_is_rejected_alone_is_looked_into_without_a_pause_for_all(parts):
    async def test(delivering):
        delivering.hub.fail("send_child_telemetries", rejected(400))
        await delivering.put(1)
        await delivering.send()
        assert (delivering.doubted, delivering.outbox.depth) == (["c1"], 1)

    run(parts, test)


def test_at_most_a_hundred_children_go_in_one_call(parts):
    async def test(delivering):
        await delivering.put(*range(CHILDREN_PER_CALL + 1))
        await delivering.send()
        assert delivering.hub.calls["send_child_telemetries"] == 2

    run(parts, test, *range(CHILDREN_PER_CALL + 1))


def test_a_call_is_filled_up_to_the_limit_of_the_hub_and_no_further(parts):
    async def test(delivering):
        sizes, send = [], delivering.hub.send_child_telemetries

        async def note(parent, messages):
            sizes.append(len(messages))
            return await send(parent, messages)

        delivering.hub.send_child_telemetries = note
        kilobytes = 20
        await delivering.put(*range(8), text="x" * (kilobytes * 1024 - len('{"text":""}') - ENTRY_FRAME_BYTES))
        await delivering.send()
        fitting = (MESSAGE_BYTES - 1024) // (kilobytes * 1024)
        assert sizes == [fitting, 8 - fitting]

    run(parts, test, *range(8))


def test_a_sample_that_is_larger_than_the_limit_goes_alone_instead_of_never(parts):
    async def test(delivering):
        await delivering.put(1, text="x" * MESSAGE_BYTES)
        await delivering.put(2)
        await delivering.send()
        assert delivering.hub.calls["send_child_telemetries"] == 2
        assert delivering.outbox.depth == 0

    run(parts, test)


def test_with_its_own_key_a_child_sends_in_order_and_drops_what_is_rejected_for_its_data(parts):
    async def test(delivering):
        await delivering.put(1, minutes=3)
        delivering.hub.fail("send_telemetry", rejected(422, "Missing 'telemetries' object"))
        credentials = delivering.hub.devices[delivering.id_of(1)].credentials
        await delivering.delivery.send_singly(credentials, "c1")
        assert delivering.minutes_of(1) == [1, 2]
        assert (delivering.outbox.depth, await delivering.lost()) == (0, {"c1": 1})
        assert delivering.events == [SpaceChanged(credentials.device_id, 0)], "the flags are read here, too"

    run(parts, test)


@pytest.mark.parametrize("error", [HubUnauthorised("no", status=401, error="no"), rejected(404), rejected(403)])
def test_with_its_own_key_a_child_stops_at_a_rejection_that_is_not_about_data(parts, error):
    async def test(delivering):
        await delivering.put(1, minutes=3)
        delivering.hub.fail("send_telemetry", error)
        with pytest.raises(HubRejected):
            await delivering.delivery.send_singly(delivering.hub.devices[delivering.id_of(1)].credentials, "c1")
        assert (delivering.outbox.depth, delivering.outbox.lost) == (3, 0)

    run(parts, test)


def test_with_its_own_key_a_child_sends_fifty_samples_at_once(parts):
    async def test(delivering):
        await delivering.put(1, minutes=SINGLY_AT_ONCE + 5)
        await delivering.delivery.send_singly(delivering.hub.devices[delivering.id_of(1)].credentials, "c1")
        assert delivering.outbox.depth == 5

    run(parts, test)


def test_a_rejection_is_logged_once_until_very_many_others_came(parts, caplog):
    async def test(delivering):
        for _ in range(2):
            delivering.delivery.log_rejection("c1", "reason")
        assert caplog.text.count("c1: the hub rejects its telemetry: reason") == 1
        for number in range(MAX_LOGGED_REJECTIONS):
            delivering.delivery.log_rejection("c2", str(number))
        delivering.delivery.log_rejection("c1", "reason")
        assert caplog.text.count("c1: the hub rejects its telemetry: reason") == 2

    run(parts, test)


def test_a_sample_that_is_refused_for_no_documented_reason_is_kept_and_sent_again_and_its_neighbours_go_on(parts):
    async def test(delivering):
        id_of_1 = delivering.id_of(1)
        credentials = delivering.hub.devices[id_of_1].credentials
        await delivering.put(1, 2, minutes=3)
        delivering.hub.refusals[id_of_1] = deque(["503 of a proxy"])
        delivering.hub.fail("send_telemetry", rejected(422, "503 of a proxy"))
        await delivering.send()
        await delivering.delivery.send_singly(credentials, "c1")
        assert (delivering.minutes_of(1), delivering.minutes_of(2)) == ([1, 2], [0, 1, 2])
        assert (delivering.outbox.depth, delivering.outbox.lost) == (1, 0)
        assert len(delivering.delivery.refused_samples) == 1
        assert delivering.delivery.refused_samples.why == "503 of a proxy"
        await delivering.send()
        assert delivering.outbox.depth == 1, "it is not sent again at once"
        await asyncio.sleep(61)
        await delivering.send()
        assert delivering.minutes_of(1) == [1, 2, 0]
        assert (delivering.outbox.depth, len(delivering.delivery.refused_samples)) == (0, 0)

    run(parts, test)


def test_a_sample_that_is_refused_for_a_day_counts_as_lost_and_until_then_is_tried_ever_more_rarely(parts):
    async def test(delivering):
        credentials = delivering.hub.devices[delivering.id_of(1)].credentials
        await delivering.put(1)
        tries = 0
        for _ in range(25 * 60):
            if delivering.outbox.depth and not delivering.delivery.refused_samples.samples_to_skip():
                delivering.hub.fail("send_telemetry", rejected(422, "no"))
                await delivering.delivery.send_singly(credentials, "c1")
                tries += 1
            await asyncio.sleep(60)
        assert (delivering.outbox.depth, await delivering.lost()) == (0, {"c1": 1})
        assert 20 < tries < 40

    run(parts, test)


def test_a_child_of_which_nothing_is_accepted_waits_as_a_whole_and_costs_few_calls(parts):
    async def test(delivering):
        id_of_1 = delivering.id_of(1)
        credentials = delivering.hub.devices[id_of_1].credentials
        await delivering.put(1, 2, minutes=20)
        delivering.hub.refusals[id_of_1] = deque(["no"] * 1000)
        delivering.hub.fail("send_telemetry", *[rejected(422, "no") for _ in range(100)])
        await delivering.send()
        assert await delivering.delivery.send_singly(credentials, "c1") == 3
        for _ in range(10):
            await delivering.send()
        assert len(delivering.doubted) == 1, "it is not sent in bulk while it waits"
        assert delivering.minutes_of(2) == list(range(20))
        assert (delivering.outbox.depth, delivering.outbox.lost) == (20, 0)

    run(parts, test)
