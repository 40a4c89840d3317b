"""A hub that is not there: keeps everything in memory and fails when told to. For tests of what stands above the wire."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import uuid4

from pydantic import SecretStr

from gateway.errors import HubError, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import (
    ChildRegistration,
    Credentials,
    GatewayRegistration,
    ListedChild,
    Refusal,
    TelemetryAnswer,
    TelemetryMessage,
    WaitingCommand,
)

T = TypeVar("T")

LOST_ANSWER = "lost answer"
"""Put into `FakeHub.failures` in place of an error: the call is carried out, and its answer never arrives."""


@dataclass(slots=True)
class FakeDevice:
    """A device as the fake hub keeps it."""

    credentials: Credentials
    parent_id: str | None
    registration: GatewayRegistration | ChildRegistration
    messages: list[TelemetryMessage] = field(default_factory=list)
    commands: deque[WaitingCommand] = field(default_factory=deque)
    outcomes: list[tuple[int | str, str, str | None]] = field(default_factory=list)
    updates: list[dict[str, object]] = field(default_factory=list)


class FakeHub:
    """Fulfils `gateway.hub.Hub`.

    `failures` maps a method's name to the errors that its next calls raise, one each; `refusals` maps a device id to the hub's
    words for its next entries in bulk calls.
    """

    def __init__(self) -> None:
        self.devices: dict[str, FakeDevice] = {}
        self.failures: dict[str, deque[HubError | str]] = {}
        self.refusals: dict[str, deque[str]] = {}
        self.calls: Counter[str] = Counter()
        self.answer = TelemetryAnswer()
        self.hub_url = "https://hub.example"

    def fail(self, method: str, *errors: HubError | str) -> None:
        """Let the next calls of `method` fail like this, one after the other."""
        self.failures.setdefault(method, deque()).extend(errors)

    def children_of(self, parent_id: str) -> list[FakeDevice]:
        """Return the parent's children in the order of their registration."""
        return [device for device in self.devices.values() if device.parent_id == parent_id]

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """See `Hub`."""
        with_answer = self._begin("register_device")
        return self._answered(self._create(gateway, None), with_answer)

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """See `Hub`."""
        with_answer = self._begin("register_child")
        self._authorise(parent)
        return self._answered(self._create(child, parent.device_id), with_answer)

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

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryAnswer:
        """See `Hub`."""
        self._begin("send_telemetry")
        self._authorise(device).messages.append(message)
        return self._flags(device.device_id)

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> dict[str, TelemetryAnswer | Refusal]:
        """See `Hub`."""
        with_answer = self._begin("send_child_telemetries")
        self._authorise(parent)
        answers: dict[str, TelemetryAnswer | Refusal] = {}
        for device_id, message in messages.items():
            device = self.devices.get(device_id)
            if (refusals := self.refusals.get(device_id)) and refusals:
                answers[device_id] = Refusal(refusals.popleft())
            elif device is None or device.parent_id != parent.device_id:
                answers[device_id] = Refusal("Not found")
            else:
                device.messages.append(message)
                answers[device_id] = self._flags(device_id)
        return self._answered(answers, with_answer)

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """See `Hub`."""
        self._begin("get_command")
        commands = self._authorise(device).commands
        return commands[0] if commands else None

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """See `Hub`."""
        self._begin("update_command")
        known = self._authorise(device)
        if not known.commands or known.commands[0].id != command_id:
            raise HubRejected("Update Command: no command", status=404, error="no command")
        known.outcomes.append((command_id, status, message))
        if status != "in_progress":
            known.commands.popleft()

    async def update_device(
        self,
        device: Credentials,
        *,
        name: str | None = None,
        firmware_version: str | None = None,
        sub_model: str | None = None,
        details: Mapping[str, object] | None = None,
        config_version: int | None = None,
        space_version: int | None = None,
        parent_id: str | None = None,
        host_address: str | None = None,
    ) -> None:
        """See `Hub`."""
        self._begin("update_device")
        known = self._authorise(device)
        said: dict[str, object] = {"name": name, "firmware_version": firmware_version, "sub_model": sub_model, "details": details}
        said |= {"config_version": config_version, "space_version": space_version}
        said |= {"parent_id": parent_id, "host_address": host_address}
        known.updates.append({key: value for key, value in said.items() if value is not None})
        if parent_id is not None:
            known.parent_id = parent_id

    def _begin(self, method: str) -> bool:
        """Count the call, fail it if told to, and return whether its answer will arrive."""
        self.calls[method] += 1
        planned = self.failures.get(method)
        failure = planned.popleft() if planned else None
        if isinstance(failure, HubError):
            raise failure
        return failure is None

    def _answered(self, answer: T, with_answer: bool) -> T:  # noqa: FBT001 - private
        if not with_answer:
            raise HubUnreachable("the answer was lost", maybe_done=True)
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

    def _flags(self, device_id: str) -> TelemetryAnswer:
        return replace(self.answer, command=bool(self.devices[device_id].commands))
