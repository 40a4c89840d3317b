"""Firmware and licences are in the timeline when they change, and who had a device admitted, ignored or renamed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from gateway.models import LicenceChange
from gateway.state.command_ledger import CommandLedger, LedgerEntry, Outcome
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.recent_requesters import KEPT_FOR, MOST_KEPT, RecentRequesters
from gateway.state.history.reported import recording_licences, recording_outcomes, recording_starts
from gateway.state.history.timeline import Timeline, TimelineFilter
from gateway.state.licences import LicenceKeeper, LicenceRecord, LicenceState
from gateway.state.store import Store

AT = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


@pytest.fixture
async def site(tmp_path):
    """A store and a timeline."""
    async with Store(tmp_path / "store.sqlite3") as store:
        yield store, Timeline(HistoryFile(store.path, most_bytes=0))


async def told(timeline):
    return [(one.kind.value, one.text) for one in reversed(await timeline.events(TimelineFilter(child="c1"), most=99))]


def command(name, giver="d1", **parameters):
    return LedgerEntry(
        device_id=giver, command_id=1, child="c1", name=name, parameters=parameters, received_at=AT,
        expires_at=AT + timedelta(hours=1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "words"), [(Outcome.DONE, "was installed"), (Outcome.FAILED, "was not installed"), (Outcome.UNKNOWN, "may be")]
)
async def test_an_installation_of_firmware_is_told_when_it_begins_and_ends(site, outcome, words):
    store, timeline = site
    ledger = CommandLedger(store, on_start=recording_starts(timeline), on_end=recording_outcomes(timeline))
    started = await ledger.start(await ledger.receive(command("update_firmware", version="2.0")), AT)
    await ledger.finish(started, outcome, "ok", AT)
    begins, ends = await told(timeline)
    assert begins == ("firmware", "an installation of firmware of version 2.0, of the cloud, begins")
    assert ends[0] == "firmware"
    assert ends[1].startswith(f"firmware {words}")
    assert ends[1].endswith(": ok")


async def test_a_command_names_who_gave_it_on_the_page(site):
    store, timeline = site
    ledger = CommandLedger(store, on_start=recording_starts(timeline), on_end=recording_outcomes(timeline))
    entry = command("set_power", "local:page, operator, token office")
    await ledger.finish(await ledger.start(await ledger.receive(entry), AT), Outcome.DONE, None, AT)
    assert await told(timeline) == [("command", "command set power given here (page, operator, token office) was carried out")]


async def test_a_licence_is_told_at_each_change_and_its_content_never(site):
    store, timeline = site
    keeper = LicenceKeeper(store, on_change=recording_licences(timeline))
    pending = LicenceRecord(
        device_id="d1", licence_id=7, child="c1", change=LicenceChange.INSTALL, payload=SecretStr("the content"), signature=None,
        expires_at=None, state=LicenceState.PENDING, offered_at=AT, changed_at=AT,
    )  # fmt: skip
    await keeper.save(pending)
    await keeper.save(pending)
    in_use = await keeper.save(replace(pending, state=LicenceState.IN_USE))
    await keeper.deliver(in_use)
    await keeper.save(replace(in_use, state=LicenceState.ERROR, problem="its memory is full"))
    assert await told(timeline) == [
        ("licence", "licence 7: the change (install) waits for the device"),
        ("licence", "licence 7: is in use"),
        ("licence", "licence 7: the change (install) failed: its memory is full"),
    ]
    assert "the content" not in str(await timeline.events(TimelineFilter(), most=9))


def test_who_asked_is_known_for_a_moment_and_in_bounds():
    now = [AT]
    askers = RecentRequesters(lambda: now[0])
    askers.note("c1", "by the token office")
    assert askers.of("c1") == "by the token office"
    assert askers.of("c2") is None
    askers.note("c1", None)
    assert askers.of("c1") is None
    for number in range(MOST_KEPT + 5):
        askers.note(f"k{number}", "by the token office")
    assert askers.of("k0") is None
    assert askers.of(f"k{MOST_KEPT}") == "by the token office"
    now[0] += KEPT_FOR + timedelta(seconds=1)
    assert askers.of(f"k{MOST_KEPT}") is None
