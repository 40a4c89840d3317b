"""The level of the log: what the gateway itself sets stays, what code of an adapter sets is put back."""

import asyncio
import logging

import pytest

from gateway.runtime.configuration import building
from gateway.runtime.log_access import LogLevelSwitch
from gateway.runtime.own_commands.declarations import LogLevelParameters
from gateway.runtime.own_commands.log_level import LOG_LEVEL_COMMAND
from gateway.runtime.process_state import ProcessState


@pytest.fixture
async def state():
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    kept = ProcessState(asyncio.get_running_loop())
    keeping = asyncio.create_task(kept.keep())
    await asyncio.sleep(0)
    yield kept
    keeping.cancel()
    root.setLevel(before)


async def by_configuration():
    building.set_log_level("debug")


async def by_page():
    LogLevelSwitch().set("debug", 60)


async def by_command():
    await LOG_LEVEL_COMMAND.run(LogLevelParameters(level="debug"), None)


@pytest.mark.parametrize("change", [by_configuration, by_page, by_command])
async def test_a_level_that_the_gateway_sets_stays_and_one_of_an_adapter_is_put_back_to_it(state, caplog, change):
    root = logging.getLogger()
    await change()
    state.put_back()
    assert root.level == logging.DEBUG
    assert "the level of the log was changed" not in caplog.text
    root.setLevel(logging.CRITICAL)
    state.put_back()
    assert root.level == logging.DEBUG
    assert "the level of the log was changed by code in this process" in caplog.text


async def test_the_normal_level_comes_back_after_one_for_a_while(state):
    switch = LogLevelSwitch()
    switch.set("debug", 60)
    state.put_back()
    switch.end()
    state.put_back()
    assert logging.getLogger().level == logging.INFO
