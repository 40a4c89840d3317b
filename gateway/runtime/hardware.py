"""Compare the machine with the one that the store belongs to, before anything is said to the cloud."""

from __future__ import annotations

import asyncio
import logging

from gateway.cloud.gateway_identity import make_serial_number
from gateway.config.settings import GatewaySection
from gateway.device_files import is_in_container
from gateway.state.parts import StateParts
from gateway.state.recovery.hardware import Hardware
from gateway.state.recovery.hardware_question import IdentityDecision

log = logging.getLogger(__name__)


async def settle_hardware(state: StateParts, section: GatewaySection) -> None:
    """Look whether the store comes from another machine, and carry out what a person or the configuration has decided.

    Raises:
        StoreError: the store fails.
    """
    now = await asyncio.to_thread(Hardware.of_machine, section.hardware_id, is_in_container=is_in_container())
    await state.hardware.look(now)
    question = state.hardware.question
    if question is None:
        return
    decision = question.decision
    if decision is None and section.on_other_hardware != "ask":
        decision = IdentityDecision(section.on_other_hardware)
    if decision is IdentityDecision.KEEP:
        await state.hardware.keep()
        await state.recoveries.load()
    elif decision is IdentityDecision.NEW:
        if (problem := new_identity_problem(state, section)) is not None:
            log.error("%s", problem)
            return
        await state.hardware.begin_as_new(make_serial_number())
        await state.load()


def new_identity_problem(state: StateParts, section: GatewaySection) -> str | None:
    """Return why this gateway cannot become another one; `None` where it can."""
    gateway = state.registry.gateway
    if gateway is None or section.serial_number != gateway.serial_number:
        return None
    return (
        "this machine cannot become another gateway while the configuration gives it the serial number"
        f" {gateway.serial_number} of the former one: remove gateway.serial_number, and restart"
    )
