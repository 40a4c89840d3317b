"""Run the small jobs beside buses and cloud: follow outside changes, save what adapters remember, report missing buses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta

from gateway.causes import Cause, Reason
from gateway.config.settings import GatewaySection
from gateway.errors import StoreDamaged, StoreError
from gateway.models import ChildDevice
from gateway.runtime.hardware import new_identity_problem
from gateway.runtime.parts import FieldParts, StatusPage
from gateway.state.adapter_memory import AdapterMemory
from gateway.state.child_states import ChildState
from gateway.state.parts import StateParts
from gateway.state.recovery.hardware_question import IdentityDecision
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.state.registry import Registry
from gateway.status.history import History

log = logging.getLogger(__name__)


async def follow_store(state: StateParts, field: FieldParts, *, every: timedelta) -> None:
    """Load what another process, such as `xyte-gateway children admit`, writes to the store, until cancelled."""
    seen: int | None = None
    is_failing = False
    while True:
        try:
            version = await state.store.data_version()
            if seen is not None and version != seen:
                await state.registry.load()
                await state.hardware.load()
                await field.intake.admit_approved()
            seen = version  # not before: what could not be loaded is loaded the next time
        except StoreError as error:
            if not is_failing:
                log.warning("changes of the store by another process cannot be loaded: %s", error)
            is_failing = True
        else:
            is_failing = False
        await asyncio.sleep(every.total_seconds())


async def forget_removed_children(registry: Registry, history: History) -> None:
    """Keep the history of those that are children: over years, devices come and go."""
    revision = registry.revision
    while True:
        await registry.wait_for_change(revision)
        changed, revision = registry.changed_since(revision), registry.revision
        if not registry.children.keys() >= set(changed):
            history.keep_only(registry.children.keys())


async def follow_identity_decision(state: StateParts, section: GatewaySection, *, every: timedelta) -> None:
    """Wait for a person's decision about a store that comes from another machine, and carry it out."""
    told: str | None = None
    while (question := state.hardware.question) is not None:
        with contextlib.suppress(StoreError):  # it is an incident of its own
            if question.decision is IdentityDecision.KEEP:
                await state.hardware.keep()
                await state.recoveries.load()
                return
            if question.decision is IdentityDecision.NEW:
                if (problem := new_identity_problem(state, section)) is None:
                    state.hardware.becomes_new.set()
                    return
                if problem != told:
                    log.error("%s", problem)
                told = problem
        await asyncio.sleep(every.total_seconds())


async def guard_store(state: StateParts, page: StatusPage | None = None, *, every: timedelta) -> None:
    """Look whether the file of the store is still there, and tell when it had to be put back, until cancelled.

    The hashes of the tokens of the page are beside the store, and are put back with it.

    Raises:
        StoreDamaged: it is not, and its content is lost: the gateway has to begin anew with what its mirror has.
    """
    while True:
        try:
            await state.store.check_file()
            if state.store.put_backs and page is not None:
                await asyncio.to_thread(page.tokens.put_back)
            while state.store.put_backs:
                text = state.store.put_backs[0]
                await state.recoveries.record(RecoveryKind.PUT_BACK, text)
                state.events.report(None, "store_put_back", "gateway", text)
                del state.store.put_backs[0]
            await state.mirror.ensure_file()
            if (rows := state.store.set_aside_lately) > 0:
                state.store.set_aside_lately -= rows
                text = f"{rows} rows of the store could not be used and were set aside; the log names their tables"
                state.events.report(None, "rows_set_aside", "gateway", text)
        except StoreDamaged:
            raise
        except StoreError:  # the store has told it, and it is an incident
            pass
        await asyncio.sleep(every.total_seconds())


async def store_token_uses(page: StatusPage | None, *, every: timedelta) -> None:
    """Store on which days the tokens of the page were used, once a day for each, until cancelled."""
    while page is not None:
        await asyncio.sleep(every.total_seconds())
        await asyncio.to_thread(page.tokens.store_uses)


async def save_memory(memory: AdapterMemory, *, every: timedelta) -> None:
    """Save what adapters remember, until cancelled; losing the last interval of it is harmless."""
    while True:
        await asyncio.sleep(every.total_seconds())
        with contextlib.suppress(StoreError):  # the reporter logs it
            await memory.save()


async def report_unknown_children(keys: Collection[str], state: StateParts, *, after: timedelta) -> None:
    """Log which `[child."KEY"]` tables name no device that is known by then: a typo would leave a child without its limit."""
    await asyncio.sleep(after.total_seconds())
    for key in keys:
        if key not in state.registry.children and key not in state.registry.found_devices:
            log.warning(
                '[child."%s"] of the configuration names no device that is known; `xyte-gateway children` lists them', key
            )


async def report_missing_buses(state: StateParts, field: FieldParts, *, after: timedelta) -> None:
    """Report the children offline whose bus has not appeared by then, because no supervisor does; one log line for each bus."""
    await asyncio.sleep(after.total_seconds())
    missing: defaultdict[tuple[str, str], list[ChildDevice]] = defaultdict(list)
    for record in state.registry.children.values():
        child = record.child
        if (child.adapter, child.bus) not in field.fleet.supervisors and record.state is not ChildState.DELETED:
            missing[child.adapter, child.bus].append(child)
    for (entry, bus), children in missing.items():
        count = "1 child" if len(children) == 1 else f"{len(children)} children"
        log.warning("%s: this bus of [[adapter]] %s is missing; %s cannot be read", bus, entry, count)
        field.monitor.record_bus_loss(children, Reason(f"its bus {bus} of [[adapter]] {entry} is missing", Cause.NO_PORT))
