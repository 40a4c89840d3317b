"""`xyte-gateway events` shows the timeline of a gateway that runs or not."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.state.history.history_file import HistoryFile, history_file
from gateway.state.history.timeline import EventKind, Timeline

BEGIN = datetime(2026, 11, 29, 8, 11, 17, tzinfo=UTC)


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(f'[store]\npath = "{tmp_path}/gateway.sqlite3"\n[[adapter]]\ntype = "modbus"\nhosts = ["192.168.1.20"]\n')
    return file


@pytest.fixture
async def happened(tmp_path):
    async with HistoryFile(tmp_path / "gateway.sqlite3", most_bytes=1 << 20) as file:
        timeline = Timeline(file, now=lambda: BEGIN)
        timeline.record(EventKind.WENT, "does not answer", child="c1", device="Meter", bus=("house", "/dev/ttyUSB0"))
        timeline.record(EventKind.BUS_LOST, "it is lost", bus=("house", "/dev/ttyUSB0"))
        timeline.record(EventKind.STARTED, "version 1[bold]")
        await file.save()


def shown(config, *options):
    result = CliRunner().invoke(app, ["events", "-c", str(config), *options])
    return result.exit_code, result.output


@pytest.mark.usefixtures("happened")
def test_events_are_shown_the_earliest_first_and_filtered(config):
    code, text = shown(config)
    assert code == 0
    assert text.splitlines() == [
        "2026-11-29 08:11:17 UTC  went: Meter: does not answer",
        "2026-11-29 08:11:17 UTC  bus lost: /dev/ttyUSB0: it is lost",
        "2026-11-29 08:11:17 UTC  started: version 1[bold]",
    ]
    assert shown(config, "--kind", "started", "--kind", "bus_lost")[1].count("\n") == 2
    assert "does not answer" in shown(config, "--device", "meter")[1]
    assert shown(config, "--bus", "/dev/ttyUSB0")[1].count("\n") == 2
    assert shown(config, "-n", "1")[1].count("\n") == 1


@pytest.mark.usefixtures("happened")
def test_each_line_of_json_is_one_event(config):
    _, text = shown(config, "--json")
    events = [json.loads(line) for line in text.splitlines()]
    assert [one["kind"] for one in events] == ["went", "bus_lost", "started"]
    assert events[0] == {
        "seq": 1, "at": "2026-11-29T08:11:17+00:00", "kind": "went", "text": "does not answer", "device": "Meter", "key": "c1",
        "entry": "house", "bus": "/dev/ttyUSB0", "times": 1,
    }  # fmt: skip


@pytest.mark.usefixtures("happened")
def test_what_is_wrong_is_said(config, tmp_path):
    code, text = shown(config, "--device", "nobody")
    assert (code, "no event of a device 'nobody' is known" in " ".join(text.split())) == (1, True)
    assert shown(config, "--kind", "nonsense")[0] == 2
    history_file(tmp_path / "gateway.sqlite3").write_bytes(b"no database" * 1000)
    code, text = shown(config)
    assert (code, "cannot be read" in " ".join(text.split())) == (1, True)


def test_a_gateway_that_never_ran_has_no_events(config):
    code, text = shown(config)
    assert (code, "there is no history at" in " ".join(text.split())) == (1, True)
