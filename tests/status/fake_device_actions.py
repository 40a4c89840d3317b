"""Devices that a person acts on, without a gateway: real declarations and real checks, and an outcome at once."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.command_parameters import parameter_problems, parameters_schema
from gateway.command_secrets import mask_parameters
from gateway.models import CommandSpec
from gateway.status.cloud_activity import CommandState, CommandSummary
from gateway.status.device_actions import ActionProblem, CommandPlan, DeclaredCommand, DeclaredCommands, Problem
from gateway.status.device_actions_view import DeviceActions


class Limit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: float = Field(ge=0, le=32, title="Limit", description="the most current of a phase", json_schema_extra={"unit": "A"})
    mode: Literal["eco", "fast"] = Field("eco", title="Mode")
    beeps: bool = Field(True, title="Beep")
    pin: SecretStr | None = Field(None, min_length=4, max_length=8, title="PIN")


COMMANDS = (
    CommandSpec(
        name="set_limit",
        title="Set the limit",
        description="the charger follows within a second",
        parameters=Limit,
        is_proven=True,
        metrics=("active_power",),
    ),
    CommandSpec(name="identify", title="Blink"),
    CommandSpec(name="reboot", title="Restart", restarts_device=True),
    CommandSpec(name="open_contactor", title="Open the contactor", parameters=Limit, is_dangerous=True),
)


class FakeCommands:
    """The commands of every child, each carried out at once."""

    def __init__(self, view):
        self.view = view
        self.specs = COMMANDS
        self.refusal = None
        self.problem = None
        self.sent = {}

    def commands_of(self, key):
        if key not in self.view.children:
            return None
        shown = tuple(
            DeclaredCommand(
                name=spec.name,
                title=spec.title,
                description=spec.description,
                parameters=parameters_schema(spec),
                is_proven=spec.is_proven,
                is_dangerous=spec.is_dangerous,
                needs_confirmation=spec.needs_confirmation,
                metrics=spec.metrics,
                refusal=self.refusal,
            )
            for spec in self.specs
        )
        return DeclaredCommands(commands=() if self.problem else shown, problem=self.problem)

    async def plan_command(self, order):
        problem = self._problem(order)
        masked = mask_parameters(self.specs, order.name, order.parameters)
        return problem or CommandPlan(
            parameters={name: str(value) for name, value in masked.items()}, writes=("holding register 40 becomes 1",)
        )

    async def send_command(self, order, *, request_id, asked_by, wait_seconds=0.0):
        if request_id in self.sent:
            return self.sent[request_id]
        if (problem := self._problem(order)) is not None:
            return problem
        child = self.view.children[order.key].line
        self.view.done.append(("command", order.key, order.name, dict(order.parameters), asked_by))
        told = self.sent[request_id] = CommandSummary(
            child_id=child.id,
            device=child.name,
            name=order.name,
            parameters={name: str(value) for name, value in mask_parameters(self.specs, order.name, order.parameters).items()},
            state=CommandState.DONE,
            message="it is done",
            received_at=datetime.now(UTC),
            ended_at=datetime.now(UTC),
            is_reported=True,
            asked_by=asked_by,
            request_id=request_id,
        )
        self.view.cloud = self.view.cloud.model_copy(update={"commands": (told, *self.view.cloud.commands)})
        return told

    async def command(self, request_id):
        return self.sent.get(request_id)

    def _problem(self, order):
        if order.key not in self.view.children:
            return ActionProblem(kind=Problem.UNKNOWN, error="there is no such child (any more)")
        spec = next((one for one in self.specs if one.name == order.name), None)
        if spec is None:
            return ActionProblem(kind=Problem.UNKNOWN, error=f"it has no command {order.name!r}")
        if self.refusal is not None:
            return ActionProblem(kind=Problem.REFUSED, error=self.refusal)
        if problems := parameter_problems(spec, order.parameters):
            return ActionProblem(kind=Problem.INVALID, error="the parameters are wrong", fields=problems)
        return None


def fake_device_actions(view):
    """Return the actions on the devices of a view."""
    return DeviceActions(commands=FakeCommands(view))
