"""`xyte-gateway schema commands`: the commands of every profile, as the Partner Portal needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.adapter import UPDATE_FIRMWARE, CommandSpec, DeviceProfile, ProfileSettings, unknown_name
from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out, print_json
from gateway.command_parameters import described_value, parameters_schema
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.field.plugins import AdapterClass, usable
from gateway.runtime.own_commands.declarations import DUMP, OWN_COMMANDS

LONGEST_EXECUTION = timedelta(minutes=1)
"""How much longer the portal has to wait for the outcome: a display that starts is read back after up to a minute."""

LONGER_EXECUTIONS = {DUMP.name: timedelta(minutes=20), UPDATE_FIRMWARE.name: timedelta(hours=2)}
"""The same for commands that transfer a file."""


@dataclass(frozen=True, slots=True)
class KnownProfile:
    """A profile and the adapter that it is for."""

    adapter: str
    profile: DeviceProfile


def show_commands(
    family: Annotated[str | None, typer.Option("--family", help="Only the profiles of this family, such as `display`.")] = None,
    config: ConfigFile = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """List the commands of the gateway, and those that the devices of each family take, with their parameters.

    Contains the profiles that come with the gateway, and those of the folders in the configuration. In the output for programs,
    the parameters are JSON Schema.
    """
    with errors_shown(as_json=as_json):
        configuration, plugins = load_config(config, for_cloud=False)
        profiles = sorted(known_profiles(configuration, usable(plugins)), key=lambda one: (one.profile.family, one.profile.name))
        if family is not None and family not in (known := {one.profile.family for one in profiles}):
            raise CommandFailed(unknown_name("family", family, known), EXIT_WRONG)
        taking = [one for one in profiles if one.profile.command_specs and family in (None, one.profile.family)]
    families = [(name, list(alike)) for name, alike in groupby(taking, key=lambda one: one.profile.family)]
    if as_json:
        expiry = configuration.settings.cloud.command_expires_after
        facts = [{"family": name, "profiles": [_profile_facts(one, expiry) for one in alike]} for name, alike in families]
        own = {} if family else {"gateway": [_timed_command(spec, expiry) for spec in OWN_COMMANDS]}
        print_json({**own, "families": facts})
        return
    if not family:
        out.print("[bold]the gateway itself[/]")
        show_specs(OWN_COMMANDS, indent="  ")
    if not families:
        out.print(f"no device of the family {family} takes commands" if family else "no device takes commands", markup=False)
    for name, alike in families:
        out.print(f"[bold]{escape(name)}[/]")
        for one in alike:
            out.print(f"  {one.profile.name} ({one.adapter}): {one.profile.title}", markup=False, soft_wrap=True)
            show_specs(one.profile.command_specs, indent="    ")


def show_specs(specs: Sequence[CommandSpec], *, indent: str = "") -> None:
    """Show commands with their parameters as text."""
    for spec in specs:
        about = f"{spec.title}{f': {spec.description}' if spec.description else ''}"
        proof = "" if spec.is_proven else "; its effect cannot be read back"
        out.print(f"{indent}{spec.name}  {about}{proof}", markup=False, soft_wrap=True)
        for line in parameter_lines(spec):
            out.print(f"{indent}    {line}", markup=False, soft_wrap=True)


def parameter_lines(spec: CommandSpec) -> Iterator[str]:
    """Yield a line for each parameter of a command: its name, what it accepts, and what it is for."""
    schema = parameters_schema(spec)
    for name, value in schema.get("properties", {}).items():
        accepted = described_value(value, schema) or "a value of its own form"
        unit = f" {value['unit']}" if "unit" in value else ""
        left_out = "" if name in schema.get("required", ()) else _when_left_out(value)
        secret = ", secret" if value.get("writeOnly") else ""
        description = f"; {value['description']}" if "description" in value else ""
        yield f"{name}: {accepted}{unit}{secret}{left_out}{description}"


def described_command(spec: CommandSpec) -> dict[str, Any]:
    """Return a command for a program; its parameters are JSON Schema."""
    return {
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "parameters": {key: value for key, value in parameters_schema(spec).items() if key != "title"},
        "is_proven": spec.is_proven,
        "harmless_late": spec.harmless_late,
        "restarts_device": spec.restarts_device,
        "is_dangerous": spec.is_dangerous,
    }


def _timed_command(spec: CommandSpec, expiry: timedelta) -> dict[str, Any]:
    """Return a command with the time that the portal has to allow for it.

    Args:
        spec: its declaration.
        expiry: how long after it was received it may start, where the declaration says nothing else.
    """
    expires_after = expiry if spec.expires_after is None else spec.expires_after
    return {
        **described_command(spec),
        "expires_after_seconds": expires_after.total_seconds(),
        "timeout_seconds": (expires_after + LONGER_EXECUTIONS.get(spec.name, LONGEST_EXECUTION)).total_seconds(),
    }


def known_profiles(configuration: Configuration, adapters: Mapping[str, AdapterClass]) -> Iterator[KnownProfile]:
    """Yield the profiles of all installed adapters, and those of the configuration; of namesakes, the one that is used."""
    libraries: dict[str, dict[str, DeviceProfile]] = {}
    for name, adapter in adapters.items():
        if issubclass(adapter.settings_model, ProfileSettings):
            libraries[name] = dict(adapter.settings_model.profile_files.load())
    for entry in configuration.entries:
        if isinstance(entry, ProfileSettings):
            libraries[entry.type] |= entry.library
    for name, library in libraries.items():
        yield from (KnownProfile(name, profile) for profile in library.values())


def _profile_facts(one: KnownProfile, expiry: timedelta) -> dict[str, Any]:
    return {
        "profile": one.profile.name,
        "adapter": one.adapter,
        "title": one.profile.title,
        "commands": [_timed_command(spec, expiry) for spec in one.profile.command_specs],
    }


def _when_left_out(value: Mapping[str, Any]) -> str:
    return f", {value['default']} when it is left out" if value.get("default") is not None else ", may be left out"
