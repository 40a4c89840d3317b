"""`xyte-gateway command`: have one device carry out one command, without the cloud."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.adapter import (
    Adapter,
    AdapterSettings,
    Command,
    CommandRejected,
    CommandResult,
    CommandSpec,
    Found,
    OutcomeUnknown,
    find_command,
)
from gateway.adapter_settings import read_secret_file
from gateway.cli.buses import Address, BusName, With, adapter_bugs_reported, bus_of_device, entries, is_entry
from gateway.cli.command_schemas import described_command, show_specs
from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, ConfigFile, errors_shown, out, print_json
from gateway.cli.completion import complete_commands
from gateway.command_parameters import (
    given_parameters,
    masked_parameters,
    parameters_schema,
    secret_parameters,
    validate_parameters,
)
from gateway.config.settings import DEFAULT_FILE
from gateway.models import ChildDevice

TRUE_WORDS, FALSE_WORDS = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """The device, the command and the parameters as typed."""

    address: str
    entry: str | None
    name: str | None
    """`None` to list the commands of the device."""
    values: Mapping[str, str]
    """The parameters as they were typed."""
    is_dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """The result of one call, as it is printed."""

    found: Found
    specs: Sequence[CommandSpec]
    command: Command | None = None
    planned: Sequence[str] | None = None
    """The planned writes, one sentence each; `None` when the command was executed."""
    result: CommandResult | None = None


def command(
    address: Address,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENTRY NAME KEY=VALUE",
            autocompletion=complete_commands,
            help="An entry of the config, or an adapter that --with describes; left out where there is one bus. The name of the "
            "command. Its parameters; KEY=@FILE reads a secret from a file.",
        ),
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
    with_: With = None,
    bus: BusName = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Identify one device and have it carry out one command. Without a name, list the commands that it takes.

    Nothing is sent to the cloud. Exit code 2 if the device has no such command or the parameters are wrong; 1 if the command
    failed, or if it was sent and its outcome is unknown.
    """
    with errors_shown(as_json=as_json):
        asked = _asked(address, words or [], with_, config, dry_run=dry_run)
        report = asyncio.run(_carry_out(asked, entries(asked.entry, with_, config), bus))
    if as_json:
        print_json(_facts(report))
    else:
        _show(report)


async def _carry_out(asked: _Asked, entries: Sequence[AdapterSettings], bus: str | None) -> _Report:
    adapter = await bus_of_device(entries, bus, asked.address)
    with adapter_bugs_reported(adapter):
        return await _carry_out_on(adapter, asked)


async def _carry_out_on(adapter: Adapter[Any], asked: _Asked) -> _Report:
    async with adapter:
        found = await adapter.identify(asked.address)
        if found.profile is None:
            raise CommandFailed(f"{found.name} takes no commands: no profile matches it")
        child = found.as_child(adapter=adapter.settings.name, bus=adapter.bus)
        specs = adapter.commands(child)
        if asked.name is None:
            return _Report(found=found, specs=specs)
        command = _checked_command(child, specs, asked)
        if asked.is_dry_run:
            return _Report(found=found, specs=specs, command=command, planned=adapter.planned_writes(child, command))
        try:
            result = await adapter.execute(child, command)
        except OutcomeUnknown as error:
            raise CommandFailed(f"{command.name} was sent, and its outcome is unknown: {error}") from error
    told = result if isinstance(result, CommandResult) else CommandResult(message=result)
    return _Report(found=found, specs=specs, command=command, result=told)


def _asked(address: str, words: Sequence[str], with_: Sequence[str] | None, config: Path, *, dry_run: bool) -> _Asked:
    """Tell entry, name and parameters apart: a parameter has an equals sign, and a single name may be that of an entry."""
    names = [word for word in words if "=" not in word]
    pairs = [word.partition("=") for word in words if "=" in word]
    if len(names) > 2:
        raise CommandFailed(f"there are too many names: {' '.join(names)}; write parameters as KEY=VALUE", EXIT_WRONG)
    values = {key: value for key, _, value in pairs}
    if len(values) < len(pairs):
        raise CommandFailed("a parameter is given twice", EXIT_WRONG)
    entry, name = names if len(names) > 1 else (None, names[0] if names else None)
    if entry is None and name is not None and (with_ or is_entry(name, config)):
        entry, name = name, None
    return _Asked(address, entry, name, values, dry_run)


def _checked_command(child: ChildDevice, specs: Sequence[CommandSpec], asked: _Asked) -> Command:
    """Return the command with its parameters as its device declares them; as they are where it declares no commands."""
    command = Command("command line", child.key, asked.name or "", dict(asked.values))
    if not specs:
        return command
    try:
        spec = find_command(specs, command, child.name)
        checked = validate_parameters(spec, _typed(spec, asked.values))
    except CommandRejected as error:
        raise CommandFailed(str(error), EXIT_WRONG) from error
    return Command(command.id, command.child, command.name, given_parameters(checked))


def _typed(spec: CommandSpec, values: Mapping[str, str]) -> dict[str, object]:
    """Return the typed parameters as JSON values, as the cloud would send them."""
    properties, secrets = parameters_schema(spec).get("properties", {}), secret_parameters(spec.parameters)
    return {key: _secret(key, text) if key in secrets else _value(properties.get(key, {}), text) for key, text in values.items()}


def _secret(key: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return read_secret_file(Path(text[1:]), key).get_secret_value()
    except ValueError as error:
        raise CommandFailed(str(error), EXIT_WRONG) from error


def _value(schema: Mapping[str, Any], text: str) -> object:
    """Return the value that a text means by this JSON Schema; the text itself where it means none, to be refused as it is."""
    if "enum" in schema:
        return next((value for value in schema["enum"] if str(value) == text), text)
    match schema.get("type"):
        case "boolean":
            word = text.lower()
            return True if word in TRUE_WORDS else False if word in FALSE_WORDS else text
        case "string":
            return text
        case _:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):  # no JSON, or a number or a depth that Python does not read
                return text


def _facts(report: _Report) -> dict[str, Any]:
    device = {"address": report.found.address, "name": report.found.name, "profile": report.found.profile}
    if report.command is None:
        return {**device, "commands": [described_command(spec) for spec in report.specs]}
    facts = {**device, "command": report.command.name, "parameters": _shown_parameters(report)}
    if report.result is None:
        return {**facts, "would_write": list(report.planned or ())}
    result = report.result
    return {
        **facts,
        "message": result.message,
        "is_proven": result.is_proven,
        "before": dict(result.before),
        "after": dict(result.after),
    }


def _shown_parameters(report: _Report) -> Mapping[str, object]:
    command = report.command
    spec = next((spec for spec in report.specs if command is not None and spec.name == command.name), None)
    given = {} if command is None else command.parameters
    return given if spec is None else masked_parameters(spec, given)


def _show(report: _Report) -> None:
    out.print(
        f"[bold]{escape(report.found.name)}[/] at {escape(report.found.address)}, profile {escape(report.found.profile or '')}"
    )
    if report.command is None:
        show_specs(report.specs, indent="  ")
        if not report.specs:
            out.print("It takes no commands.")
    elif report.result is None:
        out.print(f"{report.command.name} would do this, and nothing was written:", markup=False)
        for sentence in report.planned or ["its adapter does not say what it writes"]:
            out.print(f"  {sentence}", markup=False, soft_wrap=True)
    else:
        out.print(report.result.message or f"{report.command.name} was carried out", markup=False, soft_wrap=True)
        if not report.result.is_proven:
            out.print("It was sent, and nothing proves that it took effect.", style="yellow")
