"""Show the commands that a child declares, check one that a person gives, and have it carried out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway import strict_json
from gateway.command_parameters import parameter_problems, parameters_schema
from gateway.command_secrets import mask_parameters
from gateway.errors import CommandRejected, StoreError
from gateway.field.child_buses import ChildBuses
from gateway.field.command_validation import checked_command
from gateway.field.declared_commands import declared_commands
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice, Command, CommandSpec
from gateway.runtime.device_actions.local_commands import LocalCommands
from gateway.runtime.summaries.cloud import command_summary
from gateway.state.command_ledger import CommandLedger, LedgerEntry
from gateway.state.registry import Registry
from gateway.status.cloud_activity import CommandSummary
from gateway.status.device_actions import ActionProblem, CommandPlan, DeclaredCommand, DeclaredCommands, Problem
from gateway.status.device_actions_view import CommandOrder

log = logging.getLogger(__name__)

NO_SUCH_CHILD = ActionProblem(kind=Problem.UNKNOWN, error="there is no such child (any more)")


class DeviceCommands:
    """The commands of the children.

    Args:
        registry: knows the children.
        ledger: keeps the commands.
        buses: the buses of the children.
        commands: carries them out.
    """

    def __init__(self, registry: Registry, ledger: CommandLedger, buses: ChildBuses, commands: LocalCommands) -> None:
        self._registry = registry
        self._ledger = ledger
        self._buses = buses
        self._commands = commands

    def commands_of(self, key: str) -> DeclaredCommands | None:
        """Return the commands that a child declares, `None` when there is no such child."""
        record = self._registry.children.get(key)
        if record is None:
            return None
        try:
            _, _, specs = self._declared(key)
        except CommandRejected as error:
            return DeclaredCommands(problem=str(error))
        return DeclaredCommands(commands=tuple(_shown(spec, self._commands.refusal(key, spec.name)) for spec in specs))

    async def plan_command(self, order: CommandOrder) -> CommandPlan | ActionProblem:
        """Check a command, and return what it would do. Sends nothing."""
        checked = self._checked(order)
        if isinstance(checked, ActionProblem):
            return checked
        supervisor, child, specs, command = checked
        try:
            writes = tuple(supervisor.adapter.planned_writes(child, command))
        except CommandRejected as error:
            return ActionProblem(kind=Problem.REFUSED, error=str(error))
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs the preview, nothing else
            log.debug("%s: what %.100r would send is unknown: %s", child.name, command.name, type(error).__name__)
            writes = ()
        masked = mask_parameters(specs, order.name, order.parameters)
        return CommandPlan(parameters={name: _text(value) for name, value in masked.items()}, writes=writes)

    async def send_command(
        self, order: CommandOrder, *, request_id: str, asked_by: str, wait_seconds: float = 0.0
    ) -> CommandSummary | ActionProblem:
        """Check a command and have it carried out, once for each request id; return it when it has ended, or after this time."""
        known = await self._ledger.given_here(request_id)
        if known is None:
            checked = self._checked(order)
            if isinstance(checked, ActionProblem):
                return checked
            try:
                known = await self._commands.start(
                    order.key, order.name, order.parameters, request_id=request_id, asked_by=asked_by
                )
            except CommandRejected as error:
                return ActionProblem(kind=Problem.REFUSED, error=str(error))
            except StoreError as error:
                text = f"it cannot be recorded, so nothing was sent: {error}"
                return ActionProblem(kind=Problem.REFUSED, error=text)
        if (known.child, known.name) != (order.key, order.name):
            text = "this request id was already used for another command; nothing was sent"
            return ActionProblem(kind=Problem.REFUSED, error=text)
        await self._commands.wait_for(request_id, within_seconds=wait_seconds)
        return self._summary(await self._ledger.given_here(request_id) or known)

    async def command(self, request_id: str) -> CommandSummary | None:
        """Return the command that this request gave, `None` when it gave none."""
        entry = await self._ledger.given_here(request_id)
        return None if entry is None else self._summary(entry)

    def _summary(self, entry: LedgerEntry) -> CommandSummary:
        name = self._registry.name_of(entry.child or "")
        names = {} if entry.child is None or name is None else {entry.child: name}
        return command_summary(entry, names, self._commands.progress_of(entry))

    def _checked(self, order: CommandOrder) -> tuple[Supervisor, ChildDevice, Sequence[CommandSpec], Command] | ActionProblem:
        if order.key not in self._registry.children:
            return NO_SUCH_CHILD
        try:
            supervisor, child, specs = self._declared(order.key)
        except CommandRejected as error:
            return ActionProblem(kind=Problem.REFUSED, error=str(error))
        spec = next((one for one in specs if one.name == order.name), None)
        if spec is None:
            return ActionProblem(kind=Problem.UNKNOWN, error=f"{child.name} has no command {order.name!r}")
        if (why := self._commands.refusal(order.key, order.name)) is not None:
            return ActionProblem(kind=Problem.REFUSED, error=f"{child.name}: {why}")
        if problems := parameter_problems(spec, order.parameters):
            told = "; ".join(f"{name} {text}".strip() for name, text in problems.items())
            return ActionProblem(kind=Problem.INVALID, error=told, fields=problems)
        given = Command(id="", child=order.key, name=order.name, parameters=order.parameters, until=datetime.now(UTC))
        try:
            return supervisor, child, specs, checked_command(specs, given, child.name)
        except CommandRejected as error:
            return ActionProblem(kind=Problem.INVALID, error=str(error))

    def _declared(self, key: str) -> tuple[Supervisor, ChildDevice, Sequence[CommandSpec]]:
        """Return a child with its supervisor and its commands.

        Raises:
            CommandRejected: its bus or its adapter cannot be asked.
        """
        supervisor, child = self._buses.place_of(key)
        try:
            return supervisor, child, declared_commands(supervisor.adapter, child)
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs its commands, nothing else
            raise CommandRejected(f"its adapter cannot say which commands it has: {type(error).__name__}") from None


def _shown(spec: CommandSpec, refusal: str | None) -> DeclaredCommand:
    return DeclaredCommand(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        parameters=_schema(spec),
        is_proven=spec.is_proven,
        is_dangerous=spec.is_dangerous,
        needs_confirmation=spec.needs_confirmation,
        metrics=spec.metrics,
        refusal=refusal,
    )


def _schema(spec: CommandSpec) -> dict[str, Any]:
    return {key: value for key, value in parameters_schema(spec).items() if key != "title"}


def _text(value: object) -> str:
    return value if isinstance(value, str) else strict_json.dumps(value, default=str)
