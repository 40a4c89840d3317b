"""Devices that a person acts on, without a gateway: real declarations and real checks, and an outcome at once."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.command_parameters import parameter_problems, parameters_schema
from gateway.command_secrets import mask_parameters
from gateway.models import CommandSpec
from gateway.status.cloud_activity import CommandState, CommandSummary
from gateway.status.device_actions import (
    ActionProblem,
    AskedOfChild,
    CommandPlan,
    DeclaredCommand,
    DeclaredCommands,
    FoundFacts,
    Frame,
    Frames,
    Look,
    LookKind,
    LookState,
    Problem,
    ReadValue,
    Successor,
)
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


class FakeLooks:
    """A look at any device, which answers at once."""

    def __init__(self, view):
        self.view = view
        self.looks = {}

    def start(self, key, kind):
        if key not in self.view.children and key not in self.view.waiting:
            return ActionProblem(kind=Problem.UNKNOWN, error="there is no such device (any more)")
        at = datetime.now(UTC)
        found = FoundFacts(
            name="Acme EM340",
            address="1",
            identity=key,
            is_same=True,
            manufacturer="Acme",
            serial_number="4711",
            profile="acme-em340",
            evidence={"device identification": "Acme EM340 2.11"},
        )
        values = (
            ReadValue(metric="active_power", value=912.25, unit="W", at=at),
            ReadValue(metric="voltage_l1", value=230.123456, unit="V", at=at),
        )
        is_read = kind is LookKind.READ
        self.looks[key] = Look(
            kind=kind, state=LookState.DONE, started_at=at, ended_at=at, found=found, values=values if is_read else ()
        )
        self.view.done.append(("look", key, kind.value))
        return None

    def look_of(self, key):
        return self.looks.get(key)

    async def wait_for(self, key, *, within_seconds):
        pass


class FakeLife:
    """What a person decides, done in the view."""

    def __init__(self, view):
        self.view = view
        self.asked = {}

    def known_models(self, family):
        return tuple(dict.fromkeys(one.model_id for one in self.view.children.values() if one.family == family))

    async def admit(self, key, model_id=None):
        device = self.view.waiting.get(key)
        if device is not None and model_id is not None:
            if len(model_id) != 36:
                return ActionProblem(kind=Problem.INVALID, error="the model id is not one of the Partner Portal")
            self.view.waiting[key] = device.model_copy(update={"model_id": model_id})
        return self._problem(await self.view.admit(key))

    async def ignore(self, key):
        return self._problem(await self.view.ignore(key))

    async def retire(self, key, *, keep_in_cloud):
        if key not in self.view.children:
            return ActionProblem(kind=Problem.UNKNOWN, error="there is no such child (any more)")
        self.view.done.append(("retire", key, keep_in_cloud))
        self.asked[key] = AskedOfChild(what="retire here" if keep_in_cloud else "retire", at=datetime.now(UTC))
        return None

    async def replace(self, key, successor):
        if successor not in {one.key for one in self.successors_of(key)}:
            return ActionProblem(kind=Problem.REFUSED, error="no such device was found")
        self.view.done.append(("replace", key, successor))
        return None

    def successors_of(self, key):
        return tuple(
            Successor(
                id=one.id, key=one.key, name=one.name, place=f"{one.bus} {one.address}", is_at_its_address=False, is_alike=False
            )
            for one in self.view.waiting.values()
        )

    def asked_of(self, key):
        return self.asked.get(key)

    def _problem(self, why_not):
        return None if why_not is None else ActionProblem(kind=Problem.REFUSED, error=why_not)


class FakeFrames:
    """The same frames for every device."""

    def __init__(self, view):
        self.view = view
        self.frames = Frames(
            frames=(
                Frame(
                    at="10:00:00.001",
                    time=datetime(2026, 11, 30, 10, 0, 0, 1000, UTC),
                    direction="sent",
                    bytes="01 03 00 00 00 02 c4 0b",
                    meaning="unit 1: read holding registers 0 to 1",
                ),
                Frame(
                    at="10:00:00.009",
                    time=datetime(2026, 11, 30, 10, 0, 0, 9000, UTC),
                    direction="received",
                    bytes="01 83 02 c0 f1",
                    meaning="unit 1: exception 02, illegal data address, to read holding registers; checksum right",
                    is_wrong=True,
                ),
                Frame(at="10:00:00.012", direction="received", bytes="3f 50 57 52 0d", text="?PWR·"),
            )
        )

    def frames_of(self, key):
        return self.frames if key in self.view.children or key in self.view.waiting else None


def fake_device_actions(view):
    """Return the actions on the devices of a view."""
    return DeviceActions(commands=FakeCommands(view), looks=FakeLooks(view), life=FakeLife(view), frames=FakeFrames(view))
