"""Provide a fake hub in memory that fails on request, for tests of everything above HTTP."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar
from uuid import uuid4

from pydantic import SecretStr

from gateway.errors import HubError, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import (
    ChildRegistration,
    Credentials,
    DeviceUpdate,
    GatewayRegistration,
    ListedChild,
    RejectedEntry,
    TelemetryMessage,
    TelemetryResponse,
    WaitingCommand,
)

T = TypeVar("T")

LOST_ANSWER = "lost answer"
"""Put into `FakeHub.failures` instead of an error: the call is carried out, and its response never arrives."""


@dataclass(slots=True)
class FakeDevice:
    """The fake hub's record of one device."""

    credentials: Credentials
    parent_id: str | None
    registration: GatewayRegistration | ChildRegistration
    messages: list[TelemetryMessage] = field(default_factory=list)
    commands: deque[WaitingCommand] = field(default_factory=deque)
    outcomes: list[tuple[int | str, str, str | None]] = field(default_factory=list)
    updates: list[dict[str, object]] = field(default_factory=list)


class FakeHub:
    """Implements `gateway.hub.Hub` in memory.

    `failures` maps a method's name to the errors that its next calls raise, one each; `refusals` maps a device id to the error
    texts for its next entries in bulk calls.
    """

    def __init__(self) -> None:
        self.devices: dict[str, FakeDevice] = {}
        self.failures: dict[str, deque[HubError | str]] = {}
        self.refusals: dict[str, deque[str]] = {}
        self.calls: Counter[str] = Counter()
        self.answer = TelemetryResponse()
        """The flags in every response to telemetry."""
        self.hub_url = "https://hub.example"
        self.names_owners = True
        """Commands with Children name their device, as from Model API version 1.0.7 on."""

    def fail(self, method: str, *errors: HubError | str) -> None:
        """Make the next calls of `method` fail with these errors, one after the other."""
        self.failures.setdefault(method, deque()).extend(errors)

    def children_of(self, parent_id: str) -> list[FakeDevice]:
        """Return the parent's children in the order of their registration."""
        return [device for device in self.devices.values() if device.parent_id == parent_id]

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """See `Hub`."""
        arrives = self._begin("register_device")
        return self._respond(self._create(gateway, None), arrives)

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """See `Hub`."""
        arrives = self._begin("register_child")
        self._authorise(parent)
        return self._respond(self._create(child, parent.device_id), arrives)

    async def get_children(self, parent: Credentials) -> list[ListedChild]:
        """See `Hub`."""
        self._begin("get_children")
        self._authorise(parent)
        return [
            ListedChild(
                device_id=one.credentials.device_id,
                serial_number=one.registration.serial_number,
                name=one.registration.name,
                details=one.registration.details,
            )
            for one in self.children_of(parent.device_id)
        ]

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryResponse:
        """See `Hub`."""
        self._begin("send_telemetry")
        self._authorise(device).messages.append(message)
        return self._flags(device.device_id)

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> dict[str, TelemetryResponse | RejectedEntry]:
        """See `Hub`."""
        arrives = self._begin("send_child_telemetries")
        self._authorise(parent)
        answers: dict[str, TelemetryResponse | RejectedEntry] = {}
        for device_id, message in messages.items():
            device = self.devices.get(device_id)
            if (refusals := self.refusals.get(device_id)) and refusals:
                answers[device_id] = RejectedEntry(refusals.popleft())
            elif device is None or device.parent_id != parent.device_id:
                answers[device_id] = RejectedEntry("Not found")
            else:
                device.messages.append(message)
                answers[device_id] = self._flags(device_id)
        return self._respond(answers, arrives)

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """See `Hub`."""
        self._begin("get_command")
        commands = self._authorise(device).commands
        return commands[0] if commands else None

    async def get_commands_with_children(self, parent: Credentials) -> list[WaitingCommand]:
        """See `Hub`."""
        self._begin("get_commands_with_children")
        family = [self._authorise(parent), *self.children_of(parent.device_id)]
        return [
            replace(one.commands[0], device_id=one.credentials.device_id if self.names_owners else None)
            for one in family
            if one.commands
        ]

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """See `Hub`."""
        self._begin("update_command")
        known = self._authorise(device)
        if not known.commands or known.commands[0].id != command_id:
            raise HubRejected("Update Command: no command", status=404, error="no command")
        known.outcomes.append((command_id, status, message))
        if status != "in_progress":
            known.commands.popleft()

    async def update_device(self, device: Credentials, update: DeviceUpdate) -> None:
        """See `Hub`."""
        self._begin("update_device")
        known = self._authorise(device)
        known.updates.append({key: value for key, value in asdict(update).items() if value is not None})
        if update.parent_id is not None:
            known.parent_id = update.parent_id

    def _begin(self, method: str) -> bool:
        """Count the call, raise its planned error if there is one, and return whether its response arrives."""
        self.calls[method] += 1
        planned = self.failures.get(method)
        failure = planned.popleft() if planned else None
        if isinstance(failure, HubError):
            raise failure
        return failure is None

    def _respond(self, answer: T, arrives: bool) -> T:  # noqa: FBT001 - private
        if not arrives:
            raise HubUnreachable("the response was lost", maybe_done=True)
        return answer

    def _create(self, registration: GatewayRegistration | ChildRegistration, parent_id: str | None) -> Credentials:
        credentials = Credentials(device_id=str(uuid4()), access_key=SecretStr(uuid4().hex), hub_url=self.hub_url)
        self.devices[credentials.device_id] = FakeDevice(credentials, parent_id, replace(registration))
        return credentials

    def _authorise(self, device: Credentials) -> FakeDevice:
        known = self.devices.get(device.device_id)
        if known is None or known.credentials.access_key != device.access_key:
            raise HubUnauthorised("the key is not accepted", status=401, error="Not authorized")
        return known

    def _flags(self, device_id: str) -> TelemetryResponse:
        return replace(self.answer, command=bool(self.devices[device_id].commands))
