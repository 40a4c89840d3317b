"""Decide how the execution of a command ended, from what its task returned or raised."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from gateway.cloud.commands.outcome_texts import done_text
from gateway.errors import CommandRejected, DeviceUnreachable, OutcomeUnknown, StoreError
from gateway.models import CommandResult
from gateway.state.command_ledger import Outcome

log = logging.getLogger(__name__)


class ExecutionResult(NamedTuple):
    """How the execution of a command ended."""

    outcome: Outcome
    text: str | None
    result: CommandResult | None = None


def execution_result(
    task: asyncio.Task[CommandResult | None], title: str, *, has_started: bool, interruption: str | None = None
) -> ExecutionResult:
    """Return how an execution ended whose task is done and was not cancelled.

    Args:
        task: the execution; `None` is the result of one that nothing proves.
        title: device and command, for the log of a bug.
        has_started: whether something may have been sent to the device.
        interruption: what interrupted it after it had started.
    """
    reason = f"{interruption}; " if interruption is not None else ""
    match error := task.exception():
        case None:
            result = task.result()
            if result is None:
                return ExecutionResult(Outcome.UNKNOWN, f"{reason}nothing proves that the device carried it out")
            return ExecutionResult(Outcome.DONE, done_text(result), result)
        case CommandRejected():
            return ExecutionResult(Outcome.FAILED, str(error))
        case OutcomeUnknown():
            return ExecutionResult(Outcome.UNKNOWN, f"{reason}{error}")
        case DeviceUnreachable():
            return ExecutionResult(Outcome.UNKNOWN, f"{reason}the device did not answer: {error}")
        case StoreError():
            return ExecutionResult(Outcome.UNKNOWN if has_started else Outcome.FAILED, f"the store of the gateway fails: {error}")
        case _:
            log.error("%s: a bug while it was executed", title, exc_info=error)
            told = f"the gateway failed while executing it: {type(error).__name__}"
            return ExecutionResult(Outcome.UNKNOWN if has_started else Outcome.FAILED, told)
