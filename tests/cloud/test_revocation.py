"""A refused key is believed when the hub repeats it, and never before."""

import asyncio
from functools import wraps

import pytest
from pydantic import SecretStr

from gateway.cloud.rate_control import CallKind, RateControl
from gateway.cloud.revocation import GatewayRevocation, KeyCheck, KeyState, RevocationTiming, is_not_found, is_revoked
from gateway.errors import EnrolmentRevoked, HubBusy, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import GatewayRegistration
from gateway.models import Status
from gateway.testing.clock import simulated
from gateway.testing.hub import FakeHub

GATEWAY = GatewayRegistration(hardware_key=SecretStr("hk"), serial_number="S", firmware_version="1.0.0")
REFUSED = HubUnauthorised("first refusal", status=401, error="Not authorized")
AGAIN = HubUnauthorised("second refusal", status=401, error="Not authorized")
NOT_FOUND = HubRejected("no", status=404, error="Not found")
OTHER = HubRejected("no", status=422, error="invalid value")
AWAY = HubUnreachable("no route", maybe_done=False)


def in_simulated_time(test):
    @wraps(test)
    def run(*args, **kwargs):
        simulated(test(*args, **kwargs))

    return run


def now():
    return asyncio.get_running_loop().time()


class Checked:
    """A gateway that is registered with a fake hub, and the part that decides whether it was deleted."""

    def __init__(self, registered_at=None):
        self.hub = FakeHub()
        self.rate_control = RateControl(jitter=0)
        self.registered_at = registered_at
        self.revocation = GatewayRevocation(
            self.hub, self.rate_control, registered_at=lambda: self.registered_at, timing=RevocationTiming()
        )

    async def confirm(self):
        parent = await self.hub.register_device(GATEWAY)
        return await self.revocation.confirm(parent, CallKind.TELEMETRY, REFUSED)


@in_simulated_time
async def test_a_key_that_is_refused_again_five_seconds_later_is_revoked():
    checked = Checked()
    checked.hub.fail("send_telemetry", AGAIN)
    with pytest.raises(EnrolmentRevoked, match="second refusal") as caught:
        await checked.confirm()
    assert caught.value.__cause__ is REFUSED
    assert now() == 5


@in_simulated_time
async def test_a_key_that_is_accepted_the_second_time_is_a_failure_to_retry():
    failure = await Checked().confirm()
    assert str(failure) == "first refusal; the same key is accepted elsewhere"
    assert (failure.status, failure.maybe_done) == (401, False)


@pytest.mark.parametrize("answer", [AWAY, HubBusy("429", retry_after_seconds=3)])
def test_a_hub_that_is_away_while_a_refusal_is_confirmed_revokes_nothing(answer):
    async def main():
        checked = Checked()
        checked.hub.fail("send_telemetry", answer)
        assert await checked.confirm() is answer

    simulated(main())


@in_simulated_time
async def test_a_404_while_a_refusal_is_confirmed_revokes_nothing():
    checked = Checked()
    checked.hub.fail("send_telemetry", NOT_FOUND)
    failure = await checked.confirm()
    assert (str(failure), failure.status, failure.maybe_done) == ("no", 404, False)


@pytest.mark.parametrize(("age", "pause"), [(None, 5), (0, 20), (59, 20), (60, 5), (3600, 5)])
def test_a_registration_of_the_last_minute_is_confirmed_more_patiently(age, pause):
    async def main():
        await asyncio.sleep(10_000)
        checked, began = Checked(registered_at=None if age is None else now() - age), now()
        await checked.confirm()
        assert now() - began == pause

    simulated(main())


@in_simulated_time
async def test_a_refusal_is_not_confirmed_before_the_hub_may_be_called_again():
    checked = Checked()
    checked.rate_control.failed(CallKind.TELEMETRY, HubBusy("429", retry_after_seconds=60))
    await checked.confirm()
    assert now() == 60


@in_simulated_time
async def test_not_found_means_deleted_only_when_it_lasts_for_more_than_three_minutes():
    checked = Checked()
    checked.revocation.telemetry_rejected(NOT_FOUND)
    await asyncio.sleep(1)
    checked.revocation.telemetry_rejected(NOT_FOUND)
    await asyncio.sleep(179)
    checked.revocation.telemetry_rejected(NOT_FOUND)
    await asyncio.sleep(1)
    with pytest.raises(EnrolmentRevoked):
        checked.revocation.telemetry_rejected(NOT_FOUND)


