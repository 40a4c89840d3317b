"""Whatever fails, and whenever the gateway is killed: in the end exactly the incidents are open whose cause holds."""

import asyncio
import random

import pytest

from gateway.cloud import guarded_calls
from gateway.errors import HubBusy, HubUnauthorised, HubUnreachable
from gateway.testing.hub import LOST_ANSWER

CAUSES = {"bus_lost:x": None, "bus_lost:y": None, "child_silent:c1": "c1", "child_silent:c2": "c2"}
METHODS = ("open_incident", "close_incident", "get_incidents", "close_incidents")
HUB_SECONDS = 0.3


def fault(chance):
    return chance.choice(
        [
            LOST_ANSWER,
            HubUnreachable("no route", maybe_done=False),
            HubUnreachable("502", maybe_done=True, status=502),
            HubBusy("429", retry_after_seconds=None),
            HubUnauthorised("401", status=401, error="Not authorized"),
        ]
    )


def make_slow(hub):
    """Let each response take its time, so that a kill meets calls that were carried out and not answered yet."""
    for name in METHODS:
        call = getattr(hub, name)

        async def slow(*arguments, call=call, **options):
            result = await call(*arguments, **options)
            await asyncio.sleep(HUB_SECONDS)
            return result

        setattr(hub, name, slow)


@pytest.mark.parametrize("seed", range(40))
def test_in_the_end_exactly_the_incidents_are_open_whose_cause_holds(run, seed, monkeypatch):
    monkeypatch.setattr(guarded_calls, "FINISH_SECONDS", 0.0)  # a kill waits for nothing
    chance = random.Random(seed)

    async def test(told):
        make_slow(told.hub)
        holding = set()
        await told.tell_incidents()
        for _ in range(25):
            cause = chance.choice(list(CAUSES))
            match chance.choice(("open", "open", "close", "fail", "kill")):
                case "open":
                    holding.add(cause)
                    told.incidents.open(cause, CAUSES[cause], cause, "Check it")
                case "close":
                    holding.discard(cause)
                    told.incidents.close(cause)
                case "fail":
                    told.hub.fail(chance.choice(METHODS), fault(chance))
                case "kill":
                    await told.restart()
                    holding -= set(chance.sample(sorted(holding), len(holding) // 2))  # over before the next start
                    for one in holding:
                        told.incidents.open(one, CAUSES[one], one, "Check it")
                    await told.tell_incidents()
            await asyncio.sleep(chance.choice((0.1, 0.5, 2, 30, 90)))
        await asyncio.sleep(1800)
        open_now = [one.title for number in (None, 1, 2) for one in told.device(number).incidents.values()]
        assert sorted(open_now) == sorted(holding)
        assert {one.cause for one in await told.incidents.in_cloud()} == holding

    run(test)
