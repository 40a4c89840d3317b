"""Commands are recorded before anything is done, once, and their outcomes survive a restart until the cloud has them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.state import command_ledger as module
from gateway.state.command_ledger import CommandLedger, LedgerEntry, Outcome
from gateway.state.store import Store
from gateway.url_secrets import MASK

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def entry(command_id: int | str = 7, device_id="d1", **changes):
    made = LedgerEntry(
        device_id=device_id, command_id=command_id, child="c1", name="set_volume", parameters={"volume": 5, "zone": None},
        received_at=BEGIN, expires_at=BEGIN + timedelta(minutes=5),
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def ledger(store):
    return CommandLedger(store)


async def test_a_command_is_new_once_whatever_kind_of_id_it_has(ledger):
    for command_id in (7, "7", "e0d1c2b3-1234"):
        assert await ledger.receive(entry(command_id)) == entry(command_id)
        known = await ledger.receive(entry(command_id, received_at=BEGIN + timedelta(hours=1)))
        assert known == entry(command_id, tries=2), "it expires from the first time on"
    assert (await ledger.receive(entry(7, "d2"))).tries == 1, "ids of another device are not its own"


async def test_what_happened_to_a_command_survives_a_restart(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        ledger = CommandLedger(store)
        one = await ledger.receive(entry())
        one = await ledger.start(one, BEGIN + timedelta(seconds=1))
        values = {"before": {"power": 1.5, "on": True}, "after": {"power": None, "mode": "eco"}}
        await ledger.finish(one, Outcome.FAILED, "no signal", BEGIN + timedelta(seconds=2), **values)
    async with Store(tmp_path / "s.sqlite3") as store:
        ledger = CommandLedger(store)
        (kept,) = await ledger.undelivered()
        assert {"before": kept.before, "after": kept.after} == values
        assert (kept.outcome, kept.message, kept.started_at) == (Outcome.FAILED, "no signal", BEGIN + timedelta(seconds=1))
        await ledger.deliver(kept)
        assert await ledger.undelivered() == []
        assert (await ledger.receive(entry())).is_delivered, "the cloud may offer it again"


async def test_only_a_command_that_had_started_counts_as_interrupted(ledger):
    await ledger.receive(entry(1))
    started = await ledger.receive(entry(2))
    await ledger.start(started, BEGIN)
    ended = await ledger.receive(entry(3))
    await ledger.finish(await ledger.start(ended, BEGIN), Outcome.DONE, None, BEGIN)
    (interrupted,) = await ledger.interrupted()
    assert (interrupted.command_id, interrupted.outcome, interrupted.tries) == (2, None, 1)
    await ledger.finish(interrupted, Outcome.UNKNOWN, None, BEGIN)
    assert await ledger.interrupted() == []
    assert [one.outcome.status for one in await ledger.undelivered()] == ["done", "failed"]


async def test_the_runs_that_prepare_or_finish_a_command_are_counted(ledger):
    for number in range(3):
        assert (await ledger.receive(entry())).tries == number + 1
    started = await ledger.start(await ledger.receive(entry()), BEGIN)
    assert started.tries == 1
    assert (await ledger.receive(entry())).tries == 1, "it has started, and is not prepared again"
    await ledger.try_again(started)
    (kept,) = await ledger.interrupted()
    assert kept.tries == 2


async def test_outcomes_are_delivered_in_the_order_in_which_they_ended(ledger):
    for number in (2, 1, 3):
        one = await ledger.receive(entry(number))
        await ledger.finish(one, Outcome.DONE, None, BEGIN + timedelta(seconds=number))
    assert [one.command_id for one in await ledger.undelivered()] == [1, 2, 3]


async def test_secret_parameters_are_not_stored(ledger, tmp_path):
    secrets = {"password": "hunter2", "pin": 1234, "api_key": "abc", "access_token": "t", "keyboard": "de", "spinning": True}
    kept = await ledger.receive(entry(parameters=secrets))
    hidden = dict.fromkeys(("password", "pin", "api_key", "access_token"), MASK)
    assert kept.parameters == {**hidden, "keyboard": "de", "spinning": True}
    assert b"hunter2" not in b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


async def test_secrets_within_other_parameters_are_not_stored(ledger):
    kept = await ledger.receive(entry(parameters={"wifi": [{"ssid": "hall", "psk": "hunter2", "apiKey": "abc"}]}))
    assert kept.parameters == {"wifi": [{"ssid": "hall", "psk": MASK, "apiKey": MASK}]}


async def test_only_parameters_of_a_usual_size_are_stored(ledger):
    deep = None
    for _ in range(5000):
        deep = [deep]
    for command_id, value in enumerate((deep, "x" * 1_000_000)):
        kept = await ledger.receive(entry(command_id, parameters={"value": value}))
        assert "to be kept" in kept.parameters[MASK]
        assert not kept.is_complete
        assert (await ledger.receive(entry(command_id))).parameters == kept.parameters


async def test_old_delivered_commands_are_removed_and_no_undelivered_one(ledger, monkeypatch):
    monkeypatch.setattr(module, "KEPT_COMMANDS", 3)
    for number in range(6):
        one = await ledger.receive(entry(number, received_at=BEGIN + timedelta(seconds=number)))
        one = await ledger.finish(one, Outcome.DONE, None, BEGIN)
        if number != 1:
            await ledger.deliver(one)
    await ledger.receive(entry("soon", received_at=BEGIN + timedelta(minutes=1)))
    assert len(await ledger.latest(10)) == 7, "the cloud may still offer one of them again"
    await ledger.receive(entry("last", received_at=BEGIN + timedelta(days=1)))
    assert [one.command_id for one in await ledger.latest(10)] == ["last", "soon", 5, 1]
    assert [one.command_id for one in await ledger.undelivered()] == [1]


async def test_the_latest_commands_of_one_child_are_returned_the_last_first(ledger):
    for number, child in enumerate(("c1", None, "c1", "c2", "c1")):
        await ledger.receive(entry(number, child=child, received_at=BEGIN + timedelta(seconds=number)))
    assert [one.command_id for one in await ledger.latest_of("c1", 2)] == [4, 2]
    assert [one.command_id for one in await ledger.latest_of(None, 2)] == [1]


async def test_the_last_contact_is_kept(ledger):
    assert await ledger.last_contact() is None
    await ledger.record_contact(BEGIN)
    await ledger.record_contact(BEGIN + timedelta(hours=1))
    assert await ledger.last_contact() == BEGIN + timedelta(hours=1)
