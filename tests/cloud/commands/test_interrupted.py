"""A command that ran when the gateway stopped is finished by reading back, never by sending it again."""

import asyncio
from datetime import timedelta

import pytest

from gateway.cloud.commands.outcome_texts import INTERRUPTED, NOT_RECORDED, PREPARED_TOO_OFTEN, RUN_TOO_OFTEN
from gateway.errors import BusLost, CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.models import CommandResult
from gateway.state.command_ledger import Outcome


async def interrupt(running, name="open_valve", **parameters):
    """Stop the gateway while it carries out a command."""
    running.devices[name] = 1000
    running.send(7, 1, name, **parameters)
    await asyncio.sleep(5)
    await running.kill()
    assert len(running.executed) == 1


def test_what_reading_back_proves_is_done(run):
    async def test(running):
        running.proofs["open_valve"] = CommandResult(is_proven=True, before={"valve": 0}, after={"valve": 80})
        await interrupt(running, position=80)
        running.restart()
        await asyncio.sleep(30)
        assert running.read_back == [("open_valve", {"position": 80})]
        assert running.outcomes(1)[-1] == (7, "done", "read back: valve is 80 (was 0)")
        (kept,) = await running.ledger.latest(1)
        assert (kept.outcome, kept.before, kept.after) == (Outcome.DONE, {"valve": 0}, {"valve": 80})
        assert len(running.executed) == 1

    run(test)


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        (None, "nothing proves that the device carried it out"),
        (DeviceUnreachable("no answer"), "the device did not answer: no answer"),
        (OutcomeUnknown("it could not be read back: the bus was not free"), "it could not be read back: the bus was not free"),
    ],
)
def test_what_is_not_proven_has_an_unknown_outcome_with_the_reason(run, proof, told):
    async def test(running):
        running.proofs["open_valve"] = proof
        await interrupt(running)
        running.restart()
        await asyncio.sleep(30)
        assert running.outcomes(1)[-1] == (7, "failed", f"acted, outcome unknown: {INTERRUPTED}; {told}")
        assert len(running.executed) == 1

    run(test)


def test_secret_parameters_cannot_be_read_back(run):
    async def test(running):
        await interrupt(running, password="hunter2")
        running.restart()
        await asyncio.sleep(30)
        assert running.read_back == []
        assert running.outcomes(1)[-1] == (7, "failed", f"acted, outcome unknown: {INTERRUPTED}; {NOT_RECORDED}")

    run(test)


def test_the_next_command_of_the_device_waits_until_the_interrupted_one_is_finished(run):
    async def test(running):
        async def slowly(_checkpoint):
            await asyncio.sleep(60)
            order.append("read back")
            return

        order = []
        running.proofs["open_valve"] = slowly
        await interrupt(running)
        running.restart()
        running.device(1).commands.clear()  # the cloud gave it up, and offers the next one
        running.send(8, 1, "second", flag=False)
        await asyncio.sleep(30)
        assert [name for _, name, _ in running.executed] == ["open_valve"]
        await asyncio.sleep(60)
        assert (order, [name for _, name, _ in running.executed]) == (["read back"], ["open_valve", "second"])

    run(test)


def test_a_command_that_ends_the_gateway_twice_is_set_aside_and_the_third_start_is_healthy(run):
    async def test(running):
        async def crash(_checkpoint):
            try:
                await asyncio.Event().wait()  # the process ends here
            finally:
                ended.append(1)

        ended = []

        running.proofs["open_valve"] = crash
        await interrupt(running)
        running.restart()
        await asyncio.sleep(30)
        await running.kill()
        assert (len(running.read_back), ended) == (1, [1])
        assert [status for _, status, _ in running.outcomes(1)] == ["in_progress"], "the cloud knows that it runs"
        running.restart()
        await asyncio.sleep(30)
        assert len(running.read_back) == 1, "it is not even read back a second time"
        assert running.outcomes(1)[-1] == (7, "failed", f"acted, outcome unknown: {RUN_TOO_OFTEN}")
        running.send(8, 1, "second")
        await asyncio.sleep(1)
        assert running.outcomes(1)[-1][:2] == (8, "done")

    run(test)


def test_a_command_that_ends_the_gateway_while_it_is_prepared_is_set_aside_at_the_third_start(run):
    async def test(running):
        running.waits["open_valve"] = 1000
        running.send(7, 1, "open_valve")
        for _ in range(2):
            await asyncio.sleep(20)
            await running.kill()
            running.restart()
        await asyncio.sleep(20)
        assert running.outcomes(1)[-1] == (7, "failed", PREPARED_TOO_OFTEN)
        assert running.executed == []

    run(test, expires_after=timedelta(hours=1))


def test_a_command_whose_device_ends_the_gateway_when_it_is_asked_what_it_declares_is_set_aside(run):
    async def test(running):
        def describe(_child, _name, _parameters):
            described.append(1)
            raise asyncio.CancelledError  # the process ends here

        described, running.describe = [], describe
        running.send(7, 1, "open_valve", position=80)
        for _ in range(2):
            await asyncio.wait({running.task})
            running.restart()
        await asyncio.sleep(5)
        assert len(described) == 2
        assert running.outcomes(1)[-1] == (7, "failed", PREPARED_TOO_OFTEN)

    run(test)


@pytest.mark.parametrize("is_carried_out", [True, False])
def test_a_command_whose_bus_is_lost_is_read_back_in_the_same_run(run, is_carried_out):
    async def test(running):
        running.devices["open_valve"] = BusLost("the bus was lost while it was carried out")
        running.proofs["open_valve"] = CommandResult(is_proven=True, after={"valve": 80}) if is_carried_out else None
        running.send(7, 1, "open_valve", password="hunter2")
        await asyncio.sleep(1)
        assert running.read_back == [("open_valve", {"password": "hunter2"})], "this run knows its secrets"
        lost = "acted, outcome unknown: the bus was lost while it was carried out; nothing proves that the device carried it out"
        told = ("done", "read back: valve is 80") if is_carried_out else ("failed", lost)
        assert running.outcomes(1)[-1][1:] == told
        assert len(running.executed) == 1

    run(test)


def test_a_long_command_is_resumed_after_every_end_of_the_gateway_as_long_as_it_gets_on(run):
    async def test(running):
        async def resume(checkpoint):
            blocks.append(len(blocks))
            checkpoint(f"block {len(blocks)} of 4")
            if len(blocks) < 4:
                await asyncio.Event().wait()  # the process ends here
            return CommandResult(message="all blocks are written", is_proven=True)

        blocks = []
        running.proofs["update_firmware"] = resume
        await interrupt(running, "update_firmware")
        for _ in range(4):
            running.restart()
            await asyncio.sleep(30)
            await running.kill()
        assert running.outcomes(1)[-1] == (7, "done", "all blocks are written")
        assert "block 2 of 4" in [text for _, _, text in running.outcomes(1)]

    run(test)


def test_a_resumed_command_that_is_refused_has_failed(run):
    async def test(running):
        running.proofs["update_firmware"] = CommandRejected("the checksum is wrong")
        await interrupt(running, "update_firmware")
        running.restart()
        await asyncio.sleep(30)
        assert running.outcomes(1)[-1] == (7, "failed", "the checksum is wrong")

    run(test)
