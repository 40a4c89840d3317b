"""The demo says what is not as expected."""

from datetime import UTC, datetime
from time import monotonic
from types import SimpleNamespace

import pytest

from gateway.demo import OUTCOME_WITHIN_SECONDS, Demo
from gateway.emulator.device import QueuedCommand


@pytest.mark.parametrize("seconds_ago", [0, OUTCOME_WITHIN_SECONDS + 1])
def test_a_command_without_outcome_and_a_configuration_without_effect_are_problems_after_a_while(seconds_ago):
    cloud = SimpleNamespace(devices={})
    running = Demo(SimpleNamespace(cloud=cloud), None, {}, 0.0, asked_at=monotonic() - seconds_ago)
    device = SimpleNamespace(name="lobby", config=SimpleNamespace(applied_version=None))
    for status in ("pending", "in_progress", "done"):
        now = datetime.now(UTC)
        command = QueuedCommand(id=1, name=status, parameters=None, queued_at=now, status=status)
        command.ended_at = now if status == "done" else None
        running.commands.append((device, command))
    running.configurations.append((device, 1))
    found = running._outcome_problems()
    expected = [f"the command {status} to lobby has no outcome" for status in ("pending", "in_progress")]
    assert found == ([*expected, "configuration 1 of lobby is not in effect"] if seconds_ago else [])