@pytest.mark.parametrize("end", [lambda one: one.telemetry_rejected(OTHER), lambda one: one.reset()])
def test_any_other_response_in_between_starts_the_three_minutes_over(end):
    async def main():
        checked = Checked()
        checked.revocation.telemetry_rejected(NOT_FOUND)
        await asyncio.sleep(170)
        end(checked.revocation)
        await asyncio.sleep(20)
        checked.revocation.telemetry_rejected(NOT_FOUND)
        await asyncio.sleep(170)
        checked.revocation.telemetry_rejected(NOT_FOUND)
        await asyncio.sleep(11)
        with pytest.raises(EnrolmentRevoked):
            checked.revocation.telemetry_rejected(NOT_FOUND)

    simulated(main())


def test_a_group_is_a_revocation_only_when_everything_in_it_is_one():
    revoked, bug = EnrolmentRevoked("gone"), RuntimeError("bug")
    assert is_revoked(revoked)
    assert is_revoked(ExceptionGroup("", [revoked, ExceptionGroup("", [revoked])]))
    assert not is_revoked(ExceptionGroup("", [revoked, bug]))
    assert not is_revoked(ExceptionGroup("", [revoked, ExceptionGroup("", [bug])]))
    assert not is_revoked(bug)
    assert not is_revoked(None)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [(404, "no such thing", True), (200, "Device Not Found", True), (403, "forbidden", False), (422, "invalid", False)],
)
def test_the_hub_has_several_ways_to_say_not_found(status, error, expected):
    assert is_not_found(HubRejected("no", status=status, error=error)) is expected


class Child:
    """A device at a fake hub, and the check of its key."""

    def __init__(self):
        self.hub = FakeHub()
        self.check = KeyCheck(self.hub, RevocationTiming())

    async def states(self, error, *pauses):
        """Return what is thought of the key at once and after each pause, while the hub answers with this error."""
        device = await self.hub.register_device(GATEWAY)
        self.device = device
        states = []
        for pause in (0, *pauses):
            await asyncio.sleep(pause)
            self.hub.fail("send_telemetry", error)
            states.append(await self.check.check(device, Status.ONLINE))
        return states


@in_simulated_time
async def test_a_childs_key_is_gone_when_it_is_refused_again_after_five_seconds():
    child = Child()
    assert await child.states(REFUSED, 4, 1) == [KeyState.DOUBTED, KeyState.DOUBTED, KeyState.GONE]
    assert child.check.check_again_at(child.device.device_id) == 4 + 5


@in_simulated_time
async def test_a_child_is_gone_when_it_is_not_found_for_three_minutes():
    child = Child()
    assert await child.states(NOT_FOUND, 45, 134, 1) == [KeyState.DOUBTED] * 3 + [KeyState.GONE]
    assert child.check.check_again_at(child.device.device_id) == 179 + 45
    assert child.check.check_again_at("another") == 0


@in_simulated_time
async def test_an_accepted_key_ends_every_doubt_and_an_unclear_answer_begins_none():
    child = Child()
    assert await child.states(REFUSED) == [KeyState.DOUBTED]
    await asyncio.sleep(60)
    assert await child.check.check(child.device, Status.OFFLINE) is KeyState.ACCEPTED
    message = child.hub.devices[child.device.device_id].messages[-1]
    assert (message.status, message.values, message.at) == (Status.OFFLINE, {}, None), "it changes nothing but the status"
    child.hub.fail("send_telemetry", OTHER, REFUSED)
    assert await child.check.check(child.device, Status.ONLINE) is KeyState.UNCLEAR
    assert await child.check.check(child.device, Status.ONLINE) is KeyState.DOUBTED


@in_simulated_time
async def test_the_doubt_about_one_child_is_not_held_against_another():
    child = Child()
    await child.states(REFUSED)
    other = await child.hub.register_device(GATEWAY)
    await asyncio.sleep(60)
    child.hub.fail("send_telemetry", REFUSED)
    assert await child.check.check(other, Status.ONLINE) is KeyState.DOUBTED
