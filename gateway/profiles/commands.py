"""Look up a command of the cloud among those of a device, and check single parameters. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from gateway.command_parameters import listed_names, shown_text
from gateway.errors import CommandRejected
from gateway.models import Command, Value
from gateway.profiles.model import NamedRule

RuleT = TypeVar("RuleT", bound=NamedRule)


def find_command(rules: Iterable[RuleT], command: Command, title: str) -> RuleT:
    """Return the rule of a profile, or the `CommandSpec`, for this command.

    Args:
        rules: the commands that there are.
        command: what the cloud asks for.
        title: what a person calls the device, for the error.

    Raises:
        CommandRejected: there is no such command; the text lists those that there are.
    """
    known = {rule.name: rule for rule in rules}
    rule = known.get(command.name)
    if rule is None:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise CommandRejected(f"{title} has no command {shown_text(command.name)}; {has}")
    return rule


def check_parameter_names(command: str, expected: Collection[str], given: Mapping[str, object]) -> None:
    """Check that exactly the expected parameters are given.

    Raises:
        CommandRejected: one is missing or is not expected; the text lists both sides.
    """
    if given.keys() == set(expected):
        return
    received = listed_names(given) or "none"
    if not expected:
        raise CommandRejected(f"{command} takes no parameters, and got {received}")
    wanted = f"parameter{'s' if len(expected) > 1 else ''} {', '.join(map(repr, expected))}"
    raise CommandRejected(f"{command} takes the {wanted}, and got {received}")


def checked_parameter(command: str, name: str, value: object, between: tuple[float, float] | None) -> Value:
    """Return the value of a parameter that is a scalar and, where there are bounds, a number within them.

    Raises:
        CommandRejected: it is not; the text says what is expected. It does not quote the value, which may be a secret.
    """
    if not isinstance(value, bool | int | float | str):
        raise CommandRejected(f"{command}: {name} has to be a number, a text, true or false, not a {type(value).__name__}")
    if between is not None:
        low, high = between
        if isinstance(value, bool | str) or not low <= value <= high:
            raise CommandRejected(f"{command}: {name} has to be a number from {low:.15g} to {high:.15g}")
    return value
