"""`xyte-gateway identity`: show who the gateway is, and decide whether a store from another machine keeps its identity."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from gateway.cli.common import AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out, print_json
from gateway.config.settings import DEFAULT_FILE, Settings
from gateway.runtime.hardware import new_identity_problem
from gateway.state.database.single_instance import is_in_use
from gateway.state.parts import StateParts
from gateway.state.recovery.hardware_question import IdentityDecision
from gateway.state.store import Store

identity = typer.Typer(add_completion=False, rich_markup_mode=None)

NO_QUESTION = "nothing is to be decided: the gateway asks when it starts with the store of another machine"


@identity.callback(invoke_without_command=True)
def show(context: typer.Context, config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Show who the gateway is, and whether it waits for a decision because its store comes from another machine."""
    if context.invoked_subcommand is not None:
        return
    with errors_shown(as_json=as_json):
        facts = asyncio.run(_facts(_settings(config)))
    if as_json:
        print_json(facts)
        return
    out.print(f"gateway {facts['serial_number'] or '(never started)'}: {facts['id'] or 'not registered'}", markup=False)
    if facts["question"] is not None:
        out.print(str(facts["question"]), markup=False, soft_wrap=True)


@identity.command()
def keep(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Let this machine replace the one that the store comes from, which must not run any more."""
    _decide(config, IdentityDecision.KEEP, as_json=as_json)


@identity.command()
def new(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Make this machine another gateway: it registers anew, and so do the devices that it finds."""
    _decide(config, IdentityDecision.NEW, as_json=as_json)


def _decide(config: Path, decision: IdentityDecision, *, as_json: bool) -> None:
    with errors_shown(as_json=as_json):
        outcome = asyncio.run(_store_decision(_settings(config), decision))
    if as_json:
        print_json({"decision": decision, "outcome": outcome})
    else:
        out.print(f"{decision}: {outcome}", markup=False, soft_wrap=True)


def _settings(config: Path) -> Settings:
    settings = load_config(config, for_cloud=False)[0].settings
    if not settings.store.path.exists():
        raise CommandFailed(f"there is no store at {settings.store.path}: the gateway has not run with this configuration yet")
    return settings


async def _facts(settings: Settings) -> dict[str, object]:
    async with Store(settings.store.path) as store:
        state = await _loaded(store, settings)
        gateway, question = state.registry.gateway, state.hardware.question
        credentials = None if gateway is None else gateway.credentials
        return {
            "serial_number": None if gateway is None else gateway.serial_number,
            "id": None if credentials is None else credentials.device_id,
            "question": None if question is None else str(question),
            "decision": None if question is None else question.decision,
        }


async def _store_decision(settings: Settings, decision: IdentityDecision) -> str:
    async with Store(settings.store.path) as store:
        state = await _loaded(store, settings)
        if decision is IdentityDecision.NEW and (problem := new_identity_problem(state, settings.gateway)) is not None:
            raise CommandFailed(problem)
        if not await state.hardware.decide(decision):
            raise CommandFailed(NO_QUESTION)
    if is_in_use(settings.store.path):
        return "the running gateway does it within seconds, and its log says so"
    return "the gateway does it when it starts"


async def _loaded(store: Store, settings: Settings) -> StateParts:
    state = StateParts.on(store, most_samples=settings.store.most_samples)
    await state.registry.load()
    await state.hardware.load()
    return state
