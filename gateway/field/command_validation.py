"""Check a command against what its device declares, before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway import strict_json
from gateway.command_parameters import given_parameters, listed_names, parameters_schema, shown_text, validate_parameters
from gateway.errors import CommandRejected
from gateway.models import Command, CommandSpec

MOST_PARAMETER_CHARACTERS = 64 * 1024
"""The most characters of all parameters of a command together, as JSON."""


def checked_command(specs: Sequence[CommandSpec], command: Command, title: str) -> Command:
    """Return the command with its parameters as the device declares them; see `Command.parameters`.

    A `null` for an optional parameter counts as absent (device API reference, section 6). Without any declaration the command is
    returned as it is, and its device checks it.

    Args:
        specs: the commands of the device.
        command: what the cloud asks for.
        title: what a person calls the device.

    Raises:
        CommandRejected: the device has no such command, or its parameters are wrong; the text says what is expected, quotes no
            secret, and is short.
    """
    if not specs:
        _check_numbers(command)
        return command
    spec = next((spec for spec in specs if spec.name == command.name), None)
    if spec is None:
        known = ", ".join(spec.name for spec in specs)
        raise CommandRejected(f"{title} has no command {shown_text(command.name)}; it has {known}")
    _check_size(command)
    _check_names(spec, command)
    checked = given_parameters(validate_parameters(spec, command.parameters))
    return replace(command, parameters={name: value for name, value in checked.items() if value is not None})


def _check_size(command: Command) -> None:
    try:
        length = len(strict_json.dumps(command.parameters, default=str))
    except (RecursionError, ValueError):
        raise CommandRejected(f"{command.name}: its parameters are nested too deeply") from None
    if length > MOST_PARAMETER_CHARACTERS:
        raise CommandRejected(
            f"{command.name}: its parameters have {length} characters; at most {MOST_PARAMETER_CHARACTERS} are accepted"
        )


def _check_numbers(command: Command) -> None:
    names = [name for name, value in command.parameters.items() if not strict_json.has_finite_numbers(value)]
    if names:
        raise CommandRejected(f"{command.name}: {listed_names(names)} has to be a finite number")


def _check_names(spec: CommandSpec, command: Command) -> None:
    """Refuse parameters that are not declared, also where the model would ignore them: a person expects an effect of them."""
    declared = parameters_schema(spec).get("properties", {})
    unknown = [name for name, value in command.parameters.items() if value is not None and name not in declared]
    if unknown and spec.parameters.model_config.get("extra") != "allow":
        takes = f"it takes {listed_names(declared)}" if declared else "it takes none"
        raise CommandRejected(f"{spec.name} has no parameter {listed_names(map(repr, unknown))}; {takes}")
