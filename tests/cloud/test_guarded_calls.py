"""No failure of the hub or the store ends a loop, and each is retried in its own time."""

import asyncio
from functools import wraps

import pytest
from pydantic import SecretStr

from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind, RateControl
from gateway.cloud.revocation import GatewayRevocation, RevocationTiming
from gateway.errors import EnrolmentRevoked, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.hub import GatewayRegistration
from gateway.testing.clock import simulated
from gateway.testing.hub import FakeHub

REFUSED = HubUnauthorised("refused", status=401, error="Not authorized")


def in_simulated_time(test):
    @wraps(test)
    def run(*args, **kwargs):
        simulated(test(*args, **kwargs))

    return run


class Guarded:
    def __init__(self):
        self.hub = FakeHub()
        self.rate_control = RateControl(jitter=0)
        revocation = GatewayRevocation(self.hub, self.rate_control, registered_at=lambda: None, timing=RevocationTiming())
        self.calls = GuardedCalls(self.rate_control, revocation)

    async def run(self, result, kind=CallKind.TELEMETRY):
        """Run work that returns this result or raises this error."""
        parent = await self.hub.register_device(
            GatewayRegistration(hardware_key=SecretStr("hk"), serial_number="S", firmware_version="1.0.0")
        )

        async def work():
            if isinstance(result, Exception):
                raise result
            return result

        return await self.calls.run(parent, kind, work, otherwise="otherwise")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (HubUnreachable("no route", maybe_done=False), "no route"),
        (HubRejected("rejected", status=403, error="no"), "rejected"),
        (REFUSED, "refused; the same key is accepted elsewhere"),
    ],
)
def test_a_failure_is_recorded_for_its_kind_and_replaced_by_the_other_result(error, problem):
    async def main():
        guarded = Guarded()
        assert await guarded.run("result", CallKind.REGISTRATION) == "result"
        assert await guarded.run(error) == "otherwise"
        assert guarded.rate_control.problem == problem
        assert guarded.rate_control.seconds_left(CallKind.TELEMETRY) == 1
        assert guarded.rate_control.seconds_left(CallKind.REGISTRATION) <= 0

    simulated(main())


def test_a_failing_store_is_told_once_as_such_and_not_as_a_hub_that_is_away(caplog):
    """Seen on a full disk: "the hub is not reachable, everything is kept", and "the hub answers again" after it."""
    caplog.set_level("INFO")

    async def main():
        guarded = Guarded()
        assert await guarded.run("result") == "result"
        for _ in range(3):
            assert await guarded.run(StoreError("disk full")) == "otherwise"
            assert await guarded.run(StoreError("disk full"), CallKind.EVENTS) == "otherwise"
        assert guarded.rate_control.problem is None
        assert guarded.rate_control.is_reachable
        assert guarded.rate_control.seconds_left(CallKind.TELEMETRY) == 4, "it is tried less and less often"
        await guarded.run("result")
        await guarded.run(StoreError("disk full"), CallKind.EVENTS)
        await asyncio.sleep(80)
        await guarded.run(StoreError("disk full again"))

    simulated(main())
    assert [record.getMessage() for record in caplog.records] == [
        "nothing is sent while the store fails: disk full",
        "nothing is sent while the store fails: disk full again",
    ]


@in_simulated_time
async def test_a_result_is_a_response_of_the_hub_unless_there_was_nothing_to_call():
    guarded = Guarded()
    assert await guarded.run(False) is False
    assert guarded.rate_control.is_reachable is None
    assert await guarded.run(None) is None
    assert guarded.rate_control.is_reachable


@in_simulated_time
async def test_work_waits_until_its_kind_of_calls_is_allowed():
    guarded = Guarded()
    await guarded.run(HubUnreachable("no route", maybe_done=False))
    await guarded.run("result", CallKind.REGISTRATION)
    assert asyncio.get_running_loop().time() == 0
    await guarded.run("result")
    assert asyncio.get_running_loop().time() == 1


@in_simulated_time
async def test_a_key_that_is_refused_twice_ends_the_loop():
    guarded = Guarded()
    guarded.hub.fail("send_telemetry", REFUSED)
    with pytest.raises(EnrolmentRevoked):
        await guarded.run(REFUSED)


def test_a_mistake_in_the_work_itself_is_logged_once_with_its_place_and_ends_no_loop(caplog):
    """An answer that nobody has thought of must not end all loops, and with them the gateway."""

    async def main():
        guarded = Guarded()
        for _ in range(3):
            assert await guarded.run(ZeroDivisionError("with a secret?")) == "otherwise"
        assert guarded.rate_control.problem == "a fault of the gateway itself (ZeroDivisionError)"
        assert await guarded.run("done") == "done"
        assert guarded.rate_control.problem is None

    simulated(main())
    told = [record for record in caplog.records if "a fault of the gateway itself in its calls" in record.getMessage()]
    assert [record.exc_info[0] for record in told] == [ZeroDivisionError]
