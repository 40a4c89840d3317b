"""Whether the program that installs firmware can be run."""

import pytest

from gateway.config.settings import CloudSection, GatewaySection, Settings
from gateway.doctor.config import hook_findings
from gateway.doctor.known_config import KnownConfig


@pytest.fixture
def findings():
    async def look(hook, may="firmware"):
        settings = Settings(gateway=GatewaySection(firmware_hook=hook), cloud=CloudSection(may=may))
        known = KnownConfig(file=None, is_given=True, settings=settings, entries=())
        return [(finding.state, finding.fix) async for finding in hook_findings(known)]

    return look


@pytest.fixture
def hook(tmp_path):
    program = tmp_path / "install"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    return program


async def test_without_a_hook_there_is_nothing_to_say(findings):
    assert await findings(None) == []


async def test_a_hook_that_can_be_run_is_fine(findings, hook):
    assert await findings(hook) == [("fine", None)]


async def test_a_hook_that_is_missing_or_may_not_be_executed_is_a_fault(findings, hook):
    assert [state for state, _ in await findings(hook.with_name("other"))] == ["fault"]
    hook.chmod(0o600)
    assert await findings(hook) == [("fault", f"chmod +x {hook}")]


async def test_a_hook_that_the_cloud_may_not_have_called_is_a_warning(findings, hook):
    ((state, fix),) = await findings(hook, may="command")
    assert (state, 'may = "firmware"' in fix) == ("warning", True)
